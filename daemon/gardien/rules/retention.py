"""Which backups may go. A policy proposes; what stands here decides, and says no whenever something looks odd."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.model.settings import Keep
from gardien.model.snapshot import Snapshot
from gardien.words import N_, Words

MOST_AT_ONCE = 0.5  # share of the backups of a stack that one run may take away
SKEW = timedelta(hours=1)  # by which a clock may be wrong without anything being wrong
LONGEST_SLEEP = timedelta(days=60)  # a clock that jumped further ahead than a machine is ever off for

_BUCKETS: Mapping[str, Callable[[datetime], tuple[int, ...]]] = {
    "hourly": lambda at: (at.year, at.month, at.day, at.hour),
    "daily": lambda at: (at.year, at.month, at.day),
    "weekly": lambda at: tuple(at.isocalendar())[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: (at.year,),
}


@dataclass(frozen=True, slots=True)
class Ruling:
    """`remove`: ids that may go, oldest first. `reasons`: id -> why it stays. `frozen`: why nothing may go.

    `later`: those that may go as well, but not all in one run.
    """

    remove: tuple[str, ...]
    reasons: Mapping[str, tuple[str, ...]]
    frozen: Words | None = None
    later: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """`now`, when gardien last looked at a clock, and whether the machine's time comes from the network."""

    now: datetime
    last_seen: datetime | None
    synchronised: bool


def rule(
    snapshots: Sequence[Snapshot],
    keep: Keep,
    clock: ClockFacts,
    zone: ZoneInfo,
    *,
    waiting: Set[str] = frozenset(),
    before_updates: Set[str] = frozenset(),
) -> Ruling:
    """Judge the backups of one stack at one target, good ones and others.

    `waiting`: those that were not copied yet to where they are to be copied; they stay until then. `before_updates`:
    those to which an update may still have to go back.
    """
    newest_first = sorted(snapshots, key=lambda each: (each.taken, each.id), reverse=True)
    good = [each for each in newest_first if each.good]
    reasons = _reasons(good, keep, zone)
    for each in good:
        if each.id in waiting:
            reasons[each.id] = (*reasons.get(each.id, ()), "waiting")
        if each.id in before_updates:
            reasons[each.id] = (*reasons.get(each.id, ()), "update")
    if frozen := _frozen(newest_first, good, clock):
        return Ruling((), reasons, frozen)
    proposed = [each for each in reversed(good) if each.id not in reasons]
    # What never counted stays as long as somebody may still want to know why.
    looked_at = clock.now - timedelta(days=max(1, keep.within_days))
    proposed += [each for each in newest_first if not each.good and each.taken < looked_at]
    proposed.sort(key=lambda each: (each.taken, each.id))
    most = int(len(newest_first) * MOST_AT_ONCE)
    ids = tuple(each.id for each in proposed)
    return Ruling(ids[:most], reasons, later=ids[most:])


def _reasons(good: Sequence[Snapshot], keep: Keep, zone: ZoneInfo) -> dict[str, tuple[str, ...]]:
    """As restic's own `forget` decides: the newest of each period, for so many periods that have one."""
    found: dict[str, list[str]] = {}
    for number, each in enumerate(good):
        if number == 0:
            found.setdefault(each.id, []).append("newest")
        if number < keep.verified:
            found.setdefault(each.id, []).append("verified")
        if each.taken > good[0].taken - timedelta(days=keep.within_days):
            found.setdefault(each.id, []).append("within")
    for name, bucket in _BUCKETS.items():
        seen: set[tuple[int, ...]] = set()
        for each in good:
            period = bucket(each.taken.astimezone(zone))
            if period not in seen and len(seen) < getattr(keep, name):
                seen.add(period)
                found.setdefault(each.id, []).append(name)
    return {id_: tuple(why) for id_, why in found.items()}


def _frozen(newest_first: Sequence[Snapshot], good: Sequence[Snapshot], clock: ClockFacts) -> Words | None:
    if not clock.synchronised:
        return Words.of(N_("the machine's clock is not set by the network"))
    if clock.last_seen is not None and not (-SKEW <= clock.now - clock.last_seen <= LONGEST_SLEEP):
        return Words.of(N_("the machine's clock has jumped"))
    if newest_first and newest_first[0].taken > clock.now + SKEW:
        return Words.of(N_("a backup bears a date that has not come yet"))
    if not good:
        return Words.of(N_("there is no good backup"))
    if not newest_first[0].good:
        return Words.of(N_("the newest backup is incomplete"))
    return None

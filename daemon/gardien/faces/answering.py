"""How an application answers, probe by probe: now, and in the last day or month, as a strip and in figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from types import MappingProxyType
from typing import Literal

from gardien.model.health import Stretch, silence
from gardien.model.manifest import Probe
from gardien.model.stack import Stack
from gardien.services.house import House
from gardien.words import N_

Known = Literal["good", "bad", "unknown"]
DAY, MONTH = 1, 30
SPANS: Mapping[int, str] = MappingProxyType({DAY: N_("The last day"), MONTH: N_("The last month")})
CELLS: Mapping[int, timedelta] = MappingProxyType({DAY: timedelta(minutes=15), MONTH: timedelta(hours=6)})
TROUBLES = 10  # in the table
WAYS: Mapping[str, str] = MappingProxyType(  # what a probe asks, where its stack does not say what that means
    {
        "http": N_("Its page opens."),
        "websocket": N_("Browsers can stay in touch with it."),
        "tcp": N_("It can be reached."),
        "exec": N_("Its service {service} says that it is well."),
        "": N_("Its containers run."),
    }
)
KNOWN: Mapping[Known, str] = MappingProxyType(
    {"good": N_("Answers well"), "bad": N_("Does not answer well"), "unknown": N_("Not known")}
)


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the strip, in cells from its left end."""

    state: Known
    at: int
    wide: int


@dataclass(frozen=True, slots=True)
class Trouble:
    """A time in which it did not answer well, or nobody knows; `until` is None while it lasts."""

    state: Known
    began: datetime
    until: datetime | None
    lasted: timedelta
    stretch: Stretch | None = None


@dataclass(frozen=True, slots=True)
class Answering:
    """One probe. `share`: of the time of which something is known, in how much it answered well."""

    name: str
    probe: Probe | None
    state: Known
    since: datetime | None  # None: nothing is known yet
    heard: datetime | None
    newest: Stretch | None
    begin: datetime  # of the strip
    cells: int
    blocks: list[Block]
    share: float | None
    troubles: list[Trouble]  # newest first
    more: int  # that are not in `troubles`


async def answering(house: House, stack: Stack, now: datetime, days: int) -> list[Answering]:
    """Each probe of a stack, over the last day or month. Nothing is asked: it is what the watchman saw."""
    end = _end(now, CELLS[days])
    stretches = await house.store.stretches(stack.name, end - timedelta(days=days))
    probes: Mapping[str, Probe | None] = stack.manifest.probes or {"": None}
    return [
        _told(name, probe, [each for each in stretches if each.probe == name], now, days)
        for name, probe in probes.items()
    ]


def _end(now: datetime, cell: timedelta) -> datetime:
    """The right end of the strip: it moves by whole cells, so that a page that stays open is not drawn all the time."""
    seconds = int(cell.total_seconds())
    return datetime.fromtimestamp((int(now.timestamp()) // seconds + 1) * seconds, UTC)


def _told(name: str, probe: Probe | None, stretches: Sequence[Stretch], now: datetime, days: int) -> Answering:
    patience = silence(probe.period if probe else 0)
    cell, end = CELLS[days], _end(now, CELLS[days])
    begin = end - timedelta(days=days)
    joined = [each for each in _joined(stretches, patience) if each.began <= now]
    newest = joined[-1] if joined else None
    fresh = newest is not None and now - newest.seen <= patience
    state: Known = "unknown" if newest is None or not fresh else "good" if newest.ok else "bad"
    # What is known of it is known up to now: the next answer is not due yet.
    if newest is not None and fresh:
        joined[-1] = Stretch(newest.stack, newest.probe, newest.ok, newest.says, newest.began, now)
    known = {each: timedelta() for each in (True, False)}
    for each in joined:
        known[each.ok] += max(min(each.seen, now) - max(each.began, begin), timedelta())
    all_known = known[True] + known[False]
    troubles = _troubles(joined, begin, now, fresh=fresh)
    return Answering(
        name,
        probe,
        state,
        newest.began if newest is not None and fresh else newest.seen if newest is not None else None,
        newest.seen if newest is not None else None,
        newest,
        begin,
        int(timedelta(days=days) / cell),
        _blocks(joined, begin, now, cell),
        known[True] / all_known if all_known else None,
        troubles[:TROUBLES],
        len(troubles[TROUBLES:]),
    )


def _joined(stretches: Sequence[Stretch], patience: timedelta) -> list[Stretch]:
    """Neighbours that tell the same are one; what was short of an answer for a moment only was not unknown."""
    joined: list[Stretch] = []
    for each in stretches:
        last = joined[-1] if joined else None
        if last is not None and last.ok == each.ok and each.began - last.seen <= patience:
            joined[-1] = Stretch(each.stack, each.probe, each.ok, each.says, last.began, max(last.seen, each.seen))
        elif last is not None and timedelta() < each.began - last.seen <= patience:
            joined[-1] = Stretch(last.stack, last.probe, last.ok, last.says, last.began, each.began)
            joined.append(each)
        else:
            joined.append(each)
    return joined


def _blocks(joined: Sequence[Stretch], begin: datetime, now: datetime, cell: timedelta) -> list[Block]:
    """A cell is bad if anything in it was, and unknown if that is so of most of it."""
    states: list[Known] = []
    at = begin
    while at < now:
        until = min(at + cell, now)
        here = [each for each in joined if each.began < until and each.seen > at]
        good = sum((min(each.seen, until) - max(each.began, at) for each in here if each.ok), timedelta())
        bad = any(not each.ok for each in here)
        states.append("bad" if bad else "good" if here and good * 2 >= until - at else "unknown")
        at += cell
    blocks, place = [], 0
    for state, group in groupby(states):
        wide = len(list(group))
        blocks.append(Block(state, place, wide))
        place += wide
    return blocks


def _troubles(joined: Sequence[Stretch], begin: datetime, now: datetime, *, fresh: bool) -> list[Trouble]:
    """Newest first; from the first answer on: what was before it is no trouble."""
    found: list[Trouble] = []
    for place, each in enumerate(joined):
        last = place == len(joined) - 1
        until = now if last else joined[place + 1].began
        if not each.ok and each.seen >= begin:
            over = None if last and fresh else each.seen
            found.append(Trouble("bad", each.began, over, (over or now) - each.began, each))
        if until > each.seen and until >= begin:
            found.append(Trouble("unknown", each.seen, None if last else until, until - each.seen))
    return found[::-1]

"""Which letters are owed, and when one that could not be sent is tried again."""

from collections.abc import Sequence
from datetime import datetime, time, timedelta, tzinfo

from gardien.model.health import Alert
from gardien.model.letter import ONCE, News, Told

# How long an alert is open before anybody is written to: what passes by itself is no letter.
GRACE = {"trouble": timedelta(minutes=10), "notice": timedelta(hours=20), "calm": timedelta(days=7)}
# How long one that stays open is not written about again.
REPEAT = {"trouble": timedelta(days=3), "notice": timedelta(days=7), "calm": timedelta(days=30)}
SOON, NEVER = timedelta(minutes=2), timedelta(days=3650)  # the same for what is told once
CALM = timedelta(minutes=30)  # how long an alert is over before that is written
RESTLESS = timedelta(days=1)  # the same for one that came back, which gets no second letter meanwhile
QUIET = (time(21), time(8))  # by the machine's clock: what can wait is not written at night
LONGEST_SLEEP = timedelta(days=90)
UNSENT_FOR = timedelta(hours=1)  # after which letters are said not to arrive, and the second way speaks

_SKEW = timedelta(hours=1)
_PAUSES = (1, 2, 5, 15, 30, 60)  # minutes between two tries, then every hour, and after a day every four
_GIVEN_UP = timedelta(days=14)


def news(told: Sequence[Told], now: datetime, zone: tzinfo) -> News:
    """What is to be written now; nothing yet: empty. One letter takes along all that is open and not yet told."""
    over = [each for each in told if _over(each, told, now)]
    open_ = [each for each in told if _open(each, told, now)]
    if not any(each.alert.severity == "trouble" for each in open_) and _quiet(now, zone):
        return News()
    if open_:
        along = [each for each in told if _awake(each.alert, now) and _heard(each, told) is None]
        open_ = [*open_, *(each for each in along if each not in open_)]
    return News(tuple(each.alert for each in open_), tuple(each.alert for each in over))


def weekly(now: datetime, zone: tzinfo) -> str | None:
    """The week whose letter on how things stand is due, as `2026-w10`; None late in the week: then the next one is."""
    local = now.astimezone(zone)
    if not _lately(local, local.date().toordinal() - local.weekday()):
        return None
    year, week, _ = local.isocalendar()
    return f"{year}-w{week:02}"


def monthly(now: datetime, zone: tzinfo) -> str | None:
    """The month that is over and whose record can be printed, as `2026-02`; None late in the month after."""
    local = now.astimezone(zone)
    first = local.date().replace(day=1)
    return f"{first - timedelta(days=1):%Y-%m}" if _lately(local, first.toordinal()) else None


def _lately(local: datetime, day: int) -> bool:
    """Whether that day's morning has come, less than three days ago: a machine that was off writes a little later."""
    morning = datetime.combine(local.date().fromordinal(day), QUIET[1], local.tzinfo)
    return morning <= local < morning + timedelta(days=3)


def _open(each: Told, told: Sequence[Told], now: datetime) -> bool:
    alert = each.alert
    if not _awake(alert, now) or _gone(alert.opened, now) < _grace(alert):
        return False
    heard = _heard(each, told)
    if heard is None:
        return True
    if alert.worse is not None and heard < alert.worse:
        return _gone(alert.worse, now) >= _grace(alert)
    if alert.asleep is not None and heard < alert.asleep:
        return True
    return _gone(heard, now) >= (NEVER if alert.key.startswith(ONCE) else REPEAT[alert.severity])


def _grace(alert: Alert) -> timedelta:
    return SOON if alert.key.startswith(ONCE) else GRACE[alert.severity]


def _awake(alert: Alert, now: datetime) -> bool:
    """Whether it is open, and nobody said that they know, or want to hear nothing of it for now."""
    asleep = alert.asleep is not None and now < alert.asleep <= now + LONGEST_SLEEP
    return alert.closed is None and alert.known is None and not asleep


def _heard(each: Told, told: Sequence[Told]) -> datetime | None:
    """When people last heard of it, or of one that went and came back before they were told that it was over."""
    same = [other for other in told if other.alert.key == each.alert.key and other.over is None]
    moments = [moment for other in same for moment in (other.told, other.alert.known) if moment is not None]
    return max(moments, default=None)


def _over(each: Told, told: Sequence[Told], now: datetime) -> bool:
    alert = each.alert
    if (
        alert.key.startswith(ONCE)
        or alert.closed is None
        or each.over is not None
        or (each.told is None and alert.known is None)
    ):
        return False
    same = [other.alert for other in told if other.alert.key == alert.key]
    if any(other.closed is None for other in same):
        return False
    calm = RESTLESS if sum(now - other.opened < RESTLESS * 2 for other in same) > 1 else CALM
    return _gone(max(other.closed for other in same if other.closed is not None), now) >= calm


def _gone(then: datetime, now: datetime) -> timedelta:
    """How long ago; for ever, if it was written down while the clock was ahead: nothing waits for that time."""
    return timedelta.max if then > now + _SKEW else now - then


def _quiet(now: datetime, zone: tzinfo) -> bool:
    at = now.astimezone(zone).time()
    return at >= QUIET[0] or at < QUIET[1]


def next_try(written: datetime, tries: int, now: datetime) -> datetime | None:
    """When a letter is tried again that could not be sent for the `tries`th time; None: it never is."""
    if now - written > _GIVEN_UP:
        return None
    if tries <= len(_PAUSES):
        return now + timedelta(minutes=_PAUSES[tries - 1])
    return now + (timedelta(hours=1) if now - written < timedelta(days=1) else timedelta(hours=4))

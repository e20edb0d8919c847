"""Which letters are owed, and when one that could not be sent is tried again."""

from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta, tzinfo

from gardien.model.letter import News, Told

# How long an alert is open before anybody is written to: what passes by itself is no letter.
GRACE = {"trouble": timedelta(minutes=10), "notice": timedelta(hours=20)}
# How long one that stays open is not written about again.
REPEAT = {"trouble": timedelta(days=3), "notice": timedelta(days=7)}
CALM = timedelta(minutes=30)  # how long an alert is over before that is written
RESTLESS = timedelta(days=1)  # the same for one that came back, which gets no second letter meanwhile
QUIET = (time(21), time(8))  # by the machine's clock: what can wait is not written at night

_PAUSES = (1, 2, 5, 15, 30, 60)  # minutes between two tries, then every hour, and after a day every four
_GIVEN_UP = timedelta(days=14)


def news(told: Sequence[Told], now: datetime, zone: tzinfo) -> News:
    """What is to be written now; nothing yet: empty. One letter takes along all that is open and not yet told."""
    over = [each for each in told if _over(each, told, now)]
    open_ = [each for each in told if each.alert.closed is None and _open(each, told, now)]
    if not any(each.alert.severity == "trouble" for each in open_) and _quiet(now, zone):
        return News()
    if open_:
        along = [each for each in told if each.alert.closed is None and each.told is None and not _again(each, told)]
        open_ = [*open_, *(each for each in along if each not in open_)]
    return News(tuple(each.alert for each in open_), tuple(each.alert for each in over))


def weekly(now: datetime, zone: tzinfo) -> str | None:
    """The week whose letter on how things stand is due, as `2026-w10`; None late in the week: then the next one is."""
    local = now.astimezone(zone)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), QUIET[1], zone)
    if not monday <= local < monday + timedelta(days=3):
        return None
    year, week, _ = local.isocalendar()
    return f"{year}-w{week:02}"


def _open(each: Told, told: Iterable[Told], now: datetime) -> bool:
    severity = each.alert.severity
    if each.told is not None:
        return now - each.told >= REPEAT[severity]
    if _again(each, told):
        return False
    return now - each.alert.opened >= GRACE[severity]


def _again(each: Told, told: Iterable[Told]) -> bool:
    """Whether it is one that was written about, went, and came back before anybody was told that it was over."""
    return any(
        other.alert.key == each.alert.key and other.told is not None and other.over is None
        for other in told
        if other.alert.id != each.alert.id
    )


def _over(each: Told, told: Sequence[Told], now: datetime) -> bool:
    if each.told is None or each.over is not None or each.alert.closed is None:
        return False
    same = [other.alert for other in told if other.alert.key == each.alert.key]
    if any(alert.closed is None for alert in same):
        return False
    calm = RESTLESS if sum(now - alert.opened < RESTLESS * 2 for alert in same) > 1 else CALM
    return now - max(alert.closed for alert in same if alert.closed is not None) >= calm


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

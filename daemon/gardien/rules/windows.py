"""When what goes by itself goes: within a window, once it is ripe, and again after a failure that may pass."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.model.job import Job
from gardien.rules import agenda, schedule

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_DAYS = "sunday|monday|tuesday|wednesday|thursday|friday|saturday"
_WINDOW = re.compile(rf"(daily|{_DAYS}) ({_CLOCK})-({_CLOCK})")
DAY = timedelta(days=1)


def parts(window: str) -> tuple[str, timedelta]:
    """When it opens, in the words of `schedule`, and for how long: `sunday 23:00-02:00` is open for three hours.

    Raises ValueError for anything else.
    """
    found = _WINDOW.fullmatch(" ".join(window.lower().split()))
    if found is None:
        raise ValueError(f"not a window that gardien knows: {window!r}")
    day, begin, end = found.groups()
    length = (_minutes(end) - _minutes(begin)) % DAY
    return (f"daily at {begin}" if day == "daily" else f"weekly on {day} at {begin}"), length or DAY


def _minutes(clock: str) -> timedelta:
    hours, minutes = clock.split(":")
    return timedelta(hours=int(hours), minutes=int(minutes))


def is_open(window: str, now: datetime, zone: ZoneInfo) -> bool:
    """Whether it began less than its length ago."""
    opens, length = parts(window)
    return schedule.following(opens, now - length, zone) <= now


def within(window: str, moment: datetime, zone: ZoneInfo) -> datetime:
    """`moment`, if it lies within the window; else when the next one opens."""
    return moment if is_open(window, moment, zone) else schedule.following(parts(window)[0], moment, zone)


def due(window: str, ripe: datetime, jobs: Sequence[Job], now: datetime, zone: ZoneInfo, seed: str) -> datetime | None:  # noqa: PLR0917
    """When to take by itself a step that is `ripe`; `jobs`: the updates of this stack, newest first.

    None: one is under way. One that was owed while the machine was off waits for the next window. Where one failed for
    a reason that may pass, it is tried again in this window; for another, in the next.
    """
    if jobs and not jobs[0].over:
        return None
    opens, length = parts(window)
    begin = max(ripe, now - length)
    if jobs and jobs[0].created >= begin:
        last = jobs[0]
        soon = last.ended if last.state == "done" else agenda.again(jobs)
        return within(window, soon or schedule.following(opens, last.created, zone), zone)
    moment = within(window, begin, zone)
    spread = min(schedule.spread(opens, moment, zone, seed), length / 4)
    return within(window, moment + spread, zone) if moment > begin else moment

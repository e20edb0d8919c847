"""When is the next backup, and is the newest one too old?"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim


def cron(at: str) -> str:
    """`"02:30"` as a cron line."""
    hour, minute = at.split(":")
    return f"{int(minute)} {int(hour)} * * *"


def following(at: str, after: datetime, zone: ZoneInfo) -> datetime:
    """The next time `at` (local wall clock) comes after `after`; exactly once in the nights the clock changes."""
    found: datetime = next(CronSim(cron(at), after.astimezone(zone)))
    return found


def due(at: str, last: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a run was owed since `last`: after days off, one is, not many."""
    return last is None or following(at, last, zone) <= now


def late(newest_good: datetime | None, added: datetime | None, now: datetime, hours: int) -> bool:
    """Whether the newest good backup is older than the owner allows; a new stack gets the same time for its first."""
    since = newest_good or added
    return since is not None and now - since > timedelta(hours=hours)

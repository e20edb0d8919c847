"""When is the next backup, and is the newest one too old?"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_WORDS = (
    (re.compile(rf"(?:daily at )?{_CLOCK}"), lambda hour, minute: f"{int(minute)} {int(hour)} * * *"),
    (re.compile("hourly"), lambda: "0 * * * *"),
    (re.compile(r"every (2|3|4|6|8|12) hours"), lambda hours: f"0 */{hours} * * *"),
    (
        re.compile(rf"(?:weekly on )?({'|'.join(_DAYS)})s? at {_CLOCK}"),
        lambda day, hour, minute: f"{int(minute)} {int(hour)} * * {_DAYS.index(day)}",
    ),
    (
        re.compile(rf"monthly on day ([1-9]|1\d|2[0-8]) at {_CLOCK}"),
        lambda day, hour, minute: f"{int(minute)} {int(hour)} {day} * *",
    ),
)


def cron(at: str) -> str:
    """Words such as `daily at 02:30` as a cron line; a cron line as it is. Raises ValueError for anything else."""
    plain = " ".join(at.lower().split())
    for form, line in _WORDS:
        if found := form.fullmatch(plain):
            return line(*found.groups())
    try:
        CronSim(plain, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"not a time that gardien knows: {at!r}") from error
    return plain


def following(at: str, after: datetime, zone: ZoneInfo) -> datetime:
    """The next time `at` (words or cron, by the local clock) comes; once on the nights when the clock is moved."""
    found: datetime = next(CronSim(cron(at), after.astimezone(zone)))
    return found


def due(at: str, last: datetime | None, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a run was owed since `last`: after days off, one is, not many."""
    return last is None or following(at, last, zone) <= now


def late(newest_good: datetime | None, added: datetime | None, now: datetime, hours: int) -> bool:
    """Whether the newest good backup is older than the owner allows; a new stack gets the same time for its first."""
    since = newest_good or added
    return since is not None and now - since > timedelta(hours=hours)

"""When is the next backup, and is the newest one too old?"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

HOUR = timedelta(hours=1)
MOST_SPREAD = timedelta(minutes=15)

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


@lru_cache(256)
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


@lru_cache(1024)  # asked again and again, of all stacks
def following(at: str, after: datetime, zone: ZoneInfo) -> datetime:
    """The next time `at` (words or cron, by the local clock) comes; once on the nights when the clock is moved.

    In UTC: what is added to a local time, or the way between two of them, is an hour off on such a night.
    """
    # Begun within the hour that comes twice, it would find times of the first one in the second.
    moments: Iterator[datetime] = CronSim(cron(at), (after.astimezone(UTC) - 2 * HOUR).astimezone(zone))
    return next(each for moment in moments if (each := moment.astimezone(UTC)) > after)


def late(newest_good: datetime | None, since: datetime | None, now: datetime, allowed: timedelta) -> bool:
    """Whether the newest good backup is older than `allowed`; what began at `since` gets as long for its first."""
    begin = newest_good or since
    return begin is not None and now - begin > allowed


def interval(at: str, after: datetime, zone: ZoneInfo) -> timedelta:
    """How long it is between the next two times."""
    first = following(at, after, zone)
    return following(at, first, zone) - first


def spread(at: str, moment: datetime, zone: ZoneInfo, seed: str) -> timedelta:
    """By how much a run that is due at `moment` waits, so that not all houses call at a host in the same second.

    The same each time it is asked; at most 15 minutes, and a tenth of the time between two runs.
    """
    share = int.from_bytes(hashlib.sha256(f"{seed} {moment.timestamp()}".encode()).digest()[:4]) / 2**32
    return min(MOST_SPREAD, interval(at, moment, zone) / 10) * share


def missed(at: str, since: datetime, taken: Sequence[datetime], now: datetime, zone: ZoneInfo) -> list[datetime]:
    """The times between `since` and `now` that brought no good backup (`taken`) before the next one, newest first.

    The last one counts as missed once half of the time to the next one, or two hours, are over.
    """
    found = []
    moment = following(at, since, zone)
    while moment <= now:
        after = following(at, moment, zone)
        waited = moment + min(2 * HOUR, (after - moment) / 2)
        if now > waited and not any(moment <= each < after for each in taken):
            found.append(moment)
        moment = after
    return found[::-1]

"""What time it is. A Raspberry Pi has no clock of its own: after a power cut it may begin in 1970."""

import time
from datetime import UTC, datetime, timedelta

NOTE = "clock"  # under which the store notes when gardien last looked at a clock that it believed
SKEW = timedelta(hours=1)


class HouseClock:
    """The machine's time, but never before what was known when it was last right; then it goes on from there.

    A fault (row 24): without this, the newest backup would be the oldest.
    """

    def __init__(self, floor: datetime | None) -> None:
        self._floor = floor
        self._began = time.monotonic()

    def __call__(self) -> datetime:
        """Now, in UTC."""
        real = datetime.now(UTC)
        return real if self._floor is None or real > self._floor - SKEW else self._from_floor()

    def believe(self) -> None:
        """The machine's own clock is right now."""
        self._floor, self._began = datetime.now(UTC), time.monotonic()

    @property
    def wrong(self) -> bool:
        """Whether the machine's own clock says a time that cannot be."""
        return self._floor is not None and datetime.now(UTC) <= self._floor - SKEW

    def _from_floor(self) -> datetime:
        assert self._floor is not None
        return self._floor + timedelta(seconds=time.monotonic() - self._began)


def ahead(moment: datetime, now: datetime) -> bool:
    """Whether it was written down while the clock was ahead: nothing waits until that time comes again."""
    return moment > now + SKEW


def believed(now: datetime) -> datetime:
    """Up to when what was written down is asked for; by the minute, so that the same is asked within one."""
    return by_the_minute(now + SKEW)


def by_the_minute(moment: datetime) -> datetime:
    """The minute that it is in."""
    return moment.replace(second=0, microsecond=0)


def correction(now: datetime) -> datetime | None:
    """The time to write on what other programs date by the machine's clock, where that one is wrong."""
    return now if abs(now - datetime.now(UTC)) > SKEW else None

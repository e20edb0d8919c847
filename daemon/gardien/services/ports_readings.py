"""What the use cases need to measure the machine and to keep how applications were: parts of `ports.Store`; sensors."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from gardien.model.health import StackHealth, Stretch
from gardien.model.reading import Front, Point, Reading


class Record(Protocol):
    """Readings of the last 400 days, the older the coarser."""

    async def add_readings(self, readings: Sequence[Reading]) -> None:
        """Those that have a value; in one transaction."""
        ...

    async def points(self, what: str, subject: str, since: datetime) -> list[Point]:
        """Oldest first."""
        ...

    async def days(self, what: str, subject: str, since: datetime) -> list[Point]:
        """One for each day in UTC of which something is known, oldest first."""
        ...

    async def thin_readings(self, now: datetime) -> None:
        """What is two days old becomes one for each hour, after a month one for each day; after 400 days it goes."""
        ...


class Sightings(Protocol):
    """How each application is, and how its probes answered in the last month."""

    async def set_health(self, healths: Sequence[StackHealth], stretches: Iterable[Stretch] = ()) -> None:
        """Write these down, in one transaction; what is known of other stacks stays."""
        ...

    async def healths(self) -> dict[str, StackHealth]:
        """By the stack's name."""
        ...

    async def stretches(self, stack: str, since: datetime) -> list[Stretch]:
        """Those that lasted until then or longer, by probe, oldest first."""
        ...

    async def thin_stretches(self, now: datetime) -> None:
        """Forget what is too old, and the oldest where there are too many."""
        ...


class Sensors(Protocol):
    """What can be measured. Nothing here raises or hangs: what cannot be read is missing, or says why."""

    async def machine(self, now: datetime) -> list[Reading]:
        """Memory, load, temperatures, supply voltage."""
        ...

    async def smart(self, now: datetime) -> list[Reading]:
        """What the disks say of themselves, as it was last asked; the subject is the device."""
        ...

    async def certificates(self, front: Front, now: datetime) -> list[Reading]:
        """What is shown at the door under each name, as a visitor would see it."""
        ...

    async def answers(self, host: str, port: int) -> bool:
        """Whether a mail server greets there, or a connection is at least taken."""
        ...

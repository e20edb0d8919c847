"""What was measured on the machine, and what of it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gardien.words import Words

Unit = Literal["bytes", "files", "share", "degrees", "days", "number", "yes"]
# What can be read, and in which unit; `yes` is 1 or 0. A share is 0 to 1, a temperature in degrees Celsius.
UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        "disk-free": "bytes",
        "disk-size": "bytes",
        "disk-files": "files",  # how many more it can hold
        "disk-well": "yes",  # there, can be written to, answers without errors
        "smart-passed": "yes",
        "smart-wear": "share",  # of the life of an SSD
        "smart-bad-sectors": "number",  # replaced, or waiting to be
        "memory-free": "share",
        "swap-used": "share",
        "load": "number",  # for each core
        "temperature": "degrees",
        "under-voltage": "yes",
        "throttled": "yes",
        "clock-set": "yes",
        "docker-answers": "yes",
        "certificate": "days",  # that it is still good for
        "certificate-life": "share",  # of its life that is left
        "name-leads-here": "yes",
        "mail-answers": "yes",
    }
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement. `says`: what a number cannot, such as why there is none."""

    what: str  # a key of UNITS
    subject: str  # which disk, sensor or name; "" for the machine as a whole
    value: float | None  # None: it cannot be read
    at: datetime
    says: Words | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells one series from another."""
        return self.what, self.subject


@dataclass(frozen=True, slots=True)
class Point:
    """What came in one stretch of time: of five minutes, an hour or a day, as old as it is."""

    at: datetime  # its beginning
    least: float
    mean: float
    most: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """A disk that fills steadily."""

    days: float  # until it is full, from the newest reading on
    per_day: float  # bytes

    @property
    def weeks(self) -> int:
        """Whole ones, at least one."""
        return max(1, round(self.days / 7))


@dataclass(frozen=True, slots=True)
class Front:
    """Where people come in under public names, and whose certificates are trusted there."""

    names: tuple[str, ...]
    port: int
    root: Path | None  # the house's own authority; None: the public ones

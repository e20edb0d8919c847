"""What befell a stack, and what gardien did about it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from gardien.words import Words

MOST = 3  # restarts, until it was well for a while
Befell = Literal["fell", "died", "no-memory"]  # stopped being well; a container ended by itself; the kernel ended it


@dataclass(frozen=True, slots=True)
class Mishap:
    """`service` is "" where it is the whole stack's; `limit`: how much memory it may take, in bytes, 0: as it likes."""

    what: Befell
    service: str
    at: datetime
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """What the engine tells of a container at the moment it happens."""

    project: str
    service: str
    what: Literal["started", "died", "no-memory"]
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Rescue:
    """A stack that is down, or was lately. All of it survives us: a new daemon begins no new count."""

    ill_since: datetime | None = None  # until it is well: what starts again and again was never well between
    well_since: datetime | None = None
    why: Words | None = None  # what was said of it last while it was ill
    tries: tuple[datetime, ...] = ()  # restarts since it was last well for a while
    former: tuple[datetime, ...] = ()  # those before, which still count against the most in a day's quarter
    at_work: bool = False  # it says that it is upgrading itself
    lines: tuple[str, ...] = ()  # what it printed last before a restart
    mishaps: tuple[Mishap, ...] = ()  # oldest first

    def as_json(self) -> dict[str, Any]:
        """For the store; `from_json` is the way back."""
        return {
            "ill_since": _text(self.ill_since),
            "well_since": _text(self.well_since),
            "why": self.why.as_json() if self.why else None,
            "tries": [each.isoformat() for each in self.tries],
            "former": [each.isoformat() for each in self.former],
            "at_work": self.at_work,
            "lines": list(self.lines),
            "mishaps": [{**asdict(each), "at": each.at.isoformat()} for each in self.mishaps],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Rescue":
        """What `as_json` wrote."""
        return cls(
            ill_since=_time(data["ill_since"]),
            well_since=_time(data["well_since"]),
            why=Words.from_json(data["why"]) if data["why"] else None,
            tries=tuple(map(datetime.fromisoformat, data["tries"])),
            former=tuple(map(datetime.fromisoformat, data["former"])),
            at_work=data["at_work"],
            lines=tuple(data["lines"]),
            mishaps=tuple(Mishap(**{**each, "at": datetime.fromisoformat(each["at"])}) for each in data["mishaps"]),
        )

    @property
    def left_alone(self) -> bool:
        """Whether it is ill, and all was tried."""
        return self.ill_since is not None and len(self.tries) >= MOST

    def tried(self, now: datetime) -> "Rescue":
        """Once more."""
        return replace(self, tries=(*self.tries, now), at_work=False)

    def of(self, what: Befell) -> tuple[Mishap, ...]:
        """The mishaps of one kind."""
        return tuple(each for each in self.mishaps if each.what == what)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None

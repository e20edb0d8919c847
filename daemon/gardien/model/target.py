"""A target as the house sees it: what is known of it, how it was looked after, what is due there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from gardien.model.operator import Operator
from gardien.words import Words

PARTS = 4  # a weekly check reads one of so many parts of all data: each byte is read within four weeks


@dataclass(frozen=True, slots=True)
class Care:
    """What was done for a repository, and when. Times are UTC; None: never."""

    ready: datetime | None = None  # since when there is a repository
    checked: datetime | None = None
    problems: tuple[str, ...] = ()  # what the last check found, in restic's words
    parts: Mapping[int, datetime] = field(default_factory=dict)  # when each part of the data was read whole
    forgot: datetime | None = None  # the last time that retention was free to do its work
    ruled: datetime | None = None  # the last time that it was asked
    frozen: Words | None = None  # why it did nothing then
    pruned: datetime | None = None
    lost: int = 0  # backups that we knew of and the repository does not list

    @property
    def next_part(self) -> int:
        """The part, from 1, that was read longest ago."""
        return min(range(1, PARTS + 1), key=lambda part: (part in self.parts, self.parts.get(part)))

    @property
    def oldest_read(self) -> datetime | None:
        """Since then every byte was read once; None: not all of them were, ever."""
        return min(self.parts.values()) if len(self.parts) == PARTS else None

    def as_json(self) -> dict[str, Any]:
        return {
            "ready": _text(self.ready),
            "checked": _text(self.checked),
            "problems": list(self.problems),
            "parts": {str(part): _text(when) for part, when in self.parts.items()},
            "forgot": _text(self.forgot),
            "ruled": _text(self.ruled),
            "frozen": self.frozen.as_json() if self.frozen else None,
            "pruned": _text(self.pruned),
            "lost": self.lost,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            ready=_moment(data["ready"]),
            checked=_moment(data["checked"]),
            problems=tuple(data["problems"]),
            parts={int(part): datetime.fromisoformat(when) for part, when in data["parts"].items()},
            forgot=_moment(data["forgot"]),
            ruled=_moment(data["ruled"]),
            frozen=Words.from_json(data["frozen"]) if data["frozen"] else None,
            pruned=_moment(data["pruned"]),
            lost=int(data["lost"]),
        )

    def read(self, part: tuple[int, int], now: datetime) -> "Care":
        """After a check that read the n-th of t parts."""
        number, of = part
        fresh = dict.fromkeys(range(1, PARTS + 1), now) if of == 1 else {number: now}
        return replace(self, parts={**self.parts, **fresh})


@dataclass(frozen=True, slots=True)
class TargetView:
    """One target of this house."""

    name: str
    kind: str
    address: str  # without a login in it
    operator: Operator
    copy_of: str | None
    append_only: bool
    can_delete: bool | None  # whether a thief of our key could delete what is there; None: not found out yet
    ready: bool  # it holds our repository
    care: Care
    next_run: datetime | None  # when the next backup, or copy, goes there
    newest_good: Mapping[str, datetime]  # stack -> when it was saved


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

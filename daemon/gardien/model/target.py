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
    problems: tuple[str, ...] = ()  # what a check found and no later one proved to be mended, in restic's words
    suspect: tuple[int, ...] = ()  # the parts where that may be
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

    def until(self, now: datetime) -> "Care":
        """Without what was done after `now`: the clock was wrong then, as `ruled` goes on to tell."""

        def done(moment: datetime | None) -> datetime | None:
            return None if moment is None or moment > now else moment

        return replace(
            self,
            ready=done(self.ready),
            checked=done(self.checked),
            parts={part: when for part, when in self.parts.items() if when <= now},
            forgot=done(self.forgot),
            pruned=done(self.pruned),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "ready": _text(self.ready),
            "checked": _text(self.checked),
            "problems": list(self.problems),
            "suspect": list(self.suspect),
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
            suspect=tuple(data.get("suspect", ())),
            parts={int(part): datetime.fromisoformat(when) for part, when in data["parts"].items()},
            forgot=_moment(data["forgot"]),
            ruled=_moment(data["ruled"]),
            frozen=Words.from_json(data["frozen"]) if data["frozen"] else None,
            pruned=_moment(data["pruned"]),
            lost=int(data["lost"]),
        )

    def read(self, part: tuple[int, int], now: datetime) -> "Care":
        """After a check that read the n-th of t parts and found nothing wrong: damage seen elsewhere is still there."""
        suspect = tuple(each for each in self.suspect if each not in _parts(part))
        parts = {**self.parts, **dict.fromkeys(_parts(part), now)}
        return replace(self, checked=now, parts=parts, suspect=suspect, problems=self.problems if suspect else ())

    def found(self, part: tuple[int, int], problems: tuple[str, ...], now: datetime) -> "Care":
        """After a check that found these problems: what it read is not known to be whole any more, and is due first."""
        parts = {each: when for each, when in self.parts.items() if each not in _parts(part)}
        suspect = tuple(sorted({*self.suspect, *_parts(part)}))
        return replace(self, checked=now, parts=parts, suspect=suspect, problems=problems)


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


def _parts(part: tuple[int, int]) -> range:
    """Which of our parts the n-th of t is: t is PARTS, or 1 for all of them."""
    number, of = part
    return range(1, PARTS + 1) if of == 1 else range(number, number + 1)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

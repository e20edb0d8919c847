"""gardien's own programs, and a move from one version of them to another."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from gardien.words import Words

# holding: no new job begins. stopping: the daemon ends, its state is copied. switching: the other version starts, and
# has to be well. returning: it was not, the former one comes back. The last two are ends.
Phase = Literal["holding", "stopping", "switching", "returning", "done", "taken-back"]
Keeping = Literal["unit", "process"]  # who keeps the daemon: systemd, or nobody: a process with its number in a file
OVER: frozenset[Phase] = frozenset({"done", "taken-back"})


def note_of(state: Path) -> Path:
    """The file in which the last move is written down."""
    return state / "self-update" / "move.json"


@dataclass(frozen=True, slots=True)
class Slot:
    """One installed version: its folder's name, beside the link that leads to the one in use."""

    folder: str
    version: str


@dataclass(frozen=True, slots=True)
class Move:
    """From one version to another, as it is written down before each of its phases begins."""

    phase: Phase
    former: Slot
    next: Slot
    keeping: Keeping
    began: datetime
    copy: str | None = None  # where the state of `former` was put aside; there once nothing ran any more
    bring: str | None = None  # the state that `next` is to find: on the way back to an older version, the one it left
    why: Words | None = None  # it was taken back
    detail: str = ""

    @property
    def over(self) -> bool:
        return self.phase in OVER

    def to(self, phase: Phase, **facts: Any) -> "Move":
        """The same move, further on."""
        return replace(self, phase=phase, **facts)

    def as_json(self) -> dict[str, object]:
        return {
            "phase": self.phase,
            "former": {"folder": self.former.folder, "version": self.former.version},
            "next": {"folder": self.next.folder, "version": self.next.version},
            "keeping": self.keeping,
            "began": self.began.isoformat(),
            "copy": self.copy,
            "bring": self.bring,
            "why": self.why.as_json() if self.why is not None else None,
            "detail": self.detail,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Move":
        return cls(
            phase=data["phase"],
            former=Slot(**data["former"]),
            next=Slot(**data["next"]),
            keeping=data["keeping"],
            began=datetime.fromisoformat(data["began"]),
            copy=data["copy"],
            bring=data["bring"],
            why=Words.from_json(data["why"]) if data["why"] is not None else None,
            detail=data["detail"],
        )


@dataclass(frozen=True, slots=True)
class OwnNews:
    """Whether there is a newer gardien. `wheel`: what it is installed from; `changes`: its own account, Markdown."""

    present: str
    newest: str | None
    newer: bool
    wheel: str | None = None
    changes: str = ""

"""A plan is the product: a tuple of named steps, each with its undo. It is printed, journalled, drawn and resumed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gardien.words import Words

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]
Kind = Literal[
    "add",
    "start",
    "stop",
    "restart",
    "set",
    "mend",
    "remove",
    "backup",
    "restore",
    "copy",
    "check",
    "forget",
    "prune",
    "proof",
    "rekey",
    "drill",
    "put-back",
    "revive",
    "update",
]

# Who goes first when two jobs want the same stack or repository.
PRIORITY: Mapping[str, int] = {
    "restore": 0,
    "put-back": 0,
    "add": 1,
    "start": 1,
    "stop": 1,
    "restart": 1,
    "set": 1,
    "mend": 1,
    "remove": 1,
    "revive": 2,
    "update": 2,
    "backup": 3,
    "copy": 4,
    "forget": 5,
    "prune": 6,
    "proof": 2,
    "rekey": 2,
    "check": 7,
    "drill": 8,
}

# What goes on later from where it was: nobody, and no backup, waits for its end.
GIVES_WAY: frozenset[Kind] = frozenset({"copy", "check", "prune", "drill", "revive"})

# What our own shutdown leaves where it is, once it is past `onward`: the next start goes on with it.
STAYS: frozenset[Kind] = frozenset({"update"})


@dataclass(frozen=True, slots=True)
class Step:
    """One named step. `undo` says what taking it back means; None: there is nothing to take back."""

    name: str
    says: Words
    undo: Words | None = None
    details: tuple[str, ...] = ()  # exact things that will be done, for `--dry-run` and the log

    def as_json(self) -> dict[str, Json]:
        return {
            "name": self.name,
            "says": self.says.as_json(),  # type: ignore[dict-item]
            "undo": self.undo.as_json() if self.undo else None,  # type: ignore[dict-item]
            "details": list(self.details),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Step":
        undo = data["undo"]
        details = data["details"]
        assert isinstance(details, list)
        return cls(
            name=str(data["name"]),
            says=Words.from_json(data["says"]),  # type: ignore[arg-type]
            undo=Words.from_json(undo) if undo is not None else None,  # type: ignore[arg-type]
            details=tuple(str(line) for line in details),
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order. A job that died at or past the step `onward` goes on at the next start; before, it is undone."""

    kind: Kind
    subject: str  # the stack; of copy, check, forget and prune the target
    steps: tuple[Step, ...]
    leases: tuple[str, ...]  # "stack:nextcloud", "repository:offsite": one job each at a time
    onward: str | None = None
    facts: Mapping[str, Json] = field(default_factory=dict)

    def goes_forward(self, step: str) -> bool:
        """Whether a job that died within `step` is finished rather than undone."""
        names = [each.name for each in self.steps]
        return self.onward is not None and names.index(step) >= names.index(self.onward)

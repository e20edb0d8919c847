"""A mistake in something a person wrote, and where it stands."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gardien.errors import BadInput
from gardien.words import N_, Words

Key = str | int


def nearest(name: str, known: Iterable[str]) -> Words:
    """A remedy for a name that nobody knows: the nearest known one, or all of them."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, 1)
    if near:
        return Words.of(N_("Did you mean “{near}”?"), near=near[0])
    if not known:
        return Words.of(N_("Take it out."))
    return Words.of(N_("Known here: {known}."), known=", ".join(known))


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake. `at` leads to it through the document; `line` counts from 1, 0 where there is no file."""

    at: tuple[Key, ...]
    says: Words
    remedy: Words
    file: Path | None = None
    line: int = 0

    @property
    def path(self) -> str:
        """`targets.box.port`, `services.app.volumes[0]`."""
        return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.at).lstrip(".")

    @property
    def place(self) -> str:
        """`/etc/gardien/gardien.yaml:12: page.port`, as much of it as is known."""
        where = f"{self.file}:{self.line}" if self.line else str(self.file or "")
        return ": ".join(part for part in (where, self.path) if part)

    def as_json(self) -> dict[str, object]:
        return {
            "file": str(self.file) if self.file else None,
            "line": self.line,
            "path": self.path,
            "says": self.says.as_json(),
            "remedy": self.remedy.as_json(),
        }

    def __str__(self) -> str:
        return f"{self.place}: {self.says}. {self.remedy}"


class Faults(BadInput):
    """All mistakes at once, in the order in which they stand in the file."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults, key=lambda fault: (str(fault.file or ""), fault.line)))
        first = self.faults[0]
        files = ", ".join(sorted({str(fault.file) for fault in self.faults if fault.file}))
        if files:
            says = Words.of(N_("cannot use {file}: there are mistakes in it"), file=files)
            remedy = Words.of(N_("Correct the lines that are listed, then try again."))
        elif len(self.faults) > 1:
            says = Words.of(
                N_("cannot use these values: {names}"), names=", ".join(fault.path for fault in self.faults)
            )
            remedy = Words.of(N_("Correct each of them, then try again."))
        else:
            says, remedy = first.says, first.remedy
        listed = "\n".join(map(str, self.faults)) if files or len(self.faults) > 1 else ""
        super().__init__("{it}", it=str(says), detail=listed)
        self.says, self.remedy = says, remedy

    def as_json(self) -> dict[str, object]:
        return {**super().as_json(), "faults": [fault.as_json() for fault in self.faults]}

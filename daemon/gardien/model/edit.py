"""A change of `gardien.yaml`, or of a file that a target has of its own, before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gardien.model.plan import Json
from gardien.model.settings import Settings

Changes = Mapping[tuple[str, ...], Json]  # ("mail", "host"): its new value; None takes the key out


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One file as it is and as it would be."""

    file: Path
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Edit:
    """The files that change, and what all of them would say then."""

    rewrites: tuple[Rewrite, ...]
    settings: Settings

    @property
    def empty(self) -> bool:
        """Whether everything stays as it is."""
        return all(each.before == each.after for each in self.rewrites)

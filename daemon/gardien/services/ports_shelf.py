"""What the use cases ask of the shelf: the files that the owner and the stacks' authors wrote."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gardien.model.edit import Changes, Edit
from gardien.model.plan import Json
from gardien.model.settings import Target
from gardien.model.stack import Chosen, Recipe


class Shelf(Protocol):
    """Reads what the owner and the stacks' authors wrote. Raises BadInput with file, line, remedy of each fault."""

    async def recipes(self) -> list[str]:
        """Names of the stacks that can be added, shipped ones and the owner's own."""
        ...

    async def recipe(self, name: str, folder: Path | None = None) -> Recipe:
        """The stack as it is shipped, or as it lies in `folder` (what runs, or what came back from a backup)."""
        ...

    async def chosen(self, name: str) -> Chosen | None:
        """None: this stack was never added."""
        ...

    async def chosen_in(self, file: Path) -> Chosen:
        """The owner's choices as they came back from a backup."""
        ...

    async def all_chosen(self) -> dict[str, Chosen]: ...
    async def mark(self, deployed: Sequence[Path]) -> object:
        """Equal to a former one only if no file of a stack has changed since, here or in these folders."""
        ...

    async def choose(self, name: str, chosen: Chosen | None) -> None:
        """Write the owner's choice; None takes the stack off the list."""
        ...

    async def secrets(self, name: str) -> dict[str, str]: ...
    async def set_secrets(self, name: str, secrets: Mapping[str, str] | None) -> None: ...
    async def as_target(self, fields: Mapping[str, object]) -> Target:
        """The target that somebody described. Nothing is written."""
        ...

    async def set_target(self, name: str, target: Target | None) -> None:
        """Write a target's own file; None takes it off the list."""
        ...

    async def merge_settings(self, fields: Mapping[str, Json]) -> None:
        """Write these top-level keys into the settings file; the rest of it stays as it is. Raises BadInput, `Faults`
        for what cannot be, and then nothing is written.
        """
        ...

    async def edited(self, changes: Changes) -> Edit:
        """The files of the settings with these keys changed. Nothing is written. Raises `Faults` for what cannot be."""
        ...

    async def write(self, edit: Edit) -> None:
        """Make the change; what its files were is kept beside them. Raises `Faults`."""
        ...

    async def former(self) -> Edit | None:
        """Back to what was before the last `write`; None: there is no way back."""
        ...

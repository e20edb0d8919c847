"""A stack as gardien holds it: its Compose file's facts, its manifest, what the owner chose."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gardien.model.manifest import Manifest, Variable
from gardien.model.settings import Closed

Wanted = Literal["running", "stopped"]


class Chosen(Closed):
    """`<owner>/stacks/<name>.yaml`: what the owner chose for one stack."""

    wanted: Wanted = "running"
    settings: dict[Variable, str] = {}
    images: dict[Variable, str] = {}


@dataclass(frozen=True, slots=True)
class Recipe:
    """A stack's folder as it is shipped: `compose.yaml` and its neighbours, read and found sound."""

    name: str
    folder: Path
    services: Mapping[str, str]  # service -> image as written, `${NEXTCLOUD_IMAGE:-nextcloud:34.0.3-apache}`
    image_defaults: Mapping[str, str]  # variable -> default image
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class Stack:
    """A recipe together with what the owner chose: a stack of this house."""

    recipe: Recipe
    chosen: Chosen
    project: str
    home: Path  # the one folder that holds all of it: data, and `.gardien` with what brings it back

    @property
    def name(self) -> str:
        return self.recipe.name

    @property
    def manifest(self) -> Manifest:
        return self.recipe.manifest

    @property
    def inner(self) -> Path:
        """Root's own folder inside the stack's: never seen by a container, always in the snapshot."""
        return self.home / ".gardien"

    @property
    def compose(self) -> Path:
        """The Compose project as it runs: `cd` here and plain `docker compose` works."""
        return self.inner / "compose"

    @property
    def dumps(self) -> Path:
        return self.inner / "dumps"

    @property
    def settings(self) -> dict[str, str]:
        """Every setting with the owner's value, or its default."""
        return {
            name: self.chosen.settings.get(name, setting.default) for name, setting in self.manifest.settings.items()
        }

    @property
    def images(self) -> dict[str, str]:
        """Every image variable with the owner's image, or the shipped one."""
        return {name: self.chosen.images.get(name, image) for name, image in self.recipe.image_defaults.items()}

    def fill(self, text: str) -> str:
        """Put the settings into a probe's or an address's `{NAME}` holes."""
        for name, value in self.settings.items():
            text = text.replace("{" + name + "}", value)
        return text

    @property
    def address(self) -> str | None:
        return self.fill(self.manifest.address) if self.manifest.address else None

"""A stack as gardien holds it: its Compose file's facts, its manifest, what the owner chose."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gardien.model.manifest import Manifest, Variable
from gardien.model.release import Updating
from gardien.model.settings import Closed

Wanted = Literal["running", "stopped"]


class Chosen(Closed):
    """`<owner>/stacks/<name>.yaml`: what the owner chose for one stack."""

    wanted: Wanted = "running"
    settings: dict[Variable, str] = {}
    images: dict[Variable, str] = {}
    updates: Updating | None = None  # None: as `updates.by_itself` of the house says


@dataclass(frozen=True, slots=True)
class Recipe:
    """A stack's folder as it is shipped: `compose.yaml` and its neighbours, read and found sound."""

    name: str
    folder: Path
    services: Mapping[str, str]  # service -> image as written, `${NEXTCLOUD_IMAGE:-nextcloud:34.0.3-apache}`
    image_defaults: Mapping[str, str]  # variable -> default image
    manifest: Manifest
    kept: bool = True  # False: a Compose project without `x-gardien`, run where it lies and never backed up
    mounts: tuple[str, ...] = ()  # what its services mount of the data folder, as paths in it


@dataclass(frozen=True, slots=True)
class Stack:
    """A recipe together with what the owner chose: a stack of this house."""

    recipe: Recipe
    chosen: Chosen
    project: str
    home: Path  # the one folder that holds all of it: data, and `.gardien` with what brings it back
    given: Mapping[str, str] = field(default_factory=dict)  # what nobody chose: the door's facts, derived values
    doorless: bool = False  # the house has no door, so no route leads here

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
        return self.inner / "compose" if self.recipe.kept else self.recipe.folder

    @property
    def dumps(self) -> Path:
        return self.inner / "dumps"

    @property
    def settings(self) -> dict[str, str]:
        """Every setting with the owner's value, or its default."""
        return {
            name: self.chosen.settings.get(name, _filled(setting.default, self.given))
            for name, setting in self.manifest.settings.items()
        }

    @property
    def images(self) -> dict[str, str]:
        """Every image variable with the owner's image, or the shipped one."""
        return {name: self.chosen.images.get(name, image) for name, image in self.recipe.image_defaults.items()}

    @property
    def service_images(self) -> dict[str, str]:
        """Service -> image of a kept stack, whose images are each written as `${NAME_IMAGE:-default}`."""
        images = self.images
        return {service: images[text[2:].split(":-")[0]] for service, text in self.recipe.services.items()}

    def fill(self, text: str) -> str:
        """Put the settings and the given values into a probe's or an address's `{NAME}` holes."""
        return _filled(text, {**self.given, **self.settings})

    @property
    def address(self) -> str | None:
        """Where people open it; None while no route leads there."""
        if self.manifest.address is None or (self.manifest.routes and self.doorless):
            return None
        return self.fill(self.manifest.address)

    @property
    def door_network(self) -> str:
        """The network on which the house's door reaches this stack's routes, and nobody else does."""
        return f"{self.project}_door"


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text

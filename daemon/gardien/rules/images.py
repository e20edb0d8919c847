"""What the name of an image says, and where the image really comes from."""

from collections.abc import Mapping
from dataclasses import dataclass

_HUB = "docker.io"


@dataclass(frozen=True, slots=True)
class Parts:
    """An image's name, taken apart. `tag` and `digest` may be ""."""

    written: str  # as it was written, without tag and digest
    registry: str  # "docker.io", "ghcr.io", "127.0.0.1:5000"
    name: str  # there: "library/nextcloud"
    tag: str
    digest: str  # "sha256:…"

    @property
    def repository(self) -> str:
        """Registry and name, by which two ways to write it are one."""
        return f"{self.registry}/{self.name}"

    def __str__(self) -> str:
        return self.written + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def pinned(self, tag: str, digest: str) -> str:
        """The same image at this tag, and nothing but this content."""
        return f"{self.written}:{tag}@{digest}"


def taken_apart(image: str) -> Parts:
    """`nextcloud:34.0.3@sha256:…` in its parts."""
    rest, _, digest = image.partition("@")
    cut = rest.find(":", rest.rfind("/") + 1)
    written, tag = (rest, "") if cut < 0 else (rest[:cut], rest[cut + 1 :])
    return Parts(written, *_parts(written), tag, digest)


def mirrored(image: str, mirrors: Mapping[str, str]) -> str:
    """The same image at the mirror of its registry; unchanged if that has none. A tag or digest stays with it.

    `mirrors`: registry -> where its images lie instead, `docker.io` -> `registry.example:5000/hub`.
    """
    registry, name = _parts(image)
    return f"{mirrors[registry]}/{name}" if registry in mirrors else image


def is_registry(name: str) -> bool:
    """Whether Docker takes what stands before an image's first slash for a registry."""
    return "." in name or ":" in name or name == "localhost"


def _parts(image: str) -> tuple[str, str]:
    """Registry and name, in full."""
    registry, slash, name = image.partition("/")
    if not slash or not is_registry(registry):
        registry, name = _HUB, image
    if registry == f"index.{_HUB}":
        registry = _HUB
    if registry == _HUB and "/" not in name:
        name = f"library/{name}"
    return registry, name

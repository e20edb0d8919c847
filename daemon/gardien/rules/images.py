"""Where an image really comes from."""

from collections.abc import Mapping

_HUB = "docker.io"


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

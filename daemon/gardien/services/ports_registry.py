"""What the use cases ask of image registries, and of the store about what was found there. See `ports`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gardien.model.release import Sighting, Tags, Verdict


class Registries(Protocol):
    """Image registries, asked without a name or a password. Nothing is fetched from them but names and digests.

    Raises NotFound, RegistryBusy (nothing more is asked there for a while), RegistryFailed.
    """

    async def tags(self, registry: str, name: str, known: Tags | None = None) -> Tags:
        """All tags of a repository; `known` itself if the registry says that they are the same."""
        ...

    async def digest(self, registry: str, name: str, tag: str) -> str:
        """Of what stands behind a tag: the list of all platforms' images, where there is one. "sha256:…"."""
        ...

    async def size(self, registry: str, name: str, digest: str) -> int:
        """Bytes that this machine's image of it takes to be fetched whole. Raises NotFound if there is none for it.

        Registries count it as a fetched image: not to be asked as a habit.
        """
        ...


class Findings(Protocol):
    """What was found at registries; a part of `ports.Store`."""

    async def keep_tags(self, repository: str, tags: Tags) -> None:
        """The tags that a repository has by now."""
        ...

    async def tags(self, repository: str) -> Tags | None:
        """None: it was never asked about."""
        ...

    async def saw(self, repository: str, tag: str, digest: str, now: datetime) -> None:
        """The tag stands for this content now."""
        ...

    async def sightings(self, repository: str) -> list[Sighting]:
        """All contents that its tags ever stood for, in the order in which they were last seen."""
        ...

    async def judge(self, verdict: Verdict) -> None:
        """What was said of an image; said again of the same one in the same stack, it replaces what was said."""
        ...

    async def acquit(self, stack: str, digest: str) -> bool:
        """Nothing is said of it any more; whether anything was."""
        ...

    async def verdicts(self, stack: str) -> Sequence[Verdict]:
        """Oldest first."""
        ...

"""What the use cases ask of the keys of a repository: a part of `ports.Restic`."""

from pathlib import Path
from typing import Protocol


class Keys(Protocol):
    """All keys of a repository open the same one."""

    async def opens(self, target: str, passphrase: Path) -> bool:
        """Whether what stands in this file opens the repository; False if there is no such file."""
        ...

    async def add_key(self, target: str, passphrase: Path) -> None:
        """From now on what stands in this file opens the repository as well."""
        ...

    async def drop_key(self, target: str, passphrase: Path) -> None:
        """From now on what stands in this file, which is not the target's own, opens it no more. Raises `Refused` like
        `forget`.
        """
        ...

    async def read(self, target: str, snapshot: str, path: str) -> str:
        """A small file of a snapshot: a key that not only opens but reads. Raises NotFound if there is none."""
        ...

    async def speed(self, target: str, snapshot: str, folder: str) -> float | None:
        """How many bytes a second come from there, as a few seconds of it show; None if that was over too soon."""
        ...

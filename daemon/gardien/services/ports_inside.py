"""What looking into a snapshot, and putting a part of it back, ask of the neighbours. See `ports`."""

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Literal, Protocol

from gardien.model.entry import Entry, Folder, Hit, Place, Sum
from gardien.model.job import Progress


class Inside(Protocol):
    """What lies in a snapshot; a part of what `Restic` is."""

    def listed(self, target: str, snapshot: str) -> AsyncGenerator[bytes]:
        """All that lies in it, as restic's JSON lines, in chunks; what is not taken makes it wait."""
        ...

    async def names(self, target: str, snapshot: str, folder: str) -> list[str]:
        """The exact names in a folder, in the listing's order; bytes that are no text are surrogates."""
        ...

    def dumped(
        self, target: str, snapshot: str, path: str, archive: Literal["zip", "tar"] | None = None
    ) -> AsyncGenerator[bytes]:
        """A file's bytes, or an archive of what is in a folder; what is not taken makes it wait."""
        ...

    async def bring_back_part(
        self,
        target: str,
        snapshot: str,
        *,
        folder: str,
        name: str,
        leave_out: Sequence[str],
        to: Path,
        progress: Callable[[Progress], None],
    ) -> None:
        """Restore `name`, which lies under `folder` in the snapshot, into `to`, reading it back to verify it.

        `leave_out` are paths, seen from `folder`, that are not restored.
        """
        ...


class Beneath(Protocol):
    """Places in a stack's folder, reached without following a link, on its own file system. `parts`: names from there.

    Names may hold bytes that are no text, as surrogates. What is put there lay in a folder of the same file system.
    """

    async def look(self, home: Path, parts: Sequence[str]) -> Place:
        """What there is now. Raises Refused if a link, a file or another disk is on the way."""
        ...

    async def mark(self, path: Path) -> str:
        """What tells this very file or folder from any other that takes its name."""
        ...

    async def on_disk(self, folder: Path) -> None:
        """See all of its file system on the disk."""
        ...

    async def put(
        self, home: Path, parts: Sequence[str], fresh: Path, mark: str, above: Sequence[tuple[int, int, int]]
    ) -> None:
        """In one stroke: what `fresh` was, which bears `mark`, lies at `parts`, and `fresh` is what lay there.

        Folders that are missing above it are made; `above` are uid, gid and mode of each of them, missing or not.
        Nothing happens if it was done before.
        """
        ...

    async def take_back(self, home: Path, parts: Sequence[str], fresh: Path, mark: str, missing: int) -> None:
        """Undo `put`, and take away the `missing` folders that it made, if they are empty."""
        ...

    async def set_aside(self, source: Path, to: Path) -> None:
        """Move a folder, to another subvolume if need be. It may be done, or half done, already."""
        ...


class Listings(Protocol):
    """The listings of the snapshots that were looked into last. All but `holds` and `take` raise NotFound without."""

    async def holds(self, snapshot: str) -> bool: ...
    async def take(self, snapshot: str, lines: AsyncGenerator[bytes], count: Callable[[int], None]) -> None:
        """Keep a listing; `count` is told how far it is. Raises Damaged for a broken one, and what `lines` raises."""
        ...

    async def top(self, snapshot: str) -> str:
        """The path of the folder that was saved."""
        ...

    async def entry(self, snapshot: str, number: int) -> Hit: ...
    async def folder(self, snapshot: str, number: int, after: int = 0, most: int = 500) -> Folder: ...
    async def named(self, snapshot: str, number: int, name: str) -> Entry | None:
        """What is called so in a folder."""
        ...

    async def search(self, snapshot: str, text: str, most: int = 200) -> tuple[Hit, ...]:
        """Whose name has `text` in it; neither capitals nor accents count."""
        ...

    async def beneath(self, snapshot: str, number: int) -> Sum: ...
    async def left_out(self, snapshot: str, number: int, most: int) -> tuple[Hit, ...]:
        """What never comes back this way, beneath an entry."""
        ...

    async def position(self, snapshot: str, number: int) -> int:
        """Which one of its folder's entries it is, in restic's order, from 0."""
        ...

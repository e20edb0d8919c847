"""Looking into a backup: its folders, a search in it, a file or folder of it to take away."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from gardien.errors import Refused
from gardien.model.entry import LOST, TOP, Entry, Folder, Hit, Sum
from gardien.model.snapshot import Snapshot
from gardien.services.ports import World
from gardien.words import N_

DUMPS = 4  # at a time: each takes restic's memory
MOST_SPECIAL = 500  # devices and the like that are named one by one


class Browse:
    """Everything is asked by numbers of the snapshot's own listing. A listing is read once, one at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._counts: dict[str, int] = {}
        self._one = asyncio.Semaphore(1)
        self._few = asyncio.Semaphore(DUMPS)

    async def open(self, snapshot: Snapshot, patience: float | None = None) -> int | None:
        """See that its listing is here; None: it is. After `patience` seconds: how many entries were read so far.

        Reading goes on then. Raises a target's errors, once.
        """
        id_ = snapshot.id
        if id_ not in self._reading and await self._world.listings.holds(id_):
            return None
        task = self._reading.get(id_)
        if task is None:
            self._counts[id_] = 0
            task = self._reading[id_] = asyncio.create_task(self._read(snapshot), name="listing")
            task.add_done_callback(lambda done: done.cancelled() or done.exception())  # whoever asks next is told
        await asyncio.wait([task], timeout=patience)
        if not task.done():
            return self._counts.get(id_, 0)
        if self._reading.get(id_) is task:
            del self._reading[id_]
            self._counts.pop(id_, None)
        task.result()
        return None

    async def stop(self) -> None:
        """End what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, snapshot: Snapshot) -> None:
        def count(entries: int) -> None:
            self._counts[snapshot.id] = entries

        async with self._one:
            lines = self._world.restic.listed(snapshot.target, snapshot.id)
            await self._world.listings.take(snapshot.id, lines, count)

    # -- of a snapshot that is open

    async def folder(self, snapshot: Snapshot, number: int = TOP, after: int = 0, most: int = 500) -> Folder:
        """A page of what is in a folder. Raises NotFound."""
        return await self._world.listings.folder(snapshot.id, number, after, most)

    async def entry(self, snapshot: Snapshot, number: int) -> Hit:
        """Raises NotFound."""
        return await self._world.listings.entry(snapshot.id, number)

    async def named(self, snapshot: Snapshot, number: int, name: str) -> Entry | None:
        """What is called so in a folder."""
        return await self._world.listings.named(snapshot.id, number, name)

    async def search(self, snapshot: Snapshot, text: str, most: int = 200) -> tuple[Hit, ...]:
        """Whose name has `text` in it; neither capitals nor accents count."""
        return await self._world.listings.search(snapshot.id, text, most)

    async def sum(self, snapshot: Snapshot, number: int) -> Sum:
        """An entry and all beneath it. Raises NotFound."""
        return await self._world.listings.beneath(snapshot.id, number)

    async def left_out(self, snapshot: Snapshot, number: int) -> list[list[str]]:
        """What never comes back this way beneath an entry: for each its exact way from there; at most 500."""
        found = await self._world.listings.left_out(snapshot.id, number, MOST_SPECIAL)
        depth = len(await self.path(snapshot, number))
        return [(await self.path(snapshot, hit.entry.id))[depth:] for hit in found if hit.entry.kind == "special"]

    async def path(self, snapshot: Snapshot, number: int) -> list[str]:
        """The exact names that lead to an entry; bytes that are no text are surrogates. Raises NotFound."""
        hit = await self.entry(snapshot, number)
        parts: list[str] = []
        for each in (*hit.way, hit.entry) if number != TOP else ():
            name = each.name
            if LOST in name:
                names = await self._world.restic.names(snapshot.target, snapshot.id, await self._whole(snapshot, parts))
                name = names[await self._world.listings.position(snapshot.id, each.id)]
            if name in {"", ".", ".."} or "/" in name or each.kind == "odd":
                raise Refused(N_("this has a name that could lead elsewhere"), N_("Nothing was done with it."))
            parts.append(name)
        return parts

    async def top(self, snapshot: Snapshot) -> str:
        """The path of the folder that was saved, as it was then."""
        return await self._world.listings.top(snapshot.id)

    async def _whole(self, snapshot: Snapshot, parts: list[str]) -> str:
        return "/".join([(await self.top(snapshot)).rstrip("/"), *parts])

    async def dump(
        self, snapshot: Snapshot, number: int, archive: Literal["zip", "tar"] | None
    ) -> AsyncGenerator[bytes]:
        """A file's bytes, or an archive of what is in a folder; to be closed. Raises a target's errors as it goes."""
        path = await self._whole(snapshot, await self.path(snapshot, number))
        async with self._few, aclosing(self._world.restic.dumped(snapshot.target, snapshot.id, path, archive)) as all_:
            async for chunk in all_:
                yield chunk

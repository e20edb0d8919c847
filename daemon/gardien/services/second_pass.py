"""The second pass of a backup: opened before the application is paused, it reads meanwhile, and sends afterwards.

People wait for the reading alone, not for the line to the host. That all was read is seen in restic's own counts: they
do not move any more, nothing is missing from them, and at the end they are still the same. If they were not, a file was
read after people were let in again, and the backup does not count.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gardien.errors import Incomplete
from gardien.model.job import Progress
from gardien.model.snapshot import Saved
from gardien.services.ports import OnProgress
from gardien.words import N_

BEGINS_WITHIN = 20.0  # seconds; longer than that people do not wait for a line that is dead
Save = Callable[[Awaitable[object], Callable[[], None], OnProgress], Coroutine[Any, Any, Saved]]


class SecondPass:
    """One of them. Whoever is cancelled while he waits for it does not end it: `end` does."""

    def __init__(self, save: Save, report: OnProgress, least: int) -> None:
        """`save` gets what to wait for before it reads, what to call when the repository is open, and how to report.

        `least`: how many files the first pass found. Fewer are not all.
        """
        self._report = report
        self._least = least
        self._go: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opened, self._begun, self._read = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._counts: tuple[int, int] | None = None
        self._task = asyncio.create_task(save(self._go, self._opened.set, self._listen))

    async def opened(self) -> None:
        """Until the repository is open. Raises why it cannot be opened."""
        await self._until(self._opened)

    async def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, but not to its end if the pass dies meanwhile. Raises why it did, or what `work` raises."""
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({self._task, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                self._task.result()
        finally:
            if not working.done():
                working.cancel()
                await asyncio.wait({working})
        working.result()

    async def read(self) -> None:
        """Read, until nothing is left to be read. Raises why that cannot be; TimeoutError if it does not begin soon."""
        if not self._go.done():
            self._go.set_result(None)
        async with asyncio.timeout(BEGINS_WITHIN):
            await self._until(self._begun)
        await self._until(self._read)

    async def sent(self) -> Saved:
        """Until all is sent. Raises Incomplete if something was still being read when we said that all was."""
        saved = await asyncio.shield(self._task)
        if self._read.is_set() and self._counts != (saved.files, saved.bytes):
            raise Incomplete(
                N_("files were still being read when the application went on"),
                N_("This backup does not count, the former ones are untouched. Back up again."),
            )
        return saved

    async def end(self) -> None:
        """End it, wherever it is."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _until(self, event: asyncio.Event) -> None:
        happens = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({self._task, happens}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            happens.cancel()
        if self._task.done():
            self._task.result()

    def _listen(self, progress: Progress) -> None:
        self._report(progress)
        if progress.files_done:
            self._begun.set()
        if self._read.is_set():
            return
        counts = (progress.files_done, progress.bytes_done)
        whole = counts == (progress.files_total, progress.bytes_total) and progress.files_done >= self._least
        if whole and counts == self._counts:
            self._read.set()
        self._counts = counts if whole else None

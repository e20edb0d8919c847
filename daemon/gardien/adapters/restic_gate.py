"""A gate before a backup: restic opens the repository, and reads nothing until it is let go.

Opening takes most of a second, for deriving the key alone, and nobody shall wait for it while an application is paused.
restic reads its file of exclusions after that: here it is a pipe, empty, whose end comes when the gate is opened.
Should a restic read it earlier, nothing is gained and nothing is lost.
"""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from gardien.adapters.process import Outcome
from gardien.adapters.surely import surely

_LOOK = 0.02  # seconds between two looks whether restic stands at it


class Gate:
    """One of them; `path` is what restic reads."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / f"gate-{secrets.token_hex(8)}"
        self._pipe: int | None = None
        self._hand: int | None = None

    async def held(
        self, call: Coroutine[Any, Any, Outcome], begin: Awaitable[object], opened: Callable[[], None] | None
    ) -> Outcome:
        """Run `call`, held at the gate until `begin` is done. `opened` is called when it stands there.

        Raises what `call` raises, and what `begin` raises: then nothing was read.
        """
        await asyncio.to_thread(self._make)
        waits = asyncio.ensure_future(begin)
        work = asyncio.create_task(call)
        try:
            while not work.done() and not waits.done():
                if self._hand is None and self._reach() and opened is not None:
                    opened()
                pause = _LOOK if self._hand is None else None
                await asyncio.wait({work, waits}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if waits.done():
                waits.result()
            await self._open(work)
            return await work
        finally:
            waits.cancel()
            if not work.done():
                work.cancel()  # restic is asked to end, and can only do so past the gate
                await surely(self._open(work))
            with suppress(BaseException):
                await surely(work)
            await asyncio.to_thread(self._away)

    def _make(self) -> None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.mkfifo(self.path, 0o600)
        self._pipe = os.open(self.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)

    def _reach(self) -> bool:
        """Whether restic stands at it; from now on it waits for us to let go."""
        with suppress(OSError):  # nobody reads
            self._hand = os.open(f"/proc/self/fd/{self._pipe}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return self._hand is not None

    async def _open(self, work: "asyncio.Task[Outcome]") -> None:
        """Let it go, whether it stands there, is on its way, or comes again."""
        empty = self.path.with_name(self.path.name + ".open")
        await asyncio.to_thread(empty.touch, 0o600)
        await asyncio.to_thread(empty.rename, self.path)
        if self._hand is None:
            # Who found the pipe just before it was gone gets there any moment; who did not, finds an empty file.
            for _ in range(10):
                if work.done() or self._reach():
                    break
                await asyncio.sleep(_LOOK)
        if self._hand is not None:
            os.close(self._hand)
            self._hand = None

    def _away(self) -> None:
        for each in (self._hand, self._pipe):
            if each is not None:
                os.close(each)
        self._hand = self._pipe = None
        self.path.unlink(missing_ok=True)

"""Beside something that is being started: hears which of its services end by themselves, and whether Docker went."""

import asyncio
import contextlib
import logging
from collections import Counter
from types import TracebackType
from typing import Self

from gardien.errors import DockerDown, GardienError, NotHealthy
from gardien.model.stack import Stack
from gardien.services.ports import World
from gardien.words import N_

log = logging.getLogger(__name__)

LISTEN_AGAIN = 1.0  # seconds, while Docker is away


class Vigil:
    """A context: within it, `require` raises NotHealthy once a service ended `most` times.

    What ends because Docker itself went is not heard, and so counts for nothing.
    """

    def __init__(self, world: World, stack: Stack, most: int) -> None:
        self._world = world
        self._stack = stack
        self._most = most
        self._deaths: Counter[str] = Counter()
        self._too_many = asyncio.Event()
        self.docker_went = False  # since somebody last set it back

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._world.engine.events()) as events:
                    async for event in events:
                        if event.project == self._stack.project and event.what == "died":
                            self._deaths[event.service] += 1
                            if self._deaths[event.service] >= self._most:
                                self._too_many.set()
            except DockerDown:
                self.docker_went = True
            except GardienError as error:
                log.warning("what befalls %s could not be heard: %s", self._stack.name, error)
            await asyncio.sleep(LISTEN_AGAIN)

    def require(self) -> None:
        """Raises NotHealthy."""
        if self._too_many.is_set():
            service, times = self._deaths.most_common(1)[0]
            raise NotHealthy(
                N_("its service {service} ended by itself {times} times"),
                N_("`gardien stack logs {stack}` shows what it says itself."),
                service=service,
                times=times,
                stack=self._stack.name,
            )

    async def beside(self, work: asyncio.Task[None]) -> None:
        """`work` to its end, unless too much ends meanwhile: then it is cancelled. Raises NotHealthy, or its error."""
        heard = asyncio.create_task(self._too_many.wait())
        try:
            await asyncio.wait({work, heard}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            heard.cancel()
            if not work.done():
                work.cancel()
                await asyncio.wait({work})
        if work.cancelled():
            self.require()
        work.result()

"""The way back of an update: the data of before and the programs of before, by the steps of a restore.

It is gone within an undo, so what of it is done is remembered: a way back that was cut short goes on where it was.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import cast

from gardien.errors import DockerDown, GardienError, NoSpace, TargetUnreachable
from gardien.model.plan import Json
from gardien.services.account import owner_files
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Work
from gardien.services.stacks import Stacks

log = logging.getLogger(__name__)

BESIDE = ("halt", "look", "fetch", "verify", "images", "swap", "load", "start", "gate", "settle")
# Where there is no room for two: what the new version left goes first. The backup was seen where it lies.
IN_PLACE = ("halt", "look", "clear", "fetch", "verify", "images", "swap", "load", "start", "gate", "settle")
TRY_EVERY, TRIES = 30.0, 120  # seconds between two tries where somebody does not answer, less at first; an hour of them


class WayBack:
    """Brings back what the backup within the job saved. Each step can be done again."""

    def __init__(self, world: World, stacks: Stacks, restore: Work, door: Doorkeeper) -> None:
        self._world = world
        self._stacks = stacks
        self._restore = restore
        self._door = door

    async def go(self, run: Run) -> None:
        """All of it, or what of it is still to be done. Raises what a restore raises."""
        while (step := self._next(run)) is not None:
            log.info("job %s (%s): the way back: %s", run.job, run.plan.subject, step)
            run.on_point(f"back-{step}", "begun")
            try:
                await self._patiently(run, step)
            except GardienError:
                if step == "verify":  # what lies beside is not what was saved: the next try fetches it anew
                    await self._restore.undo["fetch"](run)
                    await run.remember(back=[each for each in done(run) if each != "fetch"])
                raise
            run.on_point(f"back-{step}", "ran")
            await run.remember(back=[*done(run), step])

    async def _patiently(self, run: Run, step: str) -> None:
        """A line that is cut comes back, and so does Docker. Nothing is lost meanwhile."""
        own: Mapping[str, Do] = {"halt": self._halt, "look": self._look}
        tries = 0
        while True:
            try:
                return await (own.get(step) or self._restore.do[step])(run)
            except (TargetUnreachable, DockerDown) as error:
                if (tries := tries + 1) >= TRIES:
                    raise
                log.warning("job %s: the way back waits: %s", run.job, error)
                await asyncio.sleep(min(TRY_EVERY, 2.0 ** min(tries, 10)))  # people wait: it may be back at once

    def _next(self, run: Run) -> str | None:
        steps = IN_PLACE if run.facts.get("in_place") else BESIDE
        return next((step for step in steps if step not in done(run)), None)

    async def _halt(self, run: Run) -> None:
        """The new version harms nothing any more."""
        stack, owner = await self._stacks.get(run.plan.subject), self._world.settings.folders.owner
        ours = [ours for ours, _ in owner_files(stack.name) if await self._world.files.exists(owner / ours)]
        place: list[Json] = [run.text("target"), run.text("final")]
        await run.remember(was_running=True, had_home=True, had_owner=list[Json](ours), places=[place], known=True)
        await self._door.leave(stack)
        await self._world.compose.down(stack)

    async def _look(self, run: Run) -> None:
        """Find the backup, and see whether there is room for two."""
        try:
            await self._restore.do["look"](run)
        except NoSpace:
            if run.facts.get("in_place") or not run.facts.get("fits_in_place"):
                raise
            await run.remember(in_place=True)
            await self._restore.do["look"](run)


def done(run: Run) -> list[Json]:
    """What of the way back is behind us."""
    return list(cast("list[Json]", run.facts.get("back") or []))

"""How each step of an update is done, and taken back. Which they are: `rules.plan_update`."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.errors import Busy, NoSpace, NotFound, Refused
from gardien.model.plan import Json
from gardien.model.stack import Stack
from gardien.rules import windows
from gardien.services import disk, recipes
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.releases import Releases
from gardien.services.runner import Do, Run, Work
from gardien.services.stacks import Stacks
from gardien.services.trial import Trial
from gardien.services.way_back import WayBack
from gardien.words import N_

MB = 1_000_000
UNPACKED = 4  # times what is fetched: while it is unpacked both are there
LEAST_MEMORY = 150 * MB  # free, for fetching and saving while all still runs


class UpdateSteps:
    """Taught to the runner. From `up` on whatever fails is held against the version, unless it is not its fault."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        stacks: Stacks,
        backup: Work,
        restore: Work,
        door: Doorkeeper,
        releases: Releases,
        zone: ZoneInfo,
    ) -> None:
        self._world = world
        self._stacks = stacks
        self._backup = backup
        self._restore = restore
        self._door = door
        self._releases = releases
        self._zone = zone
        self._back = WayBack(world, stacks, restore, door)
        self.do: Mapping[str, Do] = {
            **backup.do,
            **Trial(world, stacks, door, releases).do,
            "check": self._check,
            "images": self._images,
            "close": self._close,
            "down": self._down,
            "write": self._write,
            "settle": self._settle,
        }
        self.undo: Mapping[str, Do] = {
            **backup.undo,
            "close": self._open,
            "down": self._start_old,
            "write": self._unwrite,
            "up": self._bring_back,
        }

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._restore.heal(run)

    # -- before anything stops

    async def _check(self, run: Run) -> None:
        world, stack = self._world, await self._stacks.get(run.plan.subject)
        await disk.require(world)
        await world.engine.ping()
        if run.facts["by_itself"]:
            if not windows.is_open(world.settings.window(stack.name), world.clock(), self._zone):
                raise Busy(
                    N_("it is too late for an update of {stack} today"),
                    N_("It is made in the next window, or now: `gardien update run {stack}`."),
                    stack=stack.name,
                )
            unwell = [each for each in (await recipes.ask_all(world, stack)).values() if not each.ok]
            if unwell:
                raise Busy(
                    N_("{stack} is not well just now, so it is not updated by itself: {why}"),
                    N_("To update it all the same: `gardien update run {stack}`."),
                    stack=stack.name,
                    why=unwell[0].says,
                )
        busy = (await self._releases.rules(stack)).busy
        if busy is not None and (await world.probes.ask(stack, busy)).ok:
            raise Busy(
                N_("people are in the middle of something with {stack}, and an update would end it"),
                N_("Try again later: `gardien update run {stack}`. Updates that are made by themselves wait, too."),
                stack=stack.name,
            )
        await self._require_room(run, await self._wanted(run))

    async def _require_room(self, run: Run, stack: Stack) -> None:
        """For the new programs, and for saving. Whether two states of the data fit is asked when one has to go back."""
        world, needs = self._world, stack.manifest.needs
        if world.host.memory_free() < LEAST_MEMORY:
            raise Refused(
                N_("this machine has only {free} MB of memory left, too little to update {stack}"),
                N_("Switch off an application for that time, or restart the machine."),
                free=world.host.memory_free() // MB,
                stack=stack.name,
            )
        missing = await self._stacks.missing_images(stack)
        root = (await world.engine.facts()).root
        room = await world.host.disk(root)
        known = int(str(run.facts.get("size") or 0)) * UNPACKED or (needs.images * MB if needs is not None else 0)
        wanted = known if missing else 0
        if room.present and room.free < wanted + disk.HEADROOM:
            raise NoSpace(
                N_(
                    "the new programs of {stack} may take {needed} MB, and {free} MB are free: {missing} MB are missing"
                ),
                N_("Make room on the disk of {folder}; `docker image prune` removes programs that nobody uses."),
                stack=stack.name,
                needed=wanted // MB,
                free=room.free // MB,
                missing=(wanted + disk.HEADROOM - room.free) // MB,
                folder=str(root),
            )
        data = await world.host.disk(world.settings.folders.data)
        if data.free < disk.HEADROOM:
            raise NoSpace(
                N_("the disk of {folder} is full"),
                N_("Make room on it first."),
                folder=str(world.settings.folders.data),
            )

    async def _wanted(self, run: Run) -> Stack:
        """The stack with the new programs."""
        stack = await self._stacks.get(run.plan.subject)
        images = stack.chosen.images | texts(run, "images")
        return await self._stacks.build(stack.recipe, stack.chosen.model_copy(update={"images": images}))

    async def _images(self, run: Run) -> None:
        """All of them, and none but those that were named: a digest is what an image is."""
        stack = await self._wanted(run)
        await self._stacks.fetch_images(stack, run)
        if missing := await self._stacks.missing_images(stack):
            raise NotFound(
                N_("the program {image} was fetched, and is not here"),
                N_("Nothing was changed. Try again; if it stays so, look at the disk and the log of Docker."),
                image=missing[0],
            )

    # -- the moment to go back to

    async def _close(self, run: Run) -> None:
        await run.remember(closed=self._world.clock().isoformat())
        await self._door.tend()

    async def _open(self, run: Run) -> None:
        await self._door.tend(opened=run.plan.subject)

    async def _down(self, run: Run) -> None:
        """Nothing of the pause outlasts the stop: an upgrade would keep it on for ever."""
        stack = await self._stacks.get(run.plan.subject)
        if "pause_seconds" not in run.facts:
            resume = list(stack.manifest.backup.resume)
            while resume and resume[-1].start:  # it would run for a moment, at work on what was saved already
                resume.pop()
            await recipes.carry_out(self._world, stack, resume)
            paused = datetime.fromisoformat(run.text("paused"))
            await run.remember(pause_seconds=max(0.0, (self._world.clock() - paused).total_seconds()))
        await self._world.files.remove(stack.dumps)
        if first := (await self._releases.rules(stack)).stop_first:
            await self._world.compose.stop(stack, first)
        await self._world.compose.stop(stack)

    async def _start_old(self, run: Run) -> None:
        if not run.facts.get("started"):
            await self._world.compose.up(await self._stacks.get(run.plan.subject))

    async def _write(self, run: Run) -> None:
        name = run.plan.subject
        chosen = await self._world.shelf.chosen(name)
        assert chosen is not None
        if "had_images" not in run.facts:
            await run.remember(had_images=dict[str, Json](chosen.images))
        images = texts(run, "had_images") | texts(run, "images")
        await self._world.shelf.choose(name, chosen.model_copy(update={"images": images}))
        await self._stacks.furnish(await self._stacks.get(name))

    async def _unwrite(self, run: Run) -> None:
        name = run.plan.subject
        chosen = await self._world.shelf.chosen(name)
        if run.facts.get("started") or "had_images" not in run.facts or chosen is None:
            return  # from `up` on the programs go back with the data, or not at all
        await self._world.shelf.choose(name, chosen.model_copy(update={"images": texts(run, "had_images")}))
        await self._stacks.furnish(await self._stacks.get(name))

    # -- back, or done

    async def _bring_back(self, run: Run) -> None:
        if run.facts.get("started"):
            if "unseen" not in run.facts:
                await run.remember(unseen="away" not in run.facts)
            await self._back.go(run)

    async def _settle(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await self._world.files.write_down(stack.home)
        await self._world.files.remove(stack.dumps)
        away = run.facts.get("away")
        run.done(
            N_(
                "{stack} went from {former} to {version}; it was away for {took}. The backup of before, {snapshot}, is "
                "kept until {until} to go back to"
            ),
            stack=stack.manifest.title.given,
            former=run.text("former_version"),
            version=run.text("version"),
            took=round(away) if isinstance(away, int | float) else 0,
            snapshot=run.text("final")[:8],
            until=(self._world.clock() + timedelta(days=self._world.settings.limits.keep_replaced_days)).isoformat(),
        )


def texts(run: Run, fact: str) -> dict[str, str]:
    """A fact that is a mapping of texts."""
    value = run.facts[fact]
    assert isinstance(value, dict)
    return {name: str(each) for name, each in value.items()}

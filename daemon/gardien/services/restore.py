"""Getting a stack back: a copy beside, verified, swapped in; what was there is kept until the new state is healthy.

Where the disk has no room for two, and the owner says so: in place, after a backup of what is there.
"""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from gardien.errors import GardienError, NoMemory, NoSpace, NotFound, Refused
from gardien.model.plan import Json, Plan
from gardien.model.stack import Chosen, Stack
from gardien.rules import plans
from gardien.services import choice, disk, joins, recipes, side
from gardien.services.account import owner_files, tags
from gardien.services.back import how_it_went
from gardien.services.backup import Backups
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner, Work
from gardien.services.side import Source
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_

BLOCK = 4096  # bytes that a file takes beyond its own, at most
SPARE_NODES = 1000  # files that a disk must have room for after a restore


class Restores:
    """Brings stacks back."""

    def __init__(  # noqa: PLR0917
        self, world: World, runner: Runner, stacks: Stacks, targets: Targets, backups: Backups, door: Doorkeeper
    ) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._targets = targets
        self._backups = backups
        self.work: Work = _Restore(world, stacks, targets, backups.work, door)
        runner.teach("restore", self.work)

    async def plan(
        self, stack: str, snapshot: str | None = None, new_disk: bool = False, in_place: bool = False
    ) -> Plan:
        """`snapshot` is an id or the beginning of one; None: the newest good one. Raises NotFound.

        `in_place`: there is no room for two, and the owner agrees; where nothing is there it makes no difference.
        """
        recipe = await self._stacks.recipe(stack)
        chosen = await self._world.shelf.chosen(stack)
        there = await self._world.files.exists(self._stacks.home(stack))
        present = await self._stacks.build(recipe, chosen) if chosen is not None and there else None
        picked = await choice.choose(self._world, stack, snapshot)
        if not picked.places:
            self._targets.first()  # raises: there is no target at all
        known = present if present is not None else await self._stacks.build(recipe, chosen or Chosen())
        leases = (
            *joins.leases(known, await self._stacks.all()),
            *(f"repository:{target}" for target, _ in picked.places),
        )
        facts: dict[str, Json] = {
            "new_disk": new_disk,
            "places": [[target, id_] for target, id_ in picked.places],
            "known": picked.known,
        }
        if in_place and present is not None:
            safety = await self._backups.plan(stack)
            return plans.restore_in_place(present, safety, facts | {"in_place": True}, leases, picked.why)
        facts["target"] = picked.places[0][0]
        return plans.restore(recipe, present, facts, leases, picked.why)

    async def create(
        self, stack: str, snapshot: str | None = None, new_disk: bool = False, in_place: bool = False
    ) -> int:
        """Queue a restore; returns the job's number."""
        return await self._runner.submit(await self.plan(stack, snapshot, new_disk, in_place))


class _Restore:
    """How a stack comes back. Every step can be run again after a crash: what it would do may be half done already."""

    def __init__(self, world: World, stacks: Stacks, targets: Targets, backup: Work, door: Doorkeeper) -> None:
        self._world = world
        self._stacks = stacks
        self._targets = targets
        self._door = door
        self.do: Mapping[str, Do] = {
            **backup.do,
            "look": self._look,
            "fetch": self._fetch,
            "verify": self._verify,
            "images": self._images,
            "stop": self._stop,
            "clear": self._clear,
            "swap": self._swap,
            "load": self._load,
            "start": self._start,
            "gate": self._gate,
            "settle": self._settle,
        }
        self.undo: Mapping[str, Do] = {
            **backup.undo,
            "fetch": self._unfetch,
            "stop": self._start_old,
            "clear": self._give_back,
            "swap": self._swap_back,
            "load": self._down_new,
            "start": self._down_new,
        }

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        for lease in run.plan.leases:
            kind, _, name = lease.partition(":")
            if kind == "repository":
                with contextlib.suppress(GardienError):  # another place may be the one that answers
                    await self._world.restic.unlock(name)

    def _side(self, run: Run) -> Path:
        """The copy beside: on the same file system, so that the swap is a rename."""
        return self._world.settings.folders.data / ".restoring" / f"{run.plan.subject}-{run.job}"

    def _going(self, run: Run) -> Path:
        """What gave way, while it is deleted."""
        return self._side(run).with_name(f"{self._side(run).name}.gone")

    def _kept(self, run: Run) -> Path:
        return self._world.settings.folders.data / ".kept" / f"{run.plan.subject}-{run.job}"

    async def _copy(self, run: Run, home: Path) -> Stack:
        return await side.stack_in(self._world, self._stacks, run.plan.subject, home)

    # -- from where

    async def _look(self, run: Run) -> None:
        world, name = self._world, run.plan.subject
        await disk.require(world, new_disk=bool(run.facts.get("new_disk")))
        await world.engine.ping()
        places = _pairs(run, "places") or [(run.text("target"), str(run.facts.get("snapshot", "")))]
        failed: list[tuple[str, GardienError]] = []
        if not all(beginning for _, beginning in places):
            found, failed = await choice.look_everywhere(world, self._targets, name, places)
            if not found:
                raise failed[0][1]
            places = [(each.target, each.found.id) for each in found]
        await run.remember(others=[list[Json](each) for each in places], silent=[])
        for target, error in failed:
            await self._note_silent(run, target, error)
        await self._next(run)
        await self._require_room(run)

    async def _next(self, run: Run) -> None:
        """Settle on the nearest place that was not tried yet. Raises why the first of them would not do."""
        first: GardienError | None = None
        while places := _pairs(run, "others"):
            (target, beginning), *others = places
            await run.remember(others=[list[Json](each) for each in others])
            try:
                place = await choice.look(self._world, self._targets, run.plan.subject, target, beginning)
                files, size = await self._world.restic.contents(target, place.found.id)
            except GardienError as error:
                first = first or error
                if not isinstance(error, NotFound) or run.facts.get("known"):
                    await self._note_silent(run, target, error)
                continue
            await run.remember(
                place=target,
                snapshot=place.found.id,
                folder=place.found.paths[0],
                saved_at=place.found.taken.isoformat(),
                count=files,
                size=size,
                why=cast("Json", place.why.as_json()) if place.why is not None else None,
            )
            return
        assert first is not None  # there is a place to begin with
        raise first

    async def _note_silent(self, run: Run, target: str, error: GardienError) -> None:
        silent = run.facts.get("silent")
        told = [*(silent if isinstance(silent, list) else []), [target, cast("Json", error.says.as_json())]]
        await run.remember(silent=told)

    def _source(self, run: Run) -> Source:
        return Source(run.text("place"), run.text("snapshot"), run.text("folder"))

    async def _require_room(self, run: Run) -> None:
        """Raise NoSpace, with the gigabytes that are missing, and whether it would fit in place of what is there."""
        world, name, folder = self._world, run.plan.subject, self._world.settings.folders.data
        files, size = int(run.text("count")), int(run.text("size"))
        room, home = await world.host.disk(folder), self._stacks.home(name)
        needed = size + files * BLOCK + disk.HEADROOM
        given = (0, 0)
        if room.free < needed and await world.files.exists(home):
            given = await world.files.measure(home)
        gives = given[1] + given[0] * BLOCK
        if room.free + (gives if run.facts.get("in_place") else 0) < needed:
            fits = room.free + gives >= needed
            await run.remember(fits_in_place=fits)
            raise NoSpace(
                N_("{stack} needs {needed} GB on {folder}, and {free} GB are free: {missing} GB are missing"),
                _FITS if fits else N_("Make room or use a bigger disk. Nothing was touched."),
                stack=name,
                folder=str(folder),
                needed=disk.gigabytes(needed),
                free=disk.gigabytes(room.free),
                missing=max(0.1, disk.gigabytes(needed - room.free)),
            )
        if room.nodes is not None and room.nodes + given[0] < files + SPARE_NODES:
            raise NoSpace(
                N_("{stack} holds {files} files, and the disk of {folder} has names left for {free} only"),
                N_("Make room or use a bigger disk. Nothing was touched."),
                stack=name,
                files=files,
                folder=str(folder),
                free=room.nodes,
            )

    # -- beside

    async def _fetch(self, run: Run) -> None:
        await self._make_side(run)
        while True:
            source = self._source(run)
            try:
                # The last place that could give it is waited for: a line that is cut comes back.
                return await self._bring(run, source, persistent=not _pairs(run, "others"))
            except (NoSpace, NoMemory, Refused):
                raise
            except GardienError as error:
                if not _pairs(run, "others"):
                    raise
                await self._note_silent(run, source.target, error)
                with contextlib.suppress(GardienError):  # what went wrong first says more than the last try
                    await self._next(run)
                    continue
                raise

    async def _make_side(self, run: Run) -> None:
        files, beside = self._world.files, self._side(run)
        await files.make_folder(beside.parent, None, 0o700)
        await self._world.moments.make_room(beside)
        await files.make_folder(beside, None, 0o700)

    async def _bring(self, run: Run, source: Source, *, persistent: bool) -> None:
        await self._world.restic.bring_back(
            source.target, source.snapshot, source.folder, self._side(run), run.report, persistent=persistent
        )
        await self._world.files.write_down(self._side(run))  # restic leaves that to the kernel

    async def _unfetch(self, run: Run) -> None:
        await self._world.files.remove(self._side(run))

    async def _verify(self, run: Run) -> None:
        """restic has read back and compared every file's content; here: is it all, is it ours, may it be run."""
        _, like = await side.verify(self._world, self._stacks, run.plan.subject, self._side(run), self._source(run))
        before = run.facts.get("left_out")
        left_out = [*(before if isinstance(before, list) else []), *like.left_out]
        await run.remember(count=like.files, left_out=list(dict.fromkeys(map(str, left_out))))

    async def _images(self, run: Run) -> None:
        await self._stacks.fetch_images(await self._copy(run, self._side(run)), run)

    # -- the present state

    async def _stop(self, run: Run) -> None:
        name, owner = run.plan.subject, self._world.settings.folders.owner
        stack = await self._stacks.get(name) if run.facts.get("in_place") else await self._copy(run, self._side(run))
        if "was_running" not in run.facts:
            containers = await self._world.engine.containers([stack.project])
            await run.remember(
                was_running=any(container.state == "running" for container in containers),
                had_home=await self._world.files.exists(self._stacks.home(stack.name)),
                had_owner=[ours for ours, _ in owner_files(stack.name) if await self._world.files.exists(owner / ours)],
            )
        await self._door.leave(stack)
        await self._world.compose.down(stack)

    async def _start_old(self, run: Run) -> None:
        if run.facts.get("was_running") and run.facts.get("had_home"):
            await self._world.compose.up(await self._stacks.get(run.plan.subject))

    async def _clear(self, run: Run) -> None:
        """Out of the way in one move: half a folder must never be taken for a stack's. Then there is no way back but
        the backup.
        """
        files, home, going = self._world.files, self._stacks.home(run.plan.subject), self._going(run)
        await files.make_folder(going.parent, None, 0o700)
        if await files.exists(home):
            await files.move(home, going)
        await run.remember(gave_way=True)
        await files.remove(going)

    async def _give_back(self, run: Run) -> None:
        """The state that gave way: as it lies there still, or from the backup that was made of it."""
        files, home = self._world.files, self._stacks.home(run.plan.subject)
        if not run.facts.get("gave_way"):
            if await files.exists(self._going(run)):
                await files.move(self._going(run), home)
            return
        await files.remove(self._going(run))
        if not await files.exists(home):
            name, target, wanted = run.plan.subject, run.text("target"), run.text("final")
            listed = await self._world.restic.found(target, tags=tags(name, "final"))
            folder = next((each.paths[0] for each in listed if each.id == wanted), str(home))
            source = Source(target, wanted, folder)
            await self._make_side(run)
            await self._bring(run, source, persistent=True)
            await side.verify(self._world, self._stacks, name, self._side(run), source)
            await files.move(self._side(run), home)
        await self._furnish(run)
        stack = await self._new(run)
        await self._load(run)
        await self._world.compose.up(stack)
        await recipes.carry_out(self._world, stack, stack.manifest.restore.after)
        await files.write_down(stack.home)
        await files.remove(stack.dumps)

    async def _swap(self, run: Run) -> None:
        files, home, beside = self._world.files, self._stacks.home(run.plan.subject), self._side(run)
        owner = self._world.settings.folders.owner
        if await files.exists(beside):
            if run.facts["had_home"] and not run.facts.get("in_place"):
                await files.make_folder(self._kept(run).parent, None, 0o700)
                await files.move(home, self._kept(run))
            for ours, _ in owner_files(run.plan.subject):
                if await files.exists(owner / ours):
                    await files.move(owner / ours, _before(owner / ours, run))
            await files.move(beside, home)
        for ours, theirs in owner_files(run.plan.subject):
            text = await files.read(home / ".gardien" / theirs)
            if text is not None:
                await files.write(owner / ours, text)
        await self._furnish(run)

    async def _furnish(self, run: Run) -> None:
        home = self._stacks.home(run.plan.subject)
        await self._world.files.make_folder(home, None, 0o700)
        await self._stacks.furnish(await self._copy(run, home))

    async def _swap_back(self, run: Run) -> None:
        files, home, kept = self._world.files, self._stacks.home(run.plan.subject), self._kept(run)
        owner = self._world.settings.folders.owner
        if not await files.exists(self._side(run)):
            await files.move(home, self._side(run))
        if await files.exists(kept):
            await files.move(kept, home)
        had_owner = run.facts["had_owner"]
        assert isinstance(had_owner, list)
        for ours, _ in owner_files(run.plan.subject):
            before = _before(owner / ours, run)
            text = await files.read(before)
            if text is not None:
                await files.write(owner / ours, text)
                await files.remove(before)
            elif ours not in had_owner:
                await files.remove(owner / ours)

    # -- the new one

    async def _new(self, run: Run) -> Stack:
        return await self._copy(run, self._stacks.home(run.plan.subject))

    async def _load(self, run: Run) -> None:
        stack = await self._new(run)
        if not stack.manifest.restore.load:
            return
        await self._world.compose.up(stack, stack.manifest.restore.first)
        await recipes.load(self._world, stack)
        await self._world.files.write_down(stack.home)  # a step that is done outlasts a power cut

    async def _down_new(self, run: Run) -> None:
        stack = await self._new(run)
        await self._door.leave(stack)
        await self._world.compose.down(stack)

    async def _start(self, run: Run) -> None:
        stack = await self._new(run)
        await self._world.compose.up(stack)
        # Nobody saw anything newer of an update's way back if nobody was let in.
        older = () if run.facts.get("unseen") else stack.manifest.restore.older
        await recipes.carry_out(self._world, stack, (*stack.manifest.restore.after, *older))

    async def _gate(self, run: Run) -> None:
        stack = await self._new(run)
        if not await self._is_up(stack):  # a power cut took what Docker knew of it
            await self._world.compose.up(stack)
        await recipes.patiently(self._world, stack)
        await self._door.tend(opened=stack.name)

    async def _is_up(self, stack: Stack) -> bool:
        return any(each.state == "running" for each in await self._world.engine.containers([stack.project]))

    async def _settle(self, run: Run) -> None:
        stack = await self._new(run)
        if not await self._is_up(stack):
            await self._gate(run)
        await self._stacks.want(stack.name, "running")
        await self._world.files.write_down(stack.home)  # what was loaded, before the dumps go
        await self._world.files.remove(stack.dumps)
        owner = self._world.settings.folders.owner
        for ours, _ in owner_files(stack.name):
            await self._world.files.remove(_before(owner / ours, run))
        run.says = how_it_went(run, stack)
        try:
            joins.tell(run, await joins.connect(self._world, stack, await self._stacks.all()))
        except GardienError as error:  # the stack is back; that another one does not know it yet undoes nothing
            joins.tell(run, [error.says])


_FITS = N_(
    "Nothing was touched. Make room or use a bigger disk. Or let what is there give way, after a backup of it: "
    "`gardien restore {stack} --in-place`."
)


def _pairs(run: Run, fact: str) -> list[tuple[str, str]]:
    value = run.facts.get(fact)
    pairs = [each for each in value if isinstance(each, list)] if isinstance(value, list) else []
    return [(str(target), str(id_)) for target, id_ in pairs]


def _before(path: Path, run: Run) -> Path:
    """Where an owner's file waits while the restored one is on trial."""
    return path.with_name(f"{path.name}.before-{run.job}")

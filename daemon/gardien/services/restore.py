"""Getting a stack back: a copy beside, verified, swapped in; what was there is kept until the new state is healthy."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from gardien.errors import Damaged, GardienError, NoSpace, NotFound
from gardien.model.plan import Json, Plan
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Chosen, Stack
from gardien.rules import plans
from gardien.services import disk, joins, recipes
from gardien.services.account import SET_FORMAT, owner_files, tags
from gardien.services.backup import require_whole
from gardien.services.care import ALL
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_

HEADROOM = 64 * 1024 * 1024  # bytes a disk must have left after a restore


class Restores:
    """Brings stacks back."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, targets: Targets, door: Doorkeeper) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._targets = targets
        runner.teach("restore", _Restore(world, stacks, targets, door))

    async def plan(self, stack: str, snapshot: str | None = None, new_disk: bool = False) -> Plan:
        """`snapshot` is an id or the beginning of one; None: the newest good one. Raises NotFound."""
        recipe = await self._stacks.recipe(stack)
        chosen = await self._world.shelf.chosen(stack)
        there = await self._world.files.exists(self._stacks.home(stack))
        present = await self._stacks.build(recipe, chosen) if chosen is not None and there else None
        picked = await self._pick(stack, snapshot)
        target = picked.target if picked else self._targets.first()
        facts: dict[str, Json] = {"new_disk": new_disk, "snapshot": picked.id if picked else (snapshot or "")}
        known = present if present is not None else await self._stacks.build(recipe, chosen or Chosen())
        leases = joins.leases(known, await self._stacks.all())
        return plans.restore(recipe, present, target, facts, leases)

    async def _pick(self, stack: str, snapshot: str | None) -> Snapshot | None:
        """From memory; None leaves it to the repository, which remembers when we do not."""
        places = self._world.settings.targets
        known = [each for each in await self._world.store.snapshots(stack, most=ALL) if each.target in places]
        if snapshot is None:
            good = [each for each in known if each.good]
            # Of a backup and its copies the one that is nearer.
            return max(good, key=lambda each: (each.taken, places[each.target].copy_of is None), default=None)
        matching = [each for each in known if each.id.startswith(snapshot)]
        return matching[0] if len(matching) == 1 else None

    async def create(self, stack: str, snapshot: str | None = None, new_disk: bool = False) -> int:
        """Queue a restore; returns the job's number."""
        return await self._runner.submit(await self.plan(stack, snapshot, new_disk))


class _Restore:
    """How a stack comes back. Every step can be run again after a crash: what it would do may be half done already."""

    def __init__(self, world: World, stacks: Stacks, targets: Targets, door: Doorkeeper) -> None:
        self._world = world
        self._stacks = stacks
        self._targets = targets
        self._door = door
        self.do: Mapping[str, Do] = {
            "look": self._look,
            "fetch": self._fetch,
            "verify": self._verify,
            "images": self._images,
            "stop": self._stop,
            "swap": self._swap,
            "load": self._load,
            "start": self._start,
            "gate": self._gate,
            "settle": self._settle,
        }
        self.undo: Mapping[str, Do] = {
            "fetch": self._unfetch,
            "stop": self._start_old,
            "swap": self._swap_back,
            "load": self._down_new,
            "start": self._down_new,
        }

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._world.restic.unlock(run.text("target"))

    def _side(self, run: Run) -> Path:
        """The copy beside: on the same file system, so that the swap is a rename."""
        return self._world.settings.folders.data / ".restoring" / f"{run.plan.subject}-{run.job}"

    def _kept(self, run: Run) -> Path:
        return self._world.settings.folders.data / ".kept" / f"{run.plan.subject}-{run.job}"

    async def _copy(self, run: Run, home: Path) -> Stack:
        """The stack as it lies in `home`, with the choices that were saved with it."""
        name = run.plan.subject
        recipe = await self._world.shelf.recipe(name, home / ".gardien" / "compose")
        chosen = await self._world.shelf.chosen_in(home / ".gardien" / "chosen.yaml")
        return replace(await self._stacks.build(recipe, chosen), home=home)

    async def _look(self, run: Run) -> None:
        world, name, target = self._world, run.plan.subject, run.text("target")
        await disk.require(world, new_disk=bool(run.facts.get("new_disk")))
        await world.engine.ping()
        await self._targets.opened(target, reading=True)
        wanted = run.text("snapshot")
        found = [
            each for each in await world.restic.found(target, tags=tags(name, "final")) if each.id.startswith(wanted)
        ]
        if not found and not wanted:
            raise NotFound(
                N_("target {target} holds no backup of {stack}"),
                N_("Look whether `name` in gardien.yaml is the one this machine had when it was saved."),
                target=target,
                stack=name,
            )
        if not found or (wanted and len(found) > 1):
            raise NotFound(
                N_("target {target} holds no backup of {stack} that begins with “{snapshot}”"),
                N_("`gardien backup list {stack}` shows those that are there."),
                target=target,
                stack=name,
                snapshot=wanted,
            )
        files, size = await world.restic.contents(target, found[0].id)
        folder = world.settings.folders.data
        free = (await world.host.disk(folder)).free
        if free < size + HEADROOM:
            raise NoSpace(
                N_("{stack} needs {needed} GB on {folder}, and {free} GB are free: {missing} GB are missing"),
                N_("Make room or use a bigger disk. Nothing was touched."),
                stack=name,
                folder=str(folder),
                needed=_gb(size + HEADROOM),
                free=_gb(free),
                missing=_gb(size + HEADROOM - free),
            )
        await run.remember(
            snapshot=found[0].id,
            taken=found[0].taken.isoformat(),
            folder=found[0].paths[0],
            files=files,
            bytes=size,
        )

    async def _fetch(self, run: Run) -> None:
        side = self._side(run)
        await self._world.files.make_folder(side.parent, None, 0o700)
        await self._world.moments.make_room(side)
        await self._world.files.make_folder(side, None, 0o700)
        await self._world.restic.bring_back(
            run.text("target"), run.text("snapshot"), run.text("folder"), side, run.report
        )

    async def _unfetch(self, run: Run) -> None:
        await self._world.files.remove(self._side(run))

    async def _verify(self, run: Run) -> None:
        """restic has read back and compared every file's content; here: is it all, is it ours, are the dumps whole."""
        side, name = self._side(run), run.plan.subject
        files, size = await self._world.files.measure(side)
        if (files, size) != (run.facts["files"], run.facts["bytes"]):
            raise Damaged(
                N_("{stack} did not come back whole: {files} files instead of {expected}"),
                N_("Nothing was replaced. Try again, or restore an older backup: `gardien backup list {stack}`."),
                stack=name,
                files=files,
                expected=int(str(run.facts["files"])),
            )
        account = json.loads(await self._world.files.read(side / ".gardien" / "set.json") or "{}")
        if account.get("stack") != name or not 1 <= int(account.get("format", 0)) <= SET_FORMAT:
            raise Damaged(
                N_("this backup does not say that it is one of {stack}, or a newer gardien made it"),
                N_("Nothing was replaced. Choose another backup, or update gardien."),
                stack=name,
            )
        stack = await self._copy(run, side)
        for dump in stack.manifest.backup.dumps:
            await require_whole(self._world, stack, dump, dump)

    async def _images(self, run: Run) -> None:
        await self._stacks.fetch_images(await self._copy(run, self._side(run)), run)

    async def _stop(self, run: Run) -> None:
        stack = await self._copy(run, self._side(run))
        owner = self._world.settings.folders.owner
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

    async def _swap(self, run: Run) -> None:
        files, home, side = self._world.files, self._stacks.home(run.plan.subject), self._side(run)
        owner = self._world.settings.folders.owner
        if await files.exists(side):
            if run.facts["had_home"]:
                await files.make_folder(self._kept(run).parent, None, 0o700)
                await files.move(home, self._kept(run))
            for ours, _ in owner_files(run.plan.subject):
                if await files.exists(owner / ours):
                    await files.move(owner / ours, _before(owner / ours, run))
            await files.move(side, home)
        for ours, theirs in owner_files(run.plan.subject):
            text = await files.read(home / ".gardien" / theirs)
            if text is not None:
                await files.write(owner / ours, text)
        await files.make_folder(home, None, 0o700)
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

    async def _new(self, run: Run) -> Stack:
        return await self._copy(run, self._stacks.home(run.plan.subject))

    async def _load(self, run: Run) -> None:
        stack = await self._new(run)
        if not stack.manifest.restore.load:
            return
        await self._world.compose.up(stack, stack.manifest.restore.first)
        for load in stack.manifest.restore.load:
            source = stack.dumps / load.input if load.input else None
            await self._world.compose.run_in(stack, load.exec_, load.argv, user=load.user, input_=source)

    async def _down_new(self, run: Run) -> None:
        stack = await self._new(run)
        await self._door.leave(stack)
        await self._world.compose.down(stack)

    async def _start(self, run: Run) -> None:
        stack = await self._new(run)
        await self._world.compose.up(stack)
        await recipes.carry_out(self._world, stack, stack.manifest.restore.after)

    async def _gate(self, run: Run) -> None:
        stack = await self._new(run)
        await recipes.patiently(self._world, stack)
        await self._door.tend(opened=stack.name)

    async def _settle(self, run: Run) -> None:
        stack = await self._new(run)
        await self._stacks.want(stack.name, "running")
        await self._world.files.remove(stack.dumps)
        owner = self._world.settings.folders.owner
        for ours, _ in owner_files(stack.name):
            await self._world.files.remove(_before(owner / ours, run))
        run.done(
            N_("{stack} is back as of {taken}; it answers; {files} files, all verified"),
            stack=stack.manifest.title.given,
            taken=run.text("taken")[:16].replace("T", " "),
            files=int(str(run.facts["files"])),
        )
        try:
            joins.tell(run, await joins.connect(self._world, stack, await self._stacks.all()))
        except GardienError as error:  # the stack is back; that another one does not know it yet undoes nothing
            joins.tell(run, [error.says])


def _before(path: Path, run: Run) -> Path:
    """Where an owner's file waits while the restored one is on trial."""
    return path.with_name(f"{path.name}.before-{run.job}")


def _gb(size: int) -> float:
    return round(size / 1e9, 1)

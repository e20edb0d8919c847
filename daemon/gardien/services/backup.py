"""A backup: two passes and a short pause between them, so that people wait for seconds."""

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import datetime

from gardien import __version__
from gardien.errors import GardienError, Incomplete, Refused
from gardien.model.plan import Plan
from gardien.model.snapshot import Saved, Snapshot
from gardien.model.stack import Stack
from gardien.rules import plans
from gardien.rules.good import why_not_good
from gardien.services import disk, recipes
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner, Work
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_, Words

SET_FORMAT = 1  # of `.gardien/set.json`; a restore reads every format up to its own
DUMP_TAIL = 2048  # bytes in which a dump's last word must be found


class Backups:
    """Makes backups and remembers which of them count."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, targets: Targets) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._targets = targets
        self.work: Work = _Backup(world, stacks, targets)
        runner.teach("backup", self.work)

    async def plan(self, stack: str, target: str | None = None) -> Plan:
        """`target`: None for the first. Raises NotFound, Refused for a stack that does not say what is to be saved of
        it, and for a target that is filled from another one.
        """
        found = await self._stacks.get(stack)
        if not found.recipe.kept:
            raise Refused(
                N_("{stack} is not backed up: its Compose file does not say what to save"),
                N_("Write `x-gardien` into it, as docs/stacks.md shows."),
                stack=stack,
            )
        place = self._targets.known(target) if target is not None else self._targets.first()
        source = self._world.settings.targets[place].copy_of
        if source is not None:
            raise Refused(
                N_("{target} is filled from {source}: backups do not go there directly"),
                N_("Back up to {source}; the copy follows by itself."),
                target=place,
                source=source,
            )
        return plans.backup(found, place)

    async def create(self, stack: str, target: str | None = None) -> int:
        """Queue a backup; returns the job's number."""
        return await self._runner.submit(await self.plan(stack, target))

    async def list(self, stack: str | None = None) -> list[Snapshot]:
        """Newest first, as gardien remembers them."""
        return await self._world.store.snapshots(stack)


def tags(stack: str, pass_: str) -> tuple[str, ...]:
    """What a snapshot of `stack` bears, so that it is found again by plain restic too."""
    return (f"stack={stack}", f"pass={pass_}")


class _Backup:
    """How a backup is made."""

    def __init__(self, world: World, stacks: Stacks, targets: Targets) -> None:
        self._world = world
        self._stacks = stacks
        self._targets = targets
        self.do: Mapping[str, Do] = {
            "ready": self._ready,
            "live": self._live,
            "pause": self._pause,
            "dump": self._dump,
            "final": self._final,
            "resume": self._resume,
            "confirm": self._confirm,
            "tidy": self._tidy,
        }
        self.undo: Mapping[str, Do] = {
            "live": self._untraced,
            "pause": self._unpause,
        }

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._world.restic.unlock(run.text("target"))

    async def _ready(self, run: Run) -> None:
        world = self._world
        stack = await self._stacks.get(run.plan.subject)
        await disk.require(world)
        if stack.chosen.wanted == "stopped":
            raise Refused(
                N_("{stack} is switched off, and its database with it"),
                N_(
                    "Nothing changes while it is off. To save it all the same, start it: `gardien stack start {stack}`."
                ),
                stack=stack.name,
            )
        for path in stack.manifest.backup.save:
            if not await world.files.exists(stack.home / path):
                raise Incomplete(
                    N_("{stack} cannot be saved: its folder {path} is not there"),
                    N_("Look whether the data disk is mounted. The former backups are untouched."),
                    stack=stack.name,
                    path=path,
                )
        if stack.manifest.backup.pause or stack.manifest.backup.dumps:
            await world.engine.ping()
        await self._targets.opened(run.text("target"))
        await self._write_set(stack)
        await world.files.remove(stack.dumps)

    async def _write_set(self, stack: Stack) -> None:
        """What a bare machine needs beside the files: choices, secrets, versions, owners. All of it in the snapshot."""
        world = self._world
        images = {
            service: {"image": image, "id": await world.engine.image_id(image)}
            for service, image in (await self._stacks.images(stack)).items()
        }
        account = {
            "format": SET_FORMAT,
            "gardien": __version__,
            "restic": await world.restic.version(),
            "machine": world.settings.name,
            "stack": stack.name,
            "home": str(stack.home),
            "written": world.clock().isoformat(),
            "images": images,
            "folders": {path: owned.model_dump() for path, owned in stack.manifest.folders.items()},
            "save": list(stack.manifest.backup.save),
            "left_out": {path: reason.en for path, reason in stack.manifest.backup.leave_out.items()},
            "dumps": list(stack.manifest.backup.dumps),
        }
        owner = world.settings.folders.owner
        await world.files.make_folder(stack.inner, None, 0o700)
        await world.files.write(stack.inner / "set.json", json.dumps(account, indent=1) + "\n")
        for ours, theirs in owner_files(stack.name):
            text = await world.files.read(owner / ours)
            if text is not None:
                await world.files.write(stack.inner / theirs, text)

    async def _pass(self, run: Run, name: str, parent: str | None) -> Saved:
        stack, target = await self._stacks.get(run.plan.subject), run.text("target")
        limit = self._world.settings.targets[target].kib_per_second(self._world.clock().astimezone().time())
        return await self._world.restic.save(
            target,
            stack.home,
            tags=tags(stack.name, name),
            leave_out=tuple(stack.manifest.backup.leave_out),
            parent=parent,
            progress=run.report,
            kib_per_second=limit,
        )

    async def _live(self, run: Run) -> None:
        former = await self._former(run)
        saved = await self._pass(run, "live", former.id if former else None)
        await run.remember(live=saved.id)

    async def _former(self, run: Run) -> Snapshot | None:
        """The newest good one at this target."""
        target = run.text("target")
        good = await self._world.store.snapshots(run.plan.subject, good_only=True)
        return next((snapshot for snapshot in good if snapshot.target == target), None)

    async def _untraced(self, run: Run) -> None:
        await self._delete_dumps(run)
        await self._forget_live(run)
        # A lock that was on its way when restic was killed may have arrived at the host after `heal` looked.
        with contextlib.suppress(GardienError):
            await self._world.restic.unlock(run.text("target"))

    async def _forget_live(self, run: Run) -> None:
        """The first pass alone is no backup. If it cannot be forgotten (append-only), its tag says what it is."""
        live = run.facts.get("live")
        if live is not None:
            with contextlib.suppress(GardienError):
                await self._world.restic.forget(run.text("target"), [str(live)])

    async def _pause(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await run.remember(paused=self._world.clock().isoformat())
        await recipes.carry_out(self._world, stack, stack.manifest.backup.pause)

    async def _unpause(self, run: Run) -> None:
        """Whatever came between, the application ends up running and open."""
        stack = await self._stacks.get(run.plan.subject)
        if stack.chosen.wanted == "running":
            await self._world.compose.up(stack)
            await recipes.carry_out(self._world, stack, stack.manifest.backup.resume)

    async def _dump(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await self._world.files.make_folder(stack.dumps, None, 0o700)
        for name, dump in stack.manifest.backup.dumps.items():
            partial = stack.dumps / f"{name}.partial"
            await self._world.compose.run_in(stack, dump.exec_, dump.argv, user=dump.user, output=partial)
            await require_whole(self._world, stack, name, partial.name)
            await self._world.files.move(partial, stack.dumps / name)

    async def _delete_dumps(self, run: Run) -> None:
        """A dump is everybody's data in one plain file: it does not stay."""
        await self._world.files.remove((await self._stacks.get(run.plan.subject)).dumps)

    async def _final(self, run: Run) -> None:
        live = run.facts.get("live")
        former = await self._former(run)
        parent = str(live) if live is not None else former.id if former else None
        saved = await self._pass(run, "final", parent)
        await run.remember(
            final=saved.id,
            files=saved.files,
            bytes=saved.bytes,
            added=saved.added,
            missed=0 if saved.complete else max(1, len(saved.missed)),
            taken=self._world.clock().isoformat(),
        )

    async def _resume(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await recipes.carry_out(self._world, stack, stack.manifest.backup.resume)
        began = datetime.fromisoformat(run.text("paused"))
        await run.remember(pause_seconds=max(0.0, (self._world.clock() - began).total_seconds()))

    async def _confirm(self, run: Run) -> None:
        target, stack = run.text("target"), run.plan.subject
        id_ = run.text("final")
        listed = id_ in {found.id for found in await self._world.restic.found(target, tags=tags(stack, "final"))}
        missed = _number(run, "missed")
        saved = Saved(
            id=id_,
            files=int(_number(run, "files")),
            bytes=int(_number(run, "bytes")),
            added=int(_number(run, "added")),
            complete=not missed,
            missed=("",) * int(missed),
        )
        why = why_not_good(saved, await self._former(run), listed)
        snapshot = Snapshot(
            id=id_,
            stack=stack,
            target=target,
            taken=datetime.fromisoformat(run.text("taken")),
            files=saved.files,
            bytes=saved.bytes,
            added=saved.added,
            pause_seconds=_number(run, "pause_seconds"),
            good=why is None,
            why=why,
            version=__version__,
        )
        await self._world.store.add_snapshot(snapshot)
        if why is not None:
            raise Incomplete(
                N_("this backup of {stack} is incomplete and does not count: {why}"),
                N_("The former backups are untouched. Look at the disk and at the application, then back up again."),
                stack=stack,
                why=why,
            )

    async def _tidy(self, run: Run) -> None:
        await self._delete_dumps(run)
        await self._forget_live(run)
        stack = await self._stacks.get(run.plan.subject)
        run.says = Words.of(
            N_("{stack} is saved: {files} files, paused for {seconds} seconds"),
            stack=stack.manifest.title.given,
            files=int(_number(run, "files")),
            seconds=round(_number(run, "pause_seconds"), 1),
        )


def owner_files(stack: str) -> tuple[tuple[str, str], ...]:
    """Where the owner's files of a stack lie, and under which names they lie in the snapshot."""
    return (f"stacks/{stack}.yaml", "chosen.yaml"), (f"secrets/{stack}.env", "secrets.env")


async def require_whole(world: World, stack: Stack, name: str, file: str) -> None:
    """Raises Incomplete unless the dump's last lines hold the word that only a whole one ends on."""
    tail = await world.files.tail(stack.dumps / file, DUMP_TAIL)
    if not re.search(stack.manifest.backup.dumps[name].whole, tail, re.MULTILINE):
        raise Incomplete(
            N_("the database of {stack} could not be written out whole ({dump})"),
            N_("Look whether the database runs and the disk has room: `gardien stack logs {stack}`."),
            stack=stack.name,
            dump=name,
        )


def _number(run: Run, fact: str) -> float:
    value = run.facts.get(fact, 0)
    return float(value) if isinstance(value, int | float) else 0.0

"""A backup: two passes and a short pause between them, so that people wait for seconds.

Where the file system can hold a moment, one pass, of that moment, when the application is open again.
"""

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from gardien import __version__
from gardien.errors import BadInput, GardienError, Incomplete, NotFound, Refused, TargetUnreachable
from gardien.model.plan import Json, Plan
from gardien.model.snapshot import Saved, Snapshot
from gardien.model.stack import Stack
from gardien.rules import plans
from gardien.rules.good import SHRUNK, why_not_good
from gardien.services import account, disk, recipes
from gardien.services.account import tags
from gardien.services.care import ALL
from gardien.services.clock import correction
from gardien.services.ports import OnProgress, World
from gardien.services.runner import Do, Run, Runner, Work
from gardien.services.second_pass import SecondPass
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_, Words

DUMP_TAIL = 2048  # bytes in which a dump's last word must be found
MOST_MISSED = 100  # files that could not be read are remembered by name


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
        found = await self._stacks.kept(stack)
        place = self._targets.known(target) if target is not None else self._targets.first()
        source = self._world.settings.targets[place].copy_of
        if source is not None:
            raise Refused(
                N_("{target} is filled from {source}: backups do not go there directly"),
                N_("Back up to {source}; the copy follows by itself."),
                target=place,
                source=source,
            )
        return plans.backup(found, place, moment=await self._world.moments.can_hold(found.home))

    async def create(self, stack: str, target: str | None = None) -> int:
        """Queue a backup; returns the job's number."""
        return await self._runner.submit(await self.plan(stack, target))

    async def list(
        self,
        stack: str | None = None,
        target: str | None = None,
        most: int = ALL,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        good_only: bool = False,
    ) -> list[Snapshot]:
        """Newest first, as gardien remembers them."""
        return await self._world.store.snapshots(
            stack, target=target, good_only=good_only, since=since, until=until, most=most
        )

    async def find(self, beginning: str) -> Snapshot:
        """The one whose id begins so. Raises NotFound, BadInput where several do."""
        found = await self._world.store.snapshots(begins=beginning, most=2)
        if not found:
            raise NotFound(
                N_("there is no backup whose id begins with {id}"),
                N_("`gardien backup list` shows them."),
                id=beginning,
            )
        if len(found) > 1:
            raise BadInput(
                N_("{number} backups have an id that begins with {id}"),
                N_("Write more of it: `gardien backup list` shows them."),
                number=len(found),
                id=beginning,
            )
        return found[0]

    async def accept(self, beginning: str) -> Snapshot:
        """The owner's word that so much was meant to go: the backup counts, and the next ones are held against it.

        Raises what `find` does, and Refused for one that is incomplete for another reason.
        """
        found = await self.find(beginning)
        if found.good:
            return found
        if not shrunk(found):
            raise Refused(
                N_("this backup cannot be made to count: {why}"),
                N_("Only one that is much smaller than the one before it can. Back up again: `gardien backup create`."),
                why=found.why or Words.of(N_("it is incomplete")),
            )
        accepted = replace(found, good=True, why=None)
        await self._world.store.add_snapshot(accepted)
        await account.unmark(self._world, accepted)
        return accepted


def shrunk(snapshot: Snapshot) -> bool:
    """Whether it does not count only because so much is gone since the one before it: its owner may know why."""
    return snapshot.why is not None and snapshot.why.text == SHRUNK


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
            "moment": self._hold,
            "final": self._final,
            "resume": self._resume,
            "send": self._send,
            "save": self._save,
            "confirm": self._confirm,
            "tidy": self._tidy,
        }
        self.undo: Mapping[str, Do] = {
            "ready": self._untraced,
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
        await world.files.remove(stack.dumps)
        await world.moments.let_go(self._moment(stack))
        if run.facts.get("moment"):
            await world.files.make_folder(self._moment(stack).parent, None, 0o700)
            await self._settle(run)

    async def _settle(self, run: Run) -> None:
        """See that the target is the one we know; only then is anything written on this machine."""
        await self._targets.opened(run.text("target"))
        await account.write(self._world, self._stacks, await self._stacks.get(run.plan.subject))

    def _moment(self, stack: Stack) -> Path:
        """Always the same one, for restic's sake: it knows a file by its path."""
        return self._world.settings.folders.data / ".moment" / stack.name

    async def _pass(  # noqa: PLR0917
        self,
        run: Run,
        name: str,
        parent: str | None,
        begin: Awaitable[object] | None = None,
        opened: Callable[[], None] | None = None,
        report: OnProgress | None = None,
    ) -> Saved:
        """`opened`: somebody waits for it; else it has all the time it needs."""
        stack, target = await self._stacks.get(run.plan.subject), run.text("target")
        now = self._world.clock()
        return await self._world.restic.save(
            target,
            self._moment(stack) if run.facts.get("moment") else stack.home,
            tags=tags(stack.name, name),
            leave_out=tuple(stack.manifest.backup.leave_out),
            parent=parent,
            progress=report or run.report,
            kib_per_second=self._world.settings.targets[target].kib_per_second(now.astimezone().time()),
            persistent=opened is None,
            begin=begin,
            opened=opened,
            at=correction(now),
        )

    async def _alone(self, run: Run, name: str) -> Saved:
        """A pass that nobody waits for. While it opens the repository we look whether it is the one we know.

        For one of a held moment we have looked before the pause.
        """
        former = await self._former(run)
        parent = former.id if former else None
        if run.facts.get("moment"):
            return await self._pass(run, name, parent)
        known = asyncio.create_task(self._settle(run))
        settled = asyncio.shield(known)
        settled.add_done_callback(lambda each: each.cancelled() or each.exception())  # nobody may come to ask it
        try:
            return await self._pass(run, name, parent, settled)
        except GardienError:
            await known  # it says more to the point what is wrong with the target
            raise
        finally:
            known.cancel()
            await asyncio.gather(known, return_exceptions=True)

    async def _live(self, run: Run) -> None:
        """Alone it is no backup, and its tag says so; it stays for a day, so that a backup needs no right to delete."""
        saved = await self._alone(run, "live")
        await run.remember(live=saved.id, live_files=saved.files, live_added=saved.added)

    async def _former(self, run: Run) -> Snapshot | None:
        """The newest good one at this target."""
        good = await self._world.store.snapshots(run.plan.subject, target=run.text("target"), good_only=True, most=1)
        return good[0] if good else None

    async def _untraced(self, run: Run) -> None:
        if (second := _second(run)) is not None:
            await second.end()
        await self._clear(run)
        # A lock that was on its way when restic was killed may have arrived at the host after `heal` looked.
        with contextlib.suppress(GardienError):
            await self._world.restic.unlock(run.text("target"))

    async def _clear(self, run: Run) -> None:
        """A dump is everybody's data in one plain file: it does not stay."""
        stack = await self._stacks.get(run.plan.subject)
        await self._world.files.remove(stack.dumps)
        await self._world.moments.let_go(self._moment(stack))

    async def _pause(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        if not run.facts.get("moment"):
            save = partial(self._pass, run, "final", run.text("live"))
            run.seen["second"] = second = SecondPass(save, run.report, int(_number(run, "live_files")))
            await second.opened()
        await run.remember(paused=self._world.clock().isoformat())
        await _beside(run, self._stop_people(stack))

    async def _stop_people(self, stack: Stack) -> None:
        await recipes.carry_out(self._world, stack, stack.manifest.backup.pause)

    async def _unpause(self, run: Run) -> None:
        """Whatever came between, the application ends up running and open; soonest where it still runs."""
        stack = await self._stacks.get(run.plan.subject)
        if "paused" not in run.facts or "pause_seconds" in run.facts or stack.chosen.wanted != "running":
            return
        try:
            await recipes.carry_out(self._world, stack, stack.manifest.backup.resume)
        except GardienError:
            await self._world.compose.up(stack)
            await recipes.carry_out(self._world, stack, stack.manifest.backup.resume)

    async def _dump(self, run: Run) -> None:
        await _beside(run, self._write_out(await self._stacks.get(run.plan.subject)))

    async def _write_out(self, stack: Stack) -> None:
        await self._world.files.make_folder(stack.dumps, None, 0o700)
        for name, dump in stack.manifest.backup.dumps.items():
            partial = stack.dumps / f"{name}.partial"
            await self._world.compose.run_in(stack, dump.exec_, dump.argv, user=dump.user, output=partial)
            await require_whole(self._world, stack, name, partial.name)
            await self._world.files.move(partial, stack.dumps / name)

    async def _hold(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await self._world.moments.hold(stack.home, self._moment(stack))

    async def _final(self, run: Run) -> None:
        """If this fails or is cut short, the pass ends only when the application is open again: in the last undo."""
        second = _second(run)
        if second is None:
            return await self._save(run)
        try:
            await second.read()
            await self._note_gone(run)
        except TimeoutError as error:
            raise TargetUnreachable(
                N_("the backup target {target} did not answer while the application was paused"),
                N_("People work again, the former backups are untouched. Look at the line to it, then back up again."),
                target=run.text("target"),
            ) from error

    async def _send(self, run: Run) -> None:
        second = _second(run)
        assert second is not None  # after a crash we do not come here
        await self._saved(run, await second.sent())

    async def _save(self, run: Run) -> None:
        saved = await self._alone(run, "final")
        await self._note_gone(run)
        await self._saved(run, saved)

    async def _note_gone(self, run: Run) -> None:
        """A folder that is not there is nothing to restic: it would call the backup complete."""
        stack = await self._stacks.get(run.plan.subject)
        home = self._moment(stack) if run.facts.get("moment") else stack.home
        saved = stack.manifest.backup.save
        if gone := [str(stack.home / path) for path in saved if not await self._world.files.exists(home / path)]:
            await run.remember(gone=list[Json](gone))

    async def _saved(self, run: Run, saved: Saved) -> None:
        missed = [*_names(run, "gone"), *saved.missed]
        await run.remember(
            final=saved.id,
            files=saved.files,
            bytes=saved.bytes,
            added=saved.added + int(_number(run, "live_added")),
            missed=list[Json](missed[:MOST_MISSED]),
            unread=len(missed) or int(not saved.complete),
            taken=self._world.clock().isoformat(),
        )

    async def _resume(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await recipes.carry_out(self._world, stack, stack.manifest.backup.resume)
        began = datetime.fromisoformat(run.text("paused"))
        await run.remember(pause_seconds=max(0.0, (self._world.clock() - began).total_seconds()))

    async def _confirm(self, run: Run) -> None:
        target, stack = run.text("target"), run.plan.subject
        id_, unread = run.text("final"), int(_number(run, "unread"))
        found = await self._world.restic.found(target, tags=tags(stack, "final"))
        listed = next((each for each in found if each.id == id_), None)
        missed = _names(run, "missed")
        saved = Saved(
            id=id_,
            files=int(_number(run, "files")),
            bytes=int(_number(run, "bytes")),
            added=int(_number(run, "added")),
            complete=not unread,
            missed=missed + ("",) * (unread - len(missed)),
        )
        why = why_not_good(saved, await self._former(run), listed is not None)
        snapshot = Snapshot(
            id=id_,
            stack=stack,
            target=target,
            taken=listed.taken if listed is not None else datetime.fromisoformat(run.text("taken")),
            files=saved.files,
            bytes=saved.bytes,
            added=saved.added,
            pause_seconds=_number(run, "pause_seconds"),
            good=why is None,
            why=why,
            version=__version__,
            missed=missed,
        )
        await self._world.store.add_snapshot(snapshot)
        if why is not None:
            await account.mark(self._world, snapshot)
            raise Incomplete(
                N_("this backup of {stack} is incomplete and does not count: {why}"),
                _SHRUNK_REMEDY if shrunk(snapshot) else _INCOMPLETE_REMEDY,
                stack=stack,
                id=id_[:8],
                why=why,
            )

    async def _tidy(self, run: Run) -> None:
        await self._clear(run)
        stack = await self._stacks.get(run.plan.subject)
        run.says = Words.of(
            N_("{stack} is saved: {files} files, paused for {seconds} seconds"),
            stack=stack.manifest.title.given,
            files=int(_number(run, "files")),
            seconds=round(_number(run, "pause_seconds"), 1),
        )


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


_INCOMPLETE_REMEDY = N_(
    "The former backups are untouched. Look at the disk and at the application, then back up again."
)
_SHRUNK_REMEDY = N_(
    "The former backups are untouched. If nobody deleted so much, look at the disk and at the application. If it is "
    "right, say so: `gardien backup accept {id}`."
)


def _second(run: Run) -> SecondPass | None:
    found = run.seen.get("second")
    return found if isinstance(found, SecondPass) else None


async def _beside(run: Run, work: Coroutine[Any, Any, None]) -> None:
    """People wait: should the second pass die meanwhile, they do not wait for the rest."""
    second = _second(run)
    await (work if second is None else second.beside(work))


def _number(run: Run, fact: str) -> float:
    value = run.facts.get(fact, 0)
    return float(value) if isinstance(value, int | float) else 0.0


def _names(run: Run, fact: str) -> tuple[str, ...]:
    value = run.facts.get(fact)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()

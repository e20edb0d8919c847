"""The trial restore: a stack's newest backup is brought back beside what runs, started where nothing leads out, asked,
and taken away again. So we know that it comes back, before anybody needs it.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath

from gardien.errors import (
    CommandFailed,
    Damaged,
    DumpBroken,
    GardienError,
    Incomplete,
    NoMemory,
    NoSpace,
    NotFound,
    NotHealthy,
    Refused,
    unexpected,
)
from gardien.model.plan import Json, Plan
from gardien.model.proof import Outcome, Proof
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Stack
from gardien.rules import drill
from gardien.rules.env import read_env
from gardien.services import disk, recipes, side
from gardien.services.account import owner_files, tags
from gardien.services.care import ALL
from gardien.services.clock import believed
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_, Words

log = logging.getLogger(__name__)

NOTE = "drills"  # under which key the store notes since when there are trial restores
LINES = 40  # of what a copy printed last, where it does not come up


class Drills:
    """Tries backups, and remembers what was proven."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, targets: Targets) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        runner.teach("drill", _Drill(world, stacks, targets))

    async def plan(self, stack: str) -> Plan:
        """Raises NotFound, also where there is no good backup yet; Refused for a stack that is not backed up."""
        found = await self._stacks.kept(stack)
        snapshot = await newest(self._world, stack)
        if snapshot is None:
            raise NotFound(
                N_("there is no good backup of {stack} yet that could be tried"),
                N_("Make one: `gardien backup create {stack}`."),
                stack=stack,
            )
        return drill.plan(found, snapshot)

    async def create(self, stack: str) -> int:
        """Queue a trial restore of the newest good backup; returns the job's number."""
        return await self._runner.submit(await self.plan(stack))

    def now(self) -> datetime:
        """By the house's clock."""
        return self._world.clock()

    async def list(
        self, stack: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Proof]:
        """Newest first, by when they ended."""
        return await self._world.store.proofs(stack, since=since, until=until, most=ALL)


async def newest(world: World, stack: str) -> Snapshot | None:
    """The backup that a trial would take now."""
    until, targets = believed(world.clock()), dict(world.settings.targets)
    good = [
        each
        for target in targets
        for each in await world.store.snapshots(stack, target=target, good_only=True, until=until, most=1)
    ]
    return drill.choice(good, targets)


async def since(world: World) -> datetime:
    """Since when this house has trial restores: nothing is owed for the time before."""
    noted = await world.store.noted(NOTE)
    if noted is None:
        noted = world.clock().isoformat()
        await world.store.note(NOTE, noted)
    return datetime.fromisoformat(noted)


class _Drill:
    """How a backup is tried. Nothing in here knows the folder, the project or the lease of the stack that runs."""

    def __init__(self, world: World, stacks: Stacks, targets: Targets) -> None:
        self._world = world
        self._stacks = stacks
        self._targets = targets
        steps = {
            "look": self._look,
            "fetch": self._fetch,
            "verify": self._verify,
            "images": self._images,
            "apart": self._apart,
            "load": self._load,
            "start": self._start,
            "gate": self._gate,
        }
        self.do: Mapping[str, Do] = {name: self._told(step) for name, step in steps.items()} | {"away": self._away}
        self.undo: Mapping[str, Do] = {"fetch": self._unfetch, "load": self._unload}

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._world.restic.unlock(run.text("target"))

    def _told(self, do: Do) -> Do:
        """What fails is written down with its reason; after a trial that this machine cannot carry nothing is done."""

        async def told(run: Run) -> None:
            if "skipped" in run.facts:
                return
            try:
                await do(run)
            except Exception as error:
                wrapped = error if isinstance(error, GardienError) else unexpected(error)
                await self._note(run, _outcome(wrapped), wrapped.says, wrapped.remedy, wrapped.code)
                raise

        return told

    async def _note(  # noqa: PLR0917
        self, run: Run, outcome: Outcome, says: Words, remedy: Words, code: str | None, ended: datetime | None = None
    ) -> None:
        now = self._world.clock()
        await self._world.store.add_proof(
            Proof(
                job=run.job,
                stack=run.plan.subject,
                target=run.text("target"),
                snapshot=run.text("snapshot"),
                taken=datetime.fromisoformat(run.text("taken")),
                began=datetime.fromisoformat(run.text("began")) if "began" in run.facts else now,
                ended=ended or now,
                outcome=outcome,
                says=says,
                remedy=remedy,
                code=code,
                files=int(str(run.facts.get("files", 0))),
                bytes=int(str(run.facts.get("bytes", 0))),
                dumps=_names(run, "dumps"),
                asked=_names(run, "asked"),
            )
        )

    # -- where it lies, and what it is called

    def _room(self, run: Run) -> Path:
        """All of it is in here: the copy, and the project that is run."""
        return self._world.settings.folders.data / ".drill" / f"{run.plan.subject}-{run.job}"

    def _home(self, run: Run) -> Path:
        return self._room(run) / "copy"

    def _project(self, stack: str) -> str:
        """No stack's: their names hold no underscore."""
        return f"{self._world.settings.docker.prefix}_drill_{stack}"

    async def _saved(self, run: Run) -> Stack:
        """The stack as it came back, under the project's own name."""
        copy = await side.stack_in(self._world, self._stacks, run.plan.subject, self._home(run))
        return replace(copy, project=self._project(copy.name))

    async def _tried(self, run: Run) -> Stack:
        """The copy as it is run: its project, set apart, lies in a folder of its own. Its probes ask the containers."""
        saved = await self._saved(run)
        ports = {str(port): (str(to), int(str(at))) for port, to, at in _rows(run, "ports")}
        askable = drill.askable(saved, ports)
        addresses = await self._world.engine.addresses(saved.project)
        probes = {name: drill.redirected(saved, each, ports, addresses) for name, each in askable.items()}
        recipe = replace(
            saved.recipe,
            folder=self._room(run) / "project",
            kept=False,
            manifest=saved.manifest.model_copy(update={"probes": probes}),
        )
        return replace(saved, recipe=recipe)

    # -- the steps

    async def _look(self, run: Run) -> None:
        world, name, target = self._world, run.plan.subject, run.text("target")
        await run.remember(began=world.clock().isoformat())
        await disk.require(world)
        await world.engine.ping()
        await self._clear(run)
        await self._targets.opened(target, reading=True)
        listed = await world.restic.found(target, tags=tags(name, "final"))
        found = next((each for each in listed if each.id == run.text("snapshot")), None)
        if found is None:
            raise Damaged(
                N_("{target} does not list the newest backup of {stack} any more"),
                N_("Back up again now: `gardien backup create {stack}`; and ask the host of {target}."),
                target=target,
                stack=name,
            )
        _, size = await world.restic.contents(target, found.id)
        free = (await world.host.disk(world.settings.folders.data)).free
        why = drill.too_little(await self._stacks.get(name), size, free, world.host.memory_free())
        if why is not None:
            await run.remember(skipped=True)
            remedy = Words.of(N_("Nothing is wrong with the backup. It is tried again at its next time."))
            await self._note(run, "skipped", why, remedy, None)
            run.says = why
            return
        await run.remember(folder=found.paths[0])

    async def _clear(self, run: Run) -> None:
        """What a trial may have left behind that could not be undone, years ago: there is one at a time."""
        world = self._world
        await world.engine.wipe(self._project(run.plan.subject))
        soon = world.clock() + timedelta(days=1)
        for folder in await world.files.older_than(self._room(run).parent, soon):
            await world.engine.wipe(self._project(folder.name.rpartition("-")[0]))
            await world.files.remove(folder)

    async def _fetch(self, run: Run) -> None:
        for folder in (self._room(run).parent, self._room(run), self._home(run)):
            await self._world.files.make_folder(folder, None, 0o700)
        await self._world.restic.bring_back(
            run.text("target"), run.text("snapshot"), run.text("folder"), self._home(run), run.report
        )

    async def _unfetch(self, run: Run) -> None:
        await self._world.files.remove(self._room(run))

    async def _verify(self, run: Run) -> None:
        """The very same as before a restore."""
        name, target = run.plan.subject, run.text("target")
        source = side.Source(target, run.text("snapshot"), run.text("folder"))
        try:
            _, like = await side.verify(self._world, self._stacks, name, self._home(run), source)
        except Incomplete as error:
            raise DumpBroken(
                N_("the newest backup of {stack} at {target} cannot be restored: its database is not whole"),
                _REMEDY,
                stack=name,
                target=target,
                detail=str(error),
            ) from error
        except Damaged as error:
            raise Damaged(
                N_("the newest backup of {stack} at {target} cannot be restored: {why}"),
                _REMEDY,
                stack=name,
                target=target,
                why=error.says,
                detail=error.detail,
            ) from error
        await run.remember(files=like.files, bytes=like.bytes)

    async def _images(self, run: Run) -> None:
        await self._stacks.fetch_images(await self._saved(run), run)

    async def _apart(self, run: Run) -> None:
        files, saved, project = self._world.files, await self._saved(run), self._room(run) / "project"
        secrets, _ = read_env(await files.read(saved.inner / owner_files(saved.name)[1][1]) or "")
        await self._stacks.furnish(saved, secrets)
        model = await self._world.compose.model(saved)
        apart = drill.apart(model, saved.project, saved.home)
        for source in drill.sources(apart):
            inside = PurePosixPath(source.relative_to(saved.home))
            # A link would be followed by Docker: it may lead into what runs.
            if await files.kind_beneath(saved.home, inside) not in {"file", "folder"}:
                raise Damaged(
                    N_("this backup of {stack} holds something else where {path} should be"),
                    _REMEDY,
                    stack=saved.name,
                    path=str(inside),
                )
        ports = drill.published(model)
        asked = drill.askable(saved, ports)
        if not asked:
            raise Refused(
                N_("nothing of {stack} can be asked in a copy of it"),
                N_("Give it a probe that asks a port of its own on 127.0.0.1, or runs a command: docs/drill.md."),
                stack=saved.name,
            )
        await files.make_folder(project, None, 0o700)
        await files.write(project / "compose.yaml", json.dumps(apart))
        await run.remember(ports=[[port, to, at] for port, (to, at) in ports.items()])

    async def _load(self, run: Run) -> None:
        stack = await self._tried(run)
        restore = stack.manifest.restore
        if not restore.load:
            return
        await self._up(run, stack, restore.first)
        try:
            await recipes.load(self._world, stack)
        except CommandFailed as error:
            raise DumpBroken(
                N_("the newest backup of {stack} at {target} cannot be restored: its database cannot be loaded"),
                _REMEDY,
                stack=stack.name,
                target=run.text("target"),
                detail=error.detail,
            ) from error
        await run.remember(dumps=[load.input for load in restore.load if load.input])

    async def _unload(self, run: Run) -> None:
        await self._world.engine.wipe(self._project(run.plan.subject))

    async def _start(self, run: Run) -> None:
        stack = await self._tried(run)
        await self._up(run, stack)
        stack = await self._tried(run)  # now its containers have addresses
        after = [each for each in stack.manifest.restore.after if each.wait is None or each.wait in _probes(stack)]
        try:
            await recipes.carry_out(self._world, stack, after)
        except (CommandFailed, NotHealthy) as error:
            raise await self._unwell(run, stack, error) from error

    async def _up(self, run: Run, stack: Stack, services: Sequence[str] = ()) -> None:
        try:
            await self._world.compose.up(stack, services)
        except NotHealthy as error:
            raise await self._unwell(run, stack, error) from error

    async def _gate(self, run: Run) -> None:
        stack = await self._tried(run)
        try:
            await recipes.patiently(self._world, stack)
        except NotHealthy as error:
            raise await self._unwell(run, stack, error) from error
        await run.remember(asked=list[Json](_probes(stack)), proven=self._world.clock().isoformat())

    async def _unwell(self, run: Run, stack: Stack, error: GardienError) -> NotHealthy:
        """With what the copy printed last: in a moment it is gone."""
        try:
            printed = await self._world.compose.logs(stack, LINES)
        except GardienError:
            printed = ""
        return NotHealthy(
            N_("the newest backup of {stack} at {target} came back, but the application does not start from it: {why}"),
            _REMEDY,
            stack=stack.name,
            target=run.text("target"),
            why=error.says,
            detail="\n".join(filter(None, (error.detail, printed))),
        )

    async def _away(self, run: Run) -> None:
        await self._unload(run)
        await self._unfetch(run)
        if "skipped" in run.facts:
            return
        proven = datetime.fromisoformat(run.text("proven"))
        stack = await self._stacks.get(run.plan.subject)
        says = Words.of(
            N_(
                "{stack} can be restored: its backup of {taken} came back and answered, in {took}; {files} files "
                "compared"
            ),
            stack=stack.manifest.title.given,
            taken=run.text("taken")[:16].replace("T", " "),
            took=(proven - datetime.fromisoformat(run.text("began"))).total_seconds(),
            files=int(str(run.facts["files"])),
        )
        await self._note(run, "proven", says, Words.of(""), None, proven)
        run.says = says


_REMEDY = N_(
    "What runs is untouched. Back up again now: `gardien backup create {stack}`; then try that one: `gardien drill "
    "{stack}`. If that fails too, ask the person who helps you."
)


def _outcome(error: GardienError) -> Outcome:
    """A machine that is too small says nothing of the backup."""
    return "skipped" if isinstance(error, NoSpace | NoMemory) else "failed"


def _probes(stack: Stack) -> list[str]:
    return list(stack.manifest.probes)


def _names(run: Run, fact: str) -> tuple[str, ...]:
    value = run.facts.get(fact)
    return tuple(str(each) for each in value) if isinstance(value, list) else ()


def _rows(run: Run, fact: str) -> list[list[Json]]:
    value = run.facts.get(fact)
    return [each for each in value if isinstance(each, list)] if isinstance(value, list) else []

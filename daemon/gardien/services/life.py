"""The life of a stack: added, started, stopped, set otherwise, mended, removed."""

import logging
import re
import secrets
import string
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from gardien.errors import BadInput, GardienError, PortTaken, Refused
from gardien.model.plan import Json, Plan
from gardien.model.stack import Chosen, Stack
from gardien.rules import names, plans, room
from gardien.rules.kinds import check_settings
from gardien.services import disk, joins, recipes
from gardien.services.backup import Backups
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.stacks import Stacks, added_note
from gardien.words import N_, Value, Words

log = logging.getLogger(__name__)

LETTERS = string.ascii_letters + string.digits
MB = 1_000_000


class Life:
    """What can be done to a stack. Each `plan_…` says what would be done; its namesake queues it: a job's number."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, backups: Backups, door: Doorkeeper) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._backups = backups
        work = _Work(world, runner, stacks, backups, door)
        for kind in ("add", "start", "stop", "restart", "mend", "set", "remove"):
            runner.teach(kind, work)

    async def plan_add(self, name: str, settings: Mapping[str, str], *, anyway: bool = False) -> Plan:
        """`anyway`: the owner says that memory and disk will do.

        Raises NotFound, BadInput (all faults at once), Refused if it is there already or does not fit, NoSpace.
        """
        recipe = await self._stacks.recipe(name)
        if await self._world.shelf.chosen(name) is not None:
            raise _here_already(name)
        check_settings(recipe, settings)
        images = {key: value for key, value in settings.items() if key in recipe.image_defaults}
        chosen = {key: value for key, value in settings.items() if key not in images}
        stack = await self._stacks.build(recipe, Chosen(settings=chosen, images=images))
        others = await self._stacks.all()
        if stack.manifest.door is not None and (doors := [each for each in others if each.manifest.door is not None]):
            raise Refused(
                N_("this house has a door already: {stack}"), N_("One is enough for all stacks."), stack=doors[0].name
            )
        _agree(self._world, stack, others)
        if not anyway:
            await self._require_room(stack, others)
        return plans.add(
            stack, dict(chosen), dict(images), joins.leases(stack, others), joins.details(stack, [stack, *others])
        )

    async def add(self, name: str, settings: Mapping[str, str], *, anyway: bool = False) -> int:
        return await self._runner.submit(await self.plan_add(name, settings, anyway=anyway))

    async def _require_room(self, stack: Stack, others: list[Stack]) -> None:
        world = self._world
        facts = await world.engine.facts()
        folder = world.settings.folders.data
        data, images = await world.host.disk(folder), await world.host.disk(facts.root)
        if not data.present:  # the first stack makes it
            data = await world.host.disk(folder.parent)
        there = room.Room(
            memory=world.host.memory() // MB,
            data=data.free // MB,
            images=images.free // MB if images.present else data.free // MB,
            one_disk=not images.present or data.device == images.device,
        )
        running = [each.recipe for each in others if each.chosen.wanted == "running"]
        here = not await self._stacks.missing_images(stack)
        room.require(stack.recipe, running, there, images_here=here)

    async def plan_start(self, name: str) -> Plan:
        """Raises NotFound."""
        return plans.start(await self._stacks.get(name))

    async def start(self, name: str) -> int:
        return await self._runner.submit(await self.plan_start(name))

    async def plan_stop(self, name: str) -> Plan:
        """Raises NotFound."""
        return plans.stop(await self._stacks.get(name))

    async def stop(self, name: str) -> int:
        return await self._runner.submit(await self.plan_stop(name))

    async def plan_restart(self, name: str) -> Plan:
        """Raises NotFound, Refused if it is switched off."""
        return plans.restart(await self._on(name))

    async def restart(self, name: str) -> int:
        return await self._runner.submit(await self.plan_restart(name))

    async def plan_mend(self, name: str) -> Plan:
        """Raises NotFound, Refused if it is switched off, DockerDown."""
        stack = await self._on(name)
        drift = await self._stacks.drift(stack, await self._world.engine.containers([stack.project]))
        others = await self._stacks.all()
        return plans.mend(
            stack, tuple(str(each) for each in drift), joins.leases(stack, others), joins.details(stack, others)
        )

    async def mend(self, name: str) -> int:
        return await self._runner.submit(await self.plan_mend(name))

    async def _on(self, name: str) -> Stack:
        stack = await self._stacks.get(name)
        if stack.chosen.wanted == "stopped":
            raise Refused(N_("{stack} is switched off"), N_("`gardien stack start {stack}` starts it."), stack=name)
        return stack

    async def plan_set(self, name: str, values: Mapping[str, str]) -> Plan:
        """`values`: settings and images; an image that is "" is the shipped one again.

        Raises NotFound, BadInput (all faults at once), Refused if nothing would change.
        """
        former = await self._stacks.get(name)
        raw = await self._world.shelf.chosen(name)
        assert raw is not None
        shipped = [key for key, value in values.items() if value == "" and key in former.recipe.image_defaults]
        values = {key: value for key, value in values.items() if key not in shipped}
        check_settings(former.recipe, values)
        images = {key: value for key, value in raw.images.items() if key not in shipped}
        images |= {key: value for key, value in values.items() if key in former.recipe.image_defaults}
        settings = raw.settings | {key: value for key, value in values.items() if key not in images}
        stack = await self._stacks.build(former.recipe, raw.model_copy(update={"settings": settings, "images": images}))
        before, after = {**former.settings, **former.images}, {**stack.settings, **stack.images}
        differences = [f"{key}: {before[key]} -> {after[key]}" for key in after if before[key] != after[key]]
        if not differences:
            raise Refused(
                N_("nothing would change for {stack}"),
                N_("`gardien stack show {stack}` shows its settings."),
                stack=name,
            )
        others = await self._stacks.all()
        _agree(self._world, stack, others)
        facts: dict[str, Json] = {
            "settings": dict(settings),
            "images": dict(images),
            "former": {"settings": dict(raw.settings), "images": dict(raw.images)},
        }
        return plans.set_(stack, facts, tuple(differences), joins.leases(stack, others), joins.details(stack, others))

    async def set(self, name: str, values: Mapping[str, str]) -> int:
        return await self._runner.submit(await self.plan_set(name, values))

    async def plan_remove(self, name: str, *, with_data: bool = False, last_backup: bool = True) -> Plan:
        """Raises NotFound, Refused if a last backup is wished for and cannot be made."""
        stack = await self._stacks.get(name)
        backup: Plan | None = None
        if last_backup and stack.recipe.kept:
            try:
                backup = await self._backups.plan(name)
            except GardienError as error:
                raise Refused(
                    N_("no last backup of {stack} can be made before it goes: {why}"),
                    N_("Set up a backup target, or remove it without: --no-backup."),
                    stack=name,
                    why=error.says,
                ) from error
        leases = joins.leases(stack, await self._stacks.all())
        return plans.remove(stack, backup, leases, with_data=with_data)

    async def remove(self, name: str, *, with_data: bool = False, last_backup: bool = True) -> int:
        return await self._runner.submit(await self.plan_remove(name, with_data=with_data, last_backup=last_backup))

    async def bring_back(self) -> None:
        """Start what is meant to run and does not: after a power cut, after Docker was away. The door goes first."""
        stacks = [stack for stack in await self._stacks.all() if stack.chosen.wanted == "running"]
        containers = await self._world.engine.containers([stack.project for stack in stacks])
        busy = {job.plan.subject for job in await self._world.store.jobs(open_only=True)}
        running = {(each.project, each.service) for each in containers if each.state == "running"}
        for stack in sorted(stacks, key=lambda stack: (stack.manifest.door is None, bool(stack.manifest.with_))):
            missing = [service for service in stack.recipe.services if (stack.project, service) not in running]
            if missing and stack.name not in busy:
                log.warning("%s does not run (%s): starting it", stack.name, ", ".join(missing))
                await self.start(stack.name)


def _here_already(name: str) -> Refused:
    return Refused(N_("the stack {stack} is here already"), N_("`gardien stack start {stack}` starts it."), stack=name)


def _agree(world: World, stack: Stack, others: list[Stack]) -> None:
    """Raises `Faults` when its names are somebody else's, or do not suit the door; a door must suit all others."""
    others = [other for other in others if other.name != stack.name]
    if stack.manifest.door is not None:
        others = [replace(other, given={**other.given, **stack.given}, doorless=False) for other in others]
    for judged in (stack, *(others if stack.manifest.door is not None else ())):
        taken: dict[str, Value] = {
            domain: other.manifest.title.given
            for other in (stack, *others)
            if other.name != judged.name
            for domain in names.domains(other).values()
        }
        if page := world.settings.page.published_as:
            taken[page] = Words.of(N_("the status page"))
        names.require(judged, taken)


class _Work:
    """How each step of a life is done. What is alike in two kinds of jobs is the same step."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, backups: Backups, door: Doorkeeper) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._backup = backups.work
        self._door = door
        self.do: Mapping[str, Do] = {
            **self._backup.do,
            "check": self._check,
            "images": self._images,
            "write": self._write,
            "up": self._up,
            "gate": self._gate,
            "setup": self._setup,
            "join": self._join,
            "restart": self._restart,
            "down": self._down,
            "forget": self._forget,
            "wipe": self._wipe,
        }
        self.undo: Mapping[str, Do] = {
            **self._backup.undo,
            "write": self._unwrite,
            "up": self._undo_up,
            "down": self._undo_down,
        }

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        if "target" in run.facts:
            await self._backup.heal(run)

    async def _stack(self, run: Run) -> Stack:
        """As the job wants it: what it was given goes before what is written down."""
        name = run.plan.subject
        if run.plan.kind == "add":
            return await self._stacks.build(await self._stacks.recipe(name), _chosen(run.facts))
        stack = await self._stacks.get(name)
        if run.plan.kind == "set":
            return await self._stacks.build(stack.recipe, _chosen(run.facts, stack.chosen))
        return stack

    async def _check(self, run: Run) -> None:
        stack = await self._stack(run)
        if run.plan.kind == "add" and await self._world.shelf.chosen(stack.name) is not None:
            raise _here_already(stack.name)  # asked for twice: the second must not undo what the first made
        await disk.require(self._world)
        await self._world.engine.ping()
        if run.plan.kind not in ("add", "set"):
            return
        ours: dict[str, str] = {}
        if run.plan.kind == "set":
            ours = (await self._stacks.get(stack.name)).settings
        for name, setting in stack.manifest.settings.items():
            port = stack.settings[name]
            if setting.kind != "port" or ours.get(name) == port:
                continue
            if not self._world.host.port_free("127.0.0.1", int(port)):
                raise PortTaken(
                    N_("port {port} is taken by another program, and {stack} needs it for {name}"),
                    N_("Stop the other program, or choose another port: --set {name}=NUMBER."),
                    port=port,
                    stack=stack.name,
                    name=name,
                )

    async def _images(self, run: Run) -> None:
        await self._stacks.fetch_images(await self._stack(run), run)

    # -- settings

    async def _write(self, run: Run) -> None:
        stack = await self._stack(run)
        if run.plan.kind == "add":
            await self._make(stack, run)
            await self._stacks.deploy(stack)
            await self._world.shelf.choose(stack.name, _chosen(run.facts))
        else:
            if run.plan.kind == "set":
                await self._world.shelf.choose(stack.name, _chosen(run.facts, stack.chosen))
            await self._stacks.furnish(stack)
        await self._door.prepare(stack)

    async def _make(self, stack: Stack, run: Run) -> None:
        """Its secrets: those that are there stay, for ever."""
        name = stack.name
        kept = await self._world.shelf.secrets(name)
        if "made_home" not in run.facts:
            await run.remember(
                made_home=not await self._world.files.exists(self._stacks.home(name)), made_secrets=not kept
            )
        missing = {
            key: "".join(secrets.choice(LETTERS) for _ in range(secret.length))
            for key, secret in stack.manifest.secrets.items()
            if key not in kept
        }
        if missing:
            await self._world.shelf.set_secrets(name, kept | missing)

    async def _unwrite(self, run: Run) -> None:
        name = run.plan.subject
        if run.plan.kind == "set":
            former = run.facts["former"]
            assert isinstance(former, dict)
            stack = await self._stacks.get(name)
            await self._world.shelf.choose(name, _chosen(former, stack.chosen))
            stack = await self._stacks.get(name)
            await self._stacks.furnish(stack)
            if stack.chosen.wanted == "running":
                await self._world.compose.up(stack)
            await self._door.tend()
            return
        await self._world.shelf.choose(name, None)
        if run.facts.get("made_home") and await self._world.files.exists(self._stacks.home(name)):
            await self._stacks.set_aside(name, run.job)
        if run.facts.get("made_secrets"):
            await self._world.shelf.set_secrets(name, None)

    # -- up and down

    async def _up(self, run: Run) -> None:
        if run.plan.kind in ("start", "remove"):
            stack = await self._stacks.get(run.plan.subject)
            if "was" not in run.facts:
                await run.remember(was=stack.chosen.wanted)
            await self._stacks.want(stack.name, "running")
            await self._stacks.furnish(stack)
        stack = await self._stacks.get(run.plan.subject)
        await self._door.step_back(stack)
        await self._world.compose.up(stack)
        await self._door.tend()

    async def _undo_up(self, run: Run) -> None:
        """What ran before goes on running: a start that found a running stack unwell does not stop it."""
        if run.plan.kind == "add":
            await self._door.leave(await self._stacks.get(run.plan.subject))
            await self._world.compose.down(await self._stacks.get(run.plan.subject))
        elif run.facts.get("was") == "stopped":
            await self._world.compose.stop(await self._stacks.get(run.plan.subject))
            await self._stacks.want(run.plan.subject, "stopped")

    async def _gate(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        await recipes.patiently(self._world, stack)
        if run.plan.kind == "add":
            await self._world.store.note(added_note(stack.name), self._world.clock().isoformat())
        await self._door.tend(opened=stack.name)
        if run.plan.kind in ("add", "set") and stack.manifest.door is not None:
            await self._pass_on(stack)
        if stack.recipe.kept:
            run.done(N_("{stack} runs and answers"), stack=stack.manifest.title.given)
        else:
            run.done(N_("{stack} runs; it is not backed up yet"), stack=stack.manifest.title.given)

    async def _pass_on(self, door: Stack) -> None:
        """What the door tells the other stacks may be different now."""
        all_ = await self._stacks.all()
        for other in all_:
            if other.name != door.name and other.recipe.kept and other.chosen.wanted == "running":
                plan = plans.mend(other, (), joins.leases(other, all_), joins.details(other, all_))
                await self._runner.submit(plan)

    async def _setup(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        joins.tell(run, await recipes.carry_out(self._world, stack, stack.manifest.setup))

    async def _join(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        joins.tell(run, await joins.connect(self._world, stack, await self._stacks.all()))

    async def _restart(self, run: Run) -> None:
        await self._world.compose.restart(await self._stacks.get(run.plan.subject))

    async def _down(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        if "was" not in run.facts:
            await run.remember(was=stack.chosen.wanted)
        if run.plan.kind == "remove":
            await joins.disconnect(self._world, stack, await self._stacks.all())
            await self._door.leave(stack)
            await self._world.compose.down(stack)
        else:
            await self._stacks.want(stack.name, "stopped")
            await self._world.compose.stop(stack)
            await self._door.tend()
        run.done(N_("{stack} is stopped"), stack=stack.manifest.title.given)

    async def _undo_down(self, run: Run) -> None:
        if run.facts.get("was") == "running":
            await self._stacks.want(run.plan.subject, "running")
            await self._world.compose.up(await self._stacks.get(run.plan.subject))
            await self._door.tend()

    # -- the end

    async def _forget(self, run: Run) -> None:
        name = run.plan.subject
        await self._world.shelf.choose(name, None)
        await self._world.store.note(f"first-login:{name}", "")
        await self._door.tend()
        run.done(
            N_("{stack} is off the list; its files are still in {folder}, its backups where they were"),
            stack=name,
            folder=str(self._stacks.home(name)),
        )

    async def _wipe(self, run: Run) -> None:
        """Out of the way in one move first: half a folder must never be taken for a stack's. What restores replaced
        goes too.
        """
        name, files = run.plan.subject, self._world.files
        if await files.exists(self._stacks.home(name)):
            await self._stacks.set_aside(name, run.job)
        await self._world.shelf.set_secrets(name, None)
        kept = self._world.settings.folders.data / ".kept"
        for folder in await files.older_than(kept, self._world.clock() + timedelta(days=1)):
            if re.fullmatch(rf"{re.escape(name)}-\d+", folder.name):
                await files.remove(folder)
        run.done(N_("{stack} is gone with its files; its backups are where they were"), stack=name)


def _chosen(facts: Mapping[str, Json], before: Chosen | None = None) -> Chosen:
    """`before`: what else was chosen stays."""
    settings, images = facts["settings"], facts["images"]
    if not isinstance(settings, dict) or not isinstance(images, dict):
        raise BadInput(N_("this job's journal does not name its settings"))
    kept = (before or Chosen()).model_dump()
    return Chosen.model_validate({**kept, "settings": settings, "images": images})

"""What gardien does about an application that stays down: restarts it, a few times and ever more rarely, then leaves it
alone.

What was tried is written down before it is done: whenever we die, it was never tried more often than we know.
"""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gardien.errors import GardienError
from gardien.model.health import Answer, Container, StackHealth
from gardien.model.rescue import Event, Mishap, Rescue
from gardien.model.stack import Stack
from gardien.rules import restarts
from gardien.services import disk, recipes
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.stacks import Stacks
from gardien.words import N_

log = logging.getLogger(__name__)

ASK_EVERY = 60.0  # seconds between two questions whether it is at work on itself


@dataclass(frozen=True, slots=True)
class Sight:
    """What the watchman saw of a stack besides its health."""

    containers: Sequence[Container]
    answers: Mapping[str, Answer]
    up_since: datetime | None  # when the newest of its containers started
    held: bool  # a job is at it, or waits for it


class Rescues:
    """Called by the watchman for every stack at every look; does nothing for what is well."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, door: Doorkeeper) -> None:
        self._world = world
        self._runner = runner
        self._known: dict[str, Rescue] = {}
        self._asked: dict[str, float] = {}
        self._writing = asyncio.Lock()
        runner.teach("revive", _Work(world, stacks, door, self))

    async def of(self, name: str) -> Rescue:
        """What is known of a stack."""
        if name not in self._known:
            self._known[name] = await rescue_of(self._world, name)
        return self._known[name]

    async def _keep(self, name: str, rescue: Rescue) -> bool:
        """Whether it is anything new."""
        if self._known.get(name) == rescue:
            return False
        async with self._writing:
            self._known[name] = rescue
            await self._world.store.note(note(name), json.dumps(rescue.as_json()))
        return True

    async def look(self, stack: Stack, health: StackHealth, sight: Sight) -> bool:
        """Whether anything is new that people should see."""
        now = self._world.clock()
        before = await self.of(stack.name)
        await self._keep(stack.name, restarts.seen(before, health.health, health.says, now))
        if await self._is_due(stack, health, sight, now):
            await self._restart(stack, sight, now)
        return await self.of(stack.name) != before

    async def _is_due(self, stack: Stack, health: StackHealth, sight: Sight, now: datetime) -> bool:
        rescue = await self.of(stack.name)
        due = restarts.next_try(rescue, restart_after(self._world, stack))
        if due is None or due > now or sight.held or health.health not in ("ailing", "down"):
            return False
        if sight.up_since is not None and _starts_until(stack, sight, sight.up_since) > now:
            return False
        return not await self._at_work(stack, rescue)

    async def _at_work(self, stack: Stack, rescue: Rescue) -> bool:
        clock = asyncio.get_running_loop().time()
        if clock - self._asked.get(stack.name, float("-inf")) < ASK_EVERY:
            return rescue.at_work
        self._asked[stack.name] = clock
        found = await is_at_work(self._world, stack)
        if found != rescue.at_work:
            log.info("%s says that it is%s at work on itself", stack.name, "" if found else " not")
            await self._keep(stack.name, replace(rescue, at_work=found))
        return found

    async def _restart(self, stack: Stack, sight: Sight, now: datetime) -> None:
        rescue = await self.of(stack.name)
        service = None if rescue.tries else restarts.ailing_service(stack, sight.containers, sight.answers)
        log.warning("%s stays down: restarting %s", stack.name, service or "all of it")
        self._asked.pop(stack.name, None)
        await self._keep(stack.name, rescue.tried(now))
        await self._runner.submit(restarts.plan(stack, service))

    async def tell(self, stack: Stack, event: Event, *, held: bool) -> bool:
        """Something befell a container of it. What a job does to it, or its owner wanted, is no mishap."""
        if event.what == "started" or (event.what == "died" and (held or stack.chosen.wanted == "stopped")):
            return False
        now = self._world.clock()
        mishap = Mishap(event.what, event.service, now, event.limit)
        return await self._keep(stack.name, restarts.with_mishap(await self.of(stack.name), mishap, now))

    async def heard(self, name: str, lines: tuple[str, ...]) -> None:
        """What it printed last."""
        await self._keep(name, replace(await self.of(name), lines=lines))

    async def forget(self, present: set[str]) -> None:
        """Nothing is known of a stack that is off the list."""
        for name in self._known.keys() - present:
            await self._world.store.unnote(note(name))
            del self._known[name]


def note(name: str) -> str:
    """Under which key the store notes what befell a stack."""
    return f"rescue:{name}"


async def rescue_of(world: World, name: str) -> Rescue:
    """What the store knows."""
    noted = await world.store.noted(note(name))
    return Rescue.from_json(json.loads(noted)) if noted else Rescue()


def restart_after(world: World, stack: Stack) -> float:
    """Seconds; 0: never. A project that does not say how it is asked may have parts that end as they should."""
    return float(world.settings.limits.restart_after) if stack.manifest.probes else 0.0


async def is_at_work(world: World, stack: Stack) -> bool:
    """Whether the application says that it is upgrading itself; one that says nothing is not."""
    return any([(await world.probes.ask(stack, probe)).ok for probe in stack.manifest.at_work])


def _starts_until(stack: Stack, sight: Sight, up_since: datetime) -> datetime:
    """Until when it may still be starting, however it came to start."""
    probes = stack.manifest.probes
    unwell = [probes[name].start_period for name, answer in sight.answers.items() if name in probes and not answer.ok]
    return up_since + timedelta(seconds=max(unwell, default=0.0))


class _Work:
    """How the steps of a restart are done. None is taken back: what is down cannot be brought further down."""

    def __init__(self, world: World, stacks: Stacks, door: Doorkeeper, rescues: Rescues) -> None:
        self._world = world
        self._stacks = stacks
        self._door = door
        self._rescues = rescues
        self.do: Mapping[str, Do] = {"look": self._look, "restart": self._restart, "gate": self._gate}
        self.undo: Mapping[str, Do] = {}

    async def heal(self, run: Run) -> None:
        """Nothing is held outside."""

    async def _look(self, run: Run) -> None:
        """Is it still down? It may have come back while this job waited, or begun to work on itself."""
        stack = await self._stacks.get(run.plan.subject)
        await disk.require(self._world)
        await self._world.engine.ping()
        answers = await recipes.ask_all(self._world, stack)
        idle = stack.chosen.wanted == "stopped" or all(each.ok for each in answers.values())
        if idle or await is_at_work(self._world, stack):
            await run.remember(idle=True)
            return
        with suppress(GardienError):
            await self._rescues.heard(stack.name, restarts.cleaned(await self._said(run, stack)))

    async def _said(self, run: Run, stack: Stack) -> str:
        service = run.facts.get("service")
        return await self._world.compose.logs(stack, restarts.LINES * 3, str(service) if service else None)

    async def _restart(self, run: Run) -> None:
        if run.facts.get("idle"):
            return
        stack = await self._stacks.get(run.plan.subject)
        service = run.facts.get("service")
        compose = self._world.compose
        services = [str(service)] if service else list(stack.recipe.services)
        await self._door.step_back(stack)
        await compose.restart(stack, services)
        await compose.start(stack, services)  # what was not even there
        await self._door.tend()

    async def _gate(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        if run.facts.get("idle"):
            run.done(N_("{stack} was left as it is: nothing was to be done any more"), stack=stack.manifest.title.given)
            return
        longest = max(probe.start_period for probe in stack.manifest.probes.values())
        await recipes.patiently(self._world, stack, timeout=min(longest, float(self._world.settings.limits.healthy)))
        run.done(N_("{stack} runs and answers"), stack=stack.manifest.title.given)

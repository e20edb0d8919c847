"""The watchman: looks at every stack and disk, writes down what changed, opens and closes alerts."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gardien.errors import DockerDown, GardienError, MemoryFailed
from gardien.model.health import Answer, Container, StackHealth, Stretch
from gardien.model.job import Job
from gardien.model.move import Move, note_of
from gardien.model.rescue import Event
from gardien.model.stack import Stack
from gardien.rules import release_alerts, stack_alerts, verdict
from gardien.rules.health import Seen, answered, health_of, prolonged
from gardien.services import page_tls, recipes
from gardien.services.clock import HouseClock
from gardien.services.door import Doorkeeper
from gardien.services.feed import Feed
from gardien.services.life import Life
from gardien.services.overview import Overviews, drift_note
from gardien.services.ports import World
from gardien.services.readings import Readings
from gardien.services.rescue import Rescues, Sight
from gardien.services.stacks import Stacks
from gardien.services.witness import Witness
from gardien.words import N_, Words

log = logging.getLogger(__name__)

LISTEN_AGAIN = 15.0  # seconds, after Docker was away
TICK = 5.0  # seconds between two looks at the engine, while anything moves or is not well
CALM = 30.0  # seconds between two looks while all is well and no probe is due; what dies is heard at once
SETTLE_EVERY = 60.0  # seconds between two looks at the disks and at what is owed, when nothing moves
COMPARE_EVERY = 900.0  # seconds between two comparisons of what runs with what was set up
BEGUN_ANEW = "begun-anew"  # under which the store notes when it replaced a damaged one
MOST_WAITING = 100  # stretches of a stack, while the store takes nothing
WRITE_EVERY = 60.0  # seconds after which an unchanged health is written again, so that its age stays true


@dataclass(slots=True)
class _Memory:
    """What is remembered of one stack between two looks."""

    answers: dict[str, Answer] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    asked: dict[str, float] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)  # when each probe's newest answer came
    stretches: dict[str, Stretch] = field(default_factory=dict)  # those that last
    over: list[Stretch] = field(default_factory=list)  # and those that ended and are not written yet
    containers: frozenset[str] = frozenset()
    up_since: datetime | None = None
    written: float = 0.0
    compared: frozenset[str] = frozenset()
    compared_at: float = float("-inf")


class Watch:
    """Runs as one task for the daemon's life; `look` can be asked for at any time."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        stacks: Stacks,
        life: Life,
        door: Doorkeeper,
        rescues: Rescues,
        readings: Readings,
        witness: Witness,
        overviews: Overviews,
        feed: Feed,
    ) -> None:
        self._world = world
        self._stacks = stacks
        self._life = life
        self._door = door
        self._rescues = rescues
        self._readings = readings
        self._witness = witness
        self._overviews = overviews
        self._feed = feed
        self._memory: dict[str, _Memory] = {}
        self._settled_at = float("-inf")
        self._docker_answered = False
        self._limits_memory = True
        self._hurry = asyncio.Event()
        self.wait = TICK  # seconds from the last look to the next
        self._looking = asyncio.Lock()

    async def run(self) -> None:
        """Look, for ever."""
        listeners = [asyncio.create_task(each) for each in (self._look_when_a_job_moves(), self._hear_docker())]
        try:
            while True:
                self._hurry.clear()  # before the look: what happens during it may be too late for it
                try:
                    await self.look()
                except MemoryFailed as error:
                    log.warning("%s", error)
                except Exception:
                    log.exception("a look at the house failed")
                # Not `wait_for`: before Python 3.12 it may swallow that we are to end.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.wait):
                        await self._hurry.wait()
        finally:
            for each in listeners:
                each.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)

    async def _hear_docker(self) -> None:
        """What befalls containers, as it happens: a list of them shows only what is."""
        while True:
            try:
                async with contextlib.aclosing(self._world.engine.events()) as events:
                    async for event in events:
                        await self._take(event)
            except DockerDown:
                pass  # the looks tell of that
            except Exception:
                log.exception("what befalls containers could not be heard")
            await asyncio.sleep(LISTEN_AGAIN)

    async def _take(self, event: Event) -> None:
        stack = next((each for each in await self._stacks.all() if each.project == event.project), None)
        if stack is None:
            return
        if event.what == "started":
            self._memory.setdefault(stack.name, _Memory()).up_since = self._world.clock()
        if await self._rescues.tell(stack, event, held=stack.name in await self._held()):
            self._settled_at = float("-inf")
            self._hurry.set()

    async def _held(self) -> set[str]:
        """The stacks at which a job is, or for which one waits."""
        return {name for job in await self._world.store.jobs(open_only=True) for name in _stacks_of(job)}

    async def _look_when_a_job_moves(self) -> None:
        async for topic in self._feed.listen():
            if topic == "job":
                for memory in self._memory.values():
                    memory.asked.clear()
                    memory.compared_at = float("-inf")
                self._settled_at = float("-inf")
                self._hurry.set()

    async def look(self) -> None:
        """One look at everything that is due. `wait` says after how many seconds the next one is."""
        async with self._looking:
            self.wait = TICK
            try:
                await self._look()
            except MemoryFailed as error:
                self._witness.saw(error)
                raise

    async def _look(self) -> None:
        stacks = await self._stacks.all()
        try:
            containers: list[Container] | None = await self._world.engine.containers([each.project for each in stacks])
        except DockerDown:
            containers = None
        await self._greet_docker(containers is not None)
        leases = await self._world.store.leases()
        busy = {
            job.plan.subject: job.plan.kind
            for job in await self._world.store.jobs(open_only=True)
            if leases.get(f"stack:{job.plan.subject}") == job.id  # not one that waits behind it
        }
        former = await self._world.store.healths()
        healths = await asyncio.gather(
            *(self._health(stack, containers, former.get(stack.name), busy.get(stack.name)) for stack in stacks)
        )
        moved = await self._write(healths, former)
        if containers is not None:
            moved |= await self._rescue(stacks, healths, containers)
        if containers is not None:
            for stack in stacks:
                if stack.name not in busy:
                    try:
                        await self._look_for_drift(stack, containers)
                    except GardienError as error:
                        log.warning("%s could not be compared with its settings: %s", stack.name, error)
        clock = asyncio.get_running_loop().time()
        if moved or clock - self._settled_at >= SETTLE_EVERY:
            self._settled_at = clock
            await self._settle_alerts(docker_answers=containers is not None)
        if not (busy or moved) and all(health.health in ("well", "stopped") for health in healths):
            self.wait = self._until_due(stacks)

    def _until_due(self, stacks: Sequence[Stack]) -> float:
        """Seconds until a probe is due, where all is well."""
        clock = asyncio.get_running_loop().time()
        due = (
            self._memory[stack.name].asked.get(name, clock) + probe.period - clock
            for stack in stacks
            if stack.name in self._memory and self._memory[stack.name].containers
            for name, probe in stack.manifest.probes.items()
        )
        return min(CALM, max(TICK, min(due, default=CALM)))

    async def _greet_docker(self, answers: bool) -> None:
        """At our start, and whenever Docker was away: what is meant to run is started, should it not come by itself."""
        if answers and not self._docker_answered:
            self._limits_memory = (await self._world.engine.facts()).memory_limits
            await self._life.bring_back()
        self._docker_answered = answers

    async def _look_for_drift(self, stack: Stack, containers: Sequence[Container]) -> None:
        """When containers came or went, and now and then: asking Compose takes a while."""
        memory = self._memory.setdefault(stack.name, _Memory())
        clock = asyncio.get_running_loop().time()
        present = frozenset(each.id for each in containers if each.project == stack.project)
        if present == memory.compared and clock - memory.compared_at < COMPARE_EVERY:
            return
        memory.compared, memory.compared_at = present, clock
        found = await self._stacks.drift(stack, containers) if stack.chosen.wanted == "running" and present else []
        if tuple(found) != await self._overviews.drift(stack.name):
            await self._world.store.note(drift_note(stack.name), json.dumps([each.as_json() for each in found]))
            self._settled_at = float("-inf")
            self._feed.changed("health")

    async def _health(
        self, stack: Stack, containers: Sequence[Container] | None, former: StackHealth | None, job: str | None
    ) -> StackHealth:
        now = self._world.clock()
        if containers is None:
            since = former.since if former and former.health == "unknown" else now
            return StackHealth(stack.name, "unknown", Words.of(N_("Docker does not answer")), since, now)
        memory = self._memory.setdefault(stack.name, _Memory())
        ours = [each for each in containers if each.project == stack.project]
        ids = frozenset(each.id for each in ours if each.state == "running")
        if ids != memory.containers:
            memory.containers = ids
            memory.up_since = now if ids else None
            memory.asked.clear()
            if not ids:
                memory.answers.clear()
        if ids:
            await self._ask(stack, memory, former)
        seen = Seen(ours, dict(memory.answers), dict(memory.failures), memory.up_since, job)
        health = health_of(stack, seen, former, now)
        for probe, answer in answered(stack, seen, health).items():
            before = memory.stretches.get(probe)
            at = memory.heard.get(probe, now) if ids and probe else now
            memory.stretches[probe] = prolonged(before, stack, probe, answer, at)
            if before is not None and before.began != memory.stretches[probe].began:
                memory.over = [*memory.over[-MOST_WAITING:], before]
        return health

    async def _ask(self, stack: Stack, memory: _Memory, former: StackHealth | None) -> None:
        """Ask the probes that are due; a stack that is not well is asked at each look."""
        clock = asyncio.get_running_loop().time()
        well = former is not None and former.health == "well"
        due = {
            name: probe
            for name, probe in stack.manifest.probes.items()
            if not well or clock - memory.asked.get(name, float("-inf")) >= probe.period
        }
        for name, answer in (await recipes.ask_all(self._world, stack, due)).items():
            memory.asked[name] = clock
            memory.heard[name] = self._world.clock()
            memory.answers[name] = answer
            memory.failures[name] = 0 if answer.ok else memory.failures.get(name, 0) + 1

    async def _rescue(
        self, stacks: Sequence[Stack], healths: Sequence[StackHealth], containers: Sequence[Container]
    ) -> bool:
        """Whether anything is new of what befell a stack, or is done about it."""
        ill = any(health.health in ("ailing", "down") for health in healths)
        held, moved = await self._held() if ill else set(), False
        for stack, health in zip(stacks, healths, strict=True):
            memory = self._memory.setdefault(stack.name, _Memory())
            ours = [each for each in containers if each.project == stack.project]
            sight = Sight(ours, dict(memory.answers), memory.up_since, stack.name in held)
            try:
                moved |= await self._rescues.look(stack, health, sight)
            except GardienError as error:
                log.warning("nothing could be done about %s: %s", stack.name, error)
        await self._rescues.forget({stack.name for stack in stacks})
        if moved:
            self._feed.changed("health")
        return moved

    async def _write(self, healths: Sequence[StackHealth], former: dict[str, StackHealth]) -> bool:
        """Whether a stack's health moved."""
        clock = asyncio.get_running_loop().time()
        changed = []
        any_moved = False
        for health in healths:
            before = former.get(health.stack)
            memory = self._memory.setdefault(health.stack, _Memory())
            moved = before is None or (before.health, before.says) != (health.health, health.says)
            if moved or clock - memory.written >= WRITE_EVERY:
                memory.written = clock
                changed.append(health)
                if moved:
                    any_moved = True
                    log.info("%s: %s, %s", health.stack, health.health, health.says)
        if changed:
            memories = [self._memory.setdefault(health.stack, _Memory()) for health in changed]
            fresh = [each for memory in memories for each in (*memory.over, *memory.stretches.values())]
            await self._world.store.set_health(changed, fresh)
            for memory in memories:
                memory.over.clear()
            self._feed.changed("health")
        return any_moved

    async def _settle_alerts(self, *, docker_answers: bool) -> None:
        """Open what is owed, close what is over."""
        store, now = self._world.store, self._world.clock()
        disks = await self._readings.disks()
        await store.set_disks(disks, now)
        newest: dict[tuple[str, ...], Job] = {}
        for job in await store.jobs(most=200):
            if job.over:
                newest.setdefault(verdict.job_key(job), job)
        clock_wrong = isinstance(self._world.clock, HouseClock) and self._world.clock.wrong
        begun = await store.noted(BEGUN_ANEW)
        house = [
            *verdict.of_memory_limits(self._limits_memory),
            *verdict.of_clock(clock_wrong),
            *verdict.of_page_certificate(await self._new_certificate(), now),
            *verdict.of_new_beginning(datetime.fromisoformat(begun) if begun else None, now),
            *self._door.owed,
            *verdict.of_letters(await store.letters(waiting=True), now),
            *await self._overviews.owed(now),
        ]
        stacks = await self._overviews.stacks()
        owed = verdict.owed(
            stacks,
            await self._overviews.targets(),
            now=now,
            docker_answers=docker_answers,
            last_jobs=list(newest.values()),
            house=[
                *house,
                *release_alerts.of_own(await self._own_move(), now),
                *release_alerts.of_news(stacks, now),
                *(stack_alerts.of_stacks(stacks, now) if docker_answers else ()),
            ],
        )
        before = {alert.key: alert for alert in await store.alerts()}
        owed = self._readings.with_the_machine(owed, before.keys())
        for each in owed:
            known = before.get(each.key)
            if known is None or (known.says, known.severity, known.remedy) != (each.says, each.severity, each.remedy):
                await store.open_alert(each.key, each.severity, each.says, each.remedy, now)
                self._feed.changed("alert")
        for key in before.keys() - {each.key for each in owed}:
            await store.close_alert(key, now)
            self._feed.changed("alert")

    async def _new_certificate(self) -> datetime | None:
        settings = self._world.settings
        if not settings.page.beyond_loopback:
            return None
        return page_tls.renewed(await self._world.files.read(page_tls.file_of(settings)))

    async def _own_move(self) -> Move | None:
        """The last update of gardien itself, as the process that made it wrote it down."""
        text = await self._world.files.read(note_of(self._world.settings.folders.state))
        with contextlib.suppress(ValueError, KeyError, TypeError, AssertionError):
            return Move.from_json(json.loads(text)) if text is not None else None
        return None


def _stacks_of(job: Job) -> set[str]:
    return {job.plan.subject, *(lease[6:] for lease in job.plan.leases if lease.startswith("stack:"))}

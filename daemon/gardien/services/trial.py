"""A new version on trial: started, asked, watched. What is its fault keeps it from being tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from gardien.errors import CommandFailed, DockerDown, GardienError, NoMemory, NotHealthy, UpdateFailed
from gardien.model.manifest import ImageRule, Probe
from gardien.model.release import Verdict
from gardien.model.stack import Stack
from gardien.rules import plan_update, restarts
from gardien.services import recipes
from gardien.services.door import Doorkeeper
from gardien.services.ports import World
from gardien.services.releases import Releases
from gardien.services.rescue import is_at_work
from gardien.services.runner import Do, Run
from gardien.services.stacks import Stacks
from gardien.services.vigil import Vigil
from gardien.words import N_, Words

log = logging.getLogger(__name__)

LINES = 40  # of what it printed last
DEATHS_STARTING, DEATHS_WATCHED = 3, 2  # of one service, by itself
ASK_EVERY = 2.0  # seconds between two looks
UNWELL_FOR = 60.0  # seconds in a row, while it is watched; at most a quarter of the watch
GIVEN_UP = 3  # looks in a row at which the application says that it gave up


class Trial:
    """The steps `up`, `gate`, `after` and `watch`. Docker that goes is waited for: that is no version's fault."""

    def __init__(self, world: World, stacks: Stacks, door: Doorkeeper, releases: Releases) -> None:
        self._world = world
        self._stacks = stacks
        self._door = door
        self._releases = releases
        self.do: Mapping[str, Do] = {
            "up": self._judged(self._up),
            "gate": self._judged(self._gate),
            "after": self._judged(self._after),
            "watch": self._judged(self._watch),
        }

    # -- the steps

    async def _up(self, run: Run) -> None:
        """All but the background jobs. What says that it is at work on itself is waited for."""
        await run.remember(started=True)
        stack = await self._stacks.get(run.plan.subject)
        await self._door.step_back(stack)
        async with Vigil(self._world, stack, DEATHS_STARTING) as vigil:
            await self._patiently(run, stack, vigil, lambda: self._start(run, stack, vigil))
        await self._door.tend()

    async def _gate(self, run: Run) -> None:
        """People are let in when it is passed."""
        stack = await self._stacks.get(run.plan.subject)
        async with Vigil(self._world, stack, DEATHS_STARTING) as vigil:
            await self._until_well(run, stack, vigil)
        if "away" not in run.facts:
            closed = datetime.fromisoformat(run.text("closed"))
            await run.remember(away=(self._world.clock() - closed).total_seconds())
        await self._door.tend(opened=stack.name)

    async def _after(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        rules = await self._releases.rules(stack)

        async def finish() -> None:
            await recipes.carry_out(self._world, stack, rules.after)
            await run.remember(all_up=True)
            if rules.stop_first:
                await self._start(run, stack, vigil)

        async with Vigil(self._world, stack, DEATHS_STARTING) as vigil:
            await self._patiently(run, stack, vigil, finish)

    async def _watch(self, run: Run) -> None:
        """From the beginning, however often: ten minutes with a hole in them are not ten minutes watched."""
        stack = await self._stacks.get(run.plan.subject)
        probes, length = await self._probes(run, stack), float(self._world.settings.limits.watch_update)
        patience = min(UNWELL_FOR, length / 4)
        async with Vigil(self._world, stack, DEATHS_WATCHED) as vigil:
            await self._until_well(run, stack, vigil)
            began, unwell_since = _now(), None
            while _now() - began < length or unwell_since is not None:
                await asyncio.sleep(min(ASK_EVERY, length / 10))
                vigil.require()
                if vigil.docker_went:
                    await self._until_well(run, stack, vigil)
                why = await self._unwell(run, stack, probes, vigil)
                unwell_since = None if why is None else unwell_since or _now()
                if unwell_since is not None and _now() - unwell_since >= patience:
                    raise _not_healthy(run, why)

    # -- how it is

    async def _patiently(self, run: Run, stack: Stack, vigil: Vigil, work: Callable[[], Awaitable[None]]) -> None:
        """`work`, again while Docker is away, or the application says that it is at work on itself."""
        deadline = await self._deadline(stack)
        while True:
            try:
                return await work()
            except (DockerDown, NotHealthy, CommandFailed) as error:
                vigil.require()
                # It may be back by now, and what it carried down with it says anything but that.
                waits = vigil.docker_went or await self._docker_went(error) or await is_at_work(self._world, stack)
                if not waits or _now() >= deadline:
                    raise
                log.warning("job %s: %s: trying once more: %s", run.job, stack.name, error)
            await asyncio.sleep(ASK_EVERY)
            vigil.docker_went = False
            if await self._down(run, stack, vigil) is not None:
                await self._reconcile(run, stack, vigil)

    async def _start(self, run: Run, stack: Stack, vigil: Vigil) -> None:
        """What should run by now. Raises what `Compose.up` raises, and NotHealthy when a service ends too often."""
        services = await self._wanted(run, stack)
        every = len(services) == len(stack.recipe.services)
        await vigil.beside(asyncio.create_task(self._world.compose.up(stack, () if every else services)))

    async def _until_well(self, run: Run, stack: Stack, vigil: Vigil) -> None:
        """What is down because Docker was, or the machine, is started. Raises NotHealthy at the deadline, or when its
        services end, and stay so or do it again and again.
        """
        probes, deadline = await self._probes(run, stack), await self._deadline(stack)
        given_up = 0
        vigil.docker_went = await self._down(run, stack, vigil) is not None
        down_since: float | None = None
        while True:
            vigil.require()
            if vigil.docker_went:
                await self._reconcile(run, stack, vigil)
            down = await self._down(run, stack, vigil)
            why = await self._unwell(run, stack, probes, vigil)
            if why is None:
                return
            down_since = None if down is None or vigil.docker_went else down_since or _now()
            given_up = given_up + 1 if await self._gave_up(run, stack) else 0
            stays_down = down_since is not None and _now() - down_since >= UNWELL_FOR
            if given_up >= GIVEN_UP or stays_down or _now() >= deadline:
                raise _not_healthy(run, why)
            await asyncio.sleep(ASK_EVERY)

    async def _reconcile(self, run: Run, stack: Stack, vigil: Vigil) -> None:
        try:
            await self._world.engine.ping()
            vigil.docker_went = False
            await self._start(run, stack, vigil)
        except GardienError as error:
            log.warning("job %s: %s was away, and is not back yet: %s", run.job, stack.name, error)

    async def _unwell(self, run: Run, stack: Stack, probes: Mapping[str, Probe], vigil: Vigil) -> Words | None:
        """Why it cannot be called well; None: it is, and at the version it should be."""
        answers = (await recipes.ask_all(self._world, stack, probes)).values()
        down = await self._down(run, stack, vigil)  # asked in any case: it notices that Docker went
        return next((each.says for each in answers if not each.ok), down)

    async def _down(self, run: Run, stack: Stack, vigil: Vigil) -> Words | None:
        """Whatever its page answers: a service that should run does not."""
        try:
            containers = await self._world.engine.containers([stack.project])
        except DockerDown as error:
            vigil.docker_went = True
            return error.says
        running = {each.service for each in containers if each.state == "running"}
        down = [service for service in await self._wanted(run, stack) if service not in running]
        return Words.of(N_("its service {service} does not run"), service=down[0]) if down else None

    async def _probes(self, run: Run, stack: Stack) -> Mapping[str, Probe]:
        """All of them, and the one for the version."""
        rule = await self._rule(run, stack)
        if rule is None or rule.version is None:
            return stack.manifest.probes
        return {**stack.manifest.probes, "the version": plan_update.of_version(rule.version, run.text("version"))}

    async def _rule(self, run: Run, stack: Stack) -> ImageRule | None:
        return (await self._releases.rules(stack)).images.get(run.text("key"))

    async def _gave_up(self, run: Run, stack: Stack) -> bool:
        """Whether the application itself says that waiting is of no use."""
        rule = await self._rule(run, stack)
        return rule is not None and rule.gave_up is not None and (await self._world.probes.ask(stack, rule.gave_up)).ok

    async def _wanted(self, run: Run, stack: Stack) -> list[str]:
        """Background jobs come last."""
        late = () if run.facts.get("all_up") else (await self._releases.rules(stack)).stop_first
        return [service for service in stack.recipe.services if service not in late]

    async def _deadline(self, stack: Stack) -> float:
        if (patience := (await self._releases.rules(stack)).patience) is not None:
            return _now() + patience
        longest = max((probe.start_period for probe in stack.manifest.probes.values()), default=0.0)
        return _now() + max(float(self._world.settings.limits.healthy), float(longest))

    # -- the judgement

    def _judged(self, step: Do) -> Do:
        """The step; what fails in it by the version's fault is put in quarantine."""

        async def judged(run: Run) -> None:
            try:
                await step(run)
            except (NotHealthy, CommandFailed) as error:
                if isinstance(error, NoMemory) or await self._docker_went(error):
                    raise
                raise await self._condemn(run, error) from error

        return judged

    async def _docker_went(self, error: GardienError) -> bool:
        """Whether it was Docker that failed; a command that broke off with it says something else."""
        if isinstance(error, DockerDown):
            return True
        try:
            await self._world.engine.ping()
        except DockerDown:
            return True
        return False

    async def _condemn(self, run: Run, error: GardienError) -> UpdateFailed:
        stack = await self._stacks.get(run.plan.subject)
        lines: tuple[str, ...] = ()
        with suppress(GardienError):
            lines = restarts.cleaned(await self._world.compose.logs(stack, LINES))
        key, tag, digest, now = run.text("key"), run.text("tag"), run.text("digest"), self._world.clock()
        await self._releases.judge(Verdict(stack.name, key, tag, digest, "quarantined", now, error.says))
        away, closed = run.facts.get("away"), datetime.fromisoformat(run.text("closed"))
        seen = isinstance(away, int | float)  # people were let in: what they wrote goes with it
        taken = closed + timedelta(seconds=away) if isinstance(away, int | float) else closed
        return UpdateFailed(
            N_(
                "{stack} could not be updated to {version}: {why}. It is at version {former} again; what was written "
                "from {taken} on, until it was taken back, is not in it"
            )
            if seen
            else N_(
                "{stack} could not be updated to {version}: {why}. It is at version {former} again, with all that was "
                "in it; nothing is lost"
            ),
            N_(
                "Nothing is to be done: this version is not tried again, the next one is. Whoever wants to know more "
                "finds what it printed last in `gardien job show {job}`, and on the page of that job."
            ),
            detail="\n".join((*lines, error.detail)).strip(),
            stack=stack.manifest.title.given,
            version=run.text("version"),
            former=run.text("former_version"),
            why=error.says,
            taken=taken.isoformat(),
            job=run.job,
        )


def _not_healthy(run: Run, why: Words | None) -> NotHealthy:
    return NotHealthy(
        N_("it does not say that it is well at version {version}: {why}"),
        version=run.text("version"),
        why=why or Words.of(N_("it does not answer")),
    )


def _now() -> float:
    return asyncio.get_running_loop().time()

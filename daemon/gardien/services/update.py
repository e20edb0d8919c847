"""Updates that cannot hurt: a backup of the moment before, a gate that asks for the version, a watch; and a way back of
data and programs whenever one of them is not passed.
"""

from contextlib import suppress
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.errors import Busy, GardienError, NotFound, Refused
from gardien.model.plan import Kind, Plan
from gardien.model.release import Change, Outlook, Replaced, Updating
from gardien.model.stack import Stack
from gardien.rules import plan_update, windows
from gardien.rules import releases as rules
from gardien.services import joins
from gardien.services.agenda import Entry
from gardien.services.backup import Backups
from gardien.services.care import ALL
from gardien.services.choice import nearest_first
from gardien.services.door import Doorkeeper
from gardien.services.feed import Feed
from gardien.services.ports import World
from gardien.services.releases import Releases
from gardien.services.restore import Restores
from gardien.services.runner import Runner
from gardien.services.stacks import Stacks
from gardien.services.update_steps import UpdateSteps
from gardien.words import N_

WRITE: frozenset[Kind] = frozenset({"add", "set", "remove", "restore", "update"})  # what the owner chose
RUNS = 8  # so many last updates of a stack are looked at


class Updates:
    """What can be done about new versions. Each `plan…` says what would be done; its namesake queues it."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        runner: Runner,
        stacks: Stacks,
        backups: Backups,
        restores: Restores,
        door: Doorkeeper,
        releases: Releases,
        feed: Feed,
        zone: ZoneInfo,
    ) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._backups = backups
        self._restores = restores
        self._releases = releases
        self._feed = feed
        self._zone = zone
        self._lasts: dict[str, tuple[object, Replaced | None]] = {}  # as of which newest job; it is asked for often
        self._by_itself = world.settings.updates.by_itself  # of the house; it can be chosen anew
        runner.teach("update", UpdateSteps(world, stacks, backups.work, restores.work, door, releases, zone))

    async def plan(self, name: str, key: str | None = None, version: str | None = None) -> Plan:
        """`key`: the variable of the image that is meant; `version`: the one to go to; None: see `Releases.next`.

        Raises NotFound, Refused with the reason why there is no such step, or why none may be made.
        """
        return await self._plan(await self._releases.next(name, key, version), by_itself=False)

    async def run(self, name: str, key: str | None = None, version: str | None = None) -> int:
        """Queue it; returns the job's number."""
        return await self._runner.submit(await self.plan(name, key, version))

    async def _plan(self, change: Change, *, by_itself: bool) -> Plan:
        stack = await self._stacks.kept(change.stack)
        if stack.chosen.wanted == "stopped":
            raise Refused(
                N_("{stack} is switched off"),
                N_("A new version must show that it runs. Start it first: `gardien stack start {stack}`."),
                stack=stack.name,
            )
        places = self._world.settings.targets
        near = next((place for place in nearest_first(places) if places[place].copy_of is None), None)
        safety = await self._backups.plan(stack.name, near)
        size = 0
        with suppress(GardienError):  # a registry that does not say it: then the manifest's word counts
            size = await self._releases.size(change)
        return plan_update.update(
            stack,
            change,
            await self._releases.rules(stack),
            str(safety.facts["target"]),
            joins.leases(stack, await self._stacks.all()),
            self._world.settings.limits.watch_update,
            by_itself=by_itself,
            size=size,
        )

    # -- by itself

    def goes_by_itself(self, stack: Stack) -> bool:
        """Whether its owner said so."""
        if stack.chosen.updates is not None:
            return stack.chosen.updates == "by-itself"
        return self._by_itself

    @property
    def house_by_itself(self) -> bool:
        """What is so for every stack of which nothing else is said."""
        return self._by_itself

    async def choose(self, name: str, how: Updating | None) -> None:
        """Who begins the updates of this stack; None: as the house says.

        Raises NotFound, Refused if none can be, Busy while a job may write the owner's file, too.
        """
        await self._releases.rules(await self._stacks.kept(name))
        if any(job.plan.kind in WRITE for job in await self._world.store.jobs(open_only=True, subject=name)):
            raise Busy(
                N_("{stack} is being changed just now"),
                N_("Try again when that is over: `gardien job list`."),
                stack=name,
            )
        chosen = await self._world.shelf.chosen(name)
        assert chosen is not None
        if chosen.updates != how:
            await self._world.shelf.choose(name, chosen.model_copy(update={"updates": how}))
            self._feed.changed("health")

    async def choose_for_house(self, how: Updating) -> None:
        """Who begins all other updates: written into the settings file. Raises `Faults` where it cannot be."""
        said = self._world.settings.updates.model_dump(mode="json", exclude_unset=True)
        await self._world.shelf.merge_settings({"updates": {**said, "by_itself": how == "by-itself"}})
        self._by_itself = how == "by-itself"
        self._feed.changed("health")

    async def outlook(self, stack: Stack) -> Outlook:
        """How it is updated, and was."""
        if not stack.recipe.kept:
            return Outlook()
        settings, now, alone = self._world.settings, self._world.clock(), self.goes_by_itself(stack)
        last = await self.last(stack.name)
        cooling = timedelta(days=settings.updates.cooling_days)
        return Outlook(
            alone=alone,
            chosen=stack.chosen.updates,
            next=await self.due(stack),
            window=settings.window(stack.name),
            last=last,
            kept_until=last.kept_until(settings.limits.keep_replaced_days) if last is not None else None,
            left=rules.left(await self._releases.of(stack), cooling, now, alone=alone),
        )

    async def entries(self) -> list[Entry]:
        """What of it is due, and when."""
        due = [(stack.name, await self.due(stack)) for stack in await self._stacks.all()]
        return [Entry("update", "", at, name) for name, at in due if at is not None]

    async def due(self, stack: Stack) -> datetime | None:
        """When its next step is made by itself; None: nothing is owed, or it is under way."""
        if not self.goes_by_itself(stack) or stack.chosen.wanted != "running" or not stack.recipe.kept:
            return None
        offered = (await self._releases.news(stack.name)).offered
        ripe = min((each.ripe for each in offered if each.ripe is not None), default=None)
        if ripe is None:
            return None
        jobs = await self._world.store.jobs(kind="update", subject=stack.name, most=RUNS)
        window, now = self._world.settings.window(stack.name), self._world.clock()
        return windows.due(window, ripe, jobs, now, self._zone, stack.name)

    async def run_by_itself(self, name: str) -> int:
        """The first step that is ripe. Raises what `plan` raises."""
        change = await self._releases.by_itself(name, self._world.clock())
        if change is None:
            raise NotFound(
                N_("there is no newer version for {stack}"), N_("gardien looks for one each day."), stack=name
            )
        return await self._runner.submit(await self._plan(change, by_itself=True))

    # -- back, by hand

    async def last(self, name: str) -> Replaced | None:
        """The last update that stayed, if nothing was brought back since."""
        newest = await self._world.store.jobs(subject=name, most=1)
        mark = (newest[0].id, newest[0].state) if newest and newest[0].over else None
        held = self._lasts.get(name)
        if mark is None or held is None or held[0] != mark:
            kinds: tuple[Kind, ...] = ("update", "restore")
            jobs = [job for kind in kinds for job in await self._world.store.jobs(kind=kind, subject=name, most=ALL)]
            last = plan_update.last_update(sorted(jobs, key=lambda job: -job.id))
            self._lasts[name] = held = (mark, last)
        return held[1]

    async def plan_rollback(self, name: str) -> Plan:
        """To the version and the data of before the last update. What was written since is kept aside for some days.

        Raises NotFound, Refused if there is nothing to go back to.
        """
        stack = await self._stacks.kept(name)
        last = await self.last(name)
        if last is None:
            raise Refused(
                N_("{stack} has not been updated since it was last brought back, or never"),
                N_("To go back to the data of some other day: `gardien restore {stack}`."),
                stack=stack.name,
            )
        return await self._restores.plan(stack.name, last.snapshot)

    async def rollback(self, name: str) -> int:
        """Queue it, and leave this version out from now on; returns the job's number."""
        plan, last = await self.plan_rollback(name), await self.last(name)
        assert last is not None
        await self._releases.judge(last.skipped(self._world.clock()))
        return await self._runner.submit(plan)

    # -- what is not needed any more

    async def prune(self) -> list[str]:
        """Delete programs that nothing runs and no way back needs. Returns which."""
        jobs = await self._world.store.jobs(kind="update", most=ALL)
        stacks = await self._stacks.all()
        in_use = {image for stack in stacks for image in (await self._stacks.images(stack)).values()}
        keep = timedelta(days=self._world.settings.limits.keep_replaced_days)
        gone = []
        for image in plan_update.removable(jobs, in_use, self._world.clock(), keep):
            if await self._world.engine.drop_image(image):
                gone.append(image)
        return gone

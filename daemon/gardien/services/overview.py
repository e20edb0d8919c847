"""Gathers what every face shows, from the store alone."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from gardien.model.health import StackHealth
from gardien.model.overview import JobView, Overview, PlaceView, StackView
from gardien.model.proof import Trials
from gardien.model.settings import Target
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Stack
from gardien.model.target import TargetView
from gardien.rules import drill, restarts, schedule, sheet_alerts
from gardien.rules.verdict import Owed, sentence
from gardien.services.agenda import Agenda, added
from gardien.services.care import ALL, ready_since
from gardien.services.clock import ahead, believed, by_the_minute
from gardien.services.drill import since as drills_since
from gardien.services.kit import Kits
from gardien.services.ports import World
from gardien.services.readings import Readings
from gardien.services.releases import Releases
from gardien.services.rescue import rescue_of, restart_after
from gardien.services.runner import Runner
from gardien.services.stacks import Stacks
from gardien.services.succession import stood_down_note
from gardien.services.update import Updates
from gardien.services.upkeep import Upkeep
from gardien.services.witness import Witness
from gardien.words import N_, Words

SLACK = timedelta(hours=2)  # that a backup, and then its copy, may take
LOOK_BACK = timedelta(days=14)  # in which a missed backup is worth a word
LONGEST_APART = timedelta(days=32)  # two times of a backup
EPOCH = datetime.fromtimestamp(0, UTC)
BELIEVED = 5.0  # seconds: so long what was read holds, if nothing was written: files may have changed, times come
AGED = 5.0  # seconds: so long an age that was told holds
RECENT = 8  # ended jobs on the home page


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read, and what it depends on besides the files."""

    overview: Overview
    changes: int
    targets: Mapping[str, Target]
    ended: float
    at: datetime


class Overviews:
    """The state of the house."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        runner: Runner,
        stacks: Stacks,
        agenda: Agenda,
        upkeep: Upkeep,
        kits: Kits,
        readings: Readings,
        releases: Releases,
        updates: Updates,
        witness: Witness,
    ) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._agenda = agenda
        self._upkeep = upkeep
        self._kits = kits
        self._readings = readings
        self._releases = releases
        self._updates = updates
        self._witness = witness
        self._turn = asyncio.Lock()
        self._read: _Read | None = None
        self._told: tuple[object, Overview] | None = None

    async def stacks(self) -> tuple[StackView, ...]:
        """Every stack with its health and the age of its newest good backup."""
        now = self._world.clock()
        healths = await self._world.store.healths()
        return tuple([await self._view(stack, healths.get(stack.name), now) for stack in await self._stacks.all()])

    async def _view(self, stack: Stack, health: StackHealth | None, now: datetime) -> StackView:
        kept, running = stack.recipe.kept, stack.chosen.wanted == "running"
        places = [await self._place(stack, target, now) for target in list(self._world.settings.targets) if kept]
        allowed = timedelta(hours=self._world.settings.backup.late_after_hours)
        nowhere = kept and running and not places
        late = nowhere and schedule.late(None, await added(self._world, stack.name), now, allowed)
        rescue = await rescue_of(self._world, stack.name)
        return StackView(
            name=stack.name,
            title=stack.manifest.title,
            summary=stack.manifest.summary,
            address=stack.address,
            health=health or StackHealth(stack.name, "unknown", Words.of(N_("has not been looked at yet")), now, now),
            newest_good=_newest(place.newest_good for place in places),
            newest=_newest(place.newest for place in places),
            late=late or any(place.late for place in places),
            next_backup=min((place.next_run for place in places if place.next_run is not None), default=None),
            places=tuple(places),
            kept=kept,
            drift=await self.drift(stack.name),
            trials=await self._trials(stack, now),
            rescue=rescue,
            news=await self._releases.of(stack),
            outlook=await self._updates.outlook(stack),
            next_try=restarts.next_try(rescue, restart_after(self._world, stack)),
        )

    async def _place(self, stack: Stack, target: str, now: datetime) -> PlaceView:
        world, zone = self._world, self._agenda.zone
        place, running = world.settings.targets[target], stack.chosen.wanted == "running"
        store, until = world.store, believed(now)
        every = await store.snapshots(stack.name, target=target, most=1)
        good = await store.snapshots(stack.name, target=target, good_only=True, until=until, most=1)
        begun = [await ready_since(world, target), await added(world, stack.name)]
        since = max((each for each in begun if each is not None), default=None)
        at = world.settings.times(stack.name, target)
        source = at if place.copy_of is None else world.settings.times(stack.name, place.copy_of)
        longest = max(schedule.interval(each, by_the_minute(now), zone) for each in {at, source})
        allowed = timedelta(hours=world.settings.backup.late_after_hours)
        allowed = max(allowed, longest + SLACK * (1 if place.copy_of is None else 2))
        missed, runs = [], []
        if place.copy_of is None and running:
            runs = await self._agenda.backup(stack, target)
            if since is not None:
                begin = by_the_minute(now - LOOK_BACK)
                lately = await store.snapshots(
                    stack.name, target=target, good_only=True, since=begin, until=until, most=ALL
                )
                begun_at = max(since, begin)
                missed = schedule.missed(at, begun_at, [each.taken for each in lately], now, zone)
        return PlaceView(
            target=target,
            newest_good=good[0] if good else None,
            newest=every[0] if every else None,
            late=running and schedule.late(good[0].taken if good else None, since, now, allowed),
            next_run=runs[0].at if runs else None,
            missed=tuple(missed),
        )

    async def missed(self, name: str, target: str, since: datetime, until: datetime) -> tuple[datetime, ...]:
        """The times between them, long ago perhaps, that brought no good backup there, newest first; by the times at
        which it is saved today. Empty for a copy, and for a stack that is switched off.
        """
        stack, world, now = await self._stacks.get(name), self._world, self._world.clock()
        if world.settings.targets[target].copy_of is not None or stack.chosen.wanted != "running":
            return ()
        begun = [await ready_since(world, target), await added(world, name)]
        since = max([since, *(each for each in begun if each is not None)])
        good = await world.store.snapshots(
            name, target=target, good_only=True, since=since, until=until + LONGEST_APART, most=ALL
        )
        at = world.settings.times(name, target)
        found = schedule.missed(
            at, since, [each.taken for each in good], min(now, until + LONGEST_APART), self._agenda.zone
        )
        return tuple(each for each in found if each < until)

    async def _trials(self, stack: Stack, now: datetime) -> Trials:
        store = self._world.store
        every = [each for each in await store.proofs(stack.name, most=ALL) if not ahead(each.ended, now)]
        proven = next((each for each in every if each.outcome == "proven"), None)
        told = next((each for each in every if each.outcome != "skipped"), None)
        trials = Trials(
            proven, told if told is not None and told.outcome == "failed" else None, next(iter(every), None)
        )
        owed = stack.recipe.kept and stack.chosen.wanted == "running"
        if not owed or drill.times(self._world.settings.backup.prove, stack.name) is None:
            return trials
        # Without a good backup there is nothing to prove: that it is missing, others say.
        good = await store.snapshots(stack.name, good_only=True, most=1)
        begin = max(await drills_since(self._world), await added(self._world, stack.name) or EPOCH)
        runs = await self._agenda.drill(stack)
        return replace(
            trials,
            late=bool(good) and drill.late(proven.ended if proven else None, begin, now),
            next_run=runs[0].at if runs else None,
        )

    async def drift(self, name: str) -> tuple[Words, ...]:
        """What the watchman noted last."""
        noted = await self._world.store.noted(drift_note(name))
        return tuple(Words.from_json(each) for each in json.loads(noted)) if noted else ()

    async def targets(self) -> tuple[TargetView, ...]:
        """Every target, and how it was looked after."""
        return await self._upkeep.views()

    async def owed(self, now: datetime) -> list[Owed]:
        """The alerts over recovery sheets, and over places at which another machine took over."""
        targets = list(self._world.settings.targets)
        elsewhere = [each for each in targets if await self._world.store.noted(stood_down_note(each)) is not None]
        return sheet_alerts.of_sheets(await self._kits.views(), now) + sheet_alerts.of_successors(elsewhere)

    async def now(self) -> Overview:
        """All of it. Where nothing was written since it was read last, and that is not long ago, it is not read again:
        whoever looks before an age would be told otherwise is given the very same one.
        """
        if self._holds(self._read):
            return self._with_what_moves(self._read.overview)
        async with self._turn:
            if not self._holds(self._read):
                changes, targets = self._world.store.changes, dict(self._world.settings.targets)
                overview, former = await self._all(), self._read
                if former is not None and replace(overview, now=former.overview.now) == former.overview:
                    overview = former.overview  # the very same: what was drawn of it is drawn
                at = (asyncio.get_running_loop().time(), self._world.clock())
                self._read = _Read(overview, changes, targets, *at)
            return self._with_what_moves(self._read.overview)

    def _holds(self, read: _Read | None) -> TypeGuard[_Read]:
        """Whether what was read is still so."""
        return (
            read is not None
            and read.changes >= self._world.store.changes
            and asyncio.get_running_loop().time() - read.ended <= BELIEVED
            and abs((self._world.clock() - read.at).total_seconds()) <= BELIEVED
            and read.targets == self._world.settings.targets
        )

    def _with_what_moves(self, read: Overview) -> Overview:
        """With what is not in the store, as it is now."""
        now, alert = self._world.clock(), self._witness.alert
        readings, forecasts = tuple(self._readings.latest()), dict(self._readings.forecasts)
        jobs = tuple(JobView(view.job, self._runner.progress(view.job.id)) for view in read.jobs)
        moves = (alert, readings, forecasts, jobs)
        if self._told is not None:
            former, told = self._told
            # `read` may be another one that says the same.
            if abs((now - told.now).total_seconds()) < min(AGED, BELIEVED) and former == (read, *moves):
                return told
        alerts = read.alerts if alert is None else (alert, *read.alerts)
        severity, says = sentence(read.stacks, alerts)
        told = replace(
            read,
            now=now,
            severity=severity,
            says=says,
            alerts=alerts,
            jobs=jobs,
            readings=readings,
            forecasts=forecasts,
        )
        self._told = ((read, *moves), told)
        return told

    async def _all(self) -> Overview:
        store = self._world.store
        stacks = await self.stacks()
        disks, seen = await store.disks()
        alerts = await store.alerts()
        severity, says = sentence(stacks, alerts)
        open_jobs = await store.jobs(open_only=True)
        recent = [job for job in await store.jobs(most=RECENT * 2) if job.over][:RECENT]
        return Overview(
            severity=severity,
            says=says,
            now=self._world.clock(),
            seen=seen,
            stacks=stacks,
            disks=tuple(disks),
            targets=await self.targets(),
            jobs=tuple(JobView(job, None) for job in open_jobs),
            recent=tuple(recent),
            alerts=tuple(alerts),
            kits=await self._kits.views(),
        )


def _newest(snapshots: Iterable[Snapshot | None]) -> Snapshot | None:
    return max((each for each in snapshots if each is not None), key=lambda each: each.taken, default=None)


def drift_note(name: str) -> str:
    """Under which key the store notes what of a stack is not as it was set up."""
    return f"drift:{name}"

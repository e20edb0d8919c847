"""Gathers what every face shows, from the store alone."""

import json
from datetime import datetime
from zoneinfo import ZoneInfo

from gardien.model.health import StackHealth
from gardien.model.overview import JobView, Overview, StackView
from gardien.model.stack import Stack
from gardien.rules import schedule
from gardien.rules.verdict import sentence
from gardien.services.ports import World
from gardien.services.runner import Runner
from gardien.services.stacks import Stacks, added_note
from gardien.words import N_, Words

RECENT = 8  # ended jobs on the home page


class Overviews:
    """The state of the house."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, zone: ZoneInfo) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._zone = zone

    async def stacks(self) -> tuple[StackView, ...]:
        """Every stack with its health and the age of its newest good backup."""
        now = self._world.clock()
        healths = await self._world.store.healths()
        return tuple([await self._view(stack, healths.get(stack.name), now) for stack in await self._stacks.all()])

    async def _view(self, stack: Stack, health: StackHealth | None, now: datetime) -> StackView:
        backup, places = self._world.settings.backup, self._world.settings.targets
        newest = await self._world.store.snapshots(stack.name, most=1)
        good = await self._world.store.snapshots(stack.name, good_only=True, most=1)
        added = await self._added(stack.name)
        kept = stack.recipe.kept
        late = (
            kept
            and stack.chosen.wanted == "running"
            and schedule.late(good[0].taken if good else None, added, now, backup.late_after_hours)
        )
        return StackView(
            name=stack.name,
            title=stack.manifest.title,
            summary=stack.manifest.summary,
            address=stack.address,
            health=health or StackHealth(stack.name, "unknown", Words.of(N_("has not been looked at yet")), now, now),
            newest_good=good[0] if good else None,
            newest=newest[0] if newest else None,
            late=late,
            next_backup=schedule.following(backup.at, now, self._zone)
            if self._world.settings.targets and kept
            else None,
            kept=kept,
            drift=await self.drift(stack.name),
        )

    async def drift(self, name: str) -> tuple[Words, ...]:
        """What the watchman noted last."""
        noted = await self._world.store.noted(drift_note(name))
        return tuple(Words.from_json(each) for each in json.loads(noted)) if noted else ()

    async def _added(self, name: str) -> datetime | None:
        """When the stack was added, as far as we remember."""
        noted = await self._world.store.noted(added_note(name))
        return datetime.fromisoformat(noted) if noted else None

    async def now(self) -> Overview:
        """All of it."""
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
            jobs=tuple(JobView(job, self._runner.progress(job.id)) for job in open_jobs),
            recent=tuple(recent),
            alerts=tuple(alerts),
        )


def drift_note(name: str) -> str:
    """Under which key the store notes what of a stack is not as it was set up."""
    return f"drift:{name}"

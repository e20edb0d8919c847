"""Gathers the practice's record of a month, from the store alone."""

from collections import Counter
from datetime import datetime

from gardien.model.job import Job
from gardien.model.plan import Kind
from gardien.model.record import PlaceRecord, Record, StackRecord
from gardien.services.care import ALL
from gardien.services.ports import World
from gardien.services.stacks import Stacks
from gardien.services.upkeep import Upkeep


class Reports:
    """Changes nothing."""

    def __init__(self, world: World, stacks: Stacks, upkeep: Upkeep) -> None:
        self._world = world
        self._stacks = stacks
        self._upkeep = upkeep

    def now(self) -> datetime:
        """By the house's clock."""
        return self._world.clock()

    async def record(self, since: datetime, until: datetime) -> Record:
        """What happened from `since` on and before `until`."""
        world, store = self._world, self._world.store
        backups = await self._jobs("backup", since, until)
        made = Counter(job.plan.subject for job in backups if job.state == "done")
        failed = Counter(job.plan.subject for job in backups if job.state in ("failed", "stuck"))
        back = [*await self._jobs("restore", since, until), *await self._jobs("put-back", since, until)]
        restored = Counter(job.plan.subject for job in back if job.state == "done")
        stacks = []
        for stack in await self._stacks.all():
            proven = await store.proofs(stack.name, outcome="proven", until=until, most=1)
            stacks.append(
                StackRecord(
                    name=stack.name,
                    title=stack.manifest.title,
                    folder=stack.home,
                    kept=stack.recipe.kept,
                    made=made[stack.name],
                    failed=failed[stack.name],
                    restored=restored[stack.name],
                    proof=proven[0] if proven else None,
                )
            )
        targets = world.settings.targets
        alerts = await store.alerts(open_only=False, most=ALL)
        return Record(
            house=world.settings.name,
            since=since,
            until=until,
            now=world.clock(),
            stacks=tuple(stacks),
            places=tuple(PlaceRecord(view, targets[view.name].keep) for view in await self._upkeep.views()),
            incidents=tuple(
                each
                for each in reversed(alerts)
                if each.severity == "trouble" and each.opened < until and (each.closed is None or each.closed >= since)
            ),
        )

    async def _jobs(self, kind: Kind, since: datetime, until: datetime) -> list[Job]:
        return await self._world.store.jobs(kind=kind, ended=(since, until), most=ALL)

"""What happens by itself: the nightly backup, clearing away what a restore replaced. The only apscheduler import."""

import logging
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from gardien.errors import GardienError
from gardien.rules import schedule
from gardien.services.backup import Backups
from gardien.services.ports import World
from gardien.services.stacks import Stacks

log = logging.getLogger(__name__)


class CronSimTrigger(BaseTrigger):  # type: ignore[misc]
    """cronsim decides, because apscheduler's own cron fires twice in the night the clock goes back."""

    def __init__(self, at: str, zone: ZoneInfo) -> None:
        self._at = at
        self._zone = zone

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return schedule.following(self._at, max(previous_fire_time or now, now), self._zone)


class Calendar:
    """Starts jobs when they are due; after days off, once."""

    def __init__(self, world: World, stacks: Stacks, backups: Backups, zone: ZoneInfo) -> None:
        self._world = world
        self._stacks = stacks
        self._backups = backups
        self._scheduler = AsyncIOScheduler(timezone=zone)
        self._zone = zone

    async def start(self) -> None:
        """Set the times; a backup that was missed while the machine was off runs now."""
        at = self._world.settings.backup.at
        self._scheduler.add_job(
            self.back_up_all,
            CronSimTrigger(at, self._zone),
            coalesce=True,
            misfire_grace_time=None,
            max_instances=1,
        )
        self._scheduler.add_job(self.clear_kept, "interval", hours=6, next_run_time=datetime.now(self._zone))
        self._scheduler.start()
        if self._world.settings.targets:
            await self._catch_up(at)

    async def _catch_up(self, at: str) -> None:
        for stack in await self._stacks.all():
            newest = await self._world.store.snapshots(stack.name, most=1)
            if newest and schedule.due(at, newest[0].taken, self._world.clock(), self._zone):
                await self._back_up(stack.name)

    def stop(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def back_up_all(self) -> None:
        """Every stack that is meant to run."""
        if self._world.settings.targets:
            for stack in await self._stacks.all():
                if stack.chosen.wanted == "running" and stack.recipe.kept:
                    await self._back_up(stack.name)

    async def _back_up(self, stack: str) -> None:
        under_way = await self._world.store.jobs(open_only=True, subject=stack)
        if any(job.plan.kind == "backup" for job in under_way):
            return
        try:
            await self._backups.create(stack)
        except GardienError as error:
            log.error("%s cannot be backed up: %s", stack, error)

    async def clear_kept(self) -> None:
        """Delete what restores replaced, once it was kept for as long as the owner wishes."""
        kept = self._world.settings.folders.data / ".kept"
        oldest = self._world.clock() - timedelta(days=self._world.settings.limits.keep_replaced_days)
        for folder in await self._world.files.older_than(kept, oldest):
            log.info("deleting %s, which was replaced before %s", folder, oldest)
            await self._world.files.remove(folder)

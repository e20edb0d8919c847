"""Tells an address outside that this machine lives, each hour and after each good backup; its silence is an alarm."""

import asyncio
import logging
from datetime import datetime, timedelta

from gardien.rules.letters import GRACE
from gardien.services.ports import World

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0  # seconds
EACH = timedelta(hours=1)
AGAIN = timedelta(minutes=5)  # after one that was not heard


class Beacon:
    """Runs as one task for the daemon's life."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next: datetime | None = None
        self._newest: str | None = None

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("the ping failed")
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Ping if it is time to, or a good backup came since."""
        world = self._world
        if world.settings.ping is None:
            return
        now = world.clock()
        good = await world.store.snapshots(good_only=True, most=1)
        newest = good[0].id if good else None
        if self._next is not None and now < self._next and newest == self._newest:
            return
        trouble = [each for each in await world.store.alerts() if each.severity == "trouble"]
        well = all(now - each.opened < GRACE["trouble"] for each in trouble)
        heard = await world.pinger.ping(well=well)
        self._newest = newest
        self._next = now + (EACH if heard else AGAIN)

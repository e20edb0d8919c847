"""Tells an address outside that this machine lives, each hour and after each good backup; its silence is an alarm."""

from datetime import datetime, timedelta
from typing import NoReturn

from gardien.rules.letters import GRACE
from gardien.services.ports import World
from gardien.services.rounds import rounds

EACH = timedelta(hours=1)
AGAIN = timedelta(minutes=5)  # after one that was not heard


class Beacon:
    """Runs as one task for the daemon's life."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._next: datetime | None = None
        self._said: tuple[str | None, bool] | None = None

    async def run(self) -> NoReturn:
        """For ever."""
        await rounds(self.look, "the ping")

    async def look(self) -> None:
        """Ping if it is time to, or a good backup came since, or trouble came or went."""
        world = self._world
        if world.settings.ping is None:
            return
        now = world.clock()
        good = await world.store.snapshots(good_only=True, most=1)
        trouble = [each for each in await world.store.alerts() if each.severity == "trouble"]
        well = all(now - each.opened < GRACE["trouble"] for each in trouble)
        says = (good[0].id if good else None, well)
        if self._next is not None and now < self._next <= now + EACH and says == self._said:
            return
        heard = await world.pinger.ping(well=well)
        self._said = says
        self._next = now + (EACH if heard else AGAIN)

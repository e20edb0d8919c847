"""What people say to an alert: that they know of it, or that it may sleep for a while. Its end is told in any case."""

import re
from datetime import timedelta

from gardien.errors import BadInput, NotFound
from gardien.model.health import Alert
from gardien.rules.letters import LONGEST_SLEEP
from gardien.services.feed import Feed
from gardien.services.ports import World
from gardien.words import N_

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_MOST = 1000


class Alerts:
    """Each is named by its number, or by its key."""

    def __init__(self, world: World, feed: Feed) -> None:
        self._world = world
        self._feed = feed

    async def list(self, *, open_only: bool = True, before: int | None = None, most: int = 100) -> list[Alert]:
        """Newest first; `before`: with smaller numbers."""
        return await self._world.store.alerts(open_only=open_only, before=before, most=most)

    async def know(self, which: str) -> Alert:
        """No more letters about it, but that it is over. Raises NotFound."""
        alert = await self._open(which)
        await self._world.store.hush(alert.id, known=self._world.clock())
        return await self._changed(alert)

    async def snooze(self, which: str, length: str) -> Alert:
        """No letters about it for so long (`2d`); if it is open then, it comes back. Raises BadInput, NotFound."""
        until = self._world.clock() + span(length)
        alert = await self._open(which)
        await self._world.store.hush(alert.id, asleep=until)
        return await self._changed(alert)

    async def wake(self, which: str) -> Alert:
        """Letters come again, as if nothing had been said to it. Raises NotFound."""
        alert = await self._open(which)
        await self._world.store.hush(alert.id)
        return await self._changed(alert)

    async def _open(self, which: str) -> Alert:
        for each in await self._world.store.alerts(most=_MOST):
            if which in (str(each.id), each.key):
                return each
        raise NotFound(
            N_("there is no open alert “{alert}”"),
            N_("`gardien alert list` shows those that are open, with their numbers."),
            alert=which,
        )

    async def _changed(self, alert: Alert) -> Alert:
        self._feed.changed("alert")
        return await self._open(str(alert.id))


def span(text: str) -> timedelta:
    """`30m`, `4h`, `2d`, `1w`. Raises BadInput."""
    found = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", text)
    length = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not timedelta() < length <= LONGEST_SLEEP:
        raise BadInput(
            N_("“{text}” is not a time for which an alert can sleep"),
            N_("Write a number and m, h, d or w for minutes, hours, days or weeks, such as 2d; at most 90 days."),
            text=text,
        )
    return length

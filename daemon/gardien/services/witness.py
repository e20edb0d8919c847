"""Sees that gardien's own memory cannot be used, and says so without it: on the page, and in a letter."""

import logging
import uuid
from dataclasses import replace
from datetime import datetime, timedelta

from gardien.errors import MailFailed, MemoryFailed
from gardien.model.health import Alert
from gardien.model.letter import Letter, News
from gardien.rules import house_watch
from gardien.services.ports import World
from gardien.services.ports_letters import Writer
from gardien.services.rounds import rounds

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=2)  # in which nobody is written to: a moment's weakness is no news
AGAIN = (timedelta(minutes=2), timedelta(minutes=15), timedelta(hours=1))  # after a try that failed; then the last
NOTE = "memory-works"  # what is noted to see whether it does


class Witness:
    """Holds in its own memory what the store cannot hold. `alert` is what is open now."""

    def __init__(self, world: World, writer: Writer) -> None:
        self._world = world
        self._writer = writer
        self._told = False
        self._letter: Letter | None = None  # is to be sent
        self.alert: Alert | None = None

    async def run(self) -> None:
        """For ever."""
        await rounds(self.look, "the memory")

    def saw(self, error: MemoryFailed) -> None:
        """Somebody could not read from it, or write to it."""
        if self.alert is None:
            log.error("%s %s", error, error.detail)
            self.alert = Alert(0, "memory", "trouble", error.says, error.remedy, self._world.clock())

    async def look(self) -> None:
        """See why, and whether it is over; send what is to be said."""
        now = self._world.clock()
        if self.alert is not None:
            if await self._works(now):
                self._is_over(self.alert, now)
            elif not self._told and self._letter is None and now - self.alert.opened >= GRACE:
                self._write(News(open=(self.alert,)), now)
        await self._send(now)

    async def _works(self, now: datetime) -> bool:
        """Whether something can be noted; what is wrong with the disk says more than SQLite does."""
        world = self._world
        disk = await world.host.disk(world.settings.folders.state)
        found = house_watch.of_disks([disk], {}, world.settings.watch, frozenset())
        if self.alert is not None and found and found[0].severity == "trouble":
            self.alert = replace(self.alert, says=found[0].says, remedy=found[0].remedy)
        try:
            if not disk.fault and disk.present:
                await world.store.reopen()
            await world.store.note(NOTE, now.isoformat())
        except MemoryFailed:
            return False
        return True

    def _is_over(self, alert: Alert, now: datetime) -> None:
        self.alert, self._letter = None, None
        if self._told:
            self._told = False
            self._write(News(over=(replace(alert, closed=now),)), now)

    def _write(self, news: News, now: datetime) -> None:
        mail = self._world.settings.mail
        if mail is not None:
            message = f"<{uuid.uuid4().hex}@{mail.from_.rsplit('@', 1)[1]}>"
            self._letter = Letter(0, message, self._writer.news(news, now), now, 0, now)

    async def _send(self, now: datetime) -> None:
        letter = self._letter
        if letter is None or letter.next_try is None or now < letter.next_try:
            return
        try:
            await self._world.mailer.send(letter)
        except MailFailed as error:
            log.warning("a letter could not be sent: %s %s", error, error.detail)
            wait = AGAIN[min(letter.tries, len(AGAIN) - 1)]
            self._letter = replace(letter, tries=letter.tries + 1, next_try=now + wait)
        else:
            self._letter = None
            self._told = self.alert is not None

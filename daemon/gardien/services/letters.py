"""Writes to the people who look after the house: a letter is written down with what it tells, and sent later."""

import asyncio
import logging
import uuid
from datetime import timedelta
from zoneinfo import ZoneInfo

from gardien.errors import MailFailed
from gardien.model.letter import Letter, News, Told
from gardien.rules import letters, verdict
from gardien.services.overview import Overviews
from gardien.services.ports import World
from gardien.services.ports_letters import Writer
from gardien.words import N_

log = logging.getLogger(__name__)

LOOK_EVERY = 60.0  # seconds
KEPT = timedelta(days=400)
WEEK = "letter-of-the-week"  # under which the store notes the last one


class Letters:
    """Runs as one task for the daemon's life."""

    def __init__(self, world: World, overviews: Overviews, writer: Writer, zone: ZoneInfo) -> None:
        self._world = world
        self._overviews = overviews
        self._writer = writer
        self._zone = zone

    async def run(self) -> None:
        """Write what is owed, send what is due; for ever."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("the letters could not be looked after")
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """Once. What is written is on the disk before anything is sent, and is never written twice."""
        if self._world.settings.mail is None:
            return
        now = self._world.clock()
        told = [each for each in await self._world.store.told(now - 2 * letters.RESTLESS) if _can_be_told(each)]
        if news := letters.news(told, now, self._zone):
            open_, over = _ids(news)
            await self._world.store.post(self._message(), self._writer.news(news, now), now, open_, over)
        await self._write_weekly()
        for letter in await self._world.store.letters(waiting=True):
            if letter.next_try is None or letter.next_try > now or not await self._send(letter):
                break  # in their order; what one meets, the next would meet, too
        await self._world.store.drop_letters(now - KEPT)

    async def _write_weekly(self) -> None:
        """So that silence means something: a machine that is dead writes no letter on Monday."""
        mail, now = self._world.settings.mail, self._world.clock()
        week = letters.weekly(now, self._zone) if mail is not None and mail.weekly else None
        if week is None or await self._world.store.noted(WEEK) == week:
            return
        overview = await self._overviews.now()
        if overview.stacks:
            await self._world.store.post(self._message(week), self._writer.week(overview), now, [], [])
            await self._world.store.note(WEEK, week)

    async def _send(self, letter: Letter) -> bool:
        store = self._world.store
        try:
            await self._world.mailer.send(letter)
        except MailFailed as error:
            now = self._world.clock()
            log.warning("a letter could not be sent: %s %s", error, error.detail)
            again = letters.next_try(letter.written, letter.tries + 1, now)
            await store.mark_letter(letter.id, next_try=again, error=error.says)
            return False
        await store.mark_letter(letter.id, sent=self._world.clock())
        return True

    async def test(self) -> None:
        """Send a letter that says that letters arrive, at once. Raises MailFailed."""
        now = self._world.clock()
        await self._world.mailer.send(Letter(0, self._message(), self._writer.news(News(), now), now, 0, now))

    def _message(self, name: str | None = None) -> str:
        """A Message-ID; with a `name` always the same one for this machine."""
        mail = self._world.settings.mail
        if mail is None:
            raise MailFailed(
                N_("there is no mail server in the settings"),
                N_("Write `mail` into gardien.yaml, as docs/letters.md shows."),
                lasting=True,
            )
        name = f"{self._world.settings.name}-{name}" if name is not None else uuid.uuid4().hex
        return f"<{name}@{mail.from_.rsplit('@', 1)[1]}>"


def _can_be_told(told: Told) -> bool:
    """That letters do not arrive is no news for a letter."""
    return told.alert.key != verdict.LETTERS


def _ids(news: News) -> tuple[list[int], list[int]]:
    return [each.id for each in news.open], [each.id for each in news.over]

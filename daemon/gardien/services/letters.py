"""Writes to the people who look after the house: a letter is written down with what it tells, and sent later."""

import logging
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

from gardien.errors import MailFailed
from gardien.model.letter import Draft, Letter, News, Text, Told
from gardien.rules import letters, verdict
from gardien.services.overview import Overviews
from gardien.services.ports import World
from gardien.services.ports_letters import Mailer, Writer
from gardien.services.rounds import rounds

log = logging.getLogger(__name__)

KEPT = timedelta(days=400)
WEEK = "letter-of-the-week"  # under which the store notes the last one
MONTH = "letter-of-the-month"


class Letters:
    """Runs as one task for the daemon's life."""

    def __init__(self, world: World, overviews: Overviews, writer: Writer, zone: ZoneInfo) -> None:
        self._world = world
        self._overviews = overviews
        self._writer = writer
        self._zone = zone

    async def run(self) -> NoReturn:
        """Write what is owed, send what is due; for ever."""
        await rounds(self.look, "the letters")

    async def look(self) -> None:
        """Once. What is written is on the disk before anything is sent, and is never written twice."""
        world = self._world
        if world.settings.mail is None and world.settings.second_way is None:
            return
        now = world.clock()
        told = [_tellable(each) for each in await world.store.told(now - 2 * letters.RESTLESS)]
        if news := letters.news([each for each in told if each is not None], now, self._zone):
            open_, over = _ids(news)
            drafts = self._drafts(self._message(), self._writer.news(news, now), self._writer.brief(news), news.trouble)
            await world.store.post(drafts, now, open_, over)
        await self._write_regularly()
        if world.settings.mail is not None:
            await self._send_due(world.mailer, await world.store.letters(waiting=True, way="mail"))
        if world.settings.second_way is not None:
            await self._send_due(world.second_way, await world.store.letters(waiting=True, way="second"))
        await world.store.drop_letters(now - KEPT)

    async def _write_regularly(self) -> None:
        """So that silence means something: a machine that is dead writes no letter on Monday."""
        mail, now, store = self._world.settings.mail, self._world.clock(), self._world.store
        if mail is None:
            return
        week = letters.weekly(now, self._zone) if mail.weekly else None
        if week is not None and await store.noted(WEEK) != week:
            overview = await self._overviews.now()
            if overview.stacks:
                await self._post_regular(week, self._writer.week(overview))
                await store.note(WEEK, week)
        month = letters.monthly(now, self._zone) if mail.monthly else None
        if month is not None and await store.noted(MONTH) != month:
            if await store.snapshots(most=1):
                await self._post_regular(month, self._writer.month(month))
            await store.note(MONTH, month)

    async def _post_regular(self, name: str, text: Text) -> None:
        """Under a name that is always the same, so that it is never written twice."""
        message = self._message(f"{self._world.settings.name}-{name}")
        await self._world.store.post(self._drafts(message, text, self._writer.unsent()), self._world.clock())

    def _drafts(self, message: str, text: Text, brief: Text, trouble: bool = False) -> list[Draft]:
        """The letter; and `brief` for the second way, at once or should the letter not be sent for too long."""
        settings, now = self._world.settings, self._world.clock()
        drafts = [Draft(message, text, now)] if settings.mail is not None else []
        if settings.second_way is not None:
            name = uuid.uuid5(uuid.NAMESPACE_URL, message).hex
            if settings.mail is None or (trouble and settings.second_way.when == "trouble"):
                drafts.append(Draft(name, brief, now, "second"))
            else:
                drafts.append(Draft(name, brief, now + letters.UNSENT_FOR, "second", instead_of=message))
        return drafts

    async def _send_due(self, way: Mailer, waiting: list[Letter]) -> None:
        for letter in waiting:
            if letter.next_try is None or letter.next_try > self._world.clock() or not await self._send(way, letter):
                break  # in their order; what one meets, the next would meet, too

    async def _send(self, way: Mailer, letter: Letter) -> bool:
        store = self._world.store
        try:
            await way.send(letter)
        except MailFailed as error:
            now = self._world.clock()
            log.warning("a letter could not be sent: %s %s", error, error.detail)
            again = letters.next_try(letter.written, letter.tries + 1, now)
            await store.mark_letter(letter.id, next_try=again, error=error.says)
            return False
        await store.mark_letter(letter.id, sent=self._world.clock())
        return True

    async def test(self, *, second: bool = False) -> None:
        """Send a letter that says that letters arrive, at once; or by the second way. Raises MailFailed."""
        now, message = self._world.clock(), self._message()
        if second:
            name = uuid.uuid5(uuid.NAMESPACE_URL, message).hex
            await self._world.second_way.send(Letter(0, name, self._writer.brief(News()), now, 0, now, way="second"))
        else:
            await self._world.mailer.send(Letter(0, message, self._writer.news(News(), now), now, 0, now))

    def _message(self, name: str | None = None) -> str:
        """A Message-ID; with a `name` always the same one."""
        mail = self._world.settings.mail
        domain = mail.from_.rsplit("@", 1)[1] if mail is not None else self._world.settings.name
        return f"<{name or uuid.uuid4().hex}@{domain}>"


def _tellable(told: Told) -> Told | None:
    """That letters do not arrive is no news for a letter, but that they did not for a while is."""
    if told.alert.key != verdict.LETTERS:
        return told
    return replace(told, told=told.alert.opened) if told.alert.closed is not None else None


def _ids(news: News) -> tuple[list[int], list[int]]:
    return [each.id for each in news.open], [each.id for each in news.over]

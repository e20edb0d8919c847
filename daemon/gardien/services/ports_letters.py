"""What the use cases need to write to people: a part of `ports.Store`, and the way to a mail server."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gardien.model.letter import Draft, Letter, News, Text, Told, Way
from gardien.model.overview import Overview
from gardien.words import Words


class Outbox(Protocol):
    """Letters that are written and may not be sent yet, and what people were told of each alert."""

    async def post(
        self, drafts: Sequence[Draft], now: datetime, told: Sequence[int] = (), over: Sequence[int] = ()
    ) -> None:
        """Put letters into the outbox, and with them note the alerts that they tell of: all or nothing.

        One that was written already, as its Message-ID tells, is not written again.
        """
        ...

    async def told(self, since: datetime) -> list[Told]:
        """Alerts that are open, or were over after `since`, or whose end was not written about yet; newest first."""
        ...

    async def letters(self, *, waiting: bool = False, way: Way | None = None, most: int = 100) -> list[Letter]:
        """Newest first; `waiting`: those that are still to be sent, by the time of their next try."""
        ...

    async def mark_letter(
        self, letter: int, *, sent: datetime | None = None, next_try: datetime | None = None, error: Words | None = None
    ) -> None:
        """What came of a try: it was `sent`, or it failed with `error`; without a `next_try` it is given up.

        What was to be sent instead of one that was sent is forgotten with that.
        """
        ...

    async def hush(self, alert: int, *, known: datetime | None = None, asleep: datetime | None = None) -> None:
        """What a person said to an alert: that they know, that it may sleep until then, or neither any more."""
        ...

    async def drop_letters(self, before: datetime) -> None:
        """Forget those that were sent, or given up, and written before then."""
        ...


class Writer(Protocol):
    """Says things in the house's language."""

    def news(self, news: News, now: datetime) -> Text:
        """What needs somebody, and what is over; without any: that letters arrive."""
        ...

    def brief(self, news: News) -> Text:
        """The same for the second way: that somebody is needed, and why, in a sentence or two."""
        ...

    def unsent(self) -> Text:
        """For the second way: that letters do not go out."""
        ...

    def week(self, overview: Overview) -> Text:
        """How things stand, once a week."""
        ...

    def month(self, month: str) -> Text:
        """That the record of a month, such as `2026-11`, can be printed."""
        ...


class Pinger(Protocol):
    """An address outside that raises an alarm when it hears nothing."""

    async def ping(self, *, well: bool) -> bool:
        """Say that the house is alive, and whether it is well; nothing else is told. Whether it was heard."""
        ...


class Mailer(Protocol):
    """One way on which letters go: the mail server of the settings, or the second way."""

    async def send(self, letter: Letter) -> None:
        """Raises MailFailed; `lasting` if the server will say the same to the next try."""
        ...

"""What the use cases need to write to people: a part of `ports.Store`, and the way to a mail server."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gardien.model.letter import Letter, News, Text, Told
from gardien.model.overview import Overview
from gardien.words import Words


class Outbox(Protocol):
    """Letters that are written and may not be sent yet, and what people were told of each alert."""

    async def post(self, message: str, text: Text, now: datetime, told: Sequence[int], over: Sequence[int]) -> None:
        """Put a letter into the outbox, and with it note the alerts that it tells of: both or neither.

        Nothing happens if it was written already, as its Message-ID tells.
        """
        ...

    async def told(self, since: datetime) -> list[Told]:
        """Alerts that are open, or were over after `since`, or whose end was not written about yet; newest first."""
        ...

    async def letters(self, *, waiting: bool = False, most: int = 100) -> list[Letter]:
        """Newest first; `waiting`: those that are still to be sent, by the time of their next try."""
        ...

    async def mark_letter(
        self, letter: int, *, sent: datetime | None = None, next_try: datetime | None = None, error: Words | None = None
    ) -> None:
        """What came of a try: it was `sent`, or it failed with `error`; without a `next_try` it is given up."""
        ...

    async def drop_letters(self, before: datetime) -> None:
        """Forget those that were sent, or given up, and written before then."""
        ...


class Writer(Protocol):
    """Says things in the house's language."""

    def news(self, news: News, now: datetime) -> Text:
        """What needs somebody, and what is over; without any: that letters arrive."""
        ...

    def week(self, overview: Overview) -> Text:
        """How things stand, once a week."""
        ...


class Pinger(Protocol):
    """An address outside that raises an alarm when it hears nothing."""

    async def ping(self, *, well: bool) -> bool:
        """Say that the house is alive, and whether it is well; nothing else is told. Whether it was heard."""
        ...


class Mailer(Protocol):
    """The mail server of the settings."""

    async def send(self, letter: Letter) -> None:
        """Raises MailFailed; `lasting` if the server will say the same to the next try."""
        ...

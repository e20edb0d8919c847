"""The outbox, kept in lists: a part of the `FakeStore`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gardien.errors import MailFailed
from gardien.model.health import Alert
from gardien.model.letter import Draft, Letter, Told, Way
from gardien.words import Words


class FakeOutbox:
    """Knows the alerts of the store that it is a part of."""

    _alerts: list[Alert]

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._count = 0
        self._instead_of: dict[str, str] = {}
        self._told: dict[int, datetime] = {}
        self._over: dict[int, datetime] = {}

    async def post(
        self, drafts: Sequence[Draft], now: datetime, told: Sequence[int] = (), over: Sequence[int] = ()
    ) -> None:
        for each in drafts:
            if all(letter.message != each.message for letter in self._letters):
                self._count += 1
                self._letters.append(Letter(self._count, each.message, each.text, now, 0, each.due, way=each.way))
                if each.instead_of is not None:
                    self._instead_of[each.message] = each.instead_of
        self._told |= dict.fromkeys(told, now)
        self._over |= dict.fromkeys(over, now)

    async def told(self, since: datetime) -> list[Told]:
        return [
            Told(alert, self._told.get(alert.id), self._over.get(alert.id))
            for alert in reversed(self._alerts)
            if alert.closed is None
            or alert.closed > since
            or ((alert.id in self._told or alert.known is not None) and alert.id not in self._over)
        ]

    async def letters(self, *, waiting: bool = False, way: Way | None = None, most: int = 100) -> list[Letter]:
        found = [each for each in self._letters if way in (None, each.way)]
        if waiting:
            found = [each for each in found if each.sent is None and each.next_try is not None]
            return sorted(found, key=lambda each: (each.next_try or each.written, each.id))[:most]
        return found[::-1][:most]

    async def mark_letter(
        self, letter: int, *, sent: datetime | None = None, next_try: datetime | None = None, error: Words | None = None
    ) -> None:
        self._letters = [
            replace(each, tries=each.tries + 1, sent=sent, next_try=next_try, error=error)
            if each.id == letter
            else each
            for each in self._letters
        ]
        if sent is not None:
            [message] = [each.message for each in self._letters if each.id == letter]
            self._letters = [
                each for each in self._letters if each.sent or self._instead_of.get(each.message) != message
            ]

    async def hush(self, alert: int, *, known: datetime | None = None, asleep: datetime | None = None) -> None:
        self._alerts = [
            replace(each, known=known, asleep=asleep) if each.id == alert else each for each in self._alerts
        ]

    async def drop_letters(self, before: datetime) -> None:
        self._letters = [
            each
            for each in self._letters
            if each.written >= before or (each.sent is None and each.next_try is not None)
        ]


class FakeMailer:
    """A mail server in memory: `refuses` is what it answers, if it does not take letters."""

    def __init__(self) -> None:
        self.taken: list[Letter] = []
        self.refuses: MailFailed | None = None

    async def send(self, letter: Letter) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.taken.append(letter)


class FakePinger:
    """An address that hears: `heard` is what it was told, oldest first; or is deaf."""

    def __init__(self) -> None:
        self.heard: list[bool] = []
        self.deaf = False

    async def ping(self, *, well: bool) -> bool:
        if not self.deaf:
            self.heard.append(well)
        return not self.deaf

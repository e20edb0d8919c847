"""A time in which alerts open and close, and a house that writes about them: the rule alone, without disk or clock."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.model.health import Alert, Severity
from gardien.model.letter import News, Told
from gardien.rules import letters
from gardien.words import Words


class Years:
    """Looked at each minute, or as often as a test says; `written` is what was written when, by the house's clock."""

    def __init__(self, begin: datetime, zone: ZoneInfo) -> None:
        self.now = begin
        self.zone = zone
        self.every: dict[int, Told] = {}
        self.written: list[tuple[datetime, News]] = []
        self.regular: list[str] = []  # the names of letters that have one
        self._present: set[int] = set()  # what the store would still hand out

    def open(self, key: str) -> Told | None:
        found = (self.every[each] for each in self._present)
        return next((each for each in found if each.alert.key == key and each.alert.closed is None), None)

    def opens(self, key: str, severity: Severity = "trouble") -> None:
        """As the store does: at most one is open for each key; a notice that becomes trouble is another matter."""
        told = self.open(key)
        if told is None:
            number = len(self.every) + 1
            self.every[number] = Told(Alert(number, key, severity, Words.of(key), Words.of(""), self.now))
            self._present.add(number)
        elif told.alert.severity != severity:
            worse = told.alert.worse or (self.now if severity == "trouble" else None)
            self.says(key, severity=severity, worse=worse)

    def closes(self, key: str) -> None:
        if self.open(key) is not None:
            self.says(key, closed=self.now)

    def says(self, key: str, **what: object) -> None:
        """A person, or the house, says that of the open alert."""
        told = self.open(key)
        assert told is not None
        self.every[told.alert.id] = replace(told, alert=replace(told.alert, **what))  # type: ignore[arg-type]

    def go(self, step: timedelta = timedelta(minutes=1), **by: float) -> None:
        until = self.now + timedelta(**by)
        while self.now < until:
            self.now += step
            self.look()

    def look(self) -> None:
        """As `services/letters.py` does."""
        since = self.now - 2 * letters.RESTLESS
        told = [self.every[each] for each in sorted(self._present, reverse=True)]
        told = [
            each
            for each in told
            if each.alert.closed is None
            or each.alert.closed > since
            or ((each.told or each.alert.known) and each.over is None)
        ]
        self._present = {each.alert.id for each in told}
        for name in (letters.weekly(self.now, self.zone), letters.monthly(self.now, self.zone)):
            if name is not None and name not in self.regular:
                self.regular.append(name)
        if news := letters.news(told, self.now, self.zone):
            self.written.append((self.now, news))
            for each in news.open:
                self.every[each.id] = replace(self.every[each.id], told=self.now)
            for each in news.over:
                self.every[each.id] = replace(self.every[each.id], over=self.now)

    def said(self) -> list[str]:
        """One word per letter: the keys it opens, and those that are over in brackets."""
        return [
            " ".join([*(each.key for each in news.open), *(f"({each.key})" for each in news.over)])
            for _, news in self.written
        ]

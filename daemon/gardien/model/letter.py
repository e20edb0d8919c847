"""A letter to the people who look after the house, and what they were told of an alert so far."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gardien.model.health import Alert
from gardien.words import Words

Way = Literal["mail", "second"]
# How the keys of alerts begin that are told soon, since somebody may look for what they wrote; once, since there is
# nothing to be done; and never that they are over: of an update that was taken back.
ONCE = "update:"


@dataclass(frozen=True, slots=True)
class Text:
    """What a letter says, once in plain text and once as HTML; no file name and no name of a patient is ever in it."""

    subject: str
    plain: str
    html: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One that is to be written down. `message` is its Message-ID: what was written under it is not written again."""

    message: str
    text: Text
    due: datetime
    way: Way = "mail"
    instead_of: str | None = None  # another's Message-ID: once that one was sent, this one is not needed any more


@dataclass(frozen=True, slots=True)
class Letter:
    """One in the outbox. `message` is its Message-ID, the same at each try: mailboxes know a second one by it."""

    id: int
    message: str
    text: Text
    written: datetime
    tries: int
    next_try: datetime | None  # None: it was sent, or given up
    sent: datetime | None = None
    error: Words | None = None  # why the last try failed
    way: Way = "mail"


@dataclass(frozen=True, slots=True)
class Told:
    """An alert, when it was last written about while it was open, and whether its end was."""

    alert: Alert
    told: datetime | None = None
    over: datetime | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What one letter is about: alerts that are open, and some that are over."""

    open: tuple[Alert, ...] = ()
    over: tuple[Alert, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.open or self.over)

    @property
    def trouble(self) -> bool:
        """Whether any of it is, or was, trouble."""
        return any(each.severity == "trouble" for each in (*self.open, *self.over))

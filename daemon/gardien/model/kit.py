"""The recovery sheet: what a blank machine needs to reach one repository and to open it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gardien.model.plan import Json


@dataclass(frozen=True, slots=True)
class Kit:
    """All that is on the sheet. Its text is made by `rules.kit`; nothing of it is ever stored but a hash."""

    machine: str  # the name that its snapshots bear
    target: str
    place: Mapping[str, Json]  # the target as in gardien.yaml, without the files of this machine
    passphrase: str = field(repr=False)
    login: Mapping[str, str] = field(default_factory=dict, repr=False)
    key: str | None = field(default=None, repr=False)  # the SSH key's file
    ca: str | None = None  # the certificate of an authority of its own


@dataclass(frozen=True, slots=True)
class Asked:
    """One group of the sheet, to be typed back: both from 1, as they are printed."""

    line: int
    group: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is shown once."""

    kit: Kit
    lines: tuple[str, ...]  # five groups of five signs each
    made: datetime
    address: str
    fingerprint: str | None  # of the SSH server
    new_key: bool  # it shows a key that becomes the only one when the sheet is confirmed


@dataclass(frozen=True, slots=True)
class KitView:
    """How it is with the sheet of one target. Times are UTC; None: never."""

    target: str
    address: str
    away: bool  # the target is not on this machine
    made: datetime | None = None
    confirmed: datetime | None = None  # somebody typed some of it back
    proven: datetime | None = None  # its key opened the newest backup
    outdated: bool = False  # something on it has changed since it was made
    new_key: bool = False  # it shows a key that is not the only one yet
    since: datetime | None = None  # when there was first something to make one for

    @property
    def good(self) -> bool:
        return self.confirmed is not None and not self.outdated


@dataclass(frozen=True, slots=True)
class Offered:
    """A stack as a repository holds it."""

    stack: str
    snapshot: str  # the newest good one
    taken: datetime
    files: int
    bytes: int
    backups: int  # how many there are of it


@dataclass(frozen=True, slots=True)
class Offer:
    """What a sheet leads to, and how long it may take to bring it back."""

    machine: str
    target: str
    address: str
    repository: str
    stacks: tuple[Offered, ...]  # in the order in which they would come back
    house: bool  # its settings and the keys of its other targets come back, too
    rate: float | None  # bytes a second, measured; None: there was too little to measure
    seconds: float  # the guess


@dataclass(frozen=True, slots=True)
class Returning:
    """One stack on its way back."""

    stack: str
    job: int | None  # the last one that tried


@dataclass(frozen=True, slots=True)
class Recovery:
    """A machine that takes over from a lost one."""

    machine: str
    target: str
    ready: bool  # its settings are those of the house; what follows are the stacks
    stacks: tuple[Returning, ...]
    names: tuple[str, ...]  # host names that must lead here
    addresses: tuple[str, ...]  # of this machine

"""The people of a house: what each may do, where they are signed in, what programs may do for them, what was done."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from gardien.words import N_, Words

Role = Literal["owner", "helper"]
Power = Literal["read", "inside", "backup", "update", "act", "people", "self"]
"""What a request needs.

read: how everything is, without names of files; inside: names of files, logs, settings, downloads; backup, update:
begin one; act: everything else that changes the house; people: who may come in; self: one's own account.
"""
Means = Literal["page", "token", "console"]

ROLES: tuple[Role, ...] = ("owner", "helper")

OWNER = "owner"  # the first owner's name; there is always one
CONSOLE = "console"  # whoever may open the unix socket
EVERYTHING: frozenset[Power] = frozenset({"read", "inside", "backup", "update", "act", "people", "self"})
SCOPES: tuple[Power, ...] = ("read", "inside", "backup", "update", "act")  # what a token may be given
_HELPER: frozenset[Power] = frozenset({"read", "self"})
GRANTS: tuple[Power, ...] = ("backup", "update")  # what an owner may allow a helper

POWER = {
    "read": N_("see how everything is"),
    "inside": N_("see names of files, logs and settings, and fetch files"),
    "backup": N_("start a backup"),
    "update": N_("start an update"),
    "act": N_("change and restore applications"),
    "people": N_("say who may come in"),
    "self": N_("change one’s own password"),
}
ROLE = {"owner": N_("owner"), "helper": N_("helper")}


@dataclass(frozen=True, slots=True)
class Person:
    """`may`: what an owner allows this helper beside looking. `secret`: of the second factor, base32; None: none yet.
    `step`: the newest half minute whose code was used.
    """

    name: str
    role: Role
    made: datetime
    may: frozenset[Power] = frozenset()
    secret: str | None = field(default=None, repr=False)
    step: int = 0

    @property
    def powers(self) -> frozenset[Power]:
        """All that this person may do."""
        return EVERYTHING if self.role == "owner" else _HELPER | self.may


@dataclass(frozen=True, slots=True)
class Visit:
    """Somebody signed in somewhere. `data` is the session's own JSON text."""

    key: str
    data: str
    user: str | None
    person: Person | None


@dataclass(frozen=True, slots=True)
class Token:
    """What lets a program in; its text is known to nobody any more."""

    id: int
    name: str
    user: str  # who made it
    scopes: frozenset[Power]
    made: datetime
    until: datetime | None
    used: datetime | None


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that was done. `who`: a person's name, a token's, or the machine's account. `job`: what it began."""

    id: int
    at: datetime
    who: str
    means: Means
    what: Words
    job: int | None = None
    refused: bool = False

"""Versions of applications: what a tag says, what was found at a registry, what may follow what runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from gardien.words import Words

# How far a step goes. `rebuilt`: the same tag, made anew by whoever makes the image, with other contents.
Jump = Literal["rebuilt", "patch", "minor", "major"]
# What was said of an image: by its owner that it is not wanted, by us that it did not work here.
Said = Literal["skipped", "quarantined"]
# Who begins an update.
Updating = Literal["by-itself", "by-hand"]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """What a tag says, as numbers: compared in this order. A part that its pattern does not name is ()."""

    major: tuple[int, ...] = ()
    minor: tuple[int, ...] = ()
    patch: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Release:
    """One version as a registry has it. Two tags for the same version: any order, but always the same."""

    version: Version
    tag: str
    text: str = field(compare=False)  # the version for people, and as the application says it: "34.0.3"


@dataclass(frozen=True, slots=True)
class Tags:
    """The tags of a repository at a registry. `mark`: by which the registry knows whether there are others by now."""

    names: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """That a tag stood for this image at a registry, from when to when. `repository`: with its registry."""

    repository: str
    tag: str
    digest: str  # "sha256:…"
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was said of an image that could be updated to. It holds for this stack alone."""

    stack: str
    variable: str  # the image variable whose rule found it
    tag: str
    digest: str
    said: Said
    at: datetime
    why: Words | None = None  # of a quarantined one: the reason it did not work


@dataclass(frozen=True, slots=True)
class Change:
    """One step that an application can take: images, pinned, that change together.

    `key` names it towards people and programs: `NEXTCLOUD_IMAGE`, the variable whose rule found it.
    """

    stack: str
    key: str
    images: Mapping[str, str]  # image variable -> "name:tag@sha256:…", never without its digest
    former: Mapping[str, str]  # the same variables -> what runs now, as it is written
    tag: str
    digest: str  # of the image; of several that go together, what names them all
    text: str  # the version it leads to: "34.0.4"
    former_text: str  # and the one it comes from
    jump: Jump
    notes: str  # address of the release notes, "" where nobody writes any
    seen: datetime  # since when this very image is known to us
    ripe: datetime | None  # from when on it may be made without being asked; None: never
    newest: str = ""  # the version this leads towards, where more steps must follow; else ""
    said: Verdict | None = None  # it is skipped, or in quarantine: not offered, only shown


@dataclass(frozen=True, slots=True)
class Beyond:
    """A version there is, to which no step leads, and why."""

    key: str
    text: str
    why: Words
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The tag that runs stands for another image now than it did. `expected`: its makers do that as a habit."""

    key: str
    image: str  # as it is written now
    tag: str
    former: str  # digests
    digest: str
    seen: datetime
    expected: bool


@dataclass(frozen=True, slots=True)
class Asked:
    """How it went when registries were asked about one stack."""

    first: datetime  # when we first tried
    tried: datetime  # and last
    done: datetime | None = None  # when all of them last answered
    trouble: Words | None = None  # why not all of them did the last time

    def as_json(self) -> dict[str, Any]:
        """For the store; `from_json` is the way back."""
        return {
            "first": self.first.isoformat(),
            "tried": self.tried.isoformat(),
            "done": self.done.isoformat() if self.done else None,
            "trouble": self.trouble.as_json() if self.trouble else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Asked":
        """What `as_json` wrote."""
        return cls(
            first=datetime.fromisoformat(data["first"]),
            tried=datetime.fromisoformat(data["tried"]),
            done=datetime.fromisoformat(data["done"]) if data["done"] else None,
            trouble=Words.from_json(data["trouble"]) if data["trouble"] else None,
        )


@dataclass(frozen=True, slots=True)
class News:
    """What is known of the updates of one stack."""

    stack: str
    asked: Asked | None = None  # None: its registries were never asked
    changes: tuple[Change, ...] = ()  # in the manifest's order: the next step of each image, skipped ones too
    beyond: tuple[Beyond, ...] = ()
    moved: tuple[Moved, ...] = ()
    unfollowed: Mapping[str, Words] = field(default_factory=dict)  # image variable -> why nothing is known of it

    @property
    def offered(self) -> tuple[Change, ...]:
        """Those that wait for somebody to say yes, or for their time."""
        return tuple(each for each in self.changes if each.said is None)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What an update that stayed has replaced."""

    job: int
    stack: str
    key: str
    tag: str
    digest: str
    version: str
    former: str
    snapshot: str  # of the moment before
    target: str
    taken: datetime | None  # that moment
    ended: datetime
    away: float | None  # seconds for which nobody could use it

    def skipped(self, now: datetime) -> Verdict:
        """The owner's word that it is not wanted."""
        return Verdict(self.stack, self.key, self.tag, self.digest, "skipped", now)

    def kept_until(self, days: int) -> datetime:
        """Until when retention spares that backup for it, if that is `keep_replaced_days`."""
        return self.ended + timedelta(days=days)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How one stack is updated: who begins, when next, what was last."""

    alone: bool = False  # its patch releases are made by themselves
    chosen: Updating | None = None  # what its owner said of this stack; None: as of the house
    next: datetime | None = None  # when a step is made by itself
    window: str = ""  # in which that happens: "sunday 03:00-05:00"
    last: Replaced | None = None  # the last one that stayed, and can be gone back from
    kept_until: datetime | None = None  # until when its backup of before is sure to be there
    left: tuple[Change, ...] = ()  # what has been there for a while, and nobody takes

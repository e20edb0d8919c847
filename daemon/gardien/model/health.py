"""What the watchman saw."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from gardien.words import Words

Health = Literal["well", "starting", "paused", "ailing", "down", "stopped", "unknown"]
Severity = Literal["calm", "notice", "trouble"]
Fault = Literal["", "read-only", "broken"]  # of a disk: nothing can be written, or it answers with errors


@dataclass(frozen=True, slots=True)
class Answer:
    """One probe's answer. `data` is the decoded JSON body, if there was one."""

    ok: bool
    says: Words
    data: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """One container as the engine lists it."""

    id: str
    project: str
    service: str
    state: str  # docker's word: created, running, exited, restarting, ...
    health: str  # docker's word, or ""
    image: str
    config: str = ""  # Compose's hash of the configuration it was made from


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the Docker Engine says of itself."""

    root: Path  # where images and containers lie
    memory_limits: bool  # whether the kernel lets it limit a container's memory


@dataclass(frozen=True, slots=True)
class StackHealth:
    """A stack's health, since when, and in words why."""

    stack: str
    health: Health
    says: Words
    since: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which one question to an application was answered alike. Between two of them nobody knows."""

    stack: str
    probe: str  # its name in the manifest; "" is the containers' own word, where there is no probe
    ok: bool
    says: Words  # what was wrong; empty if nothing was
    began: datetime
    seen: datetime  # when it was so last


def silence(period: float = 0) -> timedelta:
    """After so long without an answer nobody knows how it was meanwhile; `period`: seconds between two questions."""
    return max(timedelta(minutes=15), timedelta(seconds=2 * period))


@dataclass(frozen=True, slots=True)
class Disk:
    """A file system, in bytes."""

    path: str
    total: int
    free: int
    present: bool = True
    device: int = 0  # the kernel's number: two folders with the same one share a disk
    nodes: int | None = None  # how many more files it can hold; None: as many as there is room for
    all_nodes: int | None = None
    fault: Fault = ""

    @property
    def used_share(self) -> float:
        """0 to 1."""
        return 1 - self.free / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Alert:
    """A recorded change of state that a person should know of. `key` says what it is about: at most one open each."""

    id: int
    key: str
    severity: Severity
    says: Words
    remedy: Words
    opened: datetime
    closed: datetime | None = None
    known: datetime | None = None  # when a person said that they know of it
    asleep: datetime | None = None  # until when a person wants to hear nothing of it
    worse: datetime | None = None  # when a notice first became trouble

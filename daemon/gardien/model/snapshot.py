"""A snapshot: one backup of one stack at one target, and whether it counts."""

from dataclasses import dataclass
from datetime import datetime

from gardien.words import Words


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`good`: complete, its dumps whole, seen in the repository. Only good ones are ever counted on."""

    id: str  # restic's full id, 64 hex digits
    stack: str
    target: str
    taken: datetime
    files: int
    bytes: int
    added: int  # bytes new in the repository, after compression
    pause_seconds: float
    good: bool
    why: Words | None = None  # why it does not count
    version: str = ""
    original: str | None = None  # of a copy: the id of the snapshot it is a copy of
    missed: tuple[str, ...] = ()  # paths that could not be read, the first hundred; never in a letter or an alert


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot as the repository itself lists it."""

    id: str
    taken: datetime
    host: str
    tags: tuple[str, ...]
    paths: tuple[str, ...]
    original: str = ""  # of a copy: the id of what it was copied from; else its own
    files: int | None = None  # as restic counted them when it was made
    bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """How what came back compares with what a snapshot lists. Names are at most a hundred of each."""

    files: int  # all but folders
    bytes: int  # of regular files
    wrong: int  # entries that are missing, different or too many
    named: tuple[str, ...] = ()  # of those
    left_out: tuple[str, ...] = ()  # devices, and files without their set-id bits
    links: bool = False  # whether there are any


@dataclass(frozen=True, slots=True)
class Saved:
    """restic's own account of one pass."""

    id: str
    files: int
    bytes: int
    added: int
    complete: bool
    missed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """What a look into a whole repository found: nothing, or what restic says is not as it should be."""

    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.problems

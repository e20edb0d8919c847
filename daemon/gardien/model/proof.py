"""What came of a trial restore: that a stack's backup really comes back, or why not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gardien.words import Words

Outcome = Literal["proven", "failed", "skipped"]  # skipped: this machine could not carry it; it says nothing


@dataclass(frozen=True, slots=True)
class Proof:
    """One trial restore. What was not reached is empty."""

    job: int
    stack: str
    target: str  # where the backup lay
    snapshot: str  # its id
    taken: datetime  # when the backup was made
    began: datetime
    ended: datetime  # when the application had answered, or when it was given up
    outcome: Outcome
    says: Words
    remedy: Words
    code: str | None = None  # of the error
    files: int = 0  # that were compared with the backup's own list
    bytes: int = 0
    dumps: tuple[str, ...] = ()  # databases that were loaded
    asked: tuple[str, ...] = ()  # probes that were answered as they should be

    @property
    def seconds(self) -> float:
        """How long it took from the first look until the application answered."""
        return max(0.0, (self.ended - self.began).total_seconds())


@dataclass(frozen=True, slots=True)
class Trials:
    """What is known of the trial restores of one stack."""

    proven: Proof | None = None  # the newest that was
    failed: Proof | None = None  # the newest, if it failed and none was proven since
    tried: Proof | None = None  # the newest, whatever came of it
    late: bool = False  # none was proven for too long
    next_run: datetime | None = None  # None while one is under way, and where none is due

"""A job: a plan that was written down and is being, or was, carried out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from gardien.model.plan import Json, Plan
from gardien.words import Words

JobState = Literal["queued", "running", "undoing", "done", "failed", "cancelled", "interrupted", "stuck"]
StepState = Literal["waiting", "begun", "done", "undoing", "failed", "undone", "undo-failed"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled", "interrupted", "stuck"})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the present step is. Bytes are counted before compression; `files` and `bytes` never go back."""

    bytes_done: int = 0
    bytes_total: int = 0
    files_done: int = 0
    files_total: int = 0
    per_second: float = 0.0  # bytes
    seconds_left: float | None = None

    @property
    def fraction(self) -> float:
        """0 to 1; 0 while nothing is known."""
        if self.bytes_total:
            return min(1.0, self.bytes_done / self.bytes_total)
        return min(1.0, self.files_done / self.files_total) if self.files_total else 0.0


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What the journal holds of one step."""

    name: str
    state: StepState
    began: datetime | None
    ended: datetime | None


@dataclass(frozen=True, slots=True)
class Job:
    """What the journal holds of one job."""

    id: int
    plan: Plan
    state: JobState
    steps: tuple[StepRecord, ...]
    facts: Mapping[str, Json]
    attempts: int
    created: datetime
    started: datetime | None
    ended: datetime | None
    says: Words | None  # how it ended, or why it failed
    remedy: Words | None
    code: str | None
    detail: str

    @property
    def over(self) -> bool:
        return self.state in ENDED

    @property
    def present_step(self) -> StepRecord | None:
        """The step under way, or the last one that was."""
        begun = [step for step in self.steps if step.state != "waiting"]
        return begun[-1] if begun else None

"""What gardien can say of one month: the practice's record."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gardien.model.health import Alert
from gardien.model.manifest import Text
from gardien.model.proof import Proof
from gardien.model.settings import Keep
from gardien.model.target import TargetView


@dataclass(frozen=True, slots=True)
class StackRecord:
    """One application in that month: how many backups were made, or failed, how often it was restored."""

    name: str
    title: Text
    folder: Path  # where its data lies
    kept: bool  # whether it is backed up at all
    made: int
    failed: int
    restored: int
    proof: Proof | None  # the last that was proven, in that month or before


@dataclass(frozen=True, slots=True)
class PlaceRecord:
    """Where backups lie, and for how long they are kept there."""

    view: TargetView
    keep: Keep


@dataclass(frozen=True, slots=True)
class Record:
    """From `since` until before `until`, or until `now` if that is earlier. Written from the store alone."""

    house: str
    since: datetime
    until: datetime
    now: datetime
    stacks: tuple[StackRecord, ...]
    places: tuple[PlaceRecord, ...]
    incidents: tuple[Alert, ...]  # of trouble, oldest first

    @property
    def end(self) -> datetime:
        """Until when it tells."""
        return min(self.until, self.now)

    def seconds(self, incident: Alert) -> float:
        """How long it lasted, or lasts."""
        return max(0.0, ((incident.closed or self.end) - incident.opened).total_seconds())

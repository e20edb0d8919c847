"""What every face shows: the state of the house, gathered once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gardien.model.health import Alert, Disk, Severity, StackHealth
from gardien.model.job import Job, Progress
from gardien.model.kit import KitView
from gardien.model.manifest import Text
from gardien.model.proof import Trials
from gardien.model.reading import Forecast, Reading
from gardien.model.release import News, Outlook
from gardien.model.rescue import Rescue
from gardien.model.snapshot import Snapshot
from gardien.model.target import TargetView
from gardien.words import Words


@dataclass(frozen=True, slots=True)
class PlaceView:
    """The backups of one stack at one target."""

    target: str
    newest_good: Snapshot | None
    newest: Snapshot | None
    late: bool
    next_run: datetime | None  # None while it is under way, or where nothing is due
    missed: tuple[datetime, ...]  # times of the last two weeks that brought no good backup, newest first


@dataclass(frozen=True, slots=True)
class StackView:
    """One stack of this house."""

    name: str
    title: Text
    summary: Text
    address: str | None
    health: StackHealth
    newest_good: Snapshot | None
    newest: Snapshot | None  # may be an incomplete one
    late: bool  # at one of its places there is no good snapshot within the time the owner allows
    next_backup: datetime | None
    places: tuple["PlaceView", ...] = ()  # one for each target
    kept: bool = True  # False: it does not say what is to be saved of it, and nothing is
    drift: tuple[Words, ...] = ()  # what runs otherwise than it was set up, in sentences
    trials: Trials = field(default_factory=Trials)  # restores of its newest backup, to see that it comes back
    rescue: Rescue = field(default_factory=Rescue)
    news: News = field(default_factory=lambda: News(""))  # of newer versions
    outlook: Outlook = field(default_factory=Outlook)  # on its updates
    next_try: datetime | None = None  # from when on gardien restarts it, should it stay down


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with how far its present step is, while it runs."""

    job: Job
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Overview:
    """The state of the house, and one sentence on it."""

    severity: Severity
    says: Words
    now: datetime
    seen: datetime | None  # when the watchman last looked
    stacks: tuple[StackView, ...]
    disks: tuple[Disk, ...]
    targets: tuple[TargetView, ...]
    jobs: tuple[JobView, ...]  # under way or waiting
    recent: tuple[Job, ...]  # ended, newest first
    alerts: tuple[Alert, ...]  # open ones
    readings: tuple[Reading, ...] = ()  # the newest of each series
    forecasts: Mapping[str, Forecast] = field(default_factory=dict)  # of disks that fill, by path
    kits: tuple[KitView, ...] = ()  # the recovery sheet of the house, and others that were made

"""The shapes of what the JSON API says. `wire` makes values of them, and `openapi` describes them: one and the same.

Moments are texts in ISO 8601, sizes bytes, durations seconds; what is not known is null.
"""

from typing import NotRequired, TypedDict

from gardien.faces import shapes_places as places
from gardien.faces import shapes_updates as news
from gardien.faces.present import Standing
from gardien.model.entry import EntryKind
from gardien.model.health import Health, Severity
from gardien.model.job import JobState, StepState
from gardien.model.letter import Way
from gardien.model.manifest import SettingKind
from gardien.model.plan import Kind
from gardien.model.proof import Outcome
from gardien.model.reading import Unit
from gardien.model.release import Jump
from gardien.model.stack import Wanted


class FaultData(TypedDict):
    file: str | None
    line: int | None
    path: str
    says: str
    remedy: str


class SentencesData(TypedDict):
    says: object
    remedy: object


class ErrorData(TypedDict):
    code: str
    says: str
    remedy: str
    detail: str
    words: SentencesData
    faults: NotRequired[list[FaultData]]


class HealthData(TypedDict):
    health: Health
    state: str
    says: str
    since: str | None
    seen: str | None


class DiskData(TypedDict):
    path: str
    total: int
    free: int
    present: bool
    fault: str | None


class AlertData(TypedDict):
    id: int
    key: str
    severity: Severity
    says: str
    remedy: str
    opened: str | None
    closed: str | None
    known: str | None
    asleep: str | None


class LetterData(TypedDict):
    id: int
    way: Way
    subject: str
    written: str | None
    sent: str | None
    tries: int
    next_try: str | None
    error: str | None


class SnapshotData(TypedDict):
    id: str
    stack: str
    target: str
    taken: str | None
    files: int
    bytes: int
    added: int
    pause_seconds: float
    good: bool
    why: str | None
    version: str | None
    state: Standing
    acceptable: bool
    copy_of: str | None


class ReasonData(TypedDict):
    rule: str
    says: str


class ElsewhereData(TypedDict):
    target: str
    id: str
    good: bool


class SnapshotInFullData(SnapshotData):
    missed: list[str]
    elsewhere: list[ElsewhereData]
    stays: list[ReasonData]
    goes: bool


class ProposedData(SnapshotData):
    stays: list[ReasonData]
    goes: bool


class ProposalData(TypedDict):
    stack: str
    frozen: str | None
    snapshots: list[ProposedData]


class ProgressData(TypedDict):
    fraction: float
    bytes_done: int
    bytes_total: int
    files_done: int
    files_total: int
    per_second: float
    seconds_left: float | None


class StepData(TypedDict):
    name: str
    says: str
    undo: str | None
    details: list[str]


class PlanData(TypedDict):
    kind: Kind
    stack: NotRequired[str]
    target: NotRequired[str]
    steps: list[StepData]


class JobStepData(StepData):
    state: StepState
    began: str | None
    ended: str | None


class JobData(TypedDict):
    id: int
    kind: Kind
    stack: str | None
    target: str | None
    title: str
    state: JobState
    state_says: str
    over: bool
    step: str | None
    steps: list[JobStepData]
    progress: ProgressData | None
    attempts: int
    created: str | None
    started: str | None
    ended: str | None
    says: str | None
    remedy: str | None
    code: str | None
    detail: str


class PlaceData(TypedDict):
    target: str
    newest_good: SnapshotData | None
    newest: SnapshotData | None
    late: bool
    next_run: str | None
    missed: list[str | None]


class ProofData(TypedDict):
    job: int
    stack: str
    target: str
    snapshot: str
    taken: str | None
    began: str | None
    ended: str | None
    seconds: float
    outcome: Outcome
    outcome_says: str
    says: str
    remedy: str | None
    code: str | None
    files: int
    bytes: int
    dumps: list[str]
    asked: list[str]
    checked: list[str]


class TrialsData(TypedDict):
    proven: ProofData | None
    failed: ProofData | None
    tried: ProofData | None
    late: bool
    next_run: str | None


class RescueData(TypedDict):
    ill_since: str | None
    tries: list[str | None]
    next_try: str | None
    left_alone: bool
    at_work: bool
    says: list[str]


class UpdateData(news.From, PlanData):
    """The plan of an update, and what people notice of it."""

    to: str
    jump: Jump
    jump_says: str
    last_away_seconds: float | None
    watch_seconds: int


class StackViewData(TypedDict):
    name: str
    title: str
    summary: str
    address: str | None
    kept: bool
    drift: list[str]
    trials: TrialsData
    rescue: RescueData
    updates: list[news.ChangeData]
    health: HealthData
    newest_good: SnapshotData | None
    newest: SnapshotData | None
    late: bool
    next_backup: str | None
    places: list[PlaceData]


class StackData(StackViewData):
    printed: list[str]
    wanted: Wanted
    settings: dict[str, str]
    given: dict[str, str]
    derived: dict[str, str]
    images: dict[str, str]
    services: list[str]
    project: str
    folder: str
    compose: str


class SettingData(TypedDict):
    name: str
    kind: SettingKind
    default: str
    ask: str
    choices: dict[str, str]


class OfferData(TypedDict):
    """A broken one has an `error` in place of all but its name."""

    name: str
    added: bool
    error: NotRequired[ErrorData]
    title: NotRequired[str]
    summary: NotRequired[str]
    kept: NotRequired[bool]
    door: NotRequired[bool]
    doorless: NotRequired[bool]
    settings: NotRequired[list[SettingData]]
    images: NotRequired[dict[str, str]]
    needs: NotRequired[dict[str, int] | None]


class OverviewData(TypedDict):
    severity: Severity
    says: str
    now: str | None
    seen: str | None
    stacks: list[StackViewData]
    targets: list[places.TargetData]
    disks: list[DiskData]
    jobs: list[JobData]
    recent: list[JobData]
    alerts: list[AlertData]
    kits: list[places.KitViewData]


class ReadingData(TypedDict):
    what: str
    subject: str
    label: str
    value: float | None
    unit: Unit
    shown: str
    says: str | None
    at: str | None


class DiskOutlookData(DiskData):
    full_in_days: float | None
    forecast: str | None


class PointData(TypedDict):
    at: str | None
    least: float | None
    mean: float | None
    most: float | None


class StackRecordData(TypedDict):
    name: str
    title: str
    folder: str
    kept: bool
    backups_made: int
    backups_failed: int
    restores: int
    last_proven: str | None


class PlaceRecordData(TypedDict):
    name: str
    kind: str
    address: str
    operator: places.OperatorData
    copy_of: str | None
    kept: str


class IncidentData(TypedDict):
    says: str
    opened: str | None
    closed: str | None
    seconds: int


class RecordData(TypedDict):
    house: str
    since: str | None
    until: str | None
    stacks: list[StackRecordData]
    places: list[PlaceRecordData]
    incidents: list[IncidentData]


class RecordAnswerData(RecordData):
    month: str
    html: NotRequired[str]


class EntryData(TypedDict):
    id: int
    name: str
    path: str
    kind: EntryKind
    size: int
    modified: str | None
    mode: str
    owner: list[int]


class EntryInFullData(EntryData):
    exact: str | None
    files: int
    bytes: int
    left_out: list[str]

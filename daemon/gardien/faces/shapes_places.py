"""The shapes of what the JSON API says of places for backups, and of the sheet that opens them. See `shapes`."""

from typing import NotRequired, TypedDict

from gardien.model.preset import QuestionKind, TargetKind
from gardien.model.setup import StageName, StageState


class OperatorData(TypedDict):
    name: str | None
    country: str | None
    data_country: str | None
    european: bool | None
    says: str


class TargetData(TypedDict):
    name: str
    kind: str
    address: str
    operator: OperatorData
    copy_of: str | None
    append_only: bool
    can_delete: bool | None
    ready: bool
    next_run: str | None
    newest_good: dict[str, str | None]
    checked: str | None
    problems: list[str]
    oldest_read: str | None
    forgot: str | None
    frozen: str | None
    pruned: str | None
    lost: int


class RegionData(TypedDict):
    title: str
    country: str | None


class QuestionData(TypedDict):
    name: str
    kind: QuestionKind
    ask: str
    default: str | None
    example: str | None
    optional: bool


class PresetData(TypedDict):
    name: str
    title: str
    kind: TargetKind
    operator: dict[str, object] | None
    regions: dict[str, RegionData]
    asks: list[QuestionData]
    login: list[str]
    click: str
    protect: str
    note: str | None


class HostKeyData(TypedDict):
    line: str
    fingerprint: str


class DraftData(TypedDict):
    name: str
    target: dict[str, object]
    operator: OperatorData
    host_keys: list[HostKeyData]
    steps: list[str]
    sentence: str | None


class StageData(TypedDict):
    name: StageName
    state: StageState
    says: str
    remedy: str
    code: str | None
    detail: str


class TriedData(TypedDict):
    name: str
    ok: bool
    repository: str | None
    stages: list[StageData]
    public_key: str | None
    click: str
    passphrase_file: str | None


class KitViewData(TypedDict):
    target: str
    away: bool
    made: str | None
    confirmed: str | None
    proven: str | None
    outdated: bool
    new_key: bool
    good: bool


class GroupData(TypedDict):
    line: int
    group: int


class GroupsData(TypedDict):
    target: str
    groups: list[GroupData]


class RowData(TypedDict):
    label: str
    value: str


class SheetData(TypedDict):
    machine: str
    target: str
    made: str
    new_key: bool
    rows: list[RowData]
    lines: list[str]
    code: str
    html: NotRequired[str]


class OfferedStackData(TypedDict):
    stack: str
    snapshot: str
    taken: str
    files: int
    bytes: int
    backups: int


class LeadsToData(TypedDict):
    machine: str
    target: str
    address: str
    house: bool
    rate: float | None
    seconds: float
    stacks: list[OfferedStackData]


class ReturningData(TypedDict):
    stack: str
    job: int | None


class RecoveryData(TypedDict):
    machine: str
    target: str
    ready: bool
    stacks: list[ReturningData]
    names: list[str]
    addresses: list[str]

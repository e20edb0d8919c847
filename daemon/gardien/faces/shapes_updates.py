"""The shapes of what the JSON API says of new versions. See `shapes`."""

from typing import TypedDict

from gardien.model.release import Jump, Said, Updating

From = TypedDict("From", {"from": str})  # a word of Python's own


class ChangeData(From):
    image: str
    to: str
    jump: Jump
    jump_says: str
    towards: str | None
    notes: str | None
    digest: str | None
    images: dict[str, str]
    seen: str | None
    alone_from: str | None
    said: Said | None
    why: str | None


class BeyondData(TypedDict):
    image: str
    version: str
    says: str
    notes: str | None


class MovedData(TypedDict):
    image: str
    tag: str
    former: str
    digest: str
    seen: str | None
    expected: bool


class ReplacedData(From):
    """An update that stayed. It was made from a backup, to which one can go back until `kept_until`."""

    job: int
    to: str
    ended: str | None
    away_seconds: float | None
    snapshot: str
    target: str
    taken: str | None
    kept_until: str | None


class OutlookData(TypedDict):
    by_itself: bool
    chosen: Updating | None
    window: str
    next: str | None
    left: list[str]
    last: ReplacedData | None


class NewsData(OutlookData):
    stack: str
    asked: str | None
    trouble: str | None
    changes: list[ChangeData]
    beyond: list[BeyondData]
    moved: list[MovedData]
    unfollowed: dict[str, str]

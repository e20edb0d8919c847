"""How values lie in the database: times and words as text that can be compared and read."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from gardien.words import Words


def as_json(value: object) -> str:
    return json.dumps(dict(value) if isinstance(value, Mapping) else value, ensure_ascii=False)


def as_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def as_words(words: Words | None) -> str | None:
    return as_json(words.as_json()) if words is not None else None


def said(text: str | None) -> Words | None:
    return Words.from_json(json.loads(text)) if text else None

"""Sentences that are made in one place and said in another, in the reader's language."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Union

Value = Union[str, int, float, "Words", "Given"]  # a sentence may hold another: both are said in one language


def N_(text: str) -> str:  # noqa: N802  (the name gettext's tools look for)
    """Mark `text` for the translators; it is translated where it is said, not here."""
    return text


@dataclass(frozen=True, slots=True)
class Given:
    """Words that somebody wrote in each of our languages: an application's name."""

    en: str
    fr: str

    def as_json(self) -> dict[str, object]:
        return {"en": self.en, "fr": self.fr}

    def __str__(self) -> str:
        return self.en


@dataclass(frozen=True, slots=True)
class Words:
    """An English sentence with named holes, `"cannot open {path}"`, and what fills them."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, **values: Value) -> "Words":
        """`Words.of(N_("saved {count} files"), count=3)`."""
        return cls(text, values)

    def as_json(self) -> dict[str, object]:
        """For the store and the wire; `from_json` is the way back."""
        values = {
            name: value.as_json() if isinstance(value, Words | Given) else value for name, value in self.values.items()
        }
        return {"text": self.text, "values": values}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Words":
        values = data.get("values", {})
        assert isinstance(values, Mapping)
        return cls(str(data["text"]), {name: _value(value) for name, value in values.items()})

    def __str__(self) -> str:
        return self.text.format_map(self.values)


def _value(data: Value | Mapping[str, str]) -> Value:
    if not isinstance(data, Mapping):
        return data
    return Given(data["en"], data["fr"]) if "en" in data else Words.from_json(data)

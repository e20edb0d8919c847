"""A change of `gardien.yaml`, before it is made."""

from collections.abc import Mapping
from dataclasses import dataclass

from gardien.model.plan import Json
from gardien.model.settings import Settings

Changes = Mapping[tuple[str, ...], Json]  # ("mail", "host"): its new value; None takes the key out


@dataclass(frozen=True, slots=True)
class Edit:
    """The file as it is and as it would be, and what it would say then."""

    before: str
    after: str
    settings: Settings

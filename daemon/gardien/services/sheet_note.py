"""What the store remembers of a target's recovery sheet: a hash of what is on it, and when; nothing of the sheet."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from gardien.services.ports import World


@dataclass(frozen=True, slots=True)
class SheetNote:
    """The last sheet that was shown."""

    hash: str
    made: datetime
    confirmed: datetime | None = None
    proven: datetime | None = None
    new_key: bool = False  # its key is not the only one yet


def _note(target: str) -> str:
    return f"kit:{target}"


async def sheet_of(world: World, target: str) -> SheetNote | None:
    """None: none was ever made."""
    noted = await world.store.noted(_note(target))
    if noted is None:
        return None
    data = json.loads(noted)
    times = {name: _moment(data[name]) for name in ("confirmed", "proven")}
    return SheetNote(data["hash"], datetime.fromisoformat(data["made"]), **times, new_key=data["new_key"])


async def keep_sheet(world: World, target: str, sheet: SheetNote) -> None:
    data = {name: each.isoformat() if isinstance(each, datetime) else each for name, each in asdict(sheet).items()}
    await world.store.note(_note(target), json.dumps(data))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""The part of a daemon that writes letters, alone and in a hurry: real store, real mail, and an hour is three seconds.

`python -m tests.world.letterbox ROOT BEGIN`: `ROOT/gardien.db` and `ROOT/mail.json` are its house; its time began at
BEGIN, a moment of this machine's clock, and goes on while it is dead.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

from gardien.adapters.mailer import SmtpMailer
from gardien.adapters.store import SqliteStore
from gardien.faces.letter import LetterWriter
from gardien.model.settings import Folders, Settings
from gardien.rules import letters
from gardien.services import rounds
from gardien.services.letters import Letters

HASTE = 1200
NOON = datetime(2026, 3, 4, 11, tzinfo=UTC)  # a Wednesday: nothing regular is due


def now(begin: float) -> datetime:
    """The time in there."""
    return NOON + timedelta(seconds=(time.time() - begin) * HASTE)


def settings(root: Path, mail: dict[str, object]) -> Settings:
    return Settings(folders=Folders(**{name: root / name for name in ("data", "state", "run", "owner")}), mail=mail)


async def live(root: Path, begin: float) -> None:
    rounds.EACH = 0.05
    letters.QUIET = (datetime.max.time(), datetime.min.time())
    letters.REPEAT = dict.fromkeys(letters.REPEAT, timedelta(days=1000))
    house = settings(root, {**json.loads((root / "mail.json").read_text()), "weekly": False, "monthly": False})
    store = await SqliteStore.open(root / "gardien.db")
    world = SimpleNamespace(settings=house, clock=lambda: now(begin), store=store, mailer=SmtpMailer(house))
    await Letters(world, None, LetterWriter("en", "practice"), ZoneInfo("UTC")).run()  # type: ignore[arg-type]


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), float(sys.argv[2])))

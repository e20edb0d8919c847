"""What the store knows of how applications are and were: changes of it, not each answer, and of one month."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from gardien.adapters.columns import as_time, as_words
from gardien.adapters.database import Connection, Database
from gardien.model.health import StackHealth, Stretch
from gardien.words import Words

KEPT = timedelta(days=32)
MOST = 400  # of one probe: one that changes its mind all day does not fill the disk


class StoredStretches:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._write = database.write
        self._rows = database.rows

    async def set_health(self, healths: Sequence[StackHealth], stretches: Iterable[Stretch] = ()) -> None:
        """Write these down, in one transaction; what is known of other stacks stays."""
        rows = [
            (each.stack, each.probe, as_time(each.began), as_time(each.seen), each.ok, as_words(each.says))
            for each in stretches
        ]

        async def work(db: Connection) -> None:
            await db.executemany(
                "INSERT OR REPLACE INTO health (stack, health, says, since, seen) VALUES (?, ?, ?, ?, ?)",
                [
                    (each.stack, each.health, as_words(each.says), as_time(each.since), as_time(each.seen))
                    for each in healths
                ],
            )
            await db.executemany(
                "INSERT OR REPLACE INTO stretch (stack, probe, began, seen, ok, says) VALUES (?, ?, ?, ?, ?, ?)", rows
            )

        await self._write(work)

    async def healths(self) -> dict[str, StackHealth]:
        """By the stack's name."""
        return {
            row["stack"]: StackHealth(
                stack=row["stack"],
                health=row["health"],
                says=Words.from_json(json.loads(row["says"])),
                since=datetime.fromisoformat(row["since"]),
                seen=datetime.fromisoformat(row["seen"]),
            )
            for row in await self._rows("SELECT * FROM health ORDER BY stack")
        }

    async def stretches(self, stack: str, since: datetime) -> list[Stretch]:
        """Those that lasted until then or longer, by probe, oldest first."""
        rows = await self._rows(
            "SELECT * FROM stretch WHERE stack = ? AND seen >= ? ORDER BY probe, began", stack, as_time(since)
        )
        return [
            Stretch(
                row["stack"],
                row["probe"],
                bool(row["ok"]),
                Words.from_json(json.loads(row["says"])),
                datetime.fromisoformat(row["began"]),
                datetime.fromisoformat(row["seen"]),
            )
            for row in rows
        ]

    async def thin_stretches(self, now: datetime) -> None:
        """Forget what is too old, and the oldest where there are too many."""

        async def work(db: Connection) -> None:
            await db.execute("DELETE FROM stretch WHERE seen < ?", (as_time(now - KEPT),))
            await db.execute(
                "DELETE FROM stretch WHERE (stack, probe, began) IN (SELECT stack, probe, began FROM ("
                "SELECT *, row_number() OVER (PARTITION BY stack, probe ORDER BY began DESC) AS place FROM stretch)"
                " WHERE place > ?)",
                (MOST,),
            )

        await self._write(work)

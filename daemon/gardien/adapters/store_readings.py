"""What the store knows of readings: thinned out with age, so that 400 days of them stay small."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from gardien.adapters.database import Connection, Database
from gardien.model.reading import Point, Reading

FINE, HOUR, DAY = 300, 3600, 86_400  # seconds a row stands for
FINE_FOR, HOURS_FOR, KEPT = timedelta(days=2), timedelta(days=30), timedelta(days=400)
AHEAD = timedelta(hours=1)  # what is dated later than this was written while the clock was wrong
MOST_SERIES = 200  # an odd machine's sensors do not fill the disk

_MERGE = """
INSERT OR REPLACE INTO reading (grain, at, series, least, mean, most)
SELECT ?1, at - at % ?1, series, MIN(least), AVG(mean), MAX(most) FROM reading
WHERE grain < ?1 AND at < ?2 GROUP BY at - at % ?1, series
"""


class StoredReadings:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._write = database.write
        self._rows = database.rows

    async def add_readings(self, readings: Sequence[Reading]) -> None:
        """Those that have a value; in one transaction."""

        async def work(db: Connection) -> None:
            known = {
                (row["what"], row["subject"]): row["id"]
                for row in await db.execute_fetchall("SELECT id, what, subject FROM series")
            }
            rows = []
            for each in readings:
                if each.value is None or (each.key not in known and len(known) >= MOST_SERIES):
                    continue
                if each.key not in known:
                    cursor = await db.execute("INSERT INTO series (what, subject) VALUES (?, ?)", each.key)
                    assert cursor.lastrowid is not None
                    known[each.key] = cursor.lastrowid
                at = int(each.at.timestamp())
                rows.append((FINE, at - at % FINE, known[each.key], float(each.value)))
            await db.executemany(
                "INSERT INTO reading (grain, at, series, least, mean, most) VALUES (?1, ?2, ?3, ?4, ?4, ?4)"
                " ON CONFLICT DO UPDATE SET least = MIN(least, ?4), mean = ?4, most = MAX(most, ?4)",
                rows,
            )

        if readings:
            await self._write(work)

    async def points(self, what: str, subject: str, since: datetime) -> list[Point]:
        """Oldest first."""
        rows = await self._rows(
            "SELECT at, least, mean, most FROM reading WHERE grain IN (?, ?, ?) AND at >= ?"
            " AND series = (SELECT id FROM series WHERE what = ? AND subject = ?) ORDER BY at",
            *(FINE, HOUR, DAY),
            int(since.timestamp()),
            what,
            subject,
        )
        return [_point(*row) for row in rows]

    async def days(self, what: str, subject: str, since: datetime) -> list[Point]:
        """One for each day in UTC of which something is known, oldest first."""
        rows = await self._rows(
            "SELECT at - at % ?1 AS day, MIN(least), AVG(mean), MAX(most) FROM reading"
            " WHERE grain IN (?2, ?3, ?1) AND at >= ?4"
            " AND series = (SELECT id FROM series WHERE what = ?5 AND subject = ?6) GROUP BY day ORDER BY day",
            *(DAY, FINE, HOUR),
            int(since.timestamp()),
            what,
            subject,
        )
        return [_point(*row) for row in rows]

    async def thin_readings(self, now: datetime) -> None:
        """What is two days old becomes one for each hour, after a month one for each day; after 400 days it goes."""

        async def work(db: Connection) -> None:
            await db.execute(
                "DELETE FROM reading WHERE grain IN (?, ?, ?) AND (at < ? OR at > ?)",
                (FINE, HOUR, DAY, int((now - KEPT).timestamp()), int((now + AHEAD).timestamp())),
            )
            for grain, kept in ((HOUR, FINE_FOR), (DAY, HOURS_FOR)):
                before = int((now - kept).timestamp())
                before -= before % grain  # whole stretches only: none is made of a part and then made anew
                await db.execute(_MERGE, (grain, before))
                await db.execute("DELETE FROM reading WHERE grain < ? AND at < ?", (grain, before))
            await db.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM reading)")

        await self._write(work)


def _point(at: int, least: float, mean: float, most: float) -> Point:
    return Point(datetime.fromtimestamp(at, UTC), least, mean, most)

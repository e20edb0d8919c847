"""What the store knows of letters: the outbox, and what people were told of each alert."""

from collections.abc import Sequence
from datetime import datetime

from gardien.adapters.columns import as_time, as_words, moment, said
from gardien.adapters.database import Connection, Database, Row
from gardien.model.health import Alert
from gardien.model.letter import Draft, Letter, Text, Told, Way
from gardien.words import Words


class StoredLetters:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._write = database.write
        self._change = database.change
        self._rows = database.rows

    async def post(
        self, drafts: Sequence[Draft], now: datetime, told: Sequence[int] = (), over: Sequence[int] = ()
    ) -> None:
        """Put letters into the outbox, and with them note the alerts that they tell of: all or nothing.

        One that was written already, as its Message-ID tells, is not written again.
        """

        async def work(db: Connection) -> None:
            await db.executemany(
                "INSERT OR IGNORE INTO letter (message, subject, plain, html, written, next_try, way, instead_of)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        each.message,
                        each.text.subject,
                        each.text.plain,
                        each.text.html,
                        as_time(now),
                        as_time(each.due),
                        each.way,
                        each.instead_of,
                    )
                    for each in drafts
                ],
            )
            await db.executemany("UPDATE alert SET told = ? WHERE id = ?", [(as_time(now), each) for each in told])
            await db.executemany("UPDATE alert SET over = ? WHERE id = ?", [(as_time(now), each) for each in over])

        await self._write(work)

    async def told(self, since: datetime) -> list[Told]:
        """Alerts that are open, or were over after `since`, or whose end was not written about yet; newest first."""
        rows = await self._rows(
            "SELECT * FROM alert WHERE closed IS NULL OR closed > ?"
            " OR (coalesce(told, known) IS NOT NULL AND over IS NULL)"
            " ORDER BY id DESC",
            as_time(since),
        )
        return [Told(as_alert(row), moment(row["told"]), moment(row["over"])) for row in rows]

    async def letters(self, *, waiting: bool = False, way: Way | None = None, most: int = 100) -> list[Letter]:
        """Newest first; `waiting`: those that are still to be sent, by the time of their next try."""
        if waiting:
            where, order = "sent IS NULL AND next_try IS NOT NULL", "next_try, id"
        else:
            where, order = "TRUE", "id DESC"
        sql = f"SELECT * FROM letter WHERE {where} AND way = coalesce(?, way) ORDER BY {order} LIMIT ?"  # noqa: S608
        rows = await self._rows(sql, way, most)
        return [_letter(row) for row in rows]

    async def mark_letter(
        self, letter: int, *, sent: datetime | None = None, next_try: datetime | None = None, error: Words | None = None
    ) -> None:
        """What came of a try: it was `sent`, or it failed with `error`; without a `next_try` it is given up.

        What was to be sent instead of one that was sent is forgotten with that.
        """

        async def work(db: Connection) -> None:
            await db.execute(
                "UPDATE letter SET tries = tries + 1, sent = ?, next_try = ?, error = ? WHERE id = ?",
                (as_time(sent) if sent else None, as_time(next_try) if next_try else None, as_words(error), letter),
            )
            if sent:
                await db.execute(
                    "DELETE FROM letter WHERE sent IS NULL AND instead_of = (SELECT message FROM letter WHERE id = ?)",
                    (letter,),
                )

        await self._write(work)

    async def hush(self, alert: int, *, known: datetime | None = None, asleep: datetime | None = None) -> None:
        """What a person said to an alert: that they know, that it may sleep until then, or neither any more."""
        await self._change(
            "UPDATE alert SET known = ?, asleep = ? WHERE id = ?",
            as_time(known) if known else None,
            as_time(asleep) if asleep else None,
            alert,
        )

    async def drop_letters(self, before: datetime) -> None:
        """Forget those that were sent, or given up, and written before then."""
        await self._change(
            "DELETE FROM letter WHERE (sent IS NOT NULL OR next_try IS NULL) AND written < ?", as_time(before)
        )


def as_alert(row: Row) -> Alert:
    """A row of the table `alert`."""
    says, remedy, opened = said(row["says"]), said(row["remedy"]), moment(row["opened"])
    assert says is not None
    assert remedy is not None
    assert opened is not None
    return Alert(
        row["id"],
        row["key"],
        row["severity"],
        says,
        remedy,
        opened,
        closed=moment(row["closed"]),
        known=moment(row["known"]),
        asleep=moment(row["asleep"]),
        worse=moment(row["worse"]),
    )


def _letter(row: Row) -> Letter:
    written = moment(row["written"])
    assert written is not None
    return Letter(
        id=row["id"],
        message=row["message"],
        text=Text(row["subject"], row["plain"], row["html"]),
        written=written,
        tries=row["tries"],
        next_try=moment(row["next_try"]),
        sent=moment(row["sent"]),
        error=said(row["error"]),
        way=row["way"],
    )

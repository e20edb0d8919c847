"""What the store knows of people: who may come in, who is in, what programs may do, who did what."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

from gardien.adapters.columns import as_json, as_time, as_words, moment
from gardien.adapters.database import Connection, Database, Row
from gardien.model.person import Deed, Means, Person, Power, Role, Token, Visit
from gardien.words import Words

_KEPT, _MOST = timedelta(days=400), 20_000  # of what was done
_VISIT = """SELECT session.key, session.data, session.until, session.user AS visitor, person.* FROM session
LEFT JOIN person ON person.name = session.user"""
_LAST_OWNER = """role = 'owner' AND (SELECT count(*) FROM person WHERE role = 'owner') = 1"""


class StoredPeople:
    """This part of the `Store`."""

    def __init__(self, database: Database) -> None:
        self._change = database.change
        self._rows = database.rows
        self._made = database.made
        self._write = database.write

    async def add_person(self, name: str, role: Role, may: frozenset[Power], now: datetime) -> bool:
        sql = "INSERT OR IGNORE INTO person (name, role, may, made) VALUES (?, ?, ?, ?)"
        return bool(await self._change(sql, name, role, as_json(sorted(may)), as_time(now)))

    async def change_person(self, name: str, role: Role, may: frozenset[Power]) -> bool:
        async def work(db: Connection) -> bool:
            sql = f"UPDATE person SET role = ?1, may = ?2 WHERE name = ?3 AND NOT ({_LAST_OWNER} AND ?1 <> 'owner')"  # noqa: S608
            changed = (await db.execute(sql, (role, as_json(sorted(may)), name))).rowcount
            if changed:
                await db.execute("DELETE FROM session WHERE user = ?", (name,))
            if changed and role != "owner":  # who makes tokens is an owner
                await db.execute("DELETE FROM token WHERE user = ?", (name,))
            return bool(changed)

        return await self._write(work)

    async def drop_person(self, name: str) -> bool:
        async def work(db: Connection) -> bool:
            sql = f"DELETE FROM person WHERE name = ? AND NOT ({_LAST_OWNER})"  # noqa: S608
            if not (await db.execute(sql, (name,))).rowcount:
                return False
            for table in ("password", "link", "session", "token"):
                await db.execute(f"DELETE FROM {table} WHERE user = ?", (name,))  # noqa: S608
            return True

        return await self._write(work)

    async def person(self, name: str) -> Person | None:
        rows = await self._rows("SELECT * FROM person WHERE name = ?", name)
        return _person(rows[0]) if rows else None

    async def people(self) -> list[Person]:
        return [_person(row) for row in await self._rows("SELECT * FROM person ORDER BY name")]

    # -- passwords and links

    async def set_password(self, user: str, hashed: str) -> None:
        await self._change("INSERT OR REPLACE INTO password (user, hashed) VALUES (?, ?)", user, hashed)

    async def drop_password(self, user: str) -> None:
        await self._change("DELETE FROM password WHERE user = ?", user)

    async def password(self, user: str) -> str | None:
        rows = await self._rows("SELECT hashed FROM password WHERE user = ?", user)
        return rows[0]["hashed"] if rows else None

    async def add_link(self, hashed: str, user: str, until: datetime) -> None:
        await self._change(
            "INSERT OR REPLACE INTO link (hashed, user, until) VALUES (?, ?, ?)", hashed, user, as_time(until)
        )

    async def use_link(self, hashed: str, now: datetime) -> str | None:
        """The user, once, in time; else None. Takes the occasion to drop what is out of date."""

        async def work(db: Connection) -> str | None:
            await db.execute("DELETE FROM link WHERE until <= ?", (as_time(now),))
            await db.execute("DELETE FROM session WHERE until <= ?", (as_time(now),))
            rows = list(await db.execute_fetchall("DELETE FROM link WHERE hashed = ? RETURNING user", (hashed,)))
            return rows[0]["user"] if rows else None

        return await self._write(work)

    async def drop_links(self, user: str) -> None:
        await self._change("DELETE FROM link WHERE user = ?", user)

    # -- sessions

    async def save_session(self, key: str, data: str, until: datetime) -> None:
        """`data` is a JSON object; its `user`, if any, is whose session `end_sessions` ends."""
        user = json.loads(data).get("user")
        await self._change(
            "INSERT OR REPLACE INTO session (key, user, data, until) VALUES (?, ?, ?, ?)",
            key,
            user,
            data,
            as_time(until),
        )

    async def renew_session(self, key: str, data: str, until: datetime, now: datetime) -> bool:
        sql = "UPDATE session SET data = ?, until = ? WHERE key = ? AND until > ?"
        return bool(await self._change(sql, data, as_time(until), key, as_time(now)))

    async def session(self, key: str, now: datetime) -> Visit | None:
        found = await self._made(_visit_until, f"{_VISIT} WHERE key = ?", key)
        return found[0][0] if found and found[0][1] > as_time(now) else None

    async def sessions(self, user: str, now: datetime) -> list[Visit]:
        rows = await self._rows(f"{_VISIT} WHERE user = ? AND until > ? ORDER BY until DESC", user, as_time(now))
        return [_visit(row) for row in rows]

    async def end_session(self, key: str) -> None:
        await self._change("DELETE FROM session WHERE key = ?", key)

    async def end_sessions(self, user: str) -> None:
        await self._change("DELETE FROM session WHERE user = ?", user)

    # -- the second factor

    async def set_second_factor(self, user: str, secret: str | None, step: int, codes: Sequence[str]) -> None:
        async def work(db: Connection) -> None:
            await db.execute("UPDATE person SET secret = ?, step = ? WHERE name = ?", (secret, step, user))
            await db.execute("DELETE FROM spare_code WHERE user = ?", (user,))
            await db.executemany("INSERT INTO spare_code (user, hashed) VALUES (?, ?)", [(user, c) for c in codes])

        await self._write(work)

    async def use_step(self, user: str, step: int) -> bool:
        return bool(await self._change("UPDATE person SET step = ?1 WHERE name = ?2 AND step < ?1", step, user))

    async def use_spare_code(self, user: str, hashed: str) -> bool:
        return bool(await self._change("DELETE FROM spare_code WHERE user = ? AND hashed = ?", user, hashed))

    async def spare_codes(self, user: str) -> int:
        return int((await self._rows("SELECT count(*) AS number FROM spare_code WHERE user = ?", user))[0]["number"])

    # -- tokens

    async def add_token(  # noqa: PLR0917
        self, hashed: str, name: str, user: str, scopes: frozenset[Power], now: datetime, until: datetime | None
    ) -> int | None:
        async def work(db: Connection) -> int | None:
            try:
                cursor = await db.execute(
                    "INSERT INTO token (hashed, name, user, scopes, made, until) VALUES (?, ?, ?, ?, ?, ?)",
                    (hashed, name, user, as_json(sorted(scopes)), as_time(now), as_time(until) if until else None),
                )
            except sqlite3.IntegrityError:
                return None
            return cursor.lastrowid

        return await self._write(work)

    async def token(self, hashed: str, now: datetime) -> Token | None:
        rows = await self._rows(
            "SELECT * FROM token WHERE hashed = ? AND (until IS NULL OR until > ?)", hashed, as_time(now)
        )
        return _token(rows[0]) if rows else None

    async def tokens(self) -> list[Token]:
        return [_token(row) for row in await self._rows("SELECT * FROM token ORDER BY name")]

    async def token_used(self, id_: int, now: datetime) -> None:
        await self._change("UPDATE token SET used = ? WHERE id = ?", as_time(now), id_)

    async def drop_token(self, name: str) -> bool:
        return bool(await self._change("DELETE FROM token WHERE name = ?", name))

    # -- what was done

    async def add_deed(  # noqa: PLR0917
        self, at: datetime, who: str, means: Means, what: Words, job: int | None, refused: bool
    ) -> None:
        """Takes the occasion to drop what is old."""

        async def work(db: Connection) -> None:
            await db.execute(
                "INSERT INTO deed (at, who, means, what, job, refused) VALUES (?, ?, ?, ?, ?, ?)",
                (as_time(at), who, means, as_words(what), job, refused),
            )
            await db.execute(
                "DELETE FROM deed WHERE at < ? OR id <= (SELECT max(id) FROM deed) - ?", (as_time(at - _KEPT), _MOST)
            )

        await self._write(work)

    async def deeds(self, most: int = 100, before: int | None = None) -> list[Deed]:
        rows = await self._rows(
            "SELECT * FROM deed WHERE ?1 IS NULL OR id < ?1 ORDER BY id DESC LIMIT ?2", before, most
        )
        return [
            Deed(
                id=row["id"],
                at=datetime.fromisoformat(row["at"]),
                who=row["who"],
                means=row["means"],
                what=Words.from_json(json.loads(row["what"])),
                job=row["job"],
                refused=bool(row["refused"]),
            )
            for row in rows
        ]


def _person(row: Row) -> Person:
    return Person(
        name=row["name"],
        role=row["role"],
        made=datetime.fromisoformat(row["made"]),
        may=frozenset(json.loads(row["may"])),
        secret=row["secret"],
        step=row["step"],
    )


def _visit_until(row: Row) -> tuple[Visit, str]:
    return _visit(row), row["until"]


def _visit(row: Row) -> Visit:
    return Visit(row["key"], row["data"], row["visitor"], _person(row) if row["name"] is not None else None)


def _token(row: Row) -> Token:
    return Token(
        id=row["id"],
        name=row["name"],
        user=row["user"],
        scopes=frozenset(json.loads(row["scopes"])),
        made=datetime.fromisoformat(row["made"]),
        until=moment(row["until"]),
        used=moment(row["used"]),
    )

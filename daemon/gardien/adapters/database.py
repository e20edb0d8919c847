"""One SQLite file: opened, checked and brought up to date; one writer, and readers who see only what is committed.

What was read is kept until a table it came from is written: this process is the only one that writes.
"""

import asyncio
import os
import re
import sqlite3
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Self, TypeVar

import aiosqlite

from gardien.adapters.surely import surely
from gardien.errors import BadInput, MemoryFailed, MemoryFull
from gardien.words import N_

T = TypeVar("T")
Connection = aiosqlite.Connection
Row = sqlite3.Row
Work = Callable[[Connection], Awaitable[T]]

_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
RESERVE, RESERVED = ".reserve", 4 << 20  # what its name ends with, and its bytes
_SIDE_FILES = ("", "-wal", "-shm")
_WORD, _WRITTEN = re.compile(r"\w+"), re.compile(r"\b(?:INTO|UPDATE|FROM)\s+(\w+)")
_NO_WRITES = ("SELECT", "BEGIN", "COMMIT", "ROLLBACK", "PRAGMA")
_HELD, _LONGEST = 1024, 1000  # answers that are kept, and rows of one
_SPARE = 2  # connections that wait for the next look


@dataclass(slots=True, eq=False)
class _Look:
    """Reads that see one moment; `reader` once the first of them was made."""

    reader: aiosqlite.Connection | None = None
    changes: int = 0  # that had happened by then
    life: int = 0
    over: bool = False


_LOOK: ContextVar[_Look | None] = ContextVar("look", default=None)


class Database:
    """`await Database.open(path)`; `await database.close()`.

    `fresh_after_corruption`: the file was damaged, was set aside under another name, and a new one begun.
    """

    def __init__(
        self, path: Path, writer: Connection, reader: Connection, fresh: bool, tables: Mapping[str, frozenset[str]]
    ) -> None:
        self.path = path
        self.fresh_after_corruption = fresh
        self._changes = 0
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()
        self._tables = tables  # each with those whose rows go when its own do
        self._written = dict.fromkeys(tables, 0)  # each table's last change
        self._touched: set[str] = set()  # by the transaction under way; SQLite's thread tells
        self._held: OrderedDict[tuple[object, ...], tuple[int, list[Any]]] = OrderedDict()
        self._of = lru_cache(512)(lambda sql: tuple(each for each in {*_WORD.findall(sql)} if each in tables))
        self._spare: list[Connection] = []
        self._opening = asyncio.Lock()
        self._life = 0  # how often its disk came back

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or make the file (0600), check it, bring its tables up to date.

        Raises BadInput if a newer gardien wrote it, MemoryFull if its disk is full, MemoryFailed if it does not open.
        """
        fresh = False
        async with _in_words(path):
            await asyncio.to_thread(_make_private, path)
            if not await _sound(path):
                await asyncio.to_thread(_set_aside, path)
                await asyncio.to_thread(_make_private, path)
                fresh = True
            writer = await _connect(path)
            try:
                await _migrate(writer)
                await asyncio.to_thread(_reserve, path)
                reader = await _connect(path, read_only=True)
                database = cls(path, writer, reader, fresh, await _tables(reader))
                await database._listen()
            except BaseException:
                await writer.close()
                raise
        return database

    async def _listen(self) -> None:
        await self._writer.set_trace_callback(self._saw)

    def _saw(self, sql: str) -> None:
        """SQLite is about to run this on the writer. What is not understood may have written anywhere."""
        found = _WRITTEN.search(sql)
        if sql.lstrip().upper().startswith(_NO_WRITES):
            return
        if found is None or found[1] not in self._tables:
            self._touched.update(self._tables)
        else:
            self._touched.update((found[1], *self._tables[found[1]]))

    async def close(self) -> None:
        async with self._turn:
            self._life += 1
            for each in (*self._spare, self._reader, self._writer):
                await each.close()
            self._spare.clear()

    @property
    def changes(self) -> int:
        """Transactions; readers who saw this many before and after saw the same."""
        look = _LOOK.get()
        return self._changes if look is None or look.over or look.reader is None else look.changes

    async def reopen(self) -> None:
        """After its disk was away: what is open belongs to the disk as it was. Raises MemoryFailed, and then nothing
        changed; a file that is not there is not made anew.
        """
        async with self._turn, _in_words(self.path):
            await asyncio.to_thread(self.path.stat)
            writer = await _connect(self.path)
            reader = await _connect(self.path, read_only=True)
            old = (*self._spare, self._reader, self._writer)
            self._spare, self._writer, self._reader = [], writer, reader
            self._life += 1
            await self._listen()
            self._touched.update(self._tables)
            self._changed()
            for each in old:
                with suppress(sqlite3.Error):
                    await each.close()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in one transaction. A cancelled caller still waits for its end: no half-known journal.

        On a full disk the reserve is given up, so that we can go on telling that it is full.
        """
        try:
            return await surely(self._transaction(work))
        except MemoryFull:
            if not await asyncio.to_thread(_give_up_reserve, self.path):
                raise
            return await surely(self._transaction(work))
        finally:
            if (look := _LOOK.get()) is not None and not look.over:
                await self._leave(look)  # whoever writes sees what they wrote

    async def _transaction(self, work: Work[T]) -> T:
        async with self._turn, _in_words(self.path):
            await self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = await work(self._writer)
                await self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    await self._writer.execute("ROLLBACK")
                raise
            finally:
                self._changed()
        return result

    def _changed(self) -> None:
        self._changes += 1
        self._written |= dict.fromkeys(self._touched, self._changes)
        self._touched.clear()

    async def change(self, sql: str, *values: object) -> int:
        """One statement as one transaction; returns how many rows it touched."""

        async def work(db: Connection) -> int:
            return (await db.execute(sql, values)).rowcount

        return await self.write(work)

    async def rows(self, sql: str, *values: object) -> Sequence[Row]:
        """What a question is answered; without asking again where none of its tables was written since."""
        return await self.made(_same, sql, *values)

    async def made(self, make: Callable[[Row], T], sql: str, *values: object) -> Sequence[T]:
        """The same, with what is made of each row."""
        key, written = (make, sql, *values), max((self._written[each] for each in self._of(sql)), default=0)
        look = _LOOK.get()
        if look is not None and look.over:
            look = None
        of_now = look is None or look.reader is None or written <= look.changes
        held = self._held.get(key)
        if held is not None and held[0] == written and of_now:
            self._held.move_to_end(key)
            return held[1]
        async with _in_words(self.path):
            reader = self._reader if look is None else look.reader or await self._enter(look)
            rows = [make(row) for row in await reader.execute_fetchall(sql, values)]
        # A look that began before the last change is told of its own moment, and nobody else is.
        if len(rows) <= _LONGEST and (look is None or written <= look.changes):
            self._held[key] = (written, rows)
            if len(self._held) > _HELD:
                self._held.popitem(last=False)
        return rows

    async def answers(self) -> None:
        """Read something from the file itself. Raises MemoryFailed; ValueError if it was closed."""
        look = _LOOK.get()
        async with _in_words(self.path):
            reader = self._reader if look is None else look.reader or self._reader
            await reader.execute_fetchall("SELECT * FROM sqlite_master LIMIT 1")

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """All that is read within sees one moment, in at most one transaction; it yields what ends that before."""
        look = _Look()
        mark = _LOOK.set(look)

        async def end() -> None:
            look.over = True
            await self._leave(look)

        try:
            yield end
        finally:
            _LOOK.reset(mark)
            await end()

    async def _enter(self, look: _Look) -> Connection:
        async with self._opening:  # by two tasks of one look
            if look.reader is None:
                reader = self._spare.pop() if self._spare else await _connect(self.path, read_only=True)
                # Known before it begins: if we are ended meanwhile, the look's end puts it away.
                look.reader, look.changes, look.life = reader, self._changes, self._life
                await reader.execute("BEGIN")
            return look.reader

    async def _leave(self, look: _Look) -> None:
        reader, look.reader = look.reader, None
        if reader is None:
            return
        await surely(self._put_away(reader, look.life))

    async def _put_away(self, reader: Connection, life: int) -> None:
        """Kept for the next look, or closed: the thread of one that is forgotten would outlive the daemon."""
        with suppress(sqlite3.Error):
            await reader.execute("COMMIT")
            if life == self._life and len(self._spare) < _SPARE:
                self._spare.append(reader)
                return
        with suppress(sqlite3.Error):
            await reader.close()


def _same(row: Row) -> Row:
    return row


async def _tables(db: Connection) -> Mapping[str, frozenset[str]]:
    rows = await db.execute_fetchall("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
    made = {row["name"]: row["sql"] for row in rows}
    return {
        name: frozenset(other for other, sql in made.items() if re.search(rf"REFERENCES {name}\b", sql))
        for name in made
    }


async def _connect(path: Path, *, read_only: bool = False) -> Connection:
    db = await aiosqlite.connect(path, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            await db.execute(f"PRAGMA {pragma}")
        if read_only:
            await db.execute("PRAGMA query_only = ON")
    except BaseException:
        await db.close()
        raise
    return db


async def _sound(path: Path) -> bool:
    """Whether SQLite finds the file whole. Errors that are not damage (locked, no space) are raised."""
    try:
        db = await _connect(path)
        try:
            return [row[0] for row in await db.execute_fetchall("PRAGMA quick_check(1)")] == ["ok"]
        finally:
            await db.close()
    except sqlite3.DatabaseError as error:
        if _primary_code(error) in _CORRUPT:
            return False
        raise


async def _migrate(db: Connection) -> None:
    scripts = await asyncio.to_thread(_scripts)
    (row,) = await db.execute_fetchall("PRAGMA user_version")
    version = row[0]
    if version > scripts[-1][0]:
        raise BadInput(
            N_("gardien's memory was made by a newer gardien (format {found}; this one knows {known})"),
            N_("Install the newer gardien again, or put an older copy of the state folder back."),
            found=version,
            known=scripts[-1][0],
        )
    for number, script in scripts:
        if number > version:
            try:
                await db.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
            except BaseException:
                if db.in_transaction:
                    await db.execute("ROLLBACK")
                raise


def _scripts() -> list[tuple[int, str]]:
    """The numbered steps from an empty file to the present format."""
    return sorted(
        (int(each.name.split("_")[0]), each.read_text(encoding="utf-8"))
        for each in (resources.files("gardien.adapters") / "schema").iterdir()
        if each.name.endswith(".sql")
    )


def _make_private(path: Path) -> None:
    """SQLite gives its side files the mode of the main one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)


def _reserve(path: Path) -> None:
    """Room that is ours when the disk is full; none is taken of a disk that is nearly so."""
    reserve, room = path.with_name(path.name + RESERVE), os.statvfs(path)
    if not reserve.exists() and room.f_bavail * room.f_frsize > 8 * RESERVED:
        with reserve.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVED)
        reserve.chmod(0o600)


def _give_up_reserve(path: Path) -> bool:
    """Whether there was one."""
    with suppress(OSError):
        path.with_name(path.name + RESERVE).unlink()
        return True
    return False


def _set_aside(path: Path) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(path.with_name(f"{path.name}.damaged-{stamp}{suffix}"))


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


@asynccontextmanager
async def _in_words(path: Path) -> AsyncIterator[None]:
    """SQLite's and the file system's errors, for people."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise  # a mistake in this program, not of the disk
    except (sqlite3.DatabaseError, OSError) as error:
        if isinstance(error, sqlite3.DatabaseError) and _primary_code(error) == sqlite3.SQLITE_FULL:
            raise MemoryFull(
                N_("gardien cannot write its memory: the disk that holds {path} is full"),
                N_("Free some space on that disk, then start gardien again."),
                detail=str(error),
                path=str(path),
            ) from error
        raise MemoryFailed(
            N_("gardien cannot use its memory, {path}"),
            N_("Look whether its disk is there, can be written to, and belongs to gardien; then start gardien again."),
            detail=str(error),
            path=str(path),
        ) from error

"""One SQLite file: opened, checked and brought up to date; one writer, and readers who see only what is committed."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Self, TypeVar

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


class Database:
    """`await Database.open(path)`; `await database.close()`.

    `fresh_after_corruption`: the file was damaged, was set aside under another name, and a new one begun.
    """

    def __init__(self, path: Path, writer: Connection, reader: Connection, fresh: bool) -> None:
        self.path = path
        self.fresh_after_corruption = fresh
        self.changes = 0  # transactions; readers who saw this many before and after saw the same
        self._writer = writer
        self._reader = reader
        self._turn = asyncio.Lock()

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
                reader = await _connect(path)
                await reader.execute("PRAGMA query_only = ON")
            except BaseException:
                await writer.close()
                raise
        return cls(path, writer, reader, fresh)

    async def close(self) -> None:
        async with self._turn:
            await self._reader.close()
            await self._writer.close()

    async def reopen(self) -> None:
        """After its disk was away: what is open belongs to the disk as it was. Raises MemoryFailed, and then nothing
        changed; a file that is not there is not made anew.
        """
        async with self._turn, _in_words(self.path):
            await asyncio.to_thread(self.path.stat)
            writer = await _connect(self.path)
            reader = await _connect(self.path)
            await reader.execute("PRAGMA query_only = ON")
            old, self._writer, self._reader = (self._reader, self._writer), writer, reader
            self.changes += 1
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

    async def _transaction(self, work: Work[T]) -> T:
        async with self._turn, _in_words(self.path):
            await self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = await work(self._writer)
                await self._writer.execute("COMMIT")
                self.changes += 1
            except BaseException:
                if self._writer.in_transaction:
                    await self._writer.execute("ROLLBACK")
                raise
        return result

    async def change(self, sql: str, *values: object) -> int:
        """One statement as one transaction; returns how many rows it touched."""

        async def work(db: Connection) -> int:
            return (await db.execute(sql, values)).rowcount

        return await self.write(work)

    async def rows(self, sql: str, *values: object) -> list[Row]:
        async with _in_words(self.path):
            return list(await self._reader.execute_fetchall(sql, values))


async def _connect(path: Path) -> Connection:
    db = await aiosqlite.connect(path, isolation_level=None)
    try:
        db.row_factory = sqlite3.Row
        for pragma in ("busy_timeout = 5000", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            await db.execute(f"PRAGMA {pragma}")
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

"""The listings of snapshots that were looked into last, each in an SQLite file: folders of any size cost no memory."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from gardien.adapters.files import in_thread
from gardien.adapters.surely import surely
from gardien.errors import Damaged, NoSpace, NotFound
from gardien.model.entry import TOP, Entry, Folder, Hit, Sum
from gardien.rules.entries import folded, kind_of, mode_of, node
from gardien.words import N_

T = TypeVar("T")

KEPT = 3  # listings; reading one again takes seconds
_FORM = "1"  # of these files; another one is read anew
_OURS = ".gardien"
_NOWHERE = -2
_TABLE = """
CREATE TABLE entry (
    id INTEGER PRIMARY KEY, parent INTEGER, name TEXT, key TEXT, kind TEXT, size INTEGER, modified TEXT,
    mode INTEGER, uid INTEGER, gid INTEGER
);
CREATE TABLE top (path TEXT);
"""
_COLUMNS = "id, parent, name, kind, size, modified, mode, uid, gid"
_INSERT = "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteListings:
    """The `Listings` in a folder of root's own. What is in it can be read again from the snapshots at any time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def holds(self, snapshot: str) -> bool:
        """Whether its listing is here."""
        return await in_thread(self._folder, self._file(snapshot).exists)

    async def take(self, snapshot: str, lines: AsyncGenerator[bytes], count: Callable[[int], None]) -> None:
        """Read a listing, restic's own JSON lines in chunks of any size, and keep it in place of the oldest.

        Raises Damaged if the folder that was saved is not in it, and what `lines` raises.
        """
        fresh = self._file(snapshot).with_suffix(".new")
        taker = await in_thread(fresh, _Taker, fresh)
        try:
            async with aclosing(lines):
                async for chunk in lines:
                    await in_thread(fresh, taker.take, chunk)
                    count(taker.count)
            await in_thread(fresh, taker.end, self._file(snapshot))
        except sqlite3.OperationalError as error:
            raise NoSpace(
                N_("the disk that holds {path} is full"),
                N_("Free some space on it, then try again."),
                detail=str(error),
                path=str(self._folder),
            ) from error
        finally:
            await surely(asyncio.to_thread(taker.close))
        await in_thread(self._folder, self._keep_few)

    async def top(self, snapshot: str) -> str:
        """The path of the folder that was saved."""
        return await self._ask(snapshot, lambda db: str(db.execute("SELECT path FROM top").fetchone()[0]))

    async def entry(self, snapshot: str, number: int) -> Hit:
        """Raises NotFound."""
        return await self._ask(snapshot, lambda db: _hit(db, number))

    async def folder(self, snapshot: str, number: int, after: int = 0, most: int = 500) -> Folder:
        """Raises NotFound if it is none."""

        def look(db: sqlite3.Connection) -> Folder:
            hit = _hit(db, number)
            if hit.entry.kind != "folder":
                raise _not_there(number)
            listed = db.execute(
                f"SELECT {_COLUMNS} FROM entry WHERE parent = ? AND kind != 'odd' "  # noqa: S608  (no word of others)
                "ORDER BY kind != 'folder', key, id LIMIT ? OFFSET ?",
                (number, most, after),
            )
            entries = tuple(map(_entry, listed))
            [total] = db.execute("SELECT count(*) FROM entry WHERE parent = ? AND kind != 'odd'", (number,)).fetchone()
            return Folder(hit.entry, (*hit.way, hit.entry) if number != TOP else (), entries, total)

        return await self._ask(snapshot, look)

    async def named(self, snapshot: str, number: int, name: str) -> Entry | None:
        """What is called so in a folder."""

        def look(db: sqlite3.Connection) -> Entry | None:
            asked = f"SELECT {_COLUMNS} FROM entry WHERE parent = ? AND name = ? AND kind != 'odd'"  # noqa: S608
            found = db.execute(asked, (number, name)).fetchone()
            return None if found is None else _entry(found)

        return await self._ask(snapshot, look)

    async def search(self, snapshot: str, text: str, most: int = 200) -> tuple[Hit, ...]:
        """Whose name has `text` in it; neither capitals nor accents count. In the listing's order."""

        def look(db: sqlite3.Connection) -> tuple[Hit, ...]:
            key = folded(text).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            asked = "SELECT id FROM entry WHERE key LIKE ? ESCAPE '\\' AND kind != 'odd' AND id > 0 ORDER BY id LIMIT ?"
            return tuple(_hit(db, number) for (number,) in db.execute(asked, (f"%{key}%", most)))

        return await self._ask(snapshot, look)

    async def beneath(self, snapshot: str, number: int) -> Sum:
        """It and all that lies beneath."""

        def look(db: sqlite3.Connection) -> Sum:
            asked = (
                "SELECT count(*) FILTER (WHERE kind IN ('file', 'link')), "
                "coalesce(sum(size) FILTER (WHERE kind = 'file'), 0), "
                "count(*) FILTER (WHERE kind IN ('special', 'odd')) FROM entry WHERE id BETWEEN ? AND ?"
            )
            return Sum(*db.execute(asked, (number, _last(db, number))).fetchone())

        return await self._ask(snapshot, look)

    async def left_out(self, snapshot: str, number: int, most: int) -> tuple[Hit, ...]:
        """What never comes back this way, beneath it."""

        def look(db: sqlite3.Connection) -> tuple[Hit, ...]:
            asked = "SELECT id FROM entry WHERE kind IN ('special', 'odd') AND id BETWEEN ? AND ? LIMIT ?"
            found = db.execute(asked, (number, _last(db, number), most))
            return tuple(_hit(db, each) for (each,) in found)

        return await self._ask(snapshot, look)

    async def position(self, snapshot: str, number: int) -> int:
        """Which one of its folder's entries it is, in restic's order, from 0."""

        def look(db: sqlite3.Connection) -> int:
            same = "parent = (SELECT parent FROM entry WHERE id = ?)"
            asked = f"SELECT count(*) FROM entry WHERE {same} AND id BETWEEN 1 AND ? - 1"  # noqa: S608
            return int(db.execute(asked, (number, number)).fetchone()[0])

        return await self._ask(snapshot, look)

    async def _ask(self, snapshot: str, look: Callable[[sqlite3.Connection], T]) -> T:
        def asked() -> T:
            file = self._file(snapshot)
            with _opened(file) as db:
                file.touch()
                return look(db)

        return await in_thread(self._file(snapshot), asked)

    def _file(self, snapshot: str) -> Path:
        return self._folder / f"{_FORM}-{snapshot}.db"

    def _keep_few(self) -> None:
        """The ones that were looked into last; nothing of former forms, or of a reading that was cut short."""
        files = sorted(self._folder.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
        current = [each for each in files if each.name.startswith(f"{_FORM}-") and each.suffix == ".db"]
        for each in {*files} - {*current[:KEPT]}:
            with suppress(FileNotFoundError):
                each.unlink()


class _Taker:
    """Reads one listing into a file. Used by one thread after another."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in (file, file.with_name(f"{file.name}-journal")):
            each.unlink(missing_ok=True)
        file.touch(0o600)
        self._file = file
        self._db = sqlite3.connect(file, check_same_thread=False)
        self._db.executescript(f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLE}")
        self._rest = b""
        self._top: str | None = None
        self._above: list[tuple[str, int]] = []  # the folders around the present line, with their numbers
        self.count = 0

    def take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._db.executemany(_INSERT, self._rows(lines))

    def end(self, to: Path) -> None:
        self._db.executemany(_INSERT, self._rows([self._rest]))
        if not self._above:
            raise Damaged(
                N_("the listing of this backup does not hold what was saved"),
                N_("Choose another backup: `gardien backup list` shows them."),
            )
        self._db.execute("CREATE INDEX within ON entry (parent, name)")
        self._db.execute("INSERT INTO top VALUES (?)", (self._top,))
        self._db.commit()
        self._db.close()
        with self._file.open("rb") as file:
            os.fsync(file.fileno())
        self._file.rename(to)

    def close(self) -> None:
        self._db.close()
        self._file.unlink(missing_ok=True)

    def _rows(self, lines: Sequence[bytes]) -> Iterator[tuple[Any, ...]]:
        for line in lines:
            found = node(line)
            kind = found.get("message_type", found.get("struct_type"))
            if kind == "snapshot" and self._top is None:
                self._top = str((found.get("paths") or [""])[0])
            elif kind == "node" and self._top is not None:
                row = self._row(found, self._top)
                if row is not None:
                    yield row

    def _row(self, found: dict[str, Any], top: str) -> tuple[Any, ...] | None:
        path = str(found.get("path", ""))
        if not self._above:
            if path != top or found.get("type") != "dir":
                return None  # a folder above the one that was saved
            self._above.append((path, TOP))
            return self._as_row(found, TOP, -1, "folder")
        while self._above and not path.startswith(f"{self._above[-1][0]}/"):
            self._above.pop()
        if not self._above:  # restic lists what is in a folder right after it: this lies elsewhere
            self._above.append((top, TOP))
            return None
        folder, parent = self._above[-1]
        self.count += 1
        kind = kind_of(found, folder)
        if path == f"{top}/{_OURS}":
            kind = "odd"  # secrets lie in there
        if kind == "folder":
            self._above.append((path, self.count))
        elif path.rpartition("/")[0] != folder:
            parent = _NOWHERE  # beneath an odd one
        return self._as_row(found, self.count, parent, kind)

    def _as_row(self, found: dict[str, Any], number: int, parent: int, kind: str) -> tuple[Any, ...]:
        name = str(found.get("name", ""))
        size = int(found.get("size", 0)) if kind == "file" else 0
        owner = int(found.get("uid", 0)), int(found.get("gid", 0))
        modified = str(found.get("mtime", ""))
        return number, parent, name, folded(name), kind, size, modified, mode_of(found), *owner


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            yield db
    except sqlite3.DatabaseError as error:
        file.unlink(missing_ok=True)  # it is gone, or a power cut broke it: it is read again
        raise NotFound(
            N_("this backup's listing was put away meanwhile"), N_("Open the backup again."), detail=str(error)
        ) from error


def _entry(row: tuple[Any, ...]) -> Entry:
    number, parent, name, kind, size, modified, mode, uid, gid = row
    return Entry(number, parent, name, kind, size, modified, mode, (uid, gid))


def _hit(db: sqlite3.Connection, number: int) -> Hit:
    way: list[Entry] = []
    while True:
        found = db.execute(f"SELECT {_COLUMNS} FROM entry WHERE id = ?", (number,)).fetchone()  # noqa: S608
        if found is None:
            raise _not_there(number)
        entry = _entry(found)
        way.append(entry)
        if TOP in {entry.id, entry.parent}:
            return Hit(way[0], tuple(reversed(way[1:])))
        number = entry.parent


def _last(db: sqlite3.Connection, number: int) -> int:
    """The number of the last entry beneath it: a listing is depth first, so all beneath it follow it."""
    found = db.execute(f"SELECT {_COLUMNS} FROM entry WHERE id = ?", (number,)).fetchone()  # noqa: S608
    if found is None:
        raise _not_there(number)
    last = number
    while True:
        [further] = db.execute("SELECT max(id) FROM entry WHERE parent = ?", (last,)).fetchone()
        if further is None:
            return last
        last = int(further)


def _not_there(number: int) -> NotFound:
    return NotFound(
        N_("there is nothing of number {number} in this backup"), N_("Open the backup again."), number=number
    )

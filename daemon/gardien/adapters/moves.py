"""A move from one gardien to another: where it is written down, who is at it, the state that is put aside for it."""

import fcntl
import json
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gardien.errors import BadInput, MemoryFailed
from gardien.model.move import Move, note_of
from gardien.model.settings import Folders
from gardien.words import N_

_SIDE_FILES = ("-wal", "-shm")


def lock_of(state: Path) -> Path:
    """Held by the process that makes a move."""
    return note_of(state).with_name("lock")


class FileMoves:
    """In `<state>/self-update/move.json`."""

    def __init__(self, state: Path) -> None:
        self._file = note_of(state)

    def read(self) -> Move | None:
        try:
            return Move.from_json(json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
            raise BadInput(
                N_("what gardien noted of its last update cannot be read: {file}"),
                N_("Ask the person who helps you. Without that file, what runs now counts as good."),
                detail=str(error),
                file=str(self._file),
            ) from error

    def write(self, move: Move) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._file.with_name(f"{self._file.name}.new")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(move.as_json(), file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file)
        _sync(self._file.parent)


def under_way(state: Path) -> bool:
    """Whether an update is being made by somebody who is alive. One that was left lying holds nobody up."""
    try:
        move = FileMoves(state).read()
        if move is None or move.over:
            return False
        handle = os.open(lock_of(state), os.O_RDWR | os.O_CLOEXEC)
    except (OSError, BadInput):
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def folders_in(config: Path) -> Folders | None:
    """Where things lie by a settings file that a newer gardien wrote, and of which we understand no more than that."""
    try:
        found = YAML(typ="safe", pure=True).load(config.read_text("utf-8"))["folders"]
        return Folders(**{name: Path(found[name]) for name in Folders.model_fields if name in found})
    except (OSError, ValueError, YAMLError, KeyError, TypeError):
        return None


class StateCopies:
    """Of the database `memory` and the settings in `owner`, in folders below `state`/self-update/before."""

    def __init__(self, state: Path, memory: Path, owner: Path, config: Path) -> None:
        self._room, self._memory, self._owner, self._config = note_of(state).with_name("before"), memory, owner, config

    def memory(self, into: Path) -> None:
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(mode=0o700, parents=True)
        _backup(self._memory, into / self._memory.name)

    def memory_of(self, folder: str, into: Path) -> None:
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(mode=0o700, parents=True)
        shutil.copyfile(self._room / folder / self._memory.name, into / self._memory.name)

    def save(self, name: str) -> str:
        folder = self._room / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700, parents=True)
        _backup(self._memory, folder / self._memory.name)
        shutil.copytree(self._owner, folder / "settings", symlinks=True)
        shutil.copy2(self._config, folder / "gardien.yaml")
        for each in folder.rglob("*"):
            if not each.is_symlink():
                _sync(each)
        _sync(folder)
        _sync(self._room)
        return name

    def bring(self, folder: str) -> None:
        """The side files go first: with them, SQLite would take what is newer for a part of what is older."""
        beside = self._memory.with_name(f"{self._memory.name}.back")
        shutil.copyfile(self._room / folder / self._memory.name, beside)
        beside.chmod(0o600)
        _sync(beside)
        for suffix in _SIDE_FILES:
            self._memory.with_name(self._memory.name + suffix).unlink(missing_ok=True)
        _sync(self._memory.parent)
        beside.replace(self._memory)
        _sync(self._memory.parent)

    def bring_settings(self, folder: str) -> None:
        former, replaced = self._room / folder / "settings", self._room / folder / "settings-after"
        for file in sorted(former.rglob("*")):
            self._bring_file(file, self._owner / file.relative_to(former), replaced / file.relative_to(former))
        self._bring_file(self._room / folder / "gardien.yaml", self._config, replaced / "gardien.yaml")

    def forget(self, stay: set[str], most: int) -> None:
        found = sorted(self._room.glob("*"), key=lambda each: each.stat().st_mtime)
        others = [each for each in found if each.name not in stay]
        for each in others[: max(0, len(found) - max(most, len(stay)))]:
            shutil.rmtree(each, ignore_errors=True)

    def _bring_file(self, file: Path, place: Path, replaced: Path) -> None:
        if file.is_symlink() or not file.is_file() or (place.is_file() and place.read_bytes() == file.read_bytes()):
            return
        if place.exists():
            replaced.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copy2(place, replaced)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = place.with_name(f"{place.name}.back")
        shutil.copy2(file, beside)
        with suppress(PermissionError):
            shutil.chown(beside, file.stat().st_uid, file.stat().st_gid)
        _sync(beside)
        beside.replace(place)
        _sync(place.parent)


def _backup(memory: Path, into: Path) -> None:
    """By SQLite itself: what is written meanwhile is in it whole, or not at all."""
    try:
        with (
            closing(sqlite3.connect(f"file:{memory}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(into)) as copy,
        ):
            source.backup(copy)
            sound = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise MemoryFailed(
            N_("gardien's memory, {path}, cannot be copied"),
            N_("Look whether its disk has room, and try again. Nothing was changed."),
            detail=str(error),
            path=str(memory),
        ) from error
    if sound != "ok":
        raise MemoryFailed(
            N_("gardien's memory, {path}, cannot be copied"),
            N_("Look whether its disk has room, and try again. Nothing was changed."),
            detail=str(sound),
            path=str(memory),
        )
    into.chmod(0o600)
    _sync(into)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Places in a stack's folder, where its application may put links: each step is taken by a handle, none is followed."""

import asyncio
import ctypes
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from gardien.adapters import process
from gardien.adapters.files import in_thread
from gardien.adapters.surely import surely
from gardien.errors import Refused
from gardien.model.entry import Place
from gardien.words import N_

_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOREPLACE, _EXCHANGE = 1, 2
_SET_ID = stat.S_ISUID | stat.S_ISGID

Shape = tuple[int, int, int]  # uid, gid, mode


class FilesBeneath:
    """The `Beneath` of this machine. Names in `parts` may hold any bytes but a slash, as surrogates where no text."""

    def __init__(self, children: Path) -> None:
        self._children = children

    async def look(self, home: Path, parts: Sequence[str]) -> Place:
        """What there is now. Raises Refused if a link, a file or another disk is on the way."""
        return await in_thread(home, _look, home, parts)

    async def mark(self, path: Path) -> str:
        """What tells this very file or folder from any other that takes its name."""
        return await in_thread(path, lambda: _mark(path.lstat()))

    async def on_disk(self, folder: Path) -> None:
        """See all of its file system on the disk."""
        await in_thread(folder, _on_disk, folder)

    async def put(self, home: Path, parts: Sequence[str], fresh: Path, mark: str, above: Sequence[Shape]) -> None:
        """In one stroke: what `fresh` was, which bears `mark`, lies at `parts`, and `fresh` is what lay there.

        Folders that are missing above it are made as `above` says, one for each but the last of `parts`. Nothing
        happens if it was done before.
        """
        await in_thread(home, _put, home, parts, fresh, mark, above)

    async def take_back(self, home: Path, parts: Sequence[str], fresh: Path, mark: str, missing: int) -> None:
        """Undo `put`, and take away the `missing` folders that it made, if they are empty."""
        await in_thread(home, _take_back, home, parts, fresh, mark, missing)

    async def set_aside(self, source: Path, to: Path) -> None:
        """Move a folder, to another subvolume if need be. It may be done, or half done, already."""
        if await in_thread(source, _moved, source, to):
            return
        half = to.with_name(f".{to.name}.half")
        for command in (["rm", "-rf", "--one-file-system"], ["cp", "-a", "--reflink=auto"]):
            names = [str(half)] if command[0] == "rm" else [str(source), str(half)]
            await process.run([*command, "--", *names], env={}, children=self._children)
        await in_thread(half, half.rename, to)
        await surely(asyncio.to_thread(_synced, to.parent))
        await process.run(["rm", "-rf", "--one-file-system", "--", str(source)], env={}, children=self._children)


def _mark(facts: os.stat_result) -> str:
    """Its disk is the same one on all of the way; the number of that may be another one after a start."""
    return str(facts.st_ino)


@contextmanager
def _folder(home: Path, parts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """A handle of the deepest folder of `parts` that is there, and how many are missing. Raises Refused."""
    handle = os.open(home, _STEP)
    try:
        device, missing = os.fstat(handle).st_dev, len(parts)
        for part in parts:
            try:
                deeper = os.open(part, _STEP, dir_fd=handle)
            except FileNotFoundError:
                break
            except OSError as error:
                if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                    raise _in_the_way() from error
                raise
            os.close(handle)
            handle, missing = deeper, missing - 1
            if os.fstat(handle).st_dev != device:
                raise Refused(
                    N_("another disk, or a folder of its own kind, is mounted on the way there"),
                    N_("Bring it back into a folder of its own instead: with --to, or by downloading it."),
                )
        yield handle, missing
    finally:
        os.close(handle)


def _in_the_way() -> Refused:
    return Refused(
        N_("a link or a file is where one of the folders above it was"),
        N_("Nothing was changed. Bring it back into a folder of its own instead: with --to, or by downloading it."),
    )


def _look(home: Path, parts: Sequence[str]) -> Place:
    with _folder(home, parts[:-1]) as (handle, missing):
        return Place(missing == 0 and _there(parts[-1], handle) is not None, missing)


def _there(name: str, folder: int) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    return None


def _put(home: Path, parts: Sequence[str], fresh: Path, mark: str, above: Sequence[Shape]) -> None:
    _make_above(home, parts[:-1], above)
    with _folder(home, parts[:-1]) as (handle, missing):
        if missing:
            raise _in_the_way()
        now = _there(parts[-1], handle)
        if now is not None and _mark(now) == mark:
            return
        _swap(fresh, handle, parts[-1], _NOREPLACE if now is None else _EXCHANGE)
        os.fsync(handle)
    _synced(fresh.parent)


def _make_above(home: Path, parts: Sequence[str], above: Sequence[Shape]) -> None:
    with _folder(home, parts) as (handle, missing):
        first = os.dup(handle)
    try:
        for part, (uid, gid, mode) in list(zip(parts, above, strict=True))[len(parts) - missing :]:
            with suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=first)
            deeper = os.open(part, _STEP, dir_fd=first)
            os.fchown(deeper, uid, gid)
            os.fchmod(deeper, mode & ~_SET_ID)
            os.fsync(first)
            os.close(first)
            first = deeper
    finally:
        os.close(first)


def _take_back(home: Path, parts: Sequence[str], fresh: Path, mark: str, missing: int) -> None:
    with _folder(home, parts[:-1]) as (handle, gone):
        now = None if gone else _there(parts[-1], handle)
        if now is not None and _mark(now) == mark:
            _swap(fresh, handle, parts[-1], _EXCHANGE if os.path.lexists(fresh) else None)
            os.fsync(handle)
            _synced(fresh.parent)
    for count in range(missing):
        with _folder(home, parts[: -2 - count]) as (handle, _), suppress(OSError):  # not empty, or not there
            os.rmdir(parts[-2 - count], dir_fd=handle)


def _swap(fresh: Path, folder: int, name: str, how: int | None) -> None:
    """renameat2(2) of `fresh` to `name`; the other way round if it is None."""
    side = os.open(fresh.parent, _STEP)
    try:
        ends: tuple[tuple[int, str], tuple[int, str]] = (side, fresh.name), (folder, name)
        (one, source), (other, to) = ends if how is not None else ends[::-1]
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        if rename(one, os.fsencode(source), other, os.fsencode(to), how or _NOREPLACE):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(side)


def _on_disk(folder: Path) -> None:
    handle = os.open(folder, _STEP)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(handle)


def _moved(source: Path, to: Path) -> bool:
    """Whether it is done; not if `to` is in another subvolume."""
    if not os.path.lexists(source):
        return True
    if not os.path.lexists(to):
        try:
            source.rename(to)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        _synced(to.parent)
        _synced(source.parent)
        return True
    return False


def _synced(folder: Path) -> None:
    handle = os.open(folder, _STEP)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Files and folders, as if the power could fail at any moment: temp, fsync, rename, fsync of the folder."""

import asyncio
import ctypes
import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TypeVar

from gardien.adapters import taming
from gardien.adapters.surely import surely
from gardien.errors import Busy, DiskMissing, GardienError, NoSpace, NotFound, Refused
from gardien.words import N_

T = TypeVar("T")

_AT_FDCWD = -100
_NOREPLACE = 1
_EXCHANGE = 2
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_TEMPORARY = ".gardien-new"


class LocalFiles:
    """The `Files` of this machine. All of it runs in threads; a cancelled caller waits for the thread to stop.

    What the file system refuses is raised as NoSpace, DiskMissing, NotFound, Refused or GardienError.
    """

    def __init__(self) -> None:
        self._writing = threading.Lock()  # the temporary name is a fixed one, so that a crash leaves nothing behind

    async def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        """Replace `path` by `text`, whatever the umask. Its folder must be there: NotFound."""
        await in_thread(path, self._write, path, text, mode)

    async def read(self, path: Path) -> str | None:
        """None if there is no such file."""
        return await in_thread(path, _read, path)

    async def copy_tree(self, source: Path, to: Path) -> None:
        """Replace `to` by a copy of `source` (all or nothing), whatever the umask.

        Folders and what may be executed are 0755, the rest 0644: containers of any user read what is mounted of it.
        """
        await in_thread(to, _copy_tree, source, to)

    async def make_folder(self, path: Path, owner: tuple[int, int] | None, mode: int) -> None:
        """Make it if it is not there (missing parents too, 0700); set its mode, and its owner (None: ourselves)."""
        await in_thread(path, _make_folder, path, owner or (os.geteuid(), os.getegid()), mode)

    async def move(self, source: Path, to: Path) -> None:
        """Rename within one file system, durably. Nothing happens if `source` is gone and `to` is there.

        Raises Refused if both are there, NotFound if none is.
        """
        await in_thread(source, _move, source, to)

    async def remove(self, path: Path) -> None:
        """Remove a file or tree; it may be gone already. Never follows a symlink out.

        Raises Refused, before anything is touched, if a file system is mounted on `path` or beneath it.
        """
        stop = threading.Event()
        await in_thread(path, _remove, path, stop, stop=stop)

    async def exists(self, path: Path) -> bool:
        """A symlink to nowhere is there, too."""
        return await in_thread(path, os.path.lexists, path)

    async def tail(self, path: Path, bytes_: int = 4096) -> str:
        """The last bytes as text; nothing of a file that is not there."""
        return await in_thread(path, _tail, path, bytes_)

    async def measure(self, path: Path) -> tuple[int, int]:
        """Files (all but folders) and bytes (of regular files) beneath `path`; (0, 0) if it is not there."""
        stop = threading.Event()
        return await in_thread(path, _measure, path, stop, stop=stop)

    async def older_than(self, folder: Path, then: datetime) -> list[Path]:
        """What lies directly in `folder` and was put there before `then` (by ctime); [] if there is no such folder."""
        return await in_thread(folder, _older_than, folder, then)

    async def write_down(self, folder: Path) -> None:
        """All that any program wrote to the file system of this folder is there for good: a power cut takes none."""
        await in_thread(folder, taming.write_down, folder)

    async def tame(self, folder: Path) -> list[str]:
        """Remove the devices beneath it, and take set-id bits and capabilities off files; what that was, by path."""
        stop = threading.Event()
        return await in_thread(folder, taming.tame, folder, stop, stop=stop)

    async def kind_beneath(self, folder: Path, inside: PurePosixPath) -> taming.Kind:
        """What `inside` is, beneath `folder`: a link if anything on the way is one; "" if it is not there."""
        return await in_thread(folder, taming.kind_beneath, folder, inside)

    def _write(self, path: Path, text: str, mode: int) -> None:
        temporary = path.with_name(f".{path.name}{_TEMPORARY}")
        with self._writing:
            with suppress(FileNotFoundError):
                temporary.unlink()
            try:
                _write_synced(temporary, text.encode(), mode)
                temporary.rename(path)
            except BaseException:
                with suppress(OSError):
                    temporary.unlink()
                raise
            _sync_folder(path.parent)


class OnlyOne:
    """A lock file that at most one process holds; the kernel lets go of it when the process dies, however it dies."""

    def __init__(self, path: Path) -> None:
        """Take it. Raises Busy with the holder's process number."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._handle, 32, 0).decode("ascii", "replace").strip()
            os.close(self._handle)
            raise Busy(
                N_("another gardien is already running here (process {holder})"),
                N_("Use that one, or stop it first: two at once would undo each other's work."),
                holder=holder or "?",
            ) from error
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go of it. The file stays: removing it would let two processes hold two files of one name."""
        os.close(self._handle)


async def in_thread(path: Path, work: Callable[..., T], *args: object, stop: threading.Event | None = None) -> T:
    """Run `work` in a thread. If the caller is cancelled, ask it to stop and wait until it has."""

    def named() -> T:
        with _in_words(path):
            return work(*args)

    return await surely(asyncio.to_thread(named), stop.set if stop is not None else None)


class _Stopped(Exception):
    """The thread was asked to stop; seen by nobody, for its caller was cancelled."""


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _write_synced(path: Path, data: bytes, mode: int) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(handle, mode)
        os.fsync(handle)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy_tree(source: Path, to: Path) -> None:
    fresh = to.with_name(f".{to.name}{_TEMPORARY}")
    _remove(fresh, threading.Event())
    if not source.is_dir():
        raise NotFound(N_("the folder {path} is not there"), path=str(source))
    try:
        _copy_folder(source, fresh)
        if os.path.lexists(to):
            _exchange(fresh, to)
        else:
            fresh.rename(to)
    except BaseException:
        with suppress(OSError, GardienError):
            _remove(fresh, threading.Event())
        raise
    _sync_folder(to.parent)
    _remove(fresh, threading.Event())


def _copy_folder(source: Path, to: Path) -> None:
    to.mkdir()
    for entry in sorted(source.iterdir()):
        copy = to / entry.name
        kind = entry.lstat().st_mode
        if stat.S_ISLNK(kind):
            copy.symlink_to(entry.readlink())
        elif stat.S_ISDIR(kind):
            _copy_folder(entry, copy)
        elif stat.S_ISREG(kind):
            _write_synced(copy, entry.read_bytes(), 0o755 if kind & 0o111 else 0o644)
        else:
            raise Refused(N_("{path} is neither a file nor a folder"), N_("Move it elsewhere."), path=str(entry))
    to.chmod(0o755)
    _sync_folder(to)


def _exchange(one: Path, other: Path) -> None:
    """Swap two paths in one stroke; where the file system cannot, in three, the old one kept until the new is there."""
    try:
        _rename(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        aside = other.with_name(f".{other.name}.{secrets.token_hex(4)}")
        other.rename(aside)
        one.rename(other)
        aside.rename(one)


def _rename(source: Path, to: Path, how: int) -> None:
    """renameat2(2)."""
    renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    if renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(to), how):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(source))


def _make_folder(path: Path, owner: tuple[int, int], mode: int) -> None:
    new = not path.exists()
    if new:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.mkdir(mode=0o700)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        now = os.fstat(handle)
        if (now.st_uid, now.st_gid) != owner:
            os.fchown(handle, *owner)
        os.fchmod(handle, mode)
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        _sync_folder(path.parent)


def _move(source: Path, to: Path) -> None:
    if not os.path.lexists(source):
        if os.path.lexists(to):
            return
        raise NotFound(N_("{path} is not there"), path=str(source))
    try:
        _rename(source, to, _NOREPLACE)
    except OSError as error:
        if error.errno in _UNSUPPORTED and not os.path.lexists(to):
            source.rename(to)
        elif os.path.lexists(to):
            raise Refused(
                N_("cannot move {path}: there is already something at {to}"),
                N_("Look at both; move one of them elsewhere, then try again."),
                path=str(source),
                to=str(to),
            ) from error
        else:
            raise
    _sync_folder(to.parent)
    if source.parent != to.parent:
        _sync_folder(source.parent)


def _remove(path: Path, stop: threading.Event) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if stat.S_ISDIR(there.st_mode):
        # A bind mount shows the same device number, so ask the kernel's own list first.
        place = path.parent.resolve() / path.name
        for mount in mounts():
            if mount.is_relative_to(place):
                raise Refused(
                    N_("cannot remove {path}: a disk or folder is mounted at {mount}"),
                    N_("Unmount it first: what it holds must not be lost."),
                    path=str(path),
                    mount=str(mount),
                )
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _empty(handle, there.st_dev, stop)
        finally:
            os.close(handle)
        path.rmdir()
    else:
        path.unlink()
    _sync_folder(path.parent)


def _empty(folder: int, device: int, stop: threading.Event) -> None:
    """Empty an open folder, by handles only: nobody can slip a symlink in between."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        if stop.is_set():
            raise _Stopped
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if os.fstat(handle).st_dev != device:
                raise OSError(errno.EBUSY, "another file system")
            _empty(handle, device, stop)
        finally:
            os.close(handle)
        os.rmdir(name, dir_fd=folder)


def mounts() -> list[Path]:
    """Where file systems are mounted; the kernel writes a space as \\040."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in lines]


def _tail(path: Path, bytes_: int) -> str:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - bytes_))
            return file.read(bytes_).decode("utf-8", "replace")
    except FileNotFoundError:
        return ""


def _measure(path: Path, stop: threading.Event) -> tuple[int, int]:
    files = size = 0
    waiting = [os.fspath(path)]
    while waiting:
        # An application may be at work in there: what vanishes while we look is not there.
        with suppress(FileNotFoundError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if stop.is_set():
                    raise _Stopped
                with suppress(FileNotFoundError):
                    facts = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(facts.st_mode):
                        waiting.append(entry.path)
                        continue
                    files += 1
                    size += facts.st_size if stat.S_ISREG(facts.st_mode) else 0
    return files, size


def _older_than(folder: Path, then: datetime) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(each for each in folder.iterdir() if each.lstat().st_ctime < then.timestamp())


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """The file system's errors, for people. Only `path` is named: names beneath it may be those of patients."""
    try:
        yield
    except OSError as error:
        says, remedy, kind = _WORDS.get(error.errno or 0, _OTHER)
        raise kind(
            says, remedy, detail=os.strerror(error.errno or 0), path=str(path), why=os.strerror(error.errno or 0)
        ) from error


_FULL = (
    N_("the disk that holds {path} is full"),
    N_("Free some space on it, then try again."),
    NoSpace,
)
_AILING = (
    N_("the disk that holds {path} cannot be written to or read from: {why}"),
    N_("Look whether it is plugged in and mounted. If it is, it may be failing: have somebody look at it soon."),
    DiskMissing,
)
_OTHER = (
    N_("cannot do what is needed with {path}: {why}"),
    N_("Look whether gardien may read and write there, then try again."),
    GardienError,
)
_WORDS: dict[int, tuple[str, str, type[GardienError]]] = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _AILING,
    errno.EIO: _AILING,
    errno.ENODEV: _AILING,
    errno.ENOENT: (
        N_("{path} is not there, or its folder is not"),
        N_("Look whether the disk that holds it is plugged in and mounted."),
        NotFound,
    ),
}

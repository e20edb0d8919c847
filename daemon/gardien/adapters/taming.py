"""A folder that came from elsewhere: what in it has power over this machine is taken away, and no link is followed."""

import ctypes
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Literal

Kind = Literal["", "folder", "file", "link", "other"]

_SET_ID = stat.S_ISUID | stat.S_ISGID
_CAPABILITY = "security.capability"  # of a program: what set-id is, in parts
_MOST = 100  # names that are told


def tame(top: Path, stop: threading.Event) -> list[str]:
    """Remove the devices beneath `top`; take set-id bits and capabilities off files. All times stay as they are.

    By handles only, so that no link is followed. Returns the paths, at most a hundred.
    """
    told: list[str] = []
    handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _tame(handle, PurePosixPath(), told, stop)
    finally:
        os.close(handle)
    return told[:_MOST]


def _tame(folder: int, at: PurePosixPath, told: list[str], stop: threading.Event) -> None:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    before, changed = os.fstat(folder), False
    for name in names:
        if stop.is_set():
            return
        facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISDIR(facts.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                _tame(inner, at / name, told, stop)
            finally:
                os.close(inner)
        elif stat.S_ISBLK(facts.st_mode) or stat.S_ISCHR(facts.st_mode):
            os.unlink(name, dir_fd=folder)
            changed = True
            told.append(str(at / name))
        elif stat.S_ISREG(facts.st_mode) and _disarmed(folder, name, facts):
            told.append(str(at / name))
    if changed:
        os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))


def _disarmed(folder: int, name: str, facts: os.stat_result) -> bool:
    armed = bool(facts.st_mode & _SET_ID)
    handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        if armed:
            os.fchmod(handle, stat.S_IMODE(facts.st_mode) & ~_SET_ID)
        with suppress(OSError):
            if _CAPABILITY in os.listxattr(handle):
                os.removexattr(handle, _CAPABILITY)
                armed = True
    finally:
        os.close(handle)
    return armed


def write_down(folder: Path) -> None:
    """syncfs(2): of one file system alone, not of every disk of the machine."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(handle)


def kind_beneath(top: Path, inside: PurePosixPath) -> Kind:
    """What `inside` is, beneath `top`: a link if anything on the way is one; "" if it is not there."""
    kind: Kind = "folder"
    path = top
    for part in inside.parts:
        if kind != "folder" or part in {"", "..", "/"}:
            return "other" if kind != "link" else kind
        path = path / part
        try:
            mode = path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return ""
        if stat.S_ISLNK(mode):
            return "link"
        kind = "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"
    return kind

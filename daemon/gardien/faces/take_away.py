"""Writing what came out of a backup into a folder of the caller's: as the caller's own, and nowhere else.

Every step is taken by a handle and no link is followed. Nothing that is there is written over.
"""

import os
import tarfile
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO, Protocol, cast

from gardien.errors import BadInput, Incomplete
from gardien.model.entry import leads_out, shown
from gardien.words import N_

_CHUNK = 1 << 20
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_STEP = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int = -1, /) -> bytes: ...


@dataclass
class Taken:
    """What was written, and what was not."""

    files: int = 0
    bytes: int = 0
    left_out: list[str] = field(default_factory=list)


def file(stream: Stream, to: Path, size: int) -> Taken:
    """Write one file. Raises BadInput if it is there already or cannot be written, Incomplete if it came in part."""
    taken = Taken()
    try:
        handle = os.open(to, _FRESH, 0o600)
        try:
            with os.fdopen(handle, "wb") as out:
                _copy(stream, out, taken)
            if taken.bytes != size:
                raise _cut_short()
        except BaseException:
            to.unlink()
            raise
    except OSError as error:
        raise _cannot(to, error) from error
    taken.files = 1
    return taken


def folder(stream: Stream, to: Path, skip: Collection[str], files: int) -> Taken:
    """Write a tar of what is in a folder into `to`, which is made. `skip` are paths in there.

    Raises BadInput if it is there already or cannot be written, Incomplete if not all of it came.
    """
    taken = Taken(left_out=list(skip))
    try:
        to.mkdir()
        top = os.open(to, _STEP)
        try:
            with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as tar:
                for member in tar:
                    name = member.name.rstrip("/")
                    if name and name not in skip:
                        _take(tar, member, top, taken)
        finally:
            os.close(top)
    except tarfile.TarError as error:
        raise _cut_short() from error
    except OSError as error:
        raise _cannot(to, error) from error
    if taken.files + len(taken.left_out) - len(skip) < files:
        raise _cut_short()
    return taken


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, top: int, taken: Taken) -> None:
    parts = member.name.rstrip("/").split("/")
    outside = any(part in {"", ".", ".."} for part in parts)
    if outside or not (member.isreg() or member.isdir() or member.issym()):
        taken.left_out.append(member.name)
        return
    if member.issym() and leads_out(parts, member.linkname):
        taken.left_out.append(member.name)
        return
    above = _above(top, parts[:-1])
    try:
        if member.isdir():
            os.mkdir(parts[-1], member.mode & 0o777 | 0o700, dir_fd=above)
        elif member.issym():
            os.symlink(member.linkname, parts[-1], dir_fd=above)
            taken.files += 1
        else:
            data = tar.extractfile(member)
            assert data is not None
            handle = os.open(parts[-1], _FRESH, member.mode & 0o777 | 0o400, dir_fd=above)
            with os.fdopen(handle, "wb") as out:
                _copy(data, out, taken)
                out.flush()
                os.utime(handle, (member.mtime, member.mtime))
            taken.files += 1
    finally:
        os.close(above)


def _above(top: int, parts: list[str]) -> int:
    handle = os.dup(top)
    for part in parts:
        deeper = os.open(part, _STEP, dir_fd=handle)
        os.close(handle)
        handle = deeper
    return handle


def _copy(stream: Stream, out: BinaryIO, taken: Taken) -> None:
    while chunk := stream.read(_CHUNK):
        out.write(chunk)
        taken.bytes += len(chunk)


def _cut_short() -> Incomplete:
    return Incomplete(
        N_("what came from the backup ended too early"),
        N_("What was written so far is not the whole: try again."),
    )


def _cannot(path: Path, error: OSError) -> BadInput:
    return BadInput(
        N_("cannot write {file}: {why}"),
        N_("Name another folder; nothing that is there is ever written over."),
        file=shown(str(path)),
        why=error.strerror or str(error),
    )

"""Moments of a folder on btrfs: read-only snapshots of a subvolume, by the kernel's own calls.

Not by the `btrfs` command: gardien runs without CAP_SYS_ADMIN, which the command needs to delete a snapshot and to list
subvolumes. Without it a snapshot can be made, emptied like any folder, and its empty root removed (since Linux 4.18).
"""

import errno
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

from gardien.adapters.files import LocalFiles, in_thread, mounts

# linux/btrfs.h; each takes 4096 bytes but the flags.
_SUBVOLUME_CREATE = 0x5000940E
_SNAPSHOT_CREATE = 0x50009417
_SNAPSHOT_DESTROY = 0x5000940F
_SET_FLAGS = 0x4008941A
_CHILDREN = 0xD000943D
_NAMED = "=q4088s"  # a handle (not used here), a name
_SNAPSHOT = "=q8xQ32x4040s"  # the handle of the subvolume, flags, a name
_CHILDREN_COUNT_AT = 8 + 255 * 16
_READ_ONLY = 2
_ROOT = 256  # the inode number of every subvolume's top folder
_NOT_HERE = {errno.ENOTTY, errno.EOPNOTSUPP, errno.EPERM, errno.EACCES}  # another file system, or not allowed


class Btrfs:
    """The `Moments` of this machine. Where the data lies on another file system, no moment can be held."""

    def __init__(self, files: LocalFiles) -> None:
        self._files = files

    async def make_room(self, folder: Path) -> None:
        """Make `folder`, if it is not there and its parent is, as a subvolume; nothing on another file system."""
        await in_thread(folder, _make_room, folder)

    async def can_hold(self, folder: Path) -> bool:
        """Whether it is a subvolume without others in it, and nothing is mounted on it or beneath."""
        return await in_thread(folder, _can_hold, folder)

    async def hold(self, folder: Path, at: Path) -> None:
        """What `folder` shows now, read-only at `at`, where nothing may be yet, in a folder that is there."""
        await in_thread(at, _hold, folder, at)

    async def let_go(self, at: Path) -> None:
        """Delete the snapshot in one stroke where that is allowed, else file by file; it may be gone already."""
        if not await in_thread(at, _destroyed, at):
            await self._files.remove(at)


def _make_room(folder: Path) -> None:
    if os.path.lexists(folder) or not folder.parent.is_dir():
        return
    with _opened(folder.parent) as parent:
        try:
            ioctl(parent, _SUBVOLUME_CREATE, bytearray(struct.pack(_NAMED, 0, os.fsencode(folder.name))))
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
            return
        os.fsync(parent)


def _can_hold(folder: Path) -> bool:
    try:
        there = folder.lstat()
        place = folder.parent.resolve() / folder.name
        if not stat.S_ISDIR(there.st_mode) or there.st_ino != _ROOT:
            return False
        if any(mount.is_relative_to(place) for mount in mounts()):
            return False
        answer = bytearray(4096)
        with _opened(folder) as handle:
            ioctl(handle, _CHILDREN, answer)
    except OSError:  # another file system, or a kernel before 4.18
        return False
    return answer[_CHILDREN_COUNT_AT] == 0


def _hold(folder: Path, at: Path) -> None:
    with _opened(folder) as source, _opened(at.parent) as parent:
        asked = struct.pack(_SNAPSHOT, source, _READ_ONLY, os.fsencode(at.name))
        ioctl(parent, _SNAPSHOT_CREATE, bytearray(asked))


def _destroyed(at: Path) -> bool:
    """Whether nothing is there any more; else it can be emptied from now on."""
    if not os.path.lexists(at):
        return True
    with suppress(OSError):  # no snapshot at all, or not for us
        with _opened(at.parent) as parent:
            ioctl(parent, _SNAPSHOT_DESTROY, bytearray(struct.pack(_NAMED, 0, os.fsencode(at.name))))
        return True
    with suppress(OSError), _opened(at) as handle:
        ioctl(handle, _SET_FLAGS, struct.pack("=Q", 0))
    return False


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)

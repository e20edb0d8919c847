"""The folder that restic restores into: that it is one of ours, and what restic does not give it."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from gardien.errors import Refused
from gardien.words import N_

_SHALLOWEST = 3  # folders: /srv/gardien/nextcloud is as near to the root as a restore may get


def guard(to: Path) -> None:
    """restic deletes what does not belong in the folder it restores to: it must be one of ours, and only that."""
    why = None
    if not to.is_absolute() or ".." in to.parts or len(to.parts) - 1 < _SHALLOWEST:
        why = N_("will not restore to {folder}: it is too near to the root of the file system")
    elif to.is_symlink() or (to.exists() and not to.is_dir()):
        why = N_("will not restore to {folder}: it is not a folder")
    elif any(mount.is_relative_to(to.parent.resolve() / to.name) for mount in _mounts()):
        why = N_("will not restore to {folder}: a disk or folder is mounted there")
    if why is not None:
        raise Refused(why, N_("Nothing was changed. Restore to an empty folder inside gardien's own."), folder=str(to))


def _mounts() -> list[Path]:
    """Where file systems are mounted; the kernel writes a space as \\040."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in lines]


def dress(to: Path, node: Mapping[str, Any]) -> None:
    """Give the top folder what restic gives only to what is in it."""
    mode = int(node["mode"])  # Go's: the permission bits are POSIX's, the special ones are not
    special = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
    # Like restic itself: who may not give a folder away keeps it.
    with suppress(PermissionError):
        os.chown(to, int(node.get("uid", 0)), int(node.get("gid", 0)))
    to.chmod(mode & 0o777 | sum(bit for flag, bit in special if mode & flag))
    moment = nanoseconds(str(node["mtime"]))
    os.utime(to, ns=(moment, moment))


def nanoseconds(text: str) -> int:
    """Since 1970, from a time as Go writes it: with nanoseconds, which Python's own times have no room for."""
    fraction = re.search(r"\.(\d+)", text)
    whole = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    return int(whole.timestamp()) * 10**9 + int((fraction.group(1) if fraction else "").ljust(9, "0")[:9])

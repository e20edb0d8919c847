"""Looking into a snapshot with restic: its listing, exact names, a file's bytes, a part of it brought back."""

import asyncio
import fcntl
import json
import os
import struct
import termios
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from gardien.adapters.restic_call import Calls
from gardien.adapters.restic_errors import nothing
from gardien.adapters.restic_folder import guard
from gardien.adapters.restic_lines import Gauge, OnProgress, message_of
from gardien.adapters.surely import surely
from gardien.rules.entries import part_patterns, unquoted

Archive = Literal["zip", "tar"]

_PIPE = 1 << 20  # bytes between restic and us: what is not taken makes it wait


def listed(calls: Calls, target: str, snapshot: str) -> AsyncGenerator[bytes]:
    """All that lies in it, as restic's JSON lines."""
    return _printed(calls, target, ["ls", "--no-lock", "--", snapshot], snapshot)


async def names(calls: Calls, target: str, snapshot: str, folder: str) -> list[str]:
    """The exact names in a folder, in the listing's order; in the listing, bytes that are no text are lost."""
    lines: list[str] = []
    args = ["cat", "tree", "--no-lock", "--", f"{snapshot}:{folder}"]
    await calls.asked(target, args, on_line=lines.append, snapshot=snapshot)
    return [unquoted(str(each["name"])) for each in json.loads("".join(lines))["nodes"]]


def dumped(calls: Calls, target: str, snapshot: str, path: str, archive: Archive | None) -> AsyncGenerator[bytes]:
    """A file's bytes, or a folder as an archive of what is in it. Who stops reading ends restic."""
    if archive is None:
        args = ["dump", "--no-lock", "--", snapshot, path]
    else:
        args = ["dump", "--no-lock", "--archive", archive, "--", f"{snapshot}:{path}", "/"]
    return _printed(calls, target, args, snapshot)


async def bring_back_part(
    calls: Calls,
    target: str,
    snapshot: str,
    *,
    folder: str,
    name: str,
    leave_out: Sequence[str],
    to: Path,
    progress: OnProgress,
) -> None:
    """Restore `name`, which lies under `folder` in the snapshot, into `to`, without the paths in `leave_out`."""
    await asyncio.to_thread(guard, to)
    args = ["restore", "--target", str(to), "--overwrite", "always", "--verify"]
    for pattern in part_patterns(name, leave_out):
        args += ["--exclude", pattern]
    args += ["--", f"{snapshot}:{folder}"]
    await restored(calls, target, args, snapshot=snapshot, to=to, progress=progress)


async def restored(
    calls: Calls, target: str, args: Sequence[str], *, to: Path, progress: OnProgress, **how: Any
) -> None:
    """Run a restore into `to` to its end. Raises Damaged if nothing came back, and a target's errors."""
    gauge, summary = Gauge(progress), dict[str, Any]()

    def listen(line: str) -> bool:
        message = message_of(line)
        if message.get("message_type") == "summary":
            summary.update(message)
        return gauge.restoring(message)

    outcome = await calls.asked(target, args, on_line=listen, patient=True, to=to, **how)
    if not summary.get("total_files"):
        raise nothing(target, outcome.detail)


async def _printed(calls: Calls, target: str, args: Sequence[str], snapshot: str) -> AsyncGenerator[bytes]:
    """What restic prints, as fast as it is taken. Raises a target's errors, at the end if it got that far."""
    read, write = os.pipe2(os.O_CLOEXEC)
    with suppress(OSError):  # as much as an ordinary user may have
        fcntl.fcntl(read, fcntl.F_SETPIPE_SZ, _PIPE)
    begun = False

    def again() -> bool:
        return not begun and not _waiting(read)

    work = asyncio.create_task(
        calls.asked(target, args, output=write, patient=True, snapshot=snapshot, again=again), name="restic-printing"
    )
    work.add_done_callback(lambda _: os.close(write))

    def end() -> None:
        work.cancel()

    try:
        while chunk := await surely(asyncio.to_thread(os.read, read, _PIPE), end):
            begun = True
            yield chunk
        await work
    finally:
        begun = True
        os.close(read)  # first: who writes to nobody ends at once
        work.cancel()
        await surely(asyncio.wait({work}))
        if not work.cancelled():
            work.exception()


def _waiting(pipe: int) -> int:
    """Bytes that lie in it."""
    return int(struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0])

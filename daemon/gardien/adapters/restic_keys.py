"""The keys of a repository: which file's passphrase opens it, adding one, taking one away. And one file of a snapshot,
which is how we know that a key not only opens but reads.
"""

import asyncio
import json
import secrets
import time
from contextlib import suppress
from pathlib import Path

from gardien.adapters.process import Ended
from gardien.adapters.restic_call import Calls
from gardien.adapters.restic_errors import KEEPS, keeps
from gardien.adapters.surely import surely
from gardien.errors import NotFound, WrongPassphrase
from gardien.words import N_

_SAMPLE = 16 << 20  # bytes
_SAMPLE_FOR = 4.0  # seconds
_LOOK = 0.05


async def opens(calls: Calls, target: str, passphrase: Path) -> bool:
    """Whether what stands in this file opens the repository. Raises a target's errors."""
    if not await asyncio.to_thread(passphrase.is_file):
        return False
    try:
        await calls.asked(target, ["cat", "config", "--no-lock", "--password-file", str(passphrase)])
    except WrongPassphrase:
        return False
    return True


async def add(calls: Calls, target: str, passphrase: Path, host: str) -> None:
    """From now on what stands in this file opens it as well. Raises a target's errors."""
    await calls.asked(
        target, ["key", "add", "--new-password-file", str(passphrase), "--user", "gardien", "--host", host]
    )


async def drop(calls: Calls, target: str, passphrase: Path) -> None:
    """From now on what stands in this file opens it no more; it may not do so already.

    Raises Refused if the host lets nothing be deleted, and a target's errors.
    """
    if not await opens(calls, target, passphrase):
        return
    outcome = await calls.asked(target, ["key", "list", "--password-file", str(passphrase)])
    ids = [str(each["id"]) for each in json.loads(outcome.stdout) if each["current"]]
    outcome = await calls.asked(target, ["key", "remove", "--", *ids], json=False)
    if KEEPS in outcome.stderr:
        raise keeps(target, outcome.detail)


async def read(calls: Calls, target: str, snapshot: str, path: str) -> str:
    """A small file of a snapshot. Raises NotFound if there is none, and a target's errors."""
    try:
        outcome = await calls.ask(target, ["dump", "--no-lock", "--", snapshot, path], json=False)
    except Ended as error:
        if "not found in snapshot" in error.outcome.stderr:
            raise NotFound(
                N_("the backup does not hold what was chosen: {file} is missing"), file=path, detail=error.detail
            ) from error
        raise calls.typed(error, target, snapshot=snapshot) from error
    return outcome.stdout


async def speed(calls: Calls, target: str, snapshot: str, folder: str) -> float | None:
    """How many bytes a second come from there, as a few seconds of it show; None if it was over too soon to tell."""
    file = calls.folder / f"sample-{secrets.token_hex(4)}"
    args = ["dump", "--no-lock", "--archive", "tar", "--target", str(file), "--", f"{snapshot}:{folder}", "/"]
    work = asyncio.create_task(calls.ask(target, args, json=False))
    began: float | None = None
    size = 0
    try:
        while not work.done() and size < _SAMPLE and (began is None or time.monotonic() - began < _SAMPLE_FOR):
            await asyncio.wait({work}, timeout=_LOOK)
            now = await asyncio.to_thread(_size, file)
            if now and began is None:
                began = time.monotonic() - _LOOK
            size = now
        passed = time.monotonic() - began if began is not None else 0.0
    finally:
        work.cancel()
        await surely(asyncio.wait({work}))
        await asyncio.to_thread(file.unlink, missing_ok=True)
    if not work.cancelled() and (error := work.exception()) is not None:
        raise calls.typed(error, target, snapshot=snapshot) if isinstance(error, Ended) else error
    return size / passed if size > 1 << 20 and passed > 0 else None


def _size(file: Path) -> int:
    with suppress(OSError):
        return file.stat().st_size
    return 0

"""Compares what a snapshot lists with what lies in a folder: every entry's kind, size, mode, owner and time.

Contents are none of it: restic itself reads each file back when it restores. Names are compared as restic writes them
in its lists, where a byte that is not UTF-8 is `\\ufffd`.
"""

import asyncio
import codecs
import os
import queue
import re
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from gardien.adapters.restic_call import Calls
from gardien.adapters.restic_folder import nanoseconds
from gardien.adapters.restic_lines import message_of
from gardien.adapters.surely import surely
from gardien.model.snapshot import Likeness

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFBLK: "dev",
    stat.S_IFCHR: "chardev",
}
DEVICES = frozenset({"dev", "chardev"})
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))  # Go's bits for set-id and sticky
_SET_ID = 0o6000
_LINK = re.compile(r"L\S+ +\d+ +\d+ +\d+ \S+ \S+ (.*)", re.DOTALL)  # a line of `restic ls --long`
_MOST = 100  # names that are kept
_BATCH = 200  # lines handed over at once

codecs.register_error("restic", lambda error: ("\ufffd" * (error.end - error.start), error.end))  # type: ignore[attr-defined]


async def compared(calls: Calls, target: str, snapshot: str, folder: str, to: Path) -> Likeness:
    """What `ResticCli.compare` says."""
    comparison, stop = Comparison(folder, to), threading.Event()
    looking = asyncio.create_task(surely(asyncio.to_thread(comparison.work, stop), stop.set))
    try:
        await calls.asked(
            target,
            ["ls", "--no-lock", "--", snapshot],
            on_line=comparison.line,
            patient=True,
            snapshot=snapshot,
            again=lambda: False,  # half of it was looked at already
        )
    except BaseException:
        stop.set()
        raise
    finally:
        comparison.close()
        found = await looking
    if not found.links:
        return found
    there = await asyncio.to_thread(_aims, to, folder)

    def strike(line: str) -> None:
        if (link := _LINK.match(line)) is not None:
            there.discard(link[1])

    args = ["ls", "--no-lock", "--long", "--", snapshot]
    await calls.asked(target, args, on_line=strike, json=False, patient=True, snapshot=snapshot)
    named = (each.split(" -> ")[0].removeprefix(f"{folder}/") for each in sorted(there))
    return replace(found, wrong=found.wrong + len(there), named=(*found.named, *named)[:_MOST])


class Comparison:
    """Of one folder `side` with what lies under `folder` in a snapshot. Lines come in on one thread, and are looked at
    on another: `line` never waits.

    What no restore of ours leaves in place is not missed: devices, and the set-id bits of files. They are listed.
    """

    def __init__(self, folder: str, side: Path) -> None:
        self._folder = folder
        self._side = side
        self._lines: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
        self._batch: list[str] = []
        self._files = self._bytes = self._seen = self._wrong = 0
        self._links = False
        self._named: list[str] = []
        self._left_out: list[str] = []

    def line(self, line: str) -> bool:
        """One of `restic ls --json`."""
        self._batch.append(line)
        if len(self._batch) >= _BATCH:
            self._lines.put(self._batch)
            self._batch = []
        return True

    def close(self) -> None:
        """No more lines come."""
        self._lines.put(self._batch)
        self._lines.put(None)

    def work(self, stop: threading.Event) -> Likeness:
        """Look at every line, until `close`; then whether there is more than was listed. To be run in a thread."""
        while (batch := self._lines.get()) is not None:
            if stop.is_set():
                continue
            for line in batch:
                node = message_of(line)
                if node.get("message_type") == "node":
                    self._look(node)
        for name in self._extra(stop):
            self._wrong_one(name)
        return Likeness(self._files, self._bytes, self._wrong, tuple(self._named), tuple(self._left_out), self._links)

    def _look(self, node: dict[str, Any]) -> None:
        inside = _beneath(str(node["path"]), self._folder)
        kind = str(node["type"])
        if inside is None or kind == "socket":  # restic lists sockets, and makes none
            return
        if kind != "dir":
            self._files += 1
            self._bytes += int(node.get("size", 0)) if kind == "file" else 0
        if kind in DEVICES:
            self._left(inside)
            return
        self._seen += inside != ""
        self._links = self._links or kind == "symlink"
        mode = _mode(int(node.get("mode", 0)))
        if kind == "file" and mode & _SET_ID:
            self._left(inside)
        facts = [_lstat(path) for path in _named(self._side, inside)]
        if not any(facts_ is not None and _like(facts_, node, kind, mode) for facts_ in facts):
            self._wrong_one(inside)

    def _extra(self, stop: threading.Event) -> Iterator[str]:
        """Names of what is there and was not listed; only how many, since each one listed was looked for."""
        there = 0
        for folder, folders, files in os.walk(self._side):
            if stop.is_set():
                return
            there += len(folders) + len(files)
            del folder
        for number in range(there - self._seen):
            yield f"+{number + 1}"

    def _wrong_one(self, name: str) -> None:
        self._wrong += 1
        if len(self._named) < _MOST:
            self._named.append(name)

    def _left(self, name: str) -> None:
        if len(self._left_out) < _MOST:
            self._left_out.append(name)


def _beneath(path: str, folder: str) -> str | None:
    """The path inside of `folder`; "" for itself, None for what is not in it."""
    if path == folder:
        return ""
    top = folder.rstrip("/") + "/"
    return path[len(top) :] if path.startswith(top) else None


def _named(side: Path, inside: str) -> Iterator[Path]:
    """What may be meant: one path, but where the name's bytes are lost every one that looks so."""
    found = [side]
    for part in inside.split("/") if inside else []:
        if "\ufffd" not in part:
            found = [each / part for each in found]
            continue
        found = [
            entry
            for each in found
            if each.is_dir() and not each.is_symlink()
            for entry in each.iterdir()
            if os.fsencode(entry.name).decode("utf-8", "restic") == part
        ]
    yield from found


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except (OSError, ValueError):
        return None


def _mode(gos: int) -> int:
    """Go's mode bits as POSIX has them."""
    return gos & 0o777 | sum(bit for flag, bit in _SPECIAL if gos & flag)


def _like(facts: os.stat_result, node: dict[str, Any], kind: str, mode: int) -> bool:
    if _KINDS.get(stat.S_IFMT(facts.st_mode)) != kind:
        return False
    if (facts.st_uid, facts.st_gid) != (int(node.get("uid", 0)), int(node.get("gid", 0))) and os.geteuid() == 0:
        return False
    if kind == "file":
        mode &= ~_SET_ID
        if facts.st_size != int(node.get("size", 0)):
            return False
    # A link has no mode of its own.
    if kind != "symlink" and stat.S_IMODE(facts.st_mode) != mode:
        return False
    return facts.st_mtime_ns == nanoseconds(str(node["mtime"]))


def _aims(side: Path, folder: str) -> set[str]:
    """`path -> aim` of every link beneath, as `restic ls --long` writes it; none with a line break in it."""
    found = set()
    for top, folders, files in os.walk(side):
        for name in (*folders, *files):
            path = Path(top, name)
            if path.is_symlink():
                text = os.fsencode(f"{folder}/{path.relative_to(side)} -> {path.readlink()}")
                if b"\n" not in text:
                    found.add(text.decode("utf-8", "replace"))
    return found

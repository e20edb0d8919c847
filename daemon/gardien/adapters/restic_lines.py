"""What restic prints with `--json`: its lines, and its status lines as `Progress`."""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from gardien.model.job import Progress

OnProgress = Callable[[Progress], None]

_LONGEST_GUESS = 30 * 24 * 3600.0  # seconds; a longer time left is no information
_MEMORY = 10.0  # seconds the rate is smoothed over


def message_of(line: str) -> dict[str, Any]:
    """A JSON line; nothing for the plain text that restic mixes in."""
    if line.startswith("{"):
        with suppress(json.JSONDecodeError):
            message: dict[str, Any] = json.loads(line)
            return message
    return {}


def last_of(output: str, kind: str) -> dict[str, Any]:
    return next(
        each for line in reversed(output.splitlines()) if (each := message_of(line)).get("message_type") == kind
    )


class Gauge:
    """restic's status lines as `Progress`: nothing goes back, the rate is smoothed, absurd guesses are left out."""

    def __init__(self, tell: OnProgress) -> None:
        self._tell = tell
        self._last = Progress()
        self._at: float | None = None
        self._rate = 0.0

    def saving(self, message: Mapping[str, Any]) -> bool:
        """A line of `restic backup`. Whether it is a sign of life: something got further."""
        return self._line(message, ("bytes_done",), ("files_done",))

    def restoring(self, message: Mapping[str, Any]) -> bool:
        """A line of `restic restore`. Whether it is a sign of life: something got further."""
        return self._line(message, ("bytes_restored", "bytes_skipped"), ("files_restored", "files_skipped"))

    def _line(self, message: Mapping[str, Any], bytes_: tuple[str, ...], files: tuple[str, ...]) -> bool:
        kind, last = message.get("message_type"), self._last
        if kind == "status":
            size, count = (sum(int(message.get(name, 0)) for name in names) for names in (bytes_, files))
            self._take(size, count, int(message.get("total_bytes", 0)), int(message.get("total_files", 0)))
        elif kind == "summary":
            # restic says nothing of the last moments, and nothing at all of a short run.
            size = int(message.get("total_bytes_processed", message.get("total_bytes", last.bytes_total)))
            count = int(message.get("total_files_processed", message.get("total_files", last.files_total)))
            self._take(max(size, last.bytes_total), max(count, last.files_total), size, count)
        else:
            return True
        return (self._last.bytes_done, self._last.files_done) != (last.bytes_done, last.files_done)

    def _take(self, bytes_done: int, files_done: int, bytes_total: int, files_total: int) -> None:
        last, now = self._last, time.monotonic()
        bytes_done, files_done = max(bytes_done, last.bytes_done), max(files_done, last.files_done)
        bytes_total, files_total = max(bytes_total, bytes_done), max(files_total, files_done)
        if self._at is not None and now > self._at:
            passed = now - self._at
            share = min(1.0, passed / _MEMORY)
            self._rate += share * ((bytes_done - last.bytes_done) / passed - self._rate)
        self._at = now
        left = (bytes_total - bytes_done) / self._rate if self._rate >= 1 else None
        self._last = Progress(
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            files_done=files_done,
            files_total=files_total,
            per_second=self._rate,
            seconds_left=left if left is not None and left < _LONGEST_GUESS else None,
        )
        self._tell(self._last)


class Bars:
    """The bars that restic draws where it knows no JSON, `[0:12] 50.00%  3 / 6 packs copied`, as `Progress`.

    One bar follows another: what is done never goes back, what there is to do grows.
    """

    def __init__(self, tell: OnProgress) -> None:
        self._tell = tell
        self._before = 0  # all of the former bars
        self._done = self._total = 0

    def line(self, line: str) -> bool:
        """A line of it. Whether it is a sign of life: something got further."""
        found = re.search(r"(\d+) / (\d+) \w", line)
        if found is None:
            return True
        done, total = int(found[1]), int(found[2])
        if total != self._total or done < self._done:
            self._before += self._total
            self._done, self._total = 0, total
        elif done == self._done:
            return False
        self._done = done
        self._say()
        return True

    def end(self) -> None:
        """It is over, and all is done."""
        self._done = self._total
        self._say()

    def _say(self) -> None:
        self._tell(Progress(files_done=self._before + self._done, files_total=self._before + self._total))


_END = re.compile(r"Fatal: (The )?repository contains errors|repository contains errors", re.IGNORECASE)


def problems_of(said: str) -> tuple[str, ...]:
    """What `restic check` found wrong; nothing if it did not come to that verdict."""
    lines = [line for line in said.splitlines() if line.strip()]
    if not any(_END.search(line) for line in lines):
        return ()
    found = [line[:300] for line in lines if not _END.search(line) and not line.startswith(_ADVICE)]
    return tuple(found[:_MOST_PROBLEMS]) or (lines[-1][:300],)


_ADVICE = ("The repository ", "restic repair", "Damaged pack files can")
_MOST_PROBLEMS = 100

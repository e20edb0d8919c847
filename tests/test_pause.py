"""People wait for seconds: not for the line to the host, not for a host that is gone, not for what went wrong."""

import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from gardien.services.second_pass import BEGINS_WITHIN
from tests.conftest import sftp_target
from tests.world.box import Box, box, until
from tests.world.line import Line
from tests.world.notes import add, compose_file, lay_out
from tests.world.sftp import SftpHost

FRESH = 2_000_000  # bytes that come in after the first pass, and do not compress
SLOW = "100 KiB/s"
PAUSE = "[sh, -c, 'echo paused > /srv/paused']"
# The pause brings the last changes; the dump takes as long as a file says, and may be told to fail.
BUSY = f"[sh, -c, 'head -c {FRESH} /dev/urandom > /srv/fresh; echo paused > /srv/paused']"
DUMP = "[cat, /srv/database]"
TRIED = "[sh, -c, 'sleep $$(cat /srv/takes); test ! -e /srv/broken; cat /srv/database; test ! -e /srv/broken']"


class Notes:
    """A machine with the smallest stack, and the line to its host."""

    def __init__(self, machine: Box, line: Line) -> None:
        self.box = machine
        self.line = line
        self.srv = machine.data / "notes" / "srv"

    @property
    def paused(self) -> bool:
        return bool((self.srv / "paused").read_text().strip())

    @property
    def opened(self) -> float:
        """When the application was opened last."""
        return (self.srv / "paused").stat().st_mtime

    def takes(self, seconds: int) -> None:
        """How long the database takes to be written out."""
        (self.srv / "takes").write_text(f"{seconds}\n")

    def begin(self) -> int:
        """Begin a backup; when people wait, its number is returned."""
        number = int(self.box.json("backup", "create", "notes", "--no-wait")["job"])
        until(lambda: self.paused, 60)
        return number

    def step(self, number: int) -> str:
        return str(self.box.json("job", "show", str(number))["step"])

    def pause_seconds(self) -> float:
        return float(self.box.json("backup", "list", "notes")[0]["pause_seconds"])


@pytest.fixture(scope="module")
def notes() -> Iterator[Notes]:
    with (
        tempfile.TemporaryDirectory(prefix="gh-") as room,
        SftpHost(Path(room) / "host") as host,
        Line(host.port) as line,
        box({**sftp_target(host), "port": line.port}) as machine,
    ):
        machine.start()
        machine.gardien("target", "init", "host")
        lay_out(machine, text=compose_file().replace(PAUSE, BUSY).replace(DUMP, TRIED))
        add(machine)
        made = Notes(machine, line)
        (made.srv / "paused").touch()
        made.takes(0)
        for number in range(50):
            (made.srv / f"{number}").write_text(f"note {number}\n")
        (made.srv / "link").symlink_to("0")
        made.box.gardien("backup", "create", "notes")
        yield made
        machine.stop()


@pytest.fixture(autouse=True)
def as_it_was(notes: Notes) -> Iterator[None]:
    yield
    notes.line.frozen = False
    notes.takes(0)
    (notes.srv / "broken").unlink(missing_ok=True)
    notes.box.until_jobs_end()
    assert not notes.paused


def limited(notes: Notes, rate: str | None) -> None:
    notes.box.stop()
    notes.box.settings["targets"]["host"]["upload_limit"] = {"00:00-12:00": rate, "12:00-00:00": rate} if rate else {}
    notes.box.save_settings()
    notes.box.start()


def test_a_slow_line_makes_nobody_wait(notes: Notes) -> None:
    notes.box.gardien("backup", "create", "notes")
    fast = notes.pause_seconds()
    limited(notes, SLOW)
    try:
        began = time.monotonic()
        notes.box.gardien("backup", "create", "notes")
        took = time.monotonic() - began
    finally:
        limited(notes, None)
    assert took > FRESH / (100 * 1024), "the line was not slow"
    assert notes.pause_seconds() < fast + 1, f"{notes.pause_seconds()} s over a slow line, {fast} s over a fast one"
    assert notes.box.json("backup", "list", "notes")[0]["good"]
    before = (notes.srv / "fresh").read_bytes()
    (notes.srv / "fresh").unlink()
    notes.box.gardien("restore", "notes", "--yes")
    assert (notes.srv / "fresh").read_bytes() == before, "what came last is not in the backup"
    (notes.srv / "paused").write_text("")  # it was saved in its pause


def test_a_line_that_goes_dead_in_the_pause_does_not_keep_people_waiting(notes: Notes) -> None:
    notes.takes(2)
    number = notes.begin()
    notes.line.frozen = True
    began = time.time()
    until(lambda: not notes.paused, 60)
    assert notes.opened - began < 2 + BEGINS_WITHIN + 3, "two seconds are the database's own"
    notes.line.frozen = False
    notes.line.cut()
    job = notes.box.until_jobs_end()[0]
    assert (job["id"], job["state"], job["code"]) == (number, "failed", "target-unreachable")


@pytest.mark.parametrize("what", ["the database", "restic", "somebody cancels", "gardien is stopped"])
def test_opened_within_a_second_of_any_failure(notes: Notes, what: str) -> None:
    notes.takes(2 if what == "the database" else 20)
    if what == "the database":
        (notes.srv / "broken").touch()
    number = notes.begin()
    until(lambda: notes.step(number) == "dump", 20)
    daemon = notes.box.daemon
    assert daemon is not None
    failed = time.time()
    if what == "restic":
        for _ in range(2):  # once it is tried again, with less memory
            until(lambda: bool(_waiting(daemon.pid)), 20)
            failed = time.time()
            _waiting(daemon.pid)[0].send_signal(signal.SIGKILL)
            until(lambda: not _waiting(daemon.pid), 20)
    elif what == "somebody cancels":
        notes.box.gardien("job", "cancel", str(number), "--no-wait", check=False)
        failed = time.time()
    elif what == "gardien is stopped":
        daemon.send_signal(signal.SIGTERM)
    until(lambda: not notes.paused, 30)
    assert notes.opened - failed < (3.0 if what in ("the database", "restic") else 1.0)
    if what in ("the database", "restic"):
        failed = _failed(notes, number)  # before, the database takes its two seconds, and a dead restic's lock is taken
    assert notes.opened - failed < 1.0
    if what == "gardien is stopped":
        notes.box.stop()
        notes.box.start()
    assert notes.box.until_jobs_end()[0]["state"] in ("cancelled", "failed", "interrupted")
    assert not (notes.box.data / "notes/.gardien/dumps").exists()
    notes.takes(0)
    (notes.srv / "broken").unlink(missing_ok=True)
    notes.box.gardien("backup", "create", "notes")
    assert notes.box.json("backup", "list", "notes")[0]["good"]


def _waiting(daemon: int) -> list[psutil.Process]:
    """The restic that waits for the end of the dump."""
    found = []
    for each in psutil.Process(daemon).children():
        with contextlib.suppress(psutil.Error):
            found += [each] if "pass=final" in each.cmdline() else []
    return found


def _failed(notes: Notes, number: int) -> float:
    """When the journal says that a step failed."""
    steps = notes.box.json("job", "show", str(number))["steps"]
    return datetime.fromisoformat(next(step["ended"] for step in steps if step["state"] == "failed")).timestamp()

"""People wait for seconds: not for the line to the host, not for a host that is gone, not for what went wrong."""

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from gardien.errors import Incomplete
from gardien.model.job import Progress
from gardien.model.snapshot import Saved
from gardien.services.ports import OnProgress
from gardien.services.second_pass import BEGINS_WITHIN, SecondPass
from tests.conftest import sftp_target
from tests.world.box import Box, box, until
from tests.world.line import Line
from tests.world.notes import add, compose_file, lay_out
from tests.world.plug import journal, locks, plain_restic
from tests.world.restic import PLAIN
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

    def __init__(self, machine: Box, host: SftpHost, line: Line) -> None:
        self.box = machine
        self.host = host
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
        machine.settings["programs"]["restic"] = PLAIN  # how long people wait is what is looked at
        machine.save_settings()
        machine.start()
        machine.gardien("target", "init", "host")
        lay_out(machine, text=compose_file().replace(PAUSE, BUSY).replace(DUMP, TRIED))
        add(machine)
        made = Notes(machine, host, line)
        (made.srv / "paused").touch()
        made.takes(0)
        for number in range(50):
            (made.srv / f"{number}").write_text(f"note {number}\n")
        (made.srv / "link").symlink_to("0")
        made.box.gardien("backup", "create", "notes")
        yield made
        machine.stop()


@pytest.fixture
def as_it_was(notes: Notes) -> Iterator[None]:
    yield
    notes.line.frozen = False
    notes.takes(0)
    (notes.srv / "broken").unlink(missing_ok=True)
    notes.box.until_jobs_end()
    assert not notes.paused


class Told:
    """A pass whose counts are told by hand."""

    def __init__(self, least: int = 10) -> None:
        self.report: OnProgress | None = None
        self.ends: asyncio.Future[Saved] = asyncio.get_running_loop().create_future()
        self.second = SecondPass(self._save, lambda _: None, least)

    async def _save(self, begin: Awaitable[object], opened: Callable[[], None], report: OnProgress) -> Saved:
        opened()
        begins = asyncio.ensure_future(begin)
        await asyncio.wait((begins, self.ends), return_when=asyncio.FIRST_COMPLETED)
        self.report = report
        return await self.ends

    async def read(self) -> "asyncio.Task[None]":
        await self.second.opened()
        reading = asyncio.create_task(self.second.read())
        while self.report is None:
            await asyncio.sleep(0)
        return reading

    def count(self, files: int, of: int, bytes_: int = 100) -> None:
        assert self.report is not None
        self.report(Progress(bytes_, 100, files, of))


async def all_was_read(reading: "asyncio.Task[None]") -> bool:
    await asyncio.wait({reading}, timeout=0.05)
    return reading.done()


async def test_all_is_read_when_the_counts_stand_still_and_nothing_is_missing() -> None:
    told = Told(least=10)
    reading = await told.read()
    for files, of, bytes_ in ((5, 5, 100), (5, 5, 100), (9, 12, 90), (12, 12, 99), (12, 12, 99), (12, 12, 100)):
        told.count(files, of, bytes_)
        assert not await all_was_read(reading), (files, of, bytes_)
    told.count(12, 12)
    assert await all_was_read(reading)
    told.ends.set_result(Saved("a" * 64, 12, 100, 1, True))
    assert (await told.second.sent()).files == 12


async def test_a_file_read_after_people_came_back_makes_it_count_for_nothing() -> None:
    told = Told()
    reading = await told.read()
    for _ in range(2):
        told.count(12, 12)
    assert await all_was_read(reading)
    told.ends.set_result(Saved("a" * 64, 13, 100, 1, True))
    with pytest.raises(Incomplete):
        await told.second.sent()


async def test_a_pass_that_does_not_begin_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.services.second_pass.BEGINS_WITHIN", 0.05)
    told = Told()
    with pytest.raises(TimeoutError):
        await (await told.read())
    await told.second.end()


async def test_who_waits_beside_it_hears_of_its_death_at_once() -> None:
    told, went_on = Told(), asyncio.Event()

    async def dump() -> None:
        await asyncio.sleep(20)
        went_on.set()

    await told.second.opened()
    beside = asyncio.create_task(told.second.beside(dump()))
    await asyncio.sleep(0)
    told.ends.set_exception(Incomplete("gone"))
    with pytest.raises(Incomplete):
        await asyncio.wait_for(beside, 1)
    assert not went_on.is_set()


def limited(notes: Notes, rate: str | None) -> None:
    notes.box.stop()
    notes.box.settings["targets"]["host"]["upload_limit"] = {"00:00-12:00": rate, "12:00-00:00": rate} if rate else {}
    notes.box.save_settings()
    notes.box.start()


@pytest.mark.usefixtures("as_it_was")
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


@pytest.mark.usefixtures("as_it_was")
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


@pytest.mark.usefixtures("as_it_was")
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
    if what in ("the database", "restic"):
        # The database takes its two seconds before it fails, and what a dead restic held is cleared away first.
        assert notes.opened - failed < 10, "people waited for the end of the dump"
        failed = _failed(notes, number)
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


@pytest.mark.usefixtures("as_it_was")
def test_a_daemon_that_is_killed_takes_the_waiting_restic_along(notes: Notes, tmp_path: Path) -> None:
    """Its gate is open then, and it would save what nobody has asked it to save yet. It leaves no lock."""

    def saved() -> str:
        return plain_restic(notes.box, notes.host, tmp_path, "snapshots", "--tag", "pass=final", "--json")

    before = saved()
    notes.takes(20)
    notes.begin()
    assert len(locks(notes.box, notes.host, tmp_path)) == 1, "it is not there, waiting"
    notes.box.stop(signal.SIGKILL)
    until(lambda: not locks(notes.box, notes.host, tmp_path), 10)
    assert saved() == before
    notes.takes(0)
    notes.box.start()
    assert notes.box.until_jobs_end()[0]["state"] == "interrupted"


def _waiting(daemon: int) -> list[psutil.Process]:
    """The restic that waits for the end of the dump."""
    found = []
    for each in psutil.Process(daemon).children():
        with contextlib.suppress(psutil.Error):
            found += [each] if "pass=final" in each.cmdline() else []
    return found


def _failed(notes: Notes, number: int) -> float:
    """When the journal says that a step failed."""
    return next(ended for state, _, ended in journal(notes.box, number).values() if state == "failed").timestamp()

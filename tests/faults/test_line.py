"""The line to the host: half open, refused, slow, and slowed by us."""

import asyncio
import logging
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from datetime import time as clock_time
from pathlib import Path

import pytest

from gardien.adapters import restic_args, restic_call
from gardien.errors import TargetUnreachable
from gardien.model.job import Progress
from gardien.model.snapshot import Saved
from tests.contracts.grounds import Ground, at, ground, sftp_target
from tests.contracts.test_restic import worded
from tests.faults.houses import STACK, House, firewall
from tests.world.box import until
from tests.world.line import Line
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost


async def sending(g: Ground, megabytes: int, *, persistent: bool = True) -> "asyncio.Task[Saved]":
    """A backup that is at it, no faster than 8 MiB a second: there is time to do something to its line."""
    folder = await g.fill("films", a="x")
    (folder / "film").write_bytes(os.urandom(megabytes << 20))
    begun = asyncio.Event()

    def told(progress: Progress) -> None:
        if progress.bytes_done:
            begun.set()

    how = {"tags": ["films"], "leave_out": (), "parent": None, "progress": told, "persistent": persistent}
    saving = asyncio.create_task(g.restic.save("host", folder, kib_per_second=8 << 10, **how))  # type: ignore[arg-type]
    await asyncio.wait({saving, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
    return saving


def port_of(g: Ground) -> int:
    host = g.host or g.rest
    assert host is not None
    return host.port


@pytest.mark.parametrize(("where", "keep_alives"), [("sftp", True), ("sftp", False), ("rest", False)])
async def test_row_05_a_half_open_line(
    where: str,
    keep_alives: bool,
    tmp_path: Path,
    hasty: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not a packet comes through any more, and nobody is told. It is noticed, said, and the backup goes on.

    By SSH's keep-alives, or else by the watchdog on progress.
    """
    if keep_alives:
        monkeypatch.setattr(restic_args, "ALIVE_EVERY", 1)
    with ground(where, tmp_path, silence=1800 if keep_alives else 3) as g:
        await g.restic.create("host")
        saving = await sending(g, 40)
        with firewall(port_of(g), "DROP"), caplog.at_level(logging.WARNING):
            began = time.monotonic()
            while "trying again in" not in caplog.text:
                assert time.monotonic() - began < 30, "nobody noticed"
                assert not saving.done()
                await asyncio.sleep(0.2)
        assert "the backup target host" in caplog.text
        assert (await asyncio.wait_for(saving, 150)).complete
        await g.restic.unlock("host")
        assert await g.restic.locks("host") == 0


async def test_row_05_a_restore_goes_on_when_the_line_was_cut(
    tmp_path: Path, hasty: None, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried again by itself, and nothing of what was cut off is taken for whole."""
    with SftpHost(tmp_path / "host") as host, Line(host.port) as line:
        g = at(tmp_path / "g", sftp_target(host).model_copy(update={"port": line.port}))
        await g.restic.create("host")
        folder = await g.fill("films", a="x")
        (folder / "film").write_bytes(os.urandom(32 << 20))
        saved = await g.save(folder, "films")
        line.rate, side = 2 << 20, g.root / "data" / "side"
        how = {"progress": lambda _: None, "persistent": True}
        coming = asyncio.create_task(g.restic.bring_back("host", saved.id, str(folder), side, **how))  # type: ignore[arg-type]
        await asyncio.sleep(5)  # all of it takes 16 s
        host.stop()
        line.cut()
        line.rate = None
        while "trying again in" not in caplog.text:
            assert not coming.done()
            await asyncio.sleep(0.05)
        host.start()
        await asyncio.wait_for(coming, 60)
        assert (side / "film").read_bytes() == (folder / "film").read_bytes()


@pytest.mark.parametrize("lost", (False, True) if os.environ.get("GARDIEN_FULL") else (False,))
def test_row_33_the_line_dies_when_what_was_there_has_given_way(home: House, lost: bool) -> None:
    """In place: it is waited for, and what was asked for comes. `lost`: that is gone by then; what gave way is back."""
    letter = home.srv / "letter"
    letter.write_text("saved")
    home.weigh(3)
    saved = backed_up(home)
    letter.write_text("since")
    home.box.stop()
    home.box.start(GARDIEN_DIE_AT="restore/fetch/begun")
    in_place = ("restore", STACK, "--snapshot", saved, "--in-place", "--yes", "--no-wait")
    number = home.box.json(*in_place)["job"]
    home.box.wait_for_death()
    assert not letter.exists()
    home.host.stop()
    log = len(home.box.logged(10_000))

    def says(what: str) -> bool:
        return what in home.box.logged(10_000)[log:]

    home.box.start()
    until(lambda: says("trying again in 5 s"), 60)
    if lost:
        until(lambda: says("trying again in 30 s"), 60)
    home.host.start()
    if lost:
        key = ["-p", str(home.box.passphrase), "--no-cache", "-q"]
        subprocess.run([RESTIC, "-r", str(home.repository), *key, "unlock"], check=True, timeout=60)
        subprocess.run([RESTIC, "-r", str(home.repository), *key, "forget", saved], check=True, timeout=60)
        until(lambda: says(f"job {number} (restore {STACK}): undoing clear"), 60)
        home.host.stop()  # and once more
        until(lambda: says("an undo failed, trying again"), 60)
        home.host.start()
    job = next(each for each in home.box.until_jobs_end() if each["id"] == number)
    assert job["state"] == ("failed" if lost else "done"), job
    assert letter.read_text() == ("since" if lost else "saved")
    assert list((home.box.data / ".restoring").iterdir()) == []
    home.box.until_well(STACK)
    backed_up(home)
    assert home.locks() == []


def backed_up(home: House) -> str:
    """Save it; the backup's id."""
    home.box.gardien("backup", "create", STACK)
    newest = home.box.json("backup", "list", STACK)[0]
    assert newest["good"] is True
    return str(newest["id"])


async def test_row_06_a_host_that_refuses_for_a_while(tmp_path: Path, hasty: None) -> None:
    """A long backup comes to its end; a short question is told in words."""
    with ground("sftp", tmp_path) as g:
        await g.restic.create("host")
        saving = await sending(g, 40)
        with firewall(port_of(g), "REJECT", "--reject-with", "tcp-reset"):
            with pytest.raises(TargetUnreachable) as caught:
                await g.restic.identity("host")
            worded(caught.value)
            assert "the host refused the connection" in str(caught.value)
        assert (await asyncio.wait_for(saving, 150)).complete


@pytest.fixture
def picky(tmp_path: Path) -> Iterator[SftpHost]:
    """A host that has time for one who has not yet said who they are, and for no other."""
    host = SftpHost(tmp_path / "host")
    config = host.log.with_name("sshd_config")
    config.write_text(config.read_text().replace("MaxStartups 100", "MaxStartups 1"))
    with host:
        yield host


async def test_row_06_a_host_with_too_many_connections(
    picky: SftpHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restic_call, "_TURNED_AWAY_PAUSES", (0.5, 2.0))
    g = at(tmp_path / "g", sftp_target(picky))
    made = await g.restic.create("host")
    with socket.socket() as stranger:
        stranger.connect((picky.address, picky.port))
        stranger.recv(100)
        with pytest.raises(TargetUnreachable) as caught:
            await g.restic.identity("host")
        worded(caught.value)
        assert "the host refused the connection" in str(caught.value)
        asked = asyncio.create_task(g.restic.identity("host"))
        while caplog.text.count("trying again in 2 s") < 2:
            await asyncio.sleep(0.1)
    assert await asked == made, "it was not asked again"


def test_row_06_what_a_person_is_told(home: House) -> None:
    home.host.stop()
    try:
        home.refused(
            "backup", "create", STACK, says="the host refused the connection", remedy="tries again at the next backup"
        )
        home.refused("target", "test", "host", says="the host refused the connection")
    finally:
        home.host.start()
    home.is_well()


async def test_row_07_256_kbit(tmp_path: Path) -> None:
    """Slow is not dead."""
    with SftpHost(tmp_path / "host") as host, Line(host.port) as line:
        g = at(tmp_path / "g", sftp_target(host).model_copy(update={"port": line.port}), silence=30)
        await g.restic.create("host")
        folder = await g.fill("films", a="x")
        (folder / "film").write_bytes(os.urandom(350_000))
        line.rate = 256_000 // 8
        began = time.monotonic()
        assert (await g.save(folder, "films")).complete
        assert time.monotonic() - began > 9
        line.rate = None
        assert (await g.restic.check("host", (1, 1), lambda _: None)).whole


async def test_row_07_the_day_begins_while_it_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From that moment on it is slower; what was sent is there, and it comes to its end."""
    hour = [clock_time(7, 59)]
    monkeypatch.setattr(restic_call, "_time_of_day", lambda: hour[0])
    monkeypatch.setattr(restic_call, "_HOUR_LOOK", 0.1)
    with SftpHost(tmp_path / "host") as host:
        limited = {"upload_limit": {"08:00-20:00": "1000 KiB/s", "20:00-08:00": "20 MiB/s"}}
        g = at(tmp_path / "g", sftp_target(host).model_copy(update=limited))
        await g.restic.create("host")
        folder = await g.fill("films", a="x")
        (folder / "film").write_bytes(os.urandom(32 << 20))
        told = asyncio.Event()

        def tell(progress: Progress) -> None:
            if progress.bytes_done:
                told.set()

        how = {"tags": ["films"], "leave_out": (), "parent": None, "progress": tell, "persistent": True}
        saving = asyncio.create_task(g.restic.save("host", folder, kib_per_second=20 << 10, **how))  # type: ignore[arg-type]
        await told.wait()
        hour[0] = clock_time(8, 0)
        await asyncio.sleep(3)
        before, began = weight(host.folder), time.monotonic()
        await asyncio.sleep(3)
        assert weight(host.folder) - before < 1500 * 1024 * (time.monotonic() - began)
        assert not saving.done()
        hour[0] = clock_time(20, 0)
        assert (await asyncio.wait_for(saving, 150)).complete
        assert (await g.restic.check("host", None, lambda _: None)).whole
        assert await g.restic.locks("host") == 0


def weight(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def test_row_07_by_day_no_faster_than_allowed(home: House) -> None:
    """Measured where it arrives. Outside these hours it goes as fast as it can."""
    machine = home.box
    target = machine.settings["targets"]["host"]

    def arrives(limit: dict[str, str]) -> float:
        """So many KiB a second, from the first look that saw some to the last that saw more."""
        machine.stop()
        target["upload_limit"] = limit
        machine.save_settings()
        machine.start()
        home.weigh(2)
        before = weight(home.repository)
        machine.gardien("backup", "create", STACK, "--no-wait")
        seen = [(time.monotonic(), before)]
        while not machine.json("job", "list")[0]["over"]:
            if (now := weight(home.repository)) > seen[-1][1] + 10_000:
                seen.append((time.monotonic(), now))
        job = machine.json("job", "list")[0]
        assert job["state"] == "done", (job["says"], job["detail"], job["steps"])
        assert seen[-1][1] - before > 2 << 20
        (first, some), (last, most) = seen[1], seen[-1]
        return (most - some) / 1024 / (last - first) if len(seen) > 2 else 1e9

    by_day = {"00:00-12:00": "400 KiB/s", "12:00-00:00": "400 KiB/s"}
    hour = time.localtime().tm_hour
    at_night = {f"{(hour + 20) % 24:02}:00-{(hour + 22) % 24:02}:00": "400 KiB/s"}
    assert 200 < arrives(by_day) < 480
    assert arrives(at_night) > 1000
    target["upload_limit"] = {}

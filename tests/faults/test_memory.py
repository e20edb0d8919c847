"""Memory runs out: restic dies before the database, is tried once more with less, and it is said."""

import asyncio
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from gardien.adapters import restic_call
from gardien.adapters.restic import ResticCli
from gardien.errors import NoMemory
from gardien.model.settings import Programs
from tests.contracts.grounds import Ground, ground
from tests.contracts.test_restic import worded
from tests.faults.houses import STACK, is_open, refused, settle
from tests.world.box import box
from tests.world.restic import PLAIN

DATABASE = 150  # MB; more than restic has: by size alone it would be the first to die


@contextmanager
def cell(megabytes: int) -> Iterator[Path]:
    """A control group of processes that may not have more memory than that, together."""
    root = Path("/sys/fs/cgroup")
    old = (root / "memory").is_dir()
    group = (root / "memory" if old else root) / f"gardien-test-{secrets.token_hex(4)}"
    if not old:
        (root / "cgroup.subtree_control").write_text("+memory")
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(megabytes << 20))
        swap = group / ("memory.swappiness" if old else "memory.swap.max")
        if swap.exists():
            swap.write_text("0")
        yield group
    finally:
        deadline = time.monotonic() + 10
        while (group / "cgroup.procs").read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        group.rmdir()


@contextmanager
def database(group: Path) -> Iterator[subprocess.Popen[bytes]]:
    """It lives in the same memory, and has to go on."""
    enter = f"open('{group}/cgroup.procs', 'w').write(str(os.getpid()))"
    hold = f"held = bytearray(b'x') * ({DATABASE} << 20); print('up', flush=True)"
    script = f"import os, time; {enter}; {hold}; time.sleep(600)"
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        yield running
    finally:
        running.kill()
        running.communicate()


def confined(room: Path, group: Path, *, lean: bool = True) -> str:
    """A restic that lives in there; `lean`: also when it does with little."""
    script = room / "restic"
    unless = "" if lean else '[ "$GOGC" = 20 ] || '
    script.write_text(f'#!/bin/sh\n{unless}echo $$ > {group}/cgroup.procs\nexec {PLAIN} "$@"\n')
    script.chmod(0o755)
    return str(script)


@contextmanager
def small(room: Path, left: int, *, lean: bool = True) -> Iterator[tuple[Ground, "subprocess.Popen[bytes]"]]:
    """A ground where so many MB are left for restic, beside a database. Not `lean`: there is room for little."""
    with ground("folder", room) as g, cell(DATABASE + 12 + left) as group, database(group) as running:
        free, poor = (
            g.settings.model_copy(update={"programs": Programs(restic=restic)})
            for restic in (PLAIN, confined(room, group, lean=lean))
        )
        yield Ground(free, ResticCli(poor), g.files, g.root, g.repository), running


async def test_row_19_it_is_tried_with_less(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For 160 MB of files restic takes some 107 MB of memory, and 63 with little; how much exactly is never the same.
    So the first try gets less than any, and the second one enough.
    """
    with small(tmp_path, 40, lean=False) as (g, running):
        await ResticCli(g.settings).create("host")
        folder = await g.fill("films", a="x")
        for number in range(4):
            (folder / f"film{number}").write_bytes(os.urandom(40 << 20))
        saved = await g.save(folder, "films")
        assert running.poll() is None, "the database died"
        assert saved.complete
        assert saved.files == 5
        assert caplog.text.count("memory probably ran out") == 1
        assert await g.restic.locks("host") == 0


async def test_row_19_what_cannot_be_is_said(tmp_path: Path) -> None:
    """Not even the passphrase can be tried in 10 MB."""
    with small(tmp_path, 10) as (g, running):
        await ResticCli(g.settings).create("host")
        with pytest.raises(NoMemory) as caught:
            await g.save(await g.fill("tiny", a="x"), "tiny")
        assert running.poll() is None, "the database died"
        worded(caught.value)
        assert "Older backups are safe" in str(caught.value.remedy)
        assert await ResticCli(g.settings).locks("host") == 0


def test_row_19_what_a_person_is_told(tmp_path: Path) -> None:
    with cell(DATABASE + 22) as group, database(group) as running, box() as machine:
        machine.settings["programs"]["restic"] = PLAIN
        machine.save_settings()
        settle(machine)
        machine.gardien("backup", "create", STACK)
        machine.stop()
        machine.settings["programs"]["restic"] = confined(tmp_path, group)
        machine.save_settings()
        machine.start()
        refused(machine, "backup", "create", STACK, says="memory probably ran out", remedy="Older backups are safe")
        assert running.poll() is None, "the database died"
        assert machine.daemon is not None
        assert machine.daemon.poll() is None
        is_open(machine)
        machine.stop()


async def test_row_19_killed_while_it_waits_for_the_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before reading began it is simply tried again; after that never, since other things would be read."""
    monkeypatch.setattr(restic_call, "_LEAN_PAUSE", 0.1)
    with ground("folder", tmp_path) as g:
        await g.restic.create("host")
        folder = await g.fill("gated", a="x")
        for late in (False, True):
            (folder / "film").write_bytes(os.urandom(60 << 20))
            begin, opened, sent = asyncio.Event(), asyncio.Event(), asyncio.Event()

            def told(_: object, sent: asyncio.Event = sent) -> None:
                sent.set()

            how = {"tags": ["gated"], "leave_out": (), "parent": None, "progress": told, "kib_per_second": 20 << 10}
            saving = asyncio.create_task(
                g.restic.save("host", folder, begin=begin.wait(), opened=opened.set, **how)  # type: ignore[arg-type]
            )
            await opened.wait()
            if late:
                begin.set()
                await sent.wait()
            while not (killed := await asyncio.to_thread(restics, g)):
                await asyncio.sleep(0.02)
            os.kill(killed[0], signal.SIGKILL)
            while not late and set(await asyncio.to_thread(restics, g)) <= {*killed}:
                await asyncio.sleep(0.1)
            begin.set()
            if late:
                with pytest.raises(NoMemory):
                    await saving
            else:
                assert (await saving).complete
            assert await g.restic.locks("host") == 0


def restics(g: Ground) -> list[int]:
    """Those that save, and live."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.Error):
            line = each.cmdline()
            if each.name() == "restic" and "backup" in line and any(str(g.root) in word for word in line):
                found.append(each.pid)
    return found

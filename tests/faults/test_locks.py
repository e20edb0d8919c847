"""Locks in the repository: those of the dead are taken away, those of the living waited for, and it is said whose."""

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from gardien.adapters import restic_call
from gardien.errors import RepositoryLocked
from tests.contracts.grounds import ground
from tests.contracts.test_restic import worded
from tests.faults.houses import STACK, House
from tests.world.box import until
from tests.world.restic import RESTIC


@pytest.mark.parametrize("seed", range(2))
def test_row_01_restic_killed_at_any_moment(home: House, seed: int) -> None:
    """It is tried once more at once where that is the same backup still; else the next one is as good."""
    home.slow()
    home.weigh(4)
    home.box.gardien("backup", "create", STACK, "--no-wait")
    time.sleep(random.Random(seed).uniform(0.5, 4))
    for each in home.restics():
        with suppress(psutil.NoSuchProcess):
            each.kill()
    job = home.box.until_jobs_end()[0]
    home.line.rate = None
    assert job["state"] in {"done", "failed"}, job
    healed(home)


@pytest.mark.parametrize("seed", range(2))
def test_row_01_the_daemon_killed_at_any_moment(home: House, seed: int) -> None:
    home.slow()
    home.weigh(4)
    home.box.gardien("backup", "create", STACK, "--no-wait")
    time.sleep(random.Random(seed).uniform(1, 4))
    home.box.stop(signal.SIGKILL)
    home.line.rate = None
    home.box.start()
    assert home.box.until_jobs_end()[0]["state"] in {"interrupted", "done"}
    healed(home)
    home.is_well()


def test_row_03_a_hung_child_is_ended_before_its_lock_is(home: House) -> None:
    """restic hangs, a second job waits for it; the daemon dies. First the hung one is ended, then its lock goes."""
    home.slow()
    home.weigh(12)
    home.box.gardien("backup", "create", STACK, "--no-wait")
    hung = home.until_sending()
    hung.send_signal(signal.SIGSTOP)
    lock = home.locks()
    home.box.gardien("backup", "create", STACK, "--no-wait")
    time.sleep(2)
    second, first = home.box.json("job", "list")[:2]
    assert (first["state"], second["state"]) == ("running", "queued")
    assert home.locks() == lock, "a living lock was taken away"
    home.box.stop(signal.SIGKILL)
    assert living(hung)
    assert home.locks() == lock
    home.line.rate = None
    home.box.start()
    assert not living(hung)
    second, first = home.box.until_jobs_end()[:2]
    assert (first["state"], second["state"]) == ("interrupted", "done")
    healed(home)


def healed(home: House) -> None:
    """Backups go on, and what wants the repository for itself alone is not locked out for ever: the fault that people
    met. A lock that was on its way to the host when its owner was killed may arrive late; then that takes it away.
    """
    home.box.gardien("backup", "create", STACK)
    assert home.box.json("backup", "list", STACK)[0]["good"] is True
    home.box.gardien("backup", "prune", "host")
    assert home.locks() == []


def living(process: psutil.Process) -> bool:
    """Nobody may be there to bury the dead."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


@contextmanager
def other_machine(repository: Path, passphrase: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A machine of another name that holds the repository for itself alone, and does nothing."""
    argv = [RESTIC, "-r", str(repository), "-p", str(passphrase), "--no-cache", "check", "--read-data"]
    script = 'hostname other-practice && exec "$@"'
    holder = subprocess.Popen(
        ["unshare", "--uts", "sh", "-c", script, "sh", *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    locks = repository / "locks"
    try:
        while not [each for each in locks.iterdir() if len(each.name) == 64]:
            assert holder.poll() is None, "it was over before it could be stopped"
            time.sleep(0.005)
        holder.send_signal(signal.SIGSTOP)
        yield holder
    finally:
        holder.kill()
        holder.wait()


def test_row_04_another_machine_is_waited_for(home: House) -> None:
    with other_machine(home.repository, home.box.passphrase) as holder:
        [lock] = home.locks()
        home.box.gardien("backup", "create", STACK, "--no-wait")
        until(lambda: "on other-practice, since 20" in home.box.logged(200), 30)
        assert f"held by process {holder.pid} on other-practice" in home.box.logged(200)
        time.sleep(1)
        assert home.locks() == [lock], "the lock of another machine was taken away"
        assert not home.box.json("job", "list")[0]["over"]
        holder.send_signal(signal.SIGCONT)
        holder.wait(20)
        assert home.box.until_jobs_end()[0]["state"] == "done"


async def test_row_04_whose_lock_it_is_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restic_call, "_WAIT_FOR_LOCK", 1)
    with ground("folder", tmp_path) as g:
        assert g.repository is not None
        await g.restic.create("host")
        folder = await g.fill("ours", a="x")
        (folder / "big").write_bytes(random.Random(4).randbytes(4 << 20))
        await g.save(folder, "ours")
        with other_machine(g.repository, g.settings.passphrase("host")) as holder:
            with pytest.raises(RepositoryLocked) as caught:
                await g.save(folder, "ours")
            worded(caught.value)
            says = str(caught.value)
            assert f"process {holder.pid} on other-practice, since 20" in says
            assert "half an hour" in str(caught.value.remedy)
            assert await g.restic.locks("host") == 1

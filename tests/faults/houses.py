"""Houses for faults: the tiny stack in its box, its host behind a line whose knobs can be turned."""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.conftest import sftp_target
from tests.world.box import Box, box, until
from tests.world.line import Line
from tests.world.notes import add, lay_out
from tests.world.sftp import SftpHost

STACK = "notes"
Job = dict[str, Any]


@dataclass(frozen=True)
class House:
    """A box with the stack `notes`, and where its backups go."""

    box: Box
    host: SftpHost
    line: Line

    @property
    def repository(self) -> Path:
        return self.host.folder / "practice backups"

    @property
    def srv(self) -> Path:
        """What the stack keeps."""
        return self.box.data / STACK / "srv"

    def weigh(self, megabytes: float) -> None:
        """Give a backup something to send."""
        (self.srv / "film.bin").write_bytes(os.urandom(int(megabytes * (1 << 20))))

    def refused(self, *argv: str, says: str, remedy: str = "") -> str:
        return refused(self.box, *argv, says=says, remedy=remedy)

    def is_well(self) -> None:
        """The application is open, nothing is held, and the next backup is good."""
        is_open(self.box)
        self.box.gardien("backup", "create", STACK)
        assert self.box.json("backup", "list", STACK)[0]["good"] is True
        assert self.locks() == []

    def locks(self) -> list[str]:
        """Those in the repository, looked at where it lies; none is what did not arrive whole."""
        return sorted(each.name for each in (self.repository / "locks").iterdir() if len(each.name) == 64)

    def slow(self) -> None:
        """So slow a line that a backup can be watched."""
        self.line.rate = 4 << 20

    def restics(self) -> list[psutil.Process]:
        """The living commands of this house."""
        return [each for each in commands(self.box) if each.name() == "restic"]

    def until_sending(self) -> psutil.Process:
        """The restic that saves and is at it."""
        found: list[psutil.Process] = []

        def sends() -> bool:
            found[:] = [each for each in self.restics() if "backup" in each.cmdline()]
            return bool(found) and self.box.json("job", "list")[0]["progress"] is not None and bool(self.locks())

        until(sends, 60)
        return found[0]


def refused(machine: Box, *argv: str, says: str, remedy: str = "") -> str:
    """Run it; it must fail with this sentence and remedy, and no traceback. Returns all it said."""
    done = machine.gardien(*argv, check=False)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    said = done.stdout + done.stderr
    assert says in said, said
    assert remedy in said, said
    assert "Traceback" not in said + machine.logged(400), machine.logged(400)
    return said


def is_open(machine: Box) -> None:
    """Nobody who uses the application is kept waiting."""
    machine.until_well(STACK, 30)
    paused = machine.data / STACK / "srv" / "paused"
    assert not paused.exists() or paused.read_text().strip() == ""


def commands(machine: Box) -> list[psutil.Process]:
    """What gardien started in this box, and what was started by it."""
    if machine.daemon is None:
        return []
    try:
        return [each for each in psutil.Process(machine.daemon.pid).children(recursive=True) if each.is_running()]
    except psutil.Error:
        return []


@contextmanager
def house(host: SftpHost, **others: Mapping[str, object]) -> Iterator[House]:
    """One that is up. `others`: targets beside that host, not yet made."""
    with Line(host.port) as line, box({**sftp_target(host), "port": line.port}) as machine:
        machine.settings["targets"] |= {name: dict(target) for name, target in others.items()}
        machine.save_settings()
        settle(machine)
        yield House(machine, host, line)
        machine.stop()


def settle(machine: Box, text: str | None = None) -> None:
    """Start the daemon, make its target, bring up the stack; `text`: its Compose file, if it is another one."""
    machine.start()
    machine.gardien("target", "init", "host")
    lay_out(machine, STACK, text)
    add(machine)
    machine.until_well(STACK)


@contextmanager
def firewall(port: int, *verdict: str) -> Iterator[None]:
    """What goes to this port of loopback meets `verdict`, DROP or REJECT. No other port is touched."""
    rule = ["INPUT", "-i", "lo", "-p", "tcp", "--dport", str(port), "-j", *verdict]
    subprocess.run(["iptables", "--wait", "-I", *rule], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "--wait", "-D", *rule], check=True)

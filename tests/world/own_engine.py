"""A Docker Engine of one's own, beside the one that all tests share: to be killed. It comes back with what it had."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.world.box import until

_SCRIPT = Path(__file__).with_name("dockerd.sh")
_NETWORKS = "10.215.0.0/16"  # its containers' addresses: not those of the shared one


class OwnEngine:
    """Made by `own_engine`."""

    def __init__(self, cache: Path) -> None:
        self._environment = os.environ | {
            "GARDIEN_TEST_CACHE": str(cache),
            "GARDIEN_TEST_NETWORKS": _NETWORKS,
            "GARDIEN_TEST_DOCKERD": "--max-download-attempts=1",  # whoever waits is gardien
        }
        self.root = cache / "docker"
        self.address = self._script("env").strip().removeprefix("DOCKER_HOST=")

    def _script(self, what: str) -> str:
        done = subprocess.run(
            [_SCRIPT, what], env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{what}: {done.stdout}{done.stderr}"
        return done.stdout

    def kill(self) -> None:
        """As an overload or a bug ends it: nobody is told."""
        number = int(Path(self.address.removeprefix("unix://")).with_name("docker.pid").read_text())
        os.kill(number, signal.SIGKILL)
        until(lambda: not _lives(number), 30)

    def revive(self) -> None:
        """As systemd does it. Back when it answers."""
        self._script("revive")


def _lives(number: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _let_go(folder: Path) -> None:
    """What is mounted below it: an engine that was killed has left that."""
    mounted = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for place in sorted((each for each in mounted if each.startswith(f"{folder}/")), reverse=True):
        subprocess.run(["umount", "--lazy", place], check=True, capture_output=True, timeout=20)


@contextmanager
def own_engine() -> Iterator[OwnEngine]:
    """While it lasts `docker` and every box speak to it. Nothing of it stays."""
    cache = Path(tempfile.mkdtemp(prefix="gd-", dir=Path.home() / ".cache"))
    made = OwnEngine(cache)
    try:
        made._script("start")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DOCKER_HOST", made.address)
            yield made
    finally:
        made._script("stop")
        _let_go(cache)
        shutil.rmtree(cache)

"""A practice's machine, for tests: its own folders, its own daemon, its own ports, on the test engine."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gardien.errors import GardienError
from gardien.faces.call import Daemon
from tests.world import command
from tests.world.restic import RESTIC

IMAGES = {
    "NEXTCLOUD_IMAGE": "gardien-test/nextcloud:34.0.3-apache",
    "MARIADB_IMAGE": "gardien-test/mariadb:11.8.8",
    "REDIS_IMAGE": "gardien-test/redis:7.4.11",
    "CADDY_IMAGE": "gardien-test/caddy:2.11.4",
    "CRYPTPAD_IMAGE": "gardien-test/cryptpad:version-2026.2.2",
    "JITSI_WEB_IMAGE": "gardien-test/jitsi-web:stable-11146-2",
    "JITSI_PROSODY_IMAGE": "gardien-test/jitsi-prosody:stable-11146-2",
    "JITSI_JICOFO_IMAGE": "gardien-test/jitsi-jicofo:stable-11146-2",
    "JITSI_JVB_IMAGE": "gardien-test/jitsi-jvb:stable-11146-2",
    "LIMESURVEY_IMAGE": "gardien-test/limesurvey:6.17.15-260811-apache",
    "COLLABORA_IMAGE": "gardien-test/collabora:26.04.2.1.1",
}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def docker(*argv: str, check: bool = True) -> str:
    """The test engine's plain docker; what it printed."""
    done = subprocess.run(["docker", *argv], capture_output=True, text=True, timeout=120, check=False)
    if check and done.returncode:
        raise AssertionError(f"docker {argv}: {done.stderr}")
    return done.stdout


def until(true: Callable[[], bool], patience: float = 120) -> None:
    """Wait for it, so many seconds at most."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, "never came true"
        time.sleep(0.3)


class Box:
    """One machine. `sftp` is the European host its backups go to: what `targets:` gets in the settings."""

    def __init__(self, target: Mapping[str, object] | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="gd-"))
        self.root.chmod(0o711)  # containers have other owners than we
        self.prefix = f"gt{uuid.uuid4().hex[:8]}"
        self.page_port = free_port()
        self.daemon: subprocess.Popen[bytes] | None = None
        self.log = self.root / "daemon.log"
        self.config = self.root / "gardien.yaml"
        self.settings: dict[str, Any] = {
            "name": "test-box",
            "folders": {name: str(self.root / name) for name in ("data", "state", "run", "owner")},
            "page": {"address": "127.0.0.1", "port": self.page_port, "names": ["localhost", "127.0.0.1"]},
            "docker": {"socket": os.environ["DOCKER_HOST"].removeprefix("unix://"), "prefix": self.prefix},
            "programs": {"restic": RESTIC},
            "images": dict(IMAGES),
            "targets": {"host": dict(target or {"kind": "local", "folder": str(self.root / "repository")})},
            "backup": {"at": "daily at 02:30"},
            "limits": {"healthy": 120},
            "trust_clock": True,  # whatever the machine that the tests run on knows of its own
        }
        self.save_settings()

    def save_settings(self) -> None:
        with self.config.open("w") as file:
            YAML().dump(self.settings, file)

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def passphrase(self) -> Path:
        return self.root / "owner" / "secrets" / "target-host.passphrase"

    # -- the daemon

    def start(self, **environment: str) -> None:
        """Start the daemon and wait until it answers."""
        self.spawn(**environment)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            assert self.daemon is not None
            if self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}:\n{self.logged()}")
            with contextlib.suppress(GardienError):
                self.status()
                return
            time.sleep(0.05)
        raise AssertionError(f"the daemon does not answer:\n{self.logged()}")

    def spawn(self, **environment: str) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "gardien", "--config", str(self.config), "run"],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONFAULTHANDLER": "1"} | environment,
            )
        return self.daemon

    def logged(self, lines: int = 60) -> str:
        return "\n".join(self.log.read_text().splitlines()[-lines:]) if self.log.exists() else ""

    def stop(self, number: int = signal.SIGTERM, patience: float = 60) -> int | None:
        """End the daemon; its exit code."""
        if self.daemon is None:
            return None
        daemon, self.daemon = self.daemon, None
        if daemon.poll() is None:
            daemon.send_signal(number)
        try:
            return daemon.wait(patience)
        except subprocess.TimeoutExpired:
            daemon.send_signal(signal.SIGABRT)  # its threads tell where they are
            daemon.wait(patience)
            raise AssertionError(f"the daemon did not end:\n{self.logged(120)}") from None

    def wait_for_death(self, patience: float = 120) -> int:
        assert self.daemon is not None
        try:
            code = self.daemon.wait(patience)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon lives on:\n{self.logged()}") from None
        self.daemon = None
        return code

    # -- the terminal

    def gardien(
        self, *argv: str, check: bool = True, patience: float = 180, environment: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        spoken = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        done = command.gardien(
            ["--config", str(self.config), *argv], os.environ | spoken | dict(environment or {}), patience
        )
        if check and done.returncode:
            raise AssertionError(f"gardien {argv}: {done.returncode}\n{done.stdout}{done.stderr}\n{self.logged()}")
        return done

    def json(self, *argv: str) -> Any:
        return json.loads(self.gardien(*argv, "--json").stdout)

    @property
    def line(self) -> Daemon:
        """As the `gardien` command has it; to ask again and again without starting that each time."""
        return Daemon(self.root / "run" / "gardien.sock", "en", self.config)

    def status(self) -> Any:
        return self.line.get("status")

    def health(self, stack: str) -> str:
        return str(next(each["health"]["health"] for each in self.status()["stacks"] if each["name"] == stack))

    def until_well(self, stack: str, patience: float = 120) -> float:
        """Seconds until the page calls the stack well."""
        began = time.monotonic()
        while time.monotonic() - began < patience:
            if self.health(stack) == "well":
                return time.monotonic() - began
            time.sleep(0.2)
        raise AssertionError(f"{stack} is not well after {patience} s: {self.status()}\n{self.logged()}")

    def until_jobs_end(self, patience: float = 120) -> list[Any]:
        """All jobs, newest first, once none is open."""
        began = time.monotonic()
        while time.monotonic() - began < patience:
            jobs = self.line.get("jobs")["jobs"]
            if all(job["over"] for job in jobs):
                return list(jobs)
            time.sleep(0.2)
        raise AssertionError(f"a job has no end: {self.json('job', 'list')}\n{self.logged()}")

    # -- the stack, behind gardien's back

    def compose(self, stack: str, *argv: str, check: bool = True, input_: str | None = None) -> str:
        """Plain docker compose in the stack's deployed folder."""
        done = subprocess.run(
            ["docker", "compose", "--project-name", f"{self.prefix}-{stack}", *argv],
            cwd=self.data / stack / ".gardien" / "compose",
            capture_output=True,
            text=True,
            input=input_,
            stdin=subprocess.DEVNULL if input_ is None else None,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"docker compose {argv}: {done.stderr[-2000:]}")
        return done.stdout

    def sql(self, statement: str) -> str:
        """What MariaDB of the Nextcloud stack answers, tab-separated without a header."""
        mariadb = "mariadb --user=root --default-character-set=utf8mb4 --skip-column-names nextcloud"
        inside = f'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec {mariadb}'
        return self.compose("nextcloud", "exec", "-T", "db", "sh", "-c", inside, input_=statement)

    def remove_containers(self) -> None:
        """Everything of this box at the engine."""
        ids = docker("ps", "--all", "--quiet", "--filter", f"name={self.prefix}", check=False).split()
        if ids:
            docker("rm", "--force", "--volumes", *ids, check=False)
        networks = docker("network", "ls", "--quiet", "--filter", f"name={self.prefix}", check=False).split()
        if networks:
            docker("network", "rm", *networks, check=False)

    def end(self) -> None:
        """Leave nothing behind."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait(10)
            self.daemon = None
        self.remove_containers()
        shutil.rmtree(self.root, ignore_errors=True)


@contextmanager
def box(target: Mapping[str, object] | None = None) -> Iterator[Box]:
    """A box that is gone afterwards."""
    made = Box(target)
    try:
        yield made
    finally:
        made.end()

"""gardien puts another version of itself in its place, for real: wheels, venvs, daemons, a memory that is migrated; and
it comes back from each that is bad, and from each death on the way.
"""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from gardien.adapters.store import SqliteStore
from gardien.errors import GardienError
from gardien.faces.call import Daemon
from gardien.rules import plans
from tests.world import releases
from tests.world.box import free_port, until
from tests.world.releases import SCHEMA, last_format, release

FULL = bool(os.environ.get("GARDIEN_FULL"))
FORMER, THIS = "0.0.8", "0.0.9"
NEXT = last_format() + 1
MIGRATION = {
    f"{SCHEMA}/{NEXT:04}_dearer.sql": (
        "CREATE TABLE dearer (it TEXT) STRICT;\nUPDATE note SET value = 'by the newer one' WHERE key = 'test';\n"
    )
}
NEVER_WELL = {"gardien/faces/metrics.py": ('web.json_response({"ok": True})', 'web.json_response({"ok": False})')}
PATIENCE = "5"  # seconds for a version that is never well; one that is gets as long as the machine needs
KILLED = -signal.SIGKILL
BACK = ("returning", "returning-stopped", "returning-brought", "returning-switched")


class Installed:
    """A gardien as install.sh leaves it on a machine without systemd: its link, versions, settings, daemon."""

    def __init__(self, root: Path) -> None:
        self.root, self.prefix, self.shelves = root, root / "opt", root / "wheels"
        self.config = root / "gardien.yaml"
        self.state, self.run_, self.owner = root / "state", root / "run", root / "owner"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "GARDIEN_"))},
            "PYTHONPATH": str(releases.libraries(root / "libraries")),
            "PIP_NO_DEPS": "1",
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "LC_ALL": "C.UTF-8",
        }
        self.prefix.mkdir()
        self.wheel = release(self.shelves / "former", FORMER)
        self.this = release(self.shelves / "this", THIS, more=MIGRATION)
        slot = self.prefix / f"venv-{FORMER}"
        self.ran([sys.executable, "-m", "venv", "--without-pip", str(slot)])
        self.ran([str(slot / "bin" / "python"), "-m", "pip", "install", "-q", str(self.wheel)])

    def fresh(self) -> None:
        """As on the first day: the former version, nothing noted."""
        self.kill()
        for folder in (self.state, self.run_, self.owner):
            releases.emptied(folder)
        for each in ("venv", "updating"):
            (self.prefix / each).unlink(missing_ok=True)
        (self.prefix / "venv").symlink_to(f"venv-{FORMER}")
        folders = {name: str(self.root / name) for name in ("data", "state", "run", "owner")}
        socket = str(self.root / "no-docker.sock")  # gardien itself has to be well without it
        settings = {
            "folders": folders,
            "page": {"address": "127.0.0.1", "port": free_port()},
            "docker": {"socket": socket},
        }
        with self.config.open("w") as file:
            YAML().dump(settings, file)
        self.start()
        self.line.post("users", "password", user="owner", password="a long enough one")

    def start(self) -> None:
        """As install.sh does."""
        daemon = subprocess.Popen(
            [str(self.prefix / "venv" / "bin" / "gardien"), "--config", str(self.config), "run"],
            stdin=subprocess.DEVNULL,
            stdout=(self.state / "gardien.log").open("ab"),
            stderr=subprocess.STDOUT,
            env=self.environment,
            start_new_session=True,
        )
        (self.run_ / "gardien.pid").write_text(f"{daemon.pid}\n")
        until(lambda: self.version() is not None)
        self.remember("by the former one")

    def daemons(self) -> list[psutil.Process]:
        found = []
        for each in psutil.process_iter():
            with suppress(psutil.Error):
                if each.cmdline()[-3:] == ["--config", str(self.config), "run"] and each.status() != "zombie":
                    found.append(each)
        return found

    def kill(self) -> None:
        for each in self.daemons():
            with suppress(psutil.Error):
                each.kill()
        until(lambda: not self.daemons())

    def ran(self, argv: list[str]) -> None:
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def gardien(self, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [str(self.prefix / "venv" / "bin" / "gardien"), "--config", str(self.config), *words],
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )

    def update(self, *words: str, code: int = 0, **environment: str) -> Any:
        done = self.gardien("self-update", "--json", *words, **environment)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr, self.logged())
        return json.loads(done.stdout or done.stderr) if code != KILLED else None

    def logged(self) -> str:
        with suppress(OSError):
            return (self.state / "gardien.log").read_text()[-4000:]
        return ""

    @property
    def line(self) -> Daemon:
        return Daemon(self.run_ / "gardien.sock", "en", self.config)

    def version(self) -> str | None:
        """What answers."""
        with suppress(GardienError):
            return str(self.line.get("version")["version"])
        return None

    def in_use(self) -> str:
        return (self.prefix / "venv").readlink().name

    # -- its memory

    def remember(self, text: str) -> None:
        with closing(sqlite3.connect(self.state / "gardien.db", timeout=30)) as memory:
            memory.execute("INSERT OR REPLACE INTO note (key, value) VALUES ('test', ?)", (text,))
            memory.commit()

    def remembers(self) -> tuple[int, str]:
        """Its format, and what was noted there."""
        with closing(sqlite3.connect(self.state / "gardien.db", timeout=30)) as memory:
            (found,) = memory.execute("PRAGMA user_version").fetchone()
            (noted,) = memory.execute("SELECT value FROM note WHERE key = 'test'").fetchone()
            return found, noted

    def as_before(self) -> None:
        """The former version answers, with the memory of before, and nothing of the attempt is left lying."""
        assert self.version() == FORMER
        assert self.in_use() == f"venv-{FORMER}"
        assert self.remembers() == (NEXT - 1, "by the former one")
        self.is_tidy()

    def is_tidy(self) -> None:
        assert len(self.daemons()) == 1
        assert not (self.prefix / "updating").is_symlink()
        assert not list(self.prefix.glob("*.new")) and not list(self.state.glob("*.back"))


@pytest.fixture(scope="module")
def built() -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="gs-") as root:
        made = Installed(Path(root))
        yield made
        made.kill()


@pytest.fixture
def house(built: Installed) -> Installed:
    built.fresh()
    return built


def test_from_the_former_version_to_this_one_and_back(house: Installed) -> None:
    look = house.update("--check", "--from", str(house.shelves / "this"))
    assert (look["present"], look["newest"], look["newer"]) == (FORMER, THIS, True)
    assert f"What is new in {THIS}." in look["changes"] and "The first" not in look["changes"]
    assert house.in_use() == f"venv-{FORMER}"

    done = house.update("--from", str(house.shelves / "this"))
    assert (done["phase"], done["from"], done["to"]) == ("done", FORMER, THIS)
    assert house.version() == THIS and house.in_use() == f"venv-{THIS}"
    assert house.remembers() == (NEXT, "by the newer one")
    house.is_tidy()
    nothing = house.update("--from", str(house.shelves / "former"))
    assert nothing["newer"] is False and house.version() == THIS

    refused = house.gardien("self-update", "--back")
    assert refused.returncode == 2 and "is lost" not in refused.stderr and "--yes" in refused.stderr
    assert house.update("--back", "--yes")["to"] == FORMER
    house.as_before()
    # And again: what was gone back from is the former one now.
    assert house.update("--back", "--dry-run")["former"] == THIS


@pytest.mark.parametrize("point", [each for each in BACK if FULL or each == "returning-brought"])
def test_one_that_is_never_well_is_taken_back_with_its_memory_and_its_settings(house: Installed, point: str) -> None:
    begins = "    _speak()\n    os.umask(0o077)\n    try:\n"
    rewrites = f"    config.write_text(config.read_text() + 'invented: true\\n')\n{begins}"
    wheel = release(
        house.shelves / "never",
        "0.0.9.1",
        more=MIGRATION,
        instead=NEVER_WELL | {
            "gardien/app.py": (begins, rewrites),
            "gardien/model/settings.py": ('    language: Literal["en", "fr"] = "en"\n',
                                          '    language: Literal["en", "fr"] = "en"\n    invented: bool = False\n'),
        },
    )  # fmt: skip
    before = house.config.read_text()
    given = ("--from", str(wheel), "--patience", PATIENCE)
    # And the one that takes it back dies over it.
    house.update(*given, code=KILLED, GARDIEN_DIE_AT=f"self-update/{point}")
    house.ran([str(house.prefix / "venv" / "bin" / "gardien"), "--version"])
    end = house.update("--go-on", code=1)
    assert (end["phase"], end["to"]) == ("taken-back", "0.0.9.1")
    assert "well" in end["why"]
    house.as_before()
    assert house.config.read_text() == before
    # Whoever was not there is told.
    house.kill()
    house.start()
    until(lambda: "own-update" in {each["key"] for each in house.line.get("alerts")["alerts"]})


def test_one_that_cannot_live_here_is_found_out_before_anything_stops(house: Installed) -> None:
    broken = {
        f"{SCHEMA}/{NEXT + 1:04}_broken.sql": "CREATE TABLE half (it TEXT) STRICT;\nINSERT INTO nowhere VALUES (1);\n"
    }
    wheel = release(house.shelves / "half", "0.0.9.2", more=MIGRATION | broken)
    (daemon,) = house.daemons()
    told = house.update("--from", str(wheel), code=1)
    assert told["error"]["code"] == "refused" and "nowhere" in told["error"]["detail"]
    assert house.daemons() == [daemon]
    house.as_before()
    # In the real memory, and not in its copy: the trial looks away. Half of its steps are made; they are taken back.
    if FULL:
        trial = "    store = await SqliteStore.open(memory / DATABASE)\n    try:\n        if store."
        wheel = release(
            house.shelves / "blind",
            "0.0.9.3",
            more=MIGRATION | broken,
            instead={"gardien/app.py": (trial, f"    return\n{trial}")},
        )
        assert house.update("--from", str(wheel), code=1)["phase"] == "taken-back"
        house.as_before()


async def test_nothing_is_done_while_a_job_runs(house: Installed) -> None:
    store = await SqliteStore.open(house.state / "gardien.db")
    job = await store.add_job(plans.check("host", (1, 4)), datetime.now(UTC))
    await store.mark_job(job, "running", datetime.now(UTC))
    await store.close()
    (daemon,) = house.daemons()
    told = house.update("--from", str(house.this), code=1)
    assert told["error"]["code"] == "refused" and "host" in told["error"]["says"]
    assert house.daemons() == [daemon]
    house.as_before()


# What a death leaves, by the point at which it comes: the version that the next run ends with.
POINTS = {
    "install": FORMER,
    "holding": FORMER,
    "stopping": FORMER,
    "stopped": FORMER,
    "switching": THIS,
    "switched": THIS,
    "started": THIS,
    "well": THIS,
    "done": THIS,
}
SAMPLE = {"switched"}


@pytest.mark.parametrize("point", [each for each in POINTS if FULL or each in SAMPLE])
def test_a_death_on_the_way_is_made_good_by_the_next_run(house: Installed, point: str) -> None:
    house.update("--from", str(house.this), code=KILLED, GARDIEN_DIE_AT=f"self-update/{point}")
    # Whatever was cut: what the link leads to starts.
    house.ran([str(house.prefix / "venv" / "bin" / "gardien"), "--version"])
    end = house.gardien("self-update", "--go-on", "--json")
    assert end.returncode in (0, 1), end.stderr + house.logged()
    if POINTS[point] == FORMER:
        house.as_before()
        assert house.update("--from", str(house.this))["phase"] == "done"
    assert house.version() == THIS and house.remembers() == (NEXT, "by the newer one")
    house.is_tidy()

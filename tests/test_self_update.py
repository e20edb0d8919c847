"""gardien puts another version of itself in its place, for real: wheels, venvs, daemons, a memory that is migrated; and
it comes back from each that is bad, and from each death on the way.
"""

import asyncio
import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML

from gardien.adapters.files import OnlyOne
from gardien.adapters.keeper import DaemonKeeper
from gardien.adapters.moves import FileMoves, StateCopies, lock_of, under_way
from gardien.adapters.programs import Venvs
from gardien.adapters.store import SqliteStore
from gardien.errors import BadInput, GardienError, NotFound
from gardien.faces.call import Daemon
from gardien.model.move import Move, Phase, Slot
from gardien.model.settings import Folders, Settings
from gardien.rules import own_versions, plans, release_alerts
from gardien.services.feed import Feed
from gardien.services.runner import Runner
from gardien.services.self_update import SelfUpdate
from gardien.words import Words
from tests.test_runner import NAMES, Bricks, now, plan
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
HOWS = ("never well", "ends by itself", "in a folder")  # the last one ends too, where `venv` was made by hand
BACK = ("", "returning", "returning-stopped", "returning-brought", "returning-switched")
BAD = [("never well", each) for each in BACK] + [(each, "") for each in HOWS[1:]]


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

    def by_hand(self) -> None:
        """`venv` is a folder, and no link to one."""
        self.kill()
        (self.prefix / "venv").unlink()
        kept = self.prefix / f"venv-{FORMER}"
        shutil.rmtree(kept)
        self.ran([sys.executable, "-m", "venv", "--without-pip", str(self.prefix / "venv")])
        self.ran([str(self.prefix / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", str(self.wheel)])
        self.start()

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


@asynccontextmanager
async def crew(room: Path) -> AsyncIterator[tuple[Runner, Bricks, asyncio.Event]]:
    """A runner that is held up while the event is set."""
    store, bricks, held = await SqliteStore.open(room / "db"), Bricks(), asyncio.Event()

    async def is_held() -> bool:
        return held.is_set()

    runner = Runner(store, now, Feed(), held=is_held)
    runner.teach("backup", bricks)
    try:
        yield runner, bricks, held
    finally:
        await runner.stop()
        await store.close()


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


@pytest.mark.parametrize(
    ("how", "point"), [each for each in BAD if FULL or each == ("never well", "returning-brought")]
)
def test_a_bad_one_is_taken_back_with_memory_and_settings(house: Installed, how: str, point: str) -> None:
    if how == "in a folder":
        house.by_hand()
    begins = "        asyncio.run(_live("
    language = '    language: Literal["en", "fr"] = "en"\n'
    ends = "" if how == "never well" else "        raise SystemExit(3)\n"
    rewrites = f"        config.write_text(config.read_text() + 'invented: true\\n')\n{ends}"
    wheel = release(
        house.shelves / how.replace(" ", "-"),
        f"0.0.9.{HOWS.index(how) + 1}",
        more=MIGRATION,
        instead=NEVER_WELL
        | {
            "gardien/app.py": (begins, rewrites + begins),
            "gardien/model/settings.py": (language, f"{language}    invented: bool = False\n"),
        },
    )
    before = house.config.read_text()
    given = ("--from", str(wheel), "--patience", PATIENCE)
    if point:  # and the one that takes it back dies over it
        house.update(*given, code=KILLED, GARDIEN_DIE_AT=f"self-update/{point}")
        house.ran([str(house.prefix / "venv" / "bin" / "gardien"), "--version"])
        end = house.update("--go-on", code=1)
    else:
        end = house.update(*given, code=1)
    assert end["phase"] == "taken-back"
    assert ("ended by itself" in end["why"]) == (how != "never well"), end
    house.as_before()
    assert house.config.read_text() == before
    # Whoever was not there is told.
    house.kill()
    house.start()
    until(lambda: "own-update" in {each["key"] for each in house.line.get("alerts")["alerts"]})
    # And a good one is taken.
    if FULL:
        assert house.update("--from", str(house.this))["phase"] == "done"
        assert house.update("--back", "--yes")["phase"] == "done"
        house.as_before()


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
        trial = "    store = await SqliteStore.open(memory / DATABASE)\n"
        wheel = release(
            house.shelves / "blind",
            "0.0.9.3",
            more=MIGRATION | broken,
            instead={"gardien/own_update.py": (trial, f"    return\n{trial}")},
        )
        assert house.update("--from", str(wheel), code=1)["phase"] == "taken-back"
        house.as_before()


def test_a_folder_becomes_a_link_in_one_move(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").touch()
    (tmp_path / "venv-1.0").symlink_to("venv-1.0")  # somebody died before the two changed places
    venvs = Venvs(tmp_path, tmp_path / "children")
    assert venvs.steady("1.0") == tmp_path / "venv-1.0" / "bin" / "python"
    assert (tmp_path / "venv").readlink() == Path("venv-1.0")
    assert (tmp_path / "venv" / "bin" / "python").exists() and not (tmp_path / "venv-1.0").is_symlink()
    assert venvs.in_use() == "venv-1.0"


def test_only_the_last_versions_are_kept(tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / f"venv-{number}").mkdir()
        os.utime(tmp_path / f"venv-{number}", (number, number))
    (tmp_path / "removed-venv-9").mkdir()
    Venvs(tmp_path, tmp_path / "children").forget({"venv-0", "venv-4"}, 3)
    assert {each.name for each in tmp_path.iterdir()} == {"venv-0", "venv-3", "venv-4"}


async def test_a_page_that_lists_releases(tmp_path: Path) -> None:
    release(tmp_path / "page", FORMER)
    wheel = release(tmp_path / "page", THIS)
    venvs = Venvs(tmp_path, tmp_path / "children")
    served = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "page"))
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        found = await venvs.newest(f"http://127.0.0.1:{server.server_port}/", tmp_path / "room")
        server.shutdown()
    assert found is not None and found.name == wheel.name and found.read_bytes() == wheel.read_bytes()
    assert await venvs.newest(str(tmp_path / "page"), tmp_path) == wheel
    # What a stranger on the way could replace is not asked.
    with pytest.raises(BadInput):
        await venvs.newest("http://releases.example/", tmp_path)


def test_which_version_is_newer() -> None:
    ordered = ["0.9.dev1", "0.9a1", "0.9rc1.dev2", "0.9rc1", "0.9", "0.9.post1", "0.10", "1.0.0"]
    for lower, higher in itertools.pairwise(ordered):
        assert own_versions.newer(higher, lower) and not own_versions.newer(lower, higher), (lower, higher)
    assert not own_versions.newer("1.0", "1.0.0") and not own_versions.newer("latest", "0.1")
    wheels = ["gardien-0.9-py3-none-any.whl", "gardien-0.10rc1-py3-none-any.whl", "other-2.0-py3-none-any.whl", "x"]
    assert own_versions.newest_wheel(wheels) == wheels[0]
    assert own_versions.newest_wheel(wheels[1:]) == wheels[1]
    assert own_versions.newest_wheel(wheels[2:]) is None
    log = "# Changelog\n\n## 0.3.0 (unreleased)\n\n- c\n\n## 0.2.0 (2026-02-01)\n\n- b\n\n## 0.1.0\n\n- a\n"
    assert own_versions.changes(log, "0.1.0", "0.2.0") == "## 0.2.0 (2026-02-01)\n\n- b"
    assert own_versions.changes(log, "0.1.0", "0.3.0").count("- ") == 2
    assert own_versions.changes(log, "0.3.0", "0.3.0") == ""


async def test_no_job_begins_while_gardien_is_being_updated(tmp_path: Path) -> None:
    async with crew(tmp_path) as (runner, bricks, held):
        held.set()
        job = await runner.submit(plan())
        assert (await runner.job(job)).state == "queued" and not bricks.laid
        held.clear()
        assert (await runner.wait(job)).state == "done" and bricks.laid == set(NAMES)


def test_an_update_that_was_left_lying_holds_nobody_up(tmp_path: Path) -> None:
    slot = Slot("venv-1", "1")
    move = Move("switching", slot, slot, "process", datetime.now(UTC))
    assert not under_way(tmp_path)
    FileMoves(tmp_path).write(move)
    assert FileMoves(tmp_path).read() == move
    with closing(OnlyOne(lock_of(tmp_path))):
        assert under_way(tmp_path)
        FileMoves(tmp_path).write(move.to("done"))
        assert not under_way(tmp_path)
        FileMoves(tmp_path).write(move)
    assert not under_way(tmp_path)  # whoever made it is dead


async def test_what_install_sh_put_there_meanwhile_counts(tmp_path: Path) -> None:
    for name in ("venv-1", "venv-2", "venv-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "venv").symlink_to("venv-3")
    (tmp_path / "updating").symlink_to("venv-1")
    moves, settings = FileMoves(tmp_path), Settings(folders=Folders(state=tmp_path, run=tmp_path))
    moves.write(Move("returning", Slot("venv-1", "1"), Slot("venv-2", "2"), "process", datetime.now(UTC), copy="1"))
    config, memory = tmp_path / "gardien.yaml", tmp_path / "gardien.db"
    update = SelfUpdate(
        Venvs(tmp_path, tmp_path),
        DaemonKeeper(settings, config, tmp_path, tmp_path),
        StateCopies(tmp_path, memory, tmp_path, config),
        moves,
        now,
        config,
        tmp_path,
        "3",
        print,
        print,
    )
    assert await update.go_on() is None
    last = moves.read()
    assert last is not None and last.over
    assert (tmp_path / "venv").readlink() == Path("venv-3") and not (tmp_path / "updating").is_symlink()
    with pytest.raises(NotFound):
        update.way_back()


def test_what_is_said_of_an_update_that_did_not_go_well() -> None:
    today, slot = datetime.now(UTC), Slot("venv-1", "1")
    why = Words.of("it fell over")

    def keys(phase: Phase, ago: timedelta = timedelta(hours=3), **facts: str | Words) -> list[str]:
        move = Move(phase, slot, Slot("venv-2", "2"), "process", today - ago).to(phase, **facts)
        return [each.key for each in release_alerts.of_own(move, today)]

    assert keys("taken-back", why=why, copy="1") == ["own-update"]
    assert keys("taken-back", timedelta(days=15), why=why, copy="1") == []
    assert keys("taken-back", why=why) == []  # nothing had been changed
    assert keys("done", copy="1") == [] and release_alerts.of_own(None, today) == []
    assert keys("switching") == ["own-update"] and keys("switching", timedelta(minutes=5)) == []


async def test_nothing_is_done_while_a_job_runs(house: Installed) -> None:
    store = await SqliteStore.open(house.state / "gardien.db")
    job = await store.add_job(plans.check("host", (1, 4)), datetime.now(UTC))
    await store.mark_job(job, "running", datetime.now(UTC))
    await store.close()
    assert "gardien_from" in house.update("--check", code=2)["error"]["remedy"]
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

"""The images made for the tests keep the contract of the real ones, so that what holds on them holds at people's homes.

Plain `docker compose` on the shipped file: no line of gardien runs here.
"""

import base64
import http.client
import json
import os
import re
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.world.box import IMAGES
from tests.world.sftp import free_port

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "compose/nextcloud/compose.yaml"
BUILD = ROOT / "tests/world/images/build.sh"
RECIPE: dict[str, Any] = YAML(typ="safe").load(SHIPPED)["x-gardien"]
NAMES = {"NEXTCLOUD_DOMAIN": "cloud.example", "MYSQL_PASSWORD": "it's a \\ secret", "MYSQL_ROOT_PASSWORD": "root's"}


class Stack:
    """The shipped Nextcloud stack under plain Compose, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = f"images-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.files = [SHIPPED]
        self.settings = {**IMAGES, **NAMES, "NEXTCLOUD_PORT": str(self.port), "DATA": str(folder / "data")}
        for name, wanted in RECIPE["folders"].items():
            path = folder / "data" / name
            path.mkdir(parents=True, mode=int(wanted["mode"], 8))
            user, group = wanted["owner"].split(":")
            subprocess.run(["chown", f"{user}:{group}", str(path)], check=True)

    def compose(self, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("-f", str(file))]
        return subprocess.run(
            ["docker", "compose", "-p", self.project, "--project-directory", str(self.folder), *files, *argv],
            env={**os.environ, **self.settings},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    def up(self, *services: str) -> None:
        done = self.compose("up", "--detach", *(["--no-deps", *services] if services else []))
        assert done.returncode == 0, done.stderr

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "2")

    def occ(self, *argv: str, user: str = "33") -> subprocess.CompletedProcess[str]:
        return self.compose("exec", "-T", "-u", user, "app", "php", "occ", *argv)

    def inside(self, service: str, argv: list[str], text: str = "") -> str:
        """A command of the manifest, whose `$$` Compose's own rules make a `$`."""
        done = self.compose("exec", "-T", service, *[word.replace("$$", "$") for word in argv], text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statement: str) -> list[str]:
        client = 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb --default-character-set=utf8mb4 -N -uroot nextcloud'
        return self.inside("db", ["sh", "-c", client], statement).splitlines()

    def ask(
        self, path: str, *, method: str = "GET", host: str = "localhost", body: str | None = None
    ) -> tuple[int, str]:
        login = base64.b64encode(b"admin:change-me").decode()
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request(method, path, body, {"Host": host, "Authorization": f"Basic {login}"})
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        finally:
            link.close()

    def status(self) -> dict[str, Any]:
        """What status.php says; nothing while it does not answer with 200."""
        try:
            code, body = self.ask("/status.php")
        except (OSError, http.client.HTTPException):
            return {}
        return dict(json.loads(body)) if code == 200 else {}

    def wait(self, seconds: float = 45, **wanted: object) -> None:
        deadline = time.monotonic() + seconds
        while not (wanted.items() <= self.status().items()):
            assert time.monotonic() < deadline, f"{self.status()} is not {wanted}: {self.logs()}"
            time.sleep(0.1)

    def logs(self) -> str:
        return self.compose("logs", "--no-log-prefix", "--tail", "200", "app").stdout

    def version(self) -> str:
        return (self.folder / "data/html/version.php").read_text()


def test_the_rules_of_version_php(tmp_path: Path) -> None:
    """One stack through its life: an equal version, a step up, two steps, back, a failed upgrade, no version.php."""
    stack = Stack(tmp_path)

    def run(version: str, broken: str = "") -> None:
        argv = [str(BUILD), "nextcloud", version, *([broken] if broken else [])]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        stack.compose("rm", "--stop", "--force", "app")
        stack.settings["NEXTCLOUD_IMAGE"] = done.stdout.strip()
        stack.up("app")

    def refused(words: str) -> None:
        deadline = time.monotonic() + 15
        while words not in stack.logs():
            assert time.monotonic() < deadline, stack.logs()
            time.sleep(0.2)
        assert stack.status() == {}
        assert "35.0.0" in stack.version(), "a refusal leaves the files alone"

    try:
        stack.up()
        stack.wait(installed=True)
        assert "New nextcloud instance" in stack.logs()

        run("34.0.3")
        stack.wait(installed=True)
        assert "Initializing" not in stack.logs(), "equal versions: nothing to do"

        (tmp_path / "data/html/custom_apps/mine").write_text("mine")
        (tmp_path / "data/html/core/old.php").write_text("gone with the old code")
        run("35.0.0")
        stack.wait(versionstring="35.0.0", needsDbUpgrade=False, maintenance=False)
        assert "Update successful" in stack.logs()
        assert stack.sql("SHOW COLUMNS FROM oc_filecache LIKE 'since_35'"), "the schema rose with it"
        assert (tmp_path / "data/html/custom_apps/mine").exists()
        assert not (tmp_path / "data/html/core/old.php").exists()

        run("37.0.0")
        refused("upgrading from 35.0.0.1 to 37.0.0.1 is not supported")
        run("34.0.3")
        refused("downgrading is not supported")

        # version.php is copied before the upgrade: the next start takes new code on the old schema for done.
        run("36.0.0", "upgrade")
        stack.wait(versionstring="36.0.0", maintenance=True, needsDbUpgrade=True)
        assert stack.occ("status", "-e").returncode == 2
        run("36.0.0")
        stack.wait(versionstring="36.0.0", maintenance=True, needsDbUpgrade=True)
        assert stack.occ("maintenance:mode", "--off").returncode == 0
        assert stack.occ("upgrade").returncode == 0
        stack.wait(versionstring="36.0.0", maintenance=False, needsDbUpgrade=False)

        # Without version.php it believes to be new, fails to install eleven times, and runs on at the next start.
        (tmp_path / "data/html/version.php").unlink()
        run("36.0.0")
        stack.wait(installed=True)
        assert stack.logs().count("Retrying install...") == 11
        assert "Installing of nextcloud failed!" in stack.logs()

        began = time.monotonic()
        assert stack.compose("stop").returncode == 0
        assert time.monotonic() - began < 4, "four containers, each well within two seconds"
    finally:
        stack.down()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose tests leave it as they found it."""
    started = Stack(tmp_path_factory.mktemp("stack"))
    try:
        started.up()
        started.wait(installed=True)
        yield started
    finally:
        started.down()


def test_status_php_says_what_the_real_one_says(stack: Stack) -> None:
    assert stack.status() == {
        "installed": True,
        "maintenance": False,
        "needsDbUpgrade": False,
        "version": "34.0.3.1",
        "versionstring": "34.0.3",
        "edition": "",
        "productname": "Nextcloud",
        "extendedSupport": False,
    }
    assert json.loads(stack.occ("status", "--output=json").stdout) == stack.status()


def test_an_untrusted_name_is_turned_away(stack: Stack) -> None:
    code, body = stack.ask("/status.php", host="evil.example")
    assert (code, json.loads(body)) == (400, {"error": "Trusted domain error.", "code": 15})
    assert stack.ask("/", host="evil.example")[0] == 400
    assert stack.ask("/status.php", host=NAMES["NEXTCLOUD_DOMAIN"])[0] == 200


def test_maintenance_is_seen_by_all(stack: Stack) -> None:
    assert stack.ask("/")[0] == 200
    assert stack.occ("status", "-e").returncode == 0
    try:
        assert stack.occ("maintenance:mode", "--on").returncode == 0
        stack.wait(5, maintenance=True)
        assert stack.ask("/")[0] == 503
        assert stack.occ("status", "-e").returncode == 1
        assert stack.occ("upgrade").returncode == 2
        assert stack.occ("files:scan", "--all").returncode == 1, "commands of apps do not exist in maintenance"
        before = stack.sql("SELECT configvalue FROM oc_appconfig WHERE configkey = 'lastcron'")
        time.sleep(2.5)  # cron comes by every two
        assert stack.sql("SELECT configvalue FROM oc_appconfig WHERE configkey = 'lastcron'") == before
    finally:
        assert stack.occ("maintenance:mode", "--off").returncode == 0
    stack.wait(5, maintenance=False)
    assert stack.ask("/")[0] == 200


def test_occ_knows_its_user_and_its_commands(stack: Stack) -> None:
    assert stack.occ("maintenance:mode", user="0").returncode == 1
    assert stack.occ("maintenance:moed", "--on").returncode == 1
    assert stack.occ("upgrade").returncode == 0
    assert stack.occ("db:add-missing-indices").returncode == 0
    config = stack.folder / "data/html/config/config.php"
    assert stack.occ("maintenance:data-fingerprint").returncode == 0
    first = re.findall(r"'data-fingerprint' => '\w{32}'", config.read_text())
    assert stack.occ("maintenance:data-fingerprint").returncode == 0
    second = re.findall(r"'data-fingerprint' => '\w{32}'", config.read_text())
    assert first and second and first != second
    assert stack.occ("config:system:get", "trusted_domains", "1").stdout == NAMES["NEXTCLOUD_DOMAIN"] + "\n"


def test_files_and_rows_through_the_app(stack: Stack) -> None:
    path = "/remote.php/dav/files/admin/d%C3%A9j%C3%A0%20vu%2B%26.txt"
    assert stack.ask(path, method="PUT", body="une fois")[0] == 201
    assert stack.ask(path) == (200, "une fois")
    assert (stack.folder / "data/html/data/admin/files/déjà vu+&.txt").read_text() == "une fois"
    assert stack.sql("SELECT size FROM oc_filecache WHERE path = 'files/déjà vu+&.txt'") == ["8"]
    assert stack.ask(path, method="DELETE")[0] == 204
    assert stack.ask(path)[0] == 404
    by_hand = stack.folder / "data/html/data/admin/files/by hand"
    for there in (True, False):
        by_hand.touch() if there else by_hand.unlink()
        assert stack.occ("files:scan", "--all").returncode == 0
        assert stack.sql("SELECT COUNT(*) FROM oc_filecache WHERE path = 'files/by hand'") == [str(int(there))]


def test_cron_works_with_the_locks(stack: Stack) -> None:
    deadline = time.monotonic() + 10
    while not (rows := stack.sql("SELECT configvalue FROM oc_appconfig WHERE configkey = 'lastcron_locking'")):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert "Redis" in rows[0]


def test_everything_has_the_owners_of_the_real_images(stack: Stack) -> None:
    html, db = stack.folder / "data/html", stack.folder / "data/db"
    foreign = [path.name for path in html.rglob("*") if (path.stat().st_uid, path.stat().st_gid) != (33, 33)]
    assert foreign == ["nextcloud-init-sync.lock"]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in db.rglob("*")} == {(999, 999)}
    for service, wanted in {"app": "33", "db": "999"}.items():
        owners = stack.inside(service, ["sh", "-c", "grep -h ^Uid: /proc/[0-9]*/status"])
        assert f"\t{wanted}\t" in owners


def test_the_manifest_dumps_and_loads(stack: Stack) -> None:
    dump = RECIPE["backup"]["dumps"]["database.sql"]
    stack.sql("INSERT INTO oc_appconfig VALUES ('test', 'canary', 'früher 🐤')")
    text = stack.inside(dump["exec"], dump["argv"])
    assert re.search(dump["whole"], text.splitlines()[-1])
    stack.sql("UPDATE oc_appconfig SET configvalue = 'later' WHERE appid = 'test'")
    for step in RECIPE["restore"]["load"]:
        stack.inside(step["exec"], step["argv"], text if "input" in step else "")
    assert stack.sql("SELECT configvalue FROM oc_appconfig WHERE appid = 'test'") == ["früher 🐤"]
    assert stack.ask("/")[0] == 200


def test_without_its_neighbours_it_says_so_and_recovers(stack: Stack) -> None:
    for service in ("db", "redis"):
        assert stack.compose("stop", service).returncode == 0
        assert stack.ask("/status.php")[0] == 500
        assert stack.compose("start", service).returncode == 0
        stack.wait(15, installed=True)
    stack.sql("INSERT INTO oc_appconfig VALUES ('test', 'power', 'cut')")
    assert stack.compose("kill", "--signal", "KILL", "db").returncode == 0
    assert stack.compose("start", "db").returncode == 0
    stack.wait(15, installed=True)
    assert stack.sql("SELECT configvalue FROM oc_appconfig WHERE configkey = 'power'") == ["cut"]
    assert stack.compose("exec", "-T", "db", "healthcheck.sh", "--connect", "--innodb_initialized").returncode == 0
    assert stack.compose("exec", "-T", "db", "healthcheck.sh", "--no-such-test").returncode == 1
    assert stack.compose("exec", "-T", "db", "sh", "-c", "command -v mysql || command -v mysqldump").returncode != 0


def test_apache_may_lag_behind_occ(stack: Stack, tmp_path: Path) -> None:
    """The trap of `opcache.revalidate_freq`: occ is done, and the web server does not know yet."""
    slow = tmp_path / "slow.yaml"
    slow.write_text("services: {app: {environment: {GARDIEN_TEST_OPCACHE_SECONDS: '4'}}}\n")
    stack.files.append(slow)
    try:
        # PHP keeps nothing that is younger than two seconds.
        time.sleep(max(0, (stack.folder / "data/html/config/config.php").stat().st_mtime + 2.1 - time.time()))
        stack.up("app")
        stack.wait(installed=True, maintenance=False)
        assert stack.occ("maintenance:mode", "--on").returncode == 0
        assert stack.status()["maintenance"] is False
        stack.wait(10, maintenance=True)
    finally:
        stack.occ("maintenance:mode", "--off")
        stack.files.remove(slow)
        stack.up("app")
        stack.wait(installed=True, maintenance=False)

"""The images made for the tests keep the contract of the real ones, so that what holds on them holds at people's homes.

Plain `docker compose` on the shipped file: no line of gardien runs here.
"""

import base64
import http.client
import json
import os
import re
import shutil
import socket
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
NAMES = {"NEXTCLOUD_DOMAIN": "cloud.example", "DOOR_SUFFIX": ":8443"}
PASSWORDS = {"MYSQL_PASSWORD": "it's a \\ secret", "MYSQL_ROOT_PASSWORD": "root's"}


class Stack:
    """A shipped stack under plain Compose, in a folder of its own."""

    def __init__(self, folder: Path, name: str = "nextcloud", **settings: str) -> None:
        shipped = ROOT / "compose" / name
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.project = f"images-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.files = [Path(shutil.copytree(shipped, folder / "stack")) / SHIPPED.name]
        ports = {f"{name.upper()}_PORT": str(self.port), "DATA": str(folder / "data")}
        self.settings = {**IMAGES, **NAMES, **PASSWORDS, **ports, **settings}
        for inside, wanted in YAML(typ="safe").load(self.files[0])["x-gardien"]["folders"].items():
            path = folder / "data" / inside
            path.mkdir(parents=True, mode=int(wanted["mode"], 8))
            user, group = wanted["owner"].split(":")
            subprocess.run(["chown", f"{user}:{group}", str(path)], check=True)

    def compose(self, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("-f", str(file))]
        return subprocess.run(
            ["docker", "compose", "-p", self.project, "--project-directory", str(self.folder / "stack"), *files, *argv],
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

    def apps(self, service: str = "app") -> int:
        """The exit code of the stack's own script that brings the apps."""
        script = ["setpriv", "--reuid=33", "--regid=33", "--clear-groups", "sh", "/usr/local/share/gardien/apps.sh"]
        return self.compose("exec", "-T", service, *script).returncode

    def enabled(self, app: str) -> bool:
        return self.occ("config:app:get", app, "enabled").stdout == "yes\n"

    def until_enabled(self, app: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not self.enabled(app):
            assert time.monotonic() < deadline, self.compose("logs", "--tail", "50", "cron").stdout
            time.sleep(0.3)

    def door(self, *argv: str, name: str = "") -> str:
        """Run something where the house's Caddy stands: beside `app`, and beside nothing else."""
        named = ["--detach", "--name", f"{self.project}-{name}"] if name else []
        where = ["docker", "run", "--rm", "--network", f"{self.project}_door"]
        done = subprocess.run(
            [*where, *named, "--entrypoint", argv[0], IMAGES["REDIS_IMAGE"], *argv[1:]],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def attempts(self, address: str) -> int:
        """How many failed log-ins Nextcloud counts for an address."""
        found = re.search(r"attempts: (\d+)", self.occ("security:bruteforce:attempts", address).stdout)
        assert found
        return int(found[1])

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


def test_addresses_begin_with_what_people_type(stack: Stack) -> None:
    """Apps on computers and telephones log in at the addresses of this answer, and refuse any that is not HTTPS."""

    def told(host: str) -> dict[str, Any]:
        code, body = stack.ask("/index.php/login/v2", method="POST", host=host)
        assert code == 200
        return dict(json.loads(body))

    assert told("cloud.example:8443")["poll"]["endpoint"] == "https://cloud.example:8443/index.php/login/v2/poll"
    assert told("Cloud.Example:8443")["login"].startswith("https://cloud.example:8443/index.php/login/v2/flow/")
    here = f"localhost:{stack.port}"
    assert told(here)["poll"]["endpoint"] == f"http://{here}/index.php/login/v2/poll"
    assert stack.occ("config:system:get", "overwrite.cli.url").stdout == "https://cloud.example:8443\n"


def test_a_new_name_counts_at_once(stack: Stack) -> None:
    """What Nextcloud wrote into config.php under the former name does not bring it back."""
    config = stack.folder / "data/html/config/config.php"
    assert stack.occ("config:system:set", "theme", "--value=plain").returncode == 0
    assert "cloud.example" in config.read_text(), "Nextcloud writes down all it has read"
    stack.settings |= {"NEXTCLOUD_DOMAIN": "nuage.example", "DOOR_SUFFIX": ""}
    try:
        stack.up("app")
        stack.wait(installed=True)
        assert stack.ask("/status.php", host="nuage.example")[0] == 200
        assert stack.ask("/status.php", host="cloud.example")[0] == 400
        body = stack.ask("/index.php/login/v2", method="POST", host="nuage.example")[1]
        assert json.loads(body)["poll"]["endpoint"] == "https://nuage.example/index.php/login/v2/poll"
        assert stack.occ("config:system:get", "overwrite.cli.url").stdout == "https://nuage.example\n"
    finally:
        stack.settings |= NAMES
        stack.up("app")
        stack.wait(installed=True)
    assert stack.ask("/status.php", host="cloud.example")[0] == 200


def test_failed_logins_count_for_the_visitors_own_address(stack: Stack) -> None:
    """A visitor at home has a private address as well: it must not be taken for one more proxy."""
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-u", "admin:wrong"]
    for address in ("192.168.1.20", "10.1.2.3", "203.0.113.9", "2001:db8::7"):
        claims = [f"-HX-Real-IP: {address}", "-HX-Forwarded-For: 198.51.100.1", "-HX-Forwarded-Host: cloud.example"]
        asked = [*curl, *claims, "-HHost: cloud.example", "http://app/remote.php/dav/files/admin/x"]
        assert stack.door(*asked) == "401"
        assert stack.attempts(address) == 1
        assert f"Login failed: 'admin' (Remote IP: '{address}')" in (
            (stack.folder / "data/html/data/nextcloud.log").read_text()
        )
    assert stack.attempts("198.51.100.1") == 0

    # Through a Caddy as the door's: what a visitor claims to be is not believed.
    site = ":80 {\n reverse_proxy app:80 {\n header_up X-Real-IP {remote_host}\n }\n}\n"
    caddy = f"echo '{site}' >/tmp/Caddyfile && exec caddy run --config /tmp/Caddyfile --adapter caddyfile"
    stack.door("sh", "-c", caddy, name="caddy")
    try:
        visit = (
            "hostname -i; curl -s -o /dev/null --retry 20 --retry-connrefused --retry-delay 1 -u admin:wrong"
            " -H 'Host: cloud.example' -H 'X-Real-IP: 198.51.100.1' -H 'X-Forwarded-For: 198.51.100.1'"
            f" http://{stack.project}-caddy/remote.php/dav/files/admin/x"
        )
        visitor = stack.door("sh", "-c", visit).strip()
        assert stack.attempts(visitor) == 1
        assert stack.attempts("198.51.100.1") == 0
    finally:
        subprocess.run(["docker", "rm", "--force", f"{stack.project}-caddy"], capture_output=True, check=True)


def test_limits_for_a_small_machine(stack: Stack) -> None:
    link = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    link.putrequest("PUT", "/remote.php/dav/files/admin/huge")
    link.putheader("Content-Length", str(4 * 2**30 + 1))
    link.endheaders()
    answer = link.getresponse()
    assert answer.status == 413
    assert answer.getheader("Server") == "Apache", "the stack's own file for Apache is read"
    link.close()
    waiting = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(20)]
    try:
        for visitor in waiting:
            visitor.sendall(b"GET / HTTP/1.1\r\n")
        count = ["sh", "-c", "cat /proc/[0-9]*/comm | grep -c apache2"]
        deadline = time.monotonic() + 20
        while (workers := int(stack.inside("app", count)) - 1) < 12:
            assert time.monotonic() < deadline, workers
            time.sleep(0.5)
        time.sleep(2)
        assert int(stack.inside("app", count)) - 1 == 12
    finally:
        for visitor in waiting:
            visitor.close()
    pool = stack.sql("SELECT @@innodb_buffer_pool_size DIV 1048576, @@tx_isolation")
    assert pool == ["192\tREAD-COMMITTED"]
    assert stack.inside("redis", ["redis-cli", "CONFIG", "GET", "maxmemory"]).split() == ["maxmemory", str(64 * 2**20)]


def test_the_apps_come_by_themselves(stack: Stack) -> None:
    for app in ("calendar", "contacts"):
        stack.until_enabled(app)
    assert not stack.enabled("forms")
    for action in RECIPE["setup"] * 2:
        done = stack.compose("exec", "-T", "-u", action["user"], action["exec"], *action["argv"])
        assert done.returncode == 0, done.stdout + done.stderr
    assert stack.occ("config:app:get", "core", "backgroundjobs_mode").stdout == "cron\n"

    # What people switch off stays off.
    assert stack.occ("app:disable", "calendar").returncode == 0
    assert stack.apps() == 0
    assert not stack.enabled("calendar")
    assert stack.occ("app:enable", "calendar").returncode == 0

    # No way to the app store today: it says so, and comes with the next start of `cron`.
    for key in ("installed_version", "enabled"):
        assert stack.occ("config:app:delete", "contacts", key).returncode == 0
    shutil.rmtree(stack.folder / "data/html/custom_apps/contacts")
    online = ["config:system:set", "has_internet_connection", "--type=boolean"]
    assert stack.occ(*online, "--value=false").returncode == 0
    assert stack.apps() == 1
    assert stack.occ(*online, "--value=true").returncode == 0
    assert stack.compose("restart", "--timeout", "2", "cron").returncode == 0
    stack.until_enabled("contacts")


def test_forms_follows_its_setting(stack: Stack) -> None:
    try:
        stack.settings["NEXTCLOUD_FORMS"] = "yes"
        stack.up("cron")
        stack.until_enabled("forms")
        assert stack.occ("app:disable", "forms").returncode == 0
        assert stack.apps("cron") == 0
        assert not stack.enabled("forms"), "nobody is overruled"
        assert stack.occ("app:enable", "forms").returncode == 0
    finally:
        del stack.settings["NEXTCLOUD_FORMS"]
        stack.up("cron")
    deadline = time.monotonic() + 30
    while stack.enabled("forms"):
        assert time.monotonic() < deadline
        time.sleep(0.3)


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

"""The shipped forms stack under plain `docker compose`: answers, files and the keys to them outlive their containers.

No line of gardien runs here. What is trusted is the contract of the LimeSurvey image; what is tested is all around it.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from ruamel.yaml import YAML

from tests.world.box import IMAGES
from tests.world.sftp import free_port

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "compose/forms/compose.yaml"
RECIPE: dict[str, Any] = YAML(typ="safe").load(SHIPPED)["x-gardien"]
LOGIN = "/index.php/admin/authentication/sa/login"
REMOTE = "/index.php/admin/remotecontrol"
SETTINGS = {
    "FORMS_DOMAIN": "forms.example",
    "DOOR_SUFFIX": ":8443",
    "FORMS_ADMIN_PASSWORD": "AdminsOwn",
    "MYSQL_PASSWORD": "TheApps",
    "MYSQL_ROOT_PASSWORD": "Roots",
}


class Stack:
    """The shipped stack under plain Compose, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.project = f"forms-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.files = [SHIPPED]
        self.settings = {**IMAGES, **SETTINGS, "FORMS_PORT": str(self.port), "DATA": str(self.data)}
        for name, wanted in RECIPE["folders"].items():
            path = self.data / name
            path.mkdir(parents=True)
            path.chmod(int(wanted["mode"], 8))
            os.chown(path, *map(int, wanted["owner"].split(":")))

    def compose(self, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("-f", str(file))]
        return subprocess.run(
            ["docker", "compose", "-p", self.project, *files, *argv],
            env={**os.environ, **self.settings},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )

    def up(self, *words: str) -> None:
        done = self.compose("up", "--detach", *words)
        assert done.returncode == 0, done.stderr

    def recreate(self) -> None:
        """A new container for the application: what lay only in the old one is gone."""
        self.compose("rm", "--stop", "--force", "app")
        self.up("--no-deps", "app")

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "2")

    def inside(self, service: str, argv: list[str], text: str = "") -> str:
        """A command of the manifest, whose `$$` Compose's own rules make a `$`."""
        done = self.compose("exec", "-T", service, *[word.replace("$$", "$") for word in argv], text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def sql(self, statement: str) -> list[str]:
        client = 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb -N -uroot limesurvey'
        return self.inside("db", ["sh", "-c", client], statement).splitlines()

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | str | None = None, **headers: str
    ) -> tuple[int, str, http.client.HTTPMessage]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            link.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            answer = link.getresponse()
            return answer.status, answer.read().decode(), answer.headers
        finally:
            link.close()

    def log_in(self, password: str, **headers: str) -> str:
        form = urlencode({"user": "admin", "password": password})
        kind = "application/x-www-form-urlencoded"
        code, page, got = self.ask(LOGIN, method="POST", body=form, Content_Type=kind, **headers)
        return str(got["Location"]) if code == 302 else page

    def remote(self, method: str, *words: object) -> Any:
        """One call of LimeSurvey's own remote control."""
        code, body, _ = self.ask(REMOTE, method="POST", body=json.dumps({"method": method, "params": words, "id": 1}))
        assert code == 200, body
        return json.loads(body)["result"]

    def key(self) -> str:
        return str(self.remote("get_session_key", "admin", SETTINGS["FORMS_ADMIN_PASSWORD"]))

    def open_survey(self) -> int:
        sid = 100000 + uuid.uuid4().int % 800000
        key = self.key()
        assert self.remote("add_survey", key, sid, "Anamnèse") == sid
        assert self.remote("activate_survey", key, sid) == {"status": "OK"}
        return sid

    def answer(self, sid: int, words: str, file: bytes | None = None, **headers: str) -> int:
        edge = uuid.uuid4().hex
        body = f'--{edge}\r\nContent-Disposition: form-data; name="answer"\r\n\r\n{words}\r\n'.encode()
        if file is not None:
            head = 'Content-Disposition: form-data; name="file"; filename="scan.jpg"\r\nContent-Type: image/jpeg'
            body += f"--{edge}\r\n{head}\r\n\r\n".encode() + file + b"\r\n"
        kind = f"multipart/form-data; boundary={edge}"
        body += f"--{edge}--\r\n".encode()
        return self.ask(f"/index.php/{sid}", method="POST", body=body, Content_Type=kind, **headers)[0]

    def answers(self, sid: int) -> list[str]:
        return [row["answer"] for row in self.remote("export_responses", self.key(), sid)]

    def uploaded(self, sid: int) -> dict[str, bytes]:
        found = self.remote("get_uploaded_files", self.key(), sid)
        return {name: base64.b64decode(content) for name, content in found.items()}

    def well(self) -> int:
        """The answer to the manifest's probe; 0 if there is none."""
        path = RECIPE["probes"]["app"]["http"].replace("http://127.0.0.1:{FORMS_PORT}", "")
        try:
            return self.ask(path)[0]
        except (OSError, http.client.HTTPException):
            return 0

    def wait(self, wanted: int = 200, seconds: float = 45) -> None:
        deadline = time.monotonic() + seconds
        while self.well() != wanted:
            assert time.monotonic() < deadline, f"{self.well()} is not {wanted}: {self.logs()}"
            time.sleep(0.1)

    def refuses(self, words: str) -> None:
        """The application says so, and serves nothing."""
        deadline = time.monotonic() + 45
        while words not in self.logs():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)
        assert self.well() == 0

    def logs(self) -> str:
        return self.compose("logs", "--no-log-prefix", "--tail", "200", "app").stdout


@contextmanager
def running(folder: Path) -> Iterator[Stack]:
    stack = Stack(folder)
    try:
        yield stack
    finally:
        stack.down()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose tests leave it as they found it."""
    with running(tmp_path_factory.mktemp("forms")) as started:
        started.up()
        started.wait()
        yield started


def test_plain_compose_understands_the_file_without_any_setting() -> None:
    bare = {name: text for name, text in os.environ.items() if name in ("PATH", "HOME", "DOCKER_HOST")}
    done = subprocess.run(
        ["docker", "compose", "-f", str(SHIPPED), "config", "--format", "json"],
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    app = json.loads(done.stdout)["services"]["app"]
    assert app["image"] == "martialblog/limesurvey:6.17.15-260811-apache"
    assert app["environment"]["PUBLIC_URL"] == "https://forms.home.arpa"


def test_the_tags_of_updates_are_those_of_the_series() -> None:
    tags = re.compile(RECIPE["updates"]["images"]["LIMESURVEY_IMAGE"]["tags"].replace("$$", "$"))
    assert tags.match("6.17.15-260811-apache")
    for other in ("7.0.9-260812-apache", "6-apache", "6.17.15-260811-fpm", "6.17.15-260811-fpm-alpine", "latest"):
        assert not tags.match(other)


def test_a_first_start_makes_what_must_outlive_it(stack: Stack) -> None:
    keys = stack.data / "keys" / "security.php"
    text = keys.read_text()
    made = dict(re.findall(r"\$config\['(\w+)'\] = '([0-9a-f]+)';", text))
    assert {name: len(value) for name, value in made.items()} == {
        "encryptionnonce": 48,
        "encryptionsecretboxkey": 64,
        "encryptionduplicateindexkey": 64,
    }
    assert text.rstrip().endswith("return $config;"), "where LimeSurvey itself looks when it adds a key"
    assert (keys.stat().st_uid, keys.stat().st_mode & 0o777) == (33, 0o600)
    assert [path.name for path in keys.parent.iterdir()] == ["security.php"]
    assert (stack.data / "upload/surveys/.htaccess").exists(), "what the release itself keeps among the uploads"
    assert (stack.data / "upload/themes/survey/generalfiles").is_dir()
    for name, wanted in RECIPE["folders"].items():
        assert (stack.data / name).stat().st_mode & 0o777 == int(wanted["mode"], 8), (
            f"{name} is as the manifest made it"
        )
    engines = "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = 'limesurvey'"
    assert stack.sql(engines) == ["InnoDB"]
    assert stack.log_in("AdminsOwn").endswith("/index.php/admin/index")


def test_answers_files_and_keys_outlive_the_containers(stack: Stack) -> None:
    sid = stack.open_survey()
    assert stack.answer(sid, "Je dors mal – 🌿", b"\xff\xd8 a picture") == 200
    assert "dors" not in "".join(stack.sql(f"SELECT answer FROM lime_survey_{sid}")), "encrypted in the database"
    keys = (stack.data / "keys/security.php").read_bytes()
    for commands in (("rm --stop --force app", "up --detach"), ("down", "up --detach"), ("restart",)):
        for command in commands:
            assert stack.compose(*command.split()).returncode == 0
        stack.wait()
        assert stack.answers(sid) == ["Je dors mal – 🌿"]
        assert list(stack.uploaded(sid).values()) == [b"\xff\xd8 a picture"]
        assert (stack.data / "keys/security.php").read_bytes() == keys
    assert stack.answer(sid, "mieux") == 200
    assert stack.answers(sid) == ["Je dors mal – 🌿", "mieux"]
    engines = f"SELECT engine FROM information_schema.tables WHERE table_name = 'lime_survey_{sid}'"
    assert stack.sql(engines) == ["InnoDB"]


def test_the_image_alone_would_lose_the_keys(stack: Stack, tmp_path: Path) -> None:
    """The trap itself: without the stack's start.sh a new container makes new keys, and old answers cannot be read."""
    sid = stack.open_survey()
    assert stack.answer(sid, "before") == 200
    bare = tmp_path / "bare.yaml"
    bare.write_text("services: {app: {entrypoint: [entrypoint.sh]}}\n")
    stack.files.append(bare)
    try:
        stack.recreate()
        stack.wait()
        words = json.dumps({"method": "export_responses", "params": [stack.key(), sid]})
        code, body, _ = stack.ask(REMOTE, method="POST", body=words)
        assert code == 500 and "Wrong decryption key!" in body
    finally:
        stack.files.remove(bare)
        stack.recreate()
        stack.wait()
    assert stack.answers(sid) == ["before"]


def test_without_the_keys_nothing_is_served_and_none_are_made(stack: Stack) -> None:
    sid = stack.open_survey()
    assert stack.answer(sid, "before") == 200
    keys, aside = stack.data / "keys/security.php", stack.data / "keys.aside"
    content = keys.read_bytes()
    try:
        keys.rename(aside)
        for emptied in (False, True):  # an empty file is what a power cut leaves of one that is being written
            if emptied:
                keys.touch()
                os.chown(keys, 33, 33)
            stack.recreate()
            stack.refuses("keys/security.php is gone")
            assert keys.exists() is emptied and (not emptied or keys.read_bytes() == b"")
    finally:
        aside.replace(keys)
        stack.recreate()
        stack.wait()
    assert keys.read_bytes() == content
    assert stack.answers(sid) == ["before"]


def test_the_manifest_dumps_and_loads(stack: Stack) -> None:
    sid = stack.open_survey()
    assert stack.answer(sid, "früher 🐤") == 200
    dump = RECIPE["backup"]["dumps"]["database.sql"]
    for engine in ("InnoDB", "MyISAM"):
        stack.sql(f"CREATE TABLE imported (word TEXT) ENGINE={engine}; INSERT INTO imported VALUES ('{engine}')")
        text = stack.inside(dump["exec"], dump["argv"])
        assert re.search(dump["whole"], text.splitlines()[-1])
        stack.sql(f"DROP TABLE imported; UPDATE lime_survey_{sid} SET answer = 'later'")
        for step in RECIPE["restore"]["load"]:
            stack.inside(step["exec"], step["argv"], text if "input" in step else "")
        assert stack.sql("SELECT word FROM imported; DROP TABLE imported") == [engine]
        assert stack.answers(sid) == ["früher 🐤"]
    stack.recreate()
    stack.wait()
    assert stack.answers(sid) == ["früher 🐤"]
    wrong = [word.replace("MARIADB_ROOT_PASSWORD", "NO_SUCH") for word in dump["argv"]]
    done = stack.compose("exec", "-T", "db", *[word.replace("$$", "$") for word in wrong])
    assert done.returncode != 0, "a dump that cannot be made says so"


def stand_still(stack: Stack, engine: str) -> str:
    """Begin the manifest's dump into a pipe that nobody reads, so that it stops in its first table; its connection."""
    command = RECIPE["backup"]["dumps"]["database.sql"]["argv"][-1].replace("$$", "$")
    pipe = "rm -f /tmp/dump /tmp/code; mkfifo /tmp/dump; exec 3<>/tmp/dump; mariadb-dump --result-file=/tmp/dump"
    stack.sql(f"CREATE TABLE aaa_first (word MEDIUMTEXT) ENGINE={engine}")
    stack.sql("INSERT INTO aaa_first VALUES (REPEAT('x', 500000))")
    stack.sql("INSERT INTO aaa_first SELECT * FROM aaa_first;" * 4)
    whole = command.replace("exec mariadb-dump", pipe) + "; echo $? >/tmp/code"
    stack.compose("exec", "-T", "--detach", "db", "sh", "-c", whole)
    standing = (
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%SQL_NO_CACHE%' AND id <> CONNECTION_ID()"
    )
    deadline = time.monotonic() + 15
    while not (dumps := stack.sql(standing)):
        assert time.monotonic() < deadline
    return dumps[0]


def test_a_dump_disturbs_nobody(stack: Stack) -> None:
    """While a dump holds its moment, people go on answering; with a table of another engine they have to wait."""
    sid = stack.open_survey()
    client = ["sh", "-c", 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb -uroot limesurvey']
    answer = f"SET lock_wait_timeout = 1; INSERT INTO lime_survey_{sid} (answer, file) VALUES ('', '')"
    for engine, has_to_wait in (("InnoDB", False), ("MyISAM", True)):
        dump = stand_still(stack, engine)
        done = stack.compose("exec", "-T", "db", *client, text=answer)
        assert (done.returncode != 0) is has_to_wait, (engine, done.stderr)
        stack.sql(f"KILL {dump}; DROP TABLE aaa_first")


def test_a_dump_whose_tables_go_away_fails(stack: Stack) -> None:
    sid = stack.open_survey()
    for statement, code in ((f"CREATE TABLE zzz_{sid} (a INT)", "0"), (f"DROP TABLE lime_survey_{sid}", "2")):
        stand_still(stack, "InnoDB")
        stack.sql(statement)
        stack.inside("db", ["sh", "-c", "cat /tmp/dump >/tmp/read & until [ -s /tmp/code ]; do sleep 0.1; done"])
        assert stack.inside("db", ["cat", "/tmp/code"]).strip() == code, statement
        assert f"zzz_{sid}" not in stack.inside("db", ["cat", "/tmp/read"]), "one that comes is not of that moment"
        stack.sql("DROP TABLE aaa_first")
    stack.sql(f"DROP TABLE zzz_{sid}; DELETE FROM lime_surveys WHERE sid = {sid}")


def amid_installation(stack: Stack, folder: Path, seconds: int) -> None:
    """Start it for the first time, so slowly that some tables are there and others are not."""
    slow = folder / "slow.yaml"
    slow.write_text(f'services: {{app: {{environment: {{GARDIEN_TEST_INSTALL_SECONDS: "{seconds}"}}}}}}\n')
    stack.files.append(slow)
    stack.up()
    deadline = time.monotonic() + 30
    while "lime_surveys" not in stack.sql("SHOW TABLES"):
        assert time.monotonic() < deadline, stack.logs()
        time.sleep(0.1)


def test_a_stop_waits_for_the_step_at_hand(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        amid_installation(stack, tmp_path, 4)
        began = time.monotonic()
        assert stack.compose("stop", "app").returncode == 0
        assert time.monotonic() - began < 15, "not the whole grace that is given"
        assert stack.sql("SELECT COUNT(*) FROM lime_users") == ["1"]
        assert "AH00" not in stack.logs(), "and the web server was not started after it"
        stack.up()
        stack.wait()
        assert not (stack.data / "keys/first-start").exists()


def test_an_installation_cut_short_begins_again(tmp_path: Path) -> None:
    with running(tmp_path) as stack:
        amid_installation(stack, tmp_path, 60)
        assert (stack.data / "keys/first-start").exists()
        keys = (stack.data / "keys/security.php").read_bytes()
        assert stack.compose("kill", "app").returncode == 0  # a power cut
        stack.files.pop()
        stack.recreate()
        stack.wait()
        assert not (stack.data / "keys/first-start").exists()
        assert (stack.data / "keys/security.php").read_bytes() == keys
        sid = stack.open_survey()
        assert stack.answer(sid, "it works") == 200

        # The same tables after the first start are somebody's: a dump that was loaded in part, say.
        stack.sql("RENAME TABLE lime_users TO aside")
        stack.recreate()
        stack.refuses("the database holds tables, but no account")
        assert stack.sql(f"SELECT COUNT(*) FROM lime_survey_{sid}") == ["1"]
        stack.sql("RENAME TABLE aside TO lime_users")
        stack.recreate()
        stack.wait()
        assert stack.answers(sid) == ["it works"]


def test_an_upgrade_that_fails_is_not_served(stack: Stack, tmp_path: Path) -> None:
    sid = stack.open_survey()
    assert stack.answer(sid, "before") == 200
    old = stack.settings["LIMESURVEY_IMAGE"]
    names = {broken: f"gardien-test/{stack.project}:{broken}" for broken in ("upgrade", "none")}
    for broken, name in names.items():
        (tmp_path / "Dockerfile").write_text(
            f"FROM {old}\nENV GARDIEN_TEST_BROKEN={broken}\n"
            "RUN sed -i 's/640/641/' application/config/version.php && echo new >upload/surveys/readme.txt\n"
        )
        build = ["docker", "build", "--network", "none", "--tag", name, str(tmp_path)]
        subprocess.run(build, env={**os.environ, "DOCKER_BUILDKIT": "0"}, capture_output=True, check=True)
    try:
        stack.settings["LIMESURVEY_IMAGE"] = names["upgrade"]
        stack.recreate()
        stack.refuses("the tables are not those of this version")
        stack.settings["LIMESURVEY_IMAGE"] = old
        stack.recreate()
        stack.wait()
        assert stack.answers(sid) == ["before"]
        stack.settings["LIMESURVEY_IMAGE"] = names["none"]
        stack.recreate()
        stack.wait()
        assert stack.sql("SELECT stg_value FROM lime_settings_global WHERE stg_name = 'DBVersion'") == ["641"]
        assert stack.answers(sid) == ["before"]
        assert (stack.data / "upload/surveys/readme.txt").read_text() == "new\n", "a new release brings its own files"
    finally:
        stack.sql("UPDATE lime_settings_global SET stg_value = '640' WHERE stg_name = 'DBVersion'")
        stack.settings["LIMESURVEY_IMAGE"] = old
        stack.recreate()
        stack.wait()
        subprocess.run(["docker", "image", "rm", *names.values()], capture_output=True, check=False)


def test_behind_a_door_that_speaks_https(stack: Stack) -> None:
    door = {"Host": "forms.example:8443", "X_Forwarded_Proto": "https", "X_Real_IP": "192.168.7.7"}
    code, _, headers = stack.ask("/index.php/admin", **door)
    assert (code, headers["Location"]) == (302, "https://forms.example:8443/index.php/admin/index")
    assert "; secure" in stack.ask(LOGIN, **door)[2]["Set-Cookie"].lower()
    assert "; secure" not in stack.ask(LOGIN)[2]["Set-Cookie"].lower(), "on this machine itself, without the door"
    sid = stack.open_survey()
    assert f"https://forms.example:8443/index.php/{sid}" in stack.ask("/index.php")[1]


def test_one_person_locks_nobody_else_out(stack: Stack) -> None:
    for _ in range(4):
        stack.log_in("guess", X_Real_IP="192.168.7.7")
    assert "exceeded the number" in stack.log_in("AdminsOwn", X_Real_IP="192.168.7.7")
    liar = {"X_Real_IP": "192.168.7.7", "Client_IP": "203.0.113.9", "X_Forwarded_For": "203.0.113.9"}
    assert "exceeded the number" in stack.log_in("AdminsOwn", **liar)
    assert stack.log_in("AdminsOwn", X_Real_IP="192.168.7.8").endswith("/admin/index")
    sid = stack.open_survey()
    assert stack.answer(sid, "from home", X_Real_IP="10.1.2.3") == 200
    assert [row["ipaddr"] for row in stack.remote("export_responses", stack.key(), sid)] == ["10.1.2.3"]
    stack.sql("DELETE FROM lime_failed_login_attempts")


def test_files_of_answers_are_large_enough_and_private(stack: Stack) -> None:
    sid = stack.open_survey()
    assert stack.answer(sid, "a scan", b"x" * 3_000_000) == 200
    assert stack.answer(sid, "a film", b"x" * 35_000_000) == 400
    ((name, content),) = stack.uploaded(sid).items()
    assert len(content) == 3_000_000
    assert stack.ask(f"/upload/surveys/{sid}/files/{name}")[0] == 403
    (stack.data / f"upload/surveys/{sid}/files/leaflet.txt").write_text("for everybody")
    assert stack.ask(f"/upload/surveys/{sid}/files/leaflet.txt")[:2] == (200, "for everybody")
    assert stack.ask("/application/config/security.php")[0] == 403


def test_the_probe_asks_the_database(stack: Stack) -> None:
    assert stack.compose("stop", "db").returncode == 0
    assert stack.well() == 500
    stack.recreate()
    deadline = time.monotonic() + 15
    while "waiting for the database" not in stack.logs():
        assert time.monotonic() < deadline, stack.logs()
        time.sleep(0.2)
    assert stack.well() == 0
    began = time.monotonic()
    assert stack.compose("stop", "app").returncode == 0
    assert time.monotonic() - began < 6, "it hears a stop while it waits"
    stack.up()
    stack.wait()
    began = time.monotonic()
    assert stack.compose("stop", "app").returncode == 0
    assert time.monotonic() - began < 6
    stack.up()
    stack.wait()


def test_a_folder_mounted_over_the_uploads_is_never_emptied(tmp_path: Path) -> None:
    """Somebody's own Compose file, made for the image alone, mounts the folder where LimeSurvey looks for it."""
    with running(tmp_path) as stack:
        (stack.data / "upload/mine.txt").write_text("mine")
        os.chown(stack.data / "upload/mine.txt", 33, 33)
        other = tmp_path / "other.yaml"
        other.write_text("services: {app: {volumes: ['${DATA}/upload:/var/www/html/upload']}}\n")
        stack.files.append(other)
        stack.up()
        stack.refuses("a folder is mounted at /var/www/html/upload")
        assert (stack.data / "upload/mine.txt").read_text() == "mine"

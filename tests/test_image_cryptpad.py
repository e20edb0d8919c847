"""The shipped CryptPad stack under plain `docker compose`, on an image that keeps the real one's contract.

No line of gardien runs here.
"""

import base64
import hashlib
import http.client
import json
import os
import re
import secrets
import shutil
import socket
import struct
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright
from ruamel.yaml import YAML

from tests.world.box import IMAGES, docker, free_port
from tests.world.restic import RESTIC

SHIPPED = Path(__file__).parents[1] / "compose/cryptpad"
COMPOSE: dict[str, Any] = YAML(typ="safe").load(SHIPPED / "compose.yaml")
RECIPE: dict[str, Any] = COMPOSE["x-gardien"]
IMAGE = IMAGES["CRYPTPAD_IMAGE"]
MAIN, SANDBOX = "https://pad.example", "https://pad-safe.example"


class Pads:
    """The shipped stack in a folder of its own, and what a browser would do with it."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.home = folder / "compose"
        self.data = folder / "data"
        self.project = f"pads-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.settings = {
            "CRYPTPAD_IMAGE": IMAGE,
            "CRYPTPAD_DOMAIN": "pad.example",
            "CRYPTPAD_SANDBOX": "pad-safe.example",
            "CRYPTPAD_PORT": str(self.port),
            "CRYPTPAD_LOGIN_SALT": "a" * 64,
            "DATA": str(self.data),
            **settings,
        }
        self.extra: dict[str, str] = {}  # environment that the shipped file knows nothing of
        shutil.copytree(SHIPPED, self.home)
        self.make_folders()

    def make_folders(self) -> None:
        for name, wanted in RECIPE["folders"].items():
            (self.data / name).mkdir(parents=True, exist_ok=True)
            os.chown(self.data / name, *map(int, wanted["owner"].split(":")))
            (self.data / name).chmod(int(wanted["mode"], 8))

    def compose(self, *argv: str) -> subprocess.CompletedProcess[str]:
        (self.home / ".env").write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        override = self.folder / "override.yaml"
        override.write_text(json.dumps({"services": {"cryptpad": {"environment": self.extra}}}))
        return subprocess.run(
            ["docker", "compose", "-p", self.project, "-f", "compose.yaml", "-f", str(override), *argv],
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def up(self, *, well: bool = True) -> None:
        done = self.compose("up", "--detach")
        assert done.returncode == 0, done.stderr
        if well:
            self.until_told()

    def again(self) -> None:
        assert self.compose("restart", "--timeout", "2").returncode == 0
        self.until_told()

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "2")

    def logs(self) -> str:
        done = self.compose("logs", "--no-log-prefix")
        return done.stdout + done.stderr

    def until_logged(self, words: str) -> None:
        deadline = time.monotonic() + 20
        while words not in self.logs():
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.3)

    @property
    def container(self) -> str:
        return f"{self.project}-cryptpad-1"

    def fact(self, template: str) -> str:
        return docker("inspect", "--format", template, self.container).strip()

    @property
    def addresses(self) -> list[str]:
        """Where it stands on its networks, without any published port."""
        return self.fact("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}").split()

    def inside(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return self.compose("exec", "-T", "cryptpad", *argv)

    def link(self) -> str:
        told = RECIPE["first_login"]["CRYPTPAD_INSTALL_LINK"]
        done = self.inside(*told["argv"])
        assert done.returncode == 0, done.stderr
        found = re.search(told["find"].replace("$$", "$"), done.stdout, re.MULTILINE)
        return found[0] if found else ""

    # -- over HTTP

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | str | None = None, host: str = "pad.example"
    ) -> tuple[int, str, dict[str, str]]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request(method, path, body.encode() if isinstance(body, str) else body, {"Host": host})
            answer = link.getresponse()
            return answer.status, answer.read().decode(), {key.lower(): value for key, value in answer.getheaders()}
        finally:
            link.close()

    def told(self) -> dict[str, Any]:
        """What /api/config hands to browsers: JavaScript around JSON."""
        status, text, _ = self.ask("/api/config")
        assert status == 200
        return dict(json.loads(text.removeprefix("define(function(){;\nreturn ").removesuffix(";\n});")))

    def until_told(self, **wanted: object) -> None:
        deadline = time.monotonic() + 40
        while True:
            try:
                if wanted.items() <= self.told().items():
                    return
            except (OSError, http.client.HTTPException):
                pass  # it is being restarted
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.2)

    def key(self, name: str, password: str) -> str:
        """The public key of an account, which a browser works out of name, password and the salt it is served."""
        _, text, _ = self.ask("/customize/application_config.js")
        found = re.search(r"AppConfig\.loginSalt = '(\w+)'", text)
        assert found, text
        derived = hashlib.scrypt(password.encode(), salt=(name + found[1]).encode(), n=256, r=8, p=1, dklen=32)
        return base64.b64encode(derived, altchars=b"+-").decode()

    def register(self, name: str, password: str) -> int:
        return self.ask(f"/contract/block/{self.key(name, password)}", method="PUT", body=f"drive of {name}")[0]

    def logs_in(self, name: str, password: str) -> bool:
        key = self.key(name, password)
        status, text, _ = self.ask(f"/block/{key[:2]}/{key}")
        return status == 200 and text == f"drive of {name}"

    def claim(self, name: str, password: str, token: str) -> int:
        """The installation page: an account, then the first administrator."""
        assert self.register(name, password) == 201
        body = json.dumps({"token": token})
        return self.ask(f"/contract/admin/{self.key(name, password)}", method="POST", body=body)[0]

    def decree(self, name: str, password: str, command: str, *args: object) -> int:
        """The administration page."""
        body = json.dumps([command, args])
        return self.ask(f"/contract/decree/{self.key(name, password)}", method="POST", body=body)[0]

    def write(self, channel: str, line: str) -> None:
        assert self.ask(f"/contract/channel/{channel}", method="POST", body=line)[0] == 201

    def read(self, channel: str) -> str:
        return self.ask(f"/contract/channel/{channel}")[1]

    def decrees(self) -> list[list[Any]]:
        lines = (self.data / "data/decrees/decree.ndjson").read_text().splitlines()
        return [json.loads(line) for line in lines]


@contextmanager
def pads(folder: Path, **settings: str) -> Iterator[Pads]:
    made = Pads(folder, **settings)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pads]:
    """A stack that its tests leave running and unclaimed."""
    with pads(tmp_path_factory.mktemp("pads")) as made:
        assert made.compose("up", "--detach", "--wait").returncode == 0, made.logs()
        yield made


def opened(host: str, port: int, *, key: str = "") -> tuple[socket.socket, str]:
    """A websocket, and the head of the server's answer."""
    link = socket.create_connection((host, port), timeout=5)
    key = key or base64.b64encode(secrets.token_bytes(16)).decode()
    link.sendall(
        f"GET /cryptpad_websocket HTTP/1.1\r\nHost: pad.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n") and (byte := link.recv(1)):
        head += byte
    return link, head.decode()


def frame(payload: bytes, *, opcode: int = 1, final: bool = True) -> bytes:
    """A client's frame, masked."""
    length, mask = len(payload), secrets.token_bytes(4)
    size = 126 if 126 <= length < 65536 else 127 if length >= 65536 else length
    tail = struct.pack(">H", length) if size == 126 else struct.pack(">Q", length) if size == 127 else b""
    masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    return bytes([(0x80 if final else 0) | opcode, 0x80 | size]) + tail + mask + masked


def message(link: socket.socket) -> tuple[int, bytes]:
    """The next frame of the server: its opcode and what it holds."""

    def exactly(count: int) -> bytes:
        got = b""
        while len(got) < count:
            piece = link.recv(count - len(got))
            assert piece, "the connection ended"
            got += piece
        return got

    first, size = exactly(2)
    assert first & 0x80 and not size & 0x80, "whole, and not masked"
    if size >= 126:
        (size,) = struct.unpack(">H" if size == 126 else ">Q", exactly(2 if size == 126 else 8))
    return first & 0x0F, exactly(size)


# -- the stack as it is shipped


def test_it_answers_for_two_addresses_with_its_own_headers(running: Pads) -> None:
    told = running.told()
    assert (told["httpUnsafeOrigin"], told["httpSafeOrigin"]) == (MAIN, SANDBOX)
    assert re.fullmatch(r"ver=2026\.2\.2-\d+", told["requireConf"]["urlArgs"])
    assert told["inactiveTime"] is False
    assert told["restrictRegistration"] is False, "the first account must be possible"
    for host in ("pad.example", "pad-safe.example"):
        status, text, headers = running.ask("/", host=host)
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert f'content="{MAIN}/"' in text, "a page that was built at the start"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["cross-origin-resource-policy"] == "cross-origin"
        assert headers["access-control-allow-origin"] == SANDBOX
        assert f"frame-src 'self' blob: {SANDBOX};" in headers["content-security-policy"]
    assert "content-security-policy" not in running.ask("/api/config")[2]
    assert running.ask("/block/placeholder.txt")[:2] == (200, "PLACEHOLDER\n")
    assert running.ask("/datastore/ab/secret.ndjson")[0] == 403
    assert running.ask("/nowhere/")[0] == 404
    assert running.ask("/customize/../config/config.js")[0] == 400


def test_the_probes_of_the_manifest(running: Pads) -> None:
    probes = RECIPE["probes"]
    assert probes["cryptpad"]["http"] == "http://127.0.0.1:{CRYPTPAD_PORT}/api/config"
    assert re.search(probes["cryptpad"]["expect"]["body"], running.ask("/api/config")[1], re.MULTILINE)
    assert running.inside(*probes["websocket"]["argv"]).returncode == 0
    assert running.fact("{{.State.Health.Status}}") == "healthy"


def test_it_runs_as_the_user_whose_files_it_keeps(running: Pads) -> None:
    owners = running.inside("sh", "-c", "grep -h ^Uid: /proc/[0-9]*/status").stdout.split("\n")
    assert {line.split()[1] for line in owners if line} == {"4001"}
    files = [path for path in running.data.rglob("*") if path != running.data]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in files} == {(4001, 4001)}
    assert {"block/placeholder.txt", "customize/application_config.js", "customize/www/index.html"} <= {
        str(path.relative_to(running.data)) for path in files
    }
    assert running.inside("sh", "-c", "ulimit -n").stdout == "16384\n"
    assert running.fact("{{.HostConfig.Memory}} {{.HostConfig.SecurityOpt}}") == "1073741824 [no-new-privileges:true]"
    assert running.inside("sh", "-c", "echo x >>/cryptpad/config/config.js").returncode != 0


def test_only_the_page_is_published_and_only_here(running: Pads) -> None:
    assert docker("port", running.container) == f"3000/tcp -> 127.0.0.1:{running.port}\n"
    networks = running.fact("{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}").split()
    assert networks == [f"{running.project}_default", f"{running.project}_door"]
    for address in running.addresses:  # where the door asks
        for port in (3000, 3003):
            link, head = opened(address, port)
            link.close()
            assert head.startswith("HTTP/1.1 101 ")


def test_messages_come_back_through_the_websocket(running: Pads) -> None:
    link, head = opened(running.addresses[0], 3003, key="dGhlIHNhbXBsZSBub25jZQ==")
    with link:
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head  # the example of RFC 6455
        for payload in (b"", b"bonjour", b"x" * 126, b"y" * 65535, b"z" * 70_000):
            link.sendall(frame(payload))
            assert message(link) == (1, payload)
        link.sendall(frame(b"a ping", opcode=9))
        assert message(link) == (10, b"a ping")
        link.sendall(frame(b"in ", opcode=2, final=False) + frame(b"two", opcode=0))
        assert message(link) == (2, b"in two")
        link.sendall(frame(struct.pack(">H", 1000), opcode=8))
        assert message(link) == (8, struct.pack(">H", 1000))
        assert link.recv(1) == b""
    link, head = opened(running.addresses[0], 3003, key="too short")
    link.close()
    assert head.startswith("HTTP/1.1 400 ")


def test_the_configuration_names_every_path_and_none_outside_the_mounts(running: Pads) -> None:
    read = running.inside("node", "-e", "console.log(JSON.stringify(require('/cryptpad/config/config.js')))")
    config = json.loads(read.stdout)
    assert (config["httpAddress"], config["maxWorkers"]) == ("0.0.0.0", 2)
    assert config["disableIntegratedEviction"] is True
    assert config["blockDailyCheck"] is True
    mounts = [mount["target"] for mount in COMPOSE["services"]["cryptpad"]["volumes"] if isinstance(mount, dict)]
    paths = {key: value for key, value in config.items() if key.endswith("Path") and value is not False}
    assert set(paths) == {
        *("filePath", "blobPath", "blockPath", "pinPath", "taskPath"),
        *("decreePath", "archivePath", "blobStagingPath"),
    }
    for value in paths.values():
        absolute = os.path.normpath(f"/cryptpad/{value}")
        assert any(absolute == mount or absolute.startswith(f"{mount}/") for mount in mounts), absolute
    # The image's own fallbacks are elsewhere: nothing may have gone there.
    assert running.inside("ls", "-d", "/cryptpad/pins", "/cryptpad/tasks", "/cryptpad/blobstage").returncode != 0


def test_what_people_write_lies_where_the_backup_looks(running: Pads) -> None:
    channel, blob = secrets.token_hex(16), secrets.token_hex(24)
    key = running.key("anna", "correct horse")
    assert running.register("anna", "correct horse") == 201
    running.write(channel, '["first"]')
    running.write(channel, '["second"]')
    assert running.ask(f"/contract/blob/{blob}", method="PUT", body=b"\0sealed")[0] == 201
    assert running.ask(f"/contract/pin/{key}", method="POST", body=json.dumps([channel, blob]))[0] == 201
    assert running.logs_in("anna", "correct horse")
    assert not running.logs_in("anna", "correct hors")
    assert running.read(channel) == '["first"]\n["second"]\n'
    assert (running.data / f"datastore/{channel[:2]}/{channel}.ndjson").read_text() == '["first"]\n["second"]\n'
    assert (running.data / f"blob/{blob[:2]}/{blob}").read_bytes() == b"\0sealed"
    assert (running.data / f"block/{key[:2]}/{key}").exists()
    assert channel in (running.data / f"data/pins/{key[:2]}/{key}.ndjson").read_text()


def test_the_page_is_white_unless_both_addresses_are_right(tmp_path: Path) -> None:
    with pads(tmp_path) as made, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        made.up()
        page.goto(f"http://127.0.0.1:{made.port}/", wait_until="networkidle")
        assert page.locator("main").is_hidden()
        # Two addresses that a browser here can open; with TLS and names it is the door's business.
        main, sandbox = f"http://127.0.0.1:{made.port}", f"http://localhost:{made.port}"
        made.extra = {"CPAD_MAIN_DOMAIN": main, "CPAD_SANDBOX_DOMAIN": sandbox}
        made.up()
        page.goto(main, wait_until="networkidle")
        page.locator("main").wait_for(state="visible", timeout=5000)
        made.extra["CPAD_SANDBOX_DOMAIN"] = f"http://127.0.0.2:{made.port}"  # nobody answers there
        made.up()
        page.goto(main, wait_until="networkidle")
        assert page.locator("main").is_hidden()
        browser.close()


def test_a_stop_is_short_and_loses_nothing(running: Pads) -> None:
    channel = secrets.token_hex(16)
    running.write(channel, '["before"]')
    began = time.monotonic()
    assert running.compose("stop", *RECIPE["backup"]["pause"][0]["stop"]).returncode == 0
    assert time.monotonic() - began < 4, "it does not wait to be killed"
    assert running.compose("start", *RECIPE["backup"]["resume"][0]["start"]).returncode == 0
    running.until_told(httpUnsafeOrigin=MAIN)
    assert running.read(channel) == '["before"]\n'


# -- the login salt


def test_the_salt_is_written_once_and_everything_hangs_on_it(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        written = made.data / "customize/application_config.js"
        made.up()
        first = written.read_text()
        assert "AppConfig.loginSalt = '" + "a" * 64 + "';" in first
        assert (
            made.inside(
                "node", "-e", "process.exit(require('/cryptpad/customize/application_config.js').loginSalt.length)"
            ).returncode
            == 64
        )
        assert made.register("anna", "correct horse") == 201

        made.settings["CRYPTPAD_LOGIN_SALT"] = "b" * 64  # another secret: the file stays
        made.up()
        assert written.read_text() == first
        assert made.logs_in("anna", "correct horse")

        written.write_text(first.replace("a" * 64, "b" * 64))
        made.again()
        assert not made.logs_in("anna", "correct horse"), "another salt, and nobody can log in"

        # Lost, and nobody knows it: a new one would lock everybody out, so it does not start.
        written.unlink()
        made.settings["CRYPTPAD_LOGIN_SALT"] = ""
        made.up(well=False)
        made.until_logged("there are accounts, and their login salt is gone")
        assert not written.exists()

        made.settings["CRYPTPAD_LOGIN_SALT"] = "a" * 64  # gardien has kept the secret
        made.up()
        assert written.read_text() == first
        assert made.logs_in("anna", "correct horse")


def test_without_a_secret_it_makes_a_salt_of_its_own(tmp_path: Path) -> None:
    with pads(tmp_path, CRYPTPAD_LOGIN_SALT="") as made:
        (made.data / "customize/application_config.js").touch()  # a power cut in the first second
        made.up()
        made.register("anna", "correct horse")
        text = (made.data / "customize/application_config.js").read_text()
        assert re.search(r"loginSalt = '[A-Za-z0-9]{64}';", text)
        made.again()
        assert made.logs_in("anna", "correct horse")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"CRYPTPAD_SANDBOX": "pad.example"}, "must be two different names"),
        ({"CRYPTPAD_SANDBOX": "pad safe"}, "must be names"),
        ({"CRYPTPAD_LOGIN_SALT": "aaaaaaaa');alert(1)//"}, "must be 16 letters and digits or more"),
    ],
)
def test_it_says_what_is_wrong_instead_of_showing_a_white_page(
    tmp_path: Path, settings: dict[str, str], words: str
) -> None:
    with pads(tmp_path, **settings) as made:
        made.up(well=False)
        made.until_logged(words)
        assert not (made.data / "customize/application_config.js").exists()


def test_it_names_the_folder_it_cannot_write_to(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        os.chown(made.data / "block", 0, 0)
        made.up(well=False)
        made.until_logged("the folder block must belong to user 4001")


# -- the first administrator, and registration


def test_registration_closes_by_itself_after_the_first_administrator(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        made.extra["CRYPTPAD_QUIET_SECONDS"] = "4"
        made.up()
        link = made.link()
        assert re.fullmatch(MAIN + r"/install/#[0-9a-f]{64}", link)
        assert link in made.logs(), "the same that CryptPad prints itself"
        token = link.partition("#")[2]
        assert made.claim("eve", "guessed it all", "0" * 64) == 403
        assert made.told()["restrictRegistration"] is False, "an account is not an administrator: still open"
        assert made.claim("anna", "correct horse", token) == 201
        assert made.claim("eve2", "guessed it all", token) == 403, "the link serves once"
        assert made.link() == ""
        # Installation pages that follow: no restart in the middle of them.
        for name in ("Practice", "Cabinet"):
            time.sleep(2)
            assert made.decree("anna", "correct horse", "SET_INSTANCE_NAME", name) == 201
        assert made.told()["restrictRegistration"] is False
        made.until_told(restrictRegistration=True)
        assert made.fact("{{.RestartCount}}") == "1"
        assert made.decrees()[-1][:3] == ["RESTRICT_REGISTRATION", [True], "gardien"]
        assert made.register("bob", "lets me in please") == 403
        assert made.logs_in("anna", "correct horse")

        # An administrator may open it for a while: the next start closes it again.
        assert made.decree("anna", "correct horse", "RESTRICT_REGISTRATION", False) == 201
        assert made.register("bob", "lets me in please") == 201
        made.again()
        made.until_told(restrictRegistration=True)
        count = len(made.decrees())
        made.again()
        made.until_told(restrictRegistration=True)
        assert len(made.decrees()) == count, "what is so already is not decreed again"

        # The owner says otherwise: our own word is taken back, an administrator's is not.
        made.settings["CRYPTPAD_REGISTRATION"] = "open"
        made.up()
        assert made.told()["restrictRegistration"] is False
        assert made.decree("anna", "correct horse", "RESTRICT_REGISTRATION", True) == 201
        made.again()
        made.until_told(restrictRegistration=True)
        assert made.decrees()[-1][2] == made.key("anna", "correct horse")


def test_who_closes_registration_on_the_installation_page_is_not_interrupted(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        made.extra["CRYPTPAD_QUIET_SECONDS"] = "1"
        made.up()
        assert made.claim("anna", "correct horse", made.link().partition("#")[2]) == 201
        assert made.decree("anna", "correct horse", "RESTRICT_REGISTRATION", True) == 201
        time.sleep(8)
        assert made.fact("{{.RestartCount}}") == "0"
        assert made.register("bob", "lets me in please") == 403
        # A power cut in the middle of a decree: ours goes on a line of its own.
        assert made.decree("anna", "correct horse", "RESTRICT_REGISTRATION", False) == 201
        with (made.data / "data/decrees/decree.ndjson").open("a") as file:
            file.write('["SET_INSTANCE_NAME",["Prac')
        made.again()
        assert made.told()["restrictRegistration"] is True
        assert made.fact("{{.RestartCount}}") == "0"


# -- what else the start does


def test_deleted_documents_leave_after_their_time_alone(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        made.extra["CRYPTPAD_CLEANING_SECONDS"] = "1"
        made.up()
        made.until_logged('"EVICT_ARCHIVED_CHANNELS_REMOVED",0')
        channel = secrets.token_hex(16)
        made.write(channel, '["x"]')
        assert made.ask(f"/contract/channel/{channel}", method="DELETE")[0] == 200
        assert (made.data / f"data/archive/datastore/{channel[:2]}/{channel}.ndjson").exists()
        config = made.home / "config.js"
        config.write_text(config.read_text().replace("archiveRetentionTime: 15", "archiveRetentionTime: 0"))
        made.compose("up", "--detach", "--force-recreate")
        made.until_logged('"EVICT_ARCHIVED_CHANNELS_REMOVED",1')
        assert not (made.data / f"data/archive/datastore/{channel[:2]}/{channel}.ndjson").exists()


def test_onlyoffice_is_fetched_when_wanted_and_no_start_waits_for_the_internet(tmp_path: Path) -> None:
    with pads(tmp_path) as made:
        made.up()
        assert list((made.data / "onlyoffice-dist").iterdir()) == [], "not unless the owner accepts its licence"
        made.settings["CRYPTPAD_OFFICE"] = "yes"
        made.extra["GARDIEN_TEST_INTERNET"] = "no"
        made.up()
        assert "cannot fetch OnlyOffice" in made.logs()
        made.extra.clear()
        made.up()
        assert (made.data / "onlyoffice-dist/v9/.version").exists()
        assert (made.data / "onlyoffice-conf/onlyoffice.properties").read_text() == "oldest_needed_version=v9\n"


# -- there and back


def tree(data: Path) -> dict[str, bytes | None]:
    """What a backup of this stack holds, by the manifest: folders (None) and files."""
    out = [*RECIPE["backup"]["leave_out"]]
    found: dict[str, bytes | None] = {}
    for name in RECIPE["backup"]["save"]:
        for path in (data / name, *(data / name).rglob("*")):
            inside = str(path.relative_to(data))
            if not any(inside == each or inside.startswith(f"{each}/") for each in out):
                found[inside] = path.read_bytes() if path.is_file() else None
    return found


def filled(made: Pads) -> dict[str, str]:
    """Accounts, documents, files and something deleted; channel -> what it holds."""
    written: dict[str, str] = {}
    for name in ("anna", "benoît"):
        assert made.register(name, "correct horse") == 201
        channels = [secrets.token_hex(16) for _ in range(5)]
        for channel in channels:
            made.write(channel, json.dumps([name, "chiffré 🔒"]))
            written[channel] = made.read(channel)
        blob = secrets.token_hex(24)
        assert made.ask(f"/contract/blob/{blob}", method="PUT", body=secrets.token_bytes(5000))[0] == 201
        pins = json.dumps([*channels, blob])
        assert made.ask(f"/contract/pin/{made.key(name, 'correct horse')}", method="POST", body=pins)[0] == 201
    gone = secrets.token_hex(16)
    made.write(gone, "deleted")
    assert made.ask(f"/contract/channel/{gone}", method="DELETE")[0] == 200
    return written


def test_the_commands_of_the_readme_bring_everything_back(tmp_path: Path) -> None:
    """Word by word, with plain restic and plain Compose, on a machine that has nothing else."""
    readme = (SHIPPED / "README.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", readme, re.DOTALL)
    back = "\n".join(block for block in blocks if "restic" in block or "/srv/gardien/cryptpad" in block)
    assert back.count("restic restore") == 1
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/restic").symlink_to(shutil.which(RESTIC) or RESTIC)
    (tmp_path / "passphrase.txt").write_text("seven easy words")
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "RESTIC_REPOSITORY": str(tmp_path / "repository"),
        "RESTIC_PASSWORD_FILE": str(tmp_path / "passphrase.txt"),
    }

    def run(*argv: str) -> None:
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    with pads(tmp_path / "old") as made:
        # As gardien lays it out: the data, and the Compose project in .gardien/compose.
        home = tmp_path / "srv/cryptpad"
        home.parent.mkdir()
        made.data.rename(home)
        made.data = home
        made.settings["DATA"] = str(home)
        (home / ".gardien").mkdir()
        made.home = made.home.rename(home / ".gardien/compose")
        made.up()
        written = filled(made)
        made.compose("stop")
        before = tree(home)
        assert not any("archive" in path for path in before)
        run("restic", "init")
        excludes = [f"--exclude={home / path}" for path in RECIPE["backup"]["leave_out"]]
        run("restic", "backup", str(home), *excludes, "--tag", "stack=cryptpad,pass=final")
        made.down()
        shutil.rmtree(home)

        for words, here in (
            ("/mnt/usb/gardien", str(tmp_path / "repository")),
            ("/srv/gardien/cryptpad", str(home)),
            ("passphrase.txt", str(tmp_path / "passphrase.txt")),
            ("--project-name cryptpad", f"--project-name {made.project}"),
        ):
            assert words in back
            back = back.replace(words, here)
        run("bash", "-euo", "pipefail", "-c", back)
        made.until_told(httpUnsafeOrigin=MAIN)
        after = tree(home)
        # It is the same CryptPad: nothing is new but what a start writes.
        assert {path: text for path, text in after.items() if path in before} == before
        assert set(after) == set(before)
        for name in ("anna", "benoît"):
            assert made.logs_in(name, "correct horse")
        assert {channel: made.read(channel) for channel in written} == written
        assert (home / "data/archive").exists() is False


def test_the_commands_of_the_readme_start_it_without_gardien(tmp_path: Path) -> None:
    readme = (SHIPPED / "README.md").read_text()
    (start,) = (block for block in re.findall(r"```sh\n(.*?)```", readme, re.DOTALL) if "compose up" in block)
    with pads(tmp_path / "shop") as made:
        shutil.rmtree(made.data)
        del made.settings["DATA"], made.settings["CRYPTPAD_DOMAIN"], made.settings["CRYPTPAD_SANDBOX"]
        made.settings["COMPOSE_PROJECT_NAME"] = made.project
        made.compose("config")  # writes .env
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", start],
            cwd=made.home,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert made.told()["httpUnsafeOrigin"] == "https://pad.home.arpa"
        assert re.search(r"^https://pad\.home\.arpa/install/#[0-9a-f]{64}$", done.stdout, re.MULTILINE)


# -- the image by itself: what the shipped files guard against


@contextmanager
def bare(config: str | None, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The image without the shipped files, `config` as its config.js: its name, and its address on its network."""
    name = f"pads-{uuid.uuid4().hex[:8]}"
    mount: list[str] = []
    if config is not None:
        (tmp_path / "config.js").write_text(config)
        mount = ["--volume", f"{tmp_path}/config.js:/cryptpad/config/config.js:ro"]
    docker("network", "create", name)
    try:
        environment = {
            "CPAD_MAIN_DOMAIN": MAIN,
            "CPAD_SANDBOX_DOMAIN": SANDBOX,
            "CPAD_CONF": "/cryptpad/config/config.js",
        }
        given = [word for key, value in environment.items() for word in ("--env", f"{key}={value}")]
        docker("run", "--detach", "--init", "--name", name, "--network", name, *given, *mount, IMAGE)
        address = docker(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name
        ).strip()
        deadline = time.monotonic() + 20
        while not docker("exec", name, "curl", "-fsS", "http://localhost:3000/api/config", check=False):
            assert time.monotonic() < deadline, docker("logs", name)
            time.sleep(0.2)
        yield name, address
    finally:
        docker("rm", "--force", "--volumes", name, check=False)
        docker("network", "rm", name, check=False)


def reached(address: str) -> str:
    """What it answers from beyond its own localhost; nothing if it does not."""
    link = http.client.HTTPConnection(address, 3000, timeout=3)
    try:
        link.request("GET", "/api/config")
        return link.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        link.close()


def test_a_config_without_an_address_listens_to_itself_alone(tmp_path: Path) -> None:
    with bare(f"module.exports = {{httpUnsafeOrigin: '{MAIN}', httpSafeOrigin: '{SANDBOX}'}};", tmp_path) as (
        name,
        address,
    ):
        docker("exec", name, "curl", "-f", "http://localhost:3000/")  # its own health check is content
        assert reached(address) == ""
        assert (
            docker("exec", name, "ls", "-d", "/cryptpad/pins", "/cryptpad/tasks", "/cryptpad/blobstage").count("\n")
            == 3
        )


def test_without_a_config_the_example_is_taken_and_reaches_everybody(tmp_path: Path) -> None:
    with bare(None, tmp_path) as (name, address):
        assert f'"httpUnsafeOrigin": "{MAIN}"' in reached(address)
        assert f'"httpSafeOrigin": "{SANDBOX}"' in reached(address)
        assert docker("exec", name, "id", "-u") == "4001\n"
        printed = docker("exec", name, "npm", "run", "installtoken")
        assert "Existing token" in printed and f"Please visit {MAIN}/install/" in printed


def test_a_config_that_throws_goes_unnoticed_but_for_the_probe(tmp_path: Path) -> None:
    with bare("throw new Error('a typing error');", tmp_path) as (name, address):
        body = reached(address)
        assert '"httpUnsafeOrigin": "http://localhost:3000"' in body
        assert not re.search(RECIPE["probes"]["cryptpad"]["expect"]["body"], body, re.MULTILINE)
        assert "loading the example config" in docker("logs", name)

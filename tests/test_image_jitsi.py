"""The shipped Jitsi stack under plain `docker compose`, on images that keep the real ones' contract.

No line of gardien runs here. What browsers say to Jitsi is said by `Browser`, over the same addresses.
"""

import base64
import http.client
import os
import re
import secrets
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.world.box import IMAGES, docker, free_port
from tests.world.caller import Browser, Refused
from tests.world.restic import RESTIC

SHIPPED = Path(__file__).parents[1] / "compose/jitsi"
COMPOSE: dict[str, Any] = YAML(typ="safe").load(SHIPPED / "compose.yaml")
RECIPE: dict[str, Any] = COMPOSE["x-gardien"]
PARTS = ("web", "prosody", "jicofo", "jvb")
SECRETS = {"JITSI_PASSWORD": "Anna1234Anna1234Anna", "JICOFO_AUTH_PASSWORD": "f" * 32, "JVB_AUTH_PASSWORD": "b" * 32}
REGISTER = "prosodyctl --config /run/prosody/config/prosody.cfg.lua register"


class Calls:
    """The shipped stack in a folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.home = folder / "compose"
        self.data = Path(settings.get("DATA", folder / "data"))
        self.project = f"calls-{uuid.uuid4().hex[:8]}"
        self.port = free_port()
        self.media = free_port()
        self.settings = {
            **{name: IMAGES[name] for name in (f"JITSI_{part.upper()}_IMAGE" for part in PARTS)},
            **SECRETS,
            "JITSI_DOMAIN": "meet.example",
            "JITSI_USER": "Anna",
            "JITSI_PORT": str(self.port),
            "JITSI_MEDIA_PORT": str(self.media),
            "JITSI_ADVERTISED": "192.168.1.20,203.0.113.7",
            "DOOR_SUFFIX": ":8443",
            "DATA": str(self.data),
            **settings,
        }
        shutil.copytree(SHIPPED, self.home)
        for name, wanted in RECIPE["folders"].items():
            path = self.data / name
            path.mkdir(parents=True)
            path.chmod(int(wanted["mode"], 8))
            os.chown(path, *map(int, wanted["owner"].split(":")))

    def compose(self, *argv: str, text: str = "", timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", "compose", "-p", self.project, "--project-directory", str(self.home), *argv],
            env={**os.environ, **self.settings},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )

    def up(self, *argv: str) -> None:
        done = self.compose("up", "--detach", "--wait", *argv)
        assert done.returncode == 0, done.stderr + self.logs()

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "2")

    def inside(self, service: str, *argv: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return self.compose("exec", "-T", service, *argv, text=text)

    def setup(self) -> None:
        """The manifest's own words, whose `$$` Compose's own rules make a `$`."""
        for action in RECIPE["setup"]:
            done = self.inside(action["exec"], *[word.replace("$$", "$") for word in action["argv"]])
            assert done.returncode == 0, done.stderr

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-log-prefix", "--tail", "60", *services).stdout

    def ask(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            link.request("GET", path, headers=headers or {})
            answer = link.getresponse()
            return answer.status, answer.read().decode()
        finally:
            link.close()

    def browser(self, account: str = "", password: str = SECRETS["JITSI_PASSWORD"]) -> Browser:
        return Browser(self.port, account, password)

    def container(self, service: str) -> str:
        return f"{self.project}-{service}-1"


@contextmanager
def started(folder: Path, **settings: str) -> Iterator[Calls]:
    calls = Calls(folder, **settings)
    try:
        calls.up()
        calls.setup()
        yield calls
    finally:
        calls.down()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calls]:
    with started(tmp_path_factory.mktemp("jitsi")) as running:
        yield running


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_locked_up(calls: Calls, part: str) -> None:
    """Healthy already (`up --wait`): as nobody in particular, on a root that cannot be written, with no power."""
    seen = calls.inside(part, "sh", "-c", "id -u; touch /etc/mine /usr/mine; cat /proc/self/status")
    assert seen.stdout.startswith("1000\n")
    assert seen.stderr.count("Read-only file system") == 2, seen.stderr
    facts = dict(line.split(":\t", 1) for line in seen.stdout.splitlines() if ":\t" in line)
    assert {facts[name].strip("0") for name in ("CapEff", "CapPrm", "CapBnd")} == {""}
    assert facts["NoNewPrivs"] == "1"
    limit = docker("inspect", "--format", "{{.HostConfig.Memory}}", calls.container(part))
    assert 2**26 < int(limit) < 2**31


def test_nothing_but_the_media_port_is_open_to_others_and_no_volume_is_left_unnamed(calls: Calls) -> None:
    published = [line for part in PARTS for line in docker("port", calls.container(part)).splitlines()]
    assert sorted(published) == sorted(
        [f"8000/tcp -> 127.0.0.1:{calls.port}", f"{calls.media}/udp -> 0.0.0.0:{calls.media}"]
    )
    for part in PARTS:
        assert "volume" not in docker(
            "inspect", "--format", "{{range .Mounts}}{{.Type}} {{end}}", calls.container(part)
        )


def test_the_page_knows_its_own_address_and_asks_nobody_else(calls: Calls) -> None:
    for path in ("/", "/Consultation-Anna"):
        status, page = calls.ask(path)
        assert (status, "<title>Jitsi Meet</title>" in page) == (200, True)
    _, config = calls.ask("/config.js")
    assert "config.websocket = 'wss://meet.example:8443/xmpp-websocket';" in config
    assert "config.hosts.anonymousdomain = 'guest.meet.jitsi';" in config, "guests are known to be guests"
    assert "config.p2p = {enabled: false};" in config
    assert "config.disableThirdPartyRequests = true;" in config
    assert "config.disableDeepLinking = true;" in config
    assert re.search(RECIPE["probes"]["web"]["expect"]["body"], config), "the probe's own words"


def test_the_owner_s_own_lines_are_in_the_page(calls: Calls) -> None:
    (calls.data / "config/web/custom-config.js").write_text("config.defaultLanguage = 'fr';\n")
    calls.up("--force-recreate", "--no-deps", "web")
    assert "config.defaultLanguage = 'fr';" in calls.ask("/config.js")[1]


def test_prosody_answers_through_the_web_server(calls: Calls) -> None:
    assert calls.ask("/http-bind")[0] == 200
    guest = calls.browser()
    assert guest.jid.endswith("@guest.meet.jitsi" + guest.jid[guest.jid.index("/") :])
    assert guest.mechanisms == {"ANONYMOUS"}
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "xmpp",
    }
    assert calls.ask("/xmpp-websocket", upgrade)[0] == 101


def test_health_is_told_inside_only(calls: Calls) -> None:
    for service in ("prosody", "jicofo", "jvb"):
        probe = RECIPE["probes"][service]
        assert calls.inside(probe["exec"], *probe["argv"]).returncode == 0
    status = calls.inside(
        "web", "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://xmpp.meet.jitsi:5280/health"
    )
    assert status.stdout == "403"
    assert calls.inside("web", "curl", "-sf", "http://jicofo:8888/about/health").returncode == 0


def test_datagrams_reach_the_bridge_and_it_knows_where_it_can_be_reached(calls: Calls) -> None:
    transaction = secrets.token_bytes(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as media:
        media.settimeout(5)
        media.sendto(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + transaction, ("127.0.0.1", calls.media))
        assert media.recv(100) == b"\x01\x01\x00\x00\x21\x12\xa4\x42" + transaction
    said = calls.logs("jvb")
    assert "advertised addresses: 192.168.1.20,203.0.113.7" in said
    assert "STUN: off" in said


def test_only_the_account_logs_in(calls: Calls) -> None:
    assert calls.browser("anna").jid.startswith("anna@meet.jitsi/"), "the name in small letters"
    for account, password in (("anna", "wrong"), ("admin", "change-me"), ("nobody", "x")):
        with pytest.raises(Refused, match="not-authorized"):
            calls.browser(account, password)
    with pytest.raises(Refused, match="not-authorized"):
        calls.browser("focus", SECRETS["JICOFO_AUTH_PASSWORD"])


def test_a_stranger_opens_no_room(calls: Calls) -> None:
    stranger = calls.browser()
    with pytest.raises(Refused, match="not-authorized"):
        stranger.request("burglary")
    with pytest.raises(Refused, match="not-allowed"):
        stranger.enter("burglary")
    with pytest.raises(Refused, match="not-authorized"):
        stranger.request("burglary", session=str(uuid.uuid4()))


def test_guests_wait_until_they_are_let_in_and_the_therapist_never_does(calls: Calls) -> None:
    room = f"séance-{secrets.token_hex(4)}".replace("é", "e")
    patient, other = calls.browser(), calls.browser()
    with pytest.raises(Refused, match="not-authorized"):
        patient.request(room)  # came early

    # A browser logs in on a second stream, and enters under its guest's address.
    opened = calls.browser("anna").request(room)
    assert (opened["ready"], opened["identity"]) == ("true", "anna@meet.jitsi")
    assert patient.request(room)["ready"] == "true", "the room is there"
    with pytest.raises(Refused, match="registration-required"):
        patient.enter(room)  # before the therapist even is inside

    therapist = calls.browser()
    assert therapist.request(room, opened["session-id"])["identity"] == "anna@meet.jitsi"
    assert therapist.enter(room) == "participant"
    therapist.until_owner(room)
    with pytest.raises(Refused, match=r"forbidden|not-allowed"):
        patient.let_in(room, other)
    therapist.let_in(room, patient)
    assert patient.enter(room) == "participant"
    with pytest.raises(Refused, match="registration-required"):
        other.enter(room)

    # The page is reloaded while only the patient is inside: a new address, the same proof.
    therapist.leave(room)
    again = calls.browser()
    with pytest.raises(Refused, match="registration-required"):
        again.enter(room)
    again.request(room, opened["session-id"])
    assert again.enter(room) == "participant"
    again.until_owner(room)

    # A colleague has an account, and is not who opened this room.
    done = calls.inside("prosody", "sh", "-c", f"{REGISTER} bert meet.jitsi bertbertbert")
    assert done.returncode == 0, done.stderr
    proof = calls.browser("bert", "bertbertbert").request(room)
    assert proof["identity"] == "bert@meet.jitsi"
    colleague = calls.browser()
    colleague.request(room, proof["session-id"])
    with pytest.raises(Refused, match="registration-required"):
        colleague.enter(room)

    # The lobby may be switched off, and stays off.
    form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>http://jabber.org/protocol/muc#roomconfig</value></field>"
    form += "<field var='muc#roomconfig_membersonly'><value>0</value></field></x>"
    query = f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"
    again.ask(f"<iq type='set' {{id}} to='{room}@muc.meet.jitsi'>{query}</iq>")
    assert other.enter(room) == "participant"
    assert calls.browser().enter(room) == "participant"


def test_accounts_outlive_their_containers_and_setup_can_be_done_again(tmp_path: Path) -> None:
    with started(tmp_path) as calls:
        calls.setup()  # a kill may have come in between
        calls.browser("anna")
        files = {path.name for path in (calls.data / "prosody/data/meet%2ejitsi/accounts").iterdir()}
        assert files == {"anna.dat"}
        assert SECRETS["JITSI_PASSWORD"] not in (calls.data / "prosody/data/meet%2ejitsi/accounts/anna.dat").read_text()
        calls.settings["JITSI_PASSWORD"] = "another-password"
        calls.up("--no-deps", "prosody")  # made anew, for its environment changed
        calls.browser("anna")
        calls.setup()
        calls.browser("anna", "another-password")
        with pytest.raises(Refused, match="not-authorized"):
            calls.browser("anna")

        # Compose's own name server hands out another address: nginx must not stick to the old one.
        calls.compose("rm", "--stop", "--force", "prosody")
        network = f"{calls.project}_default"
        squatter = docker(
            "run", "-d", "--network", network, "--entrypoint", "sleep", IMAGES["JITSI_WEB_IMAGE"], "600"
        ).strip()
        try:
            calls.up("--no-deps", "prosody")
            deadline = time.monotonic() + 20
            while calls.ask("/http-bind")[0] != 200:
                assert time.monotonic() < deadline
                time.sleep(0.5)
            calls.browser("anna", "another-password")
        finally:
            docker("rm", "-f", squatter)


def test_a_folder_that_is_not_prosody_s_is_named(tmp_path: Path) -> None:
    calls = Calls(tmp_path)
    os.chown(calls.data / "prosody", 0, 0)
    try:
        calls.compose("up", "--detach", "--no-deps", "prosody")
        deadline = time.monotonic() + 20
        while "directory '/var/lib/prosody' is not writable by the container user (uid 1000)" not in calls.logs(
            "prosody"
        ):
            assert time.monotonic() < deadline, calls.logs("prosody")
            time.sleep(0.2)
        (calls.data / "config/jvb").rmdir()
        missing = calls.compose("up", "--detach", "--no-deps", "jvb")
        assert missing.returncode != 0
        assert "config/jvb" in missing.stderr, "Docker makes no folder that root would own"
    finally:
        calls.down()


# What the real images refuse as well: (image, arguments of `docker run`, what is said, exit code).
ROOT = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--tmpfs", "/config")
RUN = ("--tmpfs", "/run:uid=1000,gid=1000,mode=0755,exec")
REFUSALS = {
    "a /run that is root's": (
        "jvb",
        ("--tmpfs", "/run:mode=1750,exec"),
        "fatal: /run belongs to uid 0 instead of 1000",
        100,
    ),
    "a /run without exec": ("jvb", ("--tmpfs", "/run:uid=1000,gid=1000"), "noexec", 100),
    "no password for the bridge": ("jvb", RUN, "FATAL ERROR: JVB auth password must be set", 1),
    "no password for Jicofo": ("jicofo", RUN, "FATAL ERROR: Jicofo auth password must be set", 1),
    "no folder for accounts": ("prosody", RUN, "FATAL ERROR: directory '/var/lib/prosody' is not writable", 1),
    "TLS without a folder": (
        "web",
        (*RUN, "--tmpfs", "/storage"),
        "FATAL ERROR: directory '/storage' is not writable",
        1,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_the_images_refuse(name: str) -> None:
    part, argv, says, code = REFUSALS[name]
    image = IMAGES[f"JITSI_{part.upper()}_IMAGE"]
    command = ["docker", "run", "--rm", "--network", "none", *ROOT, *argv, image]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, says in done.stdout + done.stderr) == (code, True), done.stdout + done.stderr


def test_jicofo_is_silent_unless_it_is_asked_to_speak(tmp_path: Path) -> None:
    """Upstream's defaults: no health, and nothing outside its own loopback. The shipped file asks for both."""
    calls = Calls(tmp_path)
    extra = "services: {jicofo: {environment: {JICOFO_ENABLE_HEALTH_CHECKS: '', JICOFO_ENABLE_REST: ''}}}\n"
    (calls.home / "compose.override.yaml").write_text(extra)
    try:
        calls.compose("up", "--detach", "web", "jicofo")
        code = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}")
        patient = ("--retry", "20", "--retry-delay", "1", "--retry-connrefused")  # it may be starting
        assert calls.inside("jicofo", *code, *patient, "http://127.0.0.1:8888/about/health").stdout == "404"
        assert calls.inside("web", *code, "http://jicofo:8888/about/version").stdout == "000"
    finally:
        calls.down()


def commands_of(heading: str, **here: str) -> str:
    """The commands below a heading of the README; `here`: what stands for what is written."""
    section = (SHIPPED / "README.md").read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ")[0]
    commands = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL))
    for written, instead in here.items():
        assert written in commands
        commands = commands.replace(written, instead)
    return commands


def follow(commands: str, folder: Path) -> None:
    """Type them in a shell that knows nothing else."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("RESTIC", "JITSI"))},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_readme_starts_it_without_gardien(tmp_path: Path) -> None:
    calls = Calls(tmp_path)
    shutil.rmtree(calls.data)
    mine = {name: calls.settings[name] for name in calls.settings if name.endswith(("_IMAGE", "_PORT"))}
    lines = "".join(f" {name} {value}" for name, value in mine.items())
    try:
        follow(
            commands_of(
                "Without gardien",
                **{
                    "docker compose": f"docker compose -p {calls.project}",
                    "JITSI_DOMAIN meet": f"{lines} JITSI_DOMAIN meet",
                },
            ),
            calls.home,
        )
        assert "wss://meet.example.org/" in calls.ask("/config.js")[1]
        assert calls.browser("anna", "a-long-password").request("first")["ready"] == "true"
    finally:
        subprocess.run(
            ["docker", "compose", "-p", calls.project, "down", "--volumes", "--timeout", "2"],
            cwd=calls.home,
            capture_output=True,
            check=False,
            timeout=120,
        )


def test_the_very_commands_of_the_readme_bring_the_accounts_back(tmp_path: Path) -> None:
    """Plain restic and plain Compose: a snapshot in gardien's layout, without what the manifest leaves out."""
    old, lay = tmp_path / "srv", tmp_path / "srv/jitsi"
    environment = {
        **os.environ,
        "RESTIC_REPOSITORY": str(tmp_path / "repository"),
        "RESTIC_PASSWORD": "passphrase",
        "RESTIC_CACHE_DIR": str(tmp_path / "cache"),
    }

    def restic(*argv: str) -> str:
        done = subprocess.run([RESTIC, *argv], env=environment, check=True, capture_output=True, text=True, timeout=120)
        return done.stdout

    with started(tmp_path / "machine", DATA=str(lay)) as calls:
        inner = lay / ".gardien/compose"
        inner.parent.mkdir(mode=0o700)
        shutil.copytree(SHIPPED, inner)
        (inner / ".env").write_text("".join(f"{name}='{value}'\n" for name, value in calls.settings.items()))
        restic("init")
        out = [word for each in RECIPE["backup"]["leave_out"] for word in ("--exclude", str(lay / each))]
        restic("backup", "--tag", "stack=jitsi,pass=final", *out, str(lay))
        listed = restic("ls", "latest")
        assert "anna.dat" in listed
        assert "auth%2e" not in listed and "prosody.sock" not in listed
        calls.compose("down")
        shutil.rmtree(old)

        (tmp_path / "passphrase.txt").write_text("passphrase")
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/restic").symlink_to(shutil.which(RESTIC) or RESTIC)
        commands = commands_of(
            "Getting at the data without gardien",
            **{
                "/mnt/usb/gardien": str(tmp_path / "repository"),
                "/srv/gardien/jitsi": str(lay),
                "passphrase.txt": str(tmp_path / "passphrase.txt"),
                "--project-name jitsi": f"--project-name {calls.project}",
            },
        )
        assert commands.count("restic restore") == 1
        follow(f'export PATH="{tmp_path}/bin:$PATH"\n{commands}', tmp_path)
        assert calls.browser("anna").request("back-again")["ready"] == "true"

"""The shipped office under plain `docker compose`, beside the shipped Nextcloud and behind a Caddy as the house's door.

No line of gardien runs here: what it would carry out of the manifest, the test carries out by hand.
"""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.test_images import ROOT, Stack
from tests.world.box import IMAGES, docker

JOIN: dict[str, Any] = YAML(typ="safe").load(ROOT / "compose/office/compose.yaml")["x-gardien"]["with"]["nextcloud"]
CLOUD, OFFICE, SUFFIX, HTTP = "cloud.home.arpa", "office.home.arpa", ":8443", "8080"
DOOR = f"""
{{
  http_port {HTTP}
  https_port 8443
  local_certs
  skip_install_trust
  auto_https disable_redirects
}}
http:// {{
  root * /root/.local/share/caddy/pki/authorities/local
  rewrite * /root.crt
  file_server
}}
https://{CLOUD} {{
  reverse_proxy app:80 {{
    header_up X-Real-IP {{remote_host}}
  }}
}}
https://{OFFICE} {{
  reverse_proxy collabora:9980
}}
"""


class House:
    """A Nextcloud and an office, each on a network of its own with the door, which answers to both names there."""

    def __init__(self, folder: Path) -> None:
        names = {"DOOR_SUFFIX": SUFFIX, "DOOR_HTTP_PORT": HTTP, "DOOR_MODE": "home"}
        self.cloud = Stack(folder / "cloud", NEXTCLOUD_DOMAIN=CLOUD, **names)
        self.office = Stack(folder / "office", "office", OFFICE_DOMAIN=OFFICE, OFFICE_CLOUD=CLOUD, **names)
        self.caddy = f"{self.office.project}-caddy"
        (folder / "Caddyfile").write_text(DOOR)
        self.config = folder / "Caddyfile"

    def up(self) -> None:
        self.cloud.up()
        self.office.up()
        run = ["--config", "/etc/Caddyfile", "--adapter", "caddyfile"]
        told = ["--env", "HOME=/root", "--env", "XDG_DATA_HOME=/root/.local/share", "--env", "XDG_CONFIG_HOME=/tmp"]
        where = ["--name", self.caddy, "--volume", f"{self.config}:/etc/Caddyfile:ro", "--entrypoint", "caddy"]
        docker(
            "run",
            "--detach",
            "--network",
            f"{self.cloud.project}_default",
            *where,
            *told,
            IMAGES["CADDY_IMAGE"],
            "run",
            *run,
        )
        for stack in (self.cloud, self.office):
            self.attach(stack)
        self.cloud.wait(90, installed=True)
        self.until_answers()

    def attach(self, stack: Stack) -> None:
        """Put the door on a stack's network, where it has the name of every application."""
        docker("network", "connect", "--alias", CLOUD, "--alias", OFFICE, f"{stack.project}_door", self.caddy)

    def until_answers(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while self.ask("/hosting/discovery")[0] != 200:
            assert time.monotonic() < deadline, self.office.compose("logs", "collabora").stdout
            time.sleep(0.2)

    def ask(self, path: str, body: bytes | None = None, timeout: float = 10) -> tuple[int, str]:
        """The office, on its port of this machine. 0: no answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.office.port}{path}", body, timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def status(self, url: str) -> str:
        return str(
            json.loads(self.ask("/hosting/wopiAccessCheck", json.dumps({"callbackUrl": url}).encode())[1])["status"]
        )

    def do(self, actions: list[dict[str, Any]]) -> list["subprocess.CompletedProcess[str]"]:
        """Carry out a part of the manifest in Nextcloud's services, as gardien would."""
        holes = {"DOOR_MODE": "home", "DOOR_HTTP_PORT": HTTP, "DOOR_SUFFIX": SUFFIX, "OFFICE_DOMAIN": OFFICE}
        done = []
        for action in actions:
            argv = [word.replace("$$", "$") for word in action["argv"]]
            for hole, value in holes.items():
                argv = [word.replace("{" + hole + "}", value) for word in argv]
            done.append(self.cloud.compose("exec", "-T", "-u", action["user"], action["exec"], *argv))
        return done

    def connect(self) -> None:
        for done in self.do(JOIN["connect"]):
            assert done.returncode == 0, done.stdout + done.stderr

    def activate(self) -> str:
        return self.cloud.occ("richdocuments:activate-config", f"--wopi-url=https://{OFFICE}{SUFFIX}").stdout

    def end(self) -> None:
        docker("rm", "--force", "--volumes", self.caddy, check=False)
        self.office.down()
        self.cloud.down()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    try:
        made.up()
        yield made
    finally:
        made.end()


def test_each_believes_the_other_by_the_houses_own_authority(house: House) -> None:
    """First nobody does; then Nextcloud the office; then the office Nextcloud, without being started again."""
    house.office.settings["DOOR_MODE"] = "internet"
    house.office.up()  # makes `trust` anew: it brings nothing now
    for file in (house.office.folder / "data/trust").iterdir():
        file.unlink()
    house.office.compose("restart", "--timeout", "1", "collabora")
    house.until_answers()
    assert house.cloud.occ("app:enable", "richdocuments").returncode == 0
    assert "Failed to fetch discovery" in house.activate()

    imported, *_ = house.do(JOIN["connect"][:1])
    assert imported.returncode == 0, imported.stdout + imported.stderr
    said = house.activate()
    assert "Fetched /hosting/discovery" in said
    assert "Failed to verify WOPI connectivity" in said and "Certificate" in said

    started = docker("inspect", "--format", "{{.State.StartedAt}}", f"{house.office.project}-collabora-1")
    house.office.settings["DOOR_MODE"] = "home"
    house.office.up("trust")
    house.connect()
    assert docker("inspect", "--format", "{{.State.StartedAt}}", f"{house.office.project}-collabora-1") == started

    public = house.cloud.occ("config:app:get", "richdocuments", "public_wopi_url").stdout
    assert public == f"https://{OFFICE}{SUFFIX}\n"
    house.connect()  # once more does no harm


def test_without_an_app_store_the_rest_goes_on(house: House) -> None:
    """Nothing is installed, and the last step has nothing to say twice."""
    house.cloud.occ("app:disable", "richdocuments")
    for key in ("installed_version", "enabled"):
        house.cloud.occ("config:app:delete", "richdocuments", key)
    house.cloud.inside("app", ["rm", "-r", "custom_apps/richdocuments"])
    online = ["config:system:set", "has_internet_connection", "--type=boolean"]
    house.cloud.occ(*online, "--value=false")
    try:
        assert [done.returncode for done in house.do(JOIN["connect"])] == [0, 1, 0, 0]
    finally:
        house.cloud.occ(*online, "--value=true")
    house.connect()


def test_the_way_a_document_takes_through_the_door(house: House) -> None:
    house.connect()
    root = "curl -fs -o /tmp/root.crt http://$0:$1/.well-known/gardien/root.crt && "
    discovery = house.cloud.door(
        "sh", "-c", root + "curl -fs --cacert /tmp/root.crt https://$0:8443/hosting/discovery", OFFICE, HTTP
    )
    assert f'urlsrc="https://{OFFICE}{SUFFIX}/browser/' in discovery

    def opened(address: str) -> str:
        """The first word of the websocket of a document."""
        key = "-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=='"
        asks = (
            f"curl -s -N --http1.1 --cacert /tmp/root.crt -m 5 -H 'Connection: Upgrade' -H 'Upgrade: websocket' {key}"
        )
        return house.cloud.door(
            "sh", "-c", root + f"{asks} https://$0:8443/cool/$2/ws | tr -dc ' -~'", OFFICE, HTTP, address
        )

    wopi = "%2Findex.php%2Fapps%2Frichdocuments%2Fwopi%2Ffiles%2F7"
    assert 'progress: {"id":"finish"}' in opened(f"https%3A%2F%2F{CLOUD}%3A8443{wopi}")
    assert "kind=unauthorized" in opened(f"https%3A%2F%2Fevil.example{wopi}")


def test_it_opens_documents_of_its_own_nextcloud_only(house: House) -> None:
    assert house.status("https://evil.example/") == "WopiHostNotAllowed"
    assert house.status(f"https://{CLOUD}/") == "WopiHostNotAllowed", "another port is another server"
    assert house.status(f"http://{CLOUD}{SUFFIX}/") == "NotHttps"
    allowed = house.cloud.occ("config:app:get", "richdocuments", "wopi_allowlist").stdout
    assert "172.16.0.0/12" in allowed


def test_without_privileges_and_without_a_shell(house: House) -> None:
    container = f"{house.office.project}-collabora-1"
    deadline = time.monotonic() + 30
    while docker("inspect", "--format", "{{.State.Health.Status}}", container).strip() != "healthy":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "\t1001\t" in docker("exec", container, "grep", "^Uid:", "/proc/1/status")
    assert docker("exec", container, "grep", "^NoNewPrivs:", "/proc/1/status").split() == ["NoNewPrivs:", "1"]
    assert docker("exec", container, "grep", "^CapBnd:", "/proc/1/status").split()[1].strip("0") == ""
    for program in ("sh", "bash", "curl"):
        done = subprocess.run(["docker", "exec", container, program, "--version"], capture_output=True, check=False)
        assert done.returncode in (126, 127)
    assert house.ask("/cool/convert-to/pdf", b"text")[1].startswith("%PDF")
    assert house.ask("/browser/dist/admin/admin.html")[0] == 403, "nobody has a password for the console"


def test_why_it_does_without_capabilities(house: House, tmp_path: Path) -> None:
    """The trap: all looks well, and no document ever opens."""
    without = tmp_path / "without.yaml"
    params = "--o:ssl.enable=false --o:ssl.termination=true"
    again = f'cap_drop: !reset []\n    environment: {{extra_params: "{params}"}}'
    without.write_text(f"services:\n  collabora:\n    {again}\n")
    house.office.files.append(without)
    try:
        house.office.up("collabora")
        house.until_answers()
        assert house.ask("/cool/convert-to/pdf", b"text", timeout=2)[0] == 0
    finally:
        house.office.files.remove(without)
        house.office.up("collabora")
        house.until_answers()
    assert house.ask("/cool/convert-to/pdf", b"text")[0] == 200


def test_it_goes_and_comes_back(house: House) -> None:
    for done in house.do(JOIN["disconnect"]):
        assert done.returncode == 0, done.stderr
    assert house.cloud.occ("config:app:get", "richdocuments", "enabled").stdout == "no\n"
    docker("network", "disconnect", f"{house.office.project}_door", house.caddy)
    began = time.monotonic()
    assert house.office.compose("down").returncode == 0
    assert time.monotonic() - began < 8
    # Nothing was kept: neither a backup nor the folder is needed.
    for file in (house.office.folder / "data/trust").iterdir():
        file.unlink()
    house.office.up()
    house.attach(house.office)
    house.until_answers()
    house.connect()

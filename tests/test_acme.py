"""The door to the internet: certificates by ACME, from a private authority whose own server is a second Caddy.

The test engine's network is the internet, and its names are the containers' names there.
"""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gardien.model.manifest import Text
from gardien.rules.caddyfile import Front, Site, caddyfile
from tests.world.box import IMAGES, docker
from tests.world.door import Door

NAMES = ("cloud.practice.test", "pad.practice.test")
FRONT = Front("internet", email="anna@practice.test", authority="https://ca.practice.test/acme/local/directory")
# Behind the names is what answers here without TLS: the authority's own server.
SITES = [Site(name, Text(en=name, fr=name), "ca.practice.test:80") for name in NAMES]

AUTHORITY = """\
{
	skip_install_trust
}
https://ca.practice.test {
	tls internal
	acme_server
}
"""
# Caddy has two ways to prove a name, and takes one of them by chance.
ONLY = {
    "over TLS": "cert_issuer acme {\n\tdir https://ca.practice.test/acme/local/directory\n\tdisable_http_challenge\n}\n",
    "over HTTP": "cert_issuer acme {\n\tdir https://ca.practice.test/acme/local/directory\n\tdisable_tlsalpn_challenge\n}\n",
}


@contextmanager
def authority(network: str, folder: Path) -> Iterator[Path]:
    """A private authority on this network; its root certificate."""
    (folder / "Caddyfile").write_text(AUTHORITY)
    (folder / "data").mkdir()
    started = docker(
        *("run", "--detach", "--network", network, "--network-alias", "ca.practice.test"),
        *("--volume", f"{folder}/Caddyfile:/etc/caddy/Caddyfile:ro", "--volume", f"{folder}/data:/data"),
        IMAGES["CADDY_IMAGE"],
    ).strip()
    try:
        docker(
            *("exec", started, "curl", "--silent", "--output", "/dev/null", "--insecure"),
            *("--retry", "20", "--retry-delay", "1", "--retry-all-errors", "https://ca.practice.test/"),
        )
        yield folder / "data/caddy/pki/authorities/local/root.crt"
    finally:
        docker("rm", "--force", "--volumes", started)


def open_(folder: Path) -> Door:
    """A door without published ports, since an authority asks at 80 and 443, and with the names of the internet."""
    folder.mkdir()
    door = Door(folder, FRONT)
    door.front = FRONT
    door.settings |= {"DOOR_HTTP_PORT": "80", "DOOR_HTTPS_PORT": "443"}
    (folder / "stack" / "internet.yaml").write_text(
        f"services: {{door: {{ports: !reset [], networks: {{default: {{aliases: [{', '.join(NAMES)}]}}}}}}}}\n"
    )
    door.files.append("internet.yaml")
    return door


def seen(door: Door, root: Path, name: str) -> bytes:
    """The certificate that the door shows to a visitor who trusts this root alone."""
    trust = ssl.create_default_context(cafile=str(root))
    with (
        socket.create_connection((door.address, 443), timeout=10) as link,
        trust.wrap_socket(link, server_hostname=name) as line,
    ):
        found = line.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.mark.parametrize("way", ONLY)
async def test_names_are_certified_by_the_authority_that_the_owner_chose(way: str, tmp_path: Path) -> None:
    door = open_(tmp_path / "door")
    (tmp_path / "authority").mkdir()
    try:
        door.up()
        with authority(f"{door.project}_default", tmp_path / "authority") as root:
            # What the README says for an authority that only this practice knows.
            (door.config / "authorities").mkdir()
            (door.config / "authorities" / "practice.crt").write_bytes(root.read_bytes())
            (door.config / "own").mkdir()
            (door.config / "own" / "way.caddy").write_text(ONLY[way])
            door.compose("restart", "door")
            door.change(caddyfile(FRONT, SITES[:1]))
            first = seen(door, root, NAMES[0])
            assert list((door.folder / "data/caddy/certificates/ca.practice.test-acme-local-directory").iterdir())
            # A name more: the first one keeps its certificate, over a crash too.
            door.change(caddyfile(FRONT, SITES))
            assert seen(door, root, NAMES[1]) != first
            door.compose("kill", "--signal", "KILL", "door")
            door.compose("up", "--detach", "--wait")
            door.wait()
            assert seen(door, root, NAMES[0]) == first
            url = door.url(NAMES[0])
            async with door.visitor(root, door.address) as visitor, visitor.get(url, allow_redirects=False) as answer:
                assert answer.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]
            assert not door.root.exists()  # no authority of its own, none to trust
    finally:
        door.down()


def test_an_authority_that_is_not_known_is_not_asked(tmp_path: Path) -> None:
    """Without its root certificate in `config/authorities`, nothing is asked of it; the probe says which name waits."""
    door = open_(tmp_path / "door")
    (tmp_path / "authority").mkdir()
    try:
        door.up()
        with authority(f"{door.project}_default", tmp_path / "authority") as root:
            door.change(caddyfile(FRONT, SITES[:1]), wait=False)
            assert door.health() == {"names without a valid certificate": NAMES[0]}
            assert "certificate signed by unknown authority" in door.compose("logs", "door").stdout
            with pytest.raises(ssl.SSLError):
                seen(door, root, NAMES[0])
    finally:
        door.down()

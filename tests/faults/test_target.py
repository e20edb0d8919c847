"""The target itself: full, gone, or one that does not let us in any more; and who may read what lies there."""

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.rules.env import write_env
from tests.conftest import sftp_target
from tests.contracts.small_disk import small_disk
from tests.faults.houses import STACK, House, refused, settle
from tests.world.box import Box, box
from tests.world.rest import RestHost
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost


def goods(machine: Box) -> list[bool]:
    """Whether each backup counts, newest first."""
    return [each["good"] for each in machine.json("backup", "list", STACK)]


def full(machine: Box) -> None:
    """Nothing more goes in: it is said with what to do, nobody waits, and the older backup comes back."""
    film = machine.data / STACK / "srv" / "film.bin"
    machine.gardien("backup", "create", STACK)
    film.write_bytes(os.urandom(30 << 20))
    said = refused(machine, "backup", "create", STACK, says="is full", remedy="Older backups are safe")
    assert "ent more space" in said
    machine.until_well(STACK, 30)
    assert (machine.data / STACK / "srv" / "paused").read_text().strip() == ""
    assert goods(machine).count(True) == 1
    film.unlink()
    machine.gardien("restore", STACK, "--yes")
    machine.stop()


@pytest.mark.parametrize("kind", ["local", "sftp"])
def test_row_08_a_full_disk(kind: str, tmp_path: Path) -> None:
    with SftpHost(tmp_path / "host") as host, small_disk(host.folder, 24) as disk:
        local = {"kind": "local", "folder": str(disk / "repository")}
        with box(local if kind == "local" else sftp_target(host)) as machine:
            settle(machine)
            full(machine)


def rest_box(host: RestHost) -> dict[str, object]:
    return {"kind": "rest", "url": host.url, "ca": str(host.certificate)}


def s3_box(host: S3Host) -> dict[str, object]:
    where = {"endpoint": host.url, "bucket": host.bucket, "region": host.region}
    return {"kind": "s3", **where, "ca": str(host.certificate)}


def give_login(machine: Box, host: RestHost | S3Host) -> None:
    """Write down what lets it in."""
    if isinstance(host, RestHost):
        kind, login = "rest", {"RESTIC_REST_USERNAME": host.user, "RESTIC_REST_PASSWORD": host.password}
    else:
        kind, login = "s3", {"AWS_ACCESS_KEY_ID": host.key, "AWS_SECRET_ACCESS_KEY": host.secret}
    file = machine.root / "owner" / "secrets" / f"target-host.{kind}"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_text(write_env(login))
    file.chmod(0o600)


def test_row_08_a_host_that_says_507(tmp_path: Path) -> None:
    with RestHost(tmp_path / "rest", most=8 << 20) as host, box(rest_box(host)) as machine:
        give_login(machine, host)
        settle(machine)
        full(machine)


def test_row_11_a_repository_that_is_not_there_any_more(home: House) -> None:
    """Not by a backup, not by `target init`, not after a restart: it is never made anew."""
    elsewhere = home.host.folder / "elsewhere"
    home.repository.rename(elsewhere)
    try:
        for again in (False, True):
            if again:
                home.box.stop()
                home.box.start()
            says = "your backups are not where they were"
            home.refused("backup", "create", STACK, says=says, remedy="Do not start over")
            home.refused("target", "init", "host", says="no backup repository", remedy="never makes")
            assert not home.repository.exists()
        # An empty one in its place is another one.
        home.repository.mkdir()
        home.refused("backup", "create", STACK, says="your backups are not where they were")
        assert list(home.repository.iterdir()) == []
        home.repository.rmdir()
    finally:
        elsewhere.rename(home.repository)
    home.is_well()


def connections(host: SftpHost) -> int:
    return host.log.read_text().count("Connection from")


def test_row_48_an_ssh_key_that_is_no_longer_taken(home: House) -> None:
    home.host.revoke_key()
    try:
        before = connections(home.host)
        home.refused("backup", "create", STACK, says="does not let gardien in", remedy="SSH key is still listed")
        assert connections(home.host) - before <= 2, "a storm of tries"
    finally:
        home.host.accept_key()
    home.is_well()


def test_row_48_threat_21_another_server_in_its_place(home: House) -> None:
    host = home.host
    known = {each: each.read_bytes() for each in host.log.parent.glob("host_key*")}
    before = sorted(home.repository.rglob("*"))
    host.new_host_key()
    try:
        tried = connections(host)
        says = "not the server it used to be"
        home.refused("backup", "create", STACK, says=says, remedy="Nothing was sent")
        assert connections(host) - tried <= 2
        assert "Accepted" not in host.log.read_text().rpartition("Server listening")[2], "it logged in there"
    finally:
        host.stop()
        for file, content in known.items():
            file.write_bytes(content)
        host.start()
    assert sorted(home.repository.rglob("*")) == before
    home.is_well()


@pytest.fixture(params=["s3", "rest"])
def online(request: pytest.FixtureRequest) -> Iterator[tuple[Box, RestHost | S3Host]]:
    """A house whose backups go to an object store or a rest-server."""
    with tempfile.TemporaryDirectory(prefix="gh-") as room:
        host = RestHost(Path(room)) if request.param == "rest" else S3Host(Path(room))
        with host, box(rest_box(host) if isinstance(host, RestHost) else s3_box(host)) as machine:
            give_login(machine, host)
            settle(machine)
            machine.gardien("backup", "create", STACK)
            yield machine, host
            machine.stop()


def requests(host: RestHost | S3Host) -> int:
    return len(host.asked) if isinstance(host, S3Host) else len(host.log.read_text().splitlines())


def test_row_48_a_login_that_is_no_longer_taken(online: tuple[Box, RestHost | S3Host]) -> None:
    machine, host = online
    if isinstance(host, S3Host):
        host.secret = "another secret"
    else:
        host.revoke()
    before = requests(host)
    says, remedy = "does not accept gardien's key or password", "still valid"
    refused(machine, "backup", "create", STACK, says=says, remedy=remedy)
    assert requests(host) - before < 20, "a storm of tries"
    machine.until_well(STACK, 10)
    assert (machine.data / STACK / "srv" / "paused").read_text().strip() == ""
    assert goods(machine) == [True]


def test_threat_21_a_certificate_of_another_authority(tmp_path: Path) -> None:
    with RestHost(tmp_path / "rest") as host, box(rest_box(host)) as machine:
        give_login(machine, host)
        settle(machine)
        known = host.certificate.read_text()
        host.new_certificate()
        host.certificate.write_text(known)  # what the house was told to trust
        before = host.log.stat().st_size
        refused(
            machine, "backup", "create", STACK, says="does not show the certificate it should", remedy="Nothing was"
        )
        heard = host.log.read_bytes()[before:].decode()
        assert "GET" not in heard
        assert "POST" not in heard
        machine.stop()


def canaries(machine: Box) -> list[bytes]:
    """Words that must not be anywhere."""
    folder = machine.data / STACK / "srv"
    word = "canary" + secrets.token_hex(12)
    (folder / f"{word}.txt").write_text(f"{word} came on Tuesday\n" * 20)
    (folder / "database").write_text(f"{word}\n-- whole\n")
    os.setxattr(folder / f"{word}.txt", "user.note", word.encode())
    token = re.search(r"TOKEN='?([^'\n]+)", (machine.root / "owner" / "secrets" / f"{STACK}.env").read_text())
    assert token is not None
    return [word.encode(), token[1].encode(), machine.passphrase.read_bytes().strip()]


def test_threat_19_nothing_in_the_repository_can_be_read(home: House) -> None:
    words = canaries(home.box)
    assert all(len(word) >= 16 for word in words)
    home.box.gardien("backup", "create", STACK)
    files = [each for each in home.repository.rglob("*") if each.is_file()]
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        assert not [word for word in words if word in content or word.hex().encode() in content], file
        assert not any(word.decode() in str(file) for word in words)


@pytest.mark.parametrize("empty", ["", "\n", "  \n\n"])
def test_threat_19_never_an_empty_password(empty: str) -> None:
    with box() as machine:
        machine.passphrase.parent.mkdir(mode=0o700, parents=True)
        machine.passphrase.write_text(empty)
        machine.passphrase.chmod(0o600)
        machine.start()
        refused(machine, "target", "init", "host", says="passphrase of the backup target host", remedy="recovery key")
        assert not (machine.root / "repository").exists()
        machine.stop()

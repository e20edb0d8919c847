"""The target itself: full, gone, or one that does not let us in any more; and who may read what lies there."""

import contextlib
import os
import re
import secrets
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.rules.env import write_env
from tests.contracts.small_disk import small_disk
from tests.faults.houses import STACK, House, house, is_open, refused
from tests.world.box import Box, box
from tests.world.rest import RestHost
from tests.world.restic import RESTIC
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost

Street = tuple[House, RestHost, S3Host]


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    """One house with a target of each kind: `host` (SFTP), `rest`, `store` (S3), and `disk`, a small one."""
    with contextlib.ExitStack() as opened:
        room = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="gh-")))
        host = opened.enter_context(SftpHost(room / "host"))
        rest = opened.enter_context(RestHost(room / "rest"))
        store = opened.enter_context(S3Host(room / "store"))
        disk = opened.enter_context(small_disk(room / "disk", 24))
        bucket = {"kind": "s3", "endpoint": store.url, "bucket": store.bucket, "region": store.region}
        bucket["ca"] = str(store.certificate)
        home = opened.enter_context(
            house(
                host,
                rest={"kind": "rest", "url": rest.url, "ca": str(rest.certificate)},
                store=bucket,
                disk={"kind": "local", "folder": str(disk / "repository")},
            )
        )
        log_in(home.box, "rest.rest", RESTIC_REST_USERNAME=rest.user, RESTIC_REST_PASSWORD=rest.password)
        log_in(home.box, "store.s3", AWS_ACCESS_KEY_ID=store.key, AWS_SECRET_ACCESS_KEY=store.secret)
        for name in ("rest", "store", "disk"):
            home.box.gardien("target", "init", name)
        yield home, rest, store


def log_in(machine: Box, name: str, **login: str) -> None:
    """Write down what lets it in."""
    file = machine.root / "owner" / "secrets" / f"target-{name}"
    file.write_text(write_env(login))
    file.chmod(0o600)


def backups(machine: Box, target: str) -> list[bool]:
    """Whether each one there counts, newest first."""
    return [each["good"] for each in machine.json("backup", "list", STACK) if each["target"] == target]


def whole(machine: Box, target: str, repository: Path) -> None:
    """What is there can be read to the last byte, by plain restic."""
    passphrase = machine.root / "owner" / "secrets" / f"target-{target}.passphrase"
    argv = [RESTIC, "-r", str(repository), "-p", str(passphrase), "--no-cache", "check", "--read-data"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["disk", "rest"])
def test_row_08_a_full_target(street: Street, target: str) -> None:
    """A small disk; a host that answers 507. It is said, with what to do; nobody waits; what was there stays whole."""
    home, rest, _ = street
    disk = Path(home.box.settings["targets"]["disk"]["folder"])
    repository = disk if target == "disk" else rest.folder / rest.user / "backups"
    home.box.gardien("backup", "create", STACK, "--target", target)
    home.weigh(30)
    if target == "rest":
        rest.again(most=8 << 20)
    try:
        said = home.refused(
            "backup", "create", STACK, "--target", target, says="is full", remedy="Older backups are safe"
        )
    finally:
        (home.srv / "film.bin").unlink()
        rest.again(most=None)
    assert "Rent more space" in said
    is_open(home.box)
    assert backups(home.box, target) == [True]
    whole(home.box, target, repository)
    home.box.gardien("backup", "create", STACK, "--target", target)


def test_row_11_a_repository_that_is_not_there_any_more(street: Street) -> None:
    """Not by a backup, not by `target init`, not after a restart: it is never made anew."""
    home, _, _ = street
    elsewhere = home.host.folder / "elsewhere"
    home.repository.rename(elsewhere)
    says = "our backups are not where they were"
    try:
        for again in (False, True):
            if again:
                home.box.stop()
                home.box.start()
            home.refused("backup", "create", STACK, says=says, remedy="Do not start over")
            home.refused("target", "init", "host", says=says, remedy="never makes a second one by itself")
            assert not home.repository.exists()
        home.repository.mkdir()  # an empty folder is another one
        home.refused("backup", "create", STACK, says=says)
        assert list(home.repository.iterdir()) == []
        home.repository.rmdir()
    finally:
        elsewhere.rename(home.repository)
    home.is_well()


def connections(host: SftpHost) -> int:
    return host.log.read_text().count("Connection from")


def no_storm(host: SftpHost, before: int) -> None:
    """The repository was opened, looked at and unlocked: once each, and then no more."""
    tried = connections(host)
    assert tried - before <= 4, "a storm of tries"
    time.sleep(2)
    assert connections(host) == tried, "it goes on trying"


def test_row_48_an_ssh_key_that_is_no_longer_taken(street: Street) -> None:
    home, _, _ = street
    home.host.revoke_key()
    try:
        before = connections(home.host)
        home.refused("backup", "create", STACK, says="does not let gardien in", remedy="SSH key is still listed")
        no_storm(home.host, before)
    finally:
        home.host.accept_key()
    is_open(home.box)
    home.is_well()


def test_row_48_and_threat_21_another_server_in_its_place(street: Street) -> None:
    home, _, _ = street
    host = home.host
    known = {each: each.read_bytes() for each in host.log.parent.glob("host_key*")}
    there = sorted(home.repository.rglob("*"))
    host.new_host_key()
    try:
        before, heard = connections(host), len(host.log.read_text())
        says = "not the server it used to be"
        home.refused("backup", "create", STACK, says=says, remedy="Nothing was sent")
        no_storm(host, before)
        assert "Accepted" not in host.log.read_text()[heard:], "it logged in there"
    finally:
        host.stop()
        for file, content in known.items():
            file.write_bytes(content)
        host.start()
    assert sorted(home.repository.rglob("*")) == there
    is_open(home.box)
    home.is_well()


@pytest.mark.parametrize("target", ["rest", "store"])
def test_row_48_a_login_that_is_no_longer_taken(street: Street, target: str) -> None:
    home, rest, store = street
    home.box.gardien("backup", "create", STACK, "--target", target)
    before = len(store.asked), len(rest.log.read_text().splitlines())
    kept = store.secret
    if target == "store":
        store.secret = "another secret"
    else:
        rest.revoke()
    try:
        home.refused(
            *("backup", "create", STACK, "--target", target),
            says="does not accept gardien's key or password",
            remedy="still valid",
        )
        assert len(store.asked) - before[0] < 20, "a storm of tries"
        assert len(rest.log.read_text().splitlines()) - before[1] < 20
    finally:
        store.secret = kept
        rest.stop()
        rest.accept()
        rest.start()
    is_open(home.box)
    home.box.gardien("backup", "create", STACK, "--target", target)


def test_threat_21_a_certificate_of_another_authority(street: Street) -> None:
    home, rest, _ = street
    files = [rest.certificate, *(each for each in rest.certificate.parent.iterdir() if "key" in each.name)]
    known = {file: file.read_bytes() for file in files}
    rest.new_certificate()
    rest.certificate.write_bytes(known[rest.certificate])  # what the house was told to trust
    heard = rest.log.stat().st_size
    try:
        says = "does not show the certificate it should"
        home.refused("backup", "create", STACK, "--target", "rest", says=says, remedy="Nothing was sent")
        said = rest.log.read_bytes()[heard:].decode()
        assert "TLS handshake error" in said
        assert not re.search(r"GET|POST|HEAD", said)
    finally:
        rest.stop()
        for file, content in known.items():
            file.write_bytes(content)
        rest.start()
    home.box.gardien("backup", "create", STACK, "--target", "rest")


def test_threat_12_no_login_or_passphrase_where_others_look(street: Street) -> None:
    """In every process of the machine while backups run; then in all that was logged, said and remembered."""
    home, rest, store = street
    folder = home.box.root / "owner" / "secrets"
    passphrases = [file.read_text().strip() for file in folder.glob("target-*.passphrase")]
    words = [rest.password, "a%20long", store.secret, store.key, *passphrases]
    assert len(words) == 8
    seen: set[str] = set()
    leaks: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    line = (process / "cmdline").read_bytes().decode(errors="replace")
                    told = line + (process / "environ").read_bytes().decode(errors="replace")
                    seen.add(line.split("\0")[0].rsplit("/", 1)[-1])
                    leaks.update(f"{word!r}: {line}" for word in words if word in told)
            over.wait(0.01)

    watcher = threading.Thread(target=look)
    watcher.start()
    said = ""
    try:
        for target in ("rest", "store", "host"):
            said += home.box.gardien("backup", "create", STACK, "--target", target).stdout
        rest.revoke()  # an error has the most to say
        failed = home.box.gardien("backup", "create", STACK, "--target", "rest", check=False)
        assert failed.returncode == 1
        said += failed.stdout + failed.stderr
    finally:
        rest.stop()
        rest.accept()
        rest.start()
        over.set()
        watcher.join()
    assert {"restic", "ssh"} <= seen, "the watcher saw none of what it was to watch"
    assert leaks == set()
    said += home.box.gardien("job", "list", "--json").stdout + home.box.gardien("target", "list", "--json").stdout
    state = b"".join(file.read_bytes() for file in (home.box.root / "state").glob("gardien.db*"))
    for word in words:
        assert word not in said
        assert word not in home.box.log.read_text()
        assert word.encode() not in state
    for file in [*folder.iterdir(), *(home.box.root / "run" / "restic").iterdir()]:
        assert file.stat().st_mode & 0o77 == 0, file


def test_threat_19_nothing_in_the_repositories_can_be_read(street: Street) -> None:
    home, rest, store = street
    word = "canary" + secrets.token_hex(12)
    (home.srv / f"{word}.txt").write_text(f"{word} came on Tuesday\n" * 20)
    (home.srv / "database").write_text(f"{word}\n-- whole\n")
    os.setxattr(home.srv / f"{word}.txt", "user.note", word.encode())
    secret = re.search(r"TOKEN='?([^'\n]+)", (home.box.root / "owner" / "secrets" / f"{STACK}.env").read_text())
    assert secret is not None
    words = [word, secret[1], STACK, "test-box", home.box.passphrase.read_text().strip()]
    for target in ("host", "rest", "store"):
        home.box.gardien("backup", "create", STACK, "--target", target)
    files = {str(each): each.read_bytes() for each in home.repository.rglob("*") if each.is_file()}
    files |= {str(each): each.read_bytes() for each in rest.folder.rglob("*") if each.is_file()}
    bucket = store.backend.buckets[store.bucket].keys
    files |= {name: bucket[name].value for name in store.objects()}
    assert len(files) > 20
    for name, content in files.items():
        found = [each for each in words if each.encode() in content or each in name.rpartition("/")[2]]
        assert not found, (name, found)


@pytest.mark.parametrize("empty", ["", "  \n\n"])
def test_threat_19_never_an_empty_password(empty: str) -> None:
    with box() as machine:
        machine.passphrase.parent.mkdir(mode=0o700, parents=True)
        machine.passphrase.write_text(empty)
        machine.passphrase.chmod(0o600)
        machine.start()
        refused(machine, "target", "init", "host", says="passphrase of the backup target host", remedy="recovery key")
        assert not (machine.root / "repository").exists()
        machine.stop()

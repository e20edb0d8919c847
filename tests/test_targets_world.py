"""Setting targets up for real: sshd, rest-server, object storage, and the command as one types it."""

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gardien.rules.openssh import fingerprint
from tests.test_cli import Person
from tests.world import notes
from tests.world.box import Box, box, until
from tests.world.rest import RestHost
from tests.world.restic import RESTIC
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost

pytestmark = pytest.mark.world


@pytest.fixture
def machine() -> Iterator[Box]:
    """A machine with the notes stack and no target at all."""
    with box() as made:
        made.settings["targets"] = {}
        made.save_settings()
        notes.lay_out(made)
        made.start()
        yield made
        made.stop()


def sets(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("--set", f"{name}={value}")]


def told(machine: Box, *argv: str) -> tuple[int, Any]:
    """Exit code and JSON, of a result or of an error."""
    done = machine.gardien(*argv, "--json", check=False)
    return done.returncode, json.loads(done.stdout or done.stderr)


def stages(made: Any) -> dict[str, str]:
    return {each["name"]: each["state"] for each in made["stages"]}


def secrets(machine: Box) -> list[str]:
    return sorted(path.name for path in (machine.root / "owner" / "secrets").iterdir())


WELL = {"reach": "good", "repository": "good", "write": "good", "delete": "warning"}
KEPT = {**WELL, "delete": "good"}


def test_an_ssh_server_from_the_first_word_to_the_first_backup(machine: Box, tmp_path: Path) -> None:
    with SftpHost(tmp_path / "host") as host:
        where = ["--preset", "sftp", *sets(host=host.address, port=host.port, user=host.user, folder="my backups")]
        shown = fingerprint(host.host_key_line)

        # Nobody named the fingerprint; a wrong one; a dry run: nothing is there afterwards.
        code, error = told(machine, "target", "add", "offsite", *where)
        assert code == 2 and shown in error["error"]["says"]
        wrong = "SHA256:" + shown[-1] + shown[7:-1]
        code, error = told(machine, "target", "add", "offsite", *where, "--fingerprint", wrong)
        assert (code, error["error"]["code"]) == (1, "refused") and shown in error["error"]["says"]
        code, draft = told(machine, "target", "add", "offsite", *where, "--dry-run")
        assert code == 0 and draft["host_keys"][0]["fingerprint"] == shown
        assert secrets(machine) == [] and machine.json("target", "list") == []

        # The host does not know our key: it is kept, and says what to do.
        done = machine.gardien("target", "add", "offsite", *where, "--fingerprint", shown, check=False)
        assert done.returncode == 1 and "does not let gardien in" in done.stdout
        public = (machine.root / "owner" / "secrets" / "target-offsite.key.pub").read_text().split()[1]
        assert public in done.stdout and "gardien target test offsite" in done.stdout
        [listed] = machine.json("target", "list")
        assert (listed["ready"], listed["can_delete"], listed["operator"]["european"]) == (False, None, None)
        assert secrets(machine) == ["target-offsite.key", "target-offsite.key.pub"]

        # The key is pasted; the daemon was not restarted, and knows the target.
        host._authorized.write_text(f"ssh-ed25519 {public} gardien\n")
        code, made = told(machine, "target", "test", "offsite")
        assert code == 0 and stages(made) == WELL
        assert made["stages"][-1]["remedy"].startswith("Switch on the server’s own snapshots")
        assert Path(made["passphrase_file"]).stat().st_mode & 0o777 == 0o600
        notes.add(machine)
        machine.gardien("backup", "create", "notes")
        [listed] = machine.json("target", "list")
        assert listed["ready"] and listed["can_delete"] is True and "notes" in listed["newest_good"]
        text = machine.gardien("target", "list").stdout
        assert "gardien does not know who runs" in text.lower() and "notes " in text

        # It is still there after a restart, and can be restored from.
        machine.stop()
        machine.start()
        assert machine.json("target", "list")[0]["ready"]
        machine.gardien("restore", "notes", "--yes")

        # Another server answers one day: refused, until somebody names its fingerprint.
        host.new_host_key()
        code, made = told(machine, "target", "test", "offsite")
        assert code == 1 and "host key has changed" in made["stages"][0]["says"]
        code, made = told(machine, "target", "test", "offsite", "--fingerprint", fingerprint(host.host_key_line))
        assert code == 0 and stages(made) == WELL

        # Off the list: what is there stays, and is taken up again, on another machine too.
        code, error = told(machine, "target", "remove", "offsite", "--confirm", "offside")
        assert code == 2
        machine.gardien("target", "remove", "offsite", "--confirm", "offsite")
        assert machine.json("target", "list") == [] and secrets(machine) == ["notes.env", "target-offsite.passphrase"]
        passphrase = machine.root / "owner" / "secrets" / "target-offsite.passphrase"
        paper = tmp_path / "paper"
        passphrase.rename(paper)
        again = ["target", "add", "back", *where, "--fingerprint", fingerprint(host.host_key_line)]
        told(machine, *again)
        fresh = (machine.root / "owner" / "secrets" / "target-back.key.pub").read_text()
        host._authorized.write_text(fresh)
        code, made = told(machine, "target", "test", "back")
        assert code == 1 and stages(made) == {"reach": "good", "repository": "failed"}
        assert made["stages"][1]["code"] == "wrong-passphrase"
        code, made = told(machine, "target", "test", "back", "--passphrase-file", str(paper))
        assert code == 0 and stages(made) == WELL
        machine.gardien("restore", "notes", "--yes")


def test_a_person_is_led_through_it(machine: Box, tmp_path: Path) -> None:
    with SftpHost(tmp_path / "host") as host:
        person = Person(machine.config, "target", "add", "nas", "--preset", "sftp")
        for asked, answer in (
            ("name or address of the server", "-oProxyCommand=id"),
            ("SSH port", str(host.port)),
            ("user name there", host.user),
            ("folder for the backups", ""),
        ):
            person.reads(asked)
            person.types(f"{answer}\n")
        person.reads("Write a host name")  # what was wrong is asked again, and nothing else
        person.reads_again("name or address of the server")
        person.types(f"{host.address}\n")
        person.reads(fingerprint(host.host_key_line))
        person.reads("Is it the same?")
        person.types("y\n")
        person.reads("Try again?")
        found = re.search(r"ssh-ed25519 \S+ gardien", person.screen)
        assert found is not None
        host._authorized.write_text(found[0] + "\n")
        person.types("y\n")
        person.reads("is ready")
        assert person.ends() == 0
        assert "Keep a copy outside this house" in person.screen
        assert machine.json("target", "list")[0]["ready"]


@contextmanager
def argv_watched() -> Iterator[set[str]]:
    """Every command line that is to be seen on this machine meanwhile."""
    seen: set[str] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            for entry in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(entry.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
                except OSError:
                    continue

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


def test_object_storage_and_who_can_delete_there(machine: Box, tmp_path: Path) -> None:
    with S3Host(tmp_path / "plain") as plain, S3Host(tmp_path / "locked", locked=True) as locked:
        login = tmp_path / "login"
        login.write_text(f"AWS_ACCESS_KEY_ID='{plain.key}'\nAWS_SECRET_ACCESS_KEY='{plain.secret}'\n")

        def add(name: str, host: S3Host, *more: str) -> tuple[int, Any]:
            fields = sets(endpoint=host.url, region=host.region, bucket=host.bucket, ca=host.certificate)
            return told(machine, "target", "add", name, "--preset", "s3", *fields, *more)

        code, error = add("store", plain)
        assert code == 2 and "AWS_SECRET_ACCESS_KEY" in error["error"]["says"]
        login.write_text(f"AWS_ACCESS_KEY_ID='{plain.key}'\nAWS_SECRET_ACCESS_KEY='wrong canary'\n")
        code, made = add("store", plain, "--login", str(login))
        assert code == 1 and stages(made) == {"reach": "failed"} and made["stages"][0]["code"] == "target-refuses"
        login.write_text(f"AWS_ACCESS_KEY_ID={plain.key}\nAWS_SECRET_ACCESS_KEY={plain.secret}\n")
        with argv_watched() as seen:
            code, made = told(machine, "target", "test", "store", "--login", str(login))
        assert code == 0 and stages(made) == WELL and "Object Lock" in made["stages"][-1]["remedy"]
        assert any("restic" in line and "init" in line for line in seen)
        assert not [line for line in seen if plain.secret in line]
        assert (
            plain.secret not in machine.log.read_text() + json.dumps(made) and "canary" not in machine.log.read_text()
        )
        file = machine.root / "owner" / "secrets" / "target-store.s3"
        assert file.stat().st_mode & 0o777 == 0o600 and plain.secret in file.read_text()

        # One key for both buckets; Object Lock keeps what is written, and gardien finds that out.
        code, made = add("vault", locked, "--login", str(login), "--append-only")
        assert code == 0 and stages(made) == KEPT
        plain.append_only = True
        assert stages(told(machine, "target", "test", "store")[1]) == KEPT
        by_name = {each["name"]: each for each in machine.json("target", "list")}
        assert (by_name["vault"]["can_delete"], by_name["store"]["can_delete"]) == (False, False)


def test_a_rest_server_and_who_can_delete_there(machine: Box, tmp_path: Path) -> None:
    with RestHost(tmp_path / "host") as host:
        fields = ["--preset", "rest-server", *sets(url=host.url, ca=host.certificate)]
        sent = f"RESTIC_REST_USERNAME={host.user}\nRESTIC_REST_PASSWORD={host.password}\n"
        done = subprocess.run(
            ["gardien", "--config", str(machine.config), "target", "add", "friend", *fields, "--login", "-", "--json"],
            input=sent,
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        assert stages(json.loads(done.stdout)) == WELL
        host.again(append_only=True)
        for _ in range(2):
            code, made = told(machine, "target", "test", "friend")
            assert code == 0 and stages(made) == KEPT
        host.revoke()
        code, made = told(machine, "target", "test", "friend")
        assert code == 1 and made["stages"][0]["code"] == "target-refuses"
        assert host.password not in machine.log.read_text()


def test_a_disk_and_its_copy_elsewhere(machine: Box, tmp_path: Path) -> None:
    """3-2-1: the second repository cuts files as the first does, and so shares what is the same."""
    disk = tmp_path / "disk"
    code, error = told(machine, "target", "add", "usb", "--preset", "disk", *sets(folder=disk / "not" / "there"))
    assert code == 1 and error["stages"][0]["code"] == "disk-missing"
    disk.mkdir()
    code, made = told(machine, "target", "add", "usb", "--preset", "disk", *sets(folder=disk / "gardien"))
    assert code == 0 and stages(made) == WELL
    with SftpHost(tmp_path / "host") as host:
        where = sets(host=host.address, port=host.port, user=host.user)
        told(
            machine,
            *("target", "add", "offsite", "--preset", "sftp", *where),
            *("--copy-of", "usb", "--fingerprint", fingerprint(host.host_key_line)),
        )
        host._authorized.write_text((machine.root / "owner" / "secrets" / "target-offsite.key.pub").read_text())
        code, made = told(machine, "target", "test", "offsite")
        assert code == 0 and stages(made) == WELL
        assert chunks(machine, "usb", disk / "gardien") == chunks(machine, "offsite", host.folder / "gardien")
    code, error = told(machine, "target", "remove", "usb", "--confirm", "usb")
    assert code == 1 and "is filled from" in error["error"]["says"]


def chunks(machine: Box, target: str, repository: Path) -> str:
    """How a repository cuts files: the polynomial in its config, as plain restic reads it."""
    passphrase = machine.root / "owner" / "secrets" / f"target-{target}.passphrase"
    argv = [RESTIC, "--no-cache", "-r", str(repository), "--password-file", str(passphrase), "cat", "config"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    return str(json.loads(done.stdout)["chunker_polynomial"])


METADATA = "169.254.169.254"
WRITTEN = (METADATA, "2852039166", "0xa9fea9fe", "169.254.43518", f"[::ffff:{METADATA}]", "fe80::1")


def test_threat_11_metadata_services_are_never_asked(machine: Box) -> None:
    """However their address is written, and by whatever kind of target."""
    for host in WRITTEN:
        for fields in (
            ["--preset", "sftp", *sets(host=host, user="me")],
            ["--preset", "rest-server", *sets(url=f"https://{host}/x")],
        ):
            code, error = told(machine, "target", "add", "x", *fields, "--dry-run")
            assert code in {1, 2} and error["error"]["code"] in {"refused", "bad-input"}, (host, error)
    assert secrets(machine) == [] and machine.json("target", "list") == []


def test_threat_11_a_metadata_service_that_is_there_hears_nothing() -> None:
    """In a network of its own, where it answers at its real address."""
    argv = ["unshare", "--net", sys.executable, "-m", "tests.test_targets_world"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def listen_and_add_targets() -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", f"{METADATA}/32", "dev", "lo"], check=True)
    ports, calls = (22, 80, 443), []
    listeners = [socket.create_server((METADATA, port)) for port in ports]

    def answer(listener: socket.socket) -> None:
        while True:
            link, _ = listener.accept()
            calls.append(listener.getsockname()[1])
            link.close()

    for each in listeners:
        threading.Thread(target=answer, args=(each,), daemon=True).start()
    with box() as machine:
        (machine.root / "rest").write_text("RESTIC_REST_USERNAME=a\nRESTIC_REST_PASSWORD=b\n")
        (machine.root / "s3").write_text("AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\n")
        machine.start()
        for host in (METADATA, "2852039166", "0xa9fea9fe"):
            for fields in (
                ["--preset", "sftp", *sets(host=host, user="me")],
                ["--preset", "rest-server", *sets(url=f"https://{host}/x"), "--login", str(machine.root / "rest")],
                [
                    "--preset",
                    "s3",
                    *sets(endpoint=f"https://{host}", bucket="abc"),
                    "--login",
                    str(machine.root / "s3"),
                ],
            ):
                assert machine.gardien("target", "add", "x", *fields, check=False).returncode
        assert [each["name"] for each in machine.json("target", "list")] == ["host"]
        machine.stop()
    assert calls == [], calls
    for port in ports:  # it does hear whoever calls
        socket.create_connection((METADATA, port), timeout=5).close()
    until(lambda: sorted(calls) == sorted(ports), 5)


def test_a_foreign_law_over_the_command(machine: Box) -> None:
    where = [
        "target",
        "add",
        "far",
        "--preset",
        "s3",
        *sets(endpoint="https://s3.eu-west-3.amazonaws.com", bucket="practice"),
    ]
    code, draft = told(machine, *where, "--dry-run")
    assert code == 0 and draft["operator"]["european"] is False
    code, error = told(machine, *where)
    assert (code, error["error"]["code"]) == (1, "refused") and draft["sentence"] in error["error"]["remedy"]
    code, error = told(machine, *where, "--accept", draft["sentence"])
    assert code == 2 and "AWS_ACCESS_KEY_ID" in error["error"]["says"]  # that was what hindered it
    assert secrets(machine) == [] and machine.json("target", "list") == []


if __name__ == "__main__":
    listen_and_add_targets()

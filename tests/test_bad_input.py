"""What goes wrong at people's homes: each gives a sentence with a remedy, a non-zero code, and changes nothing."""

import hashlib
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.box import Box, box, docker, free_port
from tests.world.sftp import SftpHost


def everything(machine: Box, *folders: Path) -> dict[str, str]:
    """All that a command could have changed: files, settings, secrets, containers. Not gardien's own journal."""
    found = {}
    for root in (machine.data, machine.root / "owner", machine.config, *folders):
        for path in (root, *root.rglob("*")):
            if "locks" in path.parts or ("html" in path.parts[:-1] and path.suffix == ".php"):
                continue
            if path.is_file() and not path.is_symlink() and "db" not in path.parts:
                found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for line in docker(
        "ps", "--all", "--filter", f"name={machine.prefix}", "--format", "{{.Names}} {{.State}}"
    ).splitlines():
        found[f"container {line}"] = ""
    return found


def refused(machine: Box, *argv: str, code: int = 1, remedy: str) -> str:
    """Run it; it must fail with a sentence and this remedy, and no traceback. Returns what it said."""
    done = machine.gardien(*argv, check=False)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    said = done.stderr
    assert remedy in said, said
    assert "Traceback" not in said + done.stdout
    assert "something unexpected" not in said, said
    french = machine.gardien(*argv, check=False, environment={"LANG": "fr_FR.UTF-8", "LC_ALL": "fr_FR.UTF-8"})
    assert french.returncode == code
    assert french.stderr != said, "no French"
    return said


@pytest.fixture
def put_back(nextcloud: Box) -> Iterator[Box]:
    """The Nextcloud machine; its settings file and passphrase are put back afterwards."""
    config, passphrase = nextcloud.config.read_text(), nextcloud.passphrase.read_text()
    yield nextcloud
    nextcloud.config.write_text(config)
    nextcloud.passphrase.write_text(passphrase)
    nextcloud.until_well("nextcloud", 30)


def test_wrong_passphrase(put_back: Box, host: SftpHost) -> None:
    put_back.gardien("backup", "create", "nextcloud")
    put_back.passphrase.write_text("not the passphrase\n")
    before = everything(put_back, host.folder)
    said = refused(put_back, "backup", "create", "nextcloud", remedy="recovery key")
    assert "passphrase" in said
    refused(put_back, "restore", "nextcloud", "--yes", remedy="recovery key")
    assert everything(put_back, host.folder) == before


def test_port_taken(put_back: Box) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with box() as fresh:
            fresh.start()
            before = everything(fresh)
            said = refused(
                fresh, "stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={port}", remedy="choose another port"
            )
            assert str(port) in said
            after = everything(fresh)
            after.pop(str(fresh.data / ".gardien-disk"))  # the first look at a new disk marks it
            assert after == before
            fresh.stop()


def test_the_pages_own_port_taken() -> None:
    with socket.socket() as other, box() as fresh:
        other.bind(("127.0.0.1", fresh.page_port))
        other.listen()
        daemon = fresh.spawn()
        assert daemon.wait(20) == 1
        fresh.daemon = None
        assert "another program listens there" in fresh.logged()
        assert "Traceback" not in fresh.logged()


def test_docker_not_running(put_back: Box) -> None:
    with box() as fresh:
        fresh.settings["docker"]["socket"] = str(fresh.root / "no.sock")
        fresh.save_settings()
        fresh.start()
        said = refused(fresh, "stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}", remedy="Start it")
        assert "Docker" in said
        assert not (fresh.data / "nextcloud").exists()
        assert not list((fresh.root / "owner" / "stacks").glob("*"))
        assert fresh.gardien("check", check=False).returncode == 1
        fresh.stop()


@pytest.mark.parametrize(
    ("line", "fault", "words"),
    [
        ("      - type: volume\n        source: lost\n        target: /lost", None, "lost"),
        ("x-gardien:", "x-gardien:\n  tilte: typo", "tilte"),
        ("    save: [html]", "    save: []", "html"),
        ('        whole: "^-- Dump completed"', '        whole: "(unclosed"', "regular expression"),
        ("  format: 1", "  format: 99", "format"),
    ],
)
def test_a_broken_manifest_is_refused_with_file_and_line(
    put_back: Box, line: str, fault: str | None, words: str
) -> None:
    own = put_back.root / "owner" / "stacks" / "mine"
    shipped = Path(__file__).parents[1] / "compose" / "nextcloud" / "compose.yaml"
    text = shipped.read_text()
    if fault is None:
        text = text.replace("    volumes:\n", f"    volumes:\n{line}\n", 1)
    else:
        assert line in text
        text = text.replace(line, fault, 1)
    own.mkdir(parents=True)
    (own / "compose.yaml").write_text(text)
    before = everything(put_back)
    try:
        said = refused(put_back, "stack", "add", "mine", code=2, remedy="compose.yaml")
        assert words in said
        assert any(f"compose.yaml:{number}" in said or f"line {number}" in said for number in range(1, 400)), said
        assert everything(put_back) == before
        assert put_back.gardien("check", check=False).returncode != 0
    finally:
        shutil.rmtree(own)
    assert put_back.gardien("check", check=False).returncode == 0, put_back.gardien("check", check=False).stdout


def test_every_fault_of_the_settings_is_told_at_once(put_back: Box) -> None:
    put_back.config.write_text("languag: en\npage: {port: 99999}\nbackup: {late_after_hours: 0}\n")
    done = put_back.gardien("check", check=False)
    assert done.returncode == 2
    for fault in ("languag", "page.port", "backup.late_after_hours"):
        assert fault in done.stderr, done.stderr
    daemon = Box()
    try:
        daemon.config.write_text("nonsense: true\n")
        assert daemon.spawn().wait(20) == 2
        daemon.daemon = None
        assert "nonsense" in daemon.logged()
    finally:
        daemon.end()


def test_gardien_not_running_is_told_with_how_to_start_it() -> None:
    with box() as fresh:
        said = refused(fresh, "status", code=3, remedy="Start it with")
        assert "not running" in said

"""The hosts of the test world do what the tests of gardien lean on."""

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.line import Line
from tests.world.sftp import SftpHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SftpHost]:
    with SftpHost(tmp_path / "host") as started:
        yield started
    assert started.sessions() == []


def login(host: SftpHost, port: int | None = None, key: str | None = None) -> list[str]:
    """What a careful client asks of ssh: this key, that host key, no questions."""
    known = host.client_key.with_name("known_hosts")
    known.write_text(f"[127.0.0.1]:{port or host.port} {key or host.host_key_line}\n")
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    options += [f"UserKnownHostsFile={known}", f"IdentityFile={host.client_key}", f"Port={port or host.port}"]
    return [word for option in options for word in ("-o", option)]


def run(argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30)


def sftp(
    host: SftpHost, command: str, *, port: int | None = None, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    return run(["sftp", "-b", "-", *login(host, port, key), f"{host.user}@{host.address}"], command)


def test_relative_paths_land_in_its_folder(host: SftpHost, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Bonjour")
    done = sftp(host, f"mkdir box\nput {tmp_path}/letter box/letter\n")
    assert done.returncode == 0, done.stderr + host.log.read_text()
    assert (host.folder / "box/letter").read_text() == "Bonjour"


def test_only_files_no_commands(host: SftpHost) -> None:
    done = run(["ssh", *login(host), f"{host.user}@{host.address}", "echo", "not here"])
    assert "not here" not in done.stdout


def test_refuses_and_comes_back_on_the_same_port(host: SftpHost) -> None:
    port = host.port
    host.refuse()
    assert "refused" in sftp(host, "ls").stderr
    host.start()
    assert host.port == port
    assert sftp(host, "ls").returncode == 0


def test_another_host_key_is_noticed(host: SftpHost) -> None:
    before = host.host_key_line
    host.new_host_key()
    assert host.host_key_line != before
    assert "verification failed" in sftp(host, "ls", key=before).stderr
    assert sftp(host, "ls").returncode == 0


def test_a_revoked_key_is_denied(host: SftpHost) -> None:
    host.revoke_key()
    assert "Permission denied" in sftp(host, "ls").stderr
    host.accept_key()
    assert sftp(host, "ls").returncode == 0


def test_a_line_passes_everything_and_can_be_slow(host: SftpHost, tmp_path: Path) -> None:
    with Line(host.port) as line:
        assert sftp(host, "ls", port=line.port).returncode == 0
        (tmp_path / "big").write_bytes(b"x" * 400_000)
        line.rate = 400_000
        began = time.monotonic()
        done = sftp(host, f"put {tmp_path}/big big\n", port=line.port)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began > 0.9
    assert (host.folder / "big").stat().st_size == 400_000


def test_a_line_can_be_half_open_and_cut(host: SftpHost) -> None:
    with Line(host.port) as line, socket.create_connection(("127.0.0.1", line.port), timeout=5) as link:
        assert link.recv(64).startswith(b"SSH-2.0")
        line.frozen = True
        link.sendall(b"SSH-2.0-test\r\n")
        link.settimeout(0.5)
        with pytest.raises(TimeoutError):
            link.recv(64)
        line.frozen = False
        link.settimeout(5)
        assert link.recv(64)  # what was held back
        line.cut()
        with pytest.raises(ConnectionResetError):
            while link.recv(4096):
                pass
            raise AssertionError("an orderly end instead of a reset")

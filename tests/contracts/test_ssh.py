"""SSH keys: what the fake and OpenSSH's own tools both hold."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.adapters.ssh_keys import SshKeys
from gardien.errors import BadInput, CommandFailed, TargetUnreachable
from gardien.model.setup import HostKey
from gardien.rules.openssh import fingerprint
from gardien.services.ports import Ssh
from tests.fakes import FakeFiles, FakeSsh, Leaf
from tests.world.sftp import SftpHost, free_port


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpHost]:
    with SftpHost(tmp_path_factory.mktemp("ssh") / "host") as running:
        yield running


@pytest.fixture(params=["real", "fake"])
def ssh(request: pytest.FixtureRequest, tmp_path: Path, host: SftpHost) -> Ssh:
    if request.param == "real":
        return SshKeys(tmp_path / "children")
    files = FakeFiles()
    files.put(tmp_path, Leaf(None, 0o700))
    fake = FakeSsh(files)
    line = host.host_key_line
    fake.servers[host.address, host.port] = HostKey(line, fingerprint(line))
    return fake


async def test_a_pair_is_made_once(ssh: Ssh, tmp_path: Path) -> None:
    line = await ssh.make(tmp_path / "target.key")
    assert line.startswith("ssh-ed25519 ") and line.endswith(" gardien") and len(line.split()) == 3
    assert await ssh.make(tmp_path / "target.key") == line == await ssh.public(tmp_path / "target.key")
    assert await ssh.make(tmp_path / "other.key") != line


async def test_what_a_server_shows(ssh: Ssh, host: SftpHost) -> None:
    first, *_ = await ssh.scan(host.address, host.port)
    assert first == HostKey(host.host_key_line, fingerprint(host.host_key_line))
    with pytest.raises(TargetUnreachable):
        await ssh.scan(host.address, free_port())


# -- the real one alone


async def test_the_fingerprint_is_the_one_that_ssh_keygen_shows(host: SftpHost) -> None:
    argv = ["ssh-keygen", "-l", "-f", str(host._host_key)]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()[1]
    assert fingerprint(host.host_key_line) == shown
    for odd in ("", "ssh-ed25519", "ssh-ed25519 not!base64"):
        with pytest.raises(BadInput):
            fingerprint(odd)


async def test_nobody_else_reads_the_secret_half_and_nothing_is_left_over(tmp_path: Path) -> None:
    keys = SshKeys(tmp_path / "children")
    folder = tmp_path / "secrets"
    folder.mkdir()
    for name in (".target.key.new", ".target.key.new.pub"):  # of a try that was killed
        (folder / name).write_text("half")
    await keys.make(folder / "target.key")
    assert sorted(path.name for path in folder.iterdir()) == ["target.key", "target.key.pub"]
    assert (folder / "target.key").stat().st_mode & 0o777 == 0o600
    (folder / "target.key").write_text("no key")
    with pytest.raises(CommandFailed):
        await keys.public(folder / "target.key")


async def test_a_server_that_listens_and_says_nothing(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TargetUnreachable):
        await SshKeys(tmp_path / "children").scan("127.0.0.1", silent.getsockname()[1])

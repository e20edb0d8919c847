"""What every machine keeps to: this one, and the one in memory."""

import os
import socket
from pathlib import Path

import pytest

from gardien.adapters.host import LinuxHost
from gardien.services.ports import Host
from tests.contracts.small_disk import small_disk
from tests.fakes import FakeHost


@pytest.fixture(params=["real", "fake"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_disks(kind: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as folder:
        fake = FakeHost()
        fake.disks[folder] = (8 << 20, 7 << 20)
        fake.gone.add(folder / "gone")
        host: Host = LinuxHost() if kind == "real" else fake
        if kind == "real":
            (folder / "inner").mkdir()
        disk = host.disk(folder / "inner")
        assert disk.path == str(folder / "inner")
        assert disk.present
        assert 4 << 20 < disk.total <= 8 << 20
        assert 0 < disk.free <= disk.total
        assert 0 <= disk.used_share < 0.5
        assert host.disk(Path("/")).total > disk.total
        gone = host.disk(folder / "gone")
        assert (gone.present, gone.total, gone.free) == (False, 0, 0)


def test_ports(kind: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        fake = FakeHost()
        fake.taken[port] = "somebody"
        host: Host = LinuxHost() if kind == "real" else fake
        assert not host.port_free("127.0.0.1", port)
        if kind == "real":
            assert not host.port_free("0.0.0.0", port)
    del fake.taken[port]
    assert host.port_free("127.0.0.1", port)
    assert host.port_free("127.0.0.1", port), "asking takes it"


def test_ports_of_this_machine_in_all_their_ways() -> None:
    host = LinuxHost()
    assert not host.port_free("192.0.2.1", 8080), "an address that is not of this machine"
    with socket.socket(socket.AF_INET6) as listener:
        listener.bind(("::1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert not host.port_free("::1", port)
        assert not host.port_free("[::1]", port)
        assert host.port_free("127.0.0.1", port)
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as every server does
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()
    assert host.port_free("127.0.0.1", port), "a connection that has just ended keeps it"


def test_what_is_used_is_not_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as folder:
        host = LinuxHost()
        before = host.disk(folder)
        (folder / "file").write_bytes(b"x" * (4 << 20))
        os.sync()
        after = host.disk(folder)
        assert before.free - after.free >= 4 << 20
        assert after.used_share - before.used_share > 0.4

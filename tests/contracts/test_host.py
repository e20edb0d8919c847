"""What every machine keeps to: this one, and the one in memory."""

import asyncio
import ipaddress
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from gardien.adapters import host as adapter
from gardien.adapters.host import LinuxHost
from gardien.services.ports import Host
from tests.contracts.small_disk import small_disk
from tests.fakes import FakeHost


@pytest.fixture(params=["real", "fake"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_disks(kind: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as folder:
        fake = FakeHost()
        fake.disks[folder] = (8 << 20, 7 << 20)
        fake.gone.add(folder / "gone")
        host: Host = LinuxHost() if kind == "real" else fake
        if kind == "real":
            (folder / "inner").mkdir()
        disk = await host.disk(folder / "inner")
        assert disk.path == str(folder / "inner")
        assert disk.present
        assert 4 << 20 < disk.total <= 8 << 20
        assert 0 < disk.free <= disk.total
        assert 0 <= disk.used_share < 0.5
        assert (await host.disk(Path("/"))).total > disk.total
        gone = await host.disk(folder / "gone")
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


def test_what_the_machine_is_made_of(kind: str) -> None:
    host: Host = LinuxHost() if kind == "real" else FakeHost()
    assert host.cores() >= 1
    assert host.memory() > 256 << 20
    assert 0 < host.memory_free() <= host.memory()
    if kind == "real":
        assert host.memory() == psutil.virtual_memory().total
        assert host.cores() == len(psutil.Process().cpu_affinity())


def test_addresses(kind: str) -> None:
    host: Host = LinuxHost() if kind == "real" else FakeHost()
    found = [ipaddress.ip_address(each) for each in host.addresses()]
    assert not any(each.is_loopback or each.is_link_local for each in found)
    assert [each.version for each in found] == sorted(each.version for each in found)
    assert len(set(found)) == len(found)


async def test_names(kind: str) -> None:
    host: Host = LinuxHost() if kind == "real" else FakeHost()
    assert "127.0.0.1" in await host.resolve("localhost")
    for name in ("no-such-name.invalid", "", "a" * 70 + ".example", "nul\0"):
        assert await host.resolve(name) == ()


# -- of the real one alone


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


async def test_what_is_used_is_not_free(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as folder:
        host = LinuxHost()
        before = await host.disk(folder)
        (folder / "file").write_bytes(b"x" * (4 << 20))
        os.sync()
        after = await host.disk(folder)
        assert before.free - after.free >= 4 << 20
        assert after.used_share - before.used_share > 0.4


@pytest.fixture
def cards() -> Iterator[None]:
    """Two bridges: one of the local network, one that looks like Docker's."""
    ours, dockers = f"gt{os.getpid()}", f"br-{os.getpid():012x}"
    commands = [
        f"link add {ours} type bridge",
        f"link set {ours} up",
        f"address add 10.99.99.2/24 dev {ours}",
        f"address add 169.254.9.9/16 dev {ours}",
        f"address add fd99::2/64 dev {ours} nodad",
        f"address add fd99::3/64 dev {ours} nodad preferred_lft 0",
        f"link add {dockers} type bridge",
        f"address add 10.99.98.1/24 dev {dockers}",
    ]
    try:
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)
        yield
    finally:
        for name in (ours, dockers):
            subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def test_only_addresses_that_others_reach(cards: None) -> None:
    ours = [each for each in LinuxHost().addresses() if each.startswith(("10.99.", "169.254.", "fd99:", "fe80:"))]
    assert ours == ["10.99.99.2", "fd99::2"]


@contextmanager
def dead_disk(at: Path) -> Iterator[None]:
    """A file system nobody answers for, like a network mount whose server is gone."""
    at.mkdir()
    line = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={line},rootmode=40000,user_id=0,group_id=0"
    mount = ["mount", "-i", "-t", "fuse", "-o", options, "none", str(at)]
    subprocess.run(mount, check=True, pass_fds=[line])
    try:
        yield
    finally:
        os.close(line)
        subprocess.run(["umount", "-l", str(at)], check=True)


async def test_a_disk_that_never_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_PATIENCE", 0.5)
    host = LinuxHost()
    dead = tmp_path / "dead"
    with dead_disk(dead):
        for _ in range(2):
            here, gone, same = await asyncio.gather(host.disk(tmp_path), host.disk(dead), host.disk(dead))
            assert here.present
            assert (gone, gone.present, gone.total) == (same, False, 0)
        looking = [each for each in threading.enumerate() if each.name == "disk"]
        assert len(looking) == 1, "every look costs a thread for ever"
    while looking[0].is_alive():
        await asyncio.sleep(0.02)
    await asyncio.sleep(0)  # its answer comes
    assert (await host.disk(dead)).present, "it is looked at again"

"""What systemd hears: on a socket of our own in its place."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.adapters.notify import Systemd


@pytest.fixture(params=["file", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    address = str(tmp_path / "s") if request.param == "file" else f"@gardien-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        listener.bind(address.replace("@", "\0", 1))
        yield address, listener


def test_what_is_said(heard: tuple[str, socket.socket]) -> None:
    address, listener = heard
    systemd = Systemd({"NOTIFY_SOCKET": address})
    systemd.ready("All\nis well")
    systemd.status("Saving")
    systemd.alive()
    systemd.stopping()
    assert [listener.recv(200).decode() for _ in range(4)] == [
        "READY=1\nSTATUS=All is well",
        "STATUS=Saving",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_alone_nothing_happens() -> None:
    for environ in ({}, {"NOTIFY_SOCKET": "/no/such/socket"}, {"NOTIFY_SOCKET": "@nobody-listens"}):
        systemd = Systemd(environ)
        systemd.ready()
        systemd.alive()
        assert systemd.interval is None


def test_how_often() -> None:
    me = str(os.getpid())
    assert Systemd({"WATCHDOG_USEC": "30000000"}).interval == 15.0
    assert Systemd({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": me}).interval == 15.0
    assert Systemd({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).interval is None
    assert Systemd({"WATCHDOG_USEC": "soon"}).interval is None

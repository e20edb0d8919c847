"""The daemon as systemd and Prometheus see it."""

import os
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.world.box import box


def test_it_tells_systemd_that_it_is_ready_alive_and_stopping() -> None:
    with box() as machine, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        address = machine.root / "notify"
        systemd.bind(str(address))
        systemd.settimeout(20)
        machine.start(NOTIFY_SOCKET=str(address), WATCHDOG_USEC="1000000")
        heard = systemd.recv(4096).decode()
        assert "READY=1" in heard
        heard, began, beats = "", time.monotonic(), 0
        while beats < 3:
            message = systemd.recv(4096).decode()
            heard += message
            beats += message.count("WATCHDOG=1")
        assert time.monotonic() - began < 5
        assert "STATUS=" in heard
        assert machine.stop() == 0
        while "STOPPING=1" not in heard:
            heard += systemd.recv(4096).decode()


def test_threat_2_it_listens_where_it_was_told_and_nowhere_else() -> None:
    with box() as machine:
        machine.start()
        assert machine.daemon is not None
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ours = {str(link.readlink()) for link in Path(f"/proc/{machine.daemon.pid}/fd").iterdir()}
        listening = [row[1] for row in table if row[3] == "0A" and f"socket:[{row[9]}]" in ours]
        assert listening == [f"0100007F:{machine.page_port:04X}"]
        page = f"http://127.0.0.1:{machine.page_port}"
        assert urllib.request.urlopen(f"{page}/healthz", timeout=5).status == 200
        for path in ("/metrics", "/api/v1/status", "/api/v1/jobs"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(page + path, timeout=5)
            assert refused.value.code in (401, 403)
        with socket.socket(socket.AF_UNIX) as console:
            console.settimeout(10)
            console.connect(str(machine.root / "run" / "gardien.sock"))
            console.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = b""
            while piece := console.recv(65536):
                answer += piece
        assert b"gardien_build_info" in answer
        machine.stop()


def test_it_idles_at_next_to_nothing() -> None:
    """Not a matter of speed: a loop that spins would burn a Pi's processor for ever."""
    with box() as machine:
        machine.start()
        assert machine.daemon is not None

        def used() -> float:
            assert machine.daemon is not None
            fields = Path(f"/proc/{machine.daemon.pid}/stat").read_text().rsplit(") ", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        time.sleep(2)
        before = used()
        time.sleep(8)
        assert used() - before < 2.0
        machine.stop()


def test_check_leaves_no_trace_where_gardien_never_ran() -> None:
    with box() as machine:
        before = set(machine.root.rglob("*"))
        done = machine.gardien("check", check=False)
        assert done.returncode == 1
        assert "target init" in done.stdout
        after = {path for path in machine.root.rglob("*") if not path.is_relative_to(machine.root / "run")}
        assert after == before

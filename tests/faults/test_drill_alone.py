"""Nothing leads out of a copy that is tried: asked from inside, at an engine with a firewall of its own.

The tests' usual engine leaves the firewall of this machine alone, so this one has a network namespace to itself.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gardien.rules import drill
from tests.contracts.docks import IMAGE, make_image

RUNS = """
services:
  app:
    image: gardien-test/busybox:1
    command: [httpd, -f, -p, "8080", -h, /srv]
    ports: ["127.0.0.1:18080:8080"]
    extra_hosts: ["outside:host-gateway"]
    networks: [default, door]
    volumes: [{type: bind, source: ./srv, target: /srv, bind: {create_host_path: false}}]
  side: {image: "gardien-test/busybox:1", command: [httpd, -f, -p, "8080"]}
networks: {door: {}}
"""


@dataclass
class Engine:
    """One with a firewall; `outside` is a machine that it can reach, `asked` what was asked of that one's resolver."""

    socket: Path
    namespace: str
    outside: str
    port: int
    asked: list[bytes]

    def docker(self, *argv: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """What it printed."""
        return subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *argv],
            capture_output=True,
            text=True,
            timeout=90,
            check=check,
            stdin=subprocess.DEVNULL,
        )

    def up(self, file: Path, project: str) -> str:
        """Start it; the container of `app`."""
        self.docker("compose", "--file", str(file), "--project-name", project, "up", "--detach", "--wait")
        label = f"label=com.docker.compose.project={project}"
        found = self.docker("ps", "-q", "--filter", label, "--filter", "label=com.docker.compose.service=app")
        return found.stdout.strip()

    def address(self, container: str) -> str:
        shape = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        return self.docker("inspect", "--format", shape, container).stdout.split(maxsplit=1)[0]

    def reaches(self, container: str, address: str, port: int) -> bool:
        """Whether a connection from inside comes about."""
        return not self.docker(
            "exec", container, "busybox", "nc", "-w", "2", address, str(port), check=False
        ).returncode

    def resolves(self, container: str, name: str) -> bool:
        """Whether a question from inside for that name gets as far as the outside."""
        before = len(self.asked)
        self.docker("exec", container, "busybox", "timeout", "4", "busybox", "nslookup", name, check=False)
        return any(name.partition(".")[0].encode() in each for each in self.asked[before:])


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    name, third = f"gd{uuid.uuid4().hex[:8]}", 1 + uuid.uuid4().int % 250
    here, there = f"198.18.{third}.1", f"198.18.{third}.2"
    room = Path(tempfile.mkdtemp(prefix="gd-", dir="/run"))
    data = Path(tempfile.mkdtemp(prefix="gd-", dir=Path.home() / ".cache"))

    def ip(*argv: str) -> None:
        subprocess.run(["ip", *argv], check=True, capture_output=True, timeout=20)

    with contextlib.ExitStack() as after:
        after.callback(shutil.rmtree, data, ignore_errors=True)
        after.callback(shutil.rmtree, room, ignore_errors=True)
        ip("netns", "add", name)
        after.callback(ip, "netns", "delete", name)
        ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", name, "up")
        ip("address", "add", f"{here}/30", "dev", name)
        for words in ("link set lo up", f"address add {there}/30 dev eth0", "link set eth0 up"):
            ip("-n", name, *words.split())
        ip("-n", name, "route", "add", "default", "via", here)
        made = Engine(room / "docker.sock", name, here, _greeter(here, after), _resolver(here, after))
        after.enter_context(_dockerd(made, room, data, here))
        make_image()
        image = subprocess.run(["docker", "save", IMAGE], check=True, capture_output=True, timeout=60).stdout
        load = ["docker", "--host", f"unix://{made.socket}", "load"]
        subprocess.run(load, input=image, check=True, capture_output=True, timeout=60)
        yield made
        if left := made.docker("ps", "-aq").stdout.split():
            made.docker("rm", "--force", "--volumes", *left)


def _greeter(address: str, after: contextlib.ExitStack) -> int:
    """Whoever comes is sent away again, at this port."""
    server = after.enter_context(socketserver.ThreadingTCPServer((address, 0), socketserver.BaseRequestHandler))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    after.callback(thread.join, 5)
    after.callback(server.shutdown)
    return int(server.server_address[1])


def _resolver(address: str, after: contextlib.ExitStack) -> list[bytes]:
    """Hears what is asked, and knows nothing."""
    heard: list[bytes] = []
    server = after.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    server.bind((address, 53))

    def hear() -> None:
        while True:
            try:
                question, _ = server.recvfrom(4096)
            except OSError:
                return
            if question == b"over":
                return
            heard.append(question)

    thread = threading.Thread(target=hear)
    thread.start()

    def end() -> None:
        server.sendto(b"over", (address, 53))
        thread.join(5)

    after.callback(end)
    return heard


@contextlib.contextmanager
def _dockerd(engine: Engine, room: Path, data: Path, resolver: str) -> Iterator[None]:
    argv = ["nsenter", f"--net=/run/netns/{engine.namespace}", "dockerd", f"--host=unix://{engine.socket}"]
    argv += [f"--data-root={data}", f"--exec-root={room}/exec", f"--pidfile={room}/pid", f"--dns={resolver}"]
    argv += [f"--containerd-namespace={engine.namespace}", f"--containerd-plugins-namespace={engine.namespace}-plugins"]
    argv += ["--bip=10.214.255.1/24", "--default-address-pool=base=10.214.0.0/16,size=27"]
    environment = {key: value for key, value in os.environ.items() if key != "DOCKER_HOST"}
    with (room / "log").open("wb") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )
    try:
        for _ in range(100):
            if not engine.docker("version", check=False).returncode:
                break
            assert process.poll() is None, (room / "log").read_text()[-2000:]
            time.sleep(0.2)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def test_nothing_leads_out_of_a_copy(engine: Engine, tmp_path: Path) -> None:
    """What leads out of the project as it runs (so this world would show it) is shut when it is set apart."""
    home, runs = tmp_path / "copy", tmp_path / "copy" / ".gardien" / "compose" / "compose.yaml"
    runs.parent.mkdir(parents=True)
    (home / "srv").mkdir()
    runs.write_text(RUNS.replace("./srv", str(home / "srv")))
    real = engine.up(runs, "runs")
    assert engine.reaches(real, engine.outside, engine.port)
    assert engine.resolves(real, "somebody.example.org")

    resolved = engine.docker("compose", "--file", str(runs), "--project-name", "tried", "config", "--format", "json")
    apart = tmp_path / "compose.yaml"
    apart.write_text(json.dumps(drill.apart(json.loads(resolved.stdout), "tried", home)))
    copy = engine.up(apart, "tried")
    assert not engine.reaches(copy, engine.outside, engine.port)
    assert not engine.resolves(copy, "nobody.example.org")
    assert not engine.reaches(copy, engine.address(real), 8080)
    assert "host-gateway" not in engine.docker("exec", copy, "cat", "/etc/hosts").stdout
    assert engine.docker("port", copy).stdout == ""
    # Its own services, by name; and this machine, which asks how it is.
    assert engine.reaches(copy, "side", 8080)
    ask = ["nsenter", f"--net=/run/netns/{engine.namespace}", "curl", "-sS", f"http://{engine.address(copy)}:8080/"]
    assert subprocess.run(ask, check=False, capture_output=True, timeout=20).returncode == 0

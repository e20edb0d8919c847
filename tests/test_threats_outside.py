"""Threats 2 and 11 with real neighbours: who reaches the page from a container, and where gardien lets itself be sent.

The second half runs this file as a program, in a network of its own, where a metadata service is at its real address
and a name server turns names as an attacker would.
"""

import asyncio
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web

from gardien.adapters.host import LinuxHost
from gardien.adapters.mailer import SmtpMailer
from gardien.adapters.outside import outside, post
from gardien.adapters.pinger import HttpPinger
from gardien.adapters.registry import HttpRegistries
from gardien.adapters.second_way import SecondWay
from gardien.errors import GardienError, MailFailed, RegistryFailed
from gardien.model.edit import Changes
from gardien.model.letter import Letter, Text
from gardien.model.settings import Settings
from gardien.model.setup import Wish
from gardien.rules.house_settings import faults_of
from tests.quiet_house import quiet_house, write_settings
from tests.world.box import box, docker

INNER = ("169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1%lo")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
PORTS = (22, 25, 80, 443, 465)
LITERALS = (
    *("169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "100.100.100.200"),
    *("2852039166", "0xa9fea9fe", "169.254.43518", "0251.0376.0251.0376", "0.0.0.0", "169.254.169.254."),
)
# Each asking of a name takes the next answer; the last one stays.
NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "inner.example": (("169.254.169.254",),),
    "mixed.example": (("127.0.0.1", "169.254.169.254"),),
    "turns.example": (("127.0.0.1",), ("169.254.169.254",)),
    "six.example": (("fd00:ec2::254",),),
    "mapped.example": (("::ffff:169.254.169.254",),),
}


def test_threat_11_whatever_it_is_told_to_ask_a_metadata_service_hears_nothing() -> None:
    """By letters, pings, registries, targets: by address, by name, by redirect, by a name that turns."""
    argv = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.test_threats_outside"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("host", LITERALS[:5])
def test_threat_11_no_settings_send_it_there(host: str) -> None:
    for told in (
        {"ping": f"https://{host}/x"},
        {"second_way": {"kind": "ntfy", "url": f"https://{host}:8080/topic"}},
        {"mail": {"to": ["a@practice.example"], "from": "b@practice.example", "host": host}},
    ):
        [fault] = faults_of(Settings.model_validate(told))
        assert "never asks" in str(fault.says)


# -- threat 2: who reaches the page from a container


def test_threat_2_a_container_reaches_the_page_only_where_the_owner_put_it() -> None:
    """Two bridges: a container lives on one, the gateway of the other stands for the house's own network."""
    with bridges() as (container, gateway, lan), box() as machine:
        with socket.create_server(("0.0.0.0", 0)) as control:
            open_port = control.getsockname()[1]
            everywhere = [*machine_addresses(), gateway, lan]
            assert reach(container, open_port, everywhere) == set(everywhere)
        machine.start()
        assert reach(container, machine.page_port, everywhere) == set()
        machine.stop()
        machine.settings["page"] |= {"address": lan, "names": ["localhost", lan]}
        machine.save_settings()
        machine.start()
        assert reach(container, machine.page_port, everywhere) == {lan}
        # There it speaks TLS alone; at the machine itself it goes on as it was.
        insecure = ssl._create_unverified_context()
        far = f"https://{lan}:{machine.page_port}/healthz"
        assert urllib.request.urlopen(far, context=insecure, timeout=20).status == 200
        with pytest.raises(OSError):
            urllib.request.urlopen(far.replace("https", "http"), timeout=20)
        near = f"http://127.0.0.1:{machine.page_port}/healthz"
        assert urllib.request.urlopen(near, timeout=20).status == 200
        machine.stop()


@contextmanager
def bridges() -> Iterator[tuple[str, str, str]]:
    """A container; the gateway of its network; the gateway of another."""
    name = f"gt{uuid.uuid4().hex[:8]}"
    made = (f"{name}-inside", f"{name}-lan")
    try:
        for each in made:
            docker("network", "create", each)
        docker("run", "-d", "--name", name, "--network", made[0], "gardien-test/busybox:1", "sleep", "infinity")
        form = "{{(index .IPAM.Config 0).Gateway}}"
        inside, lan = (docker("network", "inspect", each, "-f", form).strip() for each in made)
        yield name, inside, lan
    finally:
        docker("rm", "-f", "-v", name, check=False)
        for each in made:
            docker("network", "rm", each, check=False)


def machine_addresses() -> list[str]:
    """What this machine is called by others; loopback, seen from a container, is the container itself."""
    found = psutil.net_if_addrs().items()
    return [
        each.address
        for link, addresses in found
        if not link.startswith(("lo", "br-", "docker", "veth"))
        for each in addresses
        if each.family == socket.AF_INET
    ]


def reach(container: str, port: int, addresses: list[str]) -> set[str]:
    """At which of these a connection from the container is taken."""
    tries = "; ".join(f"nc -w 5 {each} {port} -e true 2>/dev/null && echo {each}" for each in addresses)
    return set(docker("exec", container, "sh", "-c", f"{tries}; true").split())


# -- the inner network


def listen(hits: list[str]) -> None:
    """Hear whoever comes to an inner address."""

    def answer(listener: socket.socket, address: str) -> None:
        while True:
            link, _ = listener.accept()
            hits.append(address)
            link.close()

    for address in INNER:
        for port in PORTS:
            family, *_, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
            listener = socket.socket(family)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen()
            threading.Thread(target=answer, args=(listener, address), daemon=True).start()


def serve_names(asked: dict[str, int]) -> None:
    """A name server: just enough of RFC 1035 for A and AAAA."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def answer() -> None:
        while True:
            query, client = server.recvfrom(512)
            at, labels = 12, []
            while size := query[at]:
                labels.append(query[at + 1 : at + 1 + size].decode())
                at += 1 + size
            name, kind = ".".join(labels), int.from_bytes(query[at + 1 : at + 3], "big")
            turns = NAMES.get(name, ((),))
            given = turns[min(asked.get(name, 0), len(turns) - 1)]
            if kind == 1:
                asked[name] = asked.get(name, 0) + 1
            family, code = (socket.AF_INET, 1) if kind == 1 else (socket.AF_INET6, 28)
            found = [socket.inet_pton(family, each) for each in given if (":" in each) == (code == 28) == (kind == 28)]
            body = b"".join(
                b"\xc0\x0c" + kind.to_bytes(2, "big") + b"\0\1\0\0\0\0" + len(each).to_bytes(2, "big") + each
                for each in found
            )
            head = query[:2] + b"\x81\x80\0\1" + len(found).to_bytes(2, "big") + b"\0\0\0\0"
            server.sendto(head + query[12 : at + 5] + body, client)

    threading.Thread(target=answer, daemon=True).start()


def inner_network() -> None:
    """Loopback, the addresses of the inner services on it, and a resolver that asks our name server."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for address in INNER:
        bits = "128" if ":" in address else "32"
        subprocess.run(["ip", "address", "add", f"{address.partition('%')[0]}/{bits}", "dev", "lo"], check=True)
    for file, text in (
        ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"),
        ("/etc/nsswitch.conf", "hosts: files dns\n"),
    ):
        beside = Path(tempfile.mkstemp()[1])
        beside.write_text(text)
        subprocess.run(["mount", "--bind", str(beside), file], check=True)
        beside.unlink()


# -- what is asked of gardien there


def settings(**told: Any) -> Settings:
    return Settings.model_validate({"folders": {"state": "/nowhere", "run": "/nowhere"}, **told})


def letter() -> Letter:
    return Letter(1, "<a@b.example>", Text("s", "p", "<p>h</p>"), NOW, 0, NOW)


async def refused(what: Callable[[], Awaitable[object]], *errors: type[Exception]) -> None:
    try:
        found = await what()
    except errors:
        return
    assert found is False, found


async def every_way(host: str, turned: Callable[[], None]) -> None:
    """Letters, the ping, the second way and the registries, told to ask this host."""
    for security, port in (("tls", 465), ("starttls", 25), ("none", 25)):
        mail = {"to": ["a@b.example"], "from": "c@d.example", "host": host, "port": port, "security": security}
        turned()
        await refused(lambda: SmtpMailer(settings(mail=mail)).send(letter()), MailFailed)  # noqa: B023
    for scheme in ("http", "https"):
        turned()
        await refused(lambda: HttpPinger(settings(ping=f"{scheme}://{host}/ping")).ping(well=True))  # noqa: B023
        for kind in ("webhook", "ntfy"):
            second = {"kind": kind, "url": f"{scheme}://{host}/topic"}
            turned()
            await refused(lambda: SecondWay(settings(second_way=second)).send(letter()), MailFailed)  # noqa: B023
    turned()
    await refused(lambda: HttpRegistries(settings(), gap=0).tags(host, "library/app"), RegistryFailed)


async def by_redirect(said: list[str]) -> None:
    """An honest host that sends on to an inner one."""

    async def onward(request: web.Request) -> web.Response:
        said.append(request.path)
        raise web.HTTPTemporaryRedirect("http://169.254.169.254/latest/meta-data/")

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", onward)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 8080).start()
    try:
        assert await post(settings(), "http://127.0.0.1:8080/ping") == 307
        await refused(lambda: HttpPinger(settings(ping="http://127.0.0.1:8080/ping")).ping(well=True))
        second = {"kind": "webhook", "url": "http://127.0.0.1:8080/hook"}
        await refused(lambda: SecondWay(settings(second_way=second)).send(letter()), MailFailed)
    finally:
        await runner.cleanup()


async def targets_and_settings(root: Path, asked: dict[str, int]) -> None:
    """The page's own "add this target" and "send letters by this server"."""
    write_settings(root)
    async with quiet_house(root) as quiet:
        quiet.host.resolve = LinuxHost().resolve  # type: ignore[method-assign]
        for host in (LITERALS[0], *LITERALS[5:7], *NAMES):
            if host == "turns.example":
                continue  # what is true when it is looked at is true; every use looks again
            for wish in (
                Wish("far", "sftp", {"host": host, "user": "me", "folder": "x"}),
                Wish(
                    "far",
                    "rest-server",
                    {"url": f"https://{host}/x"},
                    login={"RESTIC_REST_USERNAME": "a", "RESTIC_REST_PASSWORD": "b"},
                ),
            ):
                await refused(lambda: quiet.house.setup.add(wish), GardienError)  # noqa: B023
            ways: tuple[Changes, ...] = (
                {("ping",): f"https://{host}/x"},
                {("second_way",): {"kind": "webhook", "url": f"https://{host}/x"}},
                {("mail",): {"to": ["a@b.example"], "from": "c@d.example", "host": host}},
            )
            for changes in ways:
                await refused(lambda: quiet.house.preferences.draft(changes), GardienError)  # noqa: B023
        assert list(quiet.house.settings.targets) == ["box"]


async def attack(root: Path) -> None:
    hits: list[str] = []
    asked: dict[str, int] = {}
    inner_network()
    listen(hits)
    serve_names(asked)
    resolve = LinuxHost().resolve
    assert await resolve("inner.example") == ("169.254.169.254",), "the names are ours"
    assert await resolve("six.example") == ("fd00:ec2::254",)

    def anew() -> None:
        asked.clear()

    for host in (*LITERALS, *NAMES):
        if host != "turns.example":
            await every_way(host, anew)
    # Good when it is looked at by the settings, another when it is used: what was looked at last is what is asked.
    assert await resolve("turns.example") == ("127.0.0.1",)
    await every_way("turns.example", lambda: None)
    assert asked["turns.example"] > 5
    said: list[str] = []
    await by_redirect(said)
    assert len(said) == 3
    await targets_and_settings(root, asked)
    assert hits == [], hits
    # They do hear whoever calls.
    for address in INNER:
        socket.create_connection((address, 80), timeout=10).close()
    deadline = time.monotonic() + 20
    while sorted(hits) != sorted(INNER):
        assert time.monotonic() < deadline, hits
        await asyncio.sleep(0.01)
    with pytest.raises(OSError, match="never asked"):
        outside("http://169.254.169.254/")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="gi-") as folder:
        asyncio.run(attack(Path(folder)))

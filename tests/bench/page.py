"""What the page costs beside a bare aiohttp application with the same imports: `python -m tests.bench.page`.

Needs an engine at DOCKER_HOST and what `./test.sh` sets up. Nothing here passes or fails: it prints ratios of one run,
and the aims beside them. `--stacks 6` shows what a practice sees, `--seconds 10` a rough look. Both sides run compiled,
as an installed program does, and of several starts the shortest counts: others may use this machine meanwhile.
"""

import argparse
import asyncio
import os
import random
import socket
import sqlite3
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import aiohttp
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from gardien.faces import present
from tests.contracts.docks import make_image
from tests.world.box import Box, box, docker, free_port

READERS = 8
STARTS = 3
UNIT = Path(__file__).parents[2] / "systemd" / "gardien.service"
FLOOR = """
import sys
import aiohttp_session, aiosmtplib, aiosqlite, argon2, babel.dates, babel.numbers, babel.support, cronsim, jinja2
import prometheus_client, psutil, ruamel.yaml
from aiohttp import web
from pydantic import BaseModel
page = jinja2.Environment(autoescape=True).from_string("{% for n in range(60) %}<p>{{ n }}</p>{% endfor %}")
async def home(request):
    return web.Response(text=page.render(), content_type="text/html")
app = web.Application()
app.router.add_get("/", home)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None)
"""
STACK = """
services:
  app:
    image: ${{APP_IMAGE:-gardien-test/busybox:1}}
    network_mode: none
    logging: {{driver: json-file, options: {{max-size: 1m}}}}
    stop_grace_period: 0.1s
    command: [sleep, "1000000"]
x-gardien:
  format: 1
  title: {{en: "Practice {name}", fr: "Cabinet {name}"}}
  summary: {{en: Something to work with., fr: De quoi travailler.}}
  needs: {{memory: 10, disk: 1, images: 5}}
  folders: {{srv: {{mode: "0755"}}}}
  probes: {{app: {{http: "http://127.0.0.1:{port}/"}}}}
  backup: {{save: [srv]}}
"""


@dataclass
class Process:
    """One that is measured."""

    pid: int
    url: str
    started: float = 0.0  # seconds until it answered first
    worked: float = 0.0  # seconds of processor until then
    cookies: dict[str, str] = field(default_factory=dict)

    def pss(self) -> float:
        """MiB of memory that are its own, with its share of what others use too."""
        lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024

    def cpu(self) -> float:
        """Seconds so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def load(self, seconds: float) -> tuple[float, float]:
        """Requests a second, and how many milliseconds 99 of 100 took at most, with 8 readers."""
        took: list[float] = []
        until = time.monotonic() + seconds

        async def read(session: aiohttp.ClientSession) -> None:
            while time.monotonic() < until:
                began = time.perf_counter()
                async with session.get(self.url) as answer:
                    assert answer.status == 200
                    await answer.read()
                took.append(time.perf_counter() - began)

        async with aiohttp.ClientSession(cookies=self.cookies) as session:
            await asyncio.gather(*(read(session) for _ in range(READERS)))
        return len(took) / seconds, statistics.quantiles(took, n=100)[98] * 1000

    async def anew(self, times: int = 8) -> tuple[float, int]:
        """Milliseconds of one reader who comes when all has to be read again, and the page's bytes."""
        took, size = [], 0
        async with aiohttp.ClientSession(cookies=self.cookies) as session:
            for _ in range(times):
                await asyncio.sleep(2.2)
                began = time.perf_counter()
                async with session.get(self.url, headers={"Accept-Encoding": "identity"}) as answer:
                    size = len(await answer.read())
                took.append((time.perf_counter() - began) * 1000)
        return statistics.median(took), size


def a_minute(seconds: float, *processes: Process) -> list[float]:
    """Seconds of processor that each takes in a minute, by what it takes in so many seconds."""
    before, began = [each.cpu() for each in processes], time.monotonic()
    time.sleep(seconds)
    past = time.monotonic() - began
    return [(each.cpu() - was) * 60 / past for each, was in zip(processes, before, strict=True)]


def dockerd() -> Process:
    """Who listens at DOCKER_HOST."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(os.environ["DOCKER_HOST"].removeprefix("unix://"))
        pid, _, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Process(pid, "")


def until_it_answers(url: str, process: "subprocess.Popen[bytes]", began: float) -> Process:
    while True:
        assert process.poll() is None, "it ended"
        with suppress(OSError), urlopen(url, timeout=5):
            found = Process(process.pid, url, time.monotonic() - began)
            found.worked = found.cpu()
            return found
        time.sleep(0.005)


def best(one: Process, other: Process | None) -> Process:
    """`one`, with the shorter start of both."""
    if other is not None:
        one.started, one.worked = min(one.started, other.started), min(one.worked, other.worked)
    return one


@contextmanager
def installed() -> Iterator[None]:
    """Both sides as they run on a real machine: modules and translations compiled, as pip leaves them, in systemd's
    environment.
    """
    for catalogue in Path(present.LOCALE).glob("*/LC_MESSAGES/*.po"):
        with catalogue.open("rb") as source, catalogue.with_suffix(".mo").open("wb") as built:  # git knows them not
            write_mo(built, read_po(source))
    for line in UNIT.read_text().splitlines():
        if line.startswith("Environment=") and not line.startswith("Environment=HOME="):
            name, _, value = line.removeprefix("Environment=").partition("=")
            os.environ[name] = value
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        yield


@contextmanager
def floor(port: int) -> Iterator[Process]:
    found = None
    for start in range(STARTS + 1):  # the first one compiles
        began = time.monotonic()
        with subprocess.Popen([sys.executable, "-c", FLOOR, str(port)]) as process:
            try:
                now = until_it_answers(f"http://127.0.0.1:{port}/", process, began)
                found = best(now, found if start > 1 else None)
                if start == STARTS:
                    yield found
            finally:
                process.terminate()


def furnish(machine: Box, stacks: int, snapshots: int, port: int) -> None:
    """So many stacks whose containers run, and what a life of backups left in the memory."""
    make_image()
    names = [f"s{number:02d}" for number in range(stacks)]
    owner = machine.root / "owner" / "stacks"

    def up(name: str) -> None:
        folder = owner / name
        folder.mkdir(parents=True)
        (folder / "compose.yaml").write_text(STACK.format(name=name, port=port))
        (owner / f"{name}.yaml").write_text("wanted: running\n")
        (machine.data / name / "srv").mkdir(parents=True)
        docker("compose", "--project-name", f"{machine.prefix}-{name}", "--project-directory", str(folder), "up", "-d")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(up, names))
    machine.start()
    machine.gardien("target", "init", "host")
    machine.stop()
    now, dice = datetime.now(UTC), random.Random(1)
    each = snapshots // stacks
    with sqlite3.connect(machine.root / "state" / "gardien.db") as memory:
        memory.executemany(
            "INSERT INTO snapshot (target, id, stack, taken, files, bytes, added, pause_seconds, good, why, version,"
            " original, missed) VALUES ('host', ?, ?, ?, 48213, 63400000000, 212000000, 11.4, 1, NULL, '', NULL, '[]')",
            (
                (
                    f"{dice.getrandbits(256):064x}",
                    name,
                    (now - timedelta(hours=3 + back * 6)).isoformat(timespec="microseconds"),
                )
                for name in names
                for back in range(each)
            ),
        )
    memory.close()


@contextmanager
def gardien(machine: Box) -> Iterator[Process]:
    url = f"http://127.0.0.1:{machine.page_port}/"
    found = None
    for start in range(STARTS):  # `furnish` has started it before
        began = time.monotonic()
        found = best(until_it_answers(url + "healthz", machine.spawn(), began), found)
        if start < STARTS - 1:
            machine.stop()
    assert found is not None
    found.url = url
    found.cookies = asyncio.run(_come_in(machine.json("user", "link")["url"], url))
    yield found
    machine.stop()


async def _come_in(link: str, url: str) -> dict[str, str]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        link = link.replace("localhost", "127.0.0.1")
        async with session.post(link, headers={"Origin": url.rstrip("/")}, allow_redirects=False) as answer:
            assert answer.status == 303, await answer.text()
        return {each.key: each.value for each in jar}


def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stacks", type=int, default=60)
    parser.add_argument("--snapshots", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=60, help="of load, and of idling")
    wanted = parser.parse_args()
    port = free_port()
    with installed(), floor(port) as bare, box() as machine:
        furnish(machine, wanted.stacks, wanted.snapshots, port)
        engine = dockerd()
        (alone,) = a_minute(wanted.seconds, engine)
        with gardien(machine) as ours:
            time.sleep(20)  # the first looks are over
            idle, base = ours.pss(), bare.pss()
            cpu, engaged = a_minute(wanted.seconds, ours, engine)
            anew, size = asyncio.run(ours.anew())
            bare_rate, bare_slow = asyncio.run(bare.load(wanted.seconds / 4))
            rate, slow = asyncio.run(ours.load(wanted.seconds))
            after = ours.pss()
            table = (
                ("idle memory", f"{idle:.1f} MiB", f"{base:.1f}", f"{idle / base:.2f}", "1.15"),
                ("after load", f"{after:.1f} MiB", f"{idle:.1f} idle", f"{after / idle:.2f}", "1.10"),
                ("idle processor", f"{cpu:.2f} s a minute", "", "", "0.20 s"),
                ("dockerd", f"{engaged:.2f} s a minute", f"{alone:.2f}", f"{engaged / (alone or 0.01):.2f}", "1.10"),
                ("start", f"{ours.started:.2f} s", f"{bare.started:.2f}", f"{ours.started / bare.started:.2f}", "1.25"),
                ("its processor", f"{ours.worked:.2f} s", f"{bare.worked:.2f}", f"{ours.worked / bare.worked:.2f}", ""),
                ("home, p99 of 8", f"{slow:.1f} ms", f"{bare_slow:.1f}", "", "10 ms"),
                ("home, 8 readers", f"{rate:.0f} a second", f"{bare_rate:.0f}", f"{rate / bare_rate:.2f}", "0.60"),
                ("home, read anew", f"{anew:.1f} ms", "", "", "50 ms with six stacks"),
                ("home, HTML", f"{size / 1024:.1f} KiB", "", "", "60 in all with six stacks"),
            )
            print(f"{wanted.stacks} stacks, {wanted.snapshots} backups")
            print(f"{'':16}{'gardien':>18}{'bare':>14}{'ratio':>8}  aim")
            for name, mine, others, ratio, aim in table:
                print(f"{name:16}{mine:>18}{others:>14}{ratio:>8}  {aim}")


if __name__ == "__main__":
    main()

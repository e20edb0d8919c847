"""What all probes keep to: they ask a real server over HTTP, or one in memory; they never raise for one that is ill."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gardien.adapters.probes import RealProbes
from gardien.errors import CommandFailed
from gardien.model.manifest import Probe
from gardien.model.stack import Stack
from gardien.services.ports import Probes
from tests.contracts.docks import fake_dock
from tests.fakes import FakeApp, FakeCompose, FakeProbes
from tests.world.box import free_port


@dataclass
class Application:
    """What answers, and the stack it belongs to."""

    probes: Probes
    stack: Stack
    address: str
    status: int = 200
    body: bytes = b"{}"
    prints: str | None = ""  # by a command inside; None: it fails
    seen: list[web.Request] = field(default_factory=list)

    def page(self) -> tuple[int, bytes]:
        return self.status, self.body

    async def ask(self, **probe: Any) -> tuple[bool, str, dict[str, object]]:
        answer = await self.probes.ask(self.stack, Probe.model_validate(probe))
        return answer.ok, str(answer.says), answer.data


@pytest.fixture(params=["server", "fake"])
async def app(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Application]:
    dock = fake_dock(tmp_path)
    compose = cast(FakeCompose, dock.compose)
    stack = dock.stack(PORT="8080", MOOD="good")
    made: Application

    class Inside(FakeApp):
        def run(self, service: str, argv: Any, user: str | None, text: str) -> str:
            if made.prints is None:
                raise CommandFailed("a command inside the service {service} failed", service=service)
            return made.prints

    assert dock.fake is not None
    dock.fake.apps[stack.name] = Inside()
    await compose.up(await dock.deploy(stack))
    if request.param == "fake":
        probes = FakeProbes(dock.fake, compose)
        made = Application(probes, stack, "127.0.0.1:1")
        for path in ("/status", "/good/status"):
            probes.pages[f"http://{made.address}{path}"] = made.page
        probes.pages[made.address] = made.page
        probes.pages[f"ws://{made.address}/socket"] = made.page
        yield made
        return

    async def answer(asked: web.Request) -> web.StreamResponse:
        made.seen.append(asked)
        if asked.path == "/slow":
            await asyncio.sleep(30)
        if asked.path == "/elsewhere":
            raise web.HTTPFound("/status")
        if asked.path == "/endless":
            response = web.StreamResponse()
            await response.prepare(asked)
            while True:
                await response.write(b"x" * 65536)
        if asked.path == "/socket" and made.status == 101:
            socket = web.WebSocketResponse(protocols=("xmpp",))
            await socket.prepare(asked)
            await socket.receive()
            return socket
        return web.Response(status=made.status, body=made.body, headers={"Set-Cookie": "visited=yes"})

    server = web.Application()
    server.router.add_get("/{path:.*}", answer)
    async with TestServer(server) as running:
        real = RealProbes(compose)
        made = Application(real, stack, f"127.0.0.1:{running.port}")
        yield made
        await real.close()


async def test_an_application_that_answers_as_it_should(app: Application) -> None:
    app.body = json.dumps({"installed": True, "maintenance": False, "version": "34.0.3", "n": 1}).encode()
    expect = {"json": {"installed": True, "maintenance": False, "n": 1, "version": "34.0.3"}, "body": r"34\.0"}
    ok, says, data = await app.ask(http=f"http://{app.address}/status", expect=expect)
    assert ok
    assert app.stack.manifest.title.en in says
    assert data == {"installed": True, "maintenance": False, "version": "34.0.3", "n": 1}


@pytest.mark.parametrize(
    ("status", "body", "expect", "named"),
    [
        (503, b"{}", {}, ["503", "200"]),
        (200, b"{}", {"status": 204}, ["200", "204"]),
        (200, b'{"maintenance": true}', {"json": {"maintenance": False}}, ["maintenance", "true", "false"]),
        (200, b'{"n": 1}', {"json": {"n": True}}, ["n", "1", "true"]),
        (200, b"{}", {"json": {"installed": True}}, ["installed", "null"]),
        (200, b"<html>", {"json": {"installed": True}}, ["installed"]),
        (200, b"[1]", {"json": {"installed": True}}, ["installed"]),
        (200, b"it is \xff broken", {"body": "^it works$$"}, []),
        (503, b'{"reason": "x"}', {}, ["503"]),
    ],
)
async def test_an_application_that_does_not(
    app: Application, status: int, body: bytes, expect: dict[str, Any], named: list[str]
) -> None:
    app.status, app.body = status, body
    ok, says, data = await app.ask(http=f"http://{app.address}/status", expect=expect)
    assert not ok
    assert [word for word in [app.stack.manifest.title.en, *named] if word not in says] == []
    assert "{" not in says
    assert data == (json.loads(body) if body.startswith(b"{") else {})


async def test_nobody_there(app: Application) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    for way in ({"http": f"http://{nobody}/status"}, {"tcp": nobody}, {"websocket": f"ws://{nobody}/socket"}):
        ok, says, data = await app.ask(**way)
        assert (ok, data) == (False, {})
        assert app.stack.manifest.title.en in says


async def test_a_port_that_listens(app: Application) -> None:
    ok, _, _ = await app.ask(tcp=app.address)
    assert ok


async def test_a_websocket_is_asked_by_its_handshake(app: Application) -> None:
    address = f"ws://{app.address}/socket"
    app.status = 101
    assert (await app.ask(websocket=address))[0]
    assert (await app.ask(websocket=address, protocol="xmpp"))[0]
    app.status = 502  # what a proxy says before whom nobody speaks
    ok, says, _ = await app.ask(websocket=address)
    assert not ok
    assert "502" in says
    assert "101" in says


async def test_a_command_inside(app: Application) -> None:
    inside = {"exec": "side", "argv": ["status", "{MOOD}"]}
    app.prints = '{"installed": true}\n'
    ok, _, data = await app.ask(**inside, expect={"json": {"installed": True}})
    assert ok
    assert data == {"installed": True}
    assert not (await app.ask(**inside, expect={"json": {"installed": False}}))[0]
    app.prints = None
    ok, says, _ = await app.ask(**inside)
    assert not ok
    assert "side" in says


async def test_settings_fill_the_holes(app: Application) -> None:
    ok, _, _ = await app.ask(http=f"http://{app.address}" + "/{MOOD}/status")
    assert ok


# -- of the real one alone


only_real = pytest.mark.parametrize("app", ["server"], indirect=True)


@only_real
async def test_what_is_sent(app: Application) -> None:
    for _ in range(2):
        await app.ask(http=f"http://{app.address}/status", headers={"Host": "localhost", "X-Mood": "{MOOD}"})
    first, second = app.seen
    assert (first.headers["Host"], first.headers["X-Mood"]) == ("localhost", "good")
    assert "Cookie" not in second.headers


@only_real
async def test_a_way_elsewhere_is_not_taken(app: Application) -> None:
    ok, says, _ = await app.ask(http=f"http://{app.address}/elsewhere")
    assert not ok
    assert "302" in says
    assert len(app.seen) == 1


@only_real
async def test_a_websocket_that_speaks_something_else(app: Application) -> None:
    app.status = 101
    ok, _, _ = await app.ask(websocket=f"ws://{app.address}/socket", protocol="something-else")
    assert not ok


@only_real
async def test_an_endless_or_slow_answer(app: Application) -> None:
    ok, _, _ = await app.ask(http=f"http://{app.address}/endless", timeout=20)
    assert ok, "a long answer is an answer"
    ok, says, _ = await app.ask(http=f"http://{app.address}/slow", timeout=0.2)
    assert not ok
    assert "0.2" in says


@only_real
@pytest.mark.parametrize(
    "odd", ["http://127.0.0.1:{PORT}x/", "http://[::", "ftp://127.0.0.1/", "nonsense", "http://a b/"]
)
async def test_an_odd_address_is_an_answer_too(app: Application, odd: str) -> None:
    assert not (await app.ask(http=odd))[0]
    assert not (await app.ask(tcp=odd))[0]
    assert not (await app.ask(websocket=odd))[0]

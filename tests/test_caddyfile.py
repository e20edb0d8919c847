"""The door: the Caddyfile as a pure rule, and the shipped stack with the real Caddy under plain Compose."""

import asyncio
import dataclasses
import html
import json
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from gardien.errors import BadInput
from gardien.model.manifest import Text
from gardien.rules.caddyfile import Front, Site, caddyfile
from tests.world.box import IMAGES, docker
from tests.world.door import ALL_WELL, MANIFEST, SHIPPED, Door

HOME = Front("home")
INTERNET = Front("internet", authority="https://ca.example.org/directory", email="anna@example.org")
CLOUD = Site("cloud.home.arpa", Text(en="Cloud", fr="Nuage"), "gardien-cloud-app-1:80")
FULL = dataclasses.replace(
    CLOUD, paths={"/ws": "gardien-cloud-ws-1:3003"}, redirects={"/old": "/new/"}, largest_body=150
)


# -- the rule


def test_equal_facts_give_equal_text() -> None:
    pad = dataclasses.replace(CLOUD, name="pad.home.arpa")
    assert caddyfile(HOME, [CLOUD, pad]) == caddyfile(HOME, [pad, CLOUD])


def test_a_door_to_the_internet_asks_its_authority_and_has_no_root_to_give_away() -> None:
    text = caddyfile(INTERNET, [CLOUD])
    assert 'acme_ca "https://ca.example.org/directory"' in text
    assert 'email "anna@example.org"' in text
    assert "local_certs" not in text
    assert "pki" not in text
    assert "root.crt" not in text
    assert "email" not in caddyfile(dataclasses.replace(INTERNET, email=""), [CLOUD])


@pytest.mark.parametrize("page", [None, "cloud.home.arpa"])
def test_a_name_has_one_owner(page: str | None) -> None:
    front = dataclasses.replace(HOME, page_name=page)
    with pytest.raises(BadInput, match=re.escape("two applications want to answer to cloud.home.arpa")):
        caddyfile(front, [CLOUD] if page else [CLOUD, dataclasses.replace(CLOUD, to="other-1:80")])


BAD = [
    "",
    "a b",
    "a\nb",
    "a{b}",
    "{$HOME}",
    "{env.HOME}",
    '"',
    "`",
    "\\",
    "a;b",
    "#a",
    "a}",
    "é.home.arpa",
    "A",
    "-",
    "*",
]


@pytest.mark.parametrize("bad", [*BAD, "a.b\n", "a..b", "a.b:80", "a/b"])
def test_a_name_is_a_name(bad: str) -> None:
    for front, site in (
        (HOME, dataclasses.replace(CLOUD, name=bad)),
        (dataclasses.replace(HOME, page_name=bad), CLOUD),
        (dataclasses.replace(HOME, domain=bad), CLOUD),
    ):
        with pytest.raises(BadInput):
            caddyfile(front, [site])


@pytest.mark.parametrize("bad", [*BAD, "app", "app:0", "app:65536", "app:80\n", "app:80 x:1", "app:٨٠", "h2c://app:80"])
def test_an_upstream_is_a_container_and_a_port(bad: str) -> None:
    for site in (dataclasses.replace(CLOUD, to=bad), dataclasses.replace(CLOUD, paths={"/ws": bad})):
        with pytest.raises(BadInput):
            caddyfile(HOME, [site])


@pytest.mark.parametrize("bad", [*BAD, "ws", "/ws*", "/w s", "/ws\n", "/%2e", "//{path}", "/é"])
def test_a_path_is_a_path(bad: str) -> None:
    for site in (
        dataclasses.replace(CLOUD, paths={bad: "a-1:80"}),
        dataclasses.replace(CLOUD, redirects={bad: "/x"}),
        dataclasses.replace(CLOUD, redirects={"/x": bad}),
    ):
        with pytest.raises(BadInput):
            caddyfile(HOME, [site])


@pytest.mark.parametrize("bad", [0, -1, 65536])
def test_a_port_is_a_port(bad: int) -> None:
    for front in (dataclasses.replace(HOME, http_port=bad), dataclasses.replace(HOME, https_port=bad)):
        with pytest.raises(BadInput):
            caddyfile(front, [])
    with pytest.raises(BadInput):
        caddyfile(HOME, [dataclasses.replace(CLOUD, largest_body=min(bad, 0))])


@pytest.mark.parametrize("bad", BAD)
def test_an_authority_and_an_address_are_what_they_should_be(bad: str) -> None:
    with pytest.raises(BadInput):
        caddyfile(dataclasses.replace(INTERNET, authority=bad), [])
    if bad:
        with pytest.raises(BadInput):
            caddyfile(dataclasses.replace(INTERNET, email=bad), [])


# Hostile words with more than their share of what means something to Caddy, HTML or a line.
WORDS = st.text(max_size=120) | st.text("\"`\\{}$#<>&'\n\r\t :ab\u2028", max_size=120)


@settings(deadline=None)
@given(
    st.sampled_from(["name", "to", "page", "domain", "authority", "email", "path", "path to", "from", "onto"]), WORDS
)
def test_no_word_breaks_out(where: str, word: str) -> None:
    """Whatever stands in a field either is refused, or is one word of the file with nothing special in it."""
    changed = {
        "name": (HOME, dataclasses.replace(CLOUD, name=word)),
        "to": (HOME, dataclasses.replace(CLOUD, to=word)),
        "page": (dataclasses.replace(HOME, page_name=word), CLOUD),
        "domain": (dataclasses.replace(HOME, domain=word), CLOUD),
        "authority": (dataclasses.replace(INTERNET, authority=word), CLOUD),
        "email": (dataclasses.replace(INTERNET, email=word), CLOUD),
        "path": (HOME, dataclasses.replace(CLOUD, paths={word: "a-1:80"})),
        "path to": (HOME, dataclasses.replace(CLOUD, paths={"/a": word})),
        "from": (HOME, dataclasses.replace(CLOUD, redirects={word: "/a"})),
        "onto": (HOME, dataclasses.replace(CLOUD, redirects={"/a": word})),
    }
    front, site = changed[where]
    try:
        text = caddyfile(front, [site])
    except BadInput:
        return
    assert where == "email" or word
    assert re.fullmatch(r"[A-Za-z0-9._~/:@%+\[\]-]*", word)
    assert word in text


def vars_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("vars ")]


@settings(deadline=None)
@given(WORDS)
def test_no_title_breaks_out(word: str) -> None:
    text = caddyfile(HOME, [dataclasses.replace(CLOUD, title=Text(en=word, fr="x"))])
    plain = caddyfile(HOME, [dataclasses.replace(CLOUD, title=Text(en="", fr="x"))])
    english, french = vars_of(text)
    assert french == 'vars title_fr "x"'
    inside = re.fullmatch(r'vars title_en "([^"`\\{}$<>\n]*)"', english)
    assert inside is not None
    assert inside[1].isascii()
    assert html.unescape(inside[1]) == "".join(filter(str.isprintable, " ".join(word.split())))[:100]
    assert text.replace(english, "") == plain.replace('vars title_en ""', "")


def test_the_pages_are_small_and_call_nobody() -> None:
    pages = dict(
        re.findall(r"^\((page_\w+)\) \{.*?respond `(.*?)` \d+$", caddyfile(HOME, []), re.DOTALL | re.MULTILINE)
    )
    names = {"starting", "silent", "stopped", "restoring", "updating", "nothing"}
    assert set(pages) == {f"page_{name}" for name in names}
    for page in pages.values():
        assert len(page.encode()) < 1500
        assert not re.search(r"https?:|//|src|href|url\(|@import", page)
        assert "<section lang=fr>" in page
        assert "<section lang=en>" in page
        assert "prefers-color-scheme:dark" in page
    assert "title" not in pages["page_nothing"].replace("<title>", "").replace("</title>", "")


# -- the shipped stack


class App:
    """An application, in a thread of this process: what it is asked is here to see."""

    def __init__(self, address: str) -> None:
        self.seen: list[tuple[str, str, list[tuple[str, str]]]] = []
        self.hold = threading.Event()  # what the slow download waits for
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))
        self._thread.start()
        assert self._ready.wait(10)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, self._address, 0)
        await site.start()
        self.port = int(runner.addresses[0][1])
        self._ready.set()
        await self._over.wait()
        await runner.cleanup()

    def stop(self) -> None:
        self.hold.set()
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def to(self) -> str:
        return f"{self._address}:{self.port}"

    def asked(self) -> dict[str, str]:
        """The headers of the last request; each came once."""
        headers = self.seen[-1][2]
        assert len({name.lower() for name, _ in headers}) == len(headers), headers
        return {name.lower(): value for name, value in headers}

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.seen.append((request.method, request.path_qs, list(request.headers.items())))
        if request.path == "/socket":
            socket_ = web.WebSocketResponse()
            await socket_.prepare(request)
            async for message in socket_:
                await socket_.send_str(f"echo {message.data}")
            return socket_
        if request.path == "/slow":
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"first ")
            await asyncio.get_running_loop().run_in_executor(None, self.hold.wait, 20)
            await response.write(b"last")
            return response
        if request.path == "/broken":
            response = web.StreamResponse(headers={"Content-Length": "100"})
            await response.prepare(request)
            await response.write(b"not a hundred")
            await asyncio.sleep(0.2)  # so that the door has passed it on
            assert request.transport is not None
            request.transport.close()
            return response
        if request.path == "/busy":
            return web.Response(status=503, text="maintenance", headers={"Retry-After": "7"})
        return web.Response(
            text=f"{len(await request.read())} bytes",
            headers={
                "Content-Security-Policy": "default-src 'self'",
                "Strict-Transport-Security": "max-age=1",
                "Cross-Origin-Embedder-Policy": "require-corp",
                "Server": "Apache/2.4",
            },
        )


def sites(app: App) -> list[Site]:
    title = Text(en='Cloud <"1">', fr="Nuage {env.HOME}")
    cloud = Site(
        "cloud.home.arpa",
        title,
        app.to,
        paths={"/elsewhere": "nobody-1:80"},
        redirects={"/.well-known/caldav": "/remote.php/dav/"},
        largest_body=1,
    )
    pad = Site("pad.home.arpa", Text(en="Pad", fr="Pad"), app.to)
    return [
        cloud,
        pad,
        *(
            dataclasses.replace(pad, name=f"{state}.home.arpa", state=state)
            for state in ("starting", "stopped", "restoring", "updating")
        ),
        Site("dead.home.arpa", title, "nobody-1:80"),
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Door, App]]:
    """A door at home with an application behind it, set up while it was already open."""
    door = Door(tmp_path_factory.mktemp("door"), dataclasses.replace(HOME, page_name="status.home.arpa"))
    app = None
    try:
        door.up()
        app = App(door.gateway)
        door.change(caddyfile(door.front, sites(app)))
        yield door, app
    finally:
        door.down()
        if app is not None:
            app.stop()


async def test_a_device_that_trusts_the_house_gets_in(world: tuple[Door, App]) -> None:
    door, app = world
    async with door.visitor() as visitor, visitor.get(door.url("cloud.home.arpa", "/x?y=%20z")) as answer:
        assert answer.status == 200
        assert await answer.text() == "0 bytes"
    assert app.seen[-1][:2] == ("GET", "/x?y=%20z")
    assert door.health() == ALL_WELL
    with pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(
            socket.create_connection(("127.0.0.1", door.front.https_port)), server_hostname="cloud.home.arpa"
        )


async def test_every_header_comes_through_once(world: tuple[Door, App]) -> None:
    door, _ = world
    async with door.visitor() as visitor, visitor.get(door.url("pad.home.arpa")) as answer:
        names = [name.lower() for name in answer.headers]
        assert len(names) == len(set(names)), answer.headers
        assert answer.headers["Content-Security-Policy"] == "default-src 'self'"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert "Server" not in answer.headers
        # A device that lost its trust must be able to come back over plain HTTP.
        assert "Strict-Transport-Security" not in answer.headers


async def test_claims_of_a_client_are_dropped(world: tuple[Door, App]) -> None:
    door, app = world
    forged = {
        "X-Real-IP": "6.6.6.6",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Port": "666",
        "Forwarded": "for=6.6.6.6",
        "Client-IP": "6.6.6.6",
        "X-Client-IP": "6.6.6.6",
        "True-Client-IP": "6.6.6.6",
        "X-Original-URL": "/admin",
        "Proxy": "http://6.6.6.6",
    }
    me = door.gateway  # the engine's own proxy of published ports
    # The second time the client asks that what the proxy says be dropped on the way.
    for more in ({}, {"Connection": "X-Real-IP, X-Forwarded-For, X-Forwarded-Proto"}):
        url = door.url("pad.home.arpa")
        async with door.visitor() as visitor, visitor.get(url, headers={**forged, **more}) as answer:
            assert answer.status == 200
        asked = app.asked()
        assert asked["host"] == f"pad.home.arpa:{door.front.https_port}"
        assert asked["x-real-ip"] == asked["x-forwarded-for"] == me
        assert asked["x-forwarded-proto"] == "https"
        assert asked["x-forwarded-host"] == f"pad.home.arpa:{door.front.https_port}"
        assert "6.6.6.6" not in str(asked)
        assert not {"x-forwarded-port", "x-original-url", "proxy", "via"} & set(asked)


def test_another_container_is_seen_with_its_own_address(world: tuple[Door, App]) -> None:
    door, app = world
    there = f"--resolve pad.home.arpa:{door.front.https_port}:{door.address} {door.url('pad.home.arpa')}"
    command = f"hostname -i; curl --silent --insecure --header 'X-Real-IP: 6.6.6.6' {there}"
    said = docker("run", "--rm", "--network", f"{door.project}_default", IMAGES["CADDY_IMAGE"], "sh", "-c", command)
    assert said.splitlines()[1] == "0 bytes"
    assert app.asked()["x-real-ip"] == app.asked()["x-forwarded-for"] == said.split()[0]


async def test_where_paths_lead(world: tuple[Door, App]) -> None:
    door, _ = world
    async with door.visitor() as visitor:
        for path in ("/elsewhere", "/elsewhere/deep?x=1"):
            async with visitor.get(door.url("cloud.home.arpa", path)) as answer:
                assert answer.status == 503
        async with visitor.get(door.url("cloud.home.arpa", "/elsewhere-not")) as answer:
            assert answer.status == 200
        async with visitor.request(
            "PROPFIND", door.url("cloud.home.arpa", "/.well-known/caldav"), allow_redirects=False
        ) as answer:
            assert answer.status == 301
            assert answer.headers["Location"] == door.url("cloud.home.arpa", "/remote.php/dav/")
        async with visitor.get(door.url("cloud.home.arpa", "/.well-known/caldavx")) as answer:
            assert answer.status == 200


async def test_a_body_may_be_as_large_as_the_route_says(world: tuple[Door, App]) -> None:
    door, _ = world
    async with door.visitor() as visitor:
        for name, size, status in (
            ("cloud", 10**6, 200),
            ("cloud", 10**6 + 1, 413),
            ("pad", 5 * 10**6, 200),
        ):
            async with visitor.post(door.url(f"{name}.home.arpa"), data=bytes(size)) as answer:
                assert answer.status == status
                assert status != 200 or await answer.text() == f"{size} bytes"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield bytes(10**5)

        async with visitor.post(door.url("cloud.home.arpa"), data=pieces()) as answer:
            assert answer.status == 413


async def test_nobody_notices_a_change(world: tuple[Door, App]) -> None:
    """An open websocket and a running download go on while the door learns a new name, and another one goes."""
    door, app = world
    app.hold.clear()
    async with (
        door.visitor() as visitor,
        visitor.ws_connect(door.url("pad.home.arpa", "/socket")) as line,
        visitor.get(door.url("cloud.home.arpa", "/slow")) as download,
    ):
        assert await download.content.readexactly(6) == b"first "
        await line.send_str("before")
        assert await line.receive_str() == "echo before"
        new = Site("new.home.arpa", Text(en="New", fr="Neuf"), app.to)
        door.change(caddyfile(door.front, [*sites(app)[1:], new]))
        try:
            async with visitor.get(door.url("new.home.arpa")) as answer:
                assert answer.status == 200
            await line.send_str("after")
            assert await line.receive_str() == "echo after"
            app.hold.set()
            assert await download.content.read() == b"last"
        finally:
            door.change(caddyfile(door.front, sites(app)))


async def test_what_the_application_says_itself_goes_through(world: tuple[Door, App]) -> None:
    door, _ = world
    async with door.visitor() as visitor, visitor.get(door.url("pad.home.arpa", "/busy")) as answer:
        assert answer.status == 503
        assert await answer.text() == "maintenance"
        assert answer.headers["Retry-After"] == "7"


@pytest.mark.parametrize(
    ("name", "french", "english", "again"),
    [
        ("dead", "Nuage {env.HOME} ne répond pas encore", 'Cloud <"1"> does not answer yet', "5"),
        ("starting", "Pad démarre", "Pad is starting", "5"),
        ("stopped", "Pad est à l’arrêt", "Pad is switched off", "60"),
        ("restoring", "Pad est en cours de restauration", "Pad is being brought back", "30"),
        ("updating", "Pad est en cours de mise à jour", "Pad is being updated", "30"),
    ],
)
async def test_who_has_to_wait_is_told_why(
    world: tuple[Door, App], name: str, french: str, english: str, again: str
) -> None:
    door, app = world
    before = len(app.seen)
    async with door.visitor() as visitor, visitor.post(door.url(f"{name}.home.arpa", "/a/b"), data=b"x") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == again
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        page = await answer.text()
    assert f"<h1>{html.escape(french)}</h1>".replace("{", "&#123;").replace("}", "&#125;") in page
    assert f"<h1>{html.escape(english)}</h1>" in page
    assert f"<meta http-equiv=refresh content={again}>" in page
    assert len(app.seen) == before


def plain(door: Door, path: str, host: str) -> tuple[int, Mapping[str, str], bytes]:
    """What the door says without TLS, to a request with exactly this path."""
    with socket.create_connection(("127.0.0.1", door.front.http_port), timeout=10) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        said = b"".join(iter(lambda: link.recv(65536), b""))
    head, _, body = said.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {key.lower(): value for key, value in (line.split(": ", 1) for line in lines)}, body


def test_a_device_can_fetch_the_root_certificate_and_nothing_else(world: tuple[Door, App]) -> None:
    door, _ = world
    for host in ("cloud.home.arpa", "192.168.1.20", "whatever.example"):
        status, headers, body = plain(door, "/.well-known/gardien/root.crt", host)
        assert status == 200
        assert headers["content-type"] == "application/x-x509-ca-cert"
        assert body == door.root.read_bytes()
    assert (
        "gardien (home.arpa)"
        in subprocess.run(
            ["openssl", "x509", "-noout", "-subject"], input=body, capture_output=True, check=True
        ).stdout.decode()
    )
    assert (door.root.parent / "root.key").exists()
    for path in (
        "/.well-known/gardien/root.key",
        "/.well-known/gardien/root.crt/../root.key",
        "/.well-known/gardien/root.crt/",
        "/.well-known/gardien/%2e%2e/root.key",
        "/.well-known/gardien/",
        "/root.crt",
        "/root.key",
    ):
        status, _, body = plain(door, path, "192.168.1.20")
        assert (status, b"KEY" in body, b"CERTIFICATE" in body) == (421, False, False), path


def test_plain_http_leads_to_tls_and_its_port(world: tuple[Door, App]) -> None:
    door, _ = world
    status, headers, _ = plain(door, "/a?b=c", "cloud.home.arpa")
    assert status == 307
    assert headers["location"] == door.url("cloud.home.arpa", "/a?b=c")


async def test_a_stranger_learns_no_name(world: tuple[Door, App]) -> None:
    door, _ = world
    status, headers, body = plain(door, "/", "other.home.arpa")
    assert status == 421
    assert "location" not in headers
    # In the handshake, and without a name at all: no certificate, so none of ours to read.
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    for name in ("other.home.arpa", None):
        with socket.create_connection(("127.0.0.1", door.front.https_port)) as link, pytest.raises(ssl.SSLError):
            trust.wrap_socket(link, server_hostname=name)
    # A known name in the handshake, another one in the request.
    url, other = door.url("pad.home.arpa"), {"Host": "other.home.arpa"}
    async with door.visitor() as visitor, visitor.get(url, headers=other) as answer:
        assert answer.status == 421
        assert not re.search(r"cloud\.|pad\.|home\.arpa", await answer.text())
    assert not re.search(rb"cloud\.|pad\.|home\.arpa", body)


async def test_the_status_page_answers_through_its_socket(world: tuple[Door, App]) -> None:
    door, _ = world

    async def hello(request: web.Request) -> web.Response:
        return web.Response(
            text=f"{request.host} {request.headers['X-Real-IP']} {request.headers['X-Forwarded-Proto']}"
        )

    async with door.visitor() as visitor:
        async with visitor.get(door.url("status.home.arpa")) as answer:
            assert answer.status == 503
            assert "gardien does not answer yet" in await answer.text()
        app = web.Application()
        app.router.add_get("/", hello)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.UnixSite(runner, str(door.folder / "page" / "page.sock")).start()
        (door.folder / "page" / "page.sock").chmod(0o600)
        try:
            async with visitor.get(door.url("status.home.arpa")) as answer:
                assert await answer.text() == f"status.home.arpa:{door.front.https_port} {door.gateway} https"
        finally:
            await runner.cleanup()


def test_an_unsound_file_is_found_before_it_is_used(world: tuple[Door, App]) -> None:
    door, _ = world
    assert MANIFEST.door is not None
    (door.config / "Caddyfile.new").write_text("cloud.home.arpa {\n\tno_such_word\n}\n")
    try:
        done = door.inside(MANIFEST.door.check)
        assert done.returncode != 0
        assert "no_such_word" in done.stderr
    finally:
        (door.config / "Caddyfile.new").unlink()
    assert door.health() == ALL_WELL


def test_it_stands_in_a_small_box(world: tuple[Door, App]) -> None:
    door, _ = world
    facts = json.loads(docker("inspect", f"{door.project}-door-1"))[0]
    host = facts["HostConfig"]
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert [name.removeprefix("CAP_") for name in host["CapAdd"]] == ["NET_BIND_SERVICE"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == 256 * 1024 * 1024
    published = {port for ports in host["PortBindings"].values() for port in ports or () for port in [port["HostPort"]]}
    assert published == {str(door.front.http_port), str(door.front.https_port)}
    # The admin interface, which could change anything, answers within the container only.
    assert door.inside(["curl", "-sS", "--max-time", "5", "http://localhost:2019/config/"]).returncode == 0
    assert door.inside(["curl", "-sS", "--max-time", "5", f"http://{door.address}:2019/config/"]).returncode == 7


async def test_the_logs_do_not_tell_who_visited_what(world: tuple[Door, App]) -> None:
    door, _ = world
    with pytest.raises(aiohttp.ClientError):
        async with door.visitor() as visitor, visitor.get(door.url("pad.home.arpa", "/broken?secret=1")) as answer:
            await answer.read()
    said = door.compose("logs", "--no-log-prefix", "door").stdout
    assert "aborting with incomplete response" in said
    assert "/broken" not in said
    assert "remote_ip" not in said


async def test_after_a_crash_it_is_the_same_door(world: tuple[Door, App]) -> None:
    door, app = world
    before = door.root.read_bytes()
    door.compose("kill", "--signal", "KILL", "door")
    door.compose("up", "--detach", "--wait")
    door.wait()
    assert door.root.read_bytes() == before
    async with door.visitor() as visitor, visitor.get(door.url("cloud.home.arpa")) as answer:
        assert answer.status == 200
    assert app.seen


def test_a_name_without_a_certificate_is_no_secret(tmp_path: Path) -> None:
    """Nothing listens where the authority should be: the door opens, and its probe tells which names lack what."""
    front = dataclasses.replace(INTERNET, authority="https://127.0.0.1:1/directory")
    door = Door(tmp_path, front)
    try:
        door.up(
            [dataclasses.replace(CLOUD, name="cloud.example.org"), dataclasses.replace(CLOUD, name="pad.home.arpa")]
        )
        assert door.health() == {"names without a valid certificate": "cloud.example.org"}
        door.compose("stop", "--timeout", "5", "door")
        assert door.inside(MANIFEST.probes["door"].argv).returncode != 0
    finally:
        door.down()


def adapted(text: str) -> Any:
    """What Caddy makes of a Caddyfile."""
    done = subprocess.run(
        [
            *("docker", "run", "--rm", "--interactive", "--network", "none", IMAGES["CADDY_IMAGE"]),
            *("caddy", "adapt", "--config", "-", "--adapter", "caddyfile"),
        ],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def under(key: str, value: object) -> Iterator[str]:
    """Every text under this key, however deep."""
    if isinstance(value, dict):
        yield from (text for name, text in value.items() if name == key)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from under(key, inner)


def test_the_readme_has_a_sound_configuration_for_people_without_gardien() -> None:
    readme = (SHIPPED / "README.md").read_text()
    written = re.search(r"<<'END'\n(.*?)\n    END\n", readme, re.DOTALL)
    assert written is not None
    made = str(adapted(written[1].replace("\n    ", "\n").removeprefix("    ")))
    assert "cloud.home.arpa" in made
    assert "nextcloud-app-1:80" in made
    assert "{http.request.remote.host}" in made


def test_caddy_reads_each_title_as_it_was_meant() -> None:
    """The worst words at once, through the real reader."""
    worst = [
        '"',
        "`",
        "\\",
        "{",
        "}",
        "{$HOME}",
        "{env.HOME}",
        "{{x}}",
        "# x",
        "a\nb",
        "é 🐤 \u2028 ’",
        "<<END",
        "&amp;",
        '\\"',
        "import x",
        "${HOME}",
    ]
    all_ = [
        dataclasses.replace(FULL, name=f"n{number}.home.arpa", title=Text(en=word, fr=word))
        for number, word in enumerate(worst)
    ]
    for front in (HOME, INTERNET, dataclasses.replace(HOME, page_name="page.home.arpa")):
        titles = {html.unescape(title) for title in under("title_en", adapted(caddyfile(front, all_)))}
        assert titles - {"gardien"} == {" ".join(word.split()) for word in worst}

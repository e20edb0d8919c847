"""Who may come in, and from where: the live route table walked, and every old key tried again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector, web
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from aiohttp_session import Session

from gardien.errors import BadInput, PortTaken
from gardien.faces import auth, live
from gardien.faces.server import HEADERS, make_app, serve
from gardien.model.settings import Page
from tests.faces_world import World, make_world
from tests.live_routes import Route, walk
from tests.signed_in import PASSWORD, Client, come_in, origin, post


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        world.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=3))
        world.add_job("backup", "nextcloud", "running", at=1)
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app(world.house))) as client:
        yield client


def routes(client: Client) -> Iterator[Route]:
    """Every route there is."""
    assert client.app is not None
    return walk(client.app)


def memory(world: World) -> list[str]:
    """Everything the house remembers."""
    with closing(sqlite3.connect(world.file)) as db:
        return list(db.iterdump())


async def status(client: Client, method: str, path: str, **headers: str) -> int:
    """Ask, without following or reading on: streams too."""
    async with client.request(method, path, headers=headers, allow_redirects=False) as response:
        return response.status


# -- threat 1: a route without login


async def test_threat_1_no_route_but_the_public_ones_answers_without_login(client: Client, world: World) -> None:
    walked = set()
    for method, path, pattern in routes(client):
        async with client.request(method, path, headers={"Origin": origin(client)}, allow_redirects=False) as response:
            if pattern == "/login/code":  # between the password and the second factor; else back to the beginning
                assert (response.status, response.headers["Location"]) == (303, "/login")
            elif pattern in auth.PUBLIC:
                asked = response.status == 401 and "not signed in" in await response.text()
                assert not asked, pattern
                assert not response.headers.get("Location", "").startswith("/login"), pattern
            elif response.status == 303:
                assert response.headers["Location"].startswith("/login"), pattern
                assert method == "GET"
            else:
                assert response.status == 401, f"{method} {pattern}"
        walked.add(pattern)
    assert {"/", "/live", "/metrics", "/api/v1/status", "/stacks/{name}/restore"} <= walked
    assert {"/login", "/login/code", "/login/{token}", "/language", "/static/{name}", "/healthz"} == auth.PUBLIC
    assert world.done == []


async def test_threat_1_pages_that_do_not_exist_ask_for_a_login_too(client: Client) -> None:
    assert await status(client, "GET", "/nothing/here") == 303
    assert await status(client, "GET", "/api/v1/nothing") == 401


async def test_threat_1_a_made_up_cookie_opens_nothing(client: Client) -> None:
    assert await status(client, "GET", "/live", Cookie="gardien=" + "a" * 43) == 401


async def test_threat_1_after_login_one_comes_where_one_wanted_to_go(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    response = await client.get("/stacks/nextcloud?x=1", allow_redirects=False)
    assert response.headers["Location"] == "/login?next=/stacks/nextcloud?x%3D1"
    response = await client.get(response.headers["Location"])
    assert 'value="/stacks/nextcloud?x=1"' in await response.text()
    response = await post(client, "/login", password=PASSWORD, next="/stacks/nextcloud?x=1")
    assert (response.status, response.headers["Location"]) == (303, "/stacks/nextcloud?x=1")


@pytest.mark.parametrize(
    "elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", ""]
)
async def test_threat_1_a_login_never_leads_elsewhere(client: Client, world: World, elsewhere: str) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    response = await post(client, "/login", password=PASSWORD, next=elsewhere)
    assert (response.status, response.headers["Location"]) == (303, "/")


# -- threat 3: sessions


async def test_threat_3_the_session_gets_a_new_id_at_login(client: Client, world: World) -> None:
    client.session.cookie_jar.update_cookies({"gardien": "planted"}, client.make_url("/"))
    first, second = [
        (await post(client, f"/login/{await world.house.people.link()}")).cookies["gardien"].value for _ in range(2)
    ]
    assert first != "planted"
    assert second != first
    client.session.cookie_jar.clear()
    for old in ("planted", first):
        assert await status(client, "GET", "/", Cookie=f"gardien={old}") == 303
    assert await status(client, "GET", "/", Cookie=f"gardien={second}") == 200


async def test_threat_3_the_cookie_is_out_of_reach(client: Client, world: World) -> None:
    response = await post(client, f"/login/{await world.house.people.link()}")
    cookie = response.cookies["gardien"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Strict", "/")
    assert not cookie["secure"]  # plain http
    assert len(cookie.value) >= 43
    assert not any(cookie.value in line for line in memory(world))  # the store holds a hash


async def test_threat_3_over_https_the_cookie_is_secure(world: World) -> None:
    sessions = auth.StoreSessions(world.store)
    request = make_mocked_request("GET", "/").clone(scheme="https")
    session = Session(None, data=None, new=True)
    session["user"] = "owner"
    response = web.Response()
    await sessions.save_session(request, response, session)
    assert response.cookies["gardien"]["secure"]


async def test_threat_3_nobody_else_is_believed_that_it_was_https(client: Client, world: World) -> None:
    headers = {"Origin": origin(client), "X-Forwarded-Proto": "https"}
    link = f"/login/{await world.house.people.link()}"
    response = await client.post(link, headers=headers, allow_redirects=False)
    assert response.status == 303 and not response.cookies["gardien"]["secure"]


async def test_threat_3_an_old_cookie_is_dead_after_logout(client: Client, world: World) -> None:
    old = await come_in(client, world)
    response = await post(client, "/logout")
    assert response.headers["Location"] == "/login"
    assert await status(client, "GET", "/", Cookie=f"gardien={old}") == 303


async def test_threat_3_all_cookies_are_dead_after_a_password_change(client: Client, world: World) -> None:
    other = await come_in(client, world)
    client.session.cookie_jar.clear()
    mine = await come_in(client, world)
    response = await post(client, "/account", new=PASSWORD, again=PASSWORD)
    assert response.headers["Location"] == "/account?changed"
    fresh = response.cookies["gardien"].value
    assert "gardien" in await (await client.get("/account?changed")).text()
    client.session.cookie_jar.clear()
    for old in (other, mine):
        assert await status(client, "GET", "/", Cookie=f"gardien={old}") == 303
    assert await status(client, "GET", "/", Cookie=f"gardien={fresh}") == 200


async def test_threat_3_a_session_ends_when_idle(client: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "IDLE", timedelta(0))
    await come_in(client, world)
    assert await status(client, "GET", "/") == 303


async def test_threat_3_a_visit_moves_the_end_on(client: Client, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await come_in(client, world)
    before = memory(world)
    await client.get("/")
    assert memory(world) == before  # not at every step: the disk is spared
    monkeypatch.setattr(auth, "REFRESH", timedelta(0))
    await client.get("/")
    assert memory(world) != before
    assert await status(client, "GET", "/") == 200


async def test_threat_3_a_session_that_ended_is_not_written_back(world: World) -> None:
    """A request under way while the password changes must not bring its session back to life."""
    sessions = auth.StoreSessions(world.store)
    session = Session("token", data={"session": {"user": "owner"}}, new=False)
    session["seen"] = datetime.now(UTC).isoformat()
    await sessions.save_session(make_mocked_request("GET", "/"), web.Response(), session)
    assert not any("session" in line for line in memory(world) if line.startswith("INSERT"))


async def test_threat_3_a_stream_ends_with_its_session(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT", 0.2)
    await come_in(client, world)
    async with client.get("/live") as stream:
        await stream.content.readuntil(b"\n\n")
        await world.store.end_sessions("owner")
        rest = await asyncio.wait_for(stream.content.read(), 5)
    assert rest.endswith(b"event: close\ndata: \n\n")
    assert b"event: gone" in rest


# -- threat 4: requests from elsewhere


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
    ],
    ids=str,
)
async def test_threat_4_what_changes_something_must_come_from_our_page(
    client: Client, world: World, headers: dict[str, str]
) -> None:
    await come_in(client, world)
    before = memory(world)
    unsafe = [(method, path) for method, path, _ in routes(client) if method not in ("GET", "HEAD")]
    assert len(unsafe) > 10
    for method, path in unsafe:
        assert await status(client, method, path, **headers) == 403, path
    assert memory(world) == before
    assert world.done == []


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/octet-stream"])
async def test_threat_4_what_changes_something_must_have_the_right_form(
    client: Client, world: World, kind: str
) -> None:
    await come_in(client, world)
    for method, path, _ in routes(client):
        if method not in ("GET", "HEAD"):
            headers = {"Origin": origin(client), "Content-Type": kind}
            async with client.request(method, path, data=b'{"a": 1}', headers=headers) as response:
                assert response.status == 415, path
    assert world.done == []


async def test_threat_4_a_browser_that_tells_where_a_request_comes_from_is_believed(
    client: Client, world: World
) -> None:
    await come_in(client, world)
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with client.post("/stacks/nextcloud/backup", headers=headers, allow_redirects=False) as response:
        assert response.status == 303
    assert world.done == [("backup", "nextcloud")]


async def test_threat_4_looking_changes_nothing(client: Client, world: World) -> None:
    await come_in(client, world)
    token = await world.house.people.link()
    before = memory(world)
    for method, path, _ in routes(client):
        if method == "GET":
            await status(client, "GET", path.replace("/login/abc", f"/login/{token}"))
    await status(client, "HEAD", f"/login/{token}")
    assert memory(world) == before
    assert world.done == [] and world.handed_out == set()


# -- threat 5: other names


async def test_threat_5_other_names_are_refused_everywhere(client: Client, world: World) -> None:
    await come_in(client, world)
    for host in ("evil.example", "evil.example:8480", "127.0.0.1.evil.example", "localhost@evil.example", "[::1", ""):
        for method, path, _ in routes(client):
            async with client.request(
                method, path, headers={"Host": host, "Origin": f"http://{host}"}, allow_redirects=False
            ) as response:
                assert response.status == 421, f"{host} {path}"
                assert "gardien" not in response.cookies
    assert world.done == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8480", "127.0.0.1:1", "localhost.", "box.lan:8480"])
async def test_threat_5_our_names_are_answered(tmp_path: Path, host: str) -> None:
    async with (
        make_world(tmp_path, page=Page(names=("box.lan",))) as world,
        TestClient(TestServer(make_app(world.house))) as client,
    ):
        assert await status(client, "GET", "/login", Host=host) == 200


# -- threat 6: guessing


async def test_threat_6_guessing_is_slowed_down_and_the_console_is_not(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    answers = [(await post(client, "/login", password=f"guess {number}")).status for number in range(6)]
    assert answers == [401, 401, 401, 401, 401, 429]
    response = await post(client, "/login", password=PASSWORD)
    assert response.status == 429
    assert int(response.headers["Retry-After"]) >= 1
    await come_in(client, world)
    assert await status(client, "GET", "/") == 200


async def test_threat_6_the_right_password_lets_in(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    assert (await post(client, "/login", password="")).status == 401
    assert (await post(client, "/login", password=PASSWORD)).status == 303
    assert await status(client, "GET", "/") == 200
    assert (await client.get("/login", allow_redirects=False)).status == 303


# -- links and passwords


async def test_a_link_works_once_and_looking_does_not_use_it_up(client: Client, world: World) -> None:
    token = await world.house.people.link()
    for _ in range(2):
        assert (await client.get(f"/login/{token}")).status == 200
    response = await post(client, f"/login/{token}")
    assert (response.status, response.headers["Location"]) == (303, "/account")  # to set a password
    client.session.cookie_jar.clear()
    response = await post(client, f"/login/{token}")
    assert response.status == 403
    assert "sudo gardien user link" in await response.text()
    assert await status(client, "GET", "/") == 303


async def test_what_breaks_over_a_link_does_not_write_it_down(
    client: Client, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(token: str) -> str | None:
        raise RuntimeError("broken")

    token = await world.house.people.link()
    monkeypatch.setattr(world.house.people, "enter_by_link", broken)
    assert (await post(client, f"/login/{token}")).status == 500
    assert "POST /login/{token}" in caplog.text and token not in caplog.text


async def test_changing_the_password_asks_for_the_present_one(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    await post(client, "/login", password=PASSWORD)
    assert 'name="old"' in await (await client.get("/account")).text()
    response = await post(client, "/account", old="wrong", new="another long one", again="another long one")
    assert response.status == 400
    assert "The present password is not right." in await response.text()
    response = await post(client, "/account", old=PASSWORD, new="another long one", again="another long One")
    assert "The two new passwords are not the same." in await response.text()
    response = await post(client, "/account", old=PASSWORD, new="short", again="short")
    assert "The password is too short." in await response.text()
    response = await post(client, "/account", old=PASSWORD, new="another long one", again="another long one")
    assert response.status == 303
    assert await world.house.people.enter_by_password("owner", "another long one", "") == "owner"


async def test_a_link_stands_for_a_forgotten_password(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", "one that is forgotten")
    await come_in(client, world)
    assert 'name="old"' not in await (await client.get("/account")).text()
    assert (await post(client, "/account", new=PASSWORD, again=PASSWORD)).status == 303
    assert 'name="old"' in await (await client.get("/account")).text()  # and only once


# -- what goes with every answer


async def test_every_answer_bears_the_headers(client: Client, world: World) -> None:
    answers = [
        await client.get("/login"),
        await client.get("/", allow_redirects=False),
        await client.get("/login", headers={"Host": "evil.example"}),
        await client.post("/logout"),
        await client.get("/healthz"),
    ]
    await come_in(client, world)
    answers += [await client.get("/"), await client.get("/nothing"), await client.get("/api/v1/status")]
    async with client.get("/live") as stream:
        answers.append(stream)
    for answer in answers:
        for name, value in HEADERS.items():
            assert answer.headers.get(name) == value, f"{answer.url} {name}"
    policy = HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


# -- the two doors


async def test_whoever_may_open_the_socket_is_logged_in(tmp_path: Path, unused_tcp_port: int) -> None:
    async with make_world(tmp_path, page=Page(port=unused_tcp_port)) as world:
        world.add_stack("nextcloud", "Nextcloud")
        path = world.settings.socket
        async with serve(world.house):
            assert path.stat().st_mode & 0o777 == 0o660
            async with ClientSession(connector=UnixConnector(str(path))) as session:
                async with session.get("http://gardien/") as response:
                    assert response.status == 200
                    assert "Nextcloud" in await response.text()
                async with session.post("http://gardien/api/v1/stacks/nextcloud/start") as response:
                    assert response.status == 202
                async with session.get("http://gardien/account") as response:
                    assert response.status == 200
            async with ClientSession() as session:
                url = f"http://127.0.0.1:{unused_tcp_port}/"
                async with session.get(url, allow_redirects=False) as response:
                    assert response.status == 303
        assert not path.exists()
        assert world.done == [("start", "nextcloud")]


async def test_another_unix_socket_is_no_login(tmp_path: Path, world: World) -> None:
    """What the house's door speaks to is a unix socket, too: whoever comes by it has to sign in."""
    runner = web.AppRunner(make_app(world.house))
    await runner.setup()
    path = tmp_path / "page.sock"
    try:
        await web.UnixSite(runner, path).start()
        async with ClientSession(connector=UnixConnector(str(path))) as session:
            async with session.get("http://localhost/", allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (303, "/login")
            async with session.post("http://localhost/api/v1/users/link", json={}) as response:
                assert response.status == 403
            # What comes there came over TLS: its own page is an https one, and its cookie goes nowhere else.
            entry = f"http://localhost/login/{await world.house.people.link()}"
            async with session.post(entry, headers={"Origin": "http://localhost"}) as response:
                assert response.status == 403
            async with session.post(entry, headers={"Origin": "https://localhost"}, allow_redirects=False) as response:
                assert response.status == 303 and response.cookies["gardien"]["secure"]
    finally:
        await runner.cleanup()


async def test_a_socket_left_by_a_former_life_is_replaced(tmp_path: Path, unused_tcp_port: int) -> None:
    async with make_world(tmp_path, page=Page(port=unused_tcp_port)) as world:
        world.settings.socket.touch()
        async with (
            serve(world.house),
            ClientSession(connector=UnixConnector(str(world.settings.socket))) as session,
            session.get("http://gardien/healthz") as response,
        ):
            assert response.status == 200


async def test_a_taken_port_is_said_with_a_remedy(tmp_path: Path, unused_tcp_port: int) -> None:
    taker = await asyncio.start_server(lambda *_: None, "127.0.0.1", unused_tcp_port)
    async with make_world(tmp_path, page=Page(port=unused_tcp_port)) as world, taker:
        with pytest.raises(PortTaken, match=str(unused_tcp_port)) as caught:
            async with serve(world.house):
                pass
        assert "page.port" in str(caught.value.remedy)
        assert not world.settings.socket.exists()


async def test_an_address_that_is_not_ours_is_said_with_a_remedy(tmp_path: Path, unused_tcp_port: int) -> None:
    async with make_world(tmp_path, page=Page(address="192.0.2.1", port=unused_tcp_port)) as world:
        with pytest.raises(BadInput, match="192"):
            async with serve(world.house):
                pass


async def test_stopping_ends_streams_at_once(tmp_path: Path, unused_tcp_port: int) -> None:
    async with (
        make_world(tmp_path, page=Page(port=unused_tcp_port)) as world,
        ClientSession(connector=UnixConnector(str(world.settings.socket))) as session,
    ):
        async with serve(world.house):
            stream = await session.get("http://gardien/live")
            await stream.content.readuntil(b"\n\n")
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 2
        await asyncio.wait_for(stream.content.read(), 1)

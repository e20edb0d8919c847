"""Threats that are looked at across all doors at once. The others are beside what they threaten: each is named by its
row, `test_threat_6_…`, and the first test here sees that none is missing.
"""

import re
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import ConsoleMessage, async_playwright
from playwright.async_api import Page as BrowserPage

from gardien.errors import GardienError
from gardien.faces import pace
from gardien.faces.server import make_app, serve
from gardien.model.manifest import Text
from gardien.model.settings import Page
from gardien.model.setup import Wish
from gardien.words import Words
from tests.coming_back import practice
from tests.faces_world import World, make_world, recipe_of
from tests.live_routes import walk
from tests.pictures import FLAGS
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.signed_in import PASSWORD, Client, come_in, helper, origin, post

ROWS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 14, 20)
FOR_HELPERS = {  # written down here once more, so that no change of the table goes unseen
    "GET": {
        *("/", "/live", "/stacks/{name}", "/backups", "/jobs", "/jobs/{job}", "/machine", "/metrics", "/account"),
        *("/alerts", "/updates", "/stacks/{name}/updates", "/api/v1/version"),
        "/alerts",
        *("/proofs", "/proofs/{month}", "/record", "/record/{month}", "/certificate", "/certificate/root.crt"),
        *(f"/api/v1/{each}" for each in ("status", "stacks", "jobs", "jobs/{job}", "jobs/{job}/watch", "snapshots")),
        *(f"/api/v1/{each}" for each in ("targets", "updates", "proofs", "proofs/certificate", "report", "kit")),
        *(f"/api/v1/{each}" for each in ("alerts", "machine", "machine/history", "certificate", "certificate/page")),
        "/api/v1/openapi.json",
    },
    "POST": {"/logout", "/account", "/account/factor", "/account/factor/enrol", "/account/factor/remove"}
    | {"/account/visits/{visit}/end", "/account/visits/end"},
}
PUBLIC = {"/login", "/login/code", "/login/{token}", "/language", "/static/{name}", "/healthz"}
EVIL = "<script>window.broken=1</script><img src=x onerror='window.broken=1'>\"'><svg onload=window.broken=1>{{7*7}}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        world.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=3))
        world.add_job("backup", "nextcloud", "done")
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app(world.house))) as client:
        yield client


def test_every_threat_of_the_faces_has_a_test_named_by_its_row() -> None:
    texts = [file.read_text() for file in Path(__file__).parent.rglob("test_*.py")]
    found = {int(row) for text in texts for row in re.findall(r"def test_threat_(\d+)_", text)}
    assert [row for row in ROWS if row not in found] == []


# -- threat 1: a route without login


async def walked(client: Client, headers: Mapping[str, str]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """The routes that were refused to whoever sends this, and those that were not."""
    assert client.app is not None
    shut: set[tuple[str, str]] = set()
    open_: set[tuple[str, str]] = set()
    for route in walk(client.app):
        if route.pattern in PUBLIC or route.pattern in ("/logout", "/account"):
            continue
        async with client.request(route.method, route.path, headers=headers, allow_redirects=False) as response:
            (shut if response.status == 403 else open_).add((route.method, route.pattern))
    return shut, open_


async def test_threat_1_a_helper_comes_to_what_helpers_may_see_and_no_further(client: Client, world: World) -> None:
    await helper(client, world)
    shut, open_ = await walked(client, {"Origin": origin(client)})
    allowed = {(method, each) for method, patterns in FOR_HELPERS.items() for each in patterns}
    assert sorted(open_ - allowed) == []
    assert sorted(allowed & shut) == []
    assert len(shut) > 60
    assert world.done == [] and world.handed_out == set()


@pytest.mark.parametrize("scopes", [["read"], ["backup"], ["update"]])
async def test_threat_1_a_token_comes_no_further_than_its_scope(
    client: Client, world: World, scopes: list[str]
) -> None:
    text = await world.house.people.add_token("program", scopes)
    _, open_ = await walked(client, {"Authorization": f"Bearer {text}"})
    programs = {(method, each) for method, each in open_ if each.startswith(("/api/", "/metrics"))}
    more = {
        "read": set(),
        "backup": {("POST", "/api/v1/backups")},
        "update": {("POST", "/api/v1/updates/run"), ("POST", "/api/v1/updates/look")},
    }
    helpers = {("GET", each) for each in FOR_HELPERS["GET"] if each.startswith(("/api/", "/metrics"))}
    assert sorted(programs - helpers - more[scopes[0]]) == []
    assert sorted(helpers - programs) == []
    assert {each[0] for each in world.done} <= ({"look"} if scopes == ["update"] else set())


async def test_threat_1_a_token_is_no_cookie(client: Client, world: World) -> None:
    """No page answers to one, and it opens nothing that its owner's cookie beside it would."""
    text = await world.house.people.add_token("program", ["read", "inside", "backup", "update", "act"])
    assert client.app is not None
    for route in walk(client.app):
        if not route.pattern.startswith(("/api/", "/metrics")) and route.pattern not in PUBLIC:
            headers = {"Authorization": f"Bearer {text}", "Origin": origin(client)}
            async with client.request(route.method, route.path, headers=headers, allow_redirects=False) as response:
                assert response.status in (303, 401), route
                assert response.headers.get("Location", "/login").startswith("/login"), route
    await come_in(client, world)
    async with client.get("/api/v1/status", headers={"Authorization": "Bearer gardien_wrong"}) as response:
        assert response.status == 401
    assert world.done == []


# -- threats 4 and 5, with a token


async def test_threat_4_a_token_in_a_foreign_page_changes_nothing(client: Client, world: World) -> None:
    text = await world.house.people.add_token("program", ["act"])
    assert client.app is not None
    for route in walk(client.app):
        if route.method == "POST" and route.pattern.startswith("/api/"):
            for more in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
                headers = {"Authorization": f"Bearer {text}", **more}
                async with client.post(route.path, headers=headers) as response:
                    assert response.status == 403, route
            headers = {"Authorization": f"Bearer {text}", "Content-Type": "text/plain"}
            async with client.post(route.path, data=b"{}", headers=headers) as response:
                assert response.status == 415, route
    assert world.done == []


async def test_threat_5_a_token_does_not_help_a_foreign_name(client: Client, world: World) -> None:
    text = await world.house.people.add_token("program", ["act"])
    headers = {"Authorization": f"Bearer {text}", "Host": "evil.example"}
    assert client.app is not None
    for route in walk(client.app):
        async with client.request(route.method, route.path, headers=headers, allow_redirects=False) as response:
            assert response.status == 421, route


# -- threat 6: guessing, and locking the owner out


async def test_threat_6_a_thousand_guesses_and_then_the_owner(tmp_path: Path, unused_tcp_port: int) -> None:
    async with make_world(tmp_path, page=Page(port=unused_tcp_port)) as world, serve(world.house):
        people = world.house.people
        await people.set_password("owner", PASSWORD)
        page = f"http://127.0.0.1:{unused_tcp_port}"
        guess = {"headers": {"Origin": page}, "allow_redirects": False}
        answers = []
        async with ClientSession() as session:
            for number in range(1000):
                data = {"user": "owner", "password": f"guess {number}"}
                async with session.post(f"{page}/login", data=data, **guess) as response:  # type: ignore[arg-type]
                    answers.append(response.status)
        assert set(answers) == {401, 429}
        assert answers.count(401) < 60, "so many were really tried"
        # The owner, elsewhere, notices nothing; and at the machine all ways are open.
        assert await people.enter_by_password("owner", PASSWORD, "192.0.2.7") == "owner"
        async with ClientSession(connector=UnixConnector(str(world.settings.socket))) as console:
            for way in ("link", "reset"):
                async with console.post(f"http://gardien/api/v1/users/{way}", json={"user": "owner"}) as response:
                    assert response.status == 200
                    url = (await response.json())["url"].replace("localhost", "127.0.0.1")
        async with ClientSession() as session, session.post(url, **guess) as response:  # type: ignore[arg-type]
            assert response.status == 303


# -- threat 7: text that would like to be more than text, in a real browser


def listen(page: BrowserPage, complaints: list[str]) -> None:
    """What the browser complains of, such as a script that its policy stopped; not that one left while a stream ran."""

    def hear(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and said.text != "[object Event]":
            complaints.append(said.text)

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(str(error)))


async def look(page: BrowserPage, address: str, complaints: list[str]) -> None:
    await page.goto(address)
    if await page.evaluate("'broken' in window"):
        complaints.append(f"{address}: it ran")
    if await page.locator("main img, main script").count():
        complaints.append(f"{address}: it became an element")


async def test_threat_7_nothing_that_is_called_oddly_runs_in_a_browser(tmp_path: Path, unused_tcp_port: int) -> None:
    complaints: list[str] = []
    async with async_playwright() as playwright, make_world(tmp_path, page=Page(port=unused_tcp_port)) as world:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = await browser.new_context()
        page = await context.new_page()
        listen(page, complaints)
        view = world.add_stack("notes", EVIL, health="ailing", summary=Text(en=EVIL, fr=EVIL), saved=timedelta(hours=1))
        evil = Words.of("{x}", x=EVIL)
        world.stacks[0] = replace(view, health=replace(view.health, says=evil), drift=(evil,))
        world.recipes["notes"] = replace(recipe_of("notes", EVIL), services={EVIL: "x"})
        world.logs = f"db-1 | {EVIL}\n</pre>{EVIL}"
        world.add_alert(f"stack:{EVIL}", "trouble", evil, evil)
        failed = world.add_job("backup", "notes", "failed", says=evil, remedy=evil, detail=f"</pre>{EVIL}")
        world.add_job("start", "notes", "running")
        await world.house.people.note(EVIL, "token", evil)
        async with serve(world.house):
            home = f"http://127.0.0.1:{unused_tcp_port}"
            await page.set_extra_http_headers({"User-Agent": f"Firefox {EVIL}"})
            await page.goto(f"{home}/login/{await world.house.people.link()}")
            await page.locator("main button").click()
            await page.wait_for_url(lambda url: "/login" not in url)
            paths = [
                "",
                "stacks/notes",
                "stacks/notes/logs",
                "stacks/notes/settings",
                "backups",
                "jobs",
                "log",
                "account",
                "alerts",
                "updates",
                "machine",
                "stacks/notes/restart",
                "stacks/notes/remove",
            ]
            for path in [*paths, f"jobs/{failed.id}", "tokens", "people"]:
                await look(page, f"{home}/{path}", complaints)
            # What moves by itself comes by another way: a piece is swapped in.
            await page.goto(home)
            moved = Words.of("{x} moved", x=EVIL)
            world.stacks[0] = replace(world.stacks[0], health=replace(view.health, health="ailing", says=moved))
            world.feed.changed("health")
            await page.get_by_text("moved").first.wait_for()
            assert not await page.evaluate("'broken' in window")
        await browser.close()
    assert complaints == []


async def test_threat_7_names_of_files_in_a_browser() -> None:
    from tests import coming_back

    complaints: list[str] = []
    name = "<img src=x onerror=window.broken=1><script>window.broken=1<⁄script>.txt"
    before = dict(coming_back.FILES)
    coming_back.FILES[name] = 12
    try:
        async with async_playwright() as playwright, practice() as made:
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            context = await browser.new_context()
            page = await made.come_in(context)
            listen(page, complaints)
            newest = (await made.quiet.house.backups.list("nextcloud"))[0]
            (hit,) = await made.quiet.house.browse.search(newest, "onerror")
            for path in (f"{made.pages['top']}?search=onerror", f"/snapshots/{newest.id}/{hit.entry.id}/put-back"):
                await look(page, made.address + path, complaints)
                assert "onerror" in await page.inner_text("main")
            await browser.close()
    finally:
        coming_back.FILES.clear()
        coming_back.FILES.update(before)
    assert complaints == []


# -- threat 11: asking this machine to ask others


async def test_threat_11_no_target_leads_to_where_a_cloud_hands_out_keys() -> None:
    hosts = ("169.254.169.254", "fe80::1", "[fd00:ec2::254]", "100.100.100.200", "0.0.0.0", "metadata.google.internal")
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            before = dict(quiet.house.settings.targets)
            for host in hosts:
                wish = Wish("far", "sftp", values={"host": host, "user": "me", "folder": "x"})
                with pytest.raises(GardienError) as caught:
                    await quiet.house.setup.add(wish)
                assert caught.value.code in ("bad-input", "refused"), host
                assert quiet.house.settings.targets == before


async def test_threat_11_only_who_may_change_the_house_asks_it_to_ask(client: Client, world: World) -> None:
    """A helper or a token to look with tests no target and sends no letter."""
    await helper(client, world, "backup", "update")
    for path in ("/targets/box/test", "/settings/letters/test"):
        assert (await post(client, path)).status == 403
    text = await world.house.people.add_token("program", ["read", "inside", "backup", "update"])
    client.session.cookie_jar.clear()
    for path in ("targets", "targets/box/test", "targets/box/init", "letters/test"):
        async with client.post(f"/api/v1/{path}", json={}, headers={"Authorization": f"Bearer {text}"}) as response:
            assert response.status == 403, path


async def test_threat_11_nobody_tries_addresses_by_the_hundred(client: Client, world: World) -> None:
    """Twenty within a minute, by whatever way; what asks nobody outside goes on."""
    await come_in(client, world)
    for number in range(pace.TRIES):
        assert (await post(client, ("/targets/box/test", "/settings/letters/test")[number % 2])).status != 429
    for path in ("/targets/box/test", "/settings/letters/test", "/targets/new/sftp"):
        answer = await post(client, path)
        assert answer.status == 409 and "too often" in await answer.text(), path
    assert "too often" not in await (await post(client, "/stacks/nextcloud/backup")).text()


# -- threat 20: the sheet


async def test_threat_20_no_helper_and_no_token_comes_to_the_sheet(client: Client, world: World) -> None:
    await helper(client, world, "backup", "update")
    assert (await client.get("/kit")).status == 403
    assert (await post(client, "/kit")).status == 403
    client.session.cookie_jar.clear()
    text = await world.house.people.add_token("program", ["read", "inside", "backup", "update", "act"])
    async with client.post("/api/v1/kit", json={}, headers={"Authorization": f"Bearer {text}"}) as response:
        assert response.status == 409  # at the machine itself only

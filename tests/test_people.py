"""Several people at one house: what each may do, second factors, where they are signed in, programs, who did what."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector
from aiohttp.test_utils import TestClient, TestServer

from gardien.errors import BadInput, Busy, NotFound, Refused
from gardien.faces import contract
from gardien.faces.deeds import words_of
from gardien.faces.powers import SAFE
from gardien.faces.server import make_app, serve
from gardien.model.settings import Page
from gardien.services import people as people_module
from gardien.words import Words
from tests.faces_world import World, make_world
from tests.live_routes import walk
from tests.signed_in import PASSWORD, Client, code, come_in, helper, post, stand_still

API = "/api/v1"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        world.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=3))
        world.add_job("backup", "nextcloud", "running", at=1)
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    stand_still(world)
    async with TestClient(TestServer(make_app(world.house))) as client:
        yield client


async def said(client: Client, path: str) -> str:
    response = await client.get(path)
    assert response.status == 200, path
    return await response.text()


async def deeds(world: World) -> list[tuple[str, str, str]]:
    """Oldest first."""
    return [(each.who, each.means, str(each.what)) for each in reversed(await world.house.people.deeds())]


# -- people


async def test_an_invitation_lets_somebody_in_once_to_set_a_password(client: Client, world: World) -> None:
    await come_in(client, world)
    response = await post(client, "/people", user="Anna", role="helper", may=["backup"])
    found = re.search(r'id="invitation">([^<]+)<', await response.text())
    assert response.status == 200 and found is not None
    assert found[1] not in await said(client, "/people"), "it is shown once"
    client.session.cookie_jar.clear()
    path = "/" + found[1].split("/", 3)[3]
    assert (await post(client, path)).headers["Location"] == "/account"
    assert (await post(client, "/account", new=PASSWORD, again=PASSWORD)).status == 303
    client.session.cookie_jar.clear()
    assert (await post(client, path)).status == 403
    assert (await post(client, "/login", user="anna", password=PASSWORD)).status == 303
    assert "anna · Helper" in (await said(client, "/account")).replace("helper", "Helper")


async def test_the_login_asks_for_a_name_where_there_are_several_people(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    assert 'id="user"' not in await said(client, "/login")
    await world.house.people.add("anna")
    page = await said(client, "/login")
    assert 'id="user"' in page and "anna" not in page and "owner" not in page
    assert (await post(client, "/login", user="nobody", password=PASSWORD)).status == 401
    assert (await post(client, "/login", user="anna", password=PASSWORD)).status == 401
    assert (await post(client, "/login", user="owner", password=PASSWORD)).status == 303


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "<b>", "a" * 32, "../x", "console", "é"])
async def test_names_that_are_none(world: World, name: str) -> None:
    with pytest.raises(BadInput):
        await world.house.people.add(name)


async def test_there_is_always_an_owner(client: Client, world: World) -> None:
    people = world.house.people
    with pytest.raises(Refused):
        await people.remove("owner")
    with pytest.raises(Refused):
        await people.change("owner", "helper")
    with pytest.raises(BadInput):
        await people.change("owner", "king")
    with pytest.raises(BadInput):
        await people.add("anna", "helper", ["act"])
    await come_in(client, world)
    response = await post(client, "/people/owner/remove")
    assert response.status == 400 and "only owner" in await response.text()


async def test_who_is_removed_or_gets_another_role_is_out_at_once(client: Client, world: World) -> None:
    await helper(client, world)
    assert (await client.get("/")).status == 200
    await world.house.people.change("anna", "owner")
    assert (await client.get("/", allow_redirects=False)).status == 303
    await come_in(client, world, "anna")
    assert (await client.get("/people")).status == 200
    await world.house.people.remove("anna")
    assert (await client.get("/", allow_redirects=False)).status == 303
    with pytest.raises(NotFound):
        await world.house.people.link("anna")


async def test_an_invitation_is_renewed_for_who_never_came_and_for_nobody_else(world: World) -> None:
    people = world.house.people
    first = await people.add("anna")
    second = await people.invite("anna")
    assert await people.enter_by_link(first) is None
    assert await people.enter_by_link(second) == "anna"
    await people.set_password("anna", PASSWORD)
    with pytest.raises(Refused):
        await people.invite("anna")


# -- what a helper sees


async def test_a_helper_is_told_no_names_of_files_and_no_printed_lines(client: Client, world: World) -> None:
    secret = "Müller-Anamnese.odt"
    job = world.add_job("backup", "nextcloud", "failed", at=2, detail=f"cannot read {secret}")
    await helper(client, world)
    pages = [await said(client, path) for path in ("/", "/stacks/nextcloud", "/backups", "/jobs", f"/jobs/{job.id}")]
    api = [await said(client, f"{API}/{path}") for path in ("status", "stacks", "jobs", f"jobs/{job.id}")]
    api.append(await said(client, f"{API}/jobs/{job.id}/watch"))
    assert [text for text in [*pages, *api] if secret in text or "Anamnese" in text] == []
    assert [text for text in pages if "/restore" in text or "/stop" in text or "/settings" in text] == []
    await come_in(client, world)
    assert secret in await said(client, f"/jobs/{job.id}")


async def test_a_helper_starts_a_backup_only_where_allowed(client: Client, world: World) -> None:
    await helper(client, world)
    assert "/stacks/nextcloud/backup" not in await said(client, "/")
    response = await post(client, "/stacks/nextcloud/backup")
    assert response.status == 403 and "has not allowed you this" in await response.text()
    await world.house.people.change("anna", "helper", ["backup"])
    await come_in(client, world, "anna")
    world.jobs.clear()
    assert "/stacks/nextcloud/backup" in await said(client, "/")
    assert (await post(client, "/stacks/nextcloud/backup")).status == 303
    assert (await post(client, "/stacks/nextcloud/stop")).status == 403
    assert world.done == [("backup", "nextcloud")]


# -- the second factor


async def enrol(client: Client) -> tuple[str, list[str]]:
    """The secret, and the spare codes."""
    found = re.search(r'name="secret" value="(\w+)"', await (await post(client, "/account/factor")).text())
    assert found is not None
    wrong = await post(client, "/account/factor/enrol", secret=found[1], code="000000")
    assert wrong.status == 400 and found[1] in await wrong.text()
    done = await post(client, "/account/factor/enrol", secret=found[1], code=code(found[1]))
    assert done.status == 200
    return found[1], re.findall(r"<li><code>([a-z0-9-]+)</code>", await done.text())


async def test_the_second_factor_is_asked_for_and_no_code_works_twice(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    await come_in(client, world)
    secret, spare = await enrol(client)
    assert len(set(spare)) == 10
    assert (await world.house.people.deeds())[0].what.text == "second factor set up"
    assert (await client.get("/")).status == 200  # this one goes on
    client.session.cookie_jar.clear()
    response = await post(client, "/login", password=PASSWORD, next="/jobs")
    assert response.headers["Location"] == "/login/code"
    assert (await client.get("/", allow_redirects=False)).status == 303, "half is not in"
    half = client.session.cookie_jar.filter_cookies(client.make_url("/"))["gardien"].value
    assert (await post(client, "/login/code", code=code(secret))).status == 401, "enrolling used it"
    assert (await post(client, "/login/code", code="12 34 56")).status == 401
    response = await post(client, "/login/code", code=code(secret, 1))
    assert (response.status, response.headers["Location"]) == (303, "/jobs")
    assert response.cookies["gardien"].value != half
    assert (await client.get("/")).status == 200
    for good, text in ((False, code(secret, 1)), (True, spare[0].upper()), (False, spare[0]), (True, " " + spare[1])):
        client.session.cookie_jar.clear()
        await post(client, "/login", password=PASSWORD)
        assert (await post(client, "/login/code", code=text)).status == (303 if good else 401), text
    told = await deeds(world)
    assert ("owner", "page", "right password, wrong code from the app") in told
    assert not any(secret in str(each) or spare[0] in str(each) for each in told)


async def test_the_code_is_no_way_past_the_password(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    await come_in(client, world)
    secret, _ = await enrol(client)
    client.session.cookie_jar.clear()
    response = await post(client, "/login/code", code=code(secret, 1))
    assert (response.status, response.headers["Location"]) == (303, "/login")


async def test_guessing_codes_is_slowed_down(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    await come_in(client, world)
    await enrol(client)
    await post(client, "/login", password=PASSWORD)
    answers = [(await post(client, "/login/code", code=f"00000{number}")).status for number in range(6)]
    assert answers == [401, 401, 401, 401, 401, 429]


async def test_it_is_taken_away_with_the_password_or_at_the_machine(client: Client, world: World) -> None:
    people = world.house.people
    await people.set_password("owner", PASSWORD)
    await come_in(client, world)
    await enrol(client)
    response = await post(client, "/account/factor/remove", old="wrong")
    assert response.status == 400 and await people.factor.asked("owner")
    assert (await post(client, "/account/factor/remove", old=PASSWORD)).status == 303
    assert not await people.factor.asked("owner")
    await come_in(client, world)
    await enrol(client)
    token = await people.reset("owner")
    assert (await client.get("/", allow_redirects=False)).status == 303
    assert not await people.factor.asked("owner") and not await people.has_password()
    assert (await post(client, f"/login/{token}")).headers["Location"] == "/account"


async def test_an_open_page_cannot_be_made_somebody_elses(client: Client, world: World) -> None:
    """Who finds it signed in by the password can neither set another nor a second factor without knowing it."""
    await world.house.people.set_password("owner", PASSWORD)
    await post(client, "/login", password=PASSWORD)
    found = re.search(r'name="secret" value="(\w+)"', await (await post(client, "/account/factor")).text())
    assert found is not None
    response = await post(client, "/account/factor/enrol", secret=found[1], code=code(found[1]), old="wrong")
    assert response.status == 400 and not await world.house.people.factor.asked("owner")


# -- where one is signed in


async def test_sign_ins_are_listed_and_ended_one_by_one(client: Client, world: World) -> None:
    other, mine = [await come_in(client, world) for _ in range(2)]
    page = await said(client, "/account")
    (key,) = re.findall(r"/account/visits/([0-9a-f]{16})/end", page)
    assert "this one" in page and "127.0.0.1" in page
    await helper(client, world)
    assert (await post(client, f"/account/visits/{key}/end")).status == 404, "it is somebody else's"
    client.session.cookie_jar.update_cookies({"gardien": mine}, client.make_url("/"))
    assert (await post(client, f"/account/visits/{key}/end")).status == 303
    assert "/account/visits/" not in await said(client, "/account")
    client.session.cookie_jar.update_cookies({"gardien": other}, client.make_url("/"))
    assert (await client.get("/", allow_redirects=False)).status == 303


# -- programs


async def test_a_token_opens_what_it_was_given_and_no_page(client: Client, world: World) -> None:
    await come_in(client, world)
    response = await post(client, "/tokens", name="monitor", scope=["read"], lives="90")
    found = re.search(r'id="token">(gardien_[\w-]+)<', await response.text())
    assert found is not None and found[1] not in await said(client, "/tokens")
    client.session.cookie_jar.clear()
    bearer = {"Authorization": f"Bearer {found[1]}"}
    for path, status in (
        (f"{API}/status", 200),
        ("/metrics", 200),
        (f"{API}/stacks/nextcloud/logs", 403),
        (f"{API}/users", 403),
        (f"{API}/log", 403),
        ("/", 303),
        ("/account", 303),
    ):
        async with client.get(path, headers=bearer, allow_redirects=False) as answer:
            assert answer.status == status, path
    async with client.post(f"{API}/backups", json={"stack": "nextcloud"}, headers=bearer) as answer:
        assert answer.status == 403 and (await answer.json())["error"]["code"] == "not-allowed"
    assert world.done == []
    (known,) = await world.house.people.tokens()
    assert known.used is not None and known.until is not None


async def test_a_token_that_may_starts_a_backup_and_dies_when_revoked(client: Client, world: World) -> None:
    text = await world.house.people.add_token("cron", ["backup"])
    bearer = {"Authorization": f"Bearer {text}"}
    async with client.post(f"{API}/backups", json={"stack": "nextcloud"}, headers=bearer) as answer:
        assert answer.status == 202
        job = (await answer.json())["job"]
    async with client.post(f"{API}/backups", json={"stack": "nextcloud", "dry_run": True}, headers=bearer) as answer:
        assert answer.status == 200
    evil = {**bearer, "Origin": "https://evil.example"}
    async with client.post(f"{API}/backups", json={"stack": "nextcloud"}, headers=evil) as answer:
        assert answer.status == 403
    (done,) = await world.house.people.deeds()
    assert (done.who, done.means, str(done.what), done.job) == ("cron", "token", "backup begun: nextcloud", job)
    await come_in(client, world)
    assert (await post(client, "/tokens/revoke", name="cron")).status == 303
    async with client.get(f"{API}/status", headers=bearer) as answer:
        assert answer.status == 401, "a cookie beside it does not help"
    assert (await post(client, "/tokens/revoke", name="cron")).status == 400


async def test_no_token_is_kept_and_none_outlives_its_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = world.house.people
    text = await people.add_token("short", ["read"], lives=timedelta(seconds=-1))
    assert await people.token(text) is None
    assert text not in world.file.read_bytes().decode(errors="replace")
    with pytest.raises(Refused):
        await people.add_token("short", ["read"])
    for name, scopes in (("", ["read"]), ("x", []), ("x", ["people"]), ("<x>", ["read"])):
        with pytest.raises(BadInput):
            await people.add_token(name, scopes)
    assert people_module.TOKEN in text


# -- who did what


async def test_every_route_that_changes_something_has_words(client: Client) -> None:
    assert client.app is not None
    silent = {"/login", "/login/{token}", "/login/code", "/language"}
    unsafe = {route.pattern for route in walk(client.app) if route.method not in SAFE} - silent
    assert sorted(pattern for pattern in unsafe if words_of(pattern) is None) == []


async def test_what_is_done_is_written_down_and_what_is_looked_at_is_not(client: Client, world: World) -> None:
    await come_in(client, world)
    await client.get("/stacks/nextcloud")
    assert (await post(client, "/stacks/nextcloud/settings", APP_PORT="9090")).status == 200  # what would change
    await post(client, "/stacks/nextcloud/backup")
    await post(client, "/stacks/nextcloud/first-login")
    await post(client, "/stacks/nothing/start")
    await helper(client, world)
    await post(client, "/stacks/nextcloud/stop")
    assert await deeds(world) == [
        ("owner", "page", "signed in by a link"),
        ("owner", "page", "backup begun: nextcloud"),
        ("owner", "page", "first password shown: nextcloud"),
        ("anna", "page", "signed in by a link"),
        ("anna", "page", "not allowed: application switched off: nextcloud"),
    ]
    await come_in(client, world)
    page = await said(client, "/log")
    assert "Backup begun: nextcloud" in page and "/jobs/2" in page


async def test_the_log_has_pages(client: Client, world: World) -> None:
    from gardien.words import Words

    for number in range(130):
        await world.house.people.note("anna", "page", Words(f"deed number {number} done"))
    await come_in(client, world)
    page = await said(client, "/log")
    assert "deed number 129 done" in page.lower() and "deed number 20 done" not in page.lower()
    onward = re.search(r"/log\?before=(\d+)", page)
    assert onward is not None
    page = (await said(client, onward[0])).lower()
    assert "deed number 20 done" in page and "deed number 129 done" not in page
    assert (await client.get("/log?before=x")).status == 400


async def test_the_console_is_in_the_log_by_its_account(tmp_path: Path, unused_tcp_port: int) -> None:
    async with make_world(tmp_path, page=Page(port=unused_tcp_port)) as world:
        world.add_stack("nextcloud", "Nextcloud")
        async with (
            serve(world.house),
            ClientSession(connector=UnixConnector(str(world.settings.socket))) as session,
        ):
            async with session.post(f"http://gardien{API}/users", json={"user": "anna", "may": ["backup"]}) as answer:
                assert answer.status == 200 and "/login/" in (await answer.json())["url"]
            async with session.post(f"http://gardien{API}/tokens", json={"name": "m", "scopes": ["read"]}) as answer:
                assert (await answer.json())["token"].startswith("gardien_")
            async with session.get(f"http://gardien{API}/users") as answer:
                users = {each["user"]: (each["role"], each["may"]) for each in (await answer.json())["users"]}
            async with session.post(f"http://gardien{API}/users/reset", json={"user": "nobody"}) as answer:
                assert answer.status == 404
        assert users == {"owner": ("owner", []), "anna": ("helper", ["backup"])}
        told = await deeds(world)
        assert [each[1:] for each in told] == [("console", "person invited: anna"), ("console", "token made: m")]
        assert told[0][0] not in ("", "console")  # whoever runs this


# -- patience


async def test_strangers_wait_for_each_other_and_who_was_let_in_does_not(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gardien.services import patience

    monkeypatch.setattr(patience, "FREE_FOR_ALL", 8)
    people = world.house.people
    await people.set_password("owner", PASSWORD)
    assert await people.enter_by_password("owner", PASSWORD, "192.0.2.1") == "owner"
    for number in range(8):
        assert await people.enter_by_password("owner", "guess", f"198.51.100.{number}") is None
    assert await people.enter_by_password("owner", "guess", "198.51.100.100") is None  # the one for these seconds
    with pytest.raises(Busy):
        await people.enter_by_password("owner", PASSWORD, "198.51.100.101")
    assert await people.enter_by_password("owner", PASSWORD, "192.0.2.1") == "owner"


async def test_one_subscribers_many_addresses_are_one(world: World) -> None:
    people = world.house.people
    for number in range(5):
        await people.enter_by_password("owner", "guess", f"2001:db8:1:1::{number}")
    with pytest.raises(Busy):
        await people.enter_by_password("owner", "guess", "2001:db8:1:1:ffff::1")
    assert await people.enter_by_password("owner", "guess", "2001:db8:1:2::1") is None


# -- who guesses, and who would rather not be written down


async def test_threat_6_guesses_that_come_at_once_wait_too(client: Client, world: World) -> None:
    people = world.house.people
    await people.set_password("owner", PASSWORD)
    guesses = [post(client, "/login", user="owner", password=f"guess {number}") for number in range(40)]
    answers = [each.status for each in await asyncio.gather(*guesses)]
    assert set(answers) == {401, 429} and answers.count(401) < 10
    secret = people.factor.offer("owner", "house").secret
    stand_still(world)
    await people.factor.enrol("owner", secret, code(secret))
    wrong = [
        f"{number:06}" for number in range(60) if f"{number:06}" not in {code(secret, each) for each in (-1, 0, 1)}
    ]
    tried = await asyncio.gather(*(people.factor.enter("owner", each) for each in wrong), return_exceptions=True)
    assert 5 <= tried.count(False) < 10
    assert all(isinstance(each, Busy) for each in tried if each is not False)


async def test_threat_6_wrong_passwords_are_written_down_and_no_word_of_them(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    await post(client, "/login", user="owner", password="a wrong secret")
    await post(client, "/login", user="My Secret In The Wrong Field", password="x")
    await come_in(client, world)
    page = await (await client.get("/log")).text()
    assert "Wrong password, from 127.0.0.1" in page
    deeds = await world.house.people.deeds()
    assert [each.who for each in deeds if each.refused] == ["?", "owner"]
    assert "secret" not in page.lower()


async def test_who_is_refused_again_and_again_does_not_push_out_what_they_did(client: Client, world: World) -> None:
    people = world.house.people
    await helper(client, world)
    for _ in range(30):
        assert (await post(client, "/stacks/nextcloud/backup")).status == 403
    assert len([each for each in await people.deeds() if each.refused]) == 20
    await people.note("anna", "page", Words.of("signed in"))
    assert (await people.deeds())[0].what.text == "signed in"
    await people.note("dominique", "page", Words.of("not allowed: {what}", what="x"), refused=True)
    assert (await people.deeds())[0].who == "dominique"


async def test_out_everywhere_else(client: Client, world: World) -> None:
    others = [await come_in(client, world) for _ in range(2)]
    mine = await come_in(client, world)
    assert 'id="end-others"' in await (await client.get("/account")).text()
    assert (await post(client, "/account/visits/end")).headers["Location"] == "/account"
    page = await (await client.get("/account")).text()
    assert page.count("this one") == 1 and 'id="end-others"' not in page
    client.session.cookie_jar.clear()
    for cookie, status in ((mine, 200), *((each, 303) for each in others)):
        async with client.get("/", headers={"Cookie": f"gardien={cookie}"}, allow_redirects=False) as response:
            assert response.status == status


async def test_threat_1_the_tokens_of_one_who_is_no_owner_any_more_let_in_nobody(world: World) -> None:
    people = world.house.people
    await people.add("anna", "owner")
    text = await people.add_token("program", ["act"], "anna")
    await people.change("anna", "owner")
    assert await people.token(text) is not None
    await people.change("anna", "helper")
    assert await people.token(text) is None


async def test_nothing_is_done_unseen_because_it_is_called_a_dry_run(client: Client, world: World) -> None:
    people = world.house.people
    text = await people.add_token("program", ["read", "inside", "backup", "update", "act"])
    headers = {"Authorization": f"Bearer {text}"}
    assert client.app is not None
    done = 0
    for route in walk(client.app):
        if route.method != "POST" or not route.pattern.startswith(API):
            continue
        known = contract.of(route_handler(client, route.pattern))
        if known is None or "dry_run" in known.may:
            continue
        before = len(await people.deeds())
        async with client.post(route.path, json={"dry_run": True}, headers=headers) as response:
            assert response.status >= 400 or len(await people.deeds()) == before + 1, route
            done += 1
    assert done > 10


def route_handler(client: Client, pattern: str) -> object:
    assert client.app is not None
    return next(
        each.handler
        for each in client.app.router.routes()
        if each.method == "POST" and each.resource is not None and each.resource.canonical == pattern
    )


async def test_threat_6_who_guesses_at_an_open_page_is_written_down(client: Client, world: World) -> None:
    await world.house.people.set_password("owner", PASSWORD)
    assert (await post(client, "/login", password=PASSWORD)).status == 303
    for path, data in (("/account", {"old": "guess"}), ("/account/factor/remove", {"old": "guess"})):
        assert (await post(client, path, new=PASSWORD, again=PASSWORD, **data)).status == 400
    found = [(each.who, each.what.text) for each in await world.house.people.deeds() if each.refused]
    assert found == [("owner", "wrong password, from {address}")] * 2

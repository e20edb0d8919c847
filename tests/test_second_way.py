"""The second way, and what people say to an alert: in a house in memory, over real HTTP, on the page and in the API."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gardien.adapters.second_way import SecondWay as HttpSecondWay
from gardien.errors import BadInput, MailFailed, NotFound
from gardien.faces.letter import LetterWriter
from gardien.model.letter import Letter, News
from gardien.model.settings import Folders, SecondWay, Settings
from gardien.rules.house_settings import faults_of
from gardien.services.alerts import span
from gardien.words import Words
from tests.memory_house import Home, memory_house
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings
from tests.test_letters import MAIL

NOON = datetime(2026, 3, 3, 11, tzinfo=UTC)
SECOND = {"kind": "ntfy", "url": "https://ntfy.example/practice"}
AWAY = MailFailed("the mail server {host} does not answer", lasting=False, host="x")


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, mail=MAIL, second_way=SECOND) as made:
        yield made


async def opens(home: Home, key: str = "disk") -> int:
    """Trouble that is owed a letter; the watchman does not look meanwhile. Its number."""
    await home.fakes.store.open_alert(key, "trouble", Words.of("the {key} is full", key=key), Words.of("x"), home.now)
    return (await home.fakes.store.alerts())[0].id


async def live(home: Home, **by: float) -> None:
    until = home.now + timedelta(**by)
    while home.now < until:
        home.move(minutes=5)
        await home.house.letters.look()


def said(home: Home) -> list[str]:
    return [each.text.plain for each in home.fakes.second_way.taken]


# -- the second way


async def test_while_letters_arrive_it_is_silent(home: Home) -> None:
    await opens(home)
    await live(home, hours=5)
    await home.fakes.store.close_alert("disk", home.now)
    await live(home, hours=5)
    assert len(home.fakes.mailer.taken) == 2
    assert said(home) == []
    assert [each.way for each in await home.fakes.store.letters()] == ["mail", "mail"]


async def test_row_46_it_speaks_once_after_an_hour_without_letters(home: Home) -> None:
    home.fakes.mailer.refuses = AWAY
    await opens(home)
    await live(home, minutes=65)
    assert said(home) == []
    await live(home, minutes=20)
    [text] = said(home)
    assert text == "The disk is full.\n"
    assert "needs you" in home.fakes.second_way.taken[0].text.subject
    await live(home, days=1)
    home.fakes.mailer.refuses = None
    await live(home, hours=6)
    assert len(home.fakes.mailer.taken) == 1, "the letter itself is not lost"
    assert len(said(home)) == 1


async def test_it_is_tried_again_like_a_letter(home: Home) -> None:
    home.fakes.mailer.refuses = home.fakes.second_way.refuses = AWAY
    await opens(home)
    await live(home, hours=6)
    assert {"letters", "second-way"} <= set(await home.alerts())
    home.fakes.second_way.refuses = None
    await live(home, hours=3)
    assert said(home) == ["The disk is full.\n", "It is over. What it was: The disk is full.\n"]
    assert "second-way" not in await home.alerts()


async def test_who_wants_it_hears_of_every_trouble_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    second = {**SECOND, "when": "trouble"}
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, mail=MAIL, second_way=second) as home:
        await home.fakes.store.open_alert("copy", "notice", Words.of("a copy is late"), Words.of(""), home.now)
        await live(home, days=2)
        assert said(home) == [], "what can wait is for the letter"
        await opens(home)
        await live(home, minutes=15)
        assert [text.splitlines()[0] for text in said(home)] == ["The disk is full."]
        await home.fakes.store.close_alert("disk", home.now)
        await live(home, hours=1)
        assert len(said(home)) == 2
        assert "over" in home.fakes.second_way.taken[1].text.subject


async def test_a_house_without_mail_may_have_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, second_way=SECOND) as home:
        await opens(home)
        await live(home, minutes=15)
        assert len(said(home)) == 1
        assert len(await home.fakes.store.letters()) == 1


def letter(name: str = "0123456789abcdef") -> Letter:
    return Letter(1, name, LetterWriter("fr", "cabinet").brief(News()), NOON, 0, NOON, way="second")


@pytest.fixture
async def heard() -> AsyncIterator[tuple[TestServer, list[dict[str, Any]]]]:
    """A real HTTP server; its path says what it answers."""
    seen: list[dict[str, Any]] = []

    async def hear(request: web.Request) -> web.Response:
        seen.append({"path": request.path, "headers": dict(request.headers), "data": await request.json()})
        status = int(
            request.query.get("status", request.path.strip("/")[-3:] if request.path[-3:].isdigit() else "200")
        )
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    server = TestServer(web.Application())
    server.app.router.add_route("*", "/{any:.*}", hear)
    async with server:
        yield server, seen


def way(server: TestServer, root: Path, kind: str, path: str) -> HttpSecondWay:
    folders = Folders(**{name: root / name for name in ("data", "state", "run", "owner")})
    url = str(server.make_url(path))
    return HttpSecondWay(Settings(name="cabinet", folders=folders, second_way={"kind": kind, "url": url}))


async def test_a_webhook_and_ntfy_hear_it(tmp_path: Path, heard: tuple[TestServer, list[dict[str, Any]]]) -> None:
    server, seen = heard
    await way(server, tmp_path, "webhook", "/hook").send(letter())
    hook = seen.pop()
    assert hook["path"] == "/hook"
    assert set(hook["data"]) == {"id", "house", "title", "text"}
    assert hook["data"]["house"] == "cabinet" and "cabinet" in hook["data"]["title"]
    assert hook["headers"]["Idempotency-Key"] == hook["data"]["id"] == "0123456789abcdef"
    assert "Authorization" not in hook["headers"]
    token = tmp_path / "owner/secrets/second-way.token"
    token.parent.mkdir(parents=True)
    token.write_text("tk_secret\n")
    for _ in range(2):
        await way(server, tmp_path, "ntfy", "/at/practice").send(letter())
    again, topic = seen.pop(), seen.pop()
    assert again["data"] == topic["data"], "a second try is the same, under the same name"
    assert topic["path"] == "/at", "ntfy takes JSON at its root"
    assert topic["data"]["topic"] == "practice" and topic["data"]["sequence_id"] == "0123456789abcdef"
    assert topic["headers"]["Authorization"] == "Bearer tk_secret"


@pytest.mark.parametrize(("status", "lasting"), [(302, False), (403, True), (500, False)])
async def test_what_is_not_taken_is_tried_again(
    tmp_path: Path, heard: tuple[TestServer, list[dict[str, Any]]], status: int, lasting: bool
) -> None:
    server, seen = heard
    with pytest.raises(MailFailed, match="does not take") as caught:
        await way(server, tmp_path, "webhook", f"/hook-{status}").send(letter())
    assert caught.value.lasting is lasting
    assert len(seen) == 1, "and it goes nowhere else"


async def test_nobody_is_there(tmp_path: Path, heard: tuple[TestServer, list[dict[str, Any]]]) -> None:
    server, _ = heard
    gone = way(server, tmp_path, "webhook", "/hook")
    await server.close()
    with pytest.raises(MailFailed, match="does not answer"):
        await gone.send(letter())
    with pytest.raises(MailFailed, match="no second way"):
        await HttpSecondWay(Settings()).send(letter())


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ({"kind": "webhook", "url": "http://hook.example/x"}, "plain text"),
        ({"kind": "ntfy", "url": "https://ntfy.example/"}, "names no topic"),
        ({"kind": "ntfy", "url": "https://ntfy.example/practice"}, None),
        ({"kind": "webhook", "url": "http://127.0.0.1:8080/x"}, None),
    ],
)
def test_settings_that_cannot_be(second: dict[str, str], says: str | None) -> None:
    faults = faults_of(Settings(second_way=SecondWay(**second)))
    assert [says in str(fault.says) for fault in faults if says] == ([True] if says else [])
    assert bool(faults) == bool(says)


# -- what people say to an alert


async def test_who_knows_hears_only_of_the_end(home: Home) -> None:
    number = await opens(home)
    await live(home, minutes=15)
    alert = await home.house.alerts.know("disk")
    assert (alert.id, alert.known) == (number, home.now)
    await live(home, days=8)
    assert len(home.fakes.mailer.taken) == 1
    await home.fakes.store.close_alert("disk", home.now)
    await live(home, hours=1)
    assert [each.text.subject for each in home.fakes.mailer.taken[1:]] == ["gardien: it is over (the disk is full)"]


async def test_who_knew_before_the_first_letter_gets_none_but_the_end(home: Home) -> None:
    await opens(home)
    await home.house.alerts.know("disk")
    await live(home, days=4)
    assert home.fakes.mailer.taken == []
    await home.fakes.store.close_alert("disk", home.now)
    await live(home, hours=1)
    assert len(home.fakes.mailer.taken) == 1


async def test_what_sleeps_comes_back(home: Home) -> None:
    number = await opens(home)
    await live(home, minutes=15)
    await home.house.alerts.snooze(str(number), "5d")
    await live(home, days=4, hours=23)
    assert len(home.fakes.mailer.taken) == 1
    await live(home, hours=2)
    assert len(home.fakes.mailer.taken) == 2
    await live(home, days=2, hours=20)
    assert len(home.fakes.mailer.taken) == 2
    await live(home, hours=5)
    assert len(home.fakes.mailer.taken) == 3, "and is repeated as ever"


async def test_it_can_be_undone(home: Home) -> None:
    await opens(home)
    await live(home, minutes=15)
    await home.house.alerts.know("disk")
    await live(home, days=4)
    await home.house.alerts.wake("disk")
    await live(home, minutes=5)
    assert len(home.fakes.mailer.taken) == 2, "as if nothing had been said"
    with pytest.raises(NotFound, match="no open alert"):
        await home.house.alerts.know("other")


@pytest.mark.parametrize(("text", "length"), [("30m", 30), ("4h", 240), ("2d", 2880), ("12w", 12 * 10080)])
def test_times_to_sleep(text: str, length: int) -> None:
    assert span(text) == timedelta(minutes=length)


@pytest.mark.parametrize("text", ["", "0d", "d", "2", "91d", "99999w", "-1d", "2 d", "1y", "2d\n"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(BadInput):
        span(text)


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as house:
            yield house


async def test_over_the_api_and_on_the_page(quiet: Quiet) -> None:
    """Without JavaScript: a form, and back to the home page, which says it."""
    store = quiet.house.store
    await store.open_alert("disk:/srv", "trouble", Words.of("the disk is full"), Words.of("Empty it."), NOON)
    [alert] = await store.alerts()
    connector = aiohttp.UnixConnector(str(quiet.house.settings.socket))
    async with aiohttp.ClientSession(connector=connector) as console:

        async def ask(path: str, body: dict[str, str], status: int = 200) -> dict[str, Any]:
            async with console.post(f"http://x/api/v1/alerts/{path}", data=json.dumps(body)) as answer:
                assert answer.status == status, await answer.text()
                return await answer.json()  # type: ignore[no-any-return]

        assert (await ask("ack", {"alert": "disk:/srv"}))["alert"]["known"]
        assert (await ask("snooze", {"alert": str(alert.id), "for": "2d"}))["alert"]["asleep"]
        back = (await ask("wake", {"alert": str(alert.id)}))["alert"]
        assert (back["known"], back["asleep"]) == (None, None)
        assert (await ask("ack", {"alert": "nothing"}, 404))["error"]["code"] == "not-found"
        await ask("snooze", {"alert": "disk:/srv", "for": "a while"}, 400)

        async def press(what: str) -> str:
            async with console.post(f"http://x/alerts/{alert.id}/{what}") as answer:
                assert [each.status for each in answer.history] == [303]
                return await answer.text()

        page = await press("ack")
        assert "no more letters until it is over" in page
        assert f"/alerts/{alert.id}/wake" in page and f"/alerts/{alert.id}/ack" not in page
        assert "No letters about this until" in await press("snooze")
        assert f"/alerts/{alert.id}/ack" in await press("wake")
    root = f"http://localhost:{quiet.house.settings.page.port}"
    async with aiohttp.ClientSession() as stranger:
        async with stranger.post(
            f"{root}/alerts/{alert.id}/ack", headers={"Origin": root}, allow_redirects=False
        ) as got:
            assert got.status in (303, 401)
        async with stranger.post(f"{root}/alerts/{alert.id}/ack", headers={"Origin": "http://evil.example"}) as got:
            assert got.status == 403
    assert (await store.alerts())[0].known is None

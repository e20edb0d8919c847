"""What is new, as somebody types it, as programs read it, and on the page."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from gardien.adapters.engine import _Layers
from gardien.errors import RegistryFailed
from gardien.faces import terminal_updates, wire, wire_updates
from gardien.faces.letter import LetterWriter
from gardien.faces.server import serve
from gardien.faces.terminal import Terminal
from gardien.model.job import Progress
from gardien.model.release import Change, News, Outlook, Replaced, Verdict
from gardien.model.settings import Page
from gardien.rules import releases as rules
from gardien.services.stacks import Stacks
from tests.faces_updates import Updates, change, replaced, tell
from tests.faces_world import World, make_world
from tests.quiet_house import Running, running_house
from tests.test_cli import gardien
from tests.world.box import free_port

NEXTCLOUD, MARIADB, REDIS = (f"docker.io/library/{name}" for name in ("nextcloud", "mariadb", "redis"))
NOTES = "https://github.com/nextcloud/server/releases/tag/v34.0.4"


@pytest.fixture(scope="module")
def house() -> Iterator[Running]:
    """Nextcloud runs; its makers have a patch, the database's a new major, and Redis's was made anew."""
    with running_house() as running:
        quiet = running.quiet
        running.do(quiet.house.runner.wait(running.do(quiet.house.life.add("nextcloud", {}, anyway=True))))
        for repository, tag in (
            (NEXTCLOUD, "34.0.3-apache"),
            (NEXTCLOUD, "34.0.4-apache"),
            (NEXTCLOUD, "36.0.0-apache"),
            (NEXTCLOUD, "34.0.5-fpm"),
            (MARIADB, "11.8.8"),
            (MARIADB, "12.3.2"),
            (REDIS, "7.4.11"),
        ):
            quiet.registries.put(repository, tag)
        running.do(quiet.house.releases.look())
        quiet.registries.put(REDIS, "7.4.11", "with another base")
        running.do(quiet.house.releases.look())
        yield running


def test_what_is_new_in_words(house: Running) -> None:
    told = gardien(house.config, "update", "list").stdout
    assert "NEXTCLOUD_IMAGE: 34.0.3 -> 34.0.4  (small repairs)" in told
    assert NOTES in told
    assert "36.0.0: The way to 36.0.0 leads over 35, and its makers have no such version." in told
    assert "12.3.2: Gardien does not take this image to another major version." in told
    assert "REDIS_IMAGE: 7.4.11  (the same version, made anew)" in told
    assert "stands for another image" not in told  # as Docker's official images do


def test_what_is_new_for_programs(house: Running) -> None:
    [news] = json.loads(gardien(house.config, "update", "list", "nextcloud", "--json").stdout)
    first = news["changes"][0]
    assert (first["image"], first["from"], first["to"], first["jump"]) == (
        "NEXTCLOUD_IMAGE",
        "34.0.3",
        "34.0.4",
        "patch",
    )
    assert first["images"]["NEXTCLOUD_IMAGE"] == f"nextcloud:34.0.4-apache@{first['digest']}"
    cools = datetime.fromisoformat(first["alone_from"]) - datetime.fromisoformat(first["seen"])
    assert cools == timedelta(days=3)
    assert [each["version"] for each in news["beyond"]] == ["36.0.0", "12.3.2"]
    assert [each["expected"] for each in news["moved"]] == [True]
    status = json.loads(gardien(house.config, "status", "--json").stdout)
    assert [each["to"] for each in status["stacks"][0]["updates"]] == ["34.0.4", "7.4.11"]
    assert "there is no stack called none" in gardien(house.config, "update", "list", "none", code=1).stderr.lower()


def test_what_is_not_wanted_and_then_is(house: Running) -> None:
    told = gardien(house.config, "update", "skip", "nextcloud").stdout
    assert "34.0.4 of nextcloud is not offered any more." in told
    assert "skipped" in gardien(house.config, "update", "list").stdout
    wrong = gardien(house.config, "update", "skip", "nextcloud", "34.0.9", code=1)
    assert "No step leads nextcloud to 34.0.9" in wrong.stderr
    again = json.loads(gardien(house.config, "update", "skip", "nextcloud", "34.0.4", "--undo", "--json").stdout)
    assert again == {"again": ["34.0.4"]}
    assert "skipped" not in gardien(house.config, "update", "list").stdout


def test_asking_at_once_says_what_is_wrong(house: Running) -> None:
    registries = house.quiet.registries
    registries.trouble = lambda registry: RegistryFailed(
        "the image registry {registry} cannot be reached", registry=registry
    )
    try:
        assert "cannot be reached" in gardien(house.config, "update", "list", "--now").stdout
    finally:
        registries.trouble = lambda registry: None
    assert "cannot be reached" not in gardien(house.config, "update", "list", "--now").stdout


def test_who_begins(house: Running) -> None:
    """Of one application, and of all of which nothing else is said."""

    def told(*argv: str, code: int = 0) -> str:
        done = gardien(house.config, "update", "set", *argv, code=code)
        return " ".join((done.stdout + done.stderr).split())

    def alone() -> bool:
        [news] = json.loads(gardien(house.config, "update", "list", "nextcloud", "--json").stdout)
        return bool(news["by_itself"])

    assert not alone()
    says = told("nextcloud", "--by-itself")
    assert "Small repairs are made by themselves every Sunday between 03:00 and 05:00" in says
    assert alone()
    [news] = json.loads(gardien(house.config, "update", "list", "nextcloud", "--json").stdout)
    assert datetime.fromisoformat(news["next"]).astimezone().weekday() == 6
    assert (news["chosen"], news["window"]) == ("by-itself", "sunday 03:00-05:00")
    assert "the next time" in gardien(house.config, "update", "list").stdout
    assert "by hand" in told("nextcloud", "--by-hand")
    assert not alone()
    assert json.loads(gardien(house.config, "update", "set", "--house", "--by-itself", "--json").stdout)[
        "house_by_itself"
    ]
    assert not alone()  # of it something else is said
    told("nextcloud", "--as-the-house")
    assert alone()
    told("--house", "--by-hand")
    assert not alone()
    for wrong in (("nextcloud",), ("--by-hand",), ("nextcloud", "--house", "--by-hand"), ("--house", "--as-the-house")):
        assert "does not say what is to be set" in told(*wrong, code=2)


def test_what_an_update_would_do(house: Running) -> None:
    for argv in (("plan", "nextcloud"), ("run", "nextcloud", "--dry-run")):
        says = gardien(house.config, "update", *argv).stdout
        assert "nextcloud: 34.0.3 -> 34.0.4  (small repairs)" in says
        assert "1. See that there is room for it" in says
        assert "Nobody can use it for some minutes" in says
    plan = json.loads(gardien(house.config, "update", "plan", "nextcloud", "--json").stdout)
    assert (plan["from"], plan["to"], plan["jump"], plan["watch_seconds"]) == ("34.0.3", "34.0.4", "patch", 600)
    wrong = gardien(house.config, "update", "rollback", "nextcloud", "--yes", code=1).stderr
    assert "has not been updated since it was last brought back" in wrong


def test_the_last_update_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    now = datetime(2026, 3, 3, 9, tzinfo=UTC)
    last = Replaced(
        7, "notes", "APP_IMAGE", "2", "sha256:2", "2.0", "1.9", "ab" * 32, "box", now - timedelta(hours=1), now, 134.0
    )
    news = wire_updates.news(News("notes"), Outlook(last=last, kept_until=last.kept_until(14)), "en")
    assert news["last"]["away_seconds"] == 134.0
    terminal_updates.news(Terminal("en"), [news])
    says = capsys.readouterr().out
    assert "Last update: from 1.9 to 2.0 on 2026-03-03" in says
    assert "away for 2\N{NO-BREAK SPACE}min 14\N{NO-BREAK SPACE}s; one can go back until 2026-03-17" in says
    terminal_updates.back(Terminal("en"), {"steps": []}, news["last"])
    assert "It goes back from version 2.0 to 1.9" in capsys.readouterr().out


def test_programs_that_are_fetched_are_told_part_by_part() -> None:
    layers = _Layers()
    for layer in "abc":
        layers.take({"id": layer, "status": "Pulling fs layer"})
    layers.take({"id": "a", "status": "Downloading", "progressDetail": {"current": 10, "total": 40}})
    now = layers.take({"id": "b", "status": "Downloading", "progressDetail": {"current": 60, "total": 60}})
    assert now == Progress(70, 100, 1, 3)
    layers.take({"id": "c", "status": "Download complete"})
    assert layers.take({"id": "a", "status": "Pull complete"}) == Progress(100, 100, 3, 3)
    job = {
        "state": "running",
        "step": "images",
        "steps": [{"name": "images", "says": "Fetch all new programs"}],
        "progress": wire.progress(Progress(120_000_000, 340_000_000, 3, 5)),
    }
    assert Terminal("en").present_step(job).split("  ")[1:] == [
        "35%",
        "120\N{NO-BREAK SPACE}MB of 340\N{NO-BREAK SPACE}MB",
        "3 of 5 parts",
    ]


async def test_what_was_fetched_before_counts_with_what_comes_after() -> None:
    """An update of two programs does not begin anew with the second."""
    told: list[Progress] = []

    async def pull(image: str, progress: Callable[[Progress], None]) -> None:
        for done in (1, 2):
            progress(Progress(done * 50, 100, done, 2))

    async def missing(stack: object) -> list[str]:
        return ["one", "two"]

    stacks = Stacks(SimpleNamespace(engine=SimpleNamespace(pull=pull)))  # type: ignore[arg-type]
    stacks.missing_images = missing  # type: ignore[method-assign]
    await stacks.fetch_images(None, SimpleNamespace(report=told.append))  # type: ignore[arg-type]
    assert told == [
        Progress(50, 100, 1, 2),
        Progress(100, 100, 2, 2),
        Progress(150, 200, 3, 4),
        Progress(200, 200, 4, 4),
    ]


Get = Callable[..., Awaitable[tuple[int, str, str]]]


@asynccontextmanager
async def browser_of(world: World) -> AsyncIterator[Get]:
    """Somebody who is let in; what is asked, and posted if there is a form: status, text, where it led."""
    root = f"http://localhost:{world.settings.page.port}"
    headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
    jar = aiohttp.CookieJar(unsafe=True)
    async with serve(world.house), aiohttp.ClientSession(root, cookie_jar=jar, headers=headers) as browser:
        async with browser.post(f"/login/{await world.house.people.link('owner')}"):
            pass

        async def get(path: str, **form: str) -> tuple[int, str, str]:
            asked = browser.post(path, data=form) if form else browser.get(path)
            async with asked as answer:
                return answer.status, await answer.text(), answer.url.path

        yield get


@asynccontextmanager
async def practice(folder: Path) -> AsyncIterator[tuple[World, Get]]:
    """Nextcloud has a patch that waits, and was updated two days ago."""
    async with make_world(folder, page=Page(port=free_port())) as world:
        world.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=2))
        said = Verdict("nextcloud", "APP_IMAGE", "34.1.0", "sha256:3", "skipped", world.now)
        news = News(
            "nextcloud",
            changes=(change(world, "nextcloud", "34.0.4"), change(world, "nextcloud", "34.1.0", "minor", said=said)),
        )
        last = replaced(world, "nextcloud")
        tell(world, "nextcloud", news, Outlook(window="sunday 03:00-05:00", last=last, kept_until=last.kept_until(14)))
        async with browser_of(world) as get:
            yield world, get


async def test_an_update_is_shown_and_asked_before_it_begins(tmp_path: Path) -> None:
    async with practice(tmp_path) as (world, get):
        _, page, _ = await get("/stacks/nextcloud")
        assert 'href="/stacks/nextcloud/updates/run"' in page
        _, page, _ = await get("/stacks/nextcloud/updates/run")
        assert "Update Nextcloud to 34.0.4?" in page
        assert "The last time it was 2\N{NO-BREAK SPACE}min 14\N{NO-BREAK SPACE}s." in page
        assert "it is watched for 10\N{NO-BREAK SPACE}min" in page
        assert world.done == []
        status, _, path = await get("/stacks/nextcloud/updates/run", image="APP_IMAGE", version="34.0.4")
        assert (status, path, world.done) == (200, "/jobs/1", [("update", "nextcloud", "34.0.4")])
        status, page, _ = await get("/stacks/nextcloud/updates/run?version=34.1.0")
        assert status == 404  # it is skipped
        _, page, _ = await get("/stacks/nextcloud/updates")
        assert "updates/run?" not in page  # while something is under way


async def test_the_way_back_says_what_is_lost(tmp_path: Path) -> None:
    async with practice(tmp_path) as (world, get):
        _, page, _ = await get("/stacks/nextcloud")
        assert "from version 34.0.2 to 34.0.3. It was away for 2" in page
        _, page, _ = await get("/stacks/nextcloud/updates/back")
        assert "Take Nextcloud back to version 34.0.2?" in page
        assert "All that was written since is not in it any more." in page
        status, page, _ = await get("/stacks/nextcloud/updates/back", job="6")
        assert (status, world.done) == (409, [])  # it was another update that was shown
        assert "was updated meanwhile" in page
        _, _, path = await get("/stacks/nextcloud/updates/back", job="7")
        assert (path, world.done) == ("/jobs/1", [("rollback", "nextcloud")])


async def test_a_version_is_skipped_and_offered_again(tmp_path: Path) -> None:
    async with practice(tmp_path) as (world, get):
        _, page, _ = await get("/stacks/nextcloud/updates/skip?version=34.0.4")
        assert "Skip version 34.0.4 of Nextcloud?" in page
        assert world.done == []
        _, page, path = await get("/stacks/nextcloud/updates/skip", image="APP_IMAGE", version="34.0.4")
        assert path == "/stacks/nextcloud/updates"
        assert "You skipped it." in page
        await get("/stacks/nextcloud/updates/skip", undo="1", image="APP_IMAGE", version="34.1.0")
        assert world.done == [("skip", "nextcloud", "34.0.4"), ("unskip", "nextcloud", "34.1.0")]


async def test_who_begins_is_chosen_on_the_page(tmp_path: Path) -> None:
    async with practice(tmp_path) as (world, get):
        updates = cast("Updates", world.house.updates)
        _, page, _ = await get("/updates")
        assert "every Sunday between 03:00 and 05:00" in page
        assert 'value="by-hand" checked' in page
        _, page, path = await get("/updates/how", how="by-itself")
        assert path == "/updates"
        assert 'value="by-itself" checked' in page
        for how, kept in (("by-hand", "by-hand"), ("by-itself", "by-itself"), ("as-the-house", None)):
            assert (await get("/stacks/nextcloud/updates/how", how=how))[2] == "/stacks/nextcloud/updates"
            assert updates.chosen == {"nextcloud": kept}
        assert (await get("/updates/how", how="sometimes"))[0] == 400
        assert (await get("/stacks/none/updates"))[0] == 404
        await get("/updates/look", go="1")
        assert world.done == [("look", "all")]


async def test_the_week_tells_what_nobody_takes(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        world.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=2))
        patch, major = change(world, "nextcloud", "34.0.4"), change(world, "nextcloud", "35.0.0", "major", ripe=None)
        news, cooling = News("nextcloud", changes=(patch, major)), timedelta(days=3)
        assert rules.left(news, cooling, world.now, alone=False) == (patch, major)
        assert rules.left(news, cooling, world.now, alone=True) == (major,)
        assert rules.left(news, timedelta(days=5), world.now, alone=False) == ()
        writer = LetterWriter("en", "practice")
        assert "waits" not in writer.week(await world.house.overviews.now()).plain
        tell(world, "nextcloud", news, Outlook(left=(patch, major)))
        week = writer.week(await world.house.overviews.now()).plain
        waits = "An update to 34.0.4, 35.0.0 waits for your yes: on its page, or `gardien update run nextcloud`"
        assert week.count("waits") == 1
        assert waits in week


async def test_the_page_says_that_something_waits(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    digest = "sha256:" + "1" * 64
    change = Change(
        "notes",
        "NOTES_IMAGE",
        {"NOTES_IMAGE": f"notes:1.1@{digest}"},
        {"NOTES_IMAGE": "notes:1.0"},
        "1.1",
        digest,
        "1.1",
        "1.0",
        "minor",
        "https://notes.example/1.1?a=b&c",
        now,
        None,
    )
    async with make_world(tmp_path, page=Page(port=free_port())) as world:
        world.add_stack("notes", "Notes", saved=timedelta(hours=2), news=News("notes", changes=(change,)))
        jar = aiohttp.CookieJar(unsafe=True)
        root = f"http://localhost:{world.settings.page.port}"
        headers = {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"}
        async with serve(world.house), aiohttp.ClientSession(root, cookie_jar=jar, headers=headers) as browser:
            async with browser.post(f"/login/{await world.house.people.link('owner')}"):
                pass
            async with browser.get("/stacks/notes") as answer:
                page = await answer.text()
            async with browser.get("/") as answer:
                home = await answer.text()
        assert "from version 1.0 to 1.1" in page
        assert 'href="https://notes.example/1.1?a=b&amp;c" rel="noreferrer"' in page
        assert "An update is waiting." in home

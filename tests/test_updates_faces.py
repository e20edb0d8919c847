"""What is new, as somebody types it, as programs read it, and on the page."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from gardien.errors import RegistryFailed
from gardien.faces.server import serve
from gardien.model.release import Change, News
from gardien.model.settings import Page
from tests.faces_world import make_world
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

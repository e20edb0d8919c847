"""The page of alerts: what is open, what is over, which letters told of it. And a log that is looked through."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gardien.faces import alert_pages
from gardien.model.letter import Draft
from gardien.model.letter import Text as Letter
from gardien.model.reading import Forecast
from gardien.words import N_, Words
from tests.faces_world import GB, World, make_world
from tests.pictures import furnish, worry
from tests.test_pages import NASTY, Client, read, visitor


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with visitor(world) as client:
        yield client


async def fell(world: World, stack: str, ago: timedelta, lasted: timedelta) -> None:
    """It did not run for a while."""
    says = Words.of(N_("{stack} does not run"), stack=stack)
    begun = world.now - ago
    await world.store.open_alert(f"stack:{stack}", "trouble", says, Words(""), begun)
    await world.store.close_alert(f"stack:{stack}", begun + lasted)


async def test_a_quiet_house_has_nothing_to_tell(world: World, client: Client) -> None:
    page = await read(client, "/alerts")
    assert "Nothing needs you now." in page.text
    assert "Nothing needed anybody so far." in page.text
    assert "No letter was written yet." in page.text
    assert "/settings/letters" in page.links() and "/settings/letters/test" not in page.forms()
    assert "/alerts" in (await read(client, "/")).links()


async def test_what_is_open_what_is_over_and_the_letters(world: World, client: Client) -> None:
    furnish(world)
    worry(world)
    await fell(world, "nextcloud", timedelta(days=2), timedelta(minutes=14))
    text = Letter(f"Nextcloud {NASTY}", "does not run", "<p>does not run</p>")
    await world.store.post([Draft("<1@gardien>", text, world.now)], world.now)
    page = await read(client, "/alerts")
    assert "Nextcloud has not been saved for too long" in page.text
    assert "nextcloud does not run" in page.text.lower()
    assert "14 min" in page.text
    assert f"Nextcloud {NASTY}" in page.text and "not sent yet" in page.text
    assert any(path.endswith("/ack") for path in page.forms())
    assert (await read(client, "/alerts", language="fr")).words


async def test_what_is_over_can_be_turned_back_page_by_page(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_pages, "OVER", 2)
    for days, stack in ((9, "wiki"), (7, "forms"), (5, "mail"), (3, "notes"), (1, "files")):
        await fell(world, stack, timedelta(days=days), timedelta(minutes=14))
    seen, path = [], "/alerts"
    for _ in range(3):
        page = await read(client, path)
        seen += re.findall(r"(\w+) does not run", page.text)
        [path] = [link for link in page.links() if "before=" in link] or [path]
    assert [each.lower() for each in seen] == ["files", "notes", "mail", "forms", "wiki"]
    assert "/alerts" in page.links()
    assert "Nothing older." in (await read(client, "/alerts?before=1")).text
    assert "Files does not run" in (await read(client, "/alerts?before=x")).text


async def test_a_stack_tells_what_befell_it_and_not_what_befell_others(world: World, client: Client) -> None:
    furnish(world)
    await fell(world, "nextcloud", timedelta(days=2), timedelta(minutes=14))
    assert "What befell it" in (await read(client, "/stacks/nextcloud")).text
    assert "What befell it" not in (await read(client, "/stacks/notes")).text


async def test_home_says_when_a_disk_is_full(world: World, client: Client) -> None:
    furnish(world)
    assert "ull in about" not in (await read(client, "/")).text
    world.forecasts["/srv/gardien"] = Forecast(61.0, 6.8 * GB)
    page = await read(client, "/")
    assert "Full in about" in page.text, page.text[-900:]


async def test_a_log_is_looked_through_line_by_line(world: World, client: Client) -> None:
    furnish(world)
    world.logs = f"app | GET /a\napp | Error: {NASTY}\ndb | ready\n"
    page = await read(client, "/stacks/nextcloud/logs?search=error&service=app")
    assert f"app | Error: {NASTY}" in page.text and "GET /a" not in page.text
    assert "None of the last lines" in (await read(client, "/stacks/nextcloud/logs?search=nowhere")).text
    still = await read(client, "/stacks/nextcloud/logs")
    assert not any("http-equiv" in attrs for _, attrs in still.tags)


async def test_a_log_goes_on_by_itself_if_one_wants_it(world: World, client: Client) -> None:
    furnish(world)
    world.logs = "app | GET /a\n"
    page = await read(client, "/stacks/nextcloud/logs?follow=1")
    moving = [attrs for tag, attrs in page.tags if attrs.get("id") == "lines"]
    assert moving[0].get("hx-trigger") in ("every 5s", None)  # the latter where its scripts were not built
    assert any(attrs.get("http-equiv") == "refresh" for _, attrs in page.tags)  # without scripts

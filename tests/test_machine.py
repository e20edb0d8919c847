"""The page of the machine, what programs read of it, and `gardien machine`."""

import math
import re
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest

from gardien.errors import GardienError
from gardien.faces import machine
from gardien.faces.server import serve
from gardien.model.health import Disk
from gardien.model.reading import UNITS, Forecast, Point, Reading
from gardien.model.settings import Page
from gardien.words import Words
from tests.faces_world import GB, World, make_world
from tests.world.box import box, free_port, until

HOUR = timedelta(hours=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A disk that fills, one that is read-only, one that is gone; a warm processor that was off for a while."""
    async with make_world(tmp_path, page=Page(port=free_port())) as made:
        made.disks = [
            Disk("/srv/gardien", 500 * GB, 61 * GB),
            Disk("/var/lib/gardien", 32 * GB, 11 * GB, fault="read-only"),
            Disk("/mnt/backup", 0, 0, present=False),
        ]
        made.forecasts["/srv/gardien"] = Forecast(36.0, 1.6 * GB)
        hours = [hour for hour in range(700) if not 200 < hour < 290]
        warm = [(made.now - hour * HOUR, 55 + 8 * math.sin(hour)) for hour in reversed(hours)]
        made.points["temperature", "cpu"] = [Point(at, value - 1, value, value + 1) for at, value in warm]
        says = Words("it leads to {addresses}", {"addresses": "<b>1.2.3.4</b>"})
        made.readings = [
            Reading("temperature", "cpu", 61.4, made.now),
            Reading("memory-free", "", 0.52, made.now),
            Reading("smart-passed", "nvme0", 1.0, made.now),
            Reading("certificate", "files.example.org", 61.7, made.now),
            Reading("name-leads-here", "files.example.org", None, made.now, says),
        ]
        yield made


async def pages(world: World, language: str, query: str = "") -> str:
    """Its text, one space between words, and its drawing's label."""
    jar = aiohttp.CookieJar(unsafe=True)
    root = f"http://localhost:{world.settings.page.port}"
    headers = {"Accept-Language": language, "Sec-Fetch-Site": "same-origin"}
    async with serve(world.house), aiohttp.ClientSession(root, cookie_jar=jar, headers=headers) as browser:
        async with browser.get("/machine", allow_redirects=False) as stranger:
            assert stranger.status == 303
        async with browser.post(f"/login/{await world.house.people.link('owner')}"):
            pass
        async with browser.get(f"/machine{query}") as answer:
            assert answer.status == 200
            return await answer.text()


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).replace("\N{NO-BREAK SPACE}", " ")


async def test_it_is_said_in_words_and_drawn(world: World) -> None:
    html = await pages(world, "en")
    text = words(html)
    for said in (
        "61 GB free of 500 GB · full in about 5 weeks",
        "Nothing can be written to this disk.",
        "This disk is not there.",
        "Temperature cpu 61 °C",
        "good for 61 more days",
        "not known It leads to &lt;b&gt;1.2.3.4&lt;/b&gt;.",
    ):
        assert said in text
    [drawing] = re.findall(r'<svg class="trend".*?</svg>', html)
    assert "between 46 °C and 64 °C" in drawing.replace("\N{NO-BREAK SPACE}", " ")
    [line] = re.findall(r'class="trend-line" d="([^"]+)"', drawing)
    assert line.count("M") == 2, "where the machine was off there is no line"
    xs = [float(each) for each in re.findall(r"[ML](\d+) ", line)]
    assert xs == sorted(xs)
    assert len(xs) <= machine.STEPS
    assert "style=" not in html


async def test_in_french_and_as_far_back_as_one_likes(world: World) -> None:
    text = words(await pages(world, "fr", "?days=2"))
    assert "61 Go" in text
    assert "61 °C" in text
    assert 'aria-current="true"' in await pages(world, "fr", "?days=x")


def test_every_reading_has_a_name_and_can_be_said() -> None:
    assert set(machine.LABEL) == set(UNITS)
    for what in UNITS:
        for number in (None, 0.0, 0.5, 1.0, 1234.5):
            assert machine.value(what, number, "en")


def test_the_command_and_the_api_of_a_real_daemon() -> None:
    """On this very machine: its disks, its memory; and what was read lies in the store after a stop."""
    with box() as made:
        made.start()
        until(lambda: made.line.get("machine", "history", what="load", days=1)["points"], 60)
        found = made.json("machine")
        shown = made.gardien("machine").stdout
        assert str(made.root / "state") in shown
        assert {each["what"] for each in found["readings"]} >= {"memory-free", "load", "docker-answers", "disk-free"}
        assert found["disks"][0]["fault"] is None
        assert found["disks"][0]["free"] > 0
        with pytest.raises(GardienError, match="no such readings"):
            made.line.get("machine", "history", what="moods")
        made.stop()
        kept = sqlite3.connect(made.root / "state/gardien.db").execute("SELECT COUNT(*) FROM reading").fetchone()
        assert kept[0] >= 4

"""What Prometheus reads: true, well-formed, and all of it documented."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gardien import __version__
from gardien.faces import metrics
from gardien.model.health import Disk
from gardien.model.letter import Letter, Text
from gardien.model.reading import UNITS, Forecast, Reading
from gardien.model.release import Asked, Change, News
from gardien.model.target import Care
from gardien.words import Words
from tests.faces_world import World, make_world
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

DOCS = Path(__file__).parents[1] / "docs" / "metrics.md"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = Text("x", "x", "x")
LETTERS = [  # newest first
    Letter(5, "e", TEXT, NOW, 2, NOW, error=Words.of("no")),
    Letter(4, "d", TEXT, NOW, 0, NOW),
    Letter(3, "c", TEXT, NOW, 1, None, sent=NOW - timedelta(hours=2)),
    Letter(2, "b", TEXT, NOW, 1, None, sent=NOW - timedelta(hours=9)),
    Letter(1, "a", TEXT, NOW, 90, None, error=Words.of("given up"), way="second"),
]
PATCH = Change("files", "IMAGE", {"IMAGE": "x:2@y"}, {"IMAGE": "x:1"}, "2", "y", "2", "1", "patch", "", NOW, None)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A house in which a bit of everything happened."""
    async with make_world(tmp_path, NOW) as world:
        checked = Care(checked=NOW - timedelta(days=2), parts={1: NOW}, forgot=NOW - timedelta(days=1), lost=1)
        world.add_target("box", care=checked)
        world.add_target("far", copy_of="box", ready=False, care=Care(checked=NOW, problems=("x",)))
        asked = Asked(NOW - timedelta(days=9), NOW, NOW - timedelta(hours=5))
        world.add_stack("files", "Files", saved=timedelta(hours=3), news=News("files", asked, changes=(PATCH,)))
        world.change_place("files", "box", missed=(NOW - timedelta(days=1), NOW - timedelta(days=2)))
        world.add_stack('od"d\n', "Odd", health="down", late=True)
        world.disks = [Disk("/srv", 500, 120), Disk("/gone", 0, 0, present=False)]
        world.readings = [Reading(what, "x", 0.5, NOW) for what in UNITS]
        world.forecasts["/srv"] = Forecast(35.0, 1e9)
        world.add_job("backup", "files", "done", ago=timedelta(days=1))
        world.add_job("backup", "files", "failed", ago=timedelta(hours=4))
        world.add_job("restore", "files", "running")
        world.add_job("backup", "files")
        world.add_alert("disk", "trouble", Words("x"), Words("y"))
        yield world


async def seen(world: World) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample, as Prometheus parses them."""
    text = metrics.render(await world.house.overviews.now(), LETTERS).decode()
    families = text_string_to_metric_families(text)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


async def test_what_is_told_is_so(world: World) -> None:
    told = await seen(world)
    files = (("stack", "files"),)
    odd = (("stack", 'od"d\n'),)
    assert told["gardien_build_info", (("version", __version__),)] == 1
    assert (told["gardien_stack_healthy", files], told["gardien_stack_healthy", odd]) == (1, 0)
    assert told["gardien_stack_health", (("health", "down"), *odd)] == 1
    assert told["gardien_stack_health", (("health", "well"), *odd)] == 0
    taken = (NOW - timedelta(hours=3)).timestamp()
    assert told["gardien_backup_last_success_timestamp_seconds", (*files, ("target", "box"))] == taken
    assert not [key for key in told if key[0] == "gardien_backup_last_success_timestamp_seconds" and odd[0] in key[1]]
    assert (told["gardien_backup_late", files], told["gardien_backup_late", odd]) == (0, 1)
    assert told["gardien_backup_pause_seconds", files] == world.snapshots[0].pause_seconds
    assert told["gardien_backup_size_bytes", files] == world.snapshots[0].bytes
    assert told["gardien_disk_free_bytes", (("path", "/srv"),)] == 120
    assert told["gardien_disk_present", (("path", "/gone"),)] == 0
    assert told["gardien_updates_waiting", (("jump", "patch"), *files)] == 1
    assert told["gardien_updates_waiting", (("jump", "major"), *files)] == 0
    assert told["gardien_updates_asked_timestamp_seconds", files] == (NOW - timedelta(hours=5)).timestamp()
    assert ("gardien_updates_asked_timestamp_seconds", odd) not in told
    assert (told["gardien_jobs_running", ()], told["gardien_jobs_waiting", ()]) == (1, 1)
    last = (("kind", "backup"), *files, ("target", "box"))
    assert told["gardien_job_last_success", last] == 0, "the newest one counts"
    assert told["gardien_alerts_open", (("severity", "trouble"),)] == 1
    assert told["gardien_alerts_open", (("severity", "calm"),)] == 0
    mail, second = (("way", "mail"),), (("way", "second"),)
    assert (told["gardien_letters_waiting", mail], told["gardien_letters_failing", mail]) == (2, 1)
    assert told["gardien_letters_waiting", second] == 0
    assert told["gardien_letter_last_sent_timestamp_seconds", mail] == (NOW - timedelta(hours=2)).timestamp()
    assert ("gardien_letter_last_sent_timestamp_seconds", second) not in told
    assert told["gardien_watch_last_look_timestamp_seconds", ()] == (NOW - timedelta(seconds=20)).timestamp()


async def test_how_each_target_is_looked_after(world: World) -> None:
    told = await seen(world)
    box, far, files = (("target", "box"),), (("target", "far"),), (("stack", "files"),)
    assert (told["gardien_backup_missed", (*files, *box)], told["gardien_backup_missed", (*files, *far)]) == (2, 0)
    assert ("gardien_backup_last_success_timestamp_seconds", (*files, *far)) not in told
    assert (told["gardien_target_ready", box], told["gardien_target_ready", far]) == (1, 0)
    assert (told["gardien_target_check_ok", box], told["gardien_target_check_ok", far]) == (1, 0)
    assert told["gardien_target_check_timestamp_seconds", box] == (NOW - timedelta(days=2)).timestamp()
    assert told["gardien_target_retention_timestamp_seconds", box] == (NOW - timedelta(days=1)).timestamp()
    assert ("gardien_target_retention_timestamp_seconds", far) not in told
    assert ("gardien_target_oldest_read_timestamp_seconds", box) not in told, "three parts were never read"
    assert told["gardien_target_lost_backups", box] == 1
    care = replace(world.targets[0].care, parts={part: NOW - timedelta(days=part) for part in range(1, 5)})
    world.targets[0] = replace(world.targets[0], care=care)
    oldest = (await seen(world))["gardien_target_oldest_read_timestamp_seconds", box]
    assert oldest == (NOW - timedelta(days=4)).timestamp()
    world.add_job("check", "far", "done")
    assert (await seen(world))["gardien_job_last_success", (("kind", "check"), ("stack", ""), *far)] == 1


async def test_a_paused_stack_is_not_an_ill_one(world: World) -> None:
    view = world.stacks[0]
    world.stacks[0] = replace(view, health=replace(view.health, health="paused"))
    assert (await seen(world))["gardien_stack_healthy", (("stack", "files"),)] == 1


async def test_every_metric_is_documented_and_named_by_the_rules(world: World) -> None:
    care = replace(world.targets[0].care, parts=dict.fromkeys(range(1, 5), NOW))
    world.targets[0] = replace(world.targets[0], care=care)  # so that all of them are told
    text = metrics.render(await world.house.overviews.now(), LETTERS).decode()
    told = {
        family.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }
    rows = re.findall(r"^\| `(gardien_\w+)` \|([^|]*)\|", DOCS.read_text(), re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows} == told
    assert not [name for name in told if name.endswith("_total")], "only counters end so"
    assert all(line.split()[-1] == "gauge" for line in text.splitlines() if line.startswith("# TYPE"))


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as house:
            yield house


async def test_who_may_ask_what(quiet: Quiet) -> None:
    root = f"http://localhost:{quiet.house.settings.page.port}"
    async with aiohttp.ClientSession() as stranger:
        async with stranger.get(f"{root}/metrics") as answer:
            assert answer.status == 401
        async with stranger.get(f"{root}/healthz") as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})
    connector = aiohttp.UnixConnector(str(quiet.house.settings.socket))
    async with aiohttp.ClientSession(connector=connector) as console, console.get("http://x/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        assert "gardien_build_info" in await answer.text()


async def test_healthz_tells_when_the_store_does_not_answer(quiet: Quiet) -> None:
    await quiet.house.store.close()  # type: ignore[attr-defined]
    root = f"http://localhost:{quiet.house.settings.page.port}"
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{root}/healthz") as answer:
        assert (answer.status, await answer.json()) == (503, {"ok": False})

"""The house's settings on their pages, without a script: shown first, then written, then taken back."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from gardien.adapters.shelf import load_settings
from gardien.model.snapshot import Snapshot
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings
from tests.test_kit_pages import Person

Fields = tuple[tuple[str, str], ...]


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        file = write_settings(root)
        file.write_text("# Ours.\n" + file.read_text())
        async with quiet_house(root) as made:
            yield made


@pytest.fixture
async def person(quiet: Quiet) -> AsyncIterator[Person]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        made = Person(session, quiet.house.settings.page.port)
        await quiet.house.first_run.leave()
        assert (await made.sends(f"/login/{await quiet.house.people.link()}"))[0] == 303
        yield made


def file(quiet: Quiet) -> Path:
    return quiet.house.settings.folders.owner.with_name("gardien.yaml")


async def shown(person: Person, path: str, *fields: tuple[str, str]) -> tuple[str, Fields]:
    """What would change, and what is to be sent to do it."""
    status, page = await person.sends(path, *fields)
    assert status == 200, page
    again = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return page, (*again, ("go", "1"))


async def test_how_a_place_is_used_is_shown_then_changed_and_taken_back(person: Person, quiet: Quiet) -> None:
    house, former = quiet.house, file(quiet).read_text()
    for day in range(40):
        taken = datetime.now(UTC) - timedelta(days=day)
        one = Snapshot(f"{day:064x}", "nextcloud", "box", taken, 9, 9, 9, 2.0, good=True)
        await house.upkeep._world.store.add_snapshot(one)
    page = await person.reads("/targets/box")
    assert "All of the last 3 days, one a day for 14 days" in page and "As fast as it goes" in page
    path, keep = "/targets/box/settings", "targets.box.keep"
    assert f'name="{keep}.daily" value="14"' in await person.reads(path)
    for name, wrong, said in (
        (f"{keep}.daily", "many", "Write a whole number"),
        (f"{keep}.verified", "0", "Write 1 or more"),
        ("targets.box.upload_limit:0:rate", "quick", "KiB/s"),
    ):
        status, page = await person.sends(path, (name, wrong))
        assert status == 400 and f'value="{wrong}"' in page and "marked below" in page and said in page, page
    few = ((f"{keep}.daily", "5"), (f"{keep}.weekly", "0"), (f"{keep}.monthly", "0"), (f"{keep}.yearly", "0"))
    page, go = await shown(person, path, *few)
    cells = re.findall(r'<td class="number"[^>]*>(?:<strong>)?(\d+)', page)
    assert cells[0] == "40" and cells[2] == "35" and int(cells[1]) < 25, page
    assert "never the newest good one" in page and file(quiet).read_text() == former
    assert (await person.sends(path, *go))[0] == 303
    assert "# Ours." in file(quiet).read_text() and "daily: 5" in file(quiet).read_text()
    assert "-      daily: 5" in await person.reads("/settings/back")
    assert (await person.sends("/settings/back"))[0] == 303 and file(quiet).read_text() == former
    page, _ = await shown(person, path, *few, ("targets.box.append_only", "yes"))
    assert "no backup is deleted there" in page
    limit = "targets.box.upload_limit:0"
    rows = ((f"{limit}:from", "08:00"), (f"{limit}:until", "20:00"), (f"{limit}:rate", "500"), (f"{limit}:unit", "KiB"))
    page, go = await shown(person, path, *rows)
    assert "From 08:00 to 20:00 at most 500 KiB/s, else as fast as it goes" in page
    assert (await person.sends(path, *go))[0] == 303 and "08:00-20:00: 500 KiB/s" in file(quiet).read_text()


async def test_who_else_is_told_and_from_when_on(person: Person, quiet: Quiet) -> None:
    assert "if letters do not arrive, nobody is told" in await person.reads("/settings")
    way: Fields = (("second_way.kind", "ntfy"), ("second_way.when", "trouble"))
    for url, said in (
        ("", "has to be answered"),
        ("http://ntfy.example/topic", "Write https://"),
        ("https://ntfy.example", "topic"),
    ):
        status, page = await person.sends(
            "/settings/second-way", *way, ("second_way.url", url), ("password", "tk_secret")
        )
        assert status == 400 and said in page and "tk_secret" not in page, page
    assert 'name="held"' in page and "There is one" in page  # what was typed is kept over a mistake elsewhere
    assert 'name="held"' not in await person.reads("/settings/second-way")
    status, page = await person.sends("/settings/watcher", ("ping", "no address"))
    assert status == 400 and 'value="no address"' in page
    status, page = await person.sends("/settings/warnings", ("watch.disk_low", "90"), ("watch.hot", "80"))
    assert status == 400 and "Write 50 or less" in page
    address = ("second_way.url", "https://ntfy.example/our-practice")
    for section, fields, said, written in (
        ("second-way", (*way, address, ("held", "1")), "Of every trouble", "kind: ntfy"),
        ("watcher", (("ping", "https://hc.example/ping/5f3c"),), "hc.example", "ping: https://hc.example/ping/5f3c"),
        ("warnings", (("watch.disk_low", "15"), ("backup.late_after_hours", "50")), "50", "disk_low: 15"),
    ):
        page, go = await shown(person, f"/settings/{section}", *fields)
        assert said in page and "tk_secret" not in page
        assert (await person.sends(f"/settings/{section}", *go))[0] == 303
        assert written in file(quiet).read_text() and "tk_secret" not in file(quiet).read_text()
    assert await quiet.files.read(quiet.house.settings.second_way_token) == "tk_secret\n"


async def test_one_application_is_saved_and_updated_at_times_of_its_own(person: Person, quiet: Quiet) -> None:
    house = quiet.house
    await house.targets.init("box")
    await house.runner.wait(await house.life.add("demo", {}))
    path = "/stacks/demo/times"
    assert f'href="{path}"' in await person.reads("/settings") and path in await person.reads("/stacks/demo/settings")
    assert "As for all applications" in await person.reads(path)
    status, page = await person.sends(path, ("stacks.demo.at:how", "weekly"), ("stacks.demo.at:day", "friday"))
    assert status == 400 and "Give the hour" in page
    at = (("stacks.demo.at:how", "weekly"), ("stacks.demo.at:day", "friday"), ("stacks.demo.at:time", "12:15"))
    window = (("stacks.demo.window:day", "daily"), ("stacks.demo.window:begin", "01:00"))
    page, go = await shown(person, path, *at, *window, ("stacks.demo.window:end", "02:00"))
    assert "Every Friday at 12:15" in page and "Every day from 01:00 to 02:00" in page
    assert (await person.sends(path, *go))[0] == 303
    settings = load_settings(file(quiet))
    assert (settings.times("demo", "box"), settings.times("wiki", "box")) == (
        "weekly on friday at 12:15",
        "daily at 02:30",
    )
    assert (settings.window("demo"), settings.window("wiki")) == ("daily 01:00-02:00", "sunday 03:00-05:00")
    house.settings.stacks.update(settings.stacks)
    [entry] = [each for each in await house.upkeep._agenda.all() if each.kind == "backup"]
    assert entry.at.astimezone(house.upkeep._agenda.zone).strftime("%A") == "Friday"
    assert "Every Friday at 12:15" in await person.reads("/stacks/demo/settings?saved")
    assert "every day between 01:00 and 02:00" in await person.reads("/stacks/demo/updates")


async def test_a_place_in_the_settings_file_is_taken_out_there_and_brought_back(person: Person, quiet: Quiet) -> None:
    house, former = quiet.house, file(quiet).read_text()
    await house.targets.init("box")
    await house.runner.wait(await house.life.add("demo", {}))
    await house.runner.wait(await house.backups.create("demo"))
    page = await person.reads("/targets/box")
    assert "Newest good backup" in page and "it is taken out there" in page and "the only place" in page
    assert (await person.sends("/targets/box/remove", ("confirm", "bix")))[0] == 400 and former == file(
        quiet
    ).read_text()
    assert (await person.sends("/targets/box/remove", ("confirm", "box")))[0] == 303
    assert "box" not in house.settings.targets and "box" not in file(quiet).read_text()
    assert "# Ours." in file(quiet).read_text() and await quiet.files.exists(house.settings.passphrase("box"))
    page = await person.reads("/settings?removed")
    assert (
        "The backups there stay" in page
        and "There is none yet" in page
        and "+  box:" in await person.reads("/settings/back")
    )
    assert (await person.sends("/settings/back"))[0] == 303 and file(quiet).read_text() == former


async def test_a_language_once_chosen_holds_in_the_next_browser(person: Person, quiet: Quiet) -> None:
    async def home_in(language: str, header: str) -> None:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            other = Person(session, quiet.house.settings.page.port)
            session.headers["Accept-Language"] = header
            assert (await other.sends(f"/login/{await quiet.house.people.link()}"))[0] == 303
            assert f'<html lang="{language}">' in await other.reads("/")

    await home_in("en", "en")
    assert (await person.sends("/language", ("language", "fr"), ("next", "/")))[0] == 303
    await home_in("fr", "en")
    assert (await person.sends("/language", ("language", "xx"), ("next", "/")))[0] == 303
    await home_in("fr", "en")

"""The page of backups, and what other pages say of them: good, incomplete, missed and running ones never look alike."""

import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from gardien.faces import history
from gardien.model.operator import Operator, country_name
from gardien.model.target import Care
from gardien.services.upkeep import LOST
from gardien.words import N_, Words
from tests.faces_world import World, make_world
from tests.memory_house import STACK, memory_house
from tests.pictures import FLAGS, come_in, copied, furnish, opened, save, worry
from tests.test_pages import Client, press, read, visitor

NOON = datetime(2026, 3, 10, 12).astimezone()
DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path, NOON) as world:
        world.add_target("box")
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with visitor(world) as client:
        yield client


def fall_behind(world: World) -> None:
    """Good a week ago, missed twice, incomplete yesterday; then gone from the target is an older one."""
    world.add_stack("notes", "Notes")
    world.add_snapshot("notes", 1 * DAY, Words.of(N_("{count} files could not be read"), count=3))
    world.add_snapshot("notes", 4 * DAY)
    world.add_snapshot("notes", 6 * DAY, LOST)
    world.add_snapshot("notes", 40 * DAY)
    good = world.snapshots[1]
    missed = (NOON - 2 * DAY, NOON - 3 * DAY)
    world.change_place("notes", "box", late=True, newest_good=good, newest=world.snapshots[0], missed=missed)


async def strip(client: Client, language: str = "en") -> list[str]:
    """What is said of each of the fourteen days, to those who are read to."""
    async with client.get("/backups", headers={"Accept-Language": language}) as response:
        days = re.search(r'<ol class="days">(.*?)</ol>', await response.text(), re.DOTALL)
    assert days is not None
    return re.findall(r'<span class="unseen">([^<]*)</span>', days[1])


# -- two weeks


async def test_each_day_is_told_in_a_word(world: World, client: Client) -> None:
    fall_behind(world)
    told = await strip(client)
    assert (told[0], told[-1]) == ("Wednesday 25 February: No backup", "Tuesday 10 March: No backup")
    assert told[7:-1] == [
        "Wednesday 4 March: Gone",
        "Thursday 5 March: No backup",
        "Friday 6 March: Good",
        "Saturday 7 March: Missed",
        "Sunday 8 March: Missed",
        "Monday 9 March: Incomplete",
    ]
    assert len(told) == history.DAYS
    world.add_job("backup", "notes", "running", ago=timedelta(minutes=1))
    assert (await strip(client))[-1] == "Tuesday 10 March: Under way"


async def test_older_weeks_can_be_turned_to(world: World, client: Client) -> None:
    """Only what is shown is asked for; a day leads into its backup; nothing is said there of now."""
    fall_behind(world)
    world.long_missed = [NOON - 41 * DAY]
    page = await read(client, "/backups")
    assert "Two weeks before The last two weeks" in page.text
    assert "Two weeks after" not in page.text
    assert f"/snapshots/{world.snapshots[1].id}" in page.links()
    assert f"/snapshots/{world.snapshots[2].id}" not in page.links(), "it is not there any more"
    [earlier] = [link for link in page.links() if "until=" in link]
    assert earlier == "/backups?until=2026-02-24"
    page = await read(client, "/backups?until=2026-02-01")
    assert "From Monday 19 January to Sunday 1 February 2026 Two weeks after" in page.text
    assert "Two weeks before" not in page.text
    assert f"/snapshots/{world.snapshots[3].id}" in page.links()
    assert "Wednesday 28 January: Missed" in page.text
    assert "Thursday 29 January: Good" in page.text
    assert "/stacks/notes/backup" not in page.forms()
    assert {link for link in page.links() if "until=" in link} == {"/backups?until=2026-02-15"}
    for odd in ("2999-01-01", "x", "0001-01-01"):
        assert (await read(client, f"/backups?until={odd}")).text


async def test_what_was_missed_long_ago_is_worked_out_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        await home.live(days=2)
        home.move(days=5)
        await home.live(days=2)
        [stack] = await home.house.overviews.stacks()
        begin = home.now - 14 * DAY
        assert len(stack.places[0].missed) == 4
        assert await home.house.overviews.missed(STACK, "near", begin, home.now) == stack.places[0].missed
        home.move(days=30)
        assert await home.house.overviews.missed(STACK, "near", begin, begin + 14 * DAY) == stack.places[0].missed
        await home.end(await home.house.life.stop(STACK))
        assert await home.house.overviews.missed(STACK, "near", begin, home.now) == ()


async def test_checks_and_trials_are_told_beside_the_backups(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes", saved=timedelta(hours=7))
    good = world.add_snapshot("notes", DAY, pause_seconds=20.0)
    world.add_job("check", "box", "done", ago=2 * DAY)
    world.add_job("check", "box", "done", ago=30 * DAY)
    await world.store.add_proof(world.proven(good))
    page = await read(client, "/backups")
    assert "Trial restores Came back On Sunday at" in page.text
    assert {link for link in page.links() if link.startswith("/jobs/")} == {"/jobs/1"}
    assert "Sizes and pauses How long each paused it: 20 s at most" in page.text
    assert "/proofs/2026-03" in page.links()


async def test_each_kind_of_day_has_a_shape_of_its_own(world: World, client: Client) -> None:
    fall_behind(world)
    world.add_job("backup", "notes", "running", ago=timedelta(minutes=1))
    async with client.get("/backups") as response:
        days = re.search(r'<ol class="days">(.*?)</ol>', await response.text(), re.DOTALL)
    assert days is not None
    drawn = dict(re.findall(r": ([A-Z][a-z ]+)</span><svg[^>]*>(.*?)</svg>", days[1]))
    assert set(drawn) == {"Good", "Incomplete", "Missed", "Gone", "Under way", "No backup"}
    assert len(set(drawn.values())) == len(drawn), "colour is never all that tells"


async def test_what_went_wrong_is_told_in_sentences(world: World, client: Client) -> None:
    fall_behind(world)
    text = (await read(client, "/backups")).text
    assert "Saved on Friday at 12:00 · 4 days ago · too long ago" in text
    assert "Incomplete Yesterday at 12:00: 3 files could not be read." in text
    assert "Missed 2 times, the first on Saturday at 12:00, the last on Sunday at 12:00" in text
    assert "Gone On Wednesday at 12:00: The backup target does not list it any more." in text
    assert "Next backup tomorrow at 05:18" in text


async def test_a_good_one_after_an_incomplete_one_makes_a_good_day(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes", saved=timedelta(hours=2))
    world.add_snapshot("notes", timedelta(hours=9), Words.of(N_("{count} files could not be read"), count=3))
    assert (await strip(client))[-1] == "Tuesday 10 March: Good"
    assert "Incomplete This morning at 03:00: 3 files could not be read." in (await read(client, "/backups")).text


async def test_pauses_are_told_of_backups_and_not_of_copies(world: World, client: Client) -> None:
    world.add_target("far", copy_of="box", next_run=None)
    world.add_stack("notes", "Notes")
    newest = world.add_snapshot("notes", timedelta(hours=2), pause_seconds=3.0)
    world.add_snapshot("notes", DAY, pause_seconds=61.0)
    world.add_snapshot("notes", 30 * DAY, pause_seconds=500.0)
    copy = world.add_snapshot("notes", timedelta(hours=2), target="far", original=newest.id, pause_seconds=3.0)
    world.change_place("notes", "box", newest_good=newest)
    world.change_place("notes", "far", newest_good=copy)
    text = (await read(client, "/backups")).text
    assert text.count("Paused for") == 2, "once above, once in the table beside the chart"
    assert "Paused for 3 s; for 1 min 01 s at most in these two weeks" in text
    assert "far · copy of box Saved this morning at 10:00" in text and "Filled after each backup at box" in text


# -- targets


@pytest.mark.parametrize(
    ("european", "says"),
    [(True, "Run by Example GmbH (Germany)"), (False, "Outside Europe"), (None, "Not known")],
)
async def test_who_runs_it_is_told_and_marked(world: World, client: Client, european: bool | None, says: str) -> None:
    abroad = Words.of(
        N_("run by {operator} ({country}); the backups lie in the same country"),
        operator="Example Inc.",
        country=country_name("US"),
    )
    if european is not True:
        world.targets[0] = replace(world.targets[0], operator=Operator("Example Inc.", "US", "US", european, abroad))
    text = (await read(client, "/backups")).text
    assert says in text
    assert [mark for mark in ("Outside Europe", "Not known") if mark in text] == (
        [says] if european is not True else []
    )


async def test_whoever_could_delete_is_warned_of_with_the_cure(world: World, client: Client) -> None:
    sentence = "Whoever takes over this machine can delete these backups. Give this key no right to delete."
    assert sentence not in (await read(client, "/backups")).text
    world.targets[0] = replace(world.targets[0], can_delete=True)
    assert sentence in (await read(client, "/backups")).text
    french = (await read(client, "/backups", language="fr")).text
    assert "Ne donnez pas à cette clé le droit de supprimer." in french
    world.targets[0] = replace(world.targets[0], append_only=True)
    assert sentence in (await read(client, "/backups")).text, "what was found out goes before what was meant"
    world.targets[0] = replace(world.targets[0], can_delete=None)
    assert "Not known yet whether this machine could delete them." in (await read(client, "/backups")).text


async def test_how_it_is_looked_after(world: World, client: Client) -> None:
    text = (await read(client, "/backups")).text
    for sentence in (
        "box box.example:23/backups Whole",
        "Last check On Sunday at 12:00: all is whole",
        "Read byte by byte All of it since 10 February",
        "Old backups Stay, until they are cleared out at the host",
    ):
        assert sentence in text, sentence
    care = Care(
        ready=NOON - 9 * DAY,
        checked=NOON - DAY,
        problems=("pack 5f3c: <b>hash</b> mismatch", "tree 91ab: gone"),
        frozen=Words.of(N_("the machine's clock has jumped")),
        lost=1,
    )
    world.targets[0] = replace(world.targets[0], care=care, can_delete=True)
    page = await read(client, "/backups")
    for sentence in (
        "Damaged Backups that were here and are not any more: 1",
        "Last check Yesterday at 12:00: not whole, faults found: 2",
        "Not all of it yet",
        "Old backups Nothing goes now. The machine's clock has jumped.",
        "pack 5f3c: <b>hash</b> mismatch",
    ):
        assert sentence in page.text, sentence
    assert not [tag for tag, _ in page.tags if tag == "b"]


async def test_what_is_not_there_yet_says_what_to_do(world: World, client: Client) -> None:
    world.targets[0] = replace(world.targets[0], ready=False, care=Care(), next_run=None, can_delete=None)
    page = await read(client, "/backups")
    assert "Not ready Nothing can be saved there yet." in page.text and "/targets/box" in page.links()
    assert page.forms() == {"/language"}, "there is nothing to check"
    world.targets.clear()
    world.add_stack("notes", "Notes")
    world.add_stack("wiki", "Wiki", kept=False)
    text = (await read(client, "/backups")).text
    assert "There is no place for its backups yet." in text and "gardien target add" in text
    assert "Not backed up yet · gardien does not know what must be saved of it" in text


# -- buttons


async def test_buttons_start_what_they_say_where_they_say(world: World, client: Client) -> None:
    world.add_target("far", copy_of="box")
    world.add_stack("notes", "Notes", saved=timedelta(hours=2))
    page = await read(client, "/backups")
    assert page.forms() == {
        "/language",
        "/stacks/notes/backup",
        "/targets/box/check",
        "/targets/far/check",
        "/targets/far/copy",
    }
    assert [attrs["value"] for tag, attrs in page.tags if tag == "input" and attrs["name"] == "target"] == ["box"]
    response = await press(client, "/stacks/notes/backup", target="box")
    assert response.headers["Location"] == "/jobs/1"
    await press(client, "/targets/box/check")
    await press(client, "/targets/far/copy")
    assert world.done == [("backup", "notes", "box"), ("check", "box"), ("copy", "far")]
    assert (await client.get("/targets/box/check")).status == 405, "looking starts nothing"
    foreign = await client.post("/targets/box/check", headers={"Origin": "http://evil.example"})
    assert foreign.status == 403 and len(world.done) == 3
    assert (await press(client, "/targets/nowhere/check")).status == 404

    page = await read(client, "/backups")
    assert page.forms() == {"/language"}, "it is under way everywhere"
    assert "Check of box Waiting its turn" in page.text and "Copy to far Waiting its turn" in page.text


async def test_a_target_that_is_called_like_a_stack_is_not_taken_for_it(world: World, client: Client) -> None:
    world.add_target("notes")
    world.add_stack("notes", "The Notes")
    world.add_job("check", "notes", "running")
    page = await read(client, "/stacks/notes")
    assert "/stacks/notes/backup" in page.forms() and "Under way" not in page.text
    page = await read(client, "/jobs/1")
    assert "Check of notes" in page.text and "The Notes" not in page.text
    world.jobs[1] = replace(world.jobs[1], state="done")
    page = await read(client, "/jobs/1")
    assert "/backups" in page.links() and "/stacks/notes" not in page.links()


# -- other pages


async def test_home_tells_missed_and_incomplete_from_good(world: World, client: Client) -> None:
    world.add_stack("files", "Files", saved=timedelta(hours=2))
    text = (await read(client, "/")).text
    assert "Saved this morning at 10:00" in text
    assert not [word for word in ("Missed", "Incomplete", "too long ago") if word in text]
    world.stacks.clear()
    world.snapshots.clear()
    fall_behind(world)
    incomplete, good = world.snapshots[:2]
    world.stacks[0] = replace(world.stacks[0], newest_good=good, newest=incomplete, late=True)
    text = (await read(client, "/")).text
    assert "Saved on Friday at 12:00 · 4 days ago · too long ago" in text
    assert "Incomplete · The attempt yesterday at 12:00 does not count: 3 files could not be read." in text
    assert "Missed · box: nothing was saved on Sunday at 12:00" in text
    world.change_place("notes", "box", newest_good=incomplete)
    assert "Missed" not in (await read(client, "/")).text, "a later one made up for it"


@pytest.mark.parametrize(
    ("key", "leads_to"),
    [
        ("backup-late:notes:box", "/stacks/notes/backup"),
        ("backup-late:notes:far", "/targets/far/copy"),
        ("check-late:box", "/targets/box/check"),
    ],
)
async def test_an_alert_of_a_target_brings_the_button_that_helps(
    world: World, client: Client, key: str, leads_to: str
) -> None:
    world.add_target("far", copy_of="box")
    world.add_stack("notes", "Notes", kept=False)
    assert leads_to not in (await read(client, "/")).forms()
    world.add_alert(key, "trouble", Words("x"), Words("y"))
    assert leads_to in (await read(client, "/")).forms()


async def test_a_stack_lists_all_of_it_with_its_place(world: World, client: Client) -> None:
    fall_behind(world)
    world.add_target("far", copy_of="box")
    good = world.snapshots[1]
    world.snapshots.insert(2, replace(good, id="ab" * 32, target="far", original=good.id))
    world.add_job("backup", "notes", "running", ago=timedelta(minutes=1))
    page = await read(client, "/stacks/notes")
    rows = re.findall(
        r"\b(Good|Incomplete|Missed|Gone|Under way) (?:(?!Good|Incomplete|Missed|Gone).)*?\b(box|far)\b", page.text
    )
    assert ("Missed", "box") in rows and ("Incomplete", "box") in rows and ("Good", "far") in rows
    assert "Under way Job 1 box" in page.text
    assert "On Sunday at 12:00 and before, 2 times in all Missed box" in page.text
    assert "Gone The backup target does not list it any more. box" in page.text
    assert "Good far copy" in page.text
    assert "/jobs/1" in page.links()


async def test_the_page_moves(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    async with client.get("/live?backups") as stream:
        assert stream.status == 200
        first = (await stream.content.readuntil(b"\n\n")).decode()
        assert first.startswith("event: backups\n") and "Not saved yet" in first
        world.add_stack("wiki", "Wiki")
        world.feed.changed("health")
        second = (await stream.content.readuntil(b"\n\n")).decode()
        assert second.startswith("event: backups\n") and "Wiki" in second


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_the_page_is_well_formed_in_every_mood(tmp_path: Path, language: str) -> None:
    for number, mood in enumerate(((), (furnish,), (furnish, save), (furnish, worry), (furnish, copied))):
        (tmp_path / str(number)).mkdir()
        async with make_world(tmp_path / str(number), NOON) as world, visitor(world) as client:
            for each in mood:
                each(world)
            page = await read(client, "/backups", language=language)
            assert ("h1", {}) in page.tags
            ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
            assert len(ids) == len(set(ids))
            assert ("Sauvegardes" if language == "fr" else "Backups") in page.text


async def test_a_browser_sees_a_day_turn_from_running_to_good_and_presses_check() -> None:
    async with opened((furnish,)) as world, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        context = await come_in(world, browser, "en", "light", 1280)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        await page.goto(f"http://127.0.0.1:{world.settings.page.port}/backups")
        today = page.locator(".days").nth(1).locator("li").last
        assert (await today.inner_text()).endswith("Good")
        job = world.add_job("backup", "notes", "running", at=1)
        world.feed.changed("job")
        await today.get_by_text("Under way").wait_for(state="attached")
        world.jobs[job.id] = replace(world.jobs[job.id], state="done")
        world.feed.changed("job")
        await today.get_by_text("Good").wait_for(state="attached")
        await page.locator("#box-check").click()
        await page.wait_for_url("**/jobs/*")
        assert await page.locator("h1").inner_text() == "Check of box" and world.done == [("check", "box")]
        assert complaints == []
        await browser.close()

"""Letters: which are owed, what they say, and that each arrives, once."""

import asyncio
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gardien.adapters.pinger import HttpPinger
from gardien.adapters.store import SqliteStore
from gardien.errors import MailFailed
from gardien.faces.letter import LetterWriter
from gardien.model.health import Alert
from gardien.model.letter import Draft, News, Text
from gardien.model.settings import Settings
from gardien.rules import letters
from gardien.words import Words
from tests.fakes import Leaf
from tests.memory_house import STACK, Home, memory_house
from tests.world.box import Box, box, until
from tests.world.notes import add, lay_out
from tests.world.smtp import PASSWORD, PostOffice
from tests.years import Years

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 3, 3, 11, tzinfo=UTC)  # a Tuesday, noon in Berlin
MAIL = {
    "weekly": False,
    "to": ["owner@practice.example"],
    "from": "gardien@practice.example",
    "host": "localhost",
    "security": "none",
}


# -- the rule, over a simulated time


def quiet_years() -> Years:
    return Years(NOON, BERLIN)


def test_what_passes_by_itself_is_no_letter() -> None:
    years = quiet_years()
    years.opens("stack")
    years.go(minutes=9)
    years.closes("stack")
    years.go(days=2)
    assert years.written == []


def test_trouble_is_told_once_and_its_end_once() -> None:
    years = quiet_years()
    years.opens("stack")
    years.go(hours=30)
    years.closes("stack")
    years.go(days=10)
    assert years.said() == ["stack", "(stack)"]
    assert years.written[0][0] == NOON + timedelta(minutes=10)
    assert years.written[1][0] == NOON + timedelta(hours=30, minutes=30)


def test_an_update_that_was_taken_back_is_told_soon_once_and_never_that_it_is_over() -> None:
    years = quiet_years()
    years.opens("update:notes:7", "notice")
    years.go(minutes=5)
    assert years.said() == ["update:notes:7"]
    years.go(days=14)
    years.closes("update:notes:7")
    years.go(days=10)
    assert years.said() == ["update:notes:7"]


def test_an_update_that_was_taken_back_at_night_is_told_in_the_morning() -> None:
    years = quiet_years()
    years.go(hours=15)
    years.opens("update:notes:7", "notice")
    years.go(hours=4)
    assert years.said() == []
    years.go(hours=2)
    assert years.said() == ["update:notes:7"]


def test_what_stays_is_repeated_rarely() -> None:
    years = quiet_years()
    years.opens("stack")
    years.opens("clock", "notice")
    years.go(timedelta(minutes=10), days=15)
    assert years.said().count("stack") == 4
    assert sum("clock" in each for each in years.said()) == 3
    assert len(years.written) <= 7


def test_related_ones_are_one_letter() -> None:
    """A dead disk: twelve alerts within ten minutes."""
    years = quiet_years()
    for number in range(12):
        years.opens(f"a{number}", "trouble" if number % 2 else "notice")
        years.go(timedelta(seconds=30), seconds=30)
    years.go(hours=3)
    assert len(years.written) == 1
    assert len(years.written[0][1].open) == 12


def test_what_can_wait_is_not_written_at_night() -> None:
    years = Years(datetime(2026, 3, 3, 20, 30, tzinfo=UTC), BERLIN)
    years.opens("copy", "notice")
    years.go(hours=24)
    [(when, _)] = years.written
    assert when == datetime(2026, 3, 4, 16, 30, tzinfo=UTC)
    years.closes("copy")
    years.now = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
    years.go(hours=11)
    assert years.written[-1][0].astimezone(BERLIN).hour == 8
    years.opens("down")
    years.now = datetime(2026, 3, 6, 1, 0, tzinfo=UTC)
    years.go(hours=1)
    assert years.written[-1][0].astimezone(BERLIN).hour == 2, "trouble does not wait for the morning"


def test_a_flapping_stack_is_no_storm() -> None:
    years = quiet_years()
    for _ in range(24 * 14):
        years.opens("stack")
        years.go(timedelta(minutes=5), minutes=30)
        years.closes("stack")
        years.go(timedelta(minutes=5), minutes=30)
    years.go(timedelta(minutes=5), days=3)
    assert years.said()[0] == "stack"
    assert years.said()[-1].startswith("(stack)")
    assert len(years.written) <= 3 + 14 // 3 + 1, years.said()


def test_a_year_of_random_troubles() -> None:
    """Each that lasts is told, each end of one that was told is told, and nothing twice within its pause."""
    dice = random.Random(4)
    years = quiet_years()
    keys = [f"k{number}" for number in range(6)]
    for _ in range(365):
        for key in dice.sample(keys, dice.randrange(3)):
            if any(each.alert.key == key and each.alert.closed is None for each in years.every.values()):
                years.closes(key)
            else:
                years.opens(key, dice.choice(("trouble", "notice")))
        years.go(timedelta(minutes=20), days=1)
    for key in keys:
        years.closes(key)
    years.go(timedelta(minutes=20), days=3)
    every = list(years.every.values())
    for each in every:
        assert each.alert.closed is not None
        lasted = each.alert.closed - each.alert.opened
        same = [other for other in every if other.alert.key == each.alert.key]
        if each.told is not None:
            assert any(other.over for other in same), each
        elif lasted > timedelta(days=2):
            assert any(other.told for other in same), f"nobody was told of {each}"
    per_day: dict[object, int] = {}
    for when, _ in years.written:
        per_day[when.date()] = per_day.get(when.date(), 0) + 1
    assert max(per_day.values()) <= 6


def test_it_is_tried_for_two_weeks() -> None:
    now, tries, at = NOON, 0, []
    while True:
        tries += 1
        again = letters.next_try(NOON, tries, now)
        if again is None:
            break
        assert again > now
        now = again
        at.append(now - NOON)
    assert at[0] == timedelta(minutes=1)
    assert timedelta(days=13) < at[-1] < timedelta(days=15)
    assert sum(each < timedelta(hours=3) for each in at) >= 6
    assert len(at) < 130


# -- what they say


def news(*open_: Alert, over: tuple[Alert, ...] = ()) -> News:
    return News(open_, over)


def alert(
    says: Words, remedy: str = "Restart it: `gardien stack start nextcloud`.", closed: datetime | None = None
) -> Alert:
    return Alert(1, "k", "trouble", says, Words.of(remedy), NOON - timedelta(hours=2), closed)


DOWN = Words.of(
    "{stack} is not well: {why}", stack="Nextcloud", why=Words.of("{stack} does not answer", stack="Nextcloud")
)


def test_one_matter_in_english() -> None:
    text = LetterWriter("en", "practice").news(news(alert(DOWN)), NOON)
    assert text.subject == "practice: Nextcloud is not well: Nextcloud does not answer"
    assert text.plain.startswith("Nextcloud is not well: Nextcloud does not answer.\nSince this morning at ")
    assert "\nWhat to do: Restart it: `gardien stack" in text.plain


def test_one_matter_in_french() -> None:
    text = LetterWriter("fr", "cabinet").news(news(alert(DOWN, "Restart it: `gardien stack start {stack}`.")), NOON)
    assert text.subject.startswith("cabinet: Nextcloud ")
    assert "Que faire" in text.plain
    assert "Nextcloud is not well" not in text.plain + text.html
    assert 'lang="fr"' in text.html


@pytest.mark.parametrize("language", ["en", "fr"])
def test_several_and_some_that_are_over(language: str) -> None:
    over = alert(DOWN, closed=NOON)
    one = LetterWriter(language, "practice").news(news(over=(over,)), NOON)
    both = LetterWriter(language, "practice").news(news(alert(DOWN), alert(DOWN), over=(over,)), NOON)
    assert one.subject != both.subject
    assert "2" in both.subject
    assert both.plain.count("Nextcloud") >= 5
    test = LetterWriter(language, "practice").news(News(), NOON)
    assert "practice" in test.subject


def test_html_is_only_text() -> None:
    odd = Words.of("{stack} is not well: {why}", stack="<img src=x onerror=alert(1)>", why="a & b")
    text = LetterWriter("en", "practice").news(news(alert(odd)), NOON)
    assert "<img" not in text.html
    assert not re.search(r"(src|href)\s*=", text.html.replace("&lt;img src=x", ""))
    assert "\n" not in LetterWriter("en", "p").news(news(alert(Words.of("a\r\nBcc: x@example"))), NOON).subject


# -- the house


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, mail=MAIL) as made:
        yield made


async def test_a_letter_is_written_with_its_alert_and_sent_later(home: Home) -> None:
    home.fakes.mailer.refuses = MailFailed("the mail server {host} does not answer", lasting=False, host="x")
    await home.fakes.store.open_alert("disk", "trouble", Words.of("the disk is full"), Words.of("empty it"), home.now)
    for _ in range(30):
        home.move(minutes=1)
        await home.house.letters.look()
    [waiting] = await home.fakes.store.letters(waiting=True)
    assert waiting.tries >= 3
    home.move(hours=48)
    home.fakes.mailer.refuses = None
    await home.house.letters.look()
    await home.house.letters.look()
    assert [each.message for each in home.fakes.mailer.taken] == [waiting.message]


async def test_row_47_the_page_says_that_letters_do_not_arrive(home: Home) -> None:
    """And no letter is written about that."""
    refused = MailFailed("the mail server {host} does not let gardien in", "Put the right one.", lasting=True, host="x")
    home.fakes.mailer.refuses = refused
    await home.fakes.store.open_alert("disk", "trouble", Words.of("the disk is full"), Words.of("empty it"), home.now)
    for _ in range(20):
        home.move(minutes=10)
        await home.house.letters.look()
    found = (await home.alerts())["letters"]
    assert "does not let gardien in" in str(found.says)
    home.move(hours=1)
    await home.house.letters.look()
    assert all("cannot be sent" not in each.text.plain for each in await home.fakes.store.letters())
    home.fakes.mailer.refuses = None
    home.move(hours=5)
    await home.house.letters.look()
    assert "letters" not in await home.alerts()


async def test_threat_13_no_file_name_is_in_a_letter(home: Home) -> None:
    """A patient's name is in the name of a file that could not be read."""
    canary = "anna-canary-therapy.odt"
    home.restic.unreadable.add(home.fakes.world.settings.folders.data / STACK / "srv" / canary)
    home.fakes.files.put(
        home.fakes.world.settings.folders.data / STACK / "srv" / canary,
        Leaf("in confidence", 0o644),
    )
    await home.live(days=3)
    for _ in range(5):
        home.move(hours=8)
        await home.house.watch.look()
        await home.house.letters.look()
    assert home.fakes.mailer.taken
    assert all(canary not in each.text.plain + each.text.html for each in home.fakes.mailer.taken)


async def test_row_15_a_letter_each_week_so_that_silence_means_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One each Monday, with the age of the newest good backup; a machine that was off then writes later, or not."""
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, mail={**MAIL, "weekly": True}) as home:
        for _ in range(24 * 22):
            home.move(hours=1)
            if home.now.hour == 3:
                await home.saved()
            await home.house.letters.look()
        mondays = [each for each in home.fakes.mailer.taken if "proven" in each.text.plain]
        assert len(mondays) == 4, "one at the beginning, and three"
        assert {each.written.astimezone(BERLIN).weekday() for each in mondays} == {0}
        assert all("Saved this morning" in each.text.plain for each in mondays[1:])
        await home.fakes.store.unnote("letter-of-the-week")
        before = len(home.fakes.mailer.taken)
        await home.house.letters.look()
        assert len(home.fakes.mailer.taken) == before, "killed before it was noted, it is not written twice"
        home.move(days=4)
        before = len(home.fakes.mailer.taken)
        await home.house.letters.look()
        assert all("proven" not in each.text.plain for each in home.fakes.mailer.taken[before:])


async def test_row_15_an_address_outside_hears_each_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, ping="https://alarm.example/ping/x") as home:
        heard = home.fakes.pinger.heard
        for _ in range(6 * 5):
            await home.house.beacon.look()
            home.move(minutes=10)
        assert heard == [True] * 5
        await home.saved()
        await home.house.beacon.look()
        await home.house.beacon.look()
        assert len(heard) == 6, "after a good backup, at once"
        await home.fakes.store.open_alert("disk", "trouble", Words.of("full"), Words.of(""), home.now)
        await home.house.beacon.look()
        assert len(heard) == 6, "what passes by itself is no alarm"
        home.move(minutes=11)
        await home.house.beacon.look()
        await home.house.beacon.look()
        assert heard[6:] == [False], "trouble is told at once, and once"
        home.move(hours=1)
        await home.house.beacon.look()
        assert heard[-1] is False
        home.fakes.pinger.deaf = True
        home.move(hours=1)
        await home.house.beacon.look()
        home.fakes.pinger.deaf = False
        home.move(minutes=6)
        before = len(heard)
        await home.house.beacon.look()
        assert len(heard) == before + 1, "what was not heard is said again soon"


async def test_what_is_said_to_the_address_outside(tmp_path: Path) -> None:
    """Nothing but that the machine lives: a real server hears."""
    heard: list[tuple[str, str, bytes]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append((request.method, request.path, await request.read()))
        return web.Response(status=200 if "gone" not in request.path else 404)

    server = TestServer(web.Application())
    server.app.router.add_route("*", "/{any:.*}", hear)
    async with server:
        settings = Settings(ping=str(server.make_url("/ping/x")))
        assert await HttpPinger(settings).ping(well=True)
        assert await HttpPinger(settings).ping(well=False)
        assert not await HttpPinger(Settings(ping=str(server.make_url("/gone")))).ping(well=True)
    assert not await HttpPinger(settings).ping(well=True), "nobody is there"
    assert heard == [("POST", "/ping/x", b""), ("POST", "/ping/x/fail", b""), ("POST", "/gone", b"")]


# -- real parts


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(tmp_path_factory.mktemp("office")) as made:
        yield made


@pytest.fixture(scope="module")
def machine(office: PostOffice) -> Iterator[Box]:
    with box() as made:
        made.settings["mail"] = office.settings()
        made.save_settings()
        made.start()
        made.gardien("target", "init", "host")
        lay_out(made, "notes", None)
        add(made)
        made.until_well("notes")
        yield made
        made.stop()


def test_a_test_letter_says_what_is_wrong_and_arrives_once_it_is_right(machine: Box, office: PostOffice) -> None:
    refused = machine.gardien("alert", "test", check=False)
    assert refused.returncode == 1
    assert "is not in" in refused.stderr
    (machine.root / "owner/secrets/mail.password").write_text(PASSWORD)
    office.mood = "no login"
    refused = machine.gardien("alert", "test", check=False)
    assert "does not let gardien in" in refused.stderr
    assert PASSWORD not in refused.stderr + machine.logged(400)
    office.mood = "take"
    assert "owner@practice.example" in machine.gardien("alert", "test").stdout
    assert "arrive" in office.taken.pop()["Subject"]


def test_row_46_through_kills_and_bad_days(machine: Box, office: PostOffice) -> None:
    """Letters are written while the server has its moods and the daemon is killed at random. Each arrives.

    One that was taken and not confirmed comes again as the same letter: mailboxes know it by its Message-ID.
    """
    dice = random.Random(46)
    letters_, batch = (1000, 100) if os.environ.get("GARDIEN_FULL") else (40, 14)
    database = machine.root / "state" / "gardien.db"
    posted: list[str] = []
    (machine.root / "owner/secrets/mail.password").write_text(PASSWORD)
    machine.stop()
    office.taken.clear()
    lives = 0
    while set(office.messages()) != set(posted) or len(posted) < letters_:
        lives += 1
        assert lives < 80, f"{len(set(office.messages()))} of {len(posted)} came"
        asyncio.run(write(database, posted, 0 if len(posted) >= letters_ else batch))
        office.mood = dice.choice(("busy", "no login", "drop", "refuse", "take", "take", "take"))
        before = len(office.taken)
        machine.start()
        if office.mood == "take" and set(office.messages()) != set(posted):  # a slow machine gets somewhere, too
            until(lambda: len(office.taken) > before)  # noqa: B023
        time.sleep(dice.uniform(0.1, 3.0))
        machine.stop(signal.SIGKILL)
    office.mood = "take"
    asyncio.run(write(database, posted, 0))
    machine.start()
    until(lambda: all(each["sent"] for each in machine.json("alert", "letters")))
    again = len(office.taken) - len(set(office.messages()))
    assert again <= 2 * lives + 1, "what was confirmed is not sent again"
    by_message = {str(each["Message-ID"]): each["Subject"] for each in office.taken}
    assert sorted(by_message.values()) == sorted(f"letter {number}" for number in range(len(posted)))


async def write(database: Path, posted: list[str], more: int) -> None:
    """So many more letters; and time goes by: those that wait are due."""
    store = await SqliteStore.open(database)
    for _ in range(more):
        number = len(posted)
        message = f"<{number}@practice.example>"
        await store.post([Draft(message, Text(f"letter {number}", "x", "x"), datetime.now(UTC))], datetime.now(UTC))
        posted.append(message)
    for each in await store.letters(waiting=True, most=2000):
        await store.mark_letter(each.id, next_try=datetime.now(UTC), error=each.error)
    await store.close()

"""Draws the pages with chromium: the README's pictures, or with `--all FOLDER` every page in every dress.

Run as `python -m tests.pictures` from the repository's root.
"""

import argparse
import asyncio
import math
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from inspect import isawaitable
from itertools import product
from pathlib import Path

import pyotp
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from gardien.errors import BadInput, Refused
from gardien.faces.deeds import DEEDS, OF, REFUSED
from gardien.faces.server import serve
from gardien.model.health import Disk, Stretch
from gardien.model.job import Progress
from gardien.model.letter import Draft
from gardien.model.letter import Text as Letter
from gardien.model.manifest import Text
from gardien.model.operator import Operator, country_name
from gardien.model.reading import Forecast, Point, Reading
from gardien.model.release import Asked, Beyond, News, Outlook, Verdict
from gardien.model.settings import Page as PageSettings
from gardien.model.target import Care
from gardien.words import N_, Words
from tests.coming_back import practice
from tests.faces_updates import change, replaced, tell
from tests.faces_world import CERTIFICATE, GB, World, make_world, recipe_of
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.setting_up import prepare, steps, take

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
PASSWORD = "correct horse battery staple"
HOUR = timedelta(hours=1)
MORNING = datetime(2026, 3, 3, 9, 12).astimezone()


def furnish(world: World) -> None:
    """A practice on a Tuesday morning: all is well, one application is being saved again."""
    world.add_target("box", address="u123456.your-storagebox.de:23/gardien")
    world.add_stack(
        "nextcloud",
        "Nextcloud",
        summary=Text(
            en="Files, calendar and contacts, in place of Google Drive or OneDrive.",
            fr="Fichiers, agenda et contacts, à la place de Google Drive ou de OneDrive.",
        ),
        address="http://practice.local:8080/",
        saved=timedelta(hours=6, minutes=31),
    )
    for day in range(1, 9):
        why = Words.of(N_("{count} files could not be read"), count=3) if day == 4 else None
        world.add_snapshot("nextcloud", timedelta(days=day, hours=6, minutes=30 + day), why)
    world.add_stack(
        "notes",
        "Notes",
        summary=Text(en="A page of notes for the whole practice.", fr="Une page de notes pour tout le cabinet."),
        address="http://practice.local:8090/",
        saved=timedelta(hours=6, minutes=28),
    )
    world.disks = [Disk("/srv/gardien", 1000 * GB, 412 * GB), Disk("/var/lib/gardien", 118 * GB, 84 * GB)]
    for hours, subject in ((30.5, "nextcloud"), (6.55, "nextcloud"), (6.5, "notes")):
        world.add_job("backup", subject, "done", ago=timedelta(hours=hours))


async def answer(world: World) -> None:
    """How it answered in a month: once not, for twenty minutes of last night; and for two days the machine was off."""
    now, nothing = world.now, Words("")
    bad = Words.of(N_("{stack} does not answer"), stack="Nextcloud")
    ends = [(20 * 24.0, 12 * 24.0), (10 * 24.0, 7.6), (7.6, 7.25), (7.25, 0.005)]
    told = [
        Stretch(stack, "app", place != 2, bad if place == 2 else nothing, now - begin * HOUR, now - end * HOUR)
        for stack in ("nextcloud", "notes")
        for place, (begin, end) in enumerate(ends)
    ]
    await world.store.set_health([], told)


def measure(world: World) -> None:
    """A month of the machine: a disk that fills, a processor that is warm by day, a week in which it was off."""
    world.forecasts["/srv/gardien"] = Forecast(61.0, 6.8 * GB)
    hours = [hour for hour in range(720) if not 200 < hour < 368]
    for what, subject, base, swing in (("temperature", "cpu", 52, 9), ("memory-free", "", 0.5, 0.1)):
        series = [(world.now - timedelta(hours=hour), base + swing * math.sin(hour / 3.8)) for hour in reversed(hours)]
        world.points[what, subject] = [Point(at, value * 0.98, value, value * 1.02) for at, value in series]
    free = [(world.now - timedelta(hours=hour), (412 + 0.28 * hour) * GB) for hour in reversed(hours)]
    world.points["disk-free", "/srv/gardien"] = [Point(at, value, value, value) for at, value in free]
    leads = Words.of(N_("it leads to {addresses}"), addresses="192.0.2.17")
    world.readings = [
        Reading("disk-free", "/srv/gardien", 412 * GB, world.now),
        Reading("temperature", "cpu", 61.4, world.now),
        Reading("memory-free", "", 0.52, world.now),
        Reading("load", "", 0.31, world.now),
        Reading("smart-passed", "nvme0", 1.0, world.now),
        Reading("certificate", "files.example.org", 61.7, world.now),
        Reading("name-leads-here", "files.example.org", 1.0, world.now, leads),
    ]


def live_on(world: World) -> None:
    """What a life of stacks brings: one to add, one changed by hand, one that nobody saves, one that cannot be read."""
    world.root = CERTIFICATE
    needs = {"memory": 1200, "disk": 2500, "images": 1800}
    world.recipes["meetings"] = recipe_of(
        "meetings",
        "Meetings",
        Text(en="Video meetings, in place of Zoom or Teams.", fr="Réunions vidéo, à la place de Zoom ou de Teams."),
        needs=needs,
    )
    world.broken["own"] = BadInput(
        N_("cannot use {file}: there are mistakes in it"),
        N_("Correct the lines that are listed, then try again."),
        file="/etc/gardien/stacks/own/compose.yaml",
        detail="/etc/gardien/stacks/own/compose.yaml:3: services.app: x-gardien is missing",
    )
    gone = Words.of(N_("the container of the service {service} is gone"), service="db")
    notes = replace(world.stacks[1], drift=(gone,), address="https://notes.home.arpa/")
    world.stacks[1] = notes
    world.add_stack("wiki", "Wiki", kept=False, address="http://practice.local:8095/")
    world.add_alert(
        "drift:notes",
        "notice",
        Words.of(N_("{stack} runs otherwise than it was set up: {what}"), stack="Notes", what=gone),
        Words.of(N_("If nobody meant it: `gardien stack mend {stack}`."), stack="notes"),
        timedelta(minutes=12),
    )
    world.add_job("add", "notes", "done", ago=timedelta(minutes=20))


def renew(world: World) -> None:
    """New versions: one waits, one was skipped, one did not work, one is too far away; and an update two days ago."""
    now, said = world.now, Verdict("nextcloud", "APP_IMAGE", "", "", "skipped", world.now)
    bad = replace(said, said="quarantined", why=Words.of(N_("{stack} does not answer"), stack="Nextcloud"))
    patch = change(world, "nextcloud", "34.0.4")
    news = News(
        "nextcloud",
        Asked(now, now, now - timedelta(hours=5)),
        changes=(
            patch,
            change(world, "nextcloud", "34.1.0", "minor", newest="35.0.1", said=said),
            change(world, "nextcloud", "34.0.5", said=bad),
        ),
        beyond=(
            Beyond("DB_IMAGE", "12.3.2", Words.of(N_("gardien does not take this image to another major version"))),
        ),
    )
    last = replaced(world, "nextcloud")
    sunday = now + timedelta(days=(6 - now.weekday()) % 7, hours=-6, minutes=-12)
    outlook = Outlook(alone=True, next=sunday, window="sunday 03:00-05:00", last=last, kept_until=last.kept_until(14))
    tell(world, "nextcloud", news, outlook)
    tell(world, "notes", News("notes", Asked(now, now, now - timedelta(hours=5))), Outlook())
    failed = world.add_job(
        "update", "notes", "failed", ago=timedelta(hours=30), at=6, code="update-failed",
        says=Words.of(
            N_(
                "{stack} could not be updated to {version}: {why}. It is at version {former} again, with all that was "
                "in it; nothing is lost"
            ),
            stack="Notes", version="2.1.0", former="2.0.4", why=Words.of(N_("{stack} does not answer"), stack="Notes"),
        ),
        remedy=Words.of(
            N_(
                "Nothing is to be done: this version is not tried again, the next one is. Whoever wants to know more "
                "finds what it printed last in `gardien job show {job}`, and on the page of that job."
            ),
            job=8,
        ),
        detail="app-1  | migrating the table notes\napp-1  | FATAL: out of range",
    )  # fmt: skip
    job = world.add_job("update", "notes", "running", ago=timedelta(minutes=1), at=1)
    world.progress[job.id] = Progress(120_000_000, 340_000_000, 3, 5)
    assert failed.id < job.id


def take_back(world: World) -> None:
    """An update that is being taken back."""
    job = world.add_job("update", "notes", "undoing", ago=timedelta(minutes=3), at=6)
    world.jobs[job.id] = replace(job, facts={**job.facts, "started": True})


def save(world: World) -> None:
    """A backup under way."""
    job = world.add_job("backup", "nextcloud", "running", ago=timedelta(minutes=2, seconds=10), at=1)
    world.progress[job.id] = Progress(26 * GB, int(63.4 * GB), 18_700, 48_213, 92e6, 405.0)


def copied(world: World) -> None:
    """A disk beside the machine first, and a copy of it at a host."""
    address = "/mnt/usb/gardien"
    disk = Operator(None, None, None, True, Words.of(N_("a disk of your own: nobody else runs it")))
    near = world.add_target("disk", kind="local", address=address, operator=disk, can_delete=True)
    world.targets = [near, replace(world.targets[0], copy_of="disk", next_run=None)]
    for stack in list(world.stacks):
        first = [each for each in world.snapshots if each.stack == stack.name]
        for each in first:
            world.snapshots.append(replace(each, id=each.id[::-1][:62] + "ff", target="disk"))
        index = world.stacks.index(stack)
        place = replace(stack.places[0], target="disk")
        away = replace(stack.places[0], next_run=None)
        world.stacks[index] = replace(stack, places=(place, away))
    world.snapshots = [
        replace(each, original="ab" * 32) if each.target == "box" else each
        for each in sorted(world.snapshots, key=lambda each: each.taken, reverse=True)
    ]


def worry(world: World) -> None:
    """What a bad morning looks like."""
    world.severity = "trouble"
    late = Words.of(N_("{stack} has not been saved for too long"), stack="Nextcloud")
    world.says = Words.of(N_("Something needs you: {what}."), what=late)
    nextcloud = world.stacks[0]
    health = replace(nextcloud.health, health="down", says=Words.of(N_("does not run")))
    missed = replace(world.snapshots[0], good=False, why=Words.of(N_("{count} files could not be read"), count=1))
    world.stacks[0] = replace(nextcloud, late=True, newest_good=world.snapshots[3], newest=missed, health=health)
    world.snapshots[0] = missed
    day = timedelta(days=1)
    gone = tuple(world.now - hours * timedelta(hours=1) - number * day for number in (1, 2) for hours in (6.5,))
    world.snapshots = [
        each for each in world.snapshots if each is missed or each.stack == "notes" or world.now - each.taken > 3 * day
    ]
    last = next(each for each in world.snapshots if each.good and each.stack == "nextcloud")
    world.stacks[0] = replace(world.stacks[0], newest_good=last)
    world.change_place("nextcloud", "box", late=True, newest_good=last, newest=missed, missed=gone)
    care = replace(
        world.targets[0].care,
        problems=("pack 5f3c: hash mismatch", "error for tree 91ab: load: not found"),
        frozen=Words.of(N_("the newest backup is incomplete")),
        parts={},
    )
    world.targets[0] = replace(world.targets[0], care=care, can_delete=True)
    law = Words.of(
        N_("run by {operator} ({country}); gardien does not know in which country the backups lie"),
        operator="Example Inc.",
        country=country_name("US"),
    )
    abroad = Operator("Example Inc.", "US", None, False, law)
    unknown = Words.of(N_("gardien does not know who runs {host}, nor in which country"), host="nas.example")
    world.add_target("abroad", kind="s3", operator=abroad, care=Care(ready=world.now, lost=2), can_delete=None)
    nobody = Operator(None, None, None, None, unknown)
    world.add_target("friend", operator=nobody, care=Care(), ready=False, append_only=True, can_delete=None)
    world.disks[0] = replace(world.disks[0], free=31 * GB)
    world.add_alert(
        "backup-late:nextcloud",
        "trouble",
        late,
        Words.of(
            N_("Back it up now: `gardien backup create {stack} --target {target}`; it says what is in the way."),
            stack="nextcloud",
            target="offsite",
        ),
        timedelta(hours=5),
    )
    world.add_alert(
        "disk:/srv/gardien",
        "notice",
        Words.of(N_("the disk at {path} is nearly full"), path="/srv/gardien"),
        Words.of(N_("Delete what nobody needs, or get a bigger disk.")),
        timedelta(days=2),
    )
    world.add_job(
        "backup",
        "nextcloud",
        "failed",
        ago=timedelta(hours=6, minutes=40),
        took=timedelta(seconds=21),
        at=4,
        says=Words.of(N_("cannot reach the backup target {target}"), target="box"),
        remedy=Words.of(
            "Check the internet connection, then whether the host is running, and its name and port: "
            "`gardien target list`."
        ),
        code="target-unreachable",
        detail="ssh: connect to host box.example port 23: Connection timed out",
    )


async def remember(world: World) -> None:
    """What is over: a morning on which it did not run, a letter that told of it, one that waits for the server."""
    says = Words.of(N_("{stack} does not answer"), stack="Nextcloud")
    for days, minutes in ((3, 14), (19, 192)):
        begun = world.now - timedelta(days=days, hours=3)
        await world.store.open_alert("stack:nextcloud", "trouble", says, Words(""), begun)
        await world.store.close_alert("stack:nextcloud", begun + timedelta(minutes=minutes))
    subjects = {3: "gardien: Nextcloud does not answer", 0: "gardien: the practice in this week"}
    drafts = [
        Draft(f"<{days}@gardien>", Letter(subject, "", ""), world.now - timedelta(days=days, hours=3))
        for days, subject in subjects.items()
    ]
    await world.store.post(drafts, world.now - timedelta(days=3))
    newest, first = await world.store.letters()
    await world.store.mark_letter(first.id, sent=world.now - timedelta(days=3))
    error = Words.of(N_("cannot reach the mail server {host}"), host="mail.example.org")
    await world.store.mark_letter(newest.id, next_try=world.now + timedelta(minutes=20), error=error)
    world.logs = "\n".join(f"app-1  | 2026-03-03T08:{minute:02d}:11Z GET /status.php 200" for minute in range(40))


@asynccontextmanager
async def opened(furnishings: tuple[object, ...]) -> AsyncIterator[World]:
    """A house that answers on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        async with make_world(Path(folder), MORNING, PageSettings(port=port)) as world:
            for each in furnishings:
                done = each(world)  # type: ignore[operator]
                if isawaitable(done):
                    await done
            async with serve(world.house):
                yield world


def address(world: World) -> str:
    """Where its page is."""
    return f"http://127.0.0.1:{world.settings.page.port}"


async def dressed(browser: Browser, language: str, scheme: str, width: int) -> BrowserContext:
    """A browser of somebody who reads this language, in light or dark, on a screen so wide."""
    return await browser.new_context(
        viewport={"width": width, "height": 800 if width > 600 else 640},
        color_scheme=scheme,  # type: ignore[arg-type]
        locale={"en": "en-GB", "fr": "fr-FR"}[language],
    )


async def come_in(world: World, browser: Browser, language: str, scheme: str, width: int) -> BrowserContext:
    """A browser that is let in by a one-time link, as a person would be."""
    context = await dressed(browser, language, scheme, width)
    page = await context.new_page()
    await page.goto(f"{address(world)}/login/{await world.house.people.link()}")
    await page.locator("main button").click()
    await page.wait_for_url(lambda url: "/login" not in url)
    await page.close()
    return context


async def for_readme(browser: Browser) -> None:
    """The home page in both languages: all of it when all is well, the first screen when something is not."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name, furnishings, whole in (("home", (furnish, save), True), ("trouble", (furnish, worry), False)):
        async with opened(furnishings) as world:
            await world.house.people.set_password("owner", PASSWORD)
            for language, end in (("en", "png"), ("fr", "fr.png")):
                context = await come_in(world, browser, language, "light", 1280)
                page = await context.new_page()
                await page.goto(address(world))
                await page.screenshot(path=PICTURES / f"{name}.{end}", full_page=whole)
                await context.close()


def pages_of(mood: str, world: World) -> dict[str, str]:
    """What is worth a picture then, by its name."""
    pages = {
        "home": "/",
        "stack": "/stacks/nextcloud",
        "restore": "/stacks/nextcloud/restore",
        "restore-shown": "/stacks/nextcloud/restore?what=all&where=place&snapshot=" + world.snapshots[0].id,
        "month": "/stacks/nextcloud?days=30",
        "stop": "/stacks/notes/stop",
        "restart": "/stacks/notes/restart",
        "backups": "/backups",
        "jobs": "/jobs",
        "job": f"/jobs/{len(world.jobs)}",
        "account": "/account",
        "machine": "/machine",
        "alerts": "/alerts",
        "logs": "/stacks/nextcloud/logs?search=status&follow=1",
        "missing": "/stacks/nothing",
    }
    if mood == "bad":
        return {name: pages[name] for name in ("home", "stack", "backups", "job", "machine", "alerts", "logs")}
    if mood == "undone":
        return {"job": pages["job"]}
    if mood == "copied":
        return {name: pages[name] for name in ("stack", "backups")}
    if mood == "new":
        return {
            "home": "/",
            "stack": "/stacks/nextcloud",
            "fetching": f"/jobs/{len(world.jobs)}",
            "failed": f"/jobs/{len(world.jobs) - 1}",
            "updates": "/updates",
            "updates-of": "/stacks/nextcloud/updates",
            "run": "/stacks/nextcloud/updates/run",
            "back": "/stacks/nextcloud/updates/back",
            "skip": "/stacks/nextcloud/updates/skip",
            "none": "/stacks/notes/updates/run",
        }
    if mood == "life":
        return {
            "home": "/",
            "stack": "/stacks/notes",
            "unkept": "/stacks/wiki",
            "job": f"/jobs/{len(world.jobs)}",
            "offers": "/add",
            "add": "/add/meetings",
            "settings": "/stacks/notes/settings",
            "logs": "/stacks/notes/logs?service=app",
            "first-login": "/stacks/notes/first-login",
            "remove": "/stacks/nextcloud/remove",
            "certificate": "/certificate",
        }
    return pages


async def everything(browser: Browser, folder: Path, moods: Sequence[str]) -> None:
    """Every page, in both languages, light and dark, narrow and wide."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, draw in (("back", coming_back), ("set-up", being_set_up), ("people", among_people)):
        if not moods or name in moods:
            await draw(browser, folder)
    for mood, furnishings in (
        ("good", (furnish, measure, answer, save)),
        ("bad", (furnish, worry, remember)),
        ("life", (furnish, live_on)),
        ("copied", (furnish, copied)),
        ("new", (furnish, renew)),
        ("undone", (furnish, take_back)),
    ):
        if moods and mood not in moods:
            continue
        async with opened(furnishings) as world:
            pages = pages_of(mood, world)
            for language in ("en", "fr"):
                for scheme in ("light", "dark"):
                    for width in (320, 1280):
                        context = await come_in(world, browser, language, scheme, width)
                        page = await context.new_page()
                        for name, path in pages.items():
                            await page.goto(address(world) + path)
                            picture = folder / f"{mood}-{name}-{language}-{scheme}-{width}.png"
                            await page.screenshot(path=picture, full_page=True)
                            wider = await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
                            if wider:
                                print(f"{mood} {name} {language} {width}: wider than the window")
                        if mood == "life":
                            await pressed(world, page, folder, f"{language}-{scheme}-{width}")
                        await context.clear_cookies()
                        if mood == "good":
                            for name, path in (("login", "/login"), ("link", "/login/abc")):
                                await page.goto(address(world) + path)
                                await page.screenshot(path=folder / f"{name}-{language}-{scheme}-{width}.png")
                        await context.close()


async def coming_back(browser: Browser, folder: Path) -> None:
    """Every page there is, and the sheet."""
    async with practice() as made:
        for language, scheme, width in product(("en", "fr"), ("light", "dark"), (320, 1280)):
            context = await dressed(browser, language, scheme, width)
            page = await made.come_in(context)
            for name, path in {**made.every(), "sheet": "", "kit-confirm": "/kit"}.items():
                await (page.goto(made.address + path) if path else made.show_sheet(page))
                await page.screenshot(path=folder / f"back-{name}-{language}-{scheme}-{width}.png", full_page=True)
            await context.close()


async def being_set_up(browser: Browser, folder: Path) -> None:
    """The first run and the settings, from an empty machine on; in each dress anew, for each changes it."""
    for language, scheme, width in product(("en", "fr"), ("light", "dark"), (320, 1280)):
        with short_folder() as root:
            write_settings(root)
            async with quiet_house(root) as quiet:
                prepare(quiet)
                home = f"http://127.0.0.1:{quiet.house.settings.page.port}"
                context = await dressed(browser, language, scheme, width)
                page = await context.new_page()
                await page.goto(f"{home}/login/{await quiet.house.people.link()}")
                await page.locator("main button").click()
                for step in steps(root / "usb"):
                    await take(page, home, step)
                    await page.screenshot(path=folder / f"{step[0]}-{language}-{scheme}-{width}.png", full_page=True)
                await context.close()


async def among_people(browser: Browser, folder: Path) -> None:
    """The pages of people, tokens and the log; what a helper sees; and setting up a second factor."""
    for language, scheme, width in product(("en", "fr"), ("light", "dark"), (320, 1280)):
        await _among_people(browser, folder, language, scheme, width)


async def _among_people(browser: Browser, folder: Path, language: str, scheme: str, width: int) -> None:
    dress = f"{language}-{scheme}-{width}"
    async with opened((furnish, worry)) as world:
        people = world.house.people
        await people.set_password("owner", PASSWORD)
        context = await come_in(world, browser, language, scheme, width)
        page = await context.new_page()

        async def shoot(name: str, path: str | None = None) -> None:
            if path is not None:
                await page.goto(address(world) + path)
            await page.screenshot(path=folder / f"people-{name}-{dress}.png", full_page=True)
            if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                print(f"people {name} {dress}: wider than the window")

        await people.add("dominique", "owner")
        await page.goto(address(world) + "/people")
        await page.fill("#user", "anna")
        await page.locator("#invite + form input[value=backup]").check()
        await page.locator("#invite + form button").click()
        await shoot("invited")
        await page.goto(address(world) + "/tokens")
        await page.fill("#name", "monitor")
        await page.locator("#make + form button").click()
        await shoot("token-made")
        await people.note("anna", "page", Words.of(REFUSED, what=Words.of(DEEDS["/stacks/{name}/stop"])), refused=True)
        await people.note("anna", "page", Words.of(DEEDS["/backups"]), 3)
        await people.note("monitor", "token", Words.of(OF, what=Words.of(DEEDS["/backups"]), about="nextcloud"), 2)
        for name in ("tokens", "log", "account"):
            await shoot(name, f"/{name}")
        await page.locator("#set-up").click()
        await shoot("factor")
        secret = await page.locator("input[name=secret]").input_value()
        await page.fill("#code", pyotp.TOTP(secret).now())
        await page.locator("form.fields button").click()
        await shoot("spare-codes")
        await context.clear_cookies()
        await shoot("login", "/login")
        await page.fill("#user", "owner")
        await page.fill("#password", PASSWORD)
        await page.locator("main form button").click()
        await shoot("code")
        await context.clear_cookies()
        await page.goto(f"{address(world)}/login/{await people.link('anna')}")
        await page.locator("main button").click()
        for name, path in (("home", "/"), ("stack", "/stacks/nextcloud"), ("backups", "/backups"), ("no", "/kit")):
            await shoot(f"helper-{name}", path)
        await context.close()


async def pressed(world: World, page: Page, folder: Path, dress: str) -> None:
    """The pages that a form leads to."""

    async def press(name: str, path: str, *fill: tuple[str, str], button: str = "main form button") -> None:
        await page.goto(address(world) + path)
        for field, value in fill:
            await page.fill(f"#{field}", value)
        await page.locator(button).first.click()
        await page.wait_for_load_state()
        await page.screenshot(path=folder / f"life-{name}-{dress}.png", full_page=True)
        if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            print(f"life {name} {dress}: wider than the window")

    await press("add-wrong", "/add/meetings", ("APP_PORT", "x"), ("APP_CONTACT", "nobody"))
    await press("add-plan", "/add/meetings", ("APP_CONTACT", "praxis@example.org"))
    world.too_small = True
    await press("add-small", "/add/meetings")
    world.too_small = False
    await press("changes", "/stacks/notes/settings", ("APP_PORT", "8090"))
    await press("unchanged", "/stacks/notes/settings")
    world.handed_out.clear()
    await press("first-login-shown", "/stacks/notes/first-login")
    await press("first-login-again", "/stacks/notes/first-login")
    await press("remove-wrong", "/stacks/notes/remove", ("confirm", "Notes"), button="main form.fields button")
    world.no_backup = Refused(
        N_("no last backup of {stack} can be made before it goes: {why}"),
        N_("Set up a backup target, or remove it without: --no-backup."),
        stack="notes",
        why=Words.of(N_("cannot reach the backup target {target}"), target="box"),
    )
    await page.goto(f"{address(world)}/stacks/notes/remove")
    await page.screenshot(path=folder / f"life-remove-unsaved-{dress}.png", full_page=True)
    world.no_backup = None
    await page.goto(f"{address(world)}/certificate")
    for each in await page.locator("summary").all():
        await each.click()
    await page.screenshot(path=folder / f"life-certificate-open-{dress}.png", full_page=True)


async def main() -> None:
    """As the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    parser.add_argument("--mood", action="append", help="with --all: of these pages alone, such as `new`")
    said = parser.parse_args()
    folder = said.all
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        await (everything(browser, folder, said.mood or ()) if folder else for_readme(browser))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())

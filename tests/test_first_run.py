"""The first run, and the settings, by the browser alone: each form without scripts; and from an empty machine to an
application that runs and was saved, in chromium, on a real machine.
"""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Page as Browsed

from gardien.model.job import Job
from gardien.rules import kit as text
from gardien.rules.openssh import fingerprint
from gardien.services.recover import NOTE as RECOVERY
from tests.pictures import FLAGS
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings
from tests.setting_up import DONE, prepare, steps, take
from tests.test_axe import Walk, moody
from tests.test_kit_pages import Person
from tests.world import notes
from tests.world.box import Box, box, free_port
from tests.world.sftp import SftpHost
from tests.world.smtp import PostOffice, settled

PASSWORD = "four quiet words here"


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as made:
            task = asyncio.create_task(made.house.first_run.run())
            yield made
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def person(quiet: Quiet) -> AsyncIterator[Person]:
    """Somebody whom the one-time link let in; their scripts are off."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        made = Person(session, quiet.house.settings.page.port)
        assert (await made.sends(f"/login/{await quiet.house.people.link()}"))[0] == 303
        yield made


async def over(quiet: Quiet) -> list[Job]:
    """All jobs, once the first run begins no more."""
    async with asyncio.timeout(60):
        while await quiet.house.first_run.phase() == "going":
            if any(each.failed for each in await quiet.house.first_run.members()):
                break
            await asyncio.sleep(0.02)
    return await quiet.house.runner.jobs()


async def test_from_the_link_to_the_first_backup(person: Person, quiet: Quiet) -> None:
    house = quiet.house
    page = await person.reads("/first-run")
    assert "Welcome" in page and "I have a recovery sheet" in page
    assert (await person.sends("/account", ("new", PASSWORD), ("again", PASSWORD)))[0] == 303
    assert "This house is being set up" in await person.reads("/")

    page = await person.reads("/first-run/door")
    assert "home.arpa" in page
    status, page = await person.sends("/first-run/door", ("DOOR_MODE", "home"), ("DOOR_DOMAIN", "no domain!"))
    assert status == 400 and "marked below" in page and "no domain!" in page
    port = ("DOOR_HTTPS_PORT", "8443")
    assert (await person.sends("/first-run/door", ("DOOR_MODE", "home"), ("DOOR_DOMAIN", "practice.home.arpa"), port))[
        0
    ] == 303

    page = await person.reads("/first-run/stacks")
    assert "cloud.practice.home.arpa" in page and 'value="gateway"' not in page
    assert (await person.sends("/first-run/stacks"))[0] == 400
    status, page = await person.sends(
        "/first-run/stacks", ("stack", "nextcloud"), ("stack", "demo"), ("nextcloud.NEXTCLOUD_DOMAIN", "not one!")
    )
    assert status == 400 and page.count('aria-invalid="true"') == 1
    assert (await person.sends("/first-run/stacks", ("stack", "demo")))[0] == 303

    # Left, and gone on with by another life: all that was answered is there.
    await house.first_run.load()
    assert house.first_run.open and set(await house.first_run.stacks()) == {"demo"}

    page = await person.reads("/targets/box")
    assert "Try it now" in page
    assert (await person.sends("/targets/box/test"))[0] == 303
    page = await person.reads("/targets/box")
    assert "This place is ready" in page and "can delete old backups there" in page
    assert (await person.sends("/first-run/later", ("step", "letters")))[0] == 303
    assert (await person.sends("/first-run/later", ("step", "go")))[0] == 303
    await confirm_sheet(person)
    page = await person.reads("/first-run")
    assert page.count("step-mark calm") == 5 and 'id="next" href="/first-run/go"' in page

    assert "practice.home.arpa" in await person.reads("/first-run/go")
    assert (await person.sends("/first-run/go"))[0] == 303
    jobs = await over(quiet)
    done = [(job.plan.kind, job.plan.subject) for job in reversed(jobs) if job.plan.kind != "proof"]
    assert {job.state for job in jobs} == {"done"}
    assert done[0] == ("add", "gateway"), "the others are told of the door when they are laid out"
    assert sorted(done) == [(kind, stack) for kind in ("add", "backup") for stack in ("demo", "gateway")]
    page = await person.reads("/first-run")
    assert "your applications run, and are saved" in page and "Who gets letters" in page
    assert not house.first_run.open and "This house is being set up" not in await person.reads("/")


async def confirm_sheet(person: Person) -> None:
    """Print it, and type three groups back."""
    status, page = await person.sends("/kit", ("target", "box"), ("password", PASSWORD))
    assert status == 200
    lines = text.write(text.read(page))
    asked = re.findall(r"Line (\d+), group (\d)", await person.reads("/kit"))
    typed = [("group", lines[int(line) - 1].split()[int(group) - 1]) for line, group in asked]
    assert (await person.sends("/kit/confirm", ("target", "box"), *typed))[0] == 303


async def test_a_port_that_is_taken_is_said_where_it_is_chosen(person: Person, quiet: Quiet) -> None:
    """Not after all was answered, by a job that fails."""
    names = (("DOOR_MODE", "home"), ("DOOR_DOMAIN", "practice.home.arpa"))
    quiet.host.taken |= {443: "nginx", 8090: "another"}
    status, page = await person.sends("/first-run/door", *names)
    assert status == 400 and "Port 443 is taken by another program on this machine" in page
    assert page.count('aria-invalid="true"') == 1 and "practice.home.arpa" in page
    assert (await person.sends("/first-run/door", *names, ("DOOR_HTTPS_PORT", "8443")))[0] == 303
    for port, why in (("8090", "is taken by another program"), ("8443", "is chosen twice")):
        status, page = await person.sends("/first-run/stacks", ("stack", "demo"), ("demo.DEMO_PORT", port))
        assert status == 400 and why in page and page.count('aria-invalid="true"') == 1
        assert f'value="{port}"' in page and 'value="demo" checked' in page, "what was typed is kept"
    assert (await person.sends("/first-run/stacks", ("stack", "demo"), ("demo.DEMO_PORT", "8091")))[0] == 303


async def test_what_fails_is_said_and_tried_again(person: Person, quiet: Quiet) -> None:
    house = quiet.house
    await person.sends("/first-run/door", ("none", "yes"))
    await person.sends("/first-run/stacks", ("stack", "demo"))
    images = set(quiet.docker.registry)
    quiet.docker.registry.clear()
    assert (await person.sends("/first-run/go"))[0] == 303
    await over(quiet)
    page = await person.reads("/first-run")
    assert "Something did not work out" in page and 'id="again"' in page
    quiet.docker.registry |= images
    await house.targets.init("box")
    assert (await person.sends("/first-run/go"))[0] == 303
    await over(quiet)
    assert "Runs, and is saved" in await person.reads("/first-run")


async def test_a_house_with_applications_has_no_first_run(quiet: Quiet) -> None:
    house = quiet.house
    assert house.first_run.open
    await house.runner.wait(await house.life.add("demo", {}))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        made = Person(session, house.settings.page.port)
        await made.sends(f"/login/{await house.people.link()}")
        assert "being set up" not in await made.reads("/")


# -- the recovery sheet in a browser


async def test_a_sheet_is_looked_at_over_a_private_line_alone(person: Person, quiet: Quiet) -> None:
    await quiet.house.targets.init("box")
    made = await quiet.house.kits.make("box")
    lines = "\n".join(text.write(made.kit))
    secret = text.write(made.kit)[1]
    status, page = await person.sends(
        "/first-run/recover", ("sheet", lines.replace(lines[0], "0" if lines[0] != "0" else "1", 1))
    )
    assert status == 400 and "Line 1 is not right" in page
    status, page = await person.sends("/first-run/recover", ("sheet", lines))
    assert (
        status == 200
        and "The key opens the backups of" in page
        and secret not in page
        and made.kit.passphrase not in page
    )
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        session.headers["X-Forwarded-For"] = "192.0.2.1"  # somebody hands our words on
        far = Person(session, quiet.house.settings.page.port)
        await far.sends(f"/login/{await quiet.house.people.link()}")
        for path in ("/first-run/recover", "/first-run/recover/go"):
            status, page = await far.sends(path, ("sheet", lines), ("token", "x"))
            assert status == 400 and "others could read along" in page and "<textarea" not in page
    status, page = await person.sends("/first-run/recover/go", ("token", "guessed"))
    assert status == 400 and "typed too long ago" in page


async def test_what_did_not_come_back_is_tried_again(person: Person, quiet: Quiet) -> None:
    house = quiet.house
    await house.targets.init("box")
    await house.runner.wait(await house.life.add("demo", {}))
    await house.runner.wait(await house.backups.create("demo"))
    assert (await house.runner.wait(await house.life.remove("demo", with_data=True))).state == "done"
    assert (await person.sends("/first-run/recover/again"))[0] == 400, "nothing was taken over"
    note = {"machine": house.settings.name, "target": "box", "repository": "", "stacks": ["demo"], "ready": True}
    begun = house.people.now().isoformat()
    await house.store.note(RECOVERY, json.dumps({**note, "begun": begun, "queued": True}))
    page = await person.reads("/first-run/recover/go")
    assert "Not everything is back yet." in page and "Its restore could not begin" in page
    assert (await person.sends("/first-run/recover/again"))[0] == 303
    for job in await house.runner.jobs():
        await house.runner.wait(job.id)
    page = await person.reads("/first-run/recover/go")
    assert "Everything is back." in page and "Is back, and answers" in page and "must stay off" in page


# -- settings, without scripts


MAIL = (
    ("mail.to", "owner@practice.example, friend@helper.example"),
    ("mail.from", "gardien@practice.example"),
    ("mail.host", "mail.example"),
    ("mail.port", "587"),
    ("mail.security", "starttls"),
    ("mail.user", "owner"),
    ("mail.weekly", "yes"),
)


async def test_letters_are_set_shown_and_taken_back(person: Person, quiet: Quiet) -> None:
    house, file = quiet.house, quiet.house.settings.folders.owner.with_name("gardien.yaml")
    before = file.read_text()
    assert "writes to nobody yet" in await person.reads("/settings")
    status, page = await person.sends("/settings/letters", *MAIL[1:], ("mail.to", "nobody"))
    assert status == 400 and "Write a mail address" in page and 'aria-invalid="true"' in page
    status, page = await person.sends("/settings/letters", *MAIL[:2], *MAIL[3:], ("mail.host", "mail.exampel"))
    assert status == 400 and "No machine called mail.exampel is known" in page and 'value="mail.exampel"' in page
    status, page = await person.sends("/settings/letters", *MAIL, ("password", "very secret"))
    assert status == 200 and "mail.example" in page and "very secret" not in page and file.read_text() == before
    fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
    status, page = await person.sends("/settings/letters", *fields, ("back", "1"))
    assert status == 200 and 'value="mail.example"' in page
    assert (await person.sends("/settings/letters", *fields, ("go", "1")))[0] == 303
    assert quiet.begun_anew and "monthly: false" in file.read_text() and "very secret" not in file.read_text()
    assert await quiet.files.read(house.settings.mail_password) == "very secret\n"
    assert "-mail:" in await person.reads("/settings/back")
    assert (await person.sends("/settings/back"))[0] == 303
    assert file.read_text() == before


async def test_times_updates_and_language_are_set(person: Person, quiet: Quiet) -> None:
    file = quiet.house.settings.folders.owner.with_name("gardien.yaml")
    for section, fields, says, written in (
        (
            "schedules",
            (("backup.at:how", "weekly"), ("backup.at:day", "friday"), ("backup.at:time", "04:15")),
            "Every Friday at 04:15",
            "at: weekly on friday at 04:15",
        ),
        ("schedules", (("targets.box.at:how", "hourly"),), "Every hour", "at: hourly"),
        (
            "updates",
            (
                ("updates.look", "yes"),
                ("updates.window:day", "daily"),
                ("updates.window:begin", "01:00"),
                ("updates.window:end", "02:00"),
            ),
            "Every day from 01:00 to 02:00",
            "window: daily 01:00-02:00",
        ),
        ("language", (("language", "fr"),), "Français", "language: fr"),
    ):
        await person.reads(f"/settings/{section}")
        status, page = await person.sends(f"/settings/{section}", *fields)
        assert status == 200 and says in page, section
        again = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
        assert (await person.sends(f"/settings/{section}", *again, ("go", "1")))[0] == 303
        assert written in file.read_text()
    status, page = await person.sends("/settings/schedules")
    assert status == 400 and "nothing would change" in page.lower()


async def test_a_place_is_added_and_removed(person: Person, quiet: Quiet, tmp_path: Path) -> None:
    page = await person.reads("/targets")
    assert "Hetzner Storage Box" in page and "Germany" in page
    page = await person.reads("/targets/new/disk")
    assert "/mnt/usb/gardien" in page
    status, page = await person.sends("/targets/new/disk", ("name", "Usb Disk"), ("folder", str(tmp_path / "usb")))
    assert status == 400 and "cannot be a name" in page
    fields = (("name", "usb"), ("folder", str(tmp_path / "usb")))
    status, page = await person.sends("/targets/new/disk", *fields)
    assert status == 200 and "nobody else runs it" in page and "What will happen" in page
    assert (await person.sends("/targets/new/disk", *fields, ("go", "1")))[0] == 303
    assert "This place is ready" in await person.reads("/targets/usb")
    status, page = await person.sends("/targets/usb/remove", ("confirm", "disk"))
    assert status == 400 and "usb" in quiet.house.settings.targets
    assert (await person.sends("/targets/usb/remove", ("confirm", "usb")))[0] == 303
    assert "usb" not in quiet.house.settings.targets


# -- in a browser


async def test_whoever_sets_a_house_up_can_see_and_reach_everything(quiet: Quiet, tmp_path: Path) -> None:
    """By axe, in chromium; each page in one dress, or in all: GARDIEN_FULL."""
    prepare(quiet)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        walk = Walk(browser, f"http://127.0.0.1:{quiet.house.settings.page.port}", quiet.house)
        for number, step in enumerate((*steps(tmp_path), DONE)):
            if step is DONE:
                await over(quiet)
            for dress in moody(number):
                page = await walk.page(dress)
                await take(page, walk.home, step)
                await walk.look(page, step[0], dress)
        await walk.leave()
        await browser.close()
    assert not walk.found, "\n".join(walk.found)


# -- in a browser, on a real machine


@pytest.fixture
def machine() -> Iterator[Box]:
    """An empty machine: no target, no application, no letters; an application of the owner's own can be added."""
    with box() as made:
        made.settings["targets"] = {}
        made.save_settings()
        notes.lay_out(made)
        made.start()
        yield made
        made.stop()


@pytest.mark.world
@pytest.mark.parametrize("scripts", [True, False] if os.environ.get("GARDIEN_FULL") else [True])
def test_an_empty_machine_becomes_a_house_by_the_browser_alone(machine: Box, tmp_path: Path, scripts: bool) -> None:
    """And when it is lost, another empty one takes its place, by the browser and the sheet alone."""
    with (
        SftpHost(tmp_path / "host") as host,
        PostOffice(tmp_path / "post", "none") as office,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = comes_in(browser, machine, scripts)
        choose(page)
        page.context.close()  # left at the third step, and gone on with another day, on another device
        machine.stop()
        machine.start()
        page = newcomer(browser, scripts)
        page.goto(f"http://127.0.0.1:{machine.page_port}/login")
        page.fill("#password", PASSWORD)
        page.click("main form button")
        page.click("#to-first-run")
        lines = set_up(page, host, office)
        if not scripts:  # and the power goes, in the middle of it
            machine.stop(signal.SIGKILL)
            machine.start()
            page.goto(page.url)
        settled(office, 1)
        assert "arrive" in str(office.taken[0]["Subject"])
        expect(page.locator("h1")).to_have_text(re.compile("your applications run, and are saved"), timeout=180_000)
        page.click("#home")
        expect(page.locator("#to-first-run")).to_have_count(0)
        expect(page.locator(".card", has_text="Notes notes").first).to_contain_text("Running well", timeout=30_000)
        it_is_a_house(machine, {"done"} if scripts else {"done", "interrupted"})
        (machine.data / "notes/srv/letter.txt").write_text("to whom it may concern")
        machine.gardien("backup", "create", "notes")
        page.context.close()

        machine.stop()
        for stack in ("notes", "gateway"):
            machine.compose(stack, "down")
        with box() as new:
            new.settings["targets"] = {}
            new.settings["name"] = "gardien"
            new.save_settings()
            new.start()
            page = comes_in(browser, new, scripts)
            takes_over(page, lines)
            assert new.health("notes") == "well" and new.json("kit", "status")[0]["good"]
            assert (new.data / "notes/srv/letter.txt").read_text() == "to whom it may concern"
            settings = new.config.read_text()
            assert settings.startswith("name: test-box") and "host: localhost" in settings, "letters go on"
            new.stop()
        browser.close()


def newcomer(browser: Browser, scripts: bool) -> Browsed:
    page = browser.new_context(locale="en-GB", java_script_enabled=scripts).new_page()
    page.set_default_timeout(60_000)
    return page


def comes_in(browser: Browser, machine: Box, scripts: bool) -> Browsed:
    """By the link that the installer prints; that leads to the first run."""
    page = newcomer(browser, scripts)
    page.goto(machine.gardien("user", "link").stdout.split()[-1])
    page.click("main button")
    page.wait_for_url("**/first-run")
    return page


def it_is_a_house(machine: Box, ends: set[str]) -> None:
    assert machine.health("notes") == "well"
    [target] = machine.json("target", "list")
    assert set(target["newest_good"]) == {"gateway", "notes"} and target["can_delete"] is True
    assert {job["state"] for job in machine.until_jobs_end()} <= ends
    assert machine.json("kit", "status")[0]["good"]
    settings = machine.config.read_text()
    assert "host: localhost" in settings and settings.startswith("name: test-box")


def takes_over(page: Browsed, lines: Sequence[str]) -> None:
    """With the sheet in the hand: a slip of the pen first, then as it is written."""
    page.click("#have-sheet")
    wrong = lines[0][:-1] + ("0" if lines[0][-1] != "0" else "1")
    page.fill("#sheet", "\n".join((wrong, *lines[1:])))
    page.click("#look")
    expect(page.locator("[role=alert]")).to_contain_text("Line 1 is not right")
    kept = page.input_value("#sheet")
    assert kept.split() == "\n".join((wrong, *lines[1:])).split(), "it need not be typed again"
    page.fill("#sheet", "\n".join(lines).lower())
    page.click("#look")
    expect(page.locator("main")).to_contain_text("notes")
    page.click("#take-over")
    assert page.locator("[role=alert]").all_inner_texts() == []
    expect(page.locator("h1")).to_have_text("Everything is back. This machine is test-box now.", timeout=180_000)
    expect(page.locator("main")).to_contain_text("The old machine must stay off")
    page.click("#home")
    expect(page.locator(".card", has_text="Notes notes").first).to_contain_text("Running well", timeout=30_000)


def choose(page: Browsed) -> None:
    """A password, the names, the applications."""
    page.click("#next")
    page.fill("#new", PASSWORD)
    page.fill("#again", PASSWORD)
    page.click("main .fields button")
    page.click("#to-first-run")

    page.click("#next")
    page.click("summary")
    page.fill("#DOOR_HTTP_PORT", str(free_port()))
    page.fill("#DOOR_HTTPS_PORT", str(free_port()))
    page.click("#keep")

    page.click("#next")
    page.check("#choose-notes")
    page.click("#more-notes summary")
    page.fill("[name='notes.NOTES_PORT']", str(free_port()))
    page.click("#keep")


def set_up(page: Browsed, host: SftpHost, office: PostOffice) -> Sequence[str]:
    """As somebody would who reads what the page says, and presses its next button; the lines of the sheet."""
    page.click("#next")
    page.click("#preset-sftp")
    for name, value in (("host", host.address), ("port", str(host.port)), ("user", host.user), ("folder", "backups")):
        page.fill(f"#{name}", value)
    page.click("main .fields button")
    page.check(f"[name=fingerprint][value='{fingerprint(host.host_key_line)}']")
    page.click("button[name=go]")
    line = page.inner_text("#key-line")
    assert line.startswith("ssh-ed25519 ")
    host.let_in(line)
    page.click("#try-now")
    page.click("#on")

    page.click("#next")
    for name, value in (("to", "owner@practice.example"), ("from", "gardien@practice.example"), ("host", "localhost")):
        page.fill(f"[name='mail.{name}']", value)
    page.fill("[name='mail.port']", str(office.port))
    page.check("[name='mail.security'][value=none]")
    page.click("main .fields button")
    page.click("button[name=go]")
    page.goto(page.url.replace("/first-run", "/settings"))
    page.click("#test-letter")
    page.click("#to-first-run")

    page.click("#next")
    page.fill("#password", PASSWORD)
    page.click("#make button")
    lines = text.write(text.read(page.content()))
    page.click("main .actions a")
    for number, label in enumerate(page.locator("#confirm label").all_inner_texts(), 1):
        at = [int(each) for each in re.findall(r"\d+", label)]
        page.fill(f"#group{number}", lines[at[0] - 1].split()[at[1] - 1])
    page.click("#confirm button")
    page.click("#to-first-run")

    page.click("#next")
    page.click("#go")
    return lines

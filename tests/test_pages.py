"""What the pages say, what their buttons do, what moves on them, and that nobody's text ever becomes part of them."""

import asyncio
import gzip
import logging
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer
from playwright.async_api import Browser, Page, async_playwright

from gardien.errors import BadInput, Refused, TargetUnreachable
from gardien.faces import live, pages
from gardien.faces.screen import preferred, prose, web_address
from gardien.faces.server import make_app
from gardien.model.health import Disk
from gardien.model.job import Progress
from gardien.model.manifest import Text
from gardien.model.operator import Operator
from gardien.model.overview import Overview
from gardien.model.target import Care
from gardien.words import N_, Words
from tests.faces_world import CERTIFICATE, GB, World, make_world, question, recipe_of
from tests.pictures import FLAGS, come_in, furnish, live_on, opened, save, worry

Client = TestClient[web.Request, web.Application]
NASTY = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>&{{7*7}}"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        yield world


@asynccontextmanager
async def visitor(world: World) -> AsyncIterator[Client]:
    """A browser without scripts that is logged in."""
    async with TestClient(TestServer(make_app(world.house))) as client:
        await press(client, f"/login/{await world.house.people.link()}")
        yield client


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with visitor(world) as client:
        yield client


async def press(client: Client, path: str, **data: str) -> ClientResponse:
    """Press a button."""
    headers = {"Origin": str(client.make_url("/")).rstrip("/")}
    return await client.post(path, data=data, headers=headers, allow_redirects=False)


class Reader(HTMLParser):
    """Reads a page as a person does; fails on a page that is not well nested."""

    VOID = frozenset({"meta", "link", "input", "img", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def forms(self) -> set[str]:
        """Where buttons lead."""
        return {attrs["action"] or "" for tag, attrs in self.tags if tag == "form" and "action" in attrs}

    def links(self) -> set[str]:
        return {attrs["href"] or "" for tag, attrs in self.tags if tag == "a"}


async def answer(client: Client, path: str, status: int = 200, /, **data: str) -> Reader:
    """Send a form that leads to a page, and read it."""
    response = await press(client, path, **data)
    assert response.status == status, await response.text()
    return Reader(await response.text())


async def read(client: Client, path: str, status: int = 200, language: str = "en") -> Reader:
    """Open a page."""
    async with client.get(path, headers={"Accept-Language": language}) as response:
        assert response.status == status
        assert response.content_type == "text/html"
        return Reader(await response.text())


# -- home


async def test_an_empty_house_says_what_to_do(world: World, client: Client) -> None:
    world.says = Words.of(N_("gardien is ready; no application has been added yet."))
    page = await read(client, "/")
    assert "Gardien is ready; no application has been added yet." in page.text
    assert "There is no application here yet." in page.text
    assert "/add" in page.links()
    assert "Nothing was done yet." in page.text


async def test_home_says_how_everything_is(world: World, client: Client) -> None:
    furnish(world)
    page = await read(client, "/")
    for sentence in (
        "All is well Everything runs, and everything is saved. Seen 20 seconds ago",
        "Nextcloud Files, calendar and contacts, in place of Google Drive or OneDrive. Running well Last proven",
        "1 min 52 s Saved",
        "· 7 hours ago",
        "Next backup",
        "Your files /srv/gardien 412 GB free of 1 TB",
        "Backup of Notes Done",
    ):
        assert sentence in page.text, sentence
    assert "http://practice.local:8080/" in page.links()
    assert {"/stacks/nextcloud/backup", "/stacks/notes/backup"} <= page.forms()


async def test_home_speaks_french_with_french_plurals(world: World, client: Client) -> None:
    furnish(world)
    worry(world)
    page = await read(client, "/", language="fr-CH, fr;q=0.9, en;q=0.8")
    for sentence in (
        "Besoin de vous Quelque chose a besoin de vous : Nextcloud n’a pas été sauvé depuis trop longtemps. Vu il y a",
        "Fichiers, agenda et contacts",
        "· il y a 3 jours · depuis trop longtemps",
        "ne compte pas : 1 fichier n’a pas pu être lu.",
        "31 Go libres sur 1 To presque plein",
        "Sauvegarder Nextcloud maintenant",
    ):
        assert sentence in page.text, sentence
    world.stacks[0] = replace(
        world.stacks[0],
        newest=replace(world.snapshots[0], good=False, why=Words.of(N_("{count} files could not be read"), count=2)),
    )
    assert "2 fichiers n’ont pas pu être lus." in (await read(client, "/", language="fr")).text
    english = await read(client, "/")
    assert "2 files could not be read." in english.text


async def test_home_knows_no_jargon(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    for language, words in (("en", "container snapshot repository stack"), ("fr", "conteneur instantané dépôt stack")):
        page = await read(client, "/", language=language)
        for word in words.split():
            assert word not in page.text.lower()


async def test_home_says_when_nobody_looked_for_long(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    world.seen = world.now - timedelta(minutes=3)
    assert "What you see here is old" not in (await read(client, "/")).text
    world.seen = world.now - timedelta(minutes=12)
    assert "What you see here is old: gardien has not looked for 12 min" in (await read(client, "/")).text


async def test_an_alert_brings_the_button_that_helps(world: World, client: Client) -> None:
    furnish(world)
    worry(world)
    world.add_alert("stack:notes", "trouble", Words.of("x"), Words.of(""))
    world.add_alert("job:backup:nextcloud", "notice", Words.of("x"), Words.of(""))
    page = await read(client, "/")
    assert "Back up Nextcloud now" in page.text
    assert "Start Notes" in page.text
    assert {"/stacks/nextcloud/backup", "/stacks/notes/start"} <= page.forms()
    assert "See what happened" in page.text
    assert "gardien backup create nextcloud --target offsite" in page.words


async def test_a_running_job_shows_how_far_it_is(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    page = await read(client, "/")
    assert (
        "Save the files while people go on working. Step 2 of 8 41% 26 GB of 63.4 GB 92 MB/s about 7 minutes left"
        in page.text
    )
    assert "/stacks/nextcloud/backup" not in page.forms()  # it is being done
    assert "/stacks/notes/backup" in page.forms()
    bars = [attrs for tag, attrs in page.tags if attrs.get("role") == "progressbar"]
    assert [bar["aria-valuenow"] for bar in bars] == ["41"]


async def test_a_page_without_scripts_reloads_itself_while_something_runs(world: World, client: Client) -> None:
    furnish(world)
    refresh = ("meta", {"http-equiv": "refresh", "content": "5"})
    assert refresh not in (await read(client, "/")).tags
    save(world)
    for path in ("/", "/stacks/nextcloud", "/backups", "/jobs", f"/jobs/{len(world.jobs)}"):
        assert refresh in (await read(client, path)).tags, path
    assert refresh not in (await read(client, "/jobs/1")).tags


async def test_home_is_light(world: World, client: Client) -> None:
    """Everything a first visit fetches, in bytes."""
    furnish(world)
    save(world)
    worry(world)
    weight = 0
    html = await (await client.get("/")).read()
    assets = re.findall(rb'(?:src|href)="(/static/[^"]+)"', html)
    assert len(assets) == 5
    for asset in assets:
        async with client.get(asset.decode(), headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            weight += int(response.headers["Content-Length"])
    assert weight + len(html) < 60 * 1024


# -- a stack


async def test_a_stack_shows_its_backups(world: World, client: Client) -> None:
    furnish(world)
    page = await read(client, "/stacks/nextcloud")
    assert "Runs and answers. For 3 days" in page.text
    assert "Good box 48,213 63.4 GB 212 MB 11 s Look inside Restore…" in page.text
    assert "Incomplete 3 files could not be read. box 48,089" in page.text
    assert len([link for link in page.links() if "restore?snapshot=" in link]) == 8
    assert f"/stacks/nextcloud/restore?snapshot={world.snapshots[4].id}" not in page.links()
    assert page.forms() == {"/language", *(f"/stacks/nextcloud/{verb}" for verb in ("backup", "drill"))}
    verbs = ("stop", "restart", "restore", "settings", "logs", "first-login", "remove")
    assert {f"/stacks/nextcloud/{verb}" for verb in verbs} <= page.links()


async def test_a_stack_without_backups_says_so(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    page = await read(client, "/stacks/notes")
    assert "There is no backup yet." in page.text
    assert not any("restore" in link for link in page.links())


async def test_a_stopped_stack_can_be_started(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes", health="stopped", says=N_("is stopped, as you wished"), address="http://x/")
    for path in ("/", "/stacks/notes"):
        page = await read(client, path)
        assert "Switched off" in page.text
        assert "/stacks/notes/start" in page.forms()
    assert "/stacks/notes/stop" not in page.links()


@pytest.mark.parametrize("verb", ["backup", "start", "stop", "restart", "mend"])
async def test_a_button_starts_a_job_and_shows_it(world: World, client: Client, verb: str) -> None:
    world.add_stack("notes", "Notes")
    response = await press(client, f"/stacks/notes/{verb}")
    assert (response.status, response.headers["Location"]) == (303, "/jobs/1")
    assert world.done == [(verb, "notes")]
    page = await read(client, "/jobs/1")
    assert "Waiting its turn" in page.text


async def test_stopping_is_asked_first(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    page = await read(client, "/stacks/notes/stop")
    assert "Switch off Notes?" in page.text
    assert "What will happen 1 Stop the application." in page.text
    assert world.done == []


async def test_a_restore_is_shown_step_by_step_first(world: World, client: Client) -> None:
    furnish(world)
    page = await read(client, "/stacks/nextcloud/restore")
    assert "1. What shall come back?" in page.text and "2. From when?" in page.text and "3. Where to?" in page.text
    page = await read(client, f"/stacks/nextcloud/restore?what=all&snapshot={world.snapshots[0].id}&where=place")
    assert "Restore Nextcloud? It goes back to how it was" in page.text
    assert "48,213 files, 63.4 GB." in page.text
    assert "1 Find the backup and see that there is room for it." in page.text
    chosen = world.snapshots[2]
    page = await read(client, f"/stacks/nextcloud/restore?snapshot={chosen.id}")
    assert "48,151 files" in page.text
    assert ("input", {"type": "hidden", "name": "snapshot", "value": chosen.id}) in page.tags
    assert world.done == []
    response = await press(client, "/stacks/nextcloud/restore", snapshot=chosen.id)
    assert response.status == 303
    assert world.done == [("restore", "nextcloud", chosen.id, "False")]


async def test_a_restore_onto_a_new_disk_is_offered_where_the_old_one_is_missing(world: World, client: Client) -> None:
    furnish(world)
    job = world.add_job("restore", "nextcloud", "failed", says=Words.of("x"), code="disk-missing")
    assert "/stacks/nextcloud/restore?new_disk=1" in (await read(client, f"/jobs/{job.id}")).links()
    page = await read(client, "/stacks/nextcloud/restore?new_disk=1")
    assert "The disk is taken to be new." in page.text
    await press(client, "/stacks/nextcloud/restore", snapshot=world.snapshots[0].id, new_disk="1")
    assert world.done == [("restore", "nextcloud", world.snapshots[0].id, "True")]


# -- adding one


ANSWERS = {"APP_DOMAIN": "app.home.arpa", "APP_PORT": "8080", "APP_GUESTS": "closed", "APP_CONTACT": ""}


def fields(page: Reader) -> dict[str, str]:
    """What stands in a page's forms: texts, hidden values, and what is ticked."""
    return {
        attrs["name"] or "": attrs.get("value") or ""
        for tag, attrs in page.tags
        if tag == "input" and "name" in attrs and (attrs.get("type") not in ("radio", "checkbox") or "checked" in attrs)
    }


async def test_what_can_be_added_is_shown_with_what_it_takes(world: World, client: Client) -> None:
    furnish(world)
    live_on(world)
    page = await read(client, "/add")
    assert "Meetings Video meetings, in place of Zoom or Teams. It needs about 1.2 GB of memory, 2.5 GB" in page.text
    assert {"/add/meetings"} == {link for link in page.links() if link.startswith("/add/")}, "others are here already"
    assert "own Cannot use /etc/gardien/stacks/own/compose.yaml: there are mistakes in it." in page.text
    assert "compose.yaml:3: services.app" in page.text
    world.recipes.pop("meetings")
    world.broken.clear()
    assert "Everything that can be added is here already." in (await read(client, "/add")).text
    assert (await client.get("/add/nothing")).status == 404


async def test_a_stack_is_added_from_the_page(world: World, client: Client) -> None:
    furnish(world)
    live_on(world)
    page = await read(client, "/add/meetings", language="fr")
    asked = {name: value for name, value in fields(page).items() if name != "next" and name.isupper()}
    assert asked == ANSWERS
    assert "Qui peut entrer" in page.text and "quiconque connaît l’adresse" in page.text
    required = {attrs["name"] for tag, attrs in page.tags if tag == "input" and "required" in attrs}
    assert required == {"APP_DOMAIN", "APP_PORT"}, "what is empty by default may stay empty"

    plan = await answer(client, "/add/meetings", **ANSWERS | {"APP_PORT": " 8123 ", "APP_GUESTS": "open"})
    assert "Add Meetings?" in plan.text and "Port on this machine 8123" in plan.text
    assert "Who may come in whoever knows the address Whom people may write to empty" in plan.text
    assert "What will happen 1 See that the programs are here" in plan.text
    assert world.done == [], "nothing is done before it was shown"

    chosen = {name: value for name, value in fields(plan).items() if name.isupper()}
    again = await answer(client, "/add/meetings", **chosen, back="1")
    assert fields(again)["APP_PORT"] == "8123" and fields(again)["APP_GUESTS"] == "open"
    response = await press(client, "/add/meetings", **chosen, go="1")
    assert (response.status, response.headers["Location"]) == (303, f"/jobs/{len(world.jobs)}")
    given = ["APP_DOMAIN=app.home.arpa", "APP_PORT=8123", "APP_GUESTS=open", "APP_CONTACT="]
    assert world.done == [("add", "meetings", *given, "False")]


async def test_wrong_answers_are_marked_each_where_it_stands(world: World, client: Client) -> None:
    world.recipes["meetings"] = recipe_of("meetings", "Meetings")
    wrong = ANSWERS | {"APP_PORT": "80800", "APP_CONTACT": "nobody", "APP_GUESTS": "some"}
    page = await answer(client, "/add/meetings", 400, **wrong)
    marked = {
        attrs["name"]: attrs for tag, attrs in page.tags if tag == "input" and attrs.get("aria-invalid") == "true"
    }
    assert set(marked) == {"APP_PORT", "APP_CONTACT"}
    assert "APP_PORT-wrong" in (marked["APP_PORT"]["aria-describedby"] or "")
    assert fields(page)["APP_PORT"] == "80800", "what was typed is still there"
    assert "APP_PORT must be a number" in page.text and "APP_GUESTS must be one of: closed, open" in page.text
    assert (await press(client, "/add/meetings", **wrong, go="1")).status == 400
    assert world.done == []


async def test_a_machine_that_seems_too_small_can_be_overruled(world: World, client: Client) -> None:
    world.recipes["meetings"] = recipe_of("meetings", "Meetings")
    assert "anyway" not in str((await read(client, "/add/meetings")).tags)
    world.too_small = True
    page = await answer(client, "/add/meetings", 400, **ANSWERS)
    assert "Meetings needs 9000 MB on the disk." in page.text.replace("meetings", "Meetings")
    assert "The machine will do: add it all the same" in page.text
    wrong = await answer(client, "/add/meetings", 400, **ANSWERS | {"APP_PORT": "x"})
    assert "The machine will do" not in wrong.text, "that would not help here"
    plan = await answer(client, "/add/meetings", **ANSWERS, anyway="1")
    assert fields(plan)["anyway"] == "1"
    assert (await press(client, "/add/meetings", **ANSWERS, anyway="1", go="1")).status == 303
    assert world.done[0][-1] == "True"


async def test_what_cannot_be_opened_without_a_door_says_so(world: World, client: Client) -> None:
    routes = [{"name": "APP_DOMAIN", "to": "app:80"}]
    world.recipes["meetings"] = recipe_of("meetings", "Meetings", routes=routes)
    assert "this house has no door yet." in (await read(client, "/add/meetings")).text
    door = dict.fromkeys(("config", "page", "root"), "data") | dict.fromkeys(
        ("domain", "http_port", "https_port", "email", "authority"), "APP_PORT"
    )
    commands = {"check": ["x"], "reload": ["x"]}
    world.recipes["porch"] = recipe_of(
        "porch", "Porch", door={**door, **commands, "service": "app", "mode": "APP_GUESTS"}
    )
    page = await read(client, "/add/meetings")
    assert "Add the door first" in page.text and "/add/porch" in page.links()
    world.root = CERTIFICATE
    assert "this house has no door yet" not in (await read(client, "/add/meetings")).text


# -- its settings


async def test_settings_are_shown_compared_and_changed(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    world.chosen["notes"] = {"APP_PORT": "8100", "APP_GUESTS": "open"}
    page = await read(client, "/stacks/notes/settings")
    now = {name: value for name, value in fields(page).items() if name.isupper()}
    assert now == ANSWERS | world.chosen["notes"]
    assert "APP_CORES 4" in page.text and "APP_IMAGE docker.io/example/app:1.2.3" in page.text

    page = await answer(client, "/stacks/notes/settings", **now | {"APP_PORT": "8200", "APP_GUESTS": "closed"})
    assert "Port on this machine Now: 8100 Then: 8200" in page.text
    assert "Now: whoever knows the address Then: only those who have an account" in page.text
    assert "Under which name" not in page.text, "what stays is not shown"
    assert world.done == []
    then = {name: value for name, value in fields(page).items() if name.isupper()}
    again = await answer(client, "/stacks/notes/settings", **then, back="1")
    assert fields(again)["APP_PORT"] == "8200"
    response = await press(client, "/stacks/notes/settings", **then, go="1")
    assert (response.status, response.headers["Location"]) == (303, "/jobs/1")
    assert world.done == [("set", "notes", "APP_PORT=8200", "APP_GUESTS=closed")]


async def test_settings_that_are_wrong_or_the_same_change_nothing(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    page = await answer(client, "/stacks/notes/settings", 400, **ANSWERS, go="1")
    assert "Nothing would change for notes." in page.text
    page = await answer(client, "/stacks/notes/settings", 400, **ANSWERS | {"APP_DOMAIN": "-x", "APP_PORT": ""}, go="1")
    assert "APP_DOMAIN must be a domain name" in page.text and fields(page)["APP_DOMAIN"] == "-x"
    assert world.done == []


# -- what is not as it should be


async def test_what_is_never_backed_up_says_so_plainly(world: World, client: Client) -> None:
    world.add_stack("wiki", "Wiki", kept=False)
    for path in ("/", "/stacks/wiki"):
        page = await read(client, path)
        assert "Not backed up yet · gardien does not know what must be saved of it" in page.text
        assert "Not saved yet" not in page.text and "Next backup" not in page.text
        assert "/stacks/wiki/backup" not in page.forms()
    page = await read(client, "/stacks/wiki")
    assert "It is not backed up yet: gardien runs it" in page.text and "There is no backup yet" not in page.text
    page = await read(client, "/stacks/wiki/remove")
    assert "Delete its files" not in page.text and "no_backup" not in fields(page)


async def test_what_was_changed_by_hand_is_told_and_put_right(world: World, client: Client) -> None:
    furnish(world)
    live_on(world)
    home = await read(client, "/")
    assert "Notes runs otherwise than it was set up: the container of the service db is gone." in home.text
    assert "Put Notes right" in home.text and "/stacks/notes/mend" in home.forms()
    page = await read(client, "/stacks/notes")
    assert "Somebody may have changed it by hand. The container of the service db is gone. Put it right" in page.text
    await press(client, "/stacks/notes/mend")
    assert world.done == [("mend", "notes")]
    page = await read(client, "/stacks/notes")
    assert "The container of the service db is gone." in page.text and "/stacks/notes/mend" not in page.forms()
    assert "mend" not in str((await read(client, "/stacks/nextcloud")).forms())


async def test_logs_are_shown_of_all_or_of_one(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    page = await read(client, "/stacks/notes/logs")
    assert "all | ready for notes, 300 lines" in page.text
    options = [attrs for tag, attrs in page.tags if tag == "option"]
    assert len(options) == 3
    page = await read(client, "/stacks/notes/logs?service=db")
    assert "db | ready for notes" in page.text
    assert [tag for tag, attrs in page.tags if "selected" in attrs] == ["option"]


# -- the first login


async def test_the_first_password_is_shown_once_and_only_on_request(world: World, client: Client) -> None:
    told = {"exec": "app", "argv": ["x"], "find": "x", "says": {"en": "The key to it", "fr": "La clé"}}
    world.add_stack("notes", "Notes", address="https://notes.home.arpa/", first_login={"APP_PASSWORD": told})
    job = world.add_job("add", "notes", "done")
    assert "/stacks/notes/first-login" in (await read(client, f"/jobs/{job.id}")).links()
    for _ in range(2):
        page = await read(client, "/stacks/notes/first-login")
        assert "correct-horse-battery" not in page.text and "Show me the first password" in page.text
    page = await answer(client, "/stacks/notes/first-login")
    assert "The key to it correct-horse-battery" in page.text and "Write this down now" in page.text
    page = await answer(client, "/stacks/notes/first-login")
    assert "correct-horse-battery" not in page.text
    assert "only once" in page.text and "sudo gardien stack show notes --first-login" in page.text


# -- removing one


async def test_removing_says_what_stays_and_what_goes(world: World, client: Client) -> None:
    furnish(world)
    page = await read(client, "/stacks/nextcloud/remove")
    assert "Remove Nextcloud? It is stopped and taken off the list. Its backups stay where they are." in page.text
    assert "1 Save what changed since." in page.text and "Its files stay in /srv/gardien/nextcloud" in page.text
    assert "The newest backup was made this morning at 02:41, 7 hours ago." in page.text or "ago." in page.text
    assert "Type its name, nextcloud, to confirm" in page.text
    assert world.done == []
    await press(client, "/stacks/nextcloud/remove")
    await press(client, "/stacks/nextcloud/remove", no_backup="1")
    assert world.done == [("remove", "nextcloud", "False", "True"), ("remove", "nextcloud", "False", "False")]


async def test_files_are_deleted_only_if_the_name_was_typed(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    assert "There is no backup of it: nothing of it would be left." in (await read(client, "/stacks/notes/remove")).text
    for typed in ({}, {"confirm": ""}, {"confirm": "Notes"}, {"confirm": "notes "}):
        page = await answer(client, "/stacks/notes/remove", 400, with_data="1", **typed)
        assert "The files of notes are deleted only if its name is typed: notes." in page.text
    assert world.done == []
    response = await press(client, "/stacks/notes/remove", with_data="1", confirm="notes")
    assert response.status == 303
    assert world.done == [("remove", "notes", "True", "True")]


async def test_where_no_last_backup_can_be_made_it_is_said_before(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    world.no_backup = Refused(N_("cannot reach the backup target {target}"), "", target="box")
    page = await read(client, "/stacks/notes/remove")
    assert "Cannot reach the backup target box." in page.text
    assert "What will happen 1 Stop the application." in page.text
    assert fields(page)["no_backup"] == "1"
    assert (await press(client, "/stacks/notes/remove")).status == 409
    assert world.done == []
    await press(client, "/stacks/notes/remove", no_backup="1")
    assert world.done == [("remove", "notes", "False", "False")]


# -- the root certificate


async def test_the_root_certificate_is_handed_out_with_how_to_install_it(world: World, client: Client) -> None:
    page = await read(client, "/certificate")
    assert "Your devices need nothing" in page.text and "/certificate/root.crt" not in page.links()
    assert (await client.get("/certificate/root.crt")).status == 404
    async with client.get("/api/v1/certificate") as response:
        assert await response.json() == {"certificate": None, "sha256": None}

    world.root = CERTIFICATE
    async with client.get("/certificate/root.crt") as response:
        assert (response.status, response.content_type) == (200, "application/x-x509-ca-cert")
        assert await response.text() == CERTIFICATE
    assert (await press(client, "/certificate/root.crt")).status == 405
    mark = openssl_mark(CERTIFICATE)
    async with client.get("/api/v1/certificate") as response:
        assert await response.json() == {"certificate": CERTIFICATE, "sha256": mark}
    for language, words in (
        ("en", "Certificate Trust Settings|Trusted Root Certification Authorities|Always Trust|CA certificate|Firefox"),
        ("fr", "Réglages des certificats|racines de confiance|Toujours approuver|certificat CA|Firefox"),
    ):
        page = await read(client, "/certificate", language=language)
        assert "/certificate/root.crt" in page.links() and mark in page.text
        for word in (*words.split("|"), "iPhone, iPad", "Android", "Windows", "Mac", "Linux"):
            assert word in page.text, word
    for path in ("/account", "/stacks/notes"):
        world.stacks[:] = []
        world.add_stack("notes", "Notes", address="https://notes.home.arpa/")
        assert "/certificate" in (await read(client, path)).links(), path


def openssl_mark(certificate: str) -> str:
    """The fingerprint as another program tells it."""
    argv = ["openssl", "x509", "-noout", "-fingerprint", "-sha256"]
    return (
        subprocess.run(argv, input=certificate, capture_output=True, text=True, check=True).stdout.strip().split("=")[1]
    )


# -- jobs


async def test_a_job_shows_its_steps(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    page = await read(client, f"/jobs/{len(world.jobs)}")
    assert "Backup of Nextcloud Under way" in page.text
    assert "See that the disk, the application and the backup target are there. Done ·" in page.text
    assert [attrs.get("class") for tag, attrs in page.tags if attrs.get("aria-current") == "step"] == ["begun"]
    assert "ready nextcloud" in page.text  # exactly what is done, for whoever wants to know


async def test_a_failed_job_says_why_and_what_to_do(world: World, client: Client) -> None:
    furnish(world)
    worry(world)
    page = await read(client, f"/jobs/{len(world.jobs)}")
    assert "Failed" in page.text
    assert "Cannot reach the backup target box. Check the internet connection" in page.text
    assert "Connection timed out" in page.text
    assert f"/jobs/{len(world.jobs)}/cancel" not in page.forms()


async def test_a_job_can_be_cancelled_once(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    number = len(world.jobs)
    assert f"/jobs/{number}/cancel" in (await read(client, f"/jobs/{number}")).forms()
    response = await press(client, f"/jobs/{number}/cancel")
    assert response.headers["Location"] == f"/jobs/{number}"
    assert world.done == [("cancel", str(number))]
    response = await press(client, f"/jobs/{number}/cancel")
    assert response.status == 409
    assert f"Job number {number} is over already." in Reader(await response.text()).text


async def test_all_jobs_are_listed_newest_first(world: World, client: Client) -> None:
    furnish(world)
    page = await read(client, "/jobs")
    links = [attrs["href"] or "" for tag, attrs in page.tags if tag == "a"]
    assert [link for link in links if "/jobs/" in link] == ["/jobs/3", "/jobs/2", "/jobs/1"]


async def test_jobs_are_turned_back_page_by_page_of_one_application_or_all(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "JOBS", 2)
    furnish(world)
    page = await read(client, "/jobs")
    assert {"/jobs/3", "/jobs/2", "/jobs?before=2"} <= page.links()
    assert "/jobs/1" not in page.links()
    page = await read(client, "/jobs?before=2")
    assert "/jobs/1" in page.links()
    assert not {link for link in page.links() if "before=" in link}
    assert "/jobs?stack=nextcloud" in (await read(client, "/stacks/nextcloud")).links()
    page = await read(client, "/jobs?stack=nextcloud")
    assert {link for link in page.links() if link.startswith("/jobs/")} == {"/jobs/1", "/jobs/2"}
    assert "Nothing older." in (await read(client, "/jobs?stack=notes&before=3")).text
    assert "/jobs/3" in (await read(client, f"/jobs?stack={NASTY}&before=-1")).links()


# -- languages


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("de, fr;q=0.5, en;q=0.4", "fr"),
        ("en;q=0.1, fr-CA;q=0.2", "fr"),
        ("fr;q=0, en;q=0.1", "en"),
        ("de", None),
        ("", None),
        ("fr;q=nonsense,,;q=,*", None),
    ],
)
def test_the_browser_is_asked_for_a_language(header: str, language: str | None) -> None:
    assert preferred(header) == language


async def test_the_reader_can_change_the_language(world: World, client: Client) -> None:
    world.add_stack("notes", "Notes")
    response = await press(client, "/language", language="fr", next="/stacks/notes")
    assert response.headers["Location"] == "/stacks/notes"
    assert response.cookies["language"]["samesite"] == "Strict"
    page = await read(client, "/stacks/notes", language="en")
    assert ("html", {"lang": "fr"}) in page.tags
    assert (await press(client, "/language", language="xx", next="//evil.example")).headers["Location"] == "/"
    assert ("html", {"lang": "fr"}) in (await read(client, "/")).tags


async def test_the_owner_s_language_is_the_last_word(tmp_path: Path) -> None:
    async with make_world(tmp_path) as world:
        world.house = replace(world.house, settings=world.settings.model_copy(update={"language": "fr"}))
        async with visitor(world) as client:
            assert ("html", {"lang": "fr"}) in (await read(client, "/", language="de")).tags


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_every_page_is_well_formed_in_every_mood(world: World, client: Client, language: str) -> None:
    furnish(world)
    save(world)
    world.add_job("restore", "gone", "undoing", at=2)
    world.add_job("start", "notes", "queued")
    worry(world)
    live_on(world)
    paths = ["/", "/stacks/nextcloud", "/stacks/notes/stop", "/stacks/notes/restore", "/jobs", "/account"]
    paths += ["/backups", "/stacks/wiki", "/stacks/notes", "/add", "/add/meetings", "/certificate"]
    paths += [f"/stacks/notes/{page}" for page in ("settings", "logs", "first-login", "remove")]
    paths += [f"/jobs/{number}" for number in world.jobs]
    for path in paths:
        page = await read(client, path, language=language)
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids)), path
        assert "style" not in [name for _, attrs in page.tags for name in attrs], path  # the policy forbids it
        assert [tag for tag, _ in page.tags].count("h1") == 1, path
        for tag, attrs in page.tags:
            assert not any(name.startswith("on") for name in attrs), path
            if tag == "script":
                assert (attrs["src"] or "").startswith("/static/"), path


# -- when something goes wrong


async def test_what_is_not_there_is_said_in_the_reader_s_language(client: Client) -> None:
    assert "There is no such page." in (await read(client, "/nothing", 404)).text
    assert "Cette page n’existe pas." in (await read(client, "/nothing", 404, language="fr")).text
    assert "There is no stack called nothing here." in (await read(client, "/stacks/nothing", 404)).text
    assert "There is no job number 7." in (await read(client, "/jobs/7", 404)).text
    assert (await client.get("/jobs/1/cancel")).status == 405
    assert (await client.get("/live?job=7")).status == 404


async def test_an_error_is_a_sentence_and_a_remedy(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreachable() -> Overview:
        raise TargetUnreachable(
            N_("cannot reach the backup target {target}"), N_("Ask for less."), detail="<b>ssh says</b>", target="box"
        )

    monkeypatch.setattr(world.house.overviews, "now", unreachable)
    page = await read(client, "/", 503)
    assert "Cannot reach the backup target box. Ask for less." in page.text
    assert "<b>ssh says</b>" in page.text
    async with client.get("/api/v1/status") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (503, "target-unreachable")


async def test_what_nobody_planned_for_is_calm_and_logged(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> Overview:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr(world.house.overviews, "now", broken)
    with caplog.at_level(logging.ERROR):
        page = await read(client, "/", 500)
    assert "That did not work" in page.text
    assert "Traceback" not in page.text
    assert "Traceback" in caplog.text
    async with client.get("/api/v1/status") as response:
        assert (response.status, (await response.json())["error"]["code"]) == (500, "failed")


# -- threat 7: text that would like to be more than text


async def test_threat_7_text_stays_text(world: World, client: Client) -> None:
    world.says = Words.of("{nasty}", nasty=NASTY)
    nobody = Operator(NASTY, "US", None, False, Words.of("{x} `{x}`", x=NASTY))
    care = Care(checked=world.now, problems=(NASTY,), frozen=Words.of("{x}", x=NASTY))
    world.add_target(NASTY, address=NASTY, operator=nobody, care=care, copy_of=NASTY)
    world.add_target("box", append_only=True, can_delete=True)
    view = world.add_stack("notes", NASTY, health="ailing", says=NASTY, summary=Text(en=NASTY, fr=NASTY))
    world.stacks[0] = replace(view, address="javascript:alert(3)")
    world.stacks[0] = replace(world.stacks[0], health=replace(view.health, says=Words.of("{why}", why=NASTY)))
    world.add_snapshot("notes", timedelta(hours=1), Words.of("{why}", why=NASTY))
    world.disks = [Disk(NASTY, 10 * GB, GB)]
    world.add_alert("disk:" + NASTY, "notice", Words.of("{x}", x=NASTY), Words.of("{x} `{x}`", x=NASTY))
    failed = world.add_job(
        "backup", "notes", "failed", says=Words.of("{x}", x=NASTY), remedy=Words.of("{x}", x=NASTY), detail=NASTY
    )
    running = world.add_job("start", "notes", "running")
    setting = question("choice", "x", NASTY, NASTY, x=(NASTY, NASTY))
    wide = question("text", NASTY, NASTY, NASTY)
    told = {"exec": "app", "argv": ["x"], "find": "x", "says": {"en": NASTY, "fr": NASTY}}
    nasty = recipe_of(
        "nasty",
        NASTY,
        Text(en=NASTY, fr=NASTY),
        settings={"APP_CHOICE": setting, "APP_TEXT": wide},
        first_login={"APP_PASSWORD": told},
    )
    world.recipes["nasty"] = nasty
    world.recipes["notes"] = replace(nasty, name="notes", services={NASTY: "x"})
    world.broken["broken"] = BadInput("{x}", "{x} `{x}`", detail=NASTY, x=NASTY)
    world.logs = NASTY
    paths = [
        "/",
        "/stacks/notes",
        "/backups",
        "/jobs",
        f"/jobs/{failed.id}",
        f"/jobs/{running.id}",
        "/stacks/notes/stop",
    ]
    paths += ["/add", "/add/nasty", "/stacks/notes/settings", f"/stacks/notes/logs?service={quote(NASTY)}"]
    paths += ["/stacks/notes/first-login", "/stacks/notes/remove"]
    for path in paths:
        async with client.get(path) as response:
            html = await response.text()
        page = Reader(html)
        assert "<script>" not in html, path
        assert "49" not in page.text, path
        assert not [attrs for tag, attrs in page.tags if tag == "img" or "onerror" in attrs], path
        assert not [link for link in page.links() if link.startswith("javascript")], path
    forms: list[tuple[str, dict[str, str]]] = [
        ("/add/nasty", {"APP_CHOICE": NASTY, "APP_TEXT": NASTY}),
        ("/stacks/notes/settings", {"APP_TEXT": "other"}),
        ("/stacks/notes/first-login", {}),
        ("/stacks/notes/remove", {"with_data": "1", "confirm": NASTY}),
    ]
    for path, data in forms:
        response = await press(client, path, **data)
        html = await response.text()
        page = Reader(html)
        assert "<script>" not in html and "alert(1)" in html, path
        assert not [attrs for tag, attrs in page.tags if tag == "img" or "onerror" in attrs], path
    for query in ("", "?backups", "?stack=notes", f"?job={failed.id}"):
        async with client.get("/live" + query) as stream:
            assert b"<script>" not in await stream.content.readuntil(b"\n\n")
    assert "<script>" not in await (await client.get(f"/login/{'<script>'}?next=<script>")).text()


def test_only_what_leads_to_the_web_is_a_link() -> None:
    assert web_address("https://box.lan:8443/x") == "https://box.lan:8443/x"
    for text in ("javascript:alert(1)", "data:text/html,x", "//evil", "/x", " https://x", "http://x\ny", "", None):
        assert web_address(text) is None


def test_commands_in_a_sentence_are_marked_and_nothing_else() -> None:
    words = Words.of("try `{command}` & <b>", command="a < b")
    assert str(prose(words, "en")) == "Try <code>a &lt; b</code> &amp; &lt;b&gt;."
    assert prose(None, "en") == ""


# -- static files


async def test_static_files_are_kept_by_browsers_and_packed(client: Client) -> None:
    html = await (await client.get("/login")).text()
    found = re.search(r"/static/gardien\.css\?v=[0-9a-f]{12}", html)
    assert found
    async with client.get(found[0], headers={"Accept-Encoding": "identity"}) as response:
        assert response.content_type == "text/css"
        assert "immutable" in response.headers["Cache-Control"]
        plain = await response.read()
    async with client.get(found[0], headers={"Accept-Encoding": "gzip"}, auto_decompress=False) as response:
        assert gzip.decompress(await response.read()) == plain


@pytest.mark.parametrize("path", ["nothing.css", "../templates/base.html", "..%2ftemplates%2fbase.html", "vendor", "."])
async def test_only_static_files_are_served(client: Client, path: str) -> None:
    assert (await client.get(f"/static/{path}", allow_redirects=False)).status == 404


# -- what moves


async def next_event(stream: ClientResponse) -> tuple[str, str]:
    """The next event's name and text; heartbeats are passed over."""
    while True:
        lines = (await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 5)).decode().strip("\n").split("\n")
        if lines[0].startswith("event: "):
            return lines[0][7:], "\n".join(line.removeprefix("data: ") for line in lines[1:])


async def test_home_moves(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    number = len(world.jobs)
    async with client.get("/live") as stream:
        assert stream.content_type == "text/event-stream"
        events = dict([await next_event(stream) for _ in range(3)])
        assert list(events) == ["home", "seen", f"progress-{number}"]
        assert "41%" in Reader(events["home"]).text
        assert "41%" in Reader(events[f"progress-{number}"]).text
        # Progress moves alone: the buttons around it stay where they are.
        world.progress[number] = Progress(30 * GB, 60 * GB)
        world.feed.changed("progress")
        name, text = await next_event(stream)
        assert name == f"progress-{number}"
        assert "50%" in Reader(text).text
        # A job that ends changes the whole.
        world.jobs[number] = replace(world.jobs[number], state="done", ended=world.now)
        world.feed.changed("job")
        name, text = await next_event(stream)
        assert name == "home"
        assert "Under way" not in Reader(text).text


async def test_a_job_s_page_moves_to_its_end(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    number = len(world.jobs)
    async with client.get(f"/live?job={number}") as stream:
        assert [(await next_event(stream))[0] for _ in range(2)] == [f"job-{number}", f"progress-{number}"]
        world.jobs[number] = replace(
            world.jobs[number], state="failed", ended=world.now, says=Words.of(N_("something failed"))
        )
        world.feed.changed("job")
        name, text = await next_event(stream)
        assert name == f"job-{number}"
        assert "Something failed." in Reader(text).text


async def test_a_stack_s_page_moves(world: World, client: Client) -> None:
    furnish(world)
    async with client.get("/live?stack=nextcloud") as stream:
        assert [(await next_event(stream))[0] for _ in range(2)] == ["stack-nextcloud", "answers"]
        save(world)
        world.feed.changed("job")
        name, text = await next_event(stream)
        assert name == "stack-nextcloud"
        assert "41%" in Reader(text).text
    assert (await client.get("/live?stack=nothing")).status == 404


async def test_news_come_at_most_twice_a_second(world: World, client: Client) -> None:
    furnish(world)
    save(world)
    number = len(world.jobs)
    loop = asyncio.get_running_loop()
    async with client.get("/live") as stream:
        for _ in range(3):
            await next_event(stream)
        began = loop.time()

        async def hurry() -> None:
            for done in range(400):
                world.progress[number] = Progress(done * GB // 10, 60 * GB)
                world.feed.changed("progress")
                await asyncio.sleep(0.005)

        hurrying = asyncio.create_task(hurry())
        count = 0
        while loop.time() - began < 1.6:
            await next_event(stream)
            count += 1
        await hurrying
    assert 2 <= count <= 5


async def test_a_quiet_line_is_kept_open(world: World, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT", 0.1)
    monkeypatch.setattr(live, "SPACING", 0.05)
    async with client.get("/live") as stream:
        await next_event(stream)
        await next_event(stream)
        assert await asyncio.wait_for(stream.content.readuntil(b"\n\n"), 5) == b": still here\n\n"


async def test_a_reader_who_leaves_leaves_nothing_behind(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "BEAT", 0.1)
    monkeypatch.setattr(live, "SPACING", 0.05)
    before = len(asyncio.all_tasks())
    async with client.get("/live") as stream:
        await next_event(stream)
    for _ in range(100):
        if len(asyncio.all_tasks()) <= before:
            break
        await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks()) <= before


def test_an_event_of_several_lines_is_one_event() -> None:
    assert live.event("x", "a\nb\r\nc\rd\n") == "event: x\ndata: a\ndata: b\ndata: c\ndata: d\n\n"


# -- in a real browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        await browser.close()


def listen(page: Page) -> tuple[list[str], set[str]]:
    """What the browser complains of, and the hosts it speaks to."""
    complaints: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: hosts.add(request.url.split("/")[2]))
    return complaints, hosts


async def test_a_browser_watches_a_backup_to_its_end(browser: Browser) -> None:
    async with opened((furnish,)) as world:
        context = await come_in(world, browser, "en", "light", 1280)
        page = await context.new_page()
        complaints, hosts = listen(page)
        await page.goto(f"http://127.0.0.1:{world.settings.page.port}/")
        button = page.get_by_role("button", name="Back up now").first
        await button.focus()
        # The page is drawn anew beneath the reader's hands: what had the focus keeps it.
        world.says = Words.of(N_("Something is being done; all will be back in a moment."))
        world.feed.changed("health")
        await page.get_by_role("heading", name="Something is being done").wait_for()
        assert await page.evaluate("document.activeElement.id") == "nextcloud-backup"
        aloud = page.locator("[role=status][sse-swap=said]")
        await aloud.get_by_text("Something is being done; all will be back in a moment.", exact=True).wait_for(
            state="attached"
        )
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/jobs/4")
        await page.get_by_text("Waiting its turn").wait_for()
        world.jobs[4] = replace(world.jobs[4], state="running", started=world.now)
        world.progress[4] = Progress(30 * GB, 60 * GB)
        world.jobs[4] = replace(
            world.jobs[4], steps=(replace(world.jobs[4].steps[0], state="begun"), *world.jobs[4].steps[1:])
        )
        world.feed.changed("job")
        await page.get_by_text("50%").wait_for()
        world.jobs[4] = replace(world.jobs[4], state="done", ended=world.now, says=Words.of(N_("done")))
        world.feed.changed("job")
        await page.get_by_role("status").get_by_text("Done.").wait_for()
        assert complaints == []
        assert hosts == {f"127.0.0.1:{world.settings.page.port}"}
        assert world.done == [("backup", "nextcloud")]


async def test_a_browser_says_when_the_line_is_cut(browser: Browser) -> None:
    async with opened((furnish,)) as world:
        context = await come_in(world, browser, "fr", "dark", 320)
        page = await context.new_page()
        await page.goto(f"http://127.0.0.1:{world.settings.page.port}/")
        await page.locator("[sse-swap=home] h1").wait_for()
        notice = page.locator("#offline")
        assert not await notice.is_visible()
        assert not await page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    await notice.wait_for(state="visible")
    assert "La liaison avec gardien est coupée" in await notice.inner_text()


async def test_a_browser_runs_nobody_s_text(browser: Browser) -> None:
    async with opened(()) as world:
        world.add_stack("notes", NASTY, says=NASTY)
        world.add_alert("disk:x", "notice", Words.of("{x}", x=NASTY), Words.of("{x}", x=NASTY))
        world.add_job("backup", "notes", "running", detail=NASTY)
        context = await come_in(world, browser, "en", "light", 1280)
        page = await context.new_page()
        complaints, _ = listen(page)
        for path in ("/", "/stacks/notes", "/jobs/1"):
            await page.goto(f"http://127.0.0.1:{world.settings.page.port}{path}")
            await page.locator("h1").wait_for()
            world.says = Words.of("{x} " + path, x=NASTY)
            world.feed.changed("health")
            await page.wait_for_timeout(700)
        assert await page.locator("img").count() == 0
        assert complaints == []


async def test_everything_works_without_scripts(browser: Browser) -> None:
    async with opened((furnish,)) as world:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        home = f"http://127.0.0.1:{world.settings.page.port}"
        await page.goto(f"{home}/login/{await world.house.people.link()}")
        await page.get_by_role("button", name="Go in").click()
        await page.get_by_label("New password", exact=True).fill("correct horse battery")
        await page.get_by_label("The new password once more").fill("correct horse battery")
        await page.get_by_role("button", name="Save the password").click()
        await page.get_by_text("The password is set.").wait_for()
        await page.get_by_role("button", name="Français").click()
        await page.get_by_role("link", name="Accueil").click()
        await page.get_by_role("link", name="Détails de Nextcloud").click()
        await page.get_by_role("link", name="Restaurer…", exact=True).first.click()
        await page.locator("#show").click()
        await page.get_by_role("button", name="Restaurer maintenant").click()
        await page.wait_for_url("**/jobs/*")
        assert world.done == [("restore", "nextcloud", world.snapshots[0].id, "False")]
        await page.get_by_role("link", name="Compte").click()
        await page.get_by_role("button", name="Sortir").click()
        await page.get_by_label("Mot de passe").fill("correct horse battery")
        await page.get_by_role("button", name="Entrer").click()
        await page.wait_for_url(f"{home}/")


async def test_a_stack_is_added_and_removed_without_scripts(browser: Browser) -> None:
    async with opened((furnish, live_on)) as world:
        context = await browser.new_context(java_script_enabled=False, viewport={"width": 320, "height": 640})
        page = await context.new_page()
        home = f"http://127.0.0.1:{world.settings.page.port}"
        await page.goto(f"{home}/login/{await world.house.people.link()}")
        await page.get_by_role("button", name="Go in").click()
        await page.goto(home)
        await page.get_by_role("link", name="Add an application…").click()
        await page.get_by_role("link", name="Add Meetings").click()
        await page.get_by_label("Port on this machine").fill("99999")
        await page.get_by_label("whoever knows the address").check()
        await page.get_by_role("button", name="Show me what will happen").click()
        await page.get_by_text("APP_PORT must be a number").wait_for()
        await page.get_by_label("Port on this machine").fill("8123")
        await page.get_by_role("button", name="Show me what will happen").click()
        assert await wide(page) <= 320
        await page.get_by_role("button", name="Add it now").click()
        await page.wait_for_url("**/jobs/*")
        given = ["APP_DOMAIN=app.home.arpa", "APP_PORT=8123", "APP_GUESTS=open", "APP_CONTACT="]
        assert world.done == [("add", "meetings", *given, "False")]

        await page.goto(f"{home}/stacks/notes")
        await page.get_by_role("link", name="Settings…").click()
        await page.get_by_label("Port on this machine").fill("8200")
        await page.get_by_role("button", name="Show me what changes").click()
        await page.get_by_role("button", name="Change it now").click()
        assert world.done[1] == ("set", "notes", "APP_PORT=8200")
        await page.goto(f"{home}/stacks/notes")
        await page.get_by_role("link", name="Remove…").click()
        await page.get_by_label("Type its name, notes, to confirm").fill("notes")
        await page.get_by_role("button", name="Remove it and delete its files").click()
        await page.wait_for_url("**/jobs/*")
        assert world.done[2] == ("remove", "notes", "True", "True")


async def wide(page: Page) -> int:
    """How wide the page is, in pixels."""
    width: int = await page.evaluate("document.documentElement.scrollWidth")
    return width


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_no_page_is_wider_than_a_small_telephone(browser: Browser, language: str) -> None:
    async with opened((furnish, live_on)) as world:
        context = await come_in(world, browser, language, "dark", 320)
        page = await context.new_page()
        paths = ["/backups", "/stacks/nextcloud", "/add", "/add/meetings", "/certificate", "/stacks/wiki"]
        paths += [f"/stacks/notes{each}" for each in ("", "/settings", "/logs", "/first-login", "/remove")]
        for path in paths:
            await page.goto(f"http://127.0.0.1:{world.settings.page.port}{path}")
            for each in await page.locator("main summary").all():
                await each.click()
            assert await wide(page) <= 320, path

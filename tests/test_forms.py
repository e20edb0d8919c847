"""Every form there is, sent as a browser sends it whose scripts are off: its fields as they stand, filled in where a
person has to. The answer is a page; what was asked is done; what was wrong is said, and what was typed is kept.

The live route table says which pages there are and which requests only a form can make: a new form without values for
its fields fails here, and so does a new request that no form of these pages makes.
"""

import asyncio
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import aiohttp
import pyotp
from playwright.async_api import Browser, async_playwright

from gardien.faces import settings_asks as asks
from gardien.faces.server import make_app
from gardien.rules import kit as text
from gardien.services.house import House
from gardien.services.runner import Runner
from gardien.words import Words
from tests.contracts.test_house_in_memory import Nextcloud
from tests.faces_world import World
from tests.fakes import Leaf
from tests.pictures import FLAGS, furnish, live_on, opened, renew
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings
from tests.signed_in import STILL

PASSWORD = "four quiet words here"
WRONG = "§ not this §"  # what is typed where it cannot be right
TYPED_BY_PEOPLE = {"text", "password", "textarea", "time", "number", "email"}
PUSHED = {"checkbox", "radio"}

# What a person types, by the request and the field; everything else stands in the form already.
TYPED: dict[str, Mapping[str, str]] = {
    "/login": {"password": PASSWORD, "user": "owner"},
    "/account": {"old": PASSWORD, "new": PASSWORD, "again": PASSWORD},
    "/account/factor/enrol": {"old": PASSWORD},
    "/account/factor/remove": {"old": PASSWORD},
    "/people": {"user": "bert"},
    "/people/anna/role": {"role": "owner"},
    "/tokens": {"name": "monitor"},
    "/kit": {"password": PASSWORD},
    "/settings/letters": {
        "mail.to": "friend@helper.example",
    },
    "/settings/second-way": {"second_way.url": "https://ntfy.example/another"},
    "/settings/watcher": {"ping": "https://hc.example/ping/5f3c"},
    "/settings/warnings": {"watch.disk_low": "15"},
    "/targets/box/settings": {"targets.box.keep.daily": "30"},
    "/settings/schedules": {"backup.at:how": "weekly"},
    "/settings/updates": {"updates.window:begin": "01:00"},
    "/settings/language": {"language": "fr"},
    "/updates/how": {"how": "by-itself"},
    "/stacks/nextcloud/times": {"stacks.nextcloud.at:how": "weekly"},
    "/stacks/nextcloud/updates/how": {"how": "by-hand"},
    "/stacks/nextcloud/settings": {"NEXTCLOUD_PORT": "8099"},
    "/targets/usb/remove": {"confirm": "usb"},
    "/stacks/nextcloud/remove": {"confirm": "nextcloud"},
    "/first-run/stacks": {"stack": "demo"},
}
# Nothing can be wrong with what is typed there.
NEVER_WRONG = {"/targets/{target}/test"}  # what is empty or unknown is tried, and the trial says how it went
# A mistake that people make, where that cannot be seen in one field alone.
MISTAKES: Mapping[str, Mapping[str, str]] = {"/account": {"again": "four other words here"}}
# Nobody can tell whether that is right before it is tried.
ANYTHING = {"passphrase"}
# What is typed to prove something is not shown again.
NOT_KEPT = {"confirm", "group", "code", "secret", "fingerprint"}
# What leaves nothing behind: a cookie, a look, a trial.
NO_TRACE = {
    "/language",
    "/logout",
    "/login",
    "/login/code",
    "/login/{token}",
    "/account/visits/{visit}/end",
    "/account/visits/end",
    "/account/factor",
    "/targets/{target}/test",
    "/settings/letters/test",
    "/settings/second-way/test",
    "/first-run/recover",
    "/updates/look",
    "/stacks/{name}/updates/look",
}
# What ends something that others need: pressed when all else was.
AT_LAST = {
    "/logout",
    "/account/factor/remove",
    "/first-run/go",
    "/first-run/leave",
    "/people/{user}/remove",
    "/targets/{target}/remove",
    "/stacks/{name}/remove",
}
# What only a real machine can show, and where it does.
ELSEWHERE = {
    "/first-run/recover/go": "test_first_run.py: another empty one takes its place",
    "/first-run/recover/again": "test_first_run.py: what did not come back is tried again",
}
PROGRAMS = re.compile(r"^/api/|/live$|/metrics$|/healthz$|/static/|/root\.crt$|/download$")


@dataclass(frozen=True)
class Field:
    """`on`: it is sent as it stands."""

    name: str
    kind: str
    value: str
    on: bool = True
    required: bool = False


@dataclass
class Form:
    """One form of a page; its buttons are those that have a name."""

    method: str
    action: str
    fields: list[Field] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)

    @property
    def typed(self) -> set[str]:
        return {each.name for each in self.fields if each.kind in TYPED_BY_PEOPLE}

    def sent(self, answers: "Answers", button: tuple[str, str] | None) -> list[tuple[str, str]]:
        """What a browser sends when a person has answered so, and presses that button."""
        pairs: list[tuple[str, str]] = []
        for each in self.fields:
            answer = answers.get(each.name)
            if each.kind in PUSHED:
                pairs += [(each.name, each.value)] if (each.on if answer is None else answer == each.value) else []
            elif isinstance(answer, list):
                pairs.append((each.name, answer[sum(name == each.name for name, _ in pairs)]))
            else:
                pairs.append((each.name, each.value if answer is None else answer))
        return [*pairs, button] if button is not None else pairs

    def unanswered(self, answers: "Answers") -> list[str]:
        """The fields that a browser would not send empty."""
        pushed = {each.name for each in self.fields if each.kind in PUSHED and each.on}
        return [
            each.name
            for each in self.fields
            if each.required and not answers.get(each.name) and each.name not in pushed
            if each.kind in PUSHED or not each.value
        ]


class Forms(HTMLParser):
    """The forms of a page."""

    def __init__(self, path: str, page: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._path = path
        self._area: dict[str, str] | None = None
        self._select: dict[str, str] | None = None
        self._options: list[tuple[str, bool]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(found.get("method", "get").lower(), found.get("action") or self._path))
            self._inside = True
        if not self._inside:
            return
        form = self.forms[-1]
        if tag == "input":
            kind = found.get("type", "text")
            on = "checked" in found if kind in PUSHED else True
            value = found.get("value", "on" if kind in PUSHED else "")
            kind = "hidden" if "hidden" in found else kind
            form.fields.append(Field(found.get("name", ""), kind, value, on, "required" in found))
        elif tag == "button" and "name" in found:
            form.buttons.append((found["name"], found.get("value", "")))
        elif tag == "button":
            form.buttons.append(("", ""))
        elif tag == "textarea":
            self._area = {**found, "value": ""}
        elif tag == "select":
            self._select, self._options = found, []
        elif tag == "option" and self._select is not None:
            self._options.append((found.get("value", "\0"), "selected" in found))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area["value"] += data
        elif self._select is not None and self._options and self._options[-1][0] == "\0":
            self._options[-1] = (data.strip(), self._options[-1][1])

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
        elif tag == "textarea" and self._area is not None:
            area, self._area = self._area, None
            self.forms[-1].fields.append(Field(area["name"], "textarea", area["value"], required="required" in area))
        elif tag == "select" and self._select is not None:
            select, self._select = self._select, None
            chosen = next((value for value, on in self._options if on), self._options[0][0])
            self.forms[-1].fields.append(Field(select["name"], "select", chosen))


Kind = tuple[str, str, str, tuple[str, ...]]
Answers = Mapping[str, str | list[str]]


class Person:
    """Somebody whose scripts are off, who presses each button there is; each kind of form once."""

    def __init__(self, house: House, state: Callable[[], str], session: aiohttp.ClientSession) -> None:
        self._house = house
        self._state = state
        self._session = session
        self._home = f"http://127.0.0.1:{house.settings.page.port}"
        self._app = make_app(house)
        self.typed = dict(TYPED)
        self.pressed: set[Kind] = set()
        self.faults: list[str] = []
        self._secret = ""  # of the second factor, once there is one
        self._sheet: Sequence[str] = ()

    @property
    def routes(self) -> Iterator[tuple[str, str]]:
        """Method and pattern of each."""
        for route in self._app.router.routes():
            assert route.resource is not None
            yield route.method, route.resource.canonical

    def _pattern(self, path: str) -> str:
        for resource in self._app.router.resources():
            info = resource.get_info()
            if info.get("path") == path or ("pattern" in info and info["pattern"].fullmatch(path)):
                return resource.canonical
        raise AssertionError(f"a form leads to {path}, where nothing is")

    async def read(self, path: str) -> tuple[int, str, str]:
        """The status, the page, and where it is."""
        async with self._session.get(self._home + path) as answer:
            assert answer.content_type == "text/html", path
            return answer.status, await answer.text(), answer.url.raw_path_qs

    async def send(self, form: Form, pairs: list[tuple[str, str]]) -> tuple[int, str, str]:
        """As the form does; a redirect is followed, as a browser does."""
        if form.method == "get":
            return await self.read(f"{form.action.split('?')[0]}?{urlencode(pairs)}")
        headers = {"Origin": self._home, "Sec-Fetch-Site": "same-origin"}
        address = self._home + form.action
        async with self._session.post(address, data=pairs, headers=headers, allow_redirects=False) as answer:
            if answer.status != 303:
                assert answer.content_type == "text/html", f"{form.action}: {answer.content_type}"
                return answer.status, await answer.text(), form.action
            onward = answer.headers["Location"]
        status, page, where = await self.read(onward)
        assert status == 200, f"{form.action} leads on to {onward}: {status}"
        return 303, page, where

    async def enter(self) -> None:
        """By a one-time link."""
        path = f"/login/{await self._house.people.link()}"
        assert (await self.send(Form("post", path), []))[0] == 303

    async def walk(self, *paths: str, only: str | None = None) -> None:
        """Press every button of these pages; what ends something is pressed if it is `only` that."""
        for path in paths:
            while True:
                status, page, where = await self.read(path)
                new = self._new(where, page, only) if status == 200 else None
                if new is None:
                    break
                await self._press(*new, only)

    def _new(self, path: str, page: str, only: str | None) -> tuple[Form, tuple[str, str], Kind] | None:
        for form in Forms(path, page).forms:
            # What leads back is pressed before what goes on.
            for button in sorted(form.buttons, key=lambda each: each[0] == "go"):
                kind = self._kind(form, button)
                wanted = kind[1] not in AT_LAST if only is None else kind[1] == only
                if kind not in self.pressed and kind[1] not in ELSEWHERE and wanted:
                    return form, button, kind
        return None

    def _kind(self, form: Form, button: tuple[str, str]) -> Kind:
        names = tuple(sorted({each.name for each in form.fields}))
        return form.method, self._pattern(urlsplit(form.action).path), "=".join(button), names

    async def _press(self, form: Form, button: tuple[str, str], kind: Kind, only: str | None) -> None:
        self.pressed.add(kind)
        answers = await self._answers(form, kind[1])
        named = button if button[0] else None
        if form.method == "post" and form.typed - ANYTHING and kind[1] not in NEVER_WRONG and button[0] != "back":
            await self._mistake(form, answers, named)
        missing = form.unanswered(answers)
        assert not missing, f"{form.action}: nobody says what to type into {missing}"
        before = self._state()
        status, page, where = await self.send(form, form.sent(answers, named))
        if status not in (200, 303):
            said = re.sub(r"<[^>]+>|\s+", " ", page[page.find('role="alert"') :])[:400]
            self.faults.append(f"{form.action} {named}: {status} {said}")
            return
        await self._rest()
        if status == 303 and kind[1] not in NO_TRACE and self._state() == before:
            self.faults.append(f"{form.action} {named}: nothing was changed")
        if kind[1] == "/kit":
            self._sheet = text.write(text.read(unescape(page)))
        if form.method == "post" and status == 200:
            while (new := self._new(where, page, only)) is not None:
                await self._press(*new, only)

    async def _mistake(self, form: Form, answers: Answers, button: tuple[str, str] | None) -> None:
        """The same again, with what is wrong said and what was typed kept."""
        before = self._state()
        wrong = {**answers, **MISTAKES.get(form.action, dict.fromkeys(form.typed, WRONG))}
        status, page, _ = await self.send(form, form.sent(wrong, button))
        if not 400 <= status < 500:
            self.faults.append(f"{form.action}: {status} to what cannot be right")
            return
        if 'role="alert"' not in page:
            self.faults.append(f"{form.action}: it is not said what is wrong")
        if self._state() != before:
            self.faults.append(f"{form.action}: something was changed by what was wrong")
        again = [each for each in Forms(form.action, page).forms if each.action == form.action]
        if not again:
            self.faults.append(f"{form.action}: the form is not there again")
            return
        fields = max(again, key=lambda each: len(form.typed & each.typed)).fields
        secret = {each.name for each in form.fields if each.kind == "password"} | NOT_KEPT
        kept = {each.name for each in fields if each.value == WRONG}
        if lost := sorted(form.typed - secret - kept):
            self.faults.append(f"{form.action}: what was typed into {lost} is lost")

    async def _answers(self, form: Form, pattern: str) -> Answers:
        path = urlsplit(form.action).path
        answers: Answers = self.typed.get(path, self.typed.get(pattern, {}))
        if path in ("/account/factor/enrol", "/login/code"):
            self._secret = next((each.value for each in form.fields if each.name == "secret"), self._secret)
            later = 1 if path == "/login/code" else 0  # none is good twice
            code = pyotp.TOTP(self._secret).generate_otp(int(STILL.timestamp()) // 30 + later)
            return {**answers, "code": code}
        if path == "/kit/confirm":
            target = next(each.value for each in form.fields if each.name == "target")
            groups = (await self._house.kits.asked(target))[1]
            return {"group": [self._sheet[each.line - 1].split()[each.group - 1] for each in groups]}
        return answers

    async def _rest(self) -> None:
        """Until nothing is under way that ends by itself."""
        if isinstance(self._house.runner, Runner):
            async with asyncio.timeout(60):
                while any(not job.over for job in await self._house.runner.jobs()):
                    await asyncio.sleep(0.02)


def rows(file: Path) -> str:
    """All that is remembered, but for visits and the log of who did what: both know of every request."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as line:
        tables = [name for (name,) in line.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = {name: line.execute(f"SELECT * FROM {name}").fetchall() for name in tables if name not in PASSING}
    return repr(kept)


PASSING = {"session", "deed", "health", "disk", "sqlite_sequence"}


def state_of(quiet: Quiet) -> Callable[[], str]:
    """What a form can change of a house: what it remembers, its settings, its owner's files."""
    folders = quiet.house.settings.folders

    def state() -> str:
        owners = {path: leaf.text for path, leaf in quiet.files.leaves.items() if path.is_relative_to(folders.owner)}
        own = {str(path): said for path, said in owners.items() if path.suffix != ".new"}
        settings = folders.owner.with_name("gardien.yaml").read_text()
        return rows(folders.state / "gardien.db") + settings + repr(sorted(own.items(), key=str))

    return state


@asynccontextmanager
async def browsing(house: House, state: Callable[[], str]) -> AsyncIterator[Person]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield Person(house, state, session)


# -- the houses


async def first_run(person: Person, quiet: Quiet) -> None:
    """A machine that is being set up; the steps are left again and again."""
    house = quiet.house
    house.people.factor._clock = lambda: STILL
    going = asyncio.create_task(house.first_run.run())
    await person.walk(f"/login/{await house.people.link()}")
    await house.targets.init("box")
    sheet = await house.kits.make("box")
    person.typed["/first-run/recover"] = {"sheet": "\n".join(text.write(sheet.kit)), "password": PASSWORD}
    await person.walk("/account", "/first-run/door", "/first-run/stacks", "/first-run", "/first-run/recover")
    await person.walk("/first-run/go", only="/first-run/go")
    async with asyncio.timeout(60):
        while await house.first_run.phase() == "going":
            await asyncio.sleep(0.02)
    await house.first_run._keep(phase="asking")
    await person.walk("/first-run", only="/first-run/leave")
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)


async def furnished(quiet: Quiet) -> Mapping[str, str]:
    """A practice with backups of two kinds, people, and something that needs them; what fills the holes of routes."""
    house = quiet.house
    quiet.docker.apps["nextcloud"] = Nextcloud()
    await house.people.set_password("owner", PASSWORD)
    await house.people.add("anna")
    house.people.factor._clock = lambda: STILL
    for target in ("box", "copy"):
        await house.targets.init(target)
    await house.runner.wait(await house.life.add("nextcloud", {}))
    file = house.settings.folders.data / "nextcloud/html/data/anna/files/Séance.odt"
    for text_ in ("x" * 90_000, "x" * 91_000, "x"):  # the last one: so much less that somebody is asked
        quiet.files.put(file, Leaf(text_, 0o640, (33, 33)))
        await house.runner.wait(await house.backups.create("nextcloud"))
    says = Words.of("the disk at {path} is nearly full", path="/srv/gardien")
    await house.store.open_alert("disk:/srv/gardien", "notice", says, Words.of(""), house.people.now())
    newest = (await house.backups.list("nextcloud", "box"))[0]
    await house.browse.open(newest)
    [hit] = [hit for hit in await house.browse.search(newest, "Séance") if hit.entry.name == "Séance.odt"]
    return {
        "name": "nextcloud",
        "job": "1",
        "target": "box",
        "snapshot": newest.id,
        "entry": str(hit.entry.id),
        "month": f"{house.people.now():%Y-%m}",
        "token": "abc",
        "user": "anna",
        "preset": "disk",
        "section": "letters",
    }


async def practice(person: Person, quiet: Quiet, root: Path) -> None:
    """Each page there is, and what each of its forms leads to."""
    house, fill = quiet.house, await furnished(quiet)
    person.typed["/targets/new/disk"] = {"name": "usb", "folder": str(root / "usb")}
    await person.walk("/login")
    patterns = sorted({pattern for method, pattern in person.routes if method == "GET" if not PROGRAMS.search(pattern)})
    sections = sorted(each.name for each in asks.sections(house.preferences.now))
    paths = [re.sub(r"\{(\w+)\}", lambda hole: fill[hole[1]], each) for each in patterns if each != "/add/{name}"]
    paths += [f"/settings/{section}" for section in sections]
    await person.walk(*(each for each in paths if not each.startswith(("/first-run", "/login"))), "/add/demo")
    async with browsing(house, str) as elsewhere:
        for _ in range(3):  # one is ended alone, then all that are left
            elsewhere._session.cookie_jar.clear()
            await elsewhere.enter()
        await person.walk("/account", "/settings/back", "/kit")
    await person.walk("/targets/usb", only="/targets/{target}/remove")
    await person.walk("/people", only="/people/{user}/remove")
    for stack in ("demo", "nextcloud"):  # one keeps its files, the other does not
        await person.walk(f"/stacks/{stack}/remove", only="/stacks/{name}/remove")
    await person.walk("/account", only="/logout")
    status, page, _ = await person.read("/account")
    assert status == 200 and 'action="/login"' in page, "signed out"
    form = next(each for each in Forms("/login", page).forms if each.action == "/login")
    await person.send(form, form.sent(TYPED["/login"], None))
    await person.walk("/login/code")
    await person.walk("/account", only="/account/factor/remove")


async def test_every_form_without_scripts() -> None:
    pressed: set[Kind] = set()
    faults: list[str] = []
    posts: set[str] = set()
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet, browsing(quiet.house, state_of(quiet)) as person:
            await first_run(person, quiet)
            pressed, faults = {each for each in person.pressed if "factor" not in each[1]}, person.faults
    with short_folder() as root:
        boxes = {"box": {"kind": "local", "folder": str(root / "elsewhere")}}
        copy = {"kind": "local", "folder": str(root / "beyond"), "copy_of": "box"}
        write_settings(root, targets={**boxes, "copy": copy}, mail=MAIL, second_way=SECOND_WAY)
        async with quiet_house(root) as quiet, browsing(quiet.house, state_of(quiet)) as person:
            person.pressed, person.faults = pressed, faults
            await practice(person, quiet, root)
            posts = {pattern for method, pattern in person.routes if method == "POST" if not PROGRAMS.search(pattern)}
    for furnishings, pages in WORLDS:
        async with opened(furnishings) as world, browsing(world.house, partial(told, world)) as person:
            person.pressed, person.faults = pressed, faults
            await person.enter()
            await person.walk(*pages)
    assert not faults, "\n".join(faults)
    left = posts - {pattern for _, pattern, _, _ in pressed} - set(ELSEWHERE)
    assert not left, f"no form that was pressed leads to {sorted(left)}"


def told(world: World) -> str:
    return repr((world.done, world.jobs)) + rows(world.file)


MAIL = {"to": ["owner@practice.example"], "from": "gardien@practice.example", "host": "mail.example"}
SECOND_WAY = {"kind": "ntfy", "url": "https://ntfy.example/practice"}
# What a quiet house is seldom in: drift, a job under way, new versions, an update to go back from.
WORLDS = (
    ((furnish, live_on), ("/stacks/notes", "/jobs/1", "/jobs/2", "/jobs/3", "/jobs/4", "/jobs/5", "/jobs/6")),
    (
        (furnish, renew),
        (
            "/stacks/nextcloud/updates",
            "/stacks/nextcloud/updates/run",
            "/stacks/nextcloud/updates/skip",
            "/stacks/nextcloud/updates/back",
        ),
    ),
)


# -- in a browser


async def test_an_owner_without_scripts_in_a_browser() -> None:
    """Signs in, changes a setting, lets somebody in, makes a token, sets up a second factor, and comes in with it."""
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet, async_playwright() as playwright:
            house, home = quiet.house, f"http://127.0.0.1:{quiet.house.settings.page.port}"
            house.people.factor._clock = lambda: STILL
            await house.people.set_password("owner", PASSWORD)
            await house.runner.wait(await house.life.add("demo", {}))
            browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = await (await browser.new_context(locale="en-GB", java_script_enabled=False)).new_page()
            await page.goto(home)
            await page.fill("#password", PASSWORD)
            await page.click("main form button")

            await page.goto(f"{home}/settings/warnings")
            await page.fill("[name='watch.disk_low']", "15")
            await page.click("main .fields button.strong")
            await page.click("button[name=go]")
            assert "disk_low: 15" in (root / "gardien.yaml").read_text()

            await page.goto(f"{home}/people")
            await page.fill("#user", "anna")
            await page.get_by_role("button", name="Make a link for them").click()
            link = await page.inner_text("#invitation")
            await comes_in_by(browser, link)

            await page.goto(f"{home}/tokens")
            await page.fill("#name", "monitor")
            await page.get_by_role("button", name="Make a token").click()
            await page.get_by_role("button", name="Revoke monitor").click()
            assert await page.get_by_role("button", name="Revoke monitor").count() == 0

            await page.goto(f"{home}/account")
            await page.click("#set-up")
            secret = await page.input_value("[name=secret]")
            step = int(STILL.timestamp()) // 30
            await page.fill("#code", pyotp.TOTP(secret).generate_otp(step))
            await page.fill("#old", PASSWORD)
            await page.click("main .fields button")
            await page.goto(f"{home}/account")
            await page.locator("form[action='/logout'] button").click()
            await page.fill("#user", "owner")
            await page.fill("#password", PASSWORD)
            await page.click("main form button")
            await page.fill("#code", pyotp.TOTP(secret).generate_otp(step + 1))
            await page.click("main form button")
            assert page.url == f"{home}/"
            await browser.close()


async def comes_in_by(browser: Browser, link: str) -> None:
    """Somebody who was let in: a password, and the house as a helper sees it."""
    page = await (await browser.new_context(locale="fr-FR", java_script_enabled=False)).new_page()
    await page.goto(link)
    await page.click("main button")
    await page.fill("#new", PASSWORD)
    await page.fill("#again", PASSWORD)
    await page.click("main .fields button")
    await page.click("nav a[href='/']")
    assert await page.locator("html").get_attribute("lang") == "fr"
    assert await page.locator("a[href='/settings'], #add").count() == 0, "a helper is shown no button that is refused"

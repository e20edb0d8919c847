"""Every page in a real browser: nothing that shuts somebody out, nothing that complains, nothing from elsewhere.

Each page is seen in both languages, light and dark, narrow and wide: in two dresses that between them have all of it,
when the house is in trouble in one; with GARDIEN_FULL=1 every mood in all eight.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from gardien.services.house import House
from tests.coming_back import practice
from tests.faces_world import World
from tests.pictures import (
    FLAGS,
    address,
    copied,
    dressed,
    furnish,
    live_on,
    measure,
    opened,
    remember,
    renew,
    save,
    worry,
)

FULL = bool(os.environ.get("GARDIEN_FULL"))
pytestmark = pytest.mark.timeout(3600 if FULL else 600)
ARTEFACTS = Path(__file__).parent / "artefacts" / "pages"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# No page of its own: it leads to another, which is looked at there.
LEADS_ON = {"/record": "/record/2", "/login/code": "/login", "/first-run/recover/go": "/first-run/recover"}
# A form that was wrong on purpose; an engine on this machine that makes a network while the browser loads.
NOT_OURS = ("the server responded with a status of 4", "net::ERR_NETWORK_CHANGED")
# What depends on how a page is dressed; the rest of the rules is asked once.
DRESSY = ["color-contrast", "link-in-text-block", "target-size", "html-has-lang", "scrollable-region-focusable"]
Dress = tuple[str, str, int]
DRESSES: tuple[Dress, ...] = tuple(product(("en", "fr"), ("light", "dark"), (320, 1280)))


def dresses(number: int) -> tuple[Dress, ...]:
    """Those in which the page of this number is looked at: two that have nothing in common, or all."""
    return DRESSES if FULL else (DRESSES[number % 4], DRESSES[7 - number % 4])


def moody(number: int) -> tuple[Dress, ...]:
    """Those for a page that was looked at already, in another mood."""
    return DRESSES if FULL else dresses(number)[number // 4 % 2 :][:1]


@dataclass
class Walk:
    """A walk through pages, and all that was wrong with them."""

    browser: Browser
    home: str
    house: House
    found: list[str] = field(default_factory=list)
    pages: dict[Dress, Page] = field(default_factory=dict)

    async def page(self, dress: Dress, *, signed_in: bool = True) -> Page:
        """A browser in this dress; each stays open, so that nobody signs in twice."""
        if signed_in and dress in self.pages:
            return self.pages[dress]
        page = await (await dressed(self.browser, *dress)).new_page()
        page.on("pageerror", lambda error: self.found.append(f"{page.url} {dress}: script: {error}"))
        page.on("console", lambda said: self._said(f"{page.url} {dress}", said))
        page.on("request", lambda asked: self._asked(f"{page.url} {dress}", asked.url))
        if signed_in:
            await page.goto(f"{self.home}/login/{await self.house.people.link()}")
            await page.locator("main button").click()
            await page.wait_for_url(lambda url: "/login" not in url)
            self.pages[dress] = page
        return page

    def _said(self, where: str, said: ConsoleMessage) -> None:
        if said.type in ("error", "warning") and not any(each in said.text for each in NOT_OURS):
            self.found.append(f"{where}: console: {said.text}")

    def _asked(self, where: str, url: str) -> None:
        if not url.startswith((self.home + "/", "data:")):
            self.found.append(f"{where}: foreign: {url}")

    async def open(self, name: str, path: str, worn: Sequence[Dress], *, signed_in: bool = True) -> None:
        """Go there in each dress, side by side, and look closely."""
        await asyncio.gather(
            *(self._open(name, path, dress, signed_in, FULL or not first) for first, dress in enumerate(worn))
        )

    async def _open(self, name: str, path: str, dress: Dress, signed_in: bool, all_rules: bool) -> None:
        page = await self.page(dress, signed_in=signed_in)
        answer = await page.goto(self.home + path)
        assert answer is not None and answer.status == 200, f"{path}: {answer and answer.status}"
        on = answer.url.startswith(self.home + LEADS_ON[path]) if path in LEADS_ON else answer.url == self.home + path
        assert on, f"{path} leads to {answer.url}"
        assert answer.headers["content-type"].startswith("text/html"), path
        await self.look(page, name, dress, all_rules=all_rules)
        if not signed_in:
            await page.context.close()

    async def look(self, page: Page, name: str, dress: Dress, *, all_rules: bool = True) -> None:
        """What is open now: all unfolded, judged by axe, not wider than the screen; and its picture."""
        await page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        rules = RULES if all_rules else DRESSY
        result = await Axe().run(page, options={"resultTypes": ["violations"], "runOnly": rules})
        for violation in result.response["violations"]:
            for node in violation["nodes"]:
                what = f"{violation['id']}: {node['html'][:200]} {node['failureSummary']}"
                self.found.append(f"{name} {dress}: {what}")
        if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            self.found.append(f"{name} {dress}: wider than the screen")
        if dress[2] == 1280:  # and at twice the size
            await page.set_viewport_size({"width": 640, "height": 400})
            if await page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                self.found.append(f"{name} {dress}: wider than the screen at twice the size")
            await page.set_viewport_size({"width": 1280, "height": 800})
        if await page.evaluate("document.documentElement.lang") != dress[0]:
            self.found.append(f"{name} {dress}: in another language")
        if FULL:
            ARTEFACTS.mkdir(parents=True, exist_ok=True)
            picture = "-".join((name, *map(str, dress))) + ".png"
            await page.screenshot(path=ARTEFACTS / picture, full_page=True)

    async def leave(self) -> None:
        """Close what is open."""
        for page in self.pages.values():
            await page.context.close()


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        await browser.close()


async def test_every_page_there_is(browser: Browser) -> None:
    async with practice() as made:
        walk = Walk(browser, made.address, made.quiet.house)
        for number, (name, path) in enumerate(made.every().items()):
            await walk.open(name, path, dresses(number), signed_in=not path.startswith("/login"))
        for dress in dresses(0):
            page = await walk.page(dress)
            await made.show_sheet(page)
            await walk.look(page, "sheet", dress)
            halfway = await walk.page(dress, signed_in=False)
            await made.go_halfway(halfway)
            await walk.look(halfway, "code", dress)
            await halfway.context.close()
        await walk.leave()
    assert not walk.found, f"{len(walk.found)} faults\n" + "\n".join(walk.found)


MOODS: Mapping[str, tuple[tuple[Callable[[World], object], ...], Mapping[str, str]]] = {
    "good": ((furnish, measure, save), {"home": "/", "stack": "/stacks/nextcloud", "machine": "/machine"}),
    "bad": (
        (furnish, worry, remember),
        {
            "alerts": "/alerts",
            "logs": "/stacks/nextcloud/logs?search=status&follow=1",
            "home": "/",
            "stack": "/stacks/nextcloud",
            "backups": "/backups",
            "job": "/jobs/4",
            "machine": "/machine",
        },
    ),
    "life": (
        (furnish, live_on),
        {
            "home": "/",
            "stack": "/stacks/notes",
            "unkept": "/stacks/wiki",
            "offers": "/add",
            "certificate": "/certificate",
        },
    ),
    "copied": ((furnish, copied), {"backups": "/backups"}),
    "new": (
        (furnish, renew),
        {
            "home": "/",
            "updates": "/updates",
            "of": "/stacks/nextcloud/updates",
            "run": "/stacks/nextcloud/updates/run",
            "back": "/stacks/nextcloud/updates/back",
            "skip": "/stacks/nextcloud/updates/skip",
        },
    ),
}


TROUBLED = ("bad", "new")  # with most that a quiet house does not show: the others are looked at in a full run


async def test_in_every_mood(browser: Browser) -> None:
    number, found = 0, []
    for mood, (furnishings, paths) in MOODS.items():
        if not FULL and mood not in (*TROUBLED, "life"):
            continue
        async with opened(furnishings) as world:
            walk = Walk(browser, address(world), world.house)
            for name, path in paths.items() if FULL or mood in TROUBLED else ():
                await walk.open(f"{mood}-{name}", path, moody(number))
                number += 1
            if mood == "life":
                await answered(walk)
            await walk.leave()
            found += walk.found
    assert not found, f"{len(found)} faults\n" + "\n".join(found)


async def answered(walk: Walk) -> None:
    """The pages that a form leads to, with mistakes in it and without."""
    forms: tuple[tuple[str, str, dict[str, str]], ...] = (
        ("add-wrong", "/add/meetings", {"APP_PORT": "x", "APP_CONTACT": "nobody"}),
        ("add-plan", "/add/meetings", {"APP_CONTACT": "praxis@example.org"}),
        ("changes", "/stacks/notes/settings", {"APP_PORT": "8090"}),
        ("first-login", "/stacks/notes/first-login", {}),
    )
    for number, (name, path, fields) in enumerate(forms):
        for dress in moody(number):
            page = await walk.page(dress)
            await page.goto(walk.home + path)
            for field_name, value in fields.items():
                await page.fill(f"#{field_name}", value)
            await page.locator("main form button").first.click()
            await page.wait_for_load_state()
            await walk.look(page, name, dress)

"""The page as people meet it: a real browser, a real daemon, the Nextcloud stack behind it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.world.box import Box
from tests.world.practice import fill

ARTEFACTS = Path(__file__).parent / "artefacts"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGS)
        yield browser
        browser.close()


class Watched:
    """A page of which every foreign request, console error and script error is kept."""

    def __init__(self, page: Page, home: str) -> None:
        self.page = page
        self.complaints: list[str] = []
        page.on(
            "request",
            lambda request: None if request.url.startswith(home) else self.complaints.append(f"foreign: {request.url}"),
        )
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on(
            "console",
            lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None,
        )


@pytest.fixture
def watched(nextcloud: Box, chromium: Browser) -> Iterator[Watched]:
    context = chromium.new_context(locale="en-GB", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    home = f"http://localhost:{nextcloud.page_port}/"
    seen = Watched(page, home)
    yield seen
    context.close()
    assert seen.complaints == []


def log_in(box: Box, page: Page) -> None:
    url = box.json("user", "link")["url"]
    page.goto(url.replace("127.0.0.1", "localhost"))
    page.locator("main form button").click()
    page.wait_for_url(re.compile(r"/account$|:\d+/$"))  # the first time one is asked for a password
    page.goto(f"http://localhost:{box.page_port}/")


def test_log_in_see_it_well_back_up_and_watch_to_the_end(nextcloud: Box, watched: Watched) -> None:
    page = watched.page
    fill(nextcloud, 200)
    log_in(nextcloud, page)
    card = page.locator(".card", has_text="Nextcloud").first
    expect(card).to_contain_text("Running well")
    expect(page.get_by_role("heading", level=1)).to_contain_text("not everything has been saved yet")

    page.get_by_role("button", name="Back up now").first.click()
    # The job's own page, or the home page: either way progress moves by itself, without a reload.
    states: list[str] = []

    def see(text: str) -> None:
        states.append(text)

    page.expose_function("seen", see)
    page.evaluate(
        """() => new MutationObserver(() => seen(document.querySelector('main').innerText))
              .observe(document.querySelector('main'), {subtree: true, childList: true, characterData: true})"""
    )
    expect(page.locator("main")).to_contain_text("Nextcloud is saved", timeout=60_000)
    moved = "\n".join(states)
    assert "Save the files while people go on working" in moved or "Pause the application" in moved, moved
    page.screenshot(path=_artefact("backup-done.png"), full_page=True)

    page.goto(f"http://localhost:{nextcloud.page_port}/")
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "Everything runs, and everything is saved", timeout=15_000
    )
    page.screenshot(path=_artefact("home-en.png"), full_page=True)


def test_the_link_works_once_and_nothing_is_seen_without_it(nextcloud: Box, chromium: Browser) -> None:
    url = nextcloud.json("user", "link")["url"].replace("127.0.0.1", "localhost")
    first, second = chromium.new_context().new_page(), chromium.new_context().new_page()
    first.goto(url)
    second.goto(url)  # looking at it uses nothing up: some mail readers look at every link
    first.locator("main form button").click()
    expect(first.get_by_role("heading", level=1)).to_be_visible()
    second.locator("main form button").click()
    expect(second.locator("body")).to_contain_text("no longer works")
    second.goto(f"http://localhost:{nextcloud.page_port}/stacks/nextcloud")
    expect(second.locator("body")).not_to_contain_text("Nextcloud")
    first.context.close()
    second.context.close()


def test_french_small_and_dark(nextcloud: Box, chromium: Browser) -> None:
    context = chromium.new_context(locale="fr-FR", viewport={"width": 320, "height": 700}, color_scheme="dark")
    page = context.new_page()
    log_in(nextcloud, page)
    expect(page.locator("html")).to_have_attribute("lang", "fr")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tout fonctionne")
    for path in ("", "stacks/nextcloud", "jobs", "account"):
        page.goto(f"http://localhost:{nextcloud.page_port}/{path}")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 320, f"/{path} is {wide} px wide: people would have to scroll sideways"
        page.screenshot(path=_artefact(f"fr-320-{path.replace('/', '-') or 'home'}.png"), full_page=True)
    context.close()


def test_without_javascript(nextcloud: Box, chromium: Browser) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    log_in(nextcloud, page)
    page.get_by_role("button", name="Back up now").first.click()
    for _ in range(60):
        if "Nextcloud is saved" in page.inner_text("main"):
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.locator("main")).to_contain_text("Nextcloud is saved")
    context.close()


def test_a_restore_by_the_browser_alone_with_the_daemon_killed_in_the_middle(nextcloud: Box, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    log_in(nextcloud, page)
    page.goto(f"http://localhost:{nextcloud.page_port}/stacks/nextcloud")
    page.get_by_role("link", name=re.compile("Bring|Restore|back", re.I)).first.click()
    page.locator("main form button[type=submit], main form button:not([type])").last.click()
    expect(page.locator("main")).to_contain_text("Fetch the files", timeout=15_000)
    nextcloud.stop(9)
    nextcloud.start()
    page.goto(f"http://localhost:{nextcloud.page_port}/jobs")
    page.get_by_role("link", name=re.compile("Nextcloud")).first.click()
    expect(page.locator("main")).to_contain_text("it answers", timeout=90_000)
    context.close()


def _artefact(name: str) -> Path:
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS / name

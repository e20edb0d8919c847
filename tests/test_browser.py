"""The page as people meet it: a real browser, a real daemon, the Nextcloud stack behind it."""

import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.world.box import Box, docker, free_port
from tests.world.practice import fill
from tests.world.visitor import Visitor

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
    paths = ["", "stacks/nextcloud", "jobs", "account", "add", "add/gateway", "certificate"]
    paths += [f"stacks/nextcloud/{page}" for page in ("settings", "logs", "first-login", "remove")]
    for path in paths:
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
    if not nextcloud.json("backup", "list", "nextcloud"):  # it is run alone
        nextcloud.gardien("backup", "create", "nextcloud")
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    log_in(nextcloud, page)
    page.goto(f"http://localhost:{nextcloud.page_port}/stacks/nextcloud")
    page.locator("main").get_by_role("link", name=re.compile(r"^\s*Restore")).first.click()
    expect(page.locator("main")).to_contain_text("What shall come back?")
    page.locator("#show").click()
    expect(page.locator("main")).to_contain_text("What is there now is kept")
    page.locator("#restore-now").click()
    expect(page.locator("main")).to_contain_text("Fetch the files", timeout=15_000)
    job = page.url
    nextcloud.stop(9)
    expect(page.locator("#offline")).to_be_visible(timeout=30_000)
    nextcloud.start()
    # Nobody touches the page: it goes on by itself, to the end.
    expect(page.locator("main .note[role=status]")).to_contain_text("it answers", timeout=120_000)
    expect(page.locator("#offline")).to_be_hidden()
    assert page.url == job
    page.reload()
    expect(page.locator("main")).to_contain_text("it answers")
    context.close()


def test_a_door_added_from_the_page_and_a_device_that_is_told_to_trust_it(nextcloud: Box, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB", accept_downloads=True)
    page = context.new_page()
    log_in(nextcloud, page)
    home = f"http://localhost:{nextcloud.page_port}"
    page.goto(f"{home}/certificate")
    expect(page.locator("main")).to_contain_text("Your devices need nothing")
    port = free_port()
    page.goto(f"{home}/add")
    page.get_by_role("link", name=re.compile("door", re.I)).first.click()
    page.locator("#DOOR_HTTP_PORT").fill(str(free_port()))
    page.locator("#DOOR_HTTPS_PORT").fill(str(port))
    page.get_by_role("button", name="Show me what will happen").click()
    expect(page.locator("main")).to_contain_text(f"Port for HTTPS {port}")
    page.get_by_role("button", name="Add it now").click()
    expect(page.locator("main")).to_contain_text("runs and answers", timeout=90_000)

    page.goto(f"{home}/certificate")
    with page.expect_download() as coming:
        page.get_by_role("link", name="Download the root certificate").click()
    root = Path(coming.value.path()).read_text()
    assert coming.value.suggested_filename == "root.crt"
    assert root == nextcloud.gardien("certificate").stdout
    name = nextcloud.json("stack", "show", "nextcloud")["settings"]["NEXTCLOUD_DOMAIN"]
    visitor = Visitor(port, root)
    deadline = time.monotonic() + 60
    while True:
        try:
            if visitor.ask(name, "/status.php").status == 200:
                break
        except (OSError, ssl.SSLError):
            pass
        assert time.monotonic() < deadline, nextcloud.logged()
        time.sleep(0.5)
    page.goto(f"{home}/stacks/nextcloud")
    expect(page.locator("#address")).to_have_text(f"https://{name}:{port}/")
    page.locator("#trust").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Make a device trust this house")
    context.close()


def test_a_life_by_the_page_alone(nextcloud: Box, chromium: Browser) -> None:
    """Other settings, a log, the first password, a container that somebody took away: all without a terminal."""
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    log_in(nextcloud, page)
    stack = f"http://localhost:{nextcloud.page_port}/stacks/nextcloud"
    port = str(free_port())
    page.goto(f"{stack}/settings")
    page.locator("#NEXTCLOUD_PORT").fill(port)
    page.get_by_role("button", name="Show me what changes").click()
    expect(page.locator("ins")).to_contain_text(port)
    page.get_by_role("button", name="Change it now").click()
    expect(page.locator("main")).to_contain_text("runs and answers", timeout=90_000)
    assert f"127.0.0.1:{port}->80/tcp" in docker("ps", "--filter", f"name={nextcloud.prefix}-nextcloud-app-1")

    page.goto(f"{stack}/logs")
    page.get_by_label("Part").select_option("redis")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".log")).to_contain_text("redis")

    password = nextcloud.json("stack", "show", "nextcloud", "--first-login")["NEXTCLOUD_ADMIN_PASSWORD"]
    page.goto(f"{stack}/first-login")
    expect(page.locator("main")).not_to_contain_text(password)
    page.get_by_role("button", name="Show me the first password").click()
    expect(page.locator("main")).to_contain_text(password)
    page.goto(f"{stack}/first-login")
    page.get_by_role("button", name="Show me the first password").click()
    expect(page.locator("main")).to_contain_text("only once")
    expect(page.locator("main")).not_to_contain_text(password)

    docker("rm", "--force", f"{nextcloud.prefix}-nextcloud-redis-1")
    page.goto(stack)
    expect(page.locator("main")).to_contain_text("The container of the service redis is gone", timeout=60_000)
    page.get_by_role("button", name="Put it right").click()
    expect(page.locator("main")).to_contain_text("runs and answers", timeout=90_000)
    page.goto(stack)
    expect(page.locator("main")).not_to_contain_text("changed it by hand", timeout=30_000)
    page.get_by_role("link", name="Restart…").click()
    expect(page.locator("main")).to_contain_text("What will happen")
    page.get_by_role("button", name="Restart").click()
    expect(page.locator("main")).to_contain_text("runs and answers", timeout=90_000)
    context.close()


def test_removed_by_the_page_with_a_last_backup_and_its_files(nextcloud: Box, chromium: Browser) -> None:
    context = chromium.new_context(locale="en-GB")
    page = context.new_page()
    log_in(nextcloud, page)
    before = len(nextcloud.json("backup", "list", "nextcloud"))
    page.goto(f"http://localhost:{nextcloud.page_port}/stacks/nextcloud")
    page.get_by_role("link", name="Remove…").click()
    page.locator("#confirm").fill("Nextcloud")
    page.get_by_role("button", name="Remove it and delete its files").click()
    expect(page.get_by_role("alert")).to_contain_text("only if its name is typed")
    assert (nextcloud.data / "nextcloud" / "html").is_dir()
    page.locator("#confirm").fill("nextcloud")
    page.get_by_role("button", name="Remove it and delete its files").click()
    expect(page.locator(".note[role=status] strong")).to_contain_text("is gone with its files", timeout=120_000)
    assert not (nextcloud.data / "nextcloud").exists()
    backups = nextcloud.json("backup", "list", "nextcloud")
    assert len(backups) == before + 1 and backups[0]["good"]
    context.close()


def _artefact(name: str) -> Path:
    ARTEFACTS.mkdir(exist_ok=True)
    return ARTEFACTS / name

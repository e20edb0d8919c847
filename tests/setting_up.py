"""A house that is being set up on its page: the steps of a person, with the mistakes that people make; for pictures and
browsers' tests.
"""

from pathlib import Path

from playwright.async_api import Page

from tests.contracts.test_house_in_memory import Nextcloud
from tests.fakes import FakeSsh
from tests.quiet_house import Quiet
from tests.test_targets import SHOWN

Step = tuple[str, str, dict[str, str], str]  # a picture's name, where it begins, what is typed, what is pressed


def steps(folder: Path) -> tuple[Step, ...]:
    """Through the first run and the settings, with the mistakes that people make."""
    letters = {
        "mail.to": "owner@practice.example",
        "mail.from": "gardien@practice.example",
        "mail.host": "mail.example",
    }
    return (
        ("first-run", "/first-run", {}, ""),
        ("first-run-sheet-wrong", "/first-run/recover", {"sheet": "no sheet"}, "#look"),
        ("first-run-door-wrong", "/first-run/door", {"DOOR_DOMAIN": "not one!"}, "#keep"),
        ("first-run-door", "/first-run/door", {}, "#keep"),
        ("first-run-none", "/first-run/stacks", {}, "#keep"),
        ("first-run-stacks", "/first-run/stacks", {"choose-demo": "", "choose-nextcloud": ""}, "#keep"),
        ("first-run-next", "/first-run", {}, ""),
        ("place-wrong", "/targets/new/sftp", {"host": "-o", "user": "practice"}, "main .fields button"),
        ("place-nas", "/targets/new/sftp", {"host": "nas.example", "user": "practice"}, "main .fields button"),
        ("place-confirm", "/targets/new/disk", {"name": "usb", "folder": str(folder)}, "main .fields button"),
        ("place-tried", "/targets/box", {}, "#try-now"),
        ("place-used-wrong", "/targets/box/settings", {"targets.box.keep.daily": "many"}, "main .fields button"),
        ("place-used-changes", "/targets/box/settings", {"targets.box.keep.daily": "5"}, "main .fields button"),
        ("letters-wrong", "/settings/letters", {**letters, "mail.to": "nobody"}, "main .fields button"),
        ("letters-changes", "/settings/letters", letters, "main .fields button"),
        ("times", "/settings/schedules", {}, "main .fields button"),
        ("updates", "/settings/updates", {}, ""),
        ("language", "/settings/language", {}, ""),
        ("settings", "/settings", {}, ""),
        ("first-run-ready", "/first-run/go", {}, ""),
        ("first-run-going", "/first-run/go", {}, "#go"),
    )


DONE: Step = ("first-run-done", "/first-run", {}, "")


def prepare(quiet: Quiet) -> None:
    """What the steps meet: an application that can be saved, a colleague's NAS."""
    quiet.docker.apps["nextcloud"] = Nextcloud()
    ssh = quiet.house.setup._world.ssh
    assert isinstance(ssh, FakeSsh)
    ssh.servers["nas.example", 22] = SHOWN


async def take(page: Page, home: str, step: Step) -> None:
    """Fill in, and press."""
    _, path, fields, button = step
    await page.goto(home + path)
    for field, value in fields.items():
        if value:
            await page.fill(f"[id='{field}']", value)
        else:
            await page.check(f"[id='{field}']")
    if button:
        await page.locator(button).first.click()
        await page.wait_for_load_state()

"""Without a mouse, at twice the size, without movement: in chromium, on the pages one needs when all goes wrong."""

from dataclasses import dataclass

import pytest
from playwright.async_api import Browser, Page

from gardien.services.house import House
from tests.pictures import PASSWORD, address, furnish, opened, worry
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.setting_up import prepare
from tests.test_axe import browser

__all__ = ["browser"]  # a fixture
PAGES = ("/", "/stacks/nextcloud", "/stacks/notes/restore", "/backups")
SETTING_UP = ("/first-run", "/first-run/door", "/first-run/stacks", "/first-run/recover", "/targets/new/sftp")
# What the keyboard must come to, in this order: of radio buttons with one name the arrows reach the others. Found anew
# each time, since the page goes on while somebody moves in it.
ORDER = """() => {
  const all = [];
  for (const each of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) {
    if (each.disabled || each.type === "hidden" || !each.checkVisibility({visibilityProperty: true})) continue;
    const group = each.type === "radio" ? [...document.querySelectorAll("input[type=radio]")]
      .filter(other => other.name === each.name && other.form === each.form) : [each];
    if (each !== (group.find(other => other.checked) || group[0])) continue;
    all.push(each);
  }
  return all;
}"""
# What has the focus: its number, and whether somebody can see that it has it.
FOCUSED = f"""() => {{
  const each = document.activeElement;
  if (each === document.body || each === null) return null;
  const style = getComputedStyle(each), box = each.getBoundingClientRect();
  const middle = [box.left + Math.min(box.width, innerWidth) / 2, box.top + Math.min(box.height, innerHeight) / 2];
  const there = middle[0] >= 0 && middle[0] < innerWidth && middle[1] >= 0 && middle[1] < innerHeight;
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return [({ORDER})().indexOf(each), ring && there && box.width > 2];
}}"""


@dataclass
class Way:
    """What the Tab key came to on one page."""

    page: Page
    where: str

    async def go(self) -> None:
        """From the top to the end, once."""
        expected = await self.page.evaluate(f"({ORDER})().map(each => each.outerHTML.slice(0, 120))")
        assert len(expected) > 3, self.where
        assert 'class="skip"' in expected[0], f"{self.where} begins with {expected[0]}"
        for number, element in enumerate(expected):
            await self.page.keyboard.press("Tab")
            reached = await self.page.evaluate(FOCUSED)
            assert reached is not None, f"{self.where}: the keyboard does not come to {element}"
            assert reached[0] == number, f"{self.where}: instead of {element} comes {expected[reached[0]]}"
            assert reached[1], f"{self.where}: nobody sees that {element} has the focus"

    async def skip(self) -> None:
        """Past the top of the page, at once."""
        await self.page.reload()
        await self.page.keyboard.press("Tab")
        await self.page.keyboard.press("Enter")
        await self.page.keyboard.press("Tab")
        assert await self.page.evaluate("document.getElementById('main').contains(document.activeElement)"), self.where


async def _come_in(page: Page, home: str, house: House) -> None:
    await page.goto(f"{home}/login/{await house.people.link()}")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.locator("main button").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_url(lambda url: "/login" not in url)


async def _walk(page: Page, home: str, paths: tuple[str, ...]) -> None:
    for path in paths:
        await page.goto(home + path)
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), f"{path} at twice the size"
        way = Way(page, path)
        await way.go()
        await way.skip()


@pytest.fixture
async def page(browser: Browser) -> Page:
    """A screen of 1280 by 800 whose owner made everything twice as big, and wants no movement."""
    context = await browser.new_context(
        viewport={"width": 640, "height": 400}, device_scale_factor=2, reduced_motion="reduce", locale="fr-FR"
    )
    return await context.new_page()


async def test_a_house_in_trouble_by_keyboard_alone(page: Page) -> None:
    async with opened((furnish, worry)) as world:
        await world.house.people.set_password("owner", PASSWORD)
        await _come_in(page, address(world), world.house)
        await _walk(page, address(world), PAGES)
        # And what is pressed there is done.
        await page.goto(address(world))
        await page.locator("#nextcloud-start").focus()
        async with page.expect_response("**/stacks/nextcloud/start"):
            await page.keyboard.press("Enter")
        assert ("start", "nextcloud") in [tuple(each[:2]) for each in world.done]


async def test_setting_up_by_keyboard_alone(page: Page) -> None:
    with short_folder() as root:
        write_settings(root, targets={})
        async with quiet_house(root) as quiet:
            prepare(quiet)
            home = f"http://127.0.0.1:{quiet.house.settings.page.port}"
            await _come_in(page, home, quiet.house)
            await _walk(page, home, SETTING_UP)


async def test_nothing_moves_for_whom_it_would_be_too_much(browser: Browser, page: Page) -> None:
    """A bar of which nobody knows how far it is goes to and fro; it stands still for those who asked for that."""
    async with opened((furnish, worry)) as world:
        await world.house.people.set_password("owner", PASSWORD)
        world.add_job("restore", "notes", "running", at=1)
        other = await (await browser.new_context()).new_page()
        for each, moves in ((page, False), (other, True)):
            await _come_in(each, address(world), world.house)
            assert await each.locator(".bar.unsure").count()
            assert bool(await each.evaluate("document.getAnimations().length")) is moves

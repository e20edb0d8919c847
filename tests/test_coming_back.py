"""The pages of coming back as a browser shows them: what is in a backup, trial restores, the recovery sheet."""

import re
from itertools import pairwise

import pytest
from playwright.async_api import Browser, Page

from tests.coming_back import practice
from tests.pictures import dressed
from tests.test_pages import browser, wide  # noqa: F401  (a fixture)

HEADINGS = "[...document.querySelectorAll('h1, h2, h3, h4')].map(each => +each.tagName[1])"
IDS = "[...document.querySelectorAll('[id]')].map(each => each.id)"
CUT_OFF = "[...document.querySelectorAll('pre')].some(each => each.scrollWidth > each.clientWidth)"


async def is_sound(page: Page, name: str) -> None:
    """Nothing is cut off or wider than the screen, and a screen reader finds its way."""
    assert await wide(page) <= 320, name
    assert not await page.evaluate(CUT_OFF), name
    levels = await page.evaluate(HEADINGS)
    assert levels[0] == 1 and levels.count(1) == 1, name
    assert all(after - before <= 1 for before, after in pairwise(levels)), (name, levels)
    ids = await page.evaluate(IDS)
    assert len(ids) == len(set(ids)), name


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_on_a_small_telephone_and_the_sheet_on_one_page(browser: Browser, language: str) -> None:  # noqa: F811
    async with practice() as made:
        context = await dressed(browser, language, "dark", 320)
        page = await made.come_in(context)
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        for name, path in made.pages.items():
            answer = await page.goto(made.address + path)
            assert answer is not None and answer.status == 200, name
            for each in await page.locator("main summary").all():
                await each.click()
            await is_sound(page, name)
        await made.show_sheet(page)
        await is_sound(page, "sheet")
        printed = await page.pdf(prefer_css_page_size=True)
        assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
        await page.goto(f"{made.address}/kit")
        await is_sound(page, "kit, to be confirmed")
        assert complaints == []

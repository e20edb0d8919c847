"""A practice that was saved, tried, and has its sheet: the pages of coming back, for pictures and browsers' tests."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from playwright.async_api import BrowserContext, Page

from tests.contracts.test_house_in_memory import Nextcloud
from tests.fakes import Leaf
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

PASSWORD = "correct horse battery staple"
HOME = "html/data/anna/files"
FILES = {
    "Comptes rendus/2026-03-02 Séance.odt": 48_213,
    "Comptes rendus/" + "Sehr-langer-Name-ohne-eine-einzige-Lücke-" * 4 + ".pdf": 1_204_000,
    "Factures/mars.ods": 22_000,
    "turned\u202ecod.exe": 12,
    "Liste d’attente.txt": 310,
}


@dataclass(frozen=True)
class Practice:
    """The house, and where its pages of this kind are, by name."""

    quiet: Quiet
    pages: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.quiet.house.settings.page.port}"

    async def come_in(self, context: BrowserContext) -> Page:
        """Signed in, as by a one-time link."""
        page = await context.new_page()
        await page.goto(f"{self.address}/login/{await self.quiet.house.people.link()}")
        await page.locator("main button").click()
        await page.wait_for_url(lambda url: "/login" not in url)
        return page

    async def show_sheet(self, page: Page) -> None:
        """The sheet itself is the answer to a form."""
        await page.goto(f"{self.address}/kit")
        if await page.locator("#password").count():
            await page.fill("#password", PASSWORD)
        await page.locator("#make button").click()
        await page.wait_for_selector(".sheet")


@asynccontextmanager
async def practice() -> AsyncIterator[Practice]:
    """Nextcloud with a few files, two backups, one trial restore that went well and one that did not."""
    with short_folder() as root:
        write_settings(root, name="cabinet-rue-haute")
        async with quiet_house(root) as quiet:
            house = quiet.house
            quiet.docker.apps["nextcloud"] = Nextcloud()
            await house.people.set_password("owner", PASSWORD)
            await house.targets.init("box")
            await house.runner.wait(await house.life.add("nextcloud", {}))
            home = house.settings.folders.data / "nextcloud" / HOME
            for name, size in FILES.items():
                quiet.files.put(home / name, Leaf("x" * size, 0o640, (33, 33)))
            for _ in range(2):
                await house.runner.wait(await house.backups.create("nextcloud"))
            await house.runner.wait(await house.drills.create("nextcloud"))
            quiet.docker.sick.add("app")
            await house.runner.wait(await house.drills.create("nextcloud"))
            quiet.docker.sick.clear()
            newest = (await house.backups.list("nextcloud"))[0]
            await house.browse.open(newest)
            at = f"/snapshots/{newest.id}"
            hits = {hit.entry.name: hit.entry.id for hit in await house.browse.search(newest, "e")}
            folder, file = hits["Comptes rendus"], hits["Liste d’attente.txt"]
            yield Practice(
                quiet,
                {
                    "stack": "/stacks/nextcloud",
                    "top": at,
                    "folder": f"{at}/{folder}",
                    "found": f"{at}?search=e",
                    "not-found": f"{at}?search=nobody",
                    "put-back-folder": f"{at}/{folder}/put-back",
                    "put-back-file": f"{at}/{file}/put-back",
                    "proofs": "/proofs",
                    "month": f"/proofs/{datetime.now().astimezone():%Y-%m}",
                    "month-without": "/proofs/2020-02",
                    "kit": "/kit",
                },
            )

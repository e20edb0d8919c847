"""A practice that was saved, tried, updated, and has its sheet: for pictures and browsers' tests."""

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pyotp
from playwright.async_api import BrowserContext, Page

from gardien.faces.server import make_app
from gardien.faces.settings_pages import SECTION
from gardien.model.plan import Json
from gardien.model.snapshot import Snapshot
from gardien.services.house import House
from gardien.services.recover import NOTE as RECOVERY
from tests.contracts.test_house_in_memory import Nextcloud
from tests.fakes import Leaf
from tests.live_routes import pages
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

PASSWORD, COLLEAGUE = "correct horse battery staple", "dominique"
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

    def every(self) -> dict[str, str]:
        """The path of every page there is, by name: of the live route table, so that none is forgotten. A hole that has
        nothing to fill it is an error.
        """
        _, _, snapshot, folder = self.pages["folder"].split("/")
        fill = {
            "name": "nextcloud",
            "job": "1",
            "target": "box",
            "snapshot": snapshot,
            "entry": folder,
            "month": self.pages["month"][-7:],
            "token": "abc",
            "user": COLLEAGUE,
            "preset": "ovhcloud",
            "section": "schedules",
        }
        found = {}
        for pattern in pages(make_app(self.quiet.house)):
            full = pattern.replace("/add/{name}", "/add/demo")
            name = re.sub(r"[^a-z]+", "-", pattern).strip("-") or "home"
            found[name] = re.sub(r"\{(\w+)\}", lambda hole: fill[hole[1]], full)
        sections = re.findall(r"[a-z-]+", SECTION.partition(":")[2])
        found |= {f"settings-{each}": f"/settings/{each}" for each in sections}
        return found | {name: path for name, path in self.pages.items() if path not in found.values()}

    async def come_in(self, context: BrowserContext) -> Page:
        """Signed in, as by a one-time link."""
        page = await context.new_page()
        await page.goto(f"{self.address}/login/{await self.quiet.house.people.link()}")
        await page.locator("main button").click()
        await page.wait_for_url(lambda url: "/login" not in url)
        return page

    async def go_halfway(self, page: Page) -> None:
        """To where a second factor is asked for; the page is not signed in."""
        await page.goto(f"{self.address}/login")
        await page.fill("#user", COLLEAGUE)
        await page.fill("#password", PASSWORD)
        await page.locator("main form button").click()
        await page.wait_for_url("**/login/code")

    async def show_sheet(self, page: Page) -> None:
        """The sheet itself is the answer to a form."""
        await page.goto(f"{self.address}/kit")
        if await page.locator("#password").count():
            await page.fill("#password", PASSWORD)
        await page.locator("#make button").click()
        await page.wait_for_selector(".sheet")


async def _updated(quiet: Quiet, before: Snapshot) -> None:
    """It was updated a while ago to the version that runs, and can go back to `before`; a newer one waits."""
    house, now = quiet.house, datetime.now(UTC)
    for image, tag in (
        ("nextcloud", "34.0.3-apache"),
        ("nextcloud", "34.0.4-apache"),
        ("mariadb", "11.8.8"),
        ("redis", "7.4.11"),
    ):
        quiet.registries.put(f"docker.io/library/{image}", tag)
    await house.releases.look()
    plan = await house.updates.plan("nextcloud")
    change = {"version": "34.0.3", "former_version": "34.0.2", "tag": "34.0.3-apache"}
    saved: dict[str, Json] = {
        "final": before.id,
        "target": before.target,
        "taken": (now - timedelta(hours=1)).isoformat(),
        "away": 134.0,
    }
    job = await house.store.add_job(replace(plan, facts={**plan.facts, **change, **saved}), now)
    await house.store.mark_job(job, "running", now)
    for step in plan.steps:
        await house.store.mark_step(job, step.name, "done", now)
    await house.store.mark_job(job, "done", now)


async def _join(quiet: Quiet, user: str) -> None:
    """A second owner, who is asked for a code."""
    people = quiet.house.people
    await people.add(user, "owner")
    await people.set_password(user, PASSWORD)
    secret = people.factor.offer(user, quiet.house.settings.name).secret
    await people.factor.enrol(user, secret, pyotp.TOTP(secret).now())


async def taken_over(house: House) -> None:
    """As if it had come from a sheet, and one application had not come back."""
    told = {"machine": house.settings.name, "target": "box", "repository": "", "begun": "2026-03-01T09:00:00+00:00"}
    note = {**told, "stacks": ["nextcloud", "demo"], "ready": True, "queued": True}
    await house.store.note(RECOVERY, json.dumps(note))


@asynccontextmanager
async def practice() -> AsyncIterator[Practice]:
    """Nextcloud with a few files, two backups, one trial restore that went well and one that did not, an update to go
    back from and one that waits; settings that were changed; a colleague with a second factor.
    """
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
            await _updated(quiet, newest)
            await house.preferences.apply({("name",): "cabinet-rue-basse"})
            await _join(quiet, COLLEAGUE)
            await house.browse.open(newest)
            await taken_over(house)
            at = f"/snapshots/{newest.id}"
            hits = {hit.entry.name: hit.entry.id for hit in await house.browse.search(newest, "e")}
            folder, file = hits["Comptes rendus"], hits["Liste d’attente.txt"]
            yield Practice(
                quiet,
                {
                    "stack": "/stacks/nextcloud",
                    "restore-summary": f"/stacks/nextcloud/restore?snapshot={newest.id}",
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
                    "restore": f"/stacks/nextcloud/restore?snapshot={newest.id}",
                },
            )

"""What the page, the API and the certificate say of trial restores, in both languages."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from gardien.errors import BadInput
from gardien.faces import wire_proofs
from gardien.model.proof import Proof
from gardien.words import Words
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

MONTH = f"{datetime.now().astimezone():%Y-%m}"


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as made:
            await made.house.targets.init("box")
            await made.house.runner.wait(await made.house.life.add("demo", {}))
            await made.house.runner.wait(await made.house.backups.create("demo"))
            yield made


@pytest.fixture
async def console(quiet: Quiet) -> AsyncIterator[aiohttp.ClientSession]:
    socket = quiet.house.settings.folders.run / "gardien.sock"
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as session:
        yield session


async def page(console: aiohttp.ClientSession, path: str, language: str = "en") -> str:
    async with console.get(f"http://x{path}", headers={"Accept-Language": language}) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


async def proven(quiet: Quiet) -> Proof:
    job = await quiet.house.runner.wait(await quiet.house.drills.create("demo"))
    assert job.state == "done", job.says
    return (await quiet.house.drills.list())[0]


async def failed(quiet: Quiet) -> Proof:
    quiet.docker.sick.add("app")
    job = await quiet.house.runner.wait(await quiet.house.drills.create("demo"))
    quiet.docker.sick.clear()
    assert job.code == "not-healthy", job.says
    return (await quiet.house.drills.list())[0]


async def test_the_figure_comes_first_of_a_stack(quiet: Quiet, console: aiohttp.ClientSession) -> None:
    for path in ("/", "/stacks/demo"):
        assert "Not yet proven that it comes back" in await page(console, path)
    await proven(quiet)
    for path in ("/", "/stacks/demo"):
        text = await page(console, path)
        assert text.index("Last proven restorable:") < text.index("Saved ")
    await failed(quiet)
    text = await page(console, "/")
    assert text.index("The last trial restore failed") < text.index("Last proven restorable:") < text.index("Saved ")


async def test_a_month_to_keep(quiet: Quiet, console: aiohttp.ClientSession) -> None:
    good, bad = await proven(quiet), await failed(quiet)
    for path in ("/proofs", f"/proofs/{MONTH}"):
        text = await page(console, path)
        assert good.snapshot[:12] in text
        assert "databases were loaded" in text or "database was loaded" in text
        assert "does not start from it" in text
        assert text.count("Came back") == text.count("Did not come back") == 1
    assert "Nothing was tried in this time" in await page(console, "/proofs/2020-02")
    async with console.get("http://x/proofs/2026-13") as answer:
        assert answer.status == 400
    async with console.get(f"http://x/api/v1/proofs/certificate?month={MONTH}") as answer:
        html = (await answer.json())["html"]
    assert "<style>" in html
    assert "<script" not in html
    assert good.snapshot[:12] in html
    assert bad.code == "not-healthy"


async def test_it_is_started_from_the_page(quiet: Quiet, console: aiohttp.ClientSession) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    async with console.post("http://x/stacks/demo/drill", headers=headers, allow_redirects=False) as answer:
        assert answer.status == 303
        number = int(answer.headers["Location"].removeprefix("/jobs/"))
    assert (await quiet.house.runner.wait(number)).state == "done"
    assert "Trial restore of" in await page(console, f"/jobs/{number}")


async def test_the_api_tells_it_to_programs(quiet: Quiet, console: aiohttp.ClientSession) -> None:
    good = await proven(quiet)
    async with console.get("http://x/api/v1/proofs?stack=demo") as answer:
        [told] = (await answer.json())["proofs"]
    assert (told["job"], told["outcome"], told["dumps"]) == (good.job, "proven", ["notes.sql"])
    assert len(told["checked"]) == 3
    async with console.get("http://x/api/v1/proofs?stack=other") as answer:
        assert (await answer.json())["proofs"] == []
    async with console.get("http://x/api/v1/status") as answer:
        [stack] = (await answer.json())["stacks"]
    assert stack["trials"]["proven"] == told
    assert stack["trials"]["next_run"] is not None
    async with console.get("http://x/metrics") as answer:
        text = await answer.text()
    assert 'gardien_drill_ok{stack="demo"} 1.0' in text
    when = re.search(r'gardien_drill_last_success_timestamp_seconds\{stack="demo"\} (\S+)', text)
    assert when is not None
    assert float(when[1]) == good.ended.timestamp()
    async with console.post("http://x/api/v1/drills", json={"stack": "demo", "dry_run": True}) as answer:
        assert [step["name"] for step in (await answer.json())["plan"]["steps"]][-1] == "away"


@pytest.mark.parametrize("text", ["2026", "2026-00", "2026-13", "26-01", "2026-1", "", "../2026-01"])
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(BadInput):
        wire_proofs.month(text)


def test_months_follow_each_other() -> None:
    for text, following in (("2026-11", "2026-12"), ("2026-12", "2027-01")):
        assert wire_proofs.month(text)[1] == wire_proofs.month(following)[0]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_nothing_is_said_of_what_was_not_reached(language: str) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    nothing = Words.of("")
    bare = Proof(
        1, "demo", "box", "f" * 64, now, now, now + timedelta(seconds=5), "failed", nothing, nothing, "damaged"
    )
    assert wire_proofs.checked(bare, language) == []

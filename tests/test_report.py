"""The practice's record of a month: what it tells is so, in both languages, and it names no patient."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.faces import report, wire_proofs
from gardien.faces.screen import Screen
from gardien.model.record import Record
from gardien.words import Words
from tests.memory_house import STACK, Home, memory_house


@pytest.fixture
async def month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Record, Record]:
    """A house that lived from 2 March to 4 April: March, and April so far."""
    async with memory_house(tmp_path, monkeypatch) as home:
        await home.live(days=3)
        await incident(home, hours=5)
        home.restic.unreadable.add(home.fakes.world.settings.folders.data / STACK / "srv" / "health.json")
        await home.end(await home.house.backups.create(STACK, "near"))
        home.restic.unreadable.clear()
        await home.live(days=2)
        await home.done(await home.house.restores.create(STACK, None))
        await home.live(days=24)
        await incident(home, days=3)
        return await record(home, "2026-03"), await record(home, "2026-04")


async def incident(home: Home, **lasts: float) -> None:
    await home.fakes.store.open_alert("disk", "trouble", Words.of("the disk is full"), Words.of(""), home.now)
    home.move(**lasts)
    await home.fakes.store.close_alert("disk", home.now)


async def record(home: Home, name: str) -> Record:
    return await home.house.reports.record(*wire_proofs.month(name))


async def test_what_it_tells_is_so(month: tuple[Record, Record]) -> None:
    march, april = month
    [stack] = march.stacks
    assert (stack.name, stack.restored) == (STACK, 1)
    assert 28 <= stack.made <= 32 and stack.failed == 1, "one a night; that which missed a file failed"
    assert stack.proof is not None and stack.proof.outcome == "proven"
    disk = [each for each in march.incidents if each.key == "disk"]
    assert [march.seconds(each) for each in disk] == [5 * 3600, 3 * 24 * 3600]
    assert [each.view.name for each in march.places] == ["near", "far"]
    assert april.end == april.now < april.until
    [stack] = april.stacks
    assert stack.made < 6 and stack.restored == 0
    assert len([each for each in april.incidents if each.key == "disk"]) == 1, "that which lasted into it"


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_as_a_page_and_for_programs(month: tuple[Record, Record], language: str) -> None:
    record = month[0]
    data = report.as_json(record, language)
    assert json.loads(json.dumps(data))["stacks"][0]["restores"] == 1
    text = Screen(language).text(
        "record_sheet.html", language, record=record, month="2026-03", now=record.now,
        kept=lambda place: report.kept(place, language),
    )  # fmt: skip
    for told in ("near", "far", "restic", STACK, "disk is full", "2026"):
        assert told in text, told
    assert f'lang="{language}"' in text
    assert "<script" not in text and "src=" not in text and "href=" not in text, "it stands alone"
    assert "note.txt" not in text and "health.json" not in text, "no name of a file"
    for word in ("compliant", "GDPR", "RGPD", "conforme"):
        assert word not in text, "it describes, and claims nothing"


def test_a_month_has_its_days() -> None:
    since, until = wire_proofs.month("2026-12")
    assert (until - since) == timedelta(days=31)
    assert since.astimezone(UTC) < datetime(2026, 12, 2, tzinfo=UTC)

"""Sheets and a machine that takes over, in memory: what is owed and when, rotation, and the page."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from gardien.errors import BadInput, NotFound, Refused, WrongPassphrase
from gardien.model.kit import Sheet
from gardien.model.snapshot import Found
from gardien.rules import kit as text
from gardien.services import succession
from gardien.services.kit import typed_line
from gardien.services.recover import NOTE, _fields
from gardien.services.sheet_note import sheet_of
from tests.memory_house import Home, memory_house


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch) as made:
        yield made


def typed(sheet: Sheet) -> list[str]:
    """The groups that are asked for."""
    return [sheet.lines[each.line - 1].split()[each.group - 1] for each in text.asked(sheet.kit, sheet.lines)]


async def test_a_sheet_is_made_confirmed_proven_each_month_and_goes_out_of_date(home: Home) -> None:
    kits = home.house.kits
    [view] = await kits.views()
    assert (view.target, view.made) == ("near", None)
    sheet = await kits.make()
    assert text.read("\n".join(text.numbered(sheet.lines))) == sheet.kit
    assert typed_line(1, sheet.lines[0]) == sheet.lines[0]
    assert [each.confirmed for each in await kits.views()] == [None]
    with pytest.raises(BadInput, match="is not what stands on the sheet"):
        await kits.confirm(None, ["ABCDE", *typed(sheet)[1:]])
    with pytest.raises(BadInput):
        await kits.confirm(None, typed(sheet)[:2])
    assert await kits.confirm(None, [each.lower() for each in typed(sheet)]) is None
    assert [each.good for each in await kits.views()] == [True]
    await home.saved()

    await home.live(days=70)
    proofs = await home.jobs("proof", "near")
    assert [job.state for job in proofs] == ["done"] * len(proofs) and 2 <= len(proofs) <= 3
    assert not {key for key in await home.alerts() if key.startswith("kit")}
    [view] = await kits.views()
    assert view.proven is not None and home.now - view.proven < timedelta(days=32)

    file = home.fakes.world.settings.passphrase("near")
    kept = await home.fakes.files.read(file) or ""
    await home.fakes.files.write(file, "another one\n")
    assert "kit:near" in await home.alerts() and [each.outdated for each in await kits.views()] == [True]
    with pytest.raises(Refused, match="no recovery sheet of near to confirm"):
        await kits.asked()
    await home.fakes.files.write(file, kept)
    assert "kit:near" not in await home.alerts()

    # A key that opens no more is found out by the next proof.
    home.repository("near").passphrase = "changed by somebody else"
    job = await home.end(await kits.prove("near"))
    assert (job.state, job.code) == ("failed", "wrong-passphrase")
    assert "job:proof:near" in await home.alerts()


async def test_nothing_of_a_sheet_is_kept(home: Home) -> None:
    sheet = await home.house.kits.make(new_key=True)
    await home.done(await home.house.kits.confirm(None, typed(sheet)) or 0)
    await home.done(await home.house.kits.prove("near"))
    store = home.fakes.store
    kept = repr(
        (store.__dict__, [job.facts for job in await store.jobs(most=100)], await sheet_of(home.fakes.world, "near"))
    )
    assert sheet.kit.passphrase not in kept
    assert not any(line in kept or line.split()[1] in kept for line in sheet.lines)


async def test_a_new_key_becomes_the_only_one_when_its_sheet_is_confirmed(home: Home) -> None:
    world, kits = home.fakes.world, home.house.kits
    present = world.settings.passphrase("near")
    before = (await home.fakes.files.read(present) or "").strip()
    sheet = await kits.make(new_key=True)
    assert sheet.new_key and sheet.kit.passphrase != before
    assert (await kits.make(new_key=True)).kit == sheet.kit, "asked twice, it is the same new key"
    assert (await kits.make()).kit == sheet.kit
    assert {home.repository().passphrase, *home.repository().others} == {before, sheet.kit.passphrase}
    await home.saved()
    job = await kits.confirm(None, typed(sheet))
    assert job is not None
    await home.done(job)
    assert (await home.fakes.files.read(present) or "").strip() == sheet.kit.passphrase
    assert home.repository().passphrase == sheet.kit.passphrase and not home.repository().others
    [view] = await kits.views()
    assert view.good and not view.new_key
    await home.saved()


async def test_where_nothing_is_deleted_the_old_key_stays_and_that_is_said(home: Home) -> None:
    home.restic.keeping.add("near")
    sheet = await home.house.kits.make(new_key=True)
    job = await home.done(await home.house.kits.confirm(None, typed(sheet)) or 0)
    assert "the old one still opens it" in str(job.says)


async def test_a_change_that_was_cut_short_is_taken_up_by_the_calendar(home: Home) -> None:
    sheet = await home.house.kits.make(new_key=True)
    home.restic.unreachable.add("near")
    await home.end(await home.house.kits.confirm(None, typed(sheet)) or 0)
    home.restic.unreachable.clear()
    [view] = await home.house.kits.views()
    assert view.new_key
    await home.live(days=2)
    [view] = await home.house.kits.views()
    assert view.good and not view.new_key
    assert [job.state for job in await home.jobs("rekey", "near")][-1] == "done"


async def test_row_12_an_older_key_is_tried_at_a_restore(home: Home) -> None:
    world = home.fakes.world
    snapshot = await home.saved()
    sheet = await home.house.kits.make(new_key=True)
    await home.done(await home.house.kits.confirm(None, typed(sheet)) or 0)
    former = world.settings.passphrase("near").with_name("target-near.passphrase.former")
    old = (await home.fakes.files.read(former) or "").strip()
    home.repository().passphrase = old  # the host put back what it had before the change
    with pytest.raises(WrongPassphrase):
        await home.house.targets.opened("near")
    await home.done(await home.house.restores.create("notes", snapshot))
    assert (await home.fakes.files.read(world.settings.passphrase("near")) or "").strip() == old
    secrets = home.fakes.files.beneath(world.settings.secrets)
    assert sheet.kit.passphrase + "\n" in {leaf.text for leaf in secrets.values()}, "no key is ever lost"


async def test_a_machine_stands_down_when_another_took_over(home: Home) -> None:
    world = home.fakes.world
    await home.saved()
    await succession.take(world, "near")
    await home.saved()
    home.move(hours=1)
    repository = home.repository()
    found, top, tree = next(each for each in repository.snapshots.values() if "taken-over" in each[0].tags)
    other = Found("f" * 64, home.now, found.host, ("gardien", "taken-over", "by=somebody else"), found.paths)
    repository.snapshots[other.id] = (other, top, tree)
    job = await home.end(await home.house.backups.create("notes", "near"))
    assert (job.state, job.code) == ("failed", "refused") and "another machine" in str(job.says)
    assert "stood-down:near" in await home.alerts()
    await home.done(await home.house.restores.create("notes"))
    home.move(hours=1)
    await home.house.targets.reclaim("near")
    await home.saved()
    assert "stood-down:near" not in await home.alerts()


# -- taking over


async def test_a_machine_with_applications_takes_nobody_s_place(home: Home) -> None:
    sheet = await home.house.kits.make()
    with pytest.raises(Refused, match=r"has applications already \(notes\)"):
        await home.house.recover.look(text.code(sheet.lines))
    with pytest.raises(Refused):
        await home.house.recover.take_over(text.code(sheet.lines))
    assert await home.house.recover.now() is None
    with pytest.raises(NotFound):
        await home.house.recover.retry()


async def test_what_came_back_once_is_never_put_back_again_by_itself(home: Home) -> None:
    """Years later, when the journal has forgotten the restores, neither a start nor a command undoes those years."""
    note = {"machine": "gardien", "target": "near", "repository": "x", "stacks": ["notes"], "ready": True}
    begun = (home.now - timedelta(days=900)).isoformat()
    await home.saved()
    await home.fakes.store.note(NOTE, json.dumps({**note, "begun": begun, "queued": True}))
    await home.reborn().house.recover.go_on()
    await home.house.recover.retry()
    assert await home.jobs("restore") == []
    recovery = await home.house.recover.now()
    assert recovery is not None and recovery.ready


def test_the_settings_of_a_house_that_writes_letters_come_back() -> None:
    mail = {"to": ["owner@practice.example"], "host": "mail.example"}
    for spelt in ("from", "from_"):  # as earlier gardiens wrote it down
        told = _fields({"mail": {**mail, spelt: "gardien@practice.example"}}, "practice", "fr")
        assert told["mail"] == {**mail, "from": "gardien@practice.example"}

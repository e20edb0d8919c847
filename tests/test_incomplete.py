"""A backup that does not count: the repository itself says so, and its owner may say that it does."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gardien.errors import Refused
from gardien.services import account
from tests.fakes import Leaf
from tests.memory_house import STACK, Home, memory_house


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch, {"near": {"keep": {"within_days": 0, "verified": 1}}}) as made:
        yield made


def note(home: Home) -> Path:
    return home.fakes.world.settings.folders.data / STACK / "srv" / "film"


async def test_a_machine_that_knows_nothing_can_tell_them_apart(home: Home) -> None:
    await home.saved()
    home.move(hours=1)
    half = await home.saved(missing=True)
    [mark] = home.there(tag="pass=incomplete")
    assert f"of={half}" in mark.tags
    assert account.marked(await home.fakes.world.restic.found("near", tags=())) == {half}
    assert not await home.fakes.files.exists(home.fakes.world.settings.folders.data / STACK / ".gardien/incomplete")


async def test_what_the_owner_calls_right_counts(home: Home) -> None:
    home.fakes.files.put(note(home), Leaf("x" * 40_000, 0o644))
    whole = await home.saved()
    home.move(hours=1)
    await home.fakes.files.remove(note(home))
    [small, again] = [await home.saved(), await home.saved()]
    assert await home.known(good_only=True) == [whole]
    job = (await home.jobs("backup"))[-1]
    assert f"gardien backup accept {again[:8]}" in str(job.remedy)

    accepted = await home.house.backups.accept(again)
    assert (accepted.good, accepted.why) == (True, None)
    assert account.marked(await home.fakes.world.restic.found("near", tags=())) == {small}
    assert await home.house.backups.accept(again) == accepted, "said twice is said once"
    after = await home.saved()
    assert await home.known(good_only=True) == [whole, again, after]


async def test_what_could_not_be_read_is_no_matter_of_opinion(home: Home) -> None:
    await home.saved()
    half = await home.saved(missing=True)
    with pytest.raises(Refused, match="cannot be made to count"):
        await home.house.backups.accept(half)
    assert half not in await home.known(good_only=True)


async def test_the_word_goes_when_its_backup_is_gone(home: Home) -> None:
    half = await home.saved(missing=True)
    for _ in range(3):
        home.move(days=1)
        await home.saved()
    del home.repository().snapshots[half]
    await home.done(await home.house.upkeep.forget("near"))
    assert home.there(tag="pass=incomplete") == []


async def test_what_lies_there_is_remembered_again(home: Home) -> None:
    """After the state database was lost, or the target was taken off the list and is taken up again."""
    whole = await home.saved()
    home.move(hours=1)
    half = await home.saved(missing=True)
    home.move(hours=1)
    later = await home.saved()
    before = await home.fakes.store.snapshots(target="near")
    await home.fakes.store.drop_snapshots("near", [whole, half, later])
    await home.fakes.store.unnote("repository:near")
    await home.house.targets.opened("near")
    assert await home.known() == [whole, half, later]
    assert await home.known(good_only=True) == [whole, later]
    after = await home.fakes.store.snapshots(target="near")
    assert [(each.taken, each.files, each.bytes) for each in after] == [
        (each.taken, each.files, each.bytes) for each in before
    ]


async def test_what_somebody_put_there_later_is_none_of_ours(home: Home) -> None:
    whole = await home.saved()
    found, top, tree = home.repository().snapshots[whole]
    home.repository().snapshots["f" * 64] = (replace(found, id="f" * 64), top, tree)
    await home.house.targets.opened("near")
    await home.house.targets.init("near")
    assert await home.known() == [whole]
    await home.fakes.store.drop_snapshots("near", [whole])
    home.repository().snapshots["f" * 64] = (replace(found, id="f" * 64, taken=home.now.replace(year=2030)), top, tree)
    await home.house.targets.init("near")
    assert await home.known() == [whole], "a date to come is believed of nobody"


async def test_the_house_is_in_every_snapshot(home: Home) -> None:
    """With what opens each of its targets, and nothing that is this machine's own."""
    await home.saved()
    world = home.fakes.world
    found = json.loads(await world.files.read(world.settings.folders.data / STACK / ".gardien/house.json") or "")
    assert found["settings"]["name"] == world.settings.name
    assert not account.OF_THE_MACHINE & found["settings"].keys()
    near = found["targets"]["near"]
    assert near["passphrase"] == await world.files.read(world.settings.passphrase("near"))
    assert near["settings"]["kind"] == "local"

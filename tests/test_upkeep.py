"""Looking after repositories: what is copied, checked, let go and given back, and what is said of it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gardien.errors import Refused
from gardien.model.job import Progress
from gardien.model.plan import Kind
from gardien.model.snapshot import Checked
from gardien.model.target import PARTS
from tests.memory_house import STACK, Home, Targets, memory_house
from tests.near_and_far import Pair, near_and_far
from tests.world.box import until

TIGHT = {"daily": 1, "weekly": 0, "monthly": 0, "yearly": 0, "within_days": 0, "verified": 1}
ROOM = timedelta(minutes=16)  # what a random delay may add


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch) as made:
        yield made


# -- copy


async def test_a_copy_takes_the_good_ones_and_each_once(home: Home) -> None:
    first = await home.saved()
    half = await home.saved(missing=True)
    third = await home.saved()
    assert half not in await home.known(good_only=True)
    job = await home.done(await home.house.upkeep.copy("far"))
    assert "2 more backups" in str(job.says)
    assert [each.original for each in home.there("far")] == [first, third]
    copies = await home.fakes.store.snapshots(target="far")
    originals = {each.id: each for each in await home.fakes.store.snapshots(target="near")}
    assert [each.original for each in copies] == [third, first]
    for each in copies:
        assert each.original is not None
        former = originals[each.original]
        assert (each.good, each.taken, each.files, each.bytes) == (True, former.taken, former.files, former.bytes)
    again = await home.done(await home.house.upkeep.copy("far"))
    assert "every backup already" in str(again.says)
    assert len(home.there("far")) == 2


async def test_a_copy_follows_each_backup_by_itself(home: Home) -> None:
    await home.live(days=3)
    nights, copies = await home.jobs("backup"), await home.jobs("copy", "far")
    assert len(nights) == len(copies) == 3
    for night, copy in zip(nights, copies, strict=True):
        assert night.ended is not None
        assert night.ended <= copy.created <= night.ended + timedelta(minutes=1)
    assert [each.original for each in home.there("far")] == await home.known()


async def test_what_retention_let_go_at_the_copy_is_not_copied_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: Targets = {"near": {}, "far": {"copy_of": "near", "keep": TIGHT}}
    async with memory_house(tmp_path, monkeypatch, targets) as home:
        await home.live(days=6)
        assert len(home.there("near")) == 6
        left = [each.id for each in home.there("far")]
        assert len(left) <= 2, "the copy keeps what its own rule says"
        assert (await home.house.upkeep.plan_copy("far")).steps[0].details == ("near -> far",)
        job = await home.done(await home.house.upkeep.copy("far"))
        assert "every backup already" in str(job.says)
        assert [each.id for each in home.there("far")] == left == await home.known("far")


async def test_what_waits_to_be_copied_stays_whatever_retention_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets: Targets = {"near": {"keep": TIGHT}, "far": {"copy_of": "near"}}
    async with memory_house(tmp_path, monkeypatch, targets) as home:
        home.restic.unreachable.add("far")
        await home.live(days=5)
        assert len(home.there("near")) == 5
        [proposal] = await home.house.upkeep.proposals("near")
        assert all("waiting" in proposal.ruling.reasons[id_] for id_ in await home.known())
        assert proposal.ruling.remove == ()
        home.restic.unreachable.clear()
        await home.live(days=4)
        assert len(home.there("near")) <= 2
        assert len(home.there("far")) == 9, "every one of them was copied before it went"


async def test_a_copy_that_does_not_arrive_is_no_copy(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """restic says that all went well, and the host lists nothing."""

    async def lie(*_: object, **__: object) -> None:
        return None

    await home.saved()
    with monkeypatch.context() as patch:
        patch.setattr(home.restic, "copy", lie)
        job = await home.end(await home.house.upkeep.copy("far"))
    assert (job.state, job.code) == ("failed", "incomplete")
    assert "Nothing is lost" in str(job.remedy)
    assert await home.known("far") == []
    assert "job:copy:far" in await home.alerts()
    await home.done(await home.house.upkeep.copy("far"))
    assert "job:copy:far" not in await home.alerts()


async def test_only_a_copy_is_filled_from_another_one(home: Home) -> None:
    with pytest.raises(Refused, match="near is not filled"):
        await home.house.upkeep.copy("near")
    with pytest.raises(Refused, match="far is filled from near"):
        await home.house.backups.create(STACK, "far")


# -- check


async def test_row_09_every_byte_is_read_within_four_weeks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, list[tuple[int, int]]] = {"near": [], "far": []}
    check = home.restic.check

    async def note(target: str, part: tuple[int, int] | None, progress: Any) -> Checked:
        assert part is not None
        read[target].append(part)
        return await check(target, part, progress)

    monkeypatch.setattr(home.restic, "check", note)
    await home.live(weeks=9)
    for target, parts in read.items():
        assert parts == [(number % PARTS + 1, PARTS) for number in range(9)], target
        jobs = await home.jobs("check", target)
        for former, later in pairwise(jobs):
            assert abs(later.created - former.created - timedelta(weeks=1)) <= ROOM + timedelta(hours=1)
        care = await home.care(target)
        assert care.oldest_read is not None
        assert home.now - care.oldest_read <= timedelta(weeks=PARTS) + ROOM
    assert not {"check-late:near", "check-late:far"} & set(await home.alerts())


async def test_a_check_that_never_runs_is_told_of(home: Home) -> None:
    home.restic.refusing.add("far")
    await home.live(days=14)
    assert "check-late:far" not in await home.alerts()
    await home.live(days=2)
    alerts = await home.alerts()
    assert "check-late:far" in alerts
    assert "check-late:near" not in alerts


async def test_damage_stays_an_alert_until_what_was_damaged_is_read_clean(home: Home) -> None:
    """In memory all damage lies in the first part."""
    bad = await home.saved()
    home.repository().damaged.add(bad)
    job = await home.end(await home.house.upkeep.check("near"))
    assert (job.state, job.code) == ("failed", "damaged")
    assert "near" in str(job.says)
    assert "Back up to another target now" in str(job.remedy)
    alert = (await home.alerts())["damaged:near"]
    assert alert.severity == "trouble"
    await home.live(days=8)
    assert [each.code for each in await home.jobs("check", "near")] == ["damaged"] * 2, "not again and again"
    assert "damaged:near" in await home.alerts()
    assert (await home.care()).oldest_read is None, "what is damaged was not read whole"
    home.repository().damaged.clear()
    await home.done(await home.house.upkeep.check("near"))
    assert "damaged:near" not in await home.alerts()


async def test_a_clean_part_says_nothing_of_damage_found_elsewhere(home: Home) -> None:
    """All is read, damage is found; the part that is due next is another one than where it lies."""
    bad = await home.saved()
    await home.done(await home.house.upkeep.check("near"))
    home.repository().damaged.add(bad)
    whole = await home.end(await home.house.upkeep.check("near", whole=True))
    assert whole.code == "damaged"
    home.repository().damaged.clear()
    for number in range(1, PARTS + 1):
        assert "damaged:near" in await home.alerts()
        assert "check-late:near" not in await home.alerts()
        job = await home.done(await home.house.upkeep.check("near"))
        assert job.plan.facts["part"] == number
    assert "damaged:near" not in await home.alerts()
    home.repository().damaged.add(bad)
    await home.end(await home.house.upkeep.check("near", whole=True))
    home.repository().damaged.clear()
    await home.done(await home.house.upkeep.check("near", whole=True))
    assert "damaged:near" not in await home.alerts()


# -- forget


async def test_forget_does_what_the_rule_says_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {"keep": {**TIGHT, "daily": 3}}}) as home:
        for _ in range(9):
            await home.saved()
            home.move(days=1)
        [proposal] = await home.house.upkeep.proposals("near")
        assert len(proposal.ruling.remove) == 4, "half of nine at most"
        listed = [each.id for each in home.there()]
        plan = await home.house.upkeep.plan_forget("near")
        assert plan.steps[1].details == tuple(f"notes: {id_[:10]}" for id_ in proposal.ruling.remove)
        job = await home.done(await home.house.upkeep.forget("near"))
        assert "4 old backups" in str(job.says)
        assert "5 stay" in str(job.says)
        left = [id_ for id_ in listed if id_ not in proposal.ruling.remove]
        assert [each.id for each in home.there()] == left == await home.known()
        assert left[-5:] == listed[-5:], "the oldest went"
        assert (await home.care()).lost == 0
        assert "lost:near" not in await home.alerts()


async def test_what_is_frozen_for_one_stack_is_not_said_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {"keep": TIGHT}}) as home:
        for _ in range(4):
            await home.saved()
            home.move(days=1)
        found, top, tree = home.repository().snapshots[(await home.known())[-1]]
        half = replace(found, id="f" * 64, taken=home.now)
        home.repository().snapshots[half.id] = (half, top, tree)
        [known] = await home.fakes.store.snapshots(target="near", most=1)
        await home.fakes.store.add_snapshot(replace(known, id=half.id, stack="other", taken=home.now, good=False))
        job = await home.done(await home.house.upkeep.forget("near"))
        assert "2 old backups at near were cleared out" in str(job.says)
        assert "none of another application: there is no good backup" in str(job.says)
        assert half.id in {each.id for each in home.there()}


async def test_first_passes_that_are_a_day_old_are_taken_away(home: Home) -> None:
    await home.saved()
    home.move(hours=23)
    kept = await home.saved()
    await home.done(await home.house.upkeep.forget("near"))
    assert len(home.there(tag="pass=live")) == 2
    home.move(hours=2)
    await home.done(await home.house.upkeep.forget("near"))
    [young] = home.there(tag="pass=live")
    assert home.now - young.taken < timedelta(days=1)
    assert kept in await home.known()
    assert len(home.there()) == 2


@pytest.mark.parametrize("why", ["the owner says so", "it was found out"])
async def test_threat_17_nothing_is_deleted_where_nothing_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {"append_only": why == "the owner says so"}}) as home:
        if why == "it was found out":
            await home.fakes.store.note("can-delete:near", "no")
        for ask in (home.house.upkeep.forget, home.house.upkeep.prune):
            with pytest.raises(Refused, match="nothing is deleted from here at near") as caught:
                await ask("near")
            assert "docs/targets.md" in str(caught.value.remedy)
        await home.live(days=16)
        assert await home.jobs("forget") == await home.jobs("prune") == []
        assert len(await home.jobs("check")) == 2
        assert len(home.there()) == 16
        assert "retention:near" not in await home.alerts()


async def test_a_backup_that_somebody_took_away_is_missed(home: Home) -> None:
    await home.live(days=3)
    first, second, third = await home.known()
    kept = home.repository().snapshots.copy()
    del home.repository().snapshots[third]
    await home.done(await home.house.upkeep.forget("near"))
    alert = (await home.alerts())["lost:near"]
    assert alert.severity == "trouble"
    assert "1 backups that were at near" in str(alert.says)
    assert "Nobody here took them away" in str(alert.remedy)
    assert await home.known(good_only=True) == [first, second]
    [gone] = [each for each in await home.house.backups.list() if each.id == third]
    assert not gone.good
    assert "does not list it any more" in str(gone.why)
    [view] = await home.house.overviews.stacks()
    near = next(each for each in view.places if each.target == "near")
    assert near.newest_good is not None
    assert near.newest_good.id == second
    # It is not forgotten by and by, while it should be there.
    await home.live(days=6)
    assert "lost:near" in await home.alerts()
    assert {third} == set(await home.known()) - set(await home.known(good_only=True))
    # The host brings its disk back: it counts again.
    kept |= home.repository().snapshots
    home.repository().snapshots = kept
    await home.done(await home.house.upkeep.forget("near"))
    assert "lost:near" not in await home.alerts()
    assert (await home.known(good_only=True))[:3] == [first, second, third]


async def test_what_a_host_cleared_by_our_own_rule_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be deleted from here, somebody does it there."""
    async with memory_house(tmp_path, monkeypatch, {"near": {"append_only": True, "keep": TIGHT}}) as home:
        await home.live(days=9)
        assert len(await home.known()) == 9
        newest = home.there()[-1].id
        home.repository().snapshots = {newest: home.repository().snapshots[newest]}
        await home.done(await home.house.upkeep.check("near"))
        assert await home.known(good_only=True) == await home.known() == [newest]
        assert "lost:near" not in await home.alerts()
        home.repository().snapshots.clear()
        await home.done(await home.house.upkeep.check("near"))
        assert "lost:near" in await home.alerts()


async def test_a_backup_that_went_before_it_was_copied_is_not_asked_for_for_ever(home: Home) -> None:
    home.restic.unreachable.add("far")
    lost = await home.saved()
    del home.repository().snapshots[lost]
    home.restic.unreachable.clear()
    await home.live(hours=10)
    assert len(await home.jobs("copy")) <= 2
    await home.live(days=2)
    assert "lost:near" in await home.alerts()
    assert [each.original for each in home.there("far")] == await home.known(good_only=True)


# -- prune


async def test_prune_gives_back_the_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {"keep": TIGHT}}) as home:
        await home.live(days=4)
        assert home.repository().forgotten
        job = await home.done(await home.house.upkeep.prune("near"))
        assert "given back" in str(job.says)
        assert home.repository().forgotten == 0
        assert (await home.care()).pruned is not None


# -- what can wait makes way


@pytest.mark.parametrize("kind", ["check", "copy", "prune"])
async def test_a_backup_does_not_wait_for_what_can_wait(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    """It ends, and is owed again."""
    await home.saved()
    target = "far" if kind == "copy" else "near"
    begun, go = asyncio.Event(), asyncio.Event()
    real = getattr(home.restic, kind)

    async def long(*args: Any, **how: Any) -> Any:
        next(each for each in args if callable(each))(Progress(files_done=1, files_total=2))
        begun.set()
        await go.wait()
        return await real(*args, **how)

    monkeypatch.setattr(home.restic, kind, long)
    upkeep = {"check": home.house.upkeep.check, "copy": home.house.upkeep.copy, "prune": home.house.upkeep.prune}
    waiting = await upkeep[kind](target)
    await asyncio.wait_for(begun.wait(), 5)
    saved = await home.done(await home.house.backups.create(STACK))
    way = await home.end(waiting)
    assert (way.state, way.code) == ("cancelled", "made-way")
    assert "goes on later by itself" in str(way.says)
    assert saved.ended is not None
    assert await home.fakes.store.leases() == {}
    assert f"job:{kind}:{target}" not in await home.alerts()
    go.set()
    await home.live(minutes=5)
    again = (await home.jobs(kind, target))[-1]
    assert again.id > waiting
    assert again.state == "done"
    if kind == "copy":
        assert [each.original for each in home.there("far")] == await home.known()


async def test_retention_is_short_and_is_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to be whole: half a forget would be half a truth."""
    await home.saved()
    begun, go = asyncio.Event(), asyncio.Event()
    real = home.restic.forget

    async def long(target: str, snapshots: Any) -> None:
        begun.set()
        await go.wait()
        await real(target, snapshots)

    monkeypatch.setattr(home.restic, "forget", long)
    first = await home.house.upkeep.forget("near")
    await asyncio.wait_for(begun.wait(), 5)
    second = await home.house.backups.create(STACK)
    await asyncio.sleep(0.05)
    assert (await home.house.runner.job(second)).state == "queued"
    go.set()
    assert (await home.end(first)).state == (await home.end(second)).state == "done"


# -- with real repositories


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with near_and_far() as made:
        made.back_up()
        yield made


def test_real_retention_lets_go_what_it_said_and_prune_gives_the_room(pair: Pair) -> None:
    box = pair.box
    pair.back_up()
    pair.back_up()
    yesterday = (datetime.now(UTC) - timedelta(hours=25)).astimezone()
    left_over = ["--tag", f"gardien,stack={STACK},pass=live", "--time", f"{yesterday:%Y-%m-%d %H:%M:%S}"]
    pair.plain("near", "backup", "--host", "test-box", *left_over, "--", str(pair.film.parent))
    [proposal] = box.json("backup", "forget", "near", "--dry-run")["proposals"]
    goes = {each["id"] for each in proposal["snapshots"] if each["goes"]}
    before, live = pair.listed("near"), pair.live("near")
    assert len(goes) == 1
    said = box.json("backup", "forget", "near")
    assert "1 old backup" in said["says"]
    gone = before - pair.listed("near")
    assert goes < gone
    assert gone - goes < live
    assert len(gone) == 2, "and the first pass that was left over"
    assert pair.good("near") == {each["id"] for each in proposal["snapshots"]} - goes
    pair.plain("near", "forget", *pair.live("near"))  # each holds on to the same files for a day
    room = size(pair.folders["near"])
    assert "given back" in box.json("backup", "prune", "near")["says"]
    assert size(pair.folders["near"]) < room - 200_000
    assert "whole" in box.json("backup", "check", "near", "--all")["says"]
    assert pair.target("near")["oldest_read"] is not None


def size(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())


def test_a_real_backup_that_a_thief_forgot_is_missed(pair: Pair) -> None:
    stolen = pair.back_up()
    newest = pair.known("near")[1]["id"]
    pair.plain("near", "forget", stolen)
    pair.box.gardien("backup", "check", "near")
    assert {each["id"]: each["state"] for each in pair.known("near")}[stolen] == "lost"
    until(lambda: "lost:near" in pair.alerts(), 30)
    assert "not there any more" in pair.alerts()["lost:near"]["says"]
    assert pair.box.status()["severity"] == "trouble"
    near = pair.place("near")
    assert near["newest_good"]["id"] == newest
    assert pair.place("far")["newest_good"]["copy_of"] == stolen, "the copy is still there, and counts"
    pair.back_up()
    assert pair.place("near")["newest_good"]["id"] != newest


def test_a_real_copy_comes_back_when_what_it_was_copied_from_is_gone(pair: Pair, tmp_path: Path) -> None:
    pair.back_up()
    kept = pair.film.read_bytes()
    copy = pair.known("far")[0]
    pair.film.write_bytes(b"lost")
    pair.folders["near"].rename(tmp_path / "stolen")
    try:
        told = pair.box.gardien("restore", STACK, "--yes")
        assert "our backups are not where they were" in told.stdout, "by itself, and it says why"
        assert pair.film.read_bytes() == kept
        pair.film.write_bytes(b"lost again")
        pair.box.gardien("restore", STACK, "--yes", "--snapshot", copy["id"])
        assert pair.film.read_bytes() == kept
        pair.box.until_well(STACK)
    finally:
        (tmp_path / "stolen").rename(pair.folders["near"])

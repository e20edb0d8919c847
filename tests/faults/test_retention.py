"""What is let go, and what is kept although it looks as if it might go; bytes that rot; hosts that delete nothing."""

import json
import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gardien.errors import CommandFailed
from gardien.model.target import PARTS
from tests.conftest import rest_target
from tests.faults.houses import refused, settle
from tests.memory_house import STACK, Home, Targets, memory_house
from tests.near_and_far import ONE_DAY, Pair, near_and_far
from tests.world.box import box, until
from tests.world.rest import RestHost

DAY = timedelta(days=1)


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with near_and_far() as made:
        made.back_up()
        made.back_up()
        yield made


# -- row 22: the last good one


@pytest.mark.parametrize("seed", range(20) if os.environ.get("GARDIEN_FULL") else range(2))
async def test_row_22_whatever_happens_the_last_good_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Two months in which backups fail, the box is off, and the clock is nobody's friend; retention keeps very little.

    What it lets go is looked at in the moment it does.
    """
    dice, verified = random.Random(seed), 2
    keep = {**ONE_DAY, "verified": verified}
    targets: Targets = {"near": {"keep": keep}, "far": {"copy_of": "near", "keep": keep}}
    async with memory_house(tmp_path, monkeypatch, targets) as home:
        real, judged = home.restic.forget, 0

        async def forget(target: str, ids: Sequence[str]) -> None:
            nonlocal judged
            known = await home.fakes.store.snapshots(target=target, most=1000)
            good = [each.id for each in known if each.good]
            gone = [id_ for id_ in ids if id_ in {each.id for each in known}]
            judged += len(gone)
            assert not gone or home.fakes.host.set_by_network
            assert not set(gone) & set(good[:verified])
            assert len(gone) <= len(known) / 2
            assert {each.id for each in home.there(target)} >= set(good), "each one that counts is there"
            await real(target, ids)

        monkeypatch.setattr(home.restic, "forget", forget)
        note = home.fakes.world.settings.folders.data / STACK / "srv" / "note.txt"
        for _ in range(60):
            what = dice.choice(["fine"] * 5 + ["unreadable", "unreachable", "off", "ahead", "behind", "small"])
            today = home.now
            kept = home.fakes.files.leaves[note]
            if what == "unreadable":
                home.restic.unreadable.add(note)
            elif what == "unreachable":
                home.restic.unreachable.add(dice.choice(["near", "far"]))
            elif what == "off":
                home.move(days=dice.randrange(1, 9))
            elif what in {"ahead", "behind"}:
                home.fakes.host.set_by_network = False
                home.move(days=dice.choice([2, 5]) * (1 if what == "ahead" else -1))
            elif what == "small":
                await home.fakes.world.files.remove(note)
            await home.live(days=1)
            if what in {"ahead", "behind"}:
                home.fakes.clock.now = today + DAY
            home.fakes.host.set_by_network = True
            home.restic.unreadable.clear()
            home.restic.unreachable.clear()
            home.fakes.files.leaves[note] = kept
        await home.live(days=10)
        assert judged > 20, "retention had something to do"
        for target in ("near", "far"):
            newest = (await home.fakes.store.snapshots(target=target, good_only=True, most=1))[0]
            assert newest.id in {each.id for each in home.there(target)}


async def test_row_22_and_threat_18_odd_times_freeze_it(home: Home) -> None:
    await home.live(days=30)
    today = home.now
    [before] = [each.ruling for each in await home.house.upkeep.proposals("near")]
    assert before.frozen is None
    for by, why in ((timedelta(days=100), "clock has jumped"), (timedelta(days=-2), "clock has jumped")):
        home.fakes.clock.now = today + by
        listed = home.there()
        job = await home.done(await home.house.upkeep.forget("near"))
        assert why in str(job.says), by
        assert home.there() == listed
        home.fakes.clock.now = today
        await home.done(await home.house.upkeep.forget("near"))
    home.move(days=2)
    ahead = await home.saved()
    home.fakes.clock.now = today + timedelta(hours=1)
    job = await home.done(await home.house.upkeep.forget("near"))
    assert "bears a date that has not come yet" in str(job.says)
    [view] = await home.house.overviews.stacks()
    near = next(each for each in view.places if each.target == "near")
    assert near.newest_good is not None
    assert near.newest_good.id != ahead
    await home.live(days=3)
    await home.done(await home.house.upkeep.forget("near"))
    assert (await home.care()).frozen is None, "once that day has come it goes on"


async def test_row_01_retention_that_does_not_run_for_a_week_is_told_of(home: Home) -> None:
    """Backups stay green, and the repository grows for ever."""
    await home.live(days=1)
    forget = home.restic.forget

    async def locked(target: str, snapshots: Any) -> None:
        raise CommandFailed("a lock of a killed restic")

    home.restic.forget = locked  # type: ignore[method-assign]
    await home.live(days=7, hours=12)
    alerts = await home.alerts()
    assert "no old backups were cleared out at near for a week" in str(alerts["retention:near"].says)
    assert {each.state for each in await home.jobs("backup")} == {"done"}
    home.restic.forget = forget  # type: ignore[method-assign]
    await home.live(days=1, hours=1)
    assert "retention:near" not in await home.alerts()


# -- row 9: bit rot


def test_row_09_one_byte_that_rotted_is_found_within_four_weeks(pair: Pair) -> None:
    box, near = pair.box, pair.folders["near"]
    victim = max((each for each in (near / "data").rglob("*") if each.is_file()), key=lambda each: each.stat().st_size)
    whole = victim.read_bytes()
    assert len(whole) > 200_000, "data, not an index of folders"
    place = len(whole) // 2
    victim.chmod(0o600)
    victim.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    try:
        assert pair.plain("near", "check").returncode == 0, "restic, asked plainly, sees nothing"
        ends: list[Any] = []
        while not ends or (ends[-1]["state"] == "done" and len(ends) < PARTS):
            done = box.gardien("backup", "check", "near", "--json", check=False)
            ends.append(json.loads(done.stdout))
        found = ends[-1]
        assert (found["state"], found["code"]) == ("failed", "damaged"), found
        assert "backups at near are damaged" in found["says"]
        assert "Back up to another target now" in found["remedy"]
        until(lambda: "damaged:near" in pair.alerts(), 30)
        alert = pair.alerts()["damaged:near"]
        assert alert["severity"] == "trouble"
        assert "near" in alert["says"]
        assert "Back up to another target now" in alert["remedy"]
        assert pair.target("near")["problems"]
        assert pair.target("far")["problems"] == []
    finally:
        victim.write_bytes(whole)
    box.gardien("backup", "check", "near")
    until(lambda: "damaged:near" not in pair.alerts(), 30)
    assert pair.target("near")["problems"] == []


# -- threat 17: who takes over the machine deletes the backups


def test_threat_17_an_append_only_server_keeps_what_it_has() -> None:
    with tempfile.TemporaryDirectory(prefix="gh-") as room, RestHost(Path(room) / "rest") as host, box() as made:
        made.settings["targets"] = {"host": {**rest_target(made, "host", host), "keep": ONE_DAY}}
        made.save_settings()
        settle(made)
        for _ in range(3):
            made.gardien("backup", "create", STACK)
        host.again(append_only=True)
        there = host.folder / host.user / "backups"
        before = {each for each in there.rglob("*") if each.is_file() and "locks" not in each.parts}
        says = "lets nothing be deleted from here"
        refused(made, "backup", "forget", "host", says=says, remedy="That protects your backups")
        assert {each for each in there.rglob("*") if each.is_file() and "locks" not in each.parts} == before
        assert len([each for each in made.json("backup", "list", STACK) if each["good"]]) == 3
        # Now it is known, and it is said before anything is tried.
        [target] = made.status()["targets"]
        assert target["can_delete"] is False
        for verb in ("forget", "prune"):
            done = refused(made, "backup", verb, "host", says="othing is deleted from here at host")
            assert "docs/targets.md" in done
        made.gardien("backup", "check", "host", "--all")
        before_that = {job["id"] for job in made.until_jobs_end()}
        made.stop()
        pair = Pair(made, {"host": there})
        pair.set_back(timedelta(days=8))
        made.start()
        until(lambda: len(pair.good("host")) == 4, 60)
        until(lambda: any(job["kind"] == "check" for job in made.until_jobs_end()[:3]), 60)
        kinds = {job["kind"] for job in made.until_jobs_end() if job["id"] not in before_that}
        assert kinds - {"drill"} == {"backup", "check"}
        assert not any(key.startswith(("retention:", "job:")) for key in pair.alerts()), pair.alerts()


# -- threat 18: backups that somebody else made


def test_threat_18_snapshots_from_the_future_push_nothing_out(pair: Pair) -> None:
    """Whoever holds the key makes snapshots that bear our name, our tags and dates to come: a plain policy of "keep the
    newest" would let all real ones go.
    """
    box = pair.box
    pair.back_up()
    good, before = pair.good("near"), pair.listed("near")
    newest = pair.place("near")["newest_good"]["id"]
    ours = ["--host", "test-box", "--tag", f"gardien,stack={STACK},pass=final"]
    for days in range(1, 4):
        moment = (datetime.now(UTC) + days * DAY).astimezone()
        pair.plain("near", "backup", *ours, "--time", f"{moment:%Y-%m-%d %H:%M:%S}", "--", str(pair.film.parent))
    forged = pair.listed("near") - before
    assert len(forged) == 3
    policy = ["--host", "test-box", "--tag", "pass=final", "--group-by", "host,tags", "--keep-last", "3"]
    [told] = json.loads(pair.plain("near", "forget", "--dry-run", "--json", *policy).stdout)
    assert good <= {each["id"] for each in told["remove"]}, "this is what poisons a plain policy"

    [proposal] = box.json("backup", "forget", "near", "--dry-run")["proposals"]
    goes = {each["id"] for each in proposal["snapshots"] if each["goes"]}
    box.gardien("backup", "forget", "near")
    assert pair.good("near") == good - goes
    assert newest in pair.good("near")
    assert pair.place("near")["newest_good"]["id"] == newest
    assert not forged & {each["id"] for each in pair.known("near")}
    box.gardien("backup", "copy", "far")
    assert not forged & {each["copy_of"] for each in pair.known("far")}
    assert len(pair.listed("near") & forged) == 3, "they are evidence, and not ours to delete"
    pair.back_up()
    pair.plain("near", "forget", *forged)

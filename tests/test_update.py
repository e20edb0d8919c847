"""Updates in memory: whatever a new version does, in the end it is there and well, or the former one with its data."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from gardien.errors import Busy, GardienError, NotFound, Refused
from gardien.model.job import Job
from gardien.model.release import Replaced
from gardien.services.runner import Do, Moment, Run
from tests.fakes import FakeShelf, Leaf
from tests.memory_house import STACK
from tests.updating_house import FIRST, Updating, updating_house

ROWS = ["Anna 10:00", "Bertrand 11:00"]
STEPS = (
    "check",
    "images",
    "ready",
    "live",
    "close",
    "pause",
    "dump",
    "final",
    "send",
    "confirm",
    "down",
    "write",
    "up",
    "gate",
    "after",
    "watch",
    "settle",
)
ONWARD = STEPS.index("up")
WAY_BACK = ("look", "fetch", "verify", "images", "swap", "load", "start", "gate", "settle")


@pytest.fixture
async def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Updating]:
    async with updating_house(tmp_path, monkeypatch) as house:
        yield house


def migrated(tag: str) -> list[str]:
    return [f"{row} as of {tag}" for row in ROWS]


async def as_before(made: Updating, job: Job) -> None:
    """The former version is there, with its data, and well; nothing is held, nothing lies about."""
    assert made.runs() == (FIRST, ROWS, None), job
    assert await made.is_well()
    chosen = await made.fakes.world.shelf.chosen(STACK)
    assert chosen is not None
    assert chosen.images == {}
    await clean(made)


async def updated(made: Updating, tag: str) -> None:
    assert made.runs() == (tag, migrated(tag), tag)
    assert await made.is_well()
    await clean(made)


async def clean(made: Updating) -> None:
    assert await made.fakes.store.leases() == {}
    assert not made.app.paused
    data = made.fakes.world.settings.folders.data
    assert not await made.fakes.files.exists(data / STACK / ".gardien" / "dumps")
    assert made.fakes.files.beneath(data / ".restoring") == {}
    assert made.fakes.restic.repositories[made.fakes.restic.place("near")].locks == 0


# -- what goes well


async def test_the_plan_says_what_will_be_done(made: Updating) -> None:
    digest = made.release("2.0.0")
    await made.house.releases.look()
    plan = await made.house.updates.plan(STACK)
    assert tuple(step.name for step in plan.steps) == STEPS
    assert f"BUSYBOX_IMAGE: gardien-test/busybox:2.0.0@{digest}" in next(
        step.details for step in plan.steps if step.name == "write"
    )
    assert await made.home.jobs("update") == []


async def test_a_good_version_stays(made: Updating) -> None:
    digest = made.release("2.0.0")
    job = await made.update()
    assert job.state == "done", f"{job.code}: {job.says} {job.detail}"
    await updated(made, "2.0.0")
    chosen = await made.fakes.world.shelf.chosen(STACK)
    assert chosen is not None
    assert chosen.images == {"BUSYBOX_IMAGE": f"gardien-test/busybox:2.0.0@{digest}"}
    assert "after" in " ".join(made.app.ran)
    assert "from 1.0.0 to 2.0.0" in str(job.says)


async def test_there_is_nothing_newer(made: Updating) -> None:
    with pytest.raises(NotFound):
        await made.update()


async def test_one_that_is_switched_off_is_left_alone(made: Updating) -> None:
    made.release("2.0.0")
    await made.home.done(await made.house.life.stop(STACK))
    await made.house.releases.look()
    with pytest.raises(Refused):
        await made.house.updates.plan(STACK)


# -- what does not: row 41


async def taken_back(made: Updating) -> Job:
    job = await made.update()
    assert (job.state, job.code) == ("failed", "update-failed"), f"{job.state} {job.code}: {job.says} {job.detail}"
    await as_before(made, job)
    with pytest.raises(GardienError):  # in quarantine
        await made.house.updates.plan(STACK)
    return job


async def test_row_41_one_that_never_gets_well(made: Updating) -> None:
    made.release("2.0.0", ok=False)
    job = await taken_back(made)
    assert "at version 1.0.0 again" in str(job.says)


async def test_row_41_one_that_says_it_is_the_former_one(made: Updating) -> None:
    """New programs on old tables: it answers, and is not what it should be."""
    made.release("2.0.0", version=FIRST)
    await taken_back(made)


async def test_row_41_one_that_gave_up_is_not_waited_for(made: Updating) -> None:
    asked = {True: 0, False: 0}

    def mood(tag: str, gave_up: bool) -> dict[str, bool]:
        asked[gave_up] += made.app.tag == tag
        return {"ok": False, "gave_up": gave_up}

    for tag, gave_up in (("2.0.0", False), ("2.0.1", True)):
        made.release(tag)
        made.app.moods[tag] = partial(mood, tag, gave_up)
        await taken_back(made)
    assert asked[False] > 100, "as long as the manifest's patience lasts"
    assert 0 < asked[True] < 30


async def test_row_41_one_that_dies_again_and_again(made: Updating) -> None:
    made.release("2.0.0")

    def mood() -> dict[str, bool]:
        made.app.dies()
        return {"ok": False}

    made.app.moods["2.0.0"] = mood
    job = await taken_back(made)
    assert "ended by itself" in str(job.says)


async def test_row_41_one_that_dies_while_it_is_watched(made: Updating) -> None:
    made.release("2.0.0")
    asked = 0

    def mood() -> dict[str, bool]:
        nonlocal asked
        asked += 1
        if asked in (90, 180):
            made.app.dies()
        return {}

    made.app.moods["2.0.0"] = mood
    await taken_back(made)
    assert asked > 90, "it was well at first"


async def test_row_41_one_that_gets_ill_while_it_is_watched(made: Updating) -> None:
    made.release("2.0.0")
    asked = iter(range(10**6))
    made.app.moods["2.0.0"] = lambda: {"ok": next(asked) < 100}
    await taken_back(made)


async def test_one_whose_commands_fail(made: Updating) -> None:
    made.release("2.0.0", after=True)
    await taken_back(made)


async def test_row_43_a_bad_one_is_not_tried_again_until_there_is_another(made: Updating) -> None:
    made.release("2.0.0", ok=False)
    await taken_back(made)
    made.app.moods.clear()
    made.release("2.0.0", "mended")
    assert (await made.update()).state == "done"
    await updated(made, "2.0.0")


async def test_there_is_one_alert(made: Updating) -> None:
    made.release("2.0.0", ok=False)
    job = await taken_back(made)
    alerts = await made.home.alerts()
    assert [key for key in alerts if "update" in key] == [f"update:{STACK}:{job.id}"]
    made.home.move(days=15)
    assert [key for key in await made.home.alerts() if "update" in key] == []


async def test_what_one_can_go_back_from_and_until_when(made: Updating) -> None:
    async def last() -> Replaced | None:
        outlook = await made.house.updates.outlook(await made.house.stacks.get(STACK))
        assert (outlook.kept_until is None) == (outlook.last is None)
        if outlook.last is not None and outlook.kept_until is not None:
            assert outlook.kept_until - outlook.last.ended == timedelta(days=7)
        return outlook.last

    assert await last() is None
    made.release("2.0.0")
    job = await made.update()
    for _ in range(2):  # worked out, and as it is held
        stayed = await last()
        assert stayed is not None
        assert (stayed.job, stayed.former, stayed.version) == (job.id, FIRST, "2.0.0")
        assert stayed.away is not None
        assert stayed.taken is not None
        assert stayed.taken <= stayed.ended
    assert stayed is not None
    assert f"is kept until {(stayed.ended + timedelta(days=7)):%Y-%m-%d}" in str(job.says)
    assert (await made.home.end(await made.house.updates.rollback(STACK))).state == "done"
    assert await last() is None


async def test_who_begins_is_written_where_the_owner_would_write_it(made: Updating) -> None:
    async def alone() -> bool:
        return (await made.house.updates.outlook(await made.house.stacks.get(STACK))).alone

    updates, shelf = made.house.updates, made.fakes.world.shelf
    assert not await alone()
    await updates.choose(STACK, "by-itself")
    assert await alone()
    chosen = await shelf.chosen(STACK)
    assert chosen is not None
    assert chosen.updates == "by-itself"
    await updates.choose(STACK, None)
    assert not await alone()
    await updates.choose_for_house("by-itself")
    assert await alone()
    assert cast("FakeShelf", shelf).merged == {"updates": {"by_itself": True}}
    await updates.choose(STACK, "by-hand")
    assert not await alone()
    with pytest.raises(NotFound):
        await updates.choose("none", "by-hand")
    made.release("2.0.0")
    await made.house.releases.look()
    job = await updates.run(STACK)
    with pytest.raises(Busy):  # it writes the same file
        await updates.choose(STACK, "by-itself")
    assert (await made.home.end(job)).state == "done"
    await updates.choose(STACK, "by-itself")
    chosen = await shelf.chosen(STACK)
    assert chosen is not None
    assert ":2.0.0@sha256:" in chosen.images["BUSYBOX_IMAGE"]


async def test_each_version_that_was_taken_back_is_told_of(made: Updating) -> None:
    made.release("2.0.0", ok=False)
    first = await taken_back(made)
    made.release("2.0.0", "made anew", ok=False)
    second = await taken_back(made)
    assert first.id != second.id
    assert [key for key in await made.home.alerts() if "update" in key] == [f"update:{STACK}:{second.id}"]


async def test_what_people_wrote_into_the_bad_one_is_kept_aside(made: Updating) -> None:
    """And they are told from when on it is not there any more."""
    made.release("2.0.0", after=True)
    job = await taken_back(made)
    assert "what was written from 2" in str(job.says)
    assert "is not in it" in str(job.says)
    kept = made.fakes.world.settings.folders.data / ".kept" / f"{STACK}-{job.id}"
    assert made.fakes.files.leaves[kept / "srv" / "schema"].text == "2.0.0"


async def test_no_room_for_two(made: Updating) -> None:
    """Then what the bad one left goes first."""
    made.release("2.0.0", after=True)
    data = made.fakes.world.settings.folders.data
    made.fakes.files.put(data / STACK / "srv" / "big", Leaf("x" * 100_000, 0o644))
    made.fakes.host.disks[data] = (10**9, 64 * 1024 * 1024 + 50_000)
    job = await made.update()
    assert job.code == "update-failed", f"{job.code} {job.says} {job.detail}"
    await as_before(made, job)
    assert job.facts["in_place"] is True


# -- nothing begins


async def test_row_40_nothing_stops_before_all_is_here(made: Updating) -> None:
    made.release("2.0.0")
    made.fakes.docker.registry_answers = False
    up = made.fakes.docker.containers[made.app.project, "app"].id
    job = await made.update()
    assert job.state == "failed"
    assert made.fakes.docker.containers[made.app.project, "app"].id == up
    await as_before(made, job)
    assert await made.home.known() == [], "no backup was made for nothing"


async def test_without_a_backup_there_is_no_update(made: Updating) -> None:
    made.release("2.0.0")
    made.fakes.restic.unreachable.add("near")
    job = await made.update()
    assert job.state == "failed"
    made.fakes.restic.unreachable.clear()
    await as_before(made, job)


async def test_with_an_incomplete_backup_there_is_no_update(made: Updating) -> None:
    made.release("2.0.0")
    made.fakes.restic.unreadable.add(made.app.srv / "note.txt")
    job = await made.update()
    assert (job.state, job.code) == ("failed", "incomplete")
    await as_before(made, job)


async def test_never_during_a_call(made: Updating) -> None:
    made.release("2.0.0")
    made.app.call = True
    job = await made.update()
    assert (job.state, job.code) == ("failed", "busy")
    await as_before(made, job)


async def test_too_little_memory(made: Updating) -> None:
    made.release("2.0.0")
    made.fakes.host.has_memory_free = 10**6
    assert (await made.update()).code == "refused"


# -- back, by hand


async def test_rollback(made: Updating) -> None:
    made.release("2.0.0")
    assert (await made.update()).state == "done"
    await made.home.done(await made.house.updates.rollback(STACK))
    assert made.runs() == (FIRST, ROWS, None)
    assert await made.is_well()
    with pytest.raises(GardienError):
        await made.house.updates.plan(STACK)
    with pytest.raises(Refused):
        await made.house.updates.plan_rollback(STACK)


async def test_retention_spares_the_backup_of_before(made: Updating) -> None:
    """For as long as the former programs stay, too."""
    made.release("2.0.0")
    before = str((await made.update()).facts["final"])
    await made.home.saved()
    [proposal] = await made.house.upkeep.proposals("near")
    assert "update" in proposal.ruling.reasons[before]
    made.home.move(days=8)
    [proposal] = await made.house.upkeep.proposals("near")
    assert "update" not in proposal.ruling.reasons.get(before, ())


async def test_programs_that_nobody_needs_go(made: Updating) -> None:
    made.release("2.0.0")
    await made.update()
    former = next(iter(made.fakes.docker.images - {made.fakes.docker.containers[made.app.project, "app"].image}))
    assert await made.house.updates.prune() == []
    made.home.move(days=8)
    assert await made.house.updates.prune() == [former]


# -- kill -9


async def _breathe() -> None:
    await asyncio.sleep(0.001)


class Plug(BaseException):
    """The daemon dies here."""


@pytest.mark.parametrize("moment", ["begun", "ran"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("good", [True, False])
async def test_killed_at(made: Updating, step: str, moment: Moment, good: bool) -> None:
    """Before `up` it is taken back; from then on the version decides."""

    def pull(kind: str, at: str, when: Moment) -> None:
        if (kind, at, when) == ("update", step, moment):
            raise Plug

    if good:
        made.release("2.0.0")
    else:
        made.release("2.0.0", after=True)
    await made.house.releases.look()
    dying = made.reborn(on_point=pull)
    number = await dying.house.updates.run(STACK)
    while number in dying.house.runner._tasks:
        await _breathe()
    alive = made.reborn()
    await alive.house.runner.recover()
    job = await alive.home.end(number)
    stays = STEPS.index(step) >= ONWARD and good
    if STEPS.index(step) < ONWARD:
        assert job.state == "interrupted", job
    elif not good and STEPS.index(step) <= STEPS.index("after"):
        assert job.code == "update-failed", job
    if stays:
        assert job.state == "done", f"{job.code} {job.says} {job.detail}"
        await updated(alive, "2.0.0")
    else:
        await as_before(alive, job)
    await alive.house.runner.stop()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("step", WAY_BACK)
async def test_killed_on_the_way_back(made: Updating, step: str, after: bool) -> None:
    made.release("2.0.0", after=True)
    await made.house.releases.look()
    dying = made.reborn()
    do = dying.house.restores.work.do
    assert isinstance(do, dict)
    real = do[step]

    async def dies(run: object) -> None:
        if after:
            await real(run)
        raise Plug

    do[step] = dies
    number = await dying.house.updates.run(STACK)
    while number in dying.house.runner._tasks:
        await _breathe()
    assert (dead := await made.fakes.store.job(number)) is not None
    assert dead.state == "undoing"
    alive = made.reborn()
    await alive.house.runner.recover()
    job = await alive.home.end(number)
    assert (job.state, job.code) == ("failed", "update-failed"), "why it was taken back is still known"
    await as_before(alive, job)
    await alive.house.runner.stop()


async def test_what_was_fetched_and_is_not_whole_any_more_is_fetched_again(made: Updating) -> None:
    """A power cut takes what a disk said it had; a way back that cannot be verified must not stay where it is."""
    made.release("2.0.0", after=True)
    do, ran = made.house.restores.work.do, list[str]()
    assert isinstance(do, dict)

    def noted(step: str, real: Do) -> Do:
        async def runs(run: Run) -> None:
            ran.append(step)
            if ran == ["fetch", "verify"]:
                raise NotFound("it is not whole")
            await real(run)

        return runs

    do |= {step: noted(step, do[step]) for step in ("fetch", "verify")}
    job = await made.update()
    assert ran == ["fetch", "verify"] * 2
    assert (job.state, job.code) == ("failed", "update-failed")
    await as_before(made, job)


async def test_a_restart_of_gardien_leaves_it_where_it_is(made: Updating) -> None:
    made.release("2.0.0")
    await made.house.releases.look()
    number = await made.house.updates.run(STACK)
    while (job := await made.fakes.store.job(number)) is None or job.steps[STEPS.index("watch")].state != "begun":
        await _breathe()
    await made.house.runner.stop()
    alive = made.reborn()
    await alive.house.runner.recover()
    assert (await alive.home.end(number)).state == "done"
    await updated(alive, "2.0.0")
    await alive.house.runner.stop()


async def test_cancelled_while_it_is_watched(made: Updating) -> None:
    """A person's word takes it back; the version may be tried again."""
    made.release("2.0.0")
    await made.house.releases.look()
    number = await made.house.updates.run(STACK)
    while (job := await made.fakes.store.job(number)) is None or job.steps[STEPS.index("watch")].state != "begun":
        await _breathe()
    await made.house.runner.cancel(number)
    job = await made.home.end(number)
    assert job.state == "cancelled"
    await as_before(made, job)
    assert await made.house.updates.plan(STACK)


async def test_row_44_docker_goes_while_it_is_started(made: Updating) -> None:
    """It is waited for; what did not come back with it is started."""
    made.release("2.0.0")
    asked = iter(range(10**6))
    docker = made.fakes.docker

    def mood() -> dict[str, bool]:
        if next(asked) == 5:
            docker.up = False
            for key, each in list(docker.containers.items()):
                docker.containers[key] = replace(each, state="exited")
        return {}

    made.app.moods["2.0.0"] = mood
    await made.house.releases.look()
    number = await made.house.updates.run(STACK)
    while docker.up:
        await _breathe()
    await _breathe()
    docker.up = True
    job = await made.home.end(number)
    assert job.state == "done", f"{job.code} {job.says} {job.detail}"
    await updated(made, "2.0.0")


# -- by itself


@pytest.fixture
async def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Updating]:
    updates = {"by_itself": True, "window": "sunday 03:00-05:00", "cooling_days": 3}
    backup = {"at": "daily at 02:30", "prove": "never"}  # a trial would share the application's rows
    async with updating_house(tmp_path, monkeypatch, updates=updates, backup=backup) as house:
        yield house


async def test_by_itself_only_in_the_window_and_only_what_is_ripe(alone: Updating) -> None:
    """BEGIN is a Monday; a patch release that came on that day is made on the Sunday after."""
    alone.release("1.0.1")
    await alone.house.releases.look()
    [entry] = await alone.house.updates.entries()
    local = entry.at.astimezone(alone.house.calendar._agenda.zone)
    assert (local.weekday(), local.hour) == (6, 3)
    assert entry.at - alone.home.now > timedelta(days=3)


async def test_it_happens(alone: Updating) -> None:
    alone.release("1.0.1")
    await alone.house.releases.look()
    await alone.home.live(days=5)
    assert alone.runs()[0] == FIRST
    await alone.home.live(days=3)
    await updated(alone, "1.0.1")
    assert [job.state for job in await alone.home.jobs("update")] == ["done"]
    assert await alone.house.updates.entries() == []


async def test_majors_are_by_hand(alone: Updating) -> None:
    alone.release("2.0.0")
    await alone.house.releases.look()
    assert await alone.house.updates.entries() == []


async def test_a_call_is_waited_for_within_the_window(alone: Updating) -> None:
    alone.release("1.0.1")
    await alone.house.releases.look()
    alone.app.call = True
    await alone.home.live(days=8)
    jobs = await alone.home.jobs("update")
    assert len(jobs) > 1
    assert {(job.code, job.state) for job in jobs} == {("busy", "failed")}
    assert {job.created.weekday() for job in jobs} == {6}
    alone.app.call = False
    await alone.home.live(days=7)
    await updated(alone, "1.0.1")


async def test_a_bad_one_is_tried_once(alone: Updating) -> None:
    """Row 43: no loop over a bad digest."""
    alone.release("1.0.1", ok=False)
    await alone.house.releases.look()
    await alone.home.live(days=30)
    [job] = await alone.home.jobs("update")
    assert job.code == "update-failed"
    await as_before(alone, job)


async def test_a_stack_of_its_own_mind(alone: Updating) -> None:
    """What its owner said of it goes before what they said of the house."""
    alone.release("1.0.1")
    await alone.house.releases.look()
    shelf = alone.fakes.world.shelf
    chosen = await shelf.chosen(STACK)
    assert chosen is not None
    await shelf.choose(STACK, chosen.model_copy(update={"updates": "by-hand"}))
    assert await alone.house.updates.entries() == []
    await alone.home.done(await alone.house.life.set(STACK, {"GREETING": "changed"}))
    assert await alone.house.updates.entries() == [], "other settings change nothing in that"

"""Time goes wrong: backups silently stop, a box was off, its clock is not set, a night has 23 hours or 25."""

import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.app import local_zone
from gardien.errors import TargetUnreachable
from gardien.model.job import Job
from gardien.model.settings import Backup
from gardien.rules import schedule
from gardien.rules.agenda import MADE_WAY
from gardien.services.agenda import Agenda, Entry
from gardien.services.stacks import Stacks
from tests.contracts.grounds import ground
from tests.memory_house import STACK, Home, memory_house
from tests.near_and_far import Pair, near_and_far
from tests.world.box import until
from tests.world.tls import certificate

ZONES = ("Europe/Berlin", "Europe/Paris")
NIGHTS = (date(2026, 3, 29), date(2026, 10, 25))  # one of 23 hours, one of 25
HOUR = timedelta(hours=1)
ONCE = (("backup", "near"), ("copy", "far"), ("forget", "near"), ("forget", "far"))
TWO = {"near": {}, "other": {}, "far": {"copy_of": "near"}}


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with near_and_far() as made:
        made.back_up()
        yield made


def agenda(home: Home) -> Agenda:
    """As a daemon has it that has just started."""
    return Agenda(home.fakes.world, Stacks(home.fakes.world), local_zone())


def late(target: str) -> str:
    return f"backup-late:{STACK}:{target}"


# -- row 15: backups silently stop


async def test_row_15_a_calendar_that_stands_still_is_told_of_after_26_hours(home: Home) -> None:
    await home.live(hours=22)
    [night] = await home.jobs("backup")
    assert night.ended is not None
    home.fakes.clock.now = night.created + timedelta(hours=25, minutes=55)
    assert not {late("near"), late("far")} & set(await home.alerts())
    home.fakes.clock.now = night.ended + timedelta(hours=26, minutes=5)
    alerts = await home.alerts()
    assert late("far") not in alerts, "a copy may take two hours more"
    assert alerts[late("near")].severity == "trouble"
    assert "has not been saved at near for too long" in str(alerts[late("near")].says)
    assert "gardien backup create notes" in str(alerts[late("near")].remedy)
    home.move(hours=2)
    assert late("far") in await home.alerts()
    overview = await home.house.overviews.now()
    assert overview.severity == "trouble"
    assert overview.stacks[0].late
    await home.look()
    assert not {late("near"), late("far")} & set(await home.alerts())


async def test_row_15_backups_that_never_count_are_no_backups(home: Home) -> None:
    """Each night one is made, and each night a file cannot be read."""
    await home.live(hours=22)
    data = home.fakes.world.settings.folders.data
    home.restic.unreadable.add(data / STACK / "srv" / "note.txt")
    good = await home.known(good_only=True)
    await home.live(hours=30)
    assert len(home.there()) > len(good) == 1
    assert await home.known(good_only=True) == good
    alerts = await home.alerts()
    assert {late("near"), late("far")} <= set(alerts)
    [view] = await home.house.overviews.stacks()
    near = next(each for each in view.places if each.target == "near")
    assert near.newest is not None
    assert near.newest_good is not None
    assert near.newest.id != near.newest_good.id
    assert len(near.missed) >= 1


async def test_row_15_a_stack_that_was_never_saved_is_late_too(home: Home) -> None:
    home.restic.full.add("near")
    await home.live(hours=27)
    assert home.there() == []
    assert late("near") in await home.alerts()


def test_row_15_on_a_real_box(pair: Pair) -> None:
    """Its newest good backup is 27 hours old, and the one that is owed fails: nobody hears of it but from the page."""
    box = pair.box
    box.until_jobs_end()
    box.stop()
    pair.set_back(timedelta(hours=27))
    away = pair.folders["near"].rename(pair.box.root / "away")
    box.start()
    try:
        until(lambda: late("near") in pair.alerts(), 60)
        status = box.status()
        assert status["severity"] == "trouble"
        assert "has not been saved at near for too long" in status["says"]
        assert pair.place("near")["late"]
        [stack] = status["stacks"]
        assert stack["late"]
    finally:
        box.until_jobs_end()
        away.rename(pair.folders["near"])
    pair.back_up()
    until(lambda: late("near") not in pair.alerts(), 30)
    assert box.status()["severity"] != "trouble", box.status()


# -- row 23: the box was off


async def test_row_23_after_days_off_each_thing_is_made_up_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_house(tmp_path, monkeypatch, TWO) as home:
        await home.live(hours=22)
        before = {kind: len(await home.jobs(kind)) for kind in ("backup", "copy", "forget")}
        assert before == {"backup": 2, "copy": 1, "forget": 3}
        home.move(days=3)
        back = home.now
        await home.look()
        await home.look()
        made = (await home.jobs("backup"))[2:]
        assert Counter(job.plan.facts["target"] for job in made) == {"near": 1, "other": 1}
        assert len(await home.jobs("copy")) == 2
        assert Counter(job.plan.subject for job in (await home.jobs("forget"))[3:]) == {"near": 1, "other": 1, "far": 1}
        await home.live(hours=12)
        assert len(await home.jobs("backup")) == 4, "and then at the usual time"
        await home.live(hours=12)
        assert len(await home.jobs("backup")) == 6
        assert all(job.created - back < HOUR for job in made)


async def test_row_23_a_box_that_is_on_in_the_daytime_only_is_saved_each_day(home: Home) -> None:
    for _ in range(10):
        await home.live(hours=8)
        home.move(hours=16)
    assert len(await home.jobs("backup")) == 9
    assert len(await home.jobs("check", "near")) == 1
    await home.look()
    assert late("near") not in await home.alerts()


def test_row_23_on_a_real_box(pair: Pair) -> None:
    box = pair.box
    before = {job["id"] for job in box.until_jobs_end()}
    good = {target: pair.good(target) for target in pair.folders}
    box.stop()
    pair.set_back(timedelta(days=3))
    for _ in range(2):
        box.start()
        until(lambda: ("copy", "far") in done(pair, before), 120)
        until(lambda: all(job["over"] for job in jobs(pair)), 120)
        time.sleep(3)
        made = done(pair, before)
        assert {each: made[each] for each in ONCE} == dict.fromkeys(ONCE, 1)
        assert set(made.values()) == {1}, "no check or prune came twice, either"
        odd = [job for job in jobs(pair) if job["id"] not in before and job["state"] != "done"]
        assert {job["code"] for job in odd} <= {MADE_WAY}, odd
        box.stop()
    box.start()
    assert all(len(pair.good(target) - good[target]) == 1 for target in pair.folders)


def done(pair: Pair, before: set[int]) -> Counter[tuple[str, str]]:
    """What came to its end since: kind and target."""
    return Counter(
        (job["kind"], job["target"]) for job in jobs(pair) if job["id"] not in before and job["state"] == "done"
    )


def jobs(pair: Pair) -> list[dict[str, Any]]:
    """Newest first."""
    return list(pair.box.line.get("jobs")["jobs"])


# -- row 24: the clock


@contextmanager
def faked(moment: str) -> Iterator[dict[str, str]]:
    """An environment in which it is another time, and no network has set the clock. restic, as any program that is
    made with Go, does not let itself be deceived.
    """
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    with tempfile.TemporaryDirectory(prefix="gh-") as room:
        Path(room, "sitecustomize.py").write_text("from gardien.adapters import host\nhost._kernel_clock = lambda: 5\n")
        path = os.pathsep.join(filter(None, (room, os.environ.get("PYTHONPATH"))))
        yield {"LD_PRELOAD": str(library), "FAKETIME": moment, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "PYTHONPATH": path}


def test_row_24_without_a_clock_it_is_1970(pair: Pair) -> None:
    """After a power cut a small machine begins in 1970. gardien goes on from when it last knew the time: yesterday."""
    box = pair.box
    box.until_jobs_end()
    known = {target: pair.good(target) for target in pair.folders}
    box.stop()
    pair.set_back(timedelta(days=1))
    box.settings["trust_clock"] = False
    box.save_settings()
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with faked("@1970-01-01 00:01:00") as environment:
        try:
            box.start(**environment)
            until(lambda: "clock" in pair.alerts(), 30)
            now = datetime.fromisoformat(box.status()["now"])
            assert abs(now - yesterday) < timedelta(minutes=10)
            assert "clock is wrong" in pair.alerts()["clock"]["says"]
            assert "sets itself once it reaches the internet" in pair.alerts()["clock"]["remedy"]
            made = pair.back_up()
            taken = datetime.fromisoformat(pair.known("near")[0]["taken"])
            assert timedelta(0) <= taken - now < timedelta(minutes=10)
            [listed] = json.loads(pair.plain("near", "snapshots", "--json", made).stdout)
            assert datetime.fromisoformat(listed["time"]) == taken, "plain restic, too, is told a time that can be"
            [age] = json.loads(pair.plain("far", "snapshots", "--json", pair.known("far")[0]["id"]).stdout)
            assert datetime.fromisoformat(age["time"]) == taken
            there = pair.listed("near")
            said = box.gardien("backup", "forget", "near").stdout
            assert "No backup at near was cleared out: the machine's clock is not set by the network" in said
            assert pair.listed("near") == there
        finally:
            box.stop()
            box.settings["trust_clock"] = True
            box.save_settings()
    box.start()
    until(lambda: "clock" not in pair.alerts(), 30)
    assert datetime.now(UTC) - datetime.fromisoformat(box.status()["now"]) < timedelta(minutes=1)
    pair.back_up()
    assert all(pair.good(target) - known[target] for target in known)


@pytest.mark.parametrize("kind", ["rest", "s3"])
async def test_row_24_a_certificate_that_is_not_valid_yet_is_the_clocks_fault(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ground(kind, tmp_path) as g:
        host = g.rest or g.store
        assert host is not None
        await g.restic.create("host")
        host.stop()
        with faked("+400d") as environment, monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            certificate(host.certificate.parent)
        host.start()
        for ask in (g.restic.identity, g.restic.can_delete):
            with pytest.raises(TargetUnreachable) as caught:
                await ask("host")
            assert "this machine's clock is probably wrong" in str(caught.value.says)
            assert "Nothing was sent" in str(caught.value.remedy)
            assert "another server" not in str(caught.value.says)


async def test_row_24_retention_waits_for_a_clock_that_is_set(home: Home) -> None:
    await home.live(days=3)
    home.fakes.host.set_by_network = False
    job = await home.done(await home.house.upkeep.forget("near"))
    assert "no backup at near was cleared out" in str(job.says)
    assert "clock is not set by the network" in str(job.says)
    assert len(home.there()) == 3


async def test_row_24_a_clock_that_was_years_ahead_stops_nothing(home: Home) -> None:
    """Set by nobody, it said 2036 for two days: what was done then is not waited for until 2036."""
    await home.live(days=2)
    home.fakes.host.set_by_network = False
    today = home.now
    home.move(days=3700)
    await home.live(days=10)
    ahead = len(home.there())
    assert ahead > 2
    home.fakes.clock.now = today + timedelta(days=1)
    home.fakes.host.set_by_network = True
    await home.live(days=3)
    found = [each for each in home.there() if each.taken < home.now]
    assert len(found) == 6, "two from before, one that was owed, and three nights"
    copies = {each.original for each in home.there("far")}
    assert {each.id for each in found} <= copies
    [view] = await home.house.overviews.stacks()
    for place in view.places:
        assert place.newest_good is not None
        assert home.now - place.newest_good.taken < timedelta(days=1), "one from the future says nothing"
    home.restic.full |= {"near", "far"}
    await home.live(days=2)
    assert {late("near"), late("far")} <= set(await home.alerts())
    home.restic.full.clear()
    assert (await home.care()).frozen is not None
    await home.live(days=8)
    checks = [job for job in await home.jobs("check", "near") if today < job.created < home.now]
    assert checks, "repositories are looked after as well"
    assert "not come yet" in str((await home.alerts())["retention:near"].says)


# -- row 25: nights of 23 and 25 hours


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("night", NIGHTS, ids=str)
@pytest.mark.parametrize(
    "at", ["daily at 02:30", "daily at 02:00", "daily at 02:55", "daily at 03:00", "daily at 01:50"]
)
async def test_row_25_exactly_one_run_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, night: date, at: str
) -> None:
    begin = datetime(night.year, night.month, night.day, 12, tzinfo=ZoneInfo(zone)).astimezone(UTC) - timedelta(days=2)
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, zone, begin, backup=Backup(at=at)) as home:
        await home.live(days=4)
        days = Counter(job.created.astimezone(ZoneInfo(zone)).date() for job in await home.jobs("backup"))
        assert days == {night + timedelta(days=number): 1 for number in (-1, 0, 1, 2)}
        [view] = await home.house.overviews.stacks()
        assert view.places[0].missed == ()
        assert late("near") not in await home.alerts()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("night", NIGHTS, ids=str)
async def test_row_25_every_hour_has_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zone: str, night: date
) -> None:
    begin = datetime(night.year, night.month, night.day, tzinfo=UTC) - timedelta(hours=4)
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, zone, begin, backup=Backup(at="hourly")) as home:
        await home.live(hours=10)
        runs = [job.created.replace(minute=0, second=0, microsecond=0) for job in await home.jobs("backup")]
        assert runs == [begin + HOUR * number for number in range(1, len(runs) + 1)]
        assert len(runs) in {9, 10}
        [view] = await home.house.overviews.stacks()
        assert view.places[0].missed == ()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("night", NIGHTS, ids=str)
@pytest.mark.parametrize("at", ["02:30", "02:59", "hourly", "every 2 hours", "every 6 hours", "*/7 1-3 * * *"])
def test_row_25_whenever_one_asks_the_next_time_is_the_same(at: str, night: date, zone: str) -> None:
    place, begin = ZoneInfo(zone), datetime(night.year, night.month, night.day, tzinfo=UTC) - timedelta(hours=8)
    moments = [schedule.following(at, begin, place)]
    while moments[-1] < begin + timedelta(days=2):
        moments.append(schedule.following(at, moments[-1], place))
    for minute in range(24 * 60):
        asked = begin + timedelta(minutes=minute)
        assert schedule.following(at, asked, place) == next(each for each in moments if each > asked), asked


# -- when it is tried again


async def test_what_cannot_be_reached_is_tried_after_10_30_60_and_180_minutes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        home.restic.unreachable.add("near")
        await home.live(hours=26)
        jobs = await home.jobs("backup")
        assert {job.code for job in jobs} == {"target-unreachable"}
        assert gaps(jobs)[:6] == [10, 30, 60, 180, 180, 180]
        home.restic.unreachable.clear()
        home.move(hours=3)
        await home.look()
        assert (await home.jobs("backup"))[-1].state == "done"
        home.restic.unreachable.add("near")
        number = len(await home.jobs("backup"))
        await home.live(days=1)
        assert gaps((await home.jobs("backup"))[number:])[:2] == [10, 30], "it begins anew"


def gaps(jobs: list[Job]) -> list[int]:
    """Minutes between the end of one and the beginning of the next."""
    return [
        round((later.created - (former.ended or later.created)) / timedelta(minutes=1))
        for former, later in pairwise(jobs)
    ]


@pytest.mark.parametrize("fault", ["refusing", "passphrase", "gone"])
async def test_row_48_what_needs_a_person_is_not_tried_again_before_the_next_regular_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        if fault == "refusing":
            home.restic.refusing.add("near")
        elif fault == "passphrase":
            home.repository().passphrase = "another"
        else:
            home.restic.repositories.clear()
        await home.live(days=3)
        nights = [job.created.date() for job in await home.jobs("backup")]
        assert nights == [home.now.date() - timedelta(days=number) for number in (2, 1, 0)]
        assert len(await home.jobs("forget")) == 3


async def test_a_job_that_was_cut_short_is_owed_again_soon(home: Home) -> None:
    """By a restart of gardien, or by something that could not wait."""
    await home.live(hours=22)
    number = await home.house.upkeep.check("near")
    await home.end(number)
    for state, code, minutes in (("interrupted", None, 10), ("cancelled", MADE_WAY, 1)):
        await home.fakes.store.mark_job(number, state, home.now, code=code)  # type: ignore[arg-type]
        entries = await agenda(home).all()
        [due] = [each.at for each in entries if (each.kind, each.target) == ("check", "near")]
        assert timedelta(0) < due - home.now <= timedelta(minutes=minutes), state


# -- the random delay


def test_the_delay_is_the_same_whoever_asks_and_no_more_than_15_minutes() -> None:
    seen = set()
    zone = ZoneInfo("Europe/Berlin")
    moment = schedule.following("daily at 02:30", datetime(2026, 3, 2, tzinfo=UTC), zone)
    for number in range(500):
        delay = schedule.spread("daily at 02:30", moment, zone, f"repository {number}")
        assert timedelta(0) <= delay <= schedule.MOST_SPREAD
        assert delay == schedule.spread("daily at 02:30", moment.astimezone(UTC), zone, f"repository {number}")
        seen.add(int(delay / timedelta(minutes=1)))
    assert seen == set(range(15)), "it is spread over all of them"


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),
    st.sampled_from(
        ["daily at 02:30", "daily at 02:55", "daily at 01:50", "hourly", "every 6 hours", "sundays at 02:59"]
    ),
    st.sampled_from(ZONES),
    st.text(max_size=5),
)
def test_the_delay_is_never_more_than_15_minutes_on_any_night(at: datetime, words: str, name: str, seed: str) -> None:
    zone, now = ZoneInfo(name), at.replace(tzinfo=UTC)
    moment = schedule.following(words, now, zone)
    due = moment + schedule.spread(words, moment, zone, seed)
    begun = moment.astimezone(UTC)
    assert begun > now
    assert timedelta(0) <= due.astimezone(UTC) - begun <= schedule.MOST_SPREAD
    assert schedule.following(words, moment, zone).astimezone(UTC) > due.astimezone(UTC)


async def test_the_delay_outlives_a_restart(home: Home) -> None:
    def due(entries: list[Entry]) -> dict[tuple[str, str], datetime]:
        return {(each.kind, each.target): each.at for each in entries}

    before = due(await agenda(home).all())
    home.move(hours=1)
    assert due(await agenda(home).all()) == before
    assert len({at.minute * 60 + at.second for at in before.values()}) > 1, "not all at once"

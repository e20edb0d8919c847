"""What every memory keeps to: SQLite's and the one in dictionaries."""

import asyncio
import os
import sqlite3
import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from gardien.adapters.store import SqliteStore, plan_from_json, plan_to_json
from gardien.errors import BadInput, GardienError, NoSpace, NotFound
from gardien.model.health import Disk, StackHealth, Stretch
from gardien.model.plan import Plan, Step
from gardien.model.proof import Outcome, Proof
from gardien.model.release import Sighting, Tags, Verdict
from gardien.model.snapshot import Snapshot
from gardien.services.ports import Store
from gardien.words import Words
from tests.contracts.small_disk import small_disk

OWN = {"state.db", "state.db.reserve"}

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
PLAN = Plan(
    kind="backup",
    subject="nextcloud",
    steps=(
        Step("pause", Words.of("Pause {stack}", stack="Nextcloud"), Words("Resume"), ("occ on",)),
        Step("save", Words("Save")),
    ),
    leases=("stack:nextcloud", "repository:offsite"),
    onward="save",
    facts={"target": "offsite", "deep": {"list": [1, None, "é"]}},
)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


async def test_a_job_is_what_was_written_down(store: Store) -> None:
    number = await store.add_job(PLAN, NOON)
    job = await store.job(number)
    assert job is not None
    assert job.plan == PLAN
    assert (job.id, job.state, job.attempts, job.created) == (number, "queued", 0, NOON)
    assert (job.started, job.ended, job.says, job.remedy, job.code, job.detail) == (None, None, None, None, None, "")
    assert [(step.name, step.state, step.began, step.ended) for step in job.steps] == [
        ("pause", "waiting", None, None),
        ("save", "waiting", None, None),
    ]
    assert dict(job.facts) == PLAN.facts
    assert await store.job(number + 1) is None


async def test_a_job_lives(store: Store) -> None:
    number = await store.add_job(PLAN, NOON)
    await store.mark_job(number, "running", later(1))
    await store.mark_step(number, "pause", "begun", later(2), {"paused": True})
    await store.mark_step(number, "pause", "done", later(3))
    await store.remember(number, {"deep": 2})
    await store.mark_job(number, "running", later(4))  # a second attempt, after a crash
    await store.mark_step(number, "pause", "begun", later(5))
    job = await store.job(number)
    assert job is not None
    assert (job.state, job.attempts, job.started, job.ended) == ("running", 2, later(1), None)
    assert job.steps[0].state == "begun"
    assert (job.steps[0].began, job.steps[0].ended) == (later(2), None)
    assert dict(job.facts) == {"target": "offsite", "deep": 2, "paused": True}
    says, remedy = Words.of("because of {what}", what="rain"), Words("Take an umbrella.")
    await store.mark_job(number, "undoing", later(6), says=says, remedy=remedy, code="busy", detail="drip\ndrop")
    await store.mark_step(number, "pause", "undone", later(7))
    await store.mark_job(number, "failed", later(8))
    job = await store.job(number)
    assert job is not None
    assert job.over
    assert (job.says, job.remedy, job.code, job.detail, job.ended) == (says, remedy, "busy", "drip\ndrop", later(8))
    assert (job.steps[0].state, job.steps[0].ended) == ("undone", later(7))
    await store.mark_job(number, "running", later(9))
    job = await store.job(number)
    assert job is not None
    assert (job.says, job.code, job.detail, job.ended) == (None, None, "", None)


async def test_what_is_not_there_cannot_be_marked(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.mark_job(7, "running", NOON)
    number = await store.add_job(PLAN, NOON)
    with pytest.raises(NotFound):
        await store.mark_step(number, "nothing", "begun", NOON)
    with pytest.raises(NotFound):
        await store.remember(number + 1, {"a": 1})


async def test_the_tags_of_a_repository(store: Store) -> None:
    assert await store.tags("docker.io/library/app") is None
    await store.keep_tags("docker.io/library/app", Tags(("1", "2"), '"mark"'))
    await store.keep_tags("ghcr.io/app", Tags(()))
    assert await store.tags("docker.io/library/app") == Tags(("1", "2"), '"mark"')
    assert await store.tags("ghcr.io/app") == Tags(())
    await store.keep_tags("docker.io/library/app", Tags(("1", "2", "3")))
    assert await store.tags("docker.io/library/app") == Tags(("1", "2", "3"))


async def test_what_a_tag_stood_for(store: Store) -> None:
    """In the order in which it was seen, whatever the clock said."""
    for digest, seconds in (("a", 0.0), ("b", 10.0), ("c", -500.0), ("b", 30.0)):
        await store.saw("app", "1", digest, later(seconds))
        await store.saw("app", "2", "z", later(seconds))
    await store.saw("other", "1", "a", NOON)
    seen = [each for each in await store.sightings("app") if each.tag == "1"]
    assert seen == [
        Sighting("app", "1", "a", NOON, NOON),
        Sighting("app", "1", "c", later(-500), later(-500)),
        Sighting("app", "1", "b", later(10), later(30)),
    ]
    assert await store.sightings("none") == []


async def test_what_was_said_of_an_image(store: Store) -> None:
    why = Words.of("it is {how}", how="bad")
    bad = Verdict("app", "APP_IMAGE", "1.1", "sha256:1", "quarantined", NOON, why)
    unwanted = Verdict("app", "APP_IMAGE", "1.2", "sha256:2", "skipped", later(9))
    for each in (unwanted, bad, replace(bad, stack="other")):
        await store.judge(each)
    assert list(await store.verdicts("app")) == [bad, unwanted]
    await store.judge(replace(unwanted, digest="sha256:1"))  # said again, it is what was said last
    assert [each.said for each in await store.verdicts("app")] == ["skipped", "skipped"]
    assert await store.acquit("app", "sha256:1")
    assert not await store.acquit("app", "sha256:1")
    assert list(await store.verdicts("app")) == [unwanted]
    assert len(await store.verdicts("other")) == 1


async def test_jobs_in_order(store: Store) -> None:
    numbers = [await store.add_job(PLAN, later(n)) for n in range(4)]
    other = await store.add_job(Plan("start", "demo", (), ()), later(9))
    await store.mark_job(numbers[1], "done", later(10))
    await store.mark_job(numbers[2], "running", later(11))
    assert [job.id for job in await store.jobs()] == [other, *reversed(numbers)]
    assert [job.id for job in await store.jobs(most=2)] == [other, numbers[3]]
    assert [job.id for job in await store.jobs(before=numbers[2])] == [numbers[1], numbers[0]]
    assert [job.id for job in await store.jobs(subject="demo")] == [other]
    assert [job.id for job in await store.jobs(open_only=True)] == [numbers[0], numbers[2], numbers[3], other]
    assert [job.id for job in await store.jobs(open_only=True, most=1)] == [numbers[0]]


async def test_leases_are_taken_all_or_none(store: Store) -> None:
    one, two = await store.add_job(PLAN, NOON), await store.add_job(PLAN, NOON)
    assert await store.take_leases(one, ["stack:a", "repository:x"])
    assert await store.take_leases(one, ["repository:x", "stack:b"]), "one's own leases are no obstacle"
    assert not await store.take_leases(two, ["stack:c", "stack:a"])
    assert await store.leases() == {"stack:a": one, "repository:x": one, "stack:b": one}
    await store.drop_leases(one)
    assert await store.take_leases(two, ["stack:a"])
    assert await store.leases() == {"stack:a": two}


async def test_two_do_not_get_the_same_lease(store: Store) -> None:
    jobs = [await store.add_job(PLAN, NOON) for _ in range(8)]
    taken = await asyncio.gather(*(store.take_leases(job, ["stack:a", f"x:{job}"]) for job in jobs))
    assert sum(taken) == 1
    assert len(await store.leases()) == 2


def snapshot(number: int, *, stack: str = "nextcloud", good: bool = True, target: str = "offsite") -> Snapshot:
    why = None if good else Words.of("{count} files were missed", count=number)
    missed = () if good else ("/srv/gardien/an\nodd name", "/srv/gardien/é")
    return Snapshot(
        f"{number:064x}", stack, target, later(number), 10, 2**40, 7, 1.5, good, why, "0.1.0", missed=missed
    )


async def test_snapshots_newest_first(store: Store) -> None:
    made = [snapshot(1), snapshot(2, good=False), snapshot(3, stack="demo"), snapshot(4)]
    for each in [made[2], made[0], made[3], made[1]]:
        await store.add_snapshot(each)
    await store.add_snapshot(made[0])
    assert await store.snapshots() == [made[3], made[2], made[1], made[0]]
    assert await store.snapshots("nextcloud") == [made[3], made[1], made[0]]
    assert await store.snapshots("nextcloud", good_only=True) == [made[3], made[0]]
    assert await store.snapshots(most=1) == [made[3]]
    assert await store.snapshots("other") == []


async def test_snapshots_of_a_target_come_and_go(store: Store) -> None:
    here, there = snapshot(1), snapshot(2, target="copy")
    there = replace(there, original=here.id)
    for each in (here, there):
        await store.add_snapshot(each)
    assert await store.snapshots(target="copy") == [there]
    assert await store.snapshots("demo", target="copy") == []
    await store.drop_snapshots("offsite", [there.id, here.id])
    assert await store.snapshots() == [there]


async def test_trial_restores(store: Store) -> None:
    def tried(job: int, stack: str, outcome: Outcome, **more: Any) -> Proof:
        says, remedy = Words.of("{stack} came back", stack=stack), Words.of("")
        taken, began, ended = later(-9), later(job - 1.5), later(job)
        return Proof(job, stack, "offsite", "f" * 64, taken, began, ended, outcome, says, remedy, **more)

    first = tried(1, "cloud", "proven", files=7, bytes=8, dumps=("a.sql",), asked=("app", "db"))
    second, third = tried(2, "cloud", "failed", code="damaged"), tried(3, "forms", "skipped")
    for each in (third, first, second, first):
        await store.add_proof(each)
    assert await store.proofs() == [third, second, first]
    assert await store.proofs("cloud") == [second, first]
    assert await store.proofs("cloud", outcome="proven") == [first]
    assert await store.proofs(most=1) == [third]
    assert await store.proofs(since=later(2), until=later(3)) == [second]
    assert first.seconds == 1.5
    await store.add_proof(replace(second, outcome="proven", code=None))
    assert [each.outcome for each in await store.proofs("cloud")] == ["proven", "proven"]


async def test_jobs_of_one_kind(store: Store) -> None:
    one = await store.add_job(PLAN, NOON)
    two = await store.add_job(replace(PLAN, kind="restore"), NOON)
    assert [each.id for each in await store.jobs(kind="restore")] == [two]
    assert [each.id for each in await store.jobs(kind=PLAN.kind, subject=PLAN.subject)] == [one]


async def test_times_of_other_zones_sort_by_what_they_are(store: Store) -> None:
    zone = timezone(timedelta(hours=5))
    await store.add_snapshot(Snapshot("a" * 64, "s", "t", NOON.astimezone(zone), 1, 1, 1, 0, True))
    await store.add_snapshot(Snapshot("b" * 64, "s", "t", later(1), 1, 1, 1, 0, True))
    assert [each.id[0] for each in await store.snapshots()] == ["b", "a"]
    assert (await store.snapshots())[1].taken == NOON


async def test_health_and_disks(store: Store) -> None:
    well = StackHealth("a", "well", Words("answers"), NOON, later(1))
    down = StackHealth("b", "down", Words.of("{n} are gone", n=2), NOON, later(1))
    assert await store.healths() == {}
    await store.set_health([well, down])
    better = StackHealth("b", "well", Words("answers"), later(2), later(2))
    told = Stretch("b", "app", ok=True, says=Words(""), began=later(2), seen=later(2))
    ill = Stretch("b", "app", ok=False, says=Words.of("{n} are gone", n=2), began=NOON, seen=later(1))
    await store.set_health([better], [told, ill])
    longer = replace(told, seen=later(3))
    await store.set_health([], [longer])
    assert await store.stretches("b", NOON) == [ill, longer]
    assert await store.stretches("b", later(2)) == [longer]
    assert await store.stretches("a", NOON) == []
    assert await store.healths() == {"a": well, "b": better}
    assert await store.disks() == ([], None)
    disks = [Disk("/z", 10, 5), Disk("/a", 0, 0, present=False)]
    await store.set_disks(disks, NOON)
    assert await store.disks() == (disks, NOON)
    await store.set_disks(disks[:1], later(1))
    assert await store.disks() == (disks[:1], later(1))


async def test_alerts(store: Store) -> None:
    await store.open_alert("late:a", "notice", Words("late"), Words("wait"), NOON)
    await store.open_alert("disk", "trouble", Words("full"), Words("tidy up"), later(1))
    await store.open_alert("late:a", "trouble", Words.of("very {late}", late="late"), Words("act"), later(2))
    first, second = await store.alerts()
    assert (first.key, second.key) == ("disk", "late:a")
    assert (second.severity, str(second.says), str(second.remedy)) == ("trouble", "very late", "act")
    assert (second.opened, second.closed) == (NOON, None)
    await store.close_alert("late:a", later(3))
    await store.close_alert("late:a", later(4))
    await store.close_alert("nothing", later(4))
    assert [alert.key for alert in await store.alerts()] == ["disk"]
    await store.open_alert("late:a", "notice", Words("late again"), Words(""), later(5))
    every = await store.alerts(open_only=False)
    assert [(alert.key, alert.closed) for alert in every] == [("late:a", None), ("disk", None), ("late:a", later(3))]
    assert len({alert.id for alert in every}) == 3
    assert len(await store.alerts(open_only=False, most=1)) == 1
    assert [each.id for each in await store.alerts(open_only=False, before=every[1].id)] == [every[2].id]
    assert await store.alerts(before=every[1].id) == []


async def test_notes_and_passwords(store: Store) -> None:
    assert await store.noted("disk") is None
    await store.note("disk", "a")
    await store.note("disk", "b")
    assert await store.noted("disk") == "b"
    for _ in range(2):
        await store.unnote("disk")
        assert await store.noted("disk") is None
    assert await store.password("owner") is None
    await store.set_password("owner", "x")
    await store.set_password("owner", "y")
    assert await store.password("owner") == "y"


async def test_a_link_opens_once_and_in_time(store: Store) -> None:
    await store.add_link("one", "owner", later(60))
    await store.add_link("late", "owner", later(1))
    assert await store.use_link("late", later(1)) is None
    assert await store.use_link("one", later(59)) == "owner"
    assert await store.use_link("one", later(59)) is None
    assert await store.use_link("never", NOON) is None


async def test_a_link_opens_for_one_of_many(store: Store) -> None:
    await store.add_link("one", "owner", later(60))
    assert sorted(map(str, await asyncio.gather(*(store.use_link("one", NOON) for _ in range(6))))) == [
        *["None"] * 5,
        "owner",
    ]


async def said(store: Store, key: str, now: datetime) -> str | None:
    visit = await store.session(key, now)
    return visit.data if visit is not None else None


async def test_sessions(store: Store) -> None:
    await store.save_session("k1", '{"user": "owner", "csrf": "é"}', later(60))
    await store.save_session("k2", '{"user": "owner"}', later(60))
    await store.save_session("k3", '{"user": "other"}', later(60))
    await store.save_session("k4", "{}", later(60))
    assert await said(store, "k1", NOON) == '{"user": "owner", "csrf": "é"}'
    assert await store.session("k1", later(60)) is None
    await store.save_session("k2", '{"user": "owner", "n": 1}', later(90))
    assert await said(store, "k2", later(80)) == '{"user": "owner", "n": 1}'
    visit = await store.session("k2", NOON)
    assert visit is not None and visit.person == await store.person("owner") and visit.user == "owner"
    stranger = await store.session("k3", NOON)
    assert stranger is not None and stranger.person is None
    assert [each.key for each in await store.sessions("owner", NOON)] == ["k2", "k1"]
    assert [each.key for each in await store.sessions("owner", later(80))] == ["k2"]
    await store.end_session("k2")
    assert await store.session("k2", NOON) is None
    await store.end_sessions("owner")
    assert await store.session("k1", NOON) is None
    assert await store.session("k3", NOON) is not None
    assert await said(store, "k4", NOON) == "{}"


async def test_people(store: Store) -> None:
    (owner,) = await store.people()
    assert (owner.name, owner.role, owner.may, owner.secret) == ("owner", "owner", frozenset(), None)
    assert await store.add_person("anna", "helper", frozenset({"backup"}), NOON)
    assert not await store.add_person("anna", "owner", frozenset(), NOON)
    anna = await store.person("anna")
    assert anna is not None and anna.made == NOON and set(anna.powers) == {"read", "self", "backup"}
    assert not await store.change_person("owner", "helper", frozenset()), "somebody must be one"
    assert not await store.drop_person("owner")
    await store.save_session("k", '{"user": "anna"}', later(60))
    assert await store.change_person("anna", "owner", frozenset())
    assert await store.session("k", NOON) is None
    assert await store.change_person("owner", "helper", frozenset())
    assert [(each.name, each.role) for each in await store.people()] == [("anna", "owner"), ("owner", "helper")]
    assert not await store.change_person("nobody", "owner", frozenset())


async def test_who_is_removed_leaves_no_way_in(store: Store) -> None:
    await store.add_person("anna", "helper", frozenset(), NOON)
    await store.set_password("anna", "hash")
    await store.add_link("one", "anna", later(60))
    await store.save_session("k", '{"user": "anna"}', later(60))
    await store.set_second_factor("anna", "SECRET", 1, ["spare"])
    await store.add_token("t", "hers", "anna", frozenset({"read"}), NOON, None)
    assert await store.drop_person("anna")
    assert not await store.drop_person("anna")
    await store.add_person("anna", "helper", frozenset(), NOON)  # another one
    assert await store.password("anna") is None and await store.use_link("one", NOON) is None
    assert await store.session("k", NOON) is None and await store.token("t", NOON) is None
    assert await store.spare_codes("anna") == 0


async def test_a_second_factor(store: Store) -> None:
    await store.set_second_factor("owner", "SECRET", 7, ["a", "b"])
    owner = await store.person("owner")
    assert owner is not None and (owner.secret, owner.step) == ("SECRET", 7)
    assert "SECRET" not in repr(owner)
    assert [await store.use_step("owner", step) for step in (7, 8, 8, 6)] == [False, True, False, False]
    assert [await store.use_spare_code("owner", code) for code in ("a", "a", "c")] == [True, False, False]
    assert await store.spare_codes("owner") == 1
    await store.set_second_factor("owner", None, 0, [])
    assert await store.spare_codes("owner") == 0


async def test_tokens(store: Store) -> None:
    first = await store.add_token("h1", "monitor", "owner", frozenset({"read"}), NOON, later(60))
    assert first is not None
    assert await store.add_token("h2", "monitor", "owner", frozenset({"act"}), NOON, None) is None
    assert await store.add_token("h2", "backups", "owner", frozenset({"backup", "read"}), NOON, None) != first
    found = await store.token("h1", NOON)
    assert found is not None and (found.name, set(found.scopes), found.used) == ("monitor", {"read"}, None)
    assert await store.token("h1", later(60)) is None and await store.token("h2", later(9e9)) is not None
    await store.token_used(first, later(1))
    assert [(each.name, each.used) for each in await store.tokens()] == [("backups", None), ("monitor", later(1))]
    assert await store.drop_token("monitor") and not await store.drop_token("monitor")
    assert await store.token("h1", NOON) is None


async def test_what_was_done(store: Store) -> None:
    for number in range(4):
        await store.add_deed(later(number), "anna", "page", Words.of("{n} done", n=number), number or None, number == 2)
    deeds = await store.deeds(2)
    assert [(str(each.what), each.job, each.refused) for each in deeds] == [("3 done", 3, False), ("2 done", 2, True)]
    assert [str(each.what) for each in await store.deeds(9, deeds[-1].id)] == ["1 done", "0 done"]
    await store.add_deed(later(401 * 86400), "anna", "console", Words("much later"), None, False)
    assert [str(each.what) for each in await store.deeds()] == ["much later"]


# -- of the real one alone


def test_a_plan_survives_its_json() -> None:
    assert plan_from_json(plan_to_json(PLAN)) == PLAN


async def test_it_is_there_after_a_restart_and_private(tmp_path: Path) -> None:
    os.umask(0o000)
    try:
        store = await SqliteStore.open(tmp_path / "deep" / "state.db")
    finally:
        os.umask(0o022)
    number = await store.add_job(PLAN, NOON)
    for file in (tmp_path / "deep").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    await store.close()
    again = await SqliteStore.open(tmp_path / "deep" / "state.db")
    job = await again.job(number)
    assert job is not None
    assert job.plan == PLAN
    assert not again.opened_fresh_after_corruption
    await again.close()


async def test_it_is_durable_and_strict(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state.db")
    [[mode]] = await store._rows("PRAGMA journal_mode")
    [[synchronous]] = await store._rows("PRAGMA synchronous")
    assert (mode, synchronous) == ("wal", 2)
    with pytest.raises(sqlite3.IntegrityError):
        await store.take_leases(99, ["a lease of nobody"])
    assert await store.leases() == {}, "half a transaction was kept"
    with pytest.raises(ValueError, match="zone"):
        await store.add_job(PLAN, datetime(2026, 1, 1))
    await store.close()


async def test_a_cancelled_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state.db")
    number = await store.add_job(PLAN, NOON)
    for round_ in range(40):
        task = asyncio.create_task(store.mark_step(number, "pause", "begun", NOON, {f"fact{round_}": round_}))
        for _ in range(round_ % 8):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        await store.remember(number, {"alive": round_})
    job = await store.job(number)
    assert job is not None
    assert job.facts["alive"] == 39
    await store.close()


@pytest.mark.parametrize("damage", ["scribble", "truncate", "not a database"])
async def test_a_damaged_file_is_set_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "state.db"
    store = await SqliteStore.open(path)
    for _ in range(50):
        await store.add_job(PLAN, NOON)
    await store.close()
    size = path.stat().st_size
    if damage == "scribble":
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(size - 8192))
    elif damage == "truncate":
        os.truncate(path, size // 2)
    else:
        path.write_bytes(b"this is a letter, not a database\n" * 100)
    again = await SqliteStore.open(path)
    assert again.opened_fresh_after_corruption
    assert await again.jobs() == []
    await again.add_job(PLAN, NOON)
    await again.close()
    assert [each.name.startswith("state.db.damaged-") for each in tmp_path.iterdir() if each.name not in OWN] == [True]
    once_more = await SqliteStore.open(path)
    assert not once_more.opened_fresh_after_corruption
    assert len(await once_more.jobs()) == 1
    await once_more.close()


async def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = await SqliteStore.open(path)
    await store.add_job(PLAN, NOON)
    await store.close()
    with sqlite3.connect(path) as newer:
        newer.execute("PRAGMA user_version = 999")
    newer.close()
    before = path.read_bytes()
    with pytest.raises(BadInput) as caught:
        await SqliteStore.open(path)
    assert "newer gardien" in str(caught.value)
    assert path.read_bytes() == before
    assert {each.name for each in tmp_path.iterdir()} == OWN


async def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(GardienError) as caught:
        await SqliteStore.open(tmp_path / "state" / "state.db")
    assert caught.value.remedy.text


async def test_a_full_disk_is_said_and_what_was_written_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        store = await SqliteStore.open(disk / "state.db")
        number = await store.add_job(PLAN, NOON)
        with pytest.raises(NoSpace) as caught:
            for round_ in range(40):
                await store.remember(number, {f"ballast{round_}": "x" * 100_000})
        assert caught.value.remedy.text
        job = await store.job(number)
        assert job is not None
        assert job.plan == PLAN
        await store.close()


async def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    one = await SqliteStore.open(tmp_path / "state.db")
    two = await SqliteStore.open(tmp_path / "state.db")
    await asyncio.gather(*(store.note(f"{n}", "x") for n in range(20) for store in (one, two)))
    assert await two.noted("19") == "x"
    await one.close()
    await two.close()

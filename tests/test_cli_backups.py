"""`gardien backup …` at a house with two targets: one near, and a copy of it far away."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gardien.faces.terminal import Terminal
from gardien.faces.terminal_backups import listed
from gardien.model.job import Progress
from gardien.services.care import deletes_note
from gardien.services.house import House
from gardien.words import N_, Words
from tests.quiet_house import Running, running_house
from tests.test_cli import Person, gardien, told

FRENCH = "fr_FR.UTF-8"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


@contextmanager
def furnished() -> Iterator[Running]:
    """A house whose demo stack was saved twice and copied."""
    targets = {
        "near": {"kind": "local", "folder": "/nowhere/near"},
        "far": {"kind": "local", "folder": "/nowhere/far", "copy_of": "near"},
    }
    with running_house(targets=targets, trust_clock=True) as house:
        house.do(furnish(house.quiet.house))
        yield house


async def furnish(house: House) -> None:
    for target in house.settings.targets:
        await house.targets.init(target)
    await house.runner.wait(await house.life.add("demo", {}))
    for _ in range(2):
        await house.runner.wait(await house.backups.create("demo"))


@pytest.fixture(scope="module")
def two() -> Iterator[Running]:
    """For tests that change nothing that another looks at."""
    with furnished() as house:
        gardien(house.config, "backup", "copy")
        yield house


@pytest.fixture
def mine() -> Iterator[Running]:
    with furnished() as house:
        yield house


def rows(text: str) -> list[list[str]]:
    """A table, without its head."""
    return [re.split(r" {2,}", line) for line in text.splitlines()[1:]]


# -- one or all


def test_a_copy_is_made_and_told_from_what_it_is_a_copy_of(mine: Running) -> None:
    assert "holds a copy of 2 more backups" in gardien(mine.config, "backup", "copy", "far").stdout
    assert "holds a copy of every backup already" in gardien(mine.config, "backup", "copy").stdout
    table = rows(gardien(mine.config, "backup", "list", "demo").stdout)
    assert [row[2] for row in table] == ["near", "far (copy)"] * 2
    assert {row[-1] for row in table} == {"good"}
    there = told(mine.config, "backup", "list", "--target", "far")
    here = told(mine.config, "backup", "list", "--target", "near")
    assert [each["copy_of"] for each in there] == [each["id"] for each in here]
    refused = gardien(mine.config, "backup", "create", "demo", "--target", "far", code=1)
    assert "backups do not go there directly" in refused.stderr
    assert gardien(mine.config, "backup", "copy", "near", code=1).stderr.startswith("Near is not filled")


def test_left_out_means_each_that_fits(two: Running) -> None:
    done = gardien(two.config, "backup", "check")
    assert [line for line in done.stdout.splitlines() if line[1:2] != "/"] == [
        "The backups at near are whole; part 1 of 4 was read byte by byte.",
        "The backups at far are whole; part 1 of 4 was read byte by byte.",
    ]
    many = gardien(two.config, "backup", "check", "--all", "--json").stdout.splitlines()
    assert [(job["target"], job["state"]) for job in map(json.loads, many)] == [("near", "done"), ("far", "done")]
    assert told(two.config, "backup", "copy")["target"] == "far", "only one of them is a copy"
    assert "all of them were read byte by byte" in gardien(two.config, "backup", "check", "far", "--all").stdout
    assert gardien(two.config, "backup", "forget", "far").stdout.endswith("No backup at far is old enough to go.\n")
    plans = gardien(two.config, "backup", "check", "--all", "--dry-run").stdout
    assert plans.count("--read-data-subset=1/1") == 2 and "near:\n 1. " in plans and "far:\n 1. " in plans
    assert re.match(r"Job \d+ has begun", gardien(two.config, "backup", "prune", "near", "--no-wait").stdout)
    missing = gardien(two.config, "backup", "check", "nowhere", code=1)
    assert "no backup target called nowhere" in missing.stderr


def test_where_no_target_is_ready_nothing_is_tried() -> None:
    with running_house() as house:
        refused = gardien(house.config, "backup", "check", code=1).stderr
        assert "The backup target box is not ready." in refused and "gardien target test box" in refused
        assert told(house.config, "job", "list") == []
    with running_house(targets={}) as house:
        assert "gardien target add" in gardien(house.config, "backup", "prune", code=1).stderr


def test_a_failure_at_one_target_stops_no_other(mine: Running) -> None:
    mine.quiet.restic.unreachable.add("near")
    done = gardien(mine.config, "backup", "check", code=1)
    assert "Check of near: Failed." in done.stderr and "The backups at far are whole" in done.stdout
    both = gardien(mine.config, "backup", "check", "--json", code=1)
    assert [job["state"] for job in map(json.loads, both.stdout.splitlines())] == ["failed", "done"]


def test_damage_is_told_with_what_the_program_said(mine: Running) -> None:
    newest = told(mine.config, "backup", "list")[0]["id"]
    next(iter(mine.quiet.restic.repositories.values())).damaged.add(newest)
    done = gardien(mine.config, "backup", "check", "near", "--all", code=1)
    assert "The backups at near are damaged: the check found 1 fault" in done.stderr
    assert "What the program said last:" in done.stderr


# -- retention


def test_retention_says_beforehand_what_goes_and_why_each_other_one_stays(two: Running) -> None:
    done = gardien(two.config, "backup", "forget", "near", "--dry-run").stdout
    head, newest, older = done.splitlines()
    assert head == "demo at near: 0 would go, 2 would stay."
    assert "stays  the newest that counts; one of the newest that count;" in newest
    assert re.search(r"stays  one of the newest that count; of the last days$", older)
    found = told(two.config, "backup", "forget", "near", "--dry-run")
    assert found["target"] == "near"
    assert [each["goes"] for each in found["proposals"][0]["snapshots"]] == [False, False]
    both = gardien(two.config, "backup", "forget", "--dry-run").stdout
    assert "demo at near: " in both and "demo at far: " in both


def age(house: Running, *days: int) -> None:
    """More backups in the house's memory, so many days old; the last one is not good."""
    store = house.quiet.house.store
    newest = house.do(store.snapshots(target="near"))[0]
    for number, back in enumerate(days):
        bad = Words.of(N_("{count} files could not be read"), count=2) if number == len(days) - 1 else None
        house.do(
            store.add_snapshot(
                replace(
                    newest,
                    id=f"{number:02x}" * 32,
                    taken=newest.taken - timedelta(days=back),
                    good=bad is None,
                    why=bad,
                    missed=("/notes/one", "/notes/two") if bad else (),
                )
            )
        )


def test_what_would_go_and_what_is_frozen(mine: Running) -> None:
    gardien(mine.config, "backup", "copy")
    age(mine, 400, 400, 800, 30)  # two of one day: one of them is enough
    done = gardien(mine.config, "backup", "forget", "near", "--dry-run").stdout
    assert re.search(r"(?m)^  00000000  \S+ \S+  GOES$", done)
    assert "does not count, and stays for some days" not in done, "thirty days are enough"
    assert done.startswith("demo at near: 2 would go, 4 would stay.")
    mine.do(mine.quiet.house.store.add_snapshot(replace(_newest(mine), id="ff" * 32, good=False, why=Words("x"))))
    frozen = gardien(mine.config, "backup", "forget", "near", "--dry-run").stdout
    assert frozen.startswith("demo at near: nothing goes, because ") and "GOES" not in frozen
    assert "nothing goes now" in frozen


def _newest(house: Running) -> Any:
    return house.do(house.quiet.house.store.snapshots(target="near"))[0]


def test_where_nothing_can_be_deleted_it_says_so(mine: Running) -> None:
    mine.do(mine.quiet.house.store.note(deletes_note("near"), "no"))
    for verb in ("forget", "prune"):
        refused = gardien(mine.config, "backup", verb, "near", code=1).stderr
        assert "othing is deleted from here at near" in refused and "docs/targets.md" in refused
        assert " near " not in gardien(mine.config, "backup", verb).stdout, "the other one is done without a word"
    assert "othing is deleted from here" in gardien(mine.config, "backup", "forget", "near", "--dry-run", code=1).stderr
    mine.do(mine.quiet.house.store.note(deletes_note("far"), "no"))
    none = gardien(mine.config, "backup", "prune", code=1).stderr
    assert "at near" in none and "at far" in none


# -- one backup


def test_one_backup_with_all_that_is_known_of_it(mine: Running) -> None:
    gardien(mine.config, "backup", "copy")
    age(mine, 3)
    first = told(mine.config, "backup", "list", "--target", "near")[0]
    [copy] = [each for each in told(mine.config, "backup", "list") if each["copy_of"] == first["id"]]
    shown = gardien(mine.config, "backup", "show", first["id"][:10]).stdout
    assert re.match(r"Backup of demo, \d{4}-\d\d-\d\d \d\d:\d\d: good\n", shown)
    for line in (
        rf"Also at +far: {copy['id'][:8]}",
        r"Target +near",
        rf"Id +{first['id']}",
        r"Files +10",
        r"Paused for +0",
    ):
        assert re.search(rf"(?m)^{line}", shown), line
    assert re.search(r"(?m)^It stays as +the newest that counts; ", shown)
    assert f"near: {first['id'][:8]}" in gardien(mine.config, "backup", "show", copy["id"]).stdout
    assert re.search(rf"(?m)^Copy of +{first['id']}$", gardien(mine.config, "backup", "show", copy["id"]).stdout)
    bad = gardien(mine.config, "backup", "show", "0000").stdout
    assert "INCOMPLETE\n2 files could not be read.\n" in bad
    assert "These files could not be read, and are not in it:\n  /notes/one\n  /notes/two\n" in bad
    assert told(mine.config, "backup", "show", "0000")["missed"] == ["/notes/one", "/notes/two"]
    assert "INCOMPLÈTE" in gardien(mine.config, "backup", "show", "0000", LC_ALL=FRENCH).stdout
    unknown = gardien(mine.config, "backup", "show", "zz", code=1)
    assert "no backup whose id begins with zz" in unknown.stderr and "gardien backup list" in unknown.stderr
    mine.do(mine.quiet.house.store.add_snapshot(replace(_newest(mine), id="0000ff" + "00ff" * 14 + "00")))
    assert "2 backups have an id that begins with 0000" in gardien(mine.config, "backup", "show", "0000", code=2).stderr


# -- the list


def saved(number: int, ago: timedelta, **changes: object) -> dict[str, Any]:
    return {
        "id": f"{number:02x}" * 32,
        "stack": "demo",
        "target": "near",
        "taken": (NOW - ago).isoformat(timespec="seconds"),
        "bytes": 63_400_000_000,
        "added": 212_000_000,
        "pause_seconds": 11.4,
        "good": True,
        "why": None,
        "state": "good",
        "copy_of": None,
        **changes,
    }


def test_good_incomplete_missed_gone_and_running_ones_never_look_alike(capsys: pytest.CaptureFixture[str]) -> None:
    day = timedelta(days=1)
    snapshots = [
        saved(1, day, state="incomplete", good=False, why="3 files could not be read"),
        saved(2, 4 * day),
        saved(3, 4 * day, target="far", copy_of="02" * 32),
        saved(4, 6 * day, state="lost", good=False, why="its target does not list it any more"),
    ]
    missed = [(NOW - back * day).isoformat(timespec="seconds") for back in (2, 3, 5)]
    step = {"name": "live", "says": "Save the files"}
    running = {
        "id": 7,
        "kind": "backup",
        "stack": "demo",
        "target": "near",
        "state": "running",
        "state_says": "Under way",
        "step": "live",
        "steps": [step],
        "progress": None,
        "created": NOW.isoformat(timespec="seconds"),
    }
    waiting = {**running, "id": 8, "stack": "wiki", "state": "queued"}
    status = {
        "stacks": [{"name": "demo", "places": [{"target": "near", "missed": missed}]}],
        "jobs": [running, waiting, {**running, "id": 9, "kind": "check", "stack": None}],
    }
    listed(Terminal("en"), snapshots, status, None, None)
    table = rows(capsys.readouterr().out)
    states = {row[-1] for row in table}
    assert states == {
        "under way: 1/1 Save the files",
        "waiting its turn",
        "INCOMPLETE: 3 files could not be read",
        f"MISSED: 2 times since {Terminal('en').date(missed[1])}",
        "good",
        "MISSED",
        "GONE: its target does not list it any more",
    }
    assert [row[-1].split(":")[0] for row in table[2:]] == ["INCOMPLETE", "MISSED", "good", "good", "MISSED", "GONE"]
    assert [row[2] for row in table[4:6]] == ["near", "far (copy)"]
    listed(Terminal("en"), [], status, "wiki", None)
    assert [row[0] for row in rows(capsys.readouterr().out)] == ["job 8"]
    listed(Terminal("en"), snapshots[2:3], status, None, "far")
    assert [row[-1] for row in rows(capsys.readouterr().out)] == ["good"]
    listed(Terminal("fr"), snapshots, status, None, None)
    french = capsys.readouterr().out
    assert all(word in french for word in ("INCOMPLÈTE", "MANQUÉE", "DISPARUE", "bonne", "far (copie)"))


def test_a_backup_under_way_stands_above_the_others(mine: Running) -> None:
    mine.hold(True)
    gardien(mine.config, "backup", "create", "demo", "--no-wait")
    for _ in range(20):
        table = rows(gardien(mine.config, "backup", "list").stdout)
        if "40%" in table[0]:
            break
    assert table[0][:3] == ["job 4", "demo", "near"] and len(table) == 3
    mine.hold(False)


# -- progress


def test_packs_are_counted_where_there_are_no_bytes(mine: Running) -> None:
    job = {
        "state": "running",
        "state_says": "Under way",
        "step": "read",
        "steps": [{"name": "look", "says": "Look"}, {"name": "read", "says": "Read a part"}],
        "progress": {
            "fraction": 0.43,
            "bytes_done": 0,
            "bytes_total": 0,
            "files_done": 1204,
            "files_total": 2800,
            "per_second": 0.0,
            "seconds_left": None,
        },
    }
    assert Terminal("en").present_step(job) == "2/2 Read a part  43%  1,204 of 2,800"
    assert Progress(files_done=1204, files_total=2800).fraction == pytest.approx(0.43)


def test_watching_a_check_can_be_stopped_and_the_others_are_not_begun(mine: Running) -> None:
    mine.hold(True)
    person = Person(mine.config, "backup", "check")
    person.reads("Check of near  2/3 Look whether the backups are whole")
    person.reads("…  40%  2 of 5")
    person.process.send_signal(signal.SIGINT)
    person.reads("No longer watching")
    assert person.ends() == 130
    mine.hold(False)
    assert [job["target"] for job in told(mine.config, "job", "list") if job["kind"] == "check"] == ["near"]

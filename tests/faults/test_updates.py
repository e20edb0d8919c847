"""Rows 40 to 45 of what can go wrong, and a poisoned tag: real versions of an application at a real registry."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.world.box import Box, box, docker, until
from tests.world.plug import MOMENTS, die_at, leases
from tests.world.registry import RegistryHost
from tests.world.versions import FIRST, ROWS, STACK, Makers, add, lay_out, state

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
SAMPLE = ("final", "down", "write", "up", "gate", "watch")
TRIED = STEPS if os.environ.get("GARDIEN_FULL") else SAMPLE


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryHost]:
    with RegistryHost(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def makers(registry: RegistryHost) -> Makers:
    return Makers(registry)


@pytest.fixture
def house(makers: Makers) -> Iterator[Box]:
    with box() as made:
        made.settings["limits"] = {"healthy": 20, "watch_update": 8}
        made.save_settings()
        lay_out(made, makers.registry)
        made.start()
        made.gardien("target", "init", "host")
        docker("pull", f"{makers.registry.name}/ledger:{FIRST}")
        add(made)
        yield made


def migrated(*tags: str) -> list[str]:
    return [row + "".join(f" as of {tag}" for tag in tags) for row in ROWS]


def update(house: Box, *more: str, check: bool = False) -> Any:
    """Look, run; the job."""
    house.gardien("update", "list", "--now")
    house.gardien("update", "run", STACK, *more, check=check)
    return next(each for each in house.until_jobs_end() if each["kind"] == "update")


def as_before(house: Box) -> None:
    assert state(house) == (FIRST, ROWS, None)
    well(house)


def updated(house: Box, tag: str) -> None:
    assert state(house) == (tag, migrated(tag), tag)
    well(house)


def well(house: Box) -> None:
    assert house.until_well(STACK, 40) < 40
    assert leases(house) == ""
    assert not (house.data / STACK / ".gardien" / "dumps").exists()
    assert not (house.data / STACK / "srv" / "paused").exists()
    beside = house.data / ".restoring"
    assert not beside.exists() or list(beside.iterdir()) == []


def test_a_good_version_stays(house: Box, makers: Makers) -> None:
    digest = makers.release("1.0.1")
    job = update(house, check=True)
    assert job["state"] == "done", job
    updated(house, "1.0.1")
    shown = house.json("stack", "show", STACK)
    assert shown["images"]["LEDGER_IMAGE"].endswith(f"ledger:1.0.1@{digest}")
    house.gardien("update", "rollback", STACK, "--yes")
    as_before(house)


def test_row_40_a_registry_that_fails_in_the_middle_of_a_layer(house: Box, makers: Makers) -> None:
    makers.release("1.0.1")
    house.gardien("update", "list", "--now")
    container = docker("ps", "--quiet", "--filter", f"name={house.prefix}-{STACK}").strip()
    for blob in (Path(makers.registry.log).parent / "images").rglob("data"):
        if blob.parent.parent.parent.name == "sha256" and b'"MOOD' not in blob.read_bytes():
            blob.write_bytes(blob.read_bytes()[:-7])
    docker("rmi", "--force", f"{makers.registry.name}/ledger:{FIRST}", check=False)
    house.gardien("update", "run", STACK, check=False)
    job = next(each for each in house.until_jobs_end() if each["kind"] == "update")
    assert job["state"] in ("failed", "done"), job
    if job["state"] == "failed":  # its layers may all have been here
        assert docker("ps", "--quiet", "--filter", f"name={house.prefix}-{STACK}").strip() == container
        as_before(house)


@pytest.mark.parametrize("mood", ["sick", "crash", "dies3", "former", "clumsy"])
def test_row_41_a_bad_version_goes_back_with_its_data(house: Box, makers: Makers, mood: str) -> None:
    makers.release("1.0.1", mood)
    job = update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    assert f"this is 1.0.1, in a {mood} mood" in job["detail"]
    as_before(house)
    until(lambda: [each["key"] for each in house.json("alert", "list")] == [f"update:{STACK}:{job['id']}"], 30)


def test_row_42_two_majors_ahead(house: Box, makers: Makers) -> None:
    """Each in turn, and none is left out."""
    makers.release("2.0.0")
    makers.release("3.0.0")
    house.gardien("update", "list", "--now")
    assert house.gardien("update", "run", STACK, "3.0.0", check=False).returncode != 0
    as_before(house)
    assert update(house)["state"] == "done"
    assert state(house)[0] == "2.0.0"
    assert update(house)["state"] == "done"
    assert state(house) == ("3.0.0", migrated("2.0.0", "3.0.0"), "3.0.0")


def test_row_43_a_bad_digest_is_not_tried_twice(house: Box, makers: Makers) -> None:
    makers.release("1.0.1", "sick")
    assert update(house)["code"] == "update-failed"
    told = house.gardien("update", "run", STACK, check=False)
    assert told.returncode != 0
    assert len([each for each in house.until_jobs_end() if each["kind"] == "update"]) == 1
    makers.made.remove("1.0.1")
    makers.release("1.0.1", "good")
    assert update(house)["state"] == "done"
    updated(house, "1.0.1")


def test_threat_16_a_poisoned_tag_is_not_run(house: Box, makers: Makers) -> None:
    """The tag that runs stands for something else: what runs stays, and it is said."""
    house.gardien("update", "list", "--now")
    before = docker("inspect", "--format", "{{.Image}}", f"{house.prefix}-{STACK}-app-1")
    makers.release(FIRST, "good", version=FIRST)
    poisoned = makers.release(FIRST, "sick", version=FIRST)
    house.gardien("update", "list", "--now")
    news = next(each for each in house.json("update", "list") if each["stack"] == STACK)
    assert [each["digest"] for each in news["moved"]] == [poisoned]
    house.gardien("stack", "restart", STACK)
    assert docker("inspect", "--format", "{{.Image}}", f"{house.prefix}-{STACK}-app-1") == before
    as_before(house)


def test_never_during_a_call(house: Box, makers: Makers) -> None:
    makers.release("1.0.1")
    call = house.data / STACK / "srv" / "call"
    call.touch()
    time.sleep(1)
    assert update(house)["code"] == "busy"
    call.unlink()
    as_before(house)


def test_what_people_write_until_it_stops_is_not_lost(house: Box, makers: Makers) -> None:
    """A row that is written while the first pass runs is there after the way back."""
    makers.release("1.0.1", "sick")
    database = house.data / STACK / "srv" / "database"
    rows = database.read_text().replace("-- whole", "Chloe 12:00\n-- whole")
    database.write_text(rows)
    assert update(house)["code"] == "update-failed"
    assert state(house) == (FIRST, [*ROWS, "Chloe 12:00"], None)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", TRIED)
@pytest.mark.parametrize("mood", ["good", "clumsy"])
def test_killed_at(house: Box, makers: Makers, mood: str, step: str, moment: str) -> None:
    """kill -9 of the daemon: before `up` it is taken back, from then on the version decides."""
    makers.release("1.0.1", mood)
    house.gardien("update", "list", "--now")
    past = STEPS.index(step) >= STEPS.index("up")
    if mood == "clumsy" and step in ("watch", "settle"):
        assert update(house)["code"] == "update-failed"  # it never comes so far
        as_before(house)
        return
    die_at(house, f"update/{step}/{moment}", "update", "run", STACK)
    house.start()
    job = next(each for each in house.until_jobs_end() if each["kind"] == "update")
    if past and mood == "good":
        assert job["state"] == "done", job
        updated(house, "1.0.1")
    else:
        assert job["state"] == ("failed" if past else "interrupted"), job
        as_before(house)

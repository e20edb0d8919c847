"""Rows 40 to 45 of what can go wrong, and a poisoned tag: real versions of an application at a real registry."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.box import Box, docker, until
from tests.world.ledger import BACK, BEFORE, ONWARD, last_update, ledger_house, migrated, runs, update
from tests.world.plug import MOMENTS, die_through
from tests.world.registry import RegistryHost
from tests.world.versions import FIRST, ROWS, STACK, Makers, state

pytestmark = pytest.mark.timeout(900)
FULL = bool(os.environ.get("GARDIEN_FULL"))
# How far each gets. What ends at once may have come to an end of its own before we look.
REACHED = {
    "sick": ("up/begun", "up/ran", "gate/begun"),
    "former": ("up/begun", "up/ran", "gate/begun"),
    "crash": ("up/begun",),
    "clumsy": ("up/begun", "up/ran", "gate/begun", "gate/ran", "after/begun"),
    "dies3": ("up/begun", "up/ran", "gate/begun", "gate/ran", "after/begun", "after/ran", "watch/begun"),
}
UNDONE = ("write", "down", "pause", "close", "live")  # what is taken back after the way back, last first


def all_the_way(moment: str) -> tuple[str, ...]:
    """Each point of the way back, and of what is taken back after it, in turn."""
    back = [f"back-{step}/{moment}" for step in BACK]
    whole = [f"undo-up/{moment}", *back] if moment == "begun" else [*back, f"undo-up/{moment}"]
    return (*whole, *(f"undo-{step}/{moment}" for step in UNDONE))


GOOD_DEATHS: list[tuple[str, ...]] = [("up/ran", "gate/ran"), ("after/ran", "watch/ran"), ("settle/ran",)]
BAD_DEATHS = [(mood, reached[-1]) for mood, reached in REACHED.items() if mood != "crash"]
DEATHS_BACK: list[tuple[str, tuple[str, ...]]] = [
    ("crash", ("back-halt/ran", "back-fetch/ran", "back-swap/ran", "back-load/ran", "back-gate/ran", "undo-pause/ran"))
]
if FULL:
    GOOD_DEATHS += [(f"{step}/{moment}",) for step in ONWARD for moment in MOMENTS]
    BAD_DEATHS = [(mood, point) for mood, reached in REACHED.items() for point in reached]
    DEATHS_BACK = [(mood, all_the_way(moment)) for mood in REACHED for moment in MOMENTS]


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryHost]:
    with RegistryHost(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def makers(registry: RegistryHost) -> Iterator[Makers]:
    made = Makers(registry)
    yield made
    made.clear()


@pytest.fixture
def house(makers: Makers) -> Iterator[Box]:
    with ledger_house(makers) as made:
        yield made


def test_a_good_version_stays(house: Box, makers: Makers) -> None:
    digest = makers.release("1.0.1")
    job = update(house, check=True)
    assert job["state"] == "done", job
    runs(house, "1.0.1")
    shown = house.json("stack", "show", STACK)
    assert shown["images"]["LEDGER_IMAGE"].endswith(f"ledger:1.0.1@{digest}")
    house.gardien("update", "rollback", STACK, "--yes")
    runs(house)


@pytest.mark.parametrize("mood", REACHED)
def test_row_41_a_bad_version_goes_back_with_its_data(house: Box, makers: Makers, mood: str) -> None:
    makers.release("1.0.1", mood)
    job = update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    assert f"this is 1.0.1, in a {mood} mood" in job["detail"]
    runs(house)
    until(lambda: [each["key"] for each in house.json("alert", "list")] == [f"update:{STACK}:{job['id']}"], 30)


def test_row_42_two_majors_ahead(house: Box, makers: Makers) -> None:
    """Each in turn, and none is left out."""
    makers.release("2.0.0")
    makers.release("3.0.0")
    house.gardien("update", "list", "--now")
    assert house.gardien("update", "run", STACK, "3.0.0", check=False).returncode != 0
    runs(house)
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
    runs(house, "1.0.1")


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
    runs(house)


def test_never_during_a_call(house: Box, makers: Makers) -> None:
    makers.release("1.0.1")
    call = house.data / STACK / "srv" / "call"
    call.touch()
    time.sleep(1)
    assert update(house)["code"] == "busy"
    call.unlink()
    runs(house)


def test_what_people_write_until_it_stops_is_not_lost(house: Box, makers: Makers) -> None:
    """A row that is written while the first pass runs is there after the way back."""
    makers.release("1.0.1", "sick")
    database = house.data / STACK / "srv" / "database"
    rows = database.read_text().replace("-- whole", "Chloe 12:00\n-- whole")
    database.write_text(rows)
    assert update(house)["code"] == "update-failed"
    assert state(house) == (FIRST, [*ROWS, "Chloe 12:00"], None)


# -- kill -9 of the daemon


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_each_step_before_up(house: Box, makers: Makers, moment: str) -> None:
    """All is taken back, and whichever version it is has seen nothing. The next update is as good as any."""
    makers.release("1.0.1")
    house.gardien("update", "list", "--now")
    traps = [f"update/{step}/{moment}" for step in BEFORE]
    house.stop()
    house.start(GARDIEN_DIE_AT=traps[0])
    for trap, following in zip(traps, [*traps[1:], ""], strict=True):
        number = int(house.line.post("updates", "run", stack=STACK)["job"])
        assert house.wait_for_death() == -signal.SIGKILL, f"not at {trap}:\n{house.logged()}"
        house.start(GARDIEN_DIE_AT=following)
        job = last_update(house)
        assert (job["id"], job["state"]) == (number, "interrupted"), (trap, job)
        runs(house)
    assert update(house)["state"] == "done"
    runs(house, "1.0.1")


@pytest.mark.parametrize("points", GOOD_DEATHS, ids=" ".join)
def test_killed_a_good_version_stays(house: Box, makers: Makers, points: tuple[str, ...]) -> None:
    makers.release("1.0.1")
    house.gardien("update", "list", "--now")
    die_through(house, [f"update/{point}" for point in points], "update", "run", STACK)
    job = last_update(house)
    assert job["state"] == "done", job
    runs(house, "1.0.1")


@pytest.mark.parametrize(("mood", "point"), BAD_DEATHS)
def test_killed_a_bad_version_goes_back(house: Box, makers: Makers, mood: str, point: str) -> None:
    makers.release("1.0.1", mood)
    house.gardien("update", "list", "--now")
    die_through(house, [f"update/{point}"], "update", "run", STACK)
    job = last_update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    runs(house)


@pytest.mark.parametrize(
    ("mood", "points"), DEATHS_BACK, ids=lambda value: value if isinstance(value, str) else value[0]
)
def test_killed_on_the_way_back(house: Box, makers: Makers, mood: str, points: tuple[str, ...]) -> None:
    """Each death within one and the same way back, which comes to its end all the same, and still knows why."""
    makers.release("1.0.1", mood)
    house.gardien("update", "list", "--now")
    die_through(house, [f"update/{point}" for point in points], "update", "run", STACK)
    job = last_update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    runs(house)
    assert house.gardien("update", "run", STACK, check=False).returncode != 0, "it is not tried again"

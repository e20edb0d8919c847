"""The power fails at the swap of a restore, of all or of a folder: afterwards the old state is there or the new one,
never a mixture.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.data.make import listing
from tests.faults.houses import STACK, settle
from tests.world.box import until
from tests.world.plug import leases
from tests.world.power import Machine, machine

FILES = 60


@pytest.fixture(scope="module")
def house() -> Iterator[Machine]:
    with machine() as made:
        settle(made.box)
        paint(made, "old")
        made.box.gardien("backup", "create", STACK)
        yield made


def srv(made: Machine) -> Path:
    return made.box.data / STACK / "srv"


def paint(made: Machine, colour: str) -> None:
    """Every file of the stack, and its database, of one colour."""
    folder = srv(made) / "practice"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}").write_text(colour * (1 + number * 50))
    (srv(made) / "database").write_text(f"-- {colour}\n-- whole\n")
    made.write_down()


def colours_in(folder: Path) -> set[str]:
    """Those that are there; one of a file that is not whole is none."""
    found = set()
    for number in range(FILES):
        text = (folder / f"{number}").read_text()
        found.add(next((each for each in ("old", "new") if text == each * (1 + number * 50)), "broken"))
    return found


def colours(made: Machine) -> set[str]:
    """Of all of the stack."""
    found = colours_in(srv(made) / "practice")
    text = (srv(made) / "database").read_text()
    return found | {next((each for each in ("old", "new") if text == f"-- {each}\n-- whole\n"), "broken")}


def _swapping(made: Machine, number: int) -> dict[str, Callable[[], bool]]:
    data = made.box.data
    kept, side = data / ".kept" / f"{STACK}-{number}", data / ".restoring" / f"{STACK}-{number}"
    owner = made.box.root / "owner" / "stacks" / f"{STACK}.yaml"
    return {
        "the copy lies beside": side.exists,
        "the old state is set aside": kept.exists,
        "nothing is in place": lambda: kept.exists() and not (data / STACK).exists(),
        "the owner's file is set aside": lambda: any(owner.parent.glob("*.before-*")),
        "the new state is in place": lambda: kept.exists() and (data / STACK).exists(),
        "all is swapped": lambda: kept.exists() and (data / STACK).exists() and owner.exists() and not side.exists(),
    }


FULL = bool(os.environ.get("GARDIEN_FULL"))
POINTS = ("swap/begun", "swap/ran", "load/ran")
MORE_POINTS = ("fetch/ran", "verify/ran", "stop/ran", "load/begun", "start/ran", "gate/ran", "settle/ran")
MOMENTS = ("the old state is set aside", "nothing is in place", "the new state is in place")
MORE_MOMENTS = ("the copy lies beside", "the owner's file is set aside", "all is swapped")


def end_of(made: Machine, number: int) -> None:
    """Start again: the job comes to its end by itself, and all of the stack is of one piece."""
    box = made.box
    made.come_back()
    box.start()
    job = next(each for each in box.until_jobs_end() if each["id"] == number)
    assert job["state"] in ("done", "interrupted", "failed"), job
    box.until_well(STACK)
    wanted = {"old"} if job["state"] == "done" else {"new"}
    assert colours(made) == wanted, (job["state"], job["says"])
    until(lambda: leases(box) == "", 30)  # what does not run any more is started anew
    assert list((box.data / ".restoring").iterdir()) == []
    assert not list((box.root / "owner").rglob("*.before-*"))
    paint(made, "old")
    box.gardien("backup", "create", STACK)
    assert box.json("backup", "list", STACK)[0]["good"] is True


@pytest.mark.parametrize("point", (*POINTS, *(MORE_POINTS if FULL else ())))
def test_at_a_step(house: Machine, point: str) -> None:
    """In the moment in which the daemon is there; what it did not write down for good is gone."""
    box = house.box
    paint(house, "new")
    box.stop()
    box.start(GARDIEN_DIE_AT=f"restore/{point}")
    number = box.json("restore", STACK, "--yes", "--no-wait")["job"]
    assert box.wait_for_death() == -9
    house.cut()
    end_of(house, number)


@pytest.mark.parametrize("moment", (*MOMENTS, *(MORE_MOMENTS if FULL else ())))
def test_within_the_swap(house: Machine, moment: str) -> None:
    box = house.box
    paint(house, "new")
    number = box.json("job", "list")[0]["id"] + 1
    thread = house.cut_when(_swapping(house, number)[moment])
    assert box.json("restore", STACK, "--yes", "--no-wait")["job"] == number
    thread.join()
    end_of(house, number)


PUT_BACK = ("look", "fetch", "verify", "swap", "settle")


@pytest.mark.parametrize("step", PUT_BACK if FULL else ("swap",))
@pytest.mark.parametrize("moment", ("begun", "ran") if FULL else ("ran",))
def test_while_a_folder_is_put_back(house: Machine, step: str, moment: str) -> None:
    """It runs on beside: its database is not touched. What gave way is whole, too."""
    box = house.box
    paint(house, "new")
    box.stop()
    box.start(GARDIEN_DIE_AT=f"put-back/{step}/{moment}")
    number = box.json("restore", STACK, "--path", "srv/practice", "--yes", "--no-wait")["job"]
    assert box.wait_for_death() == -9
    house.cut()
    house.come_back()
    box.start()
    job = next(each for each in box.until_jobs_end() if each["id"] == number)
    onward = PUT_BACK.index(step) >= PUT_BACK.index("swap")
    assert (job["kind"], job["state"]) == ("put-back", "done" if onward else "interrupted"), job
    assert colours_in(srv(house) / "practice") == {"old" if onward else "new"}
    kept = box.data / ".kept" / f"{STACK}-{job['id']}" / "practice"
    assert kept.exists() is onward
    assert not onward or colours_in(kept) == {"new"}
    assert (srv(house) / "database").read_text().startswith("-- new")
    assert not list((box.data / STACK / ".gardien").glob("put-back*"))
    box.until_well(STACK)
    until(lambda: leases(box) == "", 30)
    paint(house, "old")


def test_the_repository_is_whole_after_all_of_it(house: Machine) -> None:
    house.box.gardien("backup", "check", "host", "--all")
    assert listing(house.repository)

"""kill -9 of the daemon at every step of a trial restore: the next start leaves nothing of it; what runs never knew."""

import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.houses import STACK, House, house
from tests.world.box import until
from tests.world.plug import MOMENTS, leases
from tests.world.sftp import SftpHost
from tests.world.trial import left, untouched

STEPS = ("look", "fetch", "verify", "images", "apart", "load", "start", "gate", "away")


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="gh-") as room, SftpHost(Path(room) / "host") as host, house(host) as made:
        made.box.gardien("backup", "create", STACK)
        made.box.until_jobs_end()
        yield made


def test_these_are_all_the_steps(home: House) -> None:
    plan = home.box.json("drill", STACK, "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_at_every_step(home: House, moment: str) -> None:
    """A start clears away what died, and dies at the next step."""
    box = home.box
    before, known = untouched(box, STACK, "srv"), len(box.json("drill", "list", STACK))
    box.stop()
    box.start(GARDIEN_DIE_AT=f"drill/{STEPS[0]}/{moment}")
    for step, following in zip(STEPS, [*STEPS[1:], ""], strict=True):
        number = int(box.line.post("drills", stack=STACK)["job"])
        code = box.wait_for_death()
        assert code == -signal.SIGKILL, f"the daemon ended with {code}, not at {step}:\n{box.logged()}"
        box.start(GARDIEN_DIE_AT=f"drill/{following}/{moment}")
        job = next(each for each in box.until_jobs_end() if each["id"] == number)
        # At its last step all is proven, and it goes on.
        assert job["state"] == ("done" if step == "away" else "interrupted"), (step, job)
        until(lambda: leases(box) == "", 5)
        assert left(box, STACK) == [], step
        assert home.locks() == [], step
        box.until_well(STACK, 30)
    assert untouched(box, STACK, "srv") == before
    told = box.json("drill", "list", STACK)[: -known or None]
    assert [each["outcome"] for each in told] == ["proven"], "a trial that was cut short tells nothing"


def test_the_next_one_is_as_good(home: House) -> None:
    home.box.gardien("drill", STACK)
    assert left(home.box, STACK) == []

"""kill -9 at every step of copy, check, forget, prune: it is finished by itself, nothing is held, nothing is lost."""

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.houses import commands
from tests.near_and_far import STACK, Pair, near_and_far
from tests.world.box import until
from tests.world.plug import MOMENTS, leases
from tests.world.sftp import SftpHost

STEPS = {
    "copy": ("look", "send", "confirm"),
    "check": ("look", "read", "note"),
    "forget": ("look", "rule", "forget", "settle"),
    "prune": ("look", "prune", "settle"),
}
TROUBLE = ("lost:", "damaged:", "check-late:", "retention:", "job:")  # alerts of what a repository lacks
ROUNDS = [[(kind, steps[number]) for kind, steps in STEPS.items() if number < len(steps)] for number in range(4)]
SEEDS = range(20) if os.environ.get("GARDIEN_FULL") else range(1)


@pytest.fixture(scope="module")
def pair(host: SftpHost) -> Iterator[Pair]:
    with near_and_far(host) as made:
        made.back_up()
        made.back_up()
        yield made


def test_these_are_all_the_steps(pair: Pair) -> None:
    for kind, steps in STEPS.items():
        plan = pair.box.line.post("targets", "far", kind, dry_run=True)["plan"]
        assert tuple(step["name"] for step in plan["steps"]) == steps


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("points", ROUNDS, ids=["1", "2", "3", "4"])
def test_killed_at(pair: Pair, points: list[tuple[str, str]], moment: str) -> None:
    """Each round kills each kind once: a start picks up what died, and dies at the next one's point."""
    box = pair.box
    if points[0][0] != "copy":
        pair.back_up()
    traps = [f"{kind}/{step}/{moment}" for kind, step in points]
    box.stop()
    box.start(GARDIEN_DIE_AT=traps[0])
    for (kind, _), trap, following in zip(points, traps, [*traps[1:], ""], strict=True):
        before = {target: pair.good(target) for target in ("near", "far")}
        if kind == "copy":
            pair.weigh()
            box.gardien("backup", "create", STACK, "--no-wait")  # it follows by itself
        else:
            if kind == "prune":
                pair.plain("near", "forget", *pair.live("near"))
            box.gardien("backup", kind, "near", "--no-wait")
        code = box.wait_for_death()
        assert code == -signal.SIGKILL, f"the daemon ended with {code}, not at {trap}:\n{box.logged()}"
        began = time.monotonic()
        box.start(GARDIEN_DIE_AT=following)
        died = next(job for job in box.until_jobs_end() if job["kind"] == kind)
        assert time.monotonic() - began < 120
        assert died["state"] == "done", (trap, died)
        lost = {target: before[target] - pair.good(target) for target in before}
        made = {target: pair.good(target) - before[target] for target in before}
        assert {target: len(made[target]) for target in made} == dict.fromkeys(made, int(kind == "copy")), trap
        assert {target: len(lost[target]) for target in lost} == {"near": int(kind == "forget"), "far": 0}, trap
        all_is_well(pair)


@pytest.mark.parametrize("kind", ["forget", "prune"])
@pytest.mark.parametrize("whole_machine", [False, True], ids=["restic", "all"])
@pytest.mark.parametrize("seed", SEEDS)
def test_row_02_killed_at_any_moment(pair: Pair, seed: int, whole_machine: bool, kind: str) -> None:
    """An exclusive lock is left, in the midst of deleting: the next run takes it away, and does what was not done."""
    box, dice = pair.box, random.Random(f"{seed} {kind}")
    killed = 0
    for _ in range(10):  # restic may be quicker than we are
        number = begin(pair, kind)
        while not (victims := at_work(pair, kind)) and not over(pair, number):
            time.sleep(0.01)
        time.sleep(dice.uniform(0, 0.2))
        if whole_machine:
            victims = commands(box)
            box.stop(signal.SIGKILL)
            killed += kill(victims)
            box.start()
        else:
            killed += kill(victims)
        died = next(job for job in box.until_jobs_end() if job["id"] == number)
        assert died["state"] == "done", died
        if killed:
            break
    assert killed
    all_is_well(pair)


def begin(pair: Pair, kind: str) -> int:
    """With something to do; the job's number."""
    pair.back_up()
    if kind == "prune":
        pair.box.gardien("backup", "forget", "near")
        pair.plain("near", "forget", *pair.live("near"))
    return int(pair.box.line.post("targets", "near", kind)["job"])


def over(pair: Pair, number: int) -> bool:
    return bool(pair.box.line.get("jobs", str(number))["over"])


def at_work(pair: Pair, kind: str) -> list[psutil.Process]:
    """The restic that does it, not one that looks or unlocks."""
    found = []
    for each in commands(pair.box):
        with suppress(psutil.NoSuchProcess):
            if each.name() == "restic" and kind in each.cmdline():
                found.append(each)
    return found


def kill(victims: list[psutil.Process]) -> int:
    """How many of them were living."""
    killed = 0
    for each in victims:
        with suppress(psutil.NoSuchProcess):
            each.kill()
            killed += 1
    return killed


def all_is_well(pair: Pair) -> None:
    """Nothing is held, what is believed to be there is there, and the page says so."""
    until(lambda: leases(pair.box) == "", 5)  # they go right after the job's last word is written
    assert pair.locks() == []
    for target in ("near", "far"):
        known = {each["id"]: each["state"] for each in pair.known(target)}
        assert set(known) <= pair.listed(target)
        assert set(known.values()) == {"good"}
    assert not [job for job in pair.box.status()["jobs"] if not job["over"]]
    until(lambda: not any(key.startswith(TROUBLE) for key in pair.alerts()), 30)


def test_in_the_end_every_byte_is_there(pair: Pair, tmp_path: Path) -> None:
    """By plain restic: both repositories are whole, and what gardien calls good can be read from its first to its last
    byte.
    """
    pair.box.until_jobs_end()
    for target in ("near", "far"):
        pair.plain(target, "check", "--read-data")
        for id_ in pair.good(target):
            film = tmp_path / id_
            pair.plain(target, "dump", "--target", str(film), id_, f"{pair.box.data}/{STACK}/srv/film.bin")
            assert film.stat().st_size == pair.film.stat().st_size

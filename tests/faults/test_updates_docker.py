"""Rows 40, 44 and 45 of what can go wrong: registries and an engine that fail in the middle of an update; full disks.

On an engine of its own, which is killed.
"""

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gardien.errors import GardienError
from tests.contracts.docks import IMAGE
from tests.world.box import Box, docker, until
from tests.world.ledger import BACK, BEFORE, ONWARD, last_update, ledger_house, runs, update
from tests.world.own_engine import OwnEngine, own_engine
from tests.world.practice import SHIPPED
from tests.world.registry import Front, RegistryHost, front_aside
from tests.world.versions import STACK, Makers

pytestmark = pytest.mark.timeout(900)
FULL = bool(os.environ.get("GARDIEN_FULL"))
# In one go: each time the engine dies, comes back, and dies at the next.
BEFORE_UP = BEFORE if FULL else ("images", "down")
FROM_UP_ON = ONWARD if FULL else ("up", "gate", "watch")
WAY_BACK = BACK if FULL else ("swap",)


@pytest.fixture(scope="module")
def engine() -> Iterator[OwnEngine]:
    with own_engine() as made:
        yield made


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryHost]:
    with RegistryHost(tmp_path / "registry") as made:
        yield made


@pytest.fixture
def front(registry: RegistryHost) -> Iterator[Front]:
    with front_aside(registry) as made:
        yield made


@pytest.fixture
def makers(engine: OwnEngine, registry: RegistryHost, front: Front) -> Iterator[Makers]:
    made = Makers(registry, front.name)
    yield made
    made.clear()


@pytest.fixture
def house(makers: Makers) -> Iterator[Box]:
    # An engine that was killed stops what it finds, and forgets to start it again: that is gardien's, in a moment.
    with ledger_house(makers, {"watch_update": 4, "restart_after": 5}) as made:
        yield made


def container(house: Box) -> str:
    return docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", f"{house.prefix}-{STACK}-app-1")


# -- row 40


def test_row_40_a_registry_that_fails_in_the_middle_of_a_layer(
    house: Box, makers: Makers, registry: RegistryHost, front: Front
) -> None:
    """Nothing was touched; it is not the version's fault, and the next try is the one."""
    makers.release("1.0.1")
    layer = registry.last_layer("ledger", "1.0.1")
    blob, before = registry.blob(layer), container(house)
    whole = blob.read_bytes()

    def fails() -> None:
        asked = len(front.asked)
        job = update(house)
        assert (job["state"], job["code"]) == ("failed", "command-failed"), job
        assert any(path.endswith(layer) for _, path in front.asked[asked:]), "it was not even tried"
        assert container(house) == before
        runs(house)

    front.broken.add(layer)  # the line breaks in its middle
    fails()
    front.broken.clear()
    for status in (500, 429):
        front.refused[layer] = status
        fails()
    front.refused.clear()
    blob.write_bytes(whole[:-7])
    fails()
    blob.write_bytes(whole)
    assert house.json("backup", "list") == [], "no backup was made for nothing"
    assert update(house)["state"] == "done"
    runs(house, "1.0.1")


# -- row 44


def killed_at(house: Box, engine: OwnEngine, points: tuple[str, ...]) -> None:
    """The daemon is held at each of these points in turn; the engine dies and comes back; it goes on."""
    house.stop()
    known = len(house.log.read_text())
    house.start(GARDIEN_HOLD_AT=",".join(f"update/{point}" for point in points))
    asking = threading.Thread(target=ask, args=(house,))  # it may be held before it has answered
    asking.start()
    for point in points:
        until(partial(held, house, point, known), 200)
        engine.kill()
        assert house.daemon is not None
        house.daemon.send_signal(signal.SIGCONT)
        engine.revive()
    asking.join(60)


def ask(house: Box) -> None:
    with suppress(GardienError):
        house.line.post("updates", "run", stack=STACK)


def held(house: Box, point: str, known: int) -> bool:
    """Whether the daemon stands still there. `known`: so much of its log is old."""
    said = house.log.read_text()[known:]
    job = re.search(r"runner: job (\d+) \(update", said)
    assert job is None or f"runner: job {job[1]}: " not in said, f"it never came to {point}:\n{said}"
    assert house.daemon is not None
    state = Path(f"/proc/{house.daemon.pid}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "T" and f"GARDIEN_HOLD_AT: at update/{point}\n" in said


def test_row_44_docker_dies_before_anything_is_changed(house: Box, makers: Makers, engine: OwnEngine) -> None:
    """Either it did not matter, or nothing happened; it is no version's fault."""
    there: list[str] = []
    for number, step in enumerate(BEFORE_UP, 1):
        makers.release(f"1.0.{number}")
        house.gardien("update", "list", "--now")
        killed_at(house, engine, (f"{step}/begun",))
        job = last_update(house)
        assert job["state"] == "done" or job["code"] != "update-failed", (step, job)
        there += [f"1.0.{number}"] if job["state"] == "done" else []
        runs(house, *there)


def test_row_44_docker_dies_while_a_good_version_starts(house: Box, makers: Makers, engine: OwnEngine) -> None:
    makers.release("1.0.1")
    house.gardien("update", "list", "--now")
    killed_at(house, engine, tuple(f"{step}/begun" for step in FROM_UP_ON))
    job = last_update(house)
    assert job["state"] == "done", job
    runs(house, "1.0.1")


def test_row_44_docker_dies_on_the_way_back(house: Box, makers: Makers, engine: OwnEngine) -> None:
    makers.release("1.0.1", "clumsy")
    house.gardien("update", "list", "--now")
    killed_at(house, engine, ("after/begun", *(f"back-{step}/begun" for step in WAY_BACK)))
    job = last_update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    runs(house)


# -- row 45


def test_row_45_old_programs_go(house: Box, makers: Makers, registry: RegistryHost) -> None:
    """What runs is here, and what a way back needs, which then needs no registry; what did not work is not."""
    first = makers.here()
    bad = makers.release("1.0.1", "crash")
    assert update(house)["code"] == "update-failed"
    good = makers.release("1.0.2")
    assert update(house)["state"] == "done"
    assert {bad, good} <= set(makers.here())
    house.stop()
    house.start()  # it clears up at its start, and each day
    until(lambda: bad not in makers.here(), 60)
    assert sorted(makers.here()) == sorted([*first, good])
    registry.stop()
    house.gardien("update", "rollback", STACK, "--yes")
    runs(house)


def test_row_45_a_chatty_application_does_not_fill_the_disk(engine: OwnEngine, makers: Makers) -> None:
    """By the limits that every shipped service has."""
    shipped = [YAML(typ="safe").load(file)["services"] for file in SHIPPED.glob("*/compose.yaml")]
    [options] = {tuple(each["logging"]["options"].items()) for services in shipped for each in services.values()}
    words = [word for key, value in options for word in ("--log-opt", f"{key}={value}")]
    talk = f"yes {'x' * 1000} | head -c 50000000"
    name = docker("create", "--network", "none", *words, IMAGE, "sh", "-c", talk).strip()
    try:
        docker("start", name)
        docker("wait", name)
        logs = list((engine.root / "containers" / name).glob("*-json.log*"))
        assert len(logs) == 3
        assert 10_000_000 < sum(each.stat().st_size for each in logs) < 31_000_000
    finally:
        docker("rm", "--force", name)

"""An application that stays down: what gardien does about it, what it leaves alone, and what people are told."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gardien.faces.letter import LetterWriter
from gardien.model.health import Alert
from gardien.model.letter import News
from gardien.model.plan import Kind
from gardien.model.rescue import Rescue
from gardien.rules import restarts
from tests.fakes import FakeShelf
from tests.memory_house import STACK, Home, Notes, memory_house
from tests.world.box import Box, box, docker, until
from tests.world.notes import add, compose_file, lay_out
from tests.world.plug import MOMENTS, leases

STEPS = ("look", "restart", "gate")


class Moody(Notes):
    """The application, which may answer otherwise than it should, or say that it is at work on itself."""

    def __init__(self) -> None:
        self.answers, self.upgrades, self.heals_at = True, False, 99

    def page(self) -> tuple[int, bytes]:
        return (200, b'{"ok": true}') if self.answers else (500, b"")

    def run(self, service: str, argv: Any, user: str | None, text: str) -> str:
        if argv[0] == "upgrading":
            return "yes" if self.upgrades else "no"
        return super().run(service, argv, user, text)


class Down:
    """The house in memory, in which a test moves the time, and the application's mood."""

    def __init__(self, home: Home, app: Moody) -> None:
        self.home, self.app = home, app

    @property
    def tries(self) -> int:
        return len(self.home.fakes.docker.restarted)

    async def look(self, **by: float) -> dict[str, Alert]:
        """Move on, look; what was begun is over then."""
        self.home.move(**by)
        found = await self.home.alerts()
        for job in await self.home.fakes.store.jobs(open_only=True):
            await self.home.end(job.id)
        return found

    async def go(self, minutes: int) -> dict[str, Alert]:
        """With a look each minute."""
        found: dict[str, Alert] = {}
        for _ in range(minutes):
            found = await self.look(minutes=1)
        return found

    async def rescue(self) -> Rescue:
        [stack] = await self.home.house.overviews.stacks()
        return stack.rescue


def shelf_of(home: Home) -> FakeShelf:
    return cast(FakeShelf, home.fakes.world.shelf)


@pytest.fixture
async def down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Down]:
    monkeypatch.setattr("gardien.services.recipes.ASK_EVERY", 0.01)
    monkeypatch.setattr("gardien.services.rescue.ASK_EVERY", 0.0)
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        recipe = shelf_of(home).shipped[STACK]
        probe = recipe.manifest.probes["app"].model_copy(update={"start_period": 0.1, "threshold": 1, "period": 1e-6})
        at_work = probe.model_validate({"exec": "app", "argv": ["upgrading"], "expect": {"body": "yes"}})
        manifest = recipe.manifest.model_copy(update={"probes": {"app": probe}, "at_work": (at_work,)})
        shelf_of(home).shipped[STACK] = replace(recipe, manifest=manifest)
        home.fakes.docker.apps[STACK] = app = Moody()
        made = Down(home, app)
        assert await made.look(minutes=1) == {}
        yield made


async def test_three_tries_then_it_is_left_alone_and_said_so(down: Down) -> None:
    down.app.answers = False
    found = await down.look(seconds=5)
    assert "gardien restarts it by itself" in str(found[f"stack:{STACK}"].remedy)
    await down.go(1)
    assert down.tries == 0
    await down.go(3)
    assert down.tries == 1
    before = found[f"stack:{STACK}"].id
    found = await down.go(60)
    assert down.tries == 3
    alone = found[f"stack:{STACK}"]
    assert "three restarts did not help" in str(alone.says)
    assert "left alone now" in str(alone.remedy)
    assert alone.id == before, "it is one alert, from the beginning to the end"
    await down.go(8 * 60)
    assert down.tries == 3
    assert {job.state for job in await down.home.jobs("revive")} == {"failed"}

    again = Down(down.home.reborn(), down.app)
    await again.go(10)
    assert again.tries == 3, "a new daemon begins no new count"
    down.app.answers = True
    assert await again.look(minutes=1) == {}
    await again.go(61)
    assert (await again.rescue()).tries == ()
    down.app.answers = False
    await again.go(5)
    assert down.tries == 4


async def test_what_helped_is_over(down: Down) -> None:
    down.app.answers = False
    await down.go(4)
    [job] = await down.home.jobs("revive")
    assert job.state == "failed"
    down.app.answers = True
    assert await down.look(minutes=1) == {}
    assert (await down.rescue()).lines == (f"{'app'}  | running",)
    await down.go(120)
    assert down.tries == 1
    assert (await down.rescue()).lines == ()


async def test_what_upgrades_itself_is_left_alone_and_said_so(down: Down) -> None:
    down.app.answers, down.app.upgrades = False, True
    found = await down.go(90)
    assert down.tries == 0
    assert await down.home.jobs("revive") == []
    assert "at work on itself" in str(found[f"stack:{STACK}"].remedy)
    down.app.upgrades = False
    await down.look(minutes=1)
    assert down.tries == 1


async def test_an_upgrade_that_begins_while_the_job_waits_is_seen(down: Down) -> None:
    stack = await down.home.house.stacks.get(STACK)
    down.app.answers, down.app.upgrades = False, True
    await down.home.done(await down.home.house.runner.submit(restarts.plan(stack, "app")))
    down.app.answers, down.app.upgrades = True, False
    await down.home.done(await down.home.house.runner.submit(restarts.plan(stack, None)))
    assert down.tries == 0


@pytest.mark.parametrize("kind", ["backup", "drill", "restore", "stop"])
async def test_nothing_is_restarted_under_a_job(down: Down, kind: Kind) -> None:
    """Whether it is at it, or only waits for its turn."""
    down.app.answers = False
    await down.look(seconds=1)
    store = down.home.fakes.store
    plan = replace(restarts.plan(await down.home.house.stacks.get(STACK), None), kind=kind, leases=())
    plan = replace(plan, facts={"target": "near"})
    job = await store.add_job(plan, down.home.now)
    for _ in range(10):
        down.home.move(minutes=1)
        await down.home.house.watch.look()
    assert down.tries == 0
    await store.mark_job(job, "done", down.home.now)
    await down.look(minutes=1)
    assert down.tries == 1


async def test_it_makes_way_for_people(down: Down) -> None:
    down.app.answers = False
    stack = await down.home.house.stacks.get(STACK)
    slow = stack.manifest.probes["app"].model_copy(update={"start_period": 600})
    recipe = shelf_of(down.home).shipped[STACK]
    shelf_of(down.home).shipped[STACK] = replace(
        recipe, manifest=recipe.manifest.model_copy(update={"probes": {"app": slow}})
    )
    job = await down.home.house.runner.submit(restarts.plan(stack, None))
    while down.tries == 0:
        await asyncio.sleep(0.01)
    await down.home.done(await down.home.house.life.stop(STACK))
    assert (await down.home.end(job)).state == "cancelled"


async def test_a_stopped_one_stays_stopped(down: Down) -> None:
    await down.home.done(await down.home.house.life.stop(STACK))
    assert await down.go(30) == {}
    assert down.tries == 0


async def test_coming_and_going_is_one_alert(down: Down) -> None:
    for _ in range(3):
        down.app.answers = False
        await down.go(1)
        down.app.answers = True
        await down.go(10)
    found = await down.look()
    assert "comes and goes: 3 times" in str(found[f"stack:{STACK}"].says)
    opened = found[f"stack:{STACK}"].id
    for _ in range(6):
        down.app.answers = False
        await down.go(1)
        down.app.answers = True
        found = await down.go(20)
        assert found[f"stack:{STACK}"].id == opened
    assert len(await down.home.fakes.store.alerts(open_only=False)) == 3
    assert await down.go(61) == {}


async def hear(down: Down) -> "asyncio.Task[None]":
    """The watchman's ear, without his eyes."""
    task = asyncio.create_task(down.home.house.watch._hear_docker())
    while not down.home.fakes.docker.listeners:
        await asyncio.sleep(0.01)
    return task


async def test_deaths_and_hunger_are_told_once_and_over_after_a_quiet_day(down: Down) -> None:
    fakes, listening = down.home.fakes, await hear(down)
    former = fakes.docker.containers
    [key] = former
    running = former[key]
    for _ in range(3):
        fakes.docker.die(*key, no_memory=True)
        await asyncio.sleep(0.01)
        fakes.docker.containers[key] = running
        down.home.move(minutes=2)
    found = await down.look()
    assert set(found) == {f"dies:{STACK}:app", f"no-memory:{STACK}:app"}
    assert "again and again" in str(found[f"dies:{STACK}:app"].says)
    assert "too little memory" in str(found[f"no-memory:{STACK}:app"].remedy)
    await down.look(hours=20)
    assert await down.look(hours=5) == {}
    assert len(await fakes.store.alerts(open_only=False)) == 2
    # What gardien itself ends, or its owner wanted, is no mishap.
    for _ in range(3):
        await down.home.done(await down.home.house.life.stop(STACK))
        await down.home.done(await down.home.house.life.start(STACK))
    await asyncio.sleep(0.01)
    assert await down.look(minutes=1) == {}
    listening.cancel()


async def test_what_it_printed_is_in_no_letter(down: Down) -> None:
    down.app.answers = False
    found = await down.go(70)
    [alert] = found.values()
    assert (await down.rescue()).lines
    text = LetterWriter("fr", "cabinet").news(News((alert,)), down.home.now)
    assert "| running" not in text.plain + text.html


# -- with the real Docker, and a daemon that dies


@pytest.fixture(scope="module")
def house() -> Iterator[Box]:
    with box() as made:
        made.settings["limits"]["restart_after"] = 1
        made.save_settings()
        made.start()
        text = compose_file(STACK, "  at_work: [{exec: app, argv: [cat, /srv/upgrading]}]\n")
        lay_out(made, STACK, text.replace("period: 1\n", "period: 1\n      threshold: 1\n", 1))
        add(made)
        made.until_well(STACK, 60)
        yield made


@pytest.fixture
def ill(house: Box) -> Iterator[Box]:
    """It is well and nothing was tried; afterwards it is so again."""
    forget(house)
    yield house
    srv = house.data / STACK / "srv"
    (srv / "upgrading").unlink(missing_ok=True)
    if (srv / "health.json").is_dir():
        (srv / "health.json").rmdir()


def forget(house: Box, **environment: str) -> None:
    """A new daemon. What was tried before counts no more, as if six hours had gone by."""
    house.until_jobs_end()
    house.stop()
    with contextlib.closing(sqlite3.connect(house.root / "state/gardien.db")) as store:
        store.execute("DELETE FROM note WHERE key = ?", (f"rescue:{STACK}",))
        store.commit()
    house.start(**environment)
    if house.health(STACK) != "well":
        house.gardien("stack", "restart", STACK)
        house.until_well(STACK, 60)


def revived(house: Box) -> list[Any]:
    """Restarts that gardien began, the newest first."""
    return [job for job in house.line.get("jobs")["jobs"] if job["kind"] == "revive"]


def sicken(house: Box, *, for_good: bool = False) -> None:
    """A restart writes the file again; a folder in its place stays."""
    file = house.data / STACK / "srv" / "health.json"
    file.unlink()
    if for_good:
        file.mkdir()


def test_what_a_restart_mends_is_mended(ill: Box) -> None:
    before, known = started(ill), len(revived(ill))
    sicken(ill)
    until(lambda: len(revived(ill)) > known, 90)
    job = next(job for job in ill.until_jobs_end() if job["kind"] == "revive")
    assert job["state"] == "done", job
    assert [step["name"] for step in job["steps"]] == list(STEPS)
    ill.until_well(STACK, 60)
    assert started(ill) != before
    until(lambda: leases(ill) == "", 10)


def test_what_none_mends_is_left_alone_with_its_last_lines(ill: Box) -> None:
    known = len(revived(ill))
    sicken(ill, for_good=True)
    until(lambda: len(revived(ill)) == known + 3, 180)
    ill.until_jobs_end()
    until(lambda: any("three restarts" in each["says"] for each in ill.status()["alerts"]), 30)
    shown = ill.gardien("stack", "show", STACK)
    assert "leaves it alone" in shown.stdout
    assert "nonexistent directory" in shown.stdout or "Is a directory" in shown.stdout, shown.stdout
    time.sleep(12)
    assert len(revived(ill)) == known + 3


def test_what_upgrades_itself_is_not_touched(ill: Box) -> None:
    (ill.data / STACK / "srv" / "upgrading").touch()
    known = len(revived(ill))
    sicken(ill)
    until(lambda: any("at work on itself" in each["remedy"] for each in ill.status()["alerts"]), 90)
    assert len(revived(ill)) == known


def started(house: Box) -> str:
    return docker("inspect", "--format", "{{.State.StartedAt}}", f"{house.prefix}-{STACK}-app-1")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(house: Box, step: str, moment: str) -> None:
    """The restart goes on at the next start; it was one try, not two."""
    known = len(revived(house))
    forget(house, GARDIEN_DIE_AT=f"revive/{step}/{moment}")
    sicken(house)
    assert house.wait_for_death() == -9
    house.start()
    jobs = [job for job in house.until_jobs_end() if job["kind"] == "revive"]
    assert jobs[0]["state"] == "done", jobs[0]
    assert len(jobs) == known + 1
    house.until_well(STACK, 60)
    until(lambda: leases(house) == "", 10)
    [stack] = house.status()["stacks"]
    assert len(stack["rescue"]["tries"]) == 1

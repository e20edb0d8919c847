"""What the engine tells of containers as it happens, and restarts of single services: the real one and in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from gardien.adapters.engine import DockerEngine
from gardien.errors import DockerDown
from gardien.model.rescue import Event
from tests.contracts.docks import Dock, fake_dock, real_dock
from tests.world.box import docker

EATER = """
services:
  page:
    image: gardien-test/busybox:1
    mem_limit: 16m
    stop_grace_period: 0.1s
    command: [sh, -c, "a=$$(yes)"]
"""


@pytest.fixture(params=["real", "fake"])
def dock(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dock]:
    if request.param == "fake":
        yield fake_dock(tmp_path)
        return
    with real_dock(tmp_path) as made:
        yield made


async def of(events: AsyncIterator[Event], project: str, number: int) -> list[Event]:
    """The next ones of this project; other people's containers live at the same engine."""
    found: list[Event] = []
    async with asyncio.timeout(20):
        while len(found) < number:
            event = await anext(events)
            if event.project == project:
                found.append(event)
    return found


async def test_starts_and_deaths_are_told_as_they_happen(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    async with aclosing(dock.engine.events()) as events:
        listening = asyncio.create_task(of(events, stack.project, 2))
        await asyncio.sleep(0)  # from now on
        await dock.compose.up(stack)
        assert {(each.service, each.what) for each in await listening} == {("web", "started"), ("side", "started")}
        if dock.fake is None:
            docker("kill", f"{stack.project}-side-1")
        else:
            dock.fake.die(stack.project, "side")
        assert await of(events, stack.project, 1) == [Event(stack.project, "side", "died")]


async def test_one_service_is_restarted_whatever_its_state(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    await dock.compose.restart(stack, ["side"])
    assert await dock.states(stack) == {}, "there was none to restart"
    await dock.compose.up(stack)
    await dock.compose.stop(stack, ["side"])
    async with aclosing(dock.engine.events()) as events:
        listening = asyncio.create_task(of(events, stack.project, 1))
        await asyncio.sleep(0)
        await dock.compose.restart(stack, ["side"])
        assert await listening == [Event(stack.project, "side", "started")]
    assert {service: state for service, (state, _) in (await dock.states(stack)).items()} == {
        "web": "running",
        "side": "running",
    }


async def test_a_container_that_runs_out_of_memory_is_told_with_its_limit(dock: Dock) -> None:
    stack = await dock.own(text=EATER)
    async with aclosing(dock.engine.events()) as events:
        listening = asyncio.create_task(of(events, stack.project, 2))
        await asyncio.sleep(0)
        await dock.compose.start(stack, ["page"])
        if dock.fake is not None:
            dock.fake.die(stack.project, "page", no_memory=True)
        started, ended = await listening
    assert started.what == "started"
    assert (ended.service, ended.what) == ("page", "no-memory")
    assert ended.limit == (16 << 20 if dock.fake is None else 0)


async def test_nobody_to_listen_to(tmp_path: Path) -> None:
    engine = DockerEngine(tmp_path / "docker.sock")
    with pytest.raises(DockerDown):
        async with aclosing(engine.events()) as events:
            await anext(events)
    engine.close()

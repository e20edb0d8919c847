"""What the page, the terminal and programs are told of an application that is down."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gardien.faces import rescued, wire
from gardien.faces.server import make_app
from gardien.faces.terminal import Terminal
from gardien.model.health import StackHealth
from gardien.model.overview import StackView
from gardien.model.rescue import Mishap, Rescue
from gardien.rules import stack_alerts
from gardien.words import N_, Words
from tests.faces_world import World, make_world

NASTY = "<script>alert('Anna')</script>"


def fallen(world: World) -> StackView:
    """It fell twice today, and was restarted three times."""
    now, why = world.now, Words.of(N_("does not run"))
    ago = [now - timedelta(minutes=each) for each in (48, 38, 8)]
    rescue = Rescue(
        ill_since=now - timedelta(minutes=51),
        why=why,
        tries=tuple(ago),
        lines=("starting", NASTY),
        mishaps=tuple(Mishap("fell", "", now - timedelta(minutes=each)) for each in (51, 300)[::-1]),
    )
    world.stacks[0] = replace(
        world.stacks[0],
        rescue=rescue,
        health=StackHealth(world.stacks[0].name, "down", why, now - timedelta(minutes=8), now),
    )
    for owed in stack_alerts.of_stacks(world.stacks, now):
        world.add_alert(owed.key, owed.severity, owed.says, owed.remedy, timedelta(minutes=51))
    return world.stacks[0]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as made:
        made.add_target("box")
        made.add_stack("nextcloud", "Nextcloud", saved=timedelta(hours=6))
        yield made


async def page(world: World, path: str) -> str:
    async with TestClient(TestServer(make_app(world.house))) as client:
        await client.post(
            f"/login/{await world.house.people.link()}", headers={"Origin": str(client.make_url("/")).rstrip("/")}
        )
        return await (await client.get(path)).text()


async def test_the_page_says_what_was_tried_and_what_it_printed(world: World) -> None:
    assert 'id="rescue"' not in await page(world, "/stacks/nextcloud"), "nothing of what is well"
    fallen(world)
    shown = await page(world, "/stacks/nextcloud")
    assert "gardien restarted it by itself:" in shown
    assert "It was not well 2 times within a day" in shown
    assert "leaves it alone now" in shown
    assert NASTY not in shown
    assert "&lt;script&gt;" in shown
    assert "&lt;script&gt;" not in await page(world, "/"), "what it printed is on its own page alone"


async def test_before_the_next_try_the_page_says_when(world: World) -> None:
    stack = fallen(world)
    rescue = replace(stack.rescue, tries=stack.rescue.tries[:1], mishaps=())
    world.stacks[0] = replace(stack, rescue=rescue, next_try=world.now + timedelta(minutes=5))
    assert "Should it stay so, gardien restarts it" in await page(world, "/stacks/nextcloud")
    world.stacks[0] = replace(world.stacks[0], rescue=replace(rescue, at_work=True))
    assert "at work on itself" in await page(world, "/stacks/nextcloud")


def test_programs_are_told_and_the_list_names_nobody(world: World) -> None:
    view = fallen(world)
    told = rescued.as_json(view, "en")
    assert (told["left_alone"], len(told["tries"])) == (True, 3)
    assert wire.stack_view(view, "en")["rescue"] == told
    assert "Anna" not in str(wire.stack_view(view, "en"))


async def test_the_terminal_says_the_same(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    view = fallen(world)
    stack = await world.house.stacks.get("nextcloud")
    Terminal("en").stack(dict(wire.stack(view, stack, "en")))
    printed = capsys.readouterr().out
    assert "leaves it alone now" in printed
    assert NASTY in printed

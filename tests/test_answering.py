"""How an application answered, probe by probe: what is remembered of it, and what its page tells."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.adapters import store_stretches
from gardien.adapters.store import SqliteStore
from gardien.faces.answering import Answering, answering
from gardien.model.health import Stretch
from gardien.model.plan import Kind
from gardien.words import N_, Words
from tests.faces_world import World, make_world
from tests.memory_house import STACK, memory_house
from tests.test_down import Moody, shelf_of
from tests.test_pages import Client, read, visitor

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
SILENT = Words.of(N_("{stack} does not answer"), stack="Notes")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path, NOON) as world:
        world.add_stack("notes", "Notes")
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with visitor(world) as client:
        yield client


async def put(world: World, told: Sequence[tuple[float, float, bool]]) -> None:
    """From so many hours ago to so many: whether it answered."""
    await world.store.set_health(
        [],
        [
            Stretch("notes", "app", ok, Words("") if ok else SILENT, NOON - begin * HOUR, NOON - end * HOUR)
            for begin, end, ok in told
        ],
    )


async def told(world: World, days: int = 1) -> Answering:
    [found] = await answering(world.house, await world.house.stacks.get("notes"), NOON, days)
    return found


# -- what is remembered


async def test_what_the_watchman_saw_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each change a row, however often it was asked; a backup's pause is none, and nobody looks while it is off."""
    monkeypatch.setattr("gardien.services.watch.WRITE_EVERY", 0.0)
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        recipe = shelf_of(home).shipped[STACK]
        probe = recipe.manifest.probes["app"].model_copy(update={"threshold": 2, "period": 1e-6, "start_period": 0.1})
        manifest = recipe.manifest.model_copy(update={"probes": {"app": probe}})
        shelf_of(home).shipped[STACK] = replace(recipe, manifest=manifest)
        home.fakes.docker.apps[STACK] = app = Moody()

        async def watch(minutes: int) -> list[Stretch]:
            for _ in range(minutes):
                home.move(minutes=1)
                await home.house.watch.look()
            return await home.fakes.store.stretches(STACK, home.now - 30 * DAY)

        [well] = await watch(5)
        assert (well.probe, well.ok, home.now - well.seen < 2 * MINUTE) == ("app", True, True)
        app.answers = False
        assert [each.ok for each in await watch(1)] == [True], "one failure is none yet"
        well, ill = await watch(3)
        assert (ill.ok, home.now - ill.seen < 2 * MINUTE) == (False, True)
        assert well.seen < ill.began
        assert "answers with status 500" in str(ill.says)
        app.answers = True
        assert [each.ok for each in await watch(5)] == [True, False, True]
        await home.saved()
        assert len(await watch(5)) == 3
        home.move(hours=3)
        *_, before, after = await watch(2)
        assert (before.ok, after.ok) == (True, True)
        assert after.began - before.seen > 2 * HOUR
        await home.end(await home.house.life.stop(STACK))
        assert (await watch(5))[-1].seen < home.now - 4 * MINUTE, "who switched it off asks nothing of it"


async def test_a_month_is_kept_and_never_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_stretches, "MOST", 10)
    store = await SqliteStore.open(tmp_path / "gardien.db")
    try:
        for probe, count in (("app", 30), ("web", 5)):
            await store.set_health(
                [],
                [Stretch("notes", probe, bool(n % 2), SILENT, NOON - n * HOUR, NOON - n * HOUR) for n in range(count)],
            )
        old = NOON - 40 * DAY
        await store.set_health([], [Stretch("notes", "web", True, Words(""), old, old)])
        await store.thin_stretches(NOON)
        found = await store.stretches("notes", NOON - 50 * DAY)
        assert [each.probe for each in found] == ["app"] * 10 + ["web"] * 5
        assert found[9].began == NOON, "the newest stay"
        assert found[0].says == SILENT
        assert len(await store.stretches("notes", NOON - 2 * HOUR)) == 6
    finally:
        await store.close()


# -- what is made of it


async def test_good_bad_and_unknown_are_told_apart(world: World) -> None:
    assert (await told(world)).state == "unknown"
    await put(world, [(30, 10, True), (10, 9.5, False), (9.5, 4, True), (2, 0.01, True)])
    found = await told(world)
    assert found.state == "good"
    assert found.since == NOON - 2 * HOUR
    assert [(each.state, each.lasted) for each in found.troubles] == [("unknown", 2 * HOUR), ("bad", HOUR / 2)]
    assert [each.state for each in found.blocks] == ["good", "bad", "good", "unknown", "good"]
    assert sum(each.wide for each in found.blocks) <= found.cells
    assert found.share == pytest.approx(1 - 0.5 / 21.75, abs=0.002)
    month = await told(world, 30)
    assert [each.state for each in month.blocks] == ["unknown", "good", "bad", "good"], "a cell is bad if any of it was"


async def test_a_daemon_that_was_started_anew_leaves_no_gap(world: World) -> None:
    await put(world, [(5, 3, True), (2.99, 2, True), (1.95, 1.9, False), (1.85, 0.01, False)])
    found = await told(world)
    assert (found.state, found.since) == ("bad", NOON - 1.95 * HOUR)
    assert [(each.state, each.until) for each in found.troubles] == [("bad", None)]


async def test_what_was_not_heard_lately_is_not_known(world: World) -> None:
    await put(world, [(5, 1, True)])
    found = await told(world)
    assert (found.state, found.heard) == ("unknown", NOON - HOUR)
    assert found.share == 1


async def test_whoever_changes_its_mind_all_day_fills_no_page(world: World) -> None:
    await put(world, [(n / 20 + 0.05, n / 20 + 0.01, bool(n % 2)) for n in range(400)])
    found = await told(world)
    assert len(found.blocks) <= found.cells
    assert len(found.troubles) == 10
    assert found.more == 190


# -- the page


async def test_the_page_says_it_in_words_and_in_a_table(world: World, client: Client) -> None:
    assert "It can be reached. Not known It was not asked yet." in (await read(client, "/stacks/notes")).text
    await put(world, [(30, 10, True), (10, 9.25, False), (9.25, 0.01, True)])
    page = await read(client, "/stacks/notes")
    assert "It can be reached. Answers well For 9 hours" in page.text
    assert "It answered well in 96% of the time. When it was otherwise: 1" in page.text
    assert "45 min Does not answer well Notes does not answer." in page.text
    assert "/stacks/notes?days=30#answers" in page.links()
    async with client.get("/stacks/notes?days=30", headers={"Accept-Language": "fr"}) as response:
        text = await response.text()
    assert response.status == 200
    assert 'class="strip"' in text
    assert "/live?stack=notes&amp;days=30" in text


async def test_a_stack_says_itself_what_its_probes_mean(world: World, client: Client) -> None:
    means = {"en": "Its notes open.", "fr": "Ses notes s’ouvrent."}
    world.add_stack("wiki", "Wiki", probes={"app": {"tcp": "app:80", "means": means}})
    assert "Its notes open." in (await read(client, "/stacks/wiki")).text


async def test_how_long_it_takes_is_said_before(world: World, client: Client) -> None:
    kinds: tuple[Kind, ...] = ("stop", "restart", "remove")
    for kind in kinds:
        assert "it was not done before" in (await read(client, f"/stacks/notes/{kind}")).text
        world.add_job(kind, "notes", "done", ago=DAY, took=timedelta(seconds=40))
        world.add_job(kind, "notes", "failed", took=timedelta(seconds=3))
        assert "It took 40 s last time." in (await read(client, f"/stacks/notes/{kind}")).text
    world.add_stack("wiki", "Wiki", health="down")
    world.add_job("start", "wiki", "done", ago=DAY, took=timedelta(seconds=75))
    text = (await read(client, "/stacks/wiki")).text
    assert "waits until it says that it is well. It took 1 min 15 s last time." in text

"""The runner's promise, without Docker: whatever dies whenever, in the end all of a plan was done or none of it."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gardien.adapters.store import SqliteStore
from gardien.errors import NoSpace, Refused
from gardien.model.plan import Plan, Step
from gardien.services.feed import Feed
from gardien.services.runner import Do, Moment, OnPoint, Run, Runner
from gardien.words import Words

NAMES = ("one", "two", "three", "four")


class Plug(BaseException):
    """The power is gone: nothing after this runs, no handler, no undo."""


class Bricks:
    """A kind of job whose effects can be counted: each step lays its brick, each undo takes it away."""

    def __init__(self) -> None:
        self.laid: set[str] = set()
        self.fails: set[str] = set()
        self.undo_fails: int = 0
        self.slow: asyncio.Event | None = None
        self.reached = asyncio.Event()
        self.order: list[str] = []
        self.do: Mapping[str, Do] = {name: self._do(name) for name in NAMES}
        self.undo: Mapping[str, Do] = {name: self._undo(name) for name in NAMES}

    async def heal(self, run: Run) -> None:
        self.order.append("heal")

    def _do(self, name: str) -> Do:
        async def do(run: Run) -> None:
            self.order.append(name)
            self.laid.add(name)
            if name in self.fails:
                raise NoSpace("no room for {name}", "Make room.", name=name)
            if self.slow is not None:
                self.reached.set()
                await self.slow.wait()
            run.done("laid {count}", count=len(self.laid))

        return do

    def _undo(self, name: str) -> Do:
        async def undo(run: Run) -> None:
            self.order.append(f"-{name}")
            if self.undo_fails:
                self.undo_fails -= 1
                raise OSError("not yet")
            self.laid.discard(name)

        return undo


def plan(onward: str | None = None, lease: str = "stack:wall", kind: str = "backup") -> Plan:
    return Plan(
        kind=kind,  # type: ignore[arg-type]
        subject="wall",
        steps=tuple(Step(name, Words(name), Words(f"not {name}")) for name in NAMES),
        leases=(lease,),
        onward=onward,
    )


def now() -> datetime:
    return datetime.now(UTC)


def runner(store: SqliteStore, bricks: Bricks, on_point: OnPoint | None = None) -> Runner:
    made = Runner(store, now, Feed(), on_point)
    for kind in ("backup", "restore"):
        made.teach(kind, bricks)
    return made


async def opened(tmp_path: Path) -> SqliteStore:
    return await SqliteStore.open(tmp_path / "gardien.db")


async def test_a_plan_runs_to_its_end_in_order(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()
    run = runner(store, bricks)
    job = await run.wait(await run.submit(plan()))
    assert job.state == "done"
    assert bricks.order == list(NAMES)
    assert str(job.says) == "laid 4"
    assert {step.state for step in job.steps} == {"done"}
    assert await store.leases() == {}
    await store.close()


async def test_a_failure_takes_back_what_began_last_first_and_says_why(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()
    bricks.fails.add("three")
    run = runner(store, bricks)
    job = await run.wait(await run.submit(plan(onward="two")))
    assert job.state == "failed"
    assert bricks.order == ["one", "two", "three", "-three", "-two", "-one"]
    assert bricks.laid == set()
    assert (job.code, str(job.says), str(job.remedy)) == ("no-space", "no room for three", "Make room.")
    assert await store.leases() == {}
    await store.close()


async def test_an_undo_is_tried_again_until_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.services.runner.UNDO_PAUSES", (0.01, 0.01, 0.01))
    store, bricks = await opened(tmp_path), Bricks()
    bricks.fails.add("two")
    bricks.undo_fails = 2
    run = runner(store, bricks)
    job = await run.wait(await run.submit(plan()))
    assert job.state == "failed"
    assert bricks.laid == set()
    await store.close()


async def test_an_undo_that_never_works_is_told_and_gives_its_lease_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gardien.services.runner.UNDO_PAUSES", (0.01,))
    store, bricks = await opened(tmp_path), Bricks()
    bricks.fails.add("two")
    bricks.undo_fails = 99
    run = runner(store, bricks)
    job = await run.wait(await run.submit(plan()))
    assert job.state == "stuck"
    assert {step.state for step in job.steps} >= {"undo-failed"}
    assert await store.leases() == {}
    await store.close()


@given(
    onward=st.sampled_from([None, *NAMES]),
    deaths=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(["begun", "ran"])), max_size=4),
)
@settings(max_examples=60, deadline=None)
def test_whenever_it_dies_all_is_done_or_nothing_is(
    tmp_path_factory: pytest.TempPathFactory, onward: str | None, deaths: list[tuple[str, str]]
) -> None:
    async def story() -> None:
        store, bricks = await opened(tmp_path_factory.mktemp("runner")), Bricks()
        left = list(deaths)

        def pull(kind: str, step: str, moment: Moment) -> None:
            if left and left[0] == (step, moment):
                left.pop(0)
                raise Plug

        job = await _until_it_dies(runner(store, bricks, pull), plan(onward))
        for _ in range(len(deaths) + 1):
            await _until_it_dies(runner(store, bricks, pull), None)
        found = await store.job(job)
        assert found is not None
        assert found.over
        assert bricks.laid == (set(NAMES) if found.state == "done" else set())
        assert await store.leases() == {}
        await store.close()

    asyncio.run(story())


async def _until_it_dies(run: Runner, submit: Plan | None) -> int:
    """One life of the daemon: it ends when nothing is left to do, or by the plug."""
    job = 0
    if submit is None:
        await run.recover()
    else:
        job = await run.submit(submit)
    while tasks := list(run._tasks.values()):
        await asyncio.gather(*tasks, return_exceptions=True)
    return job


async def test_a_job_that_keeps_killing_us_is_undone_in_the_end(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()

    def pull(kind: str, step: str, moment: Moment) -> None:
        if step == "three":
            raise Plug

    job = await _until_it_dies(runner(store, bricks, pull), plan(onward="one"))
    for _ in range(4):
        await _until_it_dies(runner(store, bricks, pull), None)
    found = await store.job(job)
    assert found is not None
    assert found.state == "interrupted"
    assert bricks.laid == set()
    await store.close()


async def test_a_cancel_is_a_clean_undo_even_while_another_cancel_comes(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()
    bricks.slow = asyncio.Event()
    run = runner(store, bricks)
    job = await run.submit(plan())
    await bricks.reached.wait()
    await run.cancel(job)
    await asyncio.sleep(0)
    await run.stop()
    found = await run.wait(job)
    assert found.state == "cancelled"
    assert bricks.laid == set()
    with pytest.raises(Refused):
        await run.cancel(job)
    await store.close()


async def test_shutdown_undoes_and_takes_nothing_new(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()
    bricks.slow = asyncio.Event()
    run = runner(store, bricks)
    job = await run.submit(plan(onward="one"))
    await bricks.reached.wait()
    waiting = await run.submit(plan())
    await run.stop()
    assert (await run.job(job)).state == "interrupted"
    assert (await run.job(waiting)).state == "queued", "what had not begun begins at the next start"
    assert bricks.laid == set()
    with pytest.raises(Refused):
        await run.submit(plan())
    bricks.slow = None
    again = runner(store, bricks)
    await again.recover()
    assert (await again.wait(waiting)).state == "done"
    await store.close()


async def test_one_lease_one_job_and_a_restore_goes_before_a_backup(tmp_path: Path) -> None:
    store, bricks = await opened(tmp_path), Bricks()
    bricks.slow = asyncio.Event()
    run = runner(store, bricks)
    first = await run.submit(plan())
    await bricks.reached.wait()
    backup = await run.submit(plan())
    restore = await run.submit(plan(kind="restore"))
    elsewhere = await run.submit(plan(lease="stack:other"))
    await asyncio.sleep(0.05)
    states = {job: (await run.job(job)).state for job in (first, backup, restore, elsewhere)}
    assert states == {first: "running", backup: "queued", restore: "queued", elsewhere: "running"}
    await run.cancel(backup)
    bricks.slow.set()
    assert (await run.wait(restore)).state == "done"
    assert (await run.wait(first)).state == "done"
    assert (await run.job(backup)).state == "cancelled"
    ended, began = (await run.job(first)).ended, (await run.job(restore)).started
    assert ended is not None
    assert began is not None
    assert began >= ended
    await store.close()

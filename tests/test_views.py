"""What a look at the page reads, and what of it is shared by those who look."""

import asyncio
import contextvars
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import Row
from typing import Any

import aiohttp
import aiosqlite
import pytest

from gardien.adapters import database
from gardien.faces.server import make_app
from gardien.model.snapshot import Snapshot
from gardien.services.house import House
from tests.coming_back import practice
from tests.live_routes import walk
from tests.quiet_house import quiet_house, short_folder, write_settings

# Which show all backups there are, or choose among those of one application.
OF_ALL = {"/api/v1/snapshots", "/api/v1/targets/{target}/retention", "/stacks/{name}/updates/back"}
OF_ALL |= {"restore", "restore-summary"}
STREAMS = {"/live", "/api/v1/jobs/{job}/watch"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every transaction in which gardien's memory is read: its first question."""
    begun: list[str] = []
    fetch, execute = aiosqlite.Connection.execute_fetchall, aiosqlite.Connection.execute

    async def counted(self: aiosqlite.Connection, sql: str, parameters: Any = None) -> Iterable[Row]:
        if not self.in_transaction:
            begun.append(sql)
        return await fetch(self, sql, parameters)

    def noticed(self: aiosqlite.Connection, sql: str, parameters: Any = None) -> Any:
        if sql == "BEGIN":
            begun.append(sql)
        return execute(self, sql, parameters)

    monkeypatch.setattr(aiosqlite.Connection, "execute_fetchall", counted)
    monkeypatch.setattr(aiosqlite.Connection, "execute", noticed)
    return begun


@asynccontextmanager
async def reader(house: House, user: str = "owner") -> AsyncIterator[aiohttp.ClientSession]:
    """Somebody who came in."""
    home = f"http://127.0.0.1:{house.settings.page.port}"
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(home, cookie_jar=jar, headers={"Origin": home}) as session:
        await (await session.post(f"/login/{await house.people.link(user)}", allow_redirects=False)).read()
        yield session


async def test_many_backups_and_readers_cost_no_reads(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    """Nothing was written since: what was read for the first is told to the next. Then something was, and is told."""
    monkeypatch.setattr("gardien.services.overview.BELIEVED", 3600.0)  # however slow this machine is
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            house = quiet.house
            await house.targets.init("box")
            await house.runner.wait(await house.life.add("demo", {"DEMO_PORT": "8123"}))
            await house.watch.look()
            async with reader(house) as session:
                first = await (await session.get("/")).text()
                asked.clear()
                again = await (await session.get("/")).text()
                assert "Not saved yet" in first and "Not saved yet" in again
                assert asked == []
                taken = house.overviews._world.clock() - timedelta(hours=1)
                await house.store.add_snapshot(Snapshot("ab" * 32, "demo", "box", taken, 1, 1, 1, 0.0, True))
                assert "Not saved yet" not in await (await session.get("/")).text()


async def test_what_was_drawn_for_one_role_is_not_shown_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor to the same person, when their role changes within a moment in which nothing else does."""
    monkeypatch.setattr("gardien.services.overview.BELIEVED", 3600.0)
    monkeypatch.setattr("gardien.services.overview.AGED", 3600.0)
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            house = quiet.house
            await house.people.add("anna", "helper")

            async def seen(user: str, *, live: bool = False) -> bool:
                """Whether a button is shown that is an owner's alone."""
                async with reader(house, user) as session, session.get("/live" if live else "/") as answer:
                    text = (await answer.content.readuntil(b"\n\n")).decode() if live else await answer.text()
                    assert answer.status == 200 and "application" in text
                    return re.search('id="add"', text) is not None

            for live in (False, True):
                assert [await seen(each, live=live) for each in ("owner", "anna", "owner")] == [True, False, True]
                await house.people.change("anna", "owner")
                assert await seen("anna", live=live)
                await house.people.change("anna", "helper")
                assert not await seen("anna", live=live)


async def test_one_connection_sees_what_it_wrote_and_a_look_stays_at_its_moment() -> None:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            store = quiet.house.store
            await store.note("a", "1")
            async with store.look() as end:
                assert await store.noted("a") == "1" and await store.people()  # its moment begins
                before = store.changes
                await _elsewhere(store.note("a", "2"))
                assert store.changes == before and await store.noted("a") == "1"
                assert await _elsewhere(store.noted("a")) == "2"
                assert await store.noted("a") == "1"
                await store.note("b", "3")
                assert (await store.noted("a"), await store.noted("b")) == ("2", "3")
                await end()
                await _elsewhere(store.note("a", "4"))
                assert await store.noted("a") == "4" and store.changes > before


async def _elsewhere(what: Any) -> Any:
    """Outside of this look."""
    return await asyncio.get_running_loop().create_task(what, context=contextvars.Context())


async def test_each_view_is_of_one_moment_and_looks_through_no_years(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    """At most one read transaction for whatever is looked at, though nothing of it was known before; and in it SQLite's
    machine takes far fewer steps than there would be for each backup and each job of years.
    """
    many, done, connect = 6_000, [0], database._connect

    async def counted(path: Path, *, read_only: bool = False) -> aiosqlite.Connection:
        made = await connect(path, read_only=read_only)
        if read_only:
            await made.set_progress_handler(step, 100)
        return made

    def step() -> int:
        done[0] += 100
        return 0

    monkeypatch.setattr(database, "_connect", counted)
    monkeypatch.setattr("gardien.services.overview.BELIEVED", 0.0)
    async with practice() as made:
        house, now, most = made.quiet.house, datetime.now(UTC), Counter[str]()

        async def years(db: aiosqlite.Connection) -> None:
            taken = [(now - timedelta(hours=2 * (back + 1))).isoformat(timespec="microseconds") for back in range(many)]
            await db.executemany(
                "INSERT INTO snapshot (target, id, stack, taken, files, bytes, added, pause_seconds, good, version)"
                " VALUES ('box', ?, 'nextcloud', ?, 1, 1, 1, 1, 1, '')",
                [(hashlib.sha256(at.encode()).hexdigest(), at) for at in taken],
            )
            await db.executemany(
                "INSERT INTO job (id, subject, plan, state, facts, created, started, ended)"
                " SELECT id - ?, subject, plan, state, facts, ?2, ?2, ?2 FROM job WHERE id = 2",
                [(number + 10, at) for number, at in enumerate(taken)],
            )

        await house.store._write(years)  # type: ignore[attr-defined]
        routes = [each for each in walk(make_app(house)) if each.method == "GET" and each.pattern not in STREAMS]
        paths = {**{each.pattern: each.path for each in routes}, **made.pages, "older": "/backups?until=2020-02-02"}
        async with reader(house) as session:
            await (await session.get("/")).read()  # since when a place is ready is written down when it is first asked
            for pattern, path in paths.items():
                await house.store.note("somebody", "wrote")
                house.store._database._held.clear()  # type: ignore[attr-defined]
                asked.clear()
                done[0] = 0
                async with session.get(path, allow_redirects=False) as answer:
                    await answer.read()
                most[pattern] = done[0]
                assert len(asked) <= 1, (pattern, asked)
                assert asked or pattern not in ("/", "/stacks/{name}", "/backups", "/jobs")  # it is counted
        # Fourteen days of them, of which there is one every two hours here, are looked through for the home page.
        assert {pattern for pattern, steps in most.items() if steps > many * 6} <= OF_ALL, most.most_common(12)
        assert all(most[pattern] > many * 6 for pattern in OF_ALL)  # it is counted

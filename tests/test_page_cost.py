"""What a look at the page costs, in things that can be counted. How long it takes `tests/bench/page.py` prints."""

import subprocess
import sys
from datetime import timedelta

import aiohttp
import pytest

from gardien.adapters.database import Database, Row
from gardien.model.snapshot import Snapshot
from tests.quiet_house import quiet_house, short_folder, write_settings

HEAVY = ("docker", "requests", "apscheduler", "click")
START = """
import sys
from gardien.__main__ import main
sys.argv = ["gardien", "--config", "/nonexistent/gardien.yaml", "run"]
try:
    main()
except SystemExit as end:
    assert end.code == 2, end.code
print("gardien.app" in sys.modules, [each for each in HEAVY if each in sys.modules])
"""


def test_what_is_heavy_is_loaded_when_it_is_used() -> None:
    """By the very command that systemd runs."""
    start = START.replace("HEAVY", repr(HEAVY))
    assert subprocess.check_output([sys.executable, "-c", start], text=True).strip() == "True []"


async def test_many_backups_and_readers_cost_no_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was written since: what was read for the first is told to the next. Then something was, and is told."""
    monkeypatch.setattr("gardien.services.overview.BELIEVED", 3600.0)  # however slow this machine is
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            house = quiet.house
            await house.targets.init("box")
            await house.runner.wait(await house.life.add("demo", {"DEMO_PORT": "8123"}))
            await house.watch.look()
            asked: list[str] = []
            rows = Database.rows

            async def counted(self: Database, sql: str, *values: object) -> list[Row]:
                asked.append(sql)
                return await rows(self, sql, *values)

            home = f"http://127.0.0.1:{house.settings.page.port}/"
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as reader:
                link = f"{home}login/{await house.people.link()}"
                await (await reader.post(link, headers={"Origin": home.rstrip("/")})).read()
                first = await (await reader.get(home)).text()
                monkeypatch.setattr(house.store, "_rows", counted.__get__(house.store._database))  # type: ignore[attr-defined]
                again = await (await reader.get(home)).text()
                assert "Not saved yet" in first and "Not saved yet" in again
                assert len(asked) == 1 and "session" in asked[0], asked
                taken = house.overviews._world.clock() - timedelta(hours=1)
                await house.store.add_snapshot(Snapshot("ab" * 32, "demo", "box", taken, 1, 1, 1, 0.0, True))
                assert "Not saved yet" not in await (await reader.get(home)).text()

"""What a look at the page costs, in things that can be counted. How long it takes `tests/bench/page.py` prints."""

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import CodeType

import aiohttp
import jinja2
import pytest

from gardien.adapters.database import Database, Row
from gardien.faces.templates import Templates
from gardien.model.snapshot import Snapshot
from tests.quiet_house import quiet_house, short_folder, write_settings

HEAVY = ("docker", "requests", "apscheduler", "click")


class Counting(jinja2.Environment):
    """Counts what it compiles."""

    loader: Templates
    compiled = 0

    def _compile(self, source: str, filename: str) -> CodeType:
        self.compiled += 1
        return super()._compile(source, filename)


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


def test_templates_are_compiled_once(tmp_path: Path) -> None:
    """And anew where one was changed, or what was kept is not whole, or cannot be kept."""
    sources, kept = tmp_path / "sources", tmp_path / "kept"
    sources.mkdir()

    def shown(kept: Path = kept) -> tuple[str, int]:
        """The page, and how many templates were compiled for it."""
        environment = Counting(loader=Templates(sources, kept))
        environment.loader.complete(environment)
        return environment.get_template("home.html").render(), environment.compiled

    (sources / "home.html").write_text("{% include 'part.html' %}!")
    (sources / "part.html").write_text("Hello")
    assert shown() == ("Hello!", 2)
    assert shown() == ("Hello!", 0)
    (sources / "part.html").write_text("Salut")
    assert shown() == ("Salut!", 2)
    whole = kept.read_bytes()
    for damaged in (b"", whole[:-1], whole[:100] + b"\0" * 50 + whole[150:]):
        kept.write_bytes(damaged)
        assert shown() == ("Salut!", 2)
        assert kept.read_bytes() == whole
    assert shown(tmp_path / "away" / "kept") == ("Salut!", 2)
    with pytest.raises(jinja2.TemplateNotFound):
        Counting(loader=Templates(sources, kept)).get_template("other.html")


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

            async def counted(self: Database, sql: str, *values: object) -> Sequence[Row]:
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

"""What a look at the page costs, in things that can be counted. How long it takes `tests/bench/page.py` prints."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import CodeType

import jinja2
import pytest

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.errors import NotFound
from gardien.faces.templates import Templates
from gardien.services.stacks import Stacks
from tests.fakes import neighbours
from tests.quiet_house import COMPOSE, quiet_house, short_folder, write_settings

HEAVY = ("docker", "requests", "apscheduler", "click", "pyotp", "segno")


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


class Readers(LocalFiles):
    """Counts what is read."""

    reads = 0

    async def read(self, path: Path) -> str | None:
        self.reads += 1
        return await super().read(path)


async def test_stacks_are_read_anew_only_when_a_file_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the owner's hand, too, or where a stack was laid out: the next who asks is told."""
    monkeypatch.setattr("gardien.adapters.file_marks.FRESH", 0)
    shipped, owner, files = tmp_path / "shipped", tmp_path / "owner", Readers()
    shutil.copytree(COMPOSE / "demo", shipped / "demo")
    (owner / "stacks").mkdir(parents=True)
    settings = load_settings(write_settings(tmp_path))
    shelf = FileShelf(shipped, owner, files)
    stacks = Stacks(replace(neighbours(settings, []).world, shelf=shelf, files=files))
    (owner / "stacks" / "demo.yaml").write_text("settings: {DEMO_PORT: '8123'}\n")

    async def seen() -> tuple[str, Path, int]:
        """The stack's port and recipe, and how many files were read for that."""
        files.reads = 0
        (stack,) = await stacks.all()
        assert await stacks.get("demo") == stack and await stacks.door() is None
        return stack.settings["DEMO_PORT"], stack.recipe.folder, files.reads

    await seen()
    await seen()
    assert await seen() == ("8123", shipped / "demo", 0)
    (owner / "stacks" / "demo.yaml").write_text("settings: {DEMO_PORT: '12345'}\n")
    assert (await seen())[:2] == ("12345", shipped / "demo")
    shutil.copytree(shipped / "demo", stacks.home("demo") / ".gardien" / "compose")
    assert (await seen())[:2] == ("12345", stacks.home("demo") / ".gardien" / "compose")
    assert (await seen())[2] == 0
    monkeypatch.setattr("gardien.adapters.file_marks.FRESH", 3600 * 10**9)  # what was just changed may change again
    assert (await seen())[2] > 0
    monkeypatch.setattr("gardien.adapters.file_marks.FRESH", 0)
    (owner / "stacks" / "demo.yaml").unlink()
    assert await stacks.all() == []
    with pytest.raises(NotFound):
        await stacks.get("demo")


async def test_a_house_that_is_well_is_looked_at_when_a_probe_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that is not, each few seconds."""
    monkeypatch.setattr("gardien.services.watch.TICK", 0.5)
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            watch = quiet.house.watch
            await quiet.house.runner.wait(await quiet.house.life.add("demo", {"DEMO_PORT": "8123"}))
            await watch.look()
            await watch.look()
            (stack,) = await quiet.house.stacks.all()
            assert 0.5 <= watch.wait <= stack.manifest.probes["app"].period
            monkeypatch.setattr("gardien.services.watch.TICK", 3600.0)
            quiet.docker.containers.clear()
            await watch.look()
            assert watch.wait == 3600.0  # in this house, the shortest time

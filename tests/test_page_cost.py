"""What a look at the page costs, in things that can be counted. How long it takes `tests/bench/page.py` prints."""

import subprocess
import sys
from pathlib import Path
from types import CodeType

import jinja2
import pytest

from gardien.faces.templates import Templates

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

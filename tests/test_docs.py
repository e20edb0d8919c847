"""The documentation is true: every setting, every key of a stack and every dependency is described."""

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from gardien.model import manifest
from gardien.model.manifest import Manifest, Setting
from gardien.model.settings import Closed, Settings
from gardien.rules.given import NO_DOOR

ROOT = Path(__file__).parents[1]


def keys(model: type[BaseModel]) -> set[str]:
    """The names people write, of this model and of all models in it."""
    found = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for inner in re.findall(r"gardien\.model\.\w+\.(\w+)", str(field.annotation)):
            kind = next((each for each in _closed() if each.__name__ == inner), None)
            if kind is not None and kind is not model:
                found |= keys(kind)
    return found


def _closed(kind: type[BaseModel] = Closed) -> Sequence[type[BaseModel]]:
    return [each for below in kind.__subclasses__() for each in (below, *_closed(below))]


@pytest.mark.parametrize(("model", "page"), [(Settings, "docs/settings.md"), (Manifest, "docs/stacks.md")])
def test_every_key_is_described(model: type[BaseModel], page: str) -> None:
    text = (ROOT / page).read_text()
    words = set(re.findall(r"[a-z_]+", " ".join(re.findall(r"`([^`]+)`", text))))
    assert keys(model) - words - {"en", "fr"} == set()


def test_every_kind_of_setting_and_of_derived_value_is_described() -> None:
    rows = re.findall(r"(?m)^\| `([a-z]+)` \|", (ROOT / "docs" / "stacks.md").read_text())
    derived = (manifest.FromCores, manifest.FromMemory, manifest.FromAddresses, manifest.FromMode)
    of = [word for each in derived for word in get_args(each.model_fields["of"].annotation)]
    assert {*get_args(Setting.model_fields["kind"].annotation), *of} <= set(rows)


def test_what_a_stack_is_told_of_the_door_is_described() -> None:
    text = (ROOT / "docs" / "stacks.md").read_text()
    assert [name for name in NO_DOOR if f"`{name}`" not in text] == []


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    reasons = (ROOT / "CONTRIBUTING.md").read_text()
    for wanted in project["project"]["dependencies"] + project["build-system"]["requires"]:
        name = re.split(r"[><=\[]", wanted)[0]
        assert name in reasons, f"CONTRIBUTING.md does not say why {name} is needed"


def test_no_link_leads_nowhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "compose").glob("*/README.md")]:
        for aim in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert "://" in aim or (page.parent / aim).exists(), f"{page.name} -> {aim}"


def test_both_readmes_say_the_same_commands() -> None:
    def commands(name: str) -> set[str]:
        text = (ROOT / name).read_text()
        code = re.findall(r"```sh\n(.*?)```|`([^`]+)`", text, re.DOTALL)
        lines = [line.split("#")[0].strip() for block, span in code for line in (block or span).splitlines()]
        return {line for line in lines if re.match(r"(sudo )?(gardien|\./)", line)}

    assert commands("README.md") == commands("README.fr.md")
    assert "sudo ./install.sh --demo" in commands("README.md")

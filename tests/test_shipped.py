"""What every shipped stack keeps to: sound for gardien, clean for plain Compose, harmless on the machine, explained."""

import ast
import asyncio
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from gardien.adapters.document import read
from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf
from gardien.model.manifest import Action, Text
from gardien.model.stack import Recipe
from gardien.rules import composefile

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "compose"
SOURCE = ROOT / "daemon" / "gardien"
STACKS = sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir())
PARTS = ("needs", "saved", "without gardien", "traps")  # of a README, each under a heading
FALLBACK = re.compile(r"\$\{([A-Z0-9_]+):?-([^${}]*)\}")


@cache
def recipe(name: str) -> Recipe:
    return asyncio.run(FileShelf(SHIPPED, Path("/nonexistent"), LocalFiles()).recipe(name))


@cache
def data(name: str) -> dict[str, Any]:
    file = SHIPPED / name / "compose.yaml"
    return read(file.read_text(), file).data


def models(value: object) -> Iterator[BaseModel]:
    """Everything a manifest is made of."""
    if isinstance(value, BaseModel):
        yield value
        for name in type(value).model_fields:
            yield from models(getattr(value, name))
    elif isinstance(value, dict | tuple):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from models(inner)


def test_the_shipped_stacks_are_found() -> None:
    found = asyncio.run(FileShelf(SHIPPED, Path("/nonexistent"), LocalFiles()).recipes())
    assert found == STACKS and {"demo", "nextcloud"} <= set(found)


@pytest.mark.parametrize("name", STACKS)
def test_a_first_process_that_never_changes_is_not_asked_whether_it_upgrades(name: str) -> None:
    """With `init` it bears the entrypoint's name for ever, and the stack would never be restarted."""
    for probe in recipe(name).manifest.at_work:
        asks = any("/proc/1/" in word for word in probe.argv)
        assert not (asks and data(name)["services"][probe.exec_].get("init")), probe


@pytest.mark.parametrize("name", STACKS)
def test_it_passes_the_rules(name: str) -> None:
    found = recipe(name)
    assert found.kept and found.services
    assert found.manifest.needs is not None, "nobody could tell whether it fits on a machine"


@pytest.mark.parametrize("name", STACKS)
def test_plain_compose_has_nothing_to_say_about_it(name: str) -> None:
    assert not (SHIPPED / name / ".env").exists()
    clean = {name: os.environ[name] for name in ("PATH", "HOME")}
    command = ["docker", "compose", f"--project-directory={SHIPPED / name}", "config", "--quiet"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("name", STACKS)
def test_alone_it_has_the_values_that_it_has_with_gardien(name: str) -> None:
    """What Compose puts where nobody answered is the answer that gardien gives for the owner."""
    asked = recipe(name).manifest.settings
    text = re.split(r"(?m)^x-gardien:", (SHIPPED / name / "compose.yaml").read_text())[0]
    for key, fallback in FALLBACK.findall(text):
        if key in asked:
            assert fallback == asked[key].default.replace("{DOOR_DOMAIN}", "home.arpa"), key


@pytest.mark.parametrize("name", STACKS)
def test_every_service_keeps_to_its_box(name: str) -> None:
    for service, about in composefile.services(data(name)).items():
        assert about.get("restart") == "unless-stopped", service
        assert "no-new-privileges:true" in about.get("security_opt", []), service
        assert about.get("logging") == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "3"}}, service
        assert re.fullmatch(r"[1-9][0-9]*[mg]|\$\{[A-Z0-9_]+:-[1-9][0-9]*[mg]\}", str(about.get("mem_limit"))), service
        for mount in about.get("volumes", []):
            of_data = "DATA" in str(mount)
            assert not of_data or (isinstance(mount, dict) and mount["bind"] == {"create_host_path": False}), mount


@pytest.mark.parametrize("name", STACKS)
def test_only_the_door_and_media_are_public(name: str) -> None:
    door = recipe(name).manifest.door
    for service, about in composefile.services(data(name)).items():
        for address, port, protocol in composefile.published(about):
            public = (door is not None and service == door.service) or protocol == "udp"
            assert address == "127.0.0.1" or public, f"{service}: {address}:{port}/{protocol}"


@pytest.mark.parametrize("name", STACKS)
def test_every_image_has_a_version(name: str) -> None:
    for image in recipe(name).image_defaults.values():
        tag = image.rpartition("/")[2].partition("@")[0].partition(":")[2]
        assert tag not in ("", "latest", "stable"), image


@pytest.mark.parametrize("name", STACKS)
def test_it_speaks_both_languages(name: str) -> None:
    texts = [each for each in models(recipe(name).manifest) if isinstance(each, Text)]
    assert len(texts) >= 2
    for text in texts:
        assert text.en.strip() and text.fr.strip(), text


@pytest.mark.parametrize("name", STACKS)
def test_what_it_does_in_other_stacks_is_there(name: str) -> None:
    for other, join in recipe(name).manifest.with_.items():
        if other in STACKS:
            actions: tuple[Action, ...] = (*join.connect, *join.disconnect)
            for action in actions:
                services = [*([action.exec_] if action.exec_ else []), *action.stop, *action.start]
                assert set(services) <= set(recipe(other).services), action
                assert action.wait is None or action.wait in recipe(other).manifest.probes, action


@pytest.mark.parametrize("name", STACKS)
def test_its_readme_tells_what_an_owner_asks(name: str) -> None:
    text = (SHIPPED / name / "README.md").read_text()
    assert re.search(r"(?i)replaces|in place of|instead of", text[: text.index("\n#")]), "what it replaces comes first"
    headings = re.findall(r"(?m)^#+ +(.+)$", text)
    for part in PARTS:
        assert any(part in heading.lower() for heading in headings), f"no heading with “{part}” among {headings}"


def test_no_stack_is_named_in_python() -> None:
    """A new application is a folder and no line of code. Only words for people may have one as an example."""
    names = set(STACKS) - {"demo"}
    found: set[tuple[str, str]] = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        words: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
                words |= set(re.split(r"[^a-z0-9-]+", node.value.lower()))
            elif isinstance(
                node, ast.Name | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.arg | ast.Attribute
            ):
                name = {ast.Name: "id", ast.arg: "arg", ast.Attribute: "attr"}.get(type(node), "name")
                words |= set(re.split(r"[^a-z0-9]+", getattr(node, name).lower()))
        found |= {(path.name, name) for name in names & words}
    assert not found

"""Whatever somebody answers to a shipped stack's questions: it is refused in words, or Compose reads exactly that.

Strings come from hypothesis, thousands for every setting; Compose itself reads them back, many at a time.
"""

import asyncio
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gardien.adapters.document import read
from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf
from gardien.model.fault import Faults
from gardien.model.manifest import Setting
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules import composefile
from gardien.rules.env import env_file, read_env, write_env
from gardien.rules.kinds import misfits

SHIPPED = Path(__file__).parents[1] / "compose"
STACKS = sorted(file.parent.name for file in SHIPPED.glob("*/compose.yaml"))
MANY = 2000  # strings for every setting
EVERY = list(HealthCheck)
WHOLE = 4  # times that each stack's own file is read, with another answer to every question each time

HOSTILE = st.sampled_from([
    "'", '"', "\\", "$", "`", "\n", "\r", "\t", "\0", "#", " #", "=", "{", "}", "!", "-", "--", ":", ";", "&", "|", "<",
    "$(id)", "${DATA}", "$$", "`id`", "\\n", "'\nX='", "\u2028", "\x85", "\u202e", "é", "漢", "🗝", "%s", "*", "~", "..",
    "\nservices:", "{{.Names}}", "@", "/", "null", " ", "\u00a0", "0x7f", "::", ",", "[", "]", "!!python/object", "&a",
])  # fmt: skip
# What looks right to a kind, and such a thing with something hostile in it.
LIKELY = st.one_of(
    st.from_regex(r"[a-z0-9-]{1,12}(\.[a-z0-9-]{1,12}){0,3}", fullmatch=True),
    st.from_regex(r"[1-9][0-9]{0,4}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9._-]{1,20}", fullmatch=True),
    st.from_regex(r"[a-z+.]{1,9}@[a-z-]{1,9}\.[a-z]{2,3}", fullmatch=True),
    st.from_regex(r"https://[a-z0-9.]{1,15}(:[0-9]{1,5})?(/[a-z~%]{0,5}){0,2}", fullmatch=True),
    st.lists(st.ip_addresses().map(str), min_size=1, max_size=3).map(",".join),
    st.sampled_from(["", "home", "internet", "yes", "no", "true", "false", "on", "0", "localhost", "127.0.0.1", "::1"]),
    st.text(alphabet="abcé ,.;:#=&|<>()[]*?~%@+!_/0", max_size=30),
)
BROKEN_UP = st.tuples(LIKELY, HOSTILE, LIKELY).map("".join)
STRINGS = st.one_of(LIKELY, BROKEN_UP, st.lists(st.one_of(HOSTILE, st.text(max_size=4)), max_size=6).map("".join))


@cache
def strings() -> tuple[str, ...]:
    """The same for all stacks of one run: making them takes longer than judging them."""
    found: dict[str, None] = {}

    @settings(max_examples=MANY, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=EVERY)
    @given(STRINGS)
    def collect(value: str) -> None:
        found[value] = None

    collect()
    assert len(found) > MANY / 2
    return tuple(found)


@cache
def recipe(name: str) -> Recipe:
    return asyncio.run(FileShelf(SHIPPED, Path("/nonexistent"), LocalFiles()).recipe(name))


def candidates(setting: Setting) -> Iterator[str]:
    """All strings, and the setting's own answers with something hostile before, behind and within."""
    yield from strings()
    own = {*setting.choices, setting.default.replace("{DOOR_DOMAIN}", "home.arpa")}
    for answer in own:
        for odd in (
            "",
            "'",
            '"',
            "\n",
            "$",
            "`",
            "\\",
            " ",
            "-",
            "\0",
            "#",
            "$(id)",
            "\nX='1",
            "'\nX='1",
            "\u2028",
            ":x",
        ):
            yield from (odd + answer, answer + odd, answer[:2] + odd + answer[2:])


def made(name: str, answers: Mapping[str, str]) -> Stack:
    """A shipped stack with these answers, and with something for all that nobody chooses."""
    found = recipe(name)
    told = {"DOOR_DOMAIN": "home.arpa", "DOOR_SUFFIX": ":8443", "DOOR_MODE": "home"}
    told |= {key: str(number) for number, key in enumerate(found.manifest.derived, 3)}
    return Stack(found, Chosen(settings=dict(answers)), f"gardien-{name}", Path("/srv/gardien") / name, told)


def written(stack: Stack) -> str:
    return env_file(stack, {key: f"Secret{number}" * 4 for number, key in enumerate(stack.manifest.secrets)})


def config(folder: Path) -> dict[str, Any]:
    """What Compose makes of the project in `folder`, dollars as they were written."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME")}  # the environment would go before the file
    command = [
        "docker",
        "compose",
        "--project-name=breakout",
        f"--project-directory={folder}",
        "config",
        "--format=json",
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    assert (ran.returncode, ran.stderr) == (0, "")
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", STACKS)
def test_an_answer_is_refused_or_read_back_exactly(name: str, tmp_path: Path) -> None:
    accepted: dict[str, None] = {}
    for key, setting in recipe(name).manifest.settings.items():
        fine = refused = 0
        for value in candidates(setting):
            faults = misfits(recipe(name), {key: value})
            if faults:
                assert all(
                    fault.at == (key,) and str(fault.says).startswith(key) and str(fault.remedy) for fault in faults
                )
                refused += 1
                if refused % 200 == 1:  # and nothing is written
                    with pytest.raises(Faults):
                        written(made(name, {key: value}))
            else:
                fine += 1
                accepted[value] = None
        assert fine > 0, f"no string was a {setting.kind}"
    values = {f"V{number}": value for number, value in enumerate(accepted)}
    text = write_env(values)
    assert read_env(text) == (values, [])
    (tmp_path / ".env").write_text(text)
    service = {"image": "x", "environment": {key: "${" + key + "-unset}" for key in values}}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"x": service}}))
    seen = config(tmp_path)
    assert {key: each.replace("$$", "$") for key, each in seen["services"]["x"]["environment"].items()} == values
    assert set(seen["services"]) == {"x"} and set(seen["services"]["x"]) <= {
        "command",
        "entrypoint",
        "environment",
        "image",
        "networks",
    }


def leaves(data: object, at: tuple[object, ...] = ()) -> Iterator[tuple[tuple[object, ...], object]]:
    if isinstance(data, dict | list):
        yield at, type(data)
        for key, inner in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves(inner, (*at, key))
    else:
        yield at, data


def answered(leaf: object, marks: Mapping[str, str], answers: Mapping[str, str]) -> object:
    """A leaf of the marked project with the answers in place of their marks, whatever its type."""
    told = str(leaf)
    for key, mark in marks.items():
        told = told.replace(mark, answers[key])
    return leaf if told == str(leaf) else type(leaf)(told)  # type: ignore[call-arg]


# An answer of each kind that is found nowhere else in a file.
MARKS: Mapping[str, Callable[[int], str]] = {
    "host": lambda number: f"mark-{number}.example",
    "port": lambda number: str(61000 + number),
    "name": lambda number: f"mark-{number}-name",
    "text": lambda number: f"Mark {number}, a text",
    "domain": lambda number: f"mark-{number}.home.arpa",
    "email": lambda number: f"mark{number}@mail.example",
    "url": lambda number: f"https://mark-{number}.example/directory",
    "addresses": lambda number: f"198.51.100.{number}",
}


@pytest.mark.parametrize("name", STACKS)
def test_no_answer_makes_anything_new_of_a_stack(name: str, tmp_path: Path) -> None:
    """Beside what an answer changes by being read, the whole project stays as it is: no key, no service more."""
    asked = recipe(name).manifest.settings
    chosen = {key: setting.default for key, setting in asked.items() if setting.kind == "choice"}
    marks = {
        key: MARKS[setting.kind](number) for number, (key, setting) in enumerate(asked.items()) if key not in chosen
    }
    folder = tmp_path / name
    shutil.copytree(SHIPPED / name, folder)

    def read_with(answers: Mapping[str, str]) -> dict[tuple[object, ...], object]:
        (folder / ".env").write_text(written(made(name, chosen | dict(answers))))
        return dict(leaves({key: each for key, each in config(folder).items() if key != "x-gardien"}))

    marked = read_with(marks)
    unread = [key for key, mark in marks.items() if not any(mark in str(leaf) for leaf in marked.values())]
    fallback = {key for at, key in composefile.variables(read((folder / "compose.yaml").read_text(), folder).data)}
    assert not [key for key in unread if key in fallback], "a setting of the file that does not come through"
    dice = random.Random()
    able = {key: [each for each in strings() if each and not misfits(recipe(name), {key: each})] for key in marks}
    for _ in range(WHOLE):
        answers = {key: dice.choice(able[key]) for key in marks}
        assert read_with(answers) == {at: answered(leaf, marks, answers) for at, leaf in marked.items()}, answers


SHELLS = re.compile(r"(^|/)(ba|da|a|)sh$")


@pytest.mark.parametrize("name", STACKS)
def test_no_answer_reaches_a_shell(name: str) -> None:
    """Commands that hold an answer are lists of arguments, and none of them is a shell's."""
    file = SHIPPED / name / "compose.yaml"
    data = read(file.read_text(), file).data
    for at, key in composefile.variables(data):
        if key in recipe(name).manifest.settings and at[0] == "services" and len(at) > 2:
            part: Any = data["services"][at[1]][at[2]]
            if at[2] in ("command", "entrypoint"):
                assert isinstance(part, list) and not any(SHELLS.search(str(word)) for word in part), f"{at}: {key}"
            elif at[2] == "healthcheck":
                test = part["test"]
                assert test[0] == "CMD" and not any(SHELLS.search(str(word)) for word in test), f"{at}: {key}"
            else:
                assert at[2] not in ("post_start", "pre_stop"), f"{at}: {key}"

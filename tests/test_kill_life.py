"""kill -9 of the daemon at every step of a stack's life: afterwards it is as it was, or as it should become."""

import contextlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.world.box import Box, box, docker, free_port, until
from tests.world.notes import add, compose_file, lay_out
from tests.world.plug import MOMENTS, die_at, leases

SETUP = """  setup: [{exec: app, argv: [sh, -c, 'echo done > /srv/setup']}]
  with:
    other: {connect: [{exec: app, argv: [sh, -c, 'echo joined > /srv/joined']}]}
"""
BACKUP = ("ready", "live", "pause", "dump", "final", "resume", "send", "confirm", "tidy")
STEPS = {
    "add": ("check", "images", "write", "up", "gate", "setup", "join"),
    "start": ("check", "up", "gate"),
    "stop": ("down",),
    "restart": ("check", "restart", "gate"),
    "set": ("check", "images", "write", "up", "gate", "join"),
    "mend": ("check", "images", "write", "up", "gate", "join"),
    "remove": (*BACKUP, "down", "forget", "wipe"),
}
# One step is one piece of code, whatever it is a step of; what is done after a death differs from kind to kind. So each
# step dies once at least, and each kind where it has most to take back or to finish. All of them: GARDIEN_FULL.
# The steps of a backup have a matrix of their own.
SAMPLE = {
    "add": ("check", "write", "up", "setup", "join"),
    "start": ("gate",),
    "stop": ("down",),
    "restart": ("restart",),
    "set": ("images", "write", "up", "gate"),
    "mend": ("write", "join"),
    "remove": ("resume", "down", "forget", "wipe"),
}
TRIED = STEPS if os.environ.get("GARDIEN_FULL") else SAMPLE
COMMAND: dict[str, tuple[str, ...]] = {
    "add": ("stack", "add", "notes"),
    "start": ("stack", "start", "notes"),
    "stop": ("stack", "stop", "notes"),
    "restart": ("stack", "restart", "notes"),
    "set": ("stack", "set", "notes", "--set", "GREETING=changed", "--yes"),
    "mend": ("stack", "mend", "notes"),
    "remove": ("stack", "remove", "notes", "--with-data", "--confirm", "notes"),
}


@pytest.fixture(scope="module")
def house() -> Iterator[Box]:
    with box() as made:
        made.start()
        made.gardien("target", "init", "host")
        lay_out(made, "other")
        add(made, "other")
        lay_out(made, "notes", compose_file("notes", SETUP))
        yield made


def there(house: Box) -> bool:
    return any(each["name"] == "notes" for each in house.json("stack", "list"))


def prepare(house: Box, kind: str) -> None:
    if house.daemon is None:  # one that did not end when it was told to: that is another test's fault
        house.start()
    if kind == "add":
        if there(house):
            house.gardien("stack", "remove", "notes", "--no-backup", "--with-data", "--confirm", "notes")
        return
    if not there(house):
        add(house)
    house.gardien("stack", "stop" if kind == "start" else "start", "notes")


def command(kind: str) -> tuple[str, ...]:
    return (*COMMAND[kind], *(("--set", f"NOTES_PORT={free_port()}") if kind == "add" else ()))


@pytest.mark.parametrize("kind", STEPS)
def test_these_are_all_the_steps(house: Box, kind: str) -> None:
    prepare(house, kind)
    plan = house.json(*command(kind), "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS[kind]


def test_no_step_is_left_out() -> None:
    assert {step for steps in SAMPLE.values() for step in steps} >= {
        step for steps in STEPS.values() for step in steps
    } - set(BACKUP)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize(("kind", "step"), [(kind, step) for kind, steps in TRIED.items() for step in steps])
def test_killed_at(house: Box, kind: str, step: str, moment: str) -> None:
    prepare(house, kind)
    known = len(house.json("backup", "list", "notes"))
    die_at(house, f"{kind}/{step}/{moment}", *command(kind))
    house.start()
    job = next(each for each in house.until_jobs_end() if each["kind"] == kind)
    assert job["state"] in ("done", "interrupted"), job
    until(lambda: leases(house) == "", 10)
    done = job["state"] == "done"
    if kind == "add":
        assert there(house) is done
        assert (house.data / "notes").exists() is done
        assert (house.root / "owner/secrets/notes.env").exists() is done
    if kind == "remove":
        assert there(house) is not done
        assert (house.data / "notes").exists() is not done
        assert not done or len(house.json("backup", "list", "notes")) == known + 1
    if there(house):
        _as_it_should_be(house, kind, done)
    else:
        assert docker("ps", "-aq", "--filter", f"name={house.prefix}-notes-").strip() == ""
    assert house.health("other") == "well"


def _as_it_should_be(house: Box, kind: str, done: bool) -> None:
    shown = house.json("stack", "show", "notes")
    if (kind == "stop" and done) or (kind == "start" and not done):
        with contextlib.suppress(urllib.error.URLError):
            urllib.request.urlopen(shown["address"], timeout=5)
            pytest.fail("it answers, and should be switched off")
        return
    house.until_well("notes", 40)
    settings = shown["settings"]
    env = docker("inspect", "--format", "{{json .Config.Env}}", f"{house.prefix}-notes-app-1")
    assert f"GREETING={settings['GREETING']}" in env
    assert (settings["GREETING"] == "changed") is (kind == "set" and done)
    assert (
        not (house.data / "notes" / "srv" / "paused").exists()
        or not (house.data / "notes" / "srv" / "paused").read_text().strip()
    )
    if settings["GREETING"] == "changed":
        house.gardien("stack", "set", "notes", "--set", "GREETING=hello", "--yes")

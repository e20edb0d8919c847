"""kill -9 of the daemon at every step of a restore: it ends with the saved state, whole, and nothing held.

In place, where what was there has given way, it is that or the state of the backup that was made before.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.houses import STACK, settle
from tests.world.box import Box, box, until
from tests.world.notes import compose_file
from tests.world.plug import MOMENTS, die_at, leases, locks
from tests.world.practice import Entry, differences, fill, rows, tree
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost

STEPS = ("look", "fetch", "verify", "images", "stop", "swap", "load", "start", "gate", "settle")
SAFETY = ("ready", "live", "pause", "dump", "final", "resume", "send", "confirm", "tidy")
IN_PLACE = ("look", *SAFETY, "stop", "clear", "fetch", "verify", "images", "swap", "load", "start", "gate", "settle")
FORWARD = IN_PLACE[IN_PLACE.index("stop") :]
FULL = bool(os.environ.get("GARDIEN_FULL"))
Saved = tuple[dict[str, Entry], str]
OLDER = "{exec: app, argv: [sh, -c, 'echo older >> /srv/told']}"


@pytest.fixture(scope="module")
def tiny() -> Iterator[Box]:
    """A house with the tiny stack, saved once."""
    with box() as made:
        settle(made, compose_file().replace("    load:", f"    older: [{OLDER}]\n    load:"))
        state(made, "saved")
        made.gardien("backup", "create", STACK)
        yield made
        made.stop()


def state(made: Box, word: str) -> None:
    """What the stack holds from now on, in its files and its database."""
    srv = made.data / STACK / "srv"
    (srv / "letter").write_text(word)
    (srv / f"only when {word}").write_text(word)
    for each in srv.glob("only when *"):
        if each.name != f"only when {word}":
            each.unlink()
    (srv / "database").write_text(f"-- {word}\n-- whole\n")


def found(made: Box) -> set[str]:
    """Every word of it that is there: one, unless it is a mixture."""
    srv = made.data / STACK / "srv"
    words = {each.name.removeprefix("only when ") for each in srv.glob("only when *")}
    words |= {each.read_text() for each in srv.glob("only when *")}
    return words | {(srv / "letter").read_text(), (srv / "database").read_text().splitlines()[0].removeprefix("-- ")}


def told(made: Box) -> bool:
    """Whether the application was told that its state is older; forgets it."""
    file = made.data / STACK / "srv" / "told"
    there = file.exists()
    file.unlink(missing_ok=True)
    return there


def is_whole(made: Box) -> None:
    """Nothing is held or lies about, the application is well, and the next backup is good."""
    made.until_well(STACK)
    until(lambda: leases(made) == "", 10)
    assert [each for each in (made.root / "repository" / "locks").iterdir() if len(each.name) == 64] == []
    assert not any((made.data / ".restoring").iterdir())
    assert not list((made.root / "owner").rglob("*.before-*"))
    assert not (made.data / STACK / ".gardien" / "dumps").exists()


def begin_anew(made: Box) -> str:
    """The stack holds another state than the newest backup does; the id of that."""
    saved = str(made.json("backup", "list", STACK)[0]["id"])
    state(made, "since")
    return saved


def test_these_are_all_the_steps(tiny: Box) -> None:
    plan = tiny.json("restore", STACK, "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS
    plan = tiny.json("restore", STACK, "--in-place", "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == IN_PLACE


def die_twice(made: Box, first: str, second: str, *how: str) -> dict[str, Any]:
    """A restore that is killed at one step, and gone on with, and killed at another; its end."""
    die_at(made, f"restore/{first}", "restore", STACK, "--yes", *how)
    if second:
        made.start(GARDIEN_DIE_AT=f"restore/{second}")
        assert made.wait_for_death() == -9
    made.start()
    return dict(made.until_jobs_end()[0])


def two_by_two(steps: Sequence[str]) -> list[tuple[str, str]]:
    """Each job dies twice: a third time it would be undone."""
    return [(steps[number], (*steps, "")[number + 1]) for number in range(0, len(steps), 2)]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("steps", two_by_two(STEPS), ids="-".join)
def test_killed_at(tiny: Box, steps: tuple[str, str], moment: str) -> None:
    """For every other one the stack is lost altogether before; else its present state differs from the saved one."""
    saved = begin_anew(tiny)
    if two_by_two(STEPS).index(steps) % 2 == (moment == "ran"):
        tiny.compose(STACK, "down")
        shutil.rmtree(tiny.data / STACK)
    job = die_twice(tiny, f"{steps[0]}/{moment}", f"{steps[1]}/{moment}", "--snapshot", saved)
    assert (job["kind"], job["state"]) == ("restore", "done"), job
    assert "all verified" in job["says"]
    assert found(tiny) == {"saved"}
    assert told(tiny)
    is_whole(tiny)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("steps", two_by_two(FORWARD), ids="-".join)
def test_killed_in_place_at(tiny: Box, steps: tuple[str, str], moment: str) -> None:
    """What was there has given way: it goes on to what was asked for."""
    saved = begin_anew(tiny)
    second = f"{steps[1]}/{moment}" if steps[1] else ""
    job = die_twice(tiny, f"{steps[0]}/{moment}", second, "--snapshot", saved, "--in-place")
    assert (job["kind"], job["state"]) == ("restore", "done"), job
    assert found(tiny) == {"saved"}
    assert told(tiny)
    is_whole(tiny)
    newest(tiny)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", IN_PLACE[: -len(FORWARD)] if FULL else ("pause", "confirm"))
def test_killed_before_anything_gives_way(tiny: Box, step: str, moment: str) -> None:
    """It is as it was, and open."""
    saved = begin_anew(tiny)
    job = die_twice(tiny, f"{step}/{moment}", "", "--snapshot", saved, "--in-place")
    assert (job["kind"], job["state"]) == ("restore", "interrupted"), job
    assert found(tiny) == {"since"}
    assert not told(tiny)
    is_whole(tiny)
    assert (tiny.data / STACK / "srv" / "paused").read_text().strip() == ""
    newest(tiny)


def newest(made: Box) -> None:
    """One more backup, and a good one: the next test begins from it."""
    state(made, "saved")
    made.gardien("backup", "create", STACK)
    assert made.json("backup", "list", STACK)[0]["good"] is True


@pytest.mark.parametrize("step", ["clear", "fetch", "swap"] if FULL else ["fetch", "swap"])
def test_what_gave_way_comes_back_from_its_backup(tiny: Box, step: str) -> None:
    """What was asked for cannot be had after all: the state that was there is back, from the backup made before."""
    saved = begin_anew(tiny)
    die_at(tiny, f"restore/{step}/ran", "restore", STACK, "--snapshot", saved, "--in-place", "--yes")
    if step == "swap":
        (tiny.data / STACK / ".gardien" / "dumps" / "database.txt").unlink()
    else:
        plain = [RESTIC, "-r", str(tiny.root / "repository"), "-p", str(tiny.passphrase), "--no-cache"]
        subprocess.run([*plain, "unlock"], check=True, capture_output=True)
        subprocess.run([*plain, "forget", saved], check=True, capture_output=True)
    tiny.start()
    job = tiny.until_jobs_end()[0]
    assert (job["kind"], job["state"]) == ("restore", "failed"), job
    assert found(tiny) == {"since"}
    assert not told(tiny), "nothing is older than what was there"
    is_whole(tiny)
    newest(tiny)


@pytest.fixture(scope="module")
def full(nextcloud: Box) -> Box:
    fill(nextcloud, 60)
    nextcloud.gardien("backup", "create", "nextcloud")
    return nextcloud


@pytest.fixture(scope="module")
def saved(full: Box) -> Saved:
    return tree(full), rows(full)


NEXTCLOUD = STEPS if FULL else ("load",)  # one of them takes half a minute


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", NEXTCLOUD)
def test_nextcloud_killed_at(full: Box, saved: Saved, host: SftpHost, step: str, moment: str, tmp_path: Path) -> None:
    """The same with a database that is one."""
    box, (files_before, rows_before) = full, saved
    if STEPS.index(step) % 2 == (moment == "ran"):
        box.compose("nextcloud", "down")
        shutil.rmtree(box.data / "nextcloud")
    else:
        shutil.rmtree(box.data / "nextcloud/html/data/admin/files/Praxis – patients/year 2002")
        box.sql("DELETE FROM practice_notes WHERE id < 100")
    die_at(box, f"restore/{step}/{moment}", "restore", "nextcloud", "--yes")

    box.start()
    jobs = box.until_jobs_end()
    assert jobs[0]["state"] == "done", jobs[0]
    assert box.until_well("nextcloud", 120) < 120
    until(lambda: leases(box) == "", 10)
    assert locks(box, host, tmp_path) == []
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    assert not any((box.data / ".restoring").iterdir())
    # What this one saves is what the next one brings back.
    box.gardien("backup", "create", "nextcloud")
    assert box.json("backup", "list", "nextcloud")[0]["good"] is True


@pytest.mark.parametrize("step", ["confirm", "clear", "fetch", "swap", "load", "start"] if FULL else ["clear"])
def test_nextcloud_killed_in_place_at(full: Box, saved: Saved, step: str) -> None:
    box, (files_before, rows_before) = full, saved
    since = box.data / "nextcloud/html/data/admin/files/since.txt"
    untouched = since.parent.stat()
    since.write_text("written since")
    wanted = [each["id"] for each in box.json("backup", "list", "nextcloud") if each["good"]][-1]
    die_at(box, f"restore/{step}/ran", "restore", "nextcloud", "--snapshot", wanted, "--in-place", "--yes")
    box.start()
    job = box.until_jobs_end()[0]
    assert job["state"] == ("interrupted" if step == "confirm" else "done"), job
    box.until_well("nextcloud", 120)
    if step == "confirm":
        since.unlink()
        os.utime(since.parent, ns=(untouched.st_atime_ns, untouched.st_mtime_ns))
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before


def fingerprint(box: Box) -> str:
    """What Nextcloud shows its clients; a new one makes them keep their newer files, and ask."""
    config = (box.data / "nextcloud/html/config/config.php").read_text()
    found = re.search(r"'data-fingerprint' => '(\w{32})'", config)
    return found[1] if found else ""


def test_row_38_clients_are_told_that_an_older_state_came_back(full: Box) -> None:
    plan = full.json("restore", "nextcloud", "--dry-run")
    start = next(step for step in plan["steps"] if step["name"] == "start")
    assert any("data-fingerprint" in line for line in start["details"])
    seen = [fingerprint(full)]
    for _ in range(2):
        full.gardien("restore", "nextcloud", "--yes")
        seen.append(fingerprint(full))
    assert len(set(seen)) == 3, seen
    assert seen[1] != ""

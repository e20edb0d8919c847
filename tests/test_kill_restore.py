"""kill -9 of the daemon at every step of a restore: it ends with the saved state, whole, and nothing held."""

import shutil
from pathlib import Path

import pytest

from tests.world.box import Box
from tests.world.plug import MOMENTS, die_at, leases, locks
from tests.world.practice import Entry, differences, fill, rows, tree
from tests.world.sftp import SftpHost

STEPS = ("look", "fetch", "verify", "images", "stop", "swap", "load", "start", "gate", "settle")
Saved = tuple[dict[str, Entry], str]


@pytest.fixture(scope="module")
def full(nextcloud: Box) -> Box:
    fill(nextcloud, 60)
    nextcloud.gardien("backup", "create", "nextcloud")
    return nextcloud


@pytest.fixture(scope="module")
def saved(full: Box) -> Saved:
    return tree(full), rows(full)


def test_these_are_all_the_steps(full: Box) -> None:
    plan = full.json("restore", "nextcloud", "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(full: Box, saved: Saved, host: SftpHost, step: str, moment: str, tmp_path: Path) -> None:
    """For every other step the stack is lost altogether before; else its present state differs from the saved one."""
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
    assert leases(box) == ""
    assert locks(box, host, tmp_path) == []
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    assert not any((box.data / ".restoring").iterdir())
    # What this one saves is what the next one brings back.
    box.gardien("backup", "create", "nextcloud")
    assert box.json("backup", "list", "nextcloud")[0]["good"] is True


def test_what_was_saved_after_the_last_death_comes_back(full: Box, saved: Saved) -> None:
    full.compose("nextcloud", "down")
    shutil.rmtree(full.data / "nextcloud")
    full.gardien("restore", "nextcloud", "--yes")
    assert differences(saved[0], tree(full)) == []
    assert rows(full) == saved[1]

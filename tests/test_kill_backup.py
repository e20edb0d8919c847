"""kill -9 of the daemon at every step of a backup: the application is open, nothing is held, the next one is good."""

from pathlib import Path

import pytest

from tests.world.box import Box
from tests.world.plug import MOMENTS, die_at, leases, locks
from tests.world.practice import differences, fill, rows, tree
from tests.world.sftp import SftpHost

STEPS = ("ready", "live", "pause", "dump", "final", "resume", "confirm", "tidy")


@pytest.fixture(scope="module")
def full(nextcloud: Box) -> Box:
    fill(nextcloud, 60)
    return nextcloud


def test_these_are_all_the_steps(full: Box) -> None:
    plan = full.json("backup", "create", "nextcloud", "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(full: Box, host: SftpHost, step: str, moment: str, tmp_path: Path) -> None:
    box = full
    files_before, rows_before = tree(box), rows(box)
    die_at(box, f"backup/{step}/{moment}", "backup", "create", "nextcloud")

    box.start()
    jobs = box.until_jobs_end()
    assert jobs[0]["state"] in ("interrupted", "done"), jobs[0]
    assert box.until_well("nextcloud", 120) < 120
    assert leases(box) == ""
    assert locks(box, host, tmp_path) == []
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    assert not (box.data / "nextcloud/.gardien/dumps").exists(), "a plain dump was left lying about"
    services = box.compose("nextcloud", "ps", "--services", "--status", "running").split()
    assert sorted(services) == ["app", "cron", "db", "redis"]

    box.gardien("backup", "create", "nextcloud")
    assert box.json("backup", "list", "nextcloud")[0]["good"] is True
    box.gardien("restore", "nextcloud", "--yes")
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before

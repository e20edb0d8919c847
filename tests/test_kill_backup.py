"""kill -9 of the daemon at every step of a backup: the application is open, nothing is held, the next one is good."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.world.box import Box, until
from tests.world.plug import MOMENTS, die_at, leases, locks
from tests.world.practice import Entry, differences, fill, rows, tree
from tests.world.sftp import SftpHost

STEPS = ("ready", "live", "pause", "dump", "final", "resume", "send", "confirm", "tidy")
SEEDS = range(20) if os.environ.get("GARDIEN_FULL") else range(2)


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
    files_before, rows_before = tree(full), rows(full)
    die_at(full, f"backup/{step}/{moment}", "backup", "create", "nextcloud")
    all_is_well_again(full, host, files_before, rows_before, tmp_path)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_moment(full: Box, host: SftpHost, seed: int, tmp_path: Path) -> None:
    """Within a step too: in the middle of a transfer, of a dump, of a write to the journal."""
    files_before, rows_before = tree(full), rows(full)
    full.gardien("backup", "create", "nextcloud", "--no-wait")
    time.sleep(random.Random(seed).uniform(0.0, 6.0))
    full.stop(signal.SIGKILL)
    all_is_well_again(full, host, files_before, rows_before, tmp_path)


def all_is_well_again(box: Box, host: SftpHost, files_before: dict[str, Entry], rows_before: str, cache: Path) -> None:
    """Start the daemon that died; the application must be open, nothing held, the next backup and restore good."""
    box.start()
    jobs = box.until_jobs_end()
    assert jobs[0]["state"] in ("interrupted", "done"), jobs[0]
    assert box.until_well("nextcloud", 120) < 120
    until(lambda: leases(box) == "", 10)
    assert locks(box, host, cache) == []
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

"""kill -9 of the daemon while Nextcloud is being added: it is there, and healthy. Every step: test_kill_life.py."""

import shutil
from collections.abc import Iterator

import pytest

from tests.world.box import Box, box, free_port, until
from tests.world.plug import die_at, leases

STEPS = ("check", "images", "write", "up", "gate", "setup")


@pytest.fixture(scope="module")
def bare() -> Iterator[Box]:
    with box() as made:
        made.start()
        yield made


def test_these_are_all_the_steps(bare: Box) -> None:
    plan = bare.json("stack", "add", "nextcloud", "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS


@pytest.mark.parametrize("point", ["up/begun", "setup/ran"])
def test_killed_at(bare: Box, point: str) -> None:
    die_at(bare, f"add/{point}", "stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
    bare.start()
    job = bare.until_jobs_end()[0]
    until(lambda: leases(bare) == "", 10)
    assert job["state"] == "done"
    bare.until_well("nextcloud", 60)
    bare.gardien("stack", "remove", "nextcloud", "--yes", "--no-backup")
    assert bare.json("stack", "list") == []
    shutil.rmtree(bare.data / "nextcloud")
    (bare.root / "owner/secrets/nextcloud.env").unlink()


def test_a_stack_that_was_removed_comes_back_with_its_data(bare: Box) -> None:
    """Its files and its secrets stay when it is taken off the list, so adding it again finds both."""
    bare.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
    bare.sql("CREATE TABLE kept (id INT); INSERT INTO kept VALUES (7)")
    bare.gardien("stack", "remove", "nextcloud", "--yes", "--no-backup")
    bare.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
    assert bare.sql("SELECT * FROM kept").strip() == "7"

"""Updates of the shipped Nextcloud, with a real MariaDB that each version migrates: what broke off comes back whole."""

import json
import os
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from gardien.services.way_back import BESIDE
from tests.world.box import Box, box, until
from tests.world.clouds import FIRST, Cloud, CloudMakers, cloud_makers, says_cron_ran, settle
from tests.world.plug import die_at, leases
from tests.world.practice import differences

STACK = "nextcloud"
FULL = bool(os.environ.get("GARDIEN_FULL"))
KILLED = BESIDE if FULL else ("load",)


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudMakers]:
    with cloud_makers(tmp_path_factory.mktemp("makers") / "registry") as made:
        yield made


@pytest.fixture(scope="module")
def house(makers: CloudMakers) -> Iterator[Box]:
    """One for all: each test but the last leaves the first version there, and well."""
    with box() as made:
        settle(made, makers)
        yield made
        made.stop()


def status(house: Box) -> dict[str, Any]:
    port = house.json("stack", "show", STACK)["settings"]["NEXTCLOUD_PORT"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.php", timeout=20) as answer:
        return dict(json.load(answer))


def is_open(house: Box, version: str) -> None:
    """It is well at this version, and nothing of the update is left."""
    house.until_well(STACK)
    told = status(house)
    assert (told["versionstring"], told["maintenance"], told["needsDbUpgrade"]) == (version, False, False)
    assert leases(house) == ""
    beside = house.data / ".restoring"
    assert not beside.exists() or list(beside.iterdir()) == []
    assert not (house.data / STACK / ".gardien" / "dumps").exists()
    says_cron_ran(house)


def as_before(house: Box, before: Cloud) -> None:
    """Every row, every file, the programs."""
    is_open(house, FIRST)
    now = Cloud.of(house)
    assert now.version == before.version
    assert now.database == before.database
    assert differences(before.files, now.files) == []


def newest_update(house: Box) -> dict[str, Any]:
    return dict(next(each for each in house.until_jobs_end() if each["kind"] == "update"))


@pytest.mark.parametrize("step", KILLED)
def test_row_41_an_upgrade_that_breaks_off_half_way(house: Box, makers: CloudMakers, step: str) -> None:
    """And gardien dies on the way back, too. The files of the new version were there: that was no sign of anything."""
    before = Cloud.of(house)
    makers.release("34.0.4", "upgrade")
    makers.release("36.0.0", made="35.0.0")
    house.gardien("update", "list", "--now")
    refused = house.gardien("update", "run", STACK, "36.0.0", check=False)
    assert refused.returncode != 0 and "leads over 35" in refused.stderr, "row 42: no major is left out"
    die_at(house, f"update/back-{step}/begun", "update", "run", STACK)
    if step in BESIDE[: BESIDE.index("swap")]:
        assert "34, 0, 4" in (house.data / STACK / "html" / "version.php").read_text().replace(",", ", ")
    house.start()
    job = newest_update(house)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    assert "This release is broken" in job["detail"], "what it said itself, though others said things, too"
    assert "34.0.3 again" in job["says"] and "nothing is lost" in job["says"], job["says"]
    as_before(house, before)
    until(lambda: [each["key"] for each in house.json("alert", "list")] == [f"update:{STACK}:{job['id']}"], 60)


def test_a_good_version_migrates_its_rows_and_stays(house: Box, makers: CloudMakers) -> None:
    before, etags = Cloud.of(house), house.sql("SELECT fileid, etag FROM oc_filecache ORDER BY 1").splitlines()
    assert len(etags) > 10
    makers.release("34.0.4")
    house.gardien("update", "list", "--now")
    told = house.gardien("update", "run", STACK).stdout.splitlines()[-1]
    assert re.search(r"from 34\.0\.3 to 34\.0\.4; it was away for \d+\s", told), told
    assert newest_update(house)["state"] == "done"
    is_open(house, "34.0.4")
    after = Cloud.of(house)
    assert after.version == "34.0.4"
    assert house.sql("SELECT fileid, etag FROM oc_since_34_0_4 ORDER BY 1").splitlines() == etags
    now = house.sql("SELECT fileid, etag FROM oc_filecache ORDER BY 1").splitlines()
    assert len(now) == len(etags) and not set(now) & set(etags), "every row was rewritten"
    people = f"{STACK}/html/data/admin/"
    assert {name: each for name, each in after.files.items() if name.startswith(people)} == {
        name: each for name, each in before.files.items() if name.startswith(people)
    }

"""The power fails within an update: the new version is there with its data, or the former one with its own."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from gardien.services.way_back import BESIDE
from tests.faults.test_update_nextcloud import is_open
from tests.world import clouds, versions
from tests.world.box import Box, docker, until
from tests.world.clouds import Cloud, CloudMakers, cloud_makers
from tests.world.plug import leases
from tests.world.power import Machine, machine
from tests.world.practice import differences
from tests.world.registry import RegistryHost
from tests.world.versions import Makers

FULL = bool(os.environ.get("GARDIEN_FULL"))
BEFORE = ("images/ran", "final/ran", "down/begun", "write/ran") if FULL else ()
ONWARD = ("up/begun", "up/ran", "gate/ran", "watch/begun", "settle/ran") if FULL else ("up/ran",)
MOMENTS = ("begun", "ran") if FULL else ("begun",)
BACK = tuple(f"{step}/{moment}" for step in (BESIDE if FULL else ("load",)) for moment in MOMENTS)
LEDGER = versions.STACK


@pytest.fixture(scope="module")
def makers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Makers]:
    with RegistryHost(tmp_path_factory.mktemp("makers") / "registry") as registry:
        made = Makers(registry)
        yield made
        made.clear()


@pytest.fixture(scope="module")
def house(makers: Makers) -> Iterator[Machine]:
    with machine() as made:
        made.box.settings["limits"] = {"healthy": 60, "watch_update": 3}
        made.box.save_settings()
        versions.lay_out(made.box, makers)
        made.box.start()
        made.box.gardien("target", "init", "host")
        docker("pull", f"{makers.registry.name}/ledger:{versions.FIRST}")
        versions.add(made.box)
        made.box.until_well(LEDGER)
        made.write_down()
        yield made


def cut_at(house: Machine, point: str, stack: str) -> None:
    """In the moment in which the daemon is there; what it did not write down for good is gone."""
    box = house.box
    box.gardien("update", "list", "--now")
    house.write_down()
    box.stop()
    box.start(GARDIEN_DIE_AT=f"update/{point}")
    box.gardien("update", "run", stack, "--no-wait")
    assert box.wait_for_death() == -9
    house.cut()


def comes_back(house: Machine) -> dict[str, Any]:
    """The update, at its end."""
    house.come_back()
    house.box.start()
    return dict(next(each for each in house.box.until_jobs_end() if each["kind"] == "update"))


def well(box: Box) -> None:
    name = f"name={box.prefix}-{LEDGER}-app"  # until it looks, the page says what was known before the power went
    until(lambda: docker("ps", "--quiet", "--filter", name) != "")
    box.until_well(LEDGER)
    until(lambda: leases(box) == "", 30)
    beside = box.data / ".restoring"
    assert not beside.exists() or list(beside.iterdir()) == []
    assert not (box.data / LEDGER / ".gardien" / "dumps").exists()
    assert not list((box.root / "owner").rglob("*.before-*"))


def following(makers: Makers) -> str:
    return f"1.0.{len(makers.made)}"


@pytest.mark.parametrize("step", BACK)
def test_on_the_way_back(house: Machine, makers: Makers, step: str) -> None:
    before = versions.state(house.box)
    makers.release(following(makers), "clumsy")
    cut_at(house, f"back-{step}", LEDGER)
    job = comes_back(house)
    well(house.box)
    assert (job["state"], job["code"]) == ("failed", "update-failed"), job
    assert versions.state(house.box) == before


@pytest.mark.parametrize("point", (*BEFORE, *ONWARD))
def test_on_the_way_forward(house: Machine, makers: Makers, point: str) -> None:
    before, tag = versions.state(house.box), following(makers)
    makers.release(tag)
    cut_at(house, point, LEDGER)
    job = comes_back(house)
    well(house.box)
    if point in ONWARD:
        assert job["state"] == "done", job
        # What an application does not write down for good itself, as this one's third, is not for gardien to save.
        assert versions.state(house.box)[:2] == (tag, [f"{row} as of {tag}" for row in before[1]])
    else:
        assert job["state"] == "interrupted", job
        assert versions.state(house.box) == before


# -- with a real database


@pytest.fixture(scope="module")
def cloud_makers_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudMakers]:
    with cloud_makers(tmp_path_factory.mktemp("clouds") / "registry") as made:
        yield made


@pytest.fixture(scope="module")
def cloud(cloud_makers_: CloudMakers) -> Iterator[Machine]:
    with machine(2000) as made:
        clouds.settle(made.box, cloud_makers_)
        made.write_down()
        yield made


if FULL:

    @pytest.mark.parametrize("step", ("verify/begun", "swap/ran", "load/begun", "load/ran"))
    def test_nextcloud_on_the_way_back(cloud: Machine, cloud_makers_: CloudMakers, step: str) -> None:
        """All that MariaDB has acknowledged is there, and nothing of what the broken upgrade made of it."""
        before = Cloud.of(cloud.box)
        cloud_makers_.release("34.0.4", "upgrade")
        cut_at(cloud, f"back-{step}", "nextcloud")
        job = comes_back(cloud)
        assert (job["state"], job["code"]) == ("failed", "update-failed"), job
        is_open(cloud.box, clouds.FIRST)
        now = Cloud.of(cloud.box)
        assert (now.version, now.database) == (before.version, before.database)
        assert differences(before.files, now.files) == []

    @pytest.mark.parametrize(("point", "version"), [("up/ran", "34.0.4"), ("gate/ran", "35.0.0")])
    def test_nextcloud_on_the_way_forward(cloud: Machine, cloud_makers_: CloudMakers, point: str, version: str) -> None:
        """In the midst of its own upgrade, too: MariaDB plays its journal, and either it is whole or goes back."""
        before = Cloud.of(cloud.box)
        cloud_makers_.release(version)
        cut_at(cloud, point, "nextcloud")
        job = comes_back(cloud)
        if job["state"] == "done":
            is_open(cloud.box, version)
            table = f"oc_since_{version.replace('.', '_')}"
            assert cloud.box.sql(f"SELECT COUNT(*) FROM {table}").strip() == "301"
        else:
            assert (job["state"], job["code"]) == ("failed", "update-failed"), job
            is_open(cloud.box, before.version)
            assert Cloud.of(cloud.box).database == before.database

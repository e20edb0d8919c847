"""What every record of readings keeps to, and how small the real one stays."""

import math
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.adapters import store_readings
from gardien.adapters.sensors import LinuxSensors
from gardien.adapters.store import SqliteStore
from gardien.errors import MemoryFailed
from gardien.model.reading import UNITS, Front, Reading
from gardien.services.ports import Store
from gardien.services.ports_readings import Sensors
from tests.fake_readings import FakeSensors

FULL = bool(os.environ.get("GARDIEN_FULL"))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def test_the_older_the_coarser(store: Store) -> None:
    for minutes in range(0, 60 * 24 * 4, 5):
        at = NOON + timedelta(minutes=minutes)
        await store.add_readings([Reading("load", "", float(minutes % 60), at), Reading("load", "x", None, at)])
    end = NOON + timedelta(days=4)
    fine = await store.points("load", "", NOON)
    assert len(fine) == 12 * 24 * 4
    await store.thin_readings(end)
    points = await store.points("load", "", NOON)
    assert len(points) == 12 * 24 * 2 + 24 * 2
    assert (points[0].at, points[0].least, points[0].mean, points[0].most) == (NOON, 0.0, 27.5, 55.0)
    assert points == sorted(points, key=lambda each: each.at)
    days = await store.days("load", "", NOON)
    assert [each.at.hour for each in days] == [0] * 5
    assert {(each.least, each.most) for each in days} == {(0.0, 55.0)}
    await store.thin_readings(end)
    assert await store.points("load", "", NOON) == points, "what was thinned is not thinned again"
    await store.thin_readings(end + timedelta(days=40))
    assert [each.at.hour for each in await store.points("load", "", NOON)] == [0] * 4, "the first began at noon"
    await store.thin_readings(NOON + timedelta(days=406))
    assert await store.points("load", "", NOON) == []
    assert await store.points("load", "x", NOON) == []


async def test_what_was_written_while_the_clock_was_ahead_goes(store: Store) -> None:
    await store.add_readings([Reading("load", "", 1.0, NOON + timedelta(days=9)), Reading("load", "", 2.0, NOON)])
    await store.thin_readings(NOON)
    assert [each.mean for each in await store.points("load", "", NOON - timedelta(days=1))] == [2.0]


async def test_400_days_of_a_large_house(tmp_path: Path) -> None:
    """30 series, one reading in five minutes: so many rows stay, whatever comes. docs/machine.md tells the size."""
    store = await SqliteStore.open(tmp_path / "state.db")
    before = (tmp_path / "state.db").stat().st_size
    keys = [("temperature", f"sensor {number}") for number in range(30 if FULL else 10)]
    days = 400 if FULL else 45
    began = time.monotonic()
    for day in range(days):
        at = NOON + timedelta(days=day)
        await store.add_readings(
            [
                Reading(*key, 40 + minute % 7 / 3, at + timedelta(minutes=minute))
                for minute in range(0, 1440, 5)
                for key in keys
            ]
        )
        await store.thin_readings(at + timedelta(days=1))
    took = time.monotonic() - began
    now = NOON + timedelta(days=days)
    every = [await store.points(*key, NOON - timedelta(days=1)) for key in keys]
    expected = 12 * 24 * 2 + 24 * 28 + max(days - 30, 0)
    assert {len(each) for each in every} <= set(range(expected - 2, expected + 26)), {len(each) for each in every}
    assert all(each[0].at <= NOON + timedelta(days=1) and now - each[-1].at < timedelta(minutes=10) for each in every)
    await store.close()
    size = (tmp_path / "state.db").stat().st_size - before
    assert size < 6 << 20, f"{size >> 20} MiB"
    print(f"{sum(map(len, every))} rows, {size / 2**20:.1f} MiB, {took:.1f} s")


async def test_an_odd_machine_s_sensors_do_not_fill_the_disk(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state.db")
    await store.add_readings([Reading("temperature", f"{number}", 1.0, NOON) for number in range(500)])
    known = [
        number for number in range(500) if await store.points("temperature", f"{number}", NOON - timedelta(hours=1))
    ]
    assert len(known) == store_readings.MOST_SERIES
    await store.close()


async def test_it_can_be_opened_anew(store: Store) -> None:
    """As after its disk was away."""
    await store.add_readings([Reading("load", "", 1.0, NOON)])
    await store.note("before", "x")
    await store.reopen()
    await store.note("after", "y")
    assert [await store.noted(each) for each in ("before", "after")] == ["x", "y"]
    assert len(await store.points("load", "", NOON)) == 1


async def test_what_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "state.db")
    (tmp_path / "state.db").rename(tmp_path / "elsewhere")
    with pytest.raises(MemoryFailed):
        await store.reopen()
    assert not (tmp_path / "state.db").exists()
    await store.note("still", "here")
    await store.close()


@pytest.fixture(params=["linux", "fake"])
def sensors(request: pytest.FixtureRequest) -> Sensors:
    """This machine's, and those in memory."""
    if request.param == "linux":
        return LinuxSensors()
    return FakeSensors({("load", ""): 0.4, ("memory-free", ""): 0.5}, {("smart-passed", "sda"): 1.0}, deaf={"nowhere"})


async def test_what_every_machine_tells(sensors: Sensors) -> None:
    now = datetime.now(UTC)
    machine, disks = await sensors.machine(now), await sensors.smart(now)
    assert {"load", "memory-free"} <= {each.what for each in machine}
    assert disks
    assert "smart-passed" in {each.what for each in disks}
    assert all(each.what in UNITS and each.at <= now for each in (*machine, *disks))
    assert all(each.value is None or math.isfinite(each.value) for each in (*machine, *disks))
    keys = [each.key for each in (*machine, *disks)]
    assert len(keys) == len(set(keys)), "each is told once"
    assert await sensors.certificates(Front((), 443, None), now) == []
    assert not await sensors.answers("nowhere", 9)

"""The machine is measured: what is foretold of it, what is worth an alert; a source that hangs holds up no other."""

import asyncio
import json
import random
import re
import ssl
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gardien.adapters.sensors import LinuxSensors
from gardien.errors import MailFailed, MemoryFailed
from gardien.model.health import Disk
from gardien.model.reading import UNITS, Forecast, Front, Point, Reading
from gardien.model.settings import Watched
from gardien.rules import house_watch, smart
from gardien.rules.forecast import forecast
from gardien.rules.verdict import Owed
from gardien.words import Words
from tests.memory_house import memory_house
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.world.box import free_port

ROOT = Path(__file__).parents[1]
MAIL = {"weekly": False, "to": ["o@p.example"], "from": "g@p.example", "host": "localhost", "security": "none"}
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GB = 1e9


# -- when a disk will be full


def days(free: Callable[[int], float], count: int) -> list[Point]:
    """One point for each of `count` days up to today; `free(0)` is the first."""
    begin = NOW.replace(hour=0) - (count - 1) * DAY
    return [Point(begin + day * DAY, free(day) * 0.998, free(day), free(day) * 1.002) for day in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    per_day=st.floats(0.2, 5),
    left=st.integers(10, 120),
    noise=st.floats(0, 1.5),
    sawtooth=st.floats(0, 4),
    seed=st.integers(0, 10**6),
)
def test_a_disk_that_fills_slowly(per_day: float, left: int, noise: float, sawtooth: float, seed: int) -> None:
    """With noise of more than a day's growth, and backups that are cleared out each week."""
    dice = random.Random(seed)
    count = 90
    full_at = count - 1 + left

    def free(day: int) -> float:
        saw = sawtooth * per_day * (day % 7) / 7
        return max(0.0, per_day * (full_at - day) - saw + dice.gauss(0, noise * per_day)) * GB + 0.001

    found = forecast(days(free, count), NOW)
    assert found is not None
    assert abs(found.days - left) <= max(0.2 * left, sawtooth + 3 * noise + 2)


@settings(max_examples=60, deadline=None)
@given(noise=st.floats(0.01, 5), seed=st.integers(0, 10**6), count=st.integers(1, 120), trend=st.floats(0, 1))
def test_a_disk_that_does_not_fill(noise: float, seed: int, count: int, trend: float) -> None:
    """It stays as it is, or gets emptier: nothing is foretold."""
    dice = random.Random(seed)
    found = forecast(days(lambda day: (100 + trend * day + noise * (dice.random() + day % 7)) * GB, count), NOW)
    assert found is None or found.days > 60


@pytest.mark.parametrize("jump", range(5, 85, 4))
def test_one_large_copy_is_no_trend(jump: int) -> None:
    dice = random.Random(jump)
    found = forecast(days(lambda day: (100 - 60 * (day >= jump) + dice.gauss(0, 0.1)) * GB, 90), NOW)
    assert found is None or found.days > 200


def test_after_a_jump_the_new_way_counts() -> None:
    found = forecast(days(lambda day: (200 - 60 * (day >= 40) - day) * GB, 90), NOW)
    assert found is not None
    assert found.days == pytest.approx(50, abs=4)


def test_too_little_is_known() -> None:
    def falling(day: int) -> float:
        return (100 - day) * GB

    assert forecast([], NOW) is None
    assert forecast(days(falling, 20), NOW) is None
    assert forecast(days(falling, 21), NOW) is not None
    assert forecast(days(falling, 60), NOW + 5 * DAY) is None, "nothing was read for days"
    assert forecast(days(falling, 60)[::3], NOW) is None, "the machine was mostly off"


def test_a_year_in_which_a_disk_fills() -> None:
    """Ever quicker, off for two weeks, a film that comes and goes, backups cleared out weekly: right within 20 %."""
    dice = random.Random(1)
    size, used, full = 500 * GB, 60 * GB, None
    frees: list[float] = []
    for day in range(400):
        used += (1.35 if day > 120 else 1.0) * GB
        extra = 40 * GB if 60 <= day < 63 else 0
        frees.append(max(0.0, size - used - extra - 4 * GB * (day % 7) / 7 + dice.gauss(0, 0.6) * GB))
        if full is None and frees[-1] <= 1:
            full = day
    assert full is not None
    begin = NOW - 400 * DAY
    told: dict[int, float] = {}
    for today in range(full - 1):
        known = [
            Point(begin + day * DAY, frees[day], frees[day], frees[day])
            for day in range(max(0, today - 90), today + 1)
            if not 200 <= day < 214
        ]
        if (found := forecast(known, begin + today * DAY + timedelta(hours=12))) is not None:
            told[full - today] = found.days
    late = {left: days for left, days in told.items() if left <= 100}
    assert len(late) >= 90, "hardly a day without"
    wrong = {left: days for left, days in late.items() if abs(days - left) > max(0.2 * left, 3)}
    assert not wrong


# -- what is worth an alert


def owed(readings: Sequence[Reading], open_: Sequence[str] = (), **watched: int) -> dict[str, Owed]:
    recent: dict[tuple[str, str], list[Reading]] = {}
    for each in readings:
        recent.setdefault(each.key, []).append(each)
    return {each.key: each for each in house_watch.of_readings(recent, Watched(**watched), frozenset(open_))}


def every(minutes: int, what: str, *values: float | None, subject: str = "") -> list[Reading]:
    begin = NOW - (len(values) - 1) * timedelta(minutes=minutes)
    return [Reading(what, subject, value, begin + n * timedelta(minutes=minutes)) for n, value in enumerate(values)]


def test_warmth_is_worth_a_word_once_it_lasts_and_until_it_is_well_over() -> None:
    assert owed(every(5, "temperature", 60, 60, 95)) == {}
    assert list(owed(every(5, "temperature", 60, 95, 95, 95, subject="cpu"))) == ["temperature:cpu"]
    warm = every(5, "temperature", 78, 77, 78, 78, subject="cpu")
    assert owed(warm) == {}
    assert list(owed(warm, ["temperature:cpu"])) == ["temperature:cpu"]
    assert owed(every(5, "temperature", 78, 70, subject="cpu"), ["temperature:cpu"]) == {}
    assert owed(every(5, "temperature", 95, 95, 95, 95), hot=100) == {}
    assert owed(every(5, "temperature", None, None)) == {}


def test_of_a_certificate_that_runs_out_one_alert_is_owed() -> None:
    gone = [
        *every(30, "certificate-life", 0.0, 0.0, 0.0, subject="n"),
        *every(30, "certificate", 0.0, 0.0, 0.0, subject="n"),
    ]
    assert list(owed(gone)) == ["certificate:n"]
    assert list(owed(every(30, "certificate", None, None, None, None, subject="n"))) == []


def test_every_line_is_about_something_that_is_read() -> None:
    lines = house_watch.lines(Watched())
    assert {each.what for each in lines} <= set(UNITS)
    for each in lines:
        assert each.begin >= each.end if each.beyond == "above" else each.begin <= each.end, each.what
        assert set(re.findall(r"{(\w+)}", each.says)) <= {"subject", "why"}


def of_disk(disk: Disk, *open_: str, full_in: float | None = None) -> Owed | None:
    forecasts = {disk.path: Forecast(full_in, 1.0)} if full_in is not None else {}
    return next(iter(house_watch.of_disks([disk], forecasts, Watched(), frozenset(open_))), None)


@pytest.mark.parametrize(
    ("disk", "full_in", "severity", "says"),
    [
        (Disk("/d", 1000, 500), None, None, ""),
        (Disk("/d", 1000, 90), None, "notice", "getting full"),
        (Disk("/d", 1000, 20), None, "trouble", "nearly full"),
        (Disk("/d", 10**13, 10**11), None, None, ""),  # a tenth of a very large disk is plenty
        (Disk("/d", 10**13, 4 * 10**9), None, "trouble", "nearly full"),
        (Disk("/d", 1000, 500), 35, "notice", "full in about"),
        (Disk("/d", 1000, 20), 35, "trouble", "nearly full"),
        (Disk("/d", 1000, 500, nodes=3, all_nodes=1000), None, "trouble", "more files"),
        (Disk("/d", 1000, 500, nodes=30, all_nodes=1000), None, "notice", "more files"),
        (Disk("/d", 1000, 20, fault="read-only"), None, "trouble", "nothing can be written"),
        (Disk("/d", 0, 0, present=False), None, "trouble", "is not there"),
        (Disk("/d", 0, 0, present=False, fault="broken"), None, "trouble", "errors"),
    ],
)
def test_of_a_disk_the_gravest_is_said(disk: Disk, full_in: float | None, severity: str | None, says: str) -> None:
    found = of_disk(disk, full_in=full_in)
    assert (found.severity if found else None) == severity
    assert found is None or (found.key, says in str(found.says), bool(str(found.remedy))) == ("disk:/d", True, True)


def test_a_disk_at_the_limit_does_not_come_and_go() -> None:
    assert of_disk(Disk("/d", 1000, 105)) is None
    assert of_disk(Disk("/d", 1000, 105), "disk:/d") is not None
    assert of_disk(Disk("/d", 1000, 125), "disk:/d") is None
    assert of_disk(Disk("/d", 1000, 500), "disk:/d", full_in=60) is not None
    assert of_disk(Disk("/d", 1000, 500), full_in=60) is None


def test_a_dead_disk_is_one_alert_not_twelve() -> None:
    dead = Disk("/data", 0, 0, present=False)
    words = Words("x")
    keys = [
        "disk:/data",
        "stack:files",
        "job:backup:files",
        "backup-late:files:far",
        "drift:files",
        "clock",
        "damaged:far",
    ]
    all_ = [Owed(each, "trouble", words, words) for each in keys]

    def left(disk: Disk | None, *open_: str) -> list[str]:
        return [each.key for each in house_watch.without_consequences(all_, disk, frozenset(open_))]

    assert left(dead) == ["disk:/data", "clock", "damaged:far"]
    assert left(dead, "stack:files") == ["disk:/data", "stack:files", "clock", "damaged:far"], "that is not over"
    assert left(Disk("/data", 10, 5)) == left(None) == keys


@pytest.mark.parametrize(
    ("addresses", "ours", "public", "value"),
    [
        (("192.168.1.20",), ("192.168.1.20",), False, 1.0),
        ((), ("192.168.1.20",), False, "nothing"),
        ((), ("192.168.1.20",), True, 0.0),
        (("192.168.1.99",), ("192.168.1.20",), False, 0.0),
        (("93.184.216.34",), ("192.168.1.20",), True, None),  # the router's, or not: who knows
        (("93.184.216.34",), ("93.184.216.99",), True, 0.0),
        (("93.184.216.34", "2a00::1"), ("192.168.1.20", "2a00::1"), True, 1.0),
        (("127.0.0.1",), ("192.168.1.20",), True, 0.0),
    ],
)
def test_whether_a_name_leads_here(addresses: Any, ours: Any, public: bool, value: object) -> None:
    found = house_watch.leads_here("n", addresses, ours, public=public, now=NOW)
    assert (found.value if found else "nothing") == value


# -- what disks say of themselves

NVME: Mapping[str, Any] = {  # as smartctl 7.3 prints it, less what nobody reads
    "device": {"name": "/dev/nvme0", "info_name": "/dev/nvme0", "type": "nvme", "protocol": "NVMe"},
    "model_name": "CT250P2SSD8",
    "local_time": {"time_t": 1772000000, "asctime": "x"},
    "smart_status": {"passed": True, "nvme": {"value": 0}},
    "nvme_smart_health_information_log": {
        "critical_warning": 0, "temperature": 26, "available_spare": 100, "available_spare_threshold": 5,
        "percentage_used": 12, "media_errors": 0, "temperature_sensors": [40],
    },
    "temperature": {"current": 26},
    "smartctl": {"version": [7, 3], "exit_status": 0},
}  # fmt: skip


def ata(exit_status: int, passed: bool, *attributes: tuple[int, int, int], **more: object) -> Mapping[str, Any]:
    """`attributes`: number, value, raw value."""
    table = [{"id": i, "value": v, "raw": {"value": raw, "string": str(raw)}} for i, v, raw in attributes]
    return {
        "device": {"name": "/dev/sda", "info_name": "/dev/sda [SAT]", "type": "sat", "protocol": "ATA"},
        "model_name": "ST3500418AS",
        "local_time": {"time_t": 1772000000},
        "smart_status": {"passed": passed},
        "ata_smart_attributes": {"revision": 10, "table": table},
        "temperature": {"current": 31},
        "smartctl": {"exit_status": exit_status},
        **more,
    }


UNKNOWN: Mapping[str, Any] = {
    "smartctl": {
        "messages": [{"string": "/dev/sda: Unknown USB bridge [0x1234:0x5678 (0x100)]", "severity": "error"}],
        "exit_status": 1,
    }
}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (NVME, {"smart-passed": 1, "smart-wear": 0.12, "smart-bad-sectors": 0, "temperature": 26}),
        ({**NVME, "nvme_smart_health_information_log": {"critical_warning": 4, "percentage_used": 130}},
         {"smart-passed": 0, "smart-wear": 1, "temperature": 26}),
        ({**NVME, "nvme_smart_health_information_log": {"critical_warning": 2}, "smart_status": {"passed": False}},
         {"smart-passed": 1, "temperature": 26}),  # it is only too warm
        (ata(0, True, (5, 100, 0), (194, 31, 31), (197, 100, 0), rotation_rate=7200),
         {"smart-passed": 1, "smart-bad-sectors": 0, "temperature": 31}),
        (ata(64, True, (5, 90, 152), (197, 100, 8), rotation_rate=7200),
         {"smart-passed": 1, "smart-bad-sectors": 152, "temperature": 31}),
        (ata(8, False, (5, 1, 4000), rotation_rate=7200),
         {"smart-passed": 0, "smart-bad-sectors": 4000, "temperature": 31}),
        (ata(0, True, (177, 93, 120), rotation_rate=0), {"smart-passed": 1, "smart-wear": 0.07, "temperature": 31}),
        (ata(2, True), {"smart-passed": None}),
        (UNKNOWN, {"smart-passed": None}),
        ({}, {"smart-passed": None}),
    ],
)  # fmt: skip
def test_what_a_disk_says_of_itself(told: Mapping[str, Any], expected: Mapping[str, float | None]) -> None:
    found = {each.what: each.value for each in smart.readings("sda", told, NOW)}
    assert found == pytest.approx(expected)
    if expected == {"smart-passed": None}:
        assert owed(smart.readings("sda", told, NOW)) == {}, "that is said, and is no alert"


# -- a machine's own files


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


PI = {
    "proc/meminfo": "MemTotal:        8245248 kB\nMemFree:          310000 kB\nMemAvailable:    4122624 kB\n"
    "SwapTotal:        524272 kB\nSwapFree:         393204 kB\n",
    "proc/loadavg": "2.16 1.53 2.49 8/208 17228\n",
    "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n\nprocessor\t: 1\n\nprocessor\t: 2\n\nprocessor\t: 3\n\n"
    "Model\t: Raspberry Pi 5\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "61850\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon0/temp1_input": "61850\n",
    "sys/class/hwmon/hwmon1/name": "rp1_adc\n",
    "sys/class/hwmon/hwmon1/temp1_input": "48123\n",
    "sys/class/hwmon/hwmon2/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon2/in0_lcrit_alarm": "0\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n",
}


async def test_a_raspberry_pi(tmp_path: Path) -> None:
    write(tmp_path, PI)
    found = {each.key: each.value for each in await LinuxSensors(tmp_path).machine(NOW)}
    assert found == pytest.approx(
        {
            ("memory-free", ""): 0.5,
            ("swap-used", ""): 0.25,
            ("load", ""): 1.53 / 4,
            ("temperature", "cpu-thermal"): 61.85,
            ("temperature", "rp1_adc"): 48.123,
            ("under-voltage", ""): 0.0,  # once since it was switched on, not now
            ("throttled", ""): 0.0,
        },
        abs=0.001,
    )
    write(tmp_path, {"sys/devices/platform/soc/soc:firmware/get_throttled": "0x50005\n"})
    found = {each.key: each.value for each in await LinuxSensors(tmp_path).machine(NOW)}
    assert (found["under-voltage", ""], found["throttled", ""]) == (1.0, 1.0)


async def test_a_pc_and_one_that_tells_nothing(tmp_path: Path) -> None:
    assert await LinuxSensors(tmp_path).machine(NOW) == []
    chips = {
        f"sys/class/hwmon/hwmon{number}/{file}": text
        for number, files in enumerate(
            [
                {"name": "coretemp", "temp1_input": "52000", "temp2_input": "57000", "temp3_input": "-5000"},
                {"name": "nvme", "temp1_input": "38850"},
                {"name": "nvme", "temp1_input": "41850"},
                {"name": "broken", "temp1_input": "nan"},
            ]
        )
        for file, text in files.items()
    }
    write(tmp_path, chips)
    found = {each.subject: each.value for each in await LinuxSensors(tmp_path).machine(NOW)}
    assert found == {"coretemp": 57.0, "nvme": 38.85, "nvme 2": 41.85}


async def test_this_very_machine() -> None:
    found = {each.what: each.value for each in await LinuxSensors().machine(NOW)}
    assert 0 < (found["memory-free"] or 0) <= 1
    assert found["load"] is not None


async def test_the_answers_of_the_disks_lie_in_files(tmp_path: Path) -> None:
    now = datetime.fromtimestamp(1772000000, UTC) + timedelta(hours=3)

    write(
        tmp_path,
        {"run/gardien-smart/nvme0.json": json.dumps(NVME), "run/gardien-smart/sda.json": json.dumps(UNKNOWN),
         "run/gardien-smart/sdb.json": "{ it broke off", "run/gardien-smart/sdc.json": "[]"},
    )  # fmt: skip
    found = {each.key: each.value for each in await LinuxSensors(tmp_path).smart(now)}
    assert found["smart-passed", "nvme0"] == 1
    assert found["smart-passed", "sda"] is None
    assert ("smart-passed", "sdb") not in found
    assert not [each for each in await LinuxSensors(tmp_path).smart(now + 5 * DAY) if each.subject == "nvme0"]


SMARTCTL = """#!/bin/sh
case $* in
  --scan) echo "/dev/sda -d scsi # /dev/sda, SCSI device"; echo "/dev/nvme0 -d nvme # /dev/nvme0, NVMe device" ;;
  *nvme0) echo '{"smart_status": {"passed": false}, "smartctl": {"exit_status": 8}}'; exit 8 ;;
  *)
    [ ! -e asleep ] || { echo '{}'; exit 2; }
    echo '{"smart_status": {"passed": true}, "smartctl": {"exit_status": 0}}' ;;
esac
"""


async def test_the_unit_that_asks_them(tmp_path: Path) -> None:
    """gardien's own unit may not speak to disks. A disk that sleeps keeps its last answer."""
    write(tmp_path, {"bin/smartctl": SMARTCTL})
    (tmp_path / "bin/smartctl").chmod(0o755)
    folder = tmp_path / "run/gardien-smart"
    folder.mkdir(parents=True)
    unit = (ROOT / "systemd/gardien-smart.service").read_text()
    [script] = re.findall(r"(?m)^ExecStart=/bin/sh -c '(.*)'$", unit)

    def ask() -> None:
        path = f"{tmp_path}/bin:/usr/bin:/bin"
        subprocess.run(["sh", "-c", script.replace("$$", "$")], cwd=folder, env={"PATH": path}, check=True)

    ask()
    (folder / "asleep").touch()
    ask()
    found = {each.subject: each.value for each in await LinuxSensors(tmp_path).smart(NOW)}
    assert found == {"sda": 1.0, "nvme0": 0.0}
    assert not list(folder.glob("*.new"))
    said = subprocess.run(
        ["systemd-analyze", "verify", *(str(ROOT / f"systemd/gardien-smart.{each}") for each in ("service", "timer"))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "gardien-smart" not in said.stderr, said.stderr


# -- the door


def certificate(root: Path, name: str, days: int) -> tuple[Path, Path]:
    """Self-signed, for `localhost`."""
    made, key = root / f"{name}.pem", root / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
         str(days), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out",
         str(made)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return made, key


async def test_what_visitors_are_shown(tmp_path: Path) -> None:
    good, key = certificate(tmp_path, "good", 90)
    other, _ = certificate(tmp_path, "other", 90)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(good, key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    now = datetime.now(UTC)

    async def shown(name: str, root: Path | None) -> dict[str, float | None]:
        found = await LinuxSensors().certificates(Front((name,), port, root), now)
        return {each.what: each.value for each in found}

    found = await shown("localhost", good)
    assert found["certificate"] == pytest.approx(90, abs=0.1)
    assert found["certificate-life"] == pytest.approx(1, abs=0.01)
    assert await shown("localhost", other) == {"certificate": 0.0}
    assert await shown("localhost", None) == {"certificate": 0.0}, "no authority of the world knows it"
    assert await shown("files.example.org", good) == {"certificate": 0.0}
    assert await LinuxSensors().answers("127.0.0.1", port)
    server.close()
    await server.wait_closed()
    assert await shown("localhost", good) == {"certificate": None}
    assert not await LinuxSensors().answers("127.0.0.1", port)


# -- the house


async def test_what_is_read_is_written_seldom_and_an_alert_comes_and_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        readings, sensors = home.house.readings, home.fakes.sensors
        written: list[int] = []
        real = home.fakes.store.add_readings

        async def count(found: Sequence[Reading]) -> None:
            written.append(len(found))
            await real(found)

        monkeypatch.setattr(home.fakes.store, "add_readings", count)
        sensors.values = {("temperature", "cpu"): 90.0, ("load", ""): 0.3}
        sensors.smarts = {("smart-passed", "sda"): 1.0}
        for _ in range(60):
            await readings.look()
            home.move(minutes=1)
        assert len(written) == 4
        assert len(await readings.history("load", "", 1)) == 12, "what waits to be written is told, too"
        assert "temperature:cpu" in await home.alerts()
        assert {each.what for each in readings.latest()} >= {"temperature", "load", "disk-free", "docker-answers"}
        sensors.values["temperature", "cpu"] = 60.0
        for _ in range(6):
            await readings.look()
            home.move(minutes=1)
        assert "temperature:cpu" not in await home.alerts()
        sensors.smarts["smart-passed", "sda"] = 0.0
        home.move(minutes=60)
        await readings.look()
        assert (await home.alerts())["smart-passed:sda"].severity == "trouble"


async def test_a_source_that_hangs_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.services.readings.PATIENCE", 0.2)
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:

        async def hang(now: datetime) -> list[Reading]:
            await asyncio.sleep(3600)
            return []

        monkeypatch.setattr(home.fakes.sensors, "smart", hang)
        home.fakes.sensors.values = {("load", ""): 0.3}
        async with asyncio.timeout(5):
            await home.house.readings.look()
        assert "load" in {each.what for each in home.house.readings.latest()}


async def test_a_disk_that_fills_is_told_with_its_weeks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        path, total = next(iter(home.fakes.host.disks)), 10**12
        for day in range(40):
            home.fakes.host.disks[path] = (total, int(3.2e11 - day * 4e9))
            await home.house.readings.look()
            home.move(days=1)
        alerts = await home.alerts()
        found = next(each for key, each in alerts.items() if key.startswith("disk:"))
        assert found.severity == "notice"
        assert found.says.values["count"] in (5, 6)
        assert (await home.house.overviews.now()).forecasts


async def test_when_nothing_can_be_written_down_one_letter_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What real disks do to the store is in tests/faults/test_disks.py; here the mail server is not there either."""
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, mail=MAIL) as home:
        witness, mailer, store = home.house.witness, home.fakes.mailer, home.fakes.store
        assert "memory" not in await home.alerts()
        store.fails = MemoryFailed("gardien cannot use its memory, {path}", "Look.", path="x")
        mailer.refuses = MailFailed("the mail server {host} does not answer", lasting=False, host="x")

        async def live(minutes: int) -> None:
            for _ in range(minutes):
                home.move(minutes=1)
                await witness.look()

        witness.saw(store.fails)
        witness.saw(store.fails)
        await live(30)
        assert (await home.house.overviews.now()).severity == "trouble"
        mailer.refuses = None
        await live(60 * 24)
        assert [each.text.subject for each in mailer.taken] == ["gardien: gardien cannot use its memory, x"]
        store.fails = None
        await live(3)
        assert (await home.house.overviews.now()).severity != "trouble"
        assert len(mailer.taken) == 2
        assert "over" in mailer.taken[1].text.plain
        witness.saw(MemoryFailed("gardien cannot use its memory, {path}", path="x"))
        await live(1)
        assert witness.alert is None
        await live(20)
        assert len(mailer.taken) == 2, "a moment's weakness is no news"


@pytest.mark.parametrize("dead", [False, True])
async def test_what_follows_from_a_dead_disk_is_not_told_one_by_one(
    dead: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as home:
        await home.saved()
        assert await home.alerts() == {}
        if dead:
            home.fakes.host.gone.add(home.fakes.world.settings.folders.data)
        home.move(days=3)
        found = set(await home.alerts())
        assert {each.partition(":")[0] for each in found} == ({"disk"} if dead else {"backup-late"})


async def test_the_names_of_the_house_are_looked_at_from_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the shipped door: what is shown under each name, and where it leads as far as that is known."""
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            life, readings = quiet.house.life, quiet.house.readings
            ports = {"DOOR_HTTP_PORT": str(free_port()), "DOOR_HTTPS_PORT": str(free_port())}
            for name, settings_ in (("gateway", ports), ("nextcloud", {})):
                assert (await quiet.house.runner.wait(await life.add(name, settings_))).state == "done"
            fronts: list[Front] = []

            async def shown(front: Front, now: datetime) -> list[Reading]:
                fronts.append(front)
                return [Reading("certificate", each, 90.0, now) for each in front.names]

            sensors = quiet.house.readings._world.sensors
            monkeypatch.setattr(sensors, "certificates", shown)
            quiet.host.names["cloud.home.arpa"] = ("192.168.1.99",)
            await readings.look()
            [front] = fronts
            assert front.names == ("cloud.home.arpa",)
            assert front.port == int(ports["DOOR_HTTPS_PORT"])
            assert front.root is not None
            assert front.root.name == "root.crt"
            found = {each.key: each.value for each in readings.latest()}
            assert found["certificate", "cloud.home.arpa"] == 90.0
            assert found["name-leads-here", "cloud.home.arpa"] == 0.0

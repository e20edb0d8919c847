"""`gardien alert …` and `gardien report`, as somebody types them."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gardien.words import N_, Words
from tests.quiet_house import Running, running_house
from tests.test_cli import gardien

FULL = Words.of(N_("the disk at {path} is nearly full"), path="/srv")


@pytest.fixture(scope="module")
def house() -> Iterator[Running]:
    with running_house() as running:
        store = running.quiet.house.store
        now = datetime.now(UTC)
        running.do(store.open_alert("disk:/srv", "trouble", FULL, Words.of(N_("Name a folder.")), now))
        running.do(running.quiet.house.runner.wait(running.do(running.quiet.house.life.add("demo", {}))))
        yield running


def test_somebody_knows_sleeps_on_it_and_wakes_it(house: Running) -> None:
    [line] = re.findall(
        r"(?m)^(\d+)  The disk at /srv is nearly full\.$", gardien(house.config, "alert", "list").stdout
    )
    assert "no more letters until it is over" in gardien(house.config, "alert", "ack", line).stdout
    assert "no more letters" in gardien(house.config, "alert", "list").stdout
    assert "No letters about this until" in gardien(house.config, "alert", "snooze", "disk:/srv", "--for", "4h").stdout
    woken = json.loads(gardien(house.config, "alert", "wake", line, "--json").stdout)
    assert (woken["known"], woken["asleep"]) == (None, None)
    wrong = gardien(house.config, "alert", "snooze", line, "--for", "soon", code=2)
    assert "cannot sleep" in wrong.stderr or "can sleep" in wrong.stderr
    assert "no open alert" in gardien(house.config, "alert", "ack", "77", code=1).stderr


def test_the_record_of_a_month(house: Running, tmp_path: Path) -> None:
    told = gardien(house.config, "report").stdout
    assert "The disk at /srv is nearly full." in told
    assert "box: " in told
    data = json.loads(gardien(house.config, "report", "--json").stdout)
    assert data["month"] == f"{datetime.now():%Y-%m}"
    assert [each["name"] for each in data["stacks"]] == ["demo"]
    file = tmp_path / "record.html"
    assert str(file) in gardien(house.config, "report", "--html", str(file)).stdout
    assert file.read_text().startswith("<!doctype html>")
    assert "is not a month" in gardien(house.config, "report", "--month", "2026-13", code=2).stderr

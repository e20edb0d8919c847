"""Alerts that come and go while the mail server has its moods and the writer of letters is killed at random: each is
told, and each end, and nothing twice. The daemon itself is put through the same in `test_letters.py`.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gardien.adapters.store import SqliteStore
from gardien.words import Words
from tests.world import letterbox
from tests.world.box import until
from tests.world.smtp import PASSWORD, PostOffice

FULL = bool(os.environ.get("GARDIEN_FULL"))
ALERTS, KILLS = (1000, 60) if FULL else (40, 3)
PATIENCE = 300.0
MOODS = ("take", "take", "busy", "no login", "drop", "refuse")


@contextmanager
def writer(root: Path, begin: float) -> Iterator[None]:
    """One life, which ends as by a power cut of its own."""
    command = [sys.executable, "-m", "tests.world.letterbox", str(root), str(begin)]
    with (root / "log").open("a") as log:
        process = subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, (root / "log").read_text()[-2000:]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def test_row_46_none_is_lost_and_none_is_told_twice(tmp_path: Path) -> None:
    dice, begin = random.Random(1000), time.time()
    with PostOffice(tmp_path / "office") as office:
        (tmp_path / "mail.json").write_text(json.dumps(office.settings()))
        secret = letterbox.settings(tmp_path, office.settings()).mail_password
        secret.parent.mkdir(parents=True)
        secret.write_text(PASSWORD)
        with ThreadPoolExecutor(1) as beside:
            troubles = beside.submit(asyncio.run, come_and_go(tmp_path, begin))
            for _ in range(KILLS):
                with writer(tmp_path, begin):
                    for _ in range(3):
                        office.mood = dice.choice(MOODS)
                        time.sleep(dice.uniform(0.2, 1.5))
            office.mood = "take"
            with writer(tmp_path, begin):
                troubles.result(PATIENCE)
                until(lambda: asyncio.run(nothing_owed(tmp_path)), patience=PATIENCE)
    told: Counter[str] = Counter()
    for message in {str(each["Message-ID"]): each for each in office.taken}.values():
        body = message.get_body(("plain",))
        assert body is not None
        told.update(line for line in body.get_content().splitlines() if "Alert number" in line)
    expected = {f"{over}Alert number {number}." for number in range(ALERTS) for over in ("", _OVER)}
    assert set(told) == expected, sorted(expected - set(told))[:5]
    assert set(told.values()) == {1}, told.most_common(3)
    again = len(office.taken) - len(set(office.messages()))
    assert again <= office.unanswered + KILLS, "what was confirmed is not sent again"


_OVER = "It is over. What it was: "


async def come_and_go(root: Path, begin: float) -> None:
    """Each is open until it was told, and then over; ten at a time, while the other one reads and writes, too."""
    store = await SqliteStore.open(root / "gardien.db")
    for first in range(0, ALERTS, 10):
        keys = [f"k{number}" for number in range(first, first + 10)]
        for number, key in enumerate(keys, first):
            says = Words.of("alert number {number}", number=number)
            await store.open_alert(key, "trouble", says, Words.of(""), letterbox.now(begin))
        deadline = time.monotonic() + PATIENCE
        while any(each.told is None for each in await store.told(letterbox.now(begin))):
            assert time.monotonic() < deadline, "an alert was not written about"
            await asyncio.sleep(0.1)
        for key in keys:
            await store.close_alert(key, letterbox.now(begin))
    await store.close()


async def nothing_owed(root: Path) -> bool:
    store = await SqliteStore.open(root / "gardien.db")
    try:
        ends = [each for each in await store.told(letterbox.NOON) if each.over is None]
        return not ends and not await store.letters(waiting=True)
    finally:
        await store.close()

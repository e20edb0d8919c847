"""Rows 46 and 47, the power fails while letters are written: those that were confirmed are there, whole."""

import asyncio
import fcntl
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gardien.adapters.store import SqliteStore
from gardien.model.letter import Draft, Text
from gardien.words import Words
from tests.contracts.small_disk import small_disk
from tests.world.letterbox import NOON
from tests.world.power import _NO_LOG_FLUSH, _SHUTDOWN

CUTS = 3


async def write(database: Path) -> None:
    """Letters, each about an alert of its own; the number of each that is written down for good is printed."""
    store = await SqliteStore.open(database)
    begin = len(await store.letters(most=100_000))
    for number in range(begin, begin + 100_000):
        await store.open_alert(f"k{number}", "trouble", Words.of("x"), Words.of(""), NOON)
        [alert] = await store.alerts(most=1)
        drafts = [
            Draft(f"<{number}@practice.example>", Text("x", "x", "x"), NOON),
            Draft(f"{number}", Text("x", "x", "x"), NOON, "second"),
        ]
        await store.post(drafts, NOON, [alert.id])
        print(number, flush=True)


async def look(database: Path) -> tuple[set[int], set[int], set[int]]:
    """The letters, what was to be said by the second way, and the alerts that were told."""
    store = await SqliteStore.open(database)
    assert not store.opened_fresh_after_corruption
    letters = await store.letters(most=100_000)
    told = {int(each.alert.key[1:]) for each in await store.told(NOON) if each.told is not None}
    await store.close()
    mail = {int(each.message[1:].split("@")[0]) for each in letters if each.way == "mail"}
    return mail, {int(each.message) for each in letters if each.way == "second"}, told


def test_row_46_what_was_written_is_there_after_a_power_cut() -> None:
    dice, confirmed = random.Random(46), set[int]()
    with tempfile.TemporaryDirectory(prefix="gl-") as folder, small_disk(Path(folder) / "disk", 64) as disk:
        database = disk / "gardien.db"
        for _ in range(CUTS):
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.test_power_letters", str(database)],
                cwd=Path(__file__).parents[2],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            assert process.stdout is not None
            confirmed.add(int(process.stdout.readline()))
            time.sleep(dice.uniform(0.05, 0.6))
            handle = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
            finally:
                os.close(handle)
            process.kill()
            confirmed |= {int(line) for line in process.stdout.read().split()}
            process.wait()
            process.stdout.close()
            subprocess.run(["umount", str(disk)], check=True)
            subprocess.run(["mount", "-o", "loop", str(disk) + ".img", str(disk)], check=True)
            mail, second, told = asyncio.run(look(database))
            assert confirmed <= mail, "a letter was lost"
            assert mail == second == told, "all of what one writing holds is there, or nothing of it"
        assert len(confirmed) > CUTS


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))

"""What gardien costs beside the bare tool, as ratios of one run: `python -m tests.bench.backup --mib 1024`.

Needs what `./test.sh` sets up (an engine at DOCKER_HOST, the test images, restic). Nothing here passes or fails.
"""

import argparse
import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.world.box import RESTIC, Box, box, free_port


def tree(home: Path, mebibytes: int, files: int) -> None:
    """Files of random bytes, which neither compress nor repeat."""
    dice = random.Random(1)
    each = mebibytes * 1024 * 1024 // files
    for number in range(files):
        folder = home / f"{number % 97}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number}").write_bytes(dice.randbytes(each))


def seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


class Bare:
    """restic alone, on a repository of its own, with the same folder and the same patterns left out."""

    def __init__(self, machine: Box) -> None:
        self.room = machine.root / "bare"
        self.room.mkdir()
        (self.room / "passphrase").write_text("bare\n")
        self.home = machine.data / "nextcloud"
        self("init")

    def __call__(self, *argv: str) -> None:
        fixed = ["--repo", str(self.room / "repository"), "--password-file", str(self.room / "passphrase")]
        cache = ["--cache-dir", str(self.room / "cache"), "--quiet"]
        subprocess.run([RESTIC, *fixed, *cache, *argv], check=True, stdout=subprocess.DEVNULL)

    def save(self) -> None:
        self("backup", "--exclude", str(self.home / "db"), str(self.home))

    def bring_back(self) -> None:
        self("restore", f"latest:{self.home}", "--target", str(self.room / "back"), "--verify")
        shutil.rmtree(self.room / "back")


def step_seconds(machine: Box, job: int) -> dict[str, float]:
    """How long each step of a job took, as its journal says."""
    from datetime import datetime

    steps = machine.json("job", "show", str(job))["steps"]
    return {
        step["name"]: (datetime.fromisoformat(step["ended"]) - datetime.fromisoformat(step["began"])).total_seconds()
        for step in steps
        if step["ended"] and step["began"]
    }


def memory(machine: Box) -> float:
    """The daemon's proportional set size, in MiB."""
    assert machine.daemon is not None
    lines = Path(f"/proc/{machine.daemon.pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def row(what: str, ours: float, bare: float) -> None:
    print(f"{what:<44} {ours:8.2f} s  {bare:8.2f} s  {ours / bare:6.2f}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mib", type=int, default=512)
    asked.add_argument("--files", type=int, default=5000)
    size = asked.parse_args()
    with box() as machine:
        machine.start()
        machine.gardien("target", "init", "host")
        machine.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        machine.until_well("nextcloud")
        tree(machine.data / "nextcloud/html/data/admin/files", size.mib, size.files)
        os.sync()
        bare, idle = Bare(machine), memory(machine)
        print(f"{size.files} files, {size.mib} MiB{'':<27} gardien       bare   ratio")

        def backup() -> int:
            return int(machine.json("backup", "create", "nextcloud")["id"])

        first_bare, first = seconds(bare.save), seconds(backup)
        row("first backup, all of it", first, first_bare)
        again_bare = seconds(bare.save)
        began = time.monotonic()
        job = backup()
        row("again, nothing changed", time.monotonic() - began, again_bare)
        steps = step_seconds(machine, job)
        paused = machine.json("backup", "list", "nextcloud")[0]["pause_seconds"]
        row("pause, beside one bare pass", paused, again_bare)

        def stop_everything() -> None:
            machine.compose("nextcloud", "stop")
            bare.save()
            machine.compose("nextcloud", "up", "--detach", "--wait")

        row("pause, beside stopping everything", paused, seconds(stop_everything))
        bring_bare = seconds(bare.bring_back)
        job = int(machine.json("restore", "nextcloud", "--yes")["id"])
        row("restore: fetch and verify", step_seconds(machine, job)["fetch"], bring_bare)
        print(f"steps of a backup when nothing changed: { {name: round(took, 2) for name, took in steps.items()} }")
        print(f"the daemon: {idle:.1f} MiB idle, {memory(machine) - idle:+.1f} MiB after all this")
        machine.stop()


if __name__ == "__main__":
    main()

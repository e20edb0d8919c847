"""What gardien costs beside the bare tools, as ratios of one run: `python -m tests.bench.backup --mib 4096`.

Needs what `./test.sh` sets up (an engine at DOCKER_HOST, the test images, restic), root for the btrfs, and room for
eight times the data where TMPDIR says. Nothing here passes or fails: it prints, and the aims beside it.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.test_btrfs import btrfs
from tests.world.box import Box, box, free_port
from tests.world.plug import journal
from tests.world.restic import PLAIN

CHANGED = 4  # MiB of the database that are new before each backup that is to show what the line costs
SLOW = 512  # KiB/s


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


class Practice:
    """A machine with Nextcloud and many files, as gardien sees it."""

    def __init__(self, machine: Box, port: int) -> None:
        self.machine = machine
        self.port = port

    def backup(self) -> int:
        return int(self.machine.json("backup", "create", "nextcloud")["id"])

    def restore(self) -> int:
        return int(self.machine.json("restore", "nextcloud", "--yes")["id"])

    def job_seconds(self, job: int) -> float:
        """How long a job took; the command's own start is not in it."""
        steps = journal(self.machine, job).values()
        return (max(ended for _, _, ended in steps) - min(began for _, began, _ in steps)).total_seconds()

    def steps(self, job: int) -> dict[str, float]:
        """How long each step of a job took."""
        return {
            name: round((ended - began).total_seconds(), 2)
            for name, (_, began, ended) in journal(self.machine, job).items()
        }

    def pause(self) -> float:
        return float(self.machine.json("backup", "list", "nextcloud")[0]["pause_seconds"])

    def paused(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/status.php", timeout=5) as page:
            return bool(json.load(page)["maintenance"])

    def change_database(self) -> None:
        """Rows that neither compress nor repeat."""
        self.machine.sql("CREATE TABLE IF NOT EXISTS bench (id INT AUTO_INCREMENT PRIMARY KEY, bytes TEXT);")
        dice = random.Random(time.time_ns())
        for _ in range(CHANGED):
            rows = ",".join(f"('{dice.randbytes(12_000).hex()}')" for _ in range(43))
            self.machine.sql(f"INSERT INTO bench (bytes) VALUES {rows};")

    def limit(self, kib_per_second: int | None) -> None:
        """What may be sent per second, at any hour."""
        rate = f"{kib_per_second} KiB/s"
        self.machine.stop()
        hours = {"00:00-12:00": rate, "12:00-00:00": rate} if kib_per_second else {}
        self.machine.settings["targets"]["host"]["upload_limit"] = hours
        self.machine.save_settings()
        self.machine.start()

    def memory(self) -> float:
        """The daemon's proportional set size, in MiB."""
        assert self.machine.daemon is not None
        lines = Path(f"/proc/{self.machine.daemon.pid}/smaps_rollup").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024

    @contextmanager
    def watched(self) -> Iterator[list[float]]:
        """The daemon's memory, ten times a second."""
        seen, over = [self.memory()], threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                seen.append(self.memory())

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            yield seen
        finally:
            over.set()
            watching.join()


@contextmanager
def practice(mebibytes: int, files: int, disk: Path | None = None) -> Iterator[Practice]:
    """`disk`: where its data lies, if not beside the rest."""
    with box() as machine:
        machine.settings["programs"]["restic"] = PLAIN
        if disk is not None:
            machine.settings["folders"]["data"] = str(disk)
            machine.data.symlink_to(disk)
        machine.save_settings()
        port = free_port()
        machine.start()
        machine.gardien("target", "init", "host")
        machine.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={port}")
        machine.until_well("nextcloud")
        tree(machine.data / "nextcloud/html/data/admin/files", mebibytes, files)
        os.sync()
        yield Practice(machine, port)
        machine.stop()
        machine.remove_containers()


class Bare:
    """restic and Docker alone: a repository of its own, the same folder, the same patterns left out."""

    def __init__(self, of: Practice, name: str) -> None:
        self._of = of
        self.room = of.machine.root / name
        self.room.mkdir()
        (self.room / "passphrase").write_text("bare\n")
        self.home = of.machine.data / "nextcloud"
        self("init")

    def __call__(self, *argv: str) -> None:
        fixed = ["--repo", str(self.room / "repository"), "--password-file", str(self.room / "passphrase")]
        cache = ["--cache-dir", str(self.room / "cache"), "--quiet"]
        subprocess.run([PLAIN, *fixed, *cache, *argv], check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        shutil.rmtree(self.room)

    def save(self) -> None:
        self("backup", "--exclude", str(self.home / "db"), str(self.home))

    def bring_back(self) -> None:
        self("restore", f"latest:{self.home}", "--target", str(self.room / "back"), "--verify")
        shutil.rmtree(self.room / "back")

    def sequence(self) -> float:
        """Pause, dump, second pass, resume, as the stack's manifest says it; returns how long people waited."""
        compose = self._of.machine.compose
        occ = ("nextcloud", "exec", "-T", "-u", "33", "app", "php", "occ", "maintenance:mode")
        dump = 'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb-dump --user=root --single-transaction --quick nextcloud'
        began = time.monotonic()
        compose(*occ, "--on")
        while not self._of.paused():
            time.sleep(0.1)
        compose("nextcloud", "stop", "cron")
        (self.home / "dump.sql").write_text(compose("nextcloud", "exec", "-T", "db", "sh", "-c", dump))
        self.save()
        compose(*occ, "--off")
        compose("nextcloud", "start", "cron")
        paused = time.monotonic() - began
        (self.home / "dump.sql").unlink()
        return paused

    def stop_everything(self) -> float:
        """How Nextcloud All-in-One does it."""
        compose = self._of.machine.compose
        began = time.monotonic()
        compose("nextcloud", "stop")
        self.save()
        compose("nextcloud", "up", "--detach", "--wait")
        return time.monotonic() - began


def row(what: str, ours: float, bare: float, aim: str = "") -> None:
    print(f"{what:<58} {ours:8.2f} s  {bare:8.2f} s  {ours / bare:6.2f}  {aim}", flush=True)


def medians(rounds: int, *works: Callable[[], float]) -> list[float]:
    """Taken in turns, so that whatever else the machine does meanwhile is borne by all."""
    taken = [[work() for work in works] for _ in range(rounds)]
    return [statistics.median(each) for each in zip(*taken, strict=True)]


def on_any_disk(there: Practice, rounds: int) -> tuple[float, float]:
    """Prints; returns the pause of the bare sequence and that of stopping everything, for what comes later."""
    bare = Bare(there, "before")  # a first backup cannot be made twice: one bare one before, one after
    first_bare = seconds(bare.save)
    idle = there.memory()
    with there.watched() as memory:
        job = there.backup()
    grown = max(memory) - idle
    bare.end()
    bare = Bare(there, "bare")
    first_bare = (first_bare + seconds(bare.save)) / 2
    row("first backup, all of it, beside one bare pass", there.job_seconds(job), first_bare, "1.03")
    print(f"  its steps: {there.steps(job)}")

    bare.sequence()  # so that the bare repository knows the dump, too

    def bare_job() -> float:
        return seconds(bare.save) + bare.sequence()

    again, again_bare = medians(rounds, lambda: there.job_seconds(there.backup()), bare_job)
    more = again - again_bare
    row("again, nothing changed, beside pass + bare sequence", again, again_bare, f"+0.15 s; is {more:+.2f} s")

    def pause() -> float:
        there.backup()
        return there.pause()

    ours, sequence = medians(rounds, pause, bare.sequence)
    row("pause with two passes, beside the bare sequence", ours, sequence, "1.05")
    job = there.backup()
    print(f"  its steps: {there.steps(job)}")
    stopped = bare.stop_everything()
    there.machine.until_well("nextcloud")
    row("pause with two passes, beside stopping everything", ours, stopped)

    def free() -> float:
        there.limit(None)
        there.change_database()
        return pause()

    def slow() -> float:
        there.limit(SLOW)
        there.change_database()
        return pause()

    took, fast = medians(rounds, slow, free)
    row(f"pause, {CHANGED} MiB new, line of {SLOW} KiB/s beside a free one", took, fast, "0.90 to 1.10")
    there.limit(None)

    first_back = seconds(bare.bring_back)
    again_idle = there.memory()  # another daemon by now
    with there.watched() as memory:
        job = there.restore()
    grown = max(grown, max(memory) - again_idle)
    bring_bare = (first_back + seconds(bare.bring_back)) / 2
    row("restore: fetched and verified", there.steps(job)["fetch"], bring_bare, "1.03")
    row("restore: the whole job", there.job_seconds(job), bring_bare)
    print(f"  its steps: {there.steps(job)}")
    print(f"the daemon: {idle:.1f} MiB idle, at most {grown:+.1f} MiB during these jobs; aim: +5")
    return sequence, stopped


def on_btrfs(there: Practice, rounds: int, sequence: float, stopped: float) -> None:
    there.backup()
    pauses, dumps = [], []
    for _ in range(rounds):
        steps = there.steps(there.backup())
        pauses.append(there.pause())
        dumps.append(steps["dump"])
    ours, dump = statistics.median(pauses), statistics.median(dumps)
    row("pause with btrfs, beside the bare sequence", ours, sequence)
    row("pause with btrfs, beside stopping everything", ours, stopped)
    print(f"  its steps: {steps}")
    switching = steps["pause"] + steps["resume"]
    print(f"  dump {dump:.2f} s, snapshot {steps['moment']:.2f} s, maintenance on and off {switching:.2f} s")
    print(f"  aim: dump + 1 s; is dump {ours - dump:+.2f} s, of which the application's own switch is most")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--mib", type=int, default=4096)
    asked.add_argument("--files", type=int, default=20_000)
    asked.add_argument("--rounds", type=int, default=3, help="of what is short; the median counts")
    size = asked.parse_args()
    print(f"{size.files} files, {size.mib} MiB{'':<35} gardien       bare   ratio  aim", flush=True)
    with practice(size.mib, size.files) as there:
        sequence, stopped = on_any_disk(there, size.rounds)
    with (
        tempfile.TemporaryDirectory(prefix="gb-") as room,
        btrfs(Path(room), size.mib * 2 + 3000) as disk,
        practice(size.mib, size.files, disk) as there,
    ):
        on_btrfs(there, size.rounds, sequence, stopped)


if __name__ == "__main__":
    main()

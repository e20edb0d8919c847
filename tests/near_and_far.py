"""A box with the tiny stack, its repository `near` on its own disk, and `far` that is a copy of it."""

import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.conftest import sftp_target
from tests.world.box import Box, box, until
from tests.world.notes import add, lay_out
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost

STACK = "notes"
ONE_DAY = {"daily": 1, "weekly": 0, "monthly": 0, "yearly": 0, "within_days": 0, "verified": 2}


@dataclass(frozen=True)
class Pair:
    """The box, and where its two repositories lie."""

    box: Box
    folders: Mapping[str, Path]

    @property
    def film(self) -> Path:
        """A file of the stack that is large and another one each time."""
        return self.box.data / STACK / "srv" / "film.bin"

    def weigh(self, kibibytes: int = 256) -> None:
        """Give the next backup something to send."""
        self.film.write_bytes(os.urandom(kibibytes << 10))

    def back_up(self) -> str:
        """Save something new at `near`, and see it copied to `far`; its id."""
        self.weigh()
        self.box.gardien("backup", "create", STACK)
        made = str(self.known("near")[0]["id"])
        until(lambda: any(each["copy_of"] == made for each in self.known("far")), 60)
        self.box.until_jobs_end()
        return made

    def known(self, target: str) -> list[dict[str, Any]]:
        """What gardien says is there, newest first."""
        return list(self.box.line.get("snapshots", target=target)["snapshots"])

    def good(self, target: str) -> set[str]:
        return {each["id"] for each in self.known(target) if each["good"]}

    def listed(self, target: str) -> set[str]:
        """What is there, looked at where it lies: ids of first passes too."""
        return {each.name for each in (self.folders[target] / "snapshots").iterdir() if len(each.name) == 64}

    def live(self, target: str) -> set[str]:
        """First passes. Each is there for a day, and holds on to what its backup holds."""
        return {
            each["id"] for each in json.loads(self.plain(target, "snapshots", "--json", "--tag", "pass=live").stdout)
        }

    def locks(self) -> list[str]:
        """Those there are; a file that restic was killed over, while it wrote it, is none."""
        found = [(target, each.name) for target, folder in self.folders.items() for each in _in(folder / "locks")]
        return [f"{target}: {name}" for target, name in found if len(name) == 64]

    def plain(self, target: str, *argv: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """The bare restic, with the recovery key."""
        key = self.box.root / "owner" / "secrets" / f"target-{target}.passphrase"
        done = subprocess.run(
            [RESTIC, "-r", str(self.folders[target]), "-p", str(key), "--no-cache", *argv],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def alerts(self) -> dict[str, Any]:
        return {each["key"]: each for each in self.box.status()["alerts"]}

    def target(self, name: str) -> dict[str, Any]:
        """As the page has it."""
        return next(dict(each) for each in self.box.status()["targets"] if each["name"] == name)

    def place(self, target: str) -> dict[str, Any]:
        """What the page says of the stack's backups there."""
        [stack] = self.box.status()["stacks"]
        return next(dict(each) for each in stack["places"] if each["target"] == target)

    def set_back(self, by: timedelta) -> None:
        """All that gardien remembers is older by so much; it must not run. As if the machine had been off since."""

        def older(text: str | int | float | None) -> str | int | float | None:
            def move(found: re.Match[str]) -> str:
                moment = datetime.fromisoformat(found[0]) - by
                return moment.isoformat(timespec="microseconds" if "." in found[0] else "seconds")

            return re.sub(_MOMENT, move, text) if isinstance(text, str) else text

        with closing(sqlite3.connect(self.box.root / "state" / "gardien.db")) as store, store:
            store.create_function("older", 1, older)
            for (table,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                columns = [row[1] for row in store.execute(f"PRAGMA table_info({table})") if row[2] == "TEXT"]
                if columns:
                    store.execute(f"UPDATE {table} SET " + ", ".join(f"{each} = older({each})" for each in columns))


_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


@contextmanager
def near_and_far(host: SftpHost | None = None, keep: Mapping[str, int] = ONE_DAY) -> Iterator[Pair]:
    """Up, with both repositories made and nothing saved yet. `host`: where `far` is; else on the same disk."""
    with box() as made:
        far = host.folder / "copies" if host is not None else made.root / "far"
        place = {"kind": "local", "folder": str(far)} if host is None else sftp_target(host, far.name)
        made.settings["targets"] = {
            "near": {"kind": "local", "folder": str(made.root / "near"), "keep": dict(keep)},
            "far": {**place, "copy_of": "near", "keep": dict(keep)},
        }
        made.save_settings()
        made.start()
        for target in ("near", "far"):
            made.gardien("target", "init", target)
        lay_out(made)
        add(made)
        made.until_well(STACK)
        yield Pair(made, {"near": made.root / "near", "far": far})
        made.stop()

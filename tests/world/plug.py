"""Pulls the plug: the daemon dies by SIGKILL at a named point of a job, and is started again."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from tests.world.box import Box
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost

# Where a step can die: journalled but not yet done; done but not yet journalled. The second is the harder one.
MOMENTS = ("begun", "ran") if os.environ.get("GARDIEN_FULL") else ("ran",)


def die_at(box: Box, point: str, *command: str) -> None:
    """Restart the daemon so that it dies at `point` ("backup/dump/ran"), run `command`, wait for the death."""
    box.stop()
    box.start(GARDIEN_DIE_AT=point)
    box.gardien(*command, "--no-wait")
    code = box.wait_for_death()
    assert code == -9, f"the daemon ended with {code}, not at {point}:\n{box.logged()}"


def die_through(box: Box, points: Sequence[str], *command: str) -> None:
    """The same at each of these points in turn: each start finds what died, and dies further on. Then it lives."""
    first, *others = points
    die_at(box, first, *command)
    for point in others:
        box.spawn(GARDIEN_DIE_AT=point)
        code = box.wait_for_death()
        assert code == -9, f"the daemon ended with {code}, not at {point}:\n{box.logged()}"
    box.start()


def plain_restic(box: Box, host: SftpHost, cache: Path, *argv: str) -> str:
    """What plain restic prints of the repository, without a lock of its own."""
    repository = next(path.parent for path in host.folder.rglob("config") if (path.parent / "keys").is_dir())
    fixed = ["--repo", str(repository), "--password-file", str(box.passphrase), "--cache-dir", str(cache), "--no-lock"]
    done = subprocess.run([RESTIC, *fixed, *argv], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


def locks(box: Box, host: SftpHost, cache: Path) -> list[str]:
    """What plain restic says of locks in the repository."""
    return plain_restic(box, host, cache, "list", "locks").split()


def leases(box: Box) -> str:
    """The lease table of a box's store, read behind the daemon's back."""
    store = box.root / "state" / "gardien.db"
    copy = box.root / "copy.db"
    for suffix in ("", "-wal"):
        if (source := store.with_name(store.name + suffix)).exists():
            shutil.copy(source, copy.with_name(copy.name + suffix))
    done = subprocess.run(
        ["sqlite3", str(copy), "SELECT * FROM lease"], capture_output=True, text=True, check=True, timeout=20
    )
    copy.unlink()
    copy.with_name(copy.name + "-wal").unlink(missing_ok=True)
    return done.stdout


def journal(box: Box, job: int) -> dict[str, tuple[str, datetime, datetime]]:
    """State, beginning and end of each step that has ended, from the store itself: the API speaks in whole seconds."""
    with contextlib.closing(sqlite3.connect(f"file:{box.root}/state/gardien.db?mode=ro", uri=True)) as store:
        asked = "SELECT name, state, began, ended FROM step WHERE job = ? AND ended IS NOT NULL ORDER BY position"
        steps = store.execute(asked, (job,)).fetchall()
    return {
        name: (state, datetime.fromisoformat(began), datetime.fromisoformat(ended))
        for name, state, began, ended in steps
    }

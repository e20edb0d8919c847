"""Writes `format-N/`: a small repository as the present release makes it, and what is to come back from it.

Run once per release of the set's format, as root, with the test engine: `python -m tests.data.make`. What a former
release wrote is never made again: it stands for what lies at people's hosts.
"""

import fcntl
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from gardien.services.account import SET_FORMAT
from tests.world.box import box
from tests.world.notes import add, lay_out
from tests.world.practice import plant

HERE = Path(__file__).parent
STACK = "notes"
DATABASE = "-- a former release wrote this\n-- whole\n"


def listing(top: Path) -> dict[str, list[object]]:
    """Path -> kind, mode, owner, group, time, digest or a link's aim, attributes. A link's time is not among them."""
    found: dict[str, list[object]] = {}
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            info = path.lstat()
            kind, content, modified = stat.S_IFMT(info.st_mode), "", info.st_mtime_ns
            if stat.S_ISLNK(info.st_mode):
                content, modified = str(path.readlink()), 0
            elif stat.S_ISREG(info.st_mode):
                content = sha256(path.read_bytes()).hexdigest()
            attributes = {
                each: os.getxattr(path, each, follow_symlinks=False).hex()
                for each in os.listxattr(path, follow_symlinks=False)
            }
            found[str(path.relative_to(top))] = [
                kind, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, modified, content, attributes,
            ]  # fmt: skip
    return found


def make() -> Path:
    """The folder that was written."""
    to = HERE / f"format-{SET_FORMAT}"
    to.mkdir()
    with box() as made:
        made.start()
        made.gardien("target", "init", "host")
        lay_out(made, STACK)
        add(made, STACK, "--set", "GREETING=from a former release")
        made.until_well(STACK)
        srv = made.data / STACK / "srv"
        plant(srv / "practice", f"format {SET_FORMAT}", 40)
        (srv / "database").write_text(DATABASE)
        made.gardien("backup", "create", STACK)
        [saved] = made.json("backup", "list", STACK)
        (to / "listing.json").write_text(json.dumps(listing(srv / "practice"), indent=0, sort_keys=True) + "\n")
        (to / "snapshot.json").write_text(json.dumps({"id": saved["id"], "taken": saved["taken"]}) + "\n")
        shutil.copy(made.passphrase, to / "passphrase")
        made.stop()
        shutil.copytree(made.root / "repository", to / "repository", ignore=shutil.ignore_patterns("locks"))
    return to


@contextmanager
def former(kept: Path, to: Path) -> Iterator[None]:
    """Copy what a former release wrote; one test at a time, for the port of its stack is the same each time."""
    with (Path(tempfile.gettempdir()) / "gardien-test-former.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        shutil.copytree(kept / "repository", to)
        (to / "locks").mkdir()  # git keeps no empty folders; restic makes what is missing, but for these
        yield


if __name__ == "__main__":
    print(make())

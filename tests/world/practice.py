"""What a practice keeps in its stacks: odd names, modes, owners, links, attributes, rows. And how to compare it."""

import hashlib
import os
import random
import stat
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from ruamel.yaml import YAML

from tests.world.box import Box

ODD_NAMES = (
    "ordinary.txt",
    "with space and  two.txt",
    "Séance du 3 mai – été.odt",
    "emoji 🌿🪴.md",
    "quote'quote\"double.txt",
    "dollar $HOME `x` \\back.txt",
    "-leading-dash",
    "--double=dash",
    "semicolon;ampersand&pipe|star*question?[bracket]",
    "new\nline",
    "tab\there",
    "trailing space ",
    ".hidden",
    "...dots",
    "%percent%00",
    "x" * 250,
    b"not-utf8-\xff\xfe".decode("utf-8", "surrogateescape"),
)
MODES = (0o644, 0o600, 0o640, 0o755, 0o400, 0o000, 0o750, 0o1755, 0o1777)  # bits of set-id do not come back
OWNERS = ((33, 33), (0, 0), (1000, 1000), (33, 0), (65534, 65534))
# What a running application writes itself: whether it is paused, what it works out anew at a start.
RESTLESS = (
    "gateway/config/Caddyfile*",
    "nextcloud/html/config/config.php",
    "nextcloud/html/nextcloud-init-sync.lock",
)
# Whose times change at a start: written again with what they held, or because of what is not compared in them.
TOUCHED = (
    "gateway/data/caddy",
    "nextcloud/html/config",
    "nextcloud/html/data",
    "nextcloud/html/data/files_external",
    "nextcloud/html/data/files_external/rootcerts.crt",
    "cryptpad/block/placeholder.txt",
    "jitsi/prosody/data",
    "forms/upload/surveys",
)
SHIPPED = Path(__file__).parents[2] / "compose"


@dataclass(frozen=True)
class Entry:
    """All of a file that a restore must bring back; `content` is a digest, a link's aim, or a kind."""

    mode: int
    owner: tuple[int, int]
    modified: int  # ns
    content: str
    attributes: tuple[tuple[str, bytes], ...]


def plant(home: Path, canary: str, files: int = 500) -> None:
    """Put odd files into a new folder. `canary` is in all of them."""
    dice = random.Random(7)
    home.mkdir(parents=True)
    for number in range(files):
        folder = home / f"year {2000 + number % 5}" / ("archiv" if number % 3 else "séances")
        folder.mkdir(parents=True, exist_ok=True)
        name = ODD_NAMES[number % len(ODD_NAMES)]
        path = (
            folder / (name if len(name) > 200 else f"{number} {name}")
            if number % 2
            else folder / f"{name[:200]}{number}"
        )
        path.write_bytes(f"{canary} {number} ".encode() + dice.randbytes(dice.choice((0, 10, 5000, 70_000))))
        mode, owner = dice.choice(MODES), dice.choice(OWNERS)
        if number % 4 == 0:
            os.setxattr(path, "user.note", f"{canary} {number}".encode())
        if number % 50 == 0:
            (folder / f"link {number}").symlink_to(path.name)
            (folder / f"dangling {number}").symlink_to("/nowhere/at all")
            os.link(path, folder / f"hard {number}")
        os.chown(path, *owner)
        path.chmod(mode)
        os.utime(path, ns=(1_600_000_000_123_456_789 + number, 1_500_000_000_987_654_321 + number))
    empty = home / "empty folder"
    empty.mkdir(mode=0o750)
    os.utime(empty, ns=(1, 1_400_000_000_000_000_000))


def fill(box: Box, files: int = 500) -> str:
    """Put files and rows into the running Nextcloud stack of `box`; returns a canary: text that is in all of them."""
    canary = f"canary-{uuid.uuid4().hex}"
    users = box.data / "nextcloud" / "html" / "data" / "admin"
    plant(users / "files" / "Praxis – patients", canary, files)
    for folder, _, _ in os.walk(users):
        if "Praxis" not in folder:
            os.chown(folder, 33, 33)
    rows = ",".join(f"({number}, '{canary} séance {number} 🌿', NOW())" for number in range(300))
    box.sql(
        "CREATE TABLE practice_notes (id INT PRIMARY KEY, note TEXT, written DATETIME(6)) CHARSET utf8mb4;"
        f"INSERT INTO practice_notes VALUES {rows};"
    )
    return canary


def rows(box: Box) -> str:
    """Every row that people made, and the schema they lie in."""
    return box.sql(
        "SELECT * FROM practice_notes ORDER BY id; SHOW CREATE TABLE practice_notes;"
        "SELECT * FROM oc_users ORDER BY 1; SELECT COUNT(*) FROM oc_filecache;"
    )


def tree(box: Box, stack: str = "nextcloud") -> dict[str, Entry]:
    """Every file and folder of a stack that its shipped manifest promises to bring back as it was, and its Compose
    project. Without what a running application writes itself.
    """
    backup = YAML(typ="safe").load(SHIPPED / stack / "compose.yaml")["x-gardien"]["backup"]
    left_out = tuple(f"{stack}/{path}" for path in backup.get("leave_out", ()))
    return dict(_entries(box.data, stack, backup["save"], (*left_out, *RESTLESS)))


def _entries(data: Path, stack: str, save: Sequence[str], without: Sequence[str]) -> Iterator[tuple[str, Entry]]:
    for top in save:
        for folder, folders, files in os.walk(data / stack / top):
            for name in (*folders, *files):
                path = Path(folder, name)
                inside = str(path.relative_to(data))
                if not any(fnmatch(inside, each) or fnmatch(inside, f"{each}/*") for each in without):
                    yield inside, _entry(path, timed=inside not in TOUCHED)
    for path in (data / stack / ".gardien" / "compose").rglob("*"):
        yield str(path.relative_to(data)), _entry(path, timed=False)


def _entry(path: Path, *, timed: bool) -> Entry:
    info = path.lstat()
    if stat.S_ISLNK(info.st_mode):
        content = f"-> {path.readlink()}"
    elif stat.S_ISREG(info.st_mode):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        content = f"kind {stat.S_IFMT(info.st_mode):o}"
    attributes = tuple(
        (name, os.getxattr(path, name, follow_symlinks=False)) for name in os.listxattr(path, follow_symlinks=False)
    )
    return Entry(
        stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid), info.st_mtime_ns if timed else 0, content, attributes
    )


def differences(before: dict[str, Entry], after: dict[str, Entry]) -> list[str]:
    """In words, at most twenty."""
    found = [f"missing: {name!r}" for name in before.keys() - after.keys()]
    found += [f"extra: {name!r}" for name in after.keys() - before.keys()]
    found += [
        f"{name!r}: {before[name]} -> {after[name]}"
        for name in before.keys() & after.keys()
        if before[name] != after[name]
    ]
    return sorted(found)[:20]


def occurrences(folder: Path, text: str) -> list[Path]:
    """Files below `folder` in which `text` can be read."""
    needle = text.encode()
    return [path for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]

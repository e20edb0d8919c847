"""Nothing readable by others: no secret on a command line or in an environment, no file that a stranger could open."""

import os
import stat
import subprocess
import threading
import time
from pathlib import Path

from tests.world.box import Box
from tests.world.practice import fill


def _secrets(box: Box) -> list[bytes]:
    lines = (box.root / "owner/secrets/nextcloud.env").read_text().splitlines()
    return [line.split("=", 1)[1].strip("'").encode() for line in lines] + [box.passphrase.read_bytes().strip()]


def test_no_secret_on_a_command_line_or_in_our_environment(nextcloud: Box) -> None:
    """Look at every process of the machine, again and again, while a backup and a restore run."""
    fill(nextcloud, 100)
    secrets = _secrets(nextcloud)
    assert len(secrets) >= 4
    assert all(len(secret) >= 16 for secret in secrets)
    leaks: set[str] = set()
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                except OSError:
                    continue
                seen.add(words.split(b"\0")[0].decode(errors="replace").rsplit("/", 1)[-1])
                if any(secret in words for secret in secrets):
                    leaks.add(f"command line: {words!r}")
                if nextcloud.passphrase.read_bytes().strip() in environment:
                    leaks.add(f"environment of {words!r}")
            time.sleep(0.005)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        nextcloud.gardien("backup", "create", "nextcloud")
        nextcloud.gardien("restore", "nextcloud", "--yes")
    finally:
        over.set()
        watcher.join()
    assert {"restic", "ssh", "docker"} <= seen, "the watcher saw none of what it was to watch"
    assert leaks == set()


def test_no_secret_in_the_log_or_in_the_journal(nextcloud: Box) -> None:
    readable = [nextcloud.log, *(nextcloud.root / "state").glob("gardien.db*")]
    for file in readable:
        content = file.read_bytes()
        for secret in _secrets(nextcloud):
            assert secret not in content, f"{file} holds a secret"


def test_threat_14_a_stranger_on_the_machine_reads_nothing(nextcloud: Box) -> None:
    """As `nobody`, walk over all that is gardien's, patients' files included."""
    program = (
        "import os,sys\n"
        "for root in sys.argv[1:]:\n"
        "  for folder, folders, files in os.walk(root):\n"
        "    for name in files:\n"
        "      path = os.path.join(folder, name)\n"
        "      if os.access(path, os.R_OK) or os.access(path, os.W_OK): print(path)\n"
    )
    roots = [str(nextcloud.root / name) for name in ("data", "state", "owner", "run")]
    done = subprocess.run(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "python3", "-c", program, *roots],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    assert done.stdout == ""


def test_threat_14_what_gardien_writes_itself_is_its_own(nextcloud: Box) -> None:
    for root in ("state", "owner", "run", "data/nextcloud/.gardien"):
        for folder, folders, files in os.walk(nextcloud.root / root):
            for name in (*folders, *files):
                path = Path(folder, name)
                mode = stat.S_IMODE(path.lstat().st_mode)
                allowed = 0o660 if path.name == "gardien.sock" else 0o700
                # Containers read their own files there; nobody else comes past `.gardien`, which is 0700.
                if "compose" in path.parts and path.name != ".env":
                    allowed = 0o755
                assert path.is_symlink() or not mode & ~allowed, f"{path}: {mode:o}"

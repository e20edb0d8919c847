"""Row 12 and threat 20: keys that are wrong, changed or replaced, and a sheet that nobody but its owner ever sees."""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gardien.rules import kit as text
from tests.conftest import sftp_target
from tests.faults.houses import refused
from tests.world.box import Box, box, until
from tests.world.notes import add, lay_out
from tests.world.plug import MOMENTS, leases
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost


@pytest.fixture(scope="module")
def machine(host: SftpHost) -> Iterator[Box]:
    """With the tiny stack and a backup of it."""
    with box(sftp_target(host)) as made:
        lay_out(made)
        made.start()
        made.gardien("target", "init", "host")
        add(made)
        made.gardien("backup", "create", "notes")
        yield made
        made.stop()


def sheet(made: Box, *more: str) -> dict[str, Any]:
    return dict(made.json("kit", *more))


def confirm(made: Box, shown: dict[str, Any], check: bool = True) -> int:
    """Type back what is asked for; the exit code."""
    groups = made.line.get("kit", "asked")["groups"]
    typed = [shown["lines"][each["line"] - 1].split()[each["group"] - 1] for each in groups]
    return made.gardien("kit", "confirm", "--groups", " ".join(typed), check=check).returncode


def state(made: Box) -> dict[str, Any]:
    return dict(made.json("kit", "status")[0])


def opens(made: Box) -> bool:
    """Whether what stands in the present file opens it, as a backup finds."""
    return made.gardien("backup", "create", "notes", check=False).returncode == 0


def test_threat_20_a_sheet_leaves_no_trace(machine: Box) -> None:
    """Look at every process, and then at every file that is not a secret's own, for anything that stands on it."""
    over, seen, leaks = threading.Event(), set[str](), set[str]()
    canaries: list[bytes] = []

    def look() -> None:
        while not over.is_set():
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    words, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
                except OSError:
                    continue
                seen.add(words.split(b"\0")[0].decode(errors="replace").rsplit("/", 1)[-1])
                for canary in canaries:
                    if canary in words or canary in environment:
                        leaks.add(f"{words!r}")
            time.sleep(0.005)

    canaries.append(machine.passphrase.read_bytes().strip())
    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        shown = sheet(machine, "--new-key")
        kit = text.read(shown["code"])
        assert kit.key is not None
        canaries += [kit.passphrase.encode(), *(line.encode() for line in shown["lines"])]
        canaries += [line.replace(" ", "").encode() for line in shown["lines"]]
        assert confirm(machine, shown) == 0
        machine.gardien("kit", "prove")
        machine.gardien("backup", "create", "notes")
    finally:
        over.set()
        watcher.join()
    assert {"restic", "ssh"} <= seen, "the watcher saw none of what it was to watch"
    assert leaks == set()
    canaries += [key.encode() for key in kit.key.splitlines()[1:-1]]
    for file in [machine.log, *(each for each in (machine.root / "state").rglob("*") if each.is_file())]:
        for canary in canaries:
            assert canary not in file.read_bytes(), f"{file} holds what stands on the sheet"
    answers = repr([machine.status(), machine.line.get("jobs"), machine.line.get("kit")]).encode()
    assert not any(canary in answers for canary in canaries)
    assert state(machine)["good"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", ["swap", "drop"])
def test_row_12_a_change_of_keys_that_is_killed_is_finished(machine: Box, step: str, moment: str) -> None:
    shown = sheet(machine, "--new-key")
    former = machine.passphrase.read_text()
    wanted = text.read(shown["code"]).passphrase
    assert former.strip() != wanted
    machine.stop()
    machine.start(GARDIEN_DIE_AT=f"rekey/{step}/{moment}")
    confirm(machine, shown, check=False)
    assert machine.wait_for_death() == -signal.SIGKILL
    machine.start()
    machine.until_jobs_end()
    assert machine.passphrase.read_text().strip() == wanted
    assert machine.passphrase.with_name("target-host.passphrase.former").read_text() == former
    assert not machine.passphrase.with_name("target-host.passphrase.next").exists()
    found = state(machine)
    assert found["good"] and not found["new_key"]
    assert opens(machine)
    until(lambda: leases(machine) == "", 5)


def test_row_12_both_keys_open_until_the_sheet_is_confirmed(machine: Box) -> None:
    first = sheet(machine)
    shown = sheet(machine, "--new-key")
    machine.stop(signal.SIGKILL)
    machine.start()
    assert sheet(machine, "--new-key")["lines"] == shown["lines"], "what was begun goes on"
    assert opens(machine), "the old one"
    for each in (first, shown):
        kit = text.read(each["code"])
        file = machine.root / "trial"
        file.write_text(kit.passphrase)
        assert _opens_with(machine, file), each["new_key"]
    assert confirm(machine, shown) == 0
    file.write_text(text.read(first["code"]).passphrase)
    assert not _opens_with(machine, file)


def _opens_with(machine: Box, passphrase: Path) -> bool:
    """Plain restic, which lies on this machine as its host does."""
    place = machine.settings["targets"]["host"]
    ssh = f"-i {place['key']} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    url = f"sftp://root@{place['host']}:{place['port']}/{place['folder']}"
    argv = [RESTIC, "-r", url, "-o", f"sftp.args={ssh}", "-p", str(passphrase), "--no-cache", "cat", "config"]
    return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode == 0


def test_row_12_a_wrong_key_is_called_that_and_an_older_one_opens_a_restore(machine: Box) -> None:
    right = machine.passphrase.read_text()
    machine.passphrase.write_text("not this one\n")
    try:
        refused(machine, "backup", "create", "notes", says="recovery key")
        until(lambda: any(each["key"].startswith("kit:") for each in machine.status()["alerts"]), 60)
        former = machine.passphrase.with_name("target-host.passphrase.former")
        refused(machine, "restore", "notes", "--yes", says="recovery key")
        former.write_text(right)
        machine.gardien("restore", "notes", "--yes")
        assert machine.passphrase.read_text() == right, "the key that opens it is the present one again"
        kept = [each.read_text() for each in machine.passphrase.parent.glob("target-host.passphrase.*")]
        assert "not this one\n" in kept, "no key is ever lost"
    finally:
        machine.passphrase.write_text(right)
    assert opens(machine)

"""What is saved is whole, or is never called good: a disk that is not there, a file that cannot be read, a dump."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.small_disk import small_disk
from tests.faults.houses import STACK, House, is_open, refused, settle
from tests.world.box import Box, box, docker, until
from tests.world.notes import compose_file


def plug_out(disk: Path) -> None:
    subprocess.run(["umount", str(disk)], check=True)


def plug_in(disk: Path) -> None:
    subprocess.run(["mount", "-o", "loop", str(disk.with_name(disk.name + ".img")), str(disk)], check=True)


def test_row_13_the_data_disk_is_not_there() -> None:
    """After a power cut the machine comes up without it: nothing starts on the bare mount point, nothing is saved."""
    with box() as machine, small_disk(machine.data, 48) as disk:
        disk.chmod(0o711)
        settle(machine)
        machine.gardien("backup", "create", STACK)
        machine.stop()
        machine.compose(STACK, "stop")
        plug_out(disk)
        try:
            machine.start()
            says, remedy = "data disk is not there", "Plug the disk in"
            refused(machine, "backup", "create", STACK, says=says, remedy=remedy)
            refused(machine, "stack", "start", STACK, says=says, remedy=remedy)
            refused(machine, "restore", STACK, "--yes", says=says, remedy="--new-disk")
            machine.stop()
            machine.start()
            time.sleep(2)  # what a start would do by itself, it does now
            assert docker("ps", "--quiet", "--filter", f"name={machine.prefix}").strip() == ""
            assert list(disk.iterdir()) == []
            assert [each["good"] for each in machine.json("backup", "list", STACK)] == [True]
        finally:
            plug_in(disk)
        machine.gardien("stack", "start", STACK)
        machine.until_well(STACK)
        machine.gardien("backup", "create", STACK)
        machine.stop()


def test_row_13_less_than_half_of_it_is_there(home: House) -> None:
    home.weigh(2)
    home.is_well()
    (home.srv / "film.bin").unlink()
    says = "less than half of what the backup before it held"
    for _ in range(2):  # the second one is not measured by the first bad one
        home.refused("backup", "create", STACK, says=says, remedy="former backups are untouched")
    newest, other, good = home.box.json("backup", "list", STACK)[:3]
    assert (newest["good"], other["good"], good["good"]) == (False, False, True)
    assert says in newest["why"]
    assert newest["acceptable"]
    home.weigh(2)
    home.is_well()


def test_row_13_what_was_meant_to_go(home: House) -> None:
    """The owner says so, and the next backup is held against what there is now."""
    home.weigh(2)
    home.is_well()
    (home.srv / "film.bin").unlink()
    home.refused("backup", "create", STACK, says="does not count", remedy="gardien backup accept ")
    newest = home.box.json("backup", "list", STACK)[0]
    assert "counts now" in home.box.gardien("backup", "accept", newest["id"][:8]).stdout
    assert home.box.json("backup", "show", newest["id"])["good"] is True
    home.is_well()


def test_row_14_a_file_that_cannot_be_read(home: House) -> None:
    """It is there, and the disk gives an error for it: the backup is incomplete, and says which file."""
    file = home.srv / "patient file.odt"
    file.write_text("x")
    # Root may read everything: this is one the kernel itself refuses to give out.
    subprocess.run(["mount", "--bind", "/proc/self/mem", str(file)], check=True)
    try:
        home.refused("backup", "create", STACK, says="1 file could not be read")
    finally:
        subprocess.run(["umount", str(file)], check=True)
    newest = home.box.json("backup", "list", STACK)[0]
    assert newest["good"] is False
    shown = home.box.json("backup", "show", newest["id"])
    assert shown["missed"] == [str(file)]
    home.refused("backup", "accept", newest["id"], says="cannot be made to count")
    assert "patient file" in home.box.gardien("backup", "show", newest["id"]).stdout
    file.unlink()
    home.is_well()


@pytest.mark.parametrize("broken", ["-- half of it\n" * 1000, ""])
def test_row_16_a_dump_without_its_last_line(home: House, broken: str) -> None:
    """The command that writes it out ended well, and it is not whole all the same."""
    before = home.box.json("backup", "list", STACK)
    (home.srv / "database").write_text(broken)
    try:
        home.refused("backup", "create", STACK, says="could not be written out whole (database.txt)")
    finally:
        (home.srv / "database").write_text("-- whole\n")
    assert home.box.json("backup", "list", STACK) == before
    is_open(home.box)
    assert not (home.box.data / STACK / ".gardien" / "dumps").exists()


@pytest.fixture(scope="module")
def slow() -> Iterator[Box]:
    """A house with time to do something while the database is written out."""
    quick = "argv: [cat, /srv/database]"
    text = compose_file()
    assert quick in text
    with box() as machine:
        settle(machine, text.replace(quick, "argv: [sh, -c, 'echo now > /srv/dumping; sleep 5; cat /srv/database']"))
        yield machine
        machine.stop()


def until_dumping(machine: Box) -> None:
    """Begin a backup, and come back when the database is being written out."""
    now = machine.data / STACK / "srv" / "dumping"
    now.unlink(missing_ok=True)
    machine.gardien("backup", "create", STACK, "--no-wait")
    until(now.exists, 60)


def test_row_14_a_folder_that_vanishes_meanwhile(slow: Box) -> None:
    """It is there when the backup begins, and away when people are stopped: restic itself calls that a success."""
    srv = slow.data / STACK / "srv"
    until_dumping(slow)
    srv.rename(slow.root / "elsewhere")
    try:
        job = slow.until_jobs_end()[0]
    finally:
        (slow.root / "elsewhere").rename(srv)
    assert (job["kind"], job["state"], job["code"]) == ("backup", "failed", "incomplete")
    assert not any(each["good"] for each in slow.json("backup", "list", STACK))
    is_open(slow)
    slow.gardien("backup", "create", STACK)


def test_row_16_the_database_dies_in_the_dump(slow: Box) -> None:
    before = slow.json("backup", "list", STACK)
    until_dumping(slow)
    docker("kill", docker("ps", "--quiet", "--filter", f"name={slow.prefix}").strip())
    job = slow.until_jobs_end()[0]
    assert (job["kind"], job["state"]) == ("backup", "failed")
    assert slow.json("backup", "list", STACK) == before
    is_open(slow)
    assert not (slow.data / STACK / ".gardien" / "dumps").exists()

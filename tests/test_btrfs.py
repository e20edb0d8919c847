"""Moments: on a real btrfs and in memory; and a backup and a restore of a whole stack whose data lies on btrfs."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gardien.adapters.btrfs import Btrfs
from gardien.adapters.files import LocalFiles
from gardien.errors import GardienError
from gardien.services.ports import Files, Moments
from tests.fakes import FakeFiles, FakeMoments
from tests.world.box import Box, box, until
from tests.world.notes import add, lay_out
from tests.world.plug import MOMENTS, die_at, leases

# What the daemon's systemd unit leaves it.
RIGHTS = "+chown,+dac_override,+dac_read_search,+fowner,+fsetid,+setfcap"
STEPS = ("ready", "pause", "dump", "moment", "resume", "save", "confirm", "tidy")


@contextmanager
def btrfs(room: Path, megabytes: int = 300) -> Iterator[Path]:
    """A btrfs of its own, mounted in `room` while the context lasts."""
    image, at = room / "btrfs.img", room / "btrfs"
    at.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.btrfs", "--quiet", str(image)], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)
        image.unlink()


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gb-") as room, btrfs(Path(room)) as at:
        yield at


# -- the contract


@dataclass
class Ground:
    """A folder to try it in, and how to mount something in it."""

    moments: Moments
    files: Files
    room: Path
    mount: Callable[[Path], None]


@pytest.fixture(params=["memory", "btrfs"])
async def ground(request: pytest.FixtureRequest, disk: Path) -> Ground:
    if request.param == "memory":
        memory = FakeFiles()
        await memory.make_folder(Path("/data"), None, 0o711)
        return Ground(FakeMoments(memory, btrfs=True), memory, Path("/data"), memory.mounts.add)
    files, room = LocalFiles(), Path(tempfile.mkdtemp(dir=disk))

    def mount(at: Path) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(at)], check=True)
        request.addfinalizer(lambda: subprocess.run(["umount", str(at)], check=True))

    return Ground(Btrfs(files), files, room, mount)


async def room(g: Ground, name: str = "notes") -> Path:
    """A folder of which a moment can be held, with a file and a folder in it."""
    await g.moments.make_room(g.room / name)
    await g.files.make_folder(g.room / name, None, 0o700)
    await g.files.make_folder(g.room / name / "srv", (33, 33), 0o750)
    await g.files.write(g.room / name / "srv" / "note", "before")
    return g.room / name


async def test_a_moment_does_not_move(ground: Ground) -> None:
    home, at = await room(ground), ground.room / ".moment" / "notes"
    await ground.files.make_folder(at.parent, None, 0o700)
    assert await ground.moments.can_hold(home)
    await ground.moments.hold(home, at)
    await ground.files.write(home / "srv" / "note", "after")
    await ground.files.write(home / "srv" / "more", "after")
    assert await ground.files.read(at / "srv" / "note") == "before"
    assert not await ground.files.exists(at / "srv" / "more")
    assert await ground.files.measure(at) == (1, 6)
    await ground.moments.let_go(at)
    assert not await ground.files.exists(at)
    assert await ground.files.read(home / "srv" / "note") == "after"
    await ground.moments.let_go(at)


async def test_nothing_is_held_where_something_is(ground: Ground) -> None:
    home, at = await room(ground), ground.room / "there"
    await ground.files.make_folder(at, None, 0o700)
    await ground.files.write(at / "mine", "mine")
    with pytest.raises(GardienError):
        await ground.moments.hold(home, at / "mine")
    assert await ground.files.read(at / "mine") == "mine"


async def test_an_ordinary_folder_has_no_moment(ground: Ground) -> None:
    home = ground.room / "ordinary"
    await ground.files.make_folder(home, None, 0o700)
    assert not await ground.moments.can_hold(home)
    await ground.moments.make_room(home)
    assert not await ground.moments.can_hold(home), "what is there stays what it is"
    assert not await ground.moments.can_hold(ground.room / "nowhere")
    await ground.moments.make_room(ground.room / "nowhere" / "in it")
    assert not await ground.files.exists(ground.room / "nowhere")


async def test_what_would_be_missing_from_it_is_noticed(ground: Ground) -> None:
    home = await room(ground)
    await ground.moments.make_room(home / "srv" / "inner")
    assert not await ground.moments.can_hold(home), "a subvolume in it would be empty"
    await ground.files.remove(home / "srv" / "inner")
    assert await ground.moments.can_hold(home)
    other = await room(ground, "other")
    ground.mount(other / "srv")
    assert not await ground.moments.can_hold(other), "a disk in it would be empty"


async def test_a_room_moves_like_any_folder(ground: Ground) -> None:
    home = await room(ground)
    await ground.files.make_folder(ground.room / ".kept", None, 0o700)
    await ground.files.move(home, ground.room / ".kept" / "notes-1")
    await ground.files.move(ground.room / ".kept" / "notes-1", home)
    assert await ground.moments.can_hold(home)
    await ground.files.remove(home)
    assert not await ground.files.exists(home)


async def test_on_another_file_system_nothing_happens(tmp_path: Path) -> None:
    moments = Btrfs(LocalFiles())
    await moments.make_room(tmp_path / "notes")
    assert not (tmp_path / "notes").exists()
    (tmp_path / "notes").mkdir()
    assert not await moments.can_hold(tmp_path / "notes")
    with pytest.raises(GardienError):
        await moments.hold(tmp_path / "notes", tmp_path / "moment")
    await moments.let_go(tmp_path / "notes")
    assert not (tmp_path / "notes").exists(), "what is there in its place is cleared away, too"


def test_with_the_rights_of_the_unit(disk: Path) -> None:
    """Without CAP_SYS_ADMIN a snapshot is not deleted in one stroke: it is emptied, and then removed."""
    home, at = disk / "rights", disk / "rights-moment"
    script = f"""
import asyncio
from pathlib import Path
from gardien.adapters.btrfs import Btrfs, _destroyed
from gardien.adapters.files import LocalFiles
async def main():
    moments, home, at = Btrfs(LocalFiles()), Path({str(home)!r}), Path({str(at)!r})
    await moments.make_room(home)
    for number in range(30):
        (home / str(number % 3)).mkdir(exist_ok=True)
        (home / str(number % 3) / str(number)).write_text("x" * 5000)
    assert await moments.can_hold(home)
    await moments.hold(home, at)
    assert not _destroyed(at), "this is not the case that was to be tried"
    assert len(list(at.rglob("*"))) == 33
    await moments.let_go(at)
    assert not at.exists() and len(list(home.rglob("*"))) == 33
asyncio.run(main())
"""
    rights = ["setpriv", "--no-new-privs", "--inh-caps=-all", f"--bounding-set=-all,{RIGHTS}"]
    subprocess.run([*rights, sys.executable, "-c", script], check=True, timeout=60, env=os.environ)


# -- a stack on it


@pytest.fixture(scope="module")
def machine() -> Iterator[Box]:
    with box() as made:
        made.root.joinpath("disk").mkdir()
        with btrfs(made.root / "disk") as at:
            made.settings["folders"]["data"] = str(at)
            made.save_settings()
            made.data.symlink_to(at)
            made.start()
            made.gardien("target", "init", "host")
            lay_out(made)
            add(made)
            for number in range(200):
                folder = made.data / "notes" / "srv" / f"{number % 7}"
                folder.mkdir(exist_ok=True)
                (folder / f"{number}").write_text(f"note {number}\n" * 20)
            made.until_well("notes")
            yield made
            made.stop()
            made.remove_containers()


def texts(machine: Box) -> dict[str, str]:
    srv = machine.data / "notes" / "srv"
    return {str(path.relative_to(srv)): path.read_text() for path in srv.rglob("*") if path.is_file()}


def open_again(machine: Box) -> None:
    assert (machine.data / "notes/srv/paused").read_text().strip() == ""
    assert not list((machine.data / ".moment").iterdir()), "a held moment was left lying about"
    assert not (machine.data / "notes/.gardien/dumps").exists(), "a plain dump was left lying about"


def test_saved_from_a_moment_and_brought_back(machine: Box) -> None:
    plan = machine.json("backup", "create", "notes", "--dry-run")
    assert tuple(step["name"] for step in plan["steps"]) == STEPS
    (machine.data / "notes" / "srv" / "film").write_text(os.urandom(200_000).hex())
    machine.gardien("backup", "create", "notes")
    open_again(machine)
    machine.gardien("backup", "create", "notes")
    second, first = machine.json("backup", "list", "notes")[:2]
    assert first["good"] and second["good"] and second["files"] == first["files"]
    assert second["added"] < first["added"] / 3, "nothing changed: restic did not find the former one"

    before = texts(machine)
    shutil.rmtree(machine.data / "notes" / "srv" / "3")
    (machine.data / "notes" / "srv" / "database").write_text("-- whole, but another one")
    machine.gardien("restore", "notes", "--yes")
    after = texts(machine)
    assert {**after, "paused": ""} == {**before, "paused": ""}
    assert tuple(step["name"] for step in machine.json("backup", "create", "notes", "--dry-run")["steps"]) == STEPS
    (machine.data / "notes/srv/paused").write_text("\n")  # it was saved in its pause


def test_a_subvolume_within_means_two_passes(machine: Box) -> None:
    inner = machine.data / "notes" / "srv" / "inner"
    subprocess.run(["btrfs", "--quiet", "subvolume", "create", str(inner)], check=True)
    try:
        (inner / "note").write_text("must not be missing")
        plan = machine.json("backup", "create", "notes", "--dry-run")
        assert "moment" not in {step["name"] for step in plan["steps"]}
    finally:
        subprocess.run(["btrfs", "--quiet", "subvolume", "delete", str(inner)], check=True)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(machine: Box, step: str, moment: str) -> None:
    before = texts(machine)
    die_at(machine, f"backup/{step}/{moment}", "backup", "create", "notes")
    machine.start()
    job = machine.until_jobs_end()[0]
    assert job["state"] in ("interrupted", "done"), job
    assert job["state"] == ("done" if STEPS.index(step) >= STEPS.index("resume") else "interrupted")
    machine.until_well("notes")
    open_again(machine)
    until(lambda: leases(machine) == "", 10)
    assert texts(machine) == before
    machine.gardien("backup", "create", "notes")
    assert machine.json("backup", "list", "notes")[0]["good"]
    open_again(machine)

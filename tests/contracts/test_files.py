"""What all files keep to: those of a disk and those in memory."""

import asyncio
import os
import socket
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.adapters import files as adapter
from gardien.adapters.files import LocalFiles, OnlyOne
from gardien.errors import Busy, DiskMissing, GardienError, NoSpace, NotFound, Refused
from gardien.services.ports import Files
from tests.contracts.small_disk import small_disk
from tests.fakes import FakeFiles, Leaf


@pytest.fixture(params=["disk", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "disk":
        return LocalFiles()
    fake = FakeFiles(lambda: datetime.now(UTC))
    fake.put(tmp_path, Leaf(None, 0o700))
    return fake


async def test_what_is_written_is_read(files: Files, tmp_path: Path) -> None:
    file = tmp_path / "a file"
    assert await files.read(file) is None
    assert not await files.exists(file)
    await files.write(file, "one\n")
    await files.write(file, "zwei\n", 0o644)
    assert await files.read(file) == "zwei\n"
    assert await files.exists(file)
    assert await files.measure(tmp_path) == (1, 5)


async def test_writing_needs_a_folder(files: Files, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        await files.write(tmp_path / "nowhere" / "file", "text")
    assert str(tmp_path) in str(caught.value)


async def test_folders_are_made_with_their_parents(files: Files, tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    await files.make_folder(deep, (os.getuid(), os.getgid()), 0o750)
    await files.make_folder(deep, (os.getuid(), os.getgid()), 0o711)
    await files.write(deep / "file", "x")
    await files.make_folder(deep, (os.getuid(), os.getgid()), 0o700)
    assert await files.read(deep / "file") == "x"


async def test_trees_are_copied_whole(files: Files, tmp_path: Path) -> None:
    me = (os.getuid(), os.getgid())
    source, to = tmp_path / "source", tmp_path / "to"
    await files.make_folder(source / "sub", me, 0o755)
    await files.write(source / "sub" / "file", "new", 0o644)
    await files.copy_tree(source, to)
    assert await files.read(to / "sub" / "file") == "new"
    await files.write(to / "extra", "old")
    await files.write(source / "top", "more")
    await files.copy_tree(source, to)
    assert await files.read(to / "extra") is None
    assert await files.read(to / "top") == "more"
    assert await files.measure(to) == (2, 7)
    assert await files.measure(tmp_path) == (4, 14), "something was left beside"


async def test_copying_nothing_changes_nothing(files: Files, tmp_path: Path) -> None:
    await files.make_folder(tmp_path / "to", (os.getuid(), os.getgid()), 0o700)
    await files.write(tmp_path / "to" / "file", "old")
    with pytest.raises(NotFound):
        await files.copy_tree(tmp_path / "gone", tmp_path / "to")
    assert await files.read(tmp_path / "to" / "file") == "old"


async def test_moving(files: Files, tmp_path: Path) -> None:
    me = (os.getuid(), os.getgid())
    await files.make_folder(tmp_path / "one", me, 0o700)
    await files.write(tmp_path / "one" / "file", "x")
    await files.move(tmp_path / "one", tmp_path / "two")
    assert await files.read(tmp_path / "two" / "file") == "x"
    assert not await files.exists(tmp_path / "one")
    await files.move(tmp_path / "one", tmp_path / "two")  # again, after a crash
    assert await files.read(tmp_path / "two" / "file") == "x"
    await files.make_folder(tmp_path / "three", me, 0o700)
    with pytest.raises(Refused):
        await files.move(tmp_path / "two", tmp_path / "three")
    with pytest.raises(NotFound):
        await files.move(tmp_path / "four", tmp_path / "five")
    with pytest.raises(NotFound):
        await files.move(tmp_path / "two", tmp_path / "no" / "folder")
    assert await files.read(tmp_path / "two" / "file") == "x"


async def test_removing(files: Files, tmp_path: Path) -> None:
    await files.make_folder(tmp_path / "tree" / "sub", (os.getuid(), os.getgid()), 0o700)
    await files.write(tmp_path / "tree" / "sub" / "file", "x")
    await files.write(tmp_path / "tree.txt", "beside")
    await files.remove(tmp_path / "tree")
    assert not await files.exists(tmp_path / "tree")
    assert not await files.exists(tmp_path / "tree" / "sub" / "file")
    await files.remove(tmp_path / "tree")
    await files.remove(tmp_path / "tree.txt")
    assert not await files.exists(tmp_path / "tree.txt")


async def test_tails(files: Files, tmp_path: Path) -> None:
    assert await files.tail(tmp_path / "dump") == ""
    await files.write(tmp_path / "dump", "x" * 10_000 + "\n-- Dump completed é\n")
    assert (await files.tail(tmp_path / "dump", 30)).endswith("x\n-- Dump completed é\n")
    assert len(await files.tail(tmp_path / "dump")) < 4100
    assert len(await files.tail(tmp_path / "dump", 20_000)) == 10_000 + 21


async def test_measuring_nothing(files: Files, tmp_path: Path) -> None:
    assert await files.measure(tmp_path / "gone") == (0, 0)


async def test_what_is_older(files: Files, tmp_path: Path) -> None:
    assert await files.older_than(tmp_path / "gone", datetime.now(UTC)) == []
    await files.make_folder(tmp_path / "kept" / "one", (os.getuid(), os.getgid()), 0o700)
    await files.write(tmp_path / "kept" / "two", "x")
    await files.write(tmp_path / "kept" / "one" / "inner", "x")
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert await files.older_than(tmp_path / "kept", soon) == [tmp_path / "kept" / "one", tmp_path / "kept" / "two"]
    assert await files.older_than(tmp_path / "kept", soon - timedelta(hours=1)) == []


# -- of the real one alone


@pytest.fixture
def local() -> LocalFiles:
    return LocalFiles()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o077])
async def test_modes_do_not_depend_on_the_umask(local: LocalFiles, tmp_path: Path, umask: int) -> None:
    former = os.umask(umask)
    try:
        await local.write(tmp_path / "private", "x")
        await local.write(tmp_path / "public", "x", 0o644)
        await local.make_folder(tmp_path / "folder", (33, 44), 0o2755)
        (tmp_path / "tree" / "sub").mkdir(parents=True)
        (tmp_path / "tree" / "sub" / "hook").write_text("#!/bin/sh\n")
        (tmp_path / "tree" / "sub" / "hook").chmod(0o755)
        (tmp_path / "tree" / "text").write_text("x")
        (tmp_path / "tree" / "text").chmod(0o666)
        (tmp_path / "tree" / "link").symlink_to("text")
        await local.copy_tree(tmp_path / "tree", tmp_path / "copy")
    finally:
        os.umask(former)
    assert mode(tmp_path / "private") == 0o600
    assert mode(tmp_path / "public") == 0o644
    facts = (tmp_path / "folder").stat()
    assert (facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)) == (33, 44, 0o2755)
    copy = tmp_path / "copy"
    assert [mode(copy / name) for name in (".", "sub", "sub/hook", "text")] == [0o755, 0o755, 0o755, 0o644]
    assert (copy / "link").readlink() == Path("text")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["copy", "folder", "private", "public", "tree"]


async def test_a_copy_replaces_in_one_stroke_or_in_steps(
    local: LocalFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").write_text("new")
    for _ in range(2):
        (tmp_path / "to").mkdir(exist_ok=True)
        (tmp_path / "to" / "file").write_text("old")
        await local.copy_tree(tmp_path / "new", tmp_path / "to")
        assert (tmp_path / "to" / "file").read_text() == "new"
        assert sorted(each.name for each in tmp_path.iterdir()) == ["new", "to"]

        def cannot(*_: object) -> None:
            raise OSError(22, "Invalid argument")

        monkeypatch.setattr(adapter, "_rename", cannot)


async def test_what_a_crash_left_is_swept(local: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / ".file.gardien-new").write_text("half")
    (tmp_path / ".to.gardien-new" / "sub").mkdir(parents=True)
    (tmp_path / "source").mkdir()
    await local.write(tmp_path / "file", "whole")
    await local.copy_tree(tmp_path / "source", tmp_path / "to")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file", "source", "to"]


async def test_removing_stays_inside(local: LocalFiles, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "link").symlink_to(outside)
    (tmp_path / "link").symlink_to(outside)
    await local.remove(tmp_path / "tree")
    await local.remove(tmp_path / "link")
    assert (outside / "file").read_text() == "x"
    assert [each.name for each in tmp_path.iterdir()] == ["outside"]


@pytest.mark.parametrize("how", ["bind", "disk"])
async def test_removing_does_not_cross_a_mount(local: LocalFiles, tmp_path: Path, how: str) -> None:
    tree = tmp_path / "a tree"
    mount = tree / "sub" / "a mount"
    mount.mkdir(parents=True)
    (tree / "file").write_text("x")
    if how == "bind":
        (tmp_path / "precious").mkdir()
        subprocess.run(["mount", "--bind", str(tmp_path / "precious"), str(mount)], check=True)
    else:
        subprocess.run(["mount", "-t", "tmpfs", "none", str(mount)], check=True)
    try:
        (mount / "photo").write_text("x")
        for path in (tree, tree / "sub", mount):
            with pytest.raises(Refused) as caught:
                await local.remove(path)
            assert "a mount" in str(caught.value)
        assert (mount / "photo").exists()
        assert (tree / "file").exists(), "something was removed before it was refused"
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    await local.remove(tree)
    assert not tree.exists()


async def test_odd_names_are_removed_and_measured(local: LocalFiles, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (b"new\nline", b"\xff\xfe", "né 🌱".encode(), b"-rf", b"*"):
        (tree / os.fsdecode(name)).write_text("12345")
    os.mkfifo(tree / "fifo")
    (tree / "link").symlink_to("/etc")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tree / "socket"))
    (tree / "deep" / "er").mkdir(parents=True)
    (tree / "deep" / "er" / "file").write_bytes(b"x" * 1000)
    assert await local.measure(tree) == (9, 1025)
    await local.remove(tree)
    assert list(tmp_path.iterdir()) == []


async def test_a_cancelled_removal_has_stopped(local: LocalFiles, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for folder in range(60):
        (tree / str(folder)).mkdir(parents=True)
        for file in range(60):
            (tree / str(folder) / str(file)).touch()
    task = asyncio.create_task(local.remove(tree))
    while len(list(tree.iterdir())) == 60:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = await local.measure(tree)
    assert left[0] > 0
    await asyncio.sleep(0.1)
    assert await local.measure(tree) == left, "it goes on though it was cancelled"


async def test_a_full_disk_keeps_the_old_file(local: LocalFiles, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        await local.write(disk / "file", "old")
        with pytest.raises(NoSpace) as caught:
            await local.write(disk / "file", "x" * (4 << 20))
        assert caught.value.remedy.text
        assert (disk / "file").read_text() == "old"
        (tmp_path / "big").mkdir()
        (tmp_path / "big" / "file").write_bytes(b"x" * (4 << 20))
        (disk / "to").mkdir()
        with pytest.raises(NoSpace):
            await local.copy_tree(tmp_path / "big", disk / "to")
        assert sorted(each.name for each in disk.iterdir()) == ["file", "lost+found", "to"]


async def test_a_disk_that_cannot_be_written_to(local: LocalFiles, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(DiskMissing) as caught:
            await local.write(disk / "file", "x")
        assert "plugged in" in str(caught.value.remedy)


async def test_other_refusals_name_the_path_asked_for_only(local: LocalFiles, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GardienError) as caught:
        await local.make_folder(tmp_path / "file", (0, 0), 0o700)
    assert str(tmp_path / "file") in str(caught.value)


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "run" / "lock"
    held = OnlyOne(path)
    with pytest.raises(Busy) as caught:
        OnlyOne(path)
    assert str(os.getpid()) in str(caught.value)
    held.close()
    OnlyOne(path).close()
    script = f"from pathlib import Path; from gardien.adapters.files import OnlyOne; l = OnlyOne(Path({str(path)!r}))"
    script += "; print('held', flush=True); input()"
    other = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Busy, match=str(other.pid)):
            OnlyOne(path)
        other.kill()
    OnlyOne(path).close()

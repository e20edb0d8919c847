"""What comes back is held against the snapshot's own list; what has power over a machine is taken out of it."""

import os
import socket
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from gardien.adapters.files import LocalFiles
from gardien.errors import NotFound
from gardien.model.snapshot import Likeness
from gardien.services.ports import Files
from tests.contracts.grounds import ME, Ground
from tests.fakes import FakeFiles, Leaf
from tests.world.practice import plant

near = pytest.mark.parametrize("where", ["folder", "fake"])
CANARY = "like and unlike"


@pytest.fixture
def g(request: pytest.FixtureRequest, where: str) -> Ground:
    """The shared repository of that kind."""
    made: Ground = request.getfixturevalue(where)
    return made


async def came_back(g: Ground, name: str, folder: Path) -> tuple[str, Path]:
    """A snapshot of the folder, and where it was restored to."""
    saved = await g.save(folder, f"stack={name}")
    to = g.root / "data" / f"{name} side"
    await g.bring_back(saved.id, folder, to)
    return saved.id, to


@near
async def test_the_same_is_like_and_what_is_not_is_named(g: Ground) -> None:
    folder = await g.fill("compared", a="one", sub__b="two", sub__c="three")
    id_, to = await came_back(g, "compared", folder)
    assert await g.restic.compare("host", id_, str(folder), to) == Likeness(3, 11, 0)
    await g.files.remove(to / "sub" / "b")
    await g.files.write(to / "extra", "")
    await g.files.make_folder(to / "sub", ME, 0o700)
    found = await g.restic.compare("host", id_, str(folder), to)
    assert (found.files, found.bytes) == (3, 11)
    assert found.wrong >= 3
    assert {"sub/b", "sub"} <= set(found.named)


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b".")


def _folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir(0o600)


CHANGES: dict[str, Callable[[Path], None]] = {
    "size": _longer,
    "mode": lambda path: path.chmod(0o611),
    "owner": lambda path: os.chown(path, 12, -1),
    "group": lambda path: os.chown(path, -1, 12),
    "time": lambda path: os.utime(path, ns=(0, path.stat().st_mtime_ns + 1)),
    "kind": _folder_instead,
    "gone": lambda path: path.unlink(),
}


@pytest.fixture(scope="module")
def odd(folder: Ground, tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """A practice's files with all their odd names, owners, modes, links, attributes."""
    plant(folder.root / "data" / "odd", CANARY, 60)
    return folder


async def test_every_single_difference_is_seen(odd: Ground) -> None:
    """Names of any bytes, links, hard links, empty folders are like; then one thing at a time is not."""
    folder = odd.root / "data" / "odd"
    for name in ("pipe", "sock"):
        with suppress(FileNotFoundError):
            (folder / name).unlink()
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "sock"))
    id_, to = await came_back(odd, "odd", folder)

    async def differing() -> tuple[int, tuple[str, ...]]:
        found = await odd.restic.compare("host", id_, str(folder), to)
        return found.wrong, found.named

    assert await differing() == (0, ())
    victim = next(path for path in sorted(to.rglob("*.txt*")) if path.stat().st_nlink == 1 and not path.is_symlink())
    name = str(victim.relative_to(to))
    for what, change in CHANGES.items():
        before, content = victim.stat(), victim.read_bytes()
        parent = victim.parent.stat()
        change(victim)
        os.utime(victim.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))
        assert await differing() == (1, (name,)), what
        with suppress(OSError):
            victim.rmdir()
        victim.write_bytes(content)
        os.chown(victim, before.st_uid, before.st_gid)
        victim.chmod(stat.S_IMODE(before.st_mode))
        os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
        os.utime(victim.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))
    assert await differing() == (0, ())

    link = next(path for path in sorted(to.rglob("dangling*")) if path.is_symlink())
    times, parent = link.lstat(), link.parent.stat()
    link.unlink()
    link.symlink_to("/nowhere/at al1")
    os.utime(link, ns=(times.st_atime_ns, times.st_mtime_ns), follow_symlinks=False)
    os.utime(link.parent, ns=(parent.st_atime_ns, parent.st_mtime_ns))
    assert await differing() == (1, (str(link.relative_to(to)),))


async def test_what_has_power_is_taken_out_and_told(odd: Ground) -> None:
    """Devices, set-id files, a program's capabilities; what a link leads to is not touched."""
    folder = odd.root / "data" / "armed"
    (folder / "deep").mkdir(parents=True)
    outside = odd.root / "outside"
    outside.write_text("x")
    outside.chmod(0o4755)
    (folder / "deep" / "link").symlink_to(outside)
    for name, mode in (("root shell", 0o6755), ("plain", 0o755), ("capable", 0o755)):
        (folder / "deep" / name).write_text(name)
        (folder / "deep" / name).chmod(mode)
    subprocess.run(["setcap", "cap_sys_admin+ep", str(folder / "deep" / "capable")], check=True)
    os.mknod(folder / "deep" / "disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    os.mknod(folder / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    (folder / "shared").mkdir()
    (folder / "shared").chmod(0o2770)

    id_, to = await came_back(odd, "armed", folder)
    assert (to / "deep" / "disk").is_block_device()
    tamed = await odd.files.tame(to)
    assert sorted(tamed) == ["deep/capable", "deep/disk", "deep/root shell", "zero"]
    assert await odd.files.tame(to) == []
    found = await odd.restic.compare("host", id_, str(folder), to)
    assert (found.wrong, found.named) == (0, ())
    assert sorted(found.left_out) == ["deep/disk", "deep/root shell", "zero"]
    assert not (to / "zero").exists()
    assert stat.S_IMODE((to / "deep" / "root shell").stat().st_mode) == 0o755
    assert os.listxattr(to / "deep" / "capable") == []
    assert stat.S_IMODE((to / "shared").stat().st_mode) == 0o2770
    assert stat.S_IMODE(outside.stat().st_mode) == 0o4755


@pytest.fixture(params=["disk", "fake"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "disk":
        return LocalFiles()
    fake = FakeFiles()
    fake.put(tmp_path, Leaf(None, 0o700))
    return fake


async def test_what_lies_where(files: Files, tmp_path: Path) -> None:
    await files.make_folder(tmp_path / "a" / "b", ME, 0o700)
    await files.write(tmp_path / "a" / "file", "x", 0o4755)
    asked = {"a/b": "folder", "a/file": "file", "a/none": "", "none/at/all": ""}
    assert {path: await files.kind_beneath(tmp_path, PurePosixPath(path)) for path in asked} == asked
    await files.write_down(tmp_path / "a")
    with pytest.raises(NotFound):
        await files.write_down(tmp_path / "none")
    assert await files.tame(tmp_path) == ["a/file"]
    assert await files.tame(tmp_path) == []


async def test_no_link_is_a_way(tmp_path: Path) -> None:
    (tmp_path / "top" / "real").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    for name, aim in (("out", "/etc"), ("file", "../secret"), ("inside", "real"), ("loop", "loop")):
        (tmp_path / "top" / name).symlink_to(aim)
    os.mkfifo(tmp_path / "top" / "pipe")
    asked = {
        "out/passwd": "link",
        "file": "link",
        "inside": "link",
        "inside/x": "link",
        "loop/x": "link",
        "pipe": "other",
        "../secret": "other",
        "/etc/passwd": "other",
    }
    found = {path: await LocalFiles().kind_beneath(tmp_path / "top", PurePosixPath(path)) for path in asked}
    assert found == asked

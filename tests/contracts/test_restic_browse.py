"""What looking into a snapshot keeps to, at every kind of host: one file and one folder come back as they were."""

import asyncio
import io
import json
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

from gardien.adapters.files import LocalFiles
from gardien.adapters.files_beneath import FilesBeneath
from gardien.adapters.listings import KEPT, SqliteListings
from gardien.errors import Damaged, GardienError, NotFound, Refused
from gardien.model.job import Progress
from gardien.services.ports import Files
from gardien.services.ports_inside import Beneath
from tests.contracts.grounds import ME, Ground, forward
from tests.fakes import FakeFiles, Leaf
from tests.fakes_inside import FakeBeneath

every = pytest.mark.parametrize("where", ["folder", "sftp", "s3", "rest", "fake"])
real = pytest.mark.parametrize("where", ["folder", "sftp", "s3", "rest"])
near = pytest.mark.parametrize("where", ["folder", "fake"])

ODD = ("new\nline", "trailing space ", "star*[br]?\\", "été 🌿", "-dash", "\u202ertl", "bytes-\udcff\udcfe", "x" * 250)


@pytest.fixture
def g(request: pytest.FixtureRequest, where: str) -> Ground:
    """The shared repository of that kind."""
    made: Ground = request.getfixturevalue(where)
    return made


async def all_of(chunks: AsyncGenerator[bytes]) -> bytes:
    async with aclosing(chunks):
        return b"".join([chunk async for chunk in chunks])


async def part(g: Ground, snapshot: str, folder: Path, name: str, to: Path, *leave_out: str) -> None:
    told: list[Progress] = []
    await g.restic.bring_back_part(
        "host", snapshot, folder=str(folder), name=name, leave_out=leave_out, to=to, progress=told.append
    )
    forward(told)


@every
async def test_a_listing_names_all_there_is(g: Ground) -> None:
    folder = await g.fill("listed", b="two", a="one", sub__c="three")
    saved = await g.save(folder, "stack=listed")
    lines = [json.loads(line) for line in (await all_of(g.restic.listed("host", saved.id))).splitlines()]
    assert lines[0]["paths"] == [str(folder)]
    nodes = {each["path"]: each for each in lines[1:] if Path(each["path"]).is_relative_to(folder)}
    below = ["", "/a", "/b", "/sub", "/sub/c"]
    assert list(nodes) == [f"{folder}{each}" for each in below], "depth first, by name"
    assert [each["type"] for each in nodes.values()] == ["dir", "file", "file", "dir", "file"]
    assert nodes[f"{folder}/sub/c"]["size"] == 5
    assert await g.restic.names("host", saved.id, str(folder)) == ["a", "b", "sub"]


@every
async def test_a_file_and_a_folder_can_be_taken_away(g: Ground) -> None:
    folder = await g.fill("taken", a="one", sub__b="two " * 1000, sub__deep__c="three")
    saved = await g.save(folder, "stack=taken")
    assert await all_of(g.restic.dumped("host", saved.id, f"{folder}/sub/b")) == b"two " * 1000
    zipped = zipfile.ZipFile(io.BytesIO(await all_of(g.restic.dumped("host", saved.id, f"{folder}/sub", "zip"))))
    assert {name: zipped.read(name) for name in zipped.namelist() if not name.endswith("/")} == {
        "b": b"two " * 1000,
        "deep/c": b"three",
    }
    packed = io.BytesIO(await all_of(g.restic.dumped("host", saved.id, f"{folder}/sub", "tar")))
    with tarfile.open(fileobj=packed) as tar:
        assert {each.name for each in tar if each.isreg()} == {"b", "deep/c"}
    with pytest.raises(GardienError):
        await all_of(g.restic.dumped("host", saved.id, f"{folder}/nothing"))
    with pytest.raises(NotFound):
        await all_of(g.restic.listed("host", "0" * 64))


@every
async def test_a_part_comes_back_alone(g: Ground) -> None:
    folder = await g.fill("parts", a="one", ab="x", sub__b="two", sub__left="out", sub__deep__c="three")
    saved = await g.save(folder, "stack=parts")
    one, two = g.root / "data" / "side" / "file", g.root / "data" / "side" / "folder"
    for each in (one, two):
        await g.files.make_folder(each, ME, 0o700)
    await part(g, saved.id, folder, "a", one)
    await part(g, saved.id, folder, "sub", two, "sub/left")
    assert await g.files.measure(one) == (1, 3)
    assert await g.files.read(one / "a") == "one"
    assert await g.files.measure(two) == (2, 8)
    assert await g.files.read(two / "sub" / "deep" / "c") == "three"
    with pytest.raises(GardienError):
        await part(g, saved.id, folder, "nothing", one)


@real
async def test_it_is_what_it_was(g: Ground, tmp_path: Path) -> None:
    """Contents, owners, modes, times, extended attributes, odd names: of one file, and of one folder with its own."""
    source = await g.fill("exact", a="x")
    home = source / "patients"
    home.mkdir()
    for number, name in enumerate(ODD):
        file = home / name
        file.write_bytes(f"{number}".encode() * 1000)
        os.setxattr(file, "user.note", name.encode("utf-8", "surrogateescape")[:60])
        os.chown(file, 1000 + number, 33)
        file.chmod((0o600, 0o644, 0o1755, 0o400)[number % 4])
        os.utime(file, ns=(1, 1_500_000_000_987_654_321 + number))
    (home / "link").symlink_to("/nowhere/at all")
    os.setxattr(home, "user.note", b"of the folder")
    os.chown(home, 33, 34)
    home.chmod(0o750)
    os.utime(home, ns=(1, 1_400_000_000_123_456_789))
    saved = await g.save(source, "stack=exact")
    names = await g.restic.names("host", saved.id, str(home))
    assert sorted(names) == sorted([*ODD, "link"])
    to = g.root / "data" / "side" / "exact"
    to.mkdir(parents=True)
    await part(g, saved.id, source, "patients", to)
    assert {str(each.relative_to(to)): facts(each) for each in walk(to)} == {
        str(each.relative_to(source)): facts(each) for each in walk(home)
    }
    if where_is_near(g):  # every host gives back the same bytes; each name costs a second
        for name in ODD[:3] + ODD[6:7]:
            single = g.root / "data" / "side" / "single" / str(ODD.index(name))
            single.mkdir(parents=True)
            await part(g, saved.id, home, name, single)
            assert [each.name for each in single.iterdir()] == [name]
            assert facts(single / name) == facts(home / name)
            assert await all_of(g.restic.dumped("host", saved.id, f"{home}/{name}")) == (home / name).read_bytes()


def where_is_near(g: Ground) -> bool:
    return g.host is None and g.store is None and g.rest is None


def walk(folder: Path) -> list[Path]:
    found = [folder] if folder.name == "patients" else []
    return found + sorted(folder.rglob("*"))


def facts(path: Path) -> tuple[Any, ...]:
    seen = path.lstat()
    kind = stat.S_IFMT(seen.st_mode)
    content: object = path.read_bytes() if path.is_file() else str(path.readlink()) if path.is_symlink() else None
    attributes = {
        name: os.getxattr(path, name, follow_symlinks=False) for name in os.listxattr(path, follow_symlinks=False)
    }
    mode = stat.S_IMODE(seen.st_mode)
    return kind, mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns, content, attributes


async def test_threat_10_a_part_without_its_devices(folder: Ground) -> None:
    """What no application needs is not made again, wherever it lies and however it is called."""
    source = await folder.fill("devices", sub__good="x", sub__deep__better="y")
    home = source / "sub"
    os.mknod(home / "a [tty]*", 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    os.mkfifo(home / "deep" / "pipe")
    saved = await folder.save(source, "stack=devices")
    to = folder.root / "data" / "side" / "devices"
    to.mkdir(parents=True)
    await part(folder, saved.id, source, "sub", to, "sub/a [tty]*", "sub/deep/pipe")
    assert sorted(str(each.relative_to(to)) for each in to.rglob("*")) == [
        *("sub", "sub/deep", "sub/deep/better", "sub/good"),
    ]


async def test_who_stops_reading_ends_restic(folder: Ground) -> None:
    """What is not taken waits in restic, not in our memory; and nothing is left of it."""
    source = await folder.fill("stopped", a="x")
    (source / "film").write_bytes(os.urandom(24 << 20))
    saved = await folder.save(source, "stack=stopped")
    before = psutil.Process().memory_info().rss
    chunks = folder.restic.dumped("host", saved.id, f"{source}/film")
    assert await anext(chunks)
    await asyncio.sleep(1)
    assert psutil.Process().memory_info().rss - before < 8 << 20
    assert restics()
    await chunks.aclose()
    assert not restics()
    task = asyncio.create_task(all_of(folder.restic.dumped("host", saved.id, f"{source}/film")))
    while not restics():
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not restics()


def restics() -> list[psutil.Process]:
    """Those that we started and that live."""
    return [each for each in psutil.Process().children(recursive=True) if each.name() == "restic"]


# -- listings


async def lines_of(*nodes: dict[str, Any], top: str = "/srv/n") -> AsyncGenerator[bytes]:
    lines = [{"message_type": "snapshot", "paths": [top]}, node("/srv", "dir"), node(top, "dir"), *nodes]
    text = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for start in range(0, len(text), 100):  # chunks know nothing of lines
        yield text[start : start + 100]


def node(path: str, kind: str = "file", name: str | None = None) -> dict[str, Any]:
    shown = path.rpartition("/")[2] if name is None else name
    return {"message_type": "node", "name": shown, "type": kind, "path": path, "size": 7, "mode": 0o100644}


async def test_threat_10_names_that_lead_elsewhere_are_never_listed(tmp_path: Path) -> None:
    """Such a listing comes of no honest restic."""
    listings = SqliteListings(tmp_path / "listings")
    bad = [
        *(node(f"/srv/n/{name}", name=name) for name in ("..", ".", "", "a/b")),
        node("/srv/n/x", name="../../etc/passwd"),
        node("/etc/shadow"),
        node("/srv/n/evil/.ssh", "dir", name="../.ssh"),
        node("/srv/n/evil/.ssh/key"),
        node("/srv/n/dev", "chardev"),
    ]
    await listings.take("a" * 64, lines_of(node("/srv/n/good"), *bad, node("/srv/n/z")), lambda _: None)
    folder = await listings.folder("a" * 64, 0)
    assert [(each.name, each.kind) for each in folder.entries] == [("dev", "special"), ("good", "file"), ("z", "file")]
    assert (await listings.beneath("a" * 64, 0)).files == 2
    assert await listings.search("a" * 64, "ssh") == ()
    for number in range(1, 12):
        try:
            hit = await listings.entry("a" * 64, number)
        except NotFound:
            continue
        assert hit.entry.kind == "odd" or hit.entry.name in {"good", "dev", "z"}


async def test_threat_12_what_gardien_keeps_for_itself_is_not_shown(tmp_path: Path) -> None:
    listings = SqliteListings(tmp_path / "listings")
    ours = [node("/srv/n/.gardien", "dir"), node("/srv/n/.gardien/secrets.env"), node("/srv/n/a", "dir")]
    await listings.take("a" * 64, lines_of(*ours, node("/srv/n/a/.gardien")), lambda _: None)
    assert [each.name for each in (await listings.folder("a" * 64, 0)).entries] == ["a"]
    assert await listings.search("a" * 64, "secrets") == ()
    assert [hit.way[0].name for hit in await listings.search("a" * 64, ".gardien")] == ["a"]
    with pytest.raises(NotFound):
        await listings.folder("a" * 64, 1)
    with pytest.raises(NotFound):
        await listings.entry("a" * 64, 2)


async def test_a_listing_is_whole_or_not_there_and_few_are_kept(tmp_path: Path) -> None:
    listings = SqliteListings(tmp_path / "listings")

    async def empty() -> AsyncGenerator[bytes]:
        yield b'{"message_type":"snapshot","paths":["/srv/n"]}\n' + json.dumps(node("/srv", "dir")).encode()

    with pytest.raises(Damaged):
        await listings.take("b" * 64, empty(), lambda _: None)

    async def broken() -> AsyncGenerator[bytes]:
        yield b'{"message_type":"snapshot","paths":["/srv/n"]}\n'
        raise Damaged("cut")

    with pytest.raises(Damaged):
        await listings.take("b" * 64, broken(), lambda _: None)
    assert not await listings.holds("b" * 64)
    await listings.take("b" * 64, lines_of(node("/srv/n/a")), lambda _: None)
    (tmp_path / "listings" / f"1-{'b' * 64}.db").write_bytes(b"broken by a power cut" * 500)
    with pytest.raises(NotFound):
        await listings.folder("b" * 64, 0)
    assert not await listings.holds("b" * 64)
    for number in range(KEPT + 2):
        await listings.take(f"{number}" * 64, lines_of(node("/srv/n/a")), lambda _: None)
        os.utime(tmp_path / "listings" / f"1-{str(number) * 64}.db", (number, number))
    held = [await listings.holds(f"{number}" * 64) for number in range(KEPT + 2)]
    assert held == [False, False, True, True, True]
    assert {each.stat().st_mode & 0o777 for each in (tmp_path / "listings").iterdir()} == {0o600}
    assert (tmp_path / "listings").stat().st_mode & 0o777 == 0o700


async def test_a_large_folder_comes_in_pages(tmp_path: Path) -> None:
    listings, told = SqliteListings(tmp_path / "listings"), list[int]()
    nodes = [node(f"/srv/n/{number:05}") for number in range(3000)]
    await listings.take("c" * 64, lines_of(*nodes, node("/srv/n/x", "dir"), node("/srv/n/x/Été")), told.append)
    assert told[-1] <= 3002
    assert told == sorted(told)
    first, last = await listings.folder("c" * 64, 0, 0, 500), await listings.folder("c" * 64, 0, 3000, 500)
    assert (first.total, len(first.entries), first.entries[0].name) == (3001, 500, "x")
    assert [each.name for each in last.entries] == ["02999"]
    [hit] = await listings.search("c" * 64, "ETE")
    assert [each.name for each in (*hit.way, hit.entry)] == ["x", "Été"]
    assert await listings.search("c" * 64, "%") == ()
    assert await listings.position("c" * 64, 3000) == 2999
    summed = await listings.beneath("c" * 64, 3001)
    assert (summed.files, summed.bytes, summed.left_out) == (1, 7, 0)


# -- beneath


@pytest.fixture(params=["real", "fake"])
def ground_beneath(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Beneath, Files]:
    if request.param == "real":
        return FilesBeneath(tmp_path / "children"), LocalFiles()
    files = FakeFiles()
    files.put(tmp_path, Leaf(None, 0o755))
    return FakeBeneath(files), files


@pytest.mark.parametrize("there", [True, False])
async def test_put_and_taken_back(ground_beneath: tuple[Beneath, Files], tmp_path: Path, there: bool) -> None:
    """In one stroke, and again without harm: what died in between can be done again, or undone."""
    beneath, files = ground_beneath
    home, side = tmp_path / "home", tmp_path / "side"
    for folder in (home, side):
        await files.make_folder(folder, ME, 0o755)
    await files.write(side / "letter", "saved")
    if there:
        await files.make_folder(home / "a", ME, 0o755)
        await files.make_folder(home / "a" / "b", ME, 0o755)
        await files.write(home / "a" / "b" / "letter", "present")
    parts, above = ["a", "b", "letter"], [(*ME, 0o750), (*ME, 0o700)]
    place = await beneath.look(home, parts)
    assert (place.there, place.missing) == (there, 0 if there else 2)
    mark = await beneath.mark(side / "letter")
    await beneath.take_back(home, parts, side / "letter", mark, place.missing)
    assert await files.read(side / "letter") == "saved"
    for _ in range(2):
        await beneath.put(home, parts, side / "letter", mark, above)
        assert await files.read(home / "a" / "b" / "letter") == "saved"
        assert await files.read(side / "letter") == ("present" if there else None)
    for _ in range(2):
        await beneath.take_back(home, parts, side / "letter", mark, place.missing)
        assert await files.read(home / "a" / "b" / "letter") == ("present" if there else None)
        assert await files.read(side / "letter") == "saved"
        assert await files.exists(home / "a") is there
    await beneath.set_aside(side, tmp_path / "kept")
    await beneath.set_aside(side, tmp_path / "kept")
    assert await files.read(tmp_path / "kept" / "letter") == "saved"


async def test_set_aside_to_another_file_system(tmp_path: Path) -> None:
    """As to another subvolume of btrfs: copied, and gone only then; a copy that was cut short is made anew."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        side, kept = Path(other) / "side", tmp_path / "kept"
        assert Path(other).stat().st_dev != tmp_path.stat().st_dev
        (side / "sub").mkdir(parents=True)
        (side / "sub" / "letter").write_text("present")
        (side / "sub" / "letter").chmod(0o640)
        os.chown(side / "sub" / "letter", 33, 34)
        os.utime(side / "sub" / "letter", ns=(1, 1_500_000_000_987_654_321))
        (side / "link").symlink_to("/nowhere")
        before = {each.name: facts(each) for each in side.rglob("*") if not each.is_dir()}
        (tmp_path / ".kept.half" / "sub").mkdir(parents=True)
        (tmp_path / ".kept.half" / "sub" / "letter").write_text("pre")
        beneath = FilesBeneath(tmp_path / "children")
        for _ in range(2):
            await beneath.set_aside(side, kept)
            assert {each.name: facts(each) for each in kept.rglob("*") if not each.is_dir()} == before
            assert not side.exists()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["children", "kept"]


async def test_missing_folders_are_made_as_they_were(tmp_path: Path) -> None:
    beneath, home, side = FilesBeneath(tmp_path / "children"), tmp_path / "home", tmp_path / "side"
    home.mkdir()
    side.mkdir()
    (side / "x").write_text("saved")
    await beneath.put(
        home, ["a", "b", "x"], side / "x", await beneath.mark(side / "x"), [(33, 34, 0o750), (1, 2, 0o2711)]
    )
    a, b = (home / "a").stat(), (home / "a" / "b").stat()
    assert (a.st_uid, a.st_gid, a.st_mode & 0o7777) == (33, 34, 0o750)
    assert (b.st_uid, b.st_gid, b.st_mode & 0o7777) == (1, 2, 0o711)


@pytest.mark.parametrize("where", ["first", "middle", "last", "file"])
async def test_threat_10_no_link_on_the_way_is_followed(tmp_path: Path, where: str) -> None:
    """The application, or who broke into it, may put a link anywhere in its folder."""
    beneath, home, side, outside = FilesBeneath(tmp_path / "c"), tmp_path / "home", tmp_path / "side", tmp_path / "etc"
    for folder in (home / "a" / "b", side, outside / "b"):
        folder.mkdir(parents=True)
    (side / "x").write_text("saved")
    (outside / "x").write_text("untouched")
    mark = await beneath.mark(side / "x")
    if where == "last":
        (home / "a" / "b" / "x").symlink_to(outside / "x")
        await beneath.put(home, ["a", "b", "x"], side / "x", mark, [(0, 0, 0o755)] * 2)
        assert (home / "a" / "b" / "x").read_text() == "saved"
        assert (side / "x").is_symlink()
    else:
        bad = home / "a" if where == "first" else home / "a" / "b"
        bad.rename(tmp_path / "gone")
        if where == "file":
            bad.write_text("no folder")
        else:
            bad.symlink_to(outside)
        for work in (
            beneath.look(home, ["a", "b", "x"]),
            beneath.put(home, ["a", "b", "x"], side / "x", mark, [(0, 0, 0o755)] * 2),
        ):
            with pytest.raises(Refused):
                await work
        assert (side / "x").read_text() == "saved"
    assert (outside / "x").read_text() == "untouched"
    assert sorted(each.name for each in outside.iterdir()) == ["b", "x"]

"""What all repositories keep to: in a folder, behind an SSH server, in an object store, at a rest-server, in memory."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gardien.adapters.restic import ResticCli
from gardien.errors import (
    Damaged,
    GardienError,
    Incomplete,
    NotFound,
    Refused,
    RepositoryMissing,
    WrongPassphrase,
)
from gardien.model.job import Progress
from gardien.model.snapshot import Checked
from tests.contracts.grounds import ME, Ground, forward, ground
from tests.fakes import FakeRestic

every = pytest.mark.parametrize("where", ["folder", "sftp", "s3", "rest", "kept", "fake"])
deleting = pytest.mark.parametrize("where", ["folder", "sftp", "s3", "rest", "fake"])
# restic takes most of a second to open a repository: what a host cannot change is not tried at all of them.
near = pytest.mark.parametrize("where", ["folder", "fake"])


@pytest.fixture
def g(request: pytest.FixtureRequest, where: str) -> Ground:
    """The shared repository of that kind."""
    made: Ground = request.getfixturevalue(where)
    return made


@every
async def test_there_and_back(g: Ground) -> None:
    folder = await g.fill(
        "there [and] ba*ck", a="one", sub__b="two " * 1000, sub__cache__c="left out", cache__d="kept", log_1="left out"
    )
    first = await g.save(folder, "stack=there", "pass=live", leave_out=("sub/*he", "log_*"))
    await g.files.write(folder / "a", "three")
    second = await g.save(folder, "stack=there", "pass=final", leave_out=("sub/*he", "log_*"), parent=first.id)
    assert (second.files, second.bytes, second.complete, second.missed) == (3, 5 + 4000 + 4, True, ())
    assert second.added < 4000, "what had not changed was sent again"
    found, final, contents = await asyncio.gather(
        g.restic.found("host", tags=["stack=there"]),
        g.restic.found("host", tags=["pass=final", "stack=there"]),
        g.restic.contents("host", second.id),
    )
    assert [each.id for each in found] == [second.id, first.id]
    assert [each.id for each in final] == [second.id]
    assert set(final[0].tags) == {"gardien", "stack=there", "pass=final"}
    assert (final[0].host, final[0].paths) == ("practice", (str(folder),))
    assert final[0].taken.utcoffset() is not None
    assert contents == (3, 4009)
    # What an interrupted try left: a half file, a false one, one too many, a folder in a file's place.
    to = await g.fill("side-1", a="thr", sub__b="wrong" * 800, extra__more="x", cache__d__e="x")
    await g.bring_back(second.id, folder, to)
    assert await g.files.read(to / "a") == "three"
    assert await g.files.read(to / "sub" / "b") == "two " * 1000
    assert await g.files.read(to / "cache" / "d") == "kept"
    assert await g.files.measure(to) == contents
    assert not await g.files.exists(to / "extra")


@near
async def test_nothing_there_is_no_backup(g: Ground) -> None:
    with pytest.raises(Incomplete):
        await g.save(g.root / "data" / "not there", "stack=nothing")
    assert await g.restic.found("host", tags=["stack=nothing"]) == []


@near
async def test_what_cannot_be_restored(g: Ground) -> None:
    folder = await g.fill("tiny", a="x")
    saved = await g.save(folder, "stack=tiny")
    side = g.root / "data" / "side-2"
    with pytest.raises(NotFound):
        await g.bring_back("0" * 64, folder, side)
    with pytest.raises(NotFound):
        await g.restic.contents("host", "0" * 64)
    with pytest.raises(Damaged):
        await g.bring_back(saved.id, g.root / "data" / "never saved", side)
    for bad in (Path("/"), Path("/srv"), Path("/srv/gardien"), Path("data/side/relative"), Path("/srv/gardien/../..")):
        with pytest.raises(Refused):
            await g.bring_back(saved.id, folder, bad)


@deleting
async def test_forgetting_is_exact(g: Ground) -> None:
    folder = await g.fill("forget", a="x")
    one, two = await g.save(folder, "stack=forget"), await g.save(folder, "stack=forget")
    await g.restic.forget("host", [])
    await g.restic.forget("host", [one.id, "0" * 64])  # what is gone already is no obstacle
    assert [each.id for each in await g.restic.found("host", tags=["stack=forget"])] == [two.id]
    told: list[Progress] = []
    await g.restic.prune("host", told.append)
    forward(told)
    assert await g.restic.check("host", (1, 1), told.append) == Checked()
    assert await g.restic.contents("host", two.id) == (1, 1)
    await g.restic.unlock("host")
    assert await g.restic.locks("host") == 0
    assert await g.restic.can_delete("host")


@pytest.mark.parametrize("where", ["kept", "fake"])
async def test_threat_17_what_lets_nothing_be_deleted(where: str, tmp_path: Path) -> None:
    with ground(where, tmp_path) as g:
        await g.restic.create("host")
        if isinstance(g.restic, FakeRestic):
            g.restic.keeping.add("host")
        folder = await g.fill("keep", a="x")
        saved = await g.save(folder, "stack=keep")
        assert not await g.restic.can_delete("host")
        with pytest.raises(Refused) as refused:
            await g.restic.forget("host", [saved.id])
        if isinstance(g.restic, ResticCli):
            worded(refused.value)
        assert [each.id for each in await g.restic.found("host", tags=["stack=keep"])] == [saved.id]
        assert await g.restic.check("host", (1, 1), lambda _: None) == Checked()
        assert await g.restic.locks("host") == 0


@every
async def test_a_copy_is_a_backup(where: str, tmp_path: Path) -> None:
    with ground(where, tmp_path) as g:
        folder = await g.fill("twice", a="x", b="y" * 3000)
        await g.restic.create("near")
        await g.restic.create("host", like="near")
        saved = await g.restic.save(
            "near", folder, tags=["stack=twice"], leave_out=[], parent=None, progress=lambda _: None
        )
        told: list[Progress] = []
        await g.restic.copy("near", "host", [], told.append)
        assert told == []
        await g.restic.copy("near", "host", [saved.id], told.append)
        forward(told)
        await g.restic.copy("near", "host", [saved.id], told.append)  # once more is no second copy
        [copied] = await g.restic.found("host", tags=["stack=twice"])
        [original] = await g.restic.found("near", tags=["stack=twice"])
        assert copied.original == original.original == original.id == saved.id
        assert copied.id != saved.id
        assert (copied.files, copied.bytes) == (original.files, original.bytes) == (2, 3001)
        assert (copied.taken, copied.tags, copied.paths) == (original.taken, original.tags, original.paths)
        await g.bring_back(copied.id, folder, g.root / "data" / "side-copy")
        assert await g.files.read(g.root / "data" / "side-copy" / "b") == "y" * 3000
        with pytest.raises(NotFound):
            await g.restic.copy("near", "host", ["0" * 64], lambda _: None)


@near
async def test_a_backup_of_another_time(g: Ground) -> None:
    """Where the machine's clock is not to be believed; whatever its time zone, and in the hour that is there twice."""
    folder = await g.fill("another time", a="x")
    for at in (datetime(2020, 2, 29, 23, 59, 58, 999_999, UTC), datetime(2025, 10, 26, 1, 30, tzinfo=UTC)):
        saved = await g.restic.save(
            "host", folder, tags=["stack=timed"], leave_out=(), parent=None, progress=lambda _: None, at=at
        )
        [found] = [each for each in await g.restic.found("host", tags=["stack=timed"]) if each.id == saved.id]
        assert found.taken == at.replace(microsecond=0)


@near
async def test_a_backup_that_waits_with_the_repository_open(g: Ground) -> None:
    folder = await g.fill("waiting", a="early")
    gate, stands = asyncio.Event(), asyncio.Event()
    how = {"tags": ["stack=waiting"], "leave_out": ("sub",), "parent": None, "progress": lambda _: None}
    saving = asyncio.create_task(g.restic.save("host", folder, **how, begin=gate.wait(), opened=stands.set))  # type: ignore[arg-type]
    await asyncio.wait_for(stands.wait(), 20)
    assert not saving.done()
    await g.files.write(folder / "a", "late enough")
    gate.set()
    saved = await saving
    assert (saved.files, saved.bytes) == (1, 11)

    async def fails() -> None:
        raise RuntimeError("no pause, no backup")

    with pytest.raises(RuntimeError, match="no pause"):
        await g.restic.save("host", folder, **how, begin=fails())  # type: ignore[arg-type]
    stands.clear()
    saving = asyncio.create_task(
        g.restic.save("host", folder, **how, begin=asyncio.Event().wait(), opened=stands.set)  # type: ignore[arg-type]
    )
    await asyncio.wait_for(stands.wait(), 20)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving
    assert [each.id for each in await g.restic.found("host", tags=["stack=waiting"])] == [saved.id]
    assert await g.restic.locks("host") == 0


@every
async def test_made_once(where: str, tmp_path: Path) -> None:
    with ground(where, tmp_path) as g:
        with pytest.raises(NotFound):
            await g.restic.identity("nowhere")
        with pytest.raises(RepositoryMissing) as missing:
            await g.restic.identity("host")
        made = await g.restic.create("host")
        with pytest.raises(Refused):
            await g.restic.create("host")
        assert await g.restic.identity("host") == made
        assert len(made) == 64
        passphrase = g.settings.passphrase("host")
        await g.files.write(passphrase, "another\n")
        with pytest.raises(WrongPassphrase) as wrong:
            await g.restic.identity("host")
        await g.files.remove(passphrase)
        with pytest.raises(WrongPassphrase) as gone:
            await g.restic.identity("host")
        if isinstance(g.restic, ResticCli):
            for caught in (missing, wrong, gone):
                worded(caught.value)


def worded(error: GardienError) -> None:
    """A sentence with the target's name in it, and what to do."""
    assert "host" in str(error)
    assert "{" not in str(error)
    assert str(error.remedy)
    assert "{" not in str(error.remedy)


async def test_a_house_without_a_folder_of_its_own(tmp_path: Path) -> None:
    with ground("fake", tmp_path) as g:
        await g.files.make_folder(g.root / "data" / "x", ME, 0o700)
        with pytest.raises(RepositoryMissing):
            await g.save(g.root / "data" / "x", "stack=x")

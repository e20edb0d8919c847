"""What all repositories keep to: in a folder, behind an SSH server, in memory."""

import asyncio
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
from tests.contracts.grounds import ME, Ground, ground

every = pytest.mark.parametrize("where", ["folder", "sftp", "fake"])
# restic takes most of a second to open a repository: what an SSH server cannot change is not tried there again.
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


@near
async def test_forgetting_is_exact(g: Ground) -> None:
    folder = await g.fill("forget", a="x")
    one, two = await g.save(folder, "stack=forget"), await g.save(folder, "stack=forget")
    await g.restic.forget("host", [])
    await g.restic.forget("host", [one.id, "0" * 64])  # what is gone already is no obstacle
    assert [each.id for each in await g.restic.found("host", tags=["stack=forget"])] == [two.id]
    await g.restic.unlock("host")
    assert await g.restic.locks("host") == 0


@near
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

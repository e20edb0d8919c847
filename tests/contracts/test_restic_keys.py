"""What the keys of a repository keep to, on a disk, where nothing can be deleted, and in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.errors import NotFound, Refused, WrongPassphrase
from tests.contracts.grounds import Ground, ready


@pytest.fixture(params=["folder", "kept", "fake"])
def g(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    """One of its own: keys are changed here."""
    with ready(request.param, tmp_path) as made:
        yield made


async def test_two_keys_open_it_and_one_is_taken_away(g: Ground, request: pytest.FixtureRequest) -> None:
    present = g.settings.passphrase("host")
    fresh, wrong = (present.with_name(f"{present.name}.{word}") for word in ("next", "wrong"))
    await g.files.write(fresh, "a new one\n")
    await g.files.write(wrong, "not this one\n")
    assert not await g.restic.opens("host", fresh)
    assert not await g.restic.opens("host", wrong.with_name("nothing"))
    saved = await g.save(await g.fill("keys", a="one"), "stack=keys")

    await g.restic.add_key("host", fresh)
    assert await g.restic.opens("host", fresh) and await g.restic.opens("host", present)
    assert not await g.restic.opens("host", wrong)
    identity = await g.restic.identity("host")

    former = present.with_name(f"{present.name}.former")
    await g.files.write(former, await g.files.read(present) or "")
    await g.files.write(present, "a new one\n")
    await g.restic.drop_key("host", wrong)  # it opens nothing: there is nothing to take away
    if "kept" in request.node.name:
        with pytest.raises(Refused):
            await g.restic.drop_key("host", former)
        assert await g.restic.opens("host", former)
    else:
        await g.restic.drop_key("host", former)
        assert not await g.restic.opens("host", former)
        await g.restic.drop_key("host", former)
        await g.files.write(present, await g.files.read(former) or "")
        with pytest.raises(WrongPassphrase):
            await g.restic.identity("host")
        await g.files.write(present, "a new one\n")
    assert await g.restic.identity("host") == identity
    assert [each.id for each in await g.restic.found("host", tags=["stack=keys"])] == [saved.id]


@pytest.fixture(params=["folder", "fake"])
def shared(request: pytest.FixtureRequest) -> Ground:
    """What is only read is the same everywhere."""
    made: Ground = request.getfixturevalue(request.param)
    return made


async def test_a_small_file_is_read_out_of_a_snapshot_and_how_fast_it_comes(shared: Ground) -> None:
    g = shared
    folder = await g.fill("small", sub__set="what it says\n", other="x")
    saved = await g.save(folder, "stack=small")
    assert await g.restic.read("host", saved.id, f"{folder}/sub/set") == "what it says\n"
    with pytest.raises(NotFound):
        await g.restic.read("host", saved.id, f"{folder}/sub/nothing")
    assert await g.restic.speed("host", saved.id, str(folder)) is None, "too little to tell"
    await g.files.write(folder / "film", "0123456789abcdef" * (1 << 17))
    saved = await g.save(folder, "stack=small")
    speed = await g.restic.speed("host", saved.id, str(folder))
    assert speed is not None and speed > 1e5
    assert not list((g.settings.folders.run / "restic").glob("sample*"))


async def test_the_targets_of_other_settings(shared: Ground) -> None:
    g = shared
    owner = g.root / "another"
    trial = g.settings.model_copy(update={"folders": g.settings.folders.model_copy(update={"owner": owner})})
    await g.files.make_folder(owner, None, 0o700)
    await g.files.make_folder(trial.secrets, None, 0o700)
    other = g.restic.under(trial)
    with pytest.raises(WrongPassphrase):
        await other.identity("host")
    await g.files.write(trial.passphrase("host"), await g.files.read(g.settings.passphrase("host")) or "")
    assert await other.identity("host") == await g.restic.identity("host")

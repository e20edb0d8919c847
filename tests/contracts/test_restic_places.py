"""Object stores and rest-servers when things go wrong, and what holds for targets of every kind. Rows of the faults
that people met are named by their numbers."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gardien.adapters import process, restic_call
from gardien.adapters.restic import ResticCli
from gardien.errors import (
    Damaged,
    GardienError,
    Refused,
    RepositoryMissing,
    TargetFull,
    TargetRefuses,
    TargetUnreachable,
)
from gardien.model.job import Progress
from gardien.model.settings import RestTarget, S3Target, Target
from gardien.rules.env import write_env
from tests.contracts.grounds import Ground, at, give_key, ground, rest_target, s3_target, sftp_target
from tests.contracts.test_restic import worded
from tests.world.line import Line
from tests.world.rest import RestHost
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost

online = pytest.mark.parametrize("where", ["s3", "rest"])


@pytest.fixture
def g(where: str, tmp_path: Path) -> Iterator[Ground]:
    with ground(where, tmp_path) as made:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither waits for long."""
    monkeypatch.setattr(restic_call, "_HASTE", 0.5)
    monkeypatch.setattr(restic_call, "_PAUSES", (0.2,) * 5)
    monkeypatch.setattr(process, "_GRACE", 1.0)


async def refused(g: Ground, kind: type[GardienError], word: str = "") -> None:
    began = time.monotonic()
    with pytest.raises(kind) as caught:
        await g.restic.identity("host")
    worded(caught.value)
    assert word in str(caught.value)
    assert time.monotonic() - began < 20, "it was tried again and again"


@online
async def test_row_48_credentials_that_are_no_longer_taken(g: Ground) -> None:
    await g.restic.create("host")
    if g.store is not None:
        good, g.store.key = g.store.key, "ANOTHERKEY"
        await refused(g, TargetRefuses, "key or password")
        g.store.key, g.store.secret = good, "another secret"
        await refused(g, TargetRefuses, "key or password")
        assert len(g.store.asked) < 40, "a storm of tries"
    else:
        assert g.rest is not None
        g.rest.revoke()
        await refused(g, TargetRefuses, "key or password")
        assert len(g.rest.log.read_text().splitlines()) < 40
    login = g.settings.login("host")
    login.write_text(login.read_text().splitlines()[0])
    await refused(g, TargetRefuses, str(login))
    login.unlink()
    await refused(g, TargetRefuses, str(login))


async def test_row_48_and_threat_21_another_server_in_its_place(tmp_path: Path) -> None:
    with ground("rest", tmp_path) as g:
        await g.restic.create("host")
        assert g.rest is not None
        known = g.rest.certificate.read_text()
        g.rest.new_certificate()
        g.rest.certificate.write_text(known)  # what we were told to trust
        await refused(g, TargetRefuses, "certificate")
        public = g.settings.targets["host"].model_copy(update={"ca": None})
        settings = g.settings.model_copy(update={"targets": {"host": public}})
        await refused(replace(g, restic=ResticCli(settings)), TargetRefuses, "certificate")


@online
async def test_a_host_that_is_down(g: Ground, hasty: None) -> None:
    await g.restic.create("host")
    for host in (g.store, g.rest):
        if host is not None:
            host.stop()
    await refused(g, TargetUnreachable)
    with pytest.raises(TargetUnreachable):
        await g.restic.can_delete("host")


@online
async def test_row_08_a_full_target(g: Ground) -> None:
    await g.restic.create("host")
    source = await g.fill("big", a="small")
    await g.save(source, "stack=full")
    if g.store is not None:
        g.store.full = True
    if g.rest is not None:
        g.rest.again(most=1 << 20)
    (source / "big").write_bytes(os.urandom(8 << 20))
    began = time.monotonic()
    with pytest.raises(TargetFull) as caught:
        await g.save(source, "stack=full")
    worded(caught.value)
    assert time.monotonic() - began < 60
    assert len(await g.restic.found("host", tags=["stack=full"])) == 1, "older snapshots did not stay"


@online
async def test_row_11_a_repository_that_is_not_there_any_more(g: Ground) -> None:
    await g.restic.create("host")
    if g.store is not None:
        g.store.backend.buckets.pop(g.store.bucket)
    if g.repository is not None:
        g.repository.rename(g.repository.with_name("elsewhere"))
    await refused(g, RepositoryMissing)
    with pytest.raises(RepositoryMissing):
        await g.save(await g.fill("lost", a="x"), "stack=lost")


async def test_threat_17_locked_objects(tmp_path: Path) -> None:
    with S3Host(tmp_path / "store", locked=True) as store:
        g = at(tmp_path / "g", s3_target(store))
        g.store = store
        give_key(g)
        await g.restic.create("host")
        assert not await g.restic.can_delete("host")


async def test_threat_17_nothing_is_pruned_where_nothing_can_be_deleted(tmp_path: Path) -> None:
    with ground("rest", tmp_path) as g:
        assert g.rest is not None
        await g.restic.create("host")
        source = await g.fill("pruned", a="x")
        (source / "big").write_bytes(os.urandom(1 << 20))
        first = await g.save(source, "stack=pruned")
        (source / "big").unlink()
        second = await g.save(source, "stack=pruned")
        await g.restic.forget("host", [first.id])
        g.rest.again(append_only=True)
        with pytest.raises(Refused) as caught:
            await g.restic.prune("host", lambda _: None)
        worded(caught.value)
        assert (await g.restic.check("host", (1, 1), lambda _: None)).whole
        assert [each.id for each in await g.restic.found("host", tags=["stack=pruned"])] == [second.id]


async def test_threat_17_a_key_that_may_not_delete(tmp_path: Path) -> None:
    with ground("s3", tmp_path) as g:
        assert g.store is not None
        await g.restic.create("host")
        before = g.store.objects()
        assert await g.restic.can_delete("host")
        g.store.append_only = True
        assert not await g.restic.can_delete("host")
        saved = await g.save(await g.fill("held", a="x"), "stack=held")
        with pytest.raises(Refused):
            await g.restic.forget("host", [saved.id])
        assert set(before) < set(g.store.objects())
        assert not any("gardien-may-delete" in each for each in g.store.objects())


async def test_whether_a_folder_can_be_deleted_from_leaves_nothing(folder: Ground, sftp: Ground) -> None:
    for g in (folder, sftp):
        assert g.repository is not None
        assert await g.restic.can_delete("host")
        assert {each.name for each in g.repository.iterdir()} == {
            *("config", "data", "index", "keys", "locks", "snapshots")
        }
        assert not list((g.settings.folders.run / "restic").glob("gardien-*"))


@pytest.mark.parametrize("where", ["sftp", "rest"])
async def test_rows_05_to_07_a_line_that_is_cut_and_dies(where: str, tmp_path: Path, hasty: None) -> None:
    """The backup goes on from where it was, and comes to its end."""
    with (
        SftpHost(tmp_path / "host") as host,
        RestHost(tmp_path / "rest") as rest,
        Line(host.port if where == "sftp" else rest.port) as line,
    ):
        far: Target = sftp_target(host).model_copy(update={"port": line.port})
        if where == "rest":
            far = rest_target(rest).model_copy(update={"url": rest.url.replace(str(rest.port), str(line.port))})
        g = at(tmp_path / "g", far, silence=3)
        if where == "rest":
            g.rest = rest
            give_key(g)
        await g.restic.create("host")
        source = await g.fill("cut", a="x")
        (source / "big").write_bytes(os.urandom(24 << 20))
        line.rate = 12 << 20
        sending = asyncio.Event()

        def told(progress: Progress) -> None:
            if progress.bytes_done:
                sending.set()

        how = {"tags": ["cut"], "leave_out": (), "parent": None, "progress": told, "persistent": True}
        saving = asyncio.create_task(g.restic.save("host", source, **how))  # type: ignore[arg-type]
        await sending.wait()
        await asyncio.to_thread(line.cut)
        await asyncio.sleep(0.5)
        line.frozen = True
        await asyncio.sleep(6)  # longer than the silence that is endured
        line.frozen = False
        await asyncio.to_thread(line.cut)
        assert (await saving).complete
        assert (await g.restic.check("host", (1, 1), lambda _: None)).whole


async def test_row_07_an_upload_keeps_to_its_limit(folder: Ground) -> None:
    source = await folder.fill("limited", a="x")
    (source / "big").write_bytes(os.urandom(1 << 20))
    began = time.monotonic()
    await folder.restic.save(
        "host", source, tags=["limited"], leave_out=(), parent=None, progress=lambda _: None, kib_per_second=300
    )
    assert time.monotonic() - began > 2


async def test_row_09_only_reading_it_all_finds_rot(tmp_path: Path) -> None:
    with ground("folder", tmp_path) as g:
        await g.restic.create("host")
        source = await g.fill("rotten", a="x")
        (source / "photo").write_bytes(os.urandom(3 << 20))
        await g.save(source, "stack=rotten")
        assert g.repository is not None
        pack = max((g.repository / "data").glob("*/*"), key=lambda each: each.stat().st_size)
        whole = pack.read_bytes()
        pack.chmod(0o600)
        pack.write_bytes(whole[:70_000] + bytes([whole[70_000] ^ 1]) + whole[70_001:])
        told: list[Progress] = []
        assert (await g.restic.check("host", None, told.append)).whole
        parts = [await g.restic.check("host", (number, 2), told.append) for number in (1, 2)]
        assert sorted(each.whole for each in parts) == [False, True]
        assert any(pack.name[:8] in problem for each in parts for problem in each.problems)
        pack.unlink()
        assert not (await g.restic.check("host", None, told.append)).whole
        with pytest.raises(Damaged):
            await g.restic.create("near")
            await g.restic.copy(
                "host", "near", [each.id for each in await g.restic.found("host", tags=[])], told.append
            )


@pytest.mark.parametrize("pair", ["s3", "rest", "sftp"])
async def test_a_copy_between_two_of_a_kind(pair: str, tmp_path: Path) -> None:
    """Each side has a login of its own; where restic takes but one, that is said."""
    room = tmp_path
    if pair == "s3":
        with S3Host(room / "one") as one, S3Host(room / "two") as two:
            two.key = "ANOTHERKEY"
            g = at(room / "g", s3_target(one))
            g.store = one
            give_key(g)
            other = {"AWS_ACCESS_KEY_ID": two.key, "AWS_SECRET_ACCESS_KEY": two.secret}
            g = beside(g, s3_target(two), other)
            with pytest.raises(Refused):
                await g.restic.copy("near", "host", ["0" * 64], lambda _: None)
            two.key = one.key
            g.settings.login("near").write_text(g.settings.login("host").read_text())
            await there_and_copied(g)
    elif pair == "rest":
        with RestHost(room / "one") as rest, RestHost(room / "two") as far:
            g = at(room / "g", rest_target(rest))
            g.rest = rest
            give_key(g)
            login = {"RESTIC_REST_USERNAME": far.user, "RESTIC_REST_PASSWORD": far.password}
            await there_and_copied(beside(g, rest_target(far), login))
    else:
        with SftpHost(room / "one") as near_host, SftpHost(room / "two") as far_host:
            g = at(room / "g", sftp_target(near_host))
            await there_and_copied(beside(g, sftp_target(far_host), {}))


def beside(g: Ground, target: Target, login: dict[str, str]) -> Ground:
    """With another target in `near`'s place."""
    settings = g.settings.model_copy(update={"targets": {**g.settings.targets, "near": target}})
    if login:
        settings.login("near").write_text(write_env(login))
    return replace(g, settings=settings, restic=ResticCli(settings))


async def there_and_copied(g: Ground) -> None:
    folder = await g.fill("both", a="x" * 500)
    await g.restic.create("near")
    await g.restic.create("host", like="near")
    saved = await g.restic.save("near", folder, tags=["both"], leave_out=[], parent=None, progress=lambda _: None)
    await g.restic.copy("near", "host", [saved.id], lambda _: None)
    [copied] = await g.restic.found("host", tags=["both"])
    assert (copied.original, copied.bytes) == (saved.id, 500)


@online
async def test_threat_12_no_login_is_in_a_command_line_or_environment(g: Ground) -> None:
    await g.restic.create("host")
    source = await g.fill("watched", a="x")
    (source / "big").write_bytes(os.urandom(20 << 20))
    task = asyncio.create_task(g.save(source, "stack=watched"))
    seen = ""
    while not task.done():
        seen += await asyncio.to_thread(_restic_of, g)
        await asyncio.sleep(0.02)
    await task
    assert "GARDIEN_CHILD" in seen
    if g.store is not None:
        assert g.store.secret not in seen
        assert g.store.key not in seen
    if g.rest is not None:
        for secret in (g.rest.password, "a%20long", "rest:https", g.rest.url):
            assert secret not in seen
    for file in (g.settings.folders.run / "restic").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


def _restic_of(g: Ground) -> str:
    found = ""
    for each in psutil.process_iter():
        try:
            line = "\0".join(each.cmdline())
            if str(g.root) in line and each.name() == "restic":
                found += line + Path(f"/proc/{each.pid}/environ").read_text()
        except (psutil.Error, OSError):
            pass
    return found


@pytest.mark.parametrize("kind", [S3Target, RestTarget])
def test_no_login_is_in_the_settings(kind: type[S3Target | RestTarget]) -> None:
    assert not {name for name in kind.model_fields if "secret" in name or "pass" in name or "user" in name}

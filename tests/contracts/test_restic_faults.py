"""The real restic when things go wrong, each asserted by what kind of error it is; and what it must never do.

Rows of the faults that people met are named by their numbers; `tests/faults/` does the same to a whole house.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gardien.adapters import process
from gardien.adapters import restic_call as adapter
from gardien.adapters.restic import ResticCli
from gardien.errors import (
    CommandFailed,
    Damaged,
    DiskMissing,
    GardienError,
    NoSpace,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    TargetFull,
    TargetRefuses,
    TargetUnreachable,
)
from gardien.model.job import Progress
from gardien.model.settings import LocalTarget, Programs
from gardien.model.snapshot import Saved
from tests.contracts.grounds import Ground, at, ground, sftp_target
from tests.contracts.small_disk import small_disk
from tests.contracts.test_restic import worded
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restic that waits for a dead line does not listen to the first signal."""
    monkeypatch.setattr(process, "_GRACE", 1.0)


async def refused(g: Ground, kind: type[GardienError]) -> GardienError:
    with pytest.raises(kind) as caught:
        await g.restic.identity("host")
    worded(caught.value)
    return caught.value


async def test_the_host_in_all_its_moods(tmp_path: Path) -> None:
    with ground("sftp", tmp_path) as g:
        assert g.host is not None
        await refused(g, RepositoryMissing)
        g.host.revoke_key()
        await refused(g, TargetRefuses)
        g.host.accept_key()
        g.host.refuse()
        await refused(g, TargetUnreachable)
        g.host.new_host_key()
        error = await refused(g, TargetRefuses)
        assert "host key" in str(error)
        g.settings.targets["host"].key.unlink()  # type: ignore[union-attr]
        assert "SSH key" in str(await refused(g, TargetRefuses))


async def test_a_host_that_is_not_there(tmp_path: Path, hasty: None) -> None:
    with SftpHost(tmp_path / "host") as host, socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        unknown = sftp_target(host).model_copy(update={"host": "no-such-host.invalid"})
        silent = sftp_target(host).model_copy(update={"port": mute.getsockname()[1]})
        await asyncio.gather(
            refused(at(tmp_path / "unknown", unknown), TargetUnreachable),
            refused(at(tmp_path / "silent", silent, command=2), TargetUnreachable),
        )


async def test_a_folder_nobody_may_write_to(tmp_path: Path) -> None:
    with SftpHost(tmp_path / "host") as host:
        g = at(tmp_path / "g", sftp_target(host, "/proc/gardien"))
        with pytest.raises(TargetRefuses) as caught:
            await g.restic.create("host")
        worded(caught.value)


async def test_no_repository_is_made_where_no_disk_is(tmp_path: Path) -> None:
    g = at(tmp_path, LocalTarget(kind="local", folder=tmp_path / "usb" / "disk" / "repository"))
    with pytest.raises(DiskMissing) as caught:
        await g.restic.create("host")
    worded(caught.value)
    assert not (tmp_path / "usb").exists()


@pytest.mark.parametrize("kind", ["folder", "sftp"])
async def test_row_08_a_full_target(kind: str, tmp_path: Path) -> None:
    with SftpHost(tmp_path / "host") as host, small_disk(host.folder / "small", 24) as disk:
        local = LocalTarget(kind="local", folder=disk / "repository")
        g = at(tmp_path / "g", local if kind == "folder" else sftp_target(host, "small/repository"))
        await g.restic.create("host")
        source = await g.fill("big", a="small")
        await g.save(source, "stack=full")
        (source / "big").write_bytes(os.urandom(40 << 20))
        with pytest.raises(TargetFull) as caught:
            await g.save(source, "stack=full")
        worded(caught.value)
        assert len(await g.restic.found("host", tags=["stack=full"])) == 1, "older snapshots did not stay"


async def test_a_full_disk_to_restore_to(folder: Ground) -> None:
    g = folder
    source = await g.fill("roomy", a="x")
    (source / "big").write_bytes(os.urandom(6 << 20))
    saved = await g.save(source, "stack=roomy")
    with small_disk(g.root / "data" / "small", 2) as disk:
        with pytest.raises(NoSpace) as caught:
            await g.bring_back(saved.id, source, disk / "side")
        assert str(disk / "side") in str(caught.value)
        with pytest.raises(Refused) as mounted:
            await g.bring_back(saved.id, source, disk)
        assert "mounted" in str(mounted.value)


async def test_row_10_damage_is_never_restored_as_success(folder: Ground) -> None:
    g = folder
    source = await g.fill("precious", a="x")
    (source / "photo").write_bytes(os.urandom(3 << 20))
    assert g.repository is not None
    before = set((g.repository / "data").rglob("*"))
    saved = await g.save(source, "stack=precious")
    packs = [each for each in set((g.repository / "data").rglob("*")) - before if each.is_file()]
    biggest = max(packs, key=lambda each: each.stat().st_size)
    whole = biggest.read_bytes()
    biggest.chmod(0o600)
    for broken in (whole[:1000], whole[:70_000] + b"XXXX" + whole[70_004:]):
        biggest.write_bytes(broken)
        with pytest.raises(Damaged) as caught:
            await g.bring_back(saved.id, source, g.root / "data" / "side")
        worded(caught.value)
        assert caught.value.detail
    biggest.write_bytes(whole)


async def test_row_14_what_cannot_be_read_is_missed(folder: Ground) -> None:
    g = folder
    source = await g.fill("partly", a="x", sub__patient="y")
    # Root may read everything: a file that fails in the middle is one the kernel refuses to give out.
    subprocess.run(["mount", "--bind", "/proc/self/mem", str(source / "sub" / "patient")], check=True)
    try:
        saved = await g.save(source, "stack=partly")
    finally:
        subprocess.run(["umount", str(source / "sub" / "patient")], check=True)
    assert not saved.complete
    assert saved.missed == (str(source / "sub" / "patient"),)
    assert [each.id for each in await g.restic.found("host", tags=["stack=partly"])] == [saved.id]


async def test_everything_a_file_is_comes_back(folder: Ground) -> None:
    g = folder
    source = await g.fill("odd", plain="x")
    source.chmod(0o2751)
    for number, name in enumerate((b"new\nline", b"\xff\xfe", "né 🌱".encode(), b"-rf", b"*?[x]", b" ", b"a\\b")):
        file = source / os.fsdecode(name)
        file.write_bytes(bytes([number]) * number)
        file.chmod(0o4750 if number == 1 else 0o640)
        os.chown(file, 33 + number, 44, follow_symlinks=False)
        os.utime(file, ns=(10**18, 10**18 + number))
    os.setxattr(source / "plain", "user.note", b"kept")
    (source / "link").symlink_to("../nowhere né")
    os.lchown(source / "link", 12, 34)
    os.mkfifo(source / "fifo")
    os.link(source / "plain", source / "hard")
    (source / "empty folder").mkdir(mode=0o1777)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(source / "socket"))
    os.chown(source, 33, 44)
    source.chmod(0o2751)
    os.utime(source, ns=(10**18, 10**18 + 123_456_789))
    saved = await g.save(source, "stack=odd")
    side = g.root / "data" / "side-odd"
    contents = await g.restic.contents("host", saved.id)
    await g.bring_back(saved.id, source, side)
    assert await g.files.measure(side) == contents
    (source / "socket").unlink()
    os.utime(source, ns=(10**18, 10**18 + 123_456_789))
    assert likeness(side) == likeness(source)
    assert os.getxattr(side / "plain", "user.note") == b"kept"


def likeness(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that must be equal, by path."""
    found: dict[str, tuple[object, ...]] = {}
    for each in [folder, *folder.rglob("*")]:
        facts = each.lstat()
        content = each.readlink() if each.is_symlink() else each.read_bytes() if each.is_file() else None
        stamp = facts.st_mtime_ns
        found[os.fspath(each.relative_to(folder))] = (facts.st_mode, facts.st_uid, facts.st_gid, stamp, content)
    return found


async def test_threat_12_no_secret_is_in_a_command_line_or_environment(sftp: Ground) -> None:
    g = sftp
    source = await g.fill("watched", a="x")
    (source / "big").write_bytes(os.urandom(20 << 20))
    task = asyncio.create_task(g.save(source, "stack=watched"))
    seen: dict[str, str] = {}
    while not task.done():
        for name, text in await asyncio.to_thread(ours, g):
            seen[name] = seen.get(name, "") + text
        await asyncio.sleep(0.02)
    await task
    assert set(seen) >= {"restic", "ssh"}
    for text in seen.values():
        for secret in ("correct horse", "sftp://", "practice%20backups", "practice backups"):
            assert secret not in text
    assert "GARDIEN_CHILD" in seen["restic"]
    assert "HOME=" not in seen["restic"]
    for file in (g.settings.folders.run / "restic").iterdir():
        assert file.stat().st_mode & 0o777 == 0o600, file


async def begun(g: Ground, name: str) -> tuple[asyncio.Task[Saved], Path]:
    """A backup that is sending: it has its lock, and told of its progress."""
    source = await g.fill(name, a="x")
    (source / "big").write_bytes(os.urandom(60 << 20))
    sending = asyncio.Event()

    def told(progress: Progress) -> None:
        if progress.bytes_done:
            sending.set()

    task = asyncio.create_task(g.restic.save("host", source, tags=[name], leave_out=(), parent=None, progress=told))
    await sending.wait()
    return task, source


def ours(g: Ground) -> list[tuple[str, str]]:
    """The command line and environment of what was started for `g`, by name."""
    found = []
    for each in psutil.process_iter():
        try:
            line = "\0".join(each.cmdline())
            if str(g.root) in line and each.name() in {"restic", "ssh"}:
                found.append((each.name(), line + Path(f"/proc/{each.pid}/environ").read_text()))
        except (psutil.Error, OSError):
            pass
    return found


async def test_cancelled_it_leaves_neither_process_nor_lock(sftp: Ground) -> None:
    g = sftp
    assert g.repository is not None
    task, _ = await begun(g, "cancelled")
    assert len(list((g.repository / "locks").iterdir())) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(ours, g) == []
    assert list((g.repository / "locks").iterdir()) == []
    assert list((g.settings.folders.run / "children").iterdir()) == []


async def test_row_05_a_line_that_went_dead_is_noticed(sftp: Ground, hasty: None) -> None:
    limits = sftp.settings.limits.model_copy(update={"silence": 2})
    g = replace(sftp, restic=ResticCli(sftp.settings.model_copy(update={"limits": limits})))
    assert g.host is not None
    task, _ = await begun(g, "hanging")
    stopped = g.host.sessions()
    for each in stopped:
        each.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    try:
        with pytest.raises(TargetUnreachable) as caught:
            await task
    finally:
        for each in stopped:
            each.send_signal(signal.SIGCONT)
        g.host.hang_up()
    worded(caught.value)
    assert time.monotonic() - began < 40
    assert await asyncio.to_thread(ours, g) == []
    # Its lock could not be taken away over a dead line: the next one heals that.
    assert (await g.save(await g.fill("after", a="x"), "stack=after")).complete


async def test_rows_01_to_03_a_dead_lock_is_healed_and_a_living_one_respected(
    folder: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    g = folder
    monkeypatch.setattr(adapter, "_WAIT_FOR_LOCK", 1)
    source = await g.fill("locked", a="x")
    assert g.repository is not None
    locks = g.repository / "locks"
    argv = [RESTIC, "-r", str(g.repository), "-p", str(g.settings.passphrase("host")), "--no-cache"]
    # `check` holds an exclusive lock. Stopped in the middle it lives, and does nothing.
    holder = subprocess.Popen([*argv, "check", "--read-data"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not [each for each in locks.iterdir() if "tmp" not in each.name]:
            await asyncio.sleep(0.005)
        holder.send_signal(signal.SIGSTOP)
        assert await g.restic.locks("host") == 1
        with pytest.raises(RepositoryLocked) as caught:
            await g.save(source, "stack=locked")
        worded(caught.value)
        assert len(list(locks.iterdir())) == 1
    finally:
        holder.kill()
        holder.wait()
    assert len(list(locks.iterdir())) == 1
    assert (await g.save(source, "stack=locked")).complete
    assert list(locks.iterdir()) == []


@pytest.mark.parametrize(("says", "kind"), [("restic 0.14.0 compiled", GardienError), ("what?", CommandFailed)])
async def test_an_old_restic_is_refused(tmp_path: Path, says: str, kind: type[GardienError]) -> None:
    fake = tmp_path / "restic"
    fake.write_text(f"#!/bin/sh\necho '{says}'\n")
    fake.chmod(0o755)
    g = at(tmp_path / "g", LocalTarget(kind="local", folder=tmp_path / "r"))
    restic = ResticCli(g.settings.model_copy(update={"programs": Programs(restic=str(fake))}))
    with pytest.raises(kind) as caught:
        await restic.version()
    assert "installer" in str(caught.value.remedy)


async def test_the_one_installed_will_do(folder: Ground) -> None:
    assert await folder.restic.version() >= "0.17"


async def test_a_missing_restic_is_said(tmp_path: Path) -> None:
    g = at(tmp_path / "g", LocalTarget(kind="local", folder=tmp_path / "r"))
    restic = ResticCli(g.settings.model_copy(update={"programs": Programs(restic="/no/such/restic")}))
    for asked in (restic.version(), restic.identity("host")):
        with pytest.raises(CommandFailed) as caught:
            await asked
        assert "not installed" in str(caught.value)
        assert str(caught.value.remedy)

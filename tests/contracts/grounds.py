"""Where the contract of repositories is tried: a folder, SSH and rest-servers, an object store, and memory."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from gardien.adapters.files import LocalFiles
from gardien.adapters.restic import ResticCli
from gardien.model.job import Progress
from gardien.model.settings import (
    Folders,
    Limits,
    LocalTarget,
    Programs,
    RestTarget,
    S3Target,
    Settings,
    SftpTarget,
    Target,
)
from gardien.model.snapshot import Saved
from gardien.rules.env import write_env
from gardien.services.ports import Files, Restic
from tests.fakes import FakeClock, FakeFiles, FakeRestic, Leaf
from tests.world.rest import RestHost
from tests.world.restic import RESTIC
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost

ME = (os.getuid(), os.getgid())


@dataclass
class Ground:
    """Repositories with a target called `host`, one on a disk called `near`, and the files they save."""

    settings: Settings
    restic: Restic
    files: Files
    root: Path
    repository: Path | None = None  # where it lies on this machine
    host: SftpHost | None = None
    store: S3Host | None = None
    rest: RestHost | None = None

    async def fill(self, name: str, **texts: str) -> Path:
        """A folder with these files; `__` in a name stands for a slash."""
        folder = self.root / "data" / name
        await self.files.make_folder(folder, ME, 0o755)
        for place, text in texts.items():
            file = folder.joinpath(*place.split("__"))
            await self.files.make_folder(file.parent, ME, 0o755)
            await self.files.write(file, text)
        return folder

    async def save(self, folder: Path, *tags: str, leave_out: tuple[str, ...] = (), parent: str | None = None) -> Saved:
        """One pass; the progress it told must make sense."""
        told: list[Progress] = []
        saved = await self.restic.save(
            "host", folder, tags=tags, leave_out=leave_out, parent=parent, progress=told.append
        )
        forward(told)
        return saved

    async def bring_back(self, snapshot: str, folder: Path, to: Path) -> None:
        told: list[Progress] = []
        await self.restic.bring_back("host", snapshot, str(folder), to, told.append)
        forward(told)


def forward(told: list[Progress]) -> None:
    """Progress never goes back, and ends at the end."""
    assert told, "nothing was told"
    for former, later in pairwise(told):
        assert later.bytes_done >= former.bytes_done
        assert later.files_done >= former.files_done
    assert told[-1].bytes_done == told[-1].bytes_total
    assert told[-1].files_done == told[-1].files_total
    assert told[-1].fraction == 1.0


def settings_in(root: Path, target: Target, **limits: Any) -> Settings:
    return Settings(
        name="practice",
        folders=Folders(data=root / "data", state=root / "state", run=root / "run", owner=root / "owner"),
        programs=Programs(restic=RESTIC),
        targets={"host": target, "near": LocalTarget(kind="local", folder=root / "near")},
        # Patience below what a person may choose: tests wait for its end.
        limits=Limits.model_construct(**{**Limits().model_dump(), **limits}),
    )


def sftp_target(host: SftpHost, folder: str = "practice backups") -> SftpTarget:
    return SftpTarget(
        kind="sftp",
        host=host.address,
        port=host.port,
        user=host.user,
        folder=folder,
        key=host.client_key,
        host_key=host.host_key_line,
    )


def s3_target(store: S3Host) -> S3Target:
    return S3Target(
        kind="s3",
        endpoint=store.url,
        bucket=store.bucket,
        folder="backups/practice",
        region=store.region,
        ca=store.certificate,
    )


def rest_target(rest: RestHost) -> RestTarget:
    return RestTarget(kind="rest", url=rest.url, ca=rest.certificate)


def give_key(made: Ground) -> None:
    """Write down the login that its host takes."""
    if made.store is not None:
        login = {"AWS_ACCESS_KEY_ID": made.store.key, "AWS_SECRET_ACCESS_KEY": made.store.secret}
    else:
        assert made.rest is not None
        login = {"RESTIC_REST_USERNAME": made.rest.user, "RESTIC_REST_PASSWORD": made.rest.password}
    made.settings.login("host").write_text(write_env(login))


def at(root: Path, target: Target, **limits: Any) -> Ground:
    """A ground with the real restic, its passphrase written, its repository not yet made."""
    root.mkdir(parents=True, exist_ok=True)
    settings = settings_in(root, target, **limits)
    settings.secrets.mkdir(parents=True)
    settings.passphrase("host").write_text("correct horse battery staple\n")
    settings.passphrase("near").write_text("another one\n")
    repository = target.folder if isinstance(target, LocalTarget) else None
    return Ground(settings, ResticCli(settings), LocalFiles(), root, repository)


@contextmanager
def ground(kind: str, root: Path, **limits: Any) -> Iterator[Ground]:
    """A fresh one: "folder", "sftp", "s3", "rest", "kept" (an append-only rest-server), "fake". No repository yet."""
    if kind == "folder":
        (root / "disk").mkdir(parents=True)
        yield at(root, LocalTarget(kind="local", folder=root / "disk" / "repo sitory"), **limits)
    elif kind == "sftp":
        with SftpHost(root / "host") as host:
            # A space in every path that ssh is told of.
            key = root / "a room" / "a key"
            key.parent.mkdir()
            key.write_text(host.client_key.read_text())
            key.chmod(0o600)
            made = at(key.parent, sftp_target(host).model_copy(update={"key": key}), **limits)
            made.host, made.repository = host, host.folder / "practice backups"
            yield made
    elif kind == "s3":
        with S3Host(root / "store") as store:
            made = at(root / "a room", s3_target(store), **limits)
            made.store = store
            give_key(made)
            yield made
    elif kind in {"rest", "kept"}:
        with RestHost(root / "rest", append_only=kind == "kept") as rest:
            made = at(root / "a room", rest_target(rest), **limits)
            made.rest, made.repository = rest, rest.folder / rest.user / "backups"
            give_key(made)
            yield made
    else:
        settings = settings_in(root, LocalTarget(kind="local", folder=root / "repository"), **limits)
        files = FakeFiles(FakeClock())
        for folder in (root, settings.secrets):
            files.put(folder, Leaf(None, 0o700))
        files.put(settings.passphrase("host"), Leaf("correct horse battery staple\n", 0o600))
        files.put(settings.passphrase("near"), Leaf("another one\n", 0o600))
        yield Ground(settings, FakeRestic(settings, files, FakeClock()), files, root)


@contextmanager
def ready(kind: str, root: Path, **limits: Any) -> Iterator[Ground]:
    """The same with its repository made."""
    with ground(kind, root, **limits) as made:
        asyncio.run(made.restic.create("host"))
        yield made

"""The other composition root: what puts another version of gardien in the place of this one, and tries one."""

import asyncio
import contextlib
import importlib
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gardien import __version__
from gardien.adapters.files import LocalFiles, OnlyOne
from gardien.adapters.hosts import load_hosts
from gardien.adapters.keeper import DaemonKeeper
from gardien.adapters.moves import FileMoves, StateCopies, folders_in, lock_of
from gardien.adapters.programs import Venvs
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.adapters.store import SqliteStore
from gardien.app import DATABASE, DIE_AT, shipped
from gardien.errors import Busy, GardienError, MemoryFailed
from gardien.model.settings import Settings
from gardien.services.self_update import KIND, SelfUpdate
from gardien.words import N_, Words

LONGEST = 7200.0  # seconds that another one may be at it


def releases_at(config: Path) -> str | None:
    """Where the settings say that releases of gardien are. Raises BadInput."""
    return load_settings(config).updates.gardien_from


@contextlib.contextmanager
def updating(config: Path, say: Callable[[Words], None], *, wait: bool = False) -> Iterator[SelfUpdate]:
    """What updates gardien itself; for one command, and for one at a time. `wait`: until nobody else is at it.

    Raises BadInput, Refused (not installed in a way that it could change, or somebody is at it already).
    """
    os.umask(0o077)
    settings = _settings_to_update(config)
    folders = settings.folders
    lock = lock_of(folders.state)
    children = lock.with_name("children")
    programs = Venvs.here(children)
    if (python := programs.steady(__version__)) is not None:
        os.execv(python, [str(python), "-P", "-m", "gardien", *sys.argv[1:]])  # noqa: S606
    point = os.environ.get(DIE_AT, "")

    def pull(name: str) -> None:
        if point == f"{KIND}/{name}":
            os.kill(os.getpid(), signal.SIGKILL)

    with contextlib.closing(_only_updater(lock, LONGEST if wait else 2.0)):
        yield SelfUpdate(
            programs,
            DaemonKeeper(settings, config.absolute(), programs.prefix / "venv" / "bin" / "gardien", children),
            StateCopies(folders.state, folders.state / DATABASE, folders.owner, config),
            FileMoves(folders.state),
            lambda: datetime.now(UTC),
            config.absolute(),
            lock.parent,
            __version__,
            say,
            pull,
        )


def _settings_to_update(config: Path) -> Settings:
    """A newer gardien may have written what we cannot read: to take it back, it is enough to know where things lie."""
    try:
        return load_settings(config)
    except GardienError:
        folders = folders_in(config)
        move = FileMoves(folders.state).read() if folders is not None else None
        if folders is None or move is None or move.over:
            raise
        return Settings(folders=folders)


def _only_updater(lock: Path, patience: float) -> OnlyOne:
    """The daemon looks at this lock too, for a moment: one try may meet it."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return OnlyOne(lock)
        except Busy as error:
            if time.monotonic() > deadline:
                raise Busy(N_("gardien is being updated already"), N_("Wait for its end.")) from error
        time.sleep(0.1)


async def trial(config: Path, memory: Path) -> None:
    """Whether this version can live in this house: all of it loads, the settings are read, and the copy of the memory
    that lies in `memory` is brought up to date. Touches nothing else. Raises GardienError.
    """
    for each in pkgutil.walk_packages([str(Path(__file__).parent)], "gardien."):
        if not each.name.endswith("__main__") and ".shipped" not in each.name:
            importlib.import_module(each.name)
    settings = load_settings(config)
    shelf = FileShelf(shipped("compose"), settings.folders.owner, LocalFiles(), config)
    await shelf.all_chosen()
    await asyncio.to_thread(load_hosts, shipped("hosts"), settings.folders.owner / "hosts")
    store = await SqliteStore.open(memory / DATABASE)
    try:
        if store.opened_fresh_after_corruption:
            raise MemoryFailed(N_("the copy of gardien's memory is damaged"), N_("Try again."))
        await store.jobs(open_only=True)
    finally:
        await store.close()

"""A whole house that answers at its socket and page; Docker, restic and the data disk are in memory."""

import asyncio
import json
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.adapters.store import SqliteStore
from gardien.app import household
from gardien.errors import GardienError
from gardien.faces.server import serve
from gardien.model.edit import Changes, Edit
from gardien.model.job import Progress
from gardien.model.plan import Json
from gardien.model.settings import Target
from gardien.model.snapshot import Checked, Saved
from gardien.model.stack import Recipe
from gardien.services.house import House
from gardien.services.ports import OnProgress
from tests.fake_releases import FakeRegistries
from tests.fakes import FakeApp, FakeDocker, FakeFiles, FakeHost, FakeRestic, FakeShelf, neighbours
from tests.world.box import free_port

STACKS = ("demo", "gateway", "nextcloud")  # those that run here; all shipped ones can be seen
COMPOSE = Path(__file__).parents[1] / "compose"


@dataclass
class Notebook(FakeApp):
    """An application that can be paused and dumped, and says that it is well in every shipped stack's own words."""

    paused: bool = False

    def run(self, service: str, argv: Sequence[str], user: str | None, text: str) -> str:
        if argv[-1] in ("pause", "resume", "--on", "--off"):
            self.paused = argv[-1] in ("pause", "--on")
        if argv[-1].endswith("healthy.sh"):
            return json.dumps({"names without a valid certificate": ""})
        return "INSERT INTO notes VALUES ('a');\nCOMMIT;\n" if argv[-1] == "dump" else ""

    def page(self) -> tuple[int, bytes]:
        nextcloud = {"installed": True, "maintenance": self.paused, "needsDbUpgrade": False}
        return 200, json.dumps({"ok": True, "paused": self.paused, **nextcloud}).encode()


class SlowRestic(FakeRestic):
    """Stands still at 40 % of every first pass, and of every check, until `hold` is set, or fails there."""

    hold: asyncio.Event
    fails: GardienError | None = None

    async def save(
        self,
        target: str,
        folder: Path,
        *,
        tags: Sequence[str],
        leave_out: Sequence[str],
        parent: str | None,
        progress: OnProgress,
        kib_per_second: int | None = None,
        persistent: bool = False,
        begin: Awaitable[object] | None = None,
        opened: Callable[[], None] | None = None,
        at: datetime | None = None,
    ) -> Saved:
        if any("live" in tag for tag in tags):
            if self.fails is not None:
                raise self.fails
            progress(Progress(2_000_000_000, 5_000_000_000, 4, 10, 12_000_000.0, 250.0))
            await self.hold.wait()
        return await super().save(
            target,
            folder,
            tags=tags,
            leave_out=leave_out,
            parent=parent,
            progress=progress,
            kib_per_second=kib_per_second,
            persistent=persistent,
            begin=begin,
            opened=opened,
            at=at,
        )

    async def check(self, target: str, part: tuple[int, int] | None, progress: OnProgress) -> Checked:
        progress(Progress(files_done=2, files_total=5))
        await self.hold.wait()
        return await super().check(target, part, progress)


class Shelf(FakeShelf):
    """Stacks are read from the real disk, where a test may put its own; the owner's choices are in memory."""

    real: FileShelf

    async def recipes(self) -> list[str]:
        return await self.real.recipes()

    async def edited(self, changes: Changes) -> Edit:
        return await self.real.edited(changes)

    async def write(self, edit: Edit) -> None:
        await self.real.write(edit)

    async def former(self) -> Edit | None:
        return await self.real.former()

    async def set_target(self, name: str, target: Target | None) -> None:
        await super().set_target(name, target)
        await self.real.set_target(name, target)

    async def merge_settings(self, fields: Mapping[str, Json]) -> None:
        await self.real.merge_settings(fields)

    async def recipe(self, name: str, folder: Path | None = None) -> Recipe:
        return await self.real.recipe(name) if folder is None else await super().recipe(name, folder)


@dataclass
class Quiet:
    """The house, and those of its neighbours that a test turns."""

    house: House
    files: FakeFiles
    restic: SlowRestic
    docker: FakeDocker
    host: FakeHost
    registries: FakeRegistries
    begun_anew: list[bool] = field(default_factory=list)  # each time that the settings were to be read again
    hold: asyncio.Event = field(default_factory=asyncio.Event)


def write_settings(root: Path, **changes: object) -> Path:
    """A settings file whose folders all lie below `root`."""
    path = root / "gardien.yaml"
    settings: dict[str, Any] = {
        "folders": {name: str(root / name) for name in ("data", "state", "run", "owner")},
        "page": {"port": free_port()},
        "targets": {"box": {"kind": "local", "folder": str(root / "elsewhere")}},
        **changes,
    }
    with path.open("w") as file:
        YAML().dump(settings, file)
    return path


@asynccontextmanager
async def quiet_house(root: Path) -> AsyncIterator[Quiet]:
    """Open the house of the settings that lie in `root`, and answer on its socket and port."""
    settings = load_settings(root / "gardien.yaml")
    for folder in (settings.folders.run, settings.folders.state):
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    real = FileShelf(COMPOSE, settings.folders.owner, LocalFiles(), root / "gardien.yaml")
    recipes = [await real.recipe(name) for name in STACKS]
    fakes = neighbours(settings, recipes)
    fakes.docker.apps |= {recipe.name: Notebook() for recipe in recipes}
    shelf = Shelf(settings, fakes.files, recipes)
    shelf.real = real
    store = await SqliteStore.open(settings.folders.state / "gardien.db")
    try:
        restic = SlowRestic(settings, fakes.files, lambda: datetime.now(UTC))
        world = replace(fakes.world, store=store, restic=restic, shelf=shelf, clock=lambda: datetime.now(UTC))
        anew: list[bool] = []
        house = household(world, begin_anew=lambda: anew.append(True))
        quiet = Quiet(house, fakes.files, restic, fakes.docker, fakes.host, fakes.registries, anew)
        restic.hold = quiet.hold
        quiet.hold.set()
        async with serve(quiet.house):
            try:
                yield quiet
            finally:
                await quiet.house.runner.stop()
    finally:
        await store.close()


class Running:
    """A quiet house in a thread of its own, for commands that come from outside."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "gardien.yaml"
        self.quiet: Quiet
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._live(),))

    async def _live(self) -> None:
        try:
            async with quiet_house(self.root) as self.quiet:
                self._ready.set()
                await self._stop.wait()
        finally:
            self._ready.set()

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(30)
        assert hasattr(self, "quiet"), "the house did not open"

    def do(self, what: Any) -> Any:
        """Run a coroutine in the house's loop."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(30)

    def hold(self, held: bool) -> None:
        """Let the next first pass wait, or let it go on."""
        event = self.quiet.hold
        self._loop.call_soon_threadsafe(event.clear if held else event.set)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        self._loop.close()


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket in it."""
    root = Path(tempfile.mkdtemp(prefix="gq-"))
    try:
        yield root
    finally:
        shutil.rmtree(root)


@contextmanager
def running_house(**changes: object) -> Iterator[Running]:
    """A house that answers on its socket, until the block ends."""
    with short_folder() as root:
        write_settings(root, **changes)
        running = Running(root)
        running.start()
        try:
            yield running
        finally:
            running.stop()

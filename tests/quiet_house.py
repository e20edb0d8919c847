"""A whole house without Docker, restic or a network: real services, store, files and stacks; the outer neighbours are quiet.

They keep what they are given in a folder, answer as the real ones do, and can be told to hold or to fail.
"""

import asyncio
import hashlib
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.adapters.store import SqliteStore
from gardien.app import household
from gardien.errors import GardienError, RepositoryMissing
from gardien.faces.server import serve
from gardien.model.health import Answer, Container, Disk
from gardien.model.job import Progress
from gardien.model.manifest import Probe
from gardien.model.snapshot import Found, Saved
from gardien.model.stack import Stack
from gardien.services.house import House
from gardien.services.ports import OnProgress, World
from gardien.words import Words
from ruamel.yaml import YAML

from tests.world.box import free_port

COMPOSE = Path(__file__).parents[1] / "compose"


@dataclass
class Quiet:
    """The neighbours, and what a test tells them. `hold`: a backup's first pass waits at 40 % until it is set."""

    root: Path
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    fails: dict[str, GardienError] = field(default_factory=dict)  # "up", "ask", "identity": what is raised there
    up: set[str] = field(default_factory=set)
    saved: list[Found] = field(default_factory=list)
    house: House = field(init=False)

    def _may_fail(self, what: str) -> None:
        if what in self.fails:
            raise self.fails[what]


class QuietRestic:
    """Copies of folders, under ids like restic's."""

    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet
        self._made = quiet.root / "repository"

    def _copy(self, snapshot: str) -> Path:
        return self._made / snapshot

    async def version(self) -> str:
        return "0.18.0"

    async def create(self, target: str) -> str:
        self._made.mkdir()
        return "ab" * 32

    async def identity(self, target: str) -> str:
        self._quiet._may_fail("identity")
        if not self._made.exists():
            raise RepositoryMissing("there is no repository")
        return "ab" * 32

    async def save(  # noqa: PLR0913
        self,
        target: str,
        folder: Path,
        *,
        tags: Sequence[str],
        leave_out: Sequence[str],
        parent: str | None,
        progress: OnProgress,
    ) -> Saved:
        files, size = _measure(folder)
        progress(Progress(size * 2 // 5, size, files * 2 // 5, files, 12_000_000.0, 30.0))
        if parent is None:
            await self._quiet.hold.wait()
        now = datetime.now(UTC)
        id_ = hashlib.sha256(f"{now}{tags}".encode()).hexdigest()
        shutil.copytree(folder, self._copy(id_), symlinks=True)
        self._quiet.saved.insert(0, Found(id_, now, "gardien", tuple(tags), (str(folder),)))
        return Saved(id_, files, size, size // 2, complete=True)

    async def found(self, target: str, *, tags: Sequence[str]) -> list[Found]:
        return [each for each in self._quiet.saved if set(tags) <= set(each.tags)]

    async def contents(self, target: str, snapshot: str) -> tuple[int, int]:
        return _measure(self._copy(snapshot))

    async def bring_back(self, target: str, snapshot: str, folder: str, to: Path, progress: OnProgress) -> None:
        shutil.copytree(self._copy(snapshot), to, symlinks=True, dirs_exist_ok=True)

    async def forget(self, target: str, snapshots: Sequence[str]) -> None:
        self._quiet.saved = [each for each in self._quiet.saved if each.id not in snapshots]

    async def unlock(self, target: str) -> None: ...

    async def locks(self, target: str) -> int:
        return 0


class QuietCompose:
    """Stacks that are up when they were told to be."""

    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet

    async def images(self, stack: Stack) -> dict[str, str]:
        return {service: "image:1" for service in stack.recipe.services}

    async def up(self, stack: Stack, services: Sequence[str] = ()) -> None:
        self._quiet._may_fail("up")
        self._quiet.up.add(stack.project)

    async def start(self, stack: Stack, services: Sequence[str]) -> None: ...

    async def stop(self, stack: Stack, services: Sequence[str] = ()) -> None:
        if not services:
            self._quiet.up.discard(stack.project)

    async def down(self, stack: Stack) -> None:
        self._quiet.up.discard(stack.project)

    async def run_in(  # noqa: PLR0913
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        user: str | None = None,
        output: Path | None = None,
        input_: Path | None = None,
        timeout: float | None = None,
    ) -> str:
        if output is not None:
            output.write_text("INSERT INTO notes VALUES ('a');\nCOMMIT;\n")
        return ""

    async def logs(self, stack: Stack, lines: int = 200) -> str:
        return "".join(f"app  | line {number} <b>\n" for number in range(lines))


class QuietEngine:
    """Every image is here; a stack that is up has one container a service."""

    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet

    async def ping(self) -> str:
        self._quiet._may_fail("ping")
        return "28.0"

    async def containers(self, projects: Sequence[str]) -> list[Container]:
        here = [project for project in projects if project in self._quiet.up]
        return [Container(project, project, "app", "running", "healthy", "image:1") for project in here]

    async def image_id(self, image: str) -> str | None:
        return "sha256:" + "0" * 64

    async def pull(self, image: str, progress: OnProgress) -> None: ...


class QuietProbes:
    """Every application answers what it is asked for."""

    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet

    async def ask(self, stack: Stack, probe: Probe) -> Answer:
        if error := self._quiet.fails.get("ask"):
            return Answer(False, error.says)
        return Answer(True, Words("it answers"))


class QuietHost:
    """A machine with one large disk and free ports."""

    def disk(self, path: Path) -> Disk:
        return Disk(str(path), 500 * 10**9, 120 * 10**9)

    def port_free(self, address: str, port: int) -> bool:
        return True


def _measure(folder: Path) -> tuple[int, int]:
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return len(files), sum(path.lstat().st_size for path in files if path.is_file())


def write_settings(root: Path, **changes: object) -> Path:
    """A settings file whose folders all lie below `root`."""
    path = root / "gardien.yaml"
    settings: dict[str, Any] = {
        "folders": {name: str(root / name) for name in ("data", "state", "run", "owner")},
        "page": {"port": free_port()},
        "targets": {"box": {"kind": "local", "folder": str(root / "elsewhere")}},
        "backup": {"target": "box"},
        **changes,
    }
    with path.open("w") as file:
        YAML().dump(settings, file)
    return path


@asynccontextmanager
async def quiet_house(root: Path, shipped: Path = COMPOSE) -> AsyncIterator[Quiet]:
    """Open the house of the settings that lie in `root`, and answer on its socket and port."""
    settings = load_settings(root / "gardien.yaml")
    for folder in (settings.folders.run, settings.folders.state, settings.secrets):
        folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    quiet = Quiet(root)
    quiet.hold.set()
    files = LocalFiles()
    store = await SqliteStore.open(settings.folders.state / "gardien.db")
    try:
        world = World(
            settings=settings,
            clock=lambda: datetime.now(UTC),
            store=store,
            restic=QuietRestic(quiet),
            compose=QuietCompose(quiet),
            engine=QuietEngine(quiet),
            probes=QuietProbes(quiet),
            host=QuietHost(),
            files=files,
            shelf=FileShelf(shipped, settings.folders.owner, files),
        )
        quiet.house = household(world)
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

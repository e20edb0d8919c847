"""A house in memory whose clock a test moves: the tiny stack, two repositories, and a month passes in a second."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf
from gardien.app import household, shipped
from gardien.model.health import Alert
from gardien.model.job import Job
from gardien.model.plan import Kind
from gardien.model.settings import Backup, Folders, LocalTarget, Settings
from gardien.model.snapshot import Found
from gardien.model.target import Care
from gardien.services.care import ALL, care_of
from gardien.services.house import House
from tests.fakes import FakeApp, FakeNeighbours, FakeRestic, Leaf, Repository, neighbours
from tests.world.notes import compose_file

STACK = "notes"
Targets = Mapping[str, Mapping[str, Any]]  # by name: what their settings say
BEGIN = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday


class Notes(FakeApp):
    """The application of `tests/world/notes.py`."""

    def run(self, service: str, argv: Any, user: str | None, text: str) -> str:
        return "-- whole\n" if argv[0] == "cat" else ""

    def page(self) -> tuple[int, bytes]:
        return 200, b'{"ok": true}'


@dataclass
class Home:
    """A house with the stack `notes` up."""

    fakes: FakeNeighbours
    house: House

    @property
    def restic(self) -> FakeRestic:
        return self.fakes.restic

    @property
    def now(self) -> datetime:
        return self.fakes.clock.now

    def move(self, **by: float) -> None:
        """The clock, at once: nothing happens meanwhile, as in a machine that is off."""
        self.fakes.clock.now += timedelta(**by)

    async def end(self, job: int) -> Job:
        return await self.house.runner.wait(job)

    async def done(self, job: int) -> Job:
        """Its end, which must be a good one."""
        found = await self.end(job)
        assert found.state == "done", f"{found.code}: {found.says}"
        return found

    async def saved(self, target: str = "near", *, missing: bool = False) -> str:
        """A backup; its id. `missing`: a file of it cannot be read."""
        note = self.fakes.world.settings.folders.data / STACK / "srv"
        if missing:
            self.restic.unreadable.add(note / "health.json")
        await self.end(await self.house.backups.create(STACK, target))
        self.restic.unreadable.clear()
        return (await self.fakes.store.snapshots(target=target, most=1))[0].id

    def repository(self, target: str = "near") -> Repository:
        return self.restic.repositories[self.restic.place(target)]

    def there(self, target: str = "near", tag: str = "pass=final") -> list[Found]:
        """What the repository itself holds, oldest first."""
        every = [found for found, _, _ in self.repository(target).snapshots.values() if tag in found.tags]
        return sorted(every, key=lambda each: each.taken)

    async def known(self, target: str = "near", *, good_only: bool = False) -> list[str]:
        """What gardien believes is there: ids, oldest first."""
        found = await self.fakes.store.snapshots(target=target, good_only=good_only, most=ALL)
        return [each.id for each in reversed(found)]

    async def care(self, target: str = "near") -> Care:
        return await care_of(self.fakes.world, target)

    async def jobs(self, kind: Kind, subject: str | None = None) -> list[Job]:
        """Oldest first."""
        return (await self.fakes.store.jobs(kind=kind, subject=subject, most=ALL))[::-1]

    async def alerts(self) -> dict[str, Alert]:
        """What is open after a look, by key."""
        await self.house.watch.look()
        return {each.key: each for each in await self.fakes.store.alerts()}

    async def look(self) -> float:
        """As the calendar does by itself; what it began is over then. Returns in how many seconds it wants to again."""
        while True:
            wait = await self.house.calendar.look()
            begun = await self.fakes.store.jobs(open_only=True)
            if not begun:
                return wait
            for job in begun:
                await self.end(job.id)

    async def live(self, **for_: float) -> None:
        """Be on for so long, with all that happens by itself."""
        until, hasty = self.now + timedelta(**for_), 0
        while self.now < until:
            wait = await self.look()
            hasty = hasty + 1 if wait < 2 else 0
            assert hasty < 5, "the calendar spins: something is owed now, and nothing is begun"
            self.fakes.clock.now = min(until, self.now + timedelta(seconds=max(wait, 1)))

    def reborn(self) -> "Home":
        """After a restart of the daemon: what was in its memory is gone."""
        return Home(self.fakes, household(self.fakes.world))


@asynccontextmanager
async def memory_house(
    root: Path,
    patch: pytest.MonkeyPatch,
    targets: Targets | None = None,
    zone: str = "Europe/Berlin",
    begin: datetime = BEGIN,
    text: str | None = None,
    **settings: Any,
) -> AsyncIterator[Home]:
    """`targets`: what their settings say, each a folder; by default `near`, and `far` that is a copy of it.

    `text`: another Compose file for the stack. Nothing but that is written to the disk.
    """
    patch.setattr("gardien.services.watch.SETTLE_EVERY", 0.0)
    patch.setenv("TZ", zone)
    places: Targets = {"near": {}, "far": {"copy_of": "near"}} if targets is None else targets
    names = ("data", "state", "run", "owner")
    made = Settings(
        folders=Folders(**{name: root / name for name in names}),
        targets={name: LocalTarget(kind="local", folder=root / name, **more) for name, more in places.items()},
        **{"backup": Backup(at="daily at 02:30"), **settings},
    )
    folder = root / "owner" / "stacks" / STACK
    folder.mkdir(parents=True)
    (folder / "compose.yaml").write_text(text or compose_file())
    recipe = await FileShelf(shipped("compose"), root / "owner", LocalFiles()).recipe(STACK)
    fakes = neighbours(made, [recipe])
    fakes.clock.now = begin
    fakes.docker.apps[STACK] = Notes()
    home = Home(fakes, household(fakes.world))
    for name in places:
        await home.house.targets.init(name)
    await home.done(await home.house.life.add(STACK, {}))
    fakes.files.put(made.folders.data / STACK / "srv" / "health.json", Leaf('{"ok": true}', 0o644))
    fakes.files.put(made.folders.data / STACK / "srv" / "note.txt", Leaf("in confidence", 0o644))
    yield home
    await home.house.runner.stop()

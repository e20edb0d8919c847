"""Measures the machine, keeps what was measured, and says which alerts are owed over it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gardien.errors import DiskMissing, DockerDown, GardienError, MemoryFailed
from gardien.model.health import Disk
from gardien.model.reading import Forecast, Front, Point, Reading
from gardien.rules import house_watch, names
from gardien.rules.forecast import WINDOWS, forecast
from gardien.rules.verdict import Owed
from gardien.services import disk
from gardien.services.care import ready_since
from gardien.services.ports import World
from gardien.services.rounds import rounds
from gardien.services.stacks import Stacks

log = logging.getLogger(__name__)

PATIENCE = 45.0  # seconds for one source; then it has said nothing
OFTEN, DAILY = timedelta(minutes=5), timedelta(days=1)
HOURLY, SELDOM = timedelta(hours=1), timedelta(hours=6)
SOON = timedelta(minutes=30)  # after what is seldom asked was not well
WRITE_EVERY = timedelta(minutes=15)  # each write wears an SD card a little
MOST_WAITING = 5000  # while the store takes nothing
KEPT = timedelta(days=400)
Key = tuple[str, str]


class Readings:
    """Runs as one task for the daemon's life. A source that hangs is given up, and holds up no other."""

    def __init__(self, world: World, stacks: Stacks) -> None:
        self._world = world
        self._stacks = stacks
        self._asked: dict[str, datetime] = {}
        self._recent: dict[Key, list[Reading]] = {}
        self._latest: Sequence[Reading] = ()
        self._unwritten: list[Reading] = []
        self._written = datetime.fromtimestamp(0, UTC)
        self._disks: list[Disk] = []
        self._docker_root: Path | None = None
        self.forecasts: dict[str, Forecast] = {}  # by the path of the disk

    async def run(self) -> None:
        """For ever; what was measured and not written yet is written at the end."""
        try:
            await rounds(self.look, "the machine")
        finally:
            if self._unwritten:
                await self._world.store.add_readings(self._unwritten)

    async def look(self) -> None:
        """Ask what is due, side by side."""
        now = self._world.clock()
        sensors = self._world.sensors
        sources: Mapping[str, tuple[timedelta, Callable[[datetime], Awaitable[Sequence[Reading]]]]] = {
            "machine": (OFTEN, sensors.machine),
            "disks": (OFTEN, self._of_disks),
            "docker": (OFTEN, self._docker),
            "clock": (HOURLY, self._clock),
            "smart": (HOURLY, sensors.smart),
            "door": (SELDOM, self._door),
            "mail": (SELDOM, self._mail),
        }
        due = {name: ask for name, (period, ask) in sources.items() if self._due(name, period, now)}
        answers = await asyncio.gather(*(self._ask(name, ask, now) for name, ask in due.items()))
        for name, found in zip(due, answers, strict=True):
            bad = any(each.value is not None and each.value < 0.001 for each in found) and name in ("door", "mail")
            self._asked[name] = now - SELDOM + SOON if bad else now
            self._remember(found, now)
        if now - self._written >= WRITE_EVERY or now < self._written:
            self._written = now
            fresh, self._unwritten = self._unwritten, []
            try:
                await self._world.store.add_readings(fresh)
            except GardienError:
                self._unwritten = fresh[-MOST_WAITING:]
                raise
        if self._due("days", DAILY, now):
            await self._world.store.thin_readings(now)
            await self._world.store.thin_stretches(now)
            await self._foretell(now)
            self._asked["days"] = now

    def _due(self, name: str, period: timedelta, now: datetime) -> bool:
        asked = self._asked.get(name)
        return asked is None or not asked <= now < asked + period

    async def _ask(
        self, name: str, ask: Callable[[datetime], Awaitable[Sequence[Reading]]], now: datetime
    ) -> Sequence[Reading]:
        try:
            async with asyncio.timeout(PATIENCE):
                return await ask(now)
        except TimeoutError:
            log.warning("%s: nothing could be read within %s seconds", name, PATIENCE)
        except GardienError as error:
            log.warning("%s: %s", name, error)
        except Exception:
            log.exception("%s could not be read", name)
        return []

    def _remember(self, found: Sequence[Reading], now: datetime) -> None:
        for each in found:
            kept = self._recent.setdefault(each.key, [])
            if kept and kept[-1].at == each.at:
                kept[-1] = each  # said once more, as by a disk that is asked once a day
                continue
            kept[:] = [old for old in kept if now - house_watch.HELD <= old.at <= now]
            kept.append(each)
            if each.value is not None:
                self._unwritten.append(each)
        # What is not measured any more, as a name that was given up, is no alert for ever.
        for key in [key for key, kept in self._recent.items() if now - kept[-1].at > 4 * DAILY]:
            del self._recent[key]
        self._latest = tuple(kept[-1] for _, kept in sorted(self._recent.items()))

    # -- disks

    async def disks(self) -> list[Disk]:
        """Every disk that matters here, each once: people's files, gardien's memory, backups, Docker's own."""
        world, folders = self._world, self._world.settings.folders
        paths = [folders.state]
        for name, target in world.settings.targets.items():
            if target.kind == "local" and await ready_since(world, name) is not None:
                paths.append(target.folder)
        if self._docker_root is not None:
            paths.append(self._docker_root)
        found = await asyncio.gather(*(world.host.disk(each) for each in paths))
        if await world.store.noted(disk.NOTE) is not None:  # before the first stack there is nothing to miss
            found = [await self._data(), *found]
        seen: set[int] = set()
        self._disks = []
        for each in found:
            if not each.present or each.device not in seen:
                self._disks.append(each)
                if each.present:
                    seen.add(each.device)
        return self._disks

    async def _data(self) -> Disk:
        """The data disk; not there if what lies in its place does not bear its mark."""
        folder = self._world.settings.folders.data
        found = await self._world.host.disk(folder)
        if found.present and not found.fault:
            try:
                async with asyncio.timeout(PATIENCE):
                    await disk.look(self._world)
            except DiskMissing:
                return Disk(str(folder), 0, 0, present=False)
            except MemoryFailed:
                raise
            except (GardienError, TimeoutError) as error:
                log.warning("the mark of the data disk cannot be read: %s", error)
                return replace(found, fault="broken")
        return found

    async def _of_disks(self, now: datetime) -> list[Reading]:
        found = []
        for each in await self.disks():
            found.append(Reading("disk-well", each.path, float(each.present and not each.fault), now))
            if each.present and each.total:
                found.append(Reading("disk-free", each.path, float(each.free), now))
                found.append(Reading("disk-size", each.path, float(each.total), now))
                if each.nodes is not None:
                    found.append(Reading("disk-files", each.path, float(each.nodes), now))
        return found

    async def _foretell(self, now: datetime) -> None:
        self.forecasts = {}
        for each in self._disks:
            since = now - timedelta(days=WINDOWS[0] + 7)
            found = forecast(await self._world.store.days("disk-free", each.path, since), now)
            if found is not None:
                self.forecasts[each.path] = found

    # -- the rest

    async def _docker(self, now: datetime) -> list[Reading]:
        try:
            self._docker_root = (await self._world.engine.facts()).root
        except DockerDown:
            return [Reading("docker-answers", "", 0.0, now)]
        return [Reading("docker-answers", "", 1.0, now)]

    async def _clock(self, now: datetime) -> list[Reading]:
        return [Reading("clock-set", "", float(await self._world.host.clock_is_set()), now)]

    async def _door(self, now: datetime) -> list[Reading]:
        """Certificates, and where the names lead: as visitors see them."""
        door = await self._stacks.door()
        if door is None or door.chosen.wanted != "running":
            return []
        entry = door.manifest.door
        assert entry is not None
        public = door.settings[entry.mode] == "internet"
        running = [each for each in await self._stacks.all() if each.chosen.wanted == "running"]
        called = {name for stack in running for name in names.domains(stack).values()}
        if (page := self._world.settings.page.published_as) is not None:
            called.add(page)
        root = None if public else door.home / entry.root
        front = Front(tuple(sorted(called)), int(door.settings[entry.https_port]), root)
        ours = self._world.host.addresses()
        known = await asyncio.gather(*(self._world.host.resolve(each) for each in front.names))
        led = [
            house_watch.leads_here(name, addresses, ours, public=public, now=now)
            for name, addresses in zip(front.names, known, strict=True)
        ]
        return [*await self._world.sensors.certificates(front, now), *(each for each in led if each is not None)]

    async def _mail(self, now: datetime) -> list[Reading]:
        mail = self._world.settings.mail
        if mail is None:
            return []
        return [Reading("mail-answers", mail.host, float(await self._world.sensors.answers(mail.host, mail.port)), now)]

    # -- what is made of it

    def with_the_machine(self, owed: Sequence[Owed], open_: Set[str]) -> list[Owed]:
        """What others found, and what is owed over the machine; `open_` are the keys of the alerts that are open.

        What only follows from a dead data disk is left out.
        """
        watched, data = self._world.settings.watch, str(self._world.settings.folders.data)
        home = next((each for each in self._disks if each.path == data), None)
        return [
            *house_watch.of_disks(self._disks, self.forecasts, watched, open_),
            *house_watch.of_readings(self._recent, watched, open_),
            *house_watch.without_consequences(owed, home, open_),
        ]

    def latest(self) -> Sequence[Reading]:
        """The newest of each series."""
        return self._latest

    async def history(self, what: str, subject: str, days: int) -> list[Point]:
        """What was read in so many days, oldest first; with what waits to be written."""
        since = self._world.clock() - min(timedelta(days=days), KEPT)
        waiting = [
            Point(each.at, each.value, each.value, each.value)
            for each in self._unwritten
            if each.key == (what, subject) and each.value is not None and each.at >= since
        ]
        return [*await self._world.store.points(what, subject, since), *waiting]

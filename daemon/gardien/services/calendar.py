"""What happens by itself: backups, copies, checks, retention; and clearing away what a restore replaced."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta

from gardien.errors import DockerDown, GardienError
from gardien.model.plan import Kind
from gardien.services.agenda import Agenda, Entry
from gardien.services.backup import Backups
from gardien.services.clock import NOTE, SKEW, HouseClock
from gardien.services.drill import Drills
from gardien.services.feed import Feed
from gardien.services.kit import Kits
from gardien.services.ports import World
from gardien.services.update import Updates
from gardien.services.upkeep import Upkeep

log = logging.getLogger(__name__)

LONGEST = 300.0  # seconds between two looks at the agenda: a clock may have been moved
BREATH = 1.0  # seconds after a change before the agenda is looked at again
CLEAR_EVERY = timedelta(hours=6)
TRUSTED_JUMP = timedelta(days=60)  # further ahead no machine was ever off: such a clock is not believed


class Calendar:
    """Starts jobs when they are due. What is due is worked out anew from the journal: nothing is owed twice."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        agenda: Agenda,
        backups: Backups,
        upkeep: Upkeep,
        drills: Drills,
        kits: Kits,
        updates: Updates,
        feed: Feed,
    ) -> None:
        self._world = world
        self._agenda = agenda
        self._backups = backups
        self._drills = drills
        self._updates = updates
        self._feed = feed
        self._refused: dict[tuple[Kind, str, str | None], datetime] = {}
        self._cleared: datetime | None = None
        self._start: Mapping[Kind, Callable[[str], Awaitable[int]]] = {
            "copy": upkeep.copy,
            "check": upkeep.check,
            "forget": upkeep.forget,
            "prune": upkeep.prune,
            "proof": kits.prove,
            "rekey": kits.change,
        }

    async def run(self) -> None:
        """For the daemon's life."""
        changed = asyncio.Event()
        listener = asyncio.create_task(self._listen(changed))
        try:
            while True:
                wait = LONGEST
                try:
                    wait = await self.look()
                except Exception:
                    log.exception("a look at the calendar failed")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(min(wait, LONGEST)):
                        await changed.wait()
                await asyncio.sleep(BREATH)
                changed.clear()
        finally:
            listener.cancel()

    async def _listen(self, changed: asyncio.Event) -> None:
        async for topic in self._feed.listen():
            if topic in {"job", "target"}:
                changed.set()

    async def look(self) -> float:
        """Start what is due; returns in how many seconds something is due next."""
        await self._look_at_the_clock()
        now = self._world.clock()
        if self._cleared is None or now - self._cleared >= CLEAR_EVERY:
            self._cleared = now
            await self.clear_kept()
            with contextlib.suppress(DockerDown):
                await self._updates.prune()
        entries = [*await self._agenda.all(), *await self._updates.entries()]
        for entry in entries:
            if entry.at <= now:
                await self._begin(entry, now)
        return min(((entry.at - now).total_seconds() for entry in entries if entry.at > now), default=LONGEST)

    async def _begin(self, entry: Entry, now: datetime) -> None:
        """What cannot even be planned is tried again in an hour: its reason is a setting, or a person."""
        key = (entry.kind, entry.target, entry.stack)
        if key in self._refused and now - self._refused[key] < timedelta(hours=1):
            return
        try:
            if entry.kind == "drill" and entry.stack is not None:
                if not await self._world.store.jobs(open_only=True):  # it has all the time in the world
                    await self._drills.create(entry.stack)
            elif entry.kind == "update" and entry.stack is not None:
                await self._updates.run_by_itself(entry.stack)
            elif entry.stack is not None:
                await self._backups.create(entry.stack, entry.target)
            else:
                await self._start[entry.kind](entry.target)
        except GardienError as error:
            log.error("%s of %s at %s cannot begin: %s", entry.kind, entry.stack, entry.target, error)
            self._refused[key] = now
        else:
            self._refused.pop(key, None)

    async def _look_at_the_clock(self) -> None:
        """Note the time, if it can be believed: it is the floor that no clock may go below after a power cut."""
        clock, store = self._world.clock, self._world.store
        noted = await store.noted(NOTE)
        floor = datetime.fromisoformat(noted) if noted else None
        real = datetime.now(UTC)
        odd = floor is not None and not (floor - SKEW <= real <= floor + TRUSTED_JUMP)
        if not odd or await self._world.host.clock_is_set():
            if isinstance(clock, HouseClock):
                clock.believe()
            await store.note(NOTE, real.isoformat())
        elif floor is not None and floor < clock() <= floor + TRUSTED_JUMP:
            await store.note(NOTE, clock().isoformat())

    async def clear_kept(self) -> None:
        """Delete what restores replaced, once it was kept for as long as the owner wishes."""
        kept = self._world.settings.folders.data / ".kept"
        oldest = self._world.clock() - timedelta(days=self._world.settings.limits.keep_replaced_days)
        for folder in await self._world.files.older_than(kept, oldest):
            log.info("deleting %s, which was replaced before %s", folder, oldest)
            await self._world.files.remove(folder)

"""What is due, and when: every stack at every target, and what each repository needs."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gardien.model.job import Job
from gardien.model.plan import Kind
from gardien.model.stack import Stack
from gardien.rules import agenda, drill, schedule
from gardien.services.care import care_of, deletes_note, ready_since, repository_note, uncopied
from gardien.services.clock import ahead
from gardien.services.drill import newest, since
from gardien.services.ports import World
from gardien.services.sheet_note import sheet_of
from gardien.services.stacks import Stacks, added_note

# By the machine's clock, when most people sleep; what was missed is made up for once.
TIMES: dict[Kind, str] = {
    "forget": "daily at 05:00",
    "prune": "weekly on saturday at 05:30",
    "check": "weekly on sunday at 05:30",
}
PROVEN = "monthly on day 3 at 06:30"  # the key on the recovery sheet
REFUSED_AGAIN = "daily at 05:00"  # a copy that a host refused
RUNS = 8  # so many last runs are looked at: more failures in a row change nothing


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the agenda. `at` in the past: it is owed now. `stack`: of a backup, and of a trial restore."""

    kind: Kind
    target: str
    at: datetime
    stack: str | None = None


class Agenda:
    """Reads the store; starts nothing."""

    def __init__(self, world: World, stacks: Stacks, zone: ZoneInfo) -> None:
        self._world = world
        self._stacks = stacks
        self.zone = zone

    async def all(self) -> list[Entry]:
        """What comes next of everything, soonest first."""
        entries: list[Entry] = []
        stacks = [stack for stack in await self._stacks.all() if stack.recipe.kept]
        for target, place in list(self._world.settings.targets.items()):  # it may change meanwhile
            if await ready_since(self._world, target) is None:
                continue
            if place.copy_of is not None:
                entries += await self._copy(target, place.copy_of)
            else:
                for stack in stacks:
                    entries += await self.backup(stack, target)
            entries += await self._upkeep(target)
            entries += await self._sheet(target)
        for stack in stacks:
            entries += await self.drill(stack)
        return sorted(entries, key=lambda entry: entry.at)

    async def backup(self, stack: Stack, target: str) -> list[Entry]:
        """When this stack is saved there next; nothing while that is under way, and while the stack is switched off."""
        ready = await ready_since(self._world, target)
        if stack.chosen.wanted != "running" or ready is None:
            return []
        runs = await self._runs("backup", stack.name, RUNS * 4)
        runs = [job for job in runs if job.plan.facts["target"] == target]
        since = max(ready, await added(self._world, stack.name) or ready)
        times = self._world.settings.times(stack.name, target)
        at = agenda.following(times, since, runs, self.zone, await self._seed(target, stack.name))
        return [Entry("backup", target, at, stack.name)] if at is not None else []

    async def drill(self, stack: Stack) -> list[Entry]:
        """When its newest backup is tried next; nothing while that is under way, or there is none."""
        at = drill.times(self._world.settings.backup.prove, stack.name)
        snapshot = await newest(self._world, stack.name) if stack.chosen.wanted == "running" else None
        if at is None or snapshot is None:
            return []
        begin = await since(self._world)
        begin = max(begin, await added(self._world, stack.name) or begin)
        runs = await self._runs("drill", stack.name)
        moment = agenda.following(at, begin, runs, self.zone, await self._seed(snapshot.target, stack.name))
        return [Entry("drill", snapshot.target, moment, stack.name)] if moment is not None else []

    async def _copy(self, target: str, source: str) -> list[Entry]:
        """After each backup of the source, if the owner names no times."""
        runs = await self._runs("copy", target)
        owed = await uncopied(self._world, source, target)
        at = self._world.settings.targets[target].at
        since = await ready_since(self._world, target)
        if not owed or since is None or (runs and not runs[0].over):
            return []
        if at is not None:
            moment = agenda.following(at, since, runs, self.zone, await self._seed(target, "copy"))
            return [Entry("copy", target, moment)] if moment is not None else []
        newest = max(each.taken for each in owed)
        if not runs or newest > runs[0].created:
            return [Entry("copy", target, since if ahead(newest, self._world.clock()) else newest)]
        # What a run that ended well has not copied is not at the source any more; retention will find that out.
        soon = agenda.again(runs)
        return [Entry("copy", target, soon or schedule.following(REFUSED_AGAIN, runs[0].created, self.zone))]

    async def _upkeep(self, target: str) -> list[Entry]:
        place, care = self._world.settings.targets[target], await care_of(self._world, target)
        kept = place.append_only or await self._world.store.noted(deletes_note(target)) == "no"
        entries = []
        for kind, at in TIMES.items():
            if kept and kind != "check":
                continue
            runs = await self._runs(kind, target)
            if care.ready is not None:
                moment = agenda.following(at, care.ready, runs, self.zone, await self._seed(target, kind))
                entries += [Entry(kind, target, moment)] if moment is not None else []
        return entries

    async def _sheet(self, target: str) -> list[Entry]:
        """The key on a confirmed recovery sheet is proven each month; a new one that it shows becomes the only one."""
        sheet = await sheet_of(self._world, target)
        if sheet is None or sheet.confirmed is None:
            return []
        if sheet.new_key:
            runs = await self._runs("rekey", target)
            at = agenda.following(REFUSED_AGAIN, sheet.confirmed, runs, self.zone, "")
            due = at if runs and runs[0].created > sheet.confirmed else sheet.confirmed
            return [Entry("rekey", target, due)] if at is not None and due is not None else []
        runs = await self._runs("proof", target)
        moment = agenda.following(PROVEN, sheet.confirmed, runs, self.zone, await self._seed(target, "proof"))
        return [Entry("proof", target, moment)] if moment is not None else []

    async def _runs(self, kind: Kind, subject: str, most: int = RUNS) -> list[Job]:
        """Newest first; without those of a time that has not come yet."""
        now = self._world.clock()
        runs = await self._world.store.jobs(kind=kind, subject=subject, most=most)
        return [job for job in runs if not (job.over and ahead(job.created, now))]

    async def _seed(self, target: str, what: str) -> str:
        """No two houses have the same repository, so none waits as long as another."""
        return f"{await self._world.store.noted(repository_note(target))} {what}"


async def added(world: World, stack: str) -> datetime | None:
    """When the stack was added, as far as we remember."""
    noted = await world.store.noted(added_note(stack))
    moment = datetime.fromisoformat(noted) if noted else None
    return None if moment is not None and ahead(moment, world.clock()) else moment

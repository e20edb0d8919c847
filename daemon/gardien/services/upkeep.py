"""Looking after the repositories: copying, checking, forgetting, making room. Each is a job with the target's name."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.errors import Damaged, Incomplete, Refused
from gardien.model.plan import Json, Plan
from gardien.model.settings import Keep, LocalTarget, RestTarget, S3Target, SftpTarget, Target
from gardien.model.snapshot import Found, Snapshot
from gardien.model.target import PARTS, TargetView
from gardien.rules import plan_update, plans, retention
from gardien.rules.retention import ClockFacts, Ruling
from gardien.services.agenda import Agenda, Entry
from gardien.services.care import ALL, care_of, deletes_note, keep_care, repository_note, uncopied
from gardien.services.clock import believed
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.targets import Targets
from gardien.words import N_, Words

LOST = Words.of(N_("the backup target does not list it any more"))
LIVE_FOR = timedelta(days=1)  # after which a first pass that no backup came of is taken away


@dataclass(frozen=True, slots=True)
class Proposal:
    """What retention would do with the backups of one stack, and why."""

    stack: str
    snapshots: tuple[Snapshot, ...]  # newest first
    ruling: Ruling


class Upkeep:
    """What can be asked for, by a person or by the calendar."""

    def __init__(self, world: World, runner: Runner, targets: Targets, agenda: Agenda) -> None:
        self._world = world
        self._runner = runner
        self._targets = targets
        self._agenda = agenda
        zone = agenda.zone
        self._rules = _Rules(world, zone)
        runner.teach("copy", _Copy(world, targets))
        runner.teach("check", _Check(world, targets, self._rules))
        runner.teach("forget", _Forget(world, targets, self._rules))
        runner.teach("prune", _Prune(world, targets))

    async def plan_copy(self, target: str) -> Plan:
        """Raises NotFound, Refused if it is a copy of nothing."""
        source = self._world.settings.targets[self._targets.known(target)].copy_of
        if source is None:
            raise Refused(
                N_("{target} is not filled from another target"),
                N_("Name the other one under `copy_of`, or back up to it directly."),
                target=target,
            )
        return plans.copy(target, source, [each.id for each in await uncopied(self._world, source, target)])

    async def copy(self, target: str) -> int:
        """Queue it; returns the job's number. So do all below."""
        return await self._runner.submit(await self.plan_copy(target))

    async def plan_check(self, target: str, *, whole: bool = False) -> Plan:
        """`whole`: read every byte, not one part in four. Raises NotFound."""
        care = await care_of(self._world, self._targets.known(target))
        return plans.check(target, (1, 1) if whole else (care.next_part, PARTS))

    async def check(self, target: str, *, whole: bool = False) -> int:
        return await self._runner.submit(await self.plan_check(target, whole=whole))

    async def plan_forget(self, target: str) -> Plan:
        """Raises NotFound, Refused where nothing can or may be deleted from here."""
        await self._deletes(target)
        gone = {each.stack: each.ruling.remove for each in await self.proposals(target)}
        return plans.forget(target, [f"{stack}: {id_[:10]}" for stack, ids in gone.items() for id_ in ids])

    async def forget(self, target: str) -> int:
        return await self._runner.submit(await self.plan_forget(target))

    async def proposals(self, target: str, keep: Keep | None = None) -> list[Proposal]:
        """What retention would do there now, stack by stack; or if `keep` were to stay. Raises NotFound."""
        return await self._rules.proposals(self._targets.known(target), keep)

    async def plan_prune(self, target: str) -> Plan:
        """Raises NotFound, Refused where nothing can or may be deleted from here."""
        await self._deletes(target)
        return plans.prune(target)

    async def prune(self, target: str) -> int:
        return await self._runner.submit(await self.plan_prune(target))

    async def views(self) -> tuple[TargetView, ...]:
        """Every target of the house, as the store remembers it."""
        agenda = await self._agenda.all()
        targets = list(self._world.settings.targets.items())  # they may change meanwhile
        return tuple([await self._view(name, place, agenda) for name, place in targets])

    async def _view(self, target: str, place: Target, agenda: Sequence[Entry]) -> TargetView:
        world = self._world
        newest = await world.store.newest_good(target, believed(world.clock()))
        deletes = await world.store.noted(deletes_note(target))
        runs = [entry.at for entry in agenda if entry.target == target and entry.kind in {"backup", "copy"}]
        return TargetView(
            name=target,
            kind=place.kind,
            address=_address(place),
            operator=self._targets.operator(target),
            copy_of=place.copy_of,
            append_only=place.append_only,
            can_delete=None if deletes is None else deletes == "yes",
            ready=await world.store.noted(repository_note(target)) is not None,
            care=await care_of(world, target),
            next_run=min(runs, default=None),
            newest_good=newest,
        )

    async def keeps(self, target: str, wanted: Target | None = None) -> bool:
        """Whether nothing is deleted there from here: its owner says so (`wanted`: will), or its host does not let us.

        Raises NotFound.
        """
        place = wanted or self._world.settings.targets[self._targets.known(target)]
        return place.append_only or await self._world.store.noted(deletes_note(target)) == "no"

    async def _deletes(self, target: str) -> None:
        if await self.keeps(target):
            raise Refused(
                N_("nothing is deleted from here at {target}: so nobody who takes over this machine can do it either"),
                N_(
                    "Old backups are cleared at the host itself, with `restic forget --keep-within`; docs/targets.md "
                    "tells how."
                ),
                target=target,
            )


class _Rules:
    """Asks the rule of retention, with what it needs to know."""

    def __init__(self, world: World, zone: ZoneInfo) -> None:
        self._world = world
        self._zone = zone

    async def proposals(self, target: str, keep: Keep | None = None) -> list[Proposal]:
        """What it says now of what we know to be there."""
        every = await self._world.store.snapshots(target=target, most=ALL)
        return await self._judge(target, [each for each in every if each.why != LOST], keep)

    async def wanted(self, target: str) -> frozenset[str]:
        """The ids that have to be there: what it keeps of all that we ever saw there."""
        every = await self._world.store.snapshots(target=target, most=ALL)
        judged = await self._judge(target, [replace(each, good=each.good or each.why == LOST) for each in every])
        return frozenset(id_ for each in judged for id_ in each.ruling.reasons)

    async def _judge(self, target: str, every: Sequence[Snapshot], keep: Keep | None = None) -> list[Proposal]:
        world = self._world
        place, care = world.settings.targets[target], await care_of(world, target)
        believed = world.settings.trust_clock or await world.host.clock_is_set()
        clock = ClockFacts(world.clock(), care.ruled, believed)
        waiting, before_updates = await self._waiting(target), await self._before_updates()
        found = []
        for stack in sorted({each.stack for each in every}):
            snapshots = tuple(each for each in every if each.stack == stack)
            kept = {"waiting": waiting, "before_updates": before_updates}
            ruling = retention.rule(snapshots, keep or place.keep, clock, self._zone, **kept)
            if care.problems:
                ruling = replace(ruling, remove=(), later=(), frozen=Words.of(N_("the last check found damage there")))
            found.append(Proposal(stack, snapshots, ruling))
        return found

    async def _before_updates(self) -> frozenset[str]:
        """Those to which one goes back from an update, for as long as the former programs stay, too."""
        keep = timedelta(days=self._world.settings.limits.keep_replaced_days)
        return plan_update.needed(await self._world.store.jobs(kind="update", most=ALL), self._world.clock(), keep)

    async def _waiting(self, target: str) -> frozenset[str]:
        """Those that were not copied yet to where a copy belongs."""
        copies = [name for name, place in self._world.settings.targets.items() if place.copy_of == target]
        waiting = [await uncopied(self._world, target, copy) for copy in copies]
        return frozenset(each.id for snapshots in waiting for each in snapshots)


class _Care:
    """What the four works have in common: they change nothing on this machine, and go on after a crash."""

    def __init__(self, world: World, targets: Targets) -> None:
        self._world = world
        self._targets = targets
        self.undo: Mapping[str, Do] = {}

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock, an exclusive one perhaps; its process is proven dead by now."""
        for repository in _repositories(run):
            await self._world.restic.unlock(repository)

    async def _look(self, run: Run) -> None:
        for repository in _repositories(run):
            await self._targets.opened(repository)

    @contextlib.asynccontextmanager
    async def _noting(self, target: str) -> AsyncIterator[None]:
        """A host that lets nothing be deleted is not asked each day."""
        try:
            yield
        except Refused:
            await self._world.store.note(deletes_note(target), "no")
            raise

    def _limit(self, target: str) -> int | None:
        return self._world.settings.targets[target].kib_per_second(self._world.clock().astimezone().time())


def _repositories(run: Run) -> list[str]:
    source = run.facts.get("source")
    return [run.plan.subject, *([str(source)] if source else [])]


class _Comparing(_Care):
    """What begins with a look at what is there."""

    def __init__(self, world: World, targets: Targets, rules: _Rules) -> None:
        super().__init__(world, targets)
        self._rules = rules

    async def _compare(self, run: Run) -> list[Found]:
        """What is there, compared with what should be: a backup that the repository does not list any more does not
        count, and somebody else took it away. One that retention would have let go is no loss: hosts clear up, too.
        """
        await self._look(run)
        target, store = run.plan.subject, self._world.store
        found = await self._world.restic.found(target, tags=())
        listed, wanted = {each.id for each in found}, await self._rules.wanted(target)
        lost, gone = 0, list[str]()
        for each in await store.snapshots(target=target, most=ALL):
            if each.id in listed:
                if each.why == LOST:
                    await store.add_snapshot(replace(each, good=True, why=None))
            elif each.id in wanted:
                lost += 1
                await store.add_snapshot(replace(each, good=False, why=LOST))
            else:
                gone.append(each.id)
        await store.drop_snapshots(target, gone)
        care = await care_of(self._world, target)
        await keep_care(self._world, target, replace(care, lost=lost))
        return found


class _Copy(_Care):
    """Every good backup that is newer than what the copy holds is sent there, and seen there."""

    def __init__(self, world: World, targets: Targets) -> None:
        super().__init__(world, targets)
        self.do: Mapping[str, Do] = {"look": self._find, "send": self._send, "confirm": self._confirm}

    async def _find(self, run: Run) -> None:
        await self._look(run)
        source, target = run.text("source"), run.plan.subject
        there = {found.id for found in await self._world.restic.found(source, tags=("pass=final",))}
        wanted = [each.id for each in await uncopied(self._world, source, target)]
        await run.remember(snapshots=[id_ for id_ in wanted if id_ in there])

    async def _send(self, run: Run) -> None:
        source, target = run.text("source"), run.plan.subject
        await self._world.restic.copy(
            source, target, _ids(run, "snapshots"), run.report, kib_per_second=self._limit(target)
        )

    async def _confirm(self, run: Run) -> None:
        source, target = run.text("source"), run.plan.subject
        arrived = {found.original: found.id for found in await self._world.restic.found(target, tags=("pass=final",))}
        known = {each.id: each for each in await self._world.store.snapshots(target=source, most=ALL)}
        wanted = _ids(run, "snapshots")
        for id_ in wanted:
            if id_ in arrived and id_ in known:
                copy = replace(known[id_], id=arrived[id_], target=target, original=id_)
                await self._world.store.add_snapshot(copy)
        if missing := [id_ for id_ in wanted if id_ not in arrived]:
            raise Incomplete(
                N_("{count} backups were sent to {target}, and it does not list them"),
                N_("Nothing is lost: they are at {source}. Ask the host of {target}; gardien tries again by itself."),
                count=len(missing),
                target=target,
                source=source,
            )
        if wanted:
            run.done(N_("{target} holds a copy of {count} more backups"), target=target, count=len(wanted))
        else:
            run.done(N_("{target} holds a copy of every backup already"), target=target)


class _Check(_Comparing):
    """Whether the repository is whole, with a part of its data read; what is found is remembered until it is mended."""

    def __init__(self, world: World, targets: Targets, rules: _Rules) -> None:
        super().__init__(world, targets, rules)
        self.do: Mapping[str, Do] = {"look": self._find, "read": self._read, "note": self._note}

    async def _find(self, run: Run) -> None:
        await self._compare(run)

    async def _read(self, run: Run) -> None:
        part = (int(run.text("part")), int(run.text("of")))
        checked = await self._world.restic.check(run.plan.subject, part, run.report)
        await run.remember(problems=list(checked.problems[:20]), count=len(checked.problems))

    async def _note(self, run: Run) -> None:
        target, now = run.plan.subject, self._world.clock()
        part = (int(run.text("part")), int(run.text("of")))
        problems = tuple(_ids(run, "problems"))
        care = await care_of(self._world, target)
        await keep_care(self._world, target, care.found(part, problems, now) if problems else care.read(part, now))
        if problems:
            raise Damaged(
                N_("the backups at {target} are damaged: the check found {count} faults"),
                N_(
                    "Back up to another target now, and ask the person who helps you: what is damaged can often be "
                    "mended with `restic repair` from files that are still here."
                ),
                target=target,
                count=int(run.text("count")),
                detail="\n".join(problems),
            )
        if part[1] == 1:
            run.done(N_("the backups at {target} are whole; all of them were read byte by byte"), target=target)
        else:
            run.done(
                N_("the backups at {target} are whole; part {part} of {of} was read byte by byte"),
                target=target,
                part=part[0],
                of=part[1],
            )


class _Forget(_Comparing):
    """Retention: what the rule lets go, and no other."""

    def __init__(self, world: World, targets: Targets, rules: _Rules) -> None:
        super().__init__(world, targets, rules)
        self.do: Mapping[str, Do] = {
            "look": self._find,
            "rule": self._rule,
            "forget": self._forget,
            "settle": self._settle,
        }

    async def _find(self, run: Run) -> None:
        found = await self._compare(run)
        await run.remember(live=_left_over(found, self._world.clock()))

    async def _rule(self, run: Run) -> None:
        proposals = await self._rules.proposals(run.plan.subject)
        remove = [id_ for each in proposals for id_ in each.ruling.remove]
        frozen = next((each.ruling.frozen for each in proposals if each.ruling.frozen is not None), None)
        kept = sum(len(each.snapshots) for each in proposals) - len(remove)
        await run.remember(
            remove=list[Json](remove),
            kept=kept,
            frozen=frozen.as_json() if frozen is not None else None,  # type: ignore[arg-type]
        )

    async def _forget(self, run: Run) -> None:
        target, remove = run.plan.subject, _ids(run, "remove")
        async with self._noting(target):
            await self._world.restic.forget(target, [*remove, *_ids(run, "live")])
        await self._world.store.drop_snapshots(target, remove)

    async def _settle(self, run: Run) -> None:
        target, now = run.plan.subject, self._world.clock()
        said = run.facts.get("frozen")
        frozen = Words.from_json(said) if isinstance(said, dict) else None
        care = replace(await care_of(self._world, target), ruled=now, frozen=frozen)
        await keep_care(self._world, target, care if frozen is not None else replace(care, forgot=now))
        count = len(_ids(run, "remove"))
        if frozen is not None and count:
            run.done(
                N_("{count} old backups at {target} were cleared out, and none of another application: {why}"),
                target=target,
                count=count,
                why=frozen,
            )
        elif frozen is not None:
            run.done(N_("no backup at {target} was cleared out: {why}"), target=target, why=frozen)
        elif count:
            run.done(
                N_("{count} old backups at {target} were cleared out, {kept} stay"),
                target=target,
                count=count,
                kept=int(run.text("kept")),
            )
        else:
            run.done(N_("no backup at {target} is old enough to go"), target=target)


class _Prune(_Care):
    """Gives back the room of what was forgotten."""

    def __init__(self, world: World, targets: Targets) -> None:
        super().__init__(world, targets)
        self.do: Mapping[str, Do] = {"look": self._look, "prune": self._prune, "settle": self._settle}

    async def _prune(self, run: Run) -> None:
        target = run.plan.subject
        async with self._noting(target):
            await self._world.restic.prune(target, run.report, kib_per_second=self._limit(target))

    async def _settle(self, run: Run) -> None:
        target = run.plan.subject
        care = await care_of(self._world, target)
        await keep_care(self._world, target, replace(care, pruned=self._world.clock()))
        run.done(N_("the room of old backups at {target} was given back"), target=target)


def _address(place: Target) -> str:
    """Where it is, for people; a login is no part of it."""
    match place:
        case LocalTarget():
            return str(place.folder)
        case SftpTarget():
            return f"{place.host}:{place.port}/{place.folder.lstrip('/')}"
        case S3Target():
            return f"{place.endpoint}/{place.bucket}/{place.folder}"
        case RestTarget():
            return place.url


def _left_over(found: Sequence[Found], now: datetime) -> list[Json]:
    """First passes that no backup came of, or whose backup stands beside them; words on backups that are gone."""
    listed = {f"of={each.id}" for each in found}
    return [
        each.id
        for each in found
        if ("pass=live" in each.tags and now - each.taken > LIVE_FOR)
        or ("pass=incomplete" in each.tags and listed.isdisjoint(each.tags))
    ]


def _ids(run: Run, fact: str) -> list[str]:
    value = run.facts.get(fact)
    return [str(each) for each in value] if isinstance(value, list) else []

"""A house for the faces' tests: real memory, people and feed; small stand-ins for what would need Docker or restic."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gardien.adapters.store import SqliteStore
from gardien.errors import NotFound, Refused
from gardien.model.health import Alert, Disk, Health, Severity, StackHealth
from gardien.model.job import Job, JobState, Progress, StepRecord, StepState
from gardien.model.manifest import Text
from gardien.model.overview import JobView, Overview, StackView
from gardien.model.plan import Kind, Plan, Step
from gardien.model.settings import Folders, Page, Settings
from gardien.model.snapshot import Snapshot
from gardien.services.feed import Feed
from gardien.services.house import House
from gardien.services.people import People
from gardien.words import N_, Words

GB = 10**9
STEPS: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    "backup": (
        ("ready", N_("See that the disk, the application and the backup target are there")),
        ("live", N_("Save the files while people go on working")),
        ("pause", N_("Pause the application")),
        ("dump", N_("Write the databases out and see that nothing is missing from them")),
        ("final", N_("Save what changed since")),
        ("resume", N_("Let the application go on")),
        ("confirm", N_("See that the backup is complete and where it should be")),
        ("tidy", N_("Clear up")),
    ),
    "restore": (
        ("look", N_("Find the backup and see that there is room for it")),
        ("fetch", N_("Fetch the files into a folder beside, reading each one back")),
        ("verify", N_("Compare what came back with what was saved")),
        ("stop", N_("Stop the application")),
        ("swap", N_("Put the copy in place; what was there is set aside")),
        ("load", N_("Load the databases")),
        ("start", N_("Start the application")),
        ("gate", N_("Wait until the application itself says that it is well")),
        ("settle", N_("Clear up; what was replaced is kept for some days")),
    ),
    "start": (("up", N_("Start the application")),),
    "stop": (("down", N_("Stop the application")),),
}


def plan_of(kind: Kind, subject: str) -> Plan:
    """A plan as the rules would make it, as far as a face can tell."""
    steps = tuple(Step(name, Words.of(text), None, (f"{name} {subject}",)) for name, text in STEPS[kind])
    return Plan(kind=kind, subject=subject, steps=steps, leases=(f"stack:{subject}",))


@dataclass
class World:
    """What the stand-ins show; a test changes it and looks at the faces. `done` tells what was asked of them."""

    settings: Settings
    file: Path  # where the store lies
    store: SqliteStore
    feed: Feed
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    seen: datetime | None = None
    severity: Severity = "calm"
    says: Words = field(default_factory=lambda: Words.of(N_("Everything runs, and everything is saved.")))
    stacks: list[StackView] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    jobs: dict[int, Job] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)
    done: list[tuple[str, ...]] = field(default_factory=list)
    house: House = field(init=False)

    def __post_init__(self) -> None:
        nobody = object()
        self.house = House(
            settings=self.settings,
            store=self.store,
            runner=Runner(self),  # type: ignore[arg-type]
            stacks=Stacks(self),  # type: ignore[arg-type]
            targets=nobody,  # type: ignore[arg-type]
            backups=Backups(self),  # type: ignore[arg-type]
            restores=Restores(self),  # type: ignore[arg-type]
            watch=nobody,  # type: ignore[arg-type]
            overviews=Overviews(self),  # type: ignore[arg-type]
            people=People(self.store, lambda: datetime.now(UTC)),
            calendar=nobody,  # type: ignore[arg-type]
            feed=self.feed,
        )

    def add_stack(
        self,
        name: str,
        title: str,
        *,
        health: Health = "well",
        says: str = N_("runs and answers"),
        summary: Text | None = None,
        address: str | None = None,
        saved: timedelta | None = None,
        late: bool = False,
    ) -> StackView:
        """A stack, with a good backup `saved` ago."""
        good = self.add_snapshot(name, saved) if saved is not None else None
        view = StackView(
            name=name,
            title=Text(en=title, fr=title),
            summary=summary or Text(en="Something to work with.", fr="De quoi travailler."),
            address=address,
            health=StackHealth(name, health, Words.of(says), self.now - timedelta(days=3), self.now),
            newest_good=good,
            newest=good,
            late=late,
            next_backup=self.now + timedelta(hours=17, minutes=18),
        )
        self.stacks.append(view)
        return view

    def add_snapshot(self, stack: str, ago: timedelta, why: Words | None = None, **changes: object) -> Snapshot:
        """A backup that counts, unless `why` says why not. The newest is to be added first."""
        number = len(self.snapshots)
        snapshot = Snapshot(
            id=f"{number:02x}" * 32,
            stack=stack,
            target="box",
            taken=self.now - ago,
            files=48_213 - 31 * number,
            bytes=int(63.4 * GB) - number * 12_000_000,
            added=212_000_000 + 17_000_000 * ((number * 5) % 7),
            pause_seconds=11.4 + (number * 3) % 5,
            good=why is None,
            why=why,
        )
        snapshot = replace(snapshot, **changes)  # type: ignore[arg-type]
        self.snapshots.append(snapshot)
        return snapshot

    def add_job(
        self,
        kind: Kind,
        subject: str,
        state: JobState = "queued",
        *,
        ago: timedelta = timedelta(),
        took: timedelta = timedelta(minutes=4, seconds=12),
        at: int = 0,
        says: Words | None = None,
        remedy: Words | None = None,
        code: str | None = None,
        detail: str = "",
    ) -> Job:
        """A job; `at` is the number of its present step while it runs, or of the one at which it failed."""
        number = len(self.jobs) + 1
        plan = plan_of(kind, subject)
        began = self.now - ago
        each = took / len(plan.steps)
        over = state not in ("queued", "running", "undoing")
        records = []
        for index, step in enumerate(plan.steps):
            reached: StepState = "waiting"
            if state == "done" or (state != "queued" and index < at):
                reached = "done"
            elif state != "queued" and index == at:
                reached = "undone" if over else "begun"
            started = began + each * index if reached != "waiting" else None
            ended = started + each if started and reached != "begun" else None
            records.append(StepRecord(step.name, reached, started, ended))
        if over and says is None:
            says = Words.of(N_("done"))
        self.jobs[number] = Job(
            id=number,
            plan=plan,
            state=state,
            steps=tuple(records),
            facts={},
            attempts=1,
            created=began,
            started=None if state == "queued" else began,
            ended=began + took if over else None,
            says=says,
            remedy=remedy,
            code=code,
            detail=detail,
        )
        return self.jobs[number]

    def add_alert(self, key: str, severity: Severity, says: Words, remedy: Words, ago: timedelta = timedelta()) -> None:
        """An open alert."""
        self.alerts.append(Alert(len(self.alerts) + 1, key, severity, says, remedy, self.now - ago))


class Runner:
    """Jobs that do nothing but be there."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def submit(self, plan: Plan) -> int:
        job = self._world.add_job(plan.kind, plan.subject)
        self._world.feed.changed("job")
        return job.id

    async def cancel(self, job: int) -> None:
        found = await self.job(job)
        if found.over:
            raise Refused(N_("job number {job} is over already"), N_("There is nothing to cancel."), job=job)
        self._world.jobs[job] = replace(found, state="cancelled", ended=self._world.now)
        self._world.done.append(("cancel", str(job)))
        self._world.feed.changed("job")

    async def wait(self, job: int) -> Job:
        while not (found := await self.job(job)).over:
            await asyncio.sleep(0.01)
        return found

    def progress(self, job: int) -> Progress | None:
        return self._world.progress.get(job)

    async def job(self, job: int) -> Job:
        if job not in self._world.jobs:
            raise NotFound(N_("there is no job number {job}"), N_("`gardien job list` shows them."), job=job)
        return self._world.jobs[job]

    async def jobs(self, most: int = 50) -> list[Job]:
        return sorted(self._world.jobs.values(), key=lambda job: -job.id)[:most]


class Stacks:
    """Stacks by name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def require(self, name: str) -> None:
        if name not in [stack.name for stack in self._world.stacks]:
            raise NotFound(N_("there is no stack called {stack} here"), stack=name)

    async def act(self, kind: Kind, name: str, *more: str) -> int:
        self.require(name)
        self._world.done.append((kind, name, *more))
        return await Runner(self._world).submit(plan_of(kind, name))

    async def plan_stop(self, name: str) -> Plan:
        self.require(name)
        return plan_of("stop", name)

    async def stop(self, name: str) -> int:
        return await self.act("stop", name)

    async def start(self, name: str) -> int:
        return await self.act("start", name)


class Backups:
    """What was saved."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(self, stack: str | None = None) -> list[Snapshot]:
        return [each for each in self._world.snapshots if stack in (None, each.stack)]

    async def plan(self, stack: str) -> Plan:
        return plan_of("backup", stack)

    async def create(self, stack: str) -> int:
        return await Stacks(self._world).act("backup", stack)


class Restores:
    """What can come back."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def plan(self, stack: str, snapshot: str | None = None, new_disk: bool = False) -> Plan:
        return plan_of("restore", stack)

    async def create(self, stack: str, snapshot: str | None = None, new_disk: bool = False) -> int:
        return await Stacks(self._world).act("restore", stack, str(snapshot), str(new_disk))


class Overviews:
    """The state of the house, as the test set it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def now(self) -> Overview:
        world = self._world
        newest = sorted(world.jobs.values(), key=lambda job: -job.id)
        return Overview(
            severity=world.severity,
            says=world.says,
            now=world.now,
            seen=world.seen or world.now - timedelta(seconds=20),
            stacks=tuple(world.stacks),
            disks=tuple(world.disks),
            jobs=tuple(JobView(job, world.progress.get(job.id)) for job in reversed(newest) if not job.over),
            recent=tuple(job for job in newest if job.over),
            alerts=tuple(world.alerts),
        )


@asynccontextmanager
async def make_world(folder: Path, now: datetime | None = None, page: Page | None = None) -> AsyncIterator[World]:
    """An empty house whose memory lies in `folder`."""
    run = folder / "run"
    run.mkdir(exist_ok=True)
    folders = Folders(run=run, owner=folder / "owner")
    file = folder / "gardien.db"
    store = await SqliteStore.open(file)
    try:
        yield World(Settings(folders=folders, page=page or Page()), file, store, Feed(), now=now or datetime.now(UTC))
    finally:
        await store.close()

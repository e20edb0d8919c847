"""A house for the faces' tests: real memory, people and feed; small stand-ins for what would need Docker or restic."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

from gardien.adapters.files import LocalFiles
from gardien.adapters.own_certificates import OwnCertificates
from gardien.adapters.store import SqliteStore
from gardien.errors import BadInput, NoSpace, NotFound, Refused
from gardien.model.health import Alert, Disk, Health, Severity, StackHealth
from gardien.model.job import Job, JobState, Progress, StepRecord, StepState
from gardien.model.manifest import Manifest, Text
from gardien.model.operator import Operator, country_name
from gardien.model.overview import JobView, Overview, PlaceView, StackView
from gardien.model.plan import Json, Kind, Plan, Step
from gardien.model.proof import Proof, Trials
from gardien.model.reading import Forecast, Point, Reading
from gardien.model.release import News
from gardien.model.settings import Folders, Page, Settings
from gardien.model.setup import Access
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.model.target import Care, TargetView
from gardien.rules.kinds import check_settings
from gardien.services.alerts import Alerts
from gardien.services.feed import Feed
from gardien.services.house import House
from gardien.services.page_tls import PageTls
from gardien.services.people import People
from gardien.words import N_, Given, Value, Words
from tests.faces_updates import STEPS as OF_AN_UPDATE
from tests.faces_updates import Releases, Updates

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
    "drill": (("fetch", N_("Fetch the files into a folder beside, reading each one back")),),
    "update": tuple(OF_AN_UPDATE.items()),
    "start": (("up", N_("Start the application")),),
    "stop": (("down", N_("Stop the application")),),
    "restart": (("restart", N_("Stop and start the application")),),
    "mend": (("write", N_("Write its settings again")), ("up", N_("Start the application"))),
    "set": (("write", N_("Write its new settings")), ("up", N_("Start the application"))),
    "add": (
        ("images", N_("See that the programs are here, fetch those that are not")),
        ("write", N_("Write its settings, make its secrets and its folders")),
        ("up", N_("Start the application")),
        ("gate", N_("Wait until the application itself says that it is well")),
    ),
    "copy": (
        ("look", N_("See that both backup targets are there, and what one lacks")),
        ("send", N_("Send what is missing")),
    ),
    "check": (
        ("look", N_("See that the backup target is there")),
        ("read", N_("Look whether the backups are whole, and read a part of them byte by byte")),
    ),
    "remove": (
        ("final", N_("Save what changed since")),
        ("down", N_("Stop the application")),
        ("forget", N_("Take it off the list; its files and its backups stay")),
    ),
}
DOOR = {"DOOR_DOMAIN": "home.arpa", "DOOR_SUFFIX": "", "DOOR_MODE": "home"}
# Nobody's: made for these tests, self-signed, its key thrown away.
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIURzXQzQhGuGKpw7kW7kfDQ+Q33kswCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOSG9tZSBvZiBhIHRlc3QwIBcNMjYxMTIyMDMyNzExWhgPMjEy
NjEwMjkwMzI3MTFaMBkxFzAVBgNVBAMMDkhvbWUgb2YgYSB0ZXN0MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEjqq1D3kUMWMQxpM5PvDddOUPwycC6RkbfWGaWQp2
oG31AKDf5SMvizNOmGuq36EKvGc/A6OlV+O4+LK0YTePL6NTMFEwHQYDVR0OBBYE
FBrPrfyTriCwk2D2nLsbzXH5gq1hMB8GA1UdIwQYMBaAFBrPrfyTriCwk2D2nLsb
zXH5gq1hMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgVz//+QeU
FNw4TVQTyxfZtlNyTieSrQCl0mLrriK8q3wCIQC1lXeVggzKKhcEYn41Eeewsixm
x4h1K9Qw5EH6aqGpSQ==
-----END CERTIFICATE-----
"""


def question(kind: str, default: str, en: str, fr: str, **choices: tuple[str, str]) -> dict[str, object]:
    """One of a stack's questions, as its manifest has it."""
    meanings = {value: {"en": meaning[0], "fr": meaning[1]} for value, meaning in choices.items()}
    return {"kind": kind, "default": default, "ask": {"en": en, "fr": fr}, "choices": meanings}


QUESTIONS = {
    "APP_DOMAIN": question("domain", "app.{DOOR_DOMAIN}", "Under which name it is opened", "Sous quel nom on l’ouvre"),
    "APP_PORT": question("port", "8080", "Port on this machine", "Port sur cette machine"),
    "APP_GUESTS": question(
        "choice",
        "closed",
        "Who may come in",
        "Qui peut entrer",
        closed=("only those who have an account", "seulement ceux qui ont un compte"),
        open=("whoever knows the address", "quiconque connaît l’adresse"),
    ),
    "APP_CONTACT": question("email", "", "Whom people may write to", "À qui l’on peut écrire"),
}


def recipe_of(name: str, title: str, summary: Text | None = None, *, kept: bool = True, **changes: object) -> Recipe:
    """A stack's folder as it would be read, with questions of four kinds; `changes` are keys of its manifest."""
    manifest = {
        "format": 1,
        "title": {"en": title, "fr": title},
        "summary": (summary or Text(en="Something to work with.", fr="De quoi travailler.")).model_dump(),
        "settings": QUESTIONS,
        "probes": {"app": {"tcp": "app:80"}},
        "backup": {"save": ["data"]},
        **changes,
    }
    images = {"APP_IMAGE": "docker.io/example/app:1.2.3"}
    services = {"app": "${APP_IMAGE:-docker.io/example/app:1.2.3}", "db": "${APP_IMAGE:-docker.io/example/app:1.2.3}"}
    return Recipe(name, Path("/usr/share/gardien") / name, services, images, Manifest.model_validate(manifest), kept)


def plan_of(kind: Kind, subject: str) -> Plan:
    """A plan as the rules would make it, as far as a face can tell."""
    said: dict[str, Value] = {"version": "2.1.0", "took": 600} if kind == "update" else {}
    steps = tuple(Step(name, Words.of(text, **said), None, (f"{name} {subject}",)) for name, text in STEPS[kind])
    facts: dict[str, Json] = {"target": "box"} if kind == "backup" else {}
    return Plan(kind=kind, subject=subject, steps=steps, leases=(f"stack:{subject}",), facts=facts)


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
    readings: list[Reading] = field(default_factory=list)  # the newest of each
    points: dict[tuple[str, str], list[Point]] = field(default_factory=dict)  # what they were
    forecasts: dict[str, Forecast] = field(default_factory=dict)
    jobs: dict[int, Job] = field(default_factory=dict)
    progress: dict[int, Progress] = field(default_factory=dict)
    targets: list[TargetView] = field(default_factory=list)  # none until one is added
    snapshots: list[Snapshot] = field(default_factory=list)
    long_missed: list[datetime] = field(default_factory=list)  # times of every stack before the last two weeks
    recipes: dict[str, Recipe] = field(default_factory=dict)  # those that were added, and those that can be
    chosen: dict[str, dict[str, str]] = field(default_factory=dict)
    broken: dict[str, BadInput] = field(default_factory=dict)  # stacks that can be seen, and not be read
    too_small: bool = False  # the machine, for whatever is added
    no_backup: Refused | None = None  # why no last backup can be made
    handed_out: set[str] = field(default_factory=set)
    logs: str = ""  # what a stack's services printed last
    root: str | None = None  # the house's root certificate
    done: list[tuple[str, ...]] = field(default_factory=list)
    house: House = field(init=False)

    def __post_init__(self) -> None:
        nobody = object()
        folders = self.settings.folders.model_copy(update={"state": self.file.parent})
        beside = self.settings.model_copy(update={"folders": folders})
        self.house = House(
            settings=self.settings,
            preferences=SimpleNamespace(now=self.settings),  # type: ignore[arg-type]
            first_run=FirstRun(),  # type: ignore[arg-type]
            store=self.store,
            alerts=Alerts(SimpleNamespace(store=self.store, clock=lambda: self.now), self.feed),  # type: ignore[arg-type]
            runner=Runner(self),  # type: ignore[arg-type]
            stacks=Stacks(self),  # type: ignore[arg-type]
            life=Life(self),  # type: ignore[arg-type]
            door=Door(self),  # type: ignore[arg-type]
            targets=nobody,  # type: ignore[arg-type]
            setup=Setup(),  # type: ignore[arg-type]
            upkeep=Upkeep(self),  # type: ignore[arg-type]
            backups=Backups(self),  # type: ignore[arg-type]
            restores=Restores(self),  # type: ignore[arg-type]
            reports=nobody,  # type: ignore[arg-type]
            watch=nobody,  # type: ignore[arg-type]
            kits=nobody,  # type: ignore[arg-type]
            recover=nobody,  # type: ignore[arg-type]
            browse=nobody,  # type: ignore[arg-type]
            put_backs=nobody,  # type: ignore[arg-type]
            overviews=Overviews(self),  # type: ignore[arg-type]
            people=People(self.store, lambda: datetime.now(UTC)),
            drills=Drills(self),  # type: ignore[arg-type]
            beacon=nobody,  # type: ignore[arg-type]
            letters=nobody,  # type: ignore[arg-type]
            readings=Readings(self),  # type: ignore[arg-type]
            releases=Releases(self),  # type: ignore[arg-type]
            updates=Updates(self),  # type: ignore[arg-type]
            witness=nobody,  # type: ignore[arg-type]
            calendar=nobody,  # type: ignore[arg-type]
            feed=self.feed,
            tls=PageTls(beside, LocalFiles(), lambda: datetime.now(UTC), OwnCertificates(self.settings.folders.run)),
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
        kept: bool = True,
        drift: tuple[Words, ...] = (),
        news: News | None = None,
        **manifest: object,
    ) -> StackView:
        """A stack, with a good backup `saved` ago."""
        self.recipes[name] = recipe_of(name, title, summary, kept=kept, **manifest)
        good = self.add_snapshot(name, saved) if saved is not None else None
        next_run = self.now + timedelta(hours=17, minutes=18) if kept else None
        places = [
            PlaceView(target.name, None, None, late, None, ())
            if target.copy_of
            else PlaceView(target.name, good, good, late, next_run, ())
            for target in self.targets
            if kept
        ]
        view = StackView(
            name=name,
            title=Text(en=title, fr=title),
            summary=summary or Text(en="Something to work with.", fr="De quoi travailler."),
            address=address,
            health=StackHealth(name, health, Words.of(says), self.now - timedelta(days=3), self.now),
            newest_good=good,
            newest=good,
            late=late,
            next_backup=next_run,
            places=tuple(places),
            kept=kept,
            drift=drift,
            news=news or News(name),
            trials=Trials(self.proven(good)) if good is not None else Trials(),
        )
        self.stacks.append(view)
        return view

    def proven(self, backup: Snapshot) -> Proof:
        """It came back two days ago."""
        ended = self.now - timedelta(days=2)
        says = Words.of(N_("{stack} answers"), stack=backup.stack)
        began = ended - timedelta(seconds=112)
        nothing = Words.of("")
        return Proof(
            1, backup.stack, backup.target, backup.id, began, began, ended, "proven", says, nothing, files=14203
        )

    def add_target(self, name: str, *, care: Care | None = None, **changes: object) -> TargetView:
        """A place for backups, well looked after; to be added before the stacks that are saved there."""
        day = timedelta(days=1)
        read = {part: self.now - part * 7 * day for part in range(1, 5)}
        done = Care(ready=self.now - 90 * day, checked=self.now - 2 * day, parts=read, forgot=self.now - day)
        says = Words.of(
            N_("run by {operator} ({country}); the backups lie in the same country"),
            operator="Example GmbH",
            country=country_name("DE"),
        )
        view = TargetView(
            name=name,
            kind="sftp",
            address=f"{name}.example:23/backups",
            operator=Operator("Example GmbH", "DE", "DE", True, says),
            copy_of=None,
            append_only=False,
            can_delete=False,
            ready=True,
            care=care or done,
            next_run=self.now + timedelta(hours=17, minutes=18),
            newest_good={},
        )
        self.targets.append(replace(view, **changes))  # type: ignore[arg-type]
        return self.targets[-1]

    def change_place(self, stack: str, target: str, **changes: object) -> None:
        """Another state of the backups of a stack at a target."""
        for number, view in enumerate(self.stacks):
            if view.name == stack:
                places = [
                    replace(place, **changes) if place.target == target else place  # type: ignore[arg-type]
                    for place in view.places
                ]
                self.stacks[number] = replace(view, places=tuple(places))

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

    async def jobs(
        self, most: int = 50, *, kind: Kind | None = None, subject: str | None = None, before: int | None = None
    ) -> list[Job]:
        found = [
            job
            for job in sorted(self._world.jobs.values(), key=lambda job: -job.id)
            if kind in {None, job.plan.kind} and subject in {None, job.plan.subject}
            if before is None or job.id < before
        ]
        return found[:most]

    async def took(self, kind: Kind, subject: str) -> float | None:
        found = [job for job in await self.jobs(kind=kind, subject=subject) if job.state == "done"]
        return (
            (found[0].ended - found[0].started).total_seconds()
            if found and found[0].started and found[0].ended
            else None
        )


class Stacks:
    """Stacks by name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _added(self) -> list[str]:
        return [stack.name for stack in self._world.stacks]

    async def available(self) -> list[str]:
        return sorted({*self._world.recipes, *self._world.broken})

    async def recipe(self, name: str) -> Recipe:
        if name in self._world.broken:
            raise self._world.broken[name]
        if name not in self._world.recipes:
            raise NotFound(N_("there is no stack called {stack}"), stack=name)
        return self._world.recipes[name]

    async def build(self, recipe: Recipe, chosen: Chosen) -> Stack:
        home = self._world.settings.folders.data / recipe.name
        return Stack(recipe, chosen, f"gardien-{recipe.name}", home, DOOR, doorless=self._world.root is None)

    async def all(self) -> list[Stack]:
        return [await self.get(name) for name in self._added()]

    async def get(self, name: str) -> Stack:
        if name not in self._added():
            raise NotFound(N_("there is no stack called {stack} here"), stack=name)
        return await self.build(self._world.recipes[name], Chosen(settings=self._world.chosen.get(name, {})))

    async def derived(self, stack: Stack) -> Stack:
        return replace(stack, given={**stack.given, "APP_CORES": "4"})

    async def logs(self, name: str, lines: int = 200, service: str | None = None) -> str:
        return self._world.logs or f"{service or 'all'}  | ready for {name}, {lines} lines\n"

    async def first_login_once(self, name: str) -> dict[str, str] | None:
        if name in self._world.handed_out:
            return None
        self._world.handed_out.add(name)
        return {"address": f"https://{name}.home.arpa/", "APP_PASSWORD": "correct-horse-battery"}


class Life:
    """What is done to stacks: it is noted in `done`, and a job is there that does nothing."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stacks = Stacks(world)

    async def act(self, kind: Kind, name: str, *more: str) -> int:
        await self._stacks.get(name)
        return await self._note(kind, name, *more)

    async def _note(self, kind: Kind, name: str, *more: str) -> int:
        self._world.done.append((kind, name, *more))
        return await Runner(self._world).submit(plan_of(kind, name))

    async def plan_add(self, name: str, settings: Mapping[str, str], *, anyway: bool = False) -> Plan:
        check_settings(await self._stacks.recipe(name), settings)
        if self._world.too_small and not anyway:
            raise NoSpace(N_("{stack} needs {needs} MB on the disk"), N_("Make room."), stack=name, needs=9000)
        return plan_of("add", name)

    async def add(self, name: str, settings: Mapping[str, str], *, anyway: bool = False) -> int:
        await self.plan_add(name, settings, anyway=anyway)
        return await self._note("add", name, *(f"{key}={value}" for key, value in settings.items()), str(anyway))

    async def plan_set(self, name: str, values: Mapping[str, str]) -> Plan:
        stack = await self._stacks.get(name)
        check_settings(stack.recipe, values)
        if all(stack.settings[key] == value for key, value in values.items()):
            raise Refused(N_("nothing would change for {stack}"), N_("Choose something else."), stack=name)
        return plan_of("set", name)

    async def set(self, name: str, values: Mapping[str, str]) -> int:
        await self.plan_set(name, values)
        return await self.act("set", name, *(f"{key}={value}" for key, value in values.items()))

    async def plan_stop(self, name: str) -> Plan:
        await self._stacks.get(name)
        return plan_of("stop", name)

    async def stop(self, name: str) -> int:
        return await self.act("stop", name)

    async def plan_start(self, name: str) -> Plan:
        await self._stacks.get(name)
        return plan_of("start", name)

    async def start(self, name: str) -> int:
        return await self.act("start", name)

    async def plan_restart(self, name: str) -> Plan:
        await self._stacks.get(name)
        return plan_of("restart", name)

    async def restart(self, name: str) -> int:
        return await self.act("restart", name)

    async def plan_mend(self, name: str) -> Plan:
        await self._stacks.get(name)
        return plan_of("mend", name)

    async def mend(self, name: str) -> int:
        return await self.act("mend", name)

    async def plan_remove(self, name: str, *, with_data: bool = False, last_backup: bool = True) -> Plan:
        stack = await self._stacks.get(name)
        if last_backup and stack.recipe.kept and self._world.no_backup is not None:
            raise self._world.no_backup
        plan = plan_of("remove", name)
        return plan if last_backup and stack.recipe.kept else replace(plan, steps=plan.steps[1:])

    async def remove(self, name: str, *, with_data: bool = False, last_backup: bool = True) -> int:
        await self.plan_remove(name, with_data=with_data, last_backup=last_backup)
        return await self.act("remove", name, str(with_data), str(last_backup))


class Door:
    """The house's door, as far as a face looks at it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def certificate(self) -> str | None:
        return self._world.root


class Backups:
    """What was saved."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def list(
        self,
        stack: str | None = None,
        target: str | None = None,
        most: int = 1000,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        good_only: bool = False,
    ) -> list[Snapshot]:
        found = [
            each
            for each in self._world.snapshots
            if stack in (None, each.stack) and target in (None, each.target)
            if (since is None or each.taken >= since) and (each.good or not good_only)
            if until is None or each.taken <= until
        ]
        return found[:most]

    async def plan(self, stack: str, target: str | None = None) -> Plan:
        return plan_of("backup", stack)

    async def create(self, stack: str, target: str | None = None) -> int:
        return await Life(self._world).act("backup", stack, *([target] if target else []))


class Upkeep:
    """What is done to targets: it is noted in `done`, and a job is there that does nothing."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def check(self, target: str, *, whole: bool = False) -> int:
        return await self._act("check", target)

    async def copy(self, target: str) -> int:
        return await self._act("copy", target)

    async def _act(self, kind: Kind, target: str) -> int:
        if target not in {each.name for each in self._world.targets}:
            raise NotFound(N_("there is no backup target called {target}"), target=target)
        self._world.done.append((kind, target))
        return await Runner(self._world).submit(plan_of(kind, target))


class FirstRun:
    """Long over."""

    open = False

    async def load(self) -> None:
        """Nothing to find out."""


class Setup:
    """How targets are set up, as far as a page tells of it."""

    async def access(self, name: str) -> Access:
        cure = Given("Give this key no right to delete.", "Ne donnez pas à cette clé le droit de supprimer.")
        return Access(None, Words(""), Words("{it}", {"it": cure}), None)


class Restores:
    """What can come back."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def plan(
        self, stack: str, snapshot: str | None = None, new_disk: bool = False, in_place: bool = False
    ) -> Plan:
        return plan_of("restore", stack)

    async def create(
        self, stack: str, snapshot: str | None = None, new_disk: bool = False, in_place: bool = False
    ) -> int:
        how = ("in place",) if in_place else ()
        return await Life(self._world).act("restore", stack, str(snapshot), str(new_disk), *how)


class Drills:
    """What was tried, from the store."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.now

    async def plan(self, stack: str) -> Plan:
        return plan_of("drill", stack)

    async def create(self, stack: str) -> int:
        return await Life(self._world).act("drill", stack)

    async def list(
        self, stack: str | None = None, *, since: datetime | None = None, until: datetime | None = None
    ) -> list[Proof]:
        return await self._world.store.proofs(stack, since=since, until=until)


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
            targets=tuple(world.targets),
            jobs=tuple(JobView(job, world.progress.get(job.id)) for job in reversed(newest) if not job.over),
            recent=tuple(job for job in newest if job.over),
            alerts=tuple(world.alerts),
            readings=tuple(world.readings),
            forecasts=world.forecasts,
        )

    async def missed(self, name: str, target: str, since: datetime, until: datetime) -> tuple[datetime, ...]:
        return tuple(each for each in self._world.long_missed if since <= each < until)


class Readings:
    """What was measured, as the test set it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def history(self, what: str, subject: str, days: int) -> list[Point]:
        since = self._world.now - timedelta(days=days)
        return [each for each in self._world.points.get((what, subject), []) if each.at >= since]


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

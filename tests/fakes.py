"""Neighbours in memory, to run the use cases without a disk, Docker or restic. Each passes its contract suite.

They behave: what is written is read back, what is stopped does not answer, what was never saved cannot be restored.
Faults are set as plain facts: `docker.up = False`, `restic.unreachable.add("offsite")`.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from gardien.adapters.files import LocalFiles
from gardien.adapters.hosts import load_hosts
from gardien.adapters.listings import SqliteListings
from gardien.adapters.own_certificates import OwnCertificates
from gardien.adapters.probes import judge, silent
from gardien.adapters.settings_file import edited
from gardien.adapters.shelf import FileShelf, settings_in
from gardien.errors import (
    CommandFailed,
    Damaged,
    DiskMissing,
    DockerDown,
    GardienError,
    Incomplete,
    MemoryFailed,
    NoSpace,
    NotFound,
    NotHealthy,
    PortTaken,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    TargetFull,
    TargetRefuses,
    TargetUnreachable,
    WrongPassphrase,
)
from gardien.model.edit import Changes, Edit, Rewrite
from gardien.model.health import Alert, Answer, Container, Disk, EngineFacts, Fault, Severity
from gardien.model.job import ENDED, Job, JobState, Progress, StepRecord, StepState
from gardien.model.manifest import Expectation, Probe
from gardien.model.plan import Json, Kind, Plan
from gardien.model.proof import Outcome, Proof
from gardien.model.rescue import Event
from gardien.model.settings import Settings, Target
from gardien.model.setup import HostKey
from gardien.model.snapshot import Checked, Found, Likeness, Saved, Snapshot
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules.composefile import FILES
from gardien.rules.env import read_env, write_env
from gardien.services.ports import Clock, OnProgress, World
from gardien.words import Words
from tests.fake_letters import FakeMailer, FakeOutbox, FakePinger
from tests.fake_people import FakePeople
from tests.fake_readings import FakeRecord, FakeSensors, FakeSightings
from tests.fake_releases import FakeFindings, FakeRegistries
from tests.fakes_inside import FakeBeneath, FakeInside

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
HOSTS = Path(__file__).parents[1] / "hosts"


class FakeClock:
    """A clock that moves a second with every look, so that nothing happens at the same time."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


# -- memory


class FakeStore(FakePeople, FakeOutbox, FakeRecord, FakeSightings, FakeFindings):
    """The `Store`, kept in dictionaries."""

    def __init__(self) -> None:
        FakePeople.__init__(self)
        FakeOutbox.__init__(self)
        FakeRecord.__init__(self)
        FakeSightings.__init__(self)
        FakeFindings.__init__(self)
        self.fails: MemoryFailed | None = None  # what `note` raises
        self._asked = 0
        self._jobs: dict[int, Job] = {}
        self._leases: dict[str, int] = {}
        self._snapshots: dict[tuple[str, str], Snapshot] = {}
        self._disks: tuple[list[Disk], datetime | None] = ([], None)
        self._proofs: dict[int, Proof] = {}
        self._alerts: list[Alert] = []
        self._notes: dict[str, str] = {}

    def _job(self, job: int) -> Job:
        if job not in self._jobs:
            raise NotFound("there is no job {job}", job=job)
        return self._jobs[job]

    async def add_job(self, plan: Plan, now: datetime) -> int:
        number = len(self._jobs) + 1
        self._jobs[number] = Job(
            id=number,
            plan=plan,
            state="queued",
            steps=tuple(StepRecord(step.name, "waiting", None, None) for step in plan.steps),
            facts=dict(plan.facts),
            attempts=0,
            created=now,
            started=None,
            ended=None,
            says=None,
            remedy=None,
            code=None,
            detail="",
        )
        return number

    async def job(self, job: int) -> Job | None:
        return self._jobs.get(job)

    async def jobs(
        self,
        *,
        open_only: bool = False,
        kind: Kind | None = None,
        subject: str | None = None,
        before: int | None = None,
        ended: tuple[datetime, datetime] | None = None,
        most: int = 50,
    ) -> list[Job]:
        found = [
            job
            for job in self._jobs.values()
            if subject in {None, job.plan.subject} and kind in {None, job.plan.kind} and not (open_only and job.over)
            if before is None or job.id < before
            if ended is None or (job.ended is not None and ended[0] <= job.ended < ended[1])
        ]
        return (found if open_only else found[::-1])[:most]

    async def mark_job(
        self,
        job: int,
        state: JobState,
        now: datetime,
        *,
        says: Words | None = None,
        remedy: Words | None = None,
        code: str | None = None,
        detail: str = "",
    ) -> None:
        former = self._job(job)
        if state == "running":
            marked = replace(former, attempts=former.attempts + 1, started=former.started or now)
            marked = replace(marked, says=says, remedy=remedy, code=code, detail=detail)
        else:
            marked = replace(
                former,
                says=says or former.says,
                remedy=remedy or former.remedy,
                code=code or former.code,
                detail=detail or former.detail,
            )
        self._jobs[job] = replace(marked, state=state, ended=now if state in ENDED else None)

    async def mark_step(
        self, job: int, step: str, state: StepState, now: datetime, facts: Mapping[str, Json] | None = None
    ) -> None:
        former = self._job(job)
        if step not in {each.name for each in former.steps}:
            raise NotFound("job {job} has no step called {step}", job=job, step=step)
        ended = now if state in {"done", "failed", "undone", "undo-failed"} else None
        steps = tuple(
            StepRecord(step, state, None if state == "waiting" else each.began or now, ended)
            if each.name == step
            else each
            for each in former.steps
        )
        self._jobs[job] = replace(former, steps=steps, facts={**former.facts, **(facts or {})})

    async def remember(self, job: int, facts: Mapping[str, Json]) -> None:
        former = self._job(job)
        self._jobs[job] = replace(former, facts={**former.facts, **facts})

    async def take_leases(self, job: int, leases: Iterable[str]) -> bool:
        wanted = set(leases)
        if any(self._leases.get(name, job) != job for name in wanted):
            return False
        self._leases |= dict.fromkeys(wanted, job)
        return True

    async def drop_leases(self, job: int) -> None:
        self._leases = {name: holder for name, holder in self._leases.items() if holder != job}

    async def leases(self) -> dict[str, int]:
        return dict(sorted(self._leases.items()))

    async def add_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshots[snapshot.target, snapshot.id] = snapshot

    async def snapshots(
        self,
        stack: str | None = None,
        *,
        target: str | None = None,
        good_only: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        begins: str = "",
        most: int = 100,
    ) -> list[Snapshot]:
        found = [
            each
            for each in self._snapshots.values()
            if stack in {None, each.stack} and target in {None, each.target} and (each.good or not good_only)
            if (since is None or each.taken >= since)
            and (until is None or each.taken <= until)
            and each.id.startswith(begins)
        ]
        return sorted(found, key=lambda each: (each.taken, each.id), reverse=True)[:most]

    async def newest_good(self, target: str, until: datetime) -> dict[str, datetime]:
        good = await self.snapshots(target=target, good_only=True, until=until, most=len(self._snapshots))
        return {each.stack: each.taken for each in reversed(good)}

    async def answers(self) -> None:
        pass

    @property
    def changes(self) -> int:
        self._asked += 1  # who asks twice may have changed it between
        return self._asked

    @asynccontextmanager
    async def look(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        yield lambda: asyncio.sleep(0)

    async def drop_snapshots(self, target: str, ids: Sequence[str]) -> None:
        for id_ in ids:
            self._snapshots.pop((target, id_), None)

    async def add_proof(self, proof: Proof) -> None:
        self._proofs[proof.job] = proof

    async def proofs(
        self,
        stack: str | None = None,
        *,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = 100,
    ) -> list[Proof]:
        found = [
            each
            for each in self._proofs.values()
            if stack in {None, each.stack}
            and outcome in {None, each.outcome}
            and (since is None or each.ended >= since)
            and (until is None or each.ended < until)
        ]
        return sorted(found, key=lambda each: (each.ended, each.job), reverse=True)[:most]

    async def set_disks(self, disks: Sequence[Disk], now: datetime) -> None:
        self._disks = (list(disks), now if disks else None)

    async def disks(self) -> tuple[list[Disk], datetime | None]:
        return list(self._disks[0]), self._disks[1]

    async def open_alert(self, key: str, severity: Severity, says: Words, remedy: Words, now: datetime) -> None:
        for place, alert in enumerate(self._alerts):
            if alert.key == key and alert.closed is None:
                self._alerts[place] = replace(alert, severity=severity, says=says, remedy=remedy)
                if (alert.severity, severity, alert.worse) == ("notice", "trouble", None):
                    self._alerts[place] = replace(self._alerts[place], worse=now, known=None, asleep=None)
                return
        self._alerts.append(Alert(len(self._alerts) + 1, key, severity, says, remedy, now))

    async def close_alert(self, key: str, now: datetime) -> None:
        self._alerts = [
            replace(alert, closed=now) if alert.key == key and alert.closed is None else alert for alert in self._alerts
        ]

    async def alerts(self, *, open_only: bool = True, before: int | None = None, most: int = 100) -> list[Alert]:
        found = [alert for alert in reversed(self._alerts) if before is None or alert.id < before]
        return [alert for alert in found if not (open_only and alert.closed)][:most]

    async def reopen(self) -> None:
        if self.fails is not None:
            raise self.fails

    async def note(self, key: str, value: str) -> None:
        if self.fails is not None:
            raise self.fails
        self._notes[key] = value

    async def noted(self, key: str) -> str | None:
        return self._notes.get(key)

    async def unnote(self, key: str) -> None:
        self._notes.pop(key, None)


# -- files


@dataclass(frozen=True, slots=True)
class Leaf:
    """A file, or a folder if it has no text."""

    text: str | None
    mode: int
    owner: tuple[int, int] = (0, 0)
    changed: datetime = LONG_AGO


class FakeFiles:
    """The `Files`, a tree in memory. What is shipped may be copied in from the real disk."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.leaves: dict[Path, Leaf] = {Path("/"): Leaf(None, 0o755)}
        self.mounts: set[Path] = set()
        self.full = False

    def beneath(self, folder: Path) -> dict[str, Leaf]:
        """Everything in a folder, by its path in there."""
        return {
            str(path.relative_to(folder)): leaf
            for path, leaf in self.leaves.items()
            if path.is_relative_to(folder) and path != folder
        }

    def put(self, path: Path, leaf: Leaf) -> None:
        """Place a leaf, and the folders above it."""
        for folder in reversed(path.parents):
            self.leaves.setdefault(folder, Leaf(None, 0o700, changed=self.clock()))
        self.leaves[path] = replace(leaf, changed=self.clock())

    def is_folder(self, path: Path) -> bool:
        return path in self.leaves and self.leaves[path].text is None

    def _drop(self, path: Path) -> None:
        self.leaves = {each: leaf for each, leaf in self.leaves.items() if not each.is_relative_to(path)}

    async def write(self, path: Path, text: str, mode: int = 0o600) -> None:
        if not self.is_folder(path.parent):
            raise NotFound("{path} is not there, or its folder is not", path=str(path))
        if self.full:
            raise NoSpace("the disk that holds {path} is full", path=str(path))
        self.put(path, Leaf(text, mode))

    async def read(self, path: Path) -> str | None:
        return self.leaves[path].text if path in self.leaves else None

    async def copy_tree(self, source: Path, to: Path) -> None:
        if self.is_folder(source):
            found = self.beneath(source)
        elif source.is_dir():
            found = {
                str(each.relative_to(source)): Leaf(each.read_text() if each.is_file() else None, each.stat().st_mode)
                for each in source.rglob("*")
            }
        else:
            raise NotFound("the folder {path} is not there", path=str(source))
        self._drop(to)
        self.put(to, Leaf(None, 0o755))
        for name, leaf in found.items():
            self.put(to / name, Leaf(leaf.text, 0o755 if leaf.text is None or leaf.mode & 0o111 else 0o644))

    async def make_folder(self, path: Path, owner: tuple[int, int] | None, mode: int) -> None:
        self.put(path, Leaf(None, mode, owner or (os.geteuid(), os.getegid())))

    async def move(self, source: Path, to: Path) -> None:
        if source not in self.leaves:
            if to in self.leaves:
                return
            raise NotFound("{path} is not there", path=str(source))
        if to in self.leaves:
            raise Refused("cannot move {path}: there is already something at {to}", path=str(source), to=str(to))
        if not self.is_folder(to.parent):
            raise NotFound("{path} is not there, or its folder is not", path=str(source))
        moved = {
            to / path.relative_to(source): leaf for path, leaf in self.leaves.items() if path.is_relative_to(source)
        }
        self._drop(source)
        self.leaves |= moved
        self.leaves[to] = replace(self.leaves[to], changed=self.clock())

    async def remove(self, path: Path) -> None:
        for mount in self.mounts:
            if mount.is_relative_to(path):
                raise Refused("cannot remove {path}: a disk or folder is mounted at {mount}", path=str(path))
        self._drop(path)

    async def exists(self, path: Path) -> bool:
        return path in self.leaves

    async def tail(self, path: Path, bytes_: int = 4096) -> str:
        return (await self.read(path) or "").encode()[-bytes_:].decode("utf-8", "replace")

    async def measure(self, path: Path) -> tuple[int, int]:
        texts = [leaf.text for leaf in self.beneath(path).values() if leaf.text is not None]
        return len(texts), sum(len(text.encode()) for text in texts)

    async def write_down(self, folder: Path) -> None:
        if not self.is_folder(folder):
            raise NotFound("{path} is not there, or its folder is not", path=str(folder))

    async def tame(self, folder: Path) -> list[str]:
        files = {name: leaf for name, leaf in self.beneath(folder).items() if leaf.text is not None}
        armed = {name: leaf for name, leaf in files.items() if leaf.mode & 0o6000}
        for name, leaf in armed.items():
            self.leaves[folder / name] = replace(leaf, mode=leaf.mode & ~0o6000)
        return sorted(armed)

    async def kind_beneath(self, folder: Path, inside: PurePosixPath) -> Literal["", "folder", "file", "link", "other"]:
        if folder / inside not in self.leaves:
            return ""
        return "folder" if self.is_folder(folder / inside) else "file"

    async def older_than(self, folder: Path, then: datetime) -> list[Path]:
        return sorted(path for path, leaf in self.leaves.items() if path.parent == folder and leaf.changed < then)


class FakeMoments:
    """The `Moments`, on the tree of `FakeFiles`; with `btrfs`, every folder made as room for one is a subvolume."""

    def __init__(self, files: FakeFiles, btrfs: bool = False) -> None:
        self._files = files
        self.btrfs = btrfs
        self.subvolumes: set[Path] = set()

    async def make_room(self, folder: Path) -> None:
        if self.btrfs and not await self._files.exists(folder) and self._files.is_folder(folder.parent):
            self._files.put(folder, Leaf(None, 0o755))
            self.subvolumes.add(folder)

    async def can_hold(self, folder: Path) -> bool:
        others = {each for each in self.subvolumes | self._files.mounts if each in self._files.leaves}
        return folder in others & self.subvolumes and not any(folder in each.parents for each in others)

    async def hold(self, folder: Path, at: Path) -> None:
        if folder not in self.subvolumes or at in self._files.leaves:
            raise GardienError("cannot do what is needed with {path}", path=str(at))
        self._files.put(at, self._files.leaves[folder])
        for name, leaf in self._files.beneath(folder).items():
            self._files.put(at / name, leaf)

    async def let_go(self, at: Path) -> None:
        await self._files.remove(at)


# -- repositories


@dataclass
class Repository:
    """A repository at a target: what plain restic would find there."""

    passphrase: str
    others: set[str] = field(default_factory=set)  # passphrases that open it as well
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    snapshots: dict[str, tuple[Found, Leaf, dict[str, Leaf]]] = field(default_factory=dict)
    locks: int = 0
    locked_by_the_living: bool = False
    damaged: set[str] = field(default_factory=set)  # snapshots whose data is not whole any more
    forgotten: int = 0  # snapshots whose data is still there


class FakeRestic(FakeInside):
    """The `Restic`, on the files of `FakeFiles`. Faults are sets of target names."""

    def __init__(self, settings: Settings, files: FakeFiles, clock: Clock) -> None:
        self._settings = settings
        self._files = files
        self._clock = clock
        self.repositories: dict[str, Repository] = {}  # by the target's location
        self.unreachable: set[str] = set()
        self.refusing: set[str] = set()
        self.full: set[str] = set()
        self.keeping: set[str] = set()  # nothing can be deleted there
        self.unreadable: set[Path] = set()

    async def version(self) -> str:
        return "0.18.0"

    def place(self, target: str) -> str:
        """Where a target's repository is; a renamed folder is another place."""
        if target not in self._settings.targets:
            raise NotFound("there is no backup target called {target}", target=target)
        where = {"kind", "folder", "host", "port", "user", "endpoint", "bucket", "url"}
        return self._settings.targets[target].model_dump_json(include=where)

    async def _passphrase(self, target: str) -> str:
        self.place(target)
        text = await self._files.read(self._settings.passphrase(target))
        if not text:
            raise WrongPassphrase("the passphrase of the backup target {target} is not on this machine", target=target)
        if target in self.unreachable:
            raise TargetUnreachable("cannot reach the backup target {target}", target=target)
        if target in self.refusing:
            raise TargetRefuses("the backup target {target} does not let gardien in", target=target)
        return text.strip()

    async def _open(self, target: str, exclusive: bool = False) -> Repository:
        passphrase = await self._passphrase(target)
        repository = self.repositories.get(self.place(target))
        if repository is None:
            raise RepositoryMissing("there is no backup repository at the target {target}", target=target)
        if passphrase not in {repository.passphrase, *repository.others}:
            raise WrongPassphrase("the passphrase for the backup target {target} is the wrong one", target=target)
        if exclusive:
            if repository.locked_by_the_living:
                raise RepositoryLocked("something else is working on the repository at {target}", target=target)
            repository.locks = 0
        return repository

    async def create(self, target: str, *, like: str | None = None) -> str:
        if like is not None:
            await self._open(like)
        passphrase = await self._passphrase(target)
        if self.place(target) in self.repositories:
            raise Refused("there is a backup repository at the target {target} already", target=target)
        if target in self.full:
            raise TargetFull("the storage at the backup target {target} is full", target=target)
        self.repositories[self.place(target)] = made = Repository(passphrase)
        return made.id

    async def identity(self, target: str) -> str:
        return (await self._open(target)).id

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
        if not folder.is_absolute() or not self._files.is_folder(folder):
            raise Incomplete("there is nothing to save: the folder {folder} is not there", folder=str(folder))
        repository = await self._open(target, exclusive=True)
        when = self._clock() if at is None else at.astimezone(UTC).replace(microsecond=0)
        if begin is not None:
            if opened is not None:
                opened()
            await begin
        if target in self.full:
            raise TargetFull("the storage at the backup target {target} is full", target=target)
        left_out = [_matcher(pattern) for pattern in leave_out]
        wanted = {
            name: leaf
            for name, leaf in self._files.beneath(folder).items()
            if not any(pattern.fullmatch(name) for pattern in left_out)
        }
        missed = {name for name in wanted if folder / name in self.unreadable}
        taken = {name: leaf for name, leaf in wanted.items() if name not in missed}
        known = {leaf.text for _, _, tree in repository.snapshots.values() for leaf in tree.values()}
        texts = [leaf.text for leaf in taken.values() if leaf.text is not None]
        size = sum(len(text.encode()) for text in texts)
        id_ = secrets.token_hex(32)
        bears = ("gardien", *(tag for tag in tags if tag != "gardien"))
        found = Found(id_, when, self._settings.name, bears, (str(folder),), id_, len(texts), size)
        repository.snapshots[id_] = (found, self._files.leaves[folder], taken)
        progress(Progress(0, size, 0, len(texts)))
        progress(Progress(size, size, len(texts), len(texts), seconds_left=0.0))
        return Saved(
            id=id_,
            files=len(texts),
            bytes=size,
            added=sum(len(text.encode()) for text in set(texts) - known) + 300,
            complete=not missed,
            missed=tuple(str(folder / name) for name in sorted(missed)),
        )

    async def found(self, target: str, *, tags: Sequence[str]) -> list[Found]:
        repository = await self._open(target)
        listed = [found for found, _, _ in repository.snapshots.values()]
        ours = [each for each in listed if each.host == self._settings.name and set(tags) <= set(each.tags)]
        return sorted(ours, key=lambda each: each.taken, reverse=True)

    async def _snapshot(self, target: str, snapshot: str) -> tuple[Repository, Found, Leaf, dict[str, Leaf]]:
        repository = await self._open(target)
        if snapshot not in repository.snapshots:
            raise NotFound("there is no snapshot {snapshot} at the target {target}", snapshot=snapshot, target=target)
        return repository, *repository.snapshots[snapshot]

    async def contents(self, target: str, snapshot: str) -> tuple[int, int]:
        _, _, _, tree = await self._snapshot(target, snapshot)
        texts = [leaf.text for leaf in tree.values() if leaf.text is not None]
        return len(texts), sum(len(text.encode()) for text in texts)

    async def compare(self, target: str, snapshot: str, folder: str, to: Path) -> Likeness:
        _, _, _, tree = await self._snapshot(target, snapshot)
        files, size = await self.contents(target, snapshot)
        there = self._files.beneath(to)
        shape = {name: (each.text, each.mode & ~0o6000, each.owner) for name, each in there.items()}
        listed = {name: (each.text, each.mode & ~0o6000, each.owner) for name, each in tree.items()}
        wrong = sorted(name for name in shape.keys() | listed.keys() if shape.get(name) != listed.get(name))
        armed = tuple(name for name, each in tree.items() if each.text is not None and each.mode & 0o6000)
        return Likeness(files, size, len(wrong), tuple(wrong), armed)

    async def bring_back(
        self, target: str, snapshot: str, folder: str, to: Path, progress: OnProgress, *, persistent: bool = False
    ) -> None:
        mounted = any(mount.is_relative_to(to) for mount in self._files.mounts)
        if not to.is_absolute() or ".." in to.parts or len(to.parts) < 4 or mounted:
            raise Refused("will not restore to {folder}", folder=str(to))
        repository, found, top, tree = await self._snapshot(target, snapshot)
        if found.paths != (folder,) or not tree:
            raise Damaged("nothing was restored from the target {target}", target=target)
        if snapshot in repository.damaged:
            raise Damaged("what the backup target {target} gave back is not what was saved there", target=target)
        if self._files.full:
            raise NoSpace("the disk that holds {folder} is too full to restore to", folder=str(to))
        await self._files.remove(to)
        self._files.put(to, top)
        for name, leaf in tree.items():
            self._files.put(to / name, leaf)
        files, size = await self._files.measure(to)
        progress(Progress(size, size, files, files, seconds_left=0.0))

    async def forget(self, target: str, snapshots: Sequence[str]) -> None:
        if not snapshots:
            return
        repository = await self._open(target, exclusive=True)
        there = [snapshot for snapshot in snapshots if snapshot in repository.snapshots]
        if there and target in self.keeping:
            raise Refused("the backup target {target} lets nothing be deleted from here", target=target)
        for snapshot in there:
            del repository.snapshots[snapshot]
            repository.forgotten += 1

    async def copy(
        self,
        source: str,
        target: str,
        snapshots: Sequence[str],
        progress: OnProgress,
        *,
        kib_per_second: int | None = None,
        persistent: bool = True,
    ) -> None:
        if not snapshots:
            return
        ours, theirs = await self._open(source), await self._open(target, exclusive=True)
        there = [each for each in snapshots if each in ours.snapshots]
        if target in self.full and there:
            raise TargetFull("the storage at the backup target {target} is full", target=target)
        if damaged := ours.damaged & set(there):
            raise Damaged("what {target} gave back is not what was saved there: {ids}", target=source, ids=str(damaged))
        for number, each in enumerate(there):
            found, top, tree = ours.snapshots[each]
            if all(copied.original != found.original for copied, _, _ in theirs.snapshots.values()):
                id_ = secrets.token_hex(32)
                theirs.snapshots[id_] = (replace(found, id=id_), top, tree)
            progress(Progress(files_done=number + 1, files_total=len(there)))
        if len(there) < len(snapshots):
            raise NotFound("not every snapshot to be copied is at the backup target {source} any more", source=source)

    async def check(self, target: str, part: tuple[int, int] | None, progress: OnProgress) -> Checked:
        if part is not None and not 1 <= part[0] <= part[1]:
            raise ValueError(f"not a part: {part}")
        repository = await self._open(target, exclusive=True)
        progress(Progress(files_done=1, files_total=1))
        # A damaged snapshot is one whose bytes have rotted, all in the first part: only reading them tells.
        read = part is not None and part[0] == 1
        return Checked(tuple(sorted(repository.damaged)) if read else ())

    async def prune(self, target: str, progress: OnProgress, *, kib_per_second: int | None = None) -> None:
        repository = await self._open(target, exclusive=True)
        if repository.forgotten and target in self.keeping:
            raise Refused("the backup target {target} lets nothing be deleted from here", target=target)
        repository.forgotten = 0
        progress(Progress(files_done=1, files_total=1))

    async def can_delete(self, target: str) -> bool:
        await self._open(target)
        return target not in self.keeping

    async def opens(self, target: str, passphrase: Path) -> bool:
        await self._passphrase(target)
        repository = self.repositories.get(self.place(target))
        if repository is None:
            raise RepositoryMissing("there is no backup repository at the target {target}", target=target)
        return (await self._files.read(passphrase) or "").strip() in {repository.passphrase, *repository.others}

    async def add_key(self, target: str, passphrase: Path) -> None:
        (await self._open(target)).others.add((await self._files.read(passphrase) or "").strip())

    async def drop_key(self, target: str, passphrase: Path) -> None:
        repository, gone = await self._open(target), (await self._files.read(passphrase) or "").strip()
        if gone not in {repository.passphrase, *repository.others}:
            return
        if target in self.keeping:
            raise Refused("the backup target {target} lets nothing be deleted from here", target=target)
        keys = {repository.passphrase, *repository.others} - {gone}
        repository.passphrase = keys.pop()
        repository.others = keys

    async def read(self, target: str, snapshot: str, path: str) -> str:
        _, found, _, tree = await self._snapshot(target, snapshot)
        leaf = tree.get(str(Path(path).relative_to(found.paths[0])))
        if leaf is None or leaf.text is None:
            raise NotFound("the backup does not hold {file}", file=path)
        return leaf.text

    async def speed(self, target: str, snapshot: str, folder: str) -> float | None:
        _, found, _, _ = await self._snapshot(target, snapshot)
        return 10e6 if (found.bytes or 0) > 1 << 20 else None

    def under(self, settings: Settings) -> "FakeRestic":
        other = FakeRestic(settings, self._files, self._clock)
        other.repositories, other.unreachable, other.refusing = self.repositories, self.unreachable, self.refusing
        other.full, other.keeping, other.unreadable = self.full, self.keeping, self.unreadable
        return other

    async def unlock(self, target: str) -> None:
        (await self._open(target)).locks = 0

    async def locks(self, target: str) -> int:
        return (await self._open(target)).locks


def _matcher(pattern: str) -> re.Pattern[str]:
    """A left-out path: what matches it, and all beneath; `*` stays within one name."""
    return re.compile("[^/]*".join(re.escape(part) for part in pattern.strip("/").split("*")) + "(/.*)?", re.DOTALL)


# -- Docker


class FakeApp:
    """What runs in the containers: a shell of three commands, and a page. A test's own application overrides both."""

    def run(self, service: str, argv: Sequence[str], user: str | None, text: str) -> str:
        """What a command prints. Raises `CommandFailed`."""
        if argv[0] == "echo":
            return " ".join(argv[1:]) + "\n"
        if argv[0] == "cat":
            return text
        raise CommandFailed("a command inside the service {service} failed", service=service)

    def page(self) -> tuple[int, bytes]:
        """What it answers over HTTP: status and body."""
        return 200, b"{}"


class FakeDocker:
    """A Docker Engine with a registry: what Compose and the API share."""

    def __init__(self, host: "FakeHost", files: FakeFiles) -> None:
        self.host = host
        self.files = files
        self.up = True
        self.images: set[str] = set()
        self.registry: set[str] = set()
        self.registry_answers = True
        self.containers: dict[tuple[str, str], Container] = {}
        self.networks: dict[str, dict[tuple[str, str], tuple[str, ...]]] = {}  # who is on it, under which further names
        self.lost: set[tuple[str, str, str]] = set()  # stopped containers that look for a network that went
        self.restarted: list[tuple[str, str]] = []  # project and service
        self.facts = EngineFacts(Path("/var/lib/docker"), memory_limits=True)
        self.sick: set[str] = set()  # services that never get well
        self.apps: dict[str, FakeApp] = {}  # by stack
        self.listeners: list[asyncio.Queue[Event]] = []

    def require(self) -> None:
        if not self.up:
            raise DockerDown("the Docker Engine does not answer")

    def of(self, project: str) -> list[Container]:
        return [container for (owner, _), container in self.containers.items() if owner == project]

    def leave_all(self, project: str, service: str) -> None:
        """A container that is removed is on no network any more."""
        for members in self.networks.values():
            members.pop((project, service), None)
        self.lost = {each for each in self.lost if each[:2] != (project, service)}

    def drop_network(self, name: str) -> None:
        """It stays while a container that runs is on it."""
        if not any(self.runs(*each) for each in self.networks.get(name, ())):
            self.lost |= {(*each, name) for each in self.networks.pop(name, ())}

    def die(self, project: str, service: str, *, no_memory: bool = False) -> None:
        """It ends by itself, and is not restarted."""
        former = self.containers[project, service]
        if no_memory:
            self.tell(former, "no-memory")
        self.tell(former, "died")
        self.containers[project, service] = replace(former, state="exited", health="")

    def tell(self, container: Container, what: Literal["started", "died", "no-memory"]) -> None:
        if what == "started" or container.state == "running":
            for each in self.listeners:
                each.put_nowait(Event(container.project, container.service, what))

    def runs(self, project: str, service: str) -> bool:
        container = self.containers.get((project, service))
        return container is not None and container.state == "running"


class FakeCompose:
    """The `Compose`. A stack's folder must be deployed, its images here, its folders made, its ports free."""

    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker

    async def images(self, stack: Stack) -> dict[str, str]:
        def fill(found: re.Match[str]) -> str:
            return stack.images.get(found[1], found[2])

        self._config(stack)
        return {
            service: re.sub(r"\$\{(\w+):-([^}]*)\}", fill, image) for service, image in stack.recipe.services.items()
        }

    async def model(self, stack: Stack) -> dict[str, Any]:
        self._config(stack)
        first, *others = (await self.images(stack)).items()
        ports = [{"host_ip": "127.0.0.1", "published": str(port), "target": port} for port in _ports(stack)]
        volumes = [
            {"type": "bind", "source": str(stack.home / path), "target": f"/{path}"} for path in stack.manifest.folders
        ]
        services = {first[0]: {"image": first[1], "ports": ports, "volumes": volumes, "restart": "unless-stopped"}}
        services |= {name: {"image": image} for name, image in others}
        return {"name": stack.project, "services": services, "networks": {"default": {}}}

    def _config(self, stack: Stack) -> str:
        """What lies in the stack's folder for Compose to read."""
        leaves = self._docker.files.leaves
        names = FILES[:1] if stack.recipe.kept else FILES
        file = next((leaves[stack.compose / name] for name in names if stack.compose / name in leaves), None)
        env = leaves.get(stack.compose / ".env")
        if file is None or (env is None and stack.recipe.kept):
            raise CommandFailed("Docker Compose failed on the stack {stack}", stack=stack.name)
        return f"{file.text}{env and env.text}"

    async def hashes(self, stack: Stack) -> dict[str, str]:
        config, images = self._config(stack), await self.images(stack)
        return {name: hashlib.sha256(f"{name}{image}{config}".encode()).hexdigest() for name, image in images.items()}

    async def up(self, stack: Stack, services: Sequence[str] = ()) -> None:
        await self._run(stack, services, anew=True)
        if ill := self._docker.sick & set(services or stack.recipe.services):
            raise NotHealthy("{stack} was started, but does not get well", stack=stack.name, service=min(ill))

    async def start(self, stack: Stack, services: Sequence[str]) -> None:
        await self._run(stack, services)

    async def _run(self, stack: Stack, services: Sequence[str], *, anew: bool = False) -> None:
        """`anew`: what was made from another configuration is made again."""
        docker = self._docker
        docker.require()
        images, hashes = await self.images(stack), await self.hashes(stack)
        docker.networks.setdefault(f"{stack.project}_default", {})
        if stack.manifest.routes:
            docker.networks.setdefault(stack.door_network, {})
        for service in services or stack.recipe.services:
            if images[service] not in docker.images:
                raise NotFound("cannot start {stack}: the image is not on this machine", stack=stack.name)
            former = docker.containers.get((stack.project, service))
            stale = anew and former is not None and former.config != hashes[service]
            if docker.runs(stack.project, service) and not stale:
                continue
            for path in stack.manifest.folders:
                if not docker.files.is_folder(stack.home / path):
                    raise DiskMissing("cannot start {stack}: a folder is not there", stack=stack.name)
            self._take_ports(stack)
            health = "unhealthy" if service in docker.sick else "healthy"
            if former is None or stale:
                docker.leave_all(stack.project, service)
                id_, image, config = secrets.token_hex(32), images[service], hashes[service]
                former = Container(id_, stack.project, service, "created", "", image, config)
            if any(each[:2] == (stack.project, service) for each in docker.lost):
                raise CommandFailed("Docker Compose failed on the stack {stack}", stack=stack.name)
            docker.containers[stack.project, service] = replace(former, state="running", health=health)
            docker.tell(former, "started")

    def _take_ports(self, stack: Stack) -> None:
        host = self._docker.host
        for port in _ports(stack):
            if host.taken.setdefault(port, stack.project) != stack.project:
                raise PortTaken("cannot start {stack}: something else listens there", stack=stack.name)

    async def stop(self, stack: Stack, services: Sequence[str] = ()) -> None:
        self._docker.require()
        for container in self._docker.of(stack.project):
            if not services or container.service in services:
                self._docker.tell(container, "died")
                self._docker.containers[stack.project, container.service] = replace(
                    container, state="exited", health=""
                )
        self._free_ports(stack)

    async def restart(self, stack: Stack, services: Sequence[str] = ()) -> None:
        self._docker.require()
        self._config(stack)
        for each in self._docker.of(stack.project):
            if each.service in services if services else each.state == "running":
                self._docker.restarted.append((each.project, each.service))
                self._docker.tell(each, "died")
                self._docker.tell(each, "started")
                self._docker.containers[each.project, each.service] = replace(each, state="running")

    async def down(self, stack: Stack) -> None:
        self._docker.require()
        for container in self._docker.of(stack.project):
            self._docker.leave_all(stack.project, container.service)
            del self._docker.containers[stack.project, container.service]
        self._docker.drop_network(f"{stack.project}_default")
        self._docker.drop_network(stack.door_network)
        self._free_ports(stack)

    def _free_ports(self, stack: Stack) -> None:
        if not any(container.state == "running" for container in self._docker.of(stack.project)):
            for port in _ports(stack):
                if self._docker.host.taken.get(port) == stack.project:
                    del self._docker.host.taken[port]

    async def run_in(
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
        self._docker.require()
        if not self._docker.runs(stack.project, service):
            raise NotHealthy("the service {service} of {stack} is not running", service=service, stack=stack.name)
        text = (await self._docker.files.read(input_) or "") if input_ is not None else ""
        printed = self._docker.apps.get(stack.name, FakeApp()).run(service, argv, user, text)
        if output is None:
            return printed
        await self._docker.files.write(output, printed)
        return ""

    async def logs(self, stack: Stack, lines: int = 200, service: str | None = None) -> str:
        self._docker.require()
        self._config(stack)
        if service not in {None, *stack.recipe.services}:
            raise CommandFailed("Docker Compose failed on the stack {stack}", stack=stack.name)
        containers = [each for each in self._docker.of(stack.project) if service in {None, each.service}]
        return "\n".join([f"{each.service}  | {each.state}" for each in containers][-lines:])


def _ports(stack: Stack) -> list[int]:
    """None of a project that is run where it lies: it has no settings of its own, or was set apart."""
    if not stack.recipe.kept:
        return []
    return [int(stack.settings[name]) for name, each in stack.manifest.settings.items() if each.kind == "port"]


class FakeEngine:
    """The `Engine`."""

    def __init__(self, docker: FakeDocker) -> None:
        self._docker = docker

    async def ping(self) -> str:
        self._docker.require()
        return "28.0.0"

    async def containers(self, projects: Sequence[str]) -> list[Container]:
        self._docker.require()
        return [container for project in dict.fromkeys(projects) for container in self._docker.of(project)]

    async def image_id(self, image: str) -> str | None:
        self._docker.require()
        return f"sha256:{image.encode().hex().zfill(64)[:64]}" if image in self._docker.images else None

    async def pull(self, image: str, progress: OnProgress) -> None:
        self._docker.require()
        if not self._docker.registry_answers:
            raise CommandFailed("cannot fetch the image {image}", image=image)
        if image not in self._docker.registry:
            raise NotFound("there is no image {image} where it should come from", image=image)
        progress(Progress(50, 100))
        progress(Progress(100, 100))
        self._docker.images.add(image)

    async def drop_image(self, image: str) -> bool:
        self._docker.require()
        if image not in self._docker.images or any(each.image == image for each in self._docker.containers.values()):
            return False
        self._docker.images.remove(image)
        return True

    async def facts(self) -> EngineFacts:
        self._docker.require()
        return self._docker.facts

    async def events(self) -> AsyncGenerator[Event, None]:
        self._docker.require()
        heard: asyncio.Queue[Event] = asyncio.Queue()
        self._docker.listeners.append(heard)
        while True:
            event = await heard.get()
            self._docker.require()
            yield event

    async def attach(self, project: str, service: str, network: str, names: Sequence[str]) -> bool:
        self._docker.require()
        if network not in self._docker.networks or not self._docker.runs(project, service):
            return False
        self._docker.networks[network][project, service] = tuple(names)
        return True

    async def addresses(self, project: str) -> dict[str, str]:
        self._docker.require()
        running = (each for each in self._docker.of(project) if each.state == "running")
        return {each.service: f"172.20.0.{number}" for number, each in enumerate(running, 2)}

    async def wipe(self, project: str) -> None:
        self._docker.require()
        for container in self._docker.of(project):
            self._docker.leave_all(project, container.service)
            del self._docker.containers[project, container.service]
        for network in [name for name in self._docker.networks if name.startswith(f"{project}_")]:
            self._docker.drop_network(network)

    async def detach(self, project: str, service: str, network: str) -> None:
        self._docker.require()
        self._docker.networks.get(network, {}).pop((project, service), None)
        self._docker.lost.discard((project, service, network))


class FakeProbes:
    """The `Probes`: an application answers at its stack's own ports while any of its containers runs.

    `pages` are those that answer in any case.
    """

    def __init__(self, docker: FakeDocker, compose: FakeCompose) -> None:
        self._docker = docker
        self._compose = compose
        self.pages: dict[str, Callable[[], tuple[int, bytes]]] = {}  # by address

    async def ask(self, stack: Stack, probe: Probe) -> Answer:
        if probe.exec_ is not None:
            try:
                printed = await self._compose.run_in(stack, probe.exec_, [stack.fill(word) for word in probe.argv])
            except GardienError as error:
                return Answer(False, error.says)
            return judge(stack, probe.expect, printed.encode())
        address = stack.fill(probe.http or probe.websocket or probe.tcp or "")
        at_home = any(f":{port}" in address for port in _ports(stack)) or address.startswith("http://172.20.0.")
        runs = at_home and any(container.state == "running" for container in self._docker.of(stack.project))
        page = self.pages.get(address) or (self._docker.apps.get(stack.name, FakeApp()).page if runs else None)
        if page is None:
            return silent(stack)
        status, body = page()
        if probe.websocket is not None:
            return judge(stack, Expectation(status=101), b"", status)
        return judge(stack, probe.expect, body, status if probe.http is not None else None)


# -- the machine and the shelf


class FakeHost:
    """The `Host`: disks by the folder they are mounted at, ports by number."""

    def __init__(self) -> None:
        self.disks: dict[Path, tuple[int, int]] = {Path("/"): (10**12, 10**11)}  # total and free
        self.gone: set[Path] = set()
        self.taken: dict[int, str] = {}
        self.faults: dict[Path, Fault] = {}  # by where the disk is mounted
        self.has_cores = 4
        self.set_by_network = True
        self.has_memory = 4 * 10**9
        self.has_memory_free = 2 * 10**9
        self.has_addresses: tuple[str, ...] = ("192.168.1.20",)
        self.names: dict[str, tuple[str, ...]] = {"localhost": ("127.0.0.1",)}  # what the resolver knows

    async def disk(self, path: Path) -> Disk:
        if any(path.is_relative_to(gone) for gone in self.gone):
            return Disk(str(path), 0, 0, present=False)
        mount = max((each for each in self.disks if path.is_relative_to(each)), key=lambda each: len(each.parts))
        return Disk(str(path), *self.disks[mount], fault=self.faults.get(mount, ""))

    def port_free(self, address: str, port: int) -> bool:
        return port not in self.taken

    def cores(self) -> int:
        return self.has_cores

    def memory(self) -> int:
        return self.has_memory

    def memory_free(self) -> int:
        return self.has_memory_free

    def addresses(self) -> tuple[str, ...]:
        return self.has_addresses

    async def clock_is_set(self) -> bool:
        return self.set_by_network

    async def resolve(self, name: str) -> tuple[str, ...]:
        known = name.endswith(".example") and max(map(len, name.split("."))) < 64
        return self.names.get(name, ("192.0.2.25",) if known else ())


class FakeSsh:
    """The `Ssh`: keys that open nothing; servers answer that are in `servers`."""

    def __init__(self, files: FakeFiles) -> None:
        self._files = files
        self.servers: dict[tuple[str, int], HostKey] = {}

    async def make(self, key: Path) -> str:
        if not await self._files.exists(key):
            await self._files.write(key, secrets.token_hex(8))
            await self._files.write(key.with_name(f"{key.name}.pub"), "")
        return await self.public(key)

    async def public(self, key: Path) -> str:
        return f"ssh-ed25519 {await self._files.read(key)} gardien"

    async def scan(self, host: str, port: int) -> tuple[HostKey, ...]:
        if (host, port) not in self.servers:
            raise TargetUnreachable("no SSH server answers at {host}, port {port}", host=host, port=port)
        return (self.servers[host, port],)


class FakeShelf:
    """The `Shelf`, with the recipes it is given; the owner's choices lie in `FakeFiles` where the real ones lie."""

    def __init__(self, settings: Settings, files: FakeFiles, recipes: Iterable[Recipe]) -> None:
        self._owner = settings.folders.owner
        self._files = files
        self.shipped = {recipe.name: recipe for recipe in recipes}
        self.merged: dict[str, Json] = {}  # what was written into the settings file
        self.file = f"folders: {{owner: {self._owner}}}\n"  # its text, and what it was before
        self.file_before: str | None = None

    async def recipes(self) -> list[str]:
        return sorted(self.shipped)

    async def recipe(self, name: str, folder: Path | None = None) -> Recipe:
        if name not in self.shipped or (folder is not None and not await self._files.exists(folder / "compose.yaml")):
            raise NotFound("there is no stack called {stack}", stack=name)
        return self.shipped[name] if folder is None else replace(self.shipped[name], folder=folder)

    async def chosen(self, name: str) -> Chosen | None:
        file = self._owner / "stacks" / f"{name}.yaml"
        return await self.chosen_in(file) if await self._files.exists(file) else None

    async def chosen_in(self, file: Path) -> Chosen:
        text = await self._files.read(file)
        if text is None:
            raise NotFound("there is no file {file}", file=str(file))
        return Chosen.model_validate_json(text)

    async def all_chosen(self) -> dict[str, Chosen]:
        every = {name: await self.chosen(name) for name in self.shipped}
        return {name: chosen for name, chosen in every.items() if chosen is not None}

    async def mark(self, deployed: Sequence[Path]) -> object:
        return object()  # always read anew: tests change what lies there as they like

    async def choose(self, name: str, chosen: Chosen | None) -> None:
        await self._keep(self._owner / "stacks" / f"{name}.yaml", None if chosen is None else chosen.model_dump_json())

    async def secrets(self, name: str) -> dict[str, str]:
        text = await self._files.read(self._owner / "secrets" / f"{name}.env")
        return read_env(text or "")[0]

    async def set_secrets(self, name: str, secrets: Mapping[str, str] | None) -> None:
        await self._keep(self._owner / "secrets" / f"{name}.env", None if secrets is None else write_env(secrets))

    async def as_target(self, fields: Mapping[str, object]) -> Target:
        return await FileShelf(self._owner, self._owner, LocalFiles()).as_target(fields)  # touches no disk

    async def merge_settings(self, fields: Mapping[str, Json]) -> None:
        self.merged = dict(fields)

    async def edited(self, changes: Changes) -> Edit:
        return self._edit(edited(self.file, changes))

    async def write(self, edit: Edit) -> None:
        [rewrite] = edit.rewrites
        self.file_before, self.file = self.file, rewrite.after

    async def former(self) -> Edit | None:
        return None if self.file_before is None else self._edit(self.file_before)

    def _edit(self, after: str) -> Edit:
        file = self._owner / "gardien.yaml"
        return Edit((Rewrite(file, self.file, after),), settings_in(after, file))

    async def set_target(self, name: str, target: Target | None) -> None:
        await self._keep(self._owner / "targets" / f"{name}.yaml", None if target is None else target.model_dump_json())

    async def _keep(self, file: Path, text: str | None) -> None:
        if text is None:
            await self._files.remove(file)
        else:
            await self._files.make_folder(file.parent, (0, 0), 0o700)
            await self._files.write(file, text)


@dataclass(frozen=True)
class FakeNeighbours:
    """All fakes of one house, for tests to turn and look at; `world` is what the use cases get."""

    world: World
    store: FakeStore
    files: FakeFiles
    moments: FakeMoments
    restic: FakeRestic
    docker: FakeDocker
    host: FakeHost
    probes: FakeProbes
    clock: FakeClock
    mailer: FakeMailer
    pinger: FakePinger
    second_way: FakeMailer
    sensors: FakeSensors
    registries: FakeRegistries


def neighbours(settings: Settings, recipes: Iterable[Recipe]) -> FakeNeighbours:
    """A house in memory, with its folders made and the images of its recipes waiting in the registry."""
    recipes = list(recipes)
    clock = FakeClock()
    files = FakeFiles(clock)
    for folder in (settings.folders.data, settings.folders.state, settings.folders.run, settings.secrets):
        files.put(folder, Leaf(None, 0o711))
    host, moments = FakeHost(), FakeMoments(files)
    docker = FakeDocker(host, files)
    docker.registry |= {image for recipe in recipes for image in recipe.image_defaults.values()}
    store, compose, restic = FakeStore(), FakeCompose(docker), FakeRestic(settings, files, clock)
    probes = FakeProbes(docker, compose)
    mailer, pinger, second = FakeMailer(), FakePinger(), FakeMailer()
    sensors, registries = FakeSensors(), FakeRegistries()
    world = World(
        settings=settings,
        clock=clock,
        store=store,
        restic=restic,
        compose=compose,
        engine=FakeEngine(docker),
        probes=probes,
        host=host,
        files=files,
        moments=moments,
        shelf=FakeShelf(settings, files, recipes),
        ssh=FakeSsh(files),
        hosts=load_hosts(HOSTS),
        beneath=FakeBeneath(files),
        listings=SqliteListings(settings.folders.state / "listings"),
        mailer=mailer,
        second_way=second,
        pinger=pinger,
        sensors=sensors,
        registries=registries,
        certificates=OwnCertificates(settings.folders.run),
    )
    return FakeNeighbours(
        world,
        store,
        files,
        moments,
        restic,
        docker,
        host,
        probes,
        clock,
        mailer,
        pinger,
        second,
        sensors,
        registries,
    )

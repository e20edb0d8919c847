"""What the use cases ask of their neighbours. Every neighbour, real or fake, passes the suite in `tests/contracts/`."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from gardien.model.health import Alert, Answer, Disk, Severity
from gardien.model.job import Job, JobState, Progress, StepState
from gardien.model.manifest import Probe
from gardien.model.plan import Json, Kind, Plan
from gardien.model.preset import Hosts
from gardien.model.settings import Settings
from gardien.model.setup import HostKey
from gardien.model.snapshot import Checked, Found, Likeness, Saved, Snapshot
from gardien.model.stack import Stack
from gardien.services.ports_docker import Compose, Engine
from gardien.services.ports_inside import Beneath, Inside, Listings
from gardien.services.ports_keys import Keys
from gardien.services.ports_letters import Mailer, Outbox, Pinger
from gardien.services.ports_people import PeopleStore
from gardien.services.ports_proofs import Proofs
from gardien.services.ports_readings import Record, Sensors, Sightings
from gardien.services.ports_registry import Findings, Registries
from gardien.services.ports_shelf import Shelf
from gardien.services.ports_tls import Certificates
from gardien.words import Words

Clock = Callable[[], datetime]  # aware, UTC
OnProgress = Callable[[Progress], None]


class Store(PeopleStore, Proofs, Outbox, Record, Findings, Sightings, Protocol):
    """gardien's memory. What a method returns from is on the disk for good (`synchronous=FULL`).

    Every method raises MemoryFailed where that cannot be.
    """

    async def reopen(self) -> None:
        """After its disk was away. Raises MemoryFailed if it still is."""
        ...

    async def add_job(self, plan: Plan, now: datetime) -> int: ...
    async def job(self, job: int) -> Job | None: ...
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
        """Newest first; with `open_only` those that have not ended, oldest first. `before`: with smaller numbers;
        `ended`: from then on, and before then.
        """
        ...

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
        """Change a job's state. `running` sets `started` once and counts an attempt; an end sets `ended`."""
        ...

    async def mark_step(
        self, job: int, step: str, state: StepState, now: datetime, facts: Mapping[str, Json] | None = None
    ) -> None:
        """Journal a step's state, and merge `facts` into the job's in the same transaction."""
        ...

    async def remember(self, job: int, facts: Mapping[str, Json]) -> None:
        """Merge `facts` into the job's, before the effect they speak of."""
        ...

    async def take_leases(self, job: int, leases: Iterable[str]) -> bool:
        """All or none."""
        ...

    async def drop_leases(self, job: int) -> None: ...
    async def leases(self) -> dict[str, int]: ...

    async def answers(self) -> None:
        """Ask it, and not what is held of it. Raises MemoryFailed, or what the one below it raises."""
        ...

    async def add_snapshot(self, snapshot: Snapshot) -> None: ...
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
        """Newest first; of those taken from `since` on, and up to `until`, whose ids begin so."""
        ...

    async def newest_good(self, target: str, until: datetime) -> dict[str, datetime]:
        """When the newest good backup of each stack at a target was taken; what is later than `until` is not seen."""
        ...

    @property
    def changes(self) -> int:
        """A higher number whenever anything may have been written; within a look, that of its moment."""
        ...

    def look(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """All that is read within sees one moment, in at most one transaction; what it yields ends that before."""
        ...

    async def drop_snapshots(self, target: str, ids: Sequence[str]) -> None:
        """They are not there any more."""
        ...

    async def set_disks(self, disks: Sequence[Disk], now: datetime) -> None: ...
    async def disks(self) -> tuple[list[Disk], datetime | None]: ...

    async def open_alert(self, key: str, severity: Severity, says: Words, remedy: Words, now: datetime) -> None:
        """At most one open alert per key: opening it again changes its words, not its beginning.

        A notice that becomes trouble is another matter: `worse` is noted, and what a person said to it is forgotten.
        """
        ...

    async def close_alert(self, key: str, now: datetime) -> None: ...
    async def alerts(self, *, open_only: bool = True, before: int | None = None, most: int = 100) -> list[Alert]: ...

    async def note(self, key: str, value: str) -> None:
        """A lasting fact of the house: the data disk's mark, a repository's id."""
        ...

    async def noted(self, key: str) -> str | None: ...
    async def unnote(self, key: str) -> None:
        """It is a fact no more; it may never have been one."""
        ...


class Restic(Keys, Inside, Protocol):
    """The repositories. Raises the typed errors of `gardien.errors`; never prompts, never hangs for ever."""

    async def version(self) -> str: ...
    async def create(self, target: str, *, like: str | None = None) -> str:
        """Make the repository; returns its id. Raises `Refused` if there is one already.

        `like`: the target it will be filled from by `copy`; both then cut files alike, and share what is the same.
        """
        ...

    async def identity(self, target: str) -> str:
        """The repository's id. Raises RepositoryMissing, WrongPassphrase, TargetUnreachable, TargetRefuses."""
        ...

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
        """One pass over `folder`. rc 3 gives `complete=False` with what was missed; no folder raises Incomplete.

        `persistent`: over a line that is cut it goes on for about an hour; else it gives up within half a minute.
        With `begin` the repository is opened at once, which takes most of a second, and `opened` is called; reading
        begins when `begin` is done. What `begin` raises is raised, and nothing was saved. The snapshot bears the time
        of the opening, or `at`.
        """
        ...

    async def found(self, target: str, *, tags: Sequence[str]) -> list[Found]:
        """The snapshots of this host that bear all `tags`, newest first."""
        ...

    async def contents(self, target: str, snapshot: str) -> tuple[int, int]:
        """How many files (all but folders) and bytes (of regular files) the snapshot lists."""
        ...

    async def compare(self, target: str, snapshot: str, folder: str, to: Path) -> Likeness:
        """Hold what lies in `to` against what the snapshot lists under `folder`: every entry's kind, size, mode, owner,
        time and a link's aim. Contents were read back when they were restored.
        """
        ...

    async def bring_back(
        self, target: str, snapshot: str, folder: str, to: Path, progress: OnProgress, *, persistent: bool = False
    ) -> None:
        """Restore what lies under `folder` in the snapshot straight into `to`, reading it all back to verify it.

        What an earlier, interrupted try left is completed; anything but success raises Damaged or a target's error.
        `persistent`: see `save`.
        """
        ...

    async def forget(self, target: str, snapshots: Sequence[str]) -> None:
        """Forget exactly these ids; no prune. Raises `Refused` if the host lets nothing be deleted."""
        ...

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
        """Copy exactly these snapshots to another repository; what it has is not sent again. Counts packs as files.

        A copy has an id of its own, and the source's as `Found.original`. Raises NotFound if one is not at the source.
        """
        ...

    async def check(self, target: str, part: tuple[int, int] | None, progress: OnProgress) -> Checked:
        """Look whether the repository is whole; with `part` (n, t) also read the n-th of t parts of all its data."""
        ...

    async def prune(self, target: str, progress: OnProgress, *, kib_per_second: int | None = None) -> None:
        """Give back the room of what was forgotten. Counts packs as files. Raises `Refused` like `forget`."""
        ...

    async def can_delete(self, target: str) -> bool:
        """Whether our key may delete what is saved there: then a thief of it may, too. Leaves nothing behind."""
        ...

    def under(self, settings: Settings) -> "Restic":
        """The same, for the targets of other settings."""
        ...

    async def unlock(self, target: str) -> None:
        """Remove locks of dead processes of this machine only."""
        ...

    async def locks(self, target: str) -> int: ...


class Probes(Protocol):
    """Asks applications how they are."""

    async def ask(self, stack: Stack, probe: Probe) -> Answer: ...


class Host(Protocol):
    """The machine itself."""

    async def disk(self, path: Path) -> Disk:
        """The file system that holds `path`; not `present` if that is not there, or does not answer for a while."""
        ...

    def port_free(self, address: str, port: int) -> bool: ...
    def cores(self) -> int: ...
    def memory(self) -> int:
        """Bytes."""
        ...

    def memory_free(self) -> int:
        """Bytes that programs could take now without any other being pushed out."""
        ...

    def addresses(self) -> tuple[str, ...]:
        """Those of this machine in its local network, IPv4 first; none of loopback, Docker, or a link alone."""
        ...

    async def clock_is_set(self) -> bool:
        """Whether the network sets the machine's time, and did so lately."""
        ...

    async def resolve(self, name: str) -> tuple[str, ...]:
        """What the machine's resolver says a name's addresses are; () if it knows none."""
        ...


class Files(Protocol):
    """Files and folders; slow ones run in a thread. Every write is temp, fsync, rename, fsync of the folder."""

    async def write(self, path: Path, text: str, mode: int = 0o600) -> None: ...
    async def read(self, path: Path) -> str | None:
        """None if there is no such file."""
        ...

    async def copy_tree(self, source: Path, to: Path) -> None:
        """Replace `to` by a copy of `source` (all or nothing): 0755 folders and what may be executed, 0644 the rest.

        Containers of any user read what is mounted of it; what is above it must keep other people out.
        """
        ...

    async def make_folder(self, path: Path, owner: tuple[int, int] | None, mode: int) -> None:
        """Make it if it is not there; owner (uid and gid; None: our own) and mode are set in any case."""
        ...

    async def move(self, source: Path, to: Path) -> None:
        """Rename within one file system, durably. Nothing happens if `source` is gone and `to` is there."""
        ...

    async def remove(self, path: Path) -> None:
        """Remove a file or tree; it may be gone already. Never follows a symlink out, never crosses a mount."""
        ...

    async def exists(self, path: Path) -> bool: ...
    async def tail(self, path: Path, bytes_: int = 4096) -> str: ...
    async def measure(self, path: Path) -> tuple[int, int]:
        """Files (all but folders) and bytes (of regular files) beneath `path`; symlinks are not followed."""
        ...

    async def write_down(self, folder: Path) -> None:
        """All that any program wrote to the file system of this folder is there for good: a power cut takes none."""
        ...

    async def tame(self, folder: Path) -> list[str]:
        """Remove the devices beneath it, and take set-id bits and capabilities off files; what that was, by path.

        Never follows a link; all times stay.
        """
        ...

    async def kind_beneath(self, folder: Path, inside: PurePosixPath) -> Literal["", "folder", "file", "link", "other"]:
        """What `inside` is, beneath `folder`: a link if anything on the way is one; "" if it is not there."""
        ...

    async def older_than(self, folder: Path, then: datetime) -> list[Path]:
        """What lies directly in `folder` and was put there before `then` (by ctime); [] if there is no such folder."""
        ...


class Moments(Protocol):
    """Folders as they were at one moment, kept beside the living ones, where the file system can do that: btrfs."""

    async def make_room(self, folder: Path) -> None:
        """Make `folder`, if it is not there, as one that a moment can be held of; nothing where that cannot be."""
        ...

    async def can_hold(self, folder: Path) -> bool:
        """Whether all that lies beneath `folder` would be in it: no other file system, no subvolume of its own."""
        ...

    async def hold(self, folder: Path, at: Path) -> None:
        """From now on `at`, beside `folder` on its file system, shows read-only what `folder` shows now."""
        ...

    async def let_go(self, at: Path) -> None:
        """It is not needed any more; it may be gone already, or partly."""
        ...


class Ssh(Protocol):
    """SSH keys, ours and those of servers."""

    async def make(self, key: Path) -> str:
        """The public half of the pair whose secret half is the file `key`, 0600; made if it is not there."""
        ...

    async def public(self, key: Path) -> str:
        """The public half, as the line to give to a server."""
        ...

    async def scan(self, host: str, port: int) -> tuple[HostKey, ...]:
        """What the server there shows, the best kind first. Raises TargetUnreachable."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """All neighbours in one hand, as the composition root makes them."""

    settings: Settings
    clock: Clock
    store: Store
    restic: Restic
    compose: Compose
    engine: Engine
    probes: Probes
    host: Host
    files: Files
    moments: Moments
    shelf: Shelf
    ssh: Ssh
    hosts: Hosts  # the places for backups that we know
    beneath: Beneath
    listings: Listings
    mailer: Mailer
    second_way: Mailer
    pinger: Pinger
    sensors: Sensors
    registries: Registries
    certificates: Certificates

"""The restic command: started, listened to, its answers made into values and typed errors."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gardien.adapters import restic_browse, restic_keys
from gardien.adapters.process import Ended
from gardien.adapters.restic_args import check_args, copy_args, found_args, restore_args, save_args
from gardien.adapters.restic_call import Calls
from gardien.adapters.restic_errors import KEEPS, keeps, nothing
from gardien.adapters.restic_folder import dress, guard
from gardien.adapters.restic_gate import Gate
from gardien.adapters.restic_likeness import compared
from gardien.adapters.restic_lines import Bars, Gauge, OnProgress, last_of, message_of, problems_of
from gardien.adapters.restic_powers import can_delete
from gardien.errors import CommandFailed, DiskMissing, GardienError, Incomplete, NotFound, Refused
from gardien.model.settings import LocalTarget, Settings
from gardien.model.snapshot import Checked, Found, Likeness, Saved
from gardien.words import N_

OLDEST = (0, 17)


class ResticCli:
    """The `Restic` of a real house."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._calls = Calls(settings)

    async def version(self) -> str:
        """Raises GardienError if restic is too old, CommandFailed if it is not there."""
        outcome = await self._calls.start(["version"], timeout=60)
        found = re.match(r"restic (\d+)\.(\d+)(\S*)", outcome.stdout)
        if found is None:
            raise CommandFailed(
                N_("the restic command does not say its version"),
                N_("Run gardien's installer again: it installs what is missing."),
                detail=outcome.detail,
            )
        major, minor, rest = found.groups()
        version = f"{major}.{minor}{rest}"
        if (int(major), int(minor)) < OLDEST:
            raise GardienError(
                N_("restic {version} is too old: gardien needs {oldest} or newer"),
                N_("Run gardien's installer again: it installs a newer one."),
                version=version,
                oldest=".".join(str(number) for number in OLDEST),
            )
        return version

    async def create(self, target: str, *, like: str | None = None) -> str:
        """Make the repository; returns its id. `like`: the target it will be copied to from.

        Raises Refused if there is one already, DiskMissing if the disk of a local one is not there, and what
        `identity` raises.
        """
        place = self._calls.target(target)
        if isinstance(place, LocalTarget) and not await asyncio.to_thread(place.folder.parent.is_dir):
            raise DiskMissing(
                N_("the folder {folder} is not there: cannot make the backup target {target} in it"),
                N_("Look whether the disk is plugged in and mounted, then try again."),
                folder=str(place.folder.parent),
                target=target,
            )
        try:
            chunks = ["--copy-chunker-params"] if like is not None else []
            outcome = await self._calls.ask(target, ["init", *chunks], source=like)
        except Ended as error:
            if re.search(r"already (exists|initialized|contains)", error.outcome.stderr):
                raise Refused(
                    N_("there is a backup repository, or a part of one, at the target {target} already"),
                    N_("Nothing was changed. Use it with the passphrase it was made with, or choose an empty folder."),
                    detail=error.detail,
                    target=target,
                ) from error
            raise self._calls.typed(error, target) from error
        return str(last_of(outcome.stdout, "initialized")["id"])

    async def identity(self, target: str) -> str:
        """The repository's id.

        Raises RepositoryMissing, WrongPassphrase, TargetUnreachable, TargetRefuses; NotFound for an unknown target.
        """
        outcome = await self._calls.asked(target, ["cat", "config", "--no-lock"])
        return str(json.loads(outcome.stdout)["id"])

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
        """One pass over `folder`. What could not be read makes it `complete=False`, and is listed in `missed`.

        `at`: the snapshot's time, to the second, where this machine's clock is not to be believed.

        With `begin` the repository is opened at once, which takes most of a second, and `opened` called; reading begins
        when `begin` is done. Who asks for `opened` is in a hurry: `progress` then comes many times a second, and once
        reading began it is not tried again, since what would be read later is something else.

        Raises Incomplete, before anything is sent, if the folder is not there: restic itself would call that a success.
        """
        if not folder.is_absolute() or not await asyncio.to_thread(folder.is_dir):
            raise Incomplete(
                N_("there is nothing to save: the folder {folder} is not there"),
                N_("Look whether the disk that holds it is plugged in and mounted."),
                folder=str(folder),
            )
        gauge = Gauge(progress)
        missed: dict[str, None] = {}
        summary: dict[str, Any] = {}

        def listen(line: str) -> bool:
            message = message_of(line)
            if message.get("message_type") == "summary":
                summary.update(message)
            return gauge.saving(message)

        def complain(line: str) -> None:
            message = message_of(line)
            if message.get("message_type") == "error":
                missed[str(message.get("item", ""))] = None

        begun = False

        async def begins() -> None:
            nonlocal begun
            assert begin is not None
            await begin
            begun = True

        def again() -> bool:
            missed.clear()
            summary.clear()
            return opened is None or not begun

        gate = Gate(self._calls.folder) if begin is not None else None
        args = save_args(
            folder,
            host=self._settings.name,
            tags=tags,
            leave_out=leave_out,
            parent=parent,
            gate=gate.path if gate is not None else None,
            at=at,
        )
        call = self._calls.asked(
            target,
            args,
            on_line=listen,
            on_complaint=complain,
            patient=True,
            persistent=persistent,
            again=again,
            zone="UTC" if at is not None else None,
            held=opened is not None,
            kib_per_second=kib_per_second,
            ok=(0, 3),
        )
        outcome = await (call if gate is None else gate.held(call, begins(), opened))
        if not summary.get("snapshot_id"):
            raise Incomplete(
                N_("restic did not say that it made a snapshot at the target {target}"),
                N_("Try again; if it happens every time, ask the person who helps you."),
                detail=outcome.detail,
                target=target,
            )
        return Saved(
            id=str(summary["snapshot_id"]),
            files=int(summary.get("total_files_processed", 0)),
            bytes=int(summary.get("total_bytes_processed", 0)),
            added=int(summary.get("data_added_packed", summary.get("data_added", 0))),
            complete=outcome.code == 0 and not missed,
            missed=tuple(missed),
        )

    async def found(self, target: str, *, tags: Sequence[str]) -> list[Found]:
        """The snapshots of this host that bear all `tags`, newest first."""
        lines: list[str] = []
        await self._calls.asked(target, found_args(host=self._settings.name, tags=tags), on_line=lines.append)
        listed = json.loads("".join(lines) or "[]")
        every = [
            Found(
                id=str(each["id"]),
                taken=datetime.fromisoformat(each["time"]).astimezone(UTC),
                host=str(each["hostname"]),
                tags=tuple(each.get("tags") or ()),
                paths=tuple(each["paths"]),
                original=str(each.get("original") or each["id"]),
                files=(each.get("summary") or {}).get("total_files_processed"),
                bytes=(each.get("summary") or {}).get("total_bytes_processed"),
            )
            for each in listed
        ]
        return sorted(every, key=lambda each: each.taken, reverse=True)

    async def contents(self, target: str, snapshot: str) -> tuple[int, int]:
        """How many files (all but folders) and bytes (of regular files) it lists. Raises NotFound, Damaged.

        Sockets do not count: restic lists them, and makes none on a restore.
        """
        files = size = 0

        def listen(line: str) -> None:
            nonlocal files, size
            node = message_of(line)
            if node.get("message_type") == "node" and node.get("type") not in {"dir", "socket"}:
                files += 1
                size += int(node.get("size", 0)) if node.get("type") == "file" else 0

        await self._calls.asked(
            target, ["ls", "--no-lock", "--", snapshot], on_line=listen, patient=True, snapshot=snapshot
        )
        return files, size

    async def compare(self, target: str, snapshot: str, folder: str, to: Path) -> Likeness:
        """Hold what lies in `to` against what the snapshot lists under `folder`: every entry's kind, size, mode, owner,
        time and a link's aim. Contents were read back when they were restored. Raises NotFound, Damaged.
        """
        return await compared(self._calls, target, snapshot, folder, to)

    async def bring_back(
        self, target: str, snapshot: str, folder: str, to: Path, progress: OnProgress, *, persistent: bool = False
    ) -> None:
        """Restore what lies under `folder` in the snapshot straight into `to`, and read it all back to verify it.

        What an earlier, interrupted try left in `to` is completed, corrected, or deleted. The owner, mode and time of
        `to` itself are those of `folder`; its extended attributes are not (restic restores none for the top folder).
        `persistent`: see `Calls.asked`.

        Raises Refused if `to` is no place to restore to, NotFound if there is no such snapshot, NoSpace if the disk of
        `to` is full, Damaged for anything else that is not a whole success, and a target's errors.
        """
        await asyncio.to_thread(guard, to)
        top: dict[str, Any] = {}

        def look(line: str) -> None:
            message = message_of(line)
            if message.get("message_type") == "node" and message.get("path") == folder:
                top.update(message)

        how: dict[str, Any] = {"snapshot": snapshot, "persistent": persistent}
        await self._calls.asked(target, ["ls", "--no-lock", "--", snapshot, folder], on_line=look, **how)
        if not top:
            raise nothing(target)
        args = restore_args(snapshot, folder, to)
        await restic_browse.restored(self._calls, target, args, to=to, progress=progress, **how)
        await asyncio.to_thread(dress, to, top)

    async def forget(self, target: str, snapshots: Sequence[str]) -> None:
        """Forget exactly these ids; no prune. One that is gone already is no error. Raises Refused if it keeps them."""
        _full_ids(snapshots)
        if not snapshots:
            return
        outcome = await self._calls.asked(target, ["forget", "--", *snapshots], ok=(0, 3))
        if KEEPS in outcome.stderr:
            raise keeps(target, outcome.detail)

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

        A copy has an id of its own; its `Found.original` is the source's. Raises NotFound if one is not at the source.
        """
        _full_ids(snapshots)
        if not snapshots:
            return
        lost = False

        def complain(line: str) -> None:
            nonlocal lost
            lost = lost or line.startswith("Ignoring ")

        bars = Bars(progress)
        outcome = await self._calls.asked(
            target,
            copy_args(snapshots),
            source=source,
            on_line=bars.line,
            on_complaint=complain,
            patient=True,
            persistent=persistent,
            json=False,
            kib_per_second=kib_per_second,
        )
        if lost:
            raise NotFound(
                N_("not every snapshot to be copied is at the backup target {source} any more"),
                N_("Look at the list of snapshots; the others were copied."),
                detail=outcome.detail,
                source=source,
            )
        bars.end()

    async def check(self, target: str, part: tuple[int, int] | None, progress: OnProgress) -> Checked:
        """Look whether the repository is whole; with `part` (n, t) also read the n-th of t parts of all its data."""
        bars = Bars(progress)
        outcome = await self._calls.asked(
            target, check_args(part), on_line=bars.line, patient=True, json=False, ok=(0, 1)
        )
        problems = problems_of(outcome.stderr)
        if outcome.code and not problems:
            raise self._calls.typed(Ended("code", "restic", outcome), target)
        bars.end()
        return Checked(problems)

    async def prune(self, target: str, progress: OnProgress, *, kib_per_second: int | None = None) -> None:
        """Give back the room of what was forgotten. Counts packs as files. Raises Refused if the host keeps it all."""
        bars = Bars(progress)
        outcome = await self._calls.asked(
            target, ["prune"], on_line=bars.line, patient=True, json=False, kib_per_second=kib_per_second
        )
        if KEEPS in outcome.stderr:
            raise keeps(target, outcome.detail)
        bars.end()

    async def can_delete(self, target: str) -> bool:
        """Whether our key may delete what is saved there: then a thief of it may, too. Nothing is left behind.

        Raises a target's errors.
        """
        return await can_delete(self._settings, self._calls, target)

    # -- keys: see `restic_keys`

    async def opens(self, target: str, passphrase: Path) -> bool:
        return await restic_keys.opens(self._calls, target, passphrase)

    async def add_key(self, target: str, passphrase: Path) -> None:
        await restic_keys.add(self._calls, target, passphrase, self._settings.name)

    async def drop_key(self, target: str, passphrase: Path) -> None:
        await restic_keys.drop(self._calls, target, passphrase)

    async def read(self, target: str, snapshot: str, path: str) -> str:
        return await restic_keys.read(self._calls, target, snapshot, path)

    async def speed(self, target: str, snapshot: str, folder: str) -> float | None:
        return await restic_keys.speed(self._calls, target, snapshot, folder)

    def under(self, settings: Settings) -> "ResticCli":
        """The same command, for targets of other settings."""
        return ResticCli(settings)

    async def unlock(self, target: str) -> None:
        """Remove stale locks: of dead processes of this machine, or not refreshed for half an hour."""
        await self._calls.unlock(target)

    async def locks(self, target: str) -> int:
        """How many locks the repository holds."""
        ids: list[str] = []
        await self._calls.asked(target, ["list", "locks", "--no-lock"], on_line=ids.append)
        return sum(bool(re.fullmatch(r'"?[0-9a-f]{64}"?', line.strip())) for line in ids)

    def listed(self, target: str, snapshot: str) -> AsyncGenerator[bytes]:
        """All that lies in it, as restic's JSON lines, in chunks."""
        return restic_browse.listed(self._calls, target, snapshot)

    async def names(self, target: str, snapshot: str, folder: str) -> list[str]:
        """The exact names in a folder, in the listing's order; `snapshot` is a whole id."""
        return await restic_browse.names(self._calls, target, snapshot, folder)

    def dumped(
        self, target: str, snapshot: str, path: str, archive: restic_browse.Archive | None = None
    ) -> AsyncGenerator[bytes]:
        """A file's bytes, or an archive of what is in a folder. Who stops reading ends restic."""
        return restic_browse.dumped(self._calls, target, snapshot, path, archive)

    async def bring_back_part(self, target: str, snapshot: str, **what: Any) -> None:
        """See `restic_browse.bring_back_part`. Raises what `bring_back` raises."""
        await restic_browse.bring_back_part(self._calls, target, snapshot, **what)


def _full_ids(snapshots: Sequence[str]) -> None:
    for snapshot in snapshots:
        if not re.fullmatch(r"[0-9a-f]{64}", snapshot):
            raise ValueError(f"not a full snapshot id: {snapshot!r}")

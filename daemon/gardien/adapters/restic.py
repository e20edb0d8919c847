"""The restic command: started, listened to, its answers made into values and typed errors."""

import asyncio
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gardien.adapters.process import Ended, OnLine, Outcome, run
from gardien.adapters.restic_args import (
    found_args,
    known_host,
    location,
    restore_args,
    save_args,
    sftp_option,
    ssh_args,
)
from gardien.adapters.restic_errors import hopeless, nothing, typed
from gardien.adapters.restic_lines import Gauge, OnProgress, last_of, message_of
from gardien.errors import (
    CommandFailed,
    DiskMissing,
    GardienError,
    Incomplete,
    NotFound,
    Refused,
    TargetRefuses,
    WrongPassphrase,
)
from gardien.model.settings import LocalTarget, Settings, SftpTarget
from gardien.model.snapshot import Found, Saved
from gardien.words import N_

OLDEST = (0, 17)
_WAIT_FOR_LOCK = "2m"
_SHALLOWEST = 3  # folders: /srv/gardien/nextcloud is as near to the root as a restore may get


class ResticCli:
    """The `Restic` of a real house."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.folders.run / "restic"
        self._children = settings.folders.run / "children"
        self._cache = settings.folders.state / "restic-cache"

    async def version(self) -> str:
        """Raises GardienError if restic is too old, CommandFailed if it is not there."""
        outcome = await self._start(["version"], timeout=60)
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

    async def create(self, target: str) -> str:
        """Make the repository; returns its id.

        Raises Refused if there is one already, DiskMissing if the disk of a local one is not there, and what
        `identity` raises.
        """
        place = self._target(target)
        if isinstance(place, LocalTarget) and not await asyncio.to_thread(place.folder.parent.is_dir):
            raise DiskMissing(
                N_("the folder {folder} is not there: cannot make the backup target {target} in it"),
                N_("Look whether the disk is plugged in and mounted, then try again."),
                folder=str(place.folder.parent),
                target=target,
            )
        try:
            outcome = await self._ask(target, ["init"])
        except Ended as error:
            if re.search(r"already (exists|initialized|contains)", error.outcome.stderr):
                raise Refused(
                    N_("there is a backup repository, or a part of one, at the target {target} already"),
                    N_("Nothing was changed. Use it with the passphrase it was made with, or choose an empty folder."),
                    detail=error.detail,
                    target=target,
                ) from error
            raise self._typed(error, target) from error
        return str(last_of(outcome.stdout, "initialized")["id"])

    async def identity(self, target: str) -> str:
        """The repository's id.

        Raises RepositoryMissing, WrongPassphrase, TargetUnreachable, TargetRefuses; NotFound for an unknown target.
        """
        outcome = await self._asked(target, ["cat", "config", "--no-lock"])
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
    ) -> Saved:
        """One pass over `folder`. What could not be read makes it `complete=False`, and is listed in `missed`.

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

        args = save_args(folder, host=self._settings.name, tags=tags, leave_out=leave_out, parent=parent)
        outcome = await self._asked(target, args, on_line=listen, on_complaint=complain, patient=True, ok=(0, 3))
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
        await self._asked(target, found_args(host=self._settings.name, tags=tags), on_line=lines.append)
        listed = json.loads("".join(lines) or "[]")
        every = [
            Found(
                id=str(each["id"]),
                taken=datetime.fromisoformat(each["time"]).astimezone(UTC),
                host=str(each["hostname"]),
                tags=tuple(each.get("tags") or ()),
                paths=tuple(each["paths"]),
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

        await self._asked(target, ["ls", "--no-lock", "--", snapshot], on_line=listen, patient=True, snapshot=snapshot)
        return files, size

    async def bring_back(self, target: str, snapshot: str, folder: str, to: Path, progress: OnProgress) -> None:
        """Restore what lies under `folder` in the snapshot straight into `to`, and read it all back to verify it.

        What an earlier, interrupted try left in `to` is completed, corrected, or deleted. The owner, mode and time of
        `to` itself are those of `folder`; its extended attributes are not (restic restores none for the top folder).

        Raises Refused if `to` is no place to restore to, NotFound if there is no such snapshot, NoSpace if the disk of
        `to` is full, Damaged for anything else that is not a whole success, and a target's errors.
        """
        await asyncio.to_thread(_guard, to)
        top: dict[str, Any] = {}

        def look(line: str) -> None:
            message = message_of(line)
            if message.get("message_type") == "node" and message.get("path") == folder:
                top.update(message)

        await self._asked(target, ["ls", "--no-lock", "--", snapshot, folder], on_line=look, snapshot=snapshot)
        if not top:
            raise nothing(target)
        gauge = Gauge(progress)
        summary: dict[str, Any] = {}

        def listen(line: str) -> bool:
            message = message_of(line)
            if message.get("message_type") == "summary":
                summary.update(message)
            return gauge.restoring(message)

        outcome = await self._asked(
            target, restore_args(snapshot, folder, to), on_line=listen, patient=True, snapshot=snapshot, to=to
        )
        if not summary.get("total_files"):
            raise nothing(target, outcome.detail)
        await asyncio.to_thread(_dress, to, top)

    async def forget(self, target: str, snapshots: Sequence[str]) -> None:
        """Forget exactly these ids; no prune. One that is gone already is no error."""
        for snapshot in snapshots:
            if not re.fullmatch(r"[0-9a-f]{64}", snapshot):
                raise ValueError(f"not a full snapshot id: {snapshot!r}")
        if snapshots:
            await self._asked(target, ["forget", "--", *snapshots])

    async def unlock(self, target: str) -> None:
        """Remove stale locks: of dead processes of this machine, or not refreshed for half an hour."""
        try:
            await self._ask(target, ["unlock"])
        except Ended as error:
            raise self._typed(error, target) from error

    async def locks(self, target: str) -> int:
        """How many locks the repository holds."""
        ids: list[str] = []
        await self._asked(target, ["list", "locks", "--no-lock"], on_line=ids.append)
        return sum(bool(re.fullmatch(r'"?[0-9a-f]{64}"?', line.strip())) for line in ids)

    # -- running it

    async def _asked(
        self, target: str, args: Sequence[str], *, snapshot: str = "", to: Path | None = None, **how: Any
    ) -> Outcome:
        """Run a command on a repository; its failure is one of our errors. A lock is looked into once."""
        try:
            try:
                return await self._ask(target, args, **how)
            except Ended as error:
                if error.outcome.code != 11:
                    raise
            await self.unlock(target)
            return await self._ask(target, ["--retry-lock", _WAIT_FOR_LOCK, *args], **how)
        except Ended as error:
            raise self._typed(error, target, snapshot=snapshot, to=to) from error

    async def _ask(self, target: str, args: Sequence[str], *, patient: bool = False, **how: Any) -> Outcome:
        """`patient`: as long as it is at work; else it is a question that has an answer soon."""
        limits = self._settings.limits
        how |= {"silence": float(limits.silence)} if patient else {"timeout": float(limits.command)}
        ssh_log = self._folder / f"{target}.ssh-{secrets.token_hex(4)}"
        try:
            return await self._start([*await asyncio.to_thread(self._prepare, target, ssh_log), *args], **how)
        except Ended as error:
            outcome, said = error.outcome, await asyncio.to_thread(_read, ssh_log)
            raise Ended(error.reason, "restic", replace(outcome, stderr=said + outcome.stderr)) from error
        finally:
            await asyncio.to_thread(ssh_log.unlink, missing_ok=True)

    async def _start(
        self,
        args: Sequence[str],
        *,
        on_line: OnLine | None = None,
        on_complaint: OnLine | None = None,
        timeout: float | None = None,
        silence: float | None = None,
        ok: Sequence[int] = (0,),
    ) -> Outcome:
        def complain(line: str) -> bool | None:
            if hopeless(line):
                raise Ended("code", "restic", Outcome(1, "", line))
            return on_complaint(line) if on_complaint is not None else None

        return await run(
            [self._settings.programs.restic, *args],
            env={"RESTIC_CACHE_DIR": str(self._cache), "RESTIC_PROGRESS_FPS": "2"},
            children=self._children,
            on_line=on_line,
            on_complaint=complain,
            timeout=timeout,
            silence=silence,
            ok=ok,
        )

    def _typed(self, error: Ended, target: str, *, snapshot: str = "", to: Path | None = None) -> GardienError:
        return typed(error, target, cache=self._cache, snapshot=snapshot, to=to)

    def _target(self, name: str) -> LocalTarget | SftpTarget:
        try:
            return self._settings.targets[name]
        except KeyError:
            raise NotFound(
                N_("there is no backup target called {target}"),
                N_("Look at “targets” in gardien.yaml for the names there are."),
                target=name,
            ) from None

    def _prepare(self, name: str, ssh_log: Path) -> list[str]:
        """Write the files a command needs; returns the arguments that name them."""
        target = self._target(name)
        passphrase = self._settings.passphrase(name)
        if not passphrase.is_file() or not passphrase.read_bytes().strip():
            raise WrongPassphrase(
                N_("the passphrase of the backup target {target} is not on this machine ({file})"),
                N_("Write the recovery key into that file. If the target is a new one: gardien target init {target}"),
                target=name,
                file=str(passphrase),
            )
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        repository = self._folder / f"{name}.repository"
        _write(repository, location(target))
        args = ["--json", "--repository-file", str(repository), "--password-file", str(passphrase)]
        if isinstance(target, SftpTarget):
            if not target.key.is_file():
                raise TargetRefuses(
                    N_("the SSH key for the backup target {target} is not on this machine ({file})"),
                    N_("Put the key back, or name another one in gardien.yaml."),
                    target=name,
                    file=str(target.key),
                )
            known_hosts = self._folder / f"{name}.known_hosts"
            _write(known_hosts, known_host(target))
            args += sftp_option(ssh_args(target, known_hosts, ssh_log))
        return args


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")  # two commands may well start at once
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.rename(path)


def _read(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""


def _guard(to: Path) -> None:
    """restic deletes what does not belong in the folder it restores to: it must be one of ours, and only that."""
    why = None
    if not to.is_absolute() or ".." in to.parts or len(to.parts) - 1 < _SHALLOWEST:
        why = N_("will not restore to {folder}: it is too near to the root of the file system")
    elif to.is_symlink() or (to.exists() and not to.is_dir()):
        why = N_("will not restore to {folder}: it is not a folder")
    elif any(mount.is_relative_to(to.parent.resolve() / to.name) for mount in _mounts()):
        why = N_("will not restore to {folder}: a disk or folder is mounted there")
    if why is not None:
        raise Refused(why, N_("Nothing was changed. Restore to an empty folder inside gardien's own."), folder=str(to))


def _mounts() -> list[Path]:
    """Where file systems are mounted; the kernel writes a space as \\040."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [Path(os.fsdecode(line.split()[4].decode("unicode_escape").encode("latin-1"))) for line in lines]


def _dress(to: Path, node: Mapping[str, Any]) -> None:
    """Give the top folder what restic gives only to what is in it."""
    mode = int(node["mode"])  # Go's: the permission bits are POSIX's, the special ones are not
    special = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))
    # Like restic itself: who may not give a folder away keeps it.
    with suppress(PermissionError):
        os.chown(to, int(node.get("uid", 0)), int(node.get("gid", 0)))
    to.chmod(mode & 0o777 | sum(bit for flag, bit in special if mode & flag))
    moment = _nanoseconds(str(node["mtime"]))
    os.utime(to, ns=(moment, moment))


def _nanoseconds(text: str) -> int:
    """Since 1970, from a time as Go writes it: with nanoseconds, which Python's own times have no room for."""
    fraction = re.search(r"\.(\d+)", text)
    whole = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
    return int(whole.timestamp()) * 10**9 + int((fraction.group(1) if fraction else "").ljust(9, "0")[:9])

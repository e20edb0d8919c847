"""The restic command: argv makers, its JSON lines and exit codes made into values and typed errors.

No secret is ever an argument or in the environment: the repository's place and the passphrase are files of mode 0600.
"""

import asyncio
import json
import os
import re
import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gardien.adapters.process import Ended, OnLine, Outcome, run
from gardien.errors import (
    CommandFailed,
    Damaged,
    DiskMissing,
    GardienError,
    Incomplete,
    NoSpace,
    NotFound,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    TargetFull,
    TargetRefuses,
    TargetUnreachable,
    WrongPassphrase,
)
from gardien.model.job import Progress
from gardien.model.settings import LocalTarget, Settings, SftpTarget
from gardien.model.snapshot import Found, Saved
from gardien.words import N_

OnProgress = Callable[[Progress], None]
_Meaning = tuple[type[GardienError], str, str]

OLDEST = (0, 17)
TAG = "gardien"
_LONGEST_GUESS = 30 * 24 * 3600.0  # seconds; a longer time left is no information
_WAIT_FOR_LOCK = "2m"
_SHALLOWEST = (
    3  # folders above which nothing is ever restored: /srv/gardien/nextcloud is as near to the root as it gets
)

# -- argv makers: pure


def location(target: LocalTarget | SftpTarget) -> str:
    """What restic calls the repository's location. A folder without a leading slash is relative to the SSH login's."""
    if isinstance(target, LocalTarget):
        return str(target.folder)
    return f"sftp://{quote(target.user, safe='')}@{_bracketed(target.host)}:{target.port}/{target.folder}"


def known_host(target: SftpTarget) -> str:
    """The one line of the known_hosts file that pins the target's key."""
    name = target.host.strip("[]")
    if target.port != 22:
        name = f"[{name}]:{target.port}"
    kind, key, *_ = target.host_key.split()
    return f"{name} {kind} {key}\n"


def ssh_args(target: SftpTarget, known_hosts: Path) -> list[str]:
    """How ssh is called: without this machine's own SSH configuration, without questions, for the host we know only."""
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "ConnectTimeout": "20",
    }
    args = ["-F", "none", "-i", str(target.key).replace("%", "%%")]
    for name, value in options.items():
        args += ["-o", f"{name}={value}"]
    return args


def sftp_option(args: Sequence[str]) -> list[str]:
    """`-o sftp.args=…`: restic reads the option as a line of CSV, then splits the value like a shell."""
    value = "sftp.args=" + shlex.join(args)
    return ["-o", '"' + value.replace('"', '""') + '"']


def exclude(folder: Path, pattern: str) -> str:
    """A pattern that matches beneath `folder` only; odd characters in `folder` itself stand for themselves."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", str(folder)) + "/" + pattern.strip("/")


def save_args(
    folder: Path, *, host: str, tags: Sequence[str], leave_out: Sequence[str], parent: str | None
) -> list[str]:
    """`restic backup …`"""
    args = ["backup", "--host", host]
    for tag in _all_tags(tags):
        args += ["--tag", tag]
    for pattern in leave_out:
        args += ["--exclude", exclude(folder, pattern)]
    if parent is not None:
        args += ["--parent", parent]
    return [*args, "--", str(folder)]


def found_args(*, host: str, tags: Sequence[str]) -> list[str]:
    """`restic snapshots …`: those that bear all the tags."""
    return ["snapshots", "--no-lock", "--host", host, "--tag", ",".join(_all_tags(tags))]


def restore_args(snapshot: str, folder: str, to: Path) -> list[str]:
    """`restic restore …`: every file is compared by content, what differs is written anew, what is too much deleted."""
    return [
        "restore",
        "--target",
        str(to),
        "--overwrite",
        "always",
        "--delete",
        "--verify",
        "--",
        f"{snapshot}:{folder}",
    ]


def _all_tags(tags: Sequence[str]) -> list[str]:
    every = [TAG, *(tag for tag in tags if tag != TAG)]
    for tag in every:
        if not tag or "," in tag or tag != tag.strip():
            raise ValueError(f"not a tag: {tag!r}")
    return every


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _ssh_quoted(path: Path) -> str:
    """ssh splits this value at spaces, and reads %-tokens in it."""
    return '"' + str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'


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
            raise self._typed(target, error) from error
        return str(_last(outcome.stdout, "initialized")["id"])

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
        gauge = _Gauge(progress)
        missed: dict[str, None] = {}
        summary: dict[str, Any] = {}

        def listen(line: str) -> bool:
            message = _message(line)
            if message.get("message_type") == "summary":
                summary.update(message)
            return gauge.saving(message)

        def complain(line: str) -> None:
            message = _message(line)
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
        """How many files (all but folders) and bytes (of regular files) it lists. Raises NotFound, Damaged."""
        files = size = 0

        def listen(line: str) -> None:
            nonlocal files, size
            node = _message(line)
            if node.get("message_type") == "node" and node.get("type") != "dir":
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
            message = _message(line)
            if message.get("message_type") == "node" and message.get("path") == folder:
                top.update(message)

        await self._asked(target, ["ls", "--no-lock", "--", snapshot, folder], on_line=look, snapshot=snapshot)
        if not top:
            raise _nothing(target, "")
        gauge = _Gauge(progress)
        summary: dict[str, Any] = {}

        def listen(line: str) -> bool:
            message = _message(line)
            if message.get("message_type") == "summary":
                summary.update(message)
            return gauge.restoring(message)

        outcome = await self._asked(
            target, restore_args(snapshot, folder, to), on_line=listen, patient=True, snapshot=snapshot, to=to
        )
        if not summary.get("total_files"):
            raise _nothing(target, outcome.detail)
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
            raise self._typed(target, error) from error

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
            raise self._typed(target, error, snapshot, to) from error

    async def _ask(self, target: str, args: Sequence[str], *, patient: bool = False, **how: Any) -> Outcome:
        """`patient`: as long as it is at work; else it is a question that has an answer soon."""
        limits = self._settings.limits
        how |= {"silence": float(limits.silence)} if patient else {"timeout": float(limits.command)}
        return await self._start([*await asyncio.to_thread(self._prepare, target), *args], **how)

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
        return await run(
            [self._settings.programs.restic, *args],
            env={"RESTIC_CACHE_DIR": str(self._cache), "RESTIC_PROGRESS_FPS": "2"},
            children=self._children,
            on_line=on_line,
            on_complaint=on_complaint,
            timeout=timeout,
            silence=silence,
            ok=ok,
        )

    def _target(self, name: str) -> LocalTarget | SftpTarget:
        try:
            return self._settings.targets[name]
        except KeyError:
            raise NotFound(
                N_("there is no backup target called {target}"),
                N_("Look at “targets” in gardien.yaml for the names there are."),
                target=name,
            ) from None

    def _prepare(self, name: str) -> list[str]:
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
            args += sftp_option(ssh_args(target, known_hosts))
        return args

    def _typed(self, target: str, error: Ended, snapshot: str = "", to: Path | None = None) -> GardienError:
        """What a failure means. The order matters: a lost connection also looks like damage."""
        if error.reason == "missing":
            return error
        kind, says, remedy = next(self._meanings(error, snapshot, to))
        return kind(
            says,
            remedy,
            detail=error.detail,
            target=target,
            snapshot=snapshot[:8],
            folder=str(to or ""),
        )

    def _meanings(self, error: Ended, snapshot: str, to: Path | None) -> Iterator[_Meaning]:
        """What it may mean, the likeliest first. The order matters: a lost connection also looks like damage."""
        said = error.outcome.stderr
        if error.reason in {"timeout", "silence"}:
            yield _SILENT
        if error.outcome.code in _CODES:
            yield _CODES[error.outcome.code]
        if full := [line for line in said.splitlines() if re.search(_FULL, line, re.IGNORECASE)]:
            ours = (str(self._cache), "/restic-check-cache", "/restic-temp-")
            if to is not None and any(str(to) in line for line in full):
                yield _NO_SPACE_HERE
            yield _NO_SPACE_FOR_CACHE if any(each in line for line in full for each in ours) else _TARGET_FULL
        for pattern, meaning in _PATTERNS:
            if re.search(pattern, said, re.IGNORECASE):
                yield meaning
        if snapshot and re.search(_NO_SNAPSHOT, said):
            yield _SNAPSHOT_MISSING
        yield _DAMAGED if to is not None or re.search(_DAMAGE, said, re.IGNORECASE) else _FAILED


# -- what restic prints


class _Gauge:
    """restic's status lines as `Progress`: nothing goes back, the rate is smoothed, absurd guesses are left out."""

    def __init__(self, tell: OnProgress) -> None:
        self._tell = tell
        self._last = Progress()
        self._at: float | None = None
        self._rate = 0.0

    def saving(self, message: Mapping[str, Any]) -> bool:
        return self._status(message, "bytes_done", "files_done")

    def restoring(self, message: Mapping[str, Any]) -> bool:
        return self._status(message, "bytes_restored", "files_restored", "bytes_skipped", "files_skipped")

    def _status(self, message: Mapping[str, Any], done: str, files: str, *skipped: str) -> bool:
        """Whether this line is a sign of life: something got further."""
        if message.get("message_type") != "status":
            return True
        more_bytes, more_files = (int(message.get(name, 0)) for name in skipped) if skipped else (0, 0)
        return self._take(
            int(message.get(done, 0)) + more_bytes,
            int(message.get("total_bytes", 0)),
            int(message.get(files, 0)) + more_files,
            int(message.get("total_files", 0)),
            time.monotonic(),
        )

    def _take(self, bytes_done: int, bytes_total: int, files_done: int, files_total: int, now: float) -> bool:
        last = self._last
        bytes_done, files_done = max(bytes_done, last.bytes_done), max(files_done, last.files_done)
        bytes_total, files_total = max(bytes_total, bytes_done), max(files_total, files_done)
        if self._at is not None and now > self._at:
            passed = now - self._at
            share = min(1.0, passed / 10)  # ten seconds' memory
            self._rate += share * ((bytes_done - last.bytes_done) / passed - self._rate)
        self._at = now
        left = (bytes_total - bytes_done) / self._rate if self._rate >= 1 else None
        self._last = Progress(
            bytes_done=bytes_done,
            bytes_total=bytes_total,
            files_done=files_done,
            files_total=files_total,
            per_second=self._rate,
            seconds_left=left if left is not None and left < _LONGEST_GUESS else None,
        )
        self._tell(self._last)
        return (bytes_done, files_done) != (last.bytes_done, last.files_done)


def _message(line: str) -> dict[str, Any]:
    """A JSON line; nothing for the plain text that restic mixes in."""
    if line.startswith("{"):
        with suppress(json.JSONDecodeError):
            message: dict[str, Any] = json.loads(line)
            return message
    return {}


def _last(output: str, kind: str) -> dict[str, Any]:
    return next(each for line in reversed(output.splitlines()) if (each := _message(line)).get("message_type") == kind)


def _nothing(target: str, detail: str) -> Damaged:
    return Damaged(
        N_("nothing was restored from the target {target}: the snapshot holds no such folder, or an empty one"),
        N_("Choose another snapshot, and have the person who helps you look at this one."),
        detail=detail,
        target=target,
    )


# -- files


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")  # two commands may well start at once
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.rename(path)


def _guard(to: Path) -> None:
    """restic deletes what does not belong in the folder it restores to: it must be one of ours, and only that."""
    why = None
    if not to.is_absolute() or ".." in to.parts or len(to.parts) <= _SHALLOWEST:
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


# -- what its failures mean

_SILENT: _Meaning = (
    TargetUnreachable,
    N_("the backup target {target} did not answer for so long that gardien gave up"),
    N_("Check the internet connection, then whether the host is running. gardien tries again at the next backup."),
)
_UNREACHABLE: _Meaning = (
    TargetUnreachable,
    N_("cannot reach the backup target {target}"),
    N_("Check the internet connection, then whether the host is running, and its name and port in gardien.yaml."),
)
_REFUSED: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not let gardien in"),
    N_("Look at the host's page whether the account is active and gardien's SSH key is still listed there."),
)
_OTHER_HOST: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} is not the server it used to be: its host key has changed"),
    N_("Nothing was sent. Ask the host whether they changed the key; only then put the new one into gardien.yaml."),
)
_FORBIDDEN: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not let gardien write or read in its folder"),
    N_("Check the folder's name in gardien.yaml, and at the host whether gardien's account may use it."),
)
_TARGET_FULL: _Meaning = (
    TargetFull,
    N_("the storage at the backup target {target} is full"),
    N_("Older backups are safe. Rent more space at the host, or free some there; then back up again."),
)
_NO_SPACE_HERE: _Meaning = (
    NoSpace,
    N_("the disk that holds {folder} is too full to restore to"),
    N_("Free some space on it, or restore to another disk; then try again."),
)
_NO_SPACE_FOR_CACHE: _Meaning = (
    NoSpace,
    N_("this machine's own disk is full: restic cannot keep its working files"),
    N_("Free some space on it, then try again."),
)
_DAMAGED: _Meaning = (
    Damaged,
    N_("what the backup target {target} gave back is not what was saved there"),
    N_("Nothing of it was put in place. Try an older snapshot, and have the person who helps you check the target."),
)
_SNAPSHOT_MISSING: _Meaning = (
    NotFound,
    N_("there is no snapshot {snapshot} at the backup target {target}"),
    N_("Look at the list of snapshots, and choose one that is there."),
)
_FAILED: _Meaning = (
    CommandFailed,
    N_("restic failed at the backup target {target}, for a reason gardien does not know"),
    N_("Its last lines are in the details. Try again, or ask the person who helps you."),
)
_MISSING: _Meaning = (
    RepositoryMissing,
    N_("there is no backup repository at the target {target}"),
    N_(
        "If there was one: look whether its disk is plugged in, or whether the folder was renamed; gardien never makes"
        " a second one by itself. If it is a new target: gardien target init {target}"
    ),
)
_LOCKED: _Meaning = (
    RepositoryLocked,
    N_("something else is working on the backup repository at the target {target}"),
    N_("Wait for it to end, or find the other machine that uses it. gardien tries again at the next backup."),
)
_PASSPHRASE: _Meaning = (
    WrongPassphrase,
    N_("the passphrase for the backup target {target} is the wrong one"),
    N_("Put back the recovery key you wrote down when the target was set up. Nothing was changed."),
)
_CODES: Mapping[int, _Meaning] = {10: _MISSING, 11: _LOCKED, 12: _PASSPHRASE}

_FULL = r"no space left on device|quota exceeded|not enough (disk )?space|no space (left )?on filesystem"
_PATTERNS: tuple[tuple[str, _Meaning], ...] = (
    (r"wrong password or no key found", _PASSPHRASE),
    (r"Is there a repository at the following location", _MISSING),
    (r"repository is already locked", _LOCKED),
    (r"host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", _OTHER_HOST),
    (r"ssh: .*(Permission denied \(|Too many authentication failures|no matching)|Bad permissions", _REFUSED),
    (
        r"ssh: (connect to host|Could not resolve)|Connection (refused|timed out|reset|closed)|No route to host"
        r"|Network is unreachable|not responding|Broken pipe|connection lost|unable to start the sftp session"
        r"|kex_exchange_identification",
        _UNREACHABLE,
    ),
    (r"(MkdirAll|create repository|Save\(|OpenFile).*(permission denied|read-only|does not exist|no such)", _FORBIDDEN),
    (r"unable to open (repository|config file).*permission denied", _FORBIDDEN),
)
_NO_SNAPSHOT = r"failed to (find|load) snapshot|no matching ID found|no snapshot found"
_DAMAGE = (
    r"file is too short|ciphertext verification failed|ReadFull\(|hash does not match|not found in index|damaged"
    r"|unexpected EOF|invalid data|decrypting blob|wrong hash|failed to load (index|tree|blob)|Load\(<"
)

"""One call of restic on a repository: its files, its environment, its patience, and its failures made into ours."""

import asyncio
import logging
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Any

from gardien.adapters.process import Ended, OnLine, Outcome, run
from gardien.adapters.restic_args import lean_args, limit_args, proxy_env, sftp_option, ssh_args
from gardien.adapters.restic_errors import RETRYING, TurnedAway, hopeless, typed
from gardien.adapters.restic_places import LOGIN, Place, authorities, login_missing, place, store_file
from gardien.adapters.surely import surely
from gardien.errors import GardienError, NoMemory, NotFound, TargetRefuses, TargetUnreachable, WrongPassphrase
from gardien.model.settings import Settings, SftpTarget, Target
from gardien.rules.env import read_env
from gardien.words import N_

_WAIT_FOR_LOCK = 120  # seconds
_LOOK_AT_LOCK = 15  # seconds, between two looks whether the one who holds it has died meanwhile
_HASTE = 20.0  # seconds after which a call that is not persistent gives up what restic itself would try for 15 minutes
_PAUSES = (5.0, 30.0, 120.0, 300.0, 600.0)  # seconds between the tries of one that is
_TURNED_AWAY_PAUSES = (1.0, 4.0)  # of one that is not, where the host refused the connection
_HOUR_LOOK = 20.0  # between two looks at how fast the hour allows us to send
_LEAN_PAUSE = 2.0  # before what died for want of memory is tried with less
# 63 MB in place of 107 for 160 MB of files; 56 of it are for deriving the key from the passphrase.
_LEAN = {"GOMAXPROCS": "1", "GOGC": "20", "RESTIC_READ_CONCURRENCY": "1"}

log = logging.getLogger(__name__)


class Calls:
    """Calls restic. A login is never in an argument or in the environment: restic is told of files of mode 0600."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = settings.folders.run / "restic"
        self._children = settings.folders.run / "children"
        self._cache = settings.folders.state / "restic-cache"

    @property
    def folder(self) -> Path:
        """Where the files that restic is told of lie."""
        return self._folder

    def target(self, name: str) -> Target:
        """Raises NotFound."""
        try:
            return self._settings.targets[name]
        except KeyError:
            raise NotFound(
                N_("there is no backup target called {target}"),
                N_("`gardien target list` shows those that are set up."),
                target=name,
            ) from None

    def login(self, name: str) -> dict[str, str]:
        """What lets us in, by the names of LOGIN. Raises TargetRefuses if it is not there, or not whole."""
        names = LOGIN.get(self.target(name).kind, ())
        file = self._settings.login(name)
        values, odd = read_env(_read(file)) if names else ({}, [])
        if odd or not all(values.get(each) for each in names):
            raise login_missing(name, file)
        return {each: values[each] for each in names}

    def place(self, name: str) -> Place:
        """Where it lies, with its login. Raises NotFound; TargetRefuses if what would let us in is not there."""
        target = self.target(name)
        if isinstance(target, SftpTarget) and not target.key.is_file():
            raise TargetRefuses(
                N_("the SSH key for the backup target {target} is not on this machine ({file})"),
                N_("Put the key back, or name another one in the target's settings."),
                target=name,
                file=str(target.key),
            )
        return place(target, self.login(name))

    async def asked(
        self,
        target: str,
        args: Sequence[str],
        *,
        snapshot: str = "",
        to: Path | None = None,
        persistent: bool = False,
        again: Callable[[], bool] | None = None,
        **how: Any,
    ) -> Outcome:
        """Run a command on a repository; its failure is one of our errors. A lock is looked into once.

        `persistent`: over a line that is cut it is tried again and again, from where it was: what was sent is there.
        If it is not, only a host that turns us away is asked again, and not for long. What died for want of memory is
        tried once more with less of it. `again` is asked before each further try whether there may be one.
        `kib_per_second` is how fast it begins; a persistent one keeps to what each hour allows.
        """
        tries, lean, killed = 0, False, False
        while True:
            began = time.monotonic()
            try:
                outcome = await self._as_fast_as_allowed(
                    target, args, persistent=persistent, lean=lean, again=again, **how
                )
            except Ended as ended:
                error = self.typed(ended, target, snapshot=snapshot, to=to)
                killed = killed or ended.outcome.code < 0
                if time.monotonic() - began > 2 * max(_PAUSES):
                    tries = 0  # it was at work for long: another fault than the last one
                if isinstance(error, NoMemory):
                    await self._heal(target, how.get("source"))  # nothing is wrong with the line
                    if lean:
                        raise error from ended
                    lean, killed, pause = True, False, _LEAN_PAUSE
                else:
                    pauses = _pauses(error, persistent, time.monotonic() - began)
                    if tries >= len(pauses):
                        raise error from ended
                    pause, tries = pauses[tries], tries + 1
                if again is not None and not again():
                    raise error from ended
                log.warning("%s; trying again in %g s", error, pause)
            else:
                if killed:
                    await self._heal(target, how.get("source"))
                return outcome
            await asyncio.sleep(pause)

    async def _as_fast_as_allowed(
        self,
        target: str,
        args: Sequence[str],
        *,
        persistent: bool,
        again: Callable[[], bool] | None,
        kib_per_second: int | None = None,
        **how: Any,
    ) -> Outcome:
        """restic cannot change its speed: when the hour does, it is ended, and begins anew from where it was."""
        place = self.target(target)
        paced = persistent and args[0] != "restore"  # which sends nothing
        while True:
            allowed = place.kib_per_second(_time_of_day())
            work = asyncio.create_task(
                self._past_a_lock(target, args, persistent=persistent, kib_per_second=kib_per_second, **how)
            )
            try:
                while not work.done() and (not paced or place.kib_per_second(_time_of_day()) == allowed):
                    await asyncio.wait({work}, timeout=_HOUR_LOOK)
            finally:
                work.cancel()
                await surely(asyncio.wait({work}))
            if not work.cancelled() or (again is not None and not again()):
                return work.result()
            kib_per_second = place.kib_per_second(_time_of_day())
            log.info(
                "the backup target %s is sent to at %s KiB/s from now on", target, kib_per_second or "any number of"
            )

    async def _past_a_lock(self, target: str, args: Sequence[str], **how: Any) -> Outcome:
        try:
            return await self.ask(target, args, **how)
        except Ended as error:
            if error.outcome.code != 11:
                raise
            log.info("%s; waiting %s seconds at most", self.typed(error, target), _WAIT_FOR_LOCK)
        rounds = max(1, _WAIT_FOR_LOCK // _LOOK_AT_LOCK)
        for left in reversed(range(rounds)):
            await self.unlock(target)
            if how.get("source") is not None:
                await self.unlock(how["source"])
            try:
                return await self.ask(target, ["--retry-lock", f"{_WAIT_FOR_LOCK // rounds}s", *args], **how)
            except Ended as error:
                if error.outcome.code != 11 or not left:
                    raise
        raise AssertionError("the last round returns or raises")

    async def _heal(self, *repositories: str | None) -> None:
        """Take away the lock of a restic that was killed. If the line is dead, the next one does it."""
        for each in repositories:
            if each is not None:
                with suppress(GardienError):
                    await self.unlock(each)

    async def unlock(self, target: str) -> None:
        try:
            await self.ask(target, ["unlock"])
        except Ended as error:
            raise self.typed(error, target) from error

    async def ask(
        self,
        target: str,
        args: Sequence[str],
        *,
        source: str | None = None,
        patient: bool = False,
        persistent: bool = False,
        json: bool = True,
        kib_per_second: int | None = None,
        lean: bool = False,
        zone: str | None = None,
        **how: Any,
    ) -> Outcome:
        """`patient`: as long as it is at work; else it is a question that has an answer soon. `lean`: with as little
        memory as it can do with. `zone`: in which it reads times. Raises Ended.
        """
        limits = self._settings.limits
        how |= {"silence": float(limits.silence)} if patient else {"timeout": float(limits.command)}
        ssh_log = self._folder / f"{target}.ssh-{secrets.token_hex(4)}"
        try:
            told, env = await asyncio.to_thread(self._prepare, target, source, ssh_log)
            if lean:
                told += lean_args((self.target(each).kind for each in (target, source) if each is not None), args)
                env |= _LEAN
            if zone is not None:
                env["TZ"] = zone
            every = [*(["--json"] if json else []), *limit_args(kib_per_second), *told, *args]
            return await self.start(every, env=env, haste=None if persistent else _HASTE, **how)
        except Ended as error:
            outcome, said = error.outcome, await asyncio.to_thread(_read, ssh_log)
            raise Ended(error.reason, "restic", replace(outcome, stderr=said + outcome.stderr)) from error
        finally:
            await asyncio.to_thread(ssh_log.unlink, missing_ok=True)

    async def start(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        on_line: OnLine | None = None,
        on_complaint: OnLine | None = None,
        output: int | None = None,
        haste: float | None = None,
        held: bool = False,
        timeout: float | None = None,
        silence: float | None = None,
        ok: Sequence[int] = (0,),
    ) -> Outcome:
        """`held` at a gate: somebody waits for it to get on, so it reports often; and should we die, the gate is open:
        then it has to end, too. Raises Ended.
        """
        leash = ["setpriv", "--pdeathsig", "INT", "--"] if held else []
        return await run(
            [*leash, self._settings.programs.restic, *args],
            env={
                "RESTIC_CACHE_DIR": str(self._cache),
                "RESTIC_PROGRESS_FPS": "20" if held else "2",
                **proxy_env(self._settings),
                **(env or {}),
            },
            children=self._children,
            output=output,
            on_line=on_line,
            on_complaint=_complaints(on_complaint, haste),
            timeout=timeout,
            silence=silence,
            expendable=True,
            ok=ok,
        )

    def typed(self, error: Ended, target: str, *, snapshot: str = "", to: Path | None = None) -> GardienError:
        """Our error for it."""
        return typed(error, target, cache=self._cache, snapshot=snapshot, to=to)

    def _prepare(self, name: str, source: str | None, ssh_log: Path) -> tuple[list[str], dict[str, str]]:
        """Write the files a command needs; returns the arguments that name them, and the environment."""
        target, places = self.target(name), [self.place(name)]
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        args = self._told(name, places[0], "")
        both = name
        if source is not None:
            places.append(self.place(source))
            args += self._told(source, places[1], "from-")
            both = f"{name}.{source}"
        env: dict[str, str] = {"RESTIC_COMPRESSION": target.compression}
        if target.gentle:
            env["GOMAXPROCS"] = "1"
        if keys := [each.ssh_key for each in places if each.ssh_key is not None]:
            known_hosts = self._folder / f"{both}.known_hosts"
            _write(known_hosts, "".join(each.known_host for each in places))
            args += sftp_option(ssh_args(keys, known_hosts, ssh_log))
        if store := store_file(places, name):
            text, env["AWS_DEFAULT_REGION"] = store
            file = self._folder / f"{both}.store"
            _write(file, text)
            env["AWS_SHARED_CREDENTIALS_FILE"] = str(file)
        return [*args, *authorities(places)], env

    def _told(self, name: str, at: Place, prefix: str) -> list[str]:
        passphrase = self._settings.passphrase(name)
        if not _read(passphrase).strip():
            raise WrongPassphrase(
                N_("the passphrase of the backup target {target} is not on this machine ({file})"),
                N_("Write the recovery key into that file. If the target is a new one: gardien target init {target}"),
                target=name,
                file=str(passphrase),
            )
        repository = self._folder / f"{name}.repository"
        _write(repository, at.location)
        return [f"--{prefix}repository-file", str(repository), f"--{prefix}password-file", str(passphrase)]


def _time_of_day() -> clock_time:
    """By the machine's clock, as the owner wrote the hours."""
    return datetime.now().time()


def _pauses(error: GardienError, persistent: bool, took: float) -> Sequence[float]:
    """How long to wait before each further try; nothing if that makes no sense, or restic itself tried for long."""
    if persistent and isinstance(error, TargetUnreachable):
        return _PAUSES
    return _TURNED_AWAY_PAUSES if isinstance(error, TurnedAway) and took < _HASTE / 2 else ()


def _complaints(on_complaint: OnLine | None, haste: float | None) -> Callable[[str], bool | None]:
    """A listener that ends restic where its own tries, which take 15 minutes, would be in vain or too long."""
    since: float | None = None

    def complain(line: str) -> bool | None:
        nonlocal since
        if hopeless(line):
            raise Ended("code", "restic", Outcome(1, "", line))
        if re.search(RETRYING, line):
            since = since or time.monotonic()
            if haste is not None and time.monotonic() - since >= haste:
                raise Ended("code", "restic", Outcome(1, "", line))
            return False
        since = None
        return on_complaint(line) if on_complaint is not None else None

    return complain


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")  # two commands may well start at once
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.rename(path)


def _read(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() else ""

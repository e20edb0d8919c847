"""The only place that starts commands: argv only, its own session, and nothing of it left behind.

Every child carries a token in its environment, `GARDIEN_CHILD`, written down before it is started. Whatever bears a
token that is written down was started by gardien: that is how `reap` finds the children of a daemon that was killed,
and their children, without ever mistaking a stranger's process that happens to have an old number.
"""

import asyncio
import os
import secrets
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from gardien.adapters.surely import surely
from gardien.errors import CommandFailed
from gardien.words import N_

OnLine = Callable[[str], bool | None]  # False: the line is no sign of life
Reason = Literal["code", "timeout", "silence", "missing"]

MARK = "GARDIEN_CHILD"
_KEPT_LINES = 40
_KEPT_BYTES = 1 << 20  # of each stream, for `Outcome`
_LONGEST_LINE = 64 << 20
_CHUNK = 1 << 16
_GRACE = 10.0  # seconds after SIGINT, and again after SIGTERM
_LAST_WORDS = 2.0  # seconds to empty the pipes after its end
_LOOK = 0.05  # seconds between two looks at what is still alive
_UNBURIED = 60  # looks at the dead of whose end the system has not taken note: restic would leave their locks alone
# 1000: what the kernel ends first when memory runs out, however big a database is. Said before the command begins: it
# may take all there is in the moment in which we would say it from outside.
_EXPENDABLE = ("/bin/sh", "-c", 'echo 1000 2>/dev/null >/proc/self/oom_score_adj; exec "$0" "$@"')


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended: its exit code (negative: the signal), and the end of what it printed, at most 1 MiB each."""

    code: int
    stdout: str
    stderr: str

    @property
    def detail(self) -> str:
        """The last lines, for an error."""
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        return "\n".join(line[:1000] for line in lines[-_KEPT_LINES:])


class Ended(CommandFailed):
    """A command that could not be started, ended with a code nobody wanted, or had to be ended."""

    def __init__(self, reason: Reason, program: str, outcome: Outcome) -> None:
        says, remedy = _ENDS[reason]
        super().__init__(says, remedy, detail=outcome.detail, program=program, code=outcome.code)
        self.reason = reason
        self.outcome = outcome


_ENDS: Mapping[Reason, tuple[str, str]] = {
    "code": (
        N_("the command {program} failed (it ended with {code})"),
        N_("Its last lines are in the details. Try again, or ask the person who helps you."),
    ),
    "timeout": (
        N_("the command {program} took too long and was stopped"),
        N_("Try again; if it happens every time, ask the person who helps you."),
    ),
    "silence": (
        N_("the command {program} said nothing for too long and was stopped"),
        N_("Try again; if it happens every time, ask the person who helps you."),
    ),
    "missing": (
        N_("the command {program} is not installed on this machine"),
        N_("Run gardien's installer again: it installs what is missing."),
    ),
}


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    children: Path,
    input_: Path | None = None,
    output: Path | int | None = None,
    on_line: OnLine | None = None,
    on_complaint: OnLine | None = None,
    timeout: float | None = None,
    silence: float | None = None,
    expendable: bool = False,
    ok: Sequence[int] = (0,),
    grace: float | None = None,
) -> Outcome:
    """Run a command to its end and say how it ended. Raises `Ended`.

    Of this process's environment only PATH is handed on, unless `env` has its own. `children` is the folder where the
    child is written down. `input_` is what it reads (else nothing); `output` is a file, 0600, that it writes itself,
    or the writing end of a pipe, which stays the caller's. `on_line` and `on_complaint` get the lines of stdout and
    stderr. After `timeout` seconds, or `silence` seconds without a sign of life (a line that its listener does not
    call dull by returning False, or 64 KiB read by it or what it started), or when the caller is cancelled, it is
    ended, with all it started: SIGINT, SIGTERM 10 seconds (`grace`) later, SIGKILL as much later, and waited for.
    `expendable`: if memory runs out, it dies before others.
    """
    token = secrets.token_hex(16)
    record = children / token
    files: list[int] = []
    session: int | None = None
    try:
        try:
            stdin, stdout = await surely(asyncio.to_thread(_prepare, record, input_, output, files))
            transport, child = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Child(on_line, on_complaint),
                *(_EXPENDABLE if expendable else ()),
                *argv,
                stdin=stdin,
                stdout=stdout,
                stderr=asyncio.subprocess.PIPE,
                env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", **env, MARK: token},
                start_new_session=True,
            )
        except (FileNotFoundError, PermissionError) as error:
            if error.filename != argv[0]:
                raise
            raise Ended("missing", Path(argv[0]).name, Outcome(127, "", str(error))) from error
        finally:
            for file in files:
                os.close(file)
        try:
            reason = await child.over(timeout, silence, token)
            session = transport.get_pid() if reason is None else None
        finally:
            try:
                await surely(child.end(_GRACE if grace is None else grace))
            finally:
                transport.close()
        outcome = child.outcome()
    finally:
        await surely(_sweep({token}, session, grace=1.0 if grace is None else grace))
        await surely(asyncio.to_thread(record.unlink, missing_ok=True))
    if reason is None and outcome.code not in ok:
        reason = "missing" if expendable and outcome.code in {126, 127} else "code"
    if reason is not None:
        raise Ended(reason, Path(argv[0]).name, outcome)
    if isinstance(output, Path):
        await surely(asyncio.to_thread(_sync, output))
    return outcome


def set_free(argv: list[str], env: Mapping[str, str], log: Path) -> int:
    """Start a command that outlives us, in a session of its own, and say its number. What it prints is added to `log`.

    Nobody waits for it: it belongs to no job. Raises `Ended` if it is not there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    opened = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600)]
    env = {name: value for name, value in env.items() if name != MARK}
    try:
        return os.posix_spawn(argv[0], argv, env, file_actions=[*opened, (os.POSIX_SPAWN_DUP2, 1, 2)], setsid=True)
    except (FileNotFoundError, PermissionError) as error:
        raise Ended("missing", Path(argv[0]).name, Outcome(127, "", str(error))) from error


async def reap(children: Path, grace: float = _GRACE) -> int:
    """End every process that a former daemon wrote down in `children`; returns how many were still alive.

    To be called before anything is started. SIGINT first, `grace` seconds later SIGKILL; returns when all are gone.
    """
    tokens = {path.name for path in await asyncio.to_thread(_listed, children)}
    found = await asyncio.to_thread(_alive, tokens)
    for each in found:
        if each.leads:
            _signal(each, signal.SIGINT)
            _signal(each, signal.SIGCONT)  # one that was stopped hears nothing
    await _sweep(tokens, grace=grace)
    for _ in range(_UNBURIED):
        if not any(psutil.pid_exists(each.pid) for each in found):
            break
        await asyncio.sleep(_LOOK)
    for token in tokens:
        await asyncio.to_thread((children / token).unlink, missing_ok=True)
    return len(found)


class _Child(asyncio.SubprocessProtocol):
    """One child from its start to its end. It is over when it has ended, whoever else may still hold its pipes."""

    def __init__(self, on_line: OnLine | None, on_complaint: OnLine | None) -> None:
        loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._failed: asyncio.Future[None] = loop.create_future()  # ends with what a listener raised
        self._streams = {1: _Stream(on_line), 2: _Stream(on_complaint)}
        self._open = {2}
        self._emptied = asyncio.Event()
        self._heard = time.monotonic()

    # -- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self._open = {number for number in (1, 2) if transport.get_pipe_transport(number) is not None}

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        try:
            if self._streams[fd].take(data):
                self._heard = time.monotonic()
        except Exception as error:  # `over` raises it
            self._fail(error)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        try:
            self._streams[fd].close()
        except Exception as error:
            self._fail(error)
        self._open.discard(fd)
        if not self._open:
            self._emptied.set()

    def process_exited(self) -> None:
        if not self._exited.done():
            self._exited.set_result(None)

    def _fail(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    # -- what `run` asks

    async def over(self, timeout: float | None, silence: float | None, token: str) -> Reason | None:
        """Wait for its end; a reason is given if it has to be ended. Raises what a listener raised."""
        watchman = asyncio.ensure_future(self._watch(timeout, silence, token))
        try:
            first: set[asyncio.Future[Any]] = {self._exited, self._failed, watchman}
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if watchman.done() and not self._exited.done() and not self._failed.done():
                return watchman.result()
            if self._exited.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LAST_WORDS):
                        await self._emptied.wait()
            if self._failed.done():
                self._failed.result()
            return None
        finally:
            watchman.cancel()
            await asyncio.wait({watchman})
            if not self._failed.cancel():
                self._failed.exception()

    async def end(self, grace: float) -> None:
        """End it, kindly first, and wait for it.

        It alone is asked, not what it started: restic still needs its ssh to take its lock away.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            if self._exited.done():
                return
            for each in (number, signal.SIGCONT):  # one that was stopped hears nothing
                with suppress(ProcessLookupError):
                    self._transport.send_signal(each)
            await asyncio.wait({self._exited}, timeout=grace)
        await self._exited

    def outcome(self) -> Outcome:
        code = self._transport.get_returncode()
        assert code is not None
        return Outcome(code, self._streams[1].text(), self._streams[2].text())

    async def _watch(self, timeout: float | None, silence: float | None, token: str) -> Reason:
        began, read = self._heard, 0
        while True:
            now = time.monotonic()
            if timeout is not None and now - began >= timeout:
                return "timeout"
            if silence is not None:
                # An upload over a slow line, or a check of what was restored, says nothing for long and yet is at work.
                has_read = await asyncio.to_thread(_bytes_read, token, self._transport.get_pid())
                if abs(has_read - read) >= _CHUNK:
                    self._heard, read = now, has_read
                if now - self._heard >= silence:
                    return "silence"
            waits = [] if timeout is None else [timeout - (now - began)]
            waits += [] if silence is None else [silence / 4]
            await asyncio.sleep(min(waits, default=3600.0))


class _Stream:
    """What a child says on one stream: line by line to a listener, and the end of it kept."""

    def __init__(self, say: OnLine | None) -> None:
        self._say = say
        self._line = bytearray()
        self._chunks: deque[bytes] = deque()
        self._size = 0

    def take(self, chunk: bytes) -> bool:
        """Whether this is a sign of life."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        while self._size - len(self._chunks[0]) > _KEPT_BYTES:
            self._size -= len(self._chunks.popleft())
        if self._say is None:
            return True
        alive = False
        first, *rest = chunk.split(b"\n")
        self._line += first[: _LONGEST_LINE - len(self._line)]
        for more in rest:
            alive |= self._tell()
            self._line = bytearray(more)
        return alive

    def close(self) -> None:
        if self._line and self._say is not None:
            self._tell()

    def text(self) -> str:
        return b"".join(self._chunks)[-_KEPT_BYTES:].decode("utf-8", "replace")

    def _tell(self) -> bool:
        assert self._say is not None
        return self._say(self._line.decode("utf-8", "replace").rstrip("\r")) is not False


@dataclass(frozen=True, slots=True)
class _Found:
    """A living process of ours."""

    pid: int
    session: int

    @property
    def leads(self) -> bool:
        """It is a child of ours, not one that a child started."""
        return self.pid == self.session


def _prepare(record: Path, input_: Path | None, output: Path | int | None, files: list[int]) -> tuple[int, int]:
    """Write the child down, open what it reads and writes (all noted in `files`). Returns its stdin and stdout."""
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stdin, stdout = os.open(input_ or os.devnull, os.O_RDONLY | os.O_CLOEXEC), asyncio.subprocess.PIPE
    files.append(stdin)
    if isinstance(output, int):
        stdout = os.dup(output)
        files.append(stdout)
    elif output is not None:
        stdout = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        files.append(stdout)
        os.fchmod(stdout, 0o600)
    record.touch(0o600)
    return stdin, stdout


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _listed(children: Path) -> list[Path]:
    return list(children.iterdir()) if children.is_dir() else []


def _alive(tokens: set[str], session: int | None = None) -> list[_Found]:
    """The living processes that bear one of these tokens, or are of the session of one that does.

    If only one session is asked for, no other's environment is read: that of a process stuck on a dead disk may hang.
    """
    everyone: list[_Found] = []
    ours: set[int] = set()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        # It may end while we look; and one whose environment is closed to us is not ours.
        with suppress(OSError):
            stat = Path(entry.path, "stat").read_bytes()
            state, _, _, belongs, *_ = stat.rpartition(b")")[2].split()
            if state in b"ZX" or session not in {None, int(belongs)}:
                continue
            everyone.append(_Found(int(entry.name), int(belongs)))
            if _tokens(entry.path) & tokens:
                ours.add(int(belongs))
    return [each for each in everyone if each.session in ours]


def _bytes_read(token: str, session: int) -> int:
    """What a child and those it started have read so far, from files, pipes and sockets."""
    total = 0
    for each in _alive({token}, session):
        with suppress(OSError):
            total += int(Path(f"/proc/{each.pid}/io").read_text().split()[1])
    return total


def _tokens(folder: str) -> set[str]:
    prefix = f"{MARK}=".encode()
    environment = Path(folder, "environ").read_bytes().split(b"\0")
    return {part.removeprefix(prefix).decode("ascii", "replace") for part in environment if part.startswith(prefix)}


def _signal(found: _Found, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.kill(found.pid, number)


async def _sweep(tokens: set[str], session: int | None = None, *, grace: float = 1.0) -> None:
    """Wait until all that bear these tokens are gone; after `grace` seconds see to it."""
    deadline = time.monotonic() + grace
    while left := await asyncio.to_thread(_alive, tokens, session):
        if time.monotonic() >= deadline:
            for each in left:
                _signal(each, signal.SIGKILL)
        await asyncio.sleep(_LOOK)

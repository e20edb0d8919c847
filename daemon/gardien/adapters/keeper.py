"""The daemon as seen from outside: whether it is well, and how it is stopped and started: where systemd keeps it, or
where install.sh started it as a mere process with its number in a file.
"""

import asyncio
import fcntl
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from gardien.adapters import process
from gardien.errors import Refused
from gardien.model.move import Keeping
from gardien.model.settings import Settings
from gardien.words import N_

UNIT = "gardien.service"
SYSTEMD = Path("/run/systemd/system")
ASKED = 10.0  # seconds for one answer
KINDLY, HARD = 900.0, 30.0  # seconds until it has stopped, as its unit has it; or until it is ended
LOOK = 0.1  # seconds between two looks
_LAST = 20  # lines
_UNDER_WAY = {"running", "undoing"}


class DaemonKeeper:
    """Of the daemon with these settings. `program`: what starts it, through the link to the version in use."""

    def __init__(self, settings: Settings, config: Path, program: Path, children: Path) -> None:
        self._settings, self._config, self._program, self._children = settings, config, program, children
        self._lock = settings.folders.state / "lock"
        self._number = settings.folders.run / "gardien.pid"
        self._log = settings.folders.state / "gardien.log"

    def kind(self) -> Keeping:
        holder = self._holder()
        if holder is not None and holder == self._noted():
            return "process"
        if holder is not None and _cgroup(holder).endswith(f"/{UNIT}"):
            return "unit"
        if holder is None:
            raise Refused(
                N_("gardien is not running, and an update has to see that it is well"),
                N_("Start it first; or install the newer one with its install.sh."),
            )
        raise Refused(
            N_("nobody here knows how this gardien (process {number}) is started"),
            N_("An update can restart it where systemd keeps it as gardien.service, or where install.sh started it."),
            number=holder,
        )

    async def running(self) -> list[str]:
        try:
            data = await self._asked("/api/v1/jobs?most=200", self._settings.language)
        except (OSError, ValueError, aiohttp.ClientError, TimeoutError) as error:
            raise Refused(
                N_("gardien does not say what is under way"),
                N_("Look whether it is well (`gardien status`), then try again."),
                detail=str(error),
            ) from error
        return [str(job["title"]) for job in data["jobs"] if job["state"] in _UNDER_WAY]

    async def well(self) -> str | None:
        try:
            if not (await self._asked("/healthz"))["ok"]:
                return None
            return str((await self._asked("/api/v1/version"))["version"])
        except (OSError, ValueError, KeyError, aiohttp.ClientError, TimeoutError):
            return None

    async def stop(self, keeping: Keeping, *, hard: bool = False) -> None:
        if keeping == "unit":
            if hard:
                with suppress(process.Ended):
                    await self._systemctl("stop", patience=HARD)
                with suppress(process.Ended):
                    await self._systemctl("kill", "--signal=SIGKILL")
            await self._systemctl("stop", patience=KINDLY)
            return
        patience = HARD if hard else KINDLY
        if not await self._ended(signal.SIGTERM, patience) and not (hard and await self._ended(signal.SIGKILL, HARD)):
            raise Refused(
                N_("gardien does not stop"),
                N_("Something may be under way that cannot be cut short. Wait a while, then try again."),
            )

    async def start(self, keeping: Keeping) -> None:
        if keeping == "unit":
            await self._systemctl("reset-failed", ok=(0, 1))
            await self._systemctl("start", patience=KINDLY)
        elif not self._alive():
            argv = [str(self._program), "--config", str(self._config), "run"]
            self._note(process.set_free(argv, dict(os.environ), self._log))
        elif self._noted() is None and (holder := self._holder()) is not None:  # we died before it was written down
            self._note(holder)

    def gone(self, keeping: Keeping) -> bool:
        # The lock is not looked at: whoever starts just now would take us for another daemon.
        return keeping == "process" and not ((number := self._noted()) is not None and _lives(number))

    def last_words(self, keeping: Keeping) -> str:
        if keeping == "unit":
            return f"journalctl -u {UNIT}"
        with suppress(OSError):
            return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-_LAST:])
        return ""

    # -- processes

    def _alive(self) -> list[int]:
        """Those that are the daemon, or are about to become it."""
        found = {number for number in (self._holder(), self._noted()) if number is not None}
        return [number for number in found if _lives(number)]

    async def _ended(self, number: signal.Signals, patience: float) -> bool:
        """Whether it is gone, so many seconds after it was told."""
        deadline = asyncio.get_running_loop().time() + patience
        told: set[int] = set()
        while alive := self._alive():
            for each in set(alive) - told:
                told.add(each)
                with suppress(ProcessLookupError):
                    os.kill(each, number)
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(LOOK)
        return True

    def _holder(self) -> int | None:
        """The process that holds the daemon's lock."""
        try:
            handle = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(ValueError):
                return int(os.pread(handle, 32, 0))
        finally:
            os.close(handle)
        return None

    def _noted(self) -> int | None:
        """The process whose number was written down when it was started, if it is still that one."""
        with suppress(OSError, ValueError, psutil.Error):
            number = int(self._number.read_text())
            line = psutil.Process(number).cmdline()
            if str(self._config) in line and line[-1] == "run":
                return number
        return None

    def _note(self, number: int) -> None:
        beside = self._number.with_name(f"{self._number.name}.new")
        beside.write_text(f"{number}\n")
        beside.replace(self._number)

    async def _systemctl(self, *words: str, patience: float = 60.0, ok: tuple[int, ...] = (0,)) -> None:
        argv = ["systemctl", words[0], *words[1:], UNIT]
        await process.run(argv, env=dict(os.environ), children=self._children, timeout=patience, ok=ok)

    async def _asked(self, path: str, language: str = "en") -> Mapping[str, Any]:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._settings.socket)),
                timeout=aiohttp.ClientTimeout(total=ASKED),
                headers={"Accept-Language": language},
            ) as line,
            line.get(f"http://gardien{path}") as answer,
        ):
            return dict(await answer.json())


def _lives(number: int) -> bool:
    """One that only waits to be buried does not."""
    with suppress(psutil.Error):
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    return False


def _cgroup(number: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{number}/cgroup").read_text().strip().rpartition(":")[2]
    return ""

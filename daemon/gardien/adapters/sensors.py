"""What can be measured of the machine: its memory and warmth, what its disks say, how it looks from the door."""

import asyncio
import json
import logging
import ssl
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gardien.model.reading import Front, Reading
from gardien.rules import smart
from gardien.words import N_, Words

log = logging.getLogger(__name__)

PATIENCE = 10.0  # seconds for each that is asked over a line
MOST = 20  # sensors of a kind
ASKED = "run/gardien-smart"  # where `gardien-smart.service` leaves the answers of the disks
OLD = timedelta(days=4)  # an answer of a disk that is older is none
_THROTTLED = "sys/devices/platform/soc/soc:firmware/get_throttled"  # a Raspberry Pi's own; hexadecimal
_POWER_NOW, _SLOW_NOW = 0b0001, 0b1110
_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED


class LinuxSensors:
    """The `Sensors` of a real house. `root`: where /proc, /sys and /run are found."""

    def __init__(self, root: Path = Path("/"), door: str = "127.0.0.1") -> None:
        self._root = root
        self._door = door

    async def machine(self, now: datetime) -> list[Reading]:
        """Memory, load, temperatures, supply voltage."""
        return await asyncio.to_thread(lambda: list(self._machine(now)))

    async def smart(self, now: datetime) -> list[Reading]:
        """What the disks say of themselves, as it was last asked; the subject is the device."""
        return await asyncio.to_thread(lambda: list(self._smart(now)))

    def _machine(self, now: datetime) -> Iterator[Reading]:
        memory = {}
        for line in self._read("proc/meminfo").splitlines():
            name, _, rest = line.partition(":")
            memory[name] = int((rest.split() or ["0"])[0])
        if total := memory.get("MemTotal"):
            yield Reading("memory-free", "", memory.get("MemAvailable", memory.get("MemFree", 0)) / total, now)
        if swap := memory.get("SwapTotal"):
            yield Reading("swap-used", "", 1 - memory.get("SwapFree", 0) / swap, now)
        cores = sum(line.startswith("processor") for line in self._read("proc/cpuinfo").splitlines()) or 1
        if load := self._read("proc/loadavg").split():
            yield Reading("load", "", float(load[1]) / cores, now)
        yield from (Reading("temperature", name, degrees, now) for name, degrees in self._warmth())
        yield from self._power(now)

    def _warmth(self) -> Iterator[tuple[str, float]]:
        """Zones of the kernel, and chips that are none of them; of a chip the warmest place counts."""
        seen: dict[str, float] = {}
        zones = [(self._read(f"{each}/type").strip(), [each / "temp"]) for each in self._all("sys/class/thermal", "t*")]
        known = {name.replace("-", "_") for name, _ in zones}
        chips = [
            (self._read(f"{each}/name").strip(), sorted(each.glob("temp*_input")))
            for each in self._all("sys/class/hwmon", "h*")
        ]
        for name, files in [*zones, *(each for each in chips if each[0].replace("-", "_") not in known)]:
            degrees = []
            for file in files:
                with suppress(ValueError):
                    degrees.append(int(self._read(str(file))) / 1000)
            if name and (right := [each for each in degrees if 0 < each < 150]) and len(seen) < MOST:
                number = sum(each.partition(" ")[0] == name for each in seen)
                seen[f"{name} {number + 1}" if number else name] = max(right)
        yield from seen.items()

    def _power(self, now: datetime) -> Iterator[Reading]:
        bits: int | None = None
        with suppress(ValueError):
            bits = int(self._read(_THROTTLED).strip(), 16)
        alarms = [
            self._read(str(each / "in0_lcrit_alarm")).strip()
            for each in self._all("sys/class/hwmon", "h*")
            if self._read(str(each / "name")).strip() == "rpi_volt"
        ]
        if alarms or bits is not None:
            low = "1" in alarms or bool((bits or 0) & _POWER_NOW)
            yield Reading("under-voltage", "", float(low), now)
        if bits is not None:
            yield Reading("throttled", "", float(bool(bits & _SLOW_NOW)), now)

    def _smart(self, now: datetime) -> Iterator[Reading]:
        files = self._all(ASKED, "*.json")
        if not files:
            yield Reading("smart-passed", "", None, now, Words.of(N_("no disk of this machine was asked how it is")))
        for file in files:
            try:
                told = json.loads(self._read(str(file)))
                found = smart.readings(file.stem[:40], told if isinstance(told, dict) else {}, now)
            except (ValueError, TypeError, ArithmeticError, OSError):
                log.warning("what smartctl said of %s cannot be understood", file.stem)
                continue
            if found[0].at > now - OLD:
                yield from found

    def _all(self, folder: str, pattern: str) -> list[Path]:
        with suppress(OSError):
            return sorted((self._root / folder).glob(pattern))[:MOST]
        return []

    def _read(self, file: str) -> str:
        with suppress(OSError, ValueError):
            return (self._root / file).read_text("utf-8")
        return ""

    # -- the door

    async def certificates(self, front: Front, now: datetime) -> list[Reading]:
        """What is shown at the door under each name, as a visitor would see it."""
        try:
            root = str(front.root) if front.root is not None else None
            trust = await asyncio.to_thread(ssl.create_default_context, cafile=root)
        except OSError:
            return []
        found = await asyncio.gather(*(self._certificate(name, front.port, trust, now) for name in front.names))
        return [each for readings in found for each in readings]

    async def _certificate(self, name: str, port: int, trust: ssl.SSLContext, now: datetime) -> list[Reading]:
        def none(value: float | None, text: str) -> list[Reading]:
            return [Reading("certificate", name, value, now, Words.of(text))]

        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(self._door, port, ssl=trust, server_hostname=name)
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == _EXPIRED:
                return none(0.0, N_("it has run out"))
            return none(0.0, N_("it is not one that browsers trust for this name"))
        except ssl.SSLError:
            return none(0.0, N_("there is none for this name"))
        except (OSError, TimeoutError):
            return none(None, N_("the door does not answer"))
        shown = writer.get_extra_info("peercert") or {}
        writer.transport.abort()
        begins, ends = (
            datetime.fromtimestamp(ssl.cert_time_to_seconds(shown[each]), UTC) for each in ("notBefore", "notAfter")
        )
        left = (ends - now) / timedelta(days=1)
        life = min(max((ends - now) / (ends - begins), 0.0), 1.0)
        return [Reading("certificate", name, left, now), Reading("certificate-life", name, life, now)]

    async def answers(self, host: str, port: int) -> bool:
        """Whether a connection is taken there."""
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

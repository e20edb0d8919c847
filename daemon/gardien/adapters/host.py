"""The machine itself: its disks, ports, processor, memory and addresses."""

import asyncio
import ctypes
import errno
import ipaddress
import os
import re
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from gardien.model.health import Disk, Fault

_TIMEX = 256  # bytes; a struct timex has 208 at most
_UNSYNCHRONISED = 5  # TIME_ERROR
_PATIENCE = 5.0  # seconds a disk or the resolver may take
_NOT_LAN = re.compile(r"lo|docker.*|br-[0-9a-f]{12}|veth.*|virbr.*|cni.*|podman.*")
_BROKEN = {errno.EIO, errno.ENXIO, errno.ENODEV, errno.EREMOTEIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE}
_PASSING = 0x01 | 0x20 | 0x40  # IPv6: temporary, deprecated, not yet known to be ours alone


class LinuxHost:
    """The `Host` of a real house."""

    def __init__(self) -> None:
        self._looking: dict[Path, asyncio.Future[Disk]] = {}  # looks whose answer is still owed

    async def disk(self, path: Path) -> Disk:
        """The file system that holds `path`; not `present`, and of no size, if `path` is not there.

        Nor if it does not answer within 5 seconds, as a network mount whose server is gone. `free` is what an ordinary
        process may use.
        """
        if path not in self._looking:
            self._looking[path] = self._look(path)
        done, _ = await asyncio.wait([self._looking[path]], timeout=_PATIENCE)
        return done.pop().result() if done else _absent(path)

    def _look(self, path: Path) -> "asyncio.Future[Disk]":
        """In a thread of its own, and only one for a path: it may be stuck for hours, and no exit waits for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Disk] = loop.create_future()

        def come(disk: Disk) -> None:
            self._looking.pop(path, None)
            answer.set_result(disk)

        def look() -> None:
            disk = _disk(path)
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(come, disk)

        threading.Thread(target=look, name="disk", daemon=True).start()
        return answer

    def port_free(self, address: str, port: int) -> bool:
        """Whether somebody could listen there now; False too for an address that is not of this machine."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # A connection that has just ended does not keep a server from starting.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # Without the right to a low port we cannot know; Docker has it.
            with suppress(PermissionError):
                try:
                    probe.bind((address.strip("[]"), port))
                    probe.listen(1)
                except PermissionError:
                    raise
                except OSError:
                    return False
        return True

    def cores(self) -> int:
        """Those this process may use."""
        return len(os.sched_getaffinity(0))

    def memory(self) -> int:
        """Bytes, of the whole machine."""
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    def memory_free(self) -> int:
        """Bytes that programs could take now without any other being pushed out."""
        return int(psutil.virtual_memory().available)

    def addresses(self) -> tuple[str, ...]:
        """Those of this machine in its local network, IPv4 first; none of loopback, Docker, or a link alone.

        Nor the IPv6 addresses that change by themselves: what is built on them would have to be made anew every day.
        """
        found: list[tuple[str, ipaddress.IPv4Address | ipaddress.IPv6Address]] = [
            (name, ipaddress.IPv4Address(each.address))
            for name, its in psutil.net_if_addrs().items()
            for each in its
            if each.family == socket.AF_INET
        ]
        found += _lasting()
        return tuple(
            str(each)
            for name, each in found
            if not (_NOT_LAN.fullmatch(name) or each.is_loopback or each.is_link_local)
        )

    async def clock_is_set(self) -> bool:
        """Whether the network sets the machine's time, and did so lately; the kernel knows (adjtimex(2)).

        Where a unit may not ask the kernel, systemd is asked.
        """
        state = await asyncio.to_thread(_kernel_clock)
        if state is not None:
            return state != _UNSYNCHRONISED
        with suppress(OSError, TimeoutError):
            asked = await asyncio.create_subprocess_exec(
                "timedatectl",
                "show",
                "--property=NTPSynchronized",
                "--value",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            said, _ = await asyncio.wait_for(asked.communicate(), _PATIENCE)
            return said.strip() == b"yes"
        return False

    async def resolve(self, name: str) -> tuple[str, ...]:
        """What the machine's resolver says a name's addresses are, IPv4 first; () if it knows none within 5 seconds."""
        asked = asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        try:
            answers = await asyncio.wait_for(asked, _PATIENCE)
        except (OSError, ValueError):  # a name that cannot be one is a ValueError
            return ()
        found = {ipaddress.ip_address(address[0]) for *_, address in answers}
        return tuple(str(each) for each in sorted(found, key=lambda each: (each.version, each.packed)))


def _kernel_clock() -> int | None:
    """What adjtimex answers to a question that changes nothing; None: it may not be asked."""
    nothing = ctypes.create_string_buffer(_TIMEX)  # its first field, `modes`, is 0
    state: int = ctypes.CDLL(None, use_errno=True).adjtimex(nothing)
    return state if state >= 0 else None


def _absent(path: Path) -> Disk:
    return Disk(str(path), total=0, free=0, present=False)


def _disk(path: Path) -> Disk:
    try:
        facts, device = os.statvfs(path), path.stat().st_dev
    except OSError as error:
        return replace(_absent(path), fault="broken" if error.errno in _BROKEN else "")
    size, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
    # Some file systems, such as btrfs, make room for the names of files as they come: they say 0 of 0.
    nodes = facts.f_favail if facts.f_files else None
    return Disk(str(path), size, free, True, device, nodes, facts.f_files or None, _fault(path))


def _fault(path: Path) -> Fault:
    """What the kernel knows of the file system: a damaged one is made read-only, with one flag or another."""
    options = _options(path.resolve(), Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape"))
    if "shutdown" in options:
        return "broken"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)  # the cache does not answer that
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in _BROKEN:
            return "broken"
    return "read-only" if options & {"ro", "emergency_ro"} else ""


def _options(path: Path, mounts: str) -> frozenset[str]:
    """Those of the file system itself: the mount may be read-only for us alone, as systemd makes it."""
    found: tuple[int, frozenset[str]] = (-1, frozenset())
    for line in mounts.splitlines():
        fields = line.split(" ")
        point = Path(re.sub(r"\\([0-7]{3})", lambda each: chr(int(each[1], 8)), fields[4]))
        if path.is_relative_to(point) and len(point.parts) >= found[0]:  # of those at one place the last is seen
            found = len(point.parts), frozenset(fields[-1].split(","))
    return found[1]


def _lasting() -> list[tuple[str, ipaddress.IPv6Address]]:
    """Interface and address: the IPv6 addresses that stay."""
    with suppress(FileNotFoundError):  # a kernel without IPv6
        lines = [line.split() for line in Path("/proc/net/if_inet6").read_text().splitlines()]
        return [
            (name, ipaddress.IPv6Address(bytes.fromhex(digits)))
            for digits, _, _, _, flags, name in lines
            if not int(flags, 16) & _PASSING
        ]
    return []

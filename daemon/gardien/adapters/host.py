"""The machine itself: its disks and ports."""

import os
import socket
from contextlib import suppress
from pathlib import Path

from gardien.model.health import Disk


class LinuxHost:
    """The `Host` of a real house."""

    def disk(self, path: Path) -> Disk:
        """The file system that holds `path`; not `present`, and of no size, if `path` is not there or does not answer.

        `free` is what an ordinary process may use.
        """
        try:
            facts, device = os.statvfs(path), path.stat().st_dev
        except OSError:
            return Disk(str(path), total=0, free=0, present=False)
        size, free = facts.f_blocks * facts.f_frsize, facts.f_bavail * facts.f_frsize
        return Disk(str(path), total=size, free=free, device=device)

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

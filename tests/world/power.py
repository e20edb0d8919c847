"""A machine whose power can fail: all it has lies on one disk, and what was not written down for good is gone."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.contracts.small_disk import small_disk
from tests.world.box import Box

_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
_NO_LOG_FLUSH = 2  # at once: nothing more reaches the disk, not even what is in its journal's memory


def kill_disk(at: Path) -> None:
    """From now on this ext4 takes nothing and gives nothing: each look at it is an error."""
    handle = os.open(at, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(handle)


class Machine:
    """A box on a disk of its own. Its backups lie elsewhere."""

    def __init__(self, box: Box, disk: Path, elsewhere: Path) -> None:
        self.box = box
        self.disk = disk
        self.repository = elsewhere

    def write_down(self) -> None:
        """What the test itself put there stays; gardien has to see to its own."""
        subprocess.run(["sync", "--file-system", str(self.disk)], check=True)

    def cut(self) -> None:
        """The power fails: the disk takes nothing more, every process and container is gone."""
        kill_disk(self.disk)

    def cut_when(self, true: Callable[[], bool], patience: float = 60) -> threading.Thread:
        """Cut it in the moment in which this becomes true."""

        def wait() -> None:
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    if true():
                        return self.cut()
            return None

        thread = threading.Thread(target=wait)
        thread.start()
        return thread

    def come_back(self) -> None:
        """After `cut`: whatever still runs dies, the disk is mounted again, and its journal is played."""
        box = self.box
        if box.daemon is not None:
            box.daemon.kill()
            box.daemon.wait(20)
            box.daemon = None
        box.remove_containers()
        subprocess.run(["umount", str(self.disk)], check=True)
        image = self.disk.with_name(self.disk.name + ".img")
        until_let_go(image)
        subprocess.run(["mount", "-o", "loop", str(image), str(self.disk)], check=True)


def until_let_go(image: Path, patience: float = 60) -> None:
    """Until no mount holds it: a container that starts anywhere has every mount for a moment, and so long a dead disk
    would come back as it was.
    """
    deadline = time.monotonic() + patience
    while subprocess.run(["losetup", "-j", str(image)], capture_output=True, check=True).stdout:
        assert time.monotonic() < deadline, f"{image} is still held"
        time.sleep(0.05)


@contextmanager
def machine(megabytes: int = 400) -> Iterator[Machine]:
    """One that is not started yet; its only target is a folder on another disk."""
    elsewhere = Path(tempfile.mkdtemp(prefix="ge-"))
    box = Box({"kind": "local", "folder": str(elsewhere / "repository")})
    try:
        with small_disk(box.root, megabytes) as disk:
            box.root.chmod(0o711)
            box.save_settings()
            try:
                yield Machine(box, disk, elsewhere / "repository")
            finally:
                if box.daemon is not None:
                    box.daemon.kill()
                    box.daemon.wait(10)
                    box.daemon = None
                box.remove_containers()
    finally:
        box.end()
        shutil.rmtree(elsewhere)

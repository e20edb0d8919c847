"""A small disk of its own, to be filled, unplugged or broken. Needs root."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """An ext4 file system of so many megabytes, mounted at `at` while the context lasts."""
    image = at.with_name(at.name + ".img")
    at.mkdir(parents=True, exist_ok=True)
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)
        image.unlink()

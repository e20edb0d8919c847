"""The data disk, and how we know that it is the one: a mark on it. An empty mount point looks like an empty disk."""

import uuid

from gardien.errors import DiskMissing
from gardien.services.ports import World
from gardien.words import N_

MARK = ".gardien-disk"
NOTE = "data-disk"
HEADROOM = 64 * 1024 * 1024  # bytes a disk must have left after something came back


async def look(world: World) -> bool:
    """Whether the data folder lies on the disk gardien knows; changes nothing. Raises DiskMissing if it does not.

    False: no disk is known yet, or our memory is younger than the disk.
    """
    folder = world.settings.folders.data
    mark = await world.files.read(folder / MARK)
    known = await world.store.noted(NOTE)
    if known is None:
        return False
    if mark is None or mark.strip() != known:
        raise DiskMissing(
            N_("the data disk is not there: {folder} does not bear gardien's mark"),
            N_("Plug the disk in and mount it at {folder}. If it is lost and a new one is in its place: --new-disk."),
            folder=str(folder),
        )
    return True


async def require(world: World, *, new_disk: bool = False) -> None:
    """Raises DiskMissing unless the data folder lies on the disk gardien knows. The first call ever marks the disk.

    `new_disk`: the owner says that the old one is gone and this one takes its place.
    """
    try:
        if await look(world):
            return
    except DiskMissing:
        if not new_disk:
            raise
    folder = world.settings.folders.data
    mark = (await world.files.read(folder / MARK) or "").strip()
    if not mark:
        mark = str(uuid.uuid4())
        await world.files.make_folder(folder, None, 0o711)
        await world.files.write(folder / MARK, mark + "\n")
    await world.store.note(NOTE, mark)


def gigabytes(size: int) -> float:
    """Of so many bytes, as a sentence says them."""
    return round(size / 1e9, 1)

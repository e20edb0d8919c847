"""The data disk, and how we know that it is the one: a mark on it. An empty mount point looks like an empty disk."""

import uuid

from gardien.errors import DiskMissing
from gardien.services.ports import World
from gardien.words import N_

MARK = ".gardien-disk"
NOTE = "data-disk"


async def require(world: World, *, new_disk: bool = False) -> None:
    """Raises DiskMissing unless the data folder lies on the disk gardien knows. The first call ever marks the disk.

    `new_disk`: the owner says that the old one is gone and this one takes its place.
    """
    folder = world.settings.folders.data
    mark = await world.files.read(folder / MARK)
    known = await world.store.noted(NOTE)
    if mark is not None and mark.strip() == known:
        return
    if known is None and mark is not None:
        await world.store.note(NOTE, mark.strip())  # our memory is younger than the disk
        return
    if known is not None and not new_disk:
        raise DiskMissing(
            N_("the data disk is not there: {folder} does not bear gardien's mark"),
            N_("Plug the disk in and mount it at {folder}. If it is lost and a new one takes its place, add --new-disk."),
            folder=str(folder),
        )
    fresh = str(uuid.uuid4())
    await world.files.make_folder(folder, (0, 0), 0o711)
    await world.files.write(folder / MARK, fresh + "\n")
    await world.store.note(NOTE, fresh)

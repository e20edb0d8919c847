"""What a repository holds that this house does not remember: after a new beginning, or when a target is taken up again.

Never while we remember anything of it: what somebody else put there later is no backup of ours (a snapshot dated far
ahead would push the good ones out).
"""

from gardien.model.snapshot import Found, Snapshot
from gardien.services import account
from gardien.services.ports import World
from gardien.words import N_, Words

MARKED = N_("it was incomplete when it was made")


async def take_stock(world: World, target: str) -> int:
    """Remember every backup that lies there, if none is known. Returns how many. Raises what `Restic.found` does."""
    if await world.store.snapshots(target=target, most=1):
        return 0
    found = await world.restic.found(target, tags=())
    marked = account.marked(found)
    now, known = world.clock(), 0
    for each in account.backups(found):
        stack = _stack(each)
        if stack is not None and each.taken <= now:
            await world.store.add_snapshot(remembered(each, stack, target, incomplete=each.id in marked))
            known += 1
    return known


def _stack(found: Found) -> str | None:
    return next((tag.removeprefix("stack=") for tag in found.tags if tag.startswith("stack=")), None)


def remembered(found: Found, stack: str, target: str, *, incomplete: bool = False) -> Snapshot:
    """What is known of a backup without the memory of the machine that made it."""
    return Snapshot(
        id=found.id,
        stack=stack,
        target=target,
        taken=found.taken,
        files=found.files or 0,
        bytes=found.bytes or 0,
        added=0,
        pause_seconds=0.0,
        good=not incomplete,
        why=Words.of(MARKED) if incomplete else None,
        original=found.original if found.original not in {"", found.id} else None,  # of what is no copy its own id
    )

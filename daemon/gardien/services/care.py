"""What the store remembers of how a repository was looked after."""

import json
from dataclasses import replace
from datetime import datetime

from gardien.model.snapshot import Snapshot
from gardien.model.target import Care
from gardien.services.clock import SKEW, ahead
from gardien.services.ports import World

ALL = 1_000_000  # snapshots: every one that is remembered


def repository_note(target: str) -> str:
    """Under which key the store notes the id of the repository that a target holds."""
    return f"repository:{target}"


def deletes_note(target: str) -> str:
    """Under which key the store notes, as "yes" or "no", whether our key can delete what is at a target."""
    return f"can-delete:{target}"


def _note(target: str) -> str:
    return f"care:{target}"


async def care_of(world: World, target: str) -> Care:
    """What is noted of it; but not what was done at a time that has not come yet."""
    noted = await world.store.noted(_note(target))
    return Care.from_json(json.loads(noted)).until(world.clock() + SKEW) if noted else Care()


async def keep_care(world: World, target: str, care: Care) -> None:
    await world.store.note(_note(target), json.dumps(care.as_json()))


async def ready_since(world: World, target: str) -> datetime | None:
    """Since when a target holds our repository; None: it does not yet. What is due there is counted from then on."""
    if await world.store.noted(repository_note(target)) is None:
        return None
    care, now = await care_of(world, target), world.clock()
    if care.ready is None:
        care = replace(care, ready=now)
        await keep_care(world, target, care)
    return care.ready


async def uncopied(world: World, source: str, target: str) -> list[Snapshot]:
    """The good backups at `source` that are newer than any of their stack at `target`, oldest first.

    Only newer ones: what retention took away at the target is not copied again. One from the future is newer than
    nothing: it would be the last.
    """
    now, newest = world.clock(), dict[str, datetime]()
    copies = await world.store.snapshots(target=target, most=ALL)
    for copy in copies:
        if not ahead(copy.taken, now):
            newest[copy.stack] = max(copy.taken, newest.get(copy.stack, copy.taken))
    copied = {copy.original for copy in copies}
    there = await world.store.snapshots(target=source, good_only=True, most=ALL)
    return [
        each
        for each in reversed(there)
        if each.id not in copied and (each.stack not in newest or each.taken > newest[each.stack])
    ]


async def drop_care(world: World, target: str) -> None:
    """Nothing is remembered of a target that was taken off the list."""
    for key in (repository_note(target), deletes_note(target), _note(target)):
        await world.store.unnote(key)

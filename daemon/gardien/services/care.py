"""What the store remembers of how a repository was looked after."""

import json
from dataclasses import replace
from datetime import datetime

from gardien.model.snapshot import Snapshot
from gardien.model.target import Care
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
    noted = await world.store.noted(_note(target))
    return Care.from_json(json.loads(noted)) if noted else Care()


async def keep_care(world: World, target: str, care: Care) -> None:
    await world.store.note(_note(target), json.dumps(care.as_json()))


async def ready_since(world: World, target: str) -> datetime | None:
    """Since when a target holds our repository; None: it does not yet. What is due there is counted from then on."""
    if await world.store.noted(repository_note(target)) is None:
        return None
    care = await care_of(world, target)
    if care.ready is None:
        care = replace(care, ready=world.clock())
        await keep_care(world, target, care)
    return care.ready


async def uncopied(world: World, source: str, target: str) -> list[Snapshot]:
    """The good backups at `source` that are newer than any of their stack at `target`, oldest first.

    Only newer ones: what retention took away at the target is not copied again.
    """
    newest: dict[str, datetime] = {}
    for copy in await world.store.snapshots(target=target, most=ALL):
        newest[copy.stack] = max(copy.taken, newest.get(copy.stack, copy.taken))
    there = await world.store.snapshots(target=source, good_only=True, most=ALL)
    return [each for each in reversed(there) if each.stack not in newest or each.taken > newest[each.stack]]


async def drop_care(world: World, target: str) -> None:
    """Nothing is remembered of a target that was taken off the list."""
    for key in (repository_note(target), deletes_note(target), _note(target)):
        await world.store.unnote(key)

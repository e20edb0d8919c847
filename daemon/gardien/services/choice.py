"""Which backup a restore takes, and from where: of a backup and its copies the nearest place that answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from gardien.errors import GardienError, NotFound
from gardien.model.settings import LocalTarget, Target
from gardien.model.snapshot import Found, Snapshot
from gardien.services.account import backups, marked, tags
from gardien.services.care import ALL
from gardien.services.ports import World
from gardien.services.targets import Targets
from gardien.words import N_, Words

INCOMPLETE = Words.of(N_("it is marked as incomplete where it lies"))


@dataclass(frozen=True, slots=True)
class Choice:
    """A backup, and the places where it or a copy of it should be, the nearest first.

    The beginning of its id there is "" where nothing is remembered of it: then the newest good one there is meant.
    """

    places: tuple[tuple[str, str], ...]
    known: bool = False  # whether it should be at each of them
    why: Words | None = None  # why it does not count


@dataclass(frozen=True, slots=True)
class Place:
    """Where a snapshot was found."""

    target: str
    found: Found
    why: Words | None = None  # why it does not count


async def choose(world: World, stack: str, snapshot: str | None) -> Choice:
    """From memory. `snapshot`: an id or the beginning of one; None: the newest good one."""
    targets = world.settings.targets
    known = [each for each in await world.store.snapshots(stack, most=ALL) if each.target in targets]
    matching = [each for each in known if (each.good if snapshot is None else each.id.startswith(snapshot))]
    meant = matching[:1] if snapshot is None or len({_backup(each) for each in matching}) == 1 else []
    if not meant:
        return Choice(tuple((name, snapshot or "") for name in nearest_first(targets)))
    if snapshot is None:
        meant = [max(matching, key=lambda each: each.taken)]
    same = {each.target: each for each in known if _backup(each) == _backup(meant[0]) and each.good >= meant[0].good}
    return Choice(
        tuple((name, same[name].id) for name in nearest_first(targets) if name in same),
        True,
        None if meant[0].good else meant[0].why or Words.of(N_("it is incomplete")),
    )


def _backup(snapshot: Snapshot) -> str:
    """Of which backup it is, be it the first of it or a copy."""
    return snapshot.original or snapshot.id


def nearest_first(targets: Mapping[str, Target]) -> list[str]:
    """A disk of this machine before a line, what is backed up to before what is copied to."""

    def far(name: str) -> tuple[bool, bool]:
        return not isinstance(targets[name], LocalTarget), targets[name].copy_of is not None

    return sorted(targets, key=far)


async def look(world: World, targets: Targets, stack: str, target: str, beginning: str) -> Place:
    """Find it at a target: the newest good one, or the one whose id begins so. Raises NotFound, a target's errors."""
    await targets.opened(target, reading=True)
    found = await world.restic.found(target, tags=tags(stack))
    listed, incomplete = backups(found), marked(found)
    if beginning:
        matching = [each for each in listed if each.id.startswith(beginning)]
    else:
        matching = [each for each in listed if incomplete.isdisjoint((each.id, each.original))][:1]
    if len(matching) != 1:
        raise _none(stack, target, beginning)
    known = next((each for each in await world.store.snapshots(stack, most=ALL) if each.id == matching[0].id), None)
    why = INCOMPLETE if not incomplete.isdisjoint((matching[0].id, matching[0].original)) else None
    if known is not None:  # what we remember goes before what the place says
        why = None if known.good else known.why or INCOMPLETE
    return Place(target, matching[0], why)


async def look_everywhere(
    world: World, targets: Targets, stack: str, places: list[tuple[str, str]]
) -> tuple[list[Place], list[tuple[str, GardienError]]]:
    """Of the newest backup that answers, all places where it is, the nearest first; and those that failed, and why."""
    found: list[Place] = []
    failed: list[tuple[str, GardienError]] = []
    for target, beginning in places:
        try:
            found.append(await look(world, targets, stack, target, beginning))
        except GardienError as error:
            failed.append((target, error))
        else:
            if beginning:  # its id is known, and so is that of each copy: the others are asked if this one fails
                break
    if not found:
        return [], failed
    newest = max(found, key=lambda each: each.found.taken)
    same = [each for each in found if each.found.original == newest.found.original]
    return same, [(target, error) for target, error in failed if not isinstance(error, NotFound)]


def _none(stack: str, target: str, beginning: str) -> NotFound:
    if beginning:
        return NotFound(
            N_("target {target} holds no backup of {stack} that begins with “{snapshot}”"),
            N_("`gardien backup list {stack}` shows those that are there."),
            target=target,
            stack=stack,
            snapshot=beginning,
        )
    return NotFound(
        N_("target {target} holds no backup of {stack}"),
        N_("Look whether `name` in gardien.yaml is the one this machine had when it was saved."),
        target=target,
        stack=stack,
    )

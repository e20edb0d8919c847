"""The copy beside: what came back from a repository, before anything of it is believed.

A snapshot is not trusted more than a file that somebody put on the disk: whoever has the key can have made it.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from gardien.errors import BadInput, Damaged, NotFound
from gardien.model.fault import Fault, Faults
from gardien.model.snapshot import Likeness
from gardien.model.stack import Stack
from gardien.rules.env import read_env
from gardien.rules.kinds import misfits
from gardien.services.account import SET_FORMAT, owner_files
from gardien.services.backup import require_whole
from gardien.services.ports import World
from gardien.services.stacks import Stacks
from gardien.words import N_

INNER = PurePosixPath(".gardien")
# What our own steps read or hand on: never through a link.
_FOLLOWED = (INNER, INNER / "compose")
_READ = (INNER / "set.json", INNER / "chosen.yaml", INNER / "secrets.env", INNER / "compose" / "compose.yaml")


@dataclass(frozen=True, slots=True)
class Source:
    """What a copy was made of: what a snapshot at a target lists under `folder`."""

    target: str
    snapshot: str
    folder: str


async def stack_in(world: World, stacks: Stacks, name: str, home: Path) -> Stack:
    """The stack as it lies in `home`, with the choices that were saved with it; judged like one that an owner wrote.

    Raises BadInput with all that is wrong with it.
    """
    recipe = await world.shelf.recipe(name, home / INNER / "compose")
    file = home / INNER / "chosen.yaml"
    chosen = await world.shelf.chosen_in(file)
    if faults := [*misfits(recipe, chosen.settings), *misfits(recipe, chosen.images)]:
        raise Faults(_in(file, fault) for fault in faults)
    return replace(await stacks.build(recipe, chosen), home=home)


async def verify(world: World, stacks: Stacks, name: str, home: Path, source: Source) -> tuple[Stack, Likeness]:
    """Whether what lies in `home` is all that `source` lists, a backup of this stack, sound, and its dumps whole.

    What has power over this machine is taken out of it first: `left_out`.

    Contents were read back by restic. Raises Damaged, Incomplete for a dump, BadInput, a target's errors.
    """
    tamed = await world.files.tame(home)
    like = await world.restic.compare(source.target, source.snapshot, source.folder, home)
    if like.wrong or not like.files:
        raise Damaged(
            N_("{stack} did not come back whole: {count} entries are missing, or not as they were saved"),
            N_("Nothing was replaced. Try again, or restore an older backup: `gardien backup list {stack}`."),
            stack=name,
            count=like.wrong,
            detail="\n".join(like.named),
        )
    for inside in (*_FOLLOWED, *_READ):
        await _require_straight(world, name, home, inside, folder=inside in _FOLLOWED)
    await _require_ours(world, name, home)
    try:
        stack = await stack_in(world, stacks, name, home)
    except (BadInput, NotFound) as error:
        raise Damaged(
            N_("the application in this backup of {stack} cannot be run: its Compose file or settings are not sound"),
            N_("Nothing was replaced. Choose an older backup; somebody may have tampered with this one."),
            stack=name,
            detail=error.detail or str(error),
        ) from error
    manifest = stack.manifest
    for path in (*stack.recipe.mounts, *manifest.folders):
        await _require_straight(world, name, home, PurePosixPath(path))
    for dump in manifest.backup.dumps:
        await _require_straight(world, name, home, INNER / "dumps" / dump)
        await require_whole(world, stack, dump, dump)
    return stack, replace(like, left_out=tuple(dict.fromkeys((*like.left_out, *tamed))))


async def _require_ours(world: World, name: str, home: Path) -> None:
    """Raise Damaged unless it says of itself that it is a backup of this stack, in a format that we know."""
    try:
        account = json.loads(await world.files.read(home / INNER / "set.json") or "{}")
        ours = account.get("stack") == name and 1 <= int(account.get("format", 0)) <= SET_FORMAT
    except (ValueError, TypeError, AttributeError):
        ours = False
    secrets = await world.files.read(home / INNER / owner_files(name)[1][1])
    if not ours or (secrets is not None and read_env(secrets)[1]):
        raise Damaged(
            N_("this backup does not say that it is one of {stack}, or a newer gardien made it"),
            N_("Nothing was replaced. Choose another backup, or update gardien."),
            stack=name,
        )


async def _require_straight(
    world: World, name: str, home: Path, inside: PurePosixPath, *, folder: bool | None = None
) -> None:
    """Raise Damaged if something of this name is there that is not what it should be, or is reached by a link."""
    kind = await world.files.kind_beneath(home, inside)
    wanted = {None: {"", "file", "folder"}, True: {"folder"}, False: {"", "file"}}[folder]
    if kind not in wanted:
        raise Damaged(
            N_("this backup of {stack} holds something else where {path} should be: it would lead out of its folder"),
            N_("Nothing was replaced. Choose an older backup; somebody may have tampered with this one."),
            stack=name,
            path=str(inside),
        )


def _in(file: Path, fault: Fault) -> Fault:
    return replace(fault, file=file)

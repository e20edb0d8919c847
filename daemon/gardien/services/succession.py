"""Which machine saves to a repository: a machine that takes over says so in it, and the one before it stands down."""

import secrets

from gardien.errors import Refused
from gardien.services.account import leave_word
from gardien.services.ports import Restic, World
from gardien.words import N_

TAG = "taken-over"
_MACHINE = "machine-id"


def stood_down_note(target: str) -> str:
    """Under which key the store notes that another machine saves there now."""
    return f"stood-down:{target}"


async def machine_id(world: World) -> str:
    """A number of this machine's own, drawn when it is first asked for."""
    known = await world.store.noted(_MACHINE)
    if known is None:
        known = secrets.token_hex(8)
        await world.store.note(_MACHINE, known)
    return known


async def take(world: World, target: str, restic: Restic | None = None) -> None:
    """From now on this machine saves there: a tiny snapshot tells the others. Raises a target's errors.

    `restic`: one that reaches it already, where this machine's own does not yet.
    """
    ours = await machine_id(world)
    folder, account = world.settings.folders.state / TAG, {"by": ours, "at": world.clock().isoformat()}
    await leave_word(world, restic or world.restic, target, folder, account, (TAG, f"by={ours}"))
    await world.store.unnote(stood_down_note(target))


async def require_ours(world: World, target: str) -> None:
    """Raises Refused if another machine took over after this one did. Raises a target's errors."""
    newest = next(iter(await world.restic.found(target, tags=(TAG,))), None)
    if newest is None or f"by={await machine_id(world)}" in newest.tags:
        if await world.store.noted(stood_down_note(target)) is not None:
            await world.store.unnote(stood_down_note(target))
        return
    await world.store.note(stood_down_note(target), newest.taken.isoformat())
    raise Refused(
        N_("another machine has taken over what is saved at {target}: this one does not save there any more"),
        N_(
            "If that is meant, switch this machine off. If it was a mistake: "
            "`gardien target reclaim {target}`, and the other one stands down."
        ),
        target=target,
    )

"""Makes stacks of the house known to each other, as their manifests say: an office to the files it opens."""

import logging
from collections.abc import Iterator, Sequence

from gardien.errors import GardienError
from gardien.model.manifest import Action, Join
from gardien.model.stack import Stack
from gardien.services import recipes
from gardien.services.ports import World
from gardien.services.runner import Run
from gardien.words import N_, Given, Value, Words

log = logging.getLogger(__name__)


def pairs(stack: Stack, all_: Sequence[Stack]) -> Iterator[tuple[Stack, Stack, Join]]:
    """Who is joined to whom, where `stack` is one of the two: the one with the manifest's word, the other, the join."""
    for other in all_:
        if other.name != stack.name:
            if other.name in stack.manifest.with_:
                yield stack, other, stack.manifest.with_[other.name]
            if stack.name in other.manifest.with_:
                yield other, stack, other.manifest.with_[stack.name]


def leases(stack: Stack, all_: Sequence[Stack]) -> tuple[str, ...]:
    """The stacks in whose services something is done when `stack` is joined."""
    others = {other.name for _, other, _ in pairs(stack, all_)}
    return tuple(f"stack:{name}" for name in sorted({stack.name, *others}))


def details(stack: Stack, all_: Sequence[Stack]) -> tuple[str, ...]:
    """For a printed plan."""
    return tuple(
        f"{other.name}: {action.words}"
        for one, other, join in pairs(stack, all_)
        for action in _filled(one, join.connect)
    )


async def connect(world: World, stack: Stack, all_: Sequence[Stack]) -> list[Given]:
    """Join `stack` with all others that are meant to run. Returns what is to be told; raises as `carry_out` does."""
    told: list[Given] = []
    for one, other, join in pairs(stack, all_):
        if one.chosen.wanted == other.chosen.wanted == "running":
            told += await recipes.carry_out(world, other, _filled(one, join.connect))
    return told


async def disconnect(world: World, stack: Stack, all_: Sequence[Stack]) -> None:
    """Before `stack` goes. One that does not answer now is told nothing: its own settings are its own."""
    for one, other, join in pairs(stack, all_):
        if one.name == stack.name and other.chosen.wanted == "running":
            try:
                await recipes.carry_out(world, other, _filled(one, join.disconnect))
            except GardienError:
                log.exception("%s could not be told that %s goes", other.name, stack.name)


def _filled(stack: Stack, actions: Sequence[Action]) -> tuple[Action, ...]:
    return tuple(
        action.model_copy(update={"argv": tuple(stack.fill(word) for word in action.argv)}) for action in actions
    )


def tell(run: Run, told: Sequence[Value]) -> None:
    """Add what did not work to the sentence the job ends on."""
    for each in told:
        run.says = Words.of(N_("{said}. But: {what}"), said=run.says or Words.of(N_("done")), what=each)

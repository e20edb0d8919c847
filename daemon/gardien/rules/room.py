"""Whether this machine can carry one more stack. All sizes are in MB (10^6 bytes), as people read them on a box."""

from collections.abc import Sequence
from dataclasses import dataclass

from gardien.errors import NoSpace, Refused
from gardien.model.stack import Recipe
from gardien.words import N_

HOUSE = 500  # MB of memory for the system, Docker and gardien itself


@dataclass(frozen=True, slots=True)
class Room:
    """What the machine has; `images` and `data` are free on the disks of Docker's images and of the stacks' data."""

    memory: int
    data: int
    images: int
    one_disk: bool  # both lie on the same one


def require(recipe: Recipe, others: Sequence[Recipe], room: Room, *, images_here: bool) -> None:
    """`others`: the stacks that are meant to run. Raises Refused, NoSpace, each with its figures."""
    needs = recipe.manifest.needs
    if needs is None:
        return
    taken = HOUSE + sum(other.manifest.needs.memory for other in others if other.manifest.needs is not None)
    if taken + needs.memory > room.memory:
        raise Refused(
            N_(
                "{stack} needs {needs} MB of memory; what runs needs {taken} MB, and this machine has {has} MB: "
                "{missing} MB are missing"
            ),
            N_("Stop or remove another application, or use a bigger machine. To try all the same: --anyway."),
            stack=recipe.name,
            needs=needs.memory,
            taken=taken,
            has=room.memory,
            missing=taken + needs.memory - room.memory,
        )
    images = 0 if images_here else needs.images
    if room.one_disk:
        _disk(recipe, needs.disk + images, room.data)
    else:
        _disk(recipe, needs.disk, room.data)
        _disk(recipe, images, room.images)


def _disk(recipe: Recipe, needs: int, free: int) -> None:
    if needs > free:
        raise NoSpace(
            N_("{stack} needs {needs} MB on the disk at first, and {free} MB are free: {missing} MB are missing"),
            N_("Make room or use a bigger disk. To try all the same: --anyway."),
            stack=recipe.name,
            needs=needs,
            free=free,
            missing=needs - free,
        )

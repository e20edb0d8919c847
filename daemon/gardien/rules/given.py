"""What a stack is told without being asked: the door's facts, and what follows from the machine."""

from collections.abc import Sequence
from dataclasses import dataclass

from gardien.model.manifest import FromAddresses, FromCores, FromMemory
from gardien.model.stack import Chosen, Recipe, Stack

NO_DOOR = {"DOOR_DOMAIN": "home.arpa", "DOOR_SUFFIX": "", "DOOR_MODE": "home", "DOOR_HTTP_PORT": "80"}
HTTPS = "443"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the stacks run on; memory in bytes."""

    cores: int
    memory: int
    addresses: tuple[str, ...]


def of_door(recipe: Recipe, chosen: Chosen) -> dict[str, str]:
    """What a door tells every stack, itself included: how names end, what follows them in an address, its mode."""
    door = recipe.manifest.door
    assert door is not None
    settings = {
        name: chosen.settings.get(name, recipe.manifest.settings[name].default)
        for name in (door.domain, door.http_port, door.https_port, door.mode)
    }
    port = settings[door.https_port]
    return {
        "DOOR_DOMAIN": settings[door.domain],
        "DOOR_SUFFIX": "" if port == HTTPS else f":{port}",
        "DOOR_MODE": settings[door.mode],
        "DOOR_HTTP_PORT": settings[door.http_port],
    }


def derived(stack: Stack, machine: Machine, public: Sequence[str]) -> dict[str, str]:
    """The values of the manifest's `derived`. `public`: what the names that clients use resolve to."""
    values: dict[str, str] = {}
    for name, each in stack.manifest.derived.items():
        if isinstance(each, FromCores):
            values[name] = str(_within(machine.cores * each.share, each.least, each.most))
        elif isinstance(each, FromMemory):
            values[name] = f"{_within(machine.memory * each.share / 2**20, each.least, each.most)}m"
        elif isinstance(each, FromAddresses):
            # IPv4 alone: a port that is published on 0.0.0.0 answers to nothing else.
            found = [each for each in dict.fromkeys((*machine.addresses, *public)) if ":" not in each]
            values[name] = stack.settings[each.instead] or ",".join(found) or "127.0.0.1"
        else:
            values[name] = each.home if stack.given["DOOR_MODE"] == "home" else each.internet
    return values


def public_names(stack: Stack) -> list[str]:
    """The names whose addresses `derived` wants to know: none while the door is at home."""
    if stack.given.get("DOOR_MODE") != "internet":
        return []
    wanted = (each for each in stack.manifest.derived.values() if isinstance(each, FromAddresses))
    return [stack.settings[each.name] for each in wanted if not stack.settings[each.instead]]


def _within(value: float, least: int, most: int) -> int:
    return max(least, min(most, int(value)))

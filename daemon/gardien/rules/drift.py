"""Whether what runs is still what was set up."""

from collections.abc import Mapping, Sequence

from gardien.model.health import Container
from gardien.words import N_, Words


def of_containers(wanted: Mapping[str, str], containers: Sequence[Container]) -> list[Words]:
    """`wanted`: service -> hash of its configuration, "" if it cannot be known; `containers`: those of the stack that
    runs, stopped ones too.
    """
    found: list[Words] = []
    there = {container.service: container for container in containers}
    for service, config in sorted(wanted.items()):
        if service not in there:
            found.append(Words.of(N_("the container of the service {service} is gone"), service=service))
        elif config and there[service].config != config:
            says = N_("the container of the service {service} does not run with the present settings")
            found.append(Words.of(says, service=service))
    foreign = sorted(there.keys() - wanted.keys())
    found += [
        Words.of(N_("there is a container {service} that does not belong to it"), service=name) for name in foreign
    ]
    return found


def of_env(wanted: Mapping[str, str], there: Mapping[str, str]) -> list[Words]:
    """Values that are not what they should be: changed by hand, or this machine is another one now. None is shown."""
    differing = [name for name in (*wanted, *(there.keys() - wanted.keys())) if wanted.get(name) != there.get(name)]
    return [
        Words.of(N_("the value of {name} is not the one that follows from its settings"), name=n) for n in differing
    ]

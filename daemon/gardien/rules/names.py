"""Which domain names the house's door can answer to: one owner each, of a kind that it can have a certificate for."""

from collections.abc import Iterator, Mapping
from typing import Literal

from gardien.model.fault import Fault, Faults
from gardien.model.stack import Stack
from gardien.words import N_, Value, Words

Mode = Literal["home", "internet"]

# Caddy's own list of names that its internal authority answers for, and no public one does.
HOME_ENDINGS = (".home.arpa", ".internal", ".local", ".localhost")


def domains(stack: Stack) -> dict[str, str]:
    """Setting -> domain name, of those that lead through the door to this stack."""
    settings = stack.settings
    return {route.name: settings[route.name] for route in stack.manifest.routes if route.name in settings}


def require(stack: Stack, others: Mapping[str, Value]) -> None:
    """Raise `Faults` (a `BadInput`) unless the door, if there is one, can answer to this stack's names."""
    mode: Mode | None = None if stack.doorless else "internet" if stack.given.get("DOOR_MODE") == "internet" else "home"
    if faults := clashes(stack, others, mode):
        raise Faults(faults)


def clashes(stack: Stack, others: Mapping[str, Value], mode: Mode | None) -> list[Fault]:
    """Why the door cannot answer to this stack's names; each fault's `at` is the setting.

    `others` are the names that are taken, and by whom: domain -> what people call it (a stack, the status page). Of
    the door itself, what all names of the house end with is judged. `mode` is None while there is no door: any name
    will do then.
    """
    faults = [*_taken(stack, others)]
    for key, domain in domains(stack).items():
        faults += _foreign(key, domain, domain.partition(".")[0] + ".", domain.endswith(HOME_ENDINGS), mode)
    if stack.manifest.door is not None:
        key = stack.manifest.door.domain
        domain = stack.settings[key]
        faults += _foreign(key, domain, "", f".{domain}".endswith(HOME_ENDINGS), mode)
    return faults


def _taken(stack: Stack, others: Mapping[str, Value]) -> Iterator[Fault]:
    own: dict[str, str] = {}
    for key, domain in domains(stack).items():
        owner = others.get(domain) or own.get(domain)
        if owner:
            yield _fault(
                key,
                N_("{key} is {domain}, and that name belongs to {owner}"),
                N_("Give each its own name, such as {example}."),
                domain=domain,
                owner=owner,
                example=f"{stack.name}-2.{domain.partition('.')[2] or 'home.arpa'}",
            )
        own[domain] = key


def _foreign(key: str, domain: str, label: str, at_home: bool, mode: Mode | None) -> Iterator[Fault]:
    if mode == "home" and not at_home:
        yield _fault(
            key,
            N_("{key} is {domain}, and a door at home has no certificate for such a name"),
            N_("Let it end in one of {endings}, such as {example}; or open the door to the internet."),
            domain=domain,
            endings=" ".join(HOME_ENDINGS),
            example=f"{label}home.arpa",
        )
    elif mode == "internet" and ("." not in domain or f".{domain}".endswith(HOME_ENDINGS)):
        yield _fault(
            key,
            N_("{key} is {domain}, and nobody on the internet can reach such a name"),
            N_("Write a name that is yours on the internet, such as {example}."),
            domain=domain,
            example=f"{label}example.org",
        )


def _fault(key: str, says: str, remedy: str, **values: Value) -> Fault:
    return Fault((key,), Words(says, {"key": key, **values}), Words(remedy, values))

"""What the owner may answer to a stack's questions: full-match allow-lists, so that no answer means more than itself.

Answers reach Compose through a `.env` file, and from there environments and arguments of containers.
"""

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

from gardien.model.fault import Fault, Faults, nearest
from gardien.model.manifest import Setting
from gardien.model.settings import HOST
from gardien.model.stack import Recipe
from gardien.words import N_, Words

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = rf"{_PART}(?::[0-9]{{1,5}})?(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# The last part begins with a letter: what ends in a number is read as an address, in more than one notation.
_DOMAIN = rf"(?:{_LABEL}\.)*(?=[a-z]){_LABEL}"
_MAILBOX = rf"[A-Za-z0-9_][A-Za-z0-9._%+-]{{0,63}}@(?i:{_DOMAIN})"
_URL = rf"https://({_DOMAIN}|[0-9.]+|\[[0-9a-f:.]+\])(?::([1-9][0-9]{{0,4}}))?(?:/[A-Za-z0-9._~%+/-]*)?"
_SHAPES: Mapping[str, tuple[re.Pattern[str], int]] = {
    "host": (re.compile(HOST), 253),
    "port": (re.compile("[1-9][0-9]{0,4}"), 5),
    "name": (re.compile("[A-Za-z0-9._][A-Za-z0-9._-]*"), 100),
    "text": (re.compile(r"(?!-)[^'\"\\$`]*"), 200),
    "image": (re.compile(IMAGE), 400),
    "domain": (re.compile(_DOMAIN), 253),
    "email": (re.compile(_MAILBOX), 254),
    "url": (re.compile(_URL), 500),
    "addresses": (re.compile("[0-9A-Fa-f:.,]+"), 500),
    "choice": (re.compile("[A-Za-z0-9._][A-Za-z0-9._-]*"), 100),
}
# What is asked of a value, and an example of it.
_ASKS: Mapping[str, tuple[str, str]] = {
    "host": (N_("{key} must be a host name or an IP address"), "192.168.1.20"),
    "port": (N_("{key} must be a number from 1 to 65535"), "8080"),
    "name": (N_("{key} may hold letters, digits and . _ - only, and must not begin with a dash"), "anna"),
    "text": (
        N_("{key} must be one line, at most 200 characters, without quotes, $, \\ and `, not beginning with a dash"),
        "Praxis Lindenhof",
    ),
    "image": (N_("{key} must be the name of an image"), "registry.example/app:1.2.3"),
    "domain": (
        N_("{key} must be a domain name of small letters, digits and dashes, with dots between"),
        "cloud.home.arpa",
    ),
    "email": (N_("{key} must be an e-mail address"), "anna@example.org"),
    "url": (
        N_("{key} must be an address that begins with https://, without a user name or password"),
        "https://ca.example.org/directory",
    ),
    "addresses": (N_("{key} must be IP addresses with commas between, and no spaces"), "192.168.1.20,203.0.113.7"),
}
# Where a cloud's machines fetch their own keys: no setting leads a container there.
_METADATA = {"metadata.google.internal", "instance-data.ec2.internal", "100.100.100.200", "fd00:ec2::254"}
_NEVER_EMPTY = {"port", "domain"}  # a route without a name, a port that is none: whatever the default says


def fits(kind: str, value: str) -> bool:
    """Whether `value` is an answer of this kind: `image`, or one of the kinds of a setting."""
    shape, longest = _SHAPES[kind]
    found = shape.fullmatch(value) if len(value) <= longest and value.isprintable() else None
    if found is None:
        return False
    match kind:
        case "port":
            return int(value) <= 65535
        case "addresses":
            return all(_is_address(part) for part in value.split(","))
        case "url":
            return int(found[2] or 443) <= 65535 and _is_open(found[1])
    return True


def suits(setting: Setting, value: str) -> bool:
    """Whether `value` may be given to `setting`: of its kind, one of its choices, or empty as its default is."""
    if not value and not setting.default and setting.kind not in _NEVER_EMPTY:
        return True
    return fits(setting.kind, value) and (setting.kind != "choice" or value in setting.choices)


def misfit(kind: str, key: str, value: str) -> Fault | None:
    """The fault of `value` as an answer to `key`, if there is one; it never shows the value."""
    return None if fits(kind, value) else _unlike(kind, key, value)


def misfits(recipe: Recipe, values: Mapping[str, str]) -> list[Fault]:
    """The faults of answers to a stack's questions, or of images chosen for it."""
    settings = recipe.manifest.settings
    faults: list[Fault | None] = []
    for key, value in values.items():
        if key in recipe.image_defaults:
            faults.append(misfit("image", key, value))
        elif key not in settings:
            says = Words.of(N_("{stack} has no setting {key}"), stack=recipe.name, key=key)
            faults.append(Fault((key,), says, nearest(key, (*settings, *recipe.image_defaults))))
        elif not suits(settings[key], value):
            choices = settings[key].choices
            faults.append(_unlisted(key, value, choices) if choices else _unlike(settings[key].kind, key, value))
    return [fault for fault in faults if fault]


def check_settings(recipe: Recipe, values: Mapping[str, str]) -> None:
    """Raise `Faults` (a `BadInput`) unless every value may be given to this stack."""
    if faults := misfits(recipe, values):
        raise Faults(faults)


def _unlike(kind: str, key: str, value: str) -> Fault:
    asks, example = _ASKS[kind]
    if kind == "url" and _SHAPES[kind][0].fullmatch(value):
        asks = N_("{key} leads to an address that is none, or where a cloud hands out the keys of its machines")
    return Fault((key,), Words(asks, {"key": key}), Words.of(N_("Write for example {example}."), example=example))


def _unlisted(key: str, value: str, choices: Iterable[str]) -> Fault:
    says = Words.of(N_("{key} must be one of: {choices}"), key=key, choices=", ".join(choices))
    return Fault((key,), says, nearest(value, choices))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _is_address(text: str) -> bool:
    """Whether it is one that a client could be told."""
    address = _address(text)
    return address is not None and not address.is_unspecified and not address.is_multicast


def _is_open(host: str) -> bool:
    """Whether a URL may lead to this host: a name, or an address that is no machine's own affair."""
    if host in _METADATA or host.strip("[]") in _METADATA:
        return False
    if not re.fullmatch(r"[0-9.]+|\[.*\]", host):
        return True
    address = _address(host.strip("[]"))
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and not (address.is_link_local or address.is_unspecified or address.is_multicast)

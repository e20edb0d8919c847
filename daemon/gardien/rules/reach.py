"""Where a target is, and where none may lead: to the addresses at which a cloud hands out its machines' own keys."""

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from gardien.model.settings import LocalTarget, RestTarget, S3Target, SftpTarget, Target

_METADATA_NAMES = ("metadata.google.internal", "instance-data.ec2.internal")
_NAT64 = IPv6Network("64:ff9b::/96")  # IPv4 addresses, as IPv6-only networks write them
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))


def host_of(target: Target) -> str | None:
    """The name or address of the machine it is on, in small letters; None: this one's own disk."""
    match target:
        case LocalTarget():
            return None
        case SftpTarget():
            host = target.host
        case S3Target():
            host = _host_in(target.endpoint)
        case RestTarget():
            host = _host_in(target.url)
    return host.strip("[]").rstrip(".").lower()


def _host_in(url: str) -> str:
    place = urlsplit(url).netloc
    return place.partition("]")[0] if place.startswith("[") else re.sub(r":\d*$", "", place)


def address_of(target: Target) -> str:
    """Where it is, for people; there is never a login in it."""
    match target:
        case LocalTarget():
            return str(target.folder)
        case SftpTarget():
            port = "" if target.port == 22 else f":{target.port}"
            return f"{target.user}@{target.host}{port}/{target.folder.removeprefix('/')}"
        case S3Target():
            return f"{target.endpoint.rstrip('/')}/{target.bucket}/{target.folder}"
        case RestTarget():
            return target.url


def forbidden(host: str) -> bool:
    """Whether no target may be there: a link-local address, one of a cloud's metadata service, or none at all."""
    if host in _METADATA_NAMES or not any(map(str.isalnum, host)):
        return True
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return ":" in host  # a name: what it resolves to is asked for. An address without its brackets is none
    if isinstance(address, IPv6Address):
        inner = IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        address = address.ipv4_mapped or address.sixtofour or inner or address
    return address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA

"""Where a target is, and where none may lead: to the addresses at which a cloud hands out its machines' own keys."""

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from gardien.model.settings import LocalTarget, RestTarget, S3Target, SftpTarget, Target

_METADATA_NAMES = ("metadata.google.internal", "instance-data.ec2.internal")
_METADATA = frozenset(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")))


def host_of(target: Target) -> str | None:
    """The name or address of the machine it is on, in small letters; None: this one's own disk."""
    match target:
        case LocalTarget():
            return None
        case SftpTarget():
            host = target.host
        case S3Target():
            host = urlsplit(target.endpoint).hostname or ""
        case RestTarget():
            host = urlsplit(target.url).hostname or ""
    return host.strip("[]").rstrip(".").lower()


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
    if host in _METADATA_NAMES:
        return True
    try:
        address: IPv4Address | IPv6Address = ip_address(host.partition("%")[0])
    except ValueError:
        return False  # a name: what it resolves to is asked for
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address.sixtofour or address
    return address.is_link_local or address.is_unspecified or address.is_multicast or address in _METADATA

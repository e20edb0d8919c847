"""The way to addresses outside: the ping, the second way, letters, registries. It never leads to where a cloud hands
out its machines' keys: the address that was looked at is the one asked, whatever a name leads to a moment later.
"""

import asyncio
import errno
import socket
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult

from gardien.model.settings import Settings
from gardien.rules.reach import forbidden

PATIENCE = 20.0  # seconds


class Elsewhere(aiohttp.ThreadedResolver):
    """Asks what a name's addresses are, and gives none of them out if one is forbidden."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises OSError."""
        found = await super().resolve(host, port, family)
        _require_elsewhere(*(each["host"] for each in found))
        return found


def outside(url: str, *, trust: ssl.SSLContext | bool = True, force_close: bool = False) -> aiohttp.TCPConnector:
    """For one request to this address. Raises OSError where it is forbidden."""
    _require_elsewhere((urlsplit(url).hostname or "").rstrip("."))
    return aiohttp.TCPConnector(resolver=Elsewhere(), ssl=trust, force_close=force_close)


async def reached(host: str, port: int) -> socket.socket:
    """A connection to whoever answers first at the addresses of this name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    _require_elsewhere(host.strip("[]"), *(str(address[0]) for *_, address in found))
    why = OSError(errno.EHOSTUNREACH, "no address")
    for family, kind, protocol, _, address in found:
        try:
            return await _connected(socket.socket(family, kind, protocol), address)
        except OSError as error:
            why = error
    raise why


async def _connected(link: socket.socket, address: object) -> socket.socket:
    try:
        link.setblocking(False)
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(link, address)  # type: ignore[arg-type]
    except BaseException:
        link.close()
        raise
    return link


def _require_elsewhere(*addresses: str) -> None:
    if any(map(forbidden, addresses)):
        raise OSError(errno.EACCES, "an address that is never asked")


def proxy_to(settings: Settings, host: str | None) -> str | None:
    """The proxy that leads to this host; None: none does."""
    return None if host in settings.around_proxy else settings.proxy


async def post(
    settings: Settings, url: str, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> int:
    """POST `data` as JSON, or nothing; the status of the answer. Goes nowhere else, whatever the answer says.

    Raises OSError where nobody answers as HTTP does.
    """
    proxy = proxy_to(settings, urlsplit(url).hostname)
    try:
        async with (
            aiohttp.ClientSession(connector=outside(url), timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
            session.post(url, json=data, headers=headers, proxy=proxy, allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise OSError(type(error).__name__) from error

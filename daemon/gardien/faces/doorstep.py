"""Where the page is waited at: the listening sockets outlast a life of the daemon, so that whoever comes while the next
one begins waits for a moment and is not turned away.
"""

import asyncio
import errno
import socket
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self

from gardien.errors import BadInput, GardienError, PortTaken
from gardien.model.settings import Page
from gardien.words import N_

WAITING = 128  # visitors that may wait at once


class Doorstep:
    """The page's address and port, held from the first life to the last. To be closed."""

    def __init__(self) -> None:
        self._at: tuple[str, int] | None = None
        self._held: list[socket.socket] = []

    async def at(self, page: Page) -> list[socket.socket]:
        """Sockets of one's own that listen there, to be closed at will. Raises PortTaken, BadInput."""
        if self._at != (page.address, page.port):
            self.close()
            try:
                self._held = await asyncio.to_thread(_listening, page)
            except OSError as error:
                raise _cannot_listen(page, error) from error
            self._at = page.address, page.port
        return [each.dup() for each in self._held]

    def close(self) -> None:
        """Nobody waits any more."""
        for each in self._held:
            each.close()
        self._held, self._at = [], None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _listening(page: Page) -> list[socket.socket]:
    hosts = [page.address.strip("[]"), *(["127.0.0.1"] if page.beside_loopback else [])]
    found = [each for host in hosts for each in _found(host, page.port)]
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            link = socket.socket(family, kind, protocol)
            made.append(link)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            link.bind(address)
            link.listen(WAITING)
            link.setblocking(False)
    except OSError:
        for each in made:
            each.close()
        raise
    return made


def _found(host: str, port: int) -> list[tuple[Any, ...]]:
    return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))


def in_the_clear(link: socket.socket) -> bool:
    """Whether nobody but this machine can reach a listening socket, so that it needs no TLS."""
    return ip_address(link.getsockname()[0].partition("%")[0]).is_loopback


def _cannot_listen(page: Page, error: OSError) -> GardienError:
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            N_("cannot show the page on {address}:{port}: another program listens there"),
            N_("Stop that program, or choose another number for `page.port` in gardien.yaml."),
            address=page.address,
            port=page.port,
        )
    return BadInput(
        N_("cannot show the page on {address}:{port}: {why}"),
        N_("Correct `page.address` and `page.port` in gardien.yaml."),
        address=page.address,
        port=page.port,
        why=error.strerror or str(error),
    )

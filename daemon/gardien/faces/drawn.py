"""What was drawn of the house, kept as long as nothing in it changed: those who look at the same moment share it."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

MOST = 16  # drawings held, of one overview: one for each role, language and person


@dataclass(frozen=True, slots=True)
class Drawing:
    """A page or a part of one. Compressed once: that costs more than to send it."""

    text: str
    body: bytes
    packed: bytes

    @classmethod
    def of(cls, text: str) -> "Drawing":
        body = text.encode()
        return cls(text, body, gzip.compress(body, 5, mtime=0))

    def answer(self, request: web.Request) -> web.Response:
        """The page, as this reader's browser can read it."""
        headers = {"Content-Type": "text/html; charset=utf-8", "Vary": "Accept-Encoding"}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=self.packed, headers=headers)
        return web.Response(body=self.body, headers=headers)


D = TypeVar("D", Drawing, str)


class Drawings:
    """Those of one overview, the newest that was asked for. What a drawing shows must follow from it and its key."""

    def __init__(self) -> None:
        self._of: object = None
        self._held: dict[tuple[object, ...], Drawing | str] = {}

    def page(self, of: object, key: tuple[object, ...], draw: Callable[[], str]) -> Drawing:
        """One to be sent."""
        held = self._found(of, ("page", *key))
        return held if isinstance(held, Drawing) else self._keep(("page", *key), Drawing.of(draw()))

    def part(self, of: object, key: tuple[object, ...], draw: Callable[[], str]) -> str:
        """One that goes into something else."""
        held = self._found(of, ("part", *key))
        return held if isinstance(held, str) else self._keep(("part", *key), draw())

    def _found(self, of: object, key: tuple[object, ...]) -> Drawing | str | None:
        if of is not self._of:
            self._of = of
            self._held.clear()
        return self._held.get(key)

    def _keep(self, key: tuple[object, ...], drawn: D) -> D:
        if len(self._held) >= MOST:
            self._held.clear()
        self._held[key] = drawn
        return drawn

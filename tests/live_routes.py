"""The live route table, with every hole filled: what tests walk that no route may escape."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from aiohttp import web

FILL = {
    "alert": "1",
    "name": "nextcloud",
    "token": "abc",
    "job": "1",
    "target": "box",
    "snapshot": "0" * 12,
    "entry": "0",
    "month": "2026-03",
    "user": "anna",
    "visit": "0" * 16,
    "section": "letters",
    "preset": "sftp",
}


# What a browser gets and no person reads.
FOR_PROGRAMS = re.compile(r"/api/|/live$|/metrics$|/healthz$|/static/|/certificate/root\.crt$|/download$")


class Route(NamedTuple):
    """A request that one route answers; `pattern` is how the route is written."""

    method: str
    path: str
    pattern: str


def walk(app: web.Application) -> Iterator[Route]:
    """Every route there is, but for the HEAD beside each GET. A hole that has nothing to fill it is an error."""
    for route in app.router.routes():
        if route.method != "HEAD":
            assert route.resource is not None
            pattern = route.resource.canonical
            fill = {**FILL, "name": "gardien.css"} if pattern.startswith("/static") else FILL
            yield Route(route.method, re.sub(r"\{(\w+)\}", lambda hole: fill[hole[1]], pattern), pattern)  # noqa: B023


def pages(app: web.Application) -> Iterator[str]:
    """The pattern of every page that people read."""
    patterns = {route.resource.canonical for route in app.router.routes() if route.method == "GET" and route.resource}
    yield from sorted(pattern for pattern in patterns if not FOR_PROGRAMS.search(pattern))

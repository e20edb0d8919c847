"""How often a minute somebody may have gardien ask somebody else: it shall not be a way to try addresses."""

import time
from collections import deque

from aiohttp import web
from aiohttp.typedefs import Handler

from gardien.errors import Busy
from gardien.faces.powers import ROOT, SAFE
from gardien.words import N_

OUTWARD = frozenset(
    {
        "/targets",
        "/targets/new/{preset}",
        "/targets/{target}/test",
        "/targets/{target}/init",
        "/letters/test",
        "/settings/letters/test",
        "/settings/second-way/test",
        "/first-run/recover",
        "/recover/look",
    }
)
TRIES = 20
MINUTE = 60.0  # seconds
LATELY = web.AppKey("lately", deque[float])  # when somebody asked, by the clock that nobody sets


def prepare(app: web.Application) -> None:
    """Remember the last tries of this house; a new start begins anew."""
    app[LATELY] = deque(maxlen=TRIES)


@web.middleware
async def unhurried(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Raise Busy at the try too much. What root types at the machine itself is not counted."""
    resource = request.match_info.route.resource
    pattern = resource.canonical.removeprefix(ROOT) if resource is not None else ""
    if request.method not in SAFE and pattern in OUTWARD and request.get("means") != "console":
        tries, now = request.app[LATELY], time.monotonic()
        if len(tries) == TRIES and now - tries[0] < MINUTE:
            raise Busy(
                N_("that was asked too often within a minute"),
                N_("Wait a minute, then try again. Nothing was changed."),
            )
        tries.append(now)
    return await handler(request)

"""What a person says to an alert on the page: that they know, or that they want to be reminded."""

from aiohttp import web

from gardien.faces.keys import HOUSE

ALERT = r"/alerts/{alert:\d{1,9}}"
SLEEP = "2d"


async def know(request: web.Request) -> web.Response:
    """No more letters about it, but that it is over."""
    await request.app[HOUSE].alerts.know(request.match_info["alert"])
    raise web.HTTPSeeOther("/")


async def snooze(request: web.Request) -> web.Response:
    """It comes back in two days."""
    await request.app[HOUSE].alerts.snooze(request.match_info["alert"], SLEEP)
    raise web.HTTPSeeOther("/")


async def wake(request: web.Request) -> web.Response:
    """As if nothing had been said to it."""
    await request.app[HOUSE].alerts.wake(request.match_info["alert"])
    raise web.HTTPSeeOther("/")


def routes() -> list[web.RouteDef]:
    """What is pressed there."""
    return [
        web.post(ALERT + "/ack", know),
        web.post(ALERT + "/snooze", snooze),
        web.post(ALERT + "/wake", wake),
    ]

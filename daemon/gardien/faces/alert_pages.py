"""The page of alerts: what is open, what was, which letters told of it; and what a person says to one."""

from aiohttp import web

from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import before_in, look

ALERT = r"/alerts/{alert:\d{1,9}}"
SLEEP = "2d"
LETTERS = 20  # on the page
OVER = 30  # alerts that are over, on one


async def alerts_page(request: web.Request) -> web.Response:
    """What needs somebody, and what needed somebody before."""
    shown, house = await look(request), request.app[HOUSE]
    before = before_in(request)
    found = await house.alerts.list(open_only=False, before=before, most=OVER + len(shown.overview.alerts) + 1)
    over = [each for each in found if each.closed is not None]
    return request.app[SCREEN].page(
        request,
        "alerts.html",
        **shown.context(),
        over=over[:OVER],
        older=over[OVER - 1].id if len(over) > OVER else None,
        turned=before is not None,
        letters=await house.store.letters(most=LETTERS),
        letters_on=house.settings.mail is not None,
    )


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
    """What is opened and pressed there."""
    return [
        web.get("/alerts", alerts_page),
        web.post(ALERT + "/ack", know),
        web.post(ALERT + "/snooze", snooze),
        web.post(ALERT + "/wake", wake),
    ]

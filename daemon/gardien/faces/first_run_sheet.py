"""A recovery sheet typed into the page of a blank machine: its key travels over no line that others could read."""

import asyncio
import contextlib
import ipaddress
import re
import secrets
from dataclasses import dataclass

from aiohttp import web

from gardien.errors import BadInput, GardienError, Refused
from gardien.faces.account_pages import person
from gardien.faces.auth import over_socket
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.kit_pages import require_password
from gardien.faces.pages import look as look_at_house
from gardien.services.house import House
from gardien.words import N_

PATH = "/first-run/recover"
BACK = f"{PATH}/go"
LINE = 25  # signs of a line of the sheet, without its number
HELD_FOR = 900.0  # seconds between looking and taking over
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")


@dataclass
class Held:
    """The sheet that was looked at last; in memory alone, and in no page that is sent once it was read."""

    token: str = ""
    sheet: str = ""
    timer: asyncio.TimerHandle | None = None

    def keep(self, sheet: str) -> str:
        """Returns what names it."""
        self.forget()
        self.token, self.sheet = secrets.token_urlsafe(16), sheet
        self.timer = asyncio.get_running_loop().call_later(HELD_FOR, self.forget)
        return self.token

    def take(self, token: str) -> str:
        """Raises BadInput if it is gone."""
        if not self.token or not secrets.compare_digest(token, self.token):
            raise BadInput(N_("the sheet was typed too long ago"), N_("Type it once more."))
        return self.sheet

    def forget(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        self.token, self.sheet, self.timer = "", "", None


HELD = web.AppKey("held sheet", Held)


def private(request: web.Request) -> bool:
    """Whether nobody between the browser and gardien can read along: on this very machine, or over gardien's own TLS.

    Another program that hands requests on is somebody in between, the house's door too.
    """
    if over_socket(request):
        return True
    transport = request.transport
    if transport is None or any(name in request.headers for name in FORWARDED):
        return False
    if transport.get_extra_info("sslcontext") is not None:
        return True
    peer = transport.get_extra_info("peername")
    with contextlib.suppress(ValueError, TypeError, IndexError):
        return ipaddress.ip_address(peer[0]).is_loopback
    return False


def _require_private(request: web.Request) -> None:
    if not private(request):
        raise Refused(
            N_("a recovery sheet is not typed over this line: others could read along"),
            N_(
                "Do it at the machine itself, with `sudo gardien recover`; or open the page there or through SSH, as "
                "http://127.0.0.1."
            ),
        )


async def sheet_page(request: web.Request) -> web.Response:
    """Where it is typed."""
    try:
        _require_private(request)
    except Refused as error:
        return await _page(request, error, closed=True)
    return await _page(request)


async def _page(
    request: web.Request, wrong: GardienError | None = None, *, closed: bool = False, typed: str = ""
) -> web.Response:
    """`typed`: what stood in the field; nobody types three hundred signs again for one that was wrong."""
    asks = not over_socket(request) and await request.app[HOUSE].people.has_password(person(request))
    return request.app[SCREEN].page(
        request,
        "first_run_sheet.html",
        400 if wrong else 200,
        wrong=wrong,
        closed=closed,
        asks_password=asks,
        typed=typed,
    )


async def look(request: web.Request) -> web.Response:
    """What the sheet leads to. Changes nothing."""
    form, house = await request.post(), request.app[HOUSE]
    try:
        _require_private(request)
    except Refused as error:
        return await _page(request, error, closed=True)
    typed = str(form.get("sheet", ""))
    try:
        await require_password(request, str(form.get("password", "")))
        sheet = numbered(typed)
        offer = await house.recover.look(sheet)
    except GardienError as error:
        return await _page(request, error, typed=typed)
    token = request.app[HELD].keep(sheet)
    return request.app[SCREEN].page(
        request, "first_run_found.html", offer=offer, token=token, now=(await house.overviews.now()).now
    )


def numbered(typed: str) -> str:
    """What was typed, each line with its number, also where people left the numbers out."""
    lines = [line for line in typed.splitlines() if line.strip()]
    if all(len(re.sub(r"[^0-9A-Za-z]", "", line)) == LINE for line in lines):
        lines = [f"{number:02}  {line.strip()}" for number, line in enumerate(lines, 1)]
    return "\n".join(lines)


async def take_over(request: web.Request) -> web.Response:
    """Become the lost machine; gardien begins anew as it, and brings its applications back."""
    form, held = await request.post(), request.app[HELD]
    try:
        _require_private(request)
        await request.app[HOUSE].recover.take_over(held.take(str(form.get("token", ""))))
    except GardienError as error:
        return await _page(request, error, closed=not private(request))
    held.forget()
    raise web.HTTPSeeOther(BACK)


# -- on its way back


async def look_at_it(request: web.Request) -> tuple[bool, dict[str, object]] | None:
    """Whether it goes on by itself, and what the templates read of it; None where nothing was taken over."""
    house, shown = request.app[HOUSE], await look_at_house(request)
    recovery = await house.recover.now()
    if recovery is None:
        return None
    jobs = {each.stack: await house.runner.job(each.job) if each.job is not None else None for each in recovery.stacks}
    busy = not recovery.ready or any(job is not None and not job.over for job in jobs.values())
    return busy, {
        **shown.context(),
        "recovery": recovery,
        "returning": jobs,
        "busy_now": busy,
        "failed": not busy and any(job is None or job.state != "done" for job in jobs.values()),
        "names": {name: await _title(house, name, shown.language) for name in jobs} | dict(shown.titles),
    }


async def _title(house: House, stack: str, language: str) -> str:
    try:
        return (await house.stacks.recipe(stack)).manifest.title.say(language)
    except GardienError:  # one of the owner's own, which is still among its backups
        return stack


async def back_page(request: web.Request) -> web.Response:
    """How far it is."""
    found = await look_at_it(request)
    if found is None:
        raise web.HTTPSeeOther(PATH)
    busy, context = found
    return request.app[SCREEN].page(request, "first_run_back.html", **context, busy=busy)


async def again(request: web.Request) -> web.Response:
    """Once more what did not come back."""
    try:
        await request.app[HOUSE].recover.retry()
    except GardienError as error:
        return await _page(request, error, closed=not private(request))
    raise web.HTTPSeeOther(BACK)


def prepare(app: web.Application) -> None:
    """No sheet outlasts the application that held it."""
    app[HELD] = Held()

    async def forget(app: web.Application) -> None:
        app[HELD].forget()

    app.on_cleanup.append(forget)


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get(PATH, sheet_page),
        web.post(PATH, look),
        web.get(BACK, back_page),
        web.post(BACK, take_over),
        web.post(f"{PATH}/again", again),
    ]

"""The daemon's door: one application behind a unix socket and a TCP port, and what holds for every request."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from aiohttp_session import session_middleware
from yarl import URL

from gardien.errors import BadInput, GardienError, unexpected
from gardien.faces import (
    account_pages,
    alert_pages,
    api,
    auth,
    backup_pages,
    browse_pages,
    first_run_pages,
    first_run_sheet,
    kit_pages,
    live,
    machine,
    metrics,
    pace,
    pages,
    people_pages,
    proof_pages,
    report,
    restore_pages,
    settings_pages,
    stack_pages,
    target_pages,
    update_pages,
    wire,
)
from gardien.faces.auth import bearer, over_socket
from gardien.faces.doorstep import Doorstep, in_the_clear
from gardien.faces.drawn import Drawings
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.powers import SAFE, veil
from gardien.faces.screen import Screen
from gardien.model.settings import Page, bare
from gardien.services.house import House
from gardien.words import N_

log = logging.getLogger(__name__)

HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        # Not `no-referrer`: under it browsers send `Origin: null` with our own forms, and we would refuse them.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
        "Server": "gardien",
    }
)
END_OF_LOOK = "end of look"
LOOK_EVERY = 5.0  # seconds between two looks whether the door is there
FORM = "application/x-www-form-urlencoded"
HTTP_WORDS = MappingProxyType(
    {
        401: (N_("you are not signed in"), N_("Sign in, then try again.")),
        403: (N_("this request did not come from gardien's own page"), N_("Open gardien's page and try it there.")),
        404: (N_("there is no such page"), N_("Go back to the home page.")),
        405: (N_("this page cannot do that"), N_("Go back to the home page.")),
        413: (N_("that was too much text at once"), N_("Send less.")),
        415: (N_("this request is not in a form that gardien reads"), N_("Open gardien's page and try it there.")),
    }
)


@web.middleware
async def through_the_door(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What the house's door hands on came over TLS, from the address that it says: it sets that header anew."""
    link = request.get_extra_info("socket")
    if link is None or link.family != socket.AF_UNIX or over_socket(request):
        return await handler(request)
    visitor = request.headers.get("X-Forwarded-For", "").split(",")[-1].strip()
    return await handler(request.clone(scheme="https", remote=visitor or "door"))


@lru_cache(64)
def _host(header: str) -> str:
    """The name that a `Host` header says; empty where it is none."""
    try:
        return bare(URL.build(scheme="http", authority=header).host or "")
    except ValueError:
        return ""


def host_check(page: Page) -> Middleware:
    """Refuse every name but ours, before anything else is looked at: a foreign name may point to this machine."""
    allowed = page.known_as

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if over_socket(request):
            return await handler(request)
        if _host(request.headers.get("Host", "")) not in allowed:
            return web.Response(status=421, text="not a name of this page: see page.names in gardien.yaml.\n")
        return await handler(request)

    return check


@web.middleware
async def own_page_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever changes something must come from our own page, in a form that other sites' forms cannot send unseen."""
    if request.method in SAFE or over_socket(request):
        return await handler(request)
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    ours = f"{request.scheme}://{request.headers.get('Host', '')}"
    # No browser sends a token by itself, so a program need not say where it comes from; a page that does must be ours.
    untold = site is None and origin is None and bearer(request) is None
    if untold or site not in (None, "same-origin") or origin not in (None, ours):
        raise web.HTTPForbidden
    kind = "application/json" if request.path.startswith("/api/") else FORM
    if request.can_read_body and request.content_type != kind:
        raise web.HTTPUnsupportedMediaType
    return await handler(request)


@web.middleware
async def say_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever goes wrong becomes a sentence and a remedy; a traceback goes to the log alone."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status not in HTTP_WORDS:
            raise
        says, remedy = HTTP_WORDS[error.status]
        response = _error(request, error.status, GardienError(says, remedy))
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
        return response
    except GardienError as error:
        return _error(request, wire.STATUS.get(error.code, 500), error)
    except Exception as error:
        # The pattern: in the path itself there may be a link that lets somebody in.
        resource = request.match_info.route.resource
        log.exception("%s %s", request.method, resource.canonical if resource is not None else "")
        return _error(request, 500, unexpected(error))


def _error(request: web.Request, status: int, error: GardienError) -> web.Response:
    if request.path.startswith("/api/"):
        language = request.app[SCREEN].language(request)
        return web.json_response(veil(request, {"error": wire.error(error, language)}), status=status)
    if request.path.startswith(auth.FOR_PROGRAMS):
        return web.Response(text=f"{error}\n", status=status)
    return request.app[SCREEN].page(request, "error.html", status, error=error, trouble=status >= 500)


@web.middleware
async def one_moment(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever is only looked at is read as it is at one moment; what goes on to stream sees the next ones, too."""
    if request.method not in SAFE:
        return await handler(request)
    async with request.app[HOUSE].store.look() as end:
        request[END_OF_LOOK] = end
        return await handler(request)


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    if END_OF_LOOK in request:
        await request[END_OF_LOOK]()
    for name, value in HEADERS.items():
        if name == "Server":
            response.headers[name] = value
        else:
            response.headers.setdefault(name, value)


def make_app(house: House, templates: Path | None = None) -> web.Application:
    """All routes, behind all checks. `templates`: where compiled ones are kept for the next start."""
    app = web.Application(
        middlewares=[
            through_the_door,
            host_check(house.settings.page),
            say_errors,
            own_page_only,
            one_moment,
            session_middleware(auth.StoreSessions(house.store)),
            auth.gate,
            pace.unhurried,
            auth.speak,
            first_run_pages.mark,
        ]
    )
    app[HOUSE] = house
    app[SCREEN] = Screen(house.settings.language, kept=templates)
    app.on_response_prepare.append(_headers)
    app[pages.DRAWN] = Drawings()
    live.prepare(app)
    pace.prepare(app)
    first_run_sheet.prepare(app)
    doors = (
        auth.routes(),
        account_pages.routes(),
        people_pages.routes(),
        pages.routes(),
        restore_pages.routes(),
        stack_pages.routes(),
        update_pages.routes(),
        backup_pages.routes(),
        browse_pages.routes(),
        kit_pages.routes(),
        proof_pages.routes(),
        alert_pages.routes(),
        settings_pages.routes(),
        target_pages.routes(),
        first_run_pages.routes(),
        first_run_sheet.routes(),
        report.routes(),
        machine.routes(),
        live.routes(),
        api.routes(house),
    )
    for routes in doors:
        app.add_routes(routes)
    app.add_routes(metrics.routes(house))
    return app


@asynccontextmanager
async def serve(house: House, doorstep: Doorstep | None = None, templates: Path | None = None) -> AsyncIterator[None]:
    """Answer on the unix socket and on the page's port. Raises PortTaken, BadInput.

    `doorstep`: holds the port, also before and after; without, it is held meanwhile. `templates`: see `make_app`.
    """
    page = house.settings.page
    path = house.settings.socket
    app = make_app(house, templates)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    own = Doorstep()
    await house.first_run.load()
    try:
        await web.SockSite(runner, _unix_socket(path)).start()
        context = await house.tls.context()
        for link in await (doorstep or own).at(page):
            await web.SockSite(runner, link, ssl_context=None if in_the_clear(link) else context).start()
        await asyncio.to_thread(app[SCREEN].warm)
        tasks = [
            asyncio.create_task(_publish(house, runner), name="publish"),
            asyncio.create_task(house.tls.keep(), name="tls"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await runner.cleanup()
        own.close()
        with suppress(FileNotFoundError):
            path.unlink()


async def _publish(house: House, runner: web.AppRunner) -> None:
    """Listen where the house's door looks for the page, as soon as there is one; anew if that place was made anew."""
    if house.settings.page.published_as is None:
        return
    site: web.SockSite | None = None
    while True:
        try:
            path = await house.door.page_socket()
            if path is not None and not await asyncio.to_thread(path.is_socket):
                if site is not None:
                    await site.stop()
                site = web.SockSite(runner, _unix_socket(path))
                await site.start()
        except (GardienError, OSError):
            log.exception("the page cannot be shown through the door")
        await asyncio.sleep(LOOK_EVERY)


def _unix_socket(path: Path) -> socket.socket:
    """Bind the socket so that at no moment anyone but the owner and gardien's group could open it."""
    with suppress(FileNotFoundError):
        path.unlink()  # a former life's: the daemon's lock says that nobody listens there
    link = socket.socket(socket.AF_UNIX)
    try:
        os.fchmod(link.fileno(), 0o660)  # Linux makes the file with this mode, less the umask
        link.bind(str(path))
        path.chmod(0o660)
    except OSError as error:
        link.close()
        raise BadInput(
            N_("cannot make the socket {path}: {why}"),
            N_("Correct `folders.run` in gardien.yaml: it must be a folder of gardien's own, with a short path."),
            path=str(path),
            why=error.strerror or str(error),
        ) from error
    return link

"""What moves on a page: server-sent events, each the new inside of one element that htmx swaps in."""

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

from aiohttp import web

from gardien.errors import GardienError
from gardien.faces import auth, backup_pages, first_run_pages, first_run_sheet, pages, present
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.screen import prose
from gardien.model.overview import JobView

log = logging.getLogger(__name__)

SPACING = 0.5  # seconds between two looks
BEAT = 15.0  # seconds: a comment keeps the line open, ages are told anew, a dead session ends

ALOUD = "said"  # the house's sentence once more, for those who have the page read to them: when it changes

CLOSING = web.AppKey("closing", asyncio.Event)


@dataclass(frozen=True, slots=True)
class Piece:
    """An event's text. It is sent when `mark` changed: what moves all the time has a piece of its own.

    A piece is swapped whole, and a button that is swapped while it is pressed is not pressed.
    """

    event: str
    text: str
    mark: str


Draw = Callable[[], Awaitable[list[Piece]]]


def _moving(request: web.Request, views: Iterable[JobView], context: Mapping[str, object]) -> list[Piece]:
    """How far the running jobs are."""
    screen = request.app[SCREEN]
    language = screen.language(request)
    pieces = []
    for view in views:
        text = screen.text("progress.html", language, **{**context, "job": view.job, "progress": view.progress})
        pieces.append(Piece(f"progress-{view.job.id}", text, text))
    return pieces


def _piece(request: web.Request, event: str, template: str, context: Mapping[str, object]) -> Piece:
    screen = request.app[SCREEN]
    language = screen.language(request)
    return Piece(
        event,
        screen.text(template, language, **context, still=False),
        screen.text(template, language, **context, still=True),
    )


async def _home(request: web.Request) -> list[Piece]:
    shown = await pages.look(request)
    context = shown.context()
    screen, drawn = request.app[SCREEN], request.app[pages.DRAWN]

    def part(template: str, **more: object) -> str:
        key = (template, shown.language, shown.may, *more.values())
        return drawn.part(shown.overview, key, lambda: screen.text(template, shown.language, **context, **more))

    seen = part("seen.html")
    said = str(prose(shown.overview.says, shown.language))
    return [
        Piece("home", part("home_live.html", still=False), part("home_live.html", still=True)),
        Piece("seen", seen, seen),
        Piece(ALOUD, said, said),
        *_moving(request, shown.overview.jobs, context),
    ]


async def _stack(request: web.Request, name: str) -> list[Piece]:
    shown = await pages.look(request)
    stack = shown.stack(name)
    told = await pages.how_it_answers(request, shown, stack)
    context = {**shown.context(), **told, "stack": stack, "rows": await pages.saved_rows(request, shown, stack)}
    answers = request.app[SCREEN].text("answering.html", shown.language, **context)
    jobs = (view for view in shown.overview.jobs if present.stack_of(view.job) == name)
    return [
        _piece(request, f"stack-{name}", "stack_live.html", context),
        Piece("answers", answers, answers),
        *_moving(request, jobs, context),
    ]


async def _backups(request: web.Request) -> list[Piece]:
    shown, context = await backup_pages.look_at_backups(request)
    return [_piece(request, "backups", "backups_live.html", context), *_moving(request, shown.overview.jobs, context)]


async def _job(request: web.Request, number: int) -> list[Piece]:
    view, context = await pages.look_at_job(request, number)
    return [_piece(request, f"job-{number}", "job_live.html", context), *_moving(request, (view,), context)]


async def _first_run(request: web.Request) -> list[Piece]:
    _, context = await first_run_pages.look_at_it(request)
    jobs = (await pages.look(request)).overview.jobs
    return [_piece(request, "first-run", "first_run_live.html", context), *_moving(request, jobs, context)]


async def _recovery(request: web.Request) -> list[Piece]:
    found = await first_run_sheet.look_at_it(request)
    if found is None:
        return []
    jobs = (await pages.look(request)).overview.jobs
    return [_piece(request, "recovery", "first_run_back_live.html", found[1]), *_moving(request, jobs, found[1])]


def _draw(request: web.Request) -> Draw:
    """What the page that asks wants to hear of."""
    stack, job = request.query.get("stack"), request.query.get("job", "")
    if "first-run" in request.query and "inside" in request["may"]:
        return lambda: _first_run(request)
    if "recovery" in request.query and "inside" in request["may"]:
        return lambda: _recovery(request)
    if "backups" in request.query:
        return lambda: _backups(request)
    if stack is not None:
        return lambda: _stack(request, stack)
    if re.fullmatch(r"\d{1,9}", job):
        return lambda: _job(request, int(job))
    return lambda: _home(request)


async def live(request: web.Request) -> web.StreamResponse:
    """The stream of one page. Ends when gardien shuts down, when the session dies, when the reader leaves."""
    draw = _draw(request)
    pieces = await draw()  # a stack or a job that is not there is a plain error, not a stream
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        async with _woken(request) as woken:
            await _stream(request, response, draw, pieces, woken)
    return response


async def _stream(
    request: web.Request, response: web.StreamResponse, draw: Draw, pieces: list[Piece], woken: asyncio.Event
) -> None:
    closing = request.app[CLOSING]
    sent = {piece.event: piece.mark for piece in pieces if piece.event == ALOUD}  # nothing new yet
    loop = asyncio.get_running_loop()
    beat = loop.time() + BEAT
    while not closing.is_set():
        fresh = [piece for piece in pieces if sent.get(piece.event) != piece.mark]
        if fresh:
            await response.write("".join(event(piece.event, piece.text) for piece in fresh).encode())
            # A piece that holds others brings them along as they are now.
            sent = {piece.event: piece.mark for piece in pieces}
        await _first(closing, SPACING)
        await _first(woken, beat - loop.time())
        woken.clear()
        if loop.time() >= beat:
            beat = loop.time() + BEAT
            await response.write(b": still here\n\n")
            if not await auth.still_in(request):
                language = request.app[SCREEN].language(request)
                gone = request.app[SCREEN].text("gone.html", language)
                await response.write((event("gone", gone) + event("close", "")).encode())
                return
        try:
            pieces = await draw()
        except GardienError as error:
            log.warning("the page stops moving: %s", error)
            return


def event(name: str, text: str) -> str:
    """One server-sent event."""
    data = "\n".join(f"data: {line}" for line in re.split(r"\r\n|\r|\n", text.strip()))
    return f"event: {name}\n{data}\n\n"


async def _first(what: asyncio.Event, seconds: float) -> None:
    """Until it happens, or the time is over."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await what.wait()


@contextlib.asynccontextmanager
async def _woken(request: web.Request) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever something in the house changed, and when we shut down."""
    woken = asyncio.Event()
    closing = request.app[CLOSING]

    async def listen() -> None:
        async with contextlib.aclosing(request.app[HOUSE].feed.listen()) as topics:  # type: ignore[type-var]
            async for _ in topics:
                woken.set()

    async def last() -> None:
        await closing.wait()
        woken.set()

    tasks = [asyncio.create_task(listen()), asyncio.create_task(last())]
    try:
        yield woken
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def prepare(app: web.Application) -> None:
    """Open streams end when the application shuts down, before it waits for them."""
    app[CLOSING] = asyncio.Event()

    async def close(app: web.Application) -> None:
        app[CLOSING].set()

    app.on_shutdown.append(close)


def routes() -> list[web.RouteDef]:
    """The one stream."""
    return [web.get("/live", live, allow_head=False)]

"""The pages of what lies in a backup: its folders, a search, a download, and putting one thing back."""

import re
from contextlib import suppress
from datetime import datetime

from aiohttp import web

from gardien.errors import NotFound
from gardien.faces import asked
from gardien.faces.download import download as hand_out
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import look, to_job
from gardien.model.entry import TOP, shown
from gardien.model.snapshot import Snapshot
from gardien.words import N_

SNAPSHOT = r"/snapshots/{snapshot:[0-9a-f]{8,64}}"
ENTRY = SNAPSHOT + r"/{entry:\d{1,12}}"
PATIENCE = 1.0  # seconds a page waits for a listing before it says that it is being read
SHOWN = 200  # entries of a folder on one page


async def _find(request: web.Request) -> Snapshot:
    return await request.app[HOUSE].backups.find(request.match_info["snapshot"])


def _number(request: web.Request) -> int:
    return int(request.match_info.get("entry", TOP))


async def _context(request: web.Request, snapshot: Snapshot) -> dict[str, object]:
    """What each of these pages shows around it: the stack, the backup, and those before and after it."""
    seen = await look(request)
    if snapshot.stack not in seen.titles:
        raise NotFound(N_("there is no stack called {stack} here"), stack=snapshot.stack)
    backups, taken = request.app[HOUSE].backups, snapshot.taken
    place = (snapshot.stack, snapshot.target)
    newer = [each for each in await backups.list(*place, since=taken, good_only=True) if each.id != snapshot.id]
    older = [each for each in await backups.list(*place, 2, until=taken, good_only=True) if each.id != snapshot.id]
    return {
        **seen.context(),
        "stack": seen.stack(snapshot.stack),
        "snapshot": snapshot,
        "newer": newer[-1] if newer else None,
        "older": older[0] if older else None,
        "where": f"/snapshots/{snapshot.id}",
        "shown": shown,
        "moment": _moment,
    }


def _moment(text: str) -> datetime | None:
    """A time as restic writes it."""
    with suppress(ValueError):
        found = datetime.fromisoformat(re.sub(r"\.\d+", "", text))
        return found if found.tzinfo is not None else None
    return None


async def _reading(request: web.Request, snapshot: Snapshot, context: dict[str, object]) -> web.Response | None:
    """The page that says that the listing is being read, where that takes longer than a reader should wait."""
    count = await request.app[HOUSE].browse.open(snapshot, PATIENCE)
    return None if count is None else request.app[SCREEN].page(request, "reading.html", **context, count=count)


async def folder_page(request: web.Request) -> web.Response:
    """A folder of a backup, or what was searched for in it."""
    snapshot = await _find(request)
    context = await _context(request, snapshot)
    if (waiting := await _reading(request, snapshot, context)) is not None:
        return waiting
    browse, screen = request.app[HOUSE].browse, request.app[SCREEN]
    text = request.query.get("search", "").strip()[:200]
    if text:
        hits = await browse.search(snapshot, text, SHOWN)
        return screen.page(request, "found.html", **context, hits=hits, text=text, most=SHOWN)
    after = asked.count(request, "after")
    folder = await browse.folder(snapshot, _number(request), after, SHOWN)
    return screen.page(request, "folder.html", **context, folder=folder, after=after, most=SHOWN, text="")


async def download(request: web.Request) -> web.StreamResponse:
    """A file, or a folder as a zip."""
    snapshot, browse = await _find(request), request.app[HOUSE].browse
    await browse.open(snapshot)
    number = _number(request)
    kind = (await browse.entry(snapshot, number)).entry.kind
    return await hand_out(request, snapshot, number, "zip" if kind == "folder" else None)


async def put_back_page(request: web.Request) -> web.Response:
    """What putting it back will do, before it is done."""
    snapshot = await _find(request)
    context = await _context(request, snapshot)
    if (waiting := await _reading(request, snapshot, context)) is not None:
        return waiting
    house, number = request.app[HOUSE], _number(request)
    plan = await house.put_backs.plan(snapshot, number)
    hit, found = await house.browse.entry(snapshot, number), await house.browse.sum(snapshot, number)
    return request.app[SCREEN].page(request, "put_back.html", **context, hit=hit, sum=found, plan=plan)


async def put_back(request: web.Request) -> web.Response:
    """Put it back."""
    snapshot = await _find(request)
    await request.app[HOUSE].browse.open(snapshot)
    raise to_job(await request.app[HOUSE].put_backs.create(snapshot, _number(request)))


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get(SNAPSHOT, folder_page),
        web.get(ENTRY, folder_page),
        web.get(ENTRY + "/download", download, allow_head=False),
        web.get(ENTRY + "/put-back", put_back_page),
        web.post(ENTRY + "/put-back", put_back),
    ]

"""The JSON API of what lies in a backup: its folders, a search, a file or folder to take away or to put back.

Entries are asked for by number; no path is ever taken. While a backup's listing is still being read, the answer is 202
with `reading`, the number of entries so far: ask again.
"""

from aiohttp import web

from gardien.faces import asked, shapes, wire
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import JOB, READING, told
from gardien.faces.download import download
from gardien.model.entry import TOP, Entry, Hit, shown
from gardien.model.snapshot import Snapshot
from gardien.services.house import House

ENTRIES = ROOT + "/snapshots/{snapshot}/entries"
ENTRY = ENTRIES + r"/{entry:\d{1,12}}"
PATIENCE = 20.0  # seconds


def entry(found: Entry, way: tuple[Entry, ...] = ()) -> shapes.EntryData:
    """One entry; `path` is for people to read. `name` is as shown: what could confuse a terminal is spelled out."""
    return {
        "id": found.id,
        "name": shown(found.name),
        "path": "/".join(shown(each.name) for each in (*way, found)),
        "kind": found.kind,
        "size": found.size,
        "modified": found.modified or None,
        "mode": f"{found.mode:04o}",
        "owner": list(found.owner),
    }


def _hits(hits: tuple[Hit, ...]) -> list[shapes.EntryData]:
    return [entry(hit.entry, hit.way) for hit in hits]


class SnapshotsApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def _open(self, request: web.Request) -> tuple[Snapshot, int | None]:
        snapshot = await self._house.backups.find(request.match_info["snapshot"])
        return snapshot, await self._house.browse.open(snapshot, PATIENCE)

    @told(
        {200: dict[str, object], **READING},
        query={"folder": int, "after": int, "most": int, "name": str, "search": str},
    )
    async def entries(self, request: web.Request) -> web.Response:
        """What is in `?folder=` (0: the top); with `name` what is called so there; with `search` from anywhere."""
        snapshot, reading = await self._open(request)
        if reading is not None:
            return web.json_response({"reading": reading}, status=202)
        browse, query = self._house.browse, request.query
        if "search" in query:
            return web.json_response({"entries": _hits(await browse.search(snapshot, query["search"]))})
        folder = asked.count(request, "folder")
        if "name" in query:
            found = await browse.named(snapshot, folder, query["name"])
            return web.json_response({"entry": entry(found) if found else None})
        page = await browse.folder(snapshot, folder, asked.count(request, "after"), asked.number(request, "most", 500))
        return web.json_response(
            {
                "folder": entry(page.entry, page.way[:-1]) if folder != TOP else None,
                "entries": [entry(each, page.way) for each in page.entries],
                "total": page.total,
            }
        )

    @told({200: shapes.EntryInFullData, **READING})
    async def one(self, request: web.Request) -> web.Response:
        """One entry with all that lies beneath it: `left_out` are devices and the like, which are not handed out."""
        snapshot, reading = await self._open(request)
        if reading is not None:
            return web.json_response({"reading": reading}, status=202)
        browse, number = self._house.browse, int(request.match_info["entry"])
        hit, found = await browse.entry(snapshot, number), await browse.sum(snapshot, number)
        ways = await browse.left_out(snapshot, number)
        exact = (await browse.path(snapshot, number))[-1:]
        return web.json_response(
            {
                **entry(hit.entry, hit.way),
                "exact": exact[0] if exact else None,
                "files": found.files,
                "bytes": found.bytes,
                "left_out": ["/".join(way) for way in ways],
            }
        )

    @told({200: bytes, **READING}, query={"as": str})
    async def download(self, request: web.Request) -> web.StreamResponse:
        """A file, or with `?as=zip` or `?as=tar` a folder."""
        snapshot, reading = await self._open(request)
        if reading is not None:
            return web.json_response({"reading": reading}, status=202)
        archive = request.query.get("as")
        return await download(request, snapshot, int(request.match_info["entry"]), archive)

    @told(JOB, may={"dry_run": bool})
    async def put_back(self, request: web.Request) -> web.Response:
        """Put it back in its place; what was there is set aside."""
        body = await asked.fields(request)
        snapshot = await self._house.backups.find(request.match_info["snapshot"])
        await self._house.browse.open(snapshot)
        number, put_backs = int(request.match_info["entry"]), self._house.put_backs
        if body.get("dry_run"):
            plan = await put_backs.plan(snapshot, number)
            return web.json_response({"plan": wire.plan(plan, asked.language(request))})
        return web.json_response({"job": await put_backs.create(snapshot, number)}, status=202)


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = SnapshotsApi(house)
    return [
        web.get(ENTRIES, api.entries),
        web.get(ENTRY, api.one),
        web.get(f"{ENTRY}/download", api.download, allow_head=False),
        web.post(f"{ENTRY}/put-back", api.put_back),
    ]

"""The pages of a restore: three questions, what will happen, then its job, which goes on whoever looks on."""

from collections.abc import Sequence
from typing import Literal

from aiohttp import web

from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, look, to_job
from gardien.model.overview import StackView
from gardien.model.snapshot import Snapshot

Where = Literal["place", "new_disk", "in_place"]
SHOWN = 100  # backups to choose from
PART = "part"


async def restore_page(request: web.Request) -> web.Response:
    """What, from when, where to; once that is answered, what a restore will do, step by step, before it is done."""
    query = request.query
    name = request.match_info["name"]
    snapshot = query.get("snapshot") or None
    if query.get("what") == PART and snapshot is not None:  # there each file has its own buttons
        raise web.HTTPSeeOther(f"/snapshots/{snapshot}")
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(name)
    good = await house.backups.list(stack.name, most=SHOWN, good_only=True)
    if query.keys().isdisjoint(("snapshot", "new_disk", "in_place")) or "ask" in query:
        page = {"stack": stack, "snapshots": each_once(good), "chosen": snapshot, "where": _where(request)}
        return request.app[SCREEN].page(request, "restore_ask.html", **shown.context(), **page)
    return await _summary(request, shown.context(), stack, snapshot or next((each.id for each in good), None), good)


async def _summary(
    request: web.Request, context: dict[str, object], stack: StackView, chosen: str | None, good: Sequence[Snapshot]
) -> web.Response:
    house, where = request.app[HOUSE], _where(request)
    return request.app[SCREEN].page(
        request,
        "restore.html",
        **context,
        stack=stack,
        snapshot=next((each for each in good if each.id == chosen), None),
        chosen=chosen,
        plan=await house.restores.plan(stack.name, chosen, where == "new_disk", where == "in_place"),
        where=where,
        took=await house.runner.took("restore", stack.name),
    )


def _where(request: web.Request) -> Where:
    """As the form answers, or a link that knows."""
    for each in ("new_disk", "in_place"):
        if each in request.query or request.query.get("where") == each:
            return "new_disk" if each == "new_disk" else "in_place"
    return "place"


def each_once(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """A backup and its copies at other places are one to choose; which of them is taken is found out then."""
    found: dict[str, Snapshot] = {}
    for each in snapshots:
        found.setdefault(each.original or each.id, each)
    return list(found.values())


async def restore(request: web.Request) -> web.Response:
    """Start a restore."""
    form = await request.post()
    snapshot = form.get("snapshot")
    chosen = snapshot if isinstance(snapshot, str) and snapshot else None
    name = request.match_info["name"]
    raise to_job(await request.app[HOUSE].restores.create(name, chosen, "new_disk" in form, "in_place" in form))


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [web.get(STACK + "/restore", restore_page), web.post(STACK + "/restore", restore)]

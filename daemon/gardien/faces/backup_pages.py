"""The page of backups: each application at each of its places, and how each place is looked after."""

from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from gardien.faces import history, present
from gardien.faces.history import Day, Row
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, Shown, look, to_job
from gardien.model.overview import JobView, PlaceView, StackView
from gardien.model.target import TargetView

LATELY = timedelta(days=history.DAYS + 1)
TARGET = r"/targets/{target:[a-z][a-z0-9-]{0,30}}"


@dataclass(frozen=True, slots=True)
class Place:
    """The backups of one stack at one target, over two weeks. Pauses are seconds; None: nothing was paused for it."""

    view: PlaceView
    target: TargetView
    days: list[Day]
    pause: float | None  # of the newest good one
    longest_pause: float | None
    troubles: list[Row]  # what was not as it should be, newest first


async def look_at_backups(request: web.Request) -> tuple[Shown, dict[str, object]]:
    """The house as this reader sees it, and what the templates read of its backups."""
    shown, house = await look(request), request.app[HOUSE]
    targets = {target.name: target for target in shown.overview.targets}
    backups = {}
    for stack in shown.overview.stacks:
        snapshots = await house.backups.list(stack.name, since=shown.overview.now - LATELY)
        rows = history.rows(stack.name, stack.places, snapshots, shown.overview.jobs)
        backups[stack.name] = [
            _place(stack, view, targets[view.target], rows, shown) for view in stack.places if view.target in targets
        ]
    cures = {name: (await house.setup.access(name)).protect for name, each in targets.items() if each.can_delete}
    return shown, {**shown.context(), "backups": backups, "cures": cures, "caring": _caring(shown)}


def _place(stack: StackView, view: PlaceView, target: TargetView, rows: list[Row], shown: Shown) -> Place:
    days = history.days(rows, view.target, shown.overview.now)
    good = [row.snapshot for day in days for row in day.rows if row.snapshot is not None and row.snapshot.good]
    pauses = [each.pause_seconds for each in good if each.original is None]
    newest = view.newest_good if target.copy_of is None else None
    here = [row for row in rows if row.target == view.target and row.at.astimezone().date() >= days[0].date]
    troubles = [row for row in here if row.state in {"incomplete", "lost", "missed"}]
    return Place(view, target, days, newest.pause_seconds if newest else None, max(pauses, default=None), troubles)


def _caring(shown: Shown) -> dict[str, JobView]:
    """The first job under way, or waiting, that looks after each target."""
    jobs = [view for view in reversed(shown.overview.jobs) if view.job.plan.kind in present.OF_TARGETS]
    return {view.job.plan.subject: view for view in jobs}


async def backups_page(request: web.Request) -> web.Response:
    """Every application at every place."""
    shown, context = await look_at_backups(request)
    return request.app[SCREEN].page(request, "backups.html", **context, busy=bool(shown.overview.jobs))


async def back_up(request: web.Request) -> web.Response:
    """Start a backup, at the target that the form names or the first one."""
    form = await request.post()
    target = form.get("target")
    chosen = target if isinstance(target, str) and target else None
    raise to_job(await request.app[HOUSE].backups.create(request.match_info["name"], chosen))


async def check(request: web.Request) -> web.Response:
    """Start a check of a target."""
    raise to_job(await request.app[HOUSE].upkeep.check(request.match_info["target"]))


async def copy(request: web.Request) -> web.Response:
    """Start filling a copy."""
    raise to_job(await request.app[HOUSE].upkeep.copy(request.match_info["target"]))


async def accept(request: web.Request) -> web.Response:
    """The owner's word that so much was meant to go."""
    await request.app[HOUSE].backups.accept(request.match_info["snapshot"])
    raise web.HTTPSeeOther("/backups")


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/backups", backups_page),
        web.post(STACK + "/backup", back_up),
        web.post("/backups/{snapshot:[0-9a-f]{8,64}}/accept", accept),
        web.post(TARGET + "/check", check),
        web.post(TARGET + "/copy", copy),
    ]

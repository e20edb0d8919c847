"""The page of backups: each application at each of its places, and how each place is looked after."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from aiohttp import web

from gardien.faces import history, present, wire_proofs
from gardien.faces.history import Day, Row
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, Shown, look, to_job
from gardien.model.job import Job
from gardien.model.overview import JobView, PlaceView, StackView
from gardien.model.snapshot import Snapshot
from gardien.model.target import TargetView

TARGET = r"/targets/{target:[a-z][a-z0-9-]{0,30}}"
SPAN = timedelta(days=history.DAYS)
CHECKS = 100  # of a target: two years of them


@dataclass(frozen=True, slots=True)
class Weeks:
    """The two weeks that are shown. `before` and `after` are last days too: of what can be turned to."""

    first: date
    last: date
    lately: bool  # up to today
    before: date | None
    after: date | None

    @property
    def begin(self) -> datetime:
        """Midnight, by this machine's clock."""
        return datetime.combine(self.first, time()).astimezone()

    @property
    def end(self) -> datetime:
        """The midnight after the last day."""
        return datetime.combine(self.last + timedelta(days=1), time()).astimezone()


@dataclass(frozen=True, slots=True)
class Place:
    """The backups of one stack at one target, over two weeks. Pauses are seconds; None: nothing was paused for it."""

    view: PlaceView
    target: TargetView
    days: list[Day]
    pause: float | None  # of the newest good one
    longest_pause: float | None
    troubles: list[Row]  # what was not as it should be, newest first
    good: list[Snapshot]  # oldest first


async def _weeks(request: web.Request, shown: Shown) -> Weeks:
    """Those that the address names, or the last ones. What lies ahead is not shown."""
    today = shown.overview.now.astimezone().date()
    last = today
    with suppress(ValueError):
        last = min(today, max(date.fromisoformat(request.query.get("until", "")), date(2000, 1, 1)))
    first = last - SPAN + timedelta(days=1)
    begin = datetime.combine(first, time()).astimezone()
    older = False
    for stack in shown.overview.stacks:  # one by one: so an index serves, and mostly the first has some
        older = older or bool(await request.app[HOUSE].backups.list(stack.name, until=begin, most=1))
    before = first - timedelta(days=1) if older else None
    return Weeks(first, last, last == today, before, min(today, last + SPAN) if last < today else None)


async def look_at_backups(request: web.Request) -> tuple[Shown, dict[str, object]]:
    """The house as this reader sees it, and what the templates read of its backups."""
    shown, house = await look(request), request.app[HOUSE]
    weeks = await _weeks(request, shown)
    targets = {target.name: target for target in shown.overview.targets}
    backups, tried = {}, {}
    for stack in shown.overview.stacks:
        snapshots = await house.backups.list(stack.name, since=weeks.begin, until=weeks.end)
        places = [view for view in stack.places if view.target in targets]
        if not weeks.lately:
            places = [
                replace(view, missed=await house.overviews.missed(stack.name, view.target, weeks.begin, weeks.end))
                for view in places
            ]
        rows = history.rows(stack.name, places, snapshots, shown.overview.jobs)
        backups[stack.name] = [_place(stack, view, targets[view.target], rows, weeks) for view in places]
        tried[stack.name] = await house.drills.list(stack.name, since=weeks.begin, until=weeks.end)
    checks = {name: await _checks(request, name, weeks) for name in targets}
    cures = {name: (await house.setup.access(name)).protect for name, each in targets.items() if each.can_delete}
    told = {"backups": backups, "tried": tried, "checks": checks, "weeks": weeks, "OUTCOME": wire_proofs.OUTCOME}
    return shown, {**shown.context(), **told, "cures": cures, "caring": _caring(shown)}


async def _checks(request: web.Request, target: str, weeks: Weeks) -> list[Job]:
    """Those of the weeks that are shown, newest first; of older ones the newest few are all that is looked through."""
    jobs = await request.app[HOUSE].runner.jobs(CHECKS, kind="check", subject=target)
    return [job for job in jobs if job.ended is not None and weeks.begin <= job.ended < weeks.end]


def _place(stack: StackView, view: PlaceView, target: TargetView, rows: list[Row], weeks: Weeks) -> Place:
    days = history.days(rows, view.target, weeks.last)
    good = [row.snapshot for day in days for row in day.rows[::-1] if row.snapshot is not None and row.snapshot.good]
    pauses = [each.pause_seconds for each in good if each.original is None]
    newest = view.newest_good if target.copy_of is None else None
    here = [row for row in rows if row.target == view.target and row.at.astimezone().date() >= days[0].date]
    troubles = [row for row in here if row.state in {"incomplete", "lost", "missed"}]
    pause = newest.pause_seconds if newest else None
    return Place(view, target, days, pause, max(pauses, default=None), troubles, good)


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

"""The pages: each gathers what it shows once, from what the watchman last saw. Nothing here asks Docker or restic."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from aiohttp import web

from gardien.errors import NotFound
from gardien.faces import answering, auth, history, present
from gardien.faces.drawn import Drawings
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.screen import keep_language, language_note
from gardien.model.overview import JobView, Overview, StackView
from gardien.model.person import Power
from gardien.model.plan import Kind
from gardien.model.settings import Folders
from gardien.words import N_

STALE = timedelta(minutes=3)  # a watchman who has not looked for so long is not believed
RECENT = 5
SHOWN = 100  # backups of a stack
JOBS = 50  # on a page
ASKED_AT_ONCE: tuple[Kind, ...] = ("start", "backup", "drill")  # that a stack's own page can begin

DRAWN = web.AppKey("drawn", Drawings)

STACK = r"/stacks/{name:[a-z][a-z0-9-]{0,30}}"
JOB = r"/jobs/{job:\d{1,9}}"


@dataclass(frozen=True, slots=True)
class Shown:
    """An overview as one reader sees it: with the stacks' names in their language, and each stack's job beside it."""

    overview: Overview
    language: str
    folders: Folders
    may: frozenset[Power]

    @property
    def titles(self) -> Mapping[str, str]:
        """What people call the stacks."""
        return {stack.name: stack.title.say(self.language) for stack in self.overview.stacks}

    @property
    def working(self) -> Mapping[str, JobView]:
        """The first job under way, or waiting, for each stack."""
        jobs = [(present.stack_of(view.job), view) for view in reversed(self.overview.jobs)]
        return {name: view for name, view in jobs if name is not None}

    @property
    def stale(self) -> bool:
        """Whether the watchman has not looked for too long."""
        seen = self.overview.seen
        return seen is not None and self.overview.now - seen > STALE

    def stack(self, name: str) -> StackView:
        """Raises NotFound."""
        for stack in self.overview.stacks:
            if stack.name == name:
                return stack
        raise NotFound(
            N_("there is no stack called {stack} here"),
            N_("`gardien stack list` shows those that are here, `gardien stack available` those that can be added."),
            stack=name,
        )

    def context(self) -> dict[str, object]:
        """What the templates read."""
        return {
            "view": self.overview,
            "now": self.overview.now,
            "titles": self.titles,
            "working": self.working,
            "stale": self.stale,
            "data_folder": str(self.folders.data),
            "state_folder": str(self.folders.state),
            "recent": self.overview.recent[:RECENT],
            "may": self.may,
        }


async def look(request: web.Request) -> Shown:
    """The house as this reader sees it."""
    house = request.app[HOUSE]
    language = request.app[SCREEN].language(request)
    return Shown(await house.overviews.now(), language, house.settings.folders, request["may"])


async def home(request: web.Request) -> web.Response:
    """One sentence for the house, its stacks, disks, jobs and alerts."""
    shown, screen = await look(request), request.app[SCREEN]
    about = screen.about(request)

    def draw() -> str:
        passing = any(stack.health.health in {"starting", "paused"} for stack in shown.overview.stacks)
        busy = bool(shown.overview.jobs) or passing  # what will be otherwise in a moment, for those without scripts
        return screen.text("home.html", shown.language, **{**about, **shown.context()}, busy=busy)

    key = ("home.html", shown.language, *about.values())
    return request.app[DRAWN].page(shown.overview, key, draw).answer(request)


async def stack_page(request: web.Request) -> web.Response:
    """One stack: how it is, its backups, and what can be done with it."""
    shown = await look(request)
    stack = shown.stack(request.match_info["name"])
    rows = await saved_rows(request, shown, stack)
    busy = stack.name in shown.working
    told = await how_it_answers(request, shown, stack)
    alerts = await request.app[HOUSE].alerts.list(open_only=False)
    over = [each for each in alerts if each.closed is not None and stack.name in each.key.split(":")[1:]]
    return request.app[SCREEN].page(
        request, "stack.html", **shown.context(), stack=stack, rows=rows, **told, over=over, busy=busy
    )


async def how_it_answers(request: web.Request, shown: Shown, stack: StackView) -> dict[str, object]:
    """What the templates read of its probes, and of how long it takes to start it again."""
    house = request.app[HOUSE]
    days = answering.MONTH if request.query.get("days") == str(answering.MONTH) else answering.DAY
    found = await answering.answering(house, await house.stacks.get(stack.name), shown.overview.now, days)
    took = {kind: await house.runner.took(kind, stack.name) for kind in ASKED_AT_ONCE}
    return {"answers": found, "days": days, "took": took}


async def saved_rows(request: web.Request, shown: Shown, stack: StackView) -> list[history.Row]:
    """The newest backups of a stack, what was missed between them, what is under way."""
    snapshots = await request.app[HOUSE].backups.list(stack.name, most=SHOWN)
    return history.rows(stack.name, stack.places, snapshots, shown.overview.jobs)


async def start(request: web.Request) -> web.Response:
    """Start a stopped stack."""
    raise to_job(await request.app[HOUSE].life.start(request.match_info["name"]))


async def stop_page(request: web.Request) -> web.Response:
    """What stopping will mean, before it is done."""
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(request.match_info["name"])
    plan, took = await house.life.plan_stop(stack.name), await house.runner.took("stop", stack.name)
    return request.app[SCREEN].page(request, "stop.html", **shown.context(), stack=stack, plan=plan, took=took)


async def stop(request: web.Request) -> web.Response:
    """Stop a stack."""
    raise to_job(await request.app[HOUSE].life.stop(request.match_info["name"]))


async def jobs_page(request: web.Request) -> web.Response:
    """The newest jobs, or older ones; of one application, if one is chosen."""
    shown = await look(request)
    chosen = request.query.get("stack")
    subject = chosen if chosen in shown.titles else None
    before = before_in(request)
    jobs = await request.app[HOUSE].runner.jobs(JOBS + 1, subject=subject, before=before)
    return request.app[SCREEN].page(
        request,
        "jobs.html",
        **shown.context(),
        jobs=jobs[:JOBS],
        chosen=subject,
        older=jobs[JOBS - 1].id if len(jobs) > JOBS else None,
        turned=before is not None,
        busy=bool(shown.overview.jobs),
    )


def before_in(request: web.Request) -> int | None:
    """The number that the address names, below which all is older."""
    text = request.query.get("before", "")
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else None


async def look_at_job(request: web.Request, number: int) -> tuple[JobView, dict[str, object]]:
    """One job, and what the templates read of it. Raises NotFound."""
    shown = await look(request)
    runner = request.app[HOUSE].runner
    view = JobView(await runner.job(number), runner.progress(number))
    return view, {**shown.context(), "job": view.job, "progress": view.progress, "busy": not view.job.over}


async def job_page(request: web.Request) -> web.Response:
    """One job: its steps, and how it ended."""
    _, context = await look_at_job(request, _job(request))
    return request.app[SCREEN].page(request, "job.html", **context)


async def cancel(request: web.Request) -> web.Response:
    """Undo a job that runs."""
    number = _job(request)
    await request.app[HOUSE].runner.cancel(number)
    raise web.HTTPSeeOther(f"/jobs/{number}")


async def choose_language(request: web.Request) -> web.Response:
    """Keep the reader's language, and go back to where they were."""
    form = await request.post()
    response = web.HTTPSeeOther(auth.own_path(form.get("next")))
    chosen = form.get("language")
    if chosen in present.LANGUAGES:
        keep_language(request, response, str(chosen))
        if "user" in request:
            await request.app[HOUSE].store.note(language_note(request["user"]), str(chosen))
    raise response


async def certificate_page(request: web.Request) -> web.Response:
    """How each device is told to trust this house."""
    text = await request.app[HOUSE].door.certificate()
    mark = present.fingerprint(text) if text else None
    return request.app[SCREEN].page(request, "certificate.html", mark=mark)


async def certificate(request: web.Request) -> web.Response:
    """The house's own root certificate; with this type telephones and Firefox offer to install it."""
    text = await request.app[HOUSE].door.certificate()
    if text is None:
        raise web.HTTPNotFound
    return web.Response(body=text.encode(), content_type="application/x-x509-ca-cert")


async def static(request: web.Request) -> web.Response:
    """A style sheet, a script, a picture."""
    return request.app[SCREEN].asset(request)


def _job(request: web.Request) -> int:
    return int(request.match_info["job"])


def to_job(job: int) -> web.HTTPSeeOther:
    """On to watching it: reloading that page starts nothing again."""
    return web.HTTPSeeOther(f"/jobs/{job}")


def routes() -> list[web.RouteDef]:
    """Everything a person opens."""
    return [
        web.get("/", home),
        web.get(STACK, stack_page),
        web.post(STACK + "/start", start),
        web.get(STACK + "/stop", stop_page),
        web.post(STACK + "/stop", stop),
        web.get("/jobs", jobs_page),
        web.get(JOB, job_page),
        web.post(JOB + "/cancel", cancel),
        web.get("/certificate", certificate_page),
        web.get("/certificate/root.crt", certificate),
        web.post("/language", choose_language),
        web.get(r"/static/{name:[a-z0-9/.-]+}", static),
    ]

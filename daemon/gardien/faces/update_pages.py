"""The pages of new versions: what there is, what an update would do, the way back, what is not wanted, who begins.

What changes an application is shown first, and asked.
"""

from datetime import timedelta

from aiohttp import web

from gardien.errors import Refused
from gardien.faces import api_updates
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, look, to_job
from gardien.words import N_

HERE = STACK + "/updates"


async def all_page(request: web.Request) -> web.Response:
    """Every application: what is new, what was last, who begins."""
    shown, updates = await look(request), request.app[HOUSE].settings.updates
    return request.app[SCREEN].page(
        request,
        "updates.html",
        **shown.context(),
        window=updates.window,
        cooling=timedelta(days=updates.cooling_days),
        alone=request.app[HOUSE].updates.house_by_itself,
    )


async def stack_page(request: web.Request) -> web.Response:
    """The same of one, with all that can be said to it."""
    shown, settings = await look(request), request.app[HOUSE].settings
    stack = shown.stack(request.match_info["name"])
    return request.app[SCREEN].page(
        request,
        "stack_updates.html",
        **shown.context(),
        stack=stack,
        busy=stack.name in shown.working,
        window=settings.window(stack.name),
        cooling=timedelta(days=settings.updates.cooling_days),
        house_alone=request.app[HOUSE].updates.house_by_itself,
    )


async def find(request: web.Request) -> web.Response:
    """Ask the registries now, of one application or all."""
    name = request.match_info.get("name")
    await request.app[HOUSE].releases.look(name)
    raise web.HTTPSeeOther(f"/stacks/{name}/updates" if name is not None else "/updates")


async def run_page(request: web.Request) -> web.Response:
    """What an update would do, and what people notice of it."""
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(request.match_info["name"])
    plan = await house.updates.plan(stack.name, *_which(request.query.get("image"), request.query.get("version")))
    return request.app[SCREEN].page(
        request,
        "update_ask.html",
        **shown.context(),
        stack=stack,
        plan=plan,
        took=await house.runner.took("update", stack.name),
        watched=house.settings.limits.watch_update,
    )


async def run(request: web.Request) -> web.Response:
    """Begin it."""
    form = await request.post()
    which = _which(form.get("image"), form.get("version"))
    raise to_job(await request.app[HOUSE].updates.run(request.match_info["name"], *which))


async def back_page(request: web.Request) -> web.Response:
    """What going back would do, and what is lost with it."""
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(request.match_info["name"])
    plan = await house.updates.plan_rollback(stack.name)
    last = await house.updates.last(stack.name)
    return request.app[SCREEN].page(request, "update_back.html", **shown.context(), stack=stack, plan=plan, last=last)


async def back(request: web.Request) -> web.Response:
    """Begin it: of that update alone which was shown."""
    house, name = request.app[HOUSE], request.match_info["name"]
    last = await house.updates.last(name)
    if last is not None and (await request.post()).get("job") != str(last.job):
        raise Refused(N_("{stack} was updated meanwhile"), N_("Look at the page again before you go back."), stack=name)
    raise to_job(await house.updates.rollback(name))


async def skip_page(request: web.Request) -> web.Response:
    """What it means to skip a version."""
    shown, house = await look(request), request.app[HOUSE]
    stack = shown.stack(request.match_info["name"])
    key, version = _which(request.query.get("image"), request.query.get("version"))
    change = await house.releases.next(stack.name, key, version)
    return request.app[SCREEN].page(request, "update_skip.html", **shown.context(), stack=stack, change=change)


async def skip(request: web.Request) -> web.Response:
    """Skip it, or offer it again."""
    form, name = await request.post(), request.match_info["name"]
    key, version = _which(form.get("image"), form.get("version"))
    releases = request.app[HOUSE].releases
    await (releases.unskip(name, version, key) if "undo" in form else releases.skip(name, version, key))
    raise web.HTTPSeeOther(f"/stacks/{name}/updates")


async def choose(request: web.Request) -> web.Response:
    """Who begins: of one application, or of all of which nothing else is said."""
    name = request.match_info.get("name")
    await api_updates.choose(request.app[HOUSE], name, str((await request.post()).get("how")))
    raise web.HTTPSeeOther(f"/stacks/{name}/updates" if name is not None else "/updates")


def _which(image: object, version: object) -> tuple[str | None, str | None]:
    """The image's variable and the version that are meant; what is empty is not said."""
    return (
        image if isinstance(image, str) and image else None,
        version if isinstance(version, str) and version else None,
    )


def routes() -> list[web.RouteDef]:
    """All of it."""
    return [
        web.get("/updates", all_page),
        web.post("/updates/look", find),
        web.post("/updates/how", choose),
        web.get(HERE, stack_page),
        web.post(HERE + "/look", find),
        web.post(HERE + "/how", choose),
        web.get(HERE + "/run", run_page),
        web.post(HERE + "/run", run),
        web.get(HERE + "/back", back_page),
        web.post(HERE + "/back", back),
        web.get(HERE + "/skip", skip_page),
        web.post(HERE + "/skip", skip),
    ]

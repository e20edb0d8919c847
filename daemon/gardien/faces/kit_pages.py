"""The page of the recovery sheet: shown once, after the password was typed again; and confirmed."""

from aiohttp import web
from aiohttp_session import get_session

from gardien.errors import BadInput, GardienError, Refused
from gardien.faces import sheet
from gardien.faces.account_pages import person
from gardien.faces.auth import over_socket
from gardien.faces.deeds import guessed
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import to_job
from gardien.model.kit import Asked
from gardien.words import N_


async def kit_page(request: web.Request) -> web.Response:
    """How it is with the sheet, and what can be done."""
    return await _page(request)


async def _page(request: web.Request, wrong: GardienError | None = None) -> web.Response:
    house = request.app[HOUSE]
    views = await house.kits.views()
    target: str | None = next((view.target for view in views if view.made and not (view.good or view.outdated)), None)
    groups: tuple[Asked, ...] = ()
    if target is not None:
        _, groups = await house.kits.asked(target)
    return request.app[SCREEN].page(
        request,
        "kit.html",
        400 if wrong is not None else 200,
        kits=views,
        wrong=wrong,
        groups=groups,
        asked_target=target,
        now=(await house.overviews.now()).now,
        asks_password=await _asks_password(request),
    )


async def _asks_password(request: web.Request) -> bool:
    """Where there is none yet, the link that let somebody in stands for it, as does the console."""
    return not over_socket(request) and await request.app[HOUSE].people.has_password(person(request))


async def show(request: web.Request) -> web.Response:
    """The sheet itself, this once: reloading asks for it anew."""
    house, form = request.app[HOUSE], await request.post()
    try:
        await require_password(request, str(form.get("password", "")))
        made = await house.kits.make(_text(form.get("target")), new_key=form.get("new_key") == "yes")
    except GardienError as error:
        return await _page(request, error)
    language = request.app[SCREEN].language(request)
    response = request.app[SCREEN].page(request, "sheet.html", **sheet.context(made, language))
    response.headers["Cache-Control"] = "no-store"
    return response


async def require_password(request: web.Request, password: str) -> None:
    """Somebody who finds an open page must not carry the key away. Raises BadInput, Busy, Refused."""
    if not await _asks_password(request):
        if not over_socket(request) and (await get_session(request)).get("by") != "link":
            raise Refused(N_("a sheet is shown only to somebody who just came in"), N_("Sign in again."))
        return
    people = request.app[HOUSE].people
    if await people.enter_by_password(person(request), password, request.remote or "") is None:
        await guessed(request, person(request))
        raise BadInput(N_("the present password is not right"), N_("Type the one you signed in with."))


async def confirm(request: web.Request) -> web.Response:
    """Some of the sheet, typed back."""
    form = await request.post()
    groups = [str(each) for each in form.getall("group", [])]
    try:
        job = await request.app[HOUSE].kits.confirm(_text(form.get("target")), groups)
    except GardienError as error:
        return await _page(request, error)
    if job is not None:
        raise to_job(job)
    raise web.HTTPSeeOther("/kit")


async def prove(request: web.Request) -> web.Response:
    """Try now whether its key opens the newest backup."""
    form = await request.post()
    house = request.app[HOUSE]
    raise to_job(await house.kits.prove(_text(form.get("target")) or house.kits.first()))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/kit", kit_page),
        web.post("/kit", show),
        web.post("/kit/confirm", confirm),
        web.post("/kit/prove", prove),
    ]

"""An owner's pages: who may come in, which programs may, and who did what."""

from datetime import timedelta

from aiohttp import web

from gardien.errors import BadInput, GardienError, NotFound, Refused
from gardien.faces import asked
from gardien.faces.account_pages import person
from gardien.faces.auth import text_of
from gardien.faces.keys import HOUSE, SCREEN
from gardien.model.person import GRANTS, POWER, ROLE, SCOPES
from gardien.words import N_

USER = "/people/{user:[a-z][a-z0-9.-]{0,30}}"
SHOWN = 100  # deeds on one page
LIVES = {"90": timedelta(days=90), "365": timedelta(days=365), "": None}


def entry(request: web.Request, token: str) -> str:
    """A one-time link under the name by which this page was called."""
    return f"{request.scheme}://{request.host}/login/{token}"


async def people_page(request: web.Request) -> web.Response:
    """Who may come in."""
    return await _people_page(request)


async def _people_page(
    request: web.Request, wrong: GardienError | None = None, user: str = "", link: str | None = None
) -> web.Response:
    people = request.app[HOUSE].people
    return request.app[SCREEN].page(
        request,
        "people.html",
        400 if wrong else 200,
        people=await people.all(),
        me=person(request),
        wrong=wrong,
        invited=user,
        link=link,
        ROLE=ROLE,
        POWER=POWER,
        GRANTS=GRANTS,
        now=people.now(),
    )


async def _grants(request: web.Request) -> list[str]:
    return [str(each) for each in (await request.post()).getall("may", [])]


async def invite(request: web.Request) -> web.Response:
    """Somebody new: the link that lets them in is shown this once."""
    user, role = (await text_of(request, "user")).strip().lower(), await text_of(request, "role")
    may = await _grants(request) if role == "helper" else []
    try:
        token = await request.app[HOUSE].people.add(user, role, may)
    except (BadInput, Refused) as wrong:
        return await _people_page(request, wrong, user)
    return await _people_page(request, user=user, link=entry(request, token))


async def invite_again(request: web.Request) -> web.Response:
    """For somebody who never came in."""
    user = request.match_info["user"]
    try:
        token = await request.app[HOUSE].people.invite(user)
    except (NotFound, Refused) as wrong:
        return await _people_page(request, wrong)
    return await _people_page(request, user=user, link=entry(request, token))


async def change(request: web.Request) -> web.Response:
    """Another role, or other rights of a helper."""
    role = await text_of(request, "role")
    may = await _grants(request) if role == "helper" else []
    try:
        await request.app[HOUSE].people.change(request.match_info["user"], role, may)
    except (NotFound, BadInput, Refused) as wrong:
        return await _people_page(request, wrong)
    raise web.HTTPSeeOther("/people")


async def remove(request: web.Request) -> web.Response:
    """They are out at once."""
    try:
        await request.app[HOUSE].people.remove(request.match_info["user"])
    except (NotFound, Refused) as wrong:
        return await _people_page(request, wrong)
    raise web.HTTPSeeOther("/people")


async def tokens_page(request: web.Request) -> web.Response:
    """Which programs may ask, and what."""
    return await _tokens_page(request)


async def _tokens_page(
    request: web.Request, wrong: GardienError | None = None, name: str = "", text: str | None = None
) -> web.Response:
    people = request.app[HOUSE].people
    return request.app[SCREEN].page(
        request,
        "tokens.html",
        400 if wrong else 200,
        tokens=await people.tokens(),
        wrong=wrong,
        name=name,
        text=text,
        POWER=POWER,
        SCOPES=SCOPES,
        now=people.now(),
    )


async def make_token(request: web.Request) -> web.Response:
    """A token, shown this once."""
    form = await request.post()
    name, scopes = (await text_of(request, "name")).strip(), [str(each) for each in form.getall("scope", [])]
    lives = LIVES.get(await text_of(request, "lives"))
    try:
        text = await request.app[HOUSE].people.add_token(name, scopes, person(request), lives)
    except (BadInput, Refused) as wrong:
        return await _tokens_page(request, wrong, name)
    return await _tokens_page(request, name=name, text=text)


async def revoke(request: web.Request) -> web.Response:
    """It lets nobody in any more."""
    try:
        await request.app[HOUSE].people.revoke(await text_of(request, "name"))
    except NotFound as wrong:
        return await _tokens_page(request, wrong)
    raise web.HTTPSeeOther("/tokens")


async def log_page(request: web.Request) -> web.Response:
    """Who did what, newest first."""
    people, before = request.app[HOUSE].people, asked.count(request, "before") or None
    deeds = await people.deeds(SHOWN + 1, before)
    return request.app[SCREEN].page(
        request,
        "log.html",
        deeds=deeds[:SHOWN],
        onward=deeds[SHOWN - 1].id if len(deeds) > SHOWN else None,
        first=before is None,
        MEANS={"page": N_("on the page"), "token": N_("by a token"), "console": N_("at the machine")},
        now=people.now(),
    )


def routes() -> list[web.RouteDef]:
    """What an owner finds."""
    return [
        web.get("/people", people_page),
        web.post("/people", invite),
        web.post(USER + "/invite", invite_again),
        web.post(USER + "/role", change),
        web.post(USER + "/remove", remove),
        web.get("/tokens", tokens_page),
        web.post("/tokens", make_token),
        web.post("/tokens/revoke", revoke),
        web.get("/log", log_page),
    ]

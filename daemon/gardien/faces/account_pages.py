"""One's own account: the password, the second factor, and where one is signed in."""

import json
import re
from datetime import datetime

from aiohttp import web
from aiohttp_session import get_session
from markupsafe import Markup

from gardien.errors import BadInput, Busy, GardienError
from gardien.faces.auth import COOKIE, enter, over_socket, text_of
from gardien.faces.auth import hashed as hashed_cookie
from gardien.faces.deeds import guessed
from gardien.faces.keys import HOUSE, SCREEN
from gardien.model.person import CONSOLE, OWNER, ROLE, Visit
from gardien.words import N_

BROWSERS = (("Firefox", "Firefox"), ("Edg/", "Edge"), ("OPR/", "Opera"), ("Chrome", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS", "Mac"),
    ("Linux", "Linux"),
)


def person(request: web.Request) -> str:
    """Whose account it is; at the machine's own console it is the first owner's."""
    user: str = request["user"]
    return OWNER if user == CONSOLE else user


async def by_link(request: web.Request) -> bool:
    """Whether they came by a link or sit at the console: both stand for the password."""
    return over_socket(request) or (await get_session(request)).get("by") == "link"


async def account_page(request: web.Request) -> web.Response:
    """The password, the second factor, the devices that are signed in, and signing out."""
    return await _account_page(request)


async def _account_page(request: web.Request, wrong: GardienError | None = None) -> web.Response:
    house, user = request.app[HOUSE], person(request)
    known, cookie = await house.people.known(user), request.cookies.get(COOKIE)
    mine = hashed_cookie(cookie) if cookie is not None else ""
    return request.app[SCREEN].page(
        request,
        "account.html",
        400 if wrong else 200,
        wrong=wrong,
        name=user,
        role=ROLE[known.role],
        has_password=await house.people.has_password(user),
        by_link=await by_link(request),
        changed="changed" in request.query and not wrong,
        factor=known.secret is not None,
        spare=await house.people.factor.spare(user),
        visits=[_shown(each, mine) for each in await house.people.visits(user)],
        now=house.people.now(),
    )


def _shown(visit: Visit, mine: str) -> dict[str, object]:
    data = json.loads(visit.data)
    return {
        "key": visit.key[:16],
        "mine": visit.key == mine,
        "device": device(str(data.get("agent", ""))),
        "address": data.get("address", ""),
        "began": datetime.fromisoformat(data.get("began", data["seen"])),
        "seen": datetime.fromisoformat(data["seen"]),
    }


def device(agent: str) -> str:
    """`Firefox, Windows`, as far as a browser tells."""
    found = [next((name for sign, name in signs if sign in agent), "") for signs in (BROWSERS, SYSTEMS)]
    return ", ".join(filter(None, found))


async def set_password(request: web.Request) -> web.Response:
    """Set the password. All sessions end; this one begins anew."""
    people, user = request.app[HOUSE].people, person(request)
    new = await text_of(request, "new")
    try:
        if new != await text_of(request, "again"):
            raise BadInput(N_("the two new passwords are not the same"), N_("Type the new password twice."))
        await _prove(request, user)
        await people.set_password(user, new)
    except (BadInput, Busy) as wrong:
        return await _account_page(request, wrong)
    if not over_socket(request):
        await enter(request, user, "password")
    raise web.HTTPSeeOther("/account?changed")


async def _prove(request: web.Request, user: str) -> None:
    """Somebody who finds an open page must not make it theirs. Raises BadInput, Busy."""
    people = request.app[HOUSE].people
    if await people.has_password(user) and not await by_link(request):
        old = await text_of(request, "old")
        if await people.enter_by_password(user, old, request.remote or "") is None:
            await guessed(request, user)
            raise BadInput(N_("the present password is not right"), N_("Type the one you signed in with."))


async def offer_factor(request: web.Request) -> web.Response:
    """A fresh secret as a square code, to be read by an app; it is not in use before a code of it was typed."""
    return await _factor_page(request, None)


async def _factor_page(request: web.Request, secret: str | None, wrong: GardienError | None = None) -> web.Response:
    house, user = request.app[HOUSE], person(request)
    offer = house.people.factor.offer(user, house.settings.name, secret)
    import segno  # noqa: PLC0415  (few need it)

    square = segno.make(offer.uri, error="m", micro=False).svg_inline(scale=4, border=3, light="#fff", svgclass="qr")
    return request.app[SCREEN].page(
        request,
        "factor.html",
        400 if wrong else 200,
        wrong=wrong,
        secret=offer.secret,
        groups=re.findall("....?", offer.secret),
        square=Markup(square),  # noqa: S704  (segno's own drawing; the text is in its shape alone)
        asks_password=await house.people.has_password(user) and not await by_link(request),
    )


async def enrol(request: web.Request) -> web.Response:
    """Begin to ask for it; the spare codes are shown this once."""
    people, user = request.app[HOUSE].people, person(request)
    secret = await text_of(request, "secret")
    if not re.fullmatch(r"[A-Z2-7]{32}", secret):
        raise BadInput(N_("this is not a form of this page"), N_("Begin anew."))
    try:
        await _prove(request, user)
        codes = await people.factor.enrol(user, secret, await text_of(request, "code"))
    except (BadInput, Busy) as wrong:
        return await _factor_page(request, secret, wrong)
    if not over_socket(request):
        await enter(request, user, "password")
    return request.app[SCREEN].page(request, "spare_codes.html", codes=codes)


async def remove_factor(request: web.Request) -> web.Response:
    """Ask for it no more."""
    user = person(request)
    try:
        await _prove(request, user)
    except (BadInput, Busy) as wrong:
        return await _account_page(request, wrong)
    await request.app[HOUSE].people.factor.remove(user)
    raise web.HTTPSeeOther("/account")


async def end_visit(request: web.Request) -> web.Response:
    """Sign out somewhere else."""
    await request.app[HOUSE].people.end_visit(person(request), request.match_info["visit"])
    raise web.HTTPSeeOther("/account")


async def end_others(request: web.Request) -> web.Response:
    """Sign out everywhere else."""
    cookie = request.cookies.get(COOKIE)
    mine = None if over_socket(request) or cookie is None else hashed_cookie(cookie)
    await request.app[HOUSE].people.end_others(person(request), mine)
    raise web.HTTPSeeOther("/account")


def routes() -> list[web.RouteDef]:
    """What everybody finds who is signed in."""
    return [
        web.get("/account", account_page),
        web.post("/account", set_password),
        web.post("/account/factor", offer_factor),
        web.post("/account/factor/enrol", enrol),
        web.post("/account/factor/remove", remove_factor),
        web.post("/account/visits/end", end_others),
        web.post("/account/visits/{visit:[0-9a-f]{16}}/end", end_visit),
    ]

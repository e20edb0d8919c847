"""Who is asking: sessions kept in the store, the gate that is shut by default, and the pages to come in by."""

import hashlib
import json
import re
import secrets
import socket
from datetime import UTC, datetime, timedelta

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import AbstractStorage, Session, get_session, new_session

from gardien.errors import BadInput, Busy
from gardien.faces.keys import HOUSE, SCREEN
from gardien.services.ports import Store
from gardien.words import N_

COOKIE = "gardien"
IDLE = timedelta(hours=12)
REFRESH = timedelta(minutes=10)  # how often a session's end is moved on, to spare the disk
CONSOLE = "console"  # whoever may open the unix socket
OWNER = "owner"

OWN_PATH = re.compile(r"/(?![/\\])[\w\-./?&=%+]{0,300}")

# Everything else asks for a login, a page that does not exist too.
PUBLIC = frozenset({"/login", "/login/{token}", "/language", "/static/{name}", "/healthz"})
# What programs read: they are told 401 where people are sent to the login page.
FOR_PROGRAMS = ("/api/", "/live", "/metrics")


class StoreSessions(AbstractStorage):
    """aiohttp-session on gardien's store, which holds a hash of the cookie and never the cookie."""

    def __init__(self, store: Store) -> None:
        super().__init__(cookie_name=COOKIE)
        self._store = store

    async def load_session(self, request: web.Request) -> Session:
        """The cookie's session, or an empty one."""
        token = self.load_cookie(request)
        data = await self._store.session(_hash(token), datetime.now(UTC)) if token else None
        if data is None:
            return await self.new_session()
        return Session(token, data={"session": json.loads(data)}, new=False)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Write it down, or end it when it was emptied. A session without an id gets one nobody has seen."""
        former = self.load_cookie(request)
        if former and former != session.identity:
            await self._store.end_session(_hash(former))
        if session.empty:
            if session.identity:
                await self._store.end_session(_hash(session.identity))
            response.del_cookie(COOKIE, path="/")
            return
        token = session.identity or secrets.token_urlsafe(32)
        now = datetime.now(UTC)
        if session.identity and await self._store.session(_hash(token), now) is None:
            return  # ended while this request was under way: it stays ended
        await self._store.save_session(_hash(token), json.dumps(dict(session)), now + IDLE)
        if not session.identity:
            response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="Strict", secure=request.secure)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def over_socket(request: web.Request) -> bool:
    """Whether the request came by the console's unix socket: its file's permissions are the login.

    By this one alone: whatever else listens on a unix socket is no login.
    """
    link = request.get_extra_info("socket")
    ours = str(request.app[HOUSE].settings.socket)
    return link is not None and link.family == socket.AF_UNIX and link.getsockname() == ours


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, and let nobody unknown past the public pages."""
    if over_socket(request):
        request["user"] = CONSOLE
        return await handler(request)
    session = await get_session(request)
    user = session.get("user")
    if user is not None:
        request["user"] = user
        now = datetime.now(UTC)
        if now - datetime.fromisoformat(session["seen"]) > REFRESH:
            session["seen"] = now.isoformat()
        return await handler(request)
    resource = request.match_info.route.resource
    if resource is not None and resource.canonical in PUBLIC:
        return await handler(request)
    if request.method in ("GET", "HEAD") and not request.path.startswith(FOR_PROGRAMS):
        url = request.app.router["login"].url_for()
        raise web.HTTPSeeOther(url.with_query(next=request.path_qs) if request.path_qs != "/" else url)
    raise web.HTTPUnauthorized


async def still_in(request: web.Request) -> bool:
    """Whether the one who began this long request may still read on."""
    if over_socket(request):
        return True
    token = request.cookies.get(COOKIE)
    return token is not None and await request.app[HOUSE].store.session(_hash(token), datetime.now(UTC)) is not None


async def _enter(request: web.Request, user: str, by: str) -> None:
    """Begin a session under a new id."""
    session = await new_session(request)
    session.update(user=user, by=by, seen=datetime.now(UTC).isoformat())


def own_path(wish: object) -> str:
    """Where to go on to: a path of our own, whatever was asked for."""
    if isinstance(wish, str) and OWN_PATH.fullmatch(wish):
        return wish
    return "/"


async def _text(request: web.Request, name: str) -> str:
    value = (await request.post()).get(name, "")
    return value if isinstance(value, str) else ""


async def login_page(request: web.Request) -> web.Response:
    """Ask for the password; where none was set, say how to get a link."""
    if request.get("user"):
        raise web.HTTPSeeOther("/")
    return await _login_page(request, own_path(request.query.get("next")))


async def _login_page(request: web.Request, onward: str, wrong: bool = False, wait: int = 0) -> web.Response:
    status = 429 if wait else 401 if wrong else 200
    has_password = await request.app[HOUSE].people.has_password(OWNER)
    response = request.app[SCREEN].page(
        request, "login.html", status, onward=onward, wrong=wrong, wait=wait, has_password=has_password
    )
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


async def login(request: web.Request) -> web.Response:
    """Let in whoever knows the password."""
    onward = own_path(await _text(request, "next"))
    try:
        user = await request.app[HOUSE].people.enter_by_password(
            OWNER, await _text(request, "password"), request.remote or ""
        )
    except Busy as busy:
        return await _login_page(request, onward, wait=max(1, int(str(busy.says.values.get("seconds", 60)))))
    if user is None:
        return await _login_page(request, onward, wrong=True)
    await _enter(request, user, "password")
    raise web.HTTPSeeOther(onward)


async def link_page(request: web.Request) -> web.Response:
    """A button: looking at a link (as mail and chat programs do) does not use it up."""
    return request.app[SCREEN].page(request, "link.html", stale=False)


async def link(request: web.Request) -> web.Response:
    """Let in whoever holds a fresh one-time link; without a password, on to where one is set."""
    people = request.app[HOUSE].people
    user = await people.enter_by_link(request.match_info["token"])
    if user is None:
        return request.app[SCREEN].page(request, "link.html", 403, stale=True)
    await _enter(request, user, "link")
    if request.app[HOUSE].first_run.open:
        raise web.HTTPSeeOther("/first-run")
    raise web.HTTPSeeOther("/" if await people.has_password(user) else "/account")


async def logout(request: web.Request) -> web.Response:
    """End this session."""
    if not over_socket(request):
        (await get_session(request)).invalidate()
    raise web.HTTPSeeOther("/login")


async def account_page(request: web.Request) -> web.Response:
    """Where the password is set, and signing out."""
    return await _account_page(request)


async def _account_page(request: web.Request, wrong: BadInput | None = None) -> web.Response:
    user = _person(request)
    return request.app[SCREEN].page(
        request,
        "account.html",
        400 if wrong else 200,
        wrong=wrong,
        has_password=await request.app[HOUSE].people.has_password(user),
        by_link=await _by_link(request),
        changed="changed" in request.query and not wrong,
    )


def _person(request: web.Request) -> str:
    """Whose account it is; at the machine's own console it is the owner's."""
    user: str = request["user"]
    return OWNER if user == CONSOLE else user


async def _by_link(request: web.Request) -> bool:
    """Whether they came by a link or sit at the console: both stand for the password."""
    return over_socket(request) or (await get_session(request)).get("by") == "link"


async def set_password(request: web.Request) -> web.Response:
    """Set the password. All sessions end; this one begins anew."""
    people = request.app[HOUSE].people
    user = _person(request)
    new = await _text(request, "new")
    try:
        if new != await _text(request, "again"):
            raise BadInput(N_("the two new passwords are not the same"), N_("Type the new password twice."))
        if await people.has_password(user) and not await _by_link(request):
            old = await _text(request, "old")
            if await people.enter_by_password(user, old, request.remote or "") is None:
                raise BadInput(N_("the present password is not right"), N_("Type the one you signed in with."))
        await people.set_password(user, new)
    except BadInput as wrong:
        return await _account_page(request, wrong)
    if not over_socket(request):
        await _enter(request, user, "password")
    raise web.HTTPSeeOther("/account?changed")


def routes() -> list[web.RouteDef]:
    """The doors."""
    return [
        web.get("/login", login_page, name="login"),
        web.post("/login", login),
        web.get("/login/{token}", link_page),
        web.post("/login/{token}", link),
        web.post("/logout", logout),
        web.get("/account", account_page),
        web.post("/account", set_password),
    ]

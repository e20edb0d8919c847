"""Who is asking: sessions kept in the store, the gate that is shut by default, and the pages to come in by."""

import hashlib
import json
import pwd
import re
import secrets
import socket
import struct
from datetime import UTC, datetime, timedelta

from aiohttp import web
from aiohttp.typedefs import Handler
from aiohttp_session import AbstractStorage, Session, get_session, new_session

from gardien.errors import Busy, NotAllowed
from gardien.faces.deeds import guessed, recorded, refused, signed_in
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.powers import needed, veiled
from gardien.faces.screen import LANGUAGE_COOKIE, keep_language, language_note
from gardien.model.person import CONSOLE, EVERYTHING, GRANTS, OWNER, POWER, Means, Person, Power
from gardien.services.ports import Store
from gardien.words import N_, Words

COOKIE = "gardien"
IDLE = timedelta(hours=12)
REFRESH = timedelta(minutes=10)  # how often a session's end is moved on, to spare the disk
HALF = timedelta(minutes=5)  # between the password and the second factor

OWN_PATH = re.compile(r"/(?![/\\])[\w\-./?&=%+]{0,300}")

# Everything else asks for a login, a page that does not exist too.
PUBLIC = frozenset({"/login", "/login/code", "/login/{token}", "/language", "/static/{name}", "/healthz"})
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
        visit = await self._store.session(hashed(token), datetime.now(UTC)) if token else None
        if visit is None or (visit.user is not None and visit.person is None):
            return await self.new_session()
        request["person"] = visit.person
        return Session(token, data={"session": json.loads(visit.data)}, new=False)

    async def save_session(self, request: web.Request, response: web.StreamResponse, session: Session) -> None:
        """Write it down, or end it when it was emptied. A session without an id gets one nobody has seen."""
        former = self.load_cookie(request)
        if former and former != session.identity:
            await self._store.end_session(hashed(former))
        if session.empty:
            if session.identity:
                await self._store.end_session(hashed(session.identity))
            response.del_cookie(COOKIE, path="/")
            return
        token = session.identity or secrets.token_urlsafe(32)
        now, data = datetime.now(UTC), json.dumps(dict(session))
        if session.identity:  # one that ended while this request was under way stays ended
            await self._store.renew_session(hashed(token), data, now + IDLE, now)
        else:
            await self._store.save_session(hashed(token), data, now + IDLE)
            response.set_cookie(COOKIE, token, path="/", httponly=True, samesite="Strict", secure=request.secure)


def hashed(token: str) -> str:
    """What the store knows a cookie by."""
    return hashlib.sha256(token.encode()).hexdigest()


def over_socket(request: web.Request) -> bool:
    """Whether the request came by the console's unix socket: its file's permissions are the login.

    By this one alone: whatever else listens on a unix socket is no login.
    """
    link = request.get_extra_info("socket")
    if link is None or link.family != socket.AF_UNIX:
        return False
    return bool(link.getsockname() == str(request.app[HOUSE].settings.socket))


def bearer(request: web.Request) -> str | None:
    """The token that a program shows, where programs read. No browser sends one by itself."""
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() == "bearer" and request.path.startswith(("/api/", "/metrics")):
        return text.strip()
    return None


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks, let nobody unknown past the public pages, and nobody further than they may go."""
    if over_socket(request):
        _known(request, CONSOLE, _account(request), "console", EVERYTHING)
    elif (text := bearer(request)) is not None:
        token = await request.app[HOUSE].people.token(text)
        if token is None:
            raise web.HTTPUnauthorized
        _known(request, token.name, token.name, "token", token.scopes)
    else:
        session = await get_session(request)
        person: Person | None = request.get("person")
        if person is not None:
            _known(request, person.name, person.name, "page", person.powers)
            now = datetime.now(UTC)
            if now - datetime.fromisoformat(session["seen"]) > REFRESH:
                session["seen"] = now.isoformat()
    resource = request.match_info.route.resource
    if "user" not in request:
        if resource is not None and resource.canonical in PUBLIC:
            return await handler(request)
        if request.method in ("GET", "HEAD") and not request.path.startswith(FOR_PROGRAMS):
            url = request.app.router["login"].url_for()
            raise web.HTTPSeeOther(url.with_query(next=request.path_qs) if request.path_qs != "/" else url)
        raise web.HTTPUnauthorized
    public = resource is not None and resource.canonical in PUBLIC
    wanted = needed(request.method, resource.canonical) if resource is not None and not public else None
    if wanted is not None and wanted not in request["may"]:
        await refused(request)
        raise _not_allowed(request, wanted)
    return veiled(request, await recorded(request, handler))


def _known(request: web.Request, user: str, who: str, means: Means, may: frozenset[Power]) -> None:
    """Write down who asks. `user` is whose account it is, `who` what the record calls them."""
    request["user"], request["who"], request["means"], request["may"] = user, who, means, may


def _account(request: web.Request) -> str:
    """The account at the machine that opened the socket; the kernel says which."""
    link = request.get_extra_info("socket")
    try:
        _, uid, _ = struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        return pwd.getpwuid(uid).pw_name
    except (OSError, KeyError, AttributeError):
        return CONSOLE


def _not_allowed(request: web.Request, wanted: Power) -> NotAllowed:
    if request["means"] == "token":
        return NotAllowed(
            N_("this token was not given the right `{power}`"),
            N_("Make another token that may, on the page or with `gardien token add`."),
            power=wanted,
        )
    if wanted in GRANTS:
        return NotAllowed(
            N_("an owner of this house has not allowed you this: {what}"),
            N_("Ask an owner: the page “People” is where it is allowed."),
            what=Words.of(POWER[wanted]),
        )
    return NotAllowed(N_("this is for an owner of this house"), N_("Ask an owner to do it, or to show it to you."))


async def still_in(request: web.Request) -> bool:
    """Whether the one who began this long request may still read on."""
    if over_socket(request):
        return True
    if (text := bearer(request)) is not None:
        return await request.app[HOUSE].people.token(text) is not None
    key = request.cookies.get(COOKIE)
    visit = await request.app[HOUSE].store.session(hashed(key), datetime.now(UTC)) if key is not None else None
    return visit is not None and visit.person is not None


async def enter(request: web.Request, user: str, by: str) -> None:
    """Begin a session under a new id."""
    session = await new_session(request)
    now = datetime.now(UTC).isoformat()
    where = {"address": request.remote or "", "agent": request.headers.get("User-Agent", "")[:200]}
    session.update(user=user, by=by, seen=now, began=now, **where)
    if LANGUAGE_COOKIE not in request.cookies:
        request["speaks"] = await request.app[HOUSE].store.noted(language_note(user))
    await signed_in(request, user, by)


@web.middleware
async def speak(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whoever signs in and is led on reads on in the language that they chose elsewhere."""
    try:
        return await handler(request)
    except web.HTTPRedirection as onward:
        if speaks := request.get("speaks"):
            keep_language(request, onward, speaks)
        raise


def own_path(wish: object) -> str:
    """Where to go on to: a path of our own, whatever was asked for."""
    if isinstance(wish, str) and OWN_PATH.fullmatch(wish):
        return wish
    return "/"


async def text_of(request: web.Request, name: str) -> str:
    """A field of the form that was sent."""
    value = (await request.post()).get(name, "")
    return value if isinstance(value, str) else ""


async def login_page(request: web.Request) -> web.Response:
    """Ask for the password; where none was set, say how to get a link."""
    if request.get("user"):
        raise web.HTTPSeeOther("/")
    return await _login_page(request, own_path(request.query.get("next")))


async def _login_page(request: web.Request, onward: str, wrong: bool = False, wait: int = 0) -> web.Response:
    status = 429 if wait else 401 if wrong else 200
    people = await request.app[HOUSE].people.all()
    response = request.app[SCREEN].page(
        request,
        "login.html",
        status,
        onward=onward,
        wrong=wrong,
        wait=wait,
        has_password=any(each.has_password for each in people),
        alone=len(people) == 1,
        name=people[0].person.name if len(people) == 1 else await text_of(request, "user"),
    )
    if wait:
        response.headers["Retry-After"] = str(wait)
    return response


def seconds(busy: Busy) -> int:
    """How long it is until somebody may try again."""
    return max(1, int(str(busy.says.values.get("seconds", 60))))


async def login(request: web.Request) -> web.Response:
    """Let in whoever knows the password; whoever has a second factor is asked for it next."""
    onward, people = own_path(await text_of(request, "next")), request.app[HOUSE].people
    name = (await text_of(request, "user")).strip().lower() or OWNER
    try:
        user = await people.enter_by_password(name, await text_of(request, "password"), request.remote or "")
    except Busy as busy:
        return await _login_page(request, onward, wait=seconds(busy))
    if user is None:
        await guessed(request, name)
        return await _login_page(request, onward, wrong=True)
    if await people.factor.asked(user):
        session = await new_session(request)
        session.update(half=user, onward=onward, until=(datetime.now(UTC) + HALF).isoformat())
        raise web.HTTPSeeOther("/login/code")
    await enter(request, user, "password")
    raise web.HTTPSeeOther(onward)


async def _half(request: web.Request) -> Session:
    """Of somebody who has said the password, and nothing else yet; they have five minutes."""
    session = await get_session(request)
    if "half" not in session or datetime.fromisoformat(session["until"]) <= datetime.now(UTC):
        raise web.HTTPSeeOther("/login")
    return session


async def code_page(request: web.Request) -> web.Response:
    """Ask for the second factor."""
    session = await _half(request)
    return request.app[SCREEN].page(request, "code.html", wrong=False, wait=0, name=session["half"])


async def code(request: web.Request) -> web.Response:
    """Let in whoever has it, too."""
    session, screen = await _half(request), request.app[SCREEN]
    user, onward, people = session["half"], own_path(session["onward"]), request.app[HOUSE].people
    try:
        good = await people.factor.enter(user, (await text_of(request, "code"))[:40])
    except Busy as busy:
        answer = screen.page(request, "code.html", 429, wrong=False, wait=seconds(busy), name=user)
        answer.headers["Retry-After"] = str(seconds(busy))
        return answer
    if not good:
        await people.note(user, "page", Words.of(N_("right password, wrong code from the app")), refused=True)
        return screen.page(request, "code.html", 401, wrong=True, wait=0, name=user)
    await enter(request, user, "password")
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
    await enter(request, user, "link")
    if request.app[HOUSE].first_run.open and (await people.known(user)).role == "owner":
        raise web.HTTPSeeOther("/first-run")
    raise web.HTTPSeeOther("/" if await people.has_password(user) else "/account")


async def logout(request: web.Request) -> web.Response:
    """End this session."""
    if not over_socket(request):
        (await get_session(request)).invalidate()
    raise web.HTTPSeeOther("/login")


def routes() -> list[web.RouteDef]:
    """The doors."""
    return [
        web.get("/login", login_page, name="login"),
        web.post("/login", login),
        web.get("/login/code", code_page),
        web.post("/login/code", code),
        web.get("/login/{token}", link_page),
        web.post("/login/{token}", link),
        web.post("/logout", logout),
    ]

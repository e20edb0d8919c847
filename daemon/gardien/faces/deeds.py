"""Who did what: a line for whatever was changed by a page, a token or a command, and for what was refused somebody."""

import json
import logging
import re
from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web
from aiohttp.typedefs import Handler

from gardien.errors import GardienError
from gardien.faces import contract
from gardien.faces.keys import HOUSE
from gardien.faces.powers import ROOT, SAFE
from gardien.words import N_, Words

log = logging.getLogger(__name__)

# By what is left of a route without `/api/v1`. A route that changes something is not complete without its words.
DEEDS: Mapping[str, str] = MappingProxyType(
    {
        "/add/{name}": N_("application added"),
        "/stacks": N_("application added"),
        "/stacks/{name}/start": N_("application started"),
        "/stacks/{name}/stop": N_("application switched off"),
        "/stacks/{name}/restart": N_("application restarted"),
        "/stacks/{name}/mend": N_("application put right"),
        "/stacks/{name}/set": N_("settings changed"),
        "/stacks/{name}/settings": N_("settings changed"),
        "/stacks/{name}/remove": N_("application removed"),
        "/stacks/{name}/first-login": N_("first password shown"),
        "/stacks/{name}/backup": N_("backup begun"),
        "/backups": N_("backup begun"),
        "/stacks/{name}/restore": N_("restore begun"),
        "/restores": N_("restore begun"),
        "/stacks/{name}/drill": N_("trial restore begun"),
        "/drills": N_("trial restore begun"),
        "/backups/{snapshot}/accept": N_("backup accepted as complete"),
        "/snapshots/{snapshot}/accept": N_("backup accepted as complete"),
        "/snapshots/{snapshot}/{entry}/put-back": N_("part of a backup put back"),
        "/snapshots/{snapshot}/entries/{entry}/put-back": N_("part of a backup put back"),
        "/targets": N_("backup target added"),
        "/targets/{target}/init": N_("backup target prepared"),
        "/targets/{target}/test": N_("backup target tested"),
        "/targets/{target}/remove": N_("backup target taken off the list"),
        "/targets/{target}/reclaim": N_("backup target taken back"),
        "/targets/{target}/check": N_("check of backups begun"),
        "/targets/{target}/copy": N_("copy of backups begun"),
        "/targets/{target}/forget": N_("old backups cleared out"),
        "/targets/{target}/prune": N_("room of old backups given back"),
        "/jobs/{job}/cancel": N_("job cancelled"),
        "/alerts/ack": N_("alert noticed"),
        "/alerts/{alert}/ack": N_("alert noticed"),
        "/alerts/snooze": N_("alert put to sleep"),
        "/alerts/{alert}/snooze": N_("alert put to sleep"),
        "/alerts/wake": N_("alert woken"),
        "/alerts/{alert}/wake": N_("alert woken"),
        "/letters/test": N_("test letter sent"),
        "/kit": N_("recovery sheet shown"),
        "/kit/confirm": N_("recovery sheet confirmed"),
        "/kit/prove": N_("recovery sheet proven"),
        "/recover": N_("recovery of another machine begun"),
        "/recover/look": N_("recovery sheet tried"),
        "/recover/retry": N_("recovery tried again"),
        "/updates/look": N_("looked for updates"),
        "/updates/skip": N_("update skipped, or offered again"),
        "/updates/run": N_("update begun"),
        "/updates/rollback": N_("way back from an update begun"),
        "/stacks/{name}/updates/run": N_("update begun"),
        "/stacks/{name}/updates/back": N_("way back from an update begun"),
        "/stacks/{name}/updates/skip": N_("update skipped, or offered again"),
        "/stacks/{name}/updates/look": N_("looked for updates"),
        "/stacks/{name}/updates/how": N_("who begins updates was changed"),
        "/updates/how": N_("who begins updates was changed"),
        "/updates/set": N_("who begins updates was changed"),
        "/settings/{section}": N_("settings of the house changed"),
        "/settings/back": N_("settings of the house taken back"),
        "/settings/letters/test": N_("test letter sent"),
        "/settings/second-way/test": N_("second way tried"),
        "/stacks/{name}/times": N_("settings of the house changed"),
        "/targets/{target}/settings": N_("settings of a backup target changed"),
        "/targets/new/{preset}": N_("backup target added"),
        "/first-run/recover": N_("recovery sheet tried"),
        "/first-run/recover/go": N_("recovery of another machine begun"),
        "/first-run/recover/again": N_("recovery tried again"),
        "/first-run/door": N_("names of the house chosen"),
        "/first-run/stacks": N_("applications chosen"),
        "/first-run/go": N_("first run: everything begun"),
        "/first-run/later": N_("first run put off"),
        "/first-run/leave": N_("first run left"),
        "/logout": N_("signed out"),
        "/account": N_("own password changed"),
        "/account/factor": N_("second factor being set up"),
        "/account/factor/enrol": N_("second factor set up"),
        "/account/factor/remove": N_("second factor taken away"),
        "/account/visits/{visit}/end": N_("signed out elsewhere"),
        "/account/visits/end": N_("signed out everywhere else"),
        "/users": N_("person invited"),
        "/people": N_("person invited"),
        "/users/role": N_("role of a person changed"),
        "/people/{user}/role": N_("role of a person changed"),
        "/users/remove": N_("person removed"),
        "/people/{user}/remove": N_("person removed"),
        "/people/{user}/invite": N_("person invited again"),
        "/users/reset": N_("password and second factor forgotten"),
        "/users/link": N_("sign-in link made"),
        "/users/password": N_("password set"),
        "/tokens": N_("token made"),
        "/tokens/revoke": N_("token revoked"),
    }
)
SHOWS = frozenset(
    {
        *("/kit", "/stacks/{name}/first-login", "/people", "/people/{user}/invite", "/tokens"),
        "/account/factor/enrol",
    }
)
"""Pages that answer with what was asked for, where others lead on to somewhere."""
ABOUT = ("user", "name", "stack", "target", "job", "alert", "snapshot")
NOBODY = "?"
PLAIN = re.compile(r"[\w][\w .@:-]{0,59}")

REFUSED = N_("not allowed: {what}")
OF = N_("{what}: {about}")
ENTERED = {
    "password": N_("signed in"),
    "link": N_("signed in by a link"),
}


def words_of(pattern: str) -> str | None:
    """What is done at a route of this pattern."""
    return DEEDS.get(pattern.removeprefix(ROOT))


async def recorded(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer, and write down what was done, if something was."""
    if request.method in SAFE:
        return await handler(request)
    try:
        response = await handler(request)
    except web.HTTPSeeOther as onward:
        await _note(request, _job(str(onward.location)))
        raise
    if isinstance(response, web.Response) and response.status < 300 and await _done(request, response):
        await _note(request, _job_of(response))
    return response


async def refused(request: web.Request) -> None:
    """Write down that somebody asked for what they may not do."""
    if request.method not in SAFE:
        await _note(request, None, refused=True)


async def signed_in(request: web.Request, user: str, by: str) -> None:
    """Write down that somebody came in."""
    await _write(request, user, "page", Words.of(ENTERED[by]), None, refused=False)


async def guessed(request: web.Request, user: str) -> None:
    """Write down that a password was wrong. What nobody here is called may be a password in the wrong field."""
    known = {each.person.name for each in await request.app[HOUSE].people.all()}
    what = Words.of(N_("wrong password, from {address}"), address=request.remote or "?")
    await _write(request, user if user in known else NOBODY, "page", what, None, refused=True)


def _pattern(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical.removeprefix(ROOT) if resource is not None else ""


async def _done(request: web.Request, response: web.Response) -> bool:
    """Whether more happened than that something was shown."""
    if request.path.startswith(ROOT):
        promised = contract.of(request.match_info.handler)  # where a dry run is not known, the word changes nothing
        return promised is None or "dry_run" not in promised.may or not (await _sent(request)).get("dry_run")
    return _pattern(request) in SHOWS


def _job(location: str) -> int | None:
    found = re.fullmatch(r"/jobs/(\d{1,9})", location)
    return int(found[1]) if found else None


def _job_of(response: web.Response) -> int | None:
    if response.status != 202 or response.text is None:
        return None
    number = json.loads(response.text).get("job")
    return number if isinstance(number, int) else None


async def _sent(request: web.Request) -> Mapping[str, object]:
    """What came with the request, as its handler read it."""
    if request.content_type == "application/json":
        try:
            data = json.loads(await request.read() or b"{}")
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}
    return dict(await request.post())


async def _note(request: web.Request, job: int | None, *, refused: bool = False) -> None:
    pattern = _pattern(request)
    what = Words.of(DEEDS.get(pattern, "{it}"), **({} if pattern in DEEDS else {"it": pattern}))
    sent: Mapping[str, object] = {} if refused else await _sent(request)
    near = {**sent, **request.match_info}
    about = [str(near[each]) for each in ABOUT if isinstance(near.get(each), str) and PLAIN.fullmatch(str(near[each]))]
    if about:
        what = Words.of(OF, what=what, about=about[0][:12] if about[0] == near.get("snapshot") else about[0])
    if refused:
        what = Words.of(REFUSED, what=what)
    await _write(request, request["who"], request["means"], what, job, refused=refused)


async def _write(request: web.Request, who: str, means: str, what: Words, job: int | None, *, refused: bool) -> None:
    """What was done was done: that it cannot be written down does not undo it, and is said in the log."""
    try:
        await request.app[HOUSE].people.note(who, means, what, job, refused=refused)  # type: ignore[arg-type]
    except GardienError:
        log.exception("%s by %s (%s) could not be written down", what, who, means)

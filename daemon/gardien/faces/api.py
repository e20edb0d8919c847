"""The JSON API under `/api/v1/`: what the command line uses, and programs may. Documented in docs/api.md.

What takes long answers 202 with a job's number at once; `"dry_run": true` answers with the plan instead.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from functools import wraps
from typing import Any

from aiohttp import web

from gardien.errors import BadInput, GardienError, NotFound, Refused
from gardien.faces import wire
from gardien.faces.auth import over_socket, still_in
from gardien.faces.keys import SCREEN
from gardien.faces.live import CLOSING
from gardien.model.fault import Fault, Faults, nearest
from gardien.model.overview import StackView
from gardien.model.plan import Plan
from gardien.services.house import House
from gardien.words import N_, Words

ROOT = "/api/v1"
JOB = ROOT + r"/jobs/{job:\d{1,9}}"
STACK = ROOT + "/stacks/{name:[a-z][a-z0-9-]{0,30}}"
MOST = 1000  # rows or lines that can be asked for at once
SPACING = 0.25  # seconds between two lines of a watched job
BEAT = 10.0  # seconds: an empty line tells that the daemon is still there

SHAPES: Mapping[type, str] = {
    str: N_("{field} must be text"),
    bool: N_("{field} must be true or false"),
    dict: N_("{field} must be an object"),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Body = Mapping[str, Any]


def spoken(handler: Handler) -> Handler:
    """What goes wrong becomes JSON in the reader's language."""

    @wraps(handler)
    async def wrapped(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except GardienError as error:
            status = wire.STATUS.get(error.code, 500)
            return web.json_response({"error": wire.error(error, _language(request))}, status=status)

    return wrapped


class Api:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    # -- what there is

    async def status(self, request: web.Request) -> web.Response:
        """The state of the house."""
        return web.json_response(wire.overview(await self._house.overviews.now(), _language(request)))

    async def stacks(self, request: web.Request) -> web.Response:
        """The stacks of this house."""
        views = (await self._house.overviews.now()).stacks
        return web.json_response({"stacks": [wire.stack_view(view, _language(request)) for view in views]})

    async def available(self, request: web.Request) -> web.Response:
        """The stacks that can be added, and what they ask; one that is broken has an `error` in place of it all."""
        language = _language(request)
        added = {stack.name for stack in await self._house.stacks.all()}
        found: list[wire.Data] = []
        for name in self._house.stacks.available():
            try:
                data = wire.recipe(await self._house.stacks.recipe(name), language)
            except BadInput as error:
                data = {"name": name, "error": wire.error(error, language)}
            found.append({**data, "added": name in added})
        return web.json_response({"stacks": found})

    async def stack(self, request: web.Request) -> web.Response:
        """One stack."""
        stack = await self._house.stacks.get(request.match_info["name"])
        view = await self._view(stack.name)
        return web.json_response(wire.stack(view, stack, _language(request)))

    async def logs(self, request: web.Request) -> web.Response:
        """What a stack's services printed last."""
        lines = _number(request, "lines", 200)
        return web.json_response({"logs": await self._house.stacks.logs(request.match_info["name"], lines)})

    async def first_login(self, request: web.Request) -> web.Response:
        """Address and first password of a stack: for the console alone."""
        _console(request)
        return web.json_response(await self._house.stacks.first_login(request.match_info["name"]))

    async def jobs(self, request: web.Request) -> web.Response:
        """The newest jobs."""
        most = _number(request, "most", 50)
        language, titles = _language(request), await self._titles(request)
        jobs = await self._house.runner.jobs(most)
        progress = self._house.runner.progress
        return web.json_response({"jobs": [wire.job(job, language, progress(job.id), titles) for job in jobs]})

    async def job(self, request: web.Request) -> web.Response:
        """One job, with how far it is."""
        return web.json_response(await self._job(request, await self._titles(request)))

    async def snapshots(self, request: web.Request) -> web.Response:
        """The backups gardien remembers, newest first; `?stack=` for one stack's."""
        found = await self._house.backups.list(request.query.get("stack"))
        return web.json_response({"snapshots": [wire.snapshot(each, _language(request)) for each in found]})

    async def alerts(self, request: web.Request) -> web.Response:
        """Open alerts; with `?all=1` those that are over, too."""
        found = await self._house.store.alerts(open_only="all" not in request.query)
        return web.json_response({"alerts": [wire.alert(each, _language(request)) for each in found]})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        """A job as one JSON object a line, a line whenever it changed, until it is over. An empty line is a heartbeat."""
        titles = await self._titles(request)
        data = await self._job(request, titles)  # raises before the stream begins
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        closing, loop = request.app[CLOSING], asyncio.get_running_loop()
        sent, beat = "", loop.time() + BEAT
        with contextlib.suppress(ConnectionError):
            async with self._changes(closing) as changed:
                while True:
                    line = json.dumps(data)
                    if line != sent:
                        await response.write(f"{line}\n".encode())
                        sent = line
                    elif loop.time() >= beat:
                        await response.write(b"\n")
                    if loop.time() >= beat:
                        beat = loop.time() + BEAT
                        if not await still_in(request):
                            break
                    if data["over"] or closing.is_set():
                        break
                    await asyncio.sleep(SPACING)
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), max(0.0, beat - loop.time()))
                    changed.clear()
                    data = await self._job(request, titles)
        return response

    # -- what can be done

    async def add(self, request: web.Request) -> web.Response:
        """Add a stack."""
        body = await _body(request, {"name": str}, {"settings": dict, "dry_run": bool})
        settings = body.get("settings", {})
        if faults := [_fault(key, SHAPES[str]) for key, value in settings.items() if not isinstance(value, str)]:
            raise Faults(faults)
        stacks = self._house.stacks
        return await _answer(
            request, body, lambda: stacks.plan_add(body["name"], settings), lambda: stacks.add(body["name"], settings)
        )

    async def start(self, request: web.Request) -> web.Response:
        """Start a stopped stack."""
        name, stacks = request.match_info["name"], self._house.stacks
        return await _answer(request, await _dry(request), lambda: stacks.plan_start(name), lambda: stacks.start(name))

    async def stop(self, request: web.Request) -> web.Response:
        """Stop a stack."""
        name, stacks = request.match_info["name"], self._house.stacks
        return await _answer(request, await _dry(request), lambda: stacks.plan_stop(name), lambda: stacks.stop(name))

    async def remove(self, request: web.Request) -> web.Response:
        """Take a stack off the list; its files stay."""
        name, stacks = request.match_info["name"], self._house.stacks
        return await _answer(
            request, await _dry(request), lambda: stacks.plan_remove(name), lambda: stacks.remove(name)
        )

    async def back_up(self, request: web.Request) -> web.Response:
        """Make a backup."""
        body = await _body(request, {"stack": str}, {"dry_run": bool})
        stack, backups = body["stack"], self._house.backups
        return await _answer(request, body, lambda: backups.plan(stack), lambda: backups.create(stack))

    async def restore(self, request: web.Request) -> web.Response:
        """Bring a stack back; without `snapshot` from its newest good backup."""
        body = await _body(request, {"stack": str}, {"snapshot": str, "new_disk": bool, "dry_run": bool})
        asked = (body["stack"], body.get("snapshot"), body.get("new_disk", False))
        restores = self._house.restores
        return await _answer(request, body, lambda: restores.plan(*asked), lambda: restores.create(*asked))

    async def cancel(self, request: web.Request) -> web.Response:
        """Undo a job; it is over once that is done."""
        await _body(request, {}, {})
        number = int(request.match_info["job"])
        await self._house.runner.cancel(number)
        return web.json_response({"job": number}, status=202)

    async def init(self, request: web.Request) -> web.Response:
        """Make a target's passphrase and repository, once."""
        await _body(request, {}, {})
        return web.json_response({"repository": await self._house.targets.init(request.match_info["target"])})

    async def test(self, request: web.Request) -> web.Response:
        """Whether a target can be reached and opened."""
        await _body(request, {}, {})
        await self._house.targets.test(request.match_info["target"])
        return web.json_response({"ok": True})

    async def link(self, request: web.Request) -> web.Response:
        """A one-time link to the page: for the console alone."""
        _console(request)
        body = await _body(request, {}, {"user": str})
        token = await self._house.people.link(body.get("user", "owner"))
        page = self._house.settings.page
        name = page.names[0] if page.names else page.address
        host = f"[{name}]" if ":" in name and not name.startswith("[") else name
        return web.json_response({"url": f"http://{host}:{page.port}/login/{token}"})

    async def password(self, request: web.Request) -> web.Response:
        """Set a password: for the console alone. Ends the user's sessions."""
        _console(request)
        body = await _body(request, {"password": str}, {"user": str})
        await self._house.people.set_password(body.get("user", "owner"), body["password"])
        return web.json_response({"ok": True})

    # -- parts

    async def _view(self, name: str) -> StackView:
        for view in (await self._house.overviews.now()).stacks:
            if view.name == name:
                return view
        raise NotFound(N_("there is no stack called {stack} here"), stack=name)

    async def _titles(self, request: web.Request) -> dict[str, str]:
        language = _language(request)
        return {stack.name: stack.manifest.title.say(language) for stack in await self._house.stacks.all()}

    async def _job(self, request: web.Request, titles: Mapping[str, str]) -> wire.Data:
        number = int(request.match_info["job"])
        job = await self._house.runner.job(number)
        return wire.job(job, _language(request), self._house.runner.progress(number), titles)

    @contextlib.asynccontextmanager
    async def _changes(self, closing: asyncio.Event) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever something in the house changed, and when the daemon shuts down."""
        changed = asyncio.Event()

        async def listen() -> None:
            async for _ in self._house.feed.listen():
                changed.set()

        async def last() -> None:
            await closing.wait()
            changed.set()

        tasks = [asyncio.create_task(listen()), asyncio.create_task(last())]
        try:
            yield changed
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = Api(house)
    return [
        _get(f"{ROOT}/status", api.status),
        _get(f"{ROOT}/stacks", api.stacks),
        _get(f"{ROOT}/stacks/available", api.available),
        _get(STACK, api.stack),
        _get(f"{STACK}/logs", api.logs),
        _get(f"{STACK}/first-login", api.first_login),
        _get(f"{ROOT}/jobs", api.jobs),
        _get(JOB, api.job),
        _get(f"{JOB}/watch", api.watch),
        _get(f"{ROOT}/snapshots", api.snapshots),
        _get(f"{ROOT}/alerts", api.alerts),
        _post(f"{ROOT}/stacks", api.add),
        _post(f"{STACK}/start", api.start),
        _post(f"{STACK}/stop", api.stop),
        _post(f"{STACK}/remove", api.remove),
        _post(f"{ROOT}/backups", api.back_up),
        _post(f"{ROOT}/restores", api.restore),
        _post(f"{JOB}/cancel", api.cancel),
        _post(ROOT + "/targets/{target}/init", api.init),
        _post(ROOT + "/targets/{target}/test", api.test),
        _post(f"{ROOT}/users/link", api.link),
        _post(f"{ROOT}/users/password", api.password),
    ]


def _get(path: str, handler: Handler) -> web.RouteDef:
    return web.get(path, spoken(handler))


def _post(path: str, handler: Handler) -> web.RouteDef:
    return web.post(path, spoken(handler))


def _language(request: web.Request) -> str:
    return request.app[SCREEN].language(request)


def _console(request: web.Request) -> None:
    if not over_socket(request):
        raise Refused(
            N_("this can be asked at the machine itself only"),
            N_("Run the `gardien` command there."),
        )


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise BadInput(N_("{field} must be a number from 1 to {most}"), N_("Ask for less."), field=name, most=MOST)
    return int(text)


async def _dry(request: web.Request) -> Body:
    return await _body(request, {}, {"dry_run": bool})


async def _body(request: web.Request, required: Mapping[str, type], optional: Mapping[str, type]) -> Body:
    """The request's JSON object; nothing sent is an empty one. Raises `Faults` for all that is wrong with it."""
    text = await request.text()
    try:
        data = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise BadInput(N_("the request is not JSON: {why}"), N_("Send a JSON object."), why=str(error)) from error
    if not isinstance(data, dict):
        raise BadInput(N_("the request is not a JSON object"), N_("Send a JSON object."))
    known = {**required, **optional}
    faults = [_fault(key, N_("{field} is missing")) for key in required if key not in data]
    faults += [_fault(key, N_("{field} is not known here"), nearest(key, known)) for key in data if key not in known]
    faults += [
        _fault(key, SHAPES[known[key]]) for key in data if key in known and not isinstance(data[key], known[key])
    ]
    if faults:
        raise Faults(faults)
    return data


def _fault(field: str, says: str, remedy: Words | None = None) -> Fault:
    return Fault((field,), Words.of(says, field=field), remedy or Words.of(N_("Correct the request.")))


async def _answer(
    request: web.Request,
    body: Body,
    plan: Callable[[], Awaitable[Plan]],
    create: Callable[[], Awaitable[int]],
) -> web.Response:
    if body.get("dry_run"):
        return web.json_response({"plan": wire.plan(await plan(), _language(request))})
    return web.json_response({"job": await create()}, status=202)

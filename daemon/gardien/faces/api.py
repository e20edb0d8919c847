"""The JSON API under `/api/v1/`: what the command line uses, and programs may. Documented in docs/api.md.

What takes long answers 202 with a job's number at once; `"dry_run": true` answers with the plan instead.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import cast

from aiohttp import web

from gardien import __version__
from gardien.errors import BadInput, NotFound
from gardien.faces import (
    api_alerts,
    api_kit,
    api_people,
    api_proofs,
    api_snapshots,
    api_targets,
    api_updates,
    asked,
    history,
    machine,
    openapi,
    present,
    report,
    shapes,
    wire,
)
from gardien.faces.api_targets import ROOT, TARGET
from gardien.faces.asked import Body
from gardien.faces.auth import still_in
from gardien.faces.contract import DRY, JOB, told
from gardien.faces.live import CLOSING
from gardien.faces.powers import veil
from gardien.model.overview import StackView
from gardien.model.plan import Plan
from gardien.model.stack import Chosen
from gardien.services.house import House
from gardien.words import N_

ONE_JOB = ROOT + r"/jobs/{job:\d{1,9}}"
STACK = ROOT + "/stacks/{name}"
SPACING = 0.25  # seconds between two lines of a watched job
BEAT = 10.0  # seconds: an empty line tells that the daemon is still there


class Api:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    # -- what there is

    @told(shapes.OverviewData)
    async def status(self, request: web.Request) -> web.Response:
        """The state of the house."""
        return web.json_response(wire.overview(await self._house.overviews.now(), asked.language(request)))

    @told({"stacks": list[shapes.StackViewData]})
    async def stacks(self, request: web.Request) -> web.Response:
        """The stacks of this house."""
        views = (await self._house.overviews.now()).stacks
        return web.json_response({"stacks": [wire.stack_view(view, asked.language(request)) for view in views]})

    @told({"stacks": list[shapes.OfferData]})
    async def available(self, request: web.Request) -> web.Response:
        """The stacks that can be added, and what they ask; one that is broken has an `error` in place of it all."""
        language = asked.language(request)
        added = {stack.name for stack in await self._house.stacks.all()}
        found: list[shapes.OfferData] = []
        stacks = self._house.stacks
        for name in await stacks.available():
            try:
                stack = await stacks.build(await stacks.recipe(name), Chosen())
                found.append(wire.offer(stack, language, added=name in added))
            except BadInput as error:
                found.append({"name": name, "added": name in added, "error": wire.error(error, language)})
        return web.json_response({"stacks": found})

    @told(shapes.StackData)
    async def stack(self, request: web.Request) -> web.Response:
        """One stack."""
        stack = await self._house.stacks.derived(await self._house.stacks.get(request.match_info["name"]))
        view = await self._view(stack.name)
        return web.json_response(wire.stack(view, stack, asked.language(request)))

    @told({"logs": str}, query={"lines": int, "service": str})
    async def logs(self, request: web.Request) -> web.Response:
        """What a stack's services printed last, or one of them."""
        name, lines, service = (
            request.match_info["name"],
            asked.number(request, "lines", 200),
            request.query.get("service"),
        )
        return web.json_response({"logs": await self._house.stacks.logs(name, lines, service)})

    @told(dict[str, object])
    async def first_login(self, request: web.Request) -> web.Response:
        """Address and first password of a stack: for the console alone."""
        asked.console_only(request)
        stack = await self._house.stacks.get(request.match_info["name"])
        found = await self._house.stacks.first_login(stack.name)
        return web.json_response(wire.first_login(found, stack, asked.language(request)))

    @told({"certificate": str | None, "sha256": str | None})
    async def certificate(self, request: web.Request) -> web.Response:
        """The house's own root certificate; null where there is none."""
        text = await self._house.door.certificate()
        return web.json_response({"certificate": text, "sha256": present.fingerprint(text) if text else None})

    @told({"version": str})
    async def version(self, request: web.Request) -> web.Response:
        """Which gardien answers here."""
        return web.json_response({"version": __version__})

    @told({"jobs": list[shapes.JobData]}, query={"most": int})
    async def jobs(self, request: web.Request) -> web.Response:
        """The newest jobs."""
        most = asked.number(request, "most", 50)
        language, titles = asked.language(request), await self._titles(request)
        jobs = await self._house.runner.jobs(most)
        progress = self._house.runner.progress
        return web.json_response({"jobs": [wire.job(job, language, progress(job.id), titles) for job in jobs]})

    @told(shapes.JobData)
    async def job(self, request: web.Request) -> web.Response:
        """One job, with how far it is."""
        return web.json_response(await self._job(request, await self._titles(request)))

    @told({"snapshots": list[shapes.SnapshotData]}, query={"stack": str, "target": str})
    async def snapshots(self, request: web.Request) -> web.Response:
        """The backups gardien remembers, newest first; `?stack=` for one stack's, `?target=` for those of one place."""
        found = await self._house.backups.list(request.query.get("stack"), request.query.get("target"))
        return web.json_response({"snapshots": [wire.snapshot(each, asked.language(request)) for each in found]})

    @told(shapes.SnapshotInFullData)
    async def snapshot(self, request: web.Request) -> web.Response:
        """One backup with all that is known of it; the beginning of its id is enough."""
        found = await self._house.backups.find(request.match_info["snapshot"])
        others = await self._house.backups.list(found.stack)
        stays: tuple[str, ...] = ()
        if found.target in self._house.settings.targets:
            proposals = await self._house.upkeep.proposals(found.target)
            stays = next(history.stays(found, each) for each in proposals if each.stack == found.stack)
        return web.json_response(wire.snapshot_in_full(found, others, stays, asked.language(request)))

    @told({"proposals": list[shapes.ProposalData]})
    async def retention(self, request: web.Request) -> web.Response:
        """What retention would do at a target now, stack by stack, and why."""
        found = await self._house.upkeep.proposals(request.match_info["target"])
        return web.json_response({"proposals": [wire.proposal(each, asked.language(request)) for each in found]})

    @told(shapes.JobData, content="application/x-ndjson")
    async def watch(self, request: web.Request) -> web.StreamResponse:
        """A job as one JSON object a line, one whenever it changed, until it is over. An empty line is a heartbeat."""
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
                        async with asyncio.timeout(max(0.0, beat - loop.time())):
                            await changed.wait()
                    changed.clear()
                    data = await self._job(request, titles)
        return response

    # -- what can be done

    @told(JOB, needs={"name": str}, may={"settings": dict, "anyway": bool, "dry_run": bool})
    async def add(self, request: web.Request) -> web.Response:
        """Add a stack."""
        body = await asked.fields(request)
        name, settings, anyway = body["name"], asked.texts(body, "settings"), body.get("anyway", False)
        life = self._house.life
        return await _answer(
            request,
            body,
            lambda: life.plan_add(name, settings, anyway=anyway),
            lambda: life.add(name, settings, anyway=anyway),
        )

    @told(JOB, may=DRY)
    async def start(self, request: web.Request) -> web.Response:
        """Start a stopped stack."""
        return await _to_stack(request, self._house.life.plan_start, self._house.life.start)

    @told(JOB, may=DRY)
    async def stop(self, request: web.Request) -> web.Response:
        """Stop a stack."""
        return await _to_stack(request, self._house.life.plan_stop, self._house.life.stop)

    @told(JOB, may=DRY)
    async def restart(self, request: web.Request) -> web.Response:
        """Restart a stack as it is."""
        return await _to_stack(request, self._house.life.plan_restart, self._house.life.restart)

    @told(JOB, may=DRY)
    async def mend(self, request: web.Request) -> web.Response:
        """Bring a stack's containers back to what its settings say."""
        return await _to_stack(request, self._house.life.plan_mend, self._house.life.mend)

    @told(JOB, needs={"settings": dict}, may=DRY)
    async def set(self, request: web.Request) -> web.Response:
        """Change settings of a stack."""
        body = await asked.fields(request)
        name, settings, life = request.match_info["name"], asked.texts(body, "settings"), self._house.life
        return await _answer(request, body, lambda: life.plan_set(name, settings), lambda: life.set(name, settings))

    @told(JOB, may={"with_data": bool, "confirm": str, "no_backup": bool, "dry_run": bool})
    async def remove(self, request: web.Request) -> web.Response:
        """Take a stack off the list after a last backup; `with_data` deletes its files, if its name is typed."""
        body = await asked.fields(request)
        name, with_data, life = request.match_info["name"], body.get("with_data", False), self._house.life
        last_backup = not body.get("no_backup", False)
        if with_data and not body.get("dry_run"):
            asked.meant((await self._house.stacks.get(name)).name, body.get("confirm"))
        return await _answer(
            request,
            body,
            lambda: life.plan_remove(name, with_data=with_data, last_backup=last_backup),
            lambda: life.remove(name, with_data=with_data, last_backup=last_backup),
        )

    @told(JOB, needs={"stack": str}, may={"target": str, "dry_run": bool})
    async def back_up(self, request: web.Request) -> web.Response:
        """Make a backup; without `target` at the first one."""
        body = await asked.fields(request)
        stack, target, backups = body["stack"], body.get("target"), self._house.backups
        return await _answer(request, body, lambda: backups.plan(stack, target), lambda: backups.create(stack, target))

    @told(shapes.SnapshotData)
    async def accept(self, request: web.Request) -> web.Response:
        """The owner's word that a backup holds so much less for a good reason: it counts from now on."""
        await asked.fields(request)
        found = await self._house.backups.accept(request.match_info["snapshot"])
        return web.json_response(wire.snapshot(found, asked.language(request)))

    @told(JOB, needs={"stack": str}, may={"snapshot": str, "new_disk": bool, "in_place": bool, "dry_run": bool})
    async def restore(self, request: web.Request) -> web.Response:
        """Bring a stack back; without `snapshot` from its newest good backup."""
        body = await asked.fields(request)
        what = (body["stack"], body.get("snapshot"), body.get("new_disk", False), body.get("in_place", False))
        restores = self._house.restores
        return await _answer(request, body, lambda: restores.plan(*what), lambda: restores.create(*what))

    @told(JOB, may=DRY)
    async def copy(self, request: web.Request) -> web.Response:
        """Send a target what it lacks of the one it is a copy of."""
        return await _to_target(request, self._house.upkeep.plan_copy, self._house.upkeep.copy)

    @told(JOB, may={"all": bool, "dry_run": bool})
    async def check(self, request: web.Request) -> web.Response:
        """Look whether what is at a target is whole; with `all`, read every byte of it."""
        body = await asked.fields(request)
        target, whole, upkeep = request.match_info["target"], body.get("all", False), self._house.upkeep
        return await _answer(
            request,
            body,
            lambda: upkeep.plan_check(target, whole=whole),
            lambda: upkeep.check(target, whole=whole),
        )

    @told(JOB, may=DRY)
    async def forget(self, request: web.Request) -> web.Response:
        """Clear out the old backups at a target that retention lets go."""
        return await _to_target(request, self._house.upkeep.plan_forget, self._house.upkeep.forget)

    @told(JOB, may=DRY)
    async def prune(self, request: web.Request) -> web.Response:
        """Give back the room of what was cleared out."""
        return await _to_target(request, self._house.upkeep.plan_prune, self._house.upkeep.prune)

    @told({202: {"job": int}})
    async def cancel(self, request: web.Request) -> web.Response:
        """Undo a job; it is over once that is done."""
        await asked.fields(request)
        number = int(request.match_info["job"])
        await self._house.runner.cancel(number)
        return web.json_response({"job": number}, status=202)

    # -- parts

    async def _view(self, name: str) -> StackView:
        for view in (await self._house.overviews.now()).stacks:
            if view.name == name:
                return view
        raise NotFound(N_("there is no stack called {stack} here"), stack=name)

    async def _titles(self, request: web.Request) -> dict[str, str]:
        language = asked.language(request)
        return {stack.name: stack.manifest.title.say(language) for stack in await self._house.stacks.all()}

    async def _job(self, request: web.Request, titles: Mapping[str, str]) -> shapes.JobData:
        number = int(request.match_info["job"])
        job = await self._house.runner.job(number)
        data = wire.job(job, asked.language(request), self._house.runner.progress(number), titles)
        return cast(shapes.JobData, veil(request, data))

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
        web.get(f"{ROOT}/status", api.status),
        web.get(f"{ROOT}/stacks", api.stacks),
        web.get(f"{ROOT}/stacks/available", api.available),
        web.get(STACK, api.stack),
        web.get(f"{STACK}/logs", api.logs),
        web.get(f"{STACK}/first-login", api.first_login),
        web.get(f"{ROOT}/certificate", api.certificate),
        web.get(f"{ROOT}/jobs", api.jobs),
        web.get(ONE_JOB, api.job),
        web.get(f"{ONE_JOB}/watch", api.watch, allow_head=False),
        web.get(f"{ROOT}/snapshots", api.snapshots),
        web.get(f"{ROOT}/snapshots/{{snapshot}}", api.snapshot),
        web.post(f"{ROOT}/snapshots/{{snapshot}}/accept", api.accept),
        web.get(f"{TARGET}/retention", api.retention),
        web.post(f"{ROOT}/stacks", api.add),
        web.post(f"{STACK}/start", api.start),
        web.post(f"{STACK}/stop", api.stop),
        web.post(f"{STACK}/restart", api.restart),
        web.post(f"{STACK}/mend", api.mend),
        web.post(f"{STACK}/set", api.set),
        web.post(f"{STACK}/remove", api.remove),
        web.post(f"{ROOT}/backups", api.back_up),
        web.post(f"{ROOT}/restores", api.restore),
        web.post(f"{TARGET}/copy", api.copy),
        web.post(f"{TARGET}/check", api.check),
        web.post(f"{TARGET}/forget", api.forget),
        web.post(f"{TARGET}/prune", api.prune),
        web.post(f"{ONE_JOB}/cancel", api.cancel),
        *api_alerts.routes(house),
        *report.api_routes(),
        *api_snapshots.routes(house),
        *api_targets.routes(house),
        *api_proofs.routes(house),
        *api_kit.routes(house),
        *api_updates.routes(house),
        *machine.api_routes(house),
        *openapi.routes(),
        web.get(f"{ROOT}/version", api.version),
        *api_people.routes(house),
    ]


async def _to_stack(
    request: web.Request, plan: Callable[[str], Awaitable[Plan]], create: Callable[[str], Awaitable[int]]
) -> web.Response:
    """What needs to know nothing but whom it is done to."""
    return await _to(request, request.match_info["name"], plan, create)


async def _to_target(
    request: web.Request, plan: Callable[[str], Awaitable[Plan]], create: Callable[[str], Awaitable[int]]
) -> web.Response:
    return await _to(request, request.match_info["target"], plan, create)


async def _to(
    request: web.Request, name: str, plan: Callable[[str], Awaitable[Plan]], create: Callable[[str], Awaitable[int]]
) -> web.Response:
    return await _answer(request, await asked.fields(request), lambda: plan(name), lambda: create(name))


async def _answer(
    request: web.Request,
    body: Body,
    plan: Callable[[], Awaitable[Plan]],
    create: Callable[[], Awaitable[int]],
) -> web.Response:
    if body.get("dry_run"):
        return web.json_response({"plan": wire.plan(await plan(), asked.language(request))})
    return web.json_response({"job": await create()}, status=202)

"""The JSON API of updates. See `api`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from aiohttp import web

from gardien.errors import BadInput
from gardien.faces import asked, present, wire, wire_updates
from gardien.faces.api_targets import ROOT
from gardien.model.plan import Plan
from gardien.model.release import Jump, Updating
from gardien.services.house import House
from gardien.words import N_

AS_THE_HOUSE = "as-the-house"
HOW: Mapping[str, Updating] = MappingProxyType({"by-itself": "by-itself", "by-hand": "by-hand"})


class UpdatesApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def news(self, request: web.Request) -> web.Response:
        """What is new, of one stack with `?stack=` or of all."""
        return await self._told(request, request.query.get("stack"))

    async def look(self, request: web.Request) -> web.Response:
        """Ask the registries now; then the same as `news`. It may take a minute."""
        name = (await asked.fields(request, {}, {"stack": str})).get("stack")
        await self._house.releases.look(name)
        return await self._told(request, name)

    async def _told(self, request: web.Request, name: str | None) -> web.Response:
        house, language = self._house, asked.language(request)
        stacks = [await house.stacks.get(name)] if name is not None else await house.stacks.all()
        told = [
            wire_updates.news(await house.releases.of(stack), await house.updates.outlook(stack), language)
            for stack in stacks
            if stack.recipe.kept or name is not None
        ]
        return web.json_response({"updates": told, "house_by_itself": house.updates.house_by_itself})

    async def choose(self, request: web.Request) -> web.Response:
        """Who begins the updates of `stack`, or without it of every stack of which nothing else is said."""
        body = await asked.fields(request, {"how": str}, {"stack": str})
        await choose(self._house, body.get("stack"), body["how"])
        return await self._told(request, body.get("stack"))

    async def skip(self, request: web.Request) -> web.Response:
        """Do not offer this one; with `undo` offer again what was skipped."""
        body = await asked.fields(request, {"stack": str}, {"version": str, "image": str, "undo": bool})
        name, version, image = body["stack"], body.get("version"), body.get("image")
        if body.get("undo"):
            return web.json_response({"again": await self._house.releases.unskip(name, version, image)})
        change = await self._house.releases.skip(name, version, image)
        return web.json_response({"skipped": wire_updates.change(change, asked.language(request))})

    async def run(self, request: web.Request) -> web.Response:
        """Take the next step, or the one to `version`, of the first image that has one, or of `image`."""
        body = await asked.fields(request, {"stack": str}, {"version": str, "image": str, "dry_run": bool})
        what = (body["stack"], body.get("image"), body.get("version"))
        updates = self._house.updates
        if body.get("dry_run"):
            plan = await updates.plan(*what)
            said = await about(self._house, plan, asked.language(request))
            return web.json_response({"plan": {**wire.plan(plan, asked.language(request)), **said}})
        return web.json_response({"job": await updates.run(*what)}, status=202)

    async def rollback(self, request: web.Request) -> web.Response:
        """Back to the version and the data of before the last update."""
        body = await asked.fields(request, {"stack": str}, {"dry_run": bool})
        updates = self._house.updates
        if body.get("dry_run"):
            return web.json_response(
                {"plan": wire.plan(await updates.plan_rollback(body["stack"]), asked.language(request))}
            )
        return web.json_response({"job": await updates.rollback(body["stack"])}, status=202)


async def about(house: House, plan: Plan, language: str) -> dict[str, object]:
    """What the plan of an update leads to, and what people notice of it."""
    last = await house.updates.last(plan.subject)
    jump = cast("Jump", plan.facts["jump"])
    return {
        "from": plan.facts["former_version"],
        "to": plan.facts["version"],
        "jump": jump,
        "jump_says": present.translate(wire_updates.JUMP[jump], language),
        "last_away_seconds": last.away if last is not None else None,
        "watch_seconds": house.settings.limits.watch_update,
    }


async def choose(house: House, stack: str | None, how: str) -> None:
    """Say who begins. Raises BadInput, NotFound, Refused."""
    updating = HOW.get(how)
    if how == AS_THE_HOUSE and stack is not None:
        await house.updates.choose(stack, None)
    elif updating is None:
        raise BadInput(N_("“{text}” is not a way in which updates are made"), N_("by-itself, or by-hand."), text=how)
    elif stack is not None:
        await house.updates.choose(stack, updating)
    else:
        await house.updates.choose_for_house(updating)


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = UpdatesApi(house)
    return [
        web.get(f"{ROOT}/updates", api.news),
        web.post(f"{ROOT}/updates/look", api.look),
        web.post(f"{ROOT}/updates/skip", api.skip),
        web.post(f"{ROOT}/updates/set", api.choose),
        web.post(f"{ROOT}/updates/run", api.run),
        web.post(f"{ROOT}/updates/rollback", api.rollback),
    ]

"""The JSON API of updates. See `api`."""

from aiohttp import web

from gardien.faces import asked, wire, wire_updates
from gardien.faces.api_targets import ROOT
from gardien.services.house import House


class UpdatesApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def news(self, request: web.Request) -> web.Response:
        """What is new, of one stack with `?stack=` or of all."""
        releases, name = self._house.releases, request.query.get("stack")
        found = [await releases.news(name)] if name is not None else await releases.all()
        return web.json_response({"updates": [wire_updates.news(each, asked.language(request)) for each in found]})

    async def look(self, request: web.Request) -> web.Response:
        """Ask the registries now; then the same as `news`. It may take a minute."""
        name = (await asked.fields(request, {}, {"stack": str})).get("stack")
        await self._house.releases.look(name)
        found = [await self._house.releases.news(name)] if name is not None else await self._house.releases.all()
        return web.json_response({"updates": [wire_updates.news(each, asked.language(request)) for each in found]})

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
            return web.json_response({"plan": wire.plan(await updates.plan(*what), asked.language(request))})
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


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = UpdatesApi(house)
    return [
        web.get(f"{ROOT}/updates", api.news),
        web.post(f"{ROOT}/updates/look", api.look),
        web.post(f"{ROOT}/updates/skip", api.skip),
        web.post(f"{ROOT}/updates/run", api.run),
        web.post(f"{ROOT}/updates/rollback", api.rollback),
    ]

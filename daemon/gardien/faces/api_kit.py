"""The JSON API of the recovery sheet and of a machine that takes over. See `api`.

What is on a sheet is told, and taken, at the console alone.
"""

from aiohttp import web

from gardien.faces import asked, shapes_places, sheet, wire, wire_kit
from gardien.faces.contract import DONE, DRY, JOB, told
from gardien.faces.keys import SCREEN
from gardien.services.house import House

ROOT = "/api/v1"


class KitApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    @told({"kits": list[shapes_places.KitViewData]})
    async def views(self, request: web.Request) -> web.Response:
        """How it is with the recovery sheets."""
        return web.json_response({"kits": [wire_kit.view(each) for each in await self._house.kits.views()]})

    @told(shapes_places.SheetData, may={"target": str, "new_key": bool, "html": bool})
    async def make(self, request: web.Request) -> web.Response:
        """A sheet, this once; with `html` as a page to print, too."""
        asked.console_only(request)
        body = await asked.fields(request)
        made = await self._house.kits.make(body.get("target"), new_key=body.get("new_key", False))
        language = asked.language(request)
        data = sheet.as_json(made, language)
        if body.get("html"):
            data["html"] = sheet.standing_alone(request.app[SCREEN], made, language)
        return web.json_response(data)

    @told(shapes_places.GroupsData, query={"target": str})
    async def asked(self, request: web.Request) -> web.Response:
        """Which groups have to be typed back."""
        return web.json_response(wire_kit.asked(*await self._house.kits.asked(request.query.get("target"))))

    @told({"job": int | None}, needs={"groups": str}, may={"target": str})
    async def confirm(self, request: web.Request) -> web.Response:
        """Somebody has the sheet before them; `job` makes its new key the only one, if it shows one."""
        body = await asked.fields(request)
        return web.json_response({"job": await self._house.kits.confirm(body.get("target"), body["groups"].split())})

    @told(JOB, may={"target": str, **DRY})
    async def prove(self, request: web.Request) -> web.Response:
        """See that the key on the sheet opens the newest backup."""
        body = await asked.fields(request)
        target = body.get("target") or self._house.kits.first()
        if body.get("dry_run"):
            plan = await self._house.kits.plan_proof(target)
            return web.json_response({"plan": wire.plan(plan, asked.language(request))})
        return web.json_response({"job": await self._house.kits.prove(target)}, status=202)

    @told(shapes_places.LeadsToData, needs={"sheet": str})
    async def look(self, request: web.Request) -> web.Response:
        """What a sheet leads to."""
        asked.console_only(request)
        body = await asked.fields(request)
        return web.json_response(wire_kit.offer(await self._house.recover.look(body["sheet"])))

    @told({202: {"ok": bool}}, needs={"sheet": str})
    async def take_over(self, request: web.Request) -> web.Response:
        """Take the lost machine's place; gardien begins anew, and brings its stacks back."""
        asked.console_only(request)
        body = await asked.fields(request)
        await self._house.recover.take_over(body["sheet"])
        return web.json_response({"ok": True}, status=202)

    @told({"recovery": shapes_places.RecoveryData | None})
    async def recovery(self, request: web.Request) -> web.Response:
        """How far it is."""
        return web.json_response({"recovery": wire_kit.recovery(await self._house.recover.now())})

    @told({"recovery": shapes_places.RecoveryData | None})
    async def retry(self, request: web.Request) -> web.Response:
        """Once more what failed."""
        await asked.fields(request)
        await self._house.recover.retry()
        return await self.recovery(request)

    @told(DONE)
    async def reclaim(self, request: web.Request) -> web.Response:
        """This machine saves there again, and the one that took over stands down."""
        await asked.fields(request)
        await self._house.targets.reclaim(request.match_info["target"])
        return web.json_response({"ok": True})


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = KitApi(house)
    return [
        web.get(f"{ROOT}/kit", api.views),
        web.post(f"{ROOT}/kit", api.make),
        web.get(f"{ROOT}/kit/asked", api.asked),
        web.post(f"{ROOT}/kit/confirm", api.confirm),
        web.post(f"{ROOT}/kit/prove", api.prove),
        web.get(f"{ROOT}/recover", api.recovery),
        web.post(f"{ROOT}/recover", api.take_over),
        web.post(f"{ROOT}/recover/look", api.look),
        web.post(f"{ROOT}/recover/retry", api.retry),
        web.post(f"{ROOT}/targets/{{target}}/reclaim", api.reclaim),
    ]

"""The JSON API of places for backups: which there are, adding one, trying it, taking it off the list. See `api`."""

from aiohttp import web

from gardien.errors import BadInput
from gardien.faces import asked, shapes_places, wire, wire_targets
from gardien.faces.contract import told
from gardien.model.setup import Tried, Wish
from gardien.services.house import House
from gardien.services.setup import Credentials
from gardien.words import N_

ROOT = "/api/v1"
TARGET = ROOT + "/targets/{target}"


class TargetsApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    @told({"targets": list[shapes_places.TargetData]})
    async def targets(self, request: web.Request) -> web.Response:
        """The backup targets of this house."""
        views = await self._house.upkeep.views()
        return web.json_response({"targets": [wire.target(view, asked.language(request)) for view in views]})

    @told({"presets": list[shapes_places.PresetData]})
    async def presets(self, request: web.Request) -> web.Response:
        """The places for backups that gardien knows, and what each asks."""
        language, known = asked.language(request), self._house.setup.presets
        return web.json_response({"presets": [wire_targets.preset(name, known[name], language) for name in known]})

    @told(
        {200: shapes_places.DraftData, 201: shapes_places.TriedData},
        needs={"name": str, "preset": str},
        may={
            **dict.fromkeys(("at", "copy_of", "passphrase", "fingerprint", "accept"), str),
            **dict.fromkeys(("values", "upload_limit", "login"), dict),
            "append_only": bool,
            "dry_run": bool,
        },
    )
    async def add(self, request: web.Request) -> web.Response:
        """Set a target up and try it; with `dry_run` say what would be done, and what a person has to confirm."""
        body = dict(await asked.fields(request))
        texts = {name: asked.texts(body, name) for name in ("values", "upload_limit", "login")}
        dry_run, language = body.pop("dry_run", False), asked.language(request)
        wish = Wish(**{**body, **texts})
        if dry_run:
            return web.json_response(wire_targets.draft(await self._house.setup.draft(wish), language))
        return await self._answer(request, await self._house.setup.add(wish), 201)

    @told({"repository": str, "passphrase_file": str})
    async def init(self, request: web.Request) -> web.Response:
        """Make a target's passphrase and repository, once."""
        await asked.fields(request)
        name = request.match_info["target"]
        repository = await self._house.targets.init(name)
        return web.json_response(
            {"repository": repository, "passphrase_file": str(self._house.settings.passphrase(name))}
        )

    @told(shapes_places.TriedData, may={**dict.fromkeys(("passphrase", "fingerprint", "accept"), str), "login": dict})
    async def test(self, request: web.Request) -> web.Response:
        """Try a target from one end to the other, with a new login, passphrase or host key if one is given."""
        body = dict(await asked.fields(request))
        credentials = Credentials(**{**body, "login": asked.texts(body, "login")})
        return await self._answer(request, await self._house.setup.try_out(request.match_info["target"], credentials))

    @told({"passphrase_file": str}, may={"confirm": str})
    async def remove(self, request: web.Request) -> web.Response:
        """Take a target off the list, if its name is typed."""
        body = await asked.fields(request)
        name = self._house.targets.known(request.match_info["target"])
        if body.get("confirm") != name:
            raise BadInput(
                N_("the target {target} is taken off the list only if its name is typed: {target}"),
                N_("Nothing was done. Type the name exactly."),
                target=name,
            )
        return web.json_response({"passphrase_file": str(await self._house.setup.remove(name))})

    async def _answer(self, request: web.Request, tried: Tried, status: int = 200) -> web.Response:
        access = await self._house.setup.access(tried.name)
        return web.json_response(wire_targets.tried(tried, access, asked.language(request)), status=status)


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = TargetsApi(house)
    return [
        web.get(f"{ROOT}/targets", api.targets),
        web.get(f"{ROOT}/presets", api.presets),
        web.post(f"{ROOT}/targets", api.add),
        web.post(f"{TARGET}/init", api.init),
        web.post(f"{TARGET}/test", api.test),
        web.post(f"{TARGET}/remove", api.remove),
    ]

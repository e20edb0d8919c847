"""The JSON API of trial restores: starting one, and what came of them. See `api`."""

from aiohttp import web

from gardien.faces import asked, proof_pages, shapes, wire, wire_proofs
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import JOB, told
from gardien.services.house import House


class ProofsApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    @told({"proofs": list[shapes.ProofData]}, query={"stack": str, "month": str})
    async def proofs(self, request: web.Request) -> web.Response:
        """What was proven, newest first; `?stack=` for one stack's, `?month=2026-11` for those of one month."""
        since = until = None
        if "month" in request.query:
            since, until = wire_proofs.month(request.query["month"])
        found = await self._house.drills.list(request.query.get("stack"), since=since, until=until)
        return web.json_response({"proofs": [wire_proofs.proof(each, asked.language(request)) for each in found]})

    @told({"month": str, "html": str}, query={"month": str})
    async def certificate(self, request: web.Request) -> web.Response:
        """The certificate of `?month=2026-11`, or of the present month, as a page of HTML to keep."""
        month = request.query.get("month", f"{self._house.drills.now().astimezone():%Y-%m}")
        html = await proof_pages.sheet(request, self._house, month, asked.language(request))
        return web.json_response({"month": month, "html": html})

    @told(JOB, needs={"stack": str}, may={"dry_run": bool})
    async def drill(self, request: web.Request) -> web.Response:
        """Try the newest backup of a stack: bring it back beside, start it, ask it, take it away."""
        body = await asked.fields(request)
        drills = self._house.drills
        if body.get("dry_run"):
            return web.json_response({"plan": wire.plan(await drills.plan(body["stack"]), asked.language(request))})
        return web.json_response({"job": await drills.create(body["stack"])}, status=202)


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = ProofsApi(house)
    return [
        web.get(f"{ROOT}/proofs", api.proofs),
        web.get(f"{ROOT}/proofs/certificate", api.certificate),
        web.post(f"{ROOT}/drills", api.drill),
    ]

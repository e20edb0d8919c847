"""The pages of trial restores: what was proven, and a certificate of each month to print and keep."""

from collections.abc import Sequence

from aiohttp import web

from gardien.faces import wire_proofs
from gardien.faces.keys import HOUSE, SCREEN
from gardien.faces.pages import STACK, look, to_job
from gardien.model.proof import Proof
from gardien.services.house import House

MONTHS = 24  # that can be chosen


def months(proofs: Sequence[Proof]) -> list[str]:
    """Those in which something was tried, newest first, such as `2026-11`."""
    return sorted({f"{each.ended.astimezone():%Y-%m}" for each in proofs}, reverse=True)[:MONTHS]


async def certificate(house: House, month: str, language: str) -> dict[str, object]:
    """What the templates read of one month. Raises BadInput."""
    since, until = wire_proofs.month(month)
    proofs = await house.drills.list(since=since, until=until)
    return {
        "month": month,
        "first": since,
        "proofs": proofs[::-1],
        "machine": house.settings.name,
        "titles": {stack.name: stack.manifest.title.say(language) for stack in await house.stacks.all()},
        "addresses": {view.name: (view.kind, view.address) for view in await house.upkeep.views()},
        "now": house.drills.now(),
        "OUTCOME": wire_proofs.OUTCOME,
        "checked": lambda proof: wire_proofs.checked(proof, language),
    }


async def sheet(request: web.Request, house: House, month: str, language: str) -> str:
    """The certificate as a page of its own, to keep as a file."""
    return request.app[SCREEN].text("proof_sheet.html", language, **await certificate(house, month, language))


async def proofs_page(request: web.Request) -> web.Response:
    """The newest trial restores of every application."""
    shown, house = await look(request), request.app[HOUSE]
    proofs = await house.drills.list()
    context = {
        **shown.context(),
        "proofs": proofs[:50],
        "months": months(proofs),
        "month_of": lambda text: wire_proofs.month(text)[0],
        "OUTCOME": wire_proofs.OUTCOME,
        "checked": lambda proof: wire_proofs.checked(proof, shown.language),
    }
    return request.app[SCREEN].page(request, "proofs.html", **context, busy=bool(shown.overview.jobs))


async def month_page(request: web.Request) -> web.Response:
    """One month, to be printed."""
    house, screen = request.app[HOUSE], request.app[SCREEN]
    context = await certificate(house, request.match_info["month"], screen.language(request))
    return screen.page(request, "proofs_month.html", **context)


async def prove(request: web.Request) -> web.Response:
    """Try the newest backup of a stack now."""
    raise to_job(await request.app[HOUSE].drills.create(request.match_info["name"]))


def routes() -> list[web.RouteDef]:
    """What is opened and pressed there."""
    return [
        web.get("/proofs", proofs_page),
        web.get(r"/proofs/{month:\d{4}-\d{2}}", month_page),
        web.post(STACK + "/drill", prove),
    ]

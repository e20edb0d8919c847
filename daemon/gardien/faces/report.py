"""The practice's record of a month: on the page, in the API, as a page of its own to keep."""

from aiohttp import web

from gardien.faces import asked, present, shapes, wire, wire_proofs
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import told
from gardien.faces.keys import HOUSE, SCREEN
from gardien.model.record import PlaceRecord, Record
from gardien.model.settings import Keep
from gardien.services.house import House
from gardien.words import N_

Data = dict[str, object]


def kept(place: PlaceRecord, language: str) -> str:
    """For how long backups stay there, in a sentence."""
    if place.view.append_only or place.view.can_delete is False:
        return present.translate(N_("Nothing is deleted from here by this machine."), language)
    spans = ", ".join(present.translate(text, language, count=count) for text, count in _spans(place.keep) if count)
    return present.translate(
        N_("All of the last {days} days; before that the newest one of each of the last {spans}."),
        language,
        days=place.keep.within_days,
        spans=spans,
    )


def _spans(keep: Keep) -> list[tuple[str, int]]:
    return [
        (N_("{count} hours"), keep.hourly),
        (N_("{count} days"), keep.daily),
        (N_("{count} weeks"), keep.weekly),
        (N_("{count} months"), keep.monthly),
        (N_("{count} years"), keep.yearly),
    ]


def as_json(record: Record, language: str) -> shapes.RecordData:
    """For programs; what is said is in `language`."""
    return {
        "house": record.house,
        "since": wire.moment(record.since),
        "until": wire.moment(record.end),
        "stacks": [
            {
                "name": each.name,
                "title": each.title.say(language),
                "folder": str(each.folder),
                "kept": each.kept,
                "backups_made": each.made,
                "backups_failed": each.failed,
                "restores": each.restored,
                "last_proven": wire.moment(each.proof.ended if each.proof else None),
            }
            for each in record.stacks
        ],
        "places": [
            {
                "name": each.view.name,
                "kind": each.view.kind,
                "address": each.view.address,
                "operator": wire.operator(each.view.operator, language),
                "copy_of": each.view.copy_of,
                "kept": kept(each, language),
            }
            for each in record.places
        ],
        "incidents": [
            {
                "says": present.say(each.says, language),
                "opened": wire.moment(each.opened),
                "closed": wire.moment(each.closed),
                "seconds": round(record.seconds(each)),
            }
            for each in record.incidents
        ],
    }


async def _context(house: House, month: str, language: str) -> dict[str, object]:
    since, until = wire_proofs.month(month)
    record = await house.reports.record(since, until)
    return {"record": record, "month": month, "now": record.now, "kept": lambda place: kept(place, language)}


async def page(request: web.Request) -> web.Response:
    """One month, to be printed."""
    screen = request.app[SCREEN]
    context = await _context(request.app[HOUSE], request.match_info["month"], screen.language(request))
    return screen.page(request, "record_page.html", **context)


async def present_page(request: web.Request) -> web.Response:
    """The present month."""
    raise web.HTTPSeeOther(f"/record/{_this_month(request.app[HOUSE])}")


@told(shapes.RecordAnswerData, query={"month": str, "html": str})
async def api(request: web.Request) -> web.Response:
    """The record of `?month=2026-11`, or of the present month; with `?html=1` as a page of HTML to keep, too."""
    house, language = request.app[HOUSE], asked.language(request)
    month = request.query.get("month", _this_month(house))
    context = await _context(house, month, language)
    record = context["record"]
    assert isinstance(record, Record)
    data = {"month": month, **as_json(record, language)}
    if "html" in request.query:
        data["html"] = request.app[SCREEN].text("record_sheet.html", language, **context)
    return web.json_response(data)


def _this_month(house: House) -> str:
    return f"{house.reports.now().astimezone():%Y-%m}"


def routes() -> list[web.RouteDef]:
    """The page."""
    return [web.get("/record", present_page), web.get(r"/record/{month:\d{4}-\d{2}}", page)]


def api_routes() -> list[web.RouteDef]:
    """What programs ask."""
    return [web.get(f"{ROOT}/report", api)]

"""The JSON API of alerts and letters: what is open, what people say to it, what was written. See `api`."""

from aiohttp import web

from gardien.faces import asked, shapes, wire
from gardien.faces.api_targets import ROOT
from gardien.faces.contract import told
from gardien.model.health import Alert
from gardien.services.house import House


class AlertsApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house

    @told({"alerts": list[shapes.AlertData]}, query={"all": str})
    async def alerts(self, request: web.Request) -> web.Response:
        """Open alerts; with `?all=1` those that are over, too."""
        found = await self._house.alerts.list(open_only="all" not in request.query)
        return web.json_response({"alerts": [wire.alert(each, asked.language(request)) for each in found]})

    @told({"alert": shapes.AlertData}, needs={"alert": str})
    async def know(self, request: web.Request) -> web.Response:
        """Say that one knows of an alert: no more letters about it, but that it is over."""
        body = await asked.fields(request)
        return _answer(request, await self._house.alerts.know(body["alert"]))

    @told({"alert": shapes.AlertData}, needs={"alert": str, "for": str})
    async def snooze(self, request: web.Request) -> web.Response:
        """Let an alert sleep `for` so long, such as `2d`."""
        body = await asked.fields(request)
        return _answer(request, await self._house.alerts.snooze(body["alert"], body["for"]))

    @told({"alert": shapes.AlertData}, needs={"alert": str})
    async def wake(self, request: web.Request) -> web.Response:
        """Undo both."""
        body = await asked.fields(request)
        return _answer(request, await self._house.alerts.wake(body["alert"]))

    @told({"letters": list[shapes.LetterData]})
    async def letters(self, request: web.Request) -> web.Response:
        """The letters that were written, newest first, and which of them are still to be sent."""
        found, language = await self._house.store.letters(), asked.language(request)
        return web.json_response({"letters": [wire.letter(each, language) for each in found]})

    @told({"to": list[str]}, may={"second": bool})
    async def test(self, request: web.Request) -> web.Response:
        """Send a letter that says that letters arrive, at once; with `second`, by the second way."""
        second = bool((await asked.fields(request)).get("second"))
        await self._house.letters.test(second=second)
        settings = self._house.settings
        to = [settings.second_way.url] if second and settings.second_way is not None else []
        return web.json_response({"to": list(settings.mail.to) if settings.mail is not None and not second else to})


def _answer(request: web.Request, alert: Alert) -> web.Response:
    return web.json_response({"alert": wire.alert(alert, asked.language(request))})


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = AlertsApi(house)
    return [
        web.get(f"{ROOT}/alerts", api.alerts),
        web.post(f"{ROOT}/alerts/ack", api.know),
        web.post(f"{ROOT}/alerts/snooze", api.snooze),
        web.post(f"{ROOT}/alerts/wake", api.wake),
        web.get(f"{ROOT}/letters", api.letters),
        web.post(f"{ROOT}/letters/test", api.test),
    ]

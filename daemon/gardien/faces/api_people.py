"""The JSON API of people, tokens and what was done. See `api`.

What gives somebody entry is made at the console alone; on the page an owner has forms of their own.
"""

from datetime import timedelta

from aiohttp import web

from gardien.errors import BadInput
from gardien.faces import asked, present, shapes_people, wire
from gardien.faces.contract import DONE, told
from gardien.faces.powers import ROOT
from gardien.model.person import Deed, Token
from gardien.services.house import House
from gardien.services.people import Standing
from gardien.words import N_


class PeopleApi:
    """The handlers, one method per route."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._people = house.people

    @told({"users": list[shapes_people.UserData]})
    async def all(self, request: web.Request) -> web.Response:
        """Who may come in."""
        return web.json_response({"users": [_person(each) for each in await self._people.all()]})

    @told({"url": str}, needs={"user": str}, may={"role": str, "may": list})
    async def add(self, request: web.Request) -> web.Response:
        """Somebody new, and the link that lets them in once."""
        asked.console_only(request)
        body = await asked.fields(request)
        token = await self._people.add(body["user"], body.get("role", "helper"), asked.list_of_texts(body, "may"))
        return web.json_response({"url": self._url(token)})

    @told(DONE, needs={"user": str, "role": str}, may={"may": list})
    async def role(self, request: web.Request) -> web.Response:
        """Another role, other rights."""
        asked.console_only(request)
        body = await asked.fields(request)
        await self._people.change(body["user"], body["role"], asked.list_of_texts(body, "may"))
        return web.json_response({"ok": True})

    @told(DONE, needs={"user": str})
    async def remove(self, request: web.Request) -> web.Response:
        """They are out at once."""
        asked.console_only(request)
        await self._people.remove((await asked.fields(request))["user"])
        return web.json_response({"ok": True})

    @told({"url": str}, needs={"user": str})
    async def reset(self, request: web.Request) -> web.Response:
        """Forget password and second factor; a link is the only way in then."""
        asked.console_only(request)
        token = await self._people.reset((await asked.fields(request))["user"])
        return web.json_response({"url": self._url(token)})

    @told({"url": str, "sha256": str | None}, may={"user": str})
    async def link(self, request: web.Request) -> web.Response:
        """A one-time link to the page."""
        asked.console_only(request)
        body = await asked.fields(request)
        url = self._url(await self._people.link(body.get("user", "owner")))
        text = await self._house.tls.certificate() if url.startswith("https:") else None
        return web.json_response({"url": url, "sha256": present.fingerprint(text) if text else None})

    @told(DONE, needs={"password": str}, may={"user": str})
    async def password(self, request: web.Request) -> web.Response:
        """Set a password. Ends the user's sessions."""
        asked.console_only(request)
        body = await asked.fields(request)
        await self._people.set_password(body.get("user", "owner"), body["password"])
        return web.json_response({"ok": True})

    @told({"tokens": list[shapes_people.TokenData]})
    async def tokens(self, request: web.Request) -> web.Response:
        """Which programs may ask."""
        return web.json_response({"tokens": [_token(each) for each in await self._people.tokens()]})

    @told({"token": str}, needs={"name": str, "scopes": list}, may={"days": int})
    async def add_token(self, request: web.Request) -> web.Response:
        """A token, this once."""
        asked.console_only(request)
        body = await asked.fields(request)
        days = body.get("days")
        if days is not None and not 1 <= days <= 3650:
            raise BadInput(N_("{field} must be a number"), N_("Correct the request."), field="days")
        lives = timedelta(days=days) if days is not None else None
        text = await self._people.add_token(body["name"], asked.list_of_texts(body, "scopes"), lives=lives)
        return web.json_response({"token": text})

    @told(DONE, needs={"name": str})
    async def revoke(self, request: web.Request) -> web.Response:
        """It lets nobody in any more."""
        asked.console_only(request)
        await self._people.revoke((await asked.fields(request))["name"])
        return web.json_response({"ok": True})

    @told({"log": list[shapes_people.DeedData]}, query={"most": int, "before": int})
    async def log(self, request: web.Request) -> web.Response:
        """Who did what, newest first."""
        language = asked.language(request)
        deeds = await self._people.deeds(asked.number(request, "most", 100), asked.count(request, "before") or None)
        return web.json_response({"log": [_deed(each, language) for each in deeds]})

    @told({"certificate": str | None, "sha256": str | None})
    async def certificate(self, request: web.Request) -> web.Response:
        """What the page itself is shown with; null where it listens on this machine alone."""
        text = await self._house.tls.certificate()
        return web.json_response({"certificate": text, "sha256": present.fingerprint(text) if text else None})

    def _url(self, token: str) -> str:
        return f"{self._house.settings.page.url}/login/{token}"


def _person(standing: Standing) -> shapes_people.UserData:
    each = standing.person
    return {
        "user": each.name,
        "role": each.role,
        "may": sorted(each.may),
        "made": wire.moment(each.made),
        "has_password": standing.has_password,
        "second_factor": standing.second_factor,
    }


def _token(each: Token) -> shapes_people.TokenData:
    return {
        "name": each.name,
        "scopes": sorted(each.scopes),
        "made_by": each.user,
        "made": wire.moment(each.made),
        "until": wire.moment(each.until),
        "used": wire.moment(each.used),
    }


def _deed(each: Deed, language: str) -> shapes_people.DeedData:
    return {
        "id": each.id,
        "at": wire.moment(each.at),
        "who": each.who,
        "means": each.means,
        "what": present.say(each.what, language),
        "job": each.job,
        "refused": each.refused,
    }


def routes(house: House) -> list[web.RouteDef]:
    """Every route, with its full path."""
    api = PeopleApi(house)
    return [
        web.get(f"{ROOT}/users", api.all),
        web.post(f"{ROOT}/users", api.add),
        web.post(f"{ROOT}/users/role", api.role),
        web.post(f"{ROOT}/users/remove", api.remove),
        web.post(f"{ROOT}/users/reset", api.reset),
        web.post(f"{ROOT}/users/link", api.link),
        web.post(f"{ROOT}/users/password", api.password),
        web.get(f"{ROOT}/tokens", api.tokens),
        web.post(f"{ROOT}/tokens", api.add_token),
        web.post(f"{ROOT}/tokens/revoke", api.revoke),
        web.get(f"{ROOT}/log", api.log),
        web.get(f"{ROOT}/certificate/page", api.certificate),
    ]

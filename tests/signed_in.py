"""Coming in by the page, as its forms do."""

from datetime import UTC, datetime

import pyotp
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient

from tests.faces_world import World

Client = TestClient[web.Request, web.Application]
STILL = datetime(2026, 3, 3, 9, 12, 10, tzinfo=UTC)
PASSWORD = "correct horse battery staple"


def origin(client: Client) -> str:
    return str(client.make_url("/")).rstrip("/")


async def post(client: Client, path: str, **data: str | list[str]) -> ClientResponse:
    """As our own page's form would; a list is a field that is there several times."""
    pairs = [(name, each) for name, value in data.items() for each in (value if isinstance(value, list) else [value])]
    return await client.post(path, data=pairs, headers={"Origin": origin(client)}, allow_redirects=False)


async def come_in(client: Client, world: World, user: str = "owner") -> str:
    """By a one-time link; returns the cookie."""
    client.session.cookie_jar.clear()
    response = await post(client, f"/login/{await world.house.people.link(user)}")
    assert response.status == 303
    return response.cookies["gardien"].value


async def helper(client: Client, world: World, *may: str) -> str:
    """A helper called anna, who comes in."""
    await world.house.people.add("anna", "helper", may)
    return await come_in(client, world, "anna")


def stand_still(world: World) -> None:
    """The codes of one half minute, however long a test takes."""
    world.house.people.factor._clock = lambda: STILL


def code(secret: str, steps: int = 0) -> str:
    """What the app shows then, or so many half minutes later."""
    return pyotp.TOTP(secret).generate_otp(int(STILL.timestamp()) // 30 + steps)

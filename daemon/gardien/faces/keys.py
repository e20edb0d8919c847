"""What every handler finds in its application."""

from typing import TYPE_CHECKING

from aiohttp import web

from gardien.faces.screen import Screen

if TYPE_CHECKING:
    from gardien.services.house import House

HOUSE: "web.AppKey[House]" = web.AppKey("house")
SCREEN: web.AppKey[Screen] = web.AppKey("screen")

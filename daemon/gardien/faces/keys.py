"""What every handler finds in its application."""

from aiohttp import web

from gardien.faces.screen import Screen
from gardien.services.house import House

HOUSE = web.AppKey("house", House)
SCREEN = web.AppKey("screen", Screen)

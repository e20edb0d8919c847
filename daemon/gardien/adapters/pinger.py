"""Pings an outside address that raises an alarm when pings stay out: the Healthchecks protocol."""

import logging
from urllib.parse import urlsplit

import aiohttp

from gardien.model.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 20.0  # seconds


class HttpPinger:
    """The `Pinger` of a real house."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def ping(self, *, well: bool) -> bool:
        """Say that the house is alive, and whether it is well; nothing else is told. Whether it was heard."""
        settings = self._settings
        if settings.ping is None:
            return False
        url = settings.ping.rstrip("/") + ("" if well else "/fail")
        proxy = None if urlsplit(url).hostname in settings.around_proxy else settings.proxy
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
                session.post(url, proxy=proxy, allow_redirects=False) as answer,
            ):
                if answer.status >= 300:
                    log.warning("the address under `ping` answers with status %s", answer.status)
                return answer.status < 300
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("the address under `ping` cannot be reached: %s", type(error).__name__)
            return False

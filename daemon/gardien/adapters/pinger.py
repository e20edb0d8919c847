"""Pings an outside address that raises an alarm when pings stay out: the Healthchecks protocol."""

import logging

from gardien.adapters.outside import post
from gardien.model.settings import Settings

log = logging.getLogger(__name__)


class HttpPinger:
    """The `Pinger` of a real house."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def ping(self, *, well: bool) -> bool:
        """Say that the house is alive, and whether it is well; nothing else is told. Whether it was heard."""
        if self._settings.ping is None:
            return False
        try:
            status = await post(self._settings, self._settings.ping.rstrip("/") + ("" if well else "/fail"))
        except OSError as error:
            log.warning("the address under `ping` cannot be reached: %s", error)
            return False
        if status >= 300:
            log.warning("the address under `ping` answers with status %s", status)
        return status < 300

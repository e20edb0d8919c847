"""Tells an address outside something over HTTP: the ping, the second way."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from gardien.model.settings import Settings

PATIENCE = 20.0  # seconds


def proxy_to(settings: Settings, host: str | None) -> str | None:
    """The proxy that leads to this host; None: none does."""
    return None if host in settings.around_proxy else settings.proxy


async def post(
    settings: Settings, url: str, data: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
) -> int:
    """POST `data` as JSON, or nothing; the status of the answer. Goes nowhere else, whatever the answer says.

    Raises OSError where nobody answers as HTTP does.
    """
    proxy = proxy_to(settings, urlsplit(url).hostname)
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
            session.post(url, json=data, headers=headers, proxy=proxy, allow_redirects=False) as answer,
        ):
            return answer.status
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise OSError(type(error).__name__) from error

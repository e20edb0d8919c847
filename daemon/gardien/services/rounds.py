"""What is looked after again and again, for the daemon's life."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

log = logging.getLogger(__name__)

EACH = 60.0  # seconds


async def rounds(look: Callable[[], Awaitable[None]], what: str) -> NoReturn:
    """Look each minute; a look that fails is logged, and the next one comes."""
    while True:
        try:
            await look()
        except Exception:
            log.exception("%s could not be looked after", what)
        await asyncio.sleep(EACH)

"""To the end, whoever loses patience."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def surely(work: Awaitable[T], on_cancel: Callable[[], None] | None = None) -> T:
    """Await `work` to its end, however often the caller is cancelled meanwhile; the cancellation comes after.

    `on_cancel` may ask the work to come to its end soon.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            if on_cancel is not None:
                on_cancel()
    if cancelled is not None and not task.cancelled():
        task.exception()  # nobody will ask for it
        raise cancelled
    return task.result()

"""Tells whoever listens that something changed; what it is they read from the store."""

import asyncio
from collections.abc import AsyncIterator


class Feed:
    """One writer, many listeners. A slow listener misses repetitions, never the last word."""

    def __init__(self) -> None:
        self._listeners: list[tuple[asyncio.Event, set[str]]] = []

    def changed(self, topic: str) -> None:
        """`topic` is one of job, progress, health, alert."""
        for event, topics in self._listeners:
            topics.add(topic)
            event.set()

    async def listen(self) -> AsyncIterator[str]:
        """Yield each topic that changed since it was last yielded."""
        listener = (asyncio.Event(), set[str]())
        self._listeners.append(listener)
        event, topics = listener
        try:
            while True:
                await event.wait()
                event.clear()
                while topics:
                    yield topics.pop()
        finally:
            self._listeners.remove(listener)

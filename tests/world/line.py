"""A bad line: a TCP proxy on loopback that can be slow, cut, or half open."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

CHUNK = 16 * 1024


class Line:
    """Passes connections on to a port of this machine. Turn its knobs at any time.

    `delay` (seconds) holds back each piece of data, `rate` (bytes a second, each way) throttles, `frozen` passes
    nothing more while every connection stays open: the half-open link of a dead router.
    """

    def __init__(self, target: int) -> None:
        """Prepare a line to 127.0.0.1:`target`; `start` opens it."""
        self.target = target
        self.port = 0
        self.delay = 0.0
        self.rate: int | None = None
        self.frozen = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="line", daemon=True)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Open the line; `port` is known from here on."""
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        """Close everything and end the thread."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset all connections there are; new ones are taken."""
        self._call(self._reset())

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        await self._reset()
        others = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _reset(self) -> None:
        for writer in self._writers:
            sock: socket.socket = writer.get_extra_info("socket")
            # Lingering for zero seconds: the peer sees a reset, not an orderly end.
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers -= {writer, far_writer}
            for end in (writer, far_writer):
                end.close()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(CHUNK):
            await asyncio.sleep(self.delay + (len(data) / self.rate if self.rate else 0))
            while self.frozen:
                await asyncio.sleep(0.02)
            sink.write(data)
            await sink.drain()
        while self.frozen:  # not even the end of a connection comes through
            await asyncio.sleep(0.02)
        if sink.can_write_eof():
            sink.write_eof()

"""Asks applications how they are: over HTTP, a websocket, a TCP port, or a command in a container."""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import aiohttp

from gardien.errors import GardienError
from gardien.model.health import Answer
from gardien.model.manifest import Expectation, Probe
from gardien.model.stack import Stack
from gardien.words import N_, Words

_LONGEST_BODY = 1 << 20


class RunsIn(Protocol):
    """What a probe needs of Compose."""

    async def run_in(
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        user: str | None = None,
        output: Path | None = None,
        input_: Path | None = None,
        timeout: float | None = None,
    ) -> str: ...


class RealProbes:
    """The `Probes` of a real house. `await close()` at the end.

    Never raises for an application that is not well: it says so.
    """

    def __init__(self, compose: RunsIn) -> None:
        self._compose = compose
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, stack: Stack, probe: Probe) -> Answer:
        """One question, one answer. `data` is the decoded JSON object, if the answer was one."""
        try:
            async with asyncio.timeout(probe.timeout):
                if probe.http is not None:
                    return await self._http(stack, probe, stack.fill(probe.http))
                if probe.websocket is not None:
                    return await self._websocket(stack, probe, stack.fill(probe.websocket))
                if probe.tcp is not None:
                    return await self._tcp(stack, stack.fill(probe.tcp))
                return await self._exec(stack, probe)
        except TimeoutError:
            return _unwell(N_("{stack} did not answer within {seconds} seconds"), stack, seconds=probe.timeout)

    def _asking(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A connection kept open would outlive the application's restart, and a cookie would change the answer.
            connector = aiohttp.TCPConnector(force_close=True)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self._session

    async def _http(self, stack: Stack, probe: Probe, url: str) -> Answer:
        try:
            async with self._asking().get(
                url, headers=_headers(stack, probe), allow_redirects=False, timeout=aiohttp.ClientTimeout(total=None)
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk[: _LONGEST_BODY - len(body)]
                    if len(body) >= _LONGEST_BODY:
                        break
                return judge(stack, probe.expect, body, response.status)
        except (aiohttp.ClientError, OSError, ValueError):
            return silent(stack)

    async def _websocket(self, stack: Stack, probe: Probe, url: str) -> Answer:
        """The handshake, no more: whoever answers it has the websocket's program behind him, not just an open port."""
        wanted = (probe.protocol,) if probe.protocol is not None else ()
        try:
            async with self._asking().ws_connect(url, headers=_headers(stack, probe), protocols=wanted) as socket:
                if socket.protocol != probe.protocol:
                    return _unwell(N_("{stack} answers, but not with what it should"), stack)
        except aiohttp.WSServerHandshakeError as error:
            return _unwell(
                N_("{stack} answers with status {found} instead of {wanted}"), stack, found=error.status, wanted=101
            )
        except (aiohttp.ClientError, OSError, ValueError):
            return silent(stack)
        return _well(stack, {})

    async def _tcp(self, stack: Stack, address: str) -> Answer:
        host, _, port = address.rpartition(":")
        try:
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, ValueError):
            return silent(stack)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return _well(stack, {})

    async def _exec(self, stack: Stack, probe: Probe) -> Answer:
        assert probe.exec_ is not None
        argv = [stack.fill(word) for word in probe.argv]
        try:
            printed = await self._compose.run_in(stack, probe.exec_, argv)
        except GardienError as error:
            return Answer(ok=False, says=error.says)
        return judge(stack, probe.expect, printed.encode())


def _headers(stack: Stack, probe: Probe) -> dict[str, str]:
    return {name: stack.fill(value) for name, value in probe.headers.items()}


def silent(stack: Stack) -> Answer:
    """The answer of an application that gives none."""
    return _unwell(N_("{stack} does not answer"), stack)


def judge(stack: Stack, expect: Expectation, body: bytes | bytearray, status: int | None = None) -> Answer:
    """Hold an answer against what is expected of it; `status` if it came over HTTP."""
    data = _decoded(body)
    if status is not None and status != expect.status:
        return _unwell(
            N_("{stack} answers with status {found} instead of {wanted}"),
            stack,
            data,
            found=status,
            wanted=expect.status,
        )
    for key, wanted in expect.json_.items():
        found = data.get(key)
        # True is 1 for Python; not for an application.
        if type(found) is not type(wanted) or found != wanted:
            return _unwell(
                N_("{stack} answers, but says that “{key}” is {found} instead of {wanted}"),
                stack,
                data,
                key=key,
                found=json.dumps(found)[:100],
                wanted=json.dumps(wanted),
            )
    if expect.body is not None and not re.search(expect.body, body.decode("utf-8", "replace"), re.MULTILINE):
        return _unwell(N_("{stack} answers, but not with what it should"), stack, data)
    return _well(stack, data)


def _decoded(body: bytes | bytearray) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _well(stack: Stack, data: dict[str, Any]) -> Answer:
    return Answer(ok=True, says=Words.of(N_("{stack} answers"), stack=stack.manifest.title.given), data=data)


def _unwell(text: str, stack: Stack, data: Mapping[str, Any] | None = None, **values: str | float) -> Answer:
    return Answer(ok=False, says=Words(text, {"stack": stack.manifest.title.given, **values}), data=dict(data or {}))

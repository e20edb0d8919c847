"""Handing a file or folder of a backup to whoever asks: as it is, or as an archive, never whole in memory."""

import asyncio
import contextlib
import logging
from contextlib import aclosing
from typing import Literal
from urllib.parse import quote

from aiohttp import web

from gardien.errors import BadInput, GardienError
from gardien.faces.auth import still_in
from gardien.faces.keys import HOUSE
from gardien.model.entry import TOP
from gardien.model.snapshot import Snapshot
from gardien.words import N_

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0  # seconds between two looks whether the reader is still let in
KINDS = {"zip": "application/zip", "tar": "application/x-tar"}


async def download(request: web.Request, snapshot: Snapshot, number: int, archive: str | None) -> web.StreamResponse:
    """A file; a folder as a zip, or as the archive that is asked for. Raises BadInput, and a target's errors."""
    browse = request.app[HOUSE].browse
    entry = (await browse.entry(snapshot, number)).entry
    kind: Literal["zip", "tar"] | None = "zip" if archive == "zip" else "tar" if archive == "tar" else None
    if number == TOP or entry.kind not in {"file", "folder"} or (entry.kind == "file") != (kind is None):
        raise BadInput(
            N_("this cannot be downloaded: it is the whole backup, a link, a device or the like"),
            N_("Choose a file or a folder in it."),
        )
    headers = {"Content-Disposition": attachment(entry.name if kind is None else f"{entry.name}.{kind}")}
    response = web.StreamResponse(headers=headers)
    response.content_type = KINDS[kind] if kind else "application/octet-stream"
    if kind is None:
        response.content_length = entry.size
    async with aclosing(browse.dump(snapshot, number, kind)) as chunks:
        chunk = await anext(chunks, b"")  # what goes wrong at once is told in words
        await response.prepare(request)
        loop = asyncio.get_running_loop()
        look = loop.time() + LOOK_EVERY
        with contextlib.suppress(ConnectionError):
            try:
                await response.write(chunk)
                async for chunk in chunks:
                    await response.write(chunk)
                    if loop.time() >= look:
                        look = loop.time() + LOOK_EVERY
                        if not await still_in(request):
                            _cut(request)
                            return response
                await response.write_eof()
            except GardienError as error:
                log.warning("a download from backup %s was cut short: %s", snapshot.id[:10], error.code)
                _cut(request)
    return response


def _cut(request: web.Request) -> None:
    """End it so that nobody takes what arrived for the whole."""
    if request.transport is not None:
        request.transport.abort()


def attachment(name: str) -> str:
    """The header's value for any name: plain letters for old programs, all of it for the others."""
    plain = "".join(each if each.isascii() and (each.isalnum() or each in " ._-") else "_" for each in name)
    whole = quote(name.encode("utf-8", "replace"), safe="")
    return f"attachment; filename=\"{plain.strip() or 'file'}\"; filename*=UTF-8''{whole}"

"""What the page is shown with where others than this machine can reach it: TLS, by a certificate of gardien's own."""

import asyncio
import json
import logging
import ssl
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gardien.errors import BadInput, CommandFailed, GardienError
from gardien.model.settings import Settings
from gardien.services.ports import Clock, Files
from gardien.services.ports_tls import Certificates
from gardien.words import N_

log = logging.getLogger(__name__)

DAYS = 397  # as long as browsers bear with
RENEWED = timedelta(days=30)  # before its end
LOOK_EVERY = 6 * 3600.0  # seconds


class PageTls:
    """One file, so that key and certificate cannot part; its first line says for which names and until when."""

    def __init__(self, settings: Settings, files: Files, clock: Clock, certificates: Certificates) -> None:
        self._page = settings.page
        self._file = file_of(settings)
        self._files = files
        self._clock = clock
        self._certificates = certificates
        self._context: ssl.SSLContext | None = None

    async def context(self) -> ssl.SSLContext | None:
        """What to answer with; None on loopback, where nobody listens in. Raises BadInput."""
        if not self._page.beyond_loopback:
            return None
        await self._owed()
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        await asyncio.to_thread(self._context.load_cert_chain, self._file)
        return self._context

    async def certificate(self) -> str | None:
        """What everybody is shown, in PEM; None where there is none."""
        text = await self._files.read(self._file) if self._page.beyond_loopback else None
        if text is None:
            return None
        begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
        return f"{begin}{text.partition(begin)[2].partition(end)[0]}{end}\n"

    async def keep(self) -> None:
        """Renew it in time, for ever; who comes then is shown the new one."""
        while self._context is not None:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.renew()
            except (GardienError, OSError):
                log.exception("the page's certificate cannot be renewed")

    async def renew(self) -> None:
        """If it is time. Raises BadInput."""
        if await self._owed() and self._context is not None:
            await asyncio.to_thread(self._context.load_cert_chain, self._file)
            log.info("the page has a new certificate: see `gardien certificate --page`")

    async def _owed(self) -> bool:
        """Make a new one if there is none that will do. Whether it did."""
        now, names, former = self._clock(), sorted(self._page.known_as), await self._files.read(self._file)
        if _good(former, names, now):
            return False
        try:
            made = await self._certificates.make(names, DAYS)
        except (CommandFailed, OSError) as error:
            raise BadInput(
                N_("cannot make a certificate for the page, which others than this machine can reach"),
                N_("Install `openssl`, or let it listen on this machine alone: `page.address: 127.0.0.1`."),
                detail=str(error),
            ) from error
        told = {"names": names, "until": (now + timedelta(days=DAYS)).isoformat()}
        if former is not None:  # which browsers were told to trust
            told["renewed"] = now.isoformat()
        await self._files.write(self._file, f"# {json.dumps(told)}\n{made}")
        return True


def file_of(settings: Settings) -> Path:
    """Where the page's certificate lies, with its key."""
    return settings.folders.state / "page.pem"


def renewed(text: str | None) -> datetime | None:
    """When the certificate in the file took the place of another; None if it is the first."""
    try:
        return datetime.fromisoformat(_told(text)["renewed"])
    except (ValueError, KeyError, TypeError):
        return None


def _good(text: str | None, names: list[str], now: datetime) -> bool:
    try:
        told = _told(text)
        return bool(told["names"] == names and datetime.fromisoformat(told["until"]) - now > RENEWED)
    except (ValueError, KeyError, TypeError):
        return False


def _told(text: str | None) -> Any:
    return json.loads((text or "").partition("\n")[0].removeprefix("# "))

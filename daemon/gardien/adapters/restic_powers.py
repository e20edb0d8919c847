"""Whether our key may delete what is saved at a target: asked of the host itself, by deleting what is not a backup.

restic has no such question, and a snapshot made for it would leave data behind where nothing can be deleted.
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp

from gardien.adapters.outside import outside
from gardien.adapters.process import Ended, Outcome, run
from gardien.adapters.restic_args import ssh_args
from gardien.adapters.restic_call import Calls
from gardien.adapters.restic_places import Place
from gardien.errors import GardienError
from gardien.model.settings import LocalTarget, RestTarget, S3Target, Settings, SftpTarget

PROBE = "gardien-may-delete"  # the name of what is made and deleted again, or deleted without being there
_PATIENCE = 60.0


async def can_delete(settings: Settings, calls: Calls, name: str) -> bool:
    """See `Restic.can_delete`. Raises the target's errors."""
    await calls.asked(name, ["cat", "config", "--no-lock"])
    target = calls.target(name)
    place = await asyncio.to_thread(calls.place, name)
    try:
        match target:
            case LocalTarget():
                return await asyncio.to_thread(_in_folder, target.folder)
            case SftpTarget():
                return await _over_sftp(settings, calls, target, place)
            case S3Target():
                return await _at_store(settings, target, place)
            case RestTarget():
                return await _at_rest_server(settings, target, place, await asyncio.to_thread(_login, calls, name))
    except (aiohttp.ClientError, TimeoutError, OSError, _Odd) as error:
        said = f"x509: {error}" if isinstance(error, aiohttp.ClientConnectorCertificateError) else f"dial tcp: {error}"
        said = str(error) if isinstance(error, _Odd) else said
        raise _typed(calls, name, said) from error
    except Ended as error:
        raise calls.typed(error, name) from error


def _login(calls: Calls, name: str) -> tuple[str, str]:
    user, password = calls.login(name).values()
    return user, password


class _Odd(Exception):
    """An answer that says neither yes nor no."""


def _typed(calls: Calls, name: str, said: str) -> GardienError:
    return calls.typed(Ended("code", "restic", Outcome(1, "", said)), name)


def _in_folder(folder: Path) -> bool:
    probe = folder / PROBE
    probe.touch(0o600)
    try:
        probe.unlink()
    except PermissionError:
        return False
    return True


async def _over_sftp(settings: Settings, calls: Calls, target: SftpTarget, place: Place) -> bool:
    """A file beside the repository's own is made and deleted: a folder's rights are the same for both."""
    assert place.ssh_key is not None
    known, empty, batch = (calls.folder / f"{PROBE}.{kind}" for kind in ("known_hosts", "empty", "batch"))
    remote = f'"{target.folder.rstrip("/")}/{PROBE}"'
    for file, text in (
        (known, place.known_host),
        (empty, ""),
        (batch, f'put "{empty}" {remote}\nrm {remote}\n'),
    ):
        await asyncio.to_thread(file.write_text, text)
    argv = ["sftp", "-b", str(batch), "-P", str(target.port), *ssh_args([place.ssh_key], known)]
    try:
        outcome = await run(
            [*argv, f"{target.user}@{target.host}"],
            env={},
            children=settings.folders.run / "children",
            timeout=_PATIENCE,
            ok=(0, 1),
        )
    finally:
        for file in (known, empty, batch):
            await asyncio.to_thread(file.unlink, missing_ok=True)
    if outcome.code == 0:
        return True
    if any(word in outcome.stderr.lower() for word in ("delete", "remove")):
        return False
    raise Ended("code", "sftp", outcome)


async def _at_rest_server(settings: Settings, target: RestTarget, place: Place, login: tuple[str, str]) -> bool:
    """Data that cannot be there is deleted: an append-only server refuses before it looks."""
    url = f"{target.url.rstrip('/')}/data/{'0' * 64}"
    known = base64.b64encode(":".join(login).encode()).decode()
    status, _ = await _ask(settings, place, "DELETE", url, headers={"Authorization": f"Basic {known}"})
    if status in {403, 405}:
        return False
    if status < 300 or status == 404:
        return True
    raise _Odd(f"DELETE: ({status})")


async def _at_store(settings: Settings, target: S3Target, place: Place) -> bool:
    """Locked objects stay, whoever deletes them; else one is deleted that is not there.

    In a bucket that keeps versions, a mark of no size stays.
    """
    path = f"/{target.bucket}"
    status, text = await _ask_store(settings, target, place, "GET", path=path, query="object-lock=")
    if status == 200 and "<ObjectLockEnabled>Enabled<" in text and "<DefaultRetention>" in text:
        return False
    path += f"/{target.folder}/{PROBE}"
    status, text = await _ask_store(settings, target, place, "DELETE", path=path)
    if status == 403 and "AccessDenied" in text:
        return False
    if status < 300 or status == 404:
        return True
    raise _Odd(f"DELETE: ({status}) {text[:500]}")


async def _ask_store(
    settings: Settings, target: S3Target, place: Place, method: str, *, path: str, query: str = ""
) -> tuple[int, str]:
    url = urlsplit(target.endpoint)
    path = quote(url.path.rstrip("/") + path, safe="/-_.~")
    assert place.store is not None
    headers = signed(method, url.netloc, path, query, store=place.store, now=datetime.now(UTC))
    return await _ask(
        settings, place, method, f"{url.scheme}://{url.netloc}{path}?{query}".rstrip("?"), headers=headers
    )


def signed(
    method: str, host: str, path: str, query: str, *, store: tuple[str, str, str], now: datetime
) -> dict[str, str]:
    """The headers of a request without a body, signed as S3 wants it (AWS Signature Version 4)."""
    key, secret, region = store
    stamp, nothing = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(b"").hexdigest()
    headers = {"host": host, "x-amz-content-sha256": nothing, "x-amz-date": stamp}
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = hashlib.sha256("\n".join([method, path, query, lines, names, nothing]).encode()).hexdigest()
    scope = f"{stamp[:8]}/{region}/s3/aws4_request"
    signing = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        signing = hmac.digest(signing, part.encode(), "sha256")
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, request])
    signature = hmac.digest(signing, text.encode(), "sha256").hex()
    said = f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
    return headers | {"Authorization": said}


async def _ask(
    settings: Settings,
    place: Place,
    method: str,
    url: str,
    *,
    headers: dict[str, str] | None = None,
) -> tuple[int, str]:
    trust = await asyncio.to_thread(ssl.create_default_context, cafile=str(place.ca) if place.ca else None)
    around = urlsplit(url).hostname in settings.around_proxy
    async with (
        aiohttp.ClientSession(connector=outside(url), timeout=aiohttp.ClientTimeout(total=_PATIENCE)) as session,
        session.request(
            method,
            url,
            headers=headers,
            ssl=trust,
            proxy=None if around else settings.proxy,
            allow_redirects=False,
        ) as answer,
    ):
        return answer.status, await answer.text(errors="replace")

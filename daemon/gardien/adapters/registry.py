"""Image registries, by the distribution protocol: names of tags, and digests. Asked gently, and without a login."""

import asyncio
import hashlib
import json
import platform
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from gardien import __version__
from gardien.adapters.outside import outside, proxy_to
from gardien.errors import NotFound, RegistryBusy, RegistryFailed
from gardien.model.release import Tags
from gardien.model.settings import Settings
from gardien.words import N_

GAP = 1.0  # seconds between two questions to the same registry
PATIENCE = 30.0  # seconds for one answer
CERTIFICATES = Path("/etc/docker/certs.d")  # where Docker looks for a registry's own authority
_PAGE, _PAGES = 1000, 200  # tags asked for at once, pages of them at most
_LARGEST = 16 << 20  # bytes of an answer
_LEAST_REST, _REST, _LONGEST_REST = 60.0, 3600.0, 86400.0  # seconds to leave a registry alone that asks for it
_HOSTS = {"docker.io": "registry-1.docker.io"}  # where it really is
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # the kernel's word for a machine -> the registries'
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NEXT = re.compile(r"<([^>]*)>\s*;[^,]*\brel=\"?next\"?", re.IGNORECASE)
_PARAMETER = re.compile(r"([a-z_]+)=(?:\"([^\"]*)\"|([^\s,\"]+))", re.IGNORECASE)
_MANIFESTS = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(slots=True)
class _Place:
    """What is known of one registry while we live."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    scheme: str = ""  # found out at the first answer
    free_from: float = 0.0  # by the loop's clock: the gap between two questions
    busy_until: float = 0.0  # and until when it wants to be left alone
    tokens: dict[str, tuple[str, float]] = field(default_factory=dict)  # by scope: what lets us in, and until when


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    url: URL

    def json(self) -> dict[str, Any]:
        try:
            data = json.loads(self.body)
        except ValueError:
            return {}
        return data if isinstance(data, dict) else {}


class HttpRegistries:
    """The `Registries` of a real house. One question at a time to each registry, with a gap between."""

    def __init__(self, settings: Settings, gap: float = GAP, certificates: Path = CERTIFICATES) -> None:
        self._settings = settings
        self._gap = gap
        self._certificates = certificates
        self._places: dict[str, _Place] = {}

    async def tags(self, registry: str, name: str, known: Tags | None = None) -> Tags:
        """All tags of a repository; `known` itself if the registry says that they are the same."""
        marked = {"If-None-Match": known.mark} if known is not None and known.mark else {}
        answer = await self._ask(registry, name, "GET", f"{name}/tags/list?n={_PAGE}", marked)
        if answer.status == 304 and known is not None:
            return known
        mark = answer.headers.get("ETag", "")
        names: dict[str, None] = {}
        for _ in range(_PAGES):
            found = self._good(registry, name, answer).json().get("tags") or []
            if not isinstance(found, list):
                raise _odd(registry, "no list of tags")
            names |= dict.fromkeys(each for each in found if isinstance(each, str))
            link = _NEXT.search(answer.headers.get("Link", ""))
            if link is None:
                return Tags(tuple(names), mark)
            mark = ""  # it speaks of one page
            following = answer.url.join(URL(link[1], encoded=True))
            if following.origin() != answer.url.origin() or not following.path.startswith("/v2/"):
                raise _odd(registry, "a list of tags that goes on elsewhere")
            answer = await self._ask(registry, name, "GET", following.path_qs.removeprefix("/v2/"), {})
        raise _odd(registry, "a list of tags without an end")

    async def digest(self, registry: str, name: str, tag: str) -> str:
        """Of what stands behind a tag: the list of all platforms' images, where there is one. "sha256:…".

        By HEAD, which registries that count what is fetched do not count.
        """
        where, accept = f"{name}/manifests/{tag}", {"Accept": _MANIFESTS}
        answer = await self._ask(registry, name, "HEAD", where, accept)
        if answer.status != 405:
            told = self._good(registry, name, answer, tag).headers.get("Docker-Content-Digest", "")
            if _DIGEST.fullmatch(told):
                return told
        answer = self._good(registry, name, await self._ask(registry, name, "GET", where, accept), tag)
        digest = _digest_of(answer.body)
        if answer.headers.get("Docker-Content-Digest", digest) != digest:
            raise _odd(registry, "a manifest that is not what it is said to be")
        return digest

    async def size(self, registry: str, name: str, digest: str) -> int:
        """Bytes that this machine's image of it takes to be fetched whole. Raises NotFound if there is none for it."""
        manifest = await self._manifest(registry, name, digest)
        if isinstance(every := manifest.get("manifests"), list):
            ours = [each["digest"] for each in every if _suits(each.get("platform"))]
            if not ours:
                raise NotFound(
                    N_("{image} is not made for machines like this one"),
                    N_("Stay with the present version; its makers may bring one later."),
                    image=f"{registry}/{name}",
                )
            manifest = await self._manifest(registry, name, str(ours[0]))
        layers = manifest.get("layers")
        if not isinstance(layers, list):
            raise _odd(registry, "a manifest without layers")
        return sum({str(each["digest"]): int(each["size"]) for each in layers}.values())

    async def _manifest(self, registry: str, name: str, digest: str) -> dict[str, Any]:
        answer = await self._ask(registry, name, "GET", f"{name}/manifests/{digest}", {"Accept": _MANIFESTS})
        if _digest_of(self._good(registry, name, answer, digest).body) != digest:
            raise _odd(registry, "a manifest that is not what it is said to be")
        return answer.json()

    def _good(self, registry: str, name: str, answer: _Answer, tag: str = "") -> _Answer:
        """The same, if it is one that was hoped for."""
        if answer.status == 200:
            return answer
        image = f"{registry}/{name}" + (f":{tag}" if tag else "")
        if answer.status == 404:
            raise NotFound(
                N_("{registry} has no image {image}"),
                N_("Look at the image's name in the stack's settings."),
                registry=registry,
                image=image,
            )
        if answer.status in (401, 403):
            raise RegistryFailed(
                N_("{registry} shows {image} only to those who log in"),
                N_("gardien asks without a password: it can follow only images that everybody may see."),
                registry=registry,
                image=image,
            )
        raise _odd(registry, f"status {answer.status}")

    async def _ask(self, registry: str, name: str, method: str, path: str, headers: Mapping[str, str]) -> _Answer:
        """One question, and another one with what lets us in, if it is asked for that."""
        place = self._places.setdefault(registry, _Place())
        async with place.turn:
            scope = f"repository:{name}:pull"
            now = asyncio.get_running_loop().time()
            token, until = place.tokens.get(scope, ("", 0.0))
            sent = {**headers, "Authorization": f"Bearer {token}"} if until > now else dict(headers)
            answer = await self._send(registry, place, method, path, sent)
            if answer.status == 401 and (challenge := answer.headers.get("WWW-Authenticate", "")):
                token = await self._token(registry, place, challenge, scope)
                answer = await self._send(
                    registry, place, method, path, {**headers, "Authorization": f"Bearer {token}"}
                )
            return answer

    async def _token(self, registry: str, place: _Place, challenge: str, scope: str) -> str:
        """What lets everybody in, from whom the registry names."""
        kind, _, rest = challenge.partition(" ")
        told = {key.lower(): quoted or bare for key, quoted, bare in _PARAMETER.findall(rest)}
        if kind.lower() != "bearer" or "realm" not in told:
            raise RegistryFailed(
                N_("{registry} wants a name and a password"),
                N_("gardien asks without: it can follow only images that everybody may see."),
                registry=registry,
            )
        try:
            realm = URL(told["realm"])
        except ValueError:
            raise _odd(registry, "no address to ask for a token") from None
        if realm.scheme != "https" and not (realm.scheme == place.scheme == "http" and _is_here(realm.host or "")):
            raise _odd(registry, "an address for tokens that anybody could listen to")
        query = {"scope": told.get("scope", scope)} | ({"service": told["service"]} if "service" in told else {})
        answer = await self._through(registry, place, "GET", realm.update_query(query), {})
        given = answer.json()
        token = given.get("token") or given.get("access_token")
        if answer.status != 200 or not isinstance(token, str) or not re.fullmatch(r"[\x21-\x7e]+", token):
            raise _odd(registry, f"status {answer.status}, and no token")
        lasts = given.get("expires_in")
        lasts = min(float(lasts), 3600.0) if isinstance(lasts, int | float) else 60.0
        place.tokens[scope] = (token, asyncio.get_running_loop().time() + 0.8 * lasts)
        return token

    async def _send(self, registry: str, place: _Place, method: str, path: str, headers: Mapping[str, str]) -> _Answer:
        """One question to the registry itself: over TLS; in the clear only on this very machine, as Docker does."""
        host = _HOSTS.get(registry, registry)
        schemes = [place.scheme] if place.scheme else ["https", "http"] if _is_here(_hostname(host)) else ["https"]
        for scheme in schemes[:-1]:
            try:
                answer = await self._through(registry, place, method, _url(scheme, host, path), headers)
            except RegistryBusy:
                raise
            except RegistryFailed:
                continue
            place.scheme = scheme
            return answer
        answer = await self._through(registry, place, method, _url(schemes[-1], host, path), headers)
        place.scheme = schemes[-1]
        return answer

    async def _through(
        self, registry: str, place: _Place, method: str, url: URL, headers: Mapping[str, str]
    ) -> _Answer:
        """One request, in its time. Nothing is followed elsewhere."""
        loop = asyncio.get_running_loop()
        if place.busy_until > loop.time():
            raise _busy(registry, place.busy_until - loop.time())
        await asyncio.sleep(max(0.0, place.free_from - loop.time()))
        context = await asyncio.to_thread(_authority, self._certificates / registry)
        proxy = proxy_to(self._settings, url.host)
        try:
            async with (
                _session(str(url), context) as session,
                session.request(method, url, headers=headers, proxy=proxy, allow_redirects=False) as answer,
            ):
                if answer.status in (429, 503):
                    seconds = _rest(answer.headers.get("Retry-After"))
                    place.busy_until = loop.time() + seconds
                    raise _busy(registry, seconds)
                body = bytearray()
                async for chunk in answer.content.iter_any():
                    body += chunk
                    if len(body) > _LARGEST:
                        raise _odd(registry, "an answer without an end")
                return _Answer(answer.status, answer.headers.copy(), bytes(body), url)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise RegistryFailed(
                N_("the image registry {registry} cannot be reached"),
                N_("gardien asks again by itself. Look at the internet connection, and at `proxy` in gardien.yaml."),
                detail=f"{type(error).__name__}: {error}",
                registry=registry,
            ) from error
        finally:
            place.free_from = loop.time() + self._gap


def _session(url: str, context: ssl.SSLContext) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=outside(url, trust=context, force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=PATIENCE),
        headers={"User-Agent": f"gardien/{__version__}"},
    )


def _authority(folder: Path) -> ssl.SSLContext:
    """Whose word for a registry's certificate is taken: everybody's, and that of its own authority, as Docker does."""
    context = ssl.create_default_context()
    for file in sorted(folder.glob("*.crt")) if folder.is_dir() else ():
        context.load_verify_locations(file)
    return context


def _digest_of(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()


def _suits(kind: Mapping[str, str] | None) -> bool:
    """Whether an image of this kind runs on this machine."""
    machine = platform.machine()
    wanted = _ARCHITECTURES.get(machine, machine)
    return kind is not None and (kind.get("os"), kind.get("architecture")) == ("linux", wanted)


def _url(scheme: str, host: str, path: str) -> URL:
    return URL(f"{scheme}://{host}/v2/{path}", encoded=True)


def _hostname(host: str) -> str:
    return URL(f"https://{host}").host or ""


def _is_here(hostname: str) -> bool:
    try:
        return hostname == "localhost" or ip_address(hostname).is_loopback
    except ValueError:
        return False


def _rest(told: str | None) -> float:
    """How many seconds to wait, by a `Retry-After`: a number of them, or a date."""
    seconds = _REST
    if told is not None and told.strip().isdecimal():
        seconds = float(told)
    elif told is not None:
        try:
            date = parsedate_to_datetime(told)
            seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
        except ValueError:
            pass
    return min(max(seconds, _LEAST_REST), _LONGEST_REST)


def _busy(registry: str, seconds: float) -> RegistryBusy:
    return RegistryBusy(
        N_("the image registry {registry} has been asked too often from here"),
        N_("Nothing is to be done: gardien waits for {minutes} minutes, then asks again by itself."),
        seconds=seconds,
        registry=registry,
        minutes=max(1, round(seconds / 60)),
    )


def _odd(registry: str, detail: str) -> RegistryFailed:
    return RegistryFailed(
        N_("the image registry {registry} does not answer as one should"),
        N_("gardien asks again by itself. If it stays so, look at `mirrors` in gardien.yaml."),
        detail=detail,
        registry=registry,
    )

"""A real image registry on loopback, Debian's `docker-registry`, and a front before it that can be unpleasant."""

import asyncio
import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
import threading
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.error import HTTPError

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.world.sftp import free_port

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEX = "application/vnd.oci.image.index.v1+json"
HERE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
TOKEN = "of-the-test"


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _layer(content: bytes) -> tuple[bytes, bytes]:
    """One with one file; and how it travels."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue(), gzip.compress(packed.getvalue(), 1, mtime=0)


class RegistryHost:
    """The registry; what is put there stays in `room`. After `stop`, `start` listens again on the same port."""

    def __init__(self, room: Path) -> None:
        """Nothing listens yet."""
        room.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.log = room / "registry.log"
        self._config = room / "registry.yml"
        self._running: subprocess.Popen[bytes] | None = None
        config = {
            "version": "0.1",
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(room / "images")}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
        }
        self._config.write_text(json.dumps(config))  # JSON is YAML

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def name(self) -> str:
        """As it stands in an image's name."""
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, and come back when it answers. Raises RuntimeError with its own words."""
        if self._running is not None:
            return
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                ["docker-registry", "serve", str(self._config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and self._running.poll() is None:
            try:
                with urllib.request.urlopen(f"http://{self.name}/v2/", timeout=2):
                    return
            except OSError:
                time.sleep(0.05)
        self.stop()
        raise RuntimeError(self.log.read_text()[-2000:])

    def stop(self) -> None:
        if self._running is not None:
            self._running.terminate()
            self._running.wait(10)
            self._running = None

    def put(self, name: str, tag: str, content: bytes = b"", platforms: Sequence[str] = ()) -> str:
        """An image whose one layer holds one file; with `platforms` a list of such, one for each. The digest."""
        if not platforms:
            return self._put_manifest(name, tag, MANIFEST, self._image(name, content, HERE))
        images = {each: self._image(name, content, each) for each in platforms}
        index = {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                {
                    "mediaType": MANIFEST,
                    "digest": self._put_manifest(name, digest_of(image), MANIFEST, image),
                    "size": len(image),
                    "platform": {"os": "linux", "architecture": each},
                }
                for each, image in images.items()
            ],
        }
        return self._put_manifest(name, tag, INDEX, json.dumps(index).encode())

    def put_above(self, name: str, base: str, tag: str, content: bytes, environment: Mapping[str, str]) -> str:
        """`base`, a tag that was pushed, and above it a layer which holds one file, and more variables. The digest."""
        manifest = json.loads(self._get(f"/v2/{name}/manifests/{base}", MANIFEST))
        config = json.loads(self._get(f"/v2/{name}/blobs/{manifest['config']['digest']}", "*/*"))
        unpacked, layer = _layer(content)
        config["rootfs"]["diff_ids"].append(digest_of(unpacked))
        config.setdefault("history", []).append({"created_by": "a test"})
        config["config"]["Env"] = [
            *(config["config"].get("Env") or ()),
            *(f"{key}={value}" for key, value in environment.items()),
        ]
        told = json.dumps(config).encode()
        manifest["config"] |= {"size": len(told), "digest": self._put_blob(name, told)}
        kind = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        manifest["layers"].append({"mediaType": kind, "size": len(layer), "digest": self._put_blob(name, layer)})
        return self._put_manifest(name, tag, MANIFEST, json.dumps(manifest).encode())

    def last_layer(self, name: str, tag: str) -> str:
        """The digest of an image's uppermost layer."""
        return str(json.loads(self._get(f"/v2/{name}/manifests/{tag}", MANIFEST))["layers"][-1]["digest"])

    def blob(self, digest: str) -> Path:
        """Where it keeps that one."""
        kind, _, number = digest.partition(":")
        folder = self._config.with_name("images") / "docker/registry/v2/blobs"
        return folder / kind / number[:2] / number / "data"

    def _get(self, path: str, accepted: str) -> bytes:
        request = urllib.request.Request(f"http://{self.name}{path}", headers={"Accept": accepted})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())

    def _image(self, name: str, content: bytes, architecture: str) -> bytes:
        unpacked, layer = _layer(content)
        config = json.dumps(
            {
                "architecture": architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(unpacked)]},
            }
        ).encode()
        parts = {"application/vnd.docker.container.image.v1+json": config}
        parts["application/vnd.docker.image.rootfs.diff.tar.gzip"] = layer
        described = [
            {"mediaType": kind, "size": len(data), "digest": self._put_blob(name, data)} for kind, data in parts.items()
        ]
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0], "layers": described[1:]}
        return json.dumps(manifest).encode()

    def _put_blob(self, name: str, data: bytes) -> str:
        where = self._call("POST", f"/v2/{name}/blobs/uploads/", b"", {})["Location"].split(self.name)[-1]
        mark = "&" if "?" in where else "?"
        self._call("PUT", f"{where}{mark}digest={digest_of(data)}", data, {"Content-Type": "application/octet-stream"})
        return digest_of(data)

    def _put_manifest(self, name: str, reference: str, kind: str, manifest: bytes) -> str:
        self._call("PUT", f"/v2/{name}/manifests/{reference}", manifest, {"Content-Type": kind})
        return digest_of(manifest)

    def _call(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> Mapping[str, str]:
        request = urllib.request.Request(f"http://{self.name}{path}", data, dict(headers), method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return dict(answer.headers)
        except HTTPError as error:
            raise RuntimeError(error.read().decode()) from error


@dataclass
class Front:
    """What stands before a registry. It hands on what it is asked, and is as pleasant as it is told to be."""

    behind: str  # the registry's name
    tokens: bool = False  # whether one has to come with a token
    page: int = 0  # so many tags at once; 0: all
    marks: bool = False  # whether a list of tags bears a mark
    busy: str | None = None  # answer 429 with this `Retry-After`, where it is no ""
    broken: set[str] = field(default_factory=set)  # blobs that are cut in the middle
    refused: dict[str, int] = field(default_factory=dict)  # blobs that it answers so, with a `Retry-After`
    swapped: dict[str, str] = field(default_factory=dict)  # what it gives where something else is asked for
    silent: set[str] = field(default_factory=set)  # headers it leaves out
    elsewhere: bool = False  # whether a list goes on at another machine
    asked: list[tuple[str, str]] = field(default_factory=list)  # method, path
    at: list[float] = field(default_factory=list)  # when
    name: str = ""  # its own

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        self.at.append(asyncio.get_running_loop().time())
        if request.path == "/token":
            return web.json_response({"token": TOKEN, "expires_in": 300})
        if self.busy is not None:
            return web.Response(status=429, headers={"Retry-After": self.busy} if self.busy else {})
        if self.tokens and request.headers.get("Authorization") != f"Bearer {TOKEN}":
            challenge = f'Bearer realm="http://{self.name}/token",service="test, of \'it\'",scope="repository:x:pull"'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        if (status := self.refused.get(request.path.rpartition("/")[2])) is not None:
            return web.Response(status=status, headers={"Retry-After": "60"})
        return await self._hand_on(request)

    async def _hand_on(self, request: web.Request) -> web.StreamResponse:
        headers = {key: value for key, value in request.headers.items() if key in ("Accept", "Range")}
        folder, _, last = request.path_qs.rpartition("/")
        path = f"{folder}/{self.swapped.get(last, last)}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(request.method, f"http://{self.behind}{path}", headers=headers) as answer,
        ):
            body = await answer.read()
            kept = {"Content-Type", "Docker-Content-Digest", "ETag"} - self.silent
            told = {key: value for key, value in answer.headers.items() if key in kept}
            if request.path.endswith("/tags/list") and answer.status == 200:
                return self._tags(request, json.loads(body), told)
            if request.path.rpartition("/")[2] in self.broken:
                return await self._cut(request, body)
            if request.method == "HEAD":
                told["Content-Length"] = answer.headers.get("Content-Length", "0")
            return web.Response(status=answer.status, body=body, headers=told)

    async def _cut(self, request: web.Request, body: bytes) -> web.StreamResponse:
        """Half of it, and then nothing more."""
        response = web.StreamResponse(headers={"Content-Length": str(len(body))})
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        assert request.transport is not None
        request.transport.close()
        return response

    def _tags(self, request: web.Request, data: dict[str, list[str]], headers: dict[str, str]) -> web.Response:
        names = sorted(data["tags"] or [])
        headers.pop("Content-Type")
        if self.marks:
            headers["ETag"] = '"' + hashlib.sha256(" ".join(names).encode()).hexdigest() + '"'
            if request.headers.get("If-None-Match") == headers["ETag"]:
                return web.Response(status=304, headers={"ETag": headers["ETag"]})
        if self.page:
            last = request.query.get("last", "")
            rest = [each for each in names if each > last]
            names = rest[: self.page]
            if len(rest) > self.page:
                there = "http://192.0.2.1" if self.elsewhere else ""
                headers["Link"] = f'<{there}{request.path}?last={names[-1]}&n={self.page}>; rel="next"'
        return web.json_response({**data, "tags": names}, headers=headers)


@asynccontextmanager
async def front(behind: RegistryHost, **how: object) -> AsyncIterator[Front]:
    """A front before the registry; its name is what stands in an image's."""
    made = Front(behind.name, **how)  # type: ignore[arg-type]
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    async with TestServer(app) as server:
        made.name = f"127.0.0.1:{server.port}"
        yield made


@contextmanager
def front_aside(behind: RegistryHost) -> Iterator[Front]:
    """The same for a test that does not wait for anything itself: in a thread."""
    ready, over, made = threading.Event(), asyncio.Event(), list[tuple[Front, asyncio.AbstractEventLoop]]()

    async def stand() -> None:
        async with front(behind) as it:
            made.append((it, asyncio.get_running_loop()))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(stand()))
    thread.start()
    try:
        assert ready.wait(20), "there is no front"
        yield made[0][0]
    finally:
        for _, loop in made:
            loop.call_soon_threadsafe(over.set)
        thread.join(20)

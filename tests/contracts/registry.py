"""An image registry on loopback, with one image in it: enough of the distribution protocol to pull from."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.test_utils import TestServer

MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def registry(name: str, content: bytes) -> AsyncIterator[str]:
    """Serves the image `name:1`, whose one layer holds one file with this content; yields the image's full name."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("content")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(packed.getvalue(), 1)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [_digest(packed.getvalue())]},
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(config),
                "digest": _digest(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": len(layer),
                    "digest": _digest(layer),
                }
            ],
        }
    ).encode()
    blobs = {_digest(config): config, _digest(layer): layer}

    async def ping(_: web.Request) -> web.Response:
        return web.json_response({})

    async def give_manifest(request: web.Request) -> web.Response:
        if request.match_info["name"] != name or request.match_info["tag"] not in {"1", _digest(manifest)}:
            error = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
            return web.json_response({"errors": [error]}, status=404)
        headers = {"Docker-Content-Digest": _digest(manifest)}
        return web.Response(body=manifest, content_type=MANIFEST_TYPE, headers=headers)

    async def give_blob(request: web.Request) -> web.Response:
        return web.Response(body=blobs[request.match_info["digest"]], content_type="application/octet-stream")

    app = web.Application()
    app.router.add_get("/v2/", ping)
    app.router.add_get("/v2/{name}/manifests/{tag}", give_manifest)
    app.router.add_get("/v2/{name}/blobs/{digest}", give_blob)
    async with TestServer(app) as server:
        yield f"127.0.0.1:{server.port}/{name}:1"

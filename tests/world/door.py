"""The shipped door under plain Compose, in a folder of its own: no line of gardien but the Caddyfile runs here."""

import dataclasses
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from ruamel.yaml import YAML

from gardien.model.manifest import Manifest
from gardien.rules.caddyfile import Front, Site, caddyfile
from tests.world.box import IMAGES, docker, free_port

SHIPPED = Path(__file__).parents[2] / "compose" / "gateway"
MANIFEST = Manifest.model_validate(YAML(typ="safe").load(SHIPPED / "compose.yaml")["x-gardien"])
ALL_WELL = {"names without a valid certificate": ""}


class Door:
    """`compose/gateway` as a project of its own; its ports are free ones of this machine."""

    def __init__(self, folder: Path, front: Front) -> None:
        shutil.copytree(SHIPPED, folder / "stack")
        self.folder = folder
        self.project = f"door-{uuid.uuid4().hex[:8]}"
        self.front = dataclasses.replace(front, http_port=free_port(), https_port=free_port())
        self.files = ["compose.yaml"]
        self.settings = {
            "CADDY_IMAGE": IMAGES["CADDY_IMAGE"],
            "DOOR_HTTP_PORT": str(self.front.http_port),
            "DOOR_HTTPS_PORT": str(self.front.https_port),
            "DATA": str(folder),
        }
        for name, wanted in MANIFEST.folders.items():
            (folder / name).mkdir(mode=int(wanted.mode, 8))

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def root(self) -> Path:
        assert MANIFEST.door is not None
        return self.folder / MANIFEST.door.root

    def compose(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        files = [word for file in self.files for word in ("-f", file)]
        done = subprocess.run(
            ["docker", "compose", "-p", self.project, *files, *argv],
            cwd=self.folder / "stack",
            env={**os.environ, **self.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def inside(self, argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return self.compose("exec", "-T", "door", *argv, check=False)

    def up(self, sites: Sequence[Site] = ()) -> None:
        (self.config / "Caddyfile").write_text(caddyfile(self.front, sites))
        self.compose("up", "--detach", "--wait")

    def change(self, text: str, *, wait: bool = True) -> None:
        """As the manifest says: written beside, checked, put in its place, read again."""
        assert MANIFEST.door is not None
        (self.config / "Caddyfile.new").write_text(text)
        for argv in (MANIFEST.door.check, MANIFEST.door.reload):
            done = self.inside(argv)
            assert done.returncode == 0, done.stderr
            if argv is MANIFEST.door.check:
                (self.config / "Caddyfile.new").rename(self.config / "Caddyfile")
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until every name has its certificate: Caddy makes them after it took the new file."""
        deadline = time.monotonic() + 30
        while self.health() != ALL_WELL:
            assert time.monotonic() < deadline, self.health()

    @property
    def address(self) -> str:
        """Of its container."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return docker("inspect", "--format", form, f"{self.project}-door-1").strip()

    @property
    def gateway(self) -> str:
        """This machine's own address in the project's network."""
        form = "{{(index .IPAM.Config 0).Gateway}}"
        return docker("network", "inspect", "--format", form, f"{self.project}_default").strip()

    def health(self) -> Any:
        done = self.inside(MANIFEST.probes["door"].argv)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def down(self) -> None:
        self.compose("down", "--volumes", "--timeout", "5", check=False)

    def url(self, name: str, path: str = "/") -> str:
        return f"https://{name}:{self.front.https_port}{path}"

    @asynccontextmanager
    async def visitor(
        self, root: Path | None = None, address: str = "127.0.0.1"
    ) -> AsyncIterator[aiohttp.ClientSession]:
        """Somebody for whom every name is at one address. Trusts one root certificate, by default the house's."""
        trust = ssl.create_default_context(cafile=str(root or self.root))
        connector = aiohttp.TCPConnector(ssl=trust, resolver=Always(address))
        patience = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False, timeout=patience) as session:
            yield session


class Always(AbstractResolver):
    """Every name is at one address."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del family
        inet = socket.AF_INET
        return [{"hostname": host, "host": self._address, "port": port, "family": inet, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        pass

"""Where the contract of Docker is tried: a real engine, and memory. The stack has a web server and a companion."""

import os
import secrets
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

from gardien.adapters.compose import ComposeCli
from gardien.adapters.engine import DockerEngine
from gardien.adapters.files import LocalFiles
from gardien.model.manifest import Manifest
from gardien.model.settings import Docker, Folders, Limits, Settings
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.services.ports import Files
from gardien.services.ports_docker import Compose, Engine
from tests.fakes import FakeClock, FakeCompose, FakeDocker, FakeEngine, FakeFiles, FakeHost, Leaf
from tests.world.box import docker, free_port

IMAGE = "gardien-test/busybox:1"
GONE = "gardien-test/gone:1"

COMPOSE = """
services:
  web:
    image: ${WEB_IMAGE:-gardien-test/busybox:1}
    command: [httpd, -f, -p, "80", -h, /srv]
    stop_grace_period: 0.1s
    ports: ["127.0.0.1:${PORT}:80"]
    healthcheck: {test: [CMD, test, "${MOOD}", "!=", sick], interval: 0.2s, retries: 1}
    depends_on: {side: {condition: service_started}}
    volumes:
      - {type: bind, source: "${DATA}/srv", target: /srv, bind: {create_host_path: false}}
      - kept:/kept
    networks: [default, door]
  side:
    image: gardien-test/busybox:1
    command: [sleep, infinity]
    stop_grace_period: 0.1s
volumes: {kept: {}}
networks: {door: {}}
x-gardien: {pattern: "$$"}
"""

MANIFEST = Manifest.model_validate(
    {
        "format": 1,
        "title": {"en": "Page", "fr": "Page"},
        "summary": {"en": "A page.", "fr": "Une page."},
        "settings": {
            "PORT": {"kind": "port", "default": "8080", "ask": {"en": "Port", "fr": "Port"}},
            "MOOD": {"kind": "text", "default": "good", "ask": {"en": "Mood", "fr": "Humeur"}},
            "DOMAIN": {"kind": "domain", "default": "page.home.arpa", "ask": {"en": "Name", "fr": "Nom"}},
        },
        "routes": [{"name": "DOMAIN", "to": "web:80"}],
        "folders": {"srv": {"mode": "0755"}},
        "probes": {"web": {"http": "http://127.0.0.1:{PORT}/"}},
        "backup": {"save": ["srv"]},
    }
)

# The owner's own project, without `x-gardien`.
OWN = """
services:
  page: {image: "gardien-test/busybox:1", command: [sleep, infinity], stop_grace_period: 0.1s}
"""
OWN_MANIFEST = MANIFEST.model_copy(update={"settings": {}, "folders": {}, "routes": ()})


@dataclass
class Dock:
    """An engine with Compose, and a stack deployed on it."""

    compose: Compose
    engine: Engine
    files: Files
    settings: Settings
    fake: FakeDocker | None = None
    made: list[str] = field(default_factory=list)  # the stacks

    def stack(self, **settings: str) -> Stack:
        """A stack that is not there yet; `WEB_IMAGE` chooses its image."""
        images = {name: settings.pop(name) for name in ("WEB_IMAGE",) if name in settings}
        name = f"page{secrets.token_hex(3)}"
        self.made.append(name)
        recipe = Recipe(
            name=name,
            folder=Path("/nowhere"),
            services={"web": "${WEB_IMAGE:-gardien-test/busybox:1}", "side": IMAGE},
            image_defaults={"WEB_IMAGE": IMAGE},
            manifest=MANIFEST,
        )
        chosen = Chosen(settings={"PORT": str(free_port()), **settings}, images=images)
        return Stack(recipe, chosen, f"gt-{name}", self.settings.folders.data / name)

    async def own(self, file: str = "compose.yaml", text: str = OWN, *services: str) -> Stack:
        """The owner's own project, laid out where it runs."""
        name = f"own{secrets.token_hex(3)}"
        self.made.append(name)
        folder = self.settings.folders.owner / "stacks" / name
        await self.files.make_folder(folder, (os.getuid(), os.getgid()), 0o755)
        await self.files.write(folder / file, text)
        images = dict.fromkeys(services or ("page",), IMAGE)
        recipe = Recipe(name=name, folder=folder, services=images, image_defaults={}, manifest=OWN_MANIFEST, kept=False)
        return Stack(recipe, Chosen(), f"gt-{name}", self.settings.folders.data / name)

    async def deploy(self, stack: Stack) -> Stack:
        """Lay it out; again, after its settings were changed."""
        me = (os.getuid(), os.getgid())
        for folder, mode in ((stack.home, 0o711), (stack.home / "srv", 0o755), (stack.compose, 0o700)):
            await self.files.make_folder(folder, me, mode)
        await self.files.write(stack.compose / "compose.yaml", COMPOSE)
        lines = {**stack.settings, **stack.images, "DATA": str(stack.home)}
        await self.files.write(stack.compose / ".env", "".join(f"{name}={value}\n" for name, value in lines.items()))
        return stack

    async def configs(self, stack: Stack) -> dict[str, str]:
        """Service -> hash of what its container was made from."""
        return {each.service: each.config for each in await self.engine.containers([stack.project])}

    async def states(self, stack: Stack) -> dict[str, tuple[str, str]]:
        """Service -> state and health."""
        return {each.service: (each.state, each.health) for each in await self.engine.containers([stack.project])}

    @contextmanager
    def taken(self, port: str) -> Iterator[None]:
        """Somebody else listens there."""
        if self.fake is not None:
            self.fake.host.taken[int(port)] = "somebody"
            yield
            del self.fake.host.taken[int(port)]
            return
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", int(port)))
            listener.listen()
            yield

    def sicken(self, stack: Stack) -> Stack:
        """The same stack, with a web server that never gets well."""
        if self.fake is not None:
            self.fake.sick.add("web")
        return replace(stack, chosen=Chosen(settings={**stack.chosen.settings, "MOOD": "sick"}))


def settings_in(root: Path) -> Settings:
    address = Path(os.environ.get("DOCKER_HOST", "/var/run/docker.sock").removeprefix("unix://"))
    return Settings(
        folders=Folders(data=root / "data", state=root / "state", run=root / "run", owner=root / "owner"),
        docker=Docker(socket=address),
        limits=Limits(healthy=30),
    )


@contextmanager
def real_dock(root: Path) -> Iterator[Dock]:
    """On the tests' own engine; whatever was made on it is removed in the end."""
    make_image()
    settings = settings_in(root)
    root.chmod(0o711)
    for folder in (settings.folders.data, settings.folders.state):
        folder.mkdir(mode=0o711)
    engine = DockerEngine(settings.docker.socket)
    dock = Dock(ComposeCli(settings), engine, LocalFiles(), settings)
    try:
        yield dock
    finally:
        engine.close()
        for name in dock.made:
            if containers := docker("ps", "-aq", "--filter", label(name)).split():
                docker("rm", "-f", *containers)
            for kind in ("network", "volume"):
                if left := docker(kind, "ls", "-q", "--filter", label(name)).split():
                    docker(kind, "rm", *left)


def label(name: str) -> str:
    return f"label=com.docker.compose.project=gt-{name}"


def fake_dock(root: Path) -> Dock:
    settings = settings_in(root)
    files = FakeFiles(FakeClock())
    files.put(settings.folders.data, Leaf(None, 0o711))
    fake = FakeDocker(FakeHost(), files)
    fake.images.add(IMAGE)
    return Dock(FakeCompose(fake), FakeEngine(fake), files, settings, fake)


def make_image() -> None:
    """A static busybox and nothing else."""
    if docker("image", "ls", "-q", IMAGE).strip():
        return
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.add("/bin/busybox", "bin/busybox")
        for name in ("sh", "sleep", "echo", "cat", "false", "true", "httpd", "test", "id", "head", "yes"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    subprocess.run(["docker", "import", "-", IMAGE], input=packed.getvalue(), check=True, capture_output=True)

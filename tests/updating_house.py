"""A house in memory whose one application has versions: each behaves in its own way, and changes the data it finds."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gardien.app import household
from gardien.errors import CommandFailed
from gardien.model.job import Job
from gardien.services.house import House
from tests.fakes import FakeApp, FakeNeighbours, Leaf
from tests.memory_house import STACK, Home, memory_house
from tests.world.notes import compose_file

REPOSITORY = "docker.io/gardien-test/busybox"
FIRST = "1.0.0"  # the tag that the stack is added with
UPDATES = """  updates:
    images:
      BUSYBOX_IMAGE:
        tags: '^(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)$$'
        majors: one-at-a-time
        version:
          http: "http://127.0.0.1:{NOTES_PORT}/health.json"
          expect: {json: {version: "{VERSION}"}}
        gave_up: {http: "http://127.0.0.1:{NOTES_PORT}/health.json", expect: {json: {gave_up: true}}}
    patience: 300
    busy:
      http: "http://127.0.0.1:{NOTES_PORT}/health.json"
      expect: {json: {call: true}}
    after: [{exec: app, argv: [echo, after]}]
"""


@dataclass
class Ledger(FakeApp):
    """Its rows are its database; a version that finds those of a former one writes a mark behind each. The former one
    does not start on them any more.
    """

    fakes: FakeNeighbours
    rows: list[str] = field(default_factory=lambda: ["Anna 10:00", "Bertrand 11:00"])
    schema: str = FIRST
    call: bool = False
    paused: bool = False
    ran: list[str] = field(default_factory=list)
    moods: dict[str, Callable[[], dict[str, Any]]] = field(default_factory=dict)  # tag -> what it says otherwise

    @property
    def project(self) -> str:
        return f"gardien-{STACK}"

    @property
    def tag(self) -> str:
        """Which version runs."""
        image = self.fakes.docker.containers[self.project, "app"].image
        return image.partition("@")[0].rpartition(":")[2]

    def run(self, service: str, argv: Sequence[str], user: str | None, text: str) -> str:
        line = " ".join(argv)
        self.ran.append(line)
        if argv[0] == "echo":
            if "after" in self.moods.get(self.tag, dict)():
                raise CommandFailed("a command inside the service {service} failed", service=service)
            return "after\n"
        if argv[0] == "cat":
            return "\n".join([self.schema, *self.rows, "-- whole\n"])
        if "cat >" in line:
            self.schema, *self.rows = [row for row in text.splitlines() if row and not row.startswith("--")]
        elif "paused" in line:
            self.paused = "echo paused" in line
        return ""

    def page(self) -> tuple[int, bytes]:
        tag = self.tag
        if _numbers(tag) > _numbers(self.schema):
            self.rows = [f"{row} as of {tag}" for row in self.rows]
            self.schema = tag
            self.fakes.files.put(self.srv / "schema", Leaf(tag, 0o644))
        says = {"ok": tag == self.schema, "version": tag, "call": self.call}
        return 200, json.dumps(says | self.moods.get(tag, dict)()).encode()

    @property
    def srv(self) -> Path:
        return self.fakes.world.settings.folders.data / STACK / "srv"

    def dies(self) -> None:
        """A service of it ends by itself, and Docker starts it again."""
        container = self.fakes.docker.containers[self.project, "app"]
        self.fakes.docker.tell(container, "died")


@dataclass
class Updating:
    """The house, its application, and what its makers put at the registry."""

    home: Home
    app: Ledger

    @property
    def fakes(self) -> FakeNeighbours:
        return self.home.fakes

    @property
    def house(self) -> House:
        return self.home.house

    def release(self, tag: str, content: str = "", **says: Any) -> str:
        """A new version is there. `says`: what its page says otherwise. Its digest."""
        digest = self.fakes.registries.put(REPOSITORY, tag, content)
        self.fakes.docker.registry.add(f"gardien-test/busybox:{tag}@{digest}")
        if says:
            self.app.moods[tag] = lambda: says
        return digest

    async def update(self, version: str | None = None) -> Job:
        """Look, run, wait."""
        await self.house.releases.look()
        return await self.home.end(await self.house.updates.run(STACK, None, version))

    def runs(self) -> tuple[str, list[str], str | None]:
        """The version that runs, the rows of its database, and a file it keeps."""
        schema = self.fakes.files.leaves.get(self.app.srv / "schema")
        return self.app.tag, self.app.rows, schema.text if schema is not None else None

    async def is_well(self) -> bool:
        await self.house.watch.look()
        return (await self.fakes.store.healths())[STACK].health == "well"

    def reborn(self, **more: Any) -> "Updating":
        """After the death of the daemon."""
        return Updating(Home(self.fakes, household(self.fakes.world, **more)), self.app)


def _numbers(tag: str) -> list[int]:
    return [int(each) for each in tag.split(".")]


@asynccontextmanager
async def updating_house(root: Path, patch: pytest.MonkeyPatch, **settings: Any) -> AsyncIterator[Updating]:
    """Time passes by a second with each look at a new version."""
    seconds = iter(range(10**9))
    patch.setattr("gardien.services.trial._now", lambda: float(next(seconds)))
    patch.setattr("gardien.services.trial.ASK_EVERY", 0.0)
    patch.setattr("gardien.services.way_back.TRY_EVERY", 0.01)
    patch.setattr("gardien.services.runner.UNDO_PAUSES", (0.0, 0.0))
    text = compose_file(more=UPDATES).replace("busybox:1}", f"busybox:{FIRST}}}")
    async with memory_house(root, patch, {"near": {}}, text=text, **settings) as home:
        app = Ledger(home.fakes)
        home.fakes.docker.apps[STACK] = app
        home.fakes.registries.put(REPOSITORY, FIRST)
        yield Updating(home, app)

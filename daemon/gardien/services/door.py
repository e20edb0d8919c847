"""Keeps the house's door: one Caddy that leads every name to its application, and to no other.

What it should answer follows from the stacks and the journal alone, so it is worked out anew whenever something moved;
nothing is remembered that a crash could lose.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

from gardien.errors import GardienError
from gardien.model.job import Job
from gardien.model.stack import Stack
from gardien.rules import caddyfile, names
from gardien.rules.caddyfile import Front, Site, State
from gardien.rules.verdict import Owed
from gardien.services import joins
from gardien.services.feed import Feed
from gardien.services.ports import World
from gardien.services.stacks import Stacks
from gardien.words import N_, Words

log = logging.getLogger(__name__)

FILE = "Caddyfile"
SOCKET = "page.sock"
LOADED = "door-loaded"  # under which key the store notes what the door was last told
EVERY = 60.0  # seconds between two looks when nothing moves


class Doorkeeper:
    """`tend` can be called at any time; it does nothing where nothing changed, and never raises for a door's fault."""

    def __init__(self, world: World, stacks: Stacks) -> None:
        self._world = world
        self._stacks = stacks
        self._tending = asyncio.Lock()
        self._attached: object = None
        self.owed: list[Owed] = []  # alerts that should be open now

    async def run(self, feed: Feed) -> None:
        """Tend the door whenever something moved, for ever."""
        moved = asyncio.Event()
        listener = asyncio.create_task(self._listen(feed, moved))
        try:
            while True:
                try:
                    await self.tend()
                except Exception:
                    log.exception("the door could not be tended")
                moved.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(EVERY):
                        await moved.wait()
        finally:
            listener.cancel()

    async def _listen(self, feed: Feed, moved: asyncio.Event) -> None:
        async for topic in feed.listen():
            if topic in ("job", "health"):
                moved.set()

    async def certificate(self) -> str | None:
        """The root certificate of the house's own authority, PEM; None without a door, or if the world knows its."""
        stack = await self._stacks.door()
        if stack is None or stack.given["DOOR_MODE"] != "home":
            return None
        assert stack.manifest.door is not None
        return await self._world.files.read(stack.home / stack.manifest.door.root)

    async def page_socket(self) -> Path | None:
        """Where the door looks for the status page; None unless it is to be published and there is a door."""
        stack = await self._stacks.door()
        if stack is None or self._world.settings.page.published_as is None:
            return None
        assert stack.manifest.door is not None
        folder = stack.home / stack.manifest.door.page
        return folder / SOCKET if await self._world.files.exists(folder) else None

    async def prepare(self, stack: Stack) -> None:
        """Write the door's first configuration, before it starts."""
        if stack.manifest.door is None:
            return
        path = _config(stack) / FILE
        if not await self._world.files.exists(path):
            await self._world.files.write(path, caddyfile.caddyfile(self._front(stack), []), 0o644)

    async def tend(self, opened: str | None = None) -> None:
        """Make the door lead where it should. `opened`: a stack that a job has just found well."""
        async with self._tending:
            try:
                door = await self._stacks.door()
                if door is not None:
                    await self._tend(door, opened)
            except GardienError as error:
                log.error("the door could not be told what to answer: %s %s", error, error.detail)
                says = Words.of(N_("the door does not lead where it should: {why}"), why=error.says)
                self.owed = [Owed("door", "trouble", says, error.remedy)]
            else:
                self.owed = []

    async def _tend(self, door: Stack, opened: str | None) -> None:
        stacks = await self._stacks.all()
        jobs = await self._world.store.jobs(open_only=True)
        routed = [stack for stack in stacks if stack.manifest.routes]
        sites = [site for stack in routed for site in _sites(stack, _state(stack, jobs, opened))]
        text = caddyfile.caddyfile(self._front(door), sites)
        path = _config(door) / FILE
        containers = await self._world.engine.containers([stack.project for stack in (door, *routed)])
        assert door.manifest.door is not None
        ours = [
            each.id
            for each in containers
            if each.project == door.project and each.service == door.manifest.door.service and each.state == "running"
        ]
        if not ours:
            self._attached = None
            await self._world.files.write(path, text, 0o644)
            return
        await self._attach(door, routed, frozenset(each.id for each in containers if each.state == "running"))
        told = f"{ours[0]} {hashlib.sha256(text.encode()).hexdigest()}"
        if await self._world.files.read(path) == text and await self._world.store.noted(LOADED) == told:
            return
        await self._world.files.write(path.with_name(f"{FILE}.new"), text, 0o644)
        compose, entry = self._world.compose, door.manifest.door
        await compose.run_in(door, entry.service, entry.check, timeout=60)
        await self._world.files.write(path, text, 0o644)
        await compose.run_in(door, entry.service, entry.reload, timeout=60)
        await self._world.store.note(LOADED, told)

    async def _attach(self, door: Stack, routed: Sequence[Stack], running: frozenset[str]) -> None:
        """The door stands on each stack's own network, where it answers to its names and those of its joined ones.

        No others: where they change, open connections end.
        """
        assert door.manifest.door is not None
        called = {stack.name: _names(stack, routed) for stack in routed}
        now = (running, called)
        if now == self._attached:
            return
        for stack in routed:
            await self._world.engine.attach(
                door.project, door.manifest.door.service, stack.door_network, called[stack.name]
            )
        self._attached = now

    async def step_back(self, door: Stack) -> None:
        """Before the door starts: a stopped one that stands on a network which is gone could not."""
        if door.manifest.door is None:
            return
        containers = await self._world.engine.containers([door.project])
        if any(each.service == door.manifest.door.service and each.state == "running" for each in containers):
            return
        self._attached = None
        for stack in await self._stacks.all():
            if stack.manifest.routes:
                await self._world.engine.detach(door.project, door.manifest.door.service, stack.door_network)

    async def leave(self, stack: Stack) -> None:
        """Step off a stack's network, which is about to be removed."""
        door = await self._stacks.door()
        if door is not None and stack.manifest.routes and door.manifest.door is not None:
            self._attached = None
            await self._world.engine.detach(door.project, door.manifest.door.service, stack.door_network)

    def _front(self, door: Stack) -> Front:
        entry = door.manifest.door
        assert entry is not None
        settings = door.settings
        return Front(
            mode="internet" if settings[entry.mode] == "internet" else "home",
            domain=settings[entry.domain],
            http_port=int(settings[entry.http_port]),
            https_port=int(settings[entry.https_port]),
            email=settings[entry.email],
            authority=settings[entry.authority],
            page_name=self._world.settings.page.published_as,
        )


def _names(stack: Stack, all_: Sequence[Stack]) -> tuple[str, ...]:
    friends = {each.name for one, other, _ in joins.pairs(stack, all_) for each in (one, other)} | {stack.name}
    return tuple(sorted(name for each in all_ if each.name in friends for name in names.domains(each).values()))


def _config(door: Stack) -> Path:
    assert door.manifest.door is not None
    return door.home / door.manifest.door.config


def _state(stack: Stack, jobs: Sequence[Job], opened: str | None) -> State:
    """What the door says for a stack: a restore closes it from the moment the application stops until it is well, an
    update from the moment to which it may have to go back.
    """
    if stack.chosen.wanted == "stopped":
        return "stopped"
    for job in jobs:
        if job.plan.subject != stack.name or stack.name == opened or job.plan.kind not in ("add", "restore", "update"):
            continue
        steps = {step.name: step.state for step in job.steps}
        if job.plan.kind == "update":
            shut = steps["close"] in ("begun", "done")
            if shut and (job.state == "undoing" or steps["gate"] != "done"):
                return "updating"
            continue
        if steps["gate"] == "done":
            continue
        if job.plan.kind == "add":
            return "starting"
        if steps["stop"] != "waiting":
            return "restoring"
    return "open"


def _sites(stack: Stack, state: State) -> list[Site]:
    def there(upstream: str) -> str:
        """The container by its own name: on the door's networks there is one of each, and `app` may be many."""
        service, port = upstream.split(":")
        return f"{stack.project}-{service}-1:{port}"

    return [
        Site(
            name=stack.settings[route.name],
            title=stack.manifest.title,
            to=there(route.to),
            paths={path: there(to) for path, to in route.paths.items()},
            redirects=route.redirects,
            largest_body=route.largest_body,
            state=state,
        )
        for route in stack.manifest.routes
    ]

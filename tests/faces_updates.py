"""What the faces' house knows of new versions, and what is done about them: noted, and a job that does nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gardien.errors import NotFound, Refused
from gardien.model.overview import StackView
from gardien.model.plan import Plan, Step
from gardien.model.release import Change, Jump, News, Outlook, Replaced, Updating
from gardien.words import N_, Words

if TYPE_CHECKING:
    from tests.faces_world import World

STEPS = {
    "check": N_("See that there is room for it, and that nobody is in the middle of something"),
    "images": N_("Fetch all new programs, before anything stops"),
    "live": N_("Save the files while people go on working"),
    "close": N_("Close the door: what people would write from now on might be lost"),
    "down": N_("Stop the application, its background jobs first"),
    "up": N_("Start the new version"),
    "gate": N_("Wait until the application itself says that it is well, and that it is {version}"),
    "watch": N_("Watch it for {took}"),
    "settle": N_("Clear up; the backup of before stays, and for some days the former programs"),
}


def change(world: "World", stack: str, to: str, jump: Jump = "patch", **more: object) -> Change:
    """A step from 34.0.3 that has been known for four days."""
    digest = "sha256:" + "1" * 64
    made = Change(
        stack=stack,
        key="APP_IMAGE",
        images={"APP_IMAGE": f"docker.io/example/app:{to}@{digest}"},
        former={"APP_IMAGE": "docker.io/example/app:34.0.3"},
        tag=to,
        digest=digest,
        text=to,
        former_text="34.0.3",
        jump=jump,
        notes=f"https://example.org/notes/{to}",
        seen=world.now - timedelta(days=4),
        ripe=world.now - timedelta(days=1) if jump == "patch" else None,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def replaced(world: "World", stack: str) -> Replaced:
    """The update of two days ago."""
    ended = world.now - timedelta(days=2)
    return Replaced(
        7, stack, "APP_IMAGE", "34.0.3", "sha256:2", "34.0.3", "34.0.2", "ab" * 32, "box",
        ended - timedelta(minutes=14), ended, 134.0,
    )  # fmt: skip


def tell(world: "World", stack: str, news: News, outlook: Outlook) -> StackView:
    """Let the house know it."""
    index = next(number for number, view in enumerate(world.stacks) if view.name == stack)
    world.stacks[index] = replace(world.stacks[index], news=news, outlook=outlook)
    return world.stacks[index]


def plan_of_update(stack: str, step: Change) -> Plan:
    """As the rules would make it, as far as a face can tell."""
    steps = tuple(
        Step(name, Words.of(text, version=step.text, took=600), None, (f"{name} {stack}",))
        for name, text in STEPS.items()
    )
    facts = {"key": step.key, "version": step.text, "former_version": step.former_text, "jump": step.jump}
    return Plan("update", stack, steps, (f"stack:{stack}",), facts=dict(facts))


class Updates:
    """What can be done about them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.house_by_itself = False
        self.chosen: dict[str, Updating | None] = {}

    def _view(self, name: str) -> StackView:
        return next(each for each in self._world.stacks if each.name == name)

    async def plan(self, name: str, key: str | None = None, version: str | None = None) -> Plan:
        return plan_of_update(name, await Releases(self._world).next(name, key, version))

    async def run(self, name: str, key: str | None = None, version: str | None = None) -> int:
        plan = await self.plan(name, key, version)
        self._world.done.append(("update", name, str(plan.facts["version"])))
        return await self._world.house.runner.submit(plan)

    async def last(self, name: str) -> Replaced | None:
        return self._view(name).outlook.last

    async def plan_rollback(self, name: str) -> Plan:
        if await self.last(name) is None:
            raise Refused(N_("{stack} has not been updated since it was last brought back, or never"), stack=name)
        return await self._world.house.restores.plan(name)

    async def rollback(self, name: str) -> int:
        plan = await self.plan_rollback(name)
        self._world.done.append(("rollback", name))
        return await self._world.house.runner.submit(plan)

    async def choose(self, name: str, how: Updating | None) -> None:
        self.chosen[name] = how

    async def choose_for_house(self, how: Updating) -> None:
        self.house_by_itself = how == "by-itself"


class Releases:
    """What there is."""

    def __init__(self, world: "World") -> None:
        self._world = world

    async def next(self, name: str, key: str | None = None, version: str | None = None) -> Change:
        offered: Mapping[str, tuple[Change, ...]] = {each.name: each.news.offered for each in self._world.stacks}
        for each in offered.get(name, ()):
            if key in (None, each.key) and version in (None, each.text):
                return each
        raise NotFound(N_("there is no newer version for {stack}"), N_("gardien looks for one each day."), stack=name)

    async def look(self, name: str | None = None) -> None:
        self._world.done.append(("look", name or "all"))

    async def skip(self, name: str, version: str | None = None, key: str | None = None) -> Change:
        found = await self.next(name, key, version)
        self._world.done.append(("skip", name, found.text))
        return found

    async def unskip(self, name: str, version: str | None = None, key: str | None = None) -> list[str]:
        self._world.done.append(("unskip", name, str(version)))
        return [str(version)]

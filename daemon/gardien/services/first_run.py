"""The first run: what a person answers is kept until all is answered, then done, whoever looks on."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from gardien.errors import BadInput, GardienError
from gardien.model.fault import Fault, Faults
from gardien.model.job import Job
from gardien.model.stack import Chosen, Stack
from gardien.rules.kinds import check_settings
from gardien.services.backup import Backups
from gardien.services.feed import Feed
from gardien.services.life import Life
from gardien.services.ports import World
from gardien.services.recover import NOTE as RECOVERY
from gardien.services.runner import Runner
from gardien.services.stacks import Stacks
from gardien.words import N_, Words

log = logging.getLogger(__name__)

NOTE = "first-run"
NO_DOOR = ""  # the answer of somebody who wants none


@dataclass(frozen=True, slots=True)
class Member:
    """One application on its way: its jobs, as far as they were begun, and why one could not be."""

    name: str
    adding: Job | None
    backup: Job | None
    here: bool
    saved: bool
    error: Words | None

    @property
    def failed(self) -> bool:
        jobs = (self.adding, self.backup)
        return self.error is not None or any(each is not None and each.over and each.state != "done" for each in jobs)


class FirstRun:
    """Everything lies in one note of the store: it is left and gone on with at any moment, also by another life."""

    def __init__(  # noqa: PLR0917
        self, world: World, runner: Runner, stacks: Stacks, life: Life, backups: Backups, feed: Feed
    ) -> None:
        self._world = world
        self._runner = runner
        self._stacks = stacks
        self._life = life
        self._backups = backups
        self._feed = feed
        self._turn = asyncio.Lock()
        self._open = False

    @property
    def open(self) -> bool:
        """Whether there is anything left of it, as of the last look."""
        return self._open

    async def load(self) -> None:
        """Find out whether a first run is due: on a machine without applications, until it is done or was left."""
        if await self._world.store.noted(NOTE) is not None:
            self._open = await self.phase() in {"asking", "going"}
        else:
            taken_over = await self._world.store.noted(RECOVERY) is not None
            try:
                self._open = not taken_over and not await self._world.shelf.all_chosen()
            except BadInput:  # somebody's files are not right: that is no empty machine
                self._open = False

    async def run(self) -> NoReturn:
        """Go on whenever a job came to an end; for ever."""
        await self._look()
        async for topic in self._feed.listen():
            if topic == "job":
                await self._look()
        raise AssertionError("the feed ended")

    async def _look(self) -> None:
        try:
            await self.go_on()
        except Exception:
            log.exception("the first run stands still")

    # -- what was answered

    async def door(self) -> tuple[str, Mapping[str, str]] | None:
        """The door that was chosen, `NO_DOOR` if none is wanted; None: nobody was asked yet."""
        answered = (await self._state())["door"]
        return (answered["name"], answered["settings"]) if answered is not None else None

    async def doors(self) -> list[str]:
        """The stacks that can be the house's door."""
        return [name for name in await self._stacks.available() if await self._is_door(name)]

    async def _is_door(self, name: str) -> bool:
        try:
            return (await self._stacks.recipe(name)).manifest.door is not None
        except GardienError:
            return False

    async def answer_door(self, name: str, settings: Mapping[str, str]) -> None:
        """Raises `Faults`, NotFound."""
        if name != NO_DOOR:
            check_settings(await self._stacks.recipe(name), settings)
            if faults := await self._taken({name: settings}, (name, settings)):
                raise Faults(replace(each, at=each.at[1:]) for each in faults)
        await self._keep(door={"name": name, "settings": dict(settings)})

    async def stacks(self) -> Mapping[str, Mapping[str, str]]:
        """Those that were chosen, and what was answered to their questions."""
        found: Mapping[str, Mapping[str, str]] = (await self._state())["stacks"]
        return found

    async def offered(self) -> list[Stack]:
        """What can be chosen, as it would be behind the door that was chosen. What cannot be read is not offered."""
        door, chosen, found = await self.door(), await self.stacks(), []
        for name in await self._stacks.available():
            try:
                stack = await self._stacks.as_if(name, Chosen(settings=dict(chosen.get(name, {}))), door)
            except GardienError:
                log.warning("%s is not offered: it cannot be read", name)
                continue
            if stack.manifest.door is None:
                found.append(stack)
        return found

    async def answer_stacks(self, answers: Mapping[str, Mapping[str, str]]) -> None:
        """`answers`: by stack, those that differ from what it says itself. Raises `Faults`, by stack and question."""
        faults = []
        for name, settings in answers.items():
            try:
                check_settings(await self._stacks.recipe(name), settings)
            except Faults as error:
                faults += [replace(each, at=(name, *each.at)) for each in error.faults]
        if not faults:
            door = await self.door()
            wanted = {**({door[0]: door[1]} if door is not None and door[0] else {}), **answers}
            faults = [each for each in await self._taken(wanted, door) if each.at[0] in answers]
        if faults:
            raise Faults(faults)
        if not answers:
            raise BadInput(N_("no application is chosen"), N_("Choose at least one; others can be added at any time."))
        await self._keep(stacks={name: dict(settings) for name, settings in answers.items()})

    async def _taken(
        self, wanted: Mapping[str, Mapping[str, str]], door: tuple[str, Mapping[str, str]] | None
    ) -> list[Fault]:
        """The ports that something else listens on, or two of these want: by stack and question."""
        faults, here, by = [], await self._world.shelf.all_chosen(), dict[str, str]()
        for name, settings in wanted.items():
            stack = await self._stacks.as_if(name, Chosen(settings=dict(settings)), door)
            for key, setting in stack.manifest.settings.items():
                port = stack.settings[key]
                if setting.kind != "port":
                    continue
                if port in by:
                    says = Words.of(N_("port {port} is chosen twice, for {stack} too"), port=port, stack=by[port])
                    faults.append(Fault((name, key), says, Words.of(N_("Choose another port."))))
                elif name not in here and not self._world.host.port_free("127.0.0.1", int(port)):
                    says = Words.of(N_("port {port} is taken by another program on this machine"), port=port)
                    remedy = Words.of(N_("Stop that program, or choose another port."))
                    faults.append(Fault((name, key), says, remedy))
                by.setdefault(port, name)
        return faults

    async def later(self) -> Sequence[str]:
        """The steps that somebody put off."""
        found: Sequence[str] = (await self._state())["later"]
        return found

    async def put_off(self, step: str) -> None:
        """That step is asked again when all else is done."""
        await self._keep(later=sorted({*await self.later(), step}))

    # -- doing it

    async def phase(self) -> str:
        """asking, going, done, left."""
        return str((await self._state())["phase"])

    async def go(self) -> None:
        """Do all that was answered; or once more what failed. Raises BadInput if nothing was chosen."""
        async with self._turn:
            state = await self._state()
            if not state["stacks"]:
                raise BadInput(
                    N_("no application is chosen"), N_("Choose at least one; others can be added at any time.")
                )
            failed = [each.name for each in await self._members(state) if each.failed]
            kept = {what: {name: job for name, job in state[what].items() if name not in failed} for what in _JOBS}
            await self._keep(phase="going", errors={}, again=[], **kept)
        await self.go_on()

    async def leave(self) -> None:
        """No more of it."""
        await self._keep(phase="left")

    async def members(self) -> list[Member]:
        """All that was chosen, in the order in which it comes."""
        return await self._members(await self._state())

    async def go_on(self) -> None:
        """Begin what can begin now. Safe to call at any time."""
        async with self._turn:
            state = await self._state()
            if state["phase"] != "going":
                return
            await self._take_up_again(state)
            for each in await self._members(state):
                if each.failed:
                    continue
                if not each.here:
                    if each.adding is None:
                        await self._begin(state, "adding", each.name)
                    if state["door"] and each.name == state["door"]["name"]:
                        break  # the others are told of it when they are laid out
                elif not each.saved and each.backup is None:
                    await self._begin(state, "backup", each.name)
            members = await self._members(state)
            if members and all(each.here and each.saved for each in members):
                state["phase"] = "done"
            await self._write(state)

    async def _take_up_again(self, state: dict[str, Any]) -> None:
        """What another life was cut short in is begun once more, once: it may be why that life ended."""
        for each in await self._members(state):
            for what, job in (("adding", each.adding), ("backup", each.backup)):
                if job is not None and job.state == "interrupted" and each.name not in state["again"]:
                    del state[what][each.name]
                    state["again"].append(each.name)

    async def _begin(self, state: dict[str, Any], what: str, name: str) -> None:
        settings = state["door"]["settings"] if name == _door(state) else state["stacks"].get(name, {})
        try:
            if what == "adding":
                state[what][name] = await self._life.add(name, settings)
            else:
                state[what][name] = await self._backups.create(name)
        except GardienError as error:
            state["errors"][name] = error.says.as_json()
        await self._write(state)  # before the next one: a job that was begun is never begun twice

    async def _members(self, state: Mapping[str, Any]) -> list[Member]:
        chosen = await self._world.shelf.all_chosen()
        found = []
        for name in dict.fromkeys(filter(None, (_door(state), *state["stacks"]))):
            adding, backup = [await self._job(state[what].get(name)) for what in _JOBS]
            here = name in chosen and (adding is None or adding.state == "done")
            error = state["errors"].get(name)
            saved = here and (
                not self._world.settings.targets  # put off: nothing can be saved yet
                or not (await self._stacks.recipe(name)).kept
                or bool(await self._world.store.snapshots(name, good_only=True, most=1))
            )
            found.append(Member(name, adding, backup, here, saved, Words.from_json(error) if error else None))
        return found

    async def _job(self, number: int | None) -> Job | None:
        return await self._world.store.job(number) if number is not None else None

    # -- the note

    async def _state(self) -> dict[str, Any]:
        noted = await self._world.store.noted(NOTE)
        return {**_EMPTY, **(json.loads(noted) if noted else json.loads(json.dumps(_EMPTY)))}

    async def _keep(self, **answers: object) -> None:
        await self._write({**await self._state(), **answers})

    async def _write(self, state: Mapping[str, Any]) -> None:
        await self._world.store.note(NOTE, json.dumps(state))
        self._open = state["phase"] in {"asking", "going"}


_JOBS = ("adding", "backup")
_EMPTY: Mapping[str, Any] = {
    "phase": "asking",
    "door": None,
    "stacks": {},
    "later": [],
    "adding": {},
    "backup": {},
    "errors": {},
    "again": [],
}


def _door(state: Mapping[str, Any]) -> str:
    return str(state["door"]["name"]) if state["door"] else NO_DOOR

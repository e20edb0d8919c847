"""A blank machine takes the place of a lost one: from the recovery sheet to settings, secrets, and every stack.

The sheet's key is tried before anything is written; secrets are written before what needs them; then the daemon begins
anew with the settings of the house, and queues a restore of each stack. Whatever is cut short can be asked for again.
"""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gardien.errors import BadInput, GardienError, NotFound, Refused, WrongPassphrase
from gardien.model.job import Job
from gardien.model.kit import Kit, Offer, Offered, Recovery, Returning
from gardien.model.plan import Json
from gardien.model.preset import LOGIN
from gardien.model.settings import NAME, Settings, Target
from gardien.model.snapshot import Found
from gardien.rules import kit as text
from gardien.rules import names
from gardien.rules.env import write_env
from gardien.rules.reach import address_of
from gardien.services import succession
from gardien.services.account import HOUSE_FORMAT, backups, letter_files, marked
from gardien.services.care import ALL, repository_note
from gardien.services.kit import Kits
from gardien.services.ports import Restic, World
from gardien.services.restore import Restores
from gardien.services.runner import OnPoint
from gardien.services.sheet_note import sheet_of
from gardien.services.stacks import Stacks
from gardien.services.stock import remembered
from gardien.services.targets import require_elsewhere
from gardien.words import N_

log = logging.getLogger(__name__)

NOTE = "recovery"
# Settings of the house that belong to the network a machine stands in.
_OF_THE_NETWORK = {"proxy", "no_proxy"}
_Described = tuple[Target, Mapping[str, str | None]]  # a target as it is here, and the texts of its files
EACH = 90.0  # seconds that we reckon a stack takes besides its bytes: programs, databases, the first answer
ENOUGH = 4 << 20  # bytes: less tells nothing of the line
SUPPOSED = 5e6  # bytes a second, where there was too little to measure


@dataclass(frozen=True, slots=True)
class _There:
    """What a sheet leads to: a repository that its key opened."""

    kit: Kit
    target: Target  # with the files of the room in which it was tried
    restic: Restic
    repository: str
    stacks: Mapping[str, tuple[Found, ...]]  # the good ones, newest first


class Recover:
    """Takes over, once; and tells how far it is."""

    def __init__(  # noqa: PLR0917
        self,
        world: World,
        stacks: Stacks,
        kits: Kits,
        restores: Restores,
        begin_anew: Callable[[], None],
        on_point: OnPoint | None = None,
    ) -> None:
        self._world = world
        self._stacks = stacks
        self._kits = kits
        self._restores = restores
        self._begin_anew = begin_anew
        self._on_point: OnPoint = on_point or (lambda kind, step, moment: None)
        self._turn = asyncio.Lock()

    @property
    def _room(self) -> Path:
        """Where the sheet's secrets lie while its key is tried: in memory, where the run folder is."""
        return self._world.settings.folders.run / "recover"

    # -- looking

    async def look(self, sheet: str) -> Offer:
        """What the sheet leads to, and how long it may take. Changes nothing.

        Raises `Faults` with the lines that are not right, Refused on a machine that has stacks, a target's errors.
        """
        await self._require_blank()
        async with self._turn, self._opened(text.read(sheet)) as there:
            return await self._offer(there)

    async def _offer(self, there: _There) -> Offer:
        stacks = []
        for name in await self._in_order(there.stacks):
            newest = there.stacks[name][0]
            files, size = newest.files, newest.bytes
            if files is None or size is None:  # an older restic did not say
                files, size = await there.restic.contents(there.kit.target, newest.id)
            stacks.append(Offered(name, newest.id, newest.taken, files, size, len(there.stacks[name])))
        rate = None
        largest = max(stacks, key=lambda each: each.bytes, default=None)
        if largest is not None and largest.bytes >= ENOUGH:
            folder = there.stacks[largest.stack][0].paths[0]
            rate = await there.restic.speed(there.kit.target, largest.snapshot, folder)
        seconds = sum(each.bytes for each in stacks) / (rate or SUPPOSED) + EACH * len(stacks)
        return Offer(
            machine=there.kit.machine,
            target=there.kit.target,
            address=address_of(there.target),
            repository=there.repository,
            stacks=tuple(stacks),
            house=await self._house(there) is not None,
            rate=rate,
            seconds=seconds,
        )

    async def _in_order(self, stacks: Mapping[str, object]) -> list[str]:
        """The door first, then those that stand alone."""
        ranked = []
        for name in stacks:
            try:
                manifest = (await self._stacks.recipe(name)).manifest
                ranked.append((manifest.door is None, bool(manifest.with_), name))
            except GardienError:
                ranked.append((True, True, name))  # one of the owner's own: its recipe comes with it
        return [name for *_, name in sorted(ranked)]

    async def _require_blank(self) -> None:
        chosen = await self._world.shelf.all_chosen()
        recovery = await self._noted()
        if recovery is not None and recovery["ready"]:
            raise Refused(
                N_("this machine has taken over already, from {machine}"),
                N_("`gardien recover` without a sheet goes on from where it is."),
                machine=str(recovery["machine"]),
            )
        if chosen:
            raise Refused(
                N_("this machine has applications already ({stacks}): it cannot take another one’s place"),
                N_(
                    "Nothing was changed. Use a machine on which gardien was just installed. One application alone "
                    "comes back with `gardien restore`."
                ),
                stacks=", ".join(chosen),
            )

    @contextlib.asynccontextmanager
    async def _opened(self, kit: Kit) -> AsyncIterator[_There]:
        """The repository, opened with the sheet alone. Raises WrongPassphrase, NotFound, a target's errors."""
        world = self._world
        room = self._room
        folders = world.settings.folders.model_copy(update={"owner": room})
        trial = world.settings.model_copy(update={"name": kit.machine, "folders": folders, "targets": {}})
        try:
            target = await self._described(trial, kit.target, kit.place, _files(kit))
            trial.targets[kit.target] = target
            await require_elsewhere(world, target)
            await world.files.make_folder(room, None, 0o700)
            await self._write_files(trial, kit.target, target.kind, _files(kit))
            restic = world.restic.under(trial)
            try:
                repository = await restic.identity(kit.target)
            except WrongPassphrase as error:
                raise WrongPassphrase(
                    N_("wrong recovery key: it does not open what is at {target}"),
                    N_("The sheet is probably an older one. Take the one that was made last."),
                    target=kit.target,
                    detail=error.detail,
                ) from error
            found = await restic.found(kit.target, tags=())
            yield _There(kit, target, restic, repository, _by_stack(found))
        finally:
            await world.files.remove(room)

    async def _house(self, there: _There) -> Mapping[str, Any] | None:
        """The newest account of the house; None in repositories that older gardiens wrote."""
        every = sorted((each[0] for each in there.stacks.values()), key=lambda found: found.taken, reverse=True)
        for found in every[:1]:
            try:
                account = await there.restic.read(there.kit.target, found.id, f"{found.paths[0]}/.gardien/house.json")
            except NotFound:
                return None
            house: dict[str, Any] = json.loads(account)
            if house.get("format") != HOUSE_FORMAT:
                raise BadInput(
                    N_("these backups were made by a newer gardien"),
                    N_("Install that one on this machine, then try again."),
                )
            return house
        return None

    # -- taking over

    async def take_over(self, sheet: str) -> None:
        """Make this machine the one that the sheet is of, and begin anew as it: the stacks follow by themselves.

        Raises what `look` raises, and BadInput, Refused for settings that do not fit here; then nothing was written.
        """
        async with self._turn:
            await self._require_blank()
            async with self._opened(text.read(sheet)) as there:
                if not there.stacks:
                    raise NotFound(
                        N_("there is no backup of {machine} at {target} that could be brought back"),
                        N_("Nothing was changed. Is it the sheet of another machine?"),
                        machine=there.kit.machine,
                        target=there.kit.target,
                    )
                await self._take(there)
            self._begin_anew()

    async def _take(self, there: _There) -> None:
        world, kit = self._world, there.kit
        house = await self._house(there) or {"settings": {}, "targets": {}, "hosts": {}}
        fields = _fields(house["settings"], kit.machine, world.settings.language)
        targets = await self._targets(kit, house["targets"])
        note: dict[str, Json] = {
            "machine": kit.machine,
            "target": kit.target,
            "repository": there.repository,
            "stacks": list[Json](await self._in_order(there.stacks)),
            "begun": world.clock().isoformat(),
            "ready": False,
            "queued": False,
        }
        steps: Mapping[str, Callable[[], Awaitable[None]]] = {
            "note": lambda: world.store.note(NOTE, json.dumps(note)),
            "targets": lambda: self._write_targets(targets),
            "presets": lambda: self._write_presets(house["hosts"]),
            "letters": lambda: self._write_letters(house.get("letters", {})),
            "recipes": lambda: self._bring_recipes(there),
            "memory": lambda: self._remember(there),
            "succession": lambda: self._stand_in(there),
            "settings": lambda: world.shelf.merge_settings(fields),
            "ready": lambda: world.store.note(NOTE, json.dumps({**note, "ready": True})),
        }
        for step, work in steps.items():
            self._on_point("recover", step, "begun")
            await work()
            self._on_point("recover", step, "ran")

    async def _write_targets(self, targets: Mapping[str, _Described]) -> None:
        """Its secrets first: a target without them opens nothing."""
        for name, (target, files) in targets.items():
            await self._write_files(self._world.settings, name, target.kind, files)
            await self._world.shelf.set_target(name, target)

    async def _write_presets(self, presets: Mapping[str, object]) -> None:
        folder = self._world.settings.folders.owner / "hosts"
        for name, content in presets.items():
            if re.fullmatch(rf"{NAME}\.yaml", name):
                await self._world.files.make_folder(folder, None, 0o700)
                await self._world.files.write(folder / name, str(content))

    async def _write_letters(self, texts: Mapping[str, object]) -> None:
        for path in letter_files(self._world.settings):
            text = texts.get(path.name)
            if text is not None:
                await self._world.files.write(path, str(text))

    async def _remember(self, there: _There) -> None:
        """The history of the backups, as far as the repository tells it."""
        for stack, found in there.stacks.items():
            for each in found:
                await self._world.store.add_snapshot(remembered(each, stack, there.kit.target))
        await self._world.store.note(repository_note(there.kit.target), there.repository)

    async def _targets(self, kit: Kit, known: Mapping[str, Any]) -> dict[str, _Described]:
        """What each target of the house is on this machine; the sheet knows best where its own is. Raises Refused,
        `Faults`.
        """
        settings = self._world.settings
        entries = {name: entry for name, entry in known.items() if re.fullmatch(NAME, name)}
        former = entries.get(kit.target, {"settings": {}})
        entries[kit.target] = {"settings": {**former["settings"], **kit.place}, **_files(kit)}
        found: dict[str, _Described] = {}
        for name, entry in entries.items():
            own = settings.folders.owner / "targets" / f"{name}.yaml"
            if name in settings.targets and not await self._world.files.exists(own):
                raise Refused(
                    N_("gardien.yaml of this machine has a backup target called {target} of its own"),
                    N_("Nothing was changed. Take it out there and restart gardien, then try again."),
                    target=name,
                )
            files: dict[str, str | None] = {what: entry.get(what) for what in _SUFFIXES}
            found[name] = await self._described(settings, name, entry["settings"], files), files
        return found

    async def _described(
        self, settings: Settings, name: str, place: Mapping[str, Json], files: Mapping[str, str | None]
    ) -> Target:
        """A target whose files lie among the secrets of these settings. Raises `Faults`."""
        fields = {key: value for key, value in place.items() if key not in _SUFFIXES}
        for what in ("key", "ca"):
            if files.get(what) is not None or (what, place["kind"]) == ("key", "sftp"):
                fields[what] = str(settings.secrets / f"target-{name}.{_SUFFIXES[what]}")
        return await self._world.shelf.as_target(fields)

    async def _write_files(self, settings: Settings, name: str, kind: str, files: Mapping[str, str | None]) -> None:
        await self._world.files.make_folder(settings.secrets, None, 0o700)
        for what, suffix in _SUFFIXES.items():
            content = files.get(what)
            if content is not None:
                await self._world.files.write(settings.secrets / f"target-{name}.{suffix or kind}", content)

    async def _bring_recipes(self, there: _There) -> None:
        """Those of stacks that gardien does not ship: the owner's own, which their backups hold."""
        shelf, files = self._world.shelf, self._world.files
        shipped = await shelf.recipes()
        for name in [each for each in there.stacks if each not in shipped]:
            newest, folder = there.stacks[name][0], self._world.settings.folders.owner / "stacks" / name
            source = f"{newest.paths[0]}/.gardien/compose"
            await files.make_folder(folder.parent, None, 0o700)
            await there.restic.bring_back(there.kit.target, newest.id, source, folder, lambda _: None)
            await files.remove(folder / ".env")

    async def _stand_in(self, there: _There) -> None:
        """Tell the machine before, should it still run. Where nothing can be written, we cannot."""
        kit = there.kit
        try:
            await succession.take(self._world, kit.target, there.restic)
        except GardienError as error:
            log.warning("the machine before could not be told at %s: %s", kit.target, error)

    # -- what follows, in the daemon's next life

    async def go_on(self) -> None:
        """Queue the restore of each stack, once; the sheet that brought us here is a good one."""
        await self._world.files.remove(self._room)  # a former life may have died in it
        recovery = await self._noted()
        if recovery is None or not recovery["ready"] or recovery["queued"]:
            return
        target = str(recovery["target"])
        if target in self._world.settings.targets and await sheet_of(self._world, target) is None:
            with contextlib.suppress(GardienError):
                await self._kits.adopt(target)
        for each in await self._returning(recovery):
            if each.job is None:
                await self._begin(each.stack)
        await self._world.store.note(NOTE, json.dumps({**recovery, "queued": True}))

    async def retry(self) -> None:
        """Once more those that failed. Raises NotFound if nothing was taken over."""
        recovery = await self._noted()
        if recovery is None:
            raise NotFound(
                N_("this machine has not taken over from another one"), N_("`gardien recover` begins with a sheet.")
            )
        present = await self._world.shelf.all_chosen()
        for each in await self._returning(recovery):
            job = await self._world.store.job(each.job) if each.job is not None else None
            # One that is here is not replaced again, however long ago it came back.
            if (job is None or (job.over and job.state != "done")) and each.stack not in present:
                await self._begin(each.stack)

    async def _begin(self, stack: str) -> None:
        try:
            await self._restores.create(stack, new_disk=True)
        except GardienError as error:
            log.error("%s cannot be brought back: %s", stack, error)

    async def now(self) -> Recovery | None:
        """How far it is; None if nothing was taken over."""
        recovery = await self._noted()
        if recovery is None:
            return None
        settings = self._world.settings
        ready = bool(recovery["queued"]) and str(recovery["target"]) in settings.targets
        domains = [domain for stack in await self._stacks.all() for domain in names.domains(stack).values()]
        return Recovery(
            machine=str(recovery["machine"]),
            target=str(recovery["target"]),
            ready=ready and settings.name == recovery["machine"],
            stacks=tuple(await self._returning(recovery)),
            names=tuple(sorted(domains)),
            addresses=self._world.host.addresses(),
        )

    async def _returning(self, recovery: Mapping[str, Json]) -> list[Returning]:
        begun = datetime.fromisoformat(str(recovery["begun"]))
        stacks = recovery["stacks"]
        assert isinstance(stacks, list)
        jobs: list[Job] = await self._world.store.jobs(kind="restore", most=ALL)
        newest = {job.plan.subject: job.id for job in reversed(jobs) if job.created >= begun}
        return [Returning(str(stack), newest.get(str(stack))) for stack in stacks]

    async def _noted(self) -> dict[str, Json] | None:
        noted = await self._world.store.noted(NOTE)
        return json.loads(noted) if noted else None


_SUFFIXES: Mapping[str, str] = {"passphrase": "passphrase", "login": "", "key": "key", "ca": "ca"}


def _files(kit: Kit) -> dict[str, str | None]:
    login = write_env(kit.login) if LOGIN.get(str(kit.place["kind"])) else None
    return {"passphrase": kit.passphrase + "\n", "login": login, "key": kit.key, "ca": kit.ca}


def _by_stack(found: Sequence[Found]) -> dict[str, tuple[Found, ...]]:
    """The good ones, newest first; without a stack that has none to count on."""
    spoilt = marked(found)
    stacks: dict[str, list[Found]] = {}
    for each in backups(found):
        for tag in each.tags:
            name = tag.removeprefix("stack=")
            if tag.startswith("stack=") and re.fullmatch(NAME, name) and each.paths and each.id not in spoilt:
                stacks.setdefault(name, []).append(each)
    return {name: tuple(every) for name, every in stacks.items()}


def _fields(settings: Mapping[str, Any], machine: str, language: str) -> dict[str, Json]:
    """What the house's settings say otherwise than gardien by itself; its name in any case. Raises BadInput."""
    told = {**settings, "mail": _mail(settings.get("mail"))}
    try:
        house = Settings.model_validate({"language": language, **told, "name": machine})
    except ValidationError as error:
        raise BadInput(
            N_("these backups were made by a newer gardien"),
            N_("Install that one on this machine, then try again."),
            detail=str(error),
        ) from error
    fields: dict[str, Json] = house.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude=_OF_THE_NETWORK
    )
    return {**fields, "name": house.name, "language": house.language}


def _mail(told: Any) -> Any:
    """Earlier gardiens wrote down `from_` for `from`."""
    return {key.rstrip("_"): each for key, each in told.items()} if isinstance(told, dict) else told

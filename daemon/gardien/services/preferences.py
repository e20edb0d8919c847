"""What the owner decides about the house: shown as a difference, written into gardien.yaml, and taken back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gardien.errors import Busy, Refused
from gardien.model.edit import Changes, Edit
from gardien.model.fault import Fault, Faults
from gardien.model.settings import Settings, Target
from gardien.rules import house_settings
from gardien.rules.house_settings import never_asked, told_outside
from gardien.rules.reach import forbidden
from gardien.services.ports import World
from gardien.words import N_

TARGETS = "targets"


class Preferences:
    """Writes settings; gardien then begins anew with them, within a moment, as the same process."""

    def __init__(self, world: World, begin_anew: Callable[[], None]) -> None:
        self._world = world
        self._begin_anew = begin_anew
        self._turn = asyncio.Lock()

    @property
    def now(self) -> Settings:
        """What holds."""
        return self._world.settings

    async def draft(self, changes: Changes) -> Edit:
        """What the file would be. Raises `Faults`, whose `at` leads to the setting; Refused if nothing would change."""
        if not changes:
            raise Refused(N_("nothing would change"), N_("Change an answer, or leave it as it is."))
        ours, theirs = await self._parted(changes)
        edit = await self._world.shelf.edited(ours)
        wanted = edit.settings.model_copy(update={TARGETS: {**edit.settings.targets, **theirs}})
        if found := house_settings.faults_of(wanted):
            raise Faults(replace(each, file=None, line=0) for each in found)
        await self._require_elsewhere(wanted)
        return Edit(edit.before, edit.after, wanted)

    async def apply(self, changes: Changes, *, password: bool = False) -> None:
        """Do it. `password`: what `hold_password` keeps is the mail account's from now on.

        Raises what `draft` raises, and Busy while a job is under way: it would be undone.
        """
        async with self._turn:
            await self._require_quiet()
            if changes:
                edit = await self.draft(changes)
                _, theirs = await self._parted(changes)
                if password:
                    await self._take_password()
                for name in theirs:
                    await self._world.shelf.set_target(name, edit.settings.targets[name])
                if edit.after != edit.before:
                    await self._world.shelf.write_settings(edit.after)
                self._begin_anew()
            elif password:
                await self._take_password()

    async def former(self) -> Edit | None:
        """The way back: what the file would be as it was before the last change from here. None: there was none."""
        return await self._world.shelf.former_settings()

    async def take_back(self) -> None:
        """As it was before; once more brings the change back. Raises Refused, Busy, `Faults`."""
        async with self._turn:
            await self._require_quiet()
            edit = await self.former()
            if edit is None or edit.after == edit.before:
                raise Refused(N_("nothing would change"), N_("Change an answer, or leave it as it is."))
            await self._world.shelf.write_settings(edit.after)
            self._begin_anew()

    # -- the mail account's password, which is in no settings

    async def hold_password(self, password: str | None) -> None:
        """Keep it aside until the settings it belongs to are agreed to; None forgets one that was."""
        aside = self._password_aside
        if password is None:
            await self._world.files.remove(aside)
            return
        await self._world.files.make_folder(aside.parent, None, 0o700)
        await self._world.files.write(aside, password + "\n")

    async def has_password(self) -> bool:
        """Whether there is one, in use or held."""
        there = self._world.files.exists
        return await there(self._world.settings.mail_password) or await there(self._password_aside)

    async def holds_password(self) -> bool:
        """Whether one waits to be used."""
        return await self._world.files.exists(self._password_aside)

    async def _take_password(self) -> None:
        text = await self._world.files.read(self._password_aside)
        if text is not None:
            await self._world.files.write(self._world.settings.mail_password, text)
            await self._world.files.remove(self._password_aside)

    # -- parts

    async def _parted(self, changes: Changes) -> tuple[Changes, dict[str, Target]]:
        """What goes into the file, and the targets that have one of their own, as they are to be."""
        ours = dict(changes)
        theirs: dict[str, dict[str, object]] = {}
        for path in changes:
            if len(path) == 3 and path[0] == TARGETS and await self._own(path[1]):
                theirs.setdefault(path[1], {})[path[2]] = ours.pop(path)
        targets: dict[str, Target] = {}
        for name, fields in theirs.items():
            told = self._world.settings.targets[name].model_dump(mode="json", exclude_defaults=True) | fields
            try:
                target = await self._world.shelf.as_target(
                    {key: each for key, each in told.items() if each is not None}
                )
            except Faults as error:
                raise Faults(_below(each, name) for each in error.faults) from None
            targets[name] = target
        return ours, targets

    async def _own(self, name: str) -> bool:
        if name not in self._world.settings.targets:
            return False
        return await self._world.files.exists(self._world.settings.folders.owner / TARGETS / f"{name}.yaml")

    @property
    def _password_aside(self) -> Path:
        file = self._world.settings.mail_password
        return file.with_name(f"{file.name}.new")

    async def _require_quiet(self) -> None:
        if await self._world.store.jobs(open_only=True):
            raise Busy(
                N_("something is under way, and would be undone"),
                N_("Wait until it is done, or cancel it; then try again."),
            )

    async def _require_elsewhere(self, settings: Settings) -> None:
        """A name must not lead to where a cloud hands out its machines’ keys."""
        known = set(told_outside(self._world.settings))
        for at, host in told_outside(settings):
            if (at, host) not in known and any(map(forbidden, (host, *await self._world.host.resolve(host)))):
                raise Faults([never_asked(at, host)])


def _below(fault: Fault, target: str) -> Fault:
    return replace(fault, at=(TARGETS, target, *fault.at))

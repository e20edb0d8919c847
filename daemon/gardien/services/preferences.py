"""What the owner decides about the house: shown as a difference, written where it stands, and taken back."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gardien.errors import Busy, Refused
from gardien.model.edit import Changes, Edit
from gardien.model.fault import Faults
from gardien.model.settings import Settings
from gardien.rules.house_settings import MAIL_HOST, never_asked, nobody_knows, told_outside
from gardien.rules.reach import forbidden
from gardien.services.ports import World
from gardien.words import N_


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
        """What the files would be. Raises `Faults`, whose `at` leads to the setting; Refused if all would stay."""
        if not changes:
            raise Refused(N_("nothing would change"), N_("Change an answer, or leave it as it is."))
        try:
            edit = await self._world.shelf.edited(changes)
        except Faults as error:
            raise Faults(replace(each, file=None, line=0) for each in error.faults) from None
        await self._require_elsewhere(edit.settings)
        return edit

    async def apply(self, changes: Changes, *, secret: Path | None = None) -> None:
        """Do it. `secret`: what `hold` keeps for this file is in it from now on.

        Raises what `draft` raises, and Busy while a job is under way: it would be undone.
        """
        async with self._turn:
            await self._require_quiet()
            edit = await self.draft(changes) if changes or secret is None else None
            if secret is not None:
                await self._take(secret)
            if edit is not None:
                await self._world.shelf.write(edit)
                self._begin_anew()

    async def former(self) -> Edit | None:
        """The way back: what the files would be as they were before the last change. None: there was none."""
        edit = await self._world.shelf.former()
        return None if edit is None or edit.empty else edit

    async def take_back(self) -> None:
        """As it was before; once more brings the change back. Raises Refused, Busy, `Faults`."""
        async with self._turn:
            await self._require_quiet()
            edit = await self.former()
            if edit is None:
                raise Refused(N_("nothing would change"), N_("Change an answer, or leave it as it is."))
            await self._world.shelf.write(edit)
            self._begin_anew()

    # -- passwords and the like, which are in no settings

    async def hold(self, secret: Path, text: str | None) -> None:
        """Keep it aside until the settings it belongs to are agreed to; None forgets one that was."""
        aside = _aside(secret)
        if text is None:
            await self._world.files.remove(aside)
            return
        await self._world.files.make_folder(aside.parent, None, 0o700)
        await self._world.files.write(aside, text + "\n")

    async def has(self, secret: Path) -> bool:
        """Whether there is one in use."""
        return await self._world.files.exists(secret)

    async def holds(self, secret: Path) -> bool:
        """Whether one waits to be used."""
        return await self._world.files.exists(_aside(secret))

    async def _take(self, secret: Path) -> None:
        text = await self._world.files.read(_aside(secret))
        if text is not None:
            await self._world.files.write(secret, text)
            await self._world.files.remove(_aside(secret))

    # -- parts

    async def _require_quiet(self) -> None:
        if await self._world.store.jobs(open_only=True):
            raise Busy(
                N_("something is under way, and would be undone"),
                N_("Wait until it is done, or cancel it; then try again."),
            )

    async def _require_elsewhere(self, settings: Settings) -> None:
        """A name must not lead to where a cloud hands out its machines’ keys; that of the mail server somewhere."""
        known = set(told_outside(self._world.settings))
        for at, host in told_outside(settings):
            if (at, host) in known:
                continue
            addresses = await self._world.host.resolve(host)
            if any(map(forbidden, (host, *addresses))):
                raise Faults([never_asked(at, host)])
            if not addresses and at == MAIL_HOST:  # others may be known to a proxy alone
                raise Faults([nobody_knows(at, host)])


def _aside(secret: Path) -> Path:
    return secret.with_name(f"{secret.name}.new")

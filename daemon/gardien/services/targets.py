"""Where backups go: making a repository once, ever, and opening it without surprises."""

import secrets

from gardien.errors import GardienError, NotFound, Refused, RepositoryMissing
from gardien.model.operator import Operator
from gardien.services.ports import World
from gardien.words import N_, Words


def _note(target: str) -> str:
    return f"repository:{target}"


class Targets:
    """The targets of this house, by name."""

    def __init__(self, world: World) -> None:
        self._world = world

    def first(self) -> str:
        """Where backups go if nobody says where: the first target that is no copy of another. Raises NotFound."""
        found = next((name for name, each in self._world.settings.targets.items() if each.copy_of is None), None)
        if found is None:
            raise NotFound(
                N_("no backup target is set up"),
                N_("`gardien target add` sets one up."),
            )
        return found

    def known(self, name: str) -> str:
        """The name, if the settings have such a target. Raises NotFound."""
        if name not in self._world.settings.targets:
            raise NotFound(
                N_("there is no backup target called {target}"),
                N_("gardien.yaml lists the targets under `targets:`."),
                target=name,
            )
        return name

    async def init(self, name: str) -> str:
        """Make the passphrase and the repository, or take up the one that is there. Returns the repository's id.

        Raises RepositoryMissing when there was one before: it is never silently made anew.
        """
        self.known(name)
        world = self._world
        passphrase = world.settings.passphrase(name)
        fresh_passphrase = not await world.files.exists(passphrase)
        if fresh_passphrase:
            if await world.store.noted(_note(name)) is not None:
                raise Refused(
                    N_("the passphrase of target {target} is gone from {file}"),
                    N_("Write it back from your recovery sheet. A new one would not open your backups."),
                    target=name,
                    file=str(passphrase),
                )
            await world.files.make_folder(passphrase.parent, None, 0o700)
            await world.files.write(passphrase, secrets.token_urlsafe(32) + "\n")
        try:
            identity = await self._identity_or_new(name)
        except GardienError:
            if fresh_passphrase:  # it opens nothing: leave no trace of a try that failed
                await world.files.remove(passphrase)
            raise
        await world.store.note(_note(name), identity)
        return identity

    async def _identity_or_new(self, name: str) -> str:
        try:
            return await self._world.restic.identity(name)
        except RepositoryMissing:
            if await self._world.store.noted(_note(name)) is not None:
                raise
            return await self._world.restic.create(name)

    async def opened(self, name: str) -> None:
        """Raises unless the target answers and holds the repository that we know."""
        self.known(name)
        known = await self._world.store.noted(_note(name))
        try:
            identity = await self._world.restic.identity(name)
        except RepositoryMissing as missing:
            if known is None:
                raise RepositoryMissing(
                    N_("target {target} holds no repository yet"),
                    N_("`gardien target init {target}` makes it, once."),
                    target=name,
                ) from missing
            raise RepositoryMissing(
                N_("your backups are not where they were: target {target} holds no repository any more"),
                N_("Do not start over. Ask the host, or look whether its disk is mounted and its folder renamed."),
                target=name,
                detail=missing.detail,
            ) from missing
        if known is None:
            await self._world.store.note(_note(name), identity)
        elif known != identity:
            raise Refused(
                N_("target {target} holds another repository than the one we know"),
                N_("Somebody replaced it. Put the former one back, or name this one as a new target."),
                target=name,
            )

    async def test(self, name: str) -> None:
        """Raises the typed error of what does not work."""
        await self.opened(name)

    def operator(self, name: str) -> Operator:
        """Who runs it, as far as gardien knows; `Upkeep.views` asks."""
        return Operator(None, None, None, None, Words.of(N_("gardien does not know who runs {target}"), target=name))

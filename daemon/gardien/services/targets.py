"""Where backups go: which targets there are, making a repository once, ever, and opening it without surprises."""

import logging
import secrets
from datetime import timedelta
from pathlib import Path

from gardien.errors import GardienError, NotFound, Refused, RepositoryMissing, WrongPassphrase
from gardien.model.operator import Operator, country_name
from gardien.model.settings import Target
from gardien.rules import sovereignty
from gardien.rules.reach import forbidden, host_of
from gardien.services import succession
from gardien.services.care import repository_note
from gardien.services.ports import World
from gardien.services.stock import take_stock
from gardien.words import N_

log = logging.getLogger(__name__)


class Targets:
    """The targets of this house, by name. The one register of them is `settings.targets`, which everybody holds."""

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
        """The name, if the house has such a target. Raises NotFound."""
        if name not in self._world.settings.targets:
            raise NotFound(
                N_("there is no backup target called {target}"),
                N_("`gardien target list` shows those that are set up."),
                target=name,
            )
        return name

    def operator(self, name: str) -> Operator:
        """Who runs it, as far as gardien knows. Raises NotFound."""
        return sovereignty.judge(self._world.settings.targets[self.known(name)], self._world.hosts)

    async def ready(self, name: str) -> bool:
        """Whether it holds our repository."""
        return await self._world.store.noted(repository_note(name)) is not None

    async def init(self, name: str) -> str:
        """As `take_up`; returns the repository's id alone."""
        return (await self.take_up(name))[0]

    async def take_up(self, name: str, passphrase: str | None = None) -> tuple[str, bool]:
        """Make the passphrase and the repository, or take up the one that is there.

        Returns the repository's id, and whether it was made just now. `passphrase`: of one that is there. Raises
        RepositoryMissing when there was one before: it is never silently made anew; and what `opened` raises.
        """
        self.known(name)
        await self._allowed(name)
        world = self._world
        file = world.settings.passphrase(name)
        known = await world.store.noted(repository_note(name))
        fresh, aside = not await world.files.exists(file), None
        if not fresh and passphrase is not None and (await world.files.read(file) or "").strip() != passphrase:
            if known is not None:
                raise Refused(
                    N_("the target {target} has its passphrase already, and it is another one ({file})"),
                    N_("Look whether you mean another target. That file is what opens its backups."),
                    target=name,
                    file=str(file),
                )
            aside = file.with_name(f"{file.name}.{secrets.token_hex(4)}")  # it may open something: it is never lost
            await world.files.move(file, aside)
            fresh = True
        if fresh:
            if known is not None and passphrase is None:
                raise Refused(
                    N_("the passphrase of target {target} is gone from {file}"),
                    N_("Write it back from your recovery sheet. A new one would not open your backups."),
                    target=name,
                    file=str(file),
                )
            await world.files.make_folder(file.parent, None, 0o700)
            await world.files.write(file, (passphrase or secrets.token_urlsafe(32)) + "\n")
        try:
            identity, made = await self._identity_or_new(name, known)
        except GardienError:
            if fresh:  # it opens nothing: leave no trace of a try that failed
                await world.files.remove(file)
            if aside is not None:
                await world.files.move(aside, file)
            raise
        await world.store.note(repository_note(name), identity)
        if not made:
            await take_stock(world, name)
        return identity, made

    async def _identity_or_new(self, name: str, known: str | None) -> tuple[str, bool]:
        try:
            identity = await self._world.restic.identity(name)
        except RepositoryMissing as missing:
            if known is not None:
                raise _gone(name, missing) from missing
            return await self._world.restic.create(name, like=self._world.settings.targets[name].copy_of), True
        if known not in {None, identity}:
            raise _another(name)
        return identity, False

    async def opened(self, name: str, *, reading: bool = False) -> None:
        """Raises unless the target may be used, answers, and holds the repository that we know.

        `reading`: nothing is to be sent there; then no foreign law hinders, nor that another machine took over, and
        an older key that is still here is tried where the present one does not open it.
        """
        self.known(name)
        await self._allowed(name, reading=reading)
        known = await self._world.store.noted(repository_note(name))
        try:
            identity = await self._identity(name, older=reading)
        except RepositoryMissing as missing:
            if known is None:
                raise RepositoryMissing(
                    N_("target {target} holds no repository yet"),
                    N_("`gardien target test {target}` makes it, once."),
                    target=name,
                ) from missing
            raise _gone(name, missing) from missing
        if known is None:
            await self._world.store.note(repository_note(name), identity)
            await take_stock(self._world, name)
        elif known != identity:
            raise _another(name)
        if not reading:
            await succession.require_ours(self._world, name)

    async def reclaim(self, name: str) -> None:
        """This machine saves there again, whoever took over meanwhile. Raises NotFound, a target's errors."""
        await self.opened(name, reading=True)
        await succession.take(self._world, name)

    async def _identity(self, name: str, *, older: bool) -> str:
        try:
            return await self._world.restic.identity(name)
        except WrongPassphrase:
            if not older or not await self._older_key(name):
                raise
            return await self._world.restic.identity(name)

    async def _older_key(self, name: str) -> bool:
        """Whether a former key, or one that waits to be confirmed, opens it: then it is the present one again, and
        what did not open is kept beside.
        """
        world, present = self._world, self._world.settings.passphrase(name)
        beside = await world.files.older_than(present.parent, world.clock() + timedelta(days=1))
        for file in sorted(each for each in beside if each.name.startswith(f"{present.name}.")):
            if await world.restic.opens(name, file):
                log.warning("%s is opened with the older key in %s", name, file)
                wrong = await world.files.read(present) or ""
                await world.files.write(present.with_name(f"{present.name}.{secrets.token_hex(4)}"), wrong)
                await world.files.write(present, await world.files.read(file) or "")
                return True
        return False

    async def _allowed(self, name: str, *, reading: bool = False) -> None:
        target = self._world.settings.targets[name]
        if not reading:
            require_law(name, target, self.operator(name))
        await require_elsewhere(self._world, target)


def former_key(world: World, target: str) -> Path:
    """Where the key lies that opened a target before the present one did."""
    file = world.settings.passphrase(target)
    return file.with_name(f"{file.name}.former")


def require_law(name: str, target: Target, operator: Operator) -> None:
    """Raise Refused if a law from outside Europe reaches it that the owner did not accept."""
    if not sovereignty.accepted(target, operator):
        law = str(operator.law)
        raise Refused(
            N_("no backup goes to {target}: the law of a country outside Europe reaches it ({country}): {what}"),
            N_(
                "Choose a European host. If you accept that law all the same, say so in these words, with --accept: "
                "“{sentence}”. For a target in gardien.yaml, write `law_accepted: {law}` under it."
            ),
            sentence=sovereignty.sentence(law).given,
            target=name,
            country=country_name(law),
            what=operator.says,
            law=law,
        )


async def require_elsewhere(world: World, target: Target) -> None:
    """Raise Refused if it leads to an address at which no target may be, such as a cloud's metadata service."""
    host = host_of(target)
    if host is not None and any(map(forbidden, (host, *await world.host.resolve(host)))):
        raise Refused(
            N_("{host} leads to an address at which no backup target may be"),
            N_("Link-local addresses and those where a cloud hands out its machines’ keys are never asked."),
            host=host,
        )


def _gone(name: str, missing: RepositoryMissing) -> RepositoryMissing:
    return RepositoryMissing(
        N_("your backups are not where they were: target {target} holds no repository any more"),
        N_(
            "Do not start over; gardien never makes a second one by itself. Ask the host, or look whether its disk is "
            "mounted and its folder renamed."
        ),
        target=name,
        detail=missing.detail,
    )


def _another(name: str) -> Refused:
    return Refused(
        N_("target {target} holds another repository than the one we know"),
        N_("Somebody replaced it. Put the former one back, or name this one as a new target."),
        target=name,
    )

"""Setting a target up: what a person wants becomes a file, a key, a repository, and a test of all of it."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from gardien.errors import (
    BadInput,
    Busy,
    Damaged,
    DiskMissing,
    GardienError,
    NotFound,
    Refused,
    TargetRefuses,
    TargetUnreachable,
)
from gardien.model.fault import Faults, nearest
from gardien.model.manifest import Text
from gardien.model.preset import LOGIN, Preset
from gardien.model.settings import NAME, SftpTarget, Target
from gardien.model.setup import Access, Draft, HostKey, Stage, Tried, Wish
from gardien.rules import hosts, house_settings, sovereignty
from gardien.rules.env import write_env
from gardien.rules.reach import host_of
from gardien.services.care import ALL, deletes_note, drop_care
from gardien.services.feed import Feed
from gardien.services.ports import World
from gardien.services.targets import Targets, require_elsewhere, require_law
from gardien.words import N_, Given, Words

_TRY = ("try", "pass=live")  # tags of what a test writes: retention clears it away, should the test not come to it
_NOT_REACHED = (TargetUnreachable, TargetRefuses, DiskMissing)
_UNPINNED = "ssh-ed25519 AAAA"  # stands for a host key while the rest of a target is looked at


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person hands over for a target that is there already."""

    login: Mapping[str, str] | None = None
    passphrase: str | None = None
    fingerprint: str | None = None  # of a new host key, to be pinned in place of the old one
    accept: str | None = None  # the sentence that accepts a foreign law


class Setup:
    """Adds targets, tries them, takes them off the list. One at a time."""

    def __init__(self, world: World, targets: Targets, feed: Feed) -> None:
        self._world = world
        self._targets = targets
        self._feed = feed
        self._turn = asyncio.Lock()
        self._last: dict[str, tuple[datetime, Tried]] = {}

    def last_try(self, name: str) -> tuple[datetime, Tried] | None:
        """When it was tried last in this life of the daemon, and how that went."""
        return self._last.get(name)

    @property
    def presets(self) -> Mapping[str, Preset]:
        """The places for backups that we know, by name."""
        return self._world.hosts.presets

    # -- adding

    async def draft(self, wish: Wish) -> Draft:
        """What would be set up. Asks an SSH server for its key, and writes nothing.

        Raises `Faults` (all mistakes), NotFound, Refused, TargetUnreachable.
        """
        await self._require_free(wish.name)
        preset = self._preset(wish.preset)
        fields: dict[str, object] = {
            **hosts.fill(preset, wish.values),
            **({"at": wish.at} if wish.at is not None else {}),
            **({"copy_of": wish.copy_of} if wish.copy_of is not None else {}),
            **({"append_only": True} if wish.append_only else {}),
            **({"upload_limit": dict(wish.upload_limit)} if wish.upload_limit else {}),
        }
        pinned = fields.get("host_key")
        if preset.kind == "sftp":
            fields |= {"key": str(self._key(wish.name)), "host_key": pinned or _UNPINNED}
        target = await self._world.shelf.as_target(fields)
        self._require_sense(wish.name, target)
        await require_elsewhere(self._world, target)
        operator = sovereignty.judge(target, self._world.hosts)
        sentence = sovereignty.sentence(operator.law) if operator.law is not None else None
        if operator.law is not None and sovereignty.agrees(operator.law, wish.accept or ""):
            target, sentence = target.model_copy(update={"law_accepted": operator.law}), None
        keys: tuple[HostKey, ...] = ()
        if isinstance(target, SftpTarget) and not pinned:
            keys = _pinned_first(await self._world.ssh.scan(target.host, target.port), target.host, wish.fingerprint)
            target = target.model_copy(update={"host_key": keys[0].line})
        steps = self._steps(wish.name, target, keys)
        return Draft(wish.name, target, operator, keys, steps, sentence)

    async def add(self, wish: Wish) -> Tried:
        """Set it up, and try it. What is not ready yet, for its host does not know our key, stays on the list.

        Raises what `draft` raises, and Refused or BadInput while something is missing that only a person can say;
        nothing is written then.
        """
        async with self._turn:
            draft = await self.draft(wish)
            target = draft.target
            require_law(wish.name, target, draft.operator)
            if draft.host_keys and wish.fingerprint is None:
                raise BadInput(
                    N_("nobody has said yet whether {host} is the right server; its fingerprint is {fingerprint}"),
                    N_("Compare it with what the host publishes, then say it with --fingerprint."),
                    host=host_of(target) or "",
                    fingerprint=draft.host_keys[0].fingerprint,
                )
            login = await self._login(wish.name, target, wish.login or None)
            await self._world.files.make_folder(self._world.settings.secrets, None, 0o700)
            if isinstance(target, SftpTarget):
                await self._world.ssh.make(target.key)
            if login is not None:
                await self._world.files.write(self._login_file(wish.name, target), login)
            await self._world.shelf.set_target(wish.name, target)
            await self._register(wish.name, target)
            return await self._tried(wish.name, wish.passphrase)

    async def try_out(self, name: str, credentials: Credentials | None = None) -> Tried:
        """Reach it, make its repository if it never had one, write, read, and find out whether we can delete.

        Raises NotFound, Refused, BadInput; what fails at the host is told in the stages.
        """
        async with self._turn:
            given = credentials or Credentials()
            target = self._world.settings.targets[self._targets.known(name)]
            law = self._targets.operator(name).law
            if law is not None and sovereignty.agrees(law, given.accept or "") and await self._own(name):
                target = await self._change(name, target.model_copy(update={"law_accepted": law}))
            require_law(name, target, self._targets.operator(name))
            await require_elsewhere(self._world, target)
            if given.fingerprint is not None:
                await self._pin(name, target, given.fingerprint)
            if given.login:
                login = await self._login(name, target, given.login)
                await self._world.files.write(self._login_file(name, target), login or "")
            return await self._tried(name, given.passphrase)

    async def access(self, name: str) -> Access:
        """What a person needs to let us in there, and to keep a thief from deleting. Raises NotFound."""
        target = self._world.settings.targets[self._targets.known(name)]
        public = None
        if isinstance(target, SftpTarget) and await self._world.files.exists(target.key):
            public = await self._world.ssh.public(target.key)
        preset = sovereignty.recognised(target, self._world.hosts)
        said = {key: str(value) for key, value in target.model_dump(mode="json").items()} | {"public_key": public or ""}
        passphrase = self._world.settings.passphrase(name)
        there = await self._world.files.exists(passphrase)
        return Access(
            public,
            _filled(preset.click if preset else Text(en="", fr=""), said),
            _filled(preset.protect if preset else Text(en="", fr=""), said),
            str(passphrase) if there else None,
        )

    # -- taking off the list

    async def remove(self, name: str) -> Path:
        """Take it off the list; the repository at the host stays. Returns where the passphrase lies, which stays, too.

        One that stands in gardien.yaml is taken out there; that can be taken back like any change of the settings, so
        the files that it names stay. Raises NotFound; Refused for one that another is a copy of; Busy; `Faults`.
        """
        async with self._turn:
            world = self._world
            target = world.settings.targets[self._targets.known(name)]
            if copies := [each for each, place in world.settings.targets.items() if place.copy_of == name]:
                raise Refused(
                    N_("{copy} is filled from {target}"),
                    N_("Remove {copy} first."),
                    target=name,
                    copy=", ".join(copies),
                )
            if await self._in_use(name):
                raise Busy(
                    N_("a job is at work at the target {target}, or waits to be"),
                    N_("Wait for it, or cancel it: `gardien job list` shows it."),
                    target=name,
                )
            own = await self._own(name)
            if not own:
                await world.shelf.write(await world.shelf.edited({("targets", name): None}))
            await drop_care(world, name)
            # What we cannot reach any more is nothing to restore from.
            gone = [each.id for each in await world.store.snapshots(target=name, most=ALL)]
            await world.store.drop_snapshots(name, gone)
            if own:
                await world.shelf.set_target(name, None)
                for file in (self._key(name), self._key(name).with_suffix(".key.pub"), self._login_file(name, target)):
                    await world.files.remove(file)
            del world.settings.targets[name]
            self._last.pop(name, None)
            self._feed.changed("target")
            return world.settings.passphrase(name)

    # -- parts

    def _preset(self, name: str) -> Preset:
        if name not in self.presets:
            error = NotFound(N_("there is no preset called {name}"), name=name)
            error.remedy = nearest(name, self.presets)
            raise error
        return self.presets[name]

    async def _require_free(self, name: str) -> None:
        """One that was never ready may be described anew."""
        if not re.fullmatch(NAME, name):
            raise BadInput(
                N_("{name} cannot be a name here"),
                N_("Use small letters, digits and dashes, beginning with a letter, at most 31."),
                name=repr(name),
            )
        if name in self._world.settings.targets and (await self._targets.ready(name) or not await self._own(name)):
            raise Refused(
                N_("there is a backup target called {target} already"),
                N_("`gardien target test {target}` tries it. For another one choose another name."),
                target=name,
            )

    def _require_sense(self, name: str, target: Target) -> None:
        """Raise `Faults` if it does not go together with itself, or with the other targets."""
        settings = self._world.settings
        others = {each: place for each, place in settings.targets.items() if each != name}
        merged = settings.model_copy(update={"targets": {**others, name: target}})
        found = [each for each in house_settings.faults_of(merged) if each.at[:2] == ("targets", name)]
        if found:
            raise Faults(replace(each, at=each.at[2:] or ("name",)) for each in found)

    async def _login(self, name: str, target: Target, given: Mapping[str, str] | None) -> str | None:
        """The text of the login's file; None where there is none to write. Raises BadInput, which shows no value."""
        names = LOGIN.get(target.kind, ())
        if not names or (given is None and await self._world.files.exists(self._login_file(name, target))):
            return None
        if set(given or ()) != set(names) or not all((given or {}).values()):
            raise BadInput(
                N_("a target of this kind needs {names}, and nothing else, to be let in"),
                N_("Write them into a file, one NAME=VALUE a line, and name it with --login; or answer when asked."),
                names=", ".join(names),
            )
        try:
            return write_env({each: (given or {})[each] for each in names})
        except BadInput:
            raise BadInput(
                N_("the login holds a single quote, a backslash or an invisible character"),
                N_("Have the host make another one."),
            ) from None

    def _steps(self, name: str, target: Target, keys: tuple[HostKey, ...]) -> tuple[Words, ...]:
        steps = []
        if isinstance(target, SftpTarget):
            steps.append(Words.of(N_("make a pair of SSH keys: {file}"), file=str(target.key)))
            if keys:
                steps.append(Words.of(N_("pin the server’s key {fingerprint}"), fingerprint=keys[0].fingerprint))
        elif target.kind in LOGIN:
            steps.append(Words.of(N_("keep the login in {file}"), file=str(self._login_file(name, target))))
        steps.append(Words.of(N_("write down the target: {file}"), file=str(self._file(name))))
        steps.append(Words.of(N_("reach it, and make its encrypted repository, or take up the one that is there")))
        steps.append(Words.of(N_("write, list and read back a file there, and find out whether our key can delete")))
        return tuple(steps)

    async def _pin(self, name: str, target: Target, wanted: str) -> None:
        """Take another host key for the right one."""
        if not isinstance(target, SftpTarget) or not await self._own(name):
            raise Refused(
                N_("gardien pins no host key for {target}"),
                N_("It is no SSH server, or it stands in gardien.yaml: change `host_key` there."),
                target=name,
            )
        keys = _pinned_first(await self._world.ssh.scan(target.host, target.port), target.host, wanted)
        await self._change(name, target.model_copy(update={"host_key": keys[0].line}))

    async def _change(self, name: str, target: Target) -> Target:
        await self._world.shelf.set_target(name, target)
        self._world.settings.targets[name] = target
        return target

    async def _register(self, name: str, target: Target) -> None:
        """From now on everybody knows it: `settings.targets` is the one register, and all hold the same.

        Those with a file of their own stand last, by name, as after a restart.
        """
        register = self._world.settings.targets
        own = {each: place for each, place in list(register.items()) if await self._own(each)} | {name: target}
        for each in own:
            register.pop(each, None)
        register.update(sorted(own.items()))

    def _file(self, name: str) -> Path:
        return self._world.settings.folders.owner / "targets" / f"{name}.yaml"

    async def listed(self, name: str) -> bool:
        """Whether somebody wrote it into gardien.yaml. Raises NotFound."""
        return not await self._own(self._targets.known(name))

    async def _own(self, name: str) -> bool:
        """Whether gardien set it up: it has a file of its own."""
        return await self._world.files.exists(self._file(name))

    def _key(self, name: str) -> Path:
        return self._world.settings.secrets / f"target-{name}.key"

    def _login_file(self, name: str, target: Target) -> Path:
        return self._world.settings.secrets / f"target-{name}.{target.kind}"

    async def _in_use(self, name: str) -> bool:
        lease = f"repository:{name}"
        return any(lease in job.plan.leases for job in await self._world.store.jobs(open_only=True))

    # -- trying

    async def _tried(self, name: str, passphrase: str | None) -> Tried:
        try:
            tried = await self._stages(name, passphrase)
            self._last[name] = self._world.clock(), tried
            return tried
        finally:
            self._feed.changed("target")

    async def _stages(self, name: str, passphrase: str | None) -> Tried:
        reached = Stage("reach", "good", Words.of(N_("the target {target} answers and lets gardien in"), target=name))
        knew = await self._targets.ready(name)
        try:
            repository, made = await self._targets.take_up(name, passphrase)
        except _NOT_REACHED as error:
            return Tried(name, (_failed("reach", error),), None)
        except GardienError as error:
            return Tried(name, (reached, _failed("repository", error)), None)
        if made:
            says = N_("the encrypted repository is made: {repository}")
        else:
            says = (
                N_("the repository is there: {repository}")
                if knew
                else N_("a repository is there, and taken up: {repository}")
            )
        stages = [reached, Stage("repository", "good", Words.of(says, repository=repository[:10]))]
        if await self._in_use(name):
            says = N_("a job is at work there, or waits to be: nothing was written to it")
            return Tried(name, (*stages, Stage("write", "skipped", Words.of(says))), repository)
        try:
            written = await self._written(name)
            stages.append(Stage("write", "good", Words.of(N_("a file was written, listed and read back"))))
        except GardienError as error:
            return Tried(name, (*stages, _failed("write", error)), repository)
        stages.append(await self._deletes(name, written))
        return Tried(name, tuple(stages), repository)

    async def _written(self, name: str) -> str:
        """Write a small file there, and read it back. Returns the snapshot's id. Where nothing can be deleted, the
        snapshot of the last test serves again."""
        world, token = self._world, secrets.token_hex(16)
        folder = world.settings.folders.state / "try"
        here, back = folder / "here", folder / "back"
        kept = await world.store.noted(deletes_note(name)) == "no"
        former = await world.restic.found(name, tags=_TRY) if kept else []
        try:
            await world.files.make_folder(folder, None, 0o700)
            await world.files.make_folder(here, None, 0o700)
            if former:
                snapshot, token = former[0].id, ""
            else:
                await world.files.write(here / "gardien", token)
                saved = await world.restic.save(
                    name, here, tags=_TRY, leave_out=(), parent=None, progress=lambda _: None, persistent=False
                )
                snapshot = saved.id
            files, _ = await world.restic.contents(name, snapshot)
            await world.restic.bring_back(name, snapshot, str(here), back, lambda _: None)
            read = await world.files.read(back / "gardien")
            if files != 1 or not read or (token and read != token):
                raise Damaged(
                    N_("what the backup target {target} gave back is not what was saved there"),
                    N_("Ask the host, or choose another one. Nothing of yours was there yet."),
                    target=name,
                )
        finally:
            await world.files.remove(folder)
        return snapshot

    async def _deletes(self, name: str, written: str) -> Stage:
        """Whether our key, and so its thief, can delete what is there. What the test wrote is taken away."""
        world = self._world
        try:
            can = await world.restic.can_delete(name)
            await world.store.note(deletes_note(name), "yes" if can else "no")
            if not can:
                says = N_("this machine’s key can delete no backup there: nor can whoever takes it over")
                return Stage("delete", "good", Words.of(says))
            await world.restic.forget(name, [written])
        except GardienError as error:
            return _failed("delete", error)
        protect = (await self.access(name)).protect
        says = N_("this machine’s key can delete old backups there: whoever takes it over can, too")
        return Stage("delete", "warning", Words.of(says), protect)


def _failed(name: str, error: GardienError) -> Stage:
    return Stage(name, "failed", error.says, error.remedy, error)  # type: ignore[arg-type]


def _filled(text: Text, said: Mapping[str, str]) -> Words:
    return Words.of("{it}", it=Given(text.en.format_map(said), text.fr.format_map(said)))


def _pinned_first(keys: tuple[HostKey, ...], host: str, wanted: str | None) -> tuple[HostKey, ...]:
    """Those that bear the fingerprint a person named; all, if none did. Raises Refused: another server answers."""
    if wanted is None:
        return keys
    plain = wanted.strip().removeprefix("SHA256:").rstrip("=")
    found = tuple(each for each in keys if each.fingerprint.removeprefix("SHA256:") == plain)
    if not found:
        raise Refused(
            N_("the server that answers at {host} is not the one you named: its fingerprints are {found}"),
            N_("Nothing was sent. Compare with what the host publishes; if it is another one, ask the host."),
            host=host,
            found=", ".join(each.fingerprint for each in keys),
        )
    return found

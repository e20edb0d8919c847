"""The recovery sheet: made, shown once, confirmed by typing some of it back, proven each month; and a new key."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from gardien.errors import BadInput, Damaged, GardienError, Refused, WrongPassphrase
from gardien.model.kit import Asked, Kit, KitView, Sheet
from gardien.model.plan import Json, Plan
from gardien.model.settings import SftpTarget, Target
from gardien.rules import kit as text
from gardien.rules import plans
from gardien.rules.env import read_env
from gardien.rules.openssh import fingerprint
from gardien.rules.reach import address_of, host_of
from gardien.services.care import ready_since
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.sheet_note import SheetNote, keep_sheet, sheet_of
from gardien.services.targets import Targets, former_key
from gardien.words import N_

# Of a target's settings those that a blank machine needs to reach it, besides what lies in files.
_NEEDED = {
    *("kind", "folder", "host", "port", "user", "host_key", "endpoint", "bucket", "region", "url"),
    *("append_only", "law_accepted"),
}


class Kits:
    """One sheet for each target; the house needs that of one that is not on this machine."""

    def __init__(self, world: World, runner: Runner, targets: Targets) -> None:
        self._world = world
        self._runner = runner
        self._targets = targets
        runner.teach("proof", _Proof(world, targets, self))
        runner.teach("rekey", _Rekey(world, targets))

    def first(self) -> str:
        """The target whose sheet the house needs: the first one off this machine, else the first. Raises NotFound."""
        places = self._world.settings.targets
        away = next((name for name, place in places.items() if host_of(place) is not None), None)
        return away or self._targets.first()

    async def kit(self, target: str) -> Kit:
        """What would be on the sheet now. Raises NotFound, WrongPassphrase."""
        world, place = self._world, self._world.settings.targets[self._targets.known(target)]
        passphrase = await world.files.read(_next(world, target)) or await self._present(target)
        login, _ = read_env(await world.files.read(world.settings.login(target)) or "")
        key = await world.files.read(place.key) if isinstance(place, SftpTarget) else None
        ca: Path | None = getattr(place, "ca", None)
        return Kit(
            machine=world.settings.name,
            target=target,
            place=_place(place),
            passphrase=passphrase.strip(),
            login=login,
            key=key,
            ca=await world.files.read(ca) if ca is not None else None,
        )

    async def _present(self, target: str) -> str:
        file = self._world.settings.passphrase(target)
        found = await self._world.files.read(file)
        if not (found or "").strip():
            raise WrongPassphrase(
                N_("the passphrase of the backup target {target} is not on this machine ({file})"),
                N_("Write it back from your recovery sheet. A new one would not open your backups."),
                target=target,
                file=str(file),
            )
        return str(found)

    async def make(self, target: str | None = None, *, new_key: bool = False) -> Sheet:
        """The sheet, to be shown this once. With `new_key` it shows another key; both open until it is confirmed.

        Raises NotFound, Refused for a target that holds no repository yet, and a target's errors.
        """
        world, name = self._world, self._targets.known(target) if target is not None else self.first()
        if not await self._targets.ready(name):
            raise Refused(
                N_("the target {target} holds nothing yet that a recovery sheet could open"),
                N_("`gardien target test {target}` makes it ready."),
                target=name,
            )
        if new_key:
            await self._targets.opened(name)
            await self._add_key(name)
        kit = await self.kit(name)
        lines = text.write(kit)
        pending = await world.files.exists(_next(world, name))
        now, hash_, former = world.clock(), text.contents_hash(kit), await sheet_of(world, name)
        if former is None or former.hash != hash_:
            former = SheetNote(hash_, now, new_key=pending)
        await keep_sheet(world, name, replace(former, made=now))
        place = world.settings.targets[name]
        host_key = fingerprint(place.host_key) if isinstance(place, SftpTarget) else None
        return Sheet(kit, lines, now, address_of(place), host_key, pending)

    async def _add_key(self, target: str) -> None:
        """Can be begun again at any point: a passphrase that was made is used, one that opens is not added twice."""
        world, fresh = self._world, _next(self._world, target)
        if not await world.files.exists(fresh):
            await world.files.write(fresh, secrets.token_urlsafe(32) + "\n")
        if not await world.restic.opens(target, fresh):
            await world.restic.add_key(target, fresh)

    async def asked(self, target: str | None = None) -> tuple[str, tuple[Asked, ...]]:
        """For which target, and which groups have to be typed back. Raises Refused if there is no sheet to confirm."""
        name, kit, _ = await self._shown(target)
        return name, text.asked(kit, text.write(kit))

    async def confirm(self, target: str | None, groups: Sequence[str]) -> int | None:
        """Somebody has the sheet before them. Returns the job that makes a new key the only one, if it shows one.

        Raises Refused, BadInput with the group that is not right.
        """
        name, kit, sheet = await self._shown(target)
        lines = text.write(kit)
        wanted = text.asked(kit, lines)
        for number, each in enumerate(wanted):
            if number >= len(groups) or not text.same_group(lines, each, groups[number]):
                raise BadInput(
                    N_("group {group} of line {line} is not what stands on the sheet"),
                    N_("Look at the sheet that was made last, and type it again."),
                    group=each.group,
                    line=each.line,
                )
        await keep_sheet(self._world, name, replace(sheet, confirmed=self._world.clock()))
        return await self.change(name) if sheet.new_key else None

    async def _shown(self, target: str | None) -> tuple[str, Kit, SheetNote]:
        name = self._targets.known(target) if target is not None else self.first()
        kit, sheet = await self.kit(name), await sheet_of(self._world, name)
        if sheet is None or sheet.hash != text.contents_hash(kit):
            raise Refused(
                N_("there is no recovery sheet of {target} to confirm: none was made, or it is out of date"),
                N_("Make one: `gardien kit --target {target}`."),
                target=name,
            )
        return name, kit, sheet

    async def adopt(self, target: str) -> None:
        """The sheet in somebody's hands brought this machine up: it is right, and confirmed by that."""
        now = self._world.clock()
        hash_ = text.contents_hash(await self.kit(target))
        await keep_sheet(self._world, target, SheetNote(hash_, now, confirmed=now))

    async def views(self) -> tuple[KitView, ...]:
        """How it is with the sheet of the house, first, and with every other one that was made."""
        places = dict(self._world.settings.targets)
        if not places:
            return ()
        first = self.first()
        views = [await self._view(first, places[first])]
        for name, place in places.items():
            if name != first and await sheet_of(self._world, name) is not None:
                views.append(await self._view(name, place))
        return tuple(views)

    async def _view(self, name: str, place: Target) -> KitView:
        view = KitView(name, address_of(place), host_of(place) is not None, since=await ready_since(self._world, name))
        sheet = await sheet_of(self._world, name)
        if sheet is None:
            return view
        return replace(
            view,
            made=sheet.made,
            confirmed=sheet.confirmed,
            proven=sheet.proven,
            outdated=not await self.current(name, sheet),
            new_key=sheet.new_key,
        )

    async def current(self, name: str, sheet: SheetNote) -> bool:
        """Whether what is on the sheet is what is so now."""
        try:
            return text.contents_hash(await self.kit(name)) == sheet.hash
        except GardienError:
            return False

    # -- jobs

    async def plan_proof(self, target: str) -> Plan:
        return plans.proof(self._targets.known(target))

    async def prove(self, target: str) -> int:
        """Queue it; returns the job's number. So does `change`."""
        return await self._runner.submit(await self.plan_proof(target))

    async def change(self, target: str) -> int:
        return await self._runner.submit(plans.rekey(self._targets.known(target)))


def typed_line(number: int, typed: str) -> str:
    """A line that somebody types, as it is printed. Raises BadInput, which says what is wrong with it."""
    return text.line_of(number, typed)


def lines_of(first: str) -> int:
    """How many lines a sheet has that begins with this one. Raises BadInput."""
    return text.count_of(first)


def in_one_line(sheet: Sheet) -> str:
    """What its QR code says."""
    return text.code(sheet.lines)


def _next(world: World, target: str) -> Path:
    """Where a new key waits until its sheet is confirmed."""
    file = world.settings.passphrase(target)
    return file.with_name(f"{file.name}.next")


def _place(place: Target) -> dict[str, Json]:
    fields: dict[str, Json] = place.model_dump(mode="json", exclude_defaults=True, include=_NEEDED)
    if "host_key" in fields:
        fields["host_key"] = " ".join(str(fields["host_key"]).split()[:2])  # its comment says nothing
    return fields


class _Proof:
    """That the key on the sheet opens the newest backup, and reads in it. It changes nothing."""

    def __init__(self, world: World, targets: Targets, kits: Kits) -> None:
        self._world = world
        self._targets = targets
        self._kits = kits
        self.do: Mapping[str, Do] = {"look": self._look, "read": self._read, "note": self._note}
        self.undo: Mapping[str, Do] = {}

    async def heal(self, run: Run) -> None:
        """Reading takes no lock."""

    async def _sheet(self, target: str) -> SheetNote:
        sheet = await sheet_of(self._world, target)
        if sheet is None or not await self._kits.current(target, sheet):
            raise Refused(
                N_("there is no recovery sheet of {target} that is up to date"),
                N_("Make one: `gardien kit --target {target}`."),
                target=target,
            )
        return sheet

    async def _look(self, run: Run) -> None:
        await self._sheet(run.plan.subject)
        await self._targets.opened(run.plan.subject, reading=True)

    async def _read(self, run: Run) -> None:
        target = run.plan.subject
        found = await self._world.restic.found(target, tags=("pass=final",))
        if not found:
            return
        account = await self._world.restic.read(target, found[0].id, f"{found[0].paths[0]}/.gardien/set.json")
        try:
            stack = str(json.loads(account)["stack"])
        except (ValueError, KeyError, TypeError) as error:
            raise Damaged(
                N_("the newest backup at {target} opens with the recovery key, but cannot be read"),
                N_("See what a check finds: `gardien backup check {target}`."),
                target=target,
            ) from error
        await run.remember(stack=stack)

    async def _note(self, run: Run) -> None:
        target = run.plan.subject
        await keep_sheet(self._world, target, replace(await self._sheet(target), proven=self._world.clock()))
        if "stack" in run.facts:
            run.done(N_("the key on the recovery sheet opens the newest backup at {target}"), target=target)
        else:
            run.done(N_("the key on the recovery sheet opens {target}, which holds no backup yet"), target=target)


class _Rekey:
    """The new key becomes this machine's, and the old one opens no more. What is half done is found done, or done."""

    def __init__(self, world: World, targets: Targets) -> None:
        self._world = world
        self._targets = targets
        self.do: Mapping[str, Do] = {"swap": self._swap, "drop": self._drop}
        self.undo: Mapping[str, Do] = {}

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._world.restic.unlock(run.plan.subject)

    async def _swap(self, run: Run) -> None:
        world, target = self._world, run.plan.subject
        fresh, present = _next(world, target), world.settings.passphrase(target)
        if not await world.files.exists(fresh):
            return
        if not await world.restic.opens(target, fresh):
            raise WrongPassphrase(
                N_("the new recovery key does not open {target}; the old one stays"),
                N_("Make another one: `gardien kit --new-key --target {target}`."),
                target=target,
            )
        new, old = await world.files.read(fresh) or "", await world.files.read(present) or ""
        if new != old:  # else we died right after it was written
            await world.files.write(former_key(world, target), old)
            await world.files.write(present, new)
        await world.files.remove(fresh)

    async def _drop(self, run: Run) -> None:
        world, target = self._world, run.plan.subject
        former, kept = former_key(world, target), False
        try:
            if await world.files.read(former) != await world.files.read(world.settings.passphrase(target)):
                await world.restic.drop_key(target, former)
        except Refused:
            kept = True
        sheet = await sheet_of(world, target)
        if sheet is not None:
            await keep_sheet(world, target, replace(sheet, new_key=False))
        if kept:
            run.done(
                N_(
                    "{target} is opened with the new recovery key from now on; the old one still opens it, too, for "
                    "nothing is deleted from here there: keep the old sheet as safe as the new one, or have the host "
                    "remove that key"
                ),
                target=target,
            )
        else:
            run.done(
                N_("{target} is opened with the new recovery key alone from now on; destroy the old sheet"),
                target=target,
            )

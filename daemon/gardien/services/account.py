"""What lies in a stack's snapshot beside its own files, for a machine that knows nothing: the stack's account, and
the house's. And what says beside an incomplete snapshot that it is none to count on.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from gardien import __version__
from gardien.errors import GardienError
from gardien.model.plan import Json
from gardien.model.settings import Settings, SftpTarget, Target
from gardien.model.snapshot import Found, Snapshot
from gardien.model.stack import Stack
from gardien.services.ports import Restic, World
from gardien.services.stacks import Stacks

log = logging.getLogger(__name__)

SET_FORMAT = 2  # of `.gardien/set.json`; a restore reads every format up to its own. From 2 on `house.json` is there
HOUSE_FORMAT = 1  # of `.gardien/house.json`
OF_THE_MACHINE = {"folders", "page", "docker", "programs", "targets"}  # settings that another machine has its own of


def tags(stack: str, pass_: str | None = None) -> tuple[str, ...]:
    """What a snapshot of `stack` bears, so that it is found again by plain restic too; without `pass_` every one."""
    return (f"stack={stack}", *([f"pass={pass_}"] if pass_ is not None else []))


def owner_files(stack: str) -> tuple[tuple[str, str], ...]:
    """Where the owner's files of a stack lie, and under which names they lie in the snapshot."""
    return (f"stacks/{stack}.yaml", "chosen.yaml"), (f"secrets/{stack}.env", "secrets.env")


async def write(world: World, stacks: Stacks, stack: Stack) -> None:
    """What a bare machine needs beside the files: choices, secrets, versions, owners; and the house they lived in."""
    images = {
        service: {"image": image, "id": await world.engine.image_id(image)}
        for service, image in (await stacks.images(stack)).items()
    }
    account = {
        "format": SET_FORMAT,
        "gardien": __version__,
        "restic": await world.restic.version(),
        "machine": world.settings.name,
        "stack": stack.name,
        "home": str(stack.home),
        "written": world.clock().isoformat(),
        "images": images,
        "folders": {path: owned.model_dump() for path, owned in stack.manifest.folders.items()},
        "save": list(stack.manifest.backup.save),
        "left_out": {path: reason.en for path, reason in stack.manifest.backup.leave_out.items()},
        "dumps": list(stack.manifest.backup.dumps),
    }
    owner = world.settings.folders.owner
    await world.files.make_folder(stack.inner, None, 0o700)
    await world.files.write(stack.inner / "set.json", json.dumps(account, indent=1) + "\n")
    await world.files.write(stack.inner / "house.json", json.dumps(await house(world), indent=1) + "\n")
    for ours, theirs in owner_files(stack.name):
        text = await world.files.read(owner / ours)
        if text is not None:
            await world.files.write(stack.inner / theirs, text)


def letter_files(settings: Settings) -> tuple[Path, ...]:
    """What lets gardien speak to people: without it a machine that takes over would be silent."""
    return (settings.mail_password, settings.second_way_token)


async def house(world: World) -> dict[str, Json]:
    """All of the house that is not this machine's alone: settings, presets of its own, every target with what opens it.

    Whoever can read one target's snapshots can so reach the others: they are one house's, behind one key each.
    """
    settings = world.settings
    presets = await world.files.older_than(settings.folders.owner / "hosts", world.clock() + timedelta(days=1))
    return {
        "format": HOUSE_FORMAT,
        "settings": settings.model_dump(mode="json", by_alias=True, exclude=OF_THE_MACHINE),
        "letters": {path.name: await world.files.read(path) for path in letter_files(settings)},
        "targets": {name: await _target(world, name, each) for name, each in list(settings.targets.items())},
        "hosts": {file.name: await world.files.read(file) for file in presets if file.suffix == ".yaml"},
    }


async def _target(world: World, name: str, target: Target) -> dict[str, Json]:
    """`settings` as in gardien.yaml; the texts of its files by what they are, None where it has no such file."""
    files: dict[str, Path | None] = {
        "passphrase": world.settings.passphrase(name),
        "login": world.settings.login(name),
        "key": target.key if isinstance(target, SftpTarget) else None,
        "ca": getattr(target, "ca", None),
    }
    texts = {what: await world.files.read(file) if file is not None else None for what, file in files.items()}
    return {"settings": target.model_dump(mode="json"), **texts}


async def leave_word(  # noqa: PLR0917
    world: World, restic: Restic, target: str, folder: Path, account: Mapping[str, Json], tags_: Sequence[str]
) -> None:
    """A tiny snapshot, of a file that is there for that long alone in `folder`. Raises a target's errors."""
    try:
        await world.files.make_folder(folder, None, 0o700)
        await world.files.write(folder / f"{folder.name}.json", json.dumps(account, indent=1) + "\n")
        await restic.save(target, folder, tags=tags_, leave_out=(), parent=None, progress=lambda _: None)
    finally:
        await world.files.remove(folder)


def _marks(snapshot: Snapshot) -> tuple[str, ...]:
    return (*tags(snapshot.stack, "incomplete"), f"of={snapshot.id}")


async def mark(world: World, snapshot: Snapshot) -> None:
    """Leave beside an incomplete snapshot, in the repository itself, the word that it is. It is no reason to fail.

    Its tags: `pass=incomplete` and `of=` the other one's id.
    """
    folder = world.settings.folders.data / snapshot.stack / ".gardien" / "incomplete"
    account: dict[str, Json] = {"of": snapshot.id, "why": str(snapshot.why), "missed": list[Json](snapshot.missed)}
    try:
        await leave_word(world, world.restic, snapshot.target, folder, account, _marks(snapshot))
    except GardienError:
        log.warning("the incomplete backup %s could not be marked as such", snapshot.id, exc_info=True)


async def unmark(world: World, snapshot: Snapshot) -> None:
    """Take that word back. Where nothing can be deleted it stays; it is read where nothing else is known, only."""
    try:
        marks = await world.restic.found(snapshot.target, tags=_marks(snapshot))
        if marks:
            await world.restic.forget(snapshot.target, [each.id for each in marks])
    except GardienError:
        log.warning("%s stays marked as incomplete at its target", snapshot.id, exc_info=True)


def backups(found: Iterable[Found]) -> list[Found]:
    """Those of a repository's snapshots that are backups: no first passes, no words beside them."""
    return [each for each in found if "pass=final" in each.tags]


def marked(found: Iterable[Found]) -> frozenset[str]:
    """The ids of those snapshots that others among `found` mark as incomplete."""
    tags_ = (tag for each in found if "pass=incomplete" in each.tags for tag in each.tags)
    return frozenset(tag.removeprefix("of=") for tag in tags_ if tag.startswith("of="))

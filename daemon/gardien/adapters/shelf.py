"""Reads what the owner and the stacks' authors wrote, and writes down what the owner chose."""

import asyncio
import hashlib
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from ruamel.yaml import YAML

from gardien.adapters.document import Document, read, validate
from gardien.adapters.file_marks import mark_of
from gardien.adapters.settings_file import edited
from gardien.errors import BadInput, NotFound
from gardien.model.edit import Changes, Edit, Rewrite
from gardien.model.fault import Fault, Faults, nearest
from gardien.model.manifest import BackupRecipe, Manifest, Text
from gardien.model.plan import Json
from gardien.model.settings import NAME, Closed, Settings, Target
from gardien.model.stack import Chosen, Recipe
from gardien.rules import composefile, house_settings, manifest
from gardien.rules.composefile import FILES, OVERRIDES
from gardien.rules.env import read_env, write_env
from gardien.rules.kinds import misfits
from gardien.words import N_, Words

_NAME = re.compile(NAME)
TARGETS = "targets"  # the folder, among the owner's, of the targets that gardien set up


class Files(Protocol):
    """Durable files, as `gardien.services.ports.Files` has them."""

    async def write(self, path: Path, text: str, mode: int = 0o600) -> None: ...
    async def read(self, path: Path) -> str | None: ...
    async def remove(self, path: Path) -> None: ...
    async def make_folder(self, path: Path, owner: tuple[int, int], mode: int) -> None: ...


def load_settings(path: Path) -> Settings:
    """Read `gardien.yaml`. Raises `Faults` with every mistake at once, `BadInput` if it cannot be read at all."""
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError as error:
        raise BadInput(
            N_("there is no settings file {file}"),
            N_("Name the right one with --config, or run install.sh, which writes one."),
            file=str(path),
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else N_("it is not text in UTF-8")
        raise BadInput(
            N_("cannot read {file}: {why}"),
            N_("Run this with sudo, and look whether the file is what you think it is."),
            file=str(path),
            why=str(why),
        ) from error
    return settings_in(text, path)


def settings_in(text: str, path: Path, places: Mapping[Path, str] | None = None) -> Settings:
    """What `load_settings` makes of this text, were it in that file, and `places` in those. Raises `Faults`."""
    document = read(text, path)
    settings = validate(Settings, document)
    files, targets = _targets_in(settings.folders.owner / TARGETS, places or {})
    doubles = [_written_twice(name, files[name].file, document) for name in targets if name in settings.targets]
    merged = settings.model_copy(update={"targets": {**settings.targets, **targets}})
    faults = [
        fault
        for found in house_settings.faults_of(merged)
        for fault in (files[str(found.at[1])] if _of(found, files) else document).place([_inner(found, files)])
    ]
    if doubles or faults:
        raise Faults([*doubles, *faults])
    return merged


class _TargetFile(Closed):
    """One target in a file of its own; nobody writes the key."""

    target: Target


def _target_of(document: Document) -> Target:
    """Raises `Faults`."""
    return validate(_TargetFile, replace(document, data={"target": document.data})).target


def _targets_in(folder: Path, places: Mapping[Path, str]) -> tuple[dict[str, Document], dict[str, Target]]:
    """The targets that gardien set up, by name, and the files they stand in. Raises `Faults` for all of these."""
    files: dict[str, Document] = {}
    targets: dict[str, Target] = {}
    faults: list[Fault] = []
    for file in sorted(folder.glob("*.yaml")):
        try:
            if not _NAME.fullmatch(file.stem):
                says = Words.of(N_("{name} cannot be a name here"), name=file.stem)
                raise Faults([Fault((), says, Words.of(N_("Rename it.")), file, 1)])
            document = read(places[file] if file in places else file.read_text("utf-8"), file)
            targets[file.stem] = _target_of(document)
            files[file.stem] = document
        except Faults as error:
            faults += error.faults
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(N_("cannot read {file}: {why}"), file=str(file), why=str(error)) from error
    if faults:
        raise Faults(faults)
    return files, targets


def _of(fault: Fault, files: Mapping[str, Document]) -> bool:
    """Whether it is a mistake in a target's own file."""
    return len(fault.at) > 1 and fault.at[0] == "targets" and fault.at[1] in files


def _inner(fault: Fault, files: Mapping[str, Document]) -> Fault:
    return replace(fault, at=fault.at[2:]) if _of(fault, files) else fault


def _written_twice(name: str, file: Path, document: Document) -> Fault:
    says = Words.of(N_("the target {target} stands in {file}, too"), target=name, file=str(document.file))
    remedy = Words.of(N_("Keep one of the two, here or on line {other}."), other=document.line(("targets", name)))
    return Fault((), says, remedy, file, 1)


class FileShelf:
    """The `Shelf` on real folders: shipped stacks, and the owner's own below `<owner>/stacks`, which come first."""

    def __init__(self, shipped: Path, owner: Path, files: Files, config: Path | None = None) -> None:
        self._shipped = shipped
        self._config = config  # the settings file
        self._stacks = owner / "stacks"
        self._secrets = owner / "secrets"
        self._targets = owner / TARGETS
        self._files = files
        self._read: dict[Path, tuple[str, Recipe]] = {}  # folder -> digest of what was read, what it said

    async def recipes(self) -> list[str]:
        """Names of the stacks that can be added."""
        return await asyncio.to_thread(self._names)

    async def recipe(self, name: str, folder: Path | None = None) -> Recipe:
        """Read and check one stack, as it is shipped or as it lies in `folder`.

        One of the owner's own may be a plain Compose project: it is not `kept`. Raises NotFound, or `Faults` with all
        that is wrong with it.
        """
        if folder is not None:
            files = [folder / FILES[0]]
        else:
            files = [self._stacks / _checked(name) / file for file in FILES] + [self._shipped / name / FILES[0]]
        for file in files:
            text = await self._files.read(file)
            if text is not None:
                own = file.parent.parent == self._stacks
                return await asyncio.to_thread(self._recipe, name, file, text, own)
        near = nearest(name, await self.recipes())
        values: dict[str, Any] = {"name": name, **near.values}
        raise NotFound(N_("there is no stack called {name}"), near.text, **values)

    async def chosen(self, name: str) -> Chosen | None:
        """What the owner chose for this stack; None if it was never added. Raises `Faults`."""
        document = await self._document(self._chosen_file(name))
        if document is None:
            return None
        chosen = validate(Chosen, document)
        try:
            recipe = await self.recipe(name)
        except BadInput:
            return chosen  # whoever asks for the recipe hears of it; a running stack must not vanish from view
        faults = [
            Fault((section, *fault.at), fault.says, fault.remedy)
            for section, values in (("settings", chosen.settings), ("images", chosen.images))
            for fault in misfits(recipe, values)
        ]
        if faults:
            raise Faults(document.place(faults))
        return chosen

    async def chosen_in(self, file: Path) -> Chosen:
        """The owner's choices as they came back from a backup. Raises NotFound, `Faults`."""
        document = await self._document(file)
        if document is None:
            raise NotFound(N_("the backup does not hold what was chosen: {file} is missing"), file=str(file))
        return validate(Chosen, document)

    async def all_chosen(self) -> dict[str, Chosen]:
        """Every added stack. Raises `Faults` with the mistakes of all files."""
        names = await asyncio.to_thread(lambda: sorted(file.stem for file in self._stacks.glob("*.yaml")))
        found: dict[str, Chosen] = {}
        faults: list[Fault] = []
        for name in names:
            try:
                chosen = await self.chosen(name)
            except Faults as error:
                faults += error.faults
            else:
                found |= {name: chosen} if chosen else {}
        if faults:
            raise Faults(faults)
        return found

    async def mark(self, deployed: Sequence[Path]) -> object:
        """Equal to a former one only if no file of a stack has changed since, here or in these folders."""
        return await asyncio.to_thread(mark_of, [self._stacks, self._shipped, *deployed])

    async def choose(self, name: str, chosen: Chosen | None) -> None:
        """Write the owner's choice; None takes the stack off the list."""
        path = self._chosen_file(name)
        if chosen is None:
            await self._files.remove(path)
            return
        head = f"# What was chosen for the stack {name}. gardien writes this file anew when that changes.\n"
        await self._write(path, head + _yaml(chosen.model_dump()))

    async def as_target(self, fields: Mapping[str, object]) -> Target:
        """The target that somebody described. Raises `Faults` with all that is wrong with it, which know no file."""
        try:
            text = _yaml(dict(fields))
            return await asyncio.to_thread(lambda: _target_of(read(text, self._targets)))
        except Faults as error:
            raise Faults(replace(fault, file=None, line=0) for fault in error.faults) from None

    async def set_target(self, name: str, target: Target | None) -> None:
        """Write a target's own file; None takes it off the list. Raises NotFound for what cannot be a name."""
        if not _NAME.fullmatch(name):
            raise NotFound(N_("there is no backup target called {target}"), target=name)
        path = self._targets / f"{name}.yaml"
        await self._files.remove(_beside(path))  # what was changed before leads back to nothing any more
        if target is None:
            await self._files.remove(path)
            return
        head = f"# The backup target {name}. You may change it by hand; then restart gardien.\n"
        await self._write(path, head + _yaml(target.model_dump(mode="json", exclude_defaults=True)))

    async def merge_settings(self, fields: Mapping[str, Json]) -> None:
        """Write these top-level keys into the settings file; its other keys and its comments stay.

        Raises `Faults` for what cannot be, and then nothing is written.
        """
        text, mode = await asyncio.to_thread(_merged, self._settings_file, fields)
        await self._files.write(self._settings_file, text, mode)

    async def edited(self, changes: Changes) -> Edit:
        """The settings file, and those that targets have of their own, with these keys changed. Nothing is written.

        Raises `Faults` for what cannot be; those of a target lead to it as if it stood in the settings file.
        """
        return await asyncio.to_thread(self._edited, changes)

    async def former(self) -> Edit | None:
        """Back to what was before the last `write`; None if there is no way back, or no sound one."""
        with suppress(Faults, FileNotFoundError):
            return await asyncio.to_thread(lambda: self._edit({file: _text(_beside(file)) for file in self._formers()}))
        return None

    async def write(self, edit: Edit) -> None:
        """Make the change; what its files were is kept beside them. Raises `Faults`, and then nothing is written."""
        await asyncio.to_thread(self._edit, {each.file: each.after for each in edit.rewrites})
        for file in await asyncio.to_thread(self._formers):
            await self._files.remove(_beside(file))
        for each in edit.rewrites:
            mode = stat.S_IMODE((await asyncio.to_thread(each.file.stat)).st_mode)
            await self._files.write(_beside(each.file), each.before, mode)
            await self._files.write(each.file, each.after, mode)

    @property
    def _settings_file(self) -> Path:
        assert self._config is not None, "this shelf has no settings file"
        return self._config

    def _edited(self, changes: Changes) -> Edit:
        asked: dict[Path, dict[tuple[str, ...], Json]] = {}
        for path, value in changes.items():
            own = self._targets / f"{path[1]}.yaml" if len(path) > 2 and path[0] == TARGETS else None
            if own is not None and own.exists():
                asked.setdefault(own, {})[path[2:]] = value
            else:
                asked.setdefault(self._settings_file, {})[path] = value
        return self._edit({file: edited(_text(file), wanted) for file, wanted in asked.items()})

    def _edit(self, texts: Mapping[Path, str]) -> Edit:
        """Raises `Faults`."""
        config = self._settings_file
        rewrites = tuple(Rewrite(file, _text(file), text) for file, text in texts.items())
        try:
            settings = settings_in(texts.get(config) or _text(config), config, texts)
        except Faults as error:
            own = [file for file in texts if file != config]
            raise Faults(
                replace(each, at=(TARGETS, each.file.stem, *each.at)) if each.file in own and each.file else each
                for each in error.faults
            ) from None
        return Edit(rewrites, settings)

    def _formers(self) -> list[Path]:
        """The files that the last change from the page changed."""
        files = [self._settings_file, *sorted(self._targets.glob("*.yaml"))]
        return [file for file in files if _beside(file).exists()]

    async def secrets(self, name: str) -> dict[str, str]:
        """What was generated for this stack. Raises `Faults`, which never show a value."""
        path = self._secrets_file(name)
        values, odd = read_env(await self._files.read(path) or "")
        if odd:
            says = Words.of(N_("this line is not NAME='value', or its name came before"))
            remedy = Words.of(N_("Bring the file back from a backup."))
            raise Faults(Fault((), says, remedy, path, line) for line in odd)
        return values

    async def set_secrets(self, name: str, secrets: Mapping[str, str] | None) -> None:
        """Write what was generated, mode 0600; None removes it. Raises BadInput for what cannot be written."""
        path = self._secrets_file(name)
        if secrets is None:
            await self._files.remove(path)
        else:
            await self._write(path, write_env(secrets))

    async def _document(self, path: Path) -> Document | None:
        text = await self._files.read(path)
        return None if text is None else await asyncio.to_thread(read, text, path)

    async def _write(self, path: Path, text: str) -> None:
        await self._files.make_folder(path.parent, (os.geteuid(), os.getegid()), 0o700)
        await self._files.write(path, text, 0o600)

    def _names(self) -> list[str]:
        shipped = [file.parent.name for file in self._shipped.glob(f"*/{FILES[0]}")]
        own = [file.parent.name for name in FILES for file in self._stacks.glob(f"*/{name}")]
        return sorted({name for name in (*shipped, *own) if _NAME.fullmatch(name)})

    def _recipe(self, name: str, file: Path, text: str, own: bool) -> Recipe:
        if own and "x-gardien" not in text:
            return _plain(name, file, text)
        neighbours = _neighbours(file.parent)
        digest = hashlib.sha256(repr((name, text, neighbours)).encode()).hexdigest()
        held = self._read.get(file)
        if held is not None and held[0] == digest:
            return held[1]
        document = read(text, file)
        if "x-gardien" not in document.data:
            if own:
                return _plain(name, file, text)
            says = Words.of(N_("x-gardien is missing: gardien does not know what to save of {name}"), name=name)
            remedy = Words.of(N_("Write it as in the shipped stacks, and try again."))
            raise Faults([Fault((), says, remedy, file, 1)])
        if file.name != FILES[0]:
            says = Words.of(N_("a file with x-gardien must be called {name}"), name=FILES[0])
            raise Faults(document.place([Fault(("x-gardien",), says, Words.of(N_("Rename it.")))]))
        ours = validate(Manifest, document, ("x-gardien",))
        if faults := manifest.faults_of(document.data, ours, dict(neighbours)):
            raise Faults(document.place(faults))
        recipe = Recipe(
            name=name,
            folder=file.parent,
            services=composefile.started(document.data),
            image_defaults=composefile.image_defaults(document.data),
            manifest=ours,
            mounts=tuple(str(each.inside) for each in composefile.mounts(document.data, dict(neighbours))[0]),
        )
        self._read[file] = (digest, recipe)
        return recipe

    def _chosen_file(self, name: str) -> Path:
        return self._stacks / f"{_checked(name)}.yaml"

    def _secrets_file(self, name: str) -> Path:
        return self._secrets / f"{_checked(name)}.env"


def _merged(path: Path, fields: Mapping[str, Json]) -> tuple[str, int]:
    """The settings file with these keys, as it would be accepted, and its mode."""
    text = edited(path.read_text("utf-8"), {(key,): value for key, value in fields.items()})
    settings_in(text, path)
    return text, stat.S_IMODE(path.stat().st_mode)


def _beside(file: Path) -> Path:
    """Where what it was before is kept."""
    return file.with_name(f"{file.name}.before")


def _text(file: Path) -> str:
    return file.read_text("utf-8")


def _yaml(data: object) -> str:
    text = StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 10_000  # a key stays on its line
    yaml.dump(data, text)
    return text.getvalue()


def _plain(name: str, file: Path, text: str) -> Recipe:
    """The owner's Compose project without `x-gardien`: nothing to ask, to probe or to save is known of it."""
    over = next(filter(Path.is_file, (file.with_name(each) for each in OVERRIDES)), None)
    documents = [read(text, file), *([read(over.read_text("utf-8"), over)] if over is not None else [])]
    faults: list[Fault] = []
    services: dict[str, str] = {}
    for document in documents:
        odd = composefile.shape_faults(document.data)
        faults += document.doubles
        faults += document.place(each for each in odd if each.at != ("services",) or document is documents[0])
        for service, image in composefile.started(document.data).items():
            services[service] = image or services.get(service, "")
    if faults:
        raise Faults(faults)
    ours = Manifest.model_construct(  # unchecked: a stack of ours has a probe
        format=1,
        title=Text(en=name, fr=name),
        summary=Text(en="Your own Compose project.", fr="Votre propre projet Compose."),
        probes={},
        backup=BackupRecipe(save=()),
    )
    return Recipe(name, file.parent, services, image_defaults={}, manifest=ours, kept=False)


def _neighbours(folder: Path) -> list[tuple[str, int]]:
    """What lies in a stack's folder, and when each was last changed or put there. A link leads elsewhere: not ours."""
    found = []
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # gone again: the temporary file of a write
            about = path.lstat()
            if not stat.S_ISLNK(about.st_mode):
                found.append((str(path.relative_to(folder)), about.st_ctime_ns))
    return sorted(found)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise NotFound(
            N_("there is no stack called {name}"),
            N_("`gardien stack available` shows those that can be added."),
            name=name,
        )
    return name

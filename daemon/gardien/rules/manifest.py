"""Whether a stack's manifest fits its Compose file: nothing unnamed, nothing unsaved, no way out of the box."""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from gardien.model.fault import Fault, Key, nearest
from gardien.model.manifest import Action, Manifest
from gardien.rules import composefile
from gardien.rules.composefile import Data, Mount, fault
from gardien.rules.kinds import fits
from gardien.words import N_, Words

_HOLE = re.compile(r"\{([^{}]*)\}")
_GIVEN = {"DATA", "COMPOSE_PROJECT_NAME"}
# Names that Compose, Docker or a shell would take as an order to themselves.
_RESERVED = re.compile(r"DATA|PATH|HOME|PWD|USER|SHELL|(COMPOSE|DOCKER|BUILDKIT|LD|LC|SSH|GARDIEN)_.*")
# Where a text of the owner's would be read by a shell, or split into arguments.
_COMMANDS = {"command", "entrypoint", "healthcheck", "post_start", "pre_stop"}


def faults_of(data: Data, manifest: Manifest, files: Collection[str] = ()) -> list[Fault]:
    """Every fault of a stack, in the file's own coordinates.

    `data` is the Compose file before Compose fills it in, `files` the paths beside it, relative to the stack's folder.
    """
    mounts, foreign = composefile.mounts(data, files)
    ports = {name for name, setting in manifest.settings.items() if setting.kind == "port"}
    return [
        *composefile.shape_faults(data),
        *composefile.image_faults(data),
        *composefile.power_faults(data),
        *composefile.log_faults(data),
        *composefile.port_faults(data, ports),
        *foreign,
        *_cover(manifest, mounts),
        *_names(data, manifest),
        *_used(data, manifest),
        *_holes(manifest),
        *_mentioned(data, manifest),
    ]


def _cover(manifest: Manifest, mounts: list[Mount]) -> Iterator[Fault]:
    """Every mount is saved, or left out with a reason; and nothing is saved that is not there."""
    backup = manifest.backup
    for mount in mounts:
        if not any(_holds(path, mount.inside) for path in (*backup.save, *backup.leave_out)):
            yield fault(
                mount.at,
                N_("service {service} mounts {mount}, and no backup would hold it"),
                N_("Name it under backup.save, or under backup.leave_out with the reason."),
                service=mount.service,
                mount=str(mount.inside),
            )
    known = {*(mount.inside for mount in mounts), *map(PurePosixPath, manifest.folders)}
    for index, path in enumerate(backup.save):
        at: tuple[Key, ...] = ("x-gardien", "backup", "save", index)
        saved = PurePosixPath(path)
        if any(_holds(out, saved) for out in backup.leave_out):
            yield fault(at, N_("{path} is saved and left out at once"), N_("Take one of the two out."), path=path)
        elif not any(_holds(path, there) or _holds(str(there), saved) for there in known):
            remedy = nearest(path, map(str, known))
            yield Fault(at, Words.of(N_("{path} is to be saved, and no service mounts it"), path=path), remedy)


def _holds(pattern: str, path: PurePosixPath) -> bool:
    """Whether `pattern`, with the wildcards of restic within its parts, is `path` or lies above it."""
    parts = PurePosixPath(pattern).parts
    return len(parts) <= len(path.parts) and all(map(fnmatchcase, path.parts, parts))


def _names(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Names that mean two things, or something to somebody else; defaults that would be refused."""
    images = composefile.image_defaults(data)
    for section, names in (("settings", manifest.settings), ("secrets", manifest.secrets)):
        for name in names:
            at: tuple[Key, ...] = ("x-gardien", section, name)
            if _RESERVED.fullmatch(name):
                yield fault(at, N_("the name {name} means something else to Compose"), N_("Choose another."), name=name)
            if name in images or (section == "secrets" and name in manifest.settings):
                yield fault(at, N_("the name {name} stands for two things"), N_("Choose another."), name=name)
    for name, setting in manifest.settings.items():
        if not fits(setting.kind, setting.default):
            yield fault(
                ("x-gardien", "settings", name, "default"),
                N_("the default of {name} is not of kind {kind}"),
                N_("Give it a default that the owner could type."),
                name=name,
                kind=setting.kind,
            )


def _used(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Variables of the Compose file: each is known, and none of free text becomes part of a command."""
    known = {*_GIVEN, *composefile.image_defaults(data), *manifest.settings, *manifest.secrets}
    for at, name in composefile.variables(data):
        if name is None:
            yield fault(at, N_("a lone $ cannot be read by Compose"), N_("Write $$ for a dollar."))
        elif name not in known:
            says = Words.of(N_("nobody sets the variable {name}"), name=name)
            yield Fault(at, says, nearest(name, known - _GIVEN))
        elif name in manifest.settings and manifest.settings[name].kind == "text" and _COMMANDS & set(at[2:3]):
            yield fault(
                at,
                N_("the text {name} would become part of a command"),
                N_("Hand it over in the environment, or make it a setting of kind “name”."),
                name=name,
            )


def _holes(manifest: Manifest) -> Iterator[Fault]:
    """`{NAME}` in addresses and probes names a setting."""
    texts: list[tuple[tuple[Key, ...], str]] = []
    if manifest.address is not None:
        texts.append((("address",), manifest.address))
    for name, probe in manifest.probes.items():
        texts += [(("probes", name, way), text) for way in ("http", "tcp") if (text := getattr(probe, way))]
        texts += [(("probes", name, "headers", header), text) for header, text in probe.headers.items()]
    for at, text in texts:
        for hole in _HOLE.findall(text):
            if hole not in manifest.settings:
                says = Words.of(N_("there is no setting {name}"), name=hole)
                yield Fault(("x-gardien", *at), says, nearest(hole, manifest.settings))


def _mentioned(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Services, dumps, probes and images that the manifest speaks of are there."""
    there = composefile.services(data)
    images = composefile.image_defaults(data)
    backup, restore, update = manifest.backup, manifest.restore, manifest.update
    spoken: list[tuple[tuple[Key, ...], str]] = []
    spoken += [(("probes", name, "exec"), probe.exec_) for name, probe in manifest.probes.items() if probe.exec_]
    spoken += [(("backup", "dumps", name, "exec"), dump.exec_) for name, dump in backup.dumps.items()]
    spoken += [(("restore", "load", index, "exec"), load.exec_) for index, load in enumerate(restore.load)]
    spoken += [(("restore", "first", index), service) for index, service in enumerate(restore.first)]
    actions: list[tuple[tuple[Key, ...], tuple[Action, ...]]] = [
        (("backup", "pause"), backup.pause),
        (("backup", "resume"), backup.resume),
        (("restore", "after"), restore.after),
    ]
    if update is not None:
        actions.append((("update", "after"), update.after))
        spoken += [(("update", "stop_first", index), service) for index, service in enumerate(update.stop_first)]
        if update.image not in images:
            says = Words.of(N_("there is no image variable {name}"), name=update.image)
            yield Fault(("x-gardien", "update", "image"), says, nearest(update.image, images))
    for at, several in actions:
        for index, action in enumerate(several):
            spoken += [((*at, index, "exec"), action.exec_)] if action.exec_ else []
            spoken += [((*at, index, "stop"), service) for service in action.stop]
            spoken += [((*at, index, "start"), service) for service in action.start]
            if action.wait is not None and action.wait not in manifest.probes:
                says = Words.of(N_("there is no probe {name}"), name=action.wait)
                yield Fault(("x-gardien", *at, index, "wait"), says, nearest(action.wait, manifest.probes))
    for index, load in enumerate(restore.load):
        if load.input is not None and load.input not in backup.dumps:
            says = Words.of(N_("there is no dump {name}"), name=load.input)
            yield Fault(("x-gardien", "restore", "load", index, "input"), says, nearest(load.input, backup.dumps))
    for at, service in spoken:
        if service not in there:
            says = Words.of(N_("there is no service {name}"), name=service)
            yield Fault(("x-gardien", *at), says, nearest(service, there))

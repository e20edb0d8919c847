"""Whether a stack's manifest fits its Compose file: nothing unnamed, nothing unsaved, no way out of the box."""

import re
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from gardien.model.fault import Fault, Key, nearest
from gardien.model.manifest import (
    Action,
    FromAddresses,
    FromCores,
    FromMemory,
    FromMode,
    ImageRule,
    Manifest,
    Probe,
)
from gardien.rules import composefile, releases
from gardien.rules.composefile import Data, Mount, fault
from gardien.rules.entries import BELOW
from gardien.rules.given import NO_DOOR
from gardien.rules.images import taken_apart
from gardien.rules.kinds import fits, suits
from gardien.words import N_, Words

DOOR = tuple(NO_DOOR)  # what every stack is told of the house's door
NETWORK = "door"  # of the Compose file: where the door reaches a stack's services

_HOLE = re.compile(r"\{([^{}]*)\}")
_ARGUMENT_HOLE = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")  # a command may hold braces of its own
_GIVEN = {"DATA", "COMPOSE_PROJECT_NAME", *DOOR}
# Names that Compose, Docker or a shell would take as an order to themselves.
_RESERVED = re.compile(r"DATA|PATH|HOME|PWD|USER|SHELL|(COMPOSE|DOCKER|BUILDKIT|LD|LC|SSH|GARDIEN)_.*")
# Where a text of the owner's would be read by a shell, or split into arguments.
_SHELLS = {"sh", "bash", "ash", "dash", "busybox", "env"}
_COMMANDS = {"command", "entrypoint", "healthcheck", "post_start", "pre_stop"}


def faults_of(data: Data, manifest: Manifest, files: Collection[str] = ()) -> list[Fault]:
    """Every fault of a stack, in the file's own coordinates.

    `data` is the Compose file before Compose fills it in, `files` the paths beside it, relative to the stack's folder.
    """
    mounts, foreign = composefile.mounts(data, files)
    kinds = {name: setting.kind for name, setting in manifest.settings.items()}
    return [
        *composefile.shape_faults(data),
        *composefile.image_faults(data),
        *composefile.power_faults(data),
        *composefile.log_faults(data),
        *composefile.port_faults(data, kinds, manifest.door.service if manifest.door else None),
        *composefile.network_faults(data),
        *foreign,
        *_cover(manifest, mounts),
        *_names(data, manifest),
        *_defaults(manifest),
        *_derived(data, manifest),
        *_used(data, manifest),
        *_holes(manifest),
        *_mentioned(data, manifest),
        *_updates(data, manifest),
        *_routes(data, manifest),
        *_door(manifest, mounts),
        *_joins(manifest),
        *_fallible(manifest),
        *_file_back(manifest),
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
    """Names that mean two things, or something to somebody else."""
    taken = set(composefile.image_defaults(data))
    # The door's own answers are what the others are told.
    door = manifest.door
    told = {"DOOR_DOMAIN": door.domain, "DOOR_MODE": door.mode, "DOOR_HTTP_PORT": door.http_port} if door else {}
    for section in ("settings", "derived", "secrets", "first_login"):
        for name in getattr(manifest, section):
            at: tuple[Key, ...] = ("x-gardien", section, name)
            if name in DOOR and told.get(name) != name:
                yield fault(at, N_("gardien itself tells every stack its {name}"), N_("Choose another."), name=name)
            elif _RESERVED.fullmatch(name):
                yield fault(at, N_("the name {name} means something else to Compose"), N_("Choose another."), name=name)
            if name in taken:
                yield fault(at, N_("the name {name} stands for two things"), N_("Choose another."), name=name)
            taken.add(name)


def _defaults(manifest: Manifest) -> Iterator[Fault]:
    """Defaults that the owner could not type, choices that could not be written down."""
    for name, setting in manifest.settings.items():
        at: tuple[Key, ...] = ("x-gardien", "settings", name)
        filled = setting.default.replace("{DOOR_DOMAIN}", "home.arpa") if setting.kind == "domain" else setting.default
        if hole := _HOLE.search(filled):
            yield fault(
                (*at, "default"),
                N_("nobody fills the hole {hole} in the default of {name}"),
                N_("Only a setting of kind “domain” may have one, and only {{DOOR_DOMAIN}}."),
                name=name,
                hole=hole[0],
            )
        elif not suits(setting, filled):
            yield fault(
                (*at, "default"),
                N_("the default of {name} is not of kind {kind}"),
                N_("Give it a default that the owner could type."),
                name=name,
                kind=setting.kind,
            )
        for choice in setting.choices:
            if not fits("choice", choice):
                says = Words.of(N_("{name} cannot have a choice of that name"), name=name)
                yield Fault((*at, "choices", choice), says, Words.of(N_("Use letters, digits and . _ -")))


def _derived(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Values that follow from others: from what is there, to where they are used."""
    used = {name for _, name in composefile.variables(data)}
    used |= {hole for _, text in _texts(manifest) for hole in _HOLE.findall(text)}
    for name, each in manifest.derived.items():
        at: tuple[Key, ...] = ("x-gardien", "derived", name)
        if name not in used:
            yield fault(at, N_("nothing uses {name}"), N_("Write ${{{name}}} where it is wanted."), name=name)
        match each:
            case FromCores() | FromMemory() if each.least > each.most:
                yield fault(
                    (*at, "least"), N_("the least {name} is more than the most"), N_("Swap the two."), name=name
                )
            case FromAddresses():
                yield from _of_kind(manifest, (*at, "instead"), each.instead, "addresses")
                yield from _of_kind(manifest, (*at, "name"), each.name, "domain")
            case FromMode():
                for mode in ("home", "internet"):
                    if not fits("text", getattr(each, mode)):
                        yield fault(
                            (*at, mode),
                            N_("{name} cannot be handed to Compose: it holds a quote, a dollar or the like"),
                            N_("Write it without."),
                            name=name,
                        )


def _of_kind(manifest: Manifest, at: tuple[Key, ...], name: str, kind: str) -> Iterator[Fault]:
    """`name` is a setting, and of this kind."""
    there = [each for each, setting in manifest.settings.items() if setting.kind == kind]
    if name not in manifest.settings:
        yield Fault(at, Words.of(N_("there is no setting {name}"), name=name), nearest(name, there))
    elif name not in there:
        says = Words.of(N_("{name} is not a setting of kind {kind}"), name=name, kind=kind)
        yield Fault(at, says, nearest(name, there))


def _used(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Variables of the Compose file: each is known, and none of free text becomes part of a command."""
    known = {*_GIVEN, *composefile.image_defaults(data), *manifest.settings, *manifest.derived, *manifest.secrets}
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


def _texts(manifest: Manifest) -> Iterator[tuple[tuple[Key, ...], str]]:
    """Where `{NAME}` may stand in addresses and probes."""
    if manifest.address is not None:
        yield ("address",), manifest.address
    for at, probe in _probes(manifest):
        yield from (((*at, way), text) for way in ("http", "tcp", "websocket") if (text := getattr(probe, way)))
        yield from (((*at, "headers", header), text) for header, text in probe.headers.items())


def _probes(manifest: Manifest) -> Iterator[tuple[tuple[Key, ...], Probe]]:
    """Every question to the application, and where it stands."""
    yield from ((("probes", name), probe) for name, probe in manifest.probes.items())
    yield from ((("at_work", index), probe) for index, probe in enumerate(manifest.at_work))
    if (updates := manifest.updates) is not None:
        rules = updates.images.items()
        yield from ((("updates", "images", name, "version"), rule.version) for name, rule in rules if rule.version)
        yield from ((("updates", "images", name, "gave_up"), rule.gave_up) for name, rule in rules if rule.gave_up)
        if updates.busy is not None:
            yield ("updates", "busy"), updates.busy


def _holes(manifest: Manifest) -> Iterator[Fault]:
    """`{NAME}` in addresses and probes names a setting, or what the stack is told."""
    known = {*manifest.settings, *manifest.derived, *DOOR}
    for at, text in _texts(manifest):
        for hole in _HOLE.findall(text):
            if hole not in known:
                says = Words.of(N_("there is no setting {name}"), name=hole)
                yield Fault(("x-gardien", *at), says, nearest(hole, known))


def _mentioned(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Services, dumps, probes and images that the manifest speaks of are there."""
    there = composefile.services(data)
    backup, restore, updates = manifest.backup, manifest.restore, manifest.updates
    spoken: list[tuple[tuple[Key, ...], str]] = []
    spoken += [((*at, "exec"), probe.exec_) for at, probe in _probes(manifest) if probe.exec_]
    spoken += [(("backup", "dumps", name, "exec"), dump.exec_) for name, dump in backup.dumps.items()]
    spoken += [(("restore", "load", index, "exec"), load.exec_) for index, load in enumerate(restore.load)]
    spoken += [(("restore", "first", index), service) for index, service in enumerate(restore.first)]
    spoken += [(("first_login", name, "exec"), told.exec_) for name, told in manifest.first_login.items()]
    spoken += [(("door", "service"), manifest.door.service)] if manifest.door else []
    actions: list[tuple[tuple[Key, ...], tuple[Action, ...]]] = [
        (("backup", "pause"), backup.pause),
        (("backup", "resume"), backup.resume),
        (("restore", "after"), restore.after),
        (("restore", "older"), restore.older),
        (("setup",), manifest.setup),
        *((("restore", "file_back", where), done) for where, done in restore.file_back.items()),
    ]
    if updates is not None:
        actions.append((("updates", "after"), updates.after))
        spoken += [(("updates", "stop_first", index), service) for index, service in enumerate(updates.stop_first)]
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


def _updates(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Each image that can be updated is there, follows one rule, and is shipped in a version that its rule knows."""
    if manifest.updates is None:
        return
    images = composefile.image_defaults(data)
    taken = set(manifest.updates.images)
    for name, rule in manifest.updates.images.items():
        at: tuple[Key, ...] = ("x-gardien", "updates", "images", name)
        together = [((*at, "same_tag", index), each) for index, each in enumerate(rule.same_tag)]
        for where, each in ((at, name), *together):
            if each not in images:
                says = Words.of(N_("there is no image variable {name}"), name=each)
                yield Fault(where, says, nearest(each, images))
            elif releases.read(rule, tag := taken_apart(images[each]).tag) is None:
                yield fault(
                    where,
                    N_("the shipped tag {tag} of {name} is no version by its own rule"),
                    N_("Write the pattern under tags so that it knows this one."),
                    tag=tag or "latest",
                    name=each,
                )
        for where, each in together:
            if each in taken:
                yield fault(where, N_("{name} would follow two rules"), N_("Take one of the two out."), name=each)
            taken.add(each)
        yield from _of_version(at, rule)


def _of_version(at: tuple[Key, ...], rule: ImageRule) -> Iterator[Fault]:
    """The version led to is asked for where it is said to be, and nothing else is filled into an address of notes."""
    if (hole := _HOLE.search((rule.notes or "").replace(releases.VERSION, ""))) is not None:
        says = Words.of(N_("nobody fills the hole {hole} in an address of release notes"), hole=hole[0])
        yield Fault((*at, "notes"), says, Words.of(N_("Only {{VERSION}} may stand there.")))
    if rule.version is not None:
        expect = rule.version.expect
        if not any(releases.VERSION in str(each) for each in (*expect.json_.values(), expect.body)):
            yield fault(
                (*at, "version"),
                N_("the answer to this does not say which version is there"),
                N_("Write {{VERSION}} into what is expected, under json or body."),
            )


def _routes(data: Data, manifest: Manifest) -> Iterator[Fault]:
    """Names lead to services that the door reaches, and the door comes to no stack without a name."""
    there, within_reach = composefile.services(data), composefile.on_network(data, NETWORK)
    names: set[str] = set()
    for index, route in enumerate(manifest.routes):
        base: tuple[Key, ...] = ("x-gardien", "routes", index)
        yield from _of_kind(manifest, (*base, "name"), route.name, "domain")
        if route.name in names:
            yield fault(
                (*base, "name"),
                N_("{name} leads to two places"),
                N_("Make it one route, with “paths”."),
                name=route.name,
            )
        names.add(route.name)
        ends: list[tuple[tuple[Key, ...], str]] = [((*base, "to"), route.to)]
        ends += [((*base, "paths", path), upstream) for path, upstream in route.paths.items()]
        for at, upstream in ends:
            service, _, port = upstream.partition(":")
            if service not in there:
                yield Fault(at, Words.of(N_("there is no service {name}"), name=service), nearest(service, there))
            elif service not in within_reach:
                yield fault(
                    at,
                    N_("the door cannot reach service {service}: it is not on the network “door”"),
                    N_("Give it “networks: [default, door]”, and the file “networks: {{door: {{}}}}”."),
                    service=service,
                )
            if int(port) > 65535:
                yield fault(at, N_("there is no port {port}"), N_("Write a number from 1 to 65535."), port=port)
        for path, other in route.redirects.items():
            if path == other:
                yield fault((*base, "redirects", path), N_("{path} leads to itself"), N_("Take it out."), path=path)
    for service, asked in within_reach.items():
        at = ("services", service, "networks")
        if NETWORK not in (data.get("networks") or {}):
            yield fault(
                at, N_("the network “door” is not declared"), N_("Add at the end of the file: networks: {{door: {{}}}}")
            )
        if not manifest.routes:  # with a route, one that only asks others through the door may be there, too
            yield fault(
                at,
                N_("service {service} is on the network “door”, and no route leads to this stack"),
                N_("Write a route, or take it off that network."),
                service=service,
            )
        if asked.get("aliases"):
            yield fault(
                at,
                N_("service {service} would answer to other names on the network “door”"),
                N_("Take the “aliases” out: the door knows it by its own name."),
                service=service,
            )


def _door(manifest: Manifest, mounts: list[Mount]) -> Iterator[Fault]:
    """The door's settings are of the kinds that gardien writes into its configuration, its folders are mounted."""
    door = manifest.door
    if door is None:
        return
    kinds = {"mode": "choice", "domain": "domain", "http_port": "port", "https_port": "port"}
    for key, kind in (kinds | {"email": "email", "authority": "url"}).items():
        yield from _of_kind(manifest, ("x-gardien", "door", key), getattr(door, key), kind)
    mode = manifest.settings.get(door.mode)
    if mode is not None and mode.kind == "choice" and set(mode.choices) != {"home", "internet"}:
        says = Words.of(N_("{name} must be a choice of home and internet"), name=door.mode)
        yield Fault(("x-gardien", "settings", door.mode, "choices"), says, Words.of(N_("Give it these two choices.")))
    inside = [mount.inside for mount in mounts if mount.service == door.service]
    for key in ("config", "page", "root"):
        path = str(getattr(door, key))
        if not any(mount == PurePosixPath(path) or mount in PurePosixPath(path).parents for mount in inside):
            says = Words.of(N_("service {service} does not mount {mount}"), service=door.service, mount=path)
            yield Fault(("x-gardien", "door", key), says, nearest(path, map(str, inside)))


def _joins(manifest: Manifest) -> Iterator[Fault]:
    """Only what no shell could misread becomes part of a command in another stack."""
    safe = [name for name, setting in manifest.settings.items() if setting.kind in ("domain", "port")]
    for other, join in manifest.with_.items():
        for part, actions in (("connect", join.connect), ("disconnect", join.disconnect)):
            for index, action in enumerate(actions):
                for number, word in enumerate(action.argv):
                    for hole in _ARGUMENT_HOLE.findall(word):
                        if hole not in safe and hole not in DOOR:
                            yield Fault(
                                ("x-gardien", "with", other, part, index, "argv", number),
                                Words.of(
                                    N_("only domains and ports may become part of a command, not {name}"), name=hole
                                ),
                                nearest(hole, (*safe, *DOOR)),
                            )


def _fallible(manifest: Manifest) -> Iterator[Fault]:
    """An action that may fail has somebody to tell: not so in a backup, a restore or an update."""
    after_update = manifest.updates.after if manifest.updates else ()
    for at, actions in (
        (("backup", "pause"), manifest.backup.pause),
        (("backup", "resume"), manifest.backup.resume),
        (("restore", "after"), manifest.restore.after),
        (("restore", "older"), manifest.restore.older),
        (("updates", "after"), after_update),
    ):
        for index, action in enumerate(actions):
            if action.or_say is not None:
                yield fault(
                    ("x-gardien", *at, index, "or_say"),
                    N_("a backup, a restore or an update must not go on when this fails"),
                    N_("Take or_say out; it belongs to setup and with."),
                )


def _file_back(manifest: Manifest) -> Iterator[Fault]:
    """What is done when a file was put back is about files that are saved, and their names stay words of their own."""
    for where, actions in manifest.restore.file_back.items():
        base: tuple[Key, ...] = ("x-gardien", "restore", "file_back", where)
        if not any(_holds(saved, PurePosixPath(where)) for saved in manifest.backup.save):
            yield fault(base, N_("{path} is not saved, so nothing of it comes back"), N_("Take it out."), path=where)
        for index, action in enumerate(actions):
            for number, word in enumerate(action.argv):
                if BELOW in word and (word.startswith(BELOW) or action.argv[0].rpartition("/")[2] in _SHELLS):
                    yield fault(
                        (*base, index, "argv", number),
                        N_("the name of a folder would be read as an option, or by a shell"),
                        N_("Write it behind something, such as --path=/{{BELOW}}, and without a shell."),
                    )

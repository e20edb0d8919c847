"""What a Compose file may hold so that a stack can be run, saved whole, and moved to another machine.

All functions take the file as plain data, before Compose fills its variables in.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from gardien.model.fault import Fault, Key
from gardien.rules.kinds import fits
from gardien.words import N_, Value, Words

Data = Mapping[str, Any]

# The names Compose looks for, the first that is there: a project's file, and what is laid over it.
FILES = ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
OVERRIDES = tuple(name.replace("compose.", "compose.override.") for name in (FILES[1], FILES[0], *FILES[2:]))

_IMAGE = re.compile(r"\$\{([A-Z][A-Z0-9_]*_IMAGE):-([^${}]+)\}")
_DATA = re.compile(r"\$(?:DATA|\{DATA(?::?-[^${}]*)?\})((?:/[^$]*)?)")
_VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)|)")
_ADDRESS = re.compile(r"[0-9]+(?:\.[0-9]+){3}|\[[0-9A-Fa-f:]+\]|[0-9A-Fa-f]*(?::[0-9A-Fa-f]*){2,7}")
_COLON = re.compile(r":(?![^{]*\})(?![^\[]*\])")  # not one within ${...} or [...]

# What would let a container do more than its work; any other value than the harmless ones is refused.
_HARMLESS: Mapping[str, tuple[object, ...]] = {
    "privileged": (False,),
    "pid": (),
    "ipc": ("private", "shareable", "none"),
    "uts": (),
    "userns_mode": (),
    "cgroup": ("private",),
    "network_mode": ("bridge", "none"),
    "devices": ([],),
    "device_cgroup_rules": ([],),
    "gpus": (),
    "volumes_from": ([],),
    "external_links": ([],),
    "cgroup_parent": (),
    "runtime": (),
    "provider": (),
    "use_api_socket": (False,),
    "extends": (),
    "build": (),
}
_CAPABILITIES = {"ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO", "DAC_READ_SEARCH", "NET_ADMIN", "BPF"}


@dataclass(frozen=True, slots=True)
class Mount:
    """A bind of something in the stack's data folder."""

    service: str
    at: tuple[Key, ...]
    inside: PurePosixPath  # below the data folder


def fault(at: tuple[Key, ...], says: str, remedy: str, **values: Value) -> Fault:
    """Both sentences share their holes."""
    return Fault(at, Words(says, values), Words(remedy, values))


def services(data: Data) -> dict[str, Data]:
    """The services that are mappings; `shape_faults` speaks of the others."""
    found = data.get("services")
    return {str(name): it for name, it in found.items() if isinstance(it, dict)} if isinstance(found, dict) else {}


def images(data: Data) -> dict[str, str]:
    """Service -> image as written."""
    return {name: str(service.get("image", "")) for name, service in services(data).items()}


def started(data: Data) -> dict[str, str]:
    """Service -> image as written, of those that a plain `up` starts."""
    return {name: image for name, image in images(data).items() if not services(data)[name].get("profiles")}


def image_defaults(data: Data) -> dict[str, str]:
    """Image variable -> the image it stands for unless the owner chose another."""
    return {found[1]: found[2] for image in images(data).values() if (found := _IMAGE.fullmatch(image))}


def shape_faults(data: Data) -> Iterator[Fault]:
    """Services that are none, and other files that would be read as well."""
    written = data.get("services")
    if not isinstance(written, dict) or not written:
        yield fault(("services",), N_("there are no services"), N_("List at least one under “services:”."))
    else:
        for name, service in written.items():
            if not isinstance(service, dict):
                yield fault(
                    ("services", str(name)),
                    N_("service {service} is empty"),
                    N_("Give it an image."),
                    service=str(name),
                )
    if "include" in data:
        yield fault(
            ("include",),
            N_("another Compose file would be read without being checked"),
            N_("Write its services into this file."),
        )


def image_faults(data: Data) -> Iterator[Fault]:
    """Every image can be mapped to a mirror by one variable, with one default."""
    defaults: dict[str, str] = {}
    for name, image in images(data).items():
        found = _IMAGE.fullmatch(image)
        if found is None or not fits("image", found[2]):
            yield fault(
                ("services", name, "image"),
                N_("the image of service {service} cannot be replaced by a mirror's"),
                N_("Write it as ${{{variable}:-name:tag}}."),
                service=name,
                variable=re.sub(r"[^A-Z0-9]", "_", name.upper()) + "_IMAGE",
            )
        elif defaults.setdefault(found[1], found[2]) != found[2]:
            yield fault(
                ("services", name, "image"),
                N_("{variable} stands for two images, {first} and {second}"),
                N_("Use another variable for one of them."),
                variable=found[1],
                first=defaults[found[1]],
                second=found[2],
            )


def power_faults(data: Data) -> Iterator[Fault]:
    """What would let a container leave its box."""
    for name, service in services(data).items():
        for key, harmless in _HARMLESS.items():
            if key in service and service[key] not in harmless:
                yield fault(
                    ("services", name, key),
                    N_("service {service} asks for more than its own box: {key}"),
                    N_("Take the line out."),
                    service=name,
                    key=key,
                )
        for key, bad in (("cap_add", _is_great), ("security_opt", _is_unconfined)):
            for word in _list(service.get(key)):
                if bad(str(word)):
                    yield fault(
                        ("services", name, key),
                        N_("service {service} asks for more than its own box: {key}"),
                        N_("Take the line out."),
                        service=name,
                        key=f"{key} {word}",
                    )
        for key in ("post_start", "pre_stop"):
            if any(_mapping(hook).get("privileged", False) is not False for hook in _list(service.get(key))):
                yield fault(
                    ("services", name, key),
                    N_("service {service} asks for more than its own box: {key}"),
                    N_("Take the line out."),
                    service=name,
                    key=f"{key} privileged",
                )


def log_faults(data: Data) -> Iterator[Fault]:
    """Logs that could fill the disk."""
    for name, service in services(data).items():
        logging = service.get("logging")
        options = logging.get("options") if isinstance(logging, dict) else None
        if not isinstance(options, dict) or not options.get("max-size"):
            yield fault(
                ("services", name, "logging"),
                N_("nothing keeps the logs of service {service} from filling the disk"),
                N_('Add: logging: {{driver: json-file, options: {{max-size: 10m, max-file: "3"}}}}'),
                service=name,
            )


def published(service: Data) -> Iterator[tuple[str, str, str]]:
    """Address ("": every one of this machine), port and protocol of each published port, as they are written."""
    for entry in _list(service.get("ports")):
        if isinstance(entry, dict):
            yield str(entry.get("host_ip") or ""), str(entry.get("published", "")), str(entry.get("protocol") or "tcp")
        else:
            pieces = _COLON.split(str(entry))
            port = pieces[-2] if len(pieces) > 1 else ""
            yield ":".join(pieces[:-2]), port, pieces[-1].partition("/")[2] or "tcp"


def port_faults(data: Data, kinds: Mapping[str, str], door: str | None) -> Iterator[Fault]:
    """A published port is a number or a setting of kind port, and says for whom it is. `kinds`: of each setting.

    Only the service `door` is for everybody without saying so: its ports then follow the machine to IPv6, too.
    """
    for name, service in services(data).items():
        for index, (address, port, _) in enumerate(published(service)):
            at: tuple[Key, ...] = ("services", name, "ports", index)
            if not re.fullmatch(r"[0-9]+(-[0-9]+)?", port) and kinds.get(_setting(port)) != "port":
                yield fault(
                    at,
                    N_("service {service} publishes a port that nobody chose"),
                    N_("Write a number, or a setting of kind “port”: ${{NAME:-8080}}."),
                    service=name,
                )
            elif (address or name != door) and not (
                _ADDRESS.fullmatch(address) or kinds.get(_setting(address)) in ("host", "choice")
            ):
                yield fault(
                    at,
                    N_("service {service} publishes port {port} to whoever can reach this machine, without saying so"),
                    N_("Write the address before it: 127.0.0.1 for this machine alone, 0.0.0.0 for everybody."),
                    service=name,
                    port=port,
                )


def _setting(text: str) -> str:
    """NAME, of a text that is `${NAME:-of letters, digits and dots}` and no more."""
    found = re.fullmatch(r"\$\{([A-Z][A-Z0-9_]*)(?::?-[0-9A-Fa-f.:\[\]]+)?\}", text)
    return found[1] if found else ""


def network_faults(data: Data) -> Iterator[Fault]:
    """Networks that are not the stack's alone."""
    for name, entry in _mapping(data.get("networks")).items():
        own = _mapping(entry)
        if own.get("external") or "name" in own or own.get("driver", "bridge") != "bridge":
            yield fault(
                ("networks", str(name)),
                N_("the network {name} would not be this stack's alone"),
                N_("Take out “external” and “name”, and any driver but bridge."),
                name=str(name),
            )


def on_network(data: Data, network: str) -> dict[str, Data]:
    """The services that are on this network -> what they ask of it."""
    found: dict[str, Data] = {}
    for name, service in services(data).items():
        wanted = service.get("networks")
        asked = wanted if isinstance(wanted, dict) else dict.fromkeys(map(str, _list(wanted)))
        if network in asked:
            found[name] = _mapping(asked[network])
    return found


def mounts(data: Data, files: Collection[str]) -> tuple[list[Mount], list[Fault]]:
    """What the services mount of the data folder, and the faults of all other mounts.

    `files` are the paths in the stack's own folder, relative to it: those may be mounted read-only.
    """
    good: list[Mount] = []
    faults: list[Fault] = []
    for name, service in services(data).items():
        for index, entry in enumerate(_list(service.get("volumes"))):
            found = _mount(name, ("services", name, "volumes", index), entry, files)
            if isinstance(found, Mount):
                good.append(found)
            elif found is not None:
                faults.append(found)
        for key in ("env_file", "label_file"):
            for entry in _list(service.get(key)):
                path = str(entry.get("path", "") if isinstance(entry, dict) else entry)
                if _own_file(path if path.startswith((".", "/", "~", "$")) else f"./{path}", files) is None:
                    faults.append(
                        fault(
                            ("services", name, key),
                            N_("service {service} reads {file}, which does not belong to the stack"),
                            N_("Put the file beside compose.yaml and name it ./{file}, or write “environment”."),
                            service=name,
                            file=path,
                        )
                    )
    for kind in ("configs", "secrets"):
        for name, entry in _mapping(data.get(kind)).items():
            file = _mapping(entry).get("file")
            if (file is not None and _own_file(str(file), files) is None) or _mapping(entry).get("external"):
                faults.append(
                    fault(
                        (kind, name),
                        N_("{name} is not in the stack's folder"),
                        N_("Put the file beside compose.yaml and name it ./{name}."),
                        name=name,
                    )
                )
    return good, faults


def variables(data: Data) -> Iterator[tuple[tuple[Key, ...], str | None]]:
    """Every variable that Compose would fill in, and where; None for a `$` that it cannot read."""
    seen: set[int] = set()

    def walk(at: tuple[Key, ...], value: object) -> Iterator[tuple[tuple[Key, ...], str | None]]:
        if isinstance(value, str):
            for found in _VARIABLE.finditer(value):
                if not found[1]:
                    yield at, found[2] or found[3]
        elif isinstance(value, dict | list) and id(value) not in seen:
            seen.add(id(value))
            for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
                yield from walk((*at, key if isinstance(key, int) else str(key)), inner)

    for kind in ("configs", "secrets"):
        for name, entry in _mapping(data.get(kind)).items():
            if "environment" in _mapping(entry):  # the variable's bare name
                yield (kind, str(name), "environment"), str(entry["environment"])
    # Services first: a fault in a shared block is then shown at the service's path.
    for key in sorted(data, key=lambda key: key != "services"):
        if key != "x-gardien":
            yield from walk((str(key),), data[key])


def _mount(service: str, at: tuple[Key, ...], entry: object, files: Collection[str]) -> Mount | Fault | None:
    if isinstance(entry, dict):
        kind, source = entry.get("type"), str(entry.get("source") or "")
        read_only = entry.get("read_only") is True
    else:
        pieces = _COLON.split(str(entry))
        source = pieces[0] if len(pieces) > 1 else ""
        kind = "bind" if source.startswith((".", "/", "~", "$")) else "volume"
        read_only = len(pieces) > 2 and "ro" in pieces[2].split(",")
    if kind == "tmpfs":
        return None
    values: dict[str, Value] = {"service": service, "mount": source or str(entry)}
    if kind != "bind":
        return fault(
            at,
            N_("service {service} keeps data in a volume that no backup sees: {mount}"),
            N_("Mount a folder below ${{DATA}} instead, so that people see their files."),
            **values,
        )
    if found := _DATA.fullmatch(source):
        inside = PurePosixPath(found[1].strip("/"))
        if not inside.parts or ".." in inside.parts or inside.parts[0] == ".gardien":
            return fault(
                at,
                N_("service {service} mounts {mount}, which is gardien's own"),
                N_("Mount a folder below it, such as ${{DATA}}/files."),
                **values,
            )
        return Mount(service, at, inside)
    if "docker.sock" in source:
        return fault(
            at, N_("service {service} would command Docker itself: {mount}"), N_("Take the mount out."), **values
        )
    own = _own_file(source, files)
    if own is None:
        return fault(
            at,
            N_("service {service} mounts {mount}, which does not belong to the stack"),
            N_("Mount a folder below ${{DATA}}, or a file that is in the stack's own folder, as ./name, read-only."),
            **values,
        )
    if not read_only:
        return fault(
            at,
            N_("service {service} could write to {mount}, which no backup sees"),
            N_("Mount it read-only, or use a folder below ${{DATA}}."),
            **values,
        )
    return None


def _own_file(source: str, files: Collection[str]) -> str | None:
    path = PurePosixPath(source)
    if not source.startswith("./") or "$" in source or ".." in path.parts or str(path) not in files:
        return None
    return str(path)


def _is_great(capability: str) -> bool:
    return "$" in capability or capability.upper().removeprefix("CAP_") in _CAPABILITIES


def _is_unconfined(option: str) -> bool:
    return "$" in option or "unconfined" in option or option.replace("=", ":").startswith("label:disable")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}

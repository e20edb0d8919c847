"""A trial restore: which backup is tried, whether this machine can carry it, and what a copy of a project looks like
that can neither reach anything outside nor be reached.

Projects are plain data, as Compose resolves them: every variable filled in, every path absolute.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gardien.errors import Refused
from gardien.model.manifest import Needs, Probe
from gardien.model.plan import Plan, Step
from gardien.model.settings import LocalTarget, Target
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Stack
from gardien.rules.composefile import power_faults
from gardien.words import N_, Words

Data = Mapping[str, Any]

NEVER = "never"
WEEKLY = "weekly"
NOWHERE = "192.0.2.1"  # set aside for examples: no machine has it
PROVEN_WITHIN = timedelta(days=14)
MARGIN = 256 * 1000 * 1000  # bytes of memory, and of the disk, that must be left to those who work

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# What leads out, or would be seen from outside; labels are read by other programs at the engine.
_DROPPED = (
    "container_name",
    "dns",
    "dns_opt",
    "dns_search",
    "external_links",
    "extra_hosts",
    "labels",
    "mac_address",
    "networks",
    "ports",
    "restart",
)


def plan(stack: Stack, snapshot: Snapshot) -> Plan:
    """A backup brought back beside what runs, on a network without a way out, started, asked, and taken away again.

    It holds no lease of the stack, which it does not touch.
    """
    target = snapshot.target
    steps = (
        Step(
            "look",
            Words.of(N_("Find the newest backup, and see that there is room for a second one")),
            details=(f"{target}: {snapshot.id}",),
        ),
        Step(
            "fetch",
            Words.of(N_("Fetch the files into a folder beside, reading each one back")),
            Words.of(N_("Delete the copy beside")),
        ),
        Step("verify", Words.of(N_("Compare what came back with what was saved"))),
        Step("images", Words.of(N_("See that the programs are here, fetch those that are not"))),
        Step("apart", Words.of(N_("Set the copy apart: other names, no ports, no way out"))),
        Step(
            "load",
            Words.of(N_("Load the databases")),
            Words.of(N_("Remove what was started")),
            tuple(f"{load.exec_} <- {load.input or ''}" for load in stack.manifest.restore.load),
        ),
        Step(
            "start",
            Words.of(N_("Start the application")),
            details=tuple(action.words for action in stack.manifest.restore.after),
        ),
        Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
        Step("away", Words.of(N_("Take the copy away, and write down what was proven"))),
    )
    return Plan(
        kind="drill",
        subject=stack.name,
        steps=steps,
        leases=("drill", f"repository:{target}"),
        onward="away",
        facts={"target": target, "snapshot": snapshot.id, "taken": snapshot.taken.isoformat()},
    )


def times(at: str, stack: str) -> str | None:
    """When `stack` is tried, in the words of a schedule; `weekly` gives each stack a day of its own. None: never."""
    if at == NEVER:
        return None
    day = _DAYS[sha256(stack.encode()).digest()[0] % len(_DAYS)]
    return f"weekly on {day} at 03:40" if at == WEEKLY else at


def choice(snapshots: Sequence[Snapshot], targets: Mapping[str, Target]) -> Snapshot | None:
    """The newest good backup that lies off this machine; one on its own disk only where there is no other."""
    good = [each for each in snapshots if each.good and each.target in targets]
    away = [each for each in good if not isinstance(targets[each.target], LocalTarget)]
    # Of a backup and its copies the first.
    return max(away or good, key=lambda each: (each.taken, each.original is None), default=None)


def too_little(stack: Stack, size: int, disk: int, memory: int) -> Words | None:
    """Why this machine cannot carry a trial now; None: it can. `size`: of the backup; `disk`, `memory`: free bytes.

    What stands in the database twice (as a dump, and loaded) is allowed for.
    """
    needs = stack.manifest.needs or Needs(memory=1, disk=1, images=1)
    room = size + size // 4 + needs.disk * 10**6 + MARGIN
    if room > disk:
        return Words.of(
            N_("{stack} was not tried: its backup would take {needed} GB of the disk, and {free} GB are free"),
            stack=stack.manifest.title.given,
            needed=round(room / 1e9, 1),
            free=round(disk / 1e9, 1),
        )
    if needs.memory * 10**6 + MARGIN > memory:
        return Words.of(
            N_(
                "{stack} was not tried: beside what runs, a second one needs {needed} MB of memory, and {free} MB are "
                "free"
            ),
            stack=stack.manifest.title.given,
            needed=needs.memory + MARGIN // 10**6,
            free=memory // 10**6,
        )
    return None


def late(proven: datetime | None, since: datetime | None, now: datetime) -> bool:
    """Whether nothing was proven for too long; what can be proven `since` then gets as long for the first time."""
    begin = max((each for each in (proven, since) if each is not None), default=None)
    return begin is not None and now - begin > PROVEN_WITHIN


def apart(model: Data, project: str, home: Path) -> dict[str, object]:
    """The project on a network of its own without a way out: no port, no name, no resolver, started once.

    Raises Refused for one that would leave its box, or mounts anything but what lies in `home`, the stack's copy.
    """
    for what in _ways_out(model, home):
        raise Refused(
            N_("a copy of this application would reach what is not its own: {what}"),
            N_("Nothing was started. See that its Compose file mounts only its own folder."),
            what=what,
        )
    services = {name: _service(each) for name, each in model["services"].items()}
    networks = {name for each in services.values() for name in each.get("networks", ())}
    return {
        "name": project,
        "services": services,
        "networks": {name: {"internal": True} for name in sorted(networks)},
        **{
            kind: {name: {key: each[key] for key in each if key != "name"} for name, each in model[kind].items()}
            for kind in ("configs", "secrets")
            if kind in model
        },
    }


def _service(service: Data) -> dict[str, Any]:
    kept = {key: value for key, value in service.items() if key not in _DROPPED}
    if kept.get("network_mode") != "none":
        kept.pop("network_mode", None)
        names = service.get("networks") or {"default": None}
        kept["networks"] = {name: {"aliases": (each or {}).get("aliases", [])} for name, each in names.items()}
        # Of its own network's names Docker knows all. Any other is asked for here, where nobody answers.
        kept |= {"dns": ["127.0.0.1"], "dns_opt": ["timeout:1", "attempts:1"]}
    if isinstance(kept.get("deploy"), dict):
        kept["deploy"] = {key: value for key, value in kept["deploy"].items() if key != "restart_policy"}
    return kept | {"restart": "no"}


def _ways_out(model: Data, home: Path) -> Iterator[str | Words]:
    for fault in power_faults(model):
        yield fault.says
    for name, service in model["services"].items():
        for mount in service.get("volumes") or ():
            if mount.get("type") == "tmpfs":
                continue
            source = Path(str(mount.get("source") or "/"))
            if mount.get("type") != "bind" or not _within(source, home, read_only=mount.get("read_only") is True):
                yield f"{name}: {source}"
    for kind in ("configs", "secrets"):
        for name, entry in (model.get(kind) or {}).items():
            file = entry.get("file")
            if entry.get("external") or (file and not _within(Path(file), home, read_only=True)):
                yield f"{kind}: {name}"


def _within(path: Path, home: Path, *, read_only: bool) -> bool:
    """In the stack's own part of its folder; of gardien's part only the files it was shipped with, to be read."""
    if ".." in path.parts or not path.is_relative_to(home) or path == home:
        return False
    inside = path.relative_to(home).parts
    return inside[0] != ".gardien" or (read_only and inside[:2] == (".gardien", "compose") and len(inside) > 2)


def sources(model: Data) -> list[Path]:
    """What the services mount of this machine."""
    mounts = [mount for each in model["services"].values() for mount in each.get("volumes") or ()]
    files = [each.get("file") for kind in ("configs", "secrets") for each in (model.get(kind) or {}).values()]
    found = {str(mount["source"]) for mount in mounts if mount.get("type") == "bind"}
    return [Path(each) for each in sorted(found | {str(file) for file in files if file})]


def published(model: Data) -> dict[str, tuple[str, int]]:
    """Port of this machine -> the service and its own port behind it, as they are while it runs for people."""
    return {
        str(port["published"]): (name, int(port["target"]))
        for name, each in model["services"].items()
        for port in each.get("ports") or ()
        if port.get("published") and port.get("protocol", "tcp") == "tcp"
    }


def askable(stack: Stack, ports: Mapping[str, tuple[str, int]]) -> dict[str, Probe]:
    """The probes that can be put to a copy: commands in its services, and what is asked at a port that it publishes."""
    return {name: each for name, each in stack.manifest.probes.items() if each.exec_ or _behind(stack, each, ports)}


def redirected(stack: Stack, probe: Probe, ports: Mapping[str, tuple[str, int]], addresses: Mapping[str, str]) -> Probe:
    """The same question, asked at the container itself: by the same name, at an address that this machine alone has.

    `addresses`: of each service. A service without one is asked where nobody answers.
    """
    if probe.exec_ is not None:
        return probe
    found = _behind(stack, probe, ports)
    assert found is not None
    service, port = found
    address = f"{addresses.get(service, NOWHERE)}:{port}"
    if probe.tcp is not None:
        return probe.model_copy(update={"tcp": address})
    url = urlsplit(stack.fill(probe.http or ""))
    host = {} if "host" in {name.lower() for name in probe.headers} else {"Host": url.netloc}
    return probe.model_copy(
        update={"http": url._replace(netloc=address).geturl(), "headers": {**host, **probe.headers}}
    )


def _behind(stack: Stack, probe: Probe, ports: Mapping[str, tuple[str, int]]) -> tuple[str, int] | None:
    try:
        url = urlsplit(stack.fill(probe.http) if probe.http is not None else f"tcp://{stack.fill(probe.tcp or '')}")
        here, port = url.hostname in ("127.0.0.1", "localhost", "::1"), url.port
    except ValueError:
        return None
    return ports.get(str(port or {"http": 80, "https": 443}.get(url.scheme))) if here else None

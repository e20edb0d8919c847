"""What a schema cannot say of `gardien.yaml`: parts of it that contradict each other."""

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from gardien.model.fault import Fault, Key, nearest
from gardien.model.settings import HOST, LocalTarget, RestTarget, S3Target, Settings, SftpTarget, Target
from gardien.rules import drill, schedule, windows
from gardien.rules.images import is_registry
from gardien.rules.kinds import fits, misfit
from gardien.rules.reach import address_of, forbidden, host_of
from gardien.words import N_, Value, Words

_LOOPBACK = ("localhost", "127.", "::1", "[::1]")
_ANYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104  (compared with, not listened on)
_OURSELVES = re.compile(r"http://(localhost|127\.0\.0\.1|\[::1\])(:|/|$)")
_LONGEST_SOCKET = 107  # bytes that a unix socket's address can hold
_PROXY = re.compile(rf"https?://([^\s@/]+@)?({HOST})(:[0-9]{{1,5}})?/?")
_AROUND = re.compile(rf"\.?({HOST})(/[0-9]{{1,3}})?")
_ODD = set("'\"\\$`:\n")


def faults_of(settings: Settings) -> list[Fault]:
    """Everything in `settings` that does not go together."""
    return [
        *_folders(settings),
        *_page(settings),
        *_programs(settings),
        *_mirrors(settings),
        *_times(settings),
        *_mail(settings),
        *_second_way(settings),
        *_told_outside(settings),
        *_proxy(settings),
        *_targets(settings),
        *_images(settings),
    ]


def _fault(at: tuple[Key, ...], says: str, remedy: str | Words = "", **values: Value) -> Fault:
    return Fault(at, Words(says, values), remedy if isinstance(remedy, Words) else Words(remedy, values))


def _folders(settings: Settings) -> Iterator[Fault]:
    folders = {name: Path(getattr(settings.folders, name)) for name in ("data", "state", "run", "owner")}
    for name, path in folders.items():
        if not str(path).isprintable() or _ODD & set(str(path)) or ".." in path.parts:
            yield _fault(
                ("folders", name),
                N_("the folder {path} has a sign in it that Compose reads in its own way"),
                N_("Choose a path of letters, digits and . _ / -"),
                path=repr(str(path)),
            )
        elif path == Path("/"):
            yield _fault(("folders", name), N_("{name} cannot be the whole machine"), N_("Name a folder."), name=name)
    for (one, first), (other, second) in combinations(folders.items(), 2):
        if first == second:
            yield _fault(
                ("folders", other),
                N_("{one} and {other} are the same folder"),
                N_("Give each its own."),
                one=one,
                other=other,
            )
    for name in ("state", "run", "owner"):
        if folders["data"] in folders[name].parents:
            yield _fault(
                ("folders", name),
                N_("{name} lies inside the data folder, where every folder belongs to a stack"),
                N_("Move it out of {path}."),
                name=name,
                path=str(folders["data"]),
            )
    if len(bytes(settings.socket)) > _LONGEST_SOCKET:
        yield _fault(
            ("folders", "run"),
            N_("the path of the folder is too long for a socket"),
            N_("Choose one of at most {most} bytes."),
            most=_LONGEST_SOCKET - len("/gardien.sock"),
        )


def _page(settings: Settings) -> Iterator[Fault]:
    page = settings.page
    if not page.names:
        yield _fault(
            ("page", "names"),
            N_("the page has no name, so nobody could open it"),
            N_("List the names and addresses that people type, such as localhost."),
        )
    elif page.address not in page.names and not page.address.startswith(_LOOPBACK) and page.address not in _ANYWHERE:
        yield _fault(
            ("page", "names"),
            N_("the page listens on {address} and would refuse to be called by it"),
            N_("Add {address} to the names."),
            address=page.address,
        )


def _programs(settings: Settings) -> Iterator[Fault]:
    for name in ("restic", "docker"):
        program = getattr(settings.programs, name)
        if not program.strip() or program.startswith("-") or not program.isprintable():
            yield _fault(
                ("programs", name), N_("{name} is not a command"), N_("Write its name or its path."), name=name
            )


def _mirrors(settings: Settings) -> Iterator[Fault]:
    for registry, mirror in settings.docker.mirrors.items():
        at = ("docker", "mirrors", registry)
        if "/" in registry or not is_registry(registry) or not fits("image", f"{registry}/image"):
            yield _fault(
                at,
                N_("{name} is not a registry"),
                N_("Write the name that images begin with, such as docker.io or ghcr.io."),
                name=registry,
            )
        if not is_registry(mirror.partition("/")[0]) or not fits("image", f"{mirror}/image"):
            yield _fault(
                at,
                N_("“{mirror}” cannot be a mirror of {name}"),
                N_("Write a registry, and a path in it if need be, such as registry.example:5000/hub."),
                mirror=mirror,
                name=registry,
            )


def _proxy(settings: Settings) -> Iterator[Fault]:
    if settings.proxy is not None and not (settings.proxy.isprintable() and _PROXY.fullmatch(settings.proxy)):
        # Not shown: there may be a password in it.
        yield _fault(
            ("proxy",),
            N_("the proxy is not the address of one"),
            N_("Write http:// or https://, its name and its port, such as http://proxy.example:3128."),
        )
    for index, name in enumerate(settings.no_proxy):
        if not _AROUND.fullmatch(name):
            yield _fault(
                ("no_proxy", index),
                N_("“{name}” is neither a name nor an address"),
                N_("Write names, domains and addresses, such as intranet.example or 192.168.1.0/24."),
                name=name,
            )


def _mail(settings: Settings) -> Iterator[Fault]:
    mail = settings.mail
    if mail is not None and mail.security == "none" and not mail.host.startswith(_LOOPBACK):
        yield _fault(
            ("mail", "security"),
            N_("the mail server is asked without encryption, and it is not this machine"),
            N_("Write `security: tls` or `security: starttls`."),
        )


def _second_way(settings: Settings) -> Iterator[Fault]:
    second = settings.second_way
    if second is None:
        return
    at = ("second_way", "url")
    if second.url.startswith("http://") and not _OURSELVES.match(second.url):
        yield _fault(
            at, N_("{address} would hear in plain text what is wrong here"), N_("Write https://"), address=second.url
        )
    if second.kind == "ntfy" and not urlsplit(second.url).path.strip("/"):
        yield _fault(at, N_("{address} names no topic"), N_("Write it behind the server’s name."), address=second.url)


def _told_outside(settings: Settings) -> Iterator[Fault]:
    for at, host in told_outside(settings):
        if forbidden(host):
            yield never_asked(at, host)


MAIL_HOST: tuple[Key, ...] = ("mail", "host")


def told_outside(settings: Settings) -> Iterator[tuple[tuple[Key, ...], str]]:
    """The hosts that are told something, and where each is written."""
    second = settings.second_way
    for at, url in ((("ping",), settings.ping), (("second_way", "url"), second.url if second else None)):
        if url is not None:
            yield at, (urlsplit(url).hostname or "").rstrip(".")
    if settings.mail is not None:
        yield MAIL_HOST, settings.mail.host.strip("[]").rstrip(".")


def never_asked(at: tuple[Key, ...], host: str) -> Fault:
    """What is wrong where a host leads to an address that must not be asked."""
    return _fault(
        at,
        N_("{host} leads to an address that gardien never asks"),
        N_("Link-local addresses and those where a cloud hands out its machines’ keys are never asked."),
        host=host,
    )


def nobody_knows(at: tuple[Key, ...], host: str) -> Fault:
    """What is wrong where a name leads nowhere."""
    return _fault(
        at,
        N_("no machine called {host} is known"),
        N_("Is it spelt as your mail provider’s help page has it? Without a line to the internet try again later."),
        host=host,
    )


def _times(settings: Settings) -> Iterator[Fault]:
    places: list[tuple[tuple[Key, ...], str | None]] = [(("backup", "at"), settings.backup.at)]
    places += [(("backup", "prove"), drill.times(settings.backup.prove, ""))]
    places += [(("targets", name, "at"), target.at) for name, target in settings.targets.items()]
    places += [(("stacks", name, "at"), own.at) for name, own in settings.stacks.items()]
    for at, words in places:
        try:
            schedule.cron(words or "hourly")
        except ValueError:
            yield _fault(
                at,
                N_("“{words}” is not a time that gardien knows"),
                N_("Write `daily at 02:30`, `hourly`, `every 6 hours`, `weekly on sunday at 03:00`, or a cron line."),
                words=words or "",
            )
    spans: list[tuple[tuple[Key, ...], str]] = [(("updates", "window"), settings.updates.window)]
    spans += [(("stacks", name, "window"), own.window) for name, own in settings.stacks.items() if own.window]
    for at, words in spans:
        try:
            windows.parts(words)
        except ValueError:
            yield _fault(
                at,
                N_("“{words}” is not a window that gardien knows"),
                N_("Write `sunday 03:00-05:00`, or `daily 03:00-05:00`."),
                words=words,
            )


def _targets(settings: Settings) -> Iterator[Fault]:
    ours = settings.folders
    taken: dict[str, str] = {}
    for name, target in settings.targets.items():
        yield from _sent(settings, name, target)
        yield from _reached(name, target)
        other = taken.setdefault(f"{target.kind} {_place(target)}", name)
        if other != name:
            yield _fault(
                ("targets", name),
                N_("{name} and {other} are one and the same place"),
                N_("Give each a folder of its own."),
                name=name,
                other=other,
            )
        at = ("targets", name, "folder")
        if isinstance(target, S3Target | RestTarget):
            yield from _online(name, target)
        elif isinstance(target, LocalTarget):
            yield from _local(target, at, (ours.data, ours.state, ours.run, ours.owner))
        elif ".." in Path(target.folder).parts or target.folder.strip("/. ") == "":
            yield _fault(
                at,
                N_("{folder} is not a folder of its own at the host"),
                N_("Name one for the backups, such as ./gardien."),
                folder=target.folder,
            )


def _reached(name: str, target: Target) -> Iterator[Fault]:
    host = host_of(target)
    if host is not None and forbidden(host):
        yield _fault(
            ("targets", name, {"sftp": "host", "s3": "endpoint"}.get(target.kind, "url")),
            N_("{host} leads to an address at which no backup target may be"),
            N_("Link-local addresses and those where a cloud hands out its machines’ keys are never asked."),
            host=host,
        )


def _place(target: Target) -> str:
    """Where its repository lies, however it was written."""
    address = address_of(target)
    if isinstance(target, SftpTarget):
        return address.removesuffix(target.folder) + str(PurePosixPath(target.folder))
    return address.rstrip("/").lower() if not isinstance(target, LocalTarget) else address


def _sent(settings: Settings, name: str, target: Target) -> Iterator[Fault]:
    """What holds for every kind: whom it is a copy of, and how fast it is filled."""
    source = target.copy_of
    at = ("targets", name, "copy_of")
    if source is not None:
        if source not in settings.targets:
            yield _fault(at, N_("there is no target {target}"), nearest(source, settings.targets), target=source)
        elif source == name or settings.targets[source].copy_of is not None:
            yield _fault(
                at,
                N_("{name} is to be a copy of {target}, which is itself a copy"),
                N_("Name the target that backups go to first."),
                name=name,
                target=source,
            )
        elif _stores_differ(target, settings.targets[source]):
            yield _fault(
                at,
                N_("restic cannot copy to {target} from another object store with a key or a region of its own"),
                N_("Copy from a target of another kind, such as a disk; or use one key, in one region, for both."),
                target=name,
            )
    spans = list(target.upload_limit)
    for hours in spans:
        if hours[:5] == hours[6:]:
            yield _fault(
                ("targets", name, "upload_limit", hours),
                N_("{hours} begins when it ends"),
                N_("For the whole day write 00:00-12:00 and 12:00-00:00."),
                hours=hours,
            )
    for one, other in combinations(spans, 2):
        if _minutes(one) & _minutes(other):
            yield _fault(
                ("targets", name, "upload_limit", other),
                N_("{one} and {other} overlap"),
                N_("Let one begin when the other ends."),
                one=one,
                other=other,
            )


def _stores_differ(one: Target, other: Target) -> bool:
    if not (isinstance(one, S3Target) and isinstance(other, S3Target)):
        return False
    return (one.endpoint, one.region) != (other.endpoint, other.region)


def _minutes(hours: str) -> set[int]:
    begin, end = (int(each[:2]) * 60 + int(each[3:]) for each in hours.split("-"))
    return set(range(begin, end)) if begin < end else {*range(begin, 24 * 60), *range(end)}


def _online(name: str, target: S3Target | RestTarget) -> Iterator[Fault]:
    """Backups are encrypted, but a login that is sent in plain text is everybody's."""
    key, address = ("endpoint", target.endpoint) if isinstance(target, S3Target) else ("url", target.url)
    if not address.startswith("http://"):
        return
    if not _OURSELVES.match(address):
        yield _fault(
            ("targets", name, key),
            N_("{address} would send the login in plain text"),
            N_("Write https://"),
            address=address,
        )
    if target.ca is not None:
        yield _fault(
            ("targets", name, "ca"),
            N_("{address} shows no certificate that `ca` could vouch for"),
            N_("Write https://, or leave `ca` out."),
            address=address,
        )


def _local(target: LocalTarget, at: tuple[Key, ...], ours: tuple[Path, ...]) -> Iterator[Fault]:
    folder = target.folder
    if ".." in folder.parts or not str(folder).isprintable() or folder == Path("/"):
        yield _fault(at, N_("{folder} cannot hold backups"), N_("Name a folder of its own."), folder=repr(str(folder)))
    for own in ours:
        if folder == own or own in folder.parents or folder in own.parents:
            yield _fault(
                at,
                N_("{folder} and {own} lie in each other: a backup would be lost with what it saves"),
                N_("Put the backups on another disk, or at least beside it."),
                folder=str(folder),
                own=str(own),
            )


def _images(settings: Settings) -> Iterator[Fault]:
    for name, image in settings.images.items():
        if fault := misfit("image", name, image):
            yield Fault(("images", name), fault.says, fault.remedy)

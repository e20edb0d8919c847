"""What a schema cannot say of `gardien.yaml`: parts of it that contradict each other."""

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from gardien.model.fault import Fault, Key, nearest
from gardien.model.settings import LocalTarget, Settings, SftpTarget
from gardien.rules.kinds import misfit
from gardien.words import N_, Value, Words

_LOOPBACK = ("localhost", "127.", "::1", "[::1]")
_ANYWHERE = ("0.0.0.0", "::", "[::]")  # noqa: S104  (compared with, not listened on)
_LONGEST_SOCKET = 107  # bytes that a unix socket's address can hold
_ODD = set("'\"\\$`:\n")


def faults_of(settings: Settings) -> list[Fault]:
    """Everything in `settings` that does not go together."""
    return [*_folders(settings), *_page(settings), *_programs(settings), *_targets(settings), *_images(settings)]


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


def _targets(settings: Settings) -> Iterator[Fault]:
    chosen = settings.backup.target
    if chosen is not None and chosen not in settings.targets:
        yield _fault(
            ("backup", "target"), N_("there is no target {target}"), nearest(chosen, settings.targets), target=chosen
        )
    ours = settings.folders
    for name, target in settings.targets.items():
        at = ("targets", name, "folder")
        if isinstance(target, SftpTarget):
            if ".." in Path(target.folder).parts or target.folder.strip("/. ") == "":
                yield _fault(
                    at,
                    N_("{folder} is not a folder of its own at the host"),
                    N_("Name one for the backups, such as ./gardien."),
                    folder=target.folder,
                )
            continue
        yield from _local(target, at, (ours.data, ours.state, ours.run, ours.owner))


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

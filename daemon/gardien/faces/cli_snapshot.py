"""`gardien snapshot …`, and `gardien restore STACK --path …`."""

import sys
import time
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from gardien.errors import BadInput, NotFound
from gardien.faces.session import STACK, Data, InOrder, Session, answers
from gardien.words import N_

if TYPE_CHECKING:
    from gardien.faces.terminal import Terminal

PAGE = 500  # entries of a folder that are asked for at once
ERASE = "\r\x1b[K"
TELL_EVERY = 0.25  # seconds
LOST = "\N{REPLACEMENT CHARACTER}"
SNAPSHOT = click.option("--snapshot", metavar="ID", help="Which backup, from `gardien backup list`.")
DATE = click.option("--date", "day", metavar="DATE", help="The newest of that day, or before: 2026-11-03.")


@click.group(cls=InOrder)
def snapshot() -> None:
    """Look into a backup: what is in it, and in which backups something is."""


@snapshot.command()
@click.argument("stack", metavar="[STACK]", required=False)
@click.argument("folder", metavar="[FOLDER]", default="")
@SNAPSHOT
@DATE
@answers
def browse(session: Session, *, stack: str | None, folder: str, snapshot: str | None, day: str | None) -> None:
    """List a folder of a backup; of the newest good one, if no other is named."""
    found = chosen(session, stack, snapshot, day)
    entry = walk(session, found, folder)
    if entry is not None and entry["kind"] != "folder":
        listed = [entry]
    else:
        listed = _listed(session, found, entry["id"] if entry else 0)
    data = {"snapshot": found["id"], "taken": found["taken"], "folder": entry, "entries": listed}
    session.show(data, lambda terminal: _print(terminal, found, listed))


@snapshot.command()
@STACK
@click.argument("text", metavar="TEXT")
@SNAPSHOT
@answers
def search(session: Session, *, stack: str, text: str, snapshot: str | None) -> None:
    """In which backups is something whose name has TEXT in it? The newest first; accents and capitals do not count."""
    backups = [chosen(session, stack, snapshot, None)] if snapshot else _backups(session, stack)
    results, some = [], False
    for each in backups:
        hits = opened(session, each, search=text)["entries"]
        results.append({"snapshot": each["id"], "taken": each["taken"], "entries": hits})
        if hits and not session.as_json:
            if some:
                click.echo()
            _print(session.terminal, each, hits)
        some = some or bool(hits)
    if session.as_json:
        session.show(results, lambda _: None)
    elif not some:
        session.terminal.say(N_("No backup of {stack} has anything of that name."), stack=stack)


def part_back(
    session: Session,
    stack: str,
    path: str,
    *,
    snapshot: str | None,
    to: Path | None,
    yes: bool,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """One file or folder: into its old place, or to a folder of the caller's."""
    found = chosen(session, stack, snapshot, None)
    entry = walk(session, found, path)
    if entry is None:
        raise BadInput(
            N_("--path wants a file or a folder in the backup"),
            N_("`gardien snapshot browse {stack}` shows them."),
            stack=stack,
        )
    way = ("snapshots", found["id"], "entries", str(entry["id"]))
    if to is not None:
        _take_away(session, way, to, dry_run=dry_run)
        return
    if not (yes or dry_run):
        if not session.listens:
            raise BadInput(
                N_("this replaces what is there now in {stack}, and nobody is here to agree"),
                N_("Add --yes if that is meant, --dry-run to see what it would do, or --to for a folder of your own."),
                stack=stack,
            )
        session.terminal.plan(session.daemon.post(*way, "put-back", dry_run=True)["plan"])
        session.agree()
    session.finish(session.start(*way, "put-back", dry_run=dry_run, no_wait=no_wait))


def _take_away(session: Session, way: tuple[str, ...], to: Path, *, dry_run: bool) -> None:
    from gardien.faces import take_away  # noqa: PLC0415
    from gardien.model.entry import shown  # noqa: PLC0415

    while "reading" in (entry := session.daemon.get(*way)):
        time.sleep(0.2)
    if entry["kind"] not in {"file", "folder"}:
        raise BadInput(
            N_("this cannot be brought back by itself: it is a link, a device or the like"),
            N_("Choose a file or a folder."),
        )
    place = to / entry["exact"]
    where = shown(str(place))
    if dry_run:
        says = N_("{count} files, {size} bytes, would be written to {folder}.")
        session.show(
            {**entry, "exact": _plain(entry["exact"]), "to": where},
            lambda terminal: terminal.say(says, count=entry["files"], size=entry["bytes"], folder=where),
        )
        return
    if not to.is_dir():
        raise NotFound(N_("there is no folder {folder}"), N_("Make it first, or name another."), folder=str(to))
    query = {} if entry["kind"] == "file" else {"as": "tar"}
    with session.daemon.stream(*way, "download", **query) as stream:
        watched = _Watched(session, stream, entry["bytes"])
        try:
            if entry["kind"] == "file":
                taken = take_away.file(watched, place, entry["size"])
            else:
                taken = take_away.folder(watched, place, entry["left_out"], entry["files"])
        finally:
            watched.end()
    left_out = [shown(each) for each in taken.left_out]
    data = {"to": where, "files": taken.files, "bytes": taken.bytes, "left_out": left_out}
    session.show(data, lambda terminal: _told(terminal, data))


class _Watched:
    """A download that tells on the terminal how far it is; nothing where nobody looks."""

    def __init__(self, session: Session, stream: BinaryIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._language = session.terminal.language if sys.stdout.isatty() and not session.as_json else None
        self._done = 0
        self._next = 0.0

    def read(self, most: int = -1, /) -> bytes:
        chunk = self._stream.read(most)
        self._done += len(chunk)
        if self._language is not None and time.monotonic() >= self._next:
            from gardien.faces.present import percent, size  # noqa: PLC0415

            self._next = time.monotonic() + TELL_EVERY
            share = min(1.0, self._done / self._total) if self._total else 1.0
            done, total = size(self._done, self._language), size(self._total, self._language)
            click.echo(f"{ERASE}{percent(share, self._language)}  {done} / {total}", nl=False)
        return chunk

    def end(self) -> None:
        if self._next:
            click.echo(ERASE, nl=False)


def _told(terminal: "Terminal", data: Data) -> None:
    terminal.say(N_("{count} files are in {folder}."), count=data["files"], folder=data["to"])
    if data["left_out"]:
        terminal.hint(N_("Left out, because they are devices or lead elsewhere:"))
        for each in data["left_out"]:
            click.echo(f"  {each}")


# -- finding it


def _backups(session: Session, stack: str) -> list[Data]:
    """Those of one stack, newest first; of a backup and its copies the first."""
    found = session.daemon.get("snapshots", stack=stack)["snapshots"]
    if not found:
        session.daemon.get("stacks", stack)  # raises NotFound where there is none of that name
    return [each for each in found if each["copy_of"] is None] or found


def chosen(session: Session, stack: str | None, id_: str | None, day: str | None) -> Data:
    """The backup that was named, or the newest good one. Raises NotFound, BadInput."""
    if id_ is not None:
        found = session.daemon.get("snapshots", id_)
        if stack not in {None, found["stack"]}:
            raise BadInput(
                N_("this is a backup of {other}, not of {stack}"),
                N_("`gardien backup list {stack}` shows those of {stack}."),
                stack=stack or "",
                other=found["stack"],
            )
        return found
    if stack is None:
        names = [each["name"] for each in session.daemon.get("stacks")["stacks"]]
        if len(names) != 1:
            raise BadInput(
                N_("of which stack? There are several here, or none"),
                N_("`gardien stack list` shows them."),
            )
        stack = names[0]
    good = [each for each in _backups(session, stack) if each["good"]]
    if day is not None:
        good = [each for each in good if datetime.fromisoformat(each["taken"]).astimezone().date() <= _date(day)]
    if not good:
        raise NotFound(
            N_("there is no good backup of {stack}, or none that old"),
            N_("`gardien backup list {stack}` shows those that are there."),
            stack=stack,
        )
    return good[0]


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInput(N_("{text} is not a date"), N_("Write it as 2026-11-03."), text=text) from error


def opened(session: Session, found: Data, **query: str | int) -> Data:
    """Ask for entries of a backup, until its listing was read."""
    told = False
    while "reading" in (data := session.daemon.get("snapshots", found["id"], "entries", **query)):
        if not told and not session.as_json and sys.stdout.isatty():
            session.terminal.hint(N_("Reading what is in this backup…"))
            told = True
        time.sleep(0.2)
    return data


def walk(session: Session, found: Data, path: str) -> Data | None:
    """The entry that a path leads to, step by step; None for the top. Raises NotFound."""
    entry: Data | None = None
    for name in filter(None, path.split("/")):
        entry = opened(session, found, folder=entry["id"] if entry else 0, name=_plain(name))["entry"]
        if entry is None:
            raise NotFound(
                N_("this backup has nothing at that place"),
                N_("`gardien snapshot search {stack} NAME` tells in which backups it is, and where."),
                stack=found["stack"],
            )
    return entry


def _plain(name: str) -> str:
    """A name as a listing has it: bytes that are no text are lost."""
    return "".join(LOST if "\ud800" <= each <= "\udfff" else each for each in name)


def _listed(session: Session, found: Data, folder: int) -> list[Data]:
    entries: list[Data] = []
    while True:
        page = opened(session, found, folder=folder, after=len(entries), most=PAGE)
        entries += page["entries"]
        if len(entries) >= page["total"] or not page["entries"]:
            return entries


def _print(terminal: "Terminal", found: Data, entries: list[Data]) -> None:
    from gardien.faces.present import size  # noqa: PLC0415

    taken = datetime.fromisoformat(found["taken"]).astimezone()
    click.secho(f"{found['id'][:10]}  {taken:%Y-%m-%d %H:%M}", bold=True)
    for each in entries:
        weight = size(each["size"], terminal.language) if each["kind"] == "file" else ""
        end = {"folder": "/", "link": "@", "special": "!"}.get(each["kind"], "")
        click.echo(f"{(each['modified'] or '')[:16].replace('T', ' '):16}  {weight:>9}  {each['path']}{end}")

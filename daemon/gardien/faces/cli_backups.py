"""`gardien backup …`."""

from collections.abc import Callable

import click

from gardien.errors import GardienError, NotFound, Refused
from gardien.faces.call import NotRunning
from gardien.faces.session import STACK, Data, InOrder, Session, answers, starts_a_job
from gardien.words import N_

TARGET = click.argument("target", metavar="[TARGET]", required=False)


@click.group(cls=InOrder)
def backup() -> None:
    """Save a stack now; look at what was saved; see that it is whole; clear out what is old."""


@backup.command()
@STACK
@click.option("--target", metavar="TARGET", help="Where to; else the first target of the settings.")
@starts_a_job
@answers
def create(session: Session, *, stack: str, target: str | None, dry_run: bool, no_wait: bool) -> None:
    """Save a stack now. People are turned away only while its databases are written out."""
    session.finish(session.start("backups", stack=stack, target=target, dry_run=dry_run, no_wait=no_wait))


@backup.command("list")
@click.argument("stack", metavar="[STACK]", required=False)
@click.option("--target", metavar="TARGET", help="Only what is there.")
@answers
def list_backups(session: Session, stack: str | None, target: str | None) -> None:
    """What was saved, newest first; and what was missed, and is under way."""
    query = {name: value for name, value in (("stack", stack), ("target", target)) if value is not None}
    snapshots = session.daemon.get("snapshots", **query)["snapshots"]
    if session.as_json:
        session.show(snapshots, lambda _: None)
        return
    from gardien.faces import terminal_backups  # noqa: PLC0415

    terminal_backups.listed(session.terminal, snapshots, session.daemon.get("status"), stack, target)


@backup.command()
@click.argument("snapshot", metavar="ID")
@answers
def show(session: Session, snapshot: str) -> None:
    """All that is known of one backup; the beginning of its id, from `gardien backup list`, is enough."""
    from gardien.faces import terminal_backups  # noqa: PLC0415

    data = session.daemon.get("snapshots", snapshot)
    session.show(data, lambda terminal: terminal_backups.shown(terminal, data))


@backup.command()
@click.argument("snapshot", metavar="ID")
@answers
def accept(session: Session, snapshot: str) -> None:
    """Say that a backup may hold so much less than the one before it: what is gone was meant to go."""
    data = session.daemon.post("snapshots", snapshot, "accept")
    session.show(data, lambda terminal: terminal.say(N_("This backup of {stack} counts now."), stack=data["stack"]))


@backup.command()
@TARGET
@click.option("--all", "whole", is_flag=True, help="Read every byte, not one part in four: that takes long.")
@starts_a_job
@answers
def check(session: Session, *, target: str | None, whole: bool, dry_run: bool, no_wait: bool) -> None:
    """See that the backups at a target, or at each, are whole."""
    _each(session, "check", target, lambda _: True, dry_run=dry_run, no_wait=no_wait, all=whole or None)


@backup.command()
@TARGET
@starts_a_job
@answers
def forget(session: Session, *, target: str | None, dry_run: bool, no_wait: bool) -> None:
    """Let go the old backups that retention does not keep. `--dry-run` tells which, and why each other one stays."""
    if not dry_run:
        _each(session, "forget", target, _clears, dry_run=False, no_wait=no_wait)
        return
    from gardien.faces import terminal_backups  # noqa: PLC0415

    for name in _names(session, target, _clears):
        session.daemon.post("targets", name, "forget", dry_run=True)  # says no where nothing may be deleted
        found = session.daemon.get("targets", name, "retention")["proposals"]
        data = {"target": name, "proposals": found}
        session.show(data, lambda terminal, data=data: terminal_backups.proposed(terminal, data))  # type: ignore[misc]


@backup.command()
@TARGET
@starts_a_job
@answers
def copy(session: Session, *, target: str | None, dry_run: bool, no_wait: bool) -> None:
    """Send a target what it lacks of the one it is a copy of. That happens by itself after each backup."""
    _each(
        session,
        "copy",
        target,
        lambda each: each["copy_of"] is not None,
        dry_run=dry_run,
        no_wait=no_wait,
    )


@backup.command()
@TARGET
@starts_a_job
@answers
def prune(session: Session, *, target: str | None, dry_run: bool, no_wait: bool) -> None:
    """Give back the room of what was cleared out. That happens by itself each week."""
    _each(session, "prune", target, _clears, dry_run=dry_run, no_wait=no_wait)


def _clears(target: Data) -> bool:
    return not target["append_only"] and target["can_delete"] is not False


def _names(session: Session, target: str | None, fits: Callable[[Data], bool]) -> list[str]:
    """The target that was named, or all ready ones that fit; where none fits all of them: the daemon says why not."""
    if target is not None:
        return [target]
    targets = session.daemon.get("status")["targets"]
    if not targets:
        raise NotFound(N_("no backup target is set up"), N_("`gardien target add` sets one up."))
    ready = [each for each in targets if each["ready"]]
    if not ready:
        raise Refused(
            N_("the backup target {target} is not ready"),
            N_("`gardien target test {target}` says what is missing."),
            target=targets[0]["name"],
        )
    return [each["name"] for each in ready if fits(each)] or [each["name"] for each in ready]


def _each(
    session: Session,
    verb: str,
    target: str | None,
    fits: Callable[[Data], bool],
    *,
    dry_run: bool,
    no_wait: bool,
    **body: object,
) -> None:
    """Do it at the target that was named, or at all that fit, one after the other; one that fails stops no other."""
    names, code = _names(session, target, fits), 0
    for name in names:
        if dry_run and len(names) > 1 and not session.as_json:
            click.secho(f"{name}:", bold=True)
        try:
            session.finish(session.start("targets", name, verb, dry_run=dry_run, no_wait=no_wait, **body))
        except NotRunning:
            raise
        except GardienError as error:
            code = session.tell(error)
    if code:
        raise SystemExit(code)

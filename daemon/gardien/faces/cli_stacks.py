"""`gardien stack …`."""

import json
from pathlib import Path

import click

from gardien.errors import BadInput
from gardien.faces.answers import answering, ask, given
from gardien.faces.call import Told
from gardien.faces.session import STACK, InOrder, Session, answers, starts_a_job
from gardien.words import N_

YES = click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")


@click.group(cls=InOrder)
def stack() -> None:
    """The applications of this house: add, start, stop, change, look."""


@stack.command("list")
@answers
def list_stacks(session: Session) -> None:
    """Those that were added."""
    stacks = session.daemon.get("stacks")["stacks"]
    session.show(stacks, lambda terminal: terminal.stacks(stacks))


@stack.command()
@answers
def available(session: Session) -> None:
    """Those that can be added."""
    stacks = session.daemon.get("stacks", "available")["stacks"]
    session.show(stacks, lambda terminal: terminal.available(stacks))


@stack.command("show")
@STACK
@click.option("--first-login", is_flag=True, help="Show the address and the first password again.")
@answers
def show_stack(session: Session, stack: str, first_login: bool) -> None:
    """One stack: its health, its settings, where its files are, what was changed by hand."""
    if first_login:
        login = session.daemon.get("stacks", stack, "first-login")
        session.show(login, lambda terminal: terminal.first_login(login))
        return
    data = session.daemon.get("stacks", stack)
    session.show(data, lambda terminal: terminal.stack(data))


@stack.command()
@STACK
@answering
@click.option("--anyway", is_flag=True, help="Add it even if this machine seems too small for it.")
@click.option("--yes", is_flag=True, help="Ask nothing: the defaults are right.")
@starts_a_job
@answers
def add(
    session: Session,
    *,
    stack: str,
    pairs: tuple[str, ...],
    file: Path | None,
    anyway: bool,
    yes: bool,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """Set a stack up and wait until it answers."""
    said = given(pairs, file)
    if not (yes or dry_run) and session.listens:
        anyway = ask(session, stack, said, anyway=anyway)
    with said.located():
        job = session.start(
            "stacks", name=stack, settings=said.values, anyway=anyway or None, dry_run=dry_run, no_wait=no_wait
        )
    if job is None:
        return
    login, refusal = None, None
    try:
        login = session.daemon.get("stacks", stack, "first-login")
    except Told as error:  # the stack is here and runs: this is no failure of adding it
        refusal = error
    if session.as_json:
        click.echo(json.dumps({**job, "first_login": login}, ensure_ascii=False))
        return
    session.finish(job)
    if login is not None:
        session.terminal.first_login(login)
    if refusal is not None:
        session.terminal.error(refusal)
        session.terminal.hint(
            N_("Try again in a moment for its first login: `gardien stack show {stack} --first-login`"), stack=stack
        )


@stack.command()
@STACK
@starts_a_job
@answers
def start(session: Session, stack: str, dry_run: bool, no_wait: bool) -> None:
    """Start a stopped stack and wait until it answers."""
    session.finish(session.start("stacks", stack, "start", dry_run=dry_run, no_wait=no_wait))


@stack.command()
@STACK
@starts_a_job
@answers
def stop(session: Session, stack: str, dry_run: bool, no_wait: bool) -> None:
    """Stop a stack; it stays stopped until it is started again."""
    session.finish(session.start("stacks", stack, "stop", dry_run=dry_run, no_wait=no_wait))


@stack.command()
@STACK
@starts_a_job
@answers
def restart(session: Session, stack: str, dry_run: bool, no_wait: bool) -> None:
    """Restart what runs, as it is, and wait until it answers."""
    session.finish(session.start("stacks", stack, "restart", dry_run=dry_run, no_wait=no_wait))


@stack.command("set")
@STACK
@answering
@YES
@starts_a_job
@answers
def set_settings(
    session: Session,
    *,
    stack: str,
    pairs: tuple[str, ...],
    file: Path | None,
    yes: bool,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """Change settings of a stack: the difference is shown first. An image of the owner's is a setting too; an empty
    one means the shipped one again."""
    said = given(pairs, file)
    if not said.values:
        raise BadInput(
            N_("no setting to change was named"),
            N_("Name it with --set NAME=VALUE; `gardien stack show {stack}` lists the settings as they are."),
            stack=stack,
        )
    with said.located():
        if not (yes or dry_run):
            if not session.listens:
                raise BadInput(
                    N_("this makes parts of {stack} anew, and nobody is here to agree"),
                    N_("Add --yes if that is meant, or --dry-run to see what it would do."),
                    stack=stack,
                )
            session.terminal.changes(
                session.daemon.post("stacks", stack, "set", settings=said.values, dry_run=True)["plan"]
            )
            session.agree()
        job = session.start("stacks", stack, "set", settings=said.values, dry_run=dry_run, no_wait=no_wait)
    session.finish(job)


@stack.command()
@STACK
@starts_a_job
@answers
def mend(session: Session, stack: str, dry_run: bool, no_wait: bool) -> None:
    """Bring a stack's containers back to what its settings say, after somebody changed them by hand."""
    if not session.as_json:
        session.terminal.drift(session.daemon.get("stacks", stack))
    session.finish(session.start("stacks", stack, "mend", dry_run=dry_run, no_wait=no_wait))


@stack.command()
@STACK
@click.option("--lines", type=click.IntRange(1, 1000), default=200, show_default=True, help="How many.")
@click.option("--service", metavar="NAME", help="Of this service alone.")
@answers
def logs(session: Session, stack: str, lines: int, service: str | None) -> None:
    """What a stack's services printed last."""
    query = {"service": service} if service else {}
    data = session.daemon.get("stacks", stack, "logs", lines=lines, **query)
    session.show(data, lambda _: click.echo(data["logs"].rstrip("\n")))


@stack.command()
@STACK
@click.option("--with-data", is_flag=True, help="Delete its files, too. Backups are never deleted.")
@click.option("--confirm", metavar="NAME", help="The stack's name once more: --with-data is meant.")
@click.option("--no-backup", is_flag=True, help="Make no last backup first.")
@YES
@starts_a_job
@answers
def remove(
    session: Session,
    *,
    stack: str,
    with_data: bool,
    confirm: str | None,
    no_backup: bool,
    yes: bool,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """Save a stack a last time and take it off the list. Its files stay where they are, unless --with-data."""
    what = {"with_data": with_data or None, "no_backup": no_backup or None}
    if not dry_run:
        typed = confirm is not None or not with_data
        if session.listens and not (yes and typed):
            session.terminal.plan(session.daemon.post("stacks", stack, "remove", **what, dry_run=True)["plan"])
            if with_data and not typed:
                confirm = _typed(session, stack)
            elif not with_data:
                session.terminal.say(N_("The files of {stack} and its backups stay where they are."), stack=stack)
                session.agree()
        elif not typed:
            raise BadInput(
                N_("--with-data deletes the files of {stack}, and nobody is here to agree"),
                N_("Add `--confirm {stack}` if that is meant, or --dry-run to see what it would do."),
                stack=stack,
            )
    job = session.start("stacks", stack, "remove", **what, confirm=confirm, dry_run=dry_run, no_wait=no_wait)
    session.finish(job)


def _typed(session: Session, stack: str) -> str:
    """What is typed when the stack's name is asked for; the daemon compares."""
    session.terminal.say(N_("All files of {stack} on this machine will be deleted. Its backups stay."), stack=stack)
    typed = click.prompt(session.terminal.tr(N_("Type its name to go on")), default="", show_default=False)
    return str(typed).strip()

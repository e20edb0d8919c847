"""`gardien stack …`."""

import json

import click

from gardien.faces.session import STACK, InOrder, Session, answers, starts_a_job


@click.group(cls=InOrder)
def stack() -> None:
    """The applications of this house: add, start, stop, look."""


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
    """One stack: its health, its settings, where its files are."""
    if first_login:
        login = session.daemon.get("stacks", stack, "first-login")
        session.show(login, lambda terminal: terminal.first_login(login))
        return
    data = session.daemon.get("stacks", stack)
    session.show(data, lambda terminal: terminal.stack(data))


@stack.command()
@STACK
@click.option("--set", "settings", metavar="NAME=VALUE", multiple=True, help="Answer one of its questions.")
@click.option("--yes", is_flag=True, help="Ask nothing: the defaults are right.")
@starts_a_job
@answers
def add(session: Session, *, stack: str, settings: tuple[str, ...], yes: bool, dry_run: bool, no_wait: bool) -> None:
    """Set a stack up and wait until it answers."""
    from gardien.faces.terminal import listens  # noqa: PLC0415

    given = _settings(settings)
    if listens() and not (yes or dry_run or session.as_json):
        given = _asked(session, stack, given)
    job = session.start("stacks", name=stack, settings=given, dry_run=dry_run, no_wait=no_wait)
    if job is None:
        return
    login = session.daemon.get("stacks", stack, "first-login")
    if session.as_json:
        click.echo(json.dumps({**job, "first_login": login}, ensure_ascii=False))
    else:
        session.finish(job)
        session.terminal.first_login(login)


def _settings(pairs: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        found[name] = value
    return found


def _asked(session: Session, name: str, given: dict[str, str]) -> dict[str, str]:
    """Ask for every setting that was not given."""
    stacks = {stack["name"]: stack for stack in session.daemon.get("stacks", "available")["stacks"]}
    if stacks.get(name, {}).get("added") or "settings" not in stacks.get(name, {}):
        return given  # the daemon says what is wrong
    answers = dict(given)
    for setting in stacks[name]["settings"]:
        if setting["name"] not in given:
            answers[setting["name"]] = click.prompt(f"{setting['ask']} ({setting['name']})", default=setting["default"])
    return answers


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
def remove(session: Session, stack: str, dry_run: bool, no_wait: bool) -> None:
    """Take a stack off the list. Its files and backups stay where they are."""
    session.finish(session.start("stacks", stack, "remove", dry_run=dry_run, no_wait=no_wait))


@stack.command()
@STACK
@click.option("--lines", type=click.IntRange(1, 1000), default=200, show_default=True, help="How many.")
@answers
def logs(session: Session, stack: str, lines: int) -> None:
    """What a stack's services printed last."""
    data = session.daemon.get("stacks", stack, "logs", lines=lines)
    session.show(data, lambda _: click.echo(data["logs"].rstrip("\n")))

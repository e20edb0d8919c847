"""`gardien user …`, `gardien token …`, `gardien log`: who may come in, and who did what."""

import sys

import click

from gardien.faces.session import Data, InOrder, Session, answers
from gardien.words import N_

USER = click.option("--user", default="owner", show_default=True, help="Whose.")
NAME = click.argument("user", metavar="NAME")
MAY = click.option(
    "--may", multiple=True, type=click.Choice(["backup", "update"]), help="What a helper may start; can be repeated."
)
ROLE = click.Choice(["owner", "helper"])


@click.group(cls=InOrder)
def user() -> None:
    """Who may open the page. Owners may do everything; helpers see how everything is, and no names of files."""


@user.command("list")
@answers
def list_users(session: Session) -> None:
    """Who may come in."""
    users = session.daemon.get("users")["users"]
    session.show(users, lambda terminal: _users(session, users))


def _users(session: Session, users: list[Data]) -> None:
    from gardien.faces.terminal import table  # noqa: PLC0415

    terminal = session.terminal
    words = (N_("Name"), N_("Role"), N_("May start"), N_("Password"), N_("Second factor"))
    yes, no = terminal.tr(N_("yes")), terminal.tr(N_("no"))
    rows = [
        (
            each["user"],
            terminal.tr({"owner": N_("owner"), "helper": N_("helper")}[each["role"]]),
            ", ".join(each["may"]),
            yes if each["has_password"] else no,
            yes if each["second_factor"] else no,
        )
        for each in users
    ]
    table([[terminal.tr(text) for text in words], *rows])


@user.command()
@NAME
@click.option("--role", type=ROLE, default="helper", show_default=True, help="What they are.")
@MAY
@answers
def add(session: Session, user: str, role: str, may: tuple[str, ...]) -> None:
    """Let somebody in: prints a link for them, that works once within three days."""
    made = session.daemon.post("users", user=user, role=role, may=list(may))
    _link(session, made, N_("Give it to them by a safe way; it works once, within three days."))


@user.command()
@NAME
@click.argument("role", type=ROLE)
@MAY
@answers
def role(session: Session, user: str, role: str, may: tuple[str, ...]) -> None:
    """Make them owner or helper; they are signed out."""
    session.daemon.post("users", "role", user=user, role=role, may=list(may))
    session.show({"ok": True}, lambda terminal: terminal.say(N_("Done.")))


@user.command()
@NAME
@answers
def remove(session: Session, user: str) -> None:
    """Let them in no more; they are signed out at once."""
    session.daemon.post("users", "remove", user=user)
    session.show({"ok": True}, lambda terminal: terminal.say(N_("Done.")))


@user.command()
@NAME
@answers
def reset(session: Session, user: str) -> None:
    """Forget password and second factor, sign them out, and print a link that works once within 15 minutes.

    It always works, also while the page makes those wait who typed wrong passwords.
    """
    made = session.daemon.post("users", "reset", user=user)
    _link(session, made, N_("Open it in a browser within 15 minutes; it works once."))


@user.command()
@USER
@answers
def link(session: Session, user: str) -> None:
    """Print a link that opens the page once, within 15 minutes."""
    made = session.daemon.post("users", "link", user=user)
    _link(session, made, N_("Open it in a browser within 15 minutes; it works once."))
    if made["sha256"] and not session.as_json:
        text = N_("The browser warns once. The certificate that it shows must have this SHA-256 fingerprint: {mark}")
        session.terminal.hint(text, mark=made["sha256"])


def _link(session: Session, made: Data, hint: str) -> None:
    session.show(made, lambda _: click.echo(made["url"]))
    if not session.as_json and sys.stdout.isatty():
        session.terminal.hint(hint)


@user.command()
@USER
@answers
def password(session: Session, user: str) -> None:
    """Set a password for the page; asked for, or read from standard input. Everybody who is logged in is logged out."""
    if sys.stdin.isatty():
        words = session.terminal.tr(N_("New password")), session.terminal.tr(N_("Once more"))
        secret = click.prompt(words[0], hide_input=True, confirmation_prompt=words[1])
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    session.daemon.post("users", "password", user=user, password=secret)
    session.show({"ok": True}, lambda terminal: terminal.say(N_("The password is set.")))


@click.group(cls=InOrder)
def token() -> None:
    """Which programs may ask the page's address, and what."""


@token.command("list")
@answers
def list_tokens(session: Session) -> None:
    """The tokens there are; what they say is known to nobody any more."""
    tokens = session.daemon.get("tokens")["tokens"]
    session.show(tokens, lambda terminal: _tokens(session, tokens))


def _tokens(session: Session, tokens: list[Data]) -> None:
    from gardien.faces.terminal import table  # noqa: PLC0415

    terminal = session.terminal
    if not tokens:
        terminal.say(N_("There are none."))
        return
    words = (N_("Name"), N_("May"), N_("Made"), N_("Until"), N_("Last used"))
    rows = [
        (each["name"], ", ".join(each["scopes"]), *(terminal.date(each[when]) for when in ("made", "until", "used")))
        for each in tokens
    ]
    table([[terminal.tr(text) for text in words], *rows])


@token.command("add")
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "inside", "backup", "update", "act"]),
    help="What it may; can be repeated.",
)
@click.option("--days", type=click.IntRange(1, 3650), help="For how long; for ever, if not said.")
@answers
def add_token(session: Session, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make one, and print it this once. It is sent as `Authorization: Bearer TOKEN`."""
    made = session.daemon.post("tokens", name=name, scopes=list(scopes), days=days)
    session.show(made, lambda _: click.echo(made["token"]))
    if not session.as_json and sys.stdout.isatty():
        session.terminal.hint(N_("It is shown this once. Whoever has it may do what it may."))


@token.command()
@click.argument("name")
@answers
def revoke(session: Session, name: str) -> None:
    """It lets nobody in any more."""
    session.daemon.post("tokens", "revoke", name=name)
    session.show({"ok": True}, lambda terminal: terminal.say(N_("Done.")))


@click.command("log")
@click.option("--most", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@answers
def log(session: Session, most: int) -> None:
    """Who did what, newest first: on the page, by a token, at the machine."""
    deeds = session.daemon.get("log", most=most)["log"]
    session.show(deeds, lambda terminal: _deeds(session, deeds))


def _deeds(session: Session, deeds: list[Data]) -> None:
    from gardien.faces.terminal import table  # noqa: PLC0415

    terminal = session.terminal
    if not deeds:
        terminal.say(N_("Nothing was done yet."))
        return
    means = {"page": N_("on the page"), "token": N_("by a token"), "console": N_("at the machine")}
    words = (N_("When"), N_("Who"), N_("How"), N_("What"), N_("Job"))
    rows = [
        (
            terminal.date(each["at"]),
            each["who"],
            terminal.tr(means[each["means"]]),
            each["what"],
            str(each["job"] or ""),
        )
        for each in deeds
    ]
    table([[terminal.tr(text) for text in words], *rows])

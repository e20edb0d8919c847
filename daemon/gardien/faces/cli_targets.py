"""`gardien target …`."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gardien.errors import BadInput, Refused
from gardien.faces.answers import Answers, given, read
from gardien.faces.call import Told
from gardien.faces.session import Data, InOrder, Session, answers
from gardien.words import N_

if TYPE_CHECKING:
    from gardien.faces.terminal import Terminal

NAME = click.argument("target", metavar="NAME")
LOGIN = click.option(
    "--login",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="What lets gardien in, one NAME=VALUE a line; - reads it from standard input.",
)
PASSPHRASE = click.option(
    "--passphrase-file",
    "passphrase",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The passphrase of a repository that is there already.",
)
FINGERPRINT = click.option(
    "--fingerprint", metavar="SHA256:…", help="The SSH server's, as the host publishes it: then nothing is asked."
)
ACCEPT = click.option(
    "--accept",
    metavar="SENTENCE",
    help="Accept the law of a country outside Europe, in the words that gardien asks for.",
)


@click.group(cls=InOrder)
def target() -> None:
    """Where the backups go: add, list, try, take off the list."""


@target.command()
@NAME
@click.option("--preset", metavar="PRESET", help="Whose place it is; `gardien target presets` lists them.")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="One answer; may be repeated.")
@click.option("--from", "file", type=click.Path(path_type=Path), metavar="FILE", help="Answers, as YAML or NAME=VALUE.")
@click.option("--at", metavar="WHEN", help="When backups go there, such as “daily at 02:30”.")
@click.option("--copy-of", metavar="TARGET", help="Fill it from another target, by copying.")
@click.option("--upload-limit", "limits", metavar="HOURS=SPEED", multiple=True, help="Such as 08:00-20:00=500KiB/s.")
@click.option("--append-only", is_flag=True, help="Never delete an old backup from here.")
@LOGIN
@PASSPHRASE
@FINGERPRINT
@ACCEPT
@click.option("--dry-run", is_flag=True, help="Only say what would be done; write nothing.")
@answers
def add(
    session: Session,
    *,
    target: str,
    preset: str | None,
    pairs: tuple[str, ...],
    file: Path | None,
    limits: tuple[str, ...],
    append_only: bool,
    login: Path | None,
    passphrase: Path | None,
    dry_run: bool,
    **texts: str | None,
) -> None:
    """Set up a place for backups, step by step, and try it; what is missing is asked."""
    from gardien.faces import terminal_targets  # noqa: PLC0415

    said = given(pairs, file)
    presets = {each["name"]: each for each in session.daemon.get("presets")["presets"]}
    chosen = preset or _choose(session, presets)
    asked = presets.get(chosen)
    wish: Data = {
        "name": target,
        "preset": chosen,
        "upload_limit": dict(map(_limit, limits)) or None,
        "append_only": append_only or None,
        "passphrase": _passphrase(passphrase),
        **texts,
    }
    draft = _agreed(session, wish, said, asked)
    if dry_run:
        session.show(draft, lambda terminal: terminal_targets.draft_of(terminal, draft))
        return
    _confirmed(session, wish, draft)
    wish["login"] = _login(session, login, asked["login"] if asked else [])
    with said.located():
        made = session.daemon.post("targets", **wish, values=said.values)
    while session.listens and terminal_targets.key_is_missing(made):
        terminal_targets.results(session.terminal, made)
        terminal_targets.show_key(session.terminal, made)
        if not session.ask(session.terminal.tr(N_("Is the key there now? Try again?"))):
            break
        made = session.daemon.post("targets", target, "test")
    _told(session, made)


@target.command("list")
@answers
def list_targets(session: Session) -> None:
    """Where the backups go: who runs it, whether it is ready, what was saved there last."""
    from gardien.faces import terminal_targets  # noqa: PLC0415

    targets = session.daemon.get("targets")["targets"]
    session.show(targets, lambda terminal: terminal_targets.targets_of(terminal, targets))


@target.command()
@answers
def presets(session: Session) -> None:
    """The places for backups that gardien knows, and what each asks."""
    from gardien.faces import terminal_targets  # noqa: PLC0415

    found = session.daemon.get("presets")["presets"]
    session.show(found, lambda terminal: terminal_targets.presets_of(terminal, found))


@target.command()
@NAME
@LOGIN
@PASSPHRASE
@FINGERPRINT
@ACCEPT
@answers
def test(session: Session, *, target: str, login: Path | None, passphrase: Path | None, **texts: str | None) -> None:
    """Try it from one end to the other: reach, make the repository if there never was one, write, read, delete."""
    words = _passphrase(passphrase)
    made = session.daemon.post("targets", target, "test", login=_written(login), passphrase=words, **texts)
    _told(session, made)


@target.command()
@NAME
@answers
def init(session: Session, target: str) -> None:
    """Make the encrypted repository and its passphrase, once; or find the repository that is there."""
    from gardien.faces import terminal_targets  # noqa: PLC0415

    made = session.daemon.post("targets", target, "init")

    def look(terminal: "Terminal") -> None:
        terminal.say(
            N_("The target {name} is ready: repository {repository}."), name=target, repository=made["repository"][:10]
        )
        terminal_targets.keep_passphrase(terminal, made)

    session.show(made, look)


@target.command()
@NAME
@answers
def reclaim(session: Session, target: str) -> None:
    """After another machine took over by mistake: this one saves there again, and the other one stands down."""
    session.daemon.post("targets", target, "reclaim")
    session.show(
        {"ok": True}, lambda terminal: terminal.say(N_("This machine saves at {target} again."), target=target)
    )


@target.command()
@NAME
@click.option("--confirm", metavar="NAME", help="The target's name once more, where nobody can be asked.")
@answers
def remove(session: Session, target: str, confirm: str | None) -> None:
    """Take it off the list. What is saved there stays there, and its passphrase stays here."""
    if confirm is None and session.listens:
        terminal = session.terminal
        terminal.say(
            N_("Backups no longer go to {target}. What is there stays, and can be taken up again."), target=target
        )
        confirm = str(
            click.prompt(terminal.tr(N_("Type its name to take it off the list")), default="", show_default=False)
        )
    made = session.daemon.post("targets", target, "remove", confirm=confirm)
    session.show(
        made,
        lambda terminal: terminal.say(
            N_("{target} is off the list. Keep its passphrase, without which nobody reads what is there: {file}"),
            target=target,
            file=made["passphrase_file"],
        ),
    )


# -- what a person says


def _choose(session: Session, presets: Mapping[str, Data]) -> str:
    if not session.listens:
        raise BadInput(
            N_("nobody has said whose place it is"),
            N_("Add --preset; `gardien target presets` lists those that gardien knows."),
        )
    from gardien.faces import terminal_targets  # noqa: PLC0415

    terminal_targets.presets_of(session.terminal, list(presets.values()))
    return str(click.prompt("\n" + session.terminal.tr(N_("Which one?")), type=click.Choice(list(presets))))


def _agreed(session: Session, wish: Mapping[str, object], said: Answers, asked: Data | None) -> Data:
    """What would be set up; whoever listens is asked for what is missing, and again for what is wrong."""
    questions = list(_questions(asked)) if asked and session.listens else []
    if questions and asked and asked["note"]:
        click.echo(asked["note"])
    for each in questions:
        if each["name"] not in said.values:
            _ask(session, each, said)
    while True:
        try:
            with said.located():
                return session.daemon.post("targets", **wish, values=said.values, dry_run=True)
        except Told as error:
            wrong = {fault["path"] for fault in error.data.get("faults", [])}
            again = [each for each in questions if each["name"] in wrong]
            if not wrong or len(again) < len(wrong):
                raise
            session.terminal.error(error)
            for each in again:
                _ask(session, each, said)


def _questions(preset: Data) -> Iterator[Data]:
    if preset["regions"]:
        yield {"name": "region", "regions": preset["regions"]}
    yield from preset["asks"]


def _ask(session: Session, question: Data, said: Answers) -> None:
    terminal = session.terminal
    click.echo()
    if "regions" in question:
        from gardien.faces.terminal import table  # noqa: PLC0415

        regions = question["regions"].items()
        table([(f"  {name}", f"{each['title']} ({each['country']})") for name, each in regions], head=False)
        names = click.Choice(list(question["regions"]))
        said.values["region"] = str(click.prompt(terminal.tr(N_("The region")), type=names, show_choices=False))
        return
    default, example = question["default"], question["example"]
    hints = [terminal.tr(N_("such as {example}"), example=example)] if example and not default else []
    hints += [terminal.tr(N_("or nothing"))] if question["optional"] else []
    hint = f" ({', '.join(hints)})" if hints else ""
    answer = click.prompt(
        question["ask"] + hint, default=default or ("" if question["optional"] else None), show_default=bool(default)
    )
    if answer or not question["optional"]:
        said.values[question["name"]] = str(answer)


def _confirmed(session: Session, wish: Data, draft: Data) -> None:
    """What only a person can say: that a foreign law is accepted, and that it is the right server."""
    terminal = session.terminal
    if draft["sentence"] and not wish["accept"] and session.listens:
        click.secho(f"! {draft['operator']['says']}", fg="yellow")
        terminal.say(
            N_(
                "A law from outside Europe reaches what is saved there. If you accept that, type this sentence, else "
                "nothing:"
            )
        )
        click.echo(f"  {draft['sentence']}")
        wish["accept"] = str(click.prompt(">", default="", show_default=False, prompt_suffix=" ")) or None
    if draft["host_keys"] and not wish["fingerprint"] and session.listens:
        found = draft["host_keys"][0]["fingerprint"]
        terminal.say(N_("The server that answers shows this fingerprint: {fingerprint}"), fingerprint=found)
        terminal.say(N_("Compare it with the one that the host publishes, on its pages or in its letter."))
        if not session.ask(terminal.tr(N_("Is it the same?"))):
            raise Refused(N_("nothing was done"))
        wish["fingerprint"] = found


def _login(session: Session, file: Path | None, names: list[str]) -> Data | None:
    """What lets us in, never as an argument: others on this machine could read that."""
    if file is not None:
        return _written(file)
    if not names or not session.listens:
        return None
    user, secret = names
    return {user: click.prompt(_LOGIN[user](session)), secret: click.prompt(_LOGIN[secret](session), hide_input=True)}


_LOGIN = {
    "AWS_ACCESS_KEY_ID": lambda session: session.terminal.tr(N_("The access key")),
    "AWS_SECRET_ACCESS_KEY": lambda session: session.terminal.tr(N_("The secret key (it is not shown)")),
    "RESTIC_REST_USERNAME": lambda session: session.terminal.tr(N_("The user name")),
    "RESTIC_REST_PASSWORD": lambda session: session.terminal.tr(N_("The password (it is not shown)")),
}


def _written(file: Path | None) -> Data | None:
    if file is None:
        return None
    if str(file) == "-":
        lines = [line.partition("=") for line in sys.stdin.read().splitlines() if line.strip()]
        values = {name.strip(): value.strip() for name, _, value in lines}
    else:
        values = read(file).values
    return {name: _unquoted(value) for name, value in values.items()}


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "'" else text


def _passphrase(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(N_("cannot read {file}: {why}"), file=str(file), why=str(error)) from error


def _limit(text: str) -> tuple[str, str]:
    hours, equals, speed = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} is not HOURS=SPEED", param_hint="--upload-limit")
    number = speed.strip().rstrip("KMiB/s ")
    return hours.strip(), f"{number} {speed.strip()[len(number) :].strip()}"


def _told(session: Session, made: Data) -> None:
    """The result of a trial; exits 1 if something failed."""
    from gardien.faces import terminal_targets  # noqa: PLC0415

    session.show(made, lambda terminal: terminal_targets.trial(terminal, made))
    if not made["ok"]:
        raise SystemExit(1)

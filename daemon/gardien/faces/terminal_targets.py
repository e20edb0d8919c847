"""How `gardien target …` looks in a terminal."""

import click

from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence, table
from gardien.words import N_


def trial(terminal: Terminal, made: Data) -> None:
    if made["passphrase_file"]:
        keep_passphrase(terminal, made)
    results(terminal, made)
    if key_is_missing(made):
        show_key(terminal, made)
    if made["ok"]:
        terminal.say(N_("The target {name} is ready."), name=made["name"])
    else:
        terminal.say(
            N_("The target {name} is on the list, and not ready. Once that is mended: `gardien target test {name}`"),
            name=made["name"],
        )


def results(terminal: Terminal, made: Data) -> None:
    for stage in made["stages"]:
        mark, colour = _MARKS[stage["state"]]
        click.echo(f"{click.style(mark, fg=colour)}  {sentence(stage['says'])}")
        if stage["remedy"]:
            click.echo(f"    {sentence(stage['remedy'])}")


_MARKS = {"good": ("ok", "green"), "warning": ("! ", "yellow"), "failed": ("!!", "red"), "skipped": ("--", None)}


def key_is_missing(made: Data) -> bool:
    return bool(made["public_key"]) and any(
        stage["name"] == "reach" and stage["code"] == "target-refuses" for stage in made["stages"]
    )


def show_key(terminal: Terminal, made: Data) -> None:
    click.echo()
    click.echo(made["click"])
    if made["public_key"] not in made["click"]:
        terminal.say(N_("gardien’s public key, which the host is to know:"))
        click.echo(made["public_key"])
    click.echo()


def keep_passphrase(terminal: Terminal, made: Data) -> None:
    terminal.say(
        N_("Its passphrase is in {file}. Keep a copy outside this house: without it the backups cannot be read."),
        file=made["passphrase_file"],
    )


def draft_of(terminal: Terminal, draft: Data) -> None:
    click.secho(draft["name"], bold=True)
    table([(f"  {name}", str(value)) for name, value in draft["target"].items()], head=False)
    click.echo(sentence(draft["operator"]["says"]))
    if draft["sentence"]:
        terminal.say(N_("It asks for these words: {sentence}"), sentence=draft["sentence"])
    for number, step in enumerate(draft["steps"], 1):
        click.echo(f"{number:>2}. {step}")


def presets_of(terminal: Terminal, presets: list[Data]) -> None:
    head = [terminal.tr(text) for text in (N_("Preset"), N_("What it is"), N_("Operator"), N_("Asks for"))]
    rows = []
    for each in presets:
        who = f"{each['operator']['name']} ({each['operator']['country']})" if each["operator"] else ""
        asks = [*(["region"] if each["regions"] else []), *(ask["name"] for ask in each["asks"])]
        rows.append([each["name"], each["title"], who, ", ".join(asks)])
    table([head, *rows])


def targets_of(terminal: Terminal, targets: list[Data]) -> None:
    if not targets:
        terminal.say(N_("No place for backups is set up yet. `gardien target add NAME` sets one up."))
    for number, each in enumerate(targets):
        click.echo("\n" if number else "", nl=False)
        click.secho(f"{each['name']}: {each['kind']}, {each['address']}", bold=True)
        foreign = each["operator"]["european"] is False
        click.secho(
            f"  {'! ' if foreign else ''}{sentence(each['operator']['says'])}", fg="yellow" if foreign else None
        )
        ready = (
            terminal.tr(N_("ready"))
            if each["ready"]
            else terminal.tr(N_("not ready: `gardien target test {name}`"), name=each["name"])
        )
        saved = [f"{stack} {terminal.date(when)}" for stack, when in each["newest_good"].items()]
        rows = [
            (terminal.tr(N_("State")), ready),
            (terminal.tr(N_("Copy of")), each["copy_of"] or ""),
            (terminal.tr(N_("Old backups")), terminal.tr(_deletion(each))),
            (terminal.tr(N_("Newest good backup")), ", ".join(saved)),
            (terminal.tr(N_("Next backup")), terminal.date(each["next_run"])),
            (terminal.tr(N_("Last check")), _checked(terminal, each)),
        ]
        table([(f"  {name}", value) for name, value in rows if value], head=False)


def _deletion(target: Data) -> str:
    if target["can_delete"] is False:
        return N_("cannot be deleted from here")
    if target["append_only"]:
        return N_("are never deleted from here (append_only)")
    return N_("can be deleted by whoever takes over this machine") if target["can_delete"] else N_("not found out yet")


def _checked(terminal: Terminal, target: Data) -> str:
    if not target["checked"]:
        return ""
    state = N_("damaged: {count} faults") if target["problems"] else N_("whole")
    return f"{terminal.date(target['checked'])}, {terminal.tr(state, count=len(target['problems']))}"

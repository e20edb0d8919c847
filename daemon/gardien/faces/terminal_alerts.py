"""Alerts and letters, for a terminal."""

from collections.abc import Sequence

import click

from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence, table
from gardien.words import N_


def alerts(terminal: Terminal, found: Sequence[Data]) -> None:
    """Each with its remedy."""
    if not found:
        terminal.say(N_("Nothing needs you."))
    for each in found:
        colour = "red" if each["severity"] == "trouble" else "yellow"
        click.secho(f"{each['id']}  {sentence(each['says'])}", bold=True, fg=None if each["closed"] else colour)
        if each["remedy"]:
            click.echo(f"  {each['remedy']}")
        when = terminal.tr(N_("since {when}"), when=terminal.date(each["opened"]))
        over = f", {terminal.tr(N_('over since {when}'), when=terminal.date(each['closed']))}" if each["closed"] else ""
        click.echo(f"  {when}{over}")
        if each["known"] and not each["closed"]:
            click.echo(f"  {terminal.tr(N_('You said that you know of this: no more letters until it is over.'))}")
        elif each["asleep"] and not each["closed"]:
            asleep = terminal.tr(N_("No letters about this until {date}."), date=terminal.date(each["asleep"]))
            click.echo(f"  {asleep}")


def letters(terminal: Terminal, found: Sequence[Data]) -> None:
    """One line each."""
    if not found:
        terminal.say(N_("No letter was written yet."))
        return
    rows = [[terminal.tr(N_("Written")), terminal.tr(N_("Letter")), terminal.tr(N_("State"))]]
    for each in found:
        if each["sent"]:
            state = terminal.tr(N_("sent {when}"), when=terminal.date(each["sent"]))
        elif each["next_try"]:
            state = terminal.tr(N_("waits; next try {when}"), when=terminal.date(each["next_try"]))
        else:
            state = terminal.tr(N_("given up"))
        rows.append(
            [terminal.date(each["written"]), each["subject"], f"{state}: {each['error']}" if each["error"] else state]
        )
    table(rows)

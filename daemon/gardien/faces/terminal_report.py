"""The record of a month, for a terminal."""

import click

from gardien.faces import present
from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence, table
from gardien.words import N_


def record(terminal: Terminal, made: Data) -> None:
    """What was saved, where it lies, what happened."""
    words = (N_("Stack"), N_("Backups made"), N_("Failed"), N_("Restores"), N_("Last proven restorable"))
    rows = [[terminal.tr(text) for text in words]]
    rows += [
        [
            each["title"],
            str(each["backups_made"]),
            str(each["backups_failed"]),
            str(each["restores"]),
            terminal.date(each["last_proven"]) or terminal.tr(N_("Not proven restorable yet")),
        ]
        for each in made["stacks"]
    ]
    table(rows)
    for place in made["places"]:
        click.secho(f"\n{place['name']}: {place['address']}", bold=True)
        click.echo(f"  {sentence(place['operator']['says'])}\n  {place['kept']}")
    click.echo()
    if not made["incidents"]:
        terminal.say(N_("Nothing needed anybody in this time."))
    for each in made["incidents"]:
        lasted = present.duration(each["seconds"], terminal.language)
        click.echo(f"{terminal.date(each['opened'])}  {sentence(each['says'])} ({lasted})")

"""New versions, for a terminal."""

from collections.abc import Sequence

import click

from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence
from gardien.words import N_


def news(terminal: Terminal, found: Sequence[Data]) -> None:
    """Stack by stack; those of which there is nothing to say in one line at the end."""
    quiet = []
    for each in found:
        if any(each[part] for part in ("changes", "beyond", "moved", "unfollowed", "trouble")):
            _stack(terminal, each)
        else:
            quiet.append(each)
    if unasked := [each["stack"] for each in quiet if each["asked"] is None]:
        terminal.say(N_("Not asked about yet, or never: {stacks}."), stacks=", ".join(unasked))
    if newest := [each["stack"] for each in quiet if each["asked"] is not None]:
        terminal.say(N_("Nothing newer: {stacks}."), stacks=", ".join(newest))
    if not found:
        terminal.say(N_("There is no application here yet."))


def _stack(terminal: Terminal, each: Data) -> None:
    click.secho(each["stack"], bold=True)
    for change in each["changes"]:
        _change(terminal, change)
    for beyond in each["beyond"]:
        click.echo(f"  {beyond['image']}: {beyond['version']}: {sentence(beyond['says'])}")
    for moved in each["moved"]:
        if not moved["expected"]:
            text = N_("{tag} stands for another image now: it ran {former}, and is {digest} since {when}.")
            values = {name: moved[name] for name in ("tag", "former", "digest")}
            line = terminal.tr(text, when=terminal.date(moved["seen"]), **values)
            click.secho(f"  {line}", fg="yellow")
    for image, why in each["unfollowed"].items():
        click.echo(f"  {image}: {sentence(why)}")
    if each["trouble"]:
        click.secho(f"  {sentence(each['trouble'])}", fg="yellow")


def _change(terminal: Terminal, change: Data) -> None:
    arrow = f"{change['from']} -> {change['to']}" if change["from"] != change["to"] else change["to"]
    click.echo(f"  {change['image']}: {arrow}  ({change['jump_says']})")
    said = []
    if change["towards"]:
        said.append(terminal.tr(N_("more steps follow, towards {version}"), version=change["towards"]))
    if change["said"] == "skipped":
        said.append(terminal.tr(N_("skipped")))
    elif change["said"] is not None:
        said.append(terminal.tr(N_("did not work here: {why}"), why=change["why"] or ""))
    elif change["alone_from"]:
        said.append(terminal.tr(N_("cooled off {when}"), when=terminal.date(change["alone_from"])))
    if change["notes"]:
        said.append(change["notes"])
    for line in said:
        click.echo(f"    {line}")


def skipped(terminal: Terminal, stack: str, told: Data) -> None:
    """What is not offered any more, or is again."""
    if "again" in told:
        terminal.say(N_("Offered again: {versions}."), versions=", ".join(told["again"]))
    else:
        terminal.say(N_("{version} of {stack} is not offered any more."), version=told["skipped"]["to"], stack=stack)

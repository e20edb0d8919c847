"""New versions, for a terminal."""

from collections.abc import Sequence
from datetime import UTC, datetime

import click

from gardien.faces import present
from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence
from gardien.words import N_


def news(terminal: Terminal, found: Sequence[Data]) -> None:
    """Stack by stack; those of which there is nothing to say in one line at the end."""
    quiet = []
    for each in found:
        if any(each[part] for part in ("changes", "beyond", "moved", "unfollowed", "trouble", "last")):
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
    if not each["changes"] and each["asked"] is not None and not each["trouble"]:
        click.echo("  " + terminal.tr(N_("Nothing that it could be updated to.")))
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
    if any(change["said"] is None for change in each["changes"]):
        _how(terminal, each)
    if each["last"]:
        _last(terminal, each["last"])


def _how(terminal: Terminal, each: Data) -> None:
    if each["by_itself"] and each["next"]:
        when = present.when(datetime.fromisoformat(each["next"]), datetime.now(UTC), terminal.language)
        click.echo("  " + terminal.tr(N_("Small repairs are made by themselves, the next time {when}."), when=when))
    line = terminal.tr(N_("To take the next step now: `gardien update run {stack}`."), stack=each["stack"])
    click.echo(f"  {line}")


def _last(terminal: Terminal, last: Data) -> None:
    language = terminal.language
    line = terminal.tr(
        N_("Last update: from {former} to {version} on {when}, away for {time}; one can go back until {end}."),
        former=last["from"],
        version=last["to"],
        when=terminal.date(last["ended"]),
        time=present.duration(last["away_seconds"] or 0, language),
        end=terminal.date(last["kept_until"])[:10],
    )
    click.echo(f"  {line}")


def plan(terminal: Terminal, plan: Data) -> None:
    """What an update would do, what people notice of it, and the steps."""
    language = terminal.language
    arrow = f"{plan['from']} -> {plan['to']}" if plan["from"] != plan["to"] else plan["to"]
    click.secho(f"{plan['stack']}: {arrow}  ({plan['jump_says']})", bold=True)
    terminal.plan(plan)
    terminal.say(
        N_(
            "Nobody can use it for some minutes: from the backup of the moment before until the new version says that "
            "it is well. If it does not, all is put back as it was, by itself."
        )
    )
    if plan["last_away_seconds"]:
        took = present.duration(plan["last_away_seconds"], language)
        terminal.say(N_("The last update took it away for {time}."), time=took)


def back(terminal: Terminal, plan: Data, last: Data) -> None:
    """What going back does, and what it means for what people wrote."""
    terminal.plan(plan)
    when = present.when(datetime.fromisoformat(last["taken"] or last["ended"]), datetime.now(UTC), terminal.language)
    terminal.say(
        N_(
            "It goes back from version {version} to {former}, and to its data of {when}. What was written since is not "
            "in it; it is kept aside for some days."
        ),
        version=last["to"],
        former=last["from"],
        when=when,
    )


def chosen(terminal: Terminal, told: Data, stack: str | None) -> None:
    """Who begins from now on."""
    alone = told["updates"][0]["by_itself"] if stack is not None else told["house_by_itself"]
    if not alone:
        terminal.say(N_("Updates are made by hand: nothing is done unless somebody says so."))
        return
    window = next((each["window"] for each in told["updates"]), "")
    terminal.say(
        N_("Small repairs are made by themselves {window}, each once it has been out for some days."),
        window=present.window(window, terminal.language),
    )
    terminal.say(N_("What is greater waits for somebody to say yes."))


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

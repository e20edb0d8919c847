"""How backups look in a terminal: what counts, what does not, what was missed, what is under way."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import click

from gardien.faces import present
from gardien.faces.session import Data
from gardien.faces.terminal import Terminal, sentence, table
from gardien.words import N_

COLOURS = {"good": "green", "incomplete": "red", "lost": "red", "missed": "red", "running": "cyan", "waiting": "cyan"}
HEADS = (N_("Backup"), N_("Stack"), N_("Target"), N_("Taken"), N_("Size"), N_("New data"), N_("Paused"), N_("State"))

Line = tuple[tuple[str, str, bool], list[str]]  # when, what it is or is a copy of, whether it is no copy; the cells


def listed(terminal: Terminal, snapshots: Sequence[Data], status: Data, stack: str | None, target: str | None) -> None:
    """Backups, newest first; between them the times that brought none, above them what is under way."""

    def asked(of: str | None, at: str | None) -> bool:
        return stack in {None, of} and target in {None, at}

    lines = [_saved(terminal, each) for each in snapshots]
    for house in status["stacks"]:
        for place in house["places"]:
            if asked(house["name"], place["target"]):
                lines += _missed(terminal, house["name"], place, snapshots)
    jobs = [job for job in status["jobs"] if job["kind"] == "backup" and asked(job["stack"], job["target"])]
    if not (lines or jobs):
        terminal.say(N_("There is no backup yet."))
        return
    lines.sort(key=lambda line: line[0], reverse=True)
    running = [_running(terminal, job) for job in jobs]
    table([[terminal.tr(text) for text in HEADS], *running, *(cells for _, cells in lines)])


def _state(terminal: Terminal, state: present.Standing, more: str = "") -> str:
    """In capitals what is not as it should be: colour is never all that tells."""
    word = terminal.tr(present.STANDING[state])
    loud = state in {"incomplete", "lost", "missed"}
    word = click.style(word.upper() if loud else word.lower(), fg=COLOURS[state])
    return f"{word}{more}"


def _saved(terminal: Terminal, each: Data) -> Line:
    why = f": {each['why']}" if each["why"] else ""
    place = terminal.tr(N_("{target} (copy)"), target=each["target"]) if each["copy_of"] else each["target"]
    cells = [
        each["id"][:8],
        each["stack"],
        place,
        terminal.date(each["taken"]),
        terminal.size(each["bytes"]),
        terminal.size(each["added"]),
        present.duration(each["pause_seconds"], terminal.language),
        _state(terminal, each["state"], why),
    ]
    return (each["taken"], each["copy_of"] or each["id"], each["copy_of"] is None), cells


def _missed(terminal: Terminal, stack: str, place: Data, snapshots: Sequence[Data]) -> Iterator[Line]:
    """One line for all those in a row that no good backup stands between."""
    good = [
        each["taken"]
        for each in snapshots
        if (each["stack"], each["target"], each["good"]) == (stack, place["target"], True)
    ]
    for _, group in groupby(place["missed"], key=lambda at: sum(taken > at for taken in good)):
        times = list(group)
        more = ""
        if len(times) > 1:
            more = ": " + terminal.tr(
                N_("{number} times since {time}"), number=len(times), time=terminal.date(times[-1])
            )
        cells = ["", stack, place["target"], terminal.date(times[0]), "", "", "", _state(terminal, "missed", more)]
        yield (times[0], "", True), cells


def _running(terminal: Terminal, job: Data) -> list[str]:
    if job["state"] == "queued":
        state = _state(terminal, "waiting")
    else:
        state = _state(terminal, "running", f": {terminal.present_step(job)}")
    number = terminal.tr(N_("job {job}"), job=job["id"])
    return [number, job["stack"], job["target"], terminal.date(job["created"]), "", "", "", state]


def shown(terminal: Terminal, backup: Data) -> None:
    """All that is known of one backup."""
    title = terminal.tr(N_("Backup of {stack}"), stack=backup["stack"])
    click.secho(f"{title}, {terminal.date(backup['taken'])}: ", bold=True, nl=False)
    click.echo(_state(terminal, backup["state"]))
    if backup["why"]:
        click.echo(sentence(backup["why"]))
    language = terminal.language
    rows = [
        (N_("Taken"), f"{terminal.date(backup['taken'])}, {terminal.ago(backup['taken'])}"),
        (N_("Target"), backup["target"]),
        (N_("Files"), present.number(backup["files"], language)),
        (N_("Size"), terminal.size(backup["bytes"])),
        (N_("New data"), terminal.size(backup["added"])),
        (N_("Paused for"), present.duration(backup["pause_seconds"], language)),
        (N_("Made by"), f"gardien {backup['version']}" if backup["version"] else ""),
        (N_("Copy of"), backup["copy_of"] or ""),
        (N_("Also at"), "; ".join(f"{each['target']}: {each['id'][:8]}" for each in backup["elsewhere"])),
        (N_("It stays as"), "; ".join(each["says"] for each in backup["stays"])),
        (N_("Id"), backup["id"]),
    ]
    table([(terminal.tr(name), value) for name, value in rows if value], head=False)
    if backup["goes"]:
        terminal.say(N_("Retention lets it go the next time old backups are cleared out."))
    if backup["missed"]:
        click.echo()
        terminal.say(N_("These files could not be read, and are not in it:"))
        for path in backup["missed"]:
            click.echo(f"  {path}")


def proposed(terminal: Terminal, data: Data) -> None:
    """What retention would do at one target, stack by stack."""
    if not data["proposals"]:
        terminal.say(N_("There is no backup at {target} yet."), target=data["target"])
    for number, each in enumerate(data["proposals"]):
        if number:
            click.echo()
        going = sum(snapshot["goes"] for snapshot in each["snapshots"])
        if each["frozen"]:
            text = N_("{stack} at {target}: nothing goes, because {why}.")
            says = terminal.tr(text, stack=each["stack"], target=data["target"], why=each["frozen"])
        else:
            text = N_("{stack} at {target}: {number} would go, {rest} would stay.")
            rest = len(each["snapshots"]) - going
            says = terminal.tr(text, stack=each["stack"], target=data["target"], number=going, rest=rest)
        click.secho(says, bold=True)
        table([_ruled(terminal, snapshot) for snapshot in each["snapshots"]], head=False)


def _ruled(terminal: Terminal, snapshot: Data) -> list[str]:
    goes = snapshot["goes"]
    verdict = click.style(terminal.tr(N_("GOES")), fg="yellow") if goes else terminal.tr(N_("stays"))
    why = "; ".join(each["says"] for each in snapshot["stays"])
    return [f"  {snapshot['id'][:8]}", terminal.date(snapshot["taken"]), verdict, why]

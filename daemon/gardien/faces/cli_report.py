"""`gardien report`: the practice's record of a month."""

from pathlib import Path

import click

from gardien.faces.cli_drill import MONTH
from gardien.faces.session import Session, answers, write_down
from gardien.words import N_


@click.command()
@MONTH
@click.option("--html", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="A page to keep.")
@answers
def report(session: Session, month: str | None, file: Path | None) -> None:
    """The record of a month: where the data is, how it is protected, what happened. For the practice's files."""
    from gardien.faces import terminal_report  # noqa: PLC0415

    query = {**({"month": month} if month is not None else {}), **({"html": "1"} if file is not None else {})}
    made = session.daemon.get("report", **query)
    if file is None:
        session.show(made, lambda terminal: terminal_report.record(terminal, made))
        return
    write_down(file, made["html"])
    told = {"month": made["month"], "file": str(file)}
    session.show(told, lambda terminal: terminal.say(N_("The record is in {file}."), file=str(file)))

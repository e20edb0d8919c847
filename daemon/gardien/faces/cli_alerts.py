"""`gardien alert …`: what needs somebody, and whether letters about it arrive."""

import click

from gardien.faces.session import InOrder, Session, answers
from gardien.words import N_


@click.group(cls=InOrder)
def alert() -> None:
    """What needs somebody; whether letters about it arrive."""


@alert.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@answers
def list_alerts(session: Session, *, every: bool) -> None:
    """What is open, with what to do about it."""
    from gardien.faces import terminal_alerts  # noqa: PLC0415

    alerts = session.daemon.get("alerts", **({"all": 1} if every else {}))["alerts"]
    session.show(alerts, lambda terminal: terminal_alerts.alerts(terminal, alerts))


@alert.command()
@answers
def letters(session: Session) -> None:
    """The letters that were written, and which of them are still to be sent."""
    from gardien.faces import terminal_alerts  # noqa: PLC0415

    found = session.daemon.get("letters")["letters"]
    session.show(found, lambda terminal: terminal_alerts.letters(terminal, found))


@alert.command()
@answers
def test(session: Session) -> None:
    """Send a letter now, that says that letters arrive."""
    data = session.daemon.post("letters", "test")
    session.show(data, lambda terminal: terminal.say(N_("A letter went to {who}."), who=", ".join(data["to"])))

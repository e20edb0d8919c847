"""`gardien alert …`: what needs somebody, what people say to it, and whether letters about it arrive."""

import click

from gardien.faces.session import Data, InOrder, Session, answers
from gardien.words import N_

ALERT = click.argument("which", metavar="ALERT")


@click.group(cls=InOrder)
def alert() -> None:
    """What needs somebody; whether letters about it arrive."""


@alert.command("list")
@click.option("--all", "every", is_flag=True, help="Those that are over, too.")
@answers
def list_alerts(session: Session, *, every: bool) -> None:
    """What is open, with what to do about it. The number in front is its name for `ack` and `snooze`."""
    from gardien.faces import terminal_alerts  # noqa: PLC0415

    alerts = session.daemon.get("alerts", **({"all": 1} if every else {}))["alerts"]
    session.show(alerts, lambda terminal: terminal_alerts.alerts(terminal, alerts))


@alert.command()
@ALERT
@answers
def ack(session: Session, which: str) -> None:
    """Say that you know of it: no more letters about it, but that it is over. ALERT is its number, or its key."""
    _said(session, session.daemon.post("alerts", "ack", alert=which)["alert"])


@alert.command()
@ALERT
@click.option("--for", "length", metavar="TIME", default="1d", help="For how long: 4h, 2d, 1w. A day, if not said.")
@answers
def snooze(session: Session, which: str, length: str) -> None:
    """No letters about it for a while; if it is still open then, it comes back."""
    _said(session, session.daemon.post("alerts", "snooze", alert=which, **{"for": length})["alert"])


@alert.command()
@ALERT
@answers
def wake(session: Session, which: str) -> None:
    """Undo `ack` or `snooze`: letters about it come again."""
    _said(session, session.daemon.post("alerts", "wake", alert=which)["alert"])


@alert.command()
@answers
def letters(session: Session) -> None:
    """The letters that were written, and which of them are still to be sent."""
    from gardien.faces import terminal_alerts  # noqa: PLC0415

    found = session.daemon.get("letters")["letters"]
    session.show(found, lambda terminal: terminal_alerts.letters(terminal, found))


@alert.command()
@click.option("--second", is_flag=True, help="By the second way.")
@answers
def test(session: Session, *, second: bool) -> None:
    """Send a letter now, that says that letters arrive."""
    data = session.daemon.post("letters", "test", second=second)
    text = N_("Told by the second way: {who}.") if second else N_("A letter went to {who}.")
    session.show(data, lambda terminal: terminal.say(text, who=", ".join(data["to"])))


def _said(session: Session, alert: Data) -> None:
    from gardien.faces import terminal_alerts  # noqa: PLC0415

    session.show(alert, lambda terminal: terminal_alerts.alerts(terminal, [alert]))

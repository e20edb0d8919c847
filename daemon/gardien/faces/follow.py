"""Watching a job from the terminal: one line that moves, or plain lines where nobody watches."""

import sys
from typing import Any

import click

from gardien.faces.call import Daemon
from gardien.faces.terminal import Terminal
from gardien.words import N_

ERASE = "\r\x1b[K"
QUARTER = 0.25  # of a step: how often plain lines tell of it
STOPPED_WATCHING = 130


def follow(daemon: Daemon, terminal: Terminal, number: int, *, quiet: bool = False) -> dict[str, Any]:
    """Show how job `number` goes until it is over, and return it. Ctrl-C stops the watching alone, by `SystemExit`.

    Raises NotRunning if the daemon goes away before the end.
    """
    line = _Quiet() if quiet else _Moving(terminal) if sys.stdout.isatty() else _Plain(terminal)
    job: dict[str, Any] = {}
    try:
        for job in daemon.watch(number):
            line.show(job)
    except KeyboardInterrupt:
        line.end()
        terminal.hint(N_("No longer watching. The job goes on: `gardien job show {job}` tells how it is."), job=number)
        terminal.hint(N_("`gardien job cancel {job}` takes it back."), job=number)
        raise SystemExit(STOPPED_WATCHING) from None
    finally:
        line.end()
    return job


class _Quiet:
    """Nothing at all: the result is read by a program."""

    def show(self, job: dict[str, Any]) -> None: ...
    def end(self) -> None: ...


class _Moving:
    """One line, drawn over itself."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._drawn = False

    def show(self, job: dict[str, Any]) -> None:
        self._drawn = True
        click.echo(ERASE + self._terminal.moving_step(job), nl=False)

    def end(self) -> None:
        if self._drawn:
            click.echo(ERASE, nl=False)
            self._drawn = False


class _Plain:
    """A line for each step, and for each quarter of a long one."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._told: tuple[object, ...] = ()

    def show(self, job: dict[str, Any]) -> None:
        done = job["progress"]["fraction"] // QUARTER if job["progress"] else 0
        here = (job["state"], job["step"], done)
        if here != self._told and job["step"] and not job["over"]:
            click.echo(self._terminal.present_step(job))
            self._told = here

    def end(self) -> None: ...

"""The two commands that do not ask the daemon: being it, and checking what it would need."""

import asyncio
import json
from pathlib import Path

import click

from gardien import app
from gardien.errors import GardienError
from gardien.faces import present, wire
from gardien.faces.terminal import Terminal, sentence
from gardien.words import N_


def run(config: Path) -> int:
    """Be the daemon. Returns the exit code."""
    return app.run(config)


def check(config: Path, terminal: Terminal, as_json: bool) -> None:
    """Print a line for everything that was looked at; exit 1 if something is wrong. Raises BadInput: bad settings."""
    found = asyncio.run(app.examine(config))
    wrong = [error for _, error in found if error is not None]
    if as_json:
        language = terminal.language
        rows = [
            {
                "what": present.say(what, language),
                "ok": error is None,
                "error": wire.error(error, language) if error else None,
            }
            for what, error in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
    else:
        for what, error in found:
            _line(terminal, present.say(what, terminal.language), error)
        if wrong:
            terminal.hint(N_("{count} things need attention."), count=len(wrong))
        else:
            terminal.say(N_("Everything is as it should be."))
    if wrong:
        raise SystemExit(1)


def _line(terminal: Terminal, what: str, error: GardienError | None) -> None:
    if error is None:
        click.echo(f"{click.style('ok', fg='green')}  {sentence(what)}")
    else:
        click.echo(f"{click.style('!!', fg='red')}  {sentence(what)}")
        terminal.error(error, err=False, margin="    ")

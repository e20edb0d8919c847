"""The commands that do not ask the daemon: being it, checking what it would need, and putting another version in its
place.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TypeVar

import click

from gardien import app, own_update
from gardien.errors import GardienError, unexpected
from gardien.faces import present, wire
from gardien.faces.terminal import Terminal, sentence
from gardien.services.self_update import SelfUpdate
from gardien.words import N_, Words

T = TypeVar("T")


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


def trial(config: Path, memory: Path) -> None:
    """Whether this version can live here, with the copy of the memory in that folder. Raises GardienError."""
    asyncio.run(own_update.trial(config, memory))


def updating(config: Path, say: Callable[[Words], None], *, wait: bool) -> AbstractContextManager[SelfUpdate]:
    """What updates gardien itself. Raises BadInput, Refused."""
    return own_update.updating(config, say, wait=wait)


def releases_at(config: Path) -> str | None:
    """Where the settings say that releases of gardien are. Raises BadInput."""
    return own_update.releases_at(config)


def once_begun(work: Coroutine[Any, Any, T]) -> T:
    """Run it to its end, though the terminal goes away or somebody loses patience: it ends by itself, one way or the
    other. Raises GardienError.
    """

    async def unbroken() -> T:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        return await work

    try:
        return asyncio.run(unbroken())
    except OSError as error:
        raise unexpected(error) from error


def _line(terminal: Terminal, what: str, error: GardienError | None) -> None:
    if error is None:
        click.echo(f"{click.style('ok', fg='green')}  {sentence(what)}")
    else:
        click.echo(f"{click.style('!!', fg='red')}  {sentence(what)}")
        terminal.error(error, err=False, margin="    ")

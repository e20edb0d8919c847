"""What every command of the terminal shares: its line to the daemon, its options, its exit codes."""

import json
import sys
from collections.abc import Callable
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from gardien.errors import BadInput, GardienError, Refused
from gardien.faces.call import Daemon, NotRunning, Told, reach, spoken_here
from gardien.words import N_, Words

if TYPE_CHECKING:
    from gardien.faces.terminal import Terminal

Data = dict[str, Any]
Command = Callable[..., Any]

CODES = {BadInput.code: 2, NotRunning.code: 3}  # any other error is 1
YES = {"y", "yes", "o", "oui"}


class JobFailed(GardienError):
    """A job came to another end than it should."""

    code = "job-failed"

    def __init__(self, job: Data) -> None:
        from gardien.faces.terminal import sentence  # noqa: PLC0415

        why = {"job": job["title"], "state": job["state_says"], "why": sentence(job["says"] or "")}
        super().__init__(N_("{job}: {state}. {why}"), detail=job["detail"], **why)
        self.remedy = Words.of("{it}", it=job["remedy"] or "")
        self.code = job["code"] or self.code
        self.job = job


class Session:
    """One command: its settings file, its line to the daemon, its terminal."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.as_json = False

    @cached_property
    def daemon(self) -> Daemon:
        """The daemon of these settings. Raises BadInput, Refused."""
        return reach(self.config)

    @cached_property
    def terminal(self) -> "Terminal":
        """Where to say things, in the reader's language."""
        from gardien.faces.terminal import Terminal  # noqa: PLC0415

        try:
            return Terminal(self.daemon.language)
        except GardienError:  # it is told of elsewhere; it must be told in some language
            return Terminal(spoken_here() or "en")

    def show(self, data: object, look: Callable[["Terminal"], None]) -> None:
        """Print `data` for programs, or what `look` makes of it for people."""
        if self.as_json:
            click.echo(json.dumps(data, ensure_ascii=False))
        else:
            look(self.terminal)

    def start(self, *path: str, dry_run: bool, no_wait: bool, **body: object) -> Data | None:
        """Start a job and follow it to its good end, which is returned; None if that was not asked for."""
        if dry_run:
            plan = self.daemon.post(*path, **body, dry_run=True)["plan"]
            self.show(plan, lambda terminal: terminal.plan(plan))
            return None
        number = self.daemon.post(*path, **body)["job"]
        if no_wait:
            self.show(
                {"job": number},
                lambda terminal: terminal.say(N_("Job {job} has begun: `gardien job show {job}`."), job=number),
            )
            return None
        return self.follow(number, "done")

    def follow(self, number: int, good: str) -> Data:
        """Watch a job to its end. Raises JobFailed if that is not `good`."""
        from gardien.faces.follow import follow  # noqa: PLC0415

        job = follow(self.daemon, self.terminal, number, quiet=self.as_json)
        if job["state"] == good:
            return job
        raise JobFailed(job)

    def finish(self, job: Data | None) -> None:
        """Say how a job ended."""
        if job is not None:
            from gardien.faces.terminal import sentence  # noqa: PLC0415

            self.show(job, lambda _: click.echo(sentence(job["says"] or job["state_says"])))

    def fail(self, error: GardienError) -> NoReturn:
        """Say what went wrong, and exit with its code."""
        raise SystemExit(self.tell(error))

    def tell(self, error: GardienError) -> int:
        """Say what went wrong, in sentences or as JSON, and return its exit code. A job that failed is a result where
        programs read: it is printed whole, on standard output.
        """
        if not self.as_json:
            self.terminal.error(error)
            return CODES.get(error.code, 1)
        if isinstance(error, JobFailed):
            click.echo(json.dumps(error.job, ensure_ascii=False))
            return 1
        if isinstance(error, Told):
            data = error.data
        else:
            from gardien.faces import wire  # noqa: PLC0415

            data = dict(wire.error(error, self.terminal.language))
        click.echo(json.dumps({"error": data}, ensure_ascii=False), err=True)
        return CODES.get(error.code, 1)

    @property
    def listens(self) -> bool:
        """Whether a person sits there who can be asked."""
        return not self.as_json and sys.stdin.isatty() and sys.stdout.isatty()

    def agree(self) -> None:
        """Ask whether what was shown is meant. Raises Refused."""
        if not self.ask(self.terminal.tr(N_("Do this?"))):
            raise Refused(N_("nothing was done"))

    def ask(self, question: str) -> bool:
        """Whether the person agrees; anything but a yes is a no."""
        choice = self.terminal.tr(N_("y/N"))
        answer = click.prompt(f"{question} [{choice}]", default="", show_default=False)
        return str(answer).strip().lower() in YES


def answers(command: Command) -> Command:
    """`--json`, and errors that are told as sentences."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
    @wraps(command)
    def told(*, as_json: bool, **given: object) -> None:
        session: Session = click.get_current_context().obj
        session.as_json = as_json
        try:
            command(session, **given)
        except GardienError as error:
            session.fail(error)

    return told


def starts_a_job(command: Command) -> Command:
    """`--dry-run` and `--no-wait`."""
    dry = click.option("--dry-run", is_flag=True, help="Only print the steps; change nothing.")
    no_wait = click.option("--no-wait", is_flag=True, help="Start it and return at once.")
    return dry(no_wait(command))


def write_down(file: Path, text: str) -> None:
    """A page to keep. Raises BadInput."""
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(
            N_("cannot write {file}: {why}"), N_("Name another file."), file=str(file), why=error.strerror or str(error)
        ) from error


class InOrder(click.Group):
    """Lists its commands as they are written down here."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


STACK = click.argument("stack", metavar="STACK")

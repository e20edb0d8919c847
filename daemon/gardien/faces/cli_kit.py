"""`gardien kit …` and `gardien recover`: the recovery sheet, and the machine that is brought back with it."""

import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gardien.errors import BadInput, Refused
from gardien.faces.call import NotRunning, Told
from gardien.faces.session import Data, Session, answers, starts_a_job
from gardien.words import N_

if TYPE_CHECKING:
    from gardien.faces.terminal import Terminal

TARGET = click.option("--target", metavar="TARGET", help="Of which place; else the first one off this machine.")
BEGIN_ANEW = 120.0  # seconds that gardien may take to begin anew with the settings it was brought
LOOK_EVERY = 1.0


@click.group(invoke_without_command=True)
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page to print; on the screen, nothing."
)
@click.option("--language", type=click.Choice(["en", "fr"]), help="Of the sheet; else that of this terminal.")
@TARGET
@click.option("--new-key", is_flag=True, help="With a new key, after the sheet may have been seen or copied.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@click.pass_context
def kit(ctx: click.Context, /, **said: Any) -> None:
    """Print the recovery sheet: with it and a blank machine, everything comes back. Then confirm it."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(_print, **said)


@answers
def _print(session: Session, *, html: Path | None, language: str | None, target: str | None, new_key: bool) -> None:
    if language is not None:
        session.daemon.language = language
    if html is not None:
        _writable(html)
    made = session.daemon.post("kit", target=target, new_key=new_key or None, html=html is not None or None)
    if html is not None:
        _write(html, made.pop("html"))
        file = str(html)
        say = N_("The sheet is in {file}. Print it, then delete that file.")
        session.show({"file": file}, lambda terminal: terminal.say(say, file=file))
    elif session.as_json:
        session.show(made, lambda _: None)
    else:
        _sheet(session.terminal, made)
    if not session.as_json:
        session.terminal.hint(N_("When it is on paper: `gardien kit confirm`."))


def _sheet(terminal: "Terminal", made: Data) -> None:
    from gardien.faces import present  # noqa: PLC0415
    from gardien.faces.terminal import table  # noqa: PLC0415

    day = present.dated(datetime.fromisoformat(made["made"]), terminal.language)
    click.secho(terminal.tr(N_("Recovery sheet of {machine}, {day}"), machine=made["machine"], day=day), bold=True)
    click.echo()
    terminal.say(N_("Keep it like the key of the practice, at two places, neither beside the machine. Never mail it."))
    click.echo()
    for number, line in enumerate(made["lines"], 1):
        click.echo(f"  {number:02}  {line}")
    click.echo()
    table([(f"  {row['label']}", row["value"]) for row in made["rows"]], head=False)
    click.echo()
    for step in (
        N_("1. On a new machine install gardien; nothing else is needed on it."),
        N_("2. There, run `sudo gardien recover` and type the lines above."),
        N_("3. Agree to what it shows, wait, and do what it says at the end."),
    ):
        terminal.say(step)
    if made["new_key"]:
        click.echo()
        terminal.say(N_("It shows a new key. Until it is confirmed, the former sheet is right as well."))


def _writable(file: Path) -> None:
    """Found out before the sheet is made: it is shown once."""
    if file.is_dir() or not os.access(file.parent if not file.exists() else file, os.W_OK):
        raise BadInput(N_("cannot write {file}: {why}"), N_("Name another file."), file=str(file), why="access")


def _write(file: Path, text: str) -> None:
    """For its owner's eyes alone from the first moment."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as page:
        os.fchmod(page.fileno(), 0o600)
        page.write(text)


@kit.command()
@TARGET
@click.option(
    "--groups", metavar="GROUPS", help="The groups that are asked for, with spaces between, where nobody types."
)
@answers
def confirm(session: Session, target: str | None, groups: str | None) -> None:
    """Type some of the sheet back: so it is known to be on paper, and readable."""
    wanted = session.daemon.get("kit", "asked", **({"target": target} if target else {}))
    typed = groups.split() if groups else [_group(session, each) for each in wanted["groups"]]
    made = session.daemon.post("kit", "confirm", target=wanted["target"], groups=" ".join(typed))
    if made["job"] is not None:
        session.finish(session.follow(made["job"], "done"))
        return
    session.show(
        {"target": wanted["target"], "confirmed": True},
        lambda terminal: terminal.say(N_("The recovery sheet of {target} is confirmed."), target=wanted["target"]),
    )


def _group(session: Session, each: Data) -> str:
    if not session.listens:
        raise BadInput(
            N_("nobody is here to type what stands on the sheet: line {line}, group {group}"),
            N_("Say all of them with --groups."),
            line=each["line"],
            group=each["group"],
        )
    question = session.terminal.tr(N_("Line {line}, group {group}"), line=f"{each['line']:02}", group=each["group"])
    return str(click.prompt(question)).replace(" ", "") or "-"


@kit.command()
@TARGET
@starts_a_job
@answers
def prove(session: Session, target: str | None, *, dry_run: bool, no_wait: bool) -> None:
    """See that the key on the sheet opens the newest backup; it is done once a month, too."""
    session.finish(session.start("kit", "prove", target=target, dry_run=dry_run, no_wait=no_wait))


@kit.command("status")
@answers
def show(session: Session) -> None:
    """Whether there is a sheet, confirmed, and up to date."""
    kits = session.daemon.get("kit")["kits"]

    def look(terminal: "Terminal") -> None:
        for each in kits:
            terminal.say(
                STATES[_state(each)], target=each["target"], day=terminal.date(each["confirmed"] or each["made"])
            )
            if each["proven"]:
                terminal.say(N_("Its key opened the newest backup on {day}."), day=terminal.date(each["proven"]))
        if not kits:
            terminal.say(N_("No place for backups is set up yet. `gardien target add NAME` sets one up."))

    session.show(kits, look)


def _state(each: Data) -> str:
    if each["made"] is None:
        return "none"
    if each["outdated"]:
        return "outdated"
    return "confirmed" if each["confirmed"] else "shown"


STATES = {
    "none": N_("{target}: there is no recovery sheet. `gardien kit --target {target}` prints it."),
    "outdated": N_("{target}: the recovery sheet is out of date. `gardien kit --target {target}` prints a new one."),
    "shown": N_("{target}: a sheet was shown on {day}, and is still to be confirmed: `gardien kit confirm`."),
    "confirmed": N_("{target}: the recovery sheet was confirmed on {day}."),
}


# -- the machine that is brought back


@click.command()
@click.option(
    "--kit",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The sheet as text, as a scanned code, or as the page that was printed.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
@starts_a_job
@answers
def recover(session: Session, *, file: Path | None, yes: bool, dry_run: bool, no_wait: bool) -> None:
    """On a blank machine: bring a lost one back from its recovery sheet; settings, keys and every stack.

    Run again it goes on from where it is.
    """
    known = session.daemon.get("recover")["recovery"]
    if known is None or not known["ready"]:
        offer = _begin(session, file, yes=yes, dry_run=dry_run)
        if dry_run:
            session.show(offer, lambda terminal: _offer(terminal, offer))
            return
        known = _begun_anew(session)
    elif dry_run:
        session.show(
            known,
            lambda terminal: terminal.say(
                N_("This machine has taken over from {machine} already."), machine=known["machine"]
            ),
        )
        return
    else:
        known = session.daemon.post("recover", "retry")["recovery"]
    if no_wait:
        session.show(
            known, lambda terminal: terminal.say(N_("It goes on by itself: `gardien recover` shows how far it is."))
        )
        return
    jobs = _Return(session).follow()
    _ended(session, jobs)


def _begin(session: Session, file: Path | None, *, yes: bool, dry_run: bool) -> Data:
    sheet = _read(session, file)
    offer = session.daemon.post("recover", "look", sheet=sheet)
    if dry_run:
        return offer
    if not yes:
        if not session.listens:
            raise BadInput(
                N_("this machine takes the place of {machine}, and nobody is here to agree"),
                N_("Add --yes if that is meant, or --dry-run to see what it would do."),
                machine=offer["machine"],
            )
        _offer(session.terminal, offer)
        session.agree()
    elif not session.as_json:
        _offer(session.terminal, offer)
    session.daemon.post("recover", sheet=sheet)
    return offer


def _read(session: Session, file: Path | None) -> str:
    if file is not None and str(file) != "-":
        try:
            return file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(N_("cannot read {file}: {why}"), file=str(file), why=str(error)) from error
    if not sys.stdin.isatty():
        return sys.stdin.read()
    return _typed(session)


def _typed(session: Session) -> str:
    """Line by line; what is wrong is said before the next one is asked for."""
    from gardien.services.kit import lines_of, typed_line  # noqa: PLC0415

    session.terminal.say(
        N_("Type the lines of the recovery sheet, each with Enter; small letters and spaces do not matter.")
    )
    lines: list[str] = []
    count = 1
    while len(lines) < count:
        number = len(lines) + 1
        try:
            line = typed_line(number, str(click.prompt(f"{number:02}", prompt_suffix="  ")))
            count = lines_of(line) if number == 1 else count
            lines.append(line)
        except BadInput as error:
            session.terminal.error(error)
    return "\n".join(f"{number:02}  {line}" for number, line in enumerate(lines, 1))


def _offer(terminal: "Terminal", offer: Data) -> None:
    from gardien.faces import present  # noqa: PLC0415
    from gardien.faces.terminal import table  # noqa: PLC0415

    terminal.say(
        N_("The key opens the backups of {machine} at {address}."), machine=offer["machine"], address=offer["address"]
    )
    head = [terminal.tr(text) for text in (N_("Stack"), N_("Newest good backup"), N_("Files"), N_("Size"))]
    rows = [
        (each["stack"], terminal.date(each["taken"]), str(each["files"]), terminal.size(each["bytes"]))
        for each in offer["stacks"]
    ]
    table([head, *rows])
    if not offer["house"]:
        terminal.say(
            N_("An older gardien made them: settings of the house and other backup targets are not among them.")
        )
    time_ = present.duration(round(offer["seconds"], -1), terminal.language)
    if offer["rate"] is not None:
        speed = present.speed(offer["rate"], terminal.language)
        terminal.say(
            N_(
                "It may take about {time}: a guess from their size, the {speed} that came just now, and a minute and "
                "a half for each application."
            ),
            time=time_,
            speed=speed,
        )
    else:
        terminal.say(
            N_("It may take about {time}: mostly for the applications to start, for there is little to fetch."),
            time=time_,
        )
    terminal.say(N_("This machine takes its place: the old one must not run any more."))


def _begun_anew(session: Session) -> Data:
    """gardien begins anew with the settings it was brought; that takes a moment."""
    deadline = time.monotonic() + BEGIN_ANEW
    while True:
        try:
            known: Data | None = session.daemon.get("recover")["recovery"]
            if known is not None and known["ready"]:
                return known
        except (NotRunning, Told):
            pass  # it is on its way
        if time.monotonic() > deadline:
            raise Refused(
                N_("gardien did not begin anew in time"),
                N_("Look at its log: `journalctl -u gardien`. Then run `gardien recover` again."),
            )
        time.sleep(LOOK_EVERY / 2)


class _Return:
    """All stacks on their way, side by side."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._moves = sys.stdout.isatty() and not session.as_json
        self._drawn = 0
        self._told: dict[str, tuple[object, ...]] = {}

    def follow(self) -> list[Data]:
        """Their jobs, once all are over. Ctrl-C stops the watching alone."""
        while True:
            known = self._session.daemon.get("recover")["recovery"]
            jobs = [self._job(each) for each in known["stacks"]]
            self._draw(jobs)
            if all(job["over"] for job in jobs):
                return jobs
            time.sleep(LOOK_EVERY)

    def _job(self, each: Data) -> Data:
        if each["job"] is None:
            says = self._session.terminal.tr(N_("its restore could not begin; gardien’s log says why"))
            return {
                "over": True,
                "state": "failed",
                "title": each["stack"],
                "says": says,
                "remedy": "",
                "stack": each["stack"],
            }
        return self._session.daemon.get("jobs", str(each["job"]))

    def _draw(self, jobs: list[Data]) -> None:
        if self._session.as_json:
            return
        tr = self._session.terminal.tr
        lines = [tr(N_("{job}: {how}"), job=job["title"], how=self._line(job)) for job in jobs]
        if self._moves:
            click.echo(
                f"\x1b[{self._drawn}A" * bool(self._drawn) + "".join(f"\r\x1b[K{line}\n" for line in lines), nl=False
            )
            self._drawn = len(lines)
            return
        for job, line in zip(jobs, lines, strict=True):
            share = (job.get("progress") or {}).get("fraction", 0) // 0.25
            here = (job["state"], job.get("step"), share)
            if self._told.get(job["title"]) != here:
                self._told[job["title"]] = here
                click.echo(line)

    def _line(self, job: Data) -> str:
        from gardien.faces.terminal import sentence  # noqa: PLC0415

        if job["over"]:
            return sentence(job["says"] or "")
        return str(job["state_says"]) if job["state"] == "queued" else str(self._session.terminal.present_step(job))


def _ended(session: Session, jobs: list[Data]) -> None:
    """One line for each stack, and what is left to do."""
    known: dict[str, Any] = session.daemon.get("recover")["recovery"]
    failed = [job for job in jobs if job["state"] != "done"]
    if session.as_json:
        session.show({**known, "jobs": jobs}, lambda _: None)
    else:
        terminal = session.terminal
        click.echo()
        if failed:
            terminal.say(N_("Not everything is back: run `gardien recover` again once what is in the way is mended."))
        else:
            terminal.say(N_("Everything is back. This machine is {machine} now."), machine=known["machine"])
        if known["names"]:
            terminal.say(
                N_("These names must lead to this machine ({addresses}); change that where they are kept: {names}"),
                addresses=", ".join(known["addresses"]),
                names=", ".join(known["names"]),
            )
        terminal.say(
            N_(
                "The old machine must stay off. Should it still run, it notices at its next backup that this one took "
                "over, and saves nothing more."
            )
        )
    if failed:
        raise SystemExit(1)

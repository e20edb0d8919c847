"""How things look in a terminal: plain lines, tables of spaces, colour only beside a word that says the same."""

import shutil
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from gardien.errors import GardienError
from gardien.faces import present
from gardien.faces.call import Told
from gardien.model.fault import Faults
from gardien.words import N_, Value

Data = dict[str, Any]

COLOURS = {"calm": "green", "notice": "yellow", "trouble": "red"}
PROOF_COLOURS = {"proven": "green", "failed": "red", "skipped": "yellow"}
HEALTH_COLOURS = {"well": "green", "ailing": "red", "down": "red"}
LAST = 8  # lines that are shown of what a command printed
NARROW = 40  # columns below which a line is not cut any more


class Terminal:
    """Says things to one person, in their language."""

    def __init__(self, language: str) -> None:
        self.language = language

    # -- words

    def tr(self, text: str, **values: Value) -> str:
        """An `N_()` text in the reader's language."""
        return present.translate(text, self.language, **values)

    def say(self, text: str, **values: Value) -> None:
        """A line on standard output."""
        click.echo(self.tr(text, **values))

    def hint(self, text: str, **values: Value) -> None:
        """A line beside the result, on standard error: scripts do not read it."""
        click.echo(self.tr(text, **values), err=True)

    def ago(self, moment: str, now: datetime | None = None) -> str:
        """The age of one of the API's times."""
        return present.age(datetime.fromisoformat(moment), now or datetime.now(UTC), self.language)

    def date(self, moment: str | None) -> str:
        """One of the API's times, on this machine's clock, for a table."""
        return f"{datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}" if moment else ""

    def size(self, bytes_: float) -> str:
        return present.size(bytes_, self.language)

    # -- errors

    def error(self, error: GardienError, *, err: bool = True, margin: str = "") -> None:
        """What cannot be done and why, every single mistake, the remedy. On standard error, unless `err` is false."""
        says, remedy = (sentence(present.say(words, self.language)) for words in (error.says, error.remedy))
        click.secho(margin + says, fg="red", err=err)
        faults = self._faults(error)
        for place, what, cure in faults:
            click.echo(f"{margin}  {place}: {what}\n{margin}      {cure}", err=err)
        if remedy:
            click.echo(margin + remedy, err=err)
        if not faults:
            self._last_words(error.detail, err=err, margin=margin)

    def _last_words(self, detail: str, *, err: bool = False, margin: str = "") -> None:
        """For the person who helps: what a command printed last; what it printed for programs is left out."""
        lines = [line for line in detail.splitlines() if not line.startswith("{")][-LAST:]
        if lines:
            click.echo(f"\n{margin}{self.tr(N_('What the program said last'))}:", err=err)
        for line in lines:
            click.echo(f"{margin}  | {line}", err=err)

    def _faults(self, error: GardienError) -> list[tuple[str, str, str]]:
        if isinstance(error, Faults) and error.detail:
            said = [(fault.place, present.say(fault.says, self.language), fault.remedy) for fault in error.faults]
            return [(place, says, sentence(present.say(cure, self.language))) for place, says, cure in said]
        if isinstance(error, Told) and error.detail:
            found = []
            for fault in error.data.get("faults", []):
                where = f"{fault['file']}:{fault['line']}" if fault["file"] else ""
                place = ": ".join(part for part in (where, fault["path"]) if part)
                found.append((place, str(fault["says"]), sentence(str(fault["remedy"]))))
            return found
        return []

    # -- what there is

    def status(self, data: Data) -> None:
        """The state of the house."""
        now = datetime.fromisoformat(data["now"])
        click.secho(sentence(data["says"]), fg=COLOURS[data["severity"]], bold=True)
        if data["stacks"]:
            click.echo()
            words = (N_("Stack"), N_("State"), N_("Last proven restorable"), N_("Newest good backup"))
            head = [self.tr(text) for text in words]
            table([head, *(self._stack_row(stack, now) for stack in data["stacks"])])
            for stack in data["stacks"]:
                if stack["health"]["health"] not in ("well", "stopped"):
                    click.echo(f"  {stack['name']}: {sentence(stack['health']['says'])}")
                for drift in stack["drift"]:
                    click.echo(f"  {stack['name']}: {sentence(drift)}")
        if data["disks"]:
            click.echo()
            table([(self.tr(N_("Disk")), self.tr(N_("Free"))), *(self._disk_row(disk) for disk in data["disks"])])
        if data["jobs"]:
            self._heading(N_("Under way"))
            for job in data["jobs"]:
                click.echo(f"  {job['id']}: {job['title']}: {self.present_step(job)}")
        if data["alerts"]:
            self._heading(N_("Needs attention"))
            for alert in data["alerts"]:
                click.secho(f"  ! {sentence(alert['says'])}", fg=COLOURS[alert["severity"]])
                if alert["remedy"]:
                    click.echo(f"    {sentence(alert['remedy'])}")
        if data["seen"] is None:
            self._heading(N_("gardien has just started and has not looked at anything yet."))

    def _heading(self, text: str) -> None:
        click.echo("\n" + self.tr(text))

    def _stack_row(self, stack: Data, now: datetime) -> Sequence[str]:
        health = stack["health"]
        good = stack["newest_good"]
        if not stack["kept"]:
            saved = click.style(self.tr(N_("not backed up yet")), fg="yellow")
        else:
            saved = self.ago(good["taken"], now) if good else self.tr(N_("none yet"))
        for text in _troubles(stack):
            saved += " " + click.style(self.tr(text), fg="red")
        state = click.style(health["state"], fg=HEALTH_COLOURS.get(health["health"]))
        return (stack["name"], state, self._proven(stack["trials"], now), saved)

    def _proven(self, trials: Data, now: datetime) -> str:
        """When the newest backup was last seen to come back, and how long that took."""
        failed = click.style(self.tr(N_("FAILED")), fg="red") if trials["failed"] else ""
        proven = trials["proven"]
        if proven is None:
            return failed or self.tr(N_("not yet"))
        when = present.when(datetime.fromisoformat(proven["ended"]), now, self.language)
        took = present.duration(proven["seconds"], self.language)
        return " ".join(filter(None, (f"{when}, {took}", failed)))

    def _disk_row(self, disk: Data) -> Sequence[str]:
        if not disk["present"]:
            return (disk["path"], click.style(self.tr(N_("not there")), fg="red"))
        return (
            disk["path"],
            self.tr(N_("{free} of {total}"), free=self.size(disk["free"]), total=self.size(disk["total"])),
        )

    def stacks(self, stacks: Sequence[Data]) -> None:
        """The stacks of this house."""
        if not stacks:
            self.say(N_("There is no stack yet. `gardien stack available` shows what can be added."))
            return
        now = datetime.now(UTC)
        words = (N_("Stack"), N_("State"), N_("Last proven restorable"), N_("Newest good backup"), N_("Address"))
        head = [self.tr(text) for text in words]
        table([head, *([*self._stack_row(stack, now), stack["address"] or ""] for stack in stacks)])

    def available(self, stacks: Sequence[Data]) -> None:
        """The stacks that can be added."""
        for stack in stacks:
            note = " " + self.tr(N_("(added)")) if stack["added"] else ""
            if "error" in stack:
                click.echo(f"{stack['name']}{note}:")
                self.error(Told(stack["error"]), err=False, margin="  ")
            else:
                click.echo(f"{stack['name']}{note}: {stack['summary']}")

    def stack(self, stack: Data) -> None:
        """One stack."""
        click.secho(f"{stack['title']}: {stack['summary']}", bold=True)
        health = stack["health"]
        rows = [
            (self.tr(N_("State")), f"{health['state']}: {health['says']}"),
            (self.tr(N_("Address")), stack["address"] or ""),
            (self.tr(N_("Last proven restorable")), self._stack_row(stack, datetime.now(UTC))[2]),
            (self.tr(N_("Newest good backup")), self._stack_row(stack, datetime.now(UTC))[3]),
            (self.tr(N_("Next backup")), self.date(stack["next_backup"])),
            (self.tr(N_("Files")), stack["folder"]),
            (self.tr(N_("Compose project")), stack["compose"]),
        ]
        table([row for row in rows if row[1]], head=False)
        for heading, values in (
            (N_("Settings"), stack["settings"]),
            (N_("Worked out by gardien"), {**stack["given"], **stack["derived"]}),
            (N_("Images"), stack["images"]),
        ):
            if values:
                self._heading(heading)
                table([(f"  {name}", value) for name, value in values.items()], head=False)
        if not stack["kept"]:
            click.echo()
            self.say(
                N_(
                    "This is a Compose project of your own without `x-gardien`: gardien runs it and does not back "
                    "it up. docs/stacks.md says what to add."
                )
            )
        if stack["rescue"]["says"] or stack["printed"]:
            click.echo()
            for each in stack["rescue"]["says"]:
                click.secho(f"! {each}", fg="yellow")
            if stack["printed"]:
                self._heading(N_("What it printed last, before it was restarted"))
                click.echo("\n".join(f"  {line}" for line in stack["printed"]))
        if stack["drift"]:
            click.echo()
            self.drift(stack)
            self.say(N_("`gardien stack mend {stack}` brings it back to its settings."), stack=stack["name"])

    def drift(self, stack: Data) -> None:
        """What is not as it was set up."""
        if not stack["drift"]:
            self.say(N_("As far as gardien has seen, all of it is as it was set up."))
        for each in stack["drift"]:
            click.secho(f"! {sentence(each)}", fg="yellow")

    def changes(self, plan: Data) -> None:
        """What new settings change, and what is made anew for them."""
        details = {step["name"]: step["details"] for step in plan["steps"]}
        for text, step in (
            (N_("This changes:"), "write"),
            (N_("These services are made anew, and nobody can use them for a moment:"), "up"),
        ):
            if details.get(step):
                self.say(text)
                click.echo("".join(f"  {line}\n" for line in details[step]), nl=False)

    def doorless(self, doors: Sequence[str]) -> None:
        """It is opened by name, and no name leads anywhere yet; `doors` are the stacks that would be the door."""
        self.say(N_("It is opened by its name, through the house’s door, and this house has no door yet."))
        for name in doors:
            self.say(N_("`gardien stack add {stack}` adds one."), stack=name)

    def offer(self, stack: Data, doors: Sequence[str]) -> None:
        """A stack that is about to be added, before its questions are asked."""
        click.secho(f"{stack['title']}: {stack['summary']}", bold=True)
        if stack["needs"]:
            click.echo(present.needs(**stack["needs"], language=self.language))
        if stack["doorless"]:
            self.doorless(doors)
        if stack["settings"]:
            self.say(N_("Enter takes what stands in brackets."))

    def question(self, setting: Data) -> None:
        """What may be answered to a question, before it is asked."""
        hint = self.tr(present.ANSWER[setting["kind"]])
        if setting["default"] == "" and setting["kind"] != "choice":
            hint = self.tr(N_("{what}; or nothing"), what=hint)
        click.secho(f"\n  {hint}", dim=True)
        if setting["choices"]:
            table([(f"    {value}", meaning) for value, meaning in setting["choices"].items()], head=False)

    def proofs(self, proofs: Sequence[Data]) -> None:
        """Trial restores, newest first."""
        if not proofs:
            self.say(N_("No backup was tried."))
            return
        words = (N_("Stack"), N_("Result"), N_("When"), N_("Took"), N_("Backup of"), N_("Where it lay"))
        rows = [[self.tr(text) for text in words]]
        for each in proofs:
            took = present.duration(each["seconds"], self.language)
            when, taken = self.date(each["ended"]), self.date(each["taken"])
            state = click.style(each["outcome_says"], fg=PROOF_COLOURS[each["outcome"]])
            rows.append([each["stack"], state, when, took, taken, each["target"]])
        table(rows)
        for each in proofs:
            if each["outcome"] != "proven":
                click.echo(f"  {each['stack']}, {self.date(each['ended'])}: {sentence(each['says'])}")

    def jobs(self, jobs: Sequence[Data]) -> None:
        """Jobs, newest first."""
        if not jobs:
            self.say(N_("Nothing was done yet."))
            return
        head = [self.tr(text) for text in (N_("Job"), N_("What"), N_("State"), N_("Began"))]
        rows = [(str(job["id"]), job["title"], job["state_says"], self.date(job["created"])) for job in jobs]
        table([head, *rows])

    def job(self, job: Data) -> None:
        """One job with its steps."""
        click.secho(f"{job['id']}: {job['title']}: {job['state_says']}", bold=True)
        for number, step in enumerate(job["steps"], 1):
            state = self.tr(present.STEP_STATE[step["state"]])
            click.echo(f"  {number}. {step['says']}: {state}")
        for text in (job["says"], job["remedy"]):
            if text:
                click.echo(sentence(text))
        self._last_words(job["detail"])

    def plan(self, plan: Data) -> None:
        """What a job would do, step by step."""
        for number, step in enumerate(plan["steps"], 1):
            click.echo(f"{number:>2}. {step['says']}")
            for detail in step["details"]:
                click.echo(f"      {detail}")
            if step["undo"]:
                click.echo("      " + self.tr(N_("if it fails: {undo}"), undo=step["undo"]))

    def first_login(self, login: Data) -> None:
        """Where a new stack is, and what opens it."""
        if "address" in login:
            self.say(N_("Open it at {address}"), address=login["address"])
        elif login["doorless"]:
            self.doorless([])
        keys = [(name, value) for name, value in login.items() if name not in ("address", "says", "doorless")]
        if keys:
            self.say(N_("The first login; write it down, gardien shows it here only:"))
            table([(f"  {name}", value) for name, value in keys], head=False)
        for name, meaning in login["says"].items():
            click.echo(f"{name}: {sentence(meaning)}")

    # -- a job under way

    def present_step(self, job: Data) -> str:
        """`3/8 Save the files  43 %  1.2 GB of 2.8 GB  12 MB/s  about 3 minutes left`."""
        return "  ".join(part for part in (self._step(job), self._figures(job)) if part)

    def moving_step(self, job: Data) -> str:
        """The same with the job's title, on one line: it is the sentences that are cut short, never the figures."""
        said, figures = f"{job['title']}  {self._step(job)}", self._figures(job)
        return cut(said, len(figures) + 2) + "  " + figures if figures else cut(said)

    def _step(self, job: Data) -> str:
        names = [step["name"] for step in job["steps"]]
        if job["step"] not in names or job["state"] == "queued":
            return str(job["state_says"])
        at = names.index(job["step"])
        step = f"{at + 1}/{len(names)} {job['steps'][at]['says']}"
        return f"{job['state_says']}:  {step}" if job["state"] == "undoing" else step

    def _figures(self, job: Data) -> str:
        parts = []
        if progress := job["progress"]:
            parts.append(present.percent(progress["fraction"], self.language))
            if progress["bytes_total"]:
                done, total = self.size(progress["bytes_done"]), self.size(progress["bytes_total"])
                parts.append(self.tr(N_("{free} of {total}"), free=done, total=total))
                if job["step"] == "images" and progress["files_total"]:  # the layers of a program
                    done, total = (
                        present.number(progress[name], self.language) for name in ("files_done", "files_total")
                    )
                    parts.append(self.tr(N_("{done} of {total} parts"), done=done, total=total))
            elif progress["files_total"]:  # of what has no bytes yet: restic's packs
                done, total = (present.number(progress[name], self.language) for name in ("files_done", "files_total"))
                parts.append(self.tr(N_("{free} of {total}"), free=done, total=total))
            if progress["per_second"]:
                parts.append(present.speed(progress["per_second"], self.language))
            if left := present.left(progress["seconds_left"], self.language):
                parts.append(left)
        return "  ".join(parts)


def _troubles(stack: Data) -> list[str]:
    """What is not as it should be with the backups of a stack, in a word for each."""
    newest, good = stack["newest"], stack["newest_good"]
    found = [N_("(late)")] if stack["late"] else []
    if newest and not newest["good"] and (not good or newest["taken"] > good["taken"]):
        found.append(N_("(the newest one is incomplete)"))
    for place in stack["places"]:
        there = place["newest_good"]
        if place["missed"] and (not there or place["missed"][0] > there["taken"]):
            found.append(N_("(missed)"))
            break
    return found


def sentence(text: str) -> str:
    """With a capital first and a full stop last."""
    text = text.strip()
    return present.capital(text) + ("" if not text or text[-1] in ".!?…:`" else ".")


def table(rows: Iterable[Sequence[str]], head: bool = True) -> None:
    """Columns as wide as what stands in them; the first row in bold on a terminal."""
    lines = [list(row) for row in rows]
    widths = [max(len(click.unstyle(row[column])) for row in lines) for column in range(len(lines[0]))]
    for number, row in enumerate(lines):
        cells = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        click.secho("  ".join(cells).rstrip(), bold=(head and number == 0) or None)


def cut(text: str, beside: int = 0) -> str:
    """As much of `text` as fits on one line, with so many columns `beside` it."""
    width = max(NARROW, shutil.get_terminal_size().columns - 1 - beside)
    return text if len(text) <= width else text[: width - 1] + "…"

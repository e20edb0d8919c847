"""`gardien drill …`."""

from pathlib import Path

import click

from gardien.errors import GardienError, NotFound
from gardien.faces.call import NotRunning
from gardien.faces.session import InOrder, Session, answers, starts_a_job, write_down
from gardien.words import N_

MONTH = click.option("--month", metavar="YYYY-MM", help="Of which month; else the present one.")


class OrStack(InOrder):
    """`gardien drill STACK` is short for `gardien drill run STACK`; nothing at all, for every stack."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args[:1] not in (["--help"], ["-h"]) and (not args or args[0] not in self.commands):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=OrStack)
def drill() -> None:
    """Prove that backups come back: restored beside what runs, started, asked, and taken away again.

    \b
    Try one application now:   gardien drill nextcloud
    Try every application:     gardien drill
    """


@drill.command()
@click.argument("stack", metavar="[STACK]", required=False)
@starts_a_job
@answers
def run(session: Session, *, stack: str | None, dry_run: bool, no_wait: bool) -> None:
    """Try the newest backup of a stack, or of each, one after the other. What runs is not touched."""
    code = 0
    for name in [stack] if stack is not None else _tryable(session):
        if dry_run and stack is None and not session.as_json:
            click.secho(f"{name}:", bold=True)
        try:
            session.finish(session.start("drills", stack=name, dry_run=dry_run, no_wait=no_wait))
        except NotRunning:
            raise
        except GardienError as error:
            code = session.tell(error)
    if code:
        raise SystemExit(code)


@drill.command("list")
@click.argument("stack", metavar="[STACK]", required=False)
@answers
def list_proofs(session: Session, stack: str | None) -> None:
    """What was tried and what came of it, newest first."""
    proofs = session.daemon.get("proofs", **({"stack": stack} if stack is not None else {}))["proofs"]
    session.show(proofs, lambda terminal: terminal.proofs(proofs))


@drill.command()
@MONTH
@click.option("--html", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="A page to keep.")
@answers
def certificate(session: Session, month: str | None, file: Path | None) -> None:
    """What was proven in a month: date, backup, where it lay, what was checked, how long it took."""
    query = {"month": month} if month is not None else {}
    made = session.daemon.get("proofs", "certificate", **query)
    if file is None:
        proofs = session.daemon.get("proofs", month=made["month"])["proofs"]
        session.show({"month": made["month"], "proofs": proofs}, lambda terminal: terminal.proofs(proofs))
        return
    write_down(file, made["html"])
    told = {"month": made["month"], "file": str(file)}
    session.show(told, lambda terminal: terminal.say(N_("The certificate is in {file}."), file=str(file)))


def _tryable(session: Session) -> list[str]:
    """The stacks that have a backup which counts. Raises NotFound."""
    found = [each["name"] for each in session.daemon.get("status")["stacks"] if each["newest_good"] is not None]
    if not found:
        raise NotFound(N_("there is no good backup yet that could be tried"), N_("Make one: `gardien backup create`."))
    return found

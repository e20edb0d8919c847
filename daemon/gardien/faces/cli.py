"""The `gardien` command. What only talks to the daemon starts at once: heavy imports stand inside the functions."""

import sys
from pathlib import Path

import click

from gardien import __version__
from gardien.errors import BadInput, NotFound
from gardien.faces.cli_alerts import alert
from gardien.faces.cli_backups import backup
from gardien.faces.cli_drill import drill
from gardien.faces.cli_kit import kit, recover
from gardien.faces.cli_machine import machine
from gardien.faces.cli_report import report
from gardien.faces.cli_self import self_update
from gardien.faces.cli_snapshot import part_back, snapshot
from gardien.faces.cli_stacks import stack
from gardien.faces.cli_targets import target
from gardien.faces.cli_updates import update
from gardien.faces.session import STACK, InOrder, Session, answers, starts_a_job
from gardien.words import N_

SETTINGS = "/etc/gardien/gardien.yaml"

USER = click.option("--user", default="owner", show_default=True, help="Whose.")


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=SETTINGS,
    envvar="GARDIEN_CONFIG",
    show_default=True,
    show_envvar=True,
    help="The settings file.",
)
@click.version_option(__version__, prog_name="gardien")
@click.pass_context
def main(ctx: click.Context, config: Path) -> None:
    """Caretaker of a small practice's own server: it runs your applications (stacks), keeps encrypted backups of them
    at a host of your choice, and brings them back.

    \b
    How is everything?            gardien status
    Add Nextcloud:                gardien stack add nextcloud
    Save it now:                  gardien backup create nextcloud
    Get it back:                  gardien restore nextcloud
    What would that do?           gardien restore nextcloud --dry-run
    Open the page in a browser:   gardien user link

    Exit codes: 0 done, 1 failed, 2 the command or a setting is wrong, 3 gardien is not running.
    """
    ctx.obj = Session(config)


@main.command()
@answers
def status(session: Session) -> None:
    """How everything is: stacks, backups, disks, what is under way."""
    data = session.daemon.get("status")
    session.show(data, lambda terminal: terminal.status(data))


main.add_command(stack)
main.add_command(backup)
main.add_command(snapshot)


@main.command()
@STACK
@click.option("--snapshot", metavar="ID", help="An older backup, from `gardien backup list`; else the newest good one.")
@click.option("--new-disk", is_flag=True, help="The data disk is a new one: what was on it is gone.")
@click.option("--in-place", is_flag=True, help="No room for two: what is there gives way, after a backup of it.")
@click.option("--path", metavar="PATH", help="Only this file or folder, as `gardien snapshot browse` shows it.")
@click.option("--to", type=click.Path(path_type=Path), metavar="DIR", help="With --path: into a folder of your own.")
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
@starts_a_job
@answers
def restore(
    session: Session,
    *,
    stack: str,
    snapshot: str | None,
    new_disk: bool,
    in_place: bool,
    path: str | None,
    to: Path | None,
    yes: bool,
    dry_run: bool,
    no_wait: bool,
) -> None:
    """Bring a stack back from a backup. The present state is kept until the restored one is well, and a week after."""
    if path is not None:
        how = {"yes": yes, "dry_run": dry_run, "no_wait": no_wait}
        part_back(session, stack, path, snapshot=snapshot, to=to, **how)
        return
    if to is not None:
        raise click.UsageError("--to belongs to --path.")
    what = {"stack": stack, "snapshot": snapshot, "new_disk": new_disk or None, "in_place": in_place or None}
    if not (yes or dry_run):
        if not session.listens:
            raise BadInput(
                N_("a restore replaces the present state of {stack}, and nobody is here to agree"),
                N_("Add --yes if that is meant, or --dry-run to see what it would do."),
                stack=stack,
            )
        session.terminal.plan(session.daemon.post("restores", **what, dry_run=True)["plan"])
        session.agree()
    session.finish(session.start("restores", **what, dry_run=dry_run, no_wait=no_wait))


main.add_command(update)
main.add_command(drill)

main.add_command(kit)
main.add_command(recover)

main.add_command(alert)
main.add_command(report)
main.add_command(machine)

# -- jobs


@main.group(cls=InOrder)
def job() -> None:
    """What gardien is doing and did."""


JOB = click.argument("number", metavar="JOB", type=click.IntRange(1, 999_999_999))


@job.command("list")
@click.option("--most", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many.")
@answers
def list_jobs(session: Session, most: int) -> None:
    """The newest jobs."""
    jobs = session.daemon.get("jobs", most=most)["jobs"]
    session.show(jobs, lambda terminal: terminal.jobs(jobs))


@job.command("show")
@JOB
@click.option("--follow", is_flag=True, help="Watch it until it is over.")
@answers
def show_job(session: Session, number: int, follow: bool) -> None:
    """One job, its steps, how it ended."""
    if follow:
        session.finish(session.follow(number, "done"))
        return
    data = session.daemon.get("jobs", str(number))
    session.show(data, lambda terminal: terminal.job(data))


@job.command()
@JOB
@click.option("--no-wait", is_flag=True, help="Return at once.")
@answers
def cancel(session: Session, number: int, no_wait: bool) -> None:
    """Take a job back: what it did is undone."""
    session.daemon.post("jobs", str(number), "cancel")
    if not no_wait:
        session.finish(session.follow(number, "cancelled"))


main.add_command(target)

# -- people


@main.group(cls=InOrder)
def user() -> None:
    """Who may open the page."""


@user.command()
@USER
@answers
def link(session: Session, user: str) -> None:
    """Print a link that opens the page once, within 15 minutes."""
    made = session.daemon.post("users", "link", user=user)
    session.show(made, lambda _: click.echo(made["url"]))
    if not session.as_json and sys.stdout.isatty():
        session.terminal.hint(N_("Open it in a browser within 15 minutes; it works once."))


@user.command()
@USER
@answers
def password(session: Session, user: str) -> None:
    """Set a password for the page; asked for, or read from standard input. Everybody who is logged in is logged out."""
    if sys.stdin.isatty():
        words = session.terminal.tr(N_("New password")), session.terminal.tr(N_("Once more"))
        secret = click.prompt(words[0], hide_input=True, confirmation_prompt=words[1])
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    session.daemon.post("users", "password", user=user, password=secret)
    session.show({"ok": True}, lambda terminal: terminal.say(N_("The password is set.")))


# -- the machine itself


@main.command()
@click.option("--to", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it there.")
@answers
def certificate(session: Session, file: Path | None) -> None:
    """The house's own root certificate, for devices that are to trust it. The page says how to install it on each."""
    made = session.daemon.get("certificate")
    if made["certificate"] is None:
        raise NotFound(
            N_("this house has no root certificate of its own, and its devices need none"),
            N_("A house whose door is at home has one, once that door was added and has been opened."),
        )
    if file is not None:
        _write(file, made["certificate"])
    session.show(made, lambda _: click.echo(made["certificate"], nl=False) if file is None else None)
    if not session.as_json:
        if file is not None:
            session.terminal.say(N_("The root certificate is in {file}."), file=str(file))
        session.terminal.hint(N_("Its SHA-256 fingerprint: {fingerprint}"), fingerprint=made["sha256"])


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
        file.chmod(0o644)
    except OSError as error:
        raise BadInput(
            N_("cannot write {file}: {why}"), N_("Name another file."), file=str(file), why=error.strerror or str(error)
        ) from error


@main.command()
@answers
def check(session: Session) -> None:
    """Look at the settings and everything they name, and tell all that is wrong. Works while gardien is not running."""
    from gardien.faces.local import check as check_here  # noqa: PLC0415

    check_here(session.config, session.terminal, session.as_json)


main.add_command(self_update)


@main.command()
@click.pass_obj
def run(session: Session) -> None:
    """Be the daemon, until stopped. systemd does this; by hand only on machines without it."""
    from gardien.faces.local import run as run_here  # noqa: PLC0415

    raise SystemExit(run_here(session.config))

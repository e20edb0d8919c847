"""`gardien update …`: what is new, what is made of it, and what is not wanted."""

import click

from gardien.errors import BadInput
from gardien.faces.session import STACK, InOrder, Session, answers, starts_a_job
from gardien.words import N_

VERSION = click.argument("version", metavar="[VERSION]", required=False)
IMAGE = click.option("--image", metavar="VARIABLE", help="Of this image, such as MARIADB_IMAGE.")


@click.group(cls=InOrder)
def update() -> None:
    """New versions of applications: what there is, and what is done with it.

    \b
    What is new?                  gardien update list
    What would be done?           gardien update plan nextcloud
    Take the next step:           gardien update run nextcloud
    Back again, data and all:     gardien update rollback nextcloud
    Small repairs by themselves:  gardien update set nextcloud --by-itself
    """


@update.command("list")
@click.argument("stack", metavar="[STACK]", required=False)
@click.option("--now", "at_once", is_flag=True, help="Ask the registries first; gardien does so once a day.")
@answers
def list_updates(session: Session, *, stack: str | None, at_once: bool) -> None:
    """What is new: from where to where, how far that is, where one can read about it."""
    from gardien.faces import terminal_updates  # noqa: PLC0415

    which = {"stack": stack} if stack is not None else {}
    daemon = session.daemon
    found = daemon.post("updates", "look", **which) if at_once else daemon.get("updates", **which)
    session.show(found["updates"], lambda terminal: terminal_updates.news(terminal, found["updates"]))


@update.command()
@STACK
@VERSION
@IMAGE
@click.option("--undo", is_flag=True, help="Offer again what was skipped, all of it without a VERSION.")
@answers
def skip(session: Session, *, stack: str, version: str | None, image: str | None, undo: bool) -> None:
    """Do not offer this version, or the one that is next; what comes after it is offered again."""
    from gardien.faces import terminal_updates  # noqa: PLC0415

    which = {"stack": stack, "version": version, "image": image}
    told = session.daemon.post("updates", "skip", **which, undo=undo or None)
    session.show(told, lambda terminal: terminal_updates.skipped(terminal, stack, told))


@update.command("set")
@click.argument("stack", metavar="[STACK]", required=False)
@click.option("--house", is_flag=True, help="For every stack of which nothing else is said.")
@click.option("--by-itself", "how", flag_value="by-itself", help="Small repairs (patches) are made by themselves.")
@click.option("--by-hand", "how", flag_value="by-hand", help="Nothing is made unless somebody says so.")
@click.option("--as-the-house", "how", flag_value="as-the-house", help="As it is said for the house.")
@answers
def set_(session: Session, *, stack: str | None, house: bool, how: str | None) -> None:
    """Whether small repairs are made by themselves, in the window of the settings. What is greater never is."""
    from gardien.faces import terminal_updates  # noqa: PLC0415

    if how is None or house == (stack is not None) or (house and how == "as-the-house"):
        raise BadInput(
            N_("this does not say what is to be set"),
            N_(
                "`gardien update set STACK --by-itself`, `--by-hand` or `--as-the-house`; or --house in place of STACK."
            ),
        )
    told = session.daemon.post("updates", "set", stack=stack, how=how)
    session.show(told, lambda terminal: terminal_updates.chosen(terminal, told, stack))


@update.command()
@STACK
@VERSION
@IMAGE
@answers
def plan(session: Session, *, stack: str, version: str | None, image: str | None) -> None:
    """What an update would do, step by step, and what taking each back means. Nothing is changed."""
    _plan(session, stack=stack, version=version, image=image)


def _plan(session: Session, **which: str | None) -> None:
    from gardien.faces import terminal_updates  # noqa: PLC0415

    plan = session.daemon.post("updates", "run", **which, dry_run=True)["plan"]
    session.show(plan, lambda terminal: terminal_updates.plan(terminal, plan))


@update.command()
@STACK
@VERSION
@IMAGE
@starts_a_job
@answers
def run(session: Session, *, stack: str, version: str | None, image: str | None, dry_run: bool, no_wait: bool) -> None:
    """Take the next step, or the one to VERSION: after a backup, watched, and taken back if it does not get well."""
    if dry_run:
        _plan(session, stack=stack, version=version, image=image)
        return
    session.finish(
        session.start("updates", "run", stack=stack, version=version, image=image, dry_run=False, no_wait=no_wait)
    )


@update.command()
@STACK
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
@starts_a_job
@answers
def rollback(session: Session, *, stack: str, yes: bool, dry_run: bool, no_wait: bool) -> None:
    """Back to the version and the data of before the last update. What was written since is kept aside for a while."""
    from gardien.faces import terminal_updates  # noqa: PLC0415

    if not dry_run and not yes and not session.listens:
        raise BadInput(
            N_("going back replaces the present state of {stack}, and nobody is here to agree"),
            N_("Add --yes if that is meant, or --dry-run to see what it would do."),
            stack=stack,
        )
    if dry_run or not yes:
        plan = session.daemon.post("updates", "rollback", stack=stack, dry_run=True)["plan"]
        [news] = session.daemon.get("updates", stack=stack)["updates"]
        session.show(
            {**plan, "last": news["last"]}, lambda terminal: terminal_updates.back(terminal, plan, news["last"])
        )
        if dry_run:
            return
        session.agree()
    session.finish(session.start("updates", "rollback", stack=stack, dry_run=False, no_wait=no_wait))

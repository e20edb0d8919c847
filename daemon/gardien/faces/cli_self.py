"""`gardien self-update`: another version of gardien itself, and the way back. No daemon does it: it is restarted."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from gardien.errors import BadInput
from gardien.faces.session import Data, Session, answers
from gardien.words import N_, Words

if TYPE_CHECKING:
    from gardien.faces.terminal import Terminal
    from gardien.model.move import Move, OwnNews
    from gardien.services.self_update import SelfUpdate

STEPS = (
    N_("Install it beside the present version, which goes on working."),
    N_("Try it on a copy of gardien's memory, with this house's settings."),
    N_("Let no new job begin; nothing is done while one is under way."),
    N_("Stop gardien, and copy its memory and settings. The applications run on."),
    N_("Start the new version, and wait until it says that it is well."),
    N_("If it does not: the former version again, with the memory of before."),
)


@click.command("self-update")
@click.option("--from", "source", metavar="WHERE", help="A wheel, a folder of wheels, or a page that lists them.")
@click.option("--check", is_flag=True, help="Only say whether there is a newer version, and what it changes.")
@click.option("--back", is_flag=True, help="Return to the former version, and to what gardien knew then.")
@click.option("--dry-run", is_flag=True, help="Only print the steps; change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether this is meant.")
@click.option("--patience", type=click.IntRange(5, 3600), default=300, show_default=True, metavar="SECONDS",
              help="How long a version may take until it is well.")  # fmt: skip
@click.option("--go-on", is_flag=True, help="Only finish, or take back, what was cut short.")
@click.option("--trial", type=click.Path(path_type=Path), hidden=True)
@answers
def self_update(
    session: Session,
    *,
    source: str | None,
    check: bool,
    back: bool,
    dry_run: bool,
    yes: bool,
    patience: int,
    go_on: bool,
    trial: Path | None,
) -> None:
    """A newer gardien: installed beside the present one, tried, then in its place; the former one comes back by itself
    if the newer is not well. Works on machines that install.sh set up.
    """
    from gardien.faces import local  # noqa: PLC0415

    if trial is not None:
        local.trial(session.config, trial)
        return
    with local.updating(session.config, lambda words: _tell(session, words), wait=go_on) as update:
        update.patience = patience
        if check or dry_run:
            _look(session, update, source, steps=dry_run, back=back)
            return
        resumed = local.once_begun(update.go_on())
        if resumed is not None or go_on:
            _end(session, resumed)
            return
        if back:
            last = update.way_back()
            _agree(session, last, yes=yes)
            _end(session, local.once_begun(update.back()))
            return
        news = _news(update, _source(session, source))
        if not news.newer:
            session.show(_wire(news), lambda terminal: _say_news(terminal, news))
            return
        if session.listens and not yes:
            _say_news(session.terminal, news)
            session.agree()
        _end(session, local.once_begun(update.run(news)))


def _source(session: Session, source: str | None) -> str:
    """Raises BadInput if nobody said where releases are."""
    from gardien.faces import local  # noqa: PLC0415

    found = source or local.releases_at(session.config)
    if found is None:
        raise BadInput(
            N_("nobody said where releases of gardien are"),
            N_("Name a wheel or a folder with --from, or set `updates.gardien_from` in gardien.yaml."),
        )
    return found


def _news(update: "SelfUpdate", source: str) -> "OwnNews":
    import asyncio  # noqa: PLC0415

    return asyncio.run(update.news(source))


def _look(session: Session, update: "SelfUpdate", source: str | None, *, steps: bool, back: bool) -> None:
    if back:
        last = update.way_back()
        data = {"present": last.next.version, "former": last.former.version, "state_of": last.began.isoformat()}
        session.show(data, lambda terminal: _say_back(terminal, last))
        return
    news = _news(update, _source(session, source))
    last_move = update.last()

    def show(terminal: "Terminal") -> None:
        _say_news(terminal, news)
        if last_move is not None and last_move.why is not None:
            terminal.say(
                N_("Version {next} was tried and taken back: {why}"), next=last_move.next.version, why=last_move.why
            )
            if last_move.detail:
                click.echo(last_move.detail)
        if steps and news.newer:
            for number, each in enumerate(STEPS, 1):
                click.echo(f"{number:>3}  {terminal.tr(each)}")

    data = _wire(news) | {"last": _wire_move(session, last_move)}
    session.show(data | ({"steps": [session.terminal.tr(each) for each in STEPS]} if steps else {}), show)


def _agree(session: Session, last: "Move", *, yes: bool) -> None:
    if yes:
        return
    if not session.listens:
        raise BadInput(
            N_("going back loses what gardien noted since {when}, and nobody is here to agree"),
            N_("Add --yes if that is meant, or --dry-run to see what it would do."),
            when=session.terminal.date(last.began.isoformat()),
        )
    _say_back(session.terminal, last)
    session.agree()


def _end(session: Session, move: "Move | None") -> None:
    """How it ended; exit 1 if it was taken back."""
    session.show(_wire_move(session, move) or {"phase": None}, lambda terminal: _say_end(terminal, move))
    if move is not None and move.phase != "done":
        raise SystemExit(1)


def _say_end(terminal: "Terminal", move: "Move | None") -> None:
    if move is None:
        terminal.say(N_("Nothing was cut short."))
    elif move.phase == "done":
        terminal.say(N_("gardien {version} works, and is well."), version=move.next.version)
        terminal.hint(
            N_("`sudo gardien self-update --back` returns to {version}, and to what gardien knew then."),
            version=move.former.version,
        )
    elif move.why is not None:
        terminal.say(
            N_("gardien {former} works on, as before; {next} was not put in its place: {why}"),
            former=move.former.version,
            next=move.next.version,
            why=move.why,
        )
        if move.detail:
            click.echo(move.detail, err=True)


def _say_news(terminal: "Terminal", news: "OwnNews") -> None:
    if news.newest is None:
        terminal.say(N_("There is no release there. gardien {version} runs here."), version=news.present)
    elif not news.newer:
        terminal.say(
            N_("Nothing newer: gardien {version} runs here, {newest} is there."),
            version=news.present,
            newest=news.newest,
        )
    else:
        terminal.say(N_("gardien {newest} is there; {version} runs here."), newest=news.newest, version=news.present)
        click.echo(news.changes)


def _say_back(terminal: "Terminal", last: "Move") -> None:
    terminal.say(
        N_(
            "gardien returns to {version}, and to what it knew on {when}. What it noted since is lost: jobs, "
            "measurements, alerts. Applications, their data and their backups are not touched."
        ),
        version=last.former.version,
        when=terminal.date(last.began.isoformat()),
    )


def _tell(session: Session, words: Words) -> None:
    if not session.as_json:
        session.terminal.hint(words.text, **words.values)


def _wire(news: "OwnNews") -> Data:
    return {"present": news.present, "newest": news.newest, "newer": news.newer, "changes": news.changes}


def _wire_move(session: Session, move: "Move | None") -> Data | None:
    if move is None:
        return None
    from gardien.faces import present  # noqa: PLC0415

    return {
        "phase": move.phase,
        "from": move.former.version,
        "to": move.next.version,
        "began": move.began.isoformat(),
        "why": present.say(move.why, session.terminal.language) if move.why is not None else None,
        "detail": move.detail,
    }

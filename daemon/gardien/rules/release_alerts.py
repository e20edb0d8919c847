"""Which alerts are owed over new versions: tags that stand for something else, registries that do not answer, and an
update of gardien itself that did not go well.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gardien.model.move import Move
from gardien.model.overview import StackView
from gardien.rules.verdict import Owed
from gardien.words import N_, Words

UNHEARD = timedelta(days=14)  # for which nothing new could be learnt, before that is worth a word

OWN_SAID_FOR = timedelta(days=14)
OWN_TAKES = timedelta(hours=2)  # at most, and then somebody has to look


def of_own(move: Move | None, now: datetime) -> list[Owed]:
    """The last move of gardien itself: it was taken back, or it is nowhere near its end."""
    if move is None or move.phase == "done" or now - move.began > OWN_SAID_FOR:
        return []
    values = {"former": move.former.version, "next": move.next.version}
    if not move.over:
        if now - move.began < OWN_TAKES:
            return []
        return [
            Owed(
                "own-update",
                "notice",
                Words.of(N_("an update of gardien from {former} to {next} was cut short"), **values),
                Words.of(N_("`sudo gardien self-update` finishes it, or takes it back.")),
            )
        ]
    if move.why is None or move.copy is None:  # nothing was changed
        return []
    return [
        Owed(
            "own-update",
            "notice",
            Words.of(N_("gardien {next} did not work here and was taken back: {why}"), **values, why=move.why),
            Words.of(
                N_(
                    "gardien {former} works on, with the memory of before. `sudo gardien self-update --check` shows "
                    "what the other one printed last: its makers may want to know."
                ),
                former=move.former.version,
            ),
        )
    ]


def of_news(stacks: Sequence[StackView], now: datetime) -> list[Owed]:
    """What waits is no alert: it is shown where the application is."""
    return [each for stack in stacks for each in (*_moved(stack), *_unheard(stack, now))]


def _moved(stack: StackView) -> list[Owed]:
    """Whoever makes an image this way never put anything else under a tag: somebody else may have."""
    gone = {each.tag for each in stack.news.changes if each.jump == "rebuilt" and each.said is not None}
    return [
        Owed(
            f"moved:{stack.name}:{each.key}",
            "notice",
            Words.of(
                N_("{stack}: another image is offered under the version {tag} than the one that runs"),
                stack=stack.title.given,
                tag=each.tag,
            ),
            Words.of(
                N_(
                    "What runs stays as it is, and nothing is done by itself. Ask the person who helps you whether its "
                    "makers say why; `gardien update list {stack}` shows both. If you do not want it: `gardien update "
                    "skip {stack} {tag}`."
                ),
                stack=stack.name,
                tag=each.tag,
            ),
        )
        for each in {each.key: each for each in stack.news.moved}.values()
        if not each.expected and each.tag not in gone
    ]


def _unheard(stack: StackView, now: datetime) -> list[Owed]:
    asked = stack.news.asked
    if asked is None or asked.trouble is None or now - (asked.done or asked.first) < UNHEARD:
        return []
    return [
        Owed(
            f"unheard:{stack.name}",
            "notice",
            Words.of(
                N_("for two weeks gardien could not learn whether there is a new version of {stack}: {why}"),
                stack=stack.title.given,
                why=asked.trouble,
            ),
            Words.of(N_("`gardien update list {stack} --now` tries again, and says what is wrong."), stack=stack.name),
        )
    ]

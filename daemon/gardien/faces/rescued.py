"""What gardien does about a stack that is down, in sentences for people and in figures for programs."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

from gardien.faces import present, shapes
from gardien.model.overview import StackView
from gardien.words import N_, Value

# So many falls within a day are worth a word.
WORTH_A_WORD = 2


def sentences(stack: StackView, now: datetime, language: str) -> list[str]:
    """What befell it, what was tried, what comes next; nothing of a stack that is simply well."""
    rescue = stack.rescue

    def say(text: str, **values: Value) -> str:
        return present.translate(text, language, **values)

    said = []
    falls = rescue.of("fell")
    if len(falls) >= WORTH_A_WORD:
        first = present.when(falls[0].at, now, language)
        said.append(
            say(
                N_("It was not well {times} times within a day, {when} for the first time."),
                times=len(falls),
                when=first,
            )
        )
    if rescue.tries:
        times = ", ".join(_one_after_the_other(rescue.tries, now, language))
        said.append(say(N_("gardien restarted it by itself: {times}."), times=times))
    if rescue.left_alone:
        said.append(say(N_("That did not help, so gardien leaves it alone now. It needs a person.")))
    elif rescue.ill_since is not None and rescue.at_work:
        said.append(say(N_("It says that it is at work on itself; gardien leaves it alone until that is done.")))
    elif stack.next_try is not None:
        when = present.when(max(stack.next_try, now), now, language)
        said.append(say(N_("Should it stay so, gardien restarts it {when}."), when=when))
    return said


def _one_after_the_other(moments: Sequence[datetime], now: datetime, language: str) -> Iterator[str]:
    """The day is said once."""
    said: date | None = None
    for each in moments:
        day = each.astimezone().date()
        yield present.clock(each, language) if day == said else present.when(each, now, language)
        said = day


def as_json(stack: StackView, language: str) -> shapes.RescueData:
    """For programs; `says` are the sentences. What it printed is not part of it: that may name people."""
    rescue = stack.rescue
    return {
        "ill_since": _moment(rescue.ill_since),
        "tries": [_moment(each) for each in rescue.tries],
        "next_try": _moment(stack.next_try),
        "left_alone": rescue.left_alone,
        "at_work": rescue.at_work,
        "says": sentences(stack, datetime.now(UTC), language),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at is not None else None

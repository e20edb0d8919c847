"""The alerts over applications that are down, come and go, end by themselves, or run out of memory."""

from collections.abc import Sequence
from datetime import datetime

from gardien.model.overview import StackView
from gardien.rules import restarts
from gardien.rules.verdict import Owed
from gardien.words import N_, Words

MB = 1_000_000


def of_stacks(stacks: Sequence[StackView], now: datetime) -> list[Owed]:
    """One for each stack that is ill, however often it changes; and one for each service with a trouble of its own."""
    return [each for stack in stacks for each in (*_ill(stack, now), *_dying(stack), *_hungry(stack))]


def _ill(stack: StackView, now: datetime) -> list[Owed]:
    rescue, title = stack.rescue, stack.title.given
    why = rescue.why or stack.health.says
    ill = rescue.ill_since is not None
    falls = sum(now - each.at < restarts.WINDOW for each in rescue.of("fell"))
    if ill and rescue.left_alone:
        says = Words.of(N_("{stack} is not well, and three restarts did not help: {why}"), stack=title, why=why)
        remedy = Words.of(
            N_(
                "It is left alone now. Restart this machine; if that does not help, ask the person who helps "
                "you: `gardien stack show {stack}` shows what it printed last."
            ),
            stack=stack.name,
        )
    elif restarts.comes_and_goes(rescue, now):
        says = Words.of(
            N_("{stack} comes and goes: {times} times in six hours it was not well"), stack=title, times=falls
        )
        remedy = Words.of(
            N_("Ask the person who helps you: `gardien stack logs {stack}` shows what it printed."), stack=stack.name
        )
    elif ill and rescue.at_work:
        says = Words.of(N_("{stack} is not well: {why}"), stack=title, why=why)
        remedy = Words.of(N_("It says that it is at work on itself, so gardien leaves it alone. Wait for an hour."))
    elif ill:
        says = Words.of(N_("{stack} is not well: {why}"), stack=title, why=why)
        remedy = Words.of(
            N_(
                "Wait a little: gardien restarts it by itself, at most three times. If it is still so in an hour, look "
                "again: `gardien stack show {stack}`. To restart it now: `gardien stack start {stack}`."
            )
            if stack.next_try is not None
            else N_("Restart it: `gardien stack start {stack}`."),
            stack=stack.name,
        )
    else:
        return []
    return [Owed(f"stack:{stack.name}", "trouble", says, remedy)]


def _dying(stack: StackView) -> list[Owed]:
    return [
        Owed(
            f"dies:{stack.name}:{service}",
            "notice",
            Words.of(
                N_("{stack}: its service {service} ends and is restarted again and again"),
                stack=stack.title.given,
                service=service,
            ),
            Words.of(
                N_("Ask the person who helps you: `gardien stack logs {stack} --service {service}` says why it ends."),
                stack=stack.name,
                service=service,
            ),
        )
        for service in restarts.dies_again(stack.rescue)
    ]


def _hungry(stack: StackView) -> list[Owed]:
    newest = {each.service: each for each in stack.rescue.of("no-memory")}
    return [
        Owed(
            f"no-memory:{stack.name}:{service}",
            "notice",
            Words.of(
                N_("{stack}: its service {service} ran out of memory, and a part of it was ended"),
                stack=stack.title.given,
                service=service,
            ),
            Words.of(
                N_(
                    "It may take {limit} MB, so that it leaves room for the others. Should it happen again, give this "
                    "machine more memory, or ask the person who helps you."
                ),
                limit=each.limit // MB,
            )
            if each.limit
            else Words.of(
                N_(
                    "This machine has too little memory for all that runs on it. Switch off an application that nobody "
                    "needs, or give the machine more memory."
                )
            ),
        )
        for service, each in newest.items()
    ]

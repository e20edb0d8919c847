"""When a stack that stays down is restarted, and when it is left alone; what counts as coming and going."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

from gardien.model.health import Answer, Container, Health
from gardien.model.plan import Plan, Step
from gardien.model.rescue import MOST, Befell, Mishap, Rescue
from gardien.model.stack import Stack
from gardien.words import N_, Words

WINDOW = timedelta(hours=6)  # in which there are never more than MOST restarts
WELL_FOR = timedelta(hours=1)
PAUSES = (1.0, 10 / 3, 10.0)  # before each try, in shares of `limits.restart_after`: 3, 10 and 30 minutes
REMEMBERED = timedelta(days=1)
_KEPT = 30  # mishaps of one stack
_BURSTS: Mapping[Befell, timedelta] = MappingProxyType(
    {"fell": timedelta(minutes=10), "no-memory": timedelta(minutes=1)}  # within which more of the same are one
)
FALLS = 3  # within WINDOW: then it comes and goes, and that is one alert until it is well for a while
DEATHS, AGAIN_AND_AGAIN = 3, timedelta(minutes=10)
LINES, WIDTH = 20, 300  # of a log
_TIME = re.compile(r"\| (\d{4}-\d\d-\d\dT[\d:.]+Z)")  # in front of what a service said


def seen(before: Rescue, health: Health, says: Words, now: datetime) -> Rescue:
    """What is known after a look. Only what is well ends an illness; a start or a backup is no sign of either."""
    after = before
    if health in ("ailing", "down"):
        if before.ill_since is None:
            after = with_mishap(replace(after, ill_since=now), Mishap("fell", "", now), now)
        after = replace(after, well_since=None, why=says)
    elif health == "well":
        since = before.well_since or now
        after = replace(after, ill_since=None, well_since=since, at_work=False)
        if now - since >= WELL_FOR and after.tries:
            former = tuple(each for each in (*after.former, *after.tries) if now - each < WINDOW)
            after = replace(after, tries=(), former=former, lines=())
    elif health == "stopped":  # its owner's word
        after = replace(after, ill_since=None, well_since=None, at_work=False, tries=(), lines=())
        after = replace(after, former=tuple(each for each in (*before.former, *before.tries) if now - each < WINDOW))
    if after.mishaps and now - after.mishaps[0].at > REMEMBERED:
        after = replace(after, mishaps=_newest(after.mishaps, now))
    return after


def with_mishap(before: Rescue, mishap: Mishap, now: datetime) -> Rescue:
    """One more; what is older than a day, or one of too many, is forgotten. The kernel may end many parts at once, and
    what comes up may waver: that is one.
    """
    burst = _BURSTS.get(mishap.what, timedelta())
    same = [each for each in before.of(mishap.what) if each.service == mishap.service]
    if same and now - same[-1].at < burst:
        return before
    return replace(before, mishaps=_newest((*before.mishaps, mishap), now))


def _newest(mishaps: Sequence[Mishap], now: datetime) -> tuple[Mishap, ...]:
    return tuple(each for each in mishaps if now - each.at <= REMEMBERED)[-_KEPT:]


def next_try(rescue: Rescue, after: float) -> datetime | None:
    """From when on it may be restarted; None while it is not ill, and once it is left alone.

    `after`: seconds for which it is ill before the first try; 0: it never is restarted.
    """
    made = len(rescue.tries)
    if rescue.ill_since is None or made >= MOST or not after:
        return None
    begin = max((rescue.ill_since, *rescue.tries[-1:]))
    due = begin + timedelta(seconds=after * PAUSES[made])
    every = sorted((*rescue.former, *rescue.tries))
    return max(due, every[-MOST] + WINDOW) if len(every) >= MOST else due


def comes_and_goes(rescue: Rescue, now: datetime) -> bool:
    """Whether it fell so often lately that being well just now means nothing yet."""
    falls = [each.at for each in rescue.of("fell") if now - each.at < WINDOW]
    calm = rescue.well_since is not None and now - rescue.well_since >= WELL_FOR
    return len(falls) >= FALLS and not calm


def dies_again(rescue: Rescue) -> tuple[str, ...]:
    """The services that ended by themselves again and again, within a day."""
    deaths: dict[str, list[datetime]] = {}
    for each in rescue.of("died"):
        deaths.setdefault(each.service, []).append(each.at)
    return tuple(
        service
        for service, at in deaths.items()
        if any(last - first <= AGAIN_AND_AGAIN for first, last in zip(at, at[DEATHS - 1 :], strict=False))
    )


def ailing_service(stack: Stack, containers: Sequence[Container], answers: Mapping[str, Answer]) -> str | None:
    """The one service it comes from; None: more than one, or nobody can tell."""
    services = stack.recipe.services
    running = {each.service for each in containers if each.state == "running"}
    down = [service for service in services if service not in running]
    if down:
        return down[0] if len(down) == 1 else None
    ill = {each.service for each in containers if each.health == "unhealthy"}
    for name, answer in answers.items():
        if not answer.ok and name in stack.manifest.probes:
            ill.add(stack.manifest.probes[name].exec_ or name)
    ill &= set(services)
    return ill.pop() if len(ill) == 1 else None


def plan(stack: Stack, service: str | None) -> Plan:
    """Restart one service of it, or all. Whatever became of a restart, after a crash it goes on."""
    restart = Step(
        "restart",
        Words.of(N_("Restart the part of it that is not well")) if service else Words.of(N_("Restart all of it")),
        details=(f"docker compose restart {service or ''}".rstrip(),),
    )
    return Plan(
        kind="revive",
        subject=stack.name,
        steps=(
            Step("look", Words.of(N_("See that it is still down, and note what it printed last"))),
            restart,
            Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
        ),
        leases=(f"stack:{stack.name}",),
        onward="look",
        facts={"service": service},
    )


def cleaned(log: str) -> tuple[str, ...]:
    """The last lines of a log, of which nothing moves a terminal's cursor or colours it.

    Compose tells one service after the other: where lines bear their times, those decide.
    """
    lines = ["".join(each if each.isprintable() else " " for each in line).strip() for line in log.splitlines()]
    timed, at = [], ""
    for line in filter(None, lines):
        if (found := _TIME.search(line)) is not None:
            at = found[1]
        timed.append((at, line[:WIDTH]))
    return tuple(line for _, line in sorted(timed, key=lambda each: each[0]))[-LINES:]

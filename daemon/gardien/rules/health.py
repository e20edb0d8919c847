"""Is this stack well? From its containers, its probes' answers and what is being done to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gardien.model.health import Answer, Container, Health, StackHealth, Stretch, silence
from gardien.model.stack import Stack
from gardien.words import N_, Words


@dataclass(frozen=True, slots=True)
class Seen:
    """What the watchman knows of one stack at one moment."""

    containers: Sequence[Container]
    answers: Mapping[str, Answer]  # the newest answer of each probe; empty while none was asked
    failures: Mapping[str, int]  # how often in a row each probe failed
    up_since: datetime | None  # when the present containers were first seen
    job: str | None  # the kind of the job that holds the stack


def health_of(stack: Stack, seen: Seen, former: StackHealth | None, now: datetime) -> StackHealth:
    """`since` is kept while the health stays the same."""
    health, says = _judge(stack, seen, former, now)
    since = former.since if former is not None and former.health == health else now
    return StackHealth(stack=stack.name, health=health, says=says, since=since, seen=now)


def answered(stack: Stack, seen: Seen, health: StackHealth) -> dict[str, Answer]:
    """What is to be remembered of each probe. A failure counts as for the health: not while the stack is worked on
    or is starting, and not before it came so often in a row. "" stands for the containers of a stack that does
    not tell how it is asked.
    """
    probes = stack.manifest.probes
    if health.health == "down":
        return {name: Answer(ok=False, says=health.says) for name in probes or ("",)}
    if health.health == "stopped":
        return {}
    if not probes:
        return {"": Answer(health.health == "well", health.says)} if health.health in {"well", "ailing"} else {}
    return {
        name: answer
        for name, answer in seen.answers.items()
        if answer.ok or (health.health == "ailing" and seen.failures.get(name, 0) >= probes[name].threshold)
    }


def prolonged(former: Stretch | None, stack: Stack, probe: str, answer: Answer, at: datetime) -> Stretch:
    """The stretch that an answer belongs to: the former one, or one that it begins."""
    says = Words("") if answer.ok else answer.says
    alike = former is not None and (former.ok, former.says) == (answer.ok, says)
    longest = silence(stack.manifest.probes[probe].period if probe else 0)
    if former is not None and alike and timedelta() <= at - former.seen <= longest:
        return replace(former, seen=at)
    return Stretch(stack.name, probe, answer.ok, says, at, at)


def _judge(stack: Stack, seen: Seen, former: StackHealth | None, now: datetime) -> tuple[Health, Words]:
    unwell = [(name, answer) for name, answer in seen.answers.items() if not answer.ok]
    if seen.job == "backup" and (unwell or not seen.answers):
        return "paused", Words.of(N_("is being saved, and will be back in seconds"))
    if seen.job == "restore":
        return "paused", Words.of(N_("is being brought back from a backup"))
    if seen.job == "update" and (unwell or not seen.answers):
        return "paused", Words.of(N_("is being updated"))
    if stack.chosen.wanted == "stopped":
        return "stopped", Words.of(N_("is stopped, as you wished"))
    if not any(container.state == "running" for container in seen.containers):
        return "down", Words.of(N_("does not run"))
    if seen.job is not None and (unwell or not seen.answers):
        return "starting", Words.of(N_("is starting"))
    if not stack.manifest.probes:
        return _by_containers(seen.containers)
    if not seen.answers:
        return "starting", Words.of(N_("is starting"))
    if not unwell:
        return "well", Words.of(N_("runs and answers"))
    name, answer = unwell[0]
    probe = stack.manifest.probes[name]
    up_for = (now - seen.up_since).total_seconds() if seen.up_since else 0.0
    never_well = former is None or former.health in ("starting", "down", "unknown", "stopped")
    if never_well and up_for < probe.start_period:
        return "starting", Words.of(N_("is starting"))
    if seen.failures.get(name, 0) < probe.threshold and former is not None:
        return former.health, former.says
    return "ailing", answer.says


def _by_containers(containers: Sequence[Container]) -> tuple[Health, Words]:
    """All that can be said of a stack that does not tell how it is asked."""
    ended = [container.service for container in containers if container.state != "running"]
    if ended:
        return "ailing", Words.of(N_("its service {service} does not run"), service=ended[0])
    ill = [container.service for container in containers if container.health == "unhealthy"]
    if ill:
        return "ailing", Words.of(N_("its service {service} says that it is not well"), service=ill[0])
    if any(container.health == "starting" for container in containers):
        return "starting", Words.of(N_("is starting"))
    return "well", Words.of(N_("runs"))

"""The plan of an update: what may have to come back is saved first, and whatever is not well goes back by itself.

And what follows from the journal of updates: which was the last, and whose programs nobody needs any more.
"""

import re
from collections.abc import Sequence, Set
from datetime import datetime, timedelta

from gardien.model.job import Job
from gardien.model.manifest import Probe, UpdateRules
from gardien.model.plan import Json, Plan, Step
from gardien.model.release import Change, Replaced
from gardien.model.stack import Stack
from gardien.rules import plans
from gardien.words import N_, Words

VERSION = "{VERSION}"  # in what a manifest says: the version that is led to
# The backup's own steps; people stay out after it, so it is neither tidied up nor resumed before all stops.
_LIVE, _STILL = ("ready", "live"), ("pause", "dump", "final", "send", "confirm")


def update(  # noqa: PLR0917
    stack: Stack,
    change: Change,
    rules: UpdateRules,
    target: str,
    leases: tuple[str, ...],
    watched: int,
    **facts: Json,
) -> Plan:
    """One step to another version, with a backup to `target` in it.

    A job that died goes on from `up` on, and is undone before. `leases`: of the stacks that have to do with it.
    `watched`: for how many seconds the new version is watched. `facts`: what else its job must know.
    """
    saved = {step.name: step for step in plans.backup_steps(stack, target)}
    all_facts: dict[str, Json] = {
        **facts,
        "target": target,
        "moment": False,
        "key": change.key,
        "images": dict(change.images),
        "former": dict(change.former),
        "version": change.text,
        "former_version": change.former_text,
        "tag": change.tag,
        "digest": change.digest,
        "jump": change.jump,
    }
    steps = (
        Step("check", Words.of(N_("See that there is room for it, and that nobody is in the middle of something"))),
        Step(
            "images",
            Words.of(N_("Fetch all new programs, before anything stops")),
            details=tuple(f"{change.former[name]} -> {image}" for name, image in change.images.items()),
        ),
        *(saved[name] for name in _LIVE),
        Step(
            "close",
            Words.of(N_("Close the door: what people would write from now on might be lost")),
            Words.of(N_("Open the door again")),
        ),
        *(saved[name] for name in _STILL),
        Step(
            "down",
            Words.of(N_("Stop the application, its background jobs first")),
            Words.of(N_("Start the application again as it was")),
            (
                *((f"docker compose stop {' '.join(rules.stop_first)}",) if rules.stop_first else ()),
                "docker compose stop",
            ),
        ),
        Step(
            "write",
            Words.of(N_("Write the new programs down")),
            Words.of(N_("Write the former programs down again")),
            tuple(f"{name}: {image}" for name, image in change.images.items()),
        ),
        Step(
            "up",
            Words.of(N_("Start the new version")),
            Words.of(N_("Bring the data of before back, from the backup that was just made, and the former programs")),
        ),
        Step(
            "gate",
            Words.of(
                N_("Wait until the application itself says that it is well, and that it is {version}"),
                version=change.text,
            ),
        ),
        Step(
            "after",
            Words.of(N_("Do what belongs to a new version, and start the background jobs")),
            details=(
                *(action.words for action in rules.after),
                *((f"start {' '.join(rules.stop_first)}",) if rules.stop_first else ()),
            ),
        ),
        Step("watch", Words.of(N_("Watch it for {took}"), took=watched)),
        Step("settle", Words.of(N_("Clear up; the backup of before stays, and for some days the former programs"))),
    )
    leases = tuple(dict.fromkeys((*leases, f"stack:{stack.name}", f"repository:{target}")))
    return Plan("update", stack.name, steps, leases, onward="up", facts=all_facts)


def of_version(probe: Probe, version: str) -> Probe:
    """The question whether it is that version: `{VERSION}` in the texts it expects, and in its body as it is."""
    expect = probe.expect
    json = {
        key: each.replace(VERSION, version) if isinstance(each, str) else each for key, each in expect.json_.items()
    }
    body = expect.body.replace(VERSION, re.escape(version)) if expect.body is not None else None
    argv = tuple(word.replace(VERSION, version) for word in probe.argv)
    return probe.model_copy(update={"expect": expect.model_copy(update={"json_": json, "body": body}), "argv": argv})


# -- from the journal


def last_update(jobs: Sequence[Job]) -> Replaced | None:
    """`jobs`: all of a stack, newest first. None once something was brought back after it, or there was none."""
    for job in jobs:
        if job.plan.kind == "restore" and job.state == "done":
            return None
        if job.plan.kind == "update" and job.state == "done" and job.ended is not None:
            facts = job.facts
            taken, away = facts.get("taken"), facts.get("away")
            return Replaced(
                job=job.id,
                stack=job.plan.subject,
                key=str(facts["key"]),
                tag=str(facts["tag"]),
                digest=str(facts["digest"]),
                version=str(facts["version"]),
                former=str(facts["former_version"]),
                snapshot=str(facts["final"]),
                target=str(facts["target"]),
                taken=datetime.fromisoformat(taken) if isinstance(taken, str) else None,
                ended=job.ended,
                away=float(away) if isinstance(away, int | float) else None,
            )
    return None


def removable(jobs: Sequence[Job], in_use: Set[str], now: datetime, keep: timedelta) -> list[str]:
    """Images that no stack runs, no job under way wants and no way back needs: of updates alone, never somebody else's.

    `jobs`: updates of all stacks. What one replaced stays for `keep`; what did not work goes at once.
    """
    needed, gone = set(in_use), set[str]()
    for job in jobs:
        new, former = _images(job, "images"), _images(job, "former")
        if not job.over or job.state == "stuck":
            needed |= new | former
        elif job.state != "done":
            gone |= new
        elif job.ended is not None and now - job.ended >= keep:
            gone |= former
        else:
            needed |= former
    return sorted(gone - needed)


def needed(jobs: Sequence[Job], now: datetime, keep: timedelta) -> frozenset[str]:
    """The backups to which updates can go back: those under way, and those that stayed, for `keep`."""
    lately = (job for job in jobs if job.ended is None or now - job.ended < keep)
    return frozenset(str(job.facts["final"]) for job in lately if "final" in job.facts)


def _images(job: Job, fact: str) -> set[str]:
    value = job.facts.get(fact, job.plan.facts.get(fact))
    return {str(each) for each in value.values()} if isinstance(value, dict) else set()

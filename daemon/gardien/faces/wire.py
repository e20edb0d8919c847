"""What the JSON API says: every value of the model as plain data, once, with its sentences in the reader's language.

Times are ISO 8601 in UTC, sizes are bytes, durations seconds. What is not known is null.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from gardien.errors import GardienError
from gardien.faces import history, present, rescued, wire_kit, wire_proofs, wire_updates
from gardien.model.fault import Faults
from gardien.model.health import Alert, Disk, StackHealth
from gardien.model.job import Job, Progress
from gardien.model.letter import Letter
from gardien.model.operator import Operator
from gardien.model.overview import Overview, PlaceView, StackView
from gardien.model.plan import Plan, Step
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Stack
from gardien.model.target import TargetView
from gardien.services.backup import shrunk
from gardien.services.upkeep import Proposal
from gardien.words import Words

Data = dict[str, object]
MB = 1_000_000

# The HTTP status of each error code; what is not listed is 500.
STATUS: Mapping[str, int] = MappingProxyType(
    {
        "bad-input": 400,
        "not-found": 404,
        "refused": 409,
        "busy": 409,
        "port-taken": 409,
        "repository-missing": 409,
        "repository-locked": 409,
        "wrong-passphrase": 409,
        "incomplete": 409,
        "damaged": 409,
        "not-healthy": 409,
        "update-failed": 409,
        "dump-broken": 409,
        "docker-down": 503,
        "disk-missing": 503,
        "target-unreachable": 503,
        "mail-failed": 503,
        "registry-failed": 503,
        "registry-busy": 503,
        "memory-failed": 503,
        "target-refuses": 503,
        "no-space": 507,
        "target-full": 507,
    }
)


def moment(at: datetime | None) -> str | None:
    """`2026-03-01T02:41:07+00:00`."""
    return at.astimezone(UTC).isoformat(timespec="seconds") if at else None


def said(words: Words | None, language: str) -> str | None:
    """The sentence, or null."""
    return present.say(words, language) if words else None


def error(error: GardienError, language: str) -> Data:
    """An error: its code for programs, its sentences said and as they were made, and each mistake if there are many."""
    data: Data = {
        "code": error.code,
        "says": present.say(error.says, language),
        "remedy": present.say(error.remedy, language),
        "detail": error.detail,
        "words": {"says": error.says.as_json(), "remedy": error.remedy.as_json()},
    }
    if isinstance(error, Faults):
        data["faults"] = [
            {
                "file": str(fault.file) if fault.file else None,
                "line": fault.line or None,
                "path": fault.path,
                "says": present.say(fault.says, language),
                "remedy": present.say(fault.remedy, language),
            }
            for fault in error.faults
        ]
    return data


def health(health: StackHealth, language: str) -> Data:
    """A stack's health: `health` for programs, `state` for people."""
    return {
        "health": health.health,
        "state": present.translate(present.HEALTH[health.health], language),
        "says": present.say(health.says, language),
        "since": moment(health.since),
        "seen": moment(health.seen),
    }


def disk(disk: Disk) -> Data:
    """A file system."""
    fault = disk.fault or None
    return {"path": disk.path, "total": disk.total, "free": disk.free, "present": disk.present, "fault": fault}


def alert(alert: Alert, language: str) -> Data:
    """An alert, open while `closed` is null."""
    return {
        "id": alert.id,
        "key": alert.key,
        "severity": alert.severity,
        "says": present.say(alert.says, language),
        "remedy": present.say(alert.remedy, language),
        "opened": moment(alert.opened),
        "closed": moment(alert.closed),
        "known": moment(alert.known),
        "asleep": moment(alert.asleep),
    }


def letter(letter: Letter, language: str) -> Data:
    """A letter without its text; `error` says why it was not sent yet."""
    return {
        "id": letter.id,
        "way": letter.way,
        "subject": letter.text.subject,
        "written": moment(letter.written),
        "sent": moment(letter.sent),
        "tries": letter.tries,
        "next_try": moment(letter.next_try),
        "error": said(letter.error, language),
    }


def snapshot(snapshot: Snapshot, language: str) -> Data:
    """A backup; `why` says why it does not count, if it is not good."""
    return {
        "id": snapshot.id,
        "stack": snapshot.stack,
        "target": snapshot.target,
        "taken": moment(snapshot.taken),
        "files": snapshot.files,
        "bytes": snapshot.bytes,
        "added": snapshot.added,
        "pause_seconds": snapshot.pause_seconds,
        "good": snapshot.good,
        "why": said(snapshot.why, language),
        "version": snapshot.version,
        "state": history.standing(snapshot),
        "acceptable": shrunk(snapshot),
        "copy_of": snapshot.original,
    }


def snapshot_in_full(found: Snapshot, others: Iterable[Snapshot], stays: Sequence[str], language: str) -> Data:
    """One backup with all that is known of it. `others`: all of its stack; `stays`: why retention keeps it."""
    first = found.original or found.id
    same = [each for each in others if first in (each.id, each.original) and each.id != found.id]
    return {
        **snapshot(found, language),
        "missed": list(found.missed),
        "elsewhere": [{"target": each.target, "id": each.id, "good": each.good} for each in same],
        "stays": reasons(stays, language),
        "goes": not stays,
    }


def reasons(stays: Sequence[str], language: str) -> list[Data]:
    """Why a backup stays: `rule` for programs, `says` for people."""
    return [{"rule": each, "says": present.translate(present.STAYS[each], language)} for each in stays]


def proposal(proposal: Proposal, language: str) -> Data:
    """What retention would do with the backups of one stack; `frozen` says why it does nothing."""
    return {
        "stack": proposal.stack,
        "frozen": said(proposal.ruling.frozen, language),
        "snapshots": [
            {**snapshot(each, language), "stays": reasons(stays, language), "goes": not stays}
            for each in proposal.snapshots
            for stays in [history.stays(each, proposal)]
        ],
    }


def progress(progress: Progress) -> Data:
    """How far the present step is."""
    return {
        "fraction": round(progress.fraction, 4),
        "bytes_done": progress.bytes_done,
        "bytes_total": progress.bytes_total,
        "files_done": progress.files_done,
        "files_total": progress.files_total,
        "per_second": progress.per_second,
        "seconds_left": progress.seconds_left,
    }


def step(step: Step, language: str) -> Data:
    """A step of a plan; `undo` is null where there is nothing to take back."""
    return {
        "name": step.name,
        "says": present.say(step.says, language),
        "undo": said(step.undo, language),
        "details": list(step.details),
    }


def plan(plan: Plan, language: str) -> Data:
    """What a job would do."""
    subject = "target" if plan.kind in present.OF_TARGETS else "stack"
    return {"kind": plan.kind, subject: plan.subject, "steps": [step(each, language) for each in plan.steps]}


def job(job: Job, language: str, now: Progress | None = None, titles: Mapping[str, str] | None = None) -> Data:
    """A job with its steps. `now` is how far its present step is; `titles` are what people call the stacks."""
    records = {record.name: record for record in job.steps}
    steps: list[Data] = []
    for each in job.plan.steps:
        record = records.get(each.name)
        steps.append(
            {
                **step(each, language),
                "state": record.state if record else "waiting",
                "began": moment(record.began) if record else None,
                "ended": moment(record.ended) if record else None,
            }
        )
    at = job.present_step
    return {
        "id": job.id,
        "kind": job.plan.kind,
        "stack": present.stack_of(job),
        "target": present.target_of(job),
        "title": present.job_title(job, language, titles),
        "state": job.state,
        "state_says": present.translate(present.JOB_STATE[job.state], language),
        "over": job.over,
        "step": at.name if at else None,
        "steps": steps,
        "progress": progress(now) if now else None,
        "attempts": job.attempts,
        "created": moment(job.created),
        "started": moment(job.started),
        "ended": moment(job.ended),
        "says": said(job.says, language),
        "remedy": said(job.remedy, language),
        "code": job.code,
        "detail": job.detail,
    }


def stack_view(view: StackView, language: str) -> Data:
    """One stack of this house, as the home page has it."""
    return {
        "name": view.name,
        "title": view.title.say(language),
        "summary": view.summary.say(language),
        "address": view.address,
        "kept": view.kept,
        "drift": [present.say(each, language) for each in view.drift],
        "trials": wire_proofs.trials(view.trials, language),
        "rescue": rescued.as_json(view, language),
        "updates": [wire_updates.change(each, language) for each in view.news.offered],
        "health": health(view.health, language),
        "newest_good": snapshot(view.newest_good, language) if view.newest_good else None,
        "newest": snapshot(view.newest, language) if view.newest else None,
        "late": view.late,
        "next_backup": moment(view.next_backup),
        "places": [place(each, language) for each in view.places],
    }


def place(view: PlaceView, language: str) -> Data:
    """The backups of one stack at one target; `missed` are the times of late that brought no good one."""
    return {
        "target": view.target,
        "newest_good": snapshot(view.newest_good, language) if view.newest_good else None,
        "newest": snapshot(view.newest, language) if view.newest else None,
        "late": view.late,
        "next_run": moment(view.next_run),
        "missed": [moment(each) for each in view.missed],
    }


def operator(operator: Operator, language: str) -> Data:
    """Who runs a target, as far as gardien knows."""
    return {
        "name": operator.name,
        "country": operator.country,
        "data_country": operator.data_country,
        "european": operator.european,
        "says": present.say(operator.says, language),
    }


def target(view: TargetView, language: str) -> Data:
    """A place where backups go, and how it was looked after."""
    care = view.care
    return {
        "name": view.name,
        "kind": view.kind,
        "address": view.address,
        "operator": operator(view.operator, language),
        "copy_of": view.copy_of,
        "append_only": view.append_only,
        "can_delete": view.can_delete,
        "ready": view.ready,
        "next_run": moment(view.next_run),
        "newest_good": {stack: moment(at) for stack, at in view.newest_good.items()},
        "checked": moment(care.checked),
        "problems": list(care.problems),
        "oldest_read": moment(care.oldest_read),
        "forgot": moment(care.forgot),
        "frozen": said(care.frozen, language),
        "pruned": moment(care.pruned),
        "lost": care.lost,
    }


def stack(view: StackView, stack: Stack, language: str) -> Data:
    """One stack with what was chosen for it, and what follows from the machine. Secrets are never part of it."""
    derived = stack.manifest.derived
    return {
        **stack_view(view, language),
        "printed": list(view.rescue.lines),
        "wanted": stack.chosen.wanted,
        "settings": stack.settings,
        "given": {name: value for name, value in stack.given.items() if name not in derived},
        "derived": {name: value for name, value in stack.given.items() if name in derived},
        "images": stack.images,
        "services": sorted(stack.recipe.services),
        "project": stack.project,
        "folder": str(stack.home),
        "compose": str(stack.compose),
    }


def offer(stack: Stack, language: str) -> Data:
    """A stack that can be added, what it asks, and what it would take: bytes of memory, of disk, and to be fetched."""
    manifest = stack.manifest
    needs = manifest.needs
    return {
        "name": stack.name,
        "title": manifest.title.say(language),
        "summary": manifest.summary.say(language),
        "kept": stack.recipe.kept,
        "door": manifest.door is not None,
        "doorless": doorless(stack),
        "settings": [
            {
                "name": name,
                "kind": setting.kind,
                "default": stack.settings[name],
                "ask": setting.ask.say(language),
                "choices": {value: meaning.say(language) for value, meaning in setting.choices.items()},
            }
            for name, setting in manifest.settings.items()
        ],
        "images": dict(stack.recipe.image_defaults),
        "needs": {name: size * MB for name, size in needs.model_dump().items()} if needs else None,
    }


def doorless(stack: Stack) -> bool:
    """Whether people would open it through the house's door, and there is none."""
    return stack.doorless and bool(stack.manifest.routes)


def first_login(found: Mapping[str, str], stack: Stack, language: str) -> Data:
    """What its owner needs to come in, by name; `says` tells what those are that are not a user or a password."""
    told = stack.manifest.first_login
    says = {name: told[name].says.say(language) for name in found if name in told}
    return {**found, "says": says, "doorless": doorless(stack)}


def overview(overview: Overview, language: str) -> Data:
    """The state of the house."""
    titles = {view.name: view.title.say(language) for view in overview.stacks}
    return {
        "severity": overview.severity,
        "says": present.say(overview.says, language),
        "now": moment(overview.now),
        "seen": moment(overview.seen),
        "stacks": [stack_view(view, language) for view in overview.stacks],
        "targets": [target(each, language) for each in overview.targets],
        "disks": [disk(each) for each in overview.disks],
        "jobs": [job(view.job, language, view.progress, titles) for view in overview.jobs],
        "recent": [job(each, language, None, titles) for each in overview.recent],
        "alerts": [alert(each, language) for each in overview.alerts],
        "kits": [wire_kit.view(each) for each in overview.kits],
    }

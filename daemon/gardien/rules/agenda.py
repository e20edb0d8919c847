"""When the next run of something is due: at its time, once after days off, and again after a failure that may pass."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gardien.model.job import Job
from gardien.rules import schedule

MADE_WAY = "made-way"  # the code of a job that ended because another one needed what it held

# What no second try mends: somebody has to do something first. The next regular time asks again.
_LASTING = frozenset({"refused", "target-refuses", "wrong-passphrase", "repository-missing", "bad-input", "not-found"})
_OF_THE_BACKUP = frozenset({"damaged", "dump-broken", "not-healthy", "command-failed"})  # a trial restore found it bad
_PAUSES = (timedelta(minutes=10), timedelta(minutes=30), timedelta(hours=1), timedelta(hours=3))


def following(at: str, since: datetime, jobs: Sequence[Job], zone: ZoneInfo, seed: str) -> datetime | None:
    """When to run next what has been there `since`; `jobs` are its runs, newest first. None: it is under way.

    A time in the past is a run that is owed now: one, however many were missed.
    """
    last = jobs[0] if jobs else None
    if last is not None and not last.over:
        return None
    begin = max(since, last.created) if last is not None else since
    moment = schedule.following(at, begin, zone)
    regular = moment + schedule.spread(at, moment, zone, seed)
    soon = again(jobs)
    return min(regular, soon) if soon is not None else regular


def again(jobs: Sequence[Job]) -> datetime | None:
    """When to try once more after the newest of these runs; None if it is over and done with."""
    if not jobs or not jobs[0].over:
        return None
    last, ended = jobs[0], jobs[0].ended or jobs[0].created
    if last.code == MADE_WAY:
        return ended + timedelta(minutes=1)
    if last.plan.kind == "drill" and last.code in _OF_THE_BACKUP and _failures(jobs) > 1:
        return None  # fetching all of it once more tells nothing new
    if last.plan.kind == "check" and last.code == "damaged":
        return None  # it did what it should: to read it all again within minutes tells nothing new
    if last.state == "interrupted" or (last.state == "failed" and last.code not in _LASTING):
        failures = _failures(jobs)
        if last.code == "incomplete" and failures > 1:
            return None  # each try pauses the application: once more is enough before the next regular time
        return ended + _PAUSES[min(failures, len(_PAUSES)) - 1]
    return None


def _failures(jobs: Sequence[Job]) -> int:
    """How many in a row."""
    return next((number for number, job in enumerate(jobs) if not _failed(job)), len(jobs))


def _failed(job: Job) -> bool:
    return job.state in {"failed", "interrupted"}

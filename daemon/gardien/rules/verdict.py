"""One sentence on the state of the house, and the alerts that are owed."""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta

from gardien.model.health import Alert, Severity
from gardien.model.job import Job
from gardien.model.letter import Letter
from gardien.model.overview import StackView
from gardien.model.target import TargetView
from gardien.rules.letters import UNSENT_FOR
from gardien.words import N_, Words

CHECKED_WITHIN = timedelta(days=15)  # twice a week's time, and a day
READ_WITHIN = timedelta(days=36)  # four weeks, and one that was missed
LETTERS = "letters"  # the key of the alert that letters do not arrive
CLEARED_WITHIN = timedelta(days=7)
UNRESTORABLE = frozenset({"damaged", "dump-broken", "not-healthy", "bad-input"})  # the backup itself is at fault
SAID_FOR = timedelta(days=14)
TAKEN_BACK = "update-failed"


@dataclass(frozen=True, slots=True)
class Owed:
    """An alert that should be open now."""

    key: str
    severity: Severity
    says: Words
    remedy: Words


def owed(
    stacks: Sequence[StackView],
    targets: Sequence[TargetView],
    *,
    now: datetime,
    docker_answers: bool,
    last_jobs: Sequence[Job],
    house: Sequence[Owed] = (),
) -> list[Owed]:
    """`last_jobs`: for each subject and kind the newest job that ended. `house`: what others found."""
    alerts: list[Owed] = list(house)
    if not docker_answers:
        alerts.append(
            Owed(
                "docker",
                "trouble",
                Words.of(N_("Docker does not answer, so nothing runs")),
                Words.of(N_("Restart the machine. If that does not help, ask the person who helps you.")),
            )
        )
    copies = {target.name for target in targets if target.copy_of is not None}
    for stack in stacks:
        alerts += _of_backups(stack, copies)
        alerts += _of_trials(stack)
    for target in targets:
        alerts += _of_target(target, now)
    alerts += [
        Owed(
            f"drift:{stack.name}",
            "notice",
            Words.of(
                N_("{stack} runs otherwise than it was set up: {what}"), stack=stack.title.given, what=stack.drift[0]
            ),
            Words.of(N_("If nobody meant it: `gardien stack mend {stack}`."), stack=stack.name),
        )
        for stack in stacks
        if stack.drift
    ]
    alerts += [
        Owed(
            _alert_key(job),
            "trouble" if job.state == "stuck" else "notice",
            job.says or Words.of(N_("something failed")),
            job.remedy or Words.of(""),
        )
        for job in last_jobs
        if _needs_a_word(job, now)
    ]
    return alerts


def _alert_key(job: Job) -> str:
    """Each version that was taken back has an alert of its own: one letter for each, and no more."""
    if job.code == TAKEN_BACK and job.state == "failed":
        return f"update:{job.plan.subject}:{job.id}"
    return ":".join(["job", *job_key(job)])


def _needs_a_word(job: Job, now: datetime) -> bool:
    """Whoever asked for a job was told when it failed; a nightly backup was asked for by nobody, and a job that could
    not even be undone concerns everybody, as does a version that did not work, for a while.
    """
    if job.plan.kind == "update" and job.state == "failed":
        asked = not job.plan.facts.get("by_itself") or job.code == "busy"
        lately = job.ended is not None and now - job.ended < SAID_FOR
        return lately and (job.code == TAKEN_BACK or not asked)
    by_itself = job.plan.kind in {"backup", "copy", "check", "forget", "prune", "proof", "rekey"}
    # What was refused, its owner knows; damage has an alert of its own, which stays until it is mended.
    return job.state == "stuck" or (by_itself and job.state == "failed" and job.code not in {"refused", "damaged"})


def job_key(job: Job) -> tuple[str, ...]:
    """What tells the kinds of jobs apart, of which the newest counts: a backup elsewhere does not make up for one."""
    target = job.plan.facts.get("target")
    return (job.plan.kind, job.plan.subject, *([str(target)] if job.plan.kind == "backup" and target else []))


def _of_backups(stack: StackView, copies: Set[str]) -> list[Owed]:
    """That the newest good backup is too old, at each target where it is."""
    late = [place.target for place in stack.places if place.late]
    if stack.late and not stack.places:
        return [
            Owed(
                f"backup-late:{stack.name}",
                "trouble",
                Words.of(N_("{stack} has not been saved for too long"), stack=stack.title.given),
                Words.of(N_("Nothing is saved without a backup target: `gardien target add` sets one up.")),
            )
        ]
    return [
        Owed(
            f"backup-late:{stack.name}:{target}",
            "trouble",
            Words.of(N_("{stack} has not been saved at {target} for too long"), stack=stack.title.given, target=target),
            Words.of(N_("Copy it now: `gardien backup copy {target}`; it says what is in the way."), target=target)
            if target in copies
            else Words.of(
                N_("Back it up now: `gardien backup create {stack} --target {target}`; it says what is in the way."),
                stack=stack.name,
                target=target,
            ),
        )
        for target in late
    ]


def _of_trials(stack: StackView) -> list[Owed]:
    """That its newest backup was tried and did not come back; that none was proven for too long."""
    trials, alerts = stack.trials, []
    if (failed := trials.failed) is not None:
        alerts.append(
            Owed(
                f"drill:{stack.name}",
                "trouble" if failed.code in UNRESTORABLE else "notice",
                failed.says
                if failed.code in UNRESTORABLE
                else Words.of(
                    N_("the newest backup of {stack} could not be tried: {why}"),
                    stack=stack.title.given,
                    why=failed.says,
                ),
                failed.remedy,
            )
        )
    if trials.late:
        why = trials.tried.says if trials.tried is not None and trials.tried.outcome != "proven" else None
        alerts.append(
            Owed(
                f"unproven:{stack.name}",
                "notice",
                Words.of(N_("for two weeks no backup of {stack} was proven to come back"), stack=stack.title.given)
                if why is None
                else Words.of(
                    N_("for two weeks no backup of {stack} was proven to come back: {why}"),
                    stack=stack.title.given,
                    why=why,
                ),
                Words.of(N_("Try it now: `gardien drill {stack}`; it says what is in the way."), stack=stack.name),
            )
        )
    return alerts


def _of_target(target: TargetView, now: datetime) -> list[Owed]:
    """What is wrong with a repository, or was not done there for too long."""
    name, care = target.name, target.care
    if not target.ready or care.ready is None:
        return [
            Owed(
                f"target:{name}",
                "notice",
                Words.of(N_("the backup target {target} is not ready"), target=name),
                Words.of(N_("`gardien target test {target}` says what is missing."), target=name),
            )
        ]
    alerts = []
    if care.problems:
        alerts.append(
            Owed(
                f"damaged:{name}",
                "trouble",
                Words.of(N_("backups at {target} are damaged"), target=name),
                Words.of(
                    N_(
                        "Back up to another target now, and ask the person who helps you. "
                        "`gardien backup check {target}` tells more."
                    ),
                    target=name,
                ),
            )
        )
    if care.lost:
        alerts.append(
            Owed(
                f"lost:{name}",
                "trouble",
                Words.of(
                    N_("{count} backups that were at {target} are not there any more"), count=care.lost, target=name
                ),
                Words.of(
                    N_("Nobody here took them away. Ask the host, and look who else has its key; change it if unsure.")
                ),
            )
        )
    unread = not care.problems and now - (care.oldest_read or care.ready) > READ_WITHIN
    if unread or now - (care.checked or care.ready) > CHECKED_WITHIN:
        alerts.append(
            Owed(
                f"check-late:{name}",
                "notice",
                Words.of(N_("the backups at {target} have not been checked for too long"), target=name),
                Words.of(N_("Check them now: `gardien backup check {target}`."), target=name),
            )
        )
    clears = not target.append_only and target.can_delete is not False
    if clears and now - (care.forgot or care.ready) > CLEARED_WITHIN:
        why = care.frozen or Words.of(N_("it did not come to an end"))
        alerts.append(
            Owed(
                f"retention:{name}",
                "notice",
                Words.of(N_("no old backups were cleared out at {target} for a week: {why}"), target=name, why=why),
                Words.of(
                    N_("Nothing is lost. `gardien backup forget {target} --dry-run` shows what waits."), target=name
                ),
            )
        )
    return alerts


def of_clock(wrong: bool) -> list[Owed]:
    """A machine without a clock of its own begins in the past after a power cut."""
    if not wrong:
        return []
    return [
        Owed(
            "clock",
            "trouble",
            Words.of(N_("this machine's clock is wrong")),
            Words.of(N_("It sets itself once it reaches the internet. Until then no old backup is cleared out.")),
        )
    ]


def of_new_beginning(began: datetime | None, now: datetime) -> list[Owed]:
    """`began`: when gardien's own memory was found damaged and begun anew; that is said for two weeks."""
    if began is None or now - began > SAID_FOR:
        return []
    return [
        Owed(
            "memory-lost",
            "notice",
            Words.of(
                N_("gardien's own memory was damaged, and it began a new one: its history is gone, nothing of yours")
            ),
            Words.of(
                N_(
                    "Your applications and backups are untouched. Make yourself a new login: `gardien user link`. Look "
                    "at the disk: this can be the first sign that it fails."
                )
            ),
        )
    ]


def of_page_certificate(renewed: datetime | None, now: datetime) -> list[Owed]:
    """`renewed`: when the page's own certificate took the place of one that browsers knew."""
    if renewed is None or not timedelta() <= now - renewed <= SAID_FOR:
        return []
    return [
        Owed(
            "page-certificate",
            "notice",
            Words.of(
                N_("this page shows a new certificate, because the old one was about to end or the names changed")
            ),
            Words.of(
                N_(
                    "Each browser warns once more. Go on if it shows the fingerprint that `gardien certificate --page` "
                    "tells at the machine itself; if it shows another, somebody is between you and this page."
                )
            ),
        )
    ]


def of_letters(waiting: Sequence[Letter], now: datetime) -> list[Owed]:
    """Nobody can be written to: then the page alone says so."""
    late = {each.way: each.error for each in waiting if each.error is not None and now - each.written > UNSENT_FOR}
    owed = []
    if (error := late.get("mail")) is not None:
        says = Words.of(N_("letters cannot be sent: {why}"), why=error)
        remedy = N_("`gardien alert test` says what is wrong. What is written waits, and is sent once it can be.")
        owed.append(Owed(LETTERS, "trouble", says, Words.of(remedy)))
    if (error := late.get("second")) is not None:
        says = Words.of(N_("the second way to reach you does not work: {why}"), why=error)
        remedy = N_("`gardien alert test --second` says what is wrong.")
        owed.append(Owed("second-way", "notice", says, Words.of(remedy)))
    return owed


def sentence(stacks: Sequence[StackView], alerts: Sequence[Alert]) -> tuple[Severity, Words]:
    """What a person reads first."""
    troubles = [alert for alert in alerts if alert.severity == "trouble"]
    if troubles:
        return "trouble", Words.of(N_("Something needs you: {what}."), what=troubles[0].says)
    if not stacks:
        return "calm", Words.of(N_("gardien is ready; no application has been added yet."))
    if any(stack.health.health == "unknown" for stack in stacks):
        return "notice", Words.of(N_("gardien has just started and is looking around."))
    if alerts:
        return "notice", Words.of(N_("Everything runs; one thing wants a look: {what}."), what=alerts[0].says)
    if any(stack.health.health in ("starting", "paused") for stack in stacks):
        return "notice", Words.of(N_("Something is being done; all will be back in a moment."))
    if any(stack.newest_good is None and stack.kept for stack in stacks):
        return "notice", Words.of(N_("Everything runs; not everything has been saved yet."))
    if unkept := [stack for stack in stacks if not stack.kept]:
        return "notice", Words.of(N_("Everything runs; {stack} is not backed up."), stack=unkept[0].title.given)
    if any(stack.health.health == "stopped" for stack in stacks):
        return "calm", Words.of(N_("Everything that is switched on runs, and everything is saved."))
    return "calm", Words.of(N_("Everything runs, and everything is saved."))


def of_memory_limits(kernel_has_them: bool) -> list[Owed]:
    """A Raspberry Pi may come with the kernel's memory control off: one application could then starve all others."""
    if kernel_has_them:
        return []
    return [
        Owed(
            "memory-limits",
            "notice",
            Words.of(N_("this machine cannot limit how much memory an application takes")),
            Words.of(
                N_(
                    "Add `cgroup_enable=memory cgroup_memory=1` to the one line of /boot/firmware/cmdline.txt, then "
                    "restart the machine."
                )
            ),
        )
    ]

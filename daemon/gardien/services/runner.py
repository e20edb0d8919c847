"""Carries out plans: written down first, step by step, undone or finished after a crash, a kill, a power cut.

The order of writes is the promise: a job is in the journal before its first step, a step is `begun` in the journal
before it has an effect, and `done` after. So whatever moment the power goes, the journal names every step that may
have had an effect, and each of those can be run again or taken back.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gardien.errors import GardienError, NotFound, Refused, unexpected
from gardien.model.job import Job, JobState, Progress, StepRecord
from gardien.model.plan import GIVES_WAY, PRIORITY, STAYS, Json, Kind, Plan
from gardien.rules.agenda import MADE_WAY
from gardien.services.feed import Feed
from gardien.services.ports import Clock, Store
from gardien.words import N_, Value, Words

log = logging.getLogger(__name__)

Moment = Literal["begun", "ran"]
# Kind, step ("undo-…", "back-…" on the way back), moment: where a test pulls the plug.
OnPoint = Callable[[str, str, Moment], None]
Held = Callable[[], Awaitable[bool]]  # whether nothing may begin now: gardien itself is being updated

UNDO_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)  # seconds between tries of an undo
HELD = 1.0  # seconds between two looks whether jobs may begin
MOST_ATTEMPTS = 3  # a job that dies this often is undone instead of resumed


@dataclass(slots=True)
class Run:
    """What a step is given: its job's facts, and ways to remember, to report and to say how it ended."""

    job: int
    plan: Plan
    facts: dict[str, Json]
    _remember: Callable[[Mapping[str, Json]], Awaitable[None]]
    _report: Callable[[Progress], None]
    on_point: Callable[[str, Moment], None]  # of what is a step within one
    says: Words | None = None
    seen: dict[str, object] = field(default_factory=dict)  # for this run only; gone after a crash

    async def remember(self, **facts: Json) -> None:
        """Put facts on disk now, before the effect they speak of."""
        self.facts.update(facts)
        await self._remember(facts)

    def report(self, progress: Progress) -> None:
        self._report(progress)

    def done(self, says: str, **values: Value) -> None:
        """The sentence the job ends on, if nothing goes wrong after this."""
        self.says = Words(says, values)

    def text(self, fact: str) -> str:
        """A fact that must be there, as text."""
        return str(self.facts[fact])


Do = Callable[[Run], Awaitable[None]]


class Work(Protocol):
    """What a kind of job can do: for each step's name a do, and an undo where the plan promises one."""

    @property
    def do(self) -> Mapping[str, Do]: ...
    @property
    def undo(self) -> Mapping[str, Do]: ...
    async def heal(self, run: Run) -> None:
        """After a crash, before anything is undone or resumed: clear away what the dead process held."""
        ...


class Runner:
    """One per daemon. Jobs wait for their leases by priority, then by age."""

    def __init__(
        self, store: Store, clock: Clock, feed: Feed, on_point: OnPoint | None = None, held: Held | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._feed = feed
        self._on_point: OnPoint = on_point or (lambda kind, step, moment: None)
        self._held_up = held
        self._waits: asyncio.Task[None] | None = None
        self._works: dict[str, Work] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._held: dict[int, frozenset[str]] = {}
        self._progress: dict[int, Progress] = {}
        self._cancelled: set[int] = set()
        self._patient: set[int] = set()  # jobs under way that others need not wait for
        self._made_way: set[int] = set()
        self._over = asyncio.Condition()
        self._dispatching = asyncio.Lock()
        self._stopping = False

    def teach(self, kind: str, work: Work) -> None:
        """Say how jobs of `kind` are done."""
        self._works[kind] = work

    # -- asked by the use cases and the faces

    async def submit(self, plan: Plan) -> int:
        """Write the plan down and queue it; returns the job's number."""
        if self._stopping:
            raise Refused(N_("gardien is shutting down"), N_("Try again once it runs again."))
        work = self._works[plan.kind]
        missing = [step.name for step in plan.steps if step.name not in work.do]
        missing += [step.name for step in plan.steps if step.undo and step.name not in work.undo]
        assert not missing, f"{plan.kind}: no one knows how to do {missing}"
        job = await self._store.add_job(plan, self._clock())
        self._feed.changed("job")
        await self._dispatch()
        return job

    async def job(self, job: int) -> Job:
        """Raises NotFound."""
        found = await self._store.job(job)
        if found is None:
            raise NotFound(N_("there is no job number {job}"), N_("`gardien job list` shows them."), job=job)
        return found

    async def jobs(
        self, most: int = 50, *, kind: Kind | None = None, subject: str | None = None, before: int | None = None
    ) -> list[Job]:
        """Newest first; `before`: with smaller numbers."""
        return await self._store.jobs(kind=kind, subject=subject, before=before, most=most)

    async def took(self, kind: Kind, subject: str) -> float | None:
        """How many seconds the newest such job of the last few took that was done; None if there is none."""
        for job in await self._store.jobs(kind=kind, subject=subject, most=5):
            if job.state == "done" and job.started is not None and job.ended is not None:
                return (job.ended - job.started).total_seconds()
        return None

    def progress(self, job: int) -> Progress | None:
        """How far the present step of a running job is."""
        return self._progress.get(job)

    async def wait(self, job: int) -> Job:
        """Until the job is over."""
        async with self._over:
            while True:
                found = await self.job(job)
                if found.over:
                    return found
                await self._over.wait()

    async def cancel(self, job: int) -> None:
        """Undo the job. Returns at once; `wait` for the end. Raises NotFound, Refused."""
        found = await self.job(job)
        if found.over:
            raise Refused(N_("job number {job} is over already"), N_("There is nothing to cancel."), job=job)
        if found.state == "undoing":
            raise Refused(N_("job number {job} is being undone already"), N_("Wait for its end."), job=job)
        task = self._tasks.get(job)
        if task is None:
            await self._end(job, "cancelled", Words.of(N_("cancelled before it began; nothing was changed")))
            return
        self._patient.discard(job)
        self._cancelled.add(job)
        task.cancel()

    # -- asked by the composition root

    async def recover(self) -> None:
        """At start: finish or undo what a former life left, then take up the queue."""
        for job in await self._store.jobs(open_only=True):
            if job.state == "queued" or job.id in self._tasks:
                continue
            self._held[job.id] = frozenset(job.plan.leases)
            self._tasks[job.id] = asyncio.create_task(self._pick_up(job), name=f"job-{job.id}")
        for job_id in set((await self._store.leases()).values()):
            if job_id not in self._held:
                await self._store.drop_leases(job_id)
        await self._dispatch()

    async def stop(self) -> None:
        """Undo what runs, and start nothing more."""
        self._stopping = True
        if self._waits is not None:
            self._waits.cancel()
        tasks = [*self._tasks.values(), *([self._waits] if self._waits is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- the work

    async def _dispatch(self) -> None:
        """Start every queued job whose leases nobody holds and nobody ahead of it waits for."""
        async with self._dispatching:
            if self._stopping:
                return
            if self._held_up is not None and await self._held_up():
                if self._waits is None or self._waits.done() or self._waits is asyncio.current_task():
                    self._waits = asyncio.create_task(self._wait_and_dispatch(), name="held")
                return
            queued = [job for job in await self._store.jobs(open_only=True) if job.state == "queued"]
            queued.sort(key=lambda job: (PRIORITY[job.plan.kind], job.id))
            self._make_way(queued)
            taken = set[str]().union(*self._held.values())
            for job in queued:
                if job.id in self._held:
                    continue
                leases = frozenset(job.plan.leases)
                if not taken & leases:
                    self._held[job.id] = leases
                    self._tasks[job.id] = asyncio.create_task(self._first_run(job), name=f"job-{job.id}")
                taken |= leases

    async def _wait_and_dispatch(self) -> None:
        await asyncio.sleep(HELD)
        await self._dispatch()

    def _make_way(self, queued: Sequence[Job]) -> None:
        """What can be done again at any time does not keep people and backups waiting: it ends, and is due again."""
        urgent = set[str]().union(*(job.plan.leases for job in queued if job.plan.kind not in GIVES_WAY))
        for number in [each for each in self._patient if self._held[each] & urgent]:
            self._patient.discard(number)
            self._made_way.add(number)
            self._tasks[number].cancel()

    def _run_of(self, job: Job) -> Run:
        async def remember(facts: Mapping[str, Json]) -> None:
            await self._store.remember(job.id, facts)

        def report(progress: Progress) -> None:
            self._progress[job.id] = progress
            self._feed.changed("progress")

        def on_point(step: str, moment: Moment) -> None:
            self._on_point(job.plan.kind, step, moment)

        return Run(job.id, job.plan, dict(job.plan.facts) | dict(job.facts), remember, report, on_point)

    async def _first_run(self, job: Job) -> None:
        await self._guard(job, self._forward(job, self._run_of(job), 0))

    async def _pick_up(self, job: Job) -> None:
        """Go on with a job that a former life left."""
        run = self._run_of(job)
        begun = [index for index, step in enumerate(job.steps) if step.state in ("begun", "done")]
        last = begun[-1] if begun else 0
        name = job.plan.steps[last].name
        await self._guard(job, self._resume_or_undo(job, run, last, name))

    async def _resume_or_undo(self, job: Job, run: Run, last: int, name: str) -> None:
        try:
            await self._works[job.plan.kind].heal(run)
        except Exception:  # healing is a courtesy; what it could not clear is met again with words
            log.exception("job %s: could not clear up after the crash", job.id)
        forward = job.state == "running" and job.plan.goes_forward(name) and job.attempts < MOST_ATTEMPTS
        if forward:
            log.warning("job %s (%s %s) died at %s: going on", job.id, job.plan.kind, job.plan.subject, name)
            following = last + (job.steps[last].state == "done")
            # The last step runs again rather than not at all: it is the one that says how the job ended.
            await self._forward(job, run, min(following, len(job.steps) - 1))
            return
        log.warning("job %s (%s %s) died at %s: undoing", job.id, job.plan.kind, job.plan.subject, name)
        await self._back(job, run, job.steps)
        if job.says is not None and job.state == "undoing":  # it had failed before it died
            await self._end(job.id, "failed", job.says, job.remedy, job.code, job.detail)
            return
        says = Words.of(N_("was cut short when gardien stopped; everything is as it was before"))
        await self._end(job.id, "interrupted", says, Words.of(N_("Start it again when you like.")))

    async def _guard(self, job: Job, work: Awaitable[None]) -> None:
        """Whatever happens in there, the job gets an end and gives its leases back."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("job %s", job.id)
            wrapped = error if isinstance(error, GardienError) else unexpected(error)
            await self._end(job.id, "stuck", wrapped.says, wrapped.remedy, wrapped.code, wrapped.detail)
        finally:
            self._tasks.pop(job.id, None)
            self._held.pop(job.id, None)
            self._progress.pop(job.id, None)
            self._cancelled.discard(job.id)
            self._patient.discard(job.id)
            self._made_way.discard(job.id)
            if not self._stopping:
                await self._dispatch()

    async def _forward(self, job: Job, run: Run, start: int) -> None:
        """Run the steps from `start`; on failure or cancel take back those that began."""
        work = self._works[job.plan.kind]
        kind = job.plan.kind
        if kind in GIVES_WAY:
            self._patient.add(job.id)
        try:
            await self._store.take_leases(job.id, job.plan.leases)
            await self._store.mark_job(job.id, "running", self._clock())
            for step in job.plan.steps[start:]:
                await self._store.mark_step(job.id, step.name, "begun", self._clock())
                self._progress.pop(job.id, None)
                self._feed.changed("job")
                self._on_point(kind, step.name, "begun")
                log.info("job %s (%s %s): %s", job.id, kind, job.plan.subject, step.name)
                await work.do[step.name](run)
                self._on_point(kind, step.name, "ran")
                await self._store.mark_step(job.id, step.name, "done", self._clock(), run.facts)
            self._patient.discard(job.id)  # too late for that
        except asyncio.CancelledError:
            if not await self._stays(job):
                await _unbroken(self._give_up(job, run))
        except Exception as error:
            await _unbroken(self._fail(job, run, error))
        else:
            await _unbroken(self._end(job.id, "done", run.says or Words.of(N_("done"))))

    async def _stays(self, job: Job) -> bool:
        """Whether our shutdown leaves it where it is, for the next start to go on with."""
        if not self._stopping or job.id in self._cancelled or job.plan.kind not in STAYS:
            return False
        step = (await self.job(job.id)).present_step
        return step is not None and job.plan.goes_forward(step.name)

    async def _give_up(self, job: Job, run: Run) -> None:
        """Cancelled by a person, or by our own shutdown: undo, then say which."""
        await self._back(job, run, (await self.job(job.id)).steps)
        if job.id in self._cancelled:
            await self._end(job.id, "cancelled", Words.of(N_("cancelled; everything is as it was before")))
        elif job.id in self._made_way:
            says = Words.of(N_("made way for something that could not wait; it goes on later by itself"))
            await self._end(job.id, "cancelled", says, code=MADE_WAY)
        else:
            says = Words.of(N_("was cut short when gardien stopped; everything is as it was before"))
            await self._end(job.id, "interrupted", says, Words.of(N_("Start it again when you like.")))

    async def _fail(self, job: Job, run: Run, error: Exception) -> None:
        if not isinstance(error, GardienError):
            log.exception("job %s failed in a way nobody planned for", job.id, exc_info=error)
        wrapped = error if isinstance(error, GardienError) else unexpected(error)
        log.error("job %s (%s %s) failed: %s", job.id, job.plan.kind, job.plan.subject, wrapped)
        for step in (await self.job(job.id)).steps:
            if step.state == "begun":
                await self._store.mark_step(job.id, step.name, "failed", self._clock())
        await self._back(job, run, (await self.job(job.id)).steps, wrapped)
        await self._end(job.id, "failed", wrapped.says, wrapped.remedy, wrapped.code, wrapped.detail)

    async def _back(self, job: Job, run: Run, steps: tuple[StepRecord, ...], why: GardienError | None = None) -> None:
        """Take back, last first, every step that began. What cannot be taken back does not keep the others waiting
        for ever: they are taken back too, and then its error is raised. `why` it is taken back outlasts our death.
        """
        now, mark = self._clock(), self._store.mark_job
        if why is None:
            await mark(job.id, "undoing", now)
        else:
            await mark(job.id, "undoing", now, says=why.says, remedy=why.remedy, code=why.code, detail=why.detail)
        self._progress.pop(job.id, None)
        self._feed.changed("job")
        undo = self._works[job.plan.kind].undo
        planned = {step.name: step for step in job.plan.steps}
        stuck: Exception | None = None
        for record in reversed(steps):
            if record.state in ("waiting", "undone") or planned[record.name].undo is None:
                continue
            await self._store.mark_step(job.id, record.name, "undoing", self._clock())
            run.on_point(f"undo-{record.name}", "begun")
            log.info("job %s (%s %s): undoing %s", job.id, job.plan.kind, job.plan.subject, record.name)
            try:
                await self._insist(undo[record.name], run)
            except Exception as error:
                log.exception("job %s: %s cannot be undone", job.id, record.name)
                await self._store.mark_step(job.id, record.name, "undo-failed", self._clock())
                stuck = stuck or error
            else:
                run.on_point(f"undo-{record.name}", "ran")
                await self._store.mark_step(job.id, record.name, "undone", self._clock())
        if stuck is not None:
            raise stuck

    async def _insist(self, undo: Do, run: Run) -> None:
        """An undo is tried for two minutes: after a power cut Docker may come up after us."""
        for pause in UNDO_PAUSES:
            try:
                return await undo(run)
            except Exception as error:
                log.warning("job %s: an undo failed, trying again in %s s: %s", run.job, pause, error)
                await asyncio.sleep(pause)
        return await undo(run)

    async def _end(  # noqa: PLR0917
        self,
        job: int,
        state: JobState,
        says: Words,
        remedy: Words | None = None,
        code: str | None = None,
        detail: str = "",
    ) -> None:
        async with self._over:
            await self._store.mark_job(job, state, self._clock(), says=says, remedy=remedy, code=code, detail=detail)
            await self._store.drop_leases(job)
            self._over.notify_all()
        log.info("job %s: %s: %s", job, state, says)
        self._feed.changed("job")


async def _unbroken(work: Coroutine[object, object, None]) -> None:
    """Carry an undo to its end, however often this task is cancelled meanwhile."""
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()

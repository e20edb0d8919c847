"""What became of the backups: which count, which do not, which were missed, which are under way; day by day."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

from gardien.faces.present import Standing, stack_of, target_of
from gardien.model.overview import JobView, PlaceView
from gardien.model.snapshot import Snapshot
from gardien.services.upkeep import LOST, Proposal

DAYS = 14


def standing(snapshot: Snapshot) -> Standing:
    """Whether a backup counts, is incomplete, or is not where it was any more."""
    if snapshot.good:
        return "good"
    return "lost" if snapshot.why == LOST else "incomplete"


def stays(snapshot: Snapshot, proposal: Proposal) -> tuple[str, ...]:
    """Why retention lets it stay, as keys of `present.STAYS`; empty if it goes."""
    ruling = proposal.ruling
    if snapshot.id in ruling.remove:
        return ()
    if reasons := ruling.reasons.get(snapshot.id):
        return reasons
    if ruling.frozen is not None:
        return ("frozen",)
    return ("share",) if snapshot.good else ("incomplete",)


def unmade(place: PlaceView) -> tuple[datetime, ...]:
    """The missed times that no good backup came after, newest first."""
    good = place.newest_good
    return tuple(each for each in place.missed if good is None or each > good.taken)


@dataclass(frozen=True, slots=True)
class Row:
    """A backup, one under way, or times in a row that brought none: `at` is the newest of them."""

    state: Standing
    at: datetime
    target: str | None
    snapshot: Snapshot | None = None
    job: JobView | None = None
    missed: tuple[datetime, ...] = ()


def rows(stack: str, places: Iterable[PlaceView], snapshots: Sequence[Snapshot], jobs: Iterable[JobView]) -> list[Row]:
    """All of one stack, newest first; of a backup and its copies the backup first."""
    found = [Row(standing(each), each.taken, each.target, snapshot=each) for each in snapshots]
    for place in places:
        good = [each.taken for each in snapshots if each.good and each.target == place.target]
        for _, group in groupby(place.missed, key=lambda at: sum(taken > at for taken in good)):
            times = tuple(group)
            found.append(Row("missed", times[0], place.target, missed=times))
    found += [_running(view) for view in jobs if _saves(view, stack)]
    return sorted(found, key=lambda row: (row.at, row.snapshot is None or row.snapshot.original is None), reverse=True)


def _saves(view: JobView, stack: str) -> bool:
    return view.job.plan.kind == "backup" and stack_of(view.job) == stack


def _running(view: JobView) -> Row:
    job = view.job
    return Row("waiting" if job.state == "queued" else "running", job.created, target_of(job), job=view)


@dataclass(frozen=True, slots=True)
class Day:
    """One day by this machine's calendar, and what it brought; `state` is None where nothing was due."""

    date: date
    state: Standing | None
    rows: tuple[Row, ...]

    @property
    def snapshot(self) -> Snapshot | None:
        """The one to look into: the newest good one of this day, or the newest that is there."""
        here = [row.snapshot for row in self.rows if row.snapshot is not None and row.state != "lost"]
        return next((each for each in here if each.good), next(iter(here), None))


def days(found: Iterable[Row], target: str, last: date) -> list[Day]:
    """The two weeks up to a day at one target, oldest first. Of a day with several it tells what matters most."""
    here = [row for row in found if row.target == target]
    calendar = []
    for back in reversed(range(DAYS)):
        day = last - timedelta(days=back)
        of_day = tuple(part for row in here for part in _on(row, day))
        calendar.append(Day(day, _worst(of_day), of_day))
    return calendar


def _on(row: Row, day: date) -> list[Row]:
    """What of a row was on that day."""
    if row.missed:
        return [Row("missed", at, row.target, missed=(at,)) for at in row.missed if at.astimezone().date() == day]
    return [row] if row.at.astimezone().date() == day else []


def _worst(of_day: Sequence[Row]) -> Standing | None:
    """A day whose incomplete backup was followed by a good one is a good one; a missed time stays missed."""
    states: list[Standing] = [row.state for row in of_day]
    order: tuple[Standing, ...] = ("running", "waiting", "missed", "good", "lost", "incomplete")
    return next((state for state in order if state in states), None)

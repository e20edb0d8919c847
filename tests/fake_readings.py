"""Readings, kept in lists: a part of the `FakeStore`; and sensors that say what a test wants."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import fmean

from gardien.model.health import StackHealth, Stretch
from gardien.model.reading import Front, Point, Reading


class FakeRecord:
    """Thins as the real one does: 5 minutes, hours, days."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], dict[tuple[int, datetime], Point]] = {}

    async def add_readings(self, readings: Sequence[Reading]) -> None:
        for each in readings:
            if each.value is not None:
                at, series = _begin(each.at, 300), self._points.setdefault(each.key, {})
                old, value = series.get((300, at)), float(each.value)
                least, most = (min(old.least, value), max(old.most, value)) if old else (value, value)
                series[300, at] = Point(at, least, value, most)

    async def points(self, what: str, subject: str, since: datetime) -> list[Point]:
        series = self._points.get((what, subject), {})
        return sorted((each for each in series.values() if each.at >= since), key=lambda each: each.at)

    async def days(self, what: str, subject: str, since: datetime) -> list[Point]:
        return _merged(await self.points(what, subject, since), 86_400)

    async def thin_readings(self, now: datetime) -> None:
        for key, series in list(self._points.items()):
            kept = {
                place: each
                for place, each in series.items()
                if now - timedelta(days=400) <= each.at <= now + timedelta(hours=1)
            }
            for grain, days in ((3600, 2), (86_400, 30)):
                before = _begin(now - timedelta(days=days), grain)
                old = [each for (fine, at), each in kept.items() if fine < grain and at < before]
                kept = {(fine, at): each for (fine, at), each in kept.items() if fine >= grain or at >= before}
                kept |= {(grain, each.at): each for each in _merged(old, grain)}
            self._points[key] = kept


class FakeSightings:
    """How stacks are and were; nothing is too old."""

    def __init__(self) -> None:
        self._healths: dict[str, StackHealth] = {}
        self._stretches: dict[tuple[str, str, datetime], Stretch] = {}

    async def set_health(self, healths: Sequence[StackHealth], stretches: Iterable[Stretch] = ()) -> None:
        self._healths |= {each.stack: each for each in healths}
        self._stretches |= {(each.stack, each.probe, each.began): each for each in stretches}

    async def healths(self) -> dict[str, StackHealth]:
        return dict(self._healths)

    async def stretches(self, stack: str, since: datetime) -> list[Stretch]:
        found = sorted(self._stretches.items(), key=lambda pair: pair[0])
        return [each for _, each in found if each.stack == stack and each.seen >= since]

    async def thin_stretches(self, now: datetime) -> None:
        """They are few."""


def _begin(at: datetime, grain: int) -> datetime:
    seconds = int(at.timestamp())
    return datetime.fromtimestamp(seconds - seconds % grain, UTC)


def _merged(points: Sequence[Point], grain: int) -> list[Point]:
    groups: dict[datetime, list[Point]] = {}
    for each in points:
        groups.setdefault(_begin(each.at, grain), []).append(each)
    return [
        Point(at, min(e.least for e in group), fmean(e.mean for e in group), max(e.most for e in group))
        for at, group in sorted(groups.items())
    ]


@dataclass
class FakeSensors:
    """`values`: what is measured of the machine; `smarts`: of its disks; `certs`: days left and share of life."""

    values: dict[tuple[str, str], float] = field(default_factory=dict)
    smarts: dict[tuple[str, str], float] = field(default_factory=dict)
    certs: dict[str, tuple[float, float]] = field(default_factory=dict)
    deaf: set[str] = field(default_factory=set)  # hosts that do not answer

    async def machine(self, now: datetime) -> list[Reading]:
        return [Reading(what, subject, value, now) for (what, subject), value in self.values.items()]

    async def smart(self, now: datetime) -> list[Reading]:
        return [Reading(what, subject, value, now) for (what, subject), value in self.smarts.items()]

    async def certificates(self, front: Front, now: datetime) -> list[Reading]:
        found = []
        for name in front.names:
            days, life = self.certs.get(name, (90.0, 1.0))
            found += [Reading("certificate", name, days, now), Reading("certificate-life", name, life, now)]
        return found

    async def answers(self, host: str, port: int) -> bool:
        return host not in self.deaf

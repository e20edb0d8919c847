"""When a disk will be full: from its days, robustly, and only where they lie on a line."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations
from statistics import fmean, median

from gardien.model.reading import Forecast, Point

WEEK = 7
WINDOWS = (84, 56, 35)  # days that are looked at; the longest in which all lies on one line counts
SHORTEST = 21  # with so many we begin, while the disk is new to us
STALE = 3  # days; a disk of which nothing newer is known is not foretold
HORIZON = 400.0  # days; beyond that nobody plans
STEADY = 4.0  # how much larger the change must be than what strays from the line
LIKE = (0.7, 1.4)  # how much faster or slower than the whole each half may have filled
_EPOCH = datetime.fromtimestamp(0, UTC)


def forecast(days: Sequence[Point], now: datetime) -> Forecast | None:
    """`days`: free bytes, one point for each day. None: it does not fill, or not steadily enough to say."""
    free = {(each.at - _EPOCH).days: each for each in days}
    today = (now - _EPOCH).days
    if not free or today - max(free) > STALE:
        return None
    last, known = max(free), max(free) - min(free) + 1
    for window in WINDOWS if known >= WINDOWS[-1] else (SHORTEST,):
        if window <= known and (found := _within(free, range(last - window + 1, last + 1))) is not None:
            return found if found.days <= HORIZON else None
    return None


def _within(free: Mapping[int, Point], days: range) -> Forecast | None:
    """The mean of each week, so that what happens every week is no trend; Theil and Sen's line through those."""
    levels: dict[float, float] = {}
    for first in days[: len(days) - WEEK + 1]:
        week = [free[day].mean for day in range(first, first + WEEK) if day in free]
        if len(week) >= WEEK - 2:
            levels[first + WEEK // 2] = fmean(week)
    if len(levels) < (len(days) - WEEK + 1) * 0.7:
        return None
    places = sorted(levels)
    slope = _slope(levels, places)
    if slope >= 0:
        return None
    base = median(levels[day] - slope * day for day in places)
    stray = 1.4826 * median(abs(levels[day] - base - slope * day) for day in places)
    halves = (places[: len(places) // 2], places[len(places) // 2 :])
    like = all(LIKE[0] <= _slope(levels, half) / slope <= LIKE[1] for half in halves)
    if not like or -slope * (places[-1] - places[0]) < STEADY * stray:
        return None
    # A disk is full on the worst day of its week, not on the mean one.
    under = sorted(free[day].least - base - slope * day for day in days[-4 * WEEK :] if day in free)
    left = base + slope * days[-1] + min(under[1], 0.0)
    return Forecast(max(left / -slope, 0.0), -slope)


def _slope(levels: Mapping[float, float], places: Sequence[float]) -> float:
    return median((levels[b] - levels[a]) / (b - a) for a, b in combinations(places, 2))

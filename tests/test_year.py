"""A year of a house in the rules alone: what is due is written, each once, and there is no storm of letters."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from gardien.rules import letters
from tests.years import Years

PARIS = ZoneInfo("Europe/Paris")
NEW_YEAR = datetime(2026, 1, 1, 11, tzinfo=UTC)
STEP = timedelta(minutes=20)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def local(moment: datetime) -> datetime:
    return moment.astimezone(PARIS)


def live(years: Years, until: datetime, off: list[tuple[datetime, datetime]] = []) -> None:  # noqa: B006  (only read)
    """Look every ten minutes; not while the power is off."""
    while years.now < until:
        years.now = next((end for begin, end in off if begin <= years.now < end), years.now + STEP)
        years.look()


def test_a_quiet_year() -> None:
    """52 Mondays' letters and 13 of the months, and no other: also in the weeks of the moved clock."""
    years = Years(NEW_YEAR, PARIS)
    live(years, NEW_YEAR + 365 * DAY)
    assert years.written == []
    weeks = [each for each in years.regular if "-w" in each]
    assert Counter(years.regular).most_common(1)[0][1] == 1
    assert weeks[0] == "2026-w02" and weeks[-1] == "2026-w53" and len(weeks) == 52
    assert [each for each in years.regular if "-w" not in each] == [
        "2025-12", *(f"2026-{month:02}" for month in range(1, 13))
    ]  # fmt: skip


@pytest.mark.parametrize("day", [datetime(2026, 3, 29, tzinfo=PARIS), datetime(2026, 10, 25, tzinfo=PARIS)])
def test_the_nights_when_the_clock_is_moved(day: datetime) -> None:
    """Trouble at half past two, which comes twice, or never: one letter. What can wait is written at eight, as ever."""
    years = Years(day.astimezone(UTC) - 6 * HOUR, PARIS)
    years.opens("copy", "notice")
    years.now = day.astimezone(UTC)
    while years.now < day.astimezone(UTC) + 4 * HOUR:
        years.now += timedelta(minutes=1)
        if years.now == day.astimezone(UTC) + 90 * timedelta(minutes=1):
            years.opens("stack")
        years.look()
    assert years.said() == ["stack copy"]
    years.closes("stack")
    live(years, day.astimezone(UTC) + 2 * DAY)
    assert years.said() == ["stack copy", "(stack)"]
    assert local(years.written[1][0]).hour == 8
    monday = [each for each in years.regular if "-w" in each]
    assert len(monday) == 1


def test_a_machine_that_is_off_for_hours_and_days() -> None:
    """It writes what is due when it is back, once; a Monday that it slept through until Thursday is left out."""
    off = [
        (datetime(2026, 2, 2, 5, tzinfo=UTC), datetime(2026, 2, 2, 14, tzinfo=UTC)),  # a Monday until the afternoon
        (datetime(2026, 2, 8, 20, tzinfo=UTC), datetime(2026, 2, 12, 9, tzinfo=UTC)),  # Sunday until Thursday
        (datetime(2026, 2, 27, 20, tzinfo=UTC), datetime(2026, 3, 3, 9, tzinfo=UTC)),  # over the first of a month
    ]
    years = Years(datetime(2026, 1, 20, tzinfo=UTC), PARIS)
    years.opens("disk")
    live(years, datetime(2026, 3, 20, tzinfo=UTC), off)
    assert sorted(years.regular) == [
        "2026-01", "2026-02", "2026-w04", "2026-w05", "2026-w06", "2026-w08", "2026-w09", "2026-w10", "2026-w11",
        "2026-w12",
    ]  # fmt: skip
    moments = [moment for moment, _ in years.written]
    assert all(later - earlier >= letters.REPEAT["trouble"] for earlier, later in pairwise(moments))
    assert not any(begin < moment < end for moment in moments for begin, end in off)
    assert len(moments) == 19


@pytest.mark.parametrize("days", [400, 20_000])
def test_a_clock_that_was_ahead(days: int) -> None:
    """Written a year, or half a century, ahead by a wrong clock: once that is right, nothing waits for that day."""
    years = Years(NEW_YEAR, PARIS)
    years.opens("disk")
    years.go(STEP, days=1)
    years.now += days * DAY
    years.opens("stack")
    years.go(STEP, hours=5)
    years.now -= days * DAY
    before = len(years.written)
    years.go(STEP, days=1)
    assert len(years.written) - before <= 2, "no storm when it comes back"
    before = len(years.written)
    years.closes("stack")
    years.go(STEP, days=3)
    assert "(stack)" in " ".join(years.said()[before:])
    years.go(STEP, days=3)
    assert sum("disk" in each for each in years.said()[before:]) >= 1, "what lasts is still repeated"


def test_a_clock_that_falls_back_writes_no_letter_twice() -> None:
    """Less than an hour is not even noticed; the Monday's letter has a name of its own, whenever it is."""
    years = Years(datetime(2026, 6, 1, 5, 30, tzinfo=UTC), PARIS)  # a Monday
    years.opens("disk")
    years.go(STEP, hours=2)
    for _ in range(10):
        years.now -= timedelta(minutes=50)
        years.go(STEP, hours=1)
    assert years.said() == ["disk"]
    assert sorted(years.regular) == ["2026-05", "2026-w23"]


def test_a_disk_that_fills_through_the_year() -> None:
    """Told when it begins to matter, again each week, and at once when it becomes trouble; acknowledged: no more."""
    years = Years(NEW_YEAR, PARIS)
    live(years, NEW_YEAR + 100 * DAY)
    years.opens("disk", "notice")
    live(years, NEW_YEAR + 120 * DAY)
    assert len(years.written) == 3
    assert all(8 <= local(moment).hour < 21 for moment, _ in years.written)
    years.says("disk", known=years.now)
    live(years, NEW_YEAR + 200 * DAY)
    assert len(years.written) == 3, "somebody knows"
    years.opens("disk", "trouble")
    years.says("disk", known=None)  # as the store does
    live(years, NEW_YEAR + 200 * DAY + 30 * timedelta(minutes=1))
    assert len(years.written) == 4, "that it is trouble now, nobody knew"
    years.says("disk", asleep=years.now + 10 * DAY)
    live(years, NEW_YEAR + 210 * DAY)
    assert len(years.written) == 4
    live(years, NEW_YEAR + 211 * DAY)
    assert years.said()[4:] == ["disk"], "it slept, and is still there"
    years.says("disk", known=years.now)
    years.closes("disk")
    live(years, NEW_YEAR + 212 * DAY)
    assert years.said()[5:] == ["(disk)"], "its end is told to who said that they know"
    live(years, NEW_YEAR + 365 * DAY)
    assert len(years.written) == 6


def test_a_stack_that_flaps_all_year() -> None:
    """Down for twenty minutes of each forty: a letter each three days, and no more."""
    years = Years(NEW_YEAR, PARIS)
    while years.now < NEW_YEAR + 45 * DAY:
        years.opens("stack")
        years.go(STEP, minutes=20)
        years.closes("stack")
        years.go(STEP, minutes=20)
    years.go(STEP, days=2)
    assert 13 <= len(years.written) <= 17, years.said()
    moments = [moment for moment, _ in years.written[:-1]]
    assert all(later - earlier >= letters.REPEAT["trouble"] for earlier, later in pairwise(moments))
    assert years.said()[-1].startswith("(stack)")


def test_a_full_year_of_all_of_it() -> None:
    """A house as they are, with power cuts and a clock that jumps: 125 letters, 64 of them regular."""
    off = [(NEW_YEAR + (17 * number) * DAY, NEW_YEAR + (17 * number) * DAY + 5 * HOUR) for number in range(1, 21)]
    off.append((NEW_YEAR + 180 * DAY, NEW_YEAR + 184 * DAY))
    years = Years(NEW_YEAR, PARIS)
    for week in range(52):
        begin = NEW_YEAR + 7 * week * DAY
        live(years, begin, off)
        if week % 4 == 0:  # an application falls for an hour
            years.opens("stack")
            live(years, years.now + HOUR, off)
            years.closes("stack")
        if week % 8 == 1:  # a target is away for two days
            years.opens("target", "notice")
            live(years, years.now + 2 * DAY, off)
            years.closes("target")
        if week % 13 == 2:  # a disk dies, and all that hangs on it
            for number in range(12):
                years.opens(f"dead-{number}", "trouble" if number < 4 else "notice")
            live(years, years.now + 2 * DAY, off)
            for number in range(12):
                years.closes(f"dead-{number}")
        if week == 20:
            years.now += 3 * HOUR
        if week == 21:
            years.now -= 3 * HOUR
        if week == 30:
            years.opens("disk", "notice")
        if week == 45:
            years.closes("disk")
    live(years, NEW_YEAR + 365 * DAY, off)
    told = list(years.every.values())
    assert all(each.told is not None and each.over is not None for each in told if each.alert.closed is not None)
    ends = [alert.id for _, news in years.written for alert in news.over]
    assert sorted(ends) == sorted(each.alert.id for each in told), "each end once"
    firsts = Counter(alert.id for _, news in years.written for alert in news.open if alert.key != "disk")
    assert set(firsts.values()) == {1}
    per_day = Counter(local(moment).date() for moment, _ in years.written)
    assert max(per_day.values()) <= 3
    assert Counter(years.regular).most_common(1)[0][1] == 1
    assert (len(years.written), len(years.regular)) == (61, 64)

"""Which backups may go: for thousands of histories, never the one that matters."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.model.settings import Keep
from gardien.model.snapshot import Snapshot
from gardien.rules import retention, schedule
from gardien.rules.retention import ClockFacts, Ruling

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RIGHT = ClockFacts(NOW, NOW - timedelta(minutes=1), synchronised=True)


def snapshot(number: int, age_hours: float, *, good: bool = True) -> Snapshot:
    taken = NOW - timedelta(hours=age_hours)
    return Snapshot(f"{number:064x}", "notes", "host", taken, 10, 1000, 10, 1.0, good)


def nightly(days: int) -> list[Snapshot]:
    return [snapshot(number, 24 * number + 10) for number in range(days)]


def rule(snapshots: list[Snapshot], keep: Keep, clock: ClockFacts = RIGHT) -> Ruling:
    return retention.rule(snapshots, keep, clock, BERLIN)


def test_a_year_of_nights_thins_out_as_the_policy_says() -> None:
    history = nightly(400)
    for _ in range(20):
        gone = rule(history, Keep()).remove
        if not gone:
            break
        history = [each for each in history if each.id not in gone]
    ages = [(NOW - each.taken).days for each in history]
    assert ages[:14] == list(range(14))
    assert 30 <= len(history) <= 14 + 8 + 12 + 3
    assert max(ages) == 326  # the last night of the year before


@pytest.mark.parametrize(
    ("clock", "why"),
    [
        (ClockFacts(NOW, NOW, synchronised=False), "not set by the network"),
        (ClockFacts(NOW, NOW + timedelta(days=2), synchronised=True), "jumped"),
        (ClockFacts(NOW, NOW - timedelta(days=90), synchronised=True), "jumped"),
    ],
)
def test_row_24_nothing_goes_while_the_clock_may_be_wrong(clock: ClockFacts, why: str) -> None:
    ruling = rule(nightly(100), Keep(daily=1), clock)
    assert ruling.remove == ()
    assert why in str(ruling.frozen)


def test_threat_18_a_backup_from_the_future_freezes_all() -> None:
    ruling = rule([*nightly(100), snapshot(999, -48)], Keep(daily=1))
    assert ruling.remove == ()
    assert "not come yet" in str(ruling.frozen)


def test_row_13_an_incomplete_newest_one_freezes_all() -> None:
    ruling = rule([snapshot(999, 1, good=False), *nightly(100)], Keep(daily=1))
    assert ruling.remove == ()
    assert "incomplete" in str(ruling.frozen)


def test_row_22_without_a_good_one_nothing_goes() -> None:
    assert rule([snapshot(number, 24 * number, good=False) for number in range(9)], Keep()).remove == ()


HISTORIES = st.lists(st.tuples(st.floats(0, 24 * 900), st.booleans()), max_size=60).map(
    lambda ages: [snapshot(number, age, good=good) for number, (age, good) in enumerate(ages)]
)
POLICIES = st.builds(
    Keep,
    hourly=st.integers(0, 5),
    daily=st.integers(0, 9),
    weekly=st.integers(0, 9),
    monthly=st.integers(0, 9),
    yearly=st.integers(0, 3),
    within_days=st.integers(0, 9),
    verified=st.integers(1, 9),
)


@given(HISTORIES, POLICIES)
def test_row_22_whatever_the_policy_the_last_good_ones_stay(history: list[Snapshot], keep: Keep) -> None:
    ruling = rule(history, keep)
    good = sorted((each for each in history if each.good), key=lambda each: (each.taken, each.id), reverse=True)
    stay = [each for each in history if each.id not in ruling.remove]
    assert len(ruling.remove) == len(set(ruling.remove))
    assert len(ruling.remove) <= len(history) * retention.MOST_AT_ONCE
    if good:
        assert good[0] in stay
    assert all(each in stay for each in good[: keep.verified])
    assert all(each in stay for each in good if good[0].taken - each.taken < timedelta(days=keep.within_days))
    assert not set(ruling.reasons) & set(ruling.remove)


@given(HISTORIES, POLICIES)
def test_applied_again_and_again_it_comes_to_rest(history: list[Snapshot], keep: Keep) -> None:
    for _ in range(30):
        gone = rule(history, keep).remove
        if not gone:
            return
        history = [each for each in history if each.id not in gone]
    raise AssertionError("it goes on for ever")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("02:30", "30 2 * * *"),
        ("daily at 02:30", "30 2 * * *"),
        ("Hourly", "0 * * * *"),
        ("every 6 hours", "0 */6 * * *"),
        ("sundays at 03:05", "5 3 * * 0"),
        ("weekly on Monday at 23:00", "0 23 * * 1"),
        ("monthly on day 28 at 04:00", "0 4 28 * *"),
        ("15 3 * * 1-5", "15 3 * * 1-5"),
    ],
)
def test_times_in_words(words: str, line: str) -> None:
    assert schedule.cron(words) == line


@pytest.mark.parametrize("words", ["", "24:00", "daily", "every 5 hours", "monthly on day 31 at 04:00", "* * *", "-1"])
def test_times_that_mean_nothing_are_refused(words: str) -> None:
    with pytest.raises(ValueError, match="not a time"):
        schedule.cron(words)

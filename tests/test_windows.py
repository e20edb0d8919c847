"""When an update is made by itself: in the window, once it is ripe, again after a failure that may pass."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.model.job import Job, JobState
from gardien.model.plan import Plan
from gardien.model.settings import Settings, Updates
from gardien.rules import windows
from gardien.rules.house_settings import faults_of

BERLIN = ZoneInfo("Europe/Berlin")
SUNDAY = datetime(2026, 3, 8, 3, tzinfo=BERLIN).astimezone(UTC)
WINDOW = "sunday 03:00-05:00"
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
NIGHTS = st.sampled_from([WINDOW, "daily 03:00-05:00", "daily 23:00-01:30", "saturday 22:00-02:00"])


def run(created: datetime, state: JobState, code: str | None = None) -> Job:
    plan = Plan("update", "notes", (), ())
    ended = None if state == "running" else created + timedelta(minutes=5)
    return Job(1, plan, state, (), {}, 1, created, created, ended, None, None, code, "")


@pytest.mark.parametrize("text", ["", "sunday", "03:00-05:00", "sunday 3:00-5:00", "sunday 03:00-25:00", "* * * * *"])
def test_what_is_no_window(text: str) -> None:
    with pytest.raises(ValueError, match="window"):
        windows.parts(text)


def test_settings_name_a_window() -> None:
    assert faults_of(Settings()) == []
    [fault] = faults_of(Settings(updates=Updates(window="at night")))
    assert fault.path == "updates.window"


def test_over_midnight() -> None:
    assert windows.parts("Saturday 22:00-02:00") == ("weekly on saturday at 22:00", timedelta(hours=4))


def test_it_is_open_from_its_beginning_to_before_its_end() -> None:
    assert windows.is_open(WINDOW, SUNDAY, BERLIN)
    assert windows.is_open(WINDOW, SUNDAY + timedelta(minutes=119), BERLIN)
    assert not windows.is_open(WINDOW, SUNDAY - timedelta(seconds=1), BERLIN)
    assert not windows.is_open(WINDOW, SUNDAY + timedelta(hours=2), BERLIN)
    assert not windows.is_open(WINDOW, SUNDAY + timedelta(days=1), BERLIN)


@given(NIGHTS, MOMENTS, st.timedeltas(timedelta(days=-30), timedelta(days=30)))
def test_due_is_always_in_the_window_and_never_before_it_is_ripe(window: str, now: datetime, by: timedelta) -> None:
    ripe = now + by
    due = windows.due(window, ripe, [], now, BERLIN, "seed")
    assert due is not None
    assert due >= ripe
    assert windows.is_open(window, due, BERLIN)
    assert due > now - timedelta(hours=5), "what was owed while the machine was off waits for the next window"


@given(NIGHTS, MOMENTS, st.integers(0, 300))
def test_after_a_failure_the_next_try_is_in_a_window(window: str, now: datetime, ago: int) -> None:
    last = run(now - timedelta(minutes=ago), "failed", "busy")
    due = windows.due(window, now - timedelta(days=9), [last], now, BERLIN, "seed")
    assert due is not None
    assert windows.is_open(window, due, BERLIN)


def test_one_that_was_busy_is_tried_again_in_the_same_night() -> None:
    last = run(SUNDAY, "failed", "busy")
    due = windows.due(WINDOW, SUNDAY - timedelta(days=2), [last], SUNDAY + timedelta(minutes=6), BERLIN, "seed")
    assert due == SUNDAY + timedelta(minutes=15)


def test_one_that_was_refused_waits_for_the_next_window() -> None:
    last = run(SUNDAY, "failed", "refused")
    due = windows.due(WINDOW, SUNDAY - timedelta(days=2), [last], SUNDAY + timedelta(minutes=6), BERLIN, "seed")
    assert due is not None
    assert due - SUNDAY >= timedelta(days=6)


def test_after_a_good_one_the_next_step_may_follow_at_once() -> None:
    last = run(SUNDAY, "done")
    due = windows.due(WINDOW, SUNDAY - timedelta(days=2), [last], SUNDAY + timedelta(minutes=6), BERLIN, "seed")
    assert due == last.ended


def test_nothing_while_one_is_under_way() -> None:
    last = run(SUNDAY, "running")
    assert windows.due(WINDOW, SUNDAY, [last], SUNDAY + timedelta(hours=1), BERLIN, "seed") is None

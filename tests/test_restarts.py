"""When what is down is restarted, when it is left alone, what coming and going is: the rules, over made-up days."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from gardien.model.health import Health
from gardien.model.rescue import Mishap, Rescue
from gardien.rules import restarts
from gardien.words import Words

NOON = datetime(2026, 3, 3, 11, tzinfo=UTC)
SAYS = Words.of("does not answer")
AFTER = 180.0

# -- the rule, over made-up days

Look = tuple[Literal["well", "ailing", "down", "starting", "paused", "unknown", "stopped"], int]
LOOKS = st.lists(
    st.tuples(
        st.sampled_from(["well", "ailing", "down", "starting", "paused", "unknown", "stopped"]), st.integers(1, 240)
    ),
    max_size=30,
)


def live(looks: list[Look], step: int = 1) -> list[tuple[datetime, Rescue, Health]]:
    """Looked at every `step` minutes, and restarted when it is due; what was known after each look."""
    rescue, now, known = Rescue(), NOON, []
    for health, minutes in looks:
        for _ in range(0, minutes, step):
            now += timedelta(minutes=step)
            rescue = restarts.seen(rescue, health, SAYS, now)
            due = restarts.next_try(rescue, AFTER)
            if due is not None and due <= now and health in ("ailing", "down"):
                rescue = rescue.tried(now)
            known.append((now, rescue, health))
    assert Rescue.from_json(rescue.as_json()) == rescue
    return known


@given(LOOKS)
@settings(max_examples=150, deadline=None)
def test_never_more_than_three_in_six_hours(looks: list[Look]) -> None:
    tries = sorted({at for _, rescue, _ in live(looks, 5) for at in (*rescue.tries, *rescue.former)})
    for at in tries:
        assert sum(at <= each < at + timedelta(hours=6) for each in tries) <= 3


@given(LOOKS)
@settings(max_examples=100, deadline=None)
def test_what_is_ill_is_known_to_be(looks: list[Look]) -> None:
    """Whatever happened before: there is no way to be down without an alert, or to be restarted without one."""
    for _, rescue, health in live(looks, 5):
        if health in ("ailing", "down"):
            assert rescue.ill_since is not None
        if health in ("well", "stopped"):
            assert rescue.ill_since is None
        assert len(rescue.tries) <= 3
        assert len(rescue.mishaps) <= 30


def test_what_stays_down_is_tried_three_times_ever_more_rarely_and_then_left_alone() -> None:
    known = live([("well", 90), ("down", 3000)])
    [first, second, third] = known[-1][1].tries
    down = NOON + timedelta(minutes=91)
    assert (first - down, second - first, third - second) == tuple(timedelta(minutes=each) for each in (3, 10, 30))
    assert known[-1][1].left_alone
    assert restarts.next_try(known[-1][1], AFTER) is None


def test_an_hour_of_health_begins_a_new_count_within_the_six_hours() -> None:
    known = live([("down", 60), ("well", 59), ("down", 60)])
    assert len(known[-1][1].tries) == 3, "59 minutes were not an hour"
    known = live([("down", 60), ("well", 62), ("down", 60)])
    assert known[-1][1].tries == ()
    again = restarts.next_try(known[-1][1], AFTER)
    assert again is not None
    assert again == known[59][1].tries[0] + timedelta(hours=6)


def test_zero_means_never() -> None:
    assert restarts.next_try(Rescue(ill_since=NOON), 0) is None
    assert not Rescue(ill_since=NOON).left_alone


def test_a_backup_or_a_start_in_between_is_no_recovery() -> None:
    known = live([("down", 2), ("starting", 1), ("down", 1), ("paused", 1), ("down", 1)])
    assert known[-1][1].ill_since == NOON + timedelta(minutes=1)
    assert len(known[-1][1].of("fell")) == 1


def test_what_wavers_while_it_comes_up_fell_once() -> None:
    [*_, (now, rescue, _)] = live([("down", 1), ("well", 1)] * 4)
    assert len(rescue.of("fell")) == 1
    assert not restarts.comes_and_goes(rescue, now)


def test_it_comes_and_goes_until_it_was_well_for_an_hour() -> None:
    looks: list[Look] = [("ailing", 2), ("well", 15)] * 3
    [*_, (now, rescue, _)] = live(looks)
    assert restarts.comes_and_goes(rescue, now)
    [*_, (now, rescue, _)] = live([*looks, ("well", 61)])
    assert not restarts.comes_and_goes(rescue, now)
    [*_, (now, rescue, _)] = live(looks[:4])
    assert not restarts.comes_and_goes(rescue, now)


def test_again_and_again_is_three_times_in_ten_minutes() -> None:
    def died(*minutes: int) -> Rescue:
        rescue = Rescue()
        for each in minutes:
            at = NOON + timedelta(minutes=each)
            rescue = restarts.with_mishap(rescue, Mishap("died", "db", at), at)
        return rescue

    assert restarts.dies_again(died(0, 5, 10)) == ("db",)
    assert restarts.dies_again(died(0, 30, 60, 90)) == ()
    quiet = restarts.seen(died(0, 1, 2), "well", SAYS, NOON + timedelta(hours=25))
    assert quiet.mishaps == ()


def test_the_last_lines_are_those_that_were_said_last_by_whatever_service() -> None:
    said = [f"app-1 | 2026-03-02T12:00:{each:02d}.5Z app {each}" for each in range(1, 40, 2)]
    said += ["app-1 |   and how it came to that"]
    said += [f"redis-1 | 2026-03-02T12:00:{each:02d}.5Z redis {each}" for each in range(0, 30, 2)]
    lines = [each.partition(" |")[2].strip() for each in restarts.cleaned("\n".join(said))]
    assert lines[-2:] == ["2026-03-02T12:00:39.5Z app 39", "and how it came to that"]
    assert lines[-7].endswith("app 29") and lines[-8].endswith("redis 28")


def test_a_log_is_cut_and_cleaned() -> None:
    lines = restarts.cleaned("".join(f"{each}\x1b[31m red\x07\n" for each in range(50)) + "\n" + "x" * 1000)
    assert len(lines) == restarts.LINES
    assert lines[-1] == "x" * restarts.WIDTH
    assert lines[0] == "31 [31m red"

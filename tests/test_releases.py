"""Which versions there are, and which may follow the one that runs."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.model.manifest import ImageRule
from gardien.model.release import Change, Release, Sighting, Verdict
from gardien.rules import releases
from gardien.rules.images import taken_apart
from gardien.rules.kinds import fits
from gardien.rules.releases import Followed, Known

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
THREE = r"^(?P<major>\d+)\.(?P<minor>\d+)\.(?P<patch>\d+)$"


def rule(tags: str = THREE, **more: object) -> ImageRule:
    return ImageRule.model_validate({"tags": tags.replace("$", "$$"), **more})


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


# -- tags


@pytest.mark.parametrize(
    ("tags", "tag", "numbers", "text"),
    [
        (THREE, "34.0.3", ((34,), (0,), (3,)), "34.0.3"),
        (THREE[:-1] + "-apache$", "34.0.3-apache", ((34,), (0,), (3,)), "34.0.3"),
        (r"^version-(?P<major>\d{4}\.\d+)\.(?P<patch>\d+)$", "version-2026.2.2", ((2026, 2), (), (2,)), "2026.2.2"),
        (r"^stable-(?P<minor>\d+)(?:-(?P<patch>\d+))?$", "stable-11146-2", ((), (11146,), (2,)), "11146-2"),
        (r"^stable-(?P<minor>\d+)(?:-(?P<patch>\d+))?$", "stable-11146", ((), (11146,), ()), "11146"),
        (r"^(?P<major>\d+\.\d+)\.(?P<patch>\d+)$", "11.8.8", ((11, 8), (), (8,)), "11.8.8"),
        (r"^(?P<major>6)\.(?P<minor>\d+)\.(?P<patch>\d+-\d+)-x$", "6.1.5-26-x", ((6,), (1,), (5, 26)), "6.1.5-26"),
        (r"^(?P<major>\d+\.\d+)\.(?P<patch>\d+\.\d+\.\d+)$", "26.04.2.1.1", ((26, 4), (), (2, 1, 1)), "26.04.2.1.1"),
    ],
)  # fmt: skip
def test_what_a_tag_says(tags: str, tag: str, numbers: tuple[tuple[int, ...], ...], text: str) -> None:
    found = releases.read(rule(tags), tag)
    assert found is not None
    assert (found.version.major, found.version.minor, found.version.patch) == numbers
    assert (found.tag, found.text) == (tag, text)


@pytest.mark.parametrize(
    "tag", ["latest", "", "34", "34.0.3-rc1", "v34.0.3", "34.0.3\n", "٣٤.0.3", "34.0.3 ", "stable"]
)
def test_what_is_no_version(tag: str) -> None:
    assert releases.read(rule(), tag) is None


NUMBERS = st.integers(0, 12)
TAGS = st.builds("{}.{}.{}".format, st.integers(1, 6), st.integers(0, 3), NUMBERS)


@given(st.lists(TAGS), st.lists(st.text(max_size=12)))
def test_whatever_a_registry_lists_the_newest_is_first(tags: list[str], odd: list[str]) -> None:
    found = releases.releases(rule(), [*odd, *tags])
    assert [each.version for each in found] == sorted((each.version for each in found), reverse=True)
    assert {each.tag for each in found} >= set(tags)


@given(TAGS, TAGS)
def test_a_jump_is_as_far_as_the_first_number_that_differs(one: str, other: str) -> None:
    a, b = (releases.read(rule(), each) for each in (one, other))
    assert a is not None and b is not None
    differs = next((i for i, (x, y) in enumerate(zip(one.split("."), other.split("."), strict=True)) if x != y), 3)
    assert releases.jump(a.version, b.version) == ["major", "minor", "patch", "rebuilt"][differs]


# -- ways


def ways(present: str, there: Sequence[str], **more: object) -> releases.Ways:
    made = rule(**more)  # type: ignore[arg-type]
    now = releases.read(made, present)
    assert now is not None
    return releases.ways(made, now, releases.releases(made, there))


def steps(present: str, there: Sequence[str], **more: object) -> list[str]:
    return [each.tag for each in ways(present, there, **more).steps]


def test_the_next_steps() -> None:
    there = ["1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.1.3", "2.0.0", "2.0.5", "3.1.0"]
    assert steps("1.0.0", there) == ["1.0.2", "1.1.3"]
    assert steps("1.0.2", there) == ["1.1.3"]
    assert steps("1.1.3", there) == []
    assert steps("1.1.0", there, majors="one-at-a-time") == ["1.1.3"]
    assert steps("1.1.3", there, majors="one-at-a-time") == ["2.0.5"]
    assert steps("2.0.5", there, majors="one-at-a-time") == ["3.1.0"]
    assert steps("1.1.3", ["1.1.3", "3.1.0", "5.0.0"], majors="every") == ["3.1.0"]
    assert steps("3.1.0", ["1.1.3", "3.1.0", "5.0.0"], majors="every") == ["5.0.0"]
    assert steps("1.0.0", there, majors="any") == ["1.0.2", "3.1.0"]
    assert steps("3.1.0", there, majors="any") == []
    assert steps("9.0.0", there, majors="any") == []


def test_row_42_two_majors_ahead_is_reached_over_the_one_between_or_not_at_all() -> None:
    far = ways("32.0.5", ["32.0.5", "34.0.3"], majors="one-at-a-time")
    assert far.steps == () and far.beyond is not None and far.beyond.text == "34.0.3"
    assert "leads over 33" in str(far.why)
    over = ways("32.0.5", ["32.0.14", "33.0.8", "34.0.3"], majors="one-at-a-time")
    assert [each.text for each in over.steps] == ["32.0.14"]
    assert over.towards is not None and over.towards.text == "34.0.3" and over.beyond is None
    none = ways("11.8.8", ["11.8.9", "12.3.2"], tags=r"^(?P<major>\d+\.\d+)\.(?P<patch>\d+)$")
    assert [each.text for each in none.steps] == ["11.8.9"]
    assert none.beyond is not None and none.beyond.text == "12.3.2" and "another major" in str(none.why)


@given(TAGS, st.sets(TAGS), st.sampled_from(["none", "one-at-a-time", "every", "any"]))
def test_walking_on_ends_and_never_leads_back_or_too_far(present: str, tags: set[str], majors: str) -> None:
    made = rule(majors=majors)
    there = releases.releases(made, tags)
    at = releases.read(made, present)
    assert at is not None
    newest = max([at, *there])
    aim = releases.ways(made, at, there).towards
    walked = [at]
    while found := releases.ways(made, walked[-1], there).steps:
        assert [each.version for each in found] == sorted({each.version for each in found})
        for each in found:
            major, former = each.version.major[0], walked[-1].version.major[0]
            assert each.version > walked[-1].version
            assert majors in ("any", "every") or major - former in ((0,) if majors == "none" else (0, 1))
            if major != former and majors != "any":
                between = [other.version.major[0] for other in there if other.version > walked[-1].version]
                assert not any(former <= other < major for other in between)
        walked.append(found[-1])
        assert len(walked) < 100
    end = releases.ways(made, walked[-1], there)
    assert (end.beyond is None) == (walked[-1].version == newest.version)
    assert (aim or at).version == walked[-1].version
    assert (end.beyond is None) == (end.why is None)


@given(st.permutations(["1.0.0", "1.0.1", "1.2.0", "2.0.0", "2.1.0", "latest", "nightly"]))
def test_the_order_of_a_list_means_nothing(tags: list[str]) -> None:
    assert steps("1.0.0", tags, majors="one-at-a-time") == ["1.0.1", "1.2.0"]


# -- what was seen of it


def known(seen: Mapping[tuple[str, str], Sequence[tuple[int, datetime]]], *verdicts: Verdict) -> Known:
    """`seen`: repository and tag -> the numbers of digests and since when, in the order they were last seen."""
    sightings = {
        (repository, tag): [Sighting(repository, tag, digest(number), first, NOON + 30 * DAY) for number, first in each]
        for (repository, tag), each in seen.items()
    }
    return Known(sightings, verdicts, 3 * DAY)


def changes(image: str, there: Sequence[str], what: Known, **more: object) -> list[Change]:
    made = rule(**more)  # type: ignore[arg-type]
    followed = Followed("app", "APP_IMAGE", made, {"APP_IMAGE": taken_apart(image)})
    found, _ = releases.changes(followed, releases.releases(made, there), what)
    return found


APP = "docker.io/library/app"


def test_a_step_is_pinned_and_cools_off_if_it_is_small() -> None:
    what = known({(APP, "1.0.1"): [(1, NOON)], (APP, "1.1.0"): [(2, NOON)]})
    small, large = changes("app:1.0.0", ["1.0.1", "1.1.0", "2.0.0"], what)
    assert small.images == {"APP_IMAGE": f"app:1.0.1@{digest(1)}"}
    assert fits("image", small.images["APP_IMAGE"])
    assert small.former == {"APP_IMAGE": "app:1.0.0"}
    assert (small.jump, small.ripe, large.jump, large.ripe) == ("patch", NOON + 3 * DAY, "minor", None)
    assert (small.former_text, small.text) == ("1.0.0", "1.0.1")


def test_what_was_not_seen_is_not_offered() -> None:
    assert changes("app:1.0.0", ["1.0.1"], known({})) == []


def test_threat_16_a_tag_that_moves_while_it_cools_off_begins_anew() -> None:
    what = known({(APP, "1.0.1"): [(1, NOON), (2, NOON + 2 * DAY)]})
    [step] = changes("app:1.0.0", ["1.0.1"], what)
    assert step.digest == digest(2)
    assert step.ripe == NOON + 5 * DAY


def test_threat_16_a_tag_that_runs_and_moves_is_seen() -> None:
    what = known({(APP, "1.0.0"): [(1, NOON), (2, NOON + DAY)]})
    for image in ("app:1.0.0", f"app:1.0.0@{digest(1)}"):
        [again] = changes(image, ["1.0.0"], what)
        assert (again.jump, again.digest, again.ripe) == ("rebuilt", digest(2), None)
        [moved] = releases.moved(Followed("app", "APP_IMAGE", rule(), {"APP_IMAGE": taken_apart(image)}), what)
        assert (moved.former, moved.digest, moved.expected) == (digest(1), digest(2), False)
    [expected] = changes("app:1.0.0", ["1.0.0"], what, rebuilt=True)
    assert expected.ripe == NOON + 4 * DAY
    assert changes(f"app:1.0.0@{digest(2)}", ["1.0.0"], what) == []


def verdict(said: str, number: int, tag: str) -> Verdict:
    return Verdict("app", "APP_IMAGE", tag, digest(number), said, NOON)  # type: ignore[arg-type]


def test_row_43_what_did_not_work_is_left_until_something_newer_is_there() -> None:
    bad = verdict("quarantined", 1, "1.0.1")
    [step] = changes("app:1.0.0", ["1.0.1"], known({(APP, "1.0.1"): [(1, NOON)]}, bad))
    assert step.said == bad
    seen = {(APP, "1.0.1"): [(1, NOON)], (APP, "1.0.2"): [(3, NOON)]}
    [newer] = changes("app:1.0.0", ["1.0.1", "1.0.2"], known(seen, bad))
    assert (newer.text, newer.said) == ("1.0.2", None)
    [anew] = changes("app:1.0.0", ["1.0.1"], known({(APP, "1.0.1"): [(1, NOON), (2, NOON)]}, bad))
    assert (anew.digest, anew.said) == (digest(2), None)


def test_a_skipped_version_stays_skipped_when_it_is_made_anew() -> None:
    no = verdict("skipped", 1, "1.0.1")
    [step] = changes("app:1.0.0", ["1.0.1"], known({(APP, "1.0.1"): [(1, NOON), (2, NOON)]}, no))
    assert step.said == no
    once = verdict("skipped", 2, "1.0.0")
    seen = {(APP, "1.0.0"): [(1, NOON), (2, NOON)]}
    [again] = changes("app:1.0.0", ["1.0.0"], known(seen, once))
    assert again.said == once
    [third] = changes("app:1.0.0", ["1.0.0"], known({(APP, "1.0.0"): [(1, NOON), (2, NOON), (3, NOON)]}, once))
    assert (third.digest, third.said) == (digest(3), None)


def test_images_that_go_together() -> None:
    made = rule(same_tag=["B_IMAGE"], notes="https://app.example/{VERSION}.html")
    images = {"A_IMAGE": taken_apart("ghcr.io/app/a:1.0.0"), "B_IMAGE": taken_apart("ghcr.io/app/b:1.0.0")}
    there = releases.releases(made, ["1.0.1"])

    def found(what: Known) -> list[Change]:
        return releases.changes(Followed("app", "A_IMAGE", made, images), there, what)[0]

    one = {("ghcr.io/app/a", "1.0.1"): [(1, NOON)]}
    assert found(known(one)) == []  # the other one has not come yet
    both = one | {("ghcr.io/app/b", "1.0.1"): [(2, NOON + DAY)]}
    [step] = found(known(both))
    assert step.images == {
        "A_IMAGE": f"ghcr.io/app/a:1.0.1@{digest(1)}",
        "B_IMAGE": f"ghcr.io/app/b:1.0.1@{digest(2)}",
    }
    assert step.ripe == NOON + 4 * DAY
    assert step.notes == "https://app.example/1.0.1.html"
    [other] = found(known(both | {("ghcr.io/app/b", "1.0.1"): [(3, NOON)]}))
    assert other.digest != step.digest  # a verdict on one set of them says nothing of another


@given(
    st.from_regex(r"[a-z]{1,5}(\.[a-z]{1,3})?(:[0-9]{1,4})?(/[a-z]{1,5}){0,2}(:[A-Za-z0-9_.-]{1,9})?", fullmatch=True)
)
def test_a_name_taken_apart_is_the_same_name(image: str) -> None:
    parts = taken_apart(image)
    assert str(parts) == image
    pinned = taken_apart(parts.pinned("1", digest(7)))
    assert (pinned.repository, pinned.tag, pinned.digest) == (parts.repository, "1", digest(7))


# -- when to ask


def test_once_a_day_and_again_in_an_hour() -> None:
    hour = timedelta(hours=1)

    def due(done: datetime | None, tried: datetime | None, now: datetime = NOON) -> bool:
        return releases.due(done, tried, now, DAY, hour)

    assert due(None, None)
    assert not due(NOON - hour, NOON - hour)
    assert due(NOON - DAY, NOON - DAY)
    assert not due(NOON - 2 * DAY, NOON - hour / 2)
    assert due(NOON - 2 * DAY, NOON - hour)
    assert due(NOON + 5 * DAY, NOON + 5 * DAY)  # noted while the clock was ahead


def test_pairs_of_steps_differ() -> None:
    for present, there in itertools.product(["1.0.0", "1.1.0"], [["1.1.0"], ["1.0.9", "1.1.0"]]):
        found = steps(present, there)
        assert len(set(found)) == len(found)
        assert all(isinstance(each, Release) for each in ways(present, there).steps)

"""The pure rules: schedule, what counts as a backup, the house's one sentence."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from gardien.model.fault import Faults
from gardien.model.health import Alert, Disk, StackHealth
from gardien.model.job import Job
from gardien.model.manifest import Manifest, Text
from gardien.model.overview import StackView
from gardien.model.plan import Plan
from gardien.model.settings import Watched
from gardien.model.snapshot import Saved, Snapshot
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules import names, schedule
from gardien.rules.good import why_not_good
from gardien.rules.house_watch import of_disks
from gardien.rules.verdict import owed, sentence
from gardien.words import Words

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def snapshot(**changes: object) -> Snapshot:
    values: dict[str, object] = {
        "id": "a" * 64,
        "stack": "files",
        "target": "host",
        "taken": NOW,
        "files": 100,
        "bytes": 1000,
        "added": 10,
        "pause_seconds": 1.0,
        "good": True,
    }
    return Snapshot(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        (datetime(2026, 10, 24, 20, 0, tzinfo=UTC), 1),  # the clock goes back: 02:30 comes twice on the wall
        (datetime(2026, 3, 28, 20, 0, tzinfo=UTC), 1),  # and forth: 02:30 never comes
        (datetime(2026, 6, 1, 20, 0, tzinfo=UTC), 1),
    ],
)
def test_exactly_one_run_in_every_night(night: datetime, expected: int) -> None:
    runs, at = 0, night
    while (at := schedule.following("02:30", at, BERLIN)) < night + timedelta(hours=12):
        runs += 1
    assert runs == expected


def test_late_counts_from_the_newest_good_one_or_from_when_it_was_added() -> None:
    assert not schedule.late(NOW - timedelta(hours=25), None, NOW, timedelta(hours=26))
    assert schedule.late(NOW - timedelta(hours=27), None, NOW, timedelta(hours=26))
    assert schedule.late(None, NOW - timedelta(hours=27), NOW, timedelta(hours=26))
    assert not schedule.late(None, NOW - timedelta(hours=1), NOW, timedelta(hours=26))
    assert not schedule.late(None, None, NOW, timedelta(hours=26))


@pytest.mark.parametrize(
    ("saved", "former", "listed", "good"),
    [
        (Saved("x", 10, 1000, 1, True), None, True, True),
        (Saved("x", 10, 1000, 1, True), snapshot(bytes=1999), True, True),
        (Saved("x", 10, 1000, 1, True), snapshot(bytes=2001), True, False),  # shrank by more than half
        (Saved("x", 10, 1000, 1, False, ("/secret name",)), None, True, False),
        (Saved("x", 10, 1000, 1, True), None, False, False),
        (Saved("x", 0, 0, 0, True), None, True, False),
    ],
)
def test_which_backups_count(saved: Saved, former: Snapshot | None, listed: bool, good: bool) -> None:
    why = why_not_good(saved, former, listed)
    assert (why is None) is good
    assert why is None or "secret name" not in str(why)  # no file names in words that may end up in a letter


def view(health: str = "well", good: Snapshot | None = None, late: bool = False) -> StackView:
    return StackView(
        name="files",
        title=Text(en="Files", fr="Fichiers"),
        summary=Text(en="", fr=""),
        address=None,
        health=StackHealth("files", health, Words("says why"), NOW, NOW),  # type: ignore[arg-type]
        newest_good=good,
        newest=good,
        late=late,
        next_backup=None,
    )


def keys(stacks: list[StackView], disks: list[Disk], *, docker: bool = True) -> set[str]:
    house = of_disks(disks, {}, Watched(), frozenset())
    return {each.key for each in owed(stacks, [], now=NOW, docker_answers=docker, last_jobs=[], house=house)}


def test_alerts_that_are_owed() -> None:
    roomy, tight, gone = Disk("/d", 100, 50), Disk("/d", 100, 2), Disk("/d", 0, 0, present=False)
    assert keys([view(good=snapshot())], [roomy]) == set()
    assert keys([view(late=True)], [tight]) == {"backup-late:files", "disk:/d"}
    assert keys([view()], [gone]) == {"disk:/d"}
    assert keys([view("down")], [roomy], docker=False) == {"docker"}


def job(kind: str, state: str, code: str | None = None) -> Job:
    return Job(
        id=1,
        plan=Plan(kind, "files", (), ()),  # type: ignore[arg-type]
        state=state,  # type: ignore[arg-type]
        steps=(),
        facts={},
        attempts=1,
        created=NOW,
        started=NOW,
        ended=NOW,
        says=Words("why"),
        remedy=Words("what to do"),
        code=code,
        detail="",
    )


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        (job("backup", "failed", "target-unreachable"), {"job:backup:files"}),
        (job("backup", "failed", "refused"), set()),  # it is switched off: its owner knows
        (job("backup", "cancelled"), set()),
        (job("check", "failed", "damaged"), set()),  # that has an alert of its own
        (job("check", "failed", "target-unreachable"), {"job:check:files"}),
        (job("restore", "failed", "disk-missing"), set()),  # whoever asked for it was told
        (job("restore", "stuck"), {"job:restore:files"}),
    ],
)
def test_which_jobs_leave_an_alert(ended: Job, expected: set[str]) -> None:
    found = owed([view(good=snapshot())], [], now=NOW, docker_answers=True, last_jobs=[ended])
    assert {each.key for each in found} == expected


def test_the_sentence_is_calm_only_when_all_runs_and_all_is_saved() -> None:
    alert = Alert(1, "k", "trouble", Words("the disk is gone"), Words("look"), NOW)
    assert sentence([view(good=snapshot())], [])[0] == "calm"
    assert sentence([view()], [])[0] == "notice"
    assert sentence([view("starting", snapshot())], [])[0] == "notice"
    assert sentence([view("unknown", snapshot())], [])[0] == "notice"
    severity, says = sentence([view(good=snapshot())], [alert])
    assert severity == "trouble"
    assert "the disk is gone" in str(says)


# -- names


def named(door: bool = False, mode: str = "home", doorless: bool = False, **settings: str) -> Stack:
    """A stack with two routes, MAIN and SANDBOX, and one more domain that leads nowhere; or the house's door."""
    words = {"en": "x", "fr": "x"}
    kinds = {"MAIN": "domain", "SANDBOX": "domain", "FRIEND": "domain"}
    if door:
        kinds = {"DOOR_DOMAIN": "domain"}
    manifest: dict[str, object] = {
        "format": 1,
        "title": words,
        "summary": words,
        "settings": {
            name: {"kind": kind, "default": f"{name.lower()}.{{DOOR_DOMAIN}}", "ask": words}
            for name, kind in kinds.items()
        },
        "routes": [] if door else [{"name": name, "to": "app:80"} for name in ("MAIN", "SANDBOX")],
        "probes": {"app": {"tcp": "x:1"}},
        "backup": {"save": ["data"]},
    }
    if door:
        argv = {key: ["x"] for key in ("check", "reload")}
        keys = ("mode", "domain", "http_port", "https_port", "email", "authority")
        paths = {key: key for key in ("config", "page", "root")}
        manifest["door"] = {"service": "app", **dict.fromkeys(keys, "DOOR_DOMAIN"), **paths, **argv}
    recipe = Recipe("pad", Path("/x"), {}, {}, Manifest.model_validate(manifest))
    given = {"DOOR_DOMAIN": "home.arpa", "DOOR_SUFFIX": "", "DOOR_MODE": mode}
    return Stack(recipe, Chosen(settings=settings), "gardien-pad", Path("/srv/pad"), given, doorless)


def test_each_name_leads_to_one_place() -> None:
    assert names.domains(named()) == {"MAIN": "main.home.arpa", "SANDBOX": "sandbox.home.arpa"}
    assert names.clashes(named(), {"other.home.arpa": "Cloud"}, "home") == []
    assert names.clashes(named(FRIEND="cloud.home.arpa"), {"cloud.home.arpa": "Cloud"}, "home") == []  # of another's
    (fault,) = names.clashes(named(MAIN="cloud.home.arpa"), {"cloud.home.arpa": "Cloud"}, "home")
    assert str(fault) == (
        "MAIN: MAIN is cloud.home.arpa, and that name belongs to Cloud. "
        "Give each its own name, such as pad-2.home.arpa."
    )
    (fault,) = names.clashes(named(SANDBOX="main.home.arpa"), {}, "home")
    assert (fault.path, "belongs to MAIN" in str(fault.says)) == ("SANDBOX", True)
    with pytest.raises(Faults, match="belongs to Cloud"):
        names.require(named(MAIN="x.org", doorless=True), {"x.org": "Cloud"})


@pytest.mark.parametrize(
    ("mode", "good", "bad"),
    [
        (
            "home",
            ["cloud.home.arpa", "a.b.local", "x.internal", "x.localhost"],
            ["cloud.example.org", "home.arpa", "localhost", "local", "cloud", "cloud.lan", "x.home.arpa.org", "a.fr"],
        ),
        (
            "internet",
            ["cloud.example.org", "praxis.de", "local.fr", "xhome.arpa"],
            ["cloud.home.arpa", "home.arpa", "localhost", "cloud", "a.local", "a.b.internal", "x.localhost"],
        ),
    ],
)  # fmt: skip
def test_names_suit_the_door(mode: Literal["home", "internet"], good: list[str], bad: list[str]) -> None:
    sandbox = good[0].replace("cloud", "sandbox")
    for name in good:
        assert names.clashes(named(MAIN=name, SANDBOX=sandbox), {}, mode) == []
        names.require(named(MAIN=name, SANDBOX=sandbox, mode=mode), {})
    for name in bad:
        (fault,) = names.clashes(named(MAIN=name, SANDBOX=sandbox), {}, mode)
        assert fault.path == "MAIN" and name in str(fault.says)
        assert names.clashes(named(MAIN=str(fault.remedy.values["example"]), SANDBOX=sandbox), {}, mode) == []
        with pytest.raises(Faults, match=name):
            names.require(named(MAIN=name, SANDBOX=sandbox, mode=mode), {})
        names.require(named(MAIN=name, SANDBOX=sandbox, mode=mode, doorless=True), {})  # nobody asks for them yet


@pytest.mark.parametrize(
    ("mode", "good", "bad"),
    [
        ("home", ["home.arpa", "local", "praxis.internal"], ["praxis.de", "lan"]),
        ("internet", ["praxis.de", "a.praxis.de"], ["home.arpa", "local", "praxis.internal", "praxis"]),
    ],
)
def test_what_names_end_with_suits_the_door(mode: Literal["home", "internet"], good: list[str], bad: list[str]) -> None:
    for name in good:
        assert names.clashes(named(door=True, DOOR_DOMAIN=name), {}, mode) == []
    for name in bad:
        (fault,) = names.clashes(named(door=True, DOOR_DOMAIN=name), {}, mode)
        assert fault.path == "DOOR_DOMAIN" and str(fault.remedy.values["example"]) in ("home.arpa", "example.org")

"""The trial restore: what is tried and when, what a copy may be, what is said of it; on a real machine: faults/."""

import asyncio
import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gardien.errors import NotFound, Refused
from gardien.model.manifest import Probe
from gardien.model.proof import Proof
from gardien.model.settings import Backup, LocalTarget, SftpTarget, Target
from gardien.model.snapshot import Snapshot
from gardien.rules import drill
from gardien.words import Words
from tests.memory_house import STACK, Home, memory_house

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
HOUSE = Path("/srv/gardien/.drill/notes-7/copy")
SFTP = SftpTarget(kind="sftp", host="h.example", user="me", folder="f", host_key="ssh-ed25519 AAAA", key=Path("/k"))
NEAR, FAR = LocalTarget(kind="local", folder=Path("/backups")), SFTP


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch) as made:
        yield made


def snapshot(target: str, day: int, good: bool = True, original: str | None = None) -> Snapshot:
    taken = datetime(2026, 3, day, tzinfo=UTC)
    return Snapshot(f"{target}{day}", STACK, target, taken, 1, 1, 1, 0.0, good, original=original)


# -- which backup, and when


def test_the_newest_that_lies_elsewhere_is_tried() -> None:
    places: dict[str, Target] = {"near": NEAR, "far": FAR, "copy": FAR}
    every = [snapshot("near", 9), snapshot("far", 8), snapshot("far", 9, good=False), snapshot("gone", 9)]
    assert drill.choice(every, places) == snapshot("far", 8)
    both = [snapshot("copy", 8, original="far8"), snapshot("far", 8)]
    assert drill.choice(both, places) == snapshot("far", 8)
    assert drill.choice([snapshot("near", 9)], places) == snapshot("near", 9)
    assert drill.choice([snapshot("near", 9)], {"far": FAR}) is None


def test_each_stack_has_a_day_of_its_own() -> None:
    days = {drill.times("weekly", name) for name in ("nextcloud", "cryptpad", "jitsi", "forms", "gateway", "office")}
    assert len(days) > 3
    assert drill.times("weekly", "forms") == drill.times("weekly", "forms")
    assert drill.times("monthly on day 2 at 04:00", "forms") == "monthly on day 2 at 04:00"
    assert drill.times("never", "forms") is None


@pytest.mark.parametrize(("days", "late"), [(13, False), (15, True)])
def test_two_weeks_without_proof_are_too_long(days: int, late: bool) -> None:
    then = NOW - timedelta(days=days)
    assert drill.late(then, NOW - timedelta(days=99), NOW) is late
    assert drill.late(None, then, NOW) is late
    assert not drill.late(None, None, NOW)


# -- what a copy may be: neither reached nor reaching


def project() -> dict[str, Any]:
    return {
        "name": "gardien_drill_notes",
        "services": {
            "app": {
                "image": "notes:1",
                "container_name": "notes",
                "restart": "unless-stopped",
                "deploy": {"restart_policy": {"condition": "any"}, "resources": {"limits": {"memory": "9"}}},
                "mem_limit": "268435456",
                "labels": {"traefik.enable": "true"},
                "extra_hosts": ["host.docker.internal=host-gateway"],
                "dns": ["9.9.9.9"],
                "logging": {"driver": "json-file", "options": {"max-size": "10m"}},
                "networks": {"default": {"aliases": ["a"], "ipv4_address": "10.1.2.3"}, "door": None},
                "ports": [{"host_ip": "127.0.0.1", "published": "8091", "target": 8080, "protocol": "tcp"}],
                "volumes": [
                    {"type": "bind", "source": f"{HOUSE}/srv", "target": "/srv"},
                    {"type": "bind", "source": f"{HOUSE}/.gardien/compose/x.sh", "target": "/x", "read_only": True},
                    {"type": "tmpfs", "target": "/tmp"},
                ],
            },
            "side": {"image": "side:1", "network_mode": "bridge"},
            "alone": {"image": "alone:1", "network_mode": "none"},
        },
        "networks": {
            "default": {"name": "gardien_drill_notes_default", "ipam": {"config": [{"subnet": "10.1.2.0/24"}]}},
            "door": {"name": "gardien_drill_notes_door"},
        },
        "configs": {"c": {"name": "gardien_drill_notes_c", "file": f"{HOUSE}/.gardien/compose/c"}},
        "x-gardien": {"format": 1},
    }


def test_a_copy_keeps_its_limits_and_loses_its_ways() -> None:
    made: Any = drill.apart(project(), "gardien_drill_notes", HOUSE)
    app = made["services"]["app"]
    assert made["networks"] == {"default": {"internal": True}, "door": {"internal": True}}
    assert app["networks"] == {"default": {"aliases": ["a"]}, "door": {"aliases": []}}
    assert app["restart"] == "no"
    assert app["deploy"] == {"resources": {"limits": {"memory": "9"}}}
    assert (app["mem_limit"], app["logging"]["options"]) == ("268435456", {"max-size": "10m"})
    assert app["dns"] == ["127.0.0.1"]
    assert not {"ports", "container_name", "extra_hosts", "labels"} & set(app)
    assert made["services"]["side"]["networks"] == {"default": {"aliases": []}}
    assert "networks" not in made["services"]["alone"]
    assert made["configs"] == {"c": {"file": f"{HOUSE}/.gardien/compose/c"}}
    assert set(made) == {"name", "services", "networks", "configs"}


@pytest.mark.parametrize(
    "change",
    [
        {"volumes": [{"type": "bind", "source": "/srv/gardien/notes/srv", "target": "/srv"}]},
        {"volumes": [{"type": "bind", "source": f"{HOUSE}/../other", "target": "/srv"}]},
        {"volumes": [{"type": "bind", "source": f"{HOUSE}", "target": "/srv"}]},
        {"volumes": [{"type": "bind", "source": f"{HOUSE}/.gardien", "target": "/srv", "read_only": True}]},
        {"volumes": [{"type": "bind", "source": f"{HOUSE}/.gardien/compose/x", "target": "/srv"}]},
        {"volumes": [{"type": "bind", "source": "/var/run/docker.sock", "target": "/s", "read_only": True}]},
        {"volumes": [{"type": "volume", "source": "kept", "target": "/srv"}]},
        {"network_mode": "host"},
        {"network_mode": "container:notes"},
        {"privileged": True},
        {"pid": "host"},
        {"cap_add": ["SYS_ADMIN"]},
        {"devices": [{"source": "/dev/sda", "target": "/dev/sda"}]},
    ],
)
def test_what_would_leave_its_box_is_not_started(change: dict[str, Any]) -> None:
    bad = copy.deepcopy(project())
    bad["services"]["side"] |= change
    with pytest.raises(Refused):
        drill.apart(bad, "gardien_drill_notes", HOUSE)


@pytest.mark.parametrize("entry", [{"external": True}, {"file": "/etc/passwd"}])
def test_neither_is_one_that_reads_what_is_not_its_own(entry: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        drill.apart(project() | {"secrets": {"s": entry}}, "gardien_drill_notes", HOUSE)


async def test_probes_ask_the_container_by_the_name_that_people_use(home: Home) -> None:
    stack = await home.house.stacks.get(STACK)
    port = stack.settings["NOTES_PORT"]
    ports = {port: ("app", 8080)}
    [probe] = drill.askable(stack, ports).values()
    asked = drill.redirected(stack, probe, ports, {"app": "172.20.0.2"})
    assert asked.http == "http://172.20.0.2:8080/health.json"
    assert asked.headers == {"Host": f"127.0.0.1:{port}"}
    named = probe.model_copy(update={"headers": {"host": "localhost"}})
    assert drill.redirected(stack, named, ports, {"app": "172.20.0.2"}).headers == {"host": "localhost"}
    tcp = drill.redirected(stack, Probe(tcp="127.0.0.1:{NOTES_PORT}"), ports, {"app": "172.20.0.2"})
    assert tcp.tcp == "172.20.0.2:8080"
    elsewhere = {name: Probe(http=f"http://{name}/") for name in ("cloud.home.arpa", f"192.168.1.9:{port}")}
    recipe = replace(stack.recipe, manifest=stack.manifest.model_copy(update={"probes": elsewhere}))
    assert drill.askable(replace(stack, recipe=recipe), ports) == {}


# -- a house in memory


async def test_a_backup_is_proven_and_nothing_stays(home: Home) -> None:
    await home.saved()
    before = (dict(home.fakes.docker.containers), dict(home.fakes.docker.networks), set(home.fakes.files.leaves))
    job = await home.done(await home.house.drills.create(STACK))
    after = (dict(home.fakes.docker.containers), dict(home.fakes.docker.networks), set(home.fakes.files.leaves))
    root = home.fakes.world.settings.folders.data / ".drill"
    assert (after[0], after[1], after[2] - {root}) == before
    [proof] = await home.house.drills.list()
    assert (proof.outcome, proof.target, proof.dumps, proof.asked) == ("proven", "near", ("database.txt",), ("app",))
    assert (proof.job, proof.says) == (job.id, job.says)
    assert proof.files > 3
    assert proof.seconds > 0
    view = (await home.house.overviews.stacks())[0]
    assert view.trials.proven == view.trials.tried == proof
    assert await home.fakes.store.leases() == {}


async def test_without_a_good_backup_there_is_nothing_to_try(home: Home) -> None:
    with pytest.raises(NotFound):
        await home.house.drills.plan(STACK)
    await home.saved(missing=True)
    with pytest.raises(NotFound):
        await home.house.drills.plan(STACK)


@pytest.mark.parametrize("lack", ["memory", "disk"])
async def test_a_machine_that_is_too_small_says_so_and_nothing_is_wrong(home: Home, lack: str) -> None:
    await home.saved()
    if lack == "memory":
        home.fakes.host.has_memory_free = 100_000_000
    else:
        home.fakes.host.disks[Path("/")] = (10**12, 10**7)
    job = await home.done(await home.house.drills.create(STACK))
    assert "was not tried" in str(job.says)
    [proof] = await home.house.drills.list()
    assert (proof.outcome, proof.says, proof.files) == ("skipped", job.says, 0)
    alerts = await home.alerts()
    assert not [key for key in alerts if key.startswith(("drill", "unproven"))]


async def test_a_failure_is_an_alert_until_the_next_good_one(home: Home) -> None:
    await home.saved()
    home.fakes.docker.sick.add("app")
    failed = await home.end(await home.house.drills.create(STACK))
    assert (failed.state, failed.code) == ("failed", "not-healthy")
    home.fakes.docker.sick.clear()
    alert = (await home.alerts())[f"drill:{STACK}"]
    assert alert.severity == "trouble"
    assert "does not start from it" in str(alert.says)
    # A machine that is too small for a moment proves nothing.
    home.fakes.host.has_memory_free = 0
    await home.done(await home.house.drills.create(STACK))
    assert f"drill:{STACK}" in await home.alerts()
    home.fakes.host.has_memory_free = 10**10
    await home.done(await home.house.drills.create(STACK))
    assert f"drill:{STACK}" not in await home.alerts()


async def test_it_happens_each_week_by_itself(home: Home) -> None:
    await home.live(days=22)
    jobs = await home.jobs("drill")
    assert len(jobs) == 3
    assert {job.state for job in jobs} == {"done"}
    gaps = [after.created - before.created for before, after in pairwise(jobs)]
    assert all(timedelta(days=6, hours=23) < gap < timedelta(days=7, hours=1) for gap in gaps)
    assert not [key for key in await home.alerts() if key.startswith(("drill", "unproven"))]


async def test_a_broken_backup_is_tried_twice_and_then_at_its_next_time(home: Home) -> None:
    await home.saved()
    home.fakes.docker.sick.add("app")
    await home.live(days=6, hours=23)
    jobs = await home.jobs("drill")
    assert [job.state for job in jobs] == ["failed", "failed"]


async def test_two_weeks_without_one_are_told_with_the_reason(home: Home) -> None:
    home.fakes.host.has_memory_free = 0
    await home.live(days=16)
    alert = (await home.alerts())[f"unproven:{STACK}"]
    assert "memory" in str(alert.says)
    home.fakes.host.has_memory_free = 10**10
    await home.done(await home.house.drills.create(STACK))
    assert f"unproven:{STACK}" not in await home.alerts()


async def test_nobody_asks_for_proof_where_the_owner_wants_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_house(tmp_path, monkeypatch, backup=Backup(at="daily at 02:30", prove="never")) as home:
        await home.live(days=16)
        assert await home.jobs("drill") == []
        assert not [key for key in await home.alerts() if key.startswith("unproven")]


async def test_a_backup_goes_before_it_and_it_is_tried_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    await home.saved()
    began = asyncio.Event()

    async def endless(*_: object) -> None:
        began.set()
        await asyncio.sleep(3600)

    with monkeypatch.context() as patch:
        patch.setattr(home.restic, "bring_back", endless)
        number = await home.house.drills.create(STACK)
        await began.wait()
        await home.done(await home.house.backups.create(STACK, "near"))
    assert (await home.end(number)).code == "made-way"
    assert await home.house.drills.list() == []
    home.move(minutes=2)
    await home.look()
    assert [job.state for job in await home.jobs("drill")] == ["cancelled", "done"]


async def test_what_a_former_life_left_is_cleared_away(home: Home) -> None:
    await home.saved()
    data = home.fakes.world.settings.folders.data
    await home.fakes.files.make_folder(data / ".drill" / "notes-0" / "copy", None, 0o700)
    home.move(minutes=1)
    await home.done(await home.house.drills.create(STACK))
    assert not await home.fakes.files.exists(data / ".drill" / "notes-0")


def made(job: int, ended: datetime, **more: Any) -> Proof:
    says = Words.of("it came back")
    return Proof(job, STACK, "far", "f" * 64, ended, ended, ended, "proven", says, Words.of(""), **more)

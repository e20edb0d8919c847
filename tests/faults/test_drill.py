"""Trial restores on a real machine: what runs is not touched, nothing stays, and each reason to fail is told apart."""

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.houses import STACK, House, house
from tests.world.box import docker, until
from tests.world.notes import NEEDS
from tests.world.restic import RESTIC
from tests.world.sftp import SftpHost
from tests.world.trial import inside, left, lying_restic, untouched, visits, volumes

LOAD = "argv: [sh, -c, 'cat > /srv/database'], input"


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    """One for all: each test leaves it well."""
    with tempfile.TemporaryDirectory(prefix="gh-") as room, SftpHost(Path(room) / "host") as host, house(host) as made:
        made.box.stop()
        made.box.settings["programs"]["restic"] = str(lying_restic(made.box.root, RESTIC))
        made.box.save_settings()
        made.box.start()
        made.box.until_well(STACK)
        yield made


@contextmanager
def lying(home: House, what: str) -> Iterator[None]:
    """What restic brings back meanwhile is not what was saved, whatever it says."""
    lie = home.box.root / "lie"
    lie.write_text(what + "\n")
    try:
        yield
    finally:
        lie.unlink()


@contextmanager
def written_otherwise(home: House, old: str, new: str) -> Iterator[None]:
    """The stack's Compose file as it lies here, and is saved; what runs was made from the former one."""
    file = home.box.data / STACK / ".gardien" / "compose" / "compose.yaml"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))
    try:
        yield
    finally:
        file.write_text(text)


def failed(home: House, code: str, says: str) -> None:
    """The trial fails so, and says so; nothing stays, and an alert is open until one succeeds."""
    box = home.box
    done = box.gardien("drill", STACK, "--json", check=False)
    assert done.returncode == 1, done.stdout
    job = json.loads(done.stdout)
    assert (job["state"], job["code"]) == ("failed", code), job
    assert says in job["says"]
    assert left(box, STACK) == []
    assert home.locks() == []
    proof = box.json("drill", "list", STACK)[0]
    assert (proof["outcome"], proof["code"], proof["job"]) == ("failed", code, job["id"])
    until(lambda: says in str((alert(home) or {"says": "none"})["says"]), 20)
    box.until_well(STACK, 20)


def alert(home: House) -> dict[str, object] | None:
    return next((each for each in home.box.status()["alerts"] if each["key"] == f"drill:{STACK}"), None)


def test_a_good_one_leaves_nothing_and_touches_nothing(home: House) -> None:
    """It is alone on networks that nothing leads out of; that an engine keeps to that: test_drill_alone.py."""
    box = home.box
    with written_otherwise(home, LOAD, "argv: [sh, -c, 'cat > /srv/database; sleep 8'], input"):  # time to look at it
        box.gardien("backup", "create", STACK)
    port = box.json("stack", "show", STACK)["settings"]["NOTES_PORT"]
    known, before = volumes(), untouched(box, STACK, "srv")
    with visits(f"http://127.0.0.1:{port}/health.json") as seen:
        number = int(box.line.post("drills", stack=STACK)["job"])
        until(lambda: bool(inside(box, STACK)), 30)
        copy = inside(box, STACK)[0]
        facts = json.loads(docker("inspect", copy))[0]
        nets = json.loads(docker("network", "inspect", *facts["NetworkSettings"]["Networks"]))
        job = next(each for each in box.until_jobs_end() if each["id"] == number)
    assert job["state"] == "done", job
    assert [(each["Internal"], list(each["Containers"])) for each in nets] == [(True, [facts["Id"]])]
    assert facts["HostConfig"]["PortBindings"] in ({}, None)
    assert facts["HostConfig"]["RestartPolicy"]["Name"] == "no"
    assert all("/.drill/notes-" in mount["Source"] for mount in facts["Mounts"])
    assert (seen.failures, seen.asked > 50) == ([], True)
    assert left(box, STACK) == []
    assert home.locks() == []
    assert volumes() <= known
    assert untouched(box, STACK, "srv") == before


def test_what_was_proven_is_kept_and_said_first(home: House, tmp_path: Path) -> None:
    box = home.box
    proof = box.json("drill", "list")[0]
    newest = box.json("backup", "list", STACK)[0]
    assert (proof["outcome"], proof["target"], proof["snapshot"]) == ("proven", "host", newest["id"])
    assert (proof["dumps"], proof["asked"], proof["files"] > 3) == (["database.txt"], ["app"], True)
    assert len(proof["checked"]) == 3
    assert "can be restored" in proof["says"]
    assert "Last proven restorable" in box.gardien("status").stdout
    metrics = box.line.get("status")["stacks"][0]["trials"]
    assert metrics["proven"]["job"] == proof["job"]
    page = tmp_path / "month.html"
    box.gardien("drill", "certificate", "--html", str(page))
    assert proof["snapshot"][:12] in page.read_text()
    french = box.gardien("drill", "certificate", "--html", str(page), environment={"LC_ALL": "fr_FR.UTF-8"})
    assert french.returncode == 0
    assert box.gardien("drill", "certificate", "--month", "2026-13", check=False).returncode == 2


LIES = ('rm "$(find "$to/srv" -type f | head -1)"', 'chmod 0123 "$to/srv"', 'echo more >> "$to/srv/more"')


@pytest.mark.parametrize("lie", LIES if os.environ.get("GARDIEN_FULL") else LIES[:1])
def test_files_that_are_not_as_they_were_saved(home: House, lie: str) -> None:
    """Whatever restic says of them."""
    with lying(home, lie):
        failed(home, "damaged", "cannot be restored")


def test_a_pack_that_is_gone(home: House) -> None:
    """The largest of the repository: what is in it cannot come back."""
    home.weigh(3)
    home.box.gardien("backup", "create", STACK)
    packs = (each for each in (home.repository / "data").rglob("*") if each.is_file())
    pack = max(packs, key=lambda each: each.stat().st_size)
    aside = home.repository / pack.name
    pack.rename(aside)
    try:
        failed(home, "damaged", "")
    finally:
        aside.rename(pack)


def test_a_dump_that_cannot_be_loaded(home: House) -> None:
    with written_otherwise(home, LOAD, "argv: [sh, -c, 'exit 9'], input"):
        home.box.gardien("backup", "create", STACK)
        failed(home, "dump-broken", "its database cannot be loaded")


def test_an_application_that_does_not_come_up(home: House) -> None:
    """Until a better backup was made and tried."""
    with written_otherwise(home, "exec httpd -f -p 8080 -h /srv", "echo I cannot; exit 7"):
        home.box.gardien("backup", "create", STACK)
        failed(home, "not-healthy", "does not start from it")
    home.box.gardien("backup", "create", STACK)
    home.box.gardien("drill", STACK)
    until(lambda: alert(home) is None, 20)


@pytest.mark.parametrize("needs", ["memory: 9000000", "disk: 900000000"])
def test_a_machine_that_is_too_small(home: House, needs: str) -> None:
    """It is no failure: nothing is wrong with the backup."""
    value = "memory: 10" if needs.startswith("memory") else "disk: 1"
    with written_otherwise(home, NEEDS, NEEDS.replace(value, needs)):
        job = home.box.json("drill", STACK)
    assert job["state"] == "done"
    assert "was not tried" in job["says"]
    assert home.box.json("drill", "list", STACK)[0]["outcome"] == "skipped"
    assert left(home.box, STACK) == []


def test_a_backup_that_would_mount_what_runs(home: House) -> None:
    """Somebody with the key has made a backup whose folder leads to the living one: it is not even started."""
    box, srv = home.box, home.srv
    before = untouched(box, STACK, "srv")
    with lying(home, f'rm -r "$to/srv"; ln -s "{srv}" "$to/srv"'):
        failed(home, "damaged", "cannot be restored")
    assert untouched(box, STACK, "srv") == before


def test_in_the_end_nothing_was_left(home: House) -> None:
    time.sleep(0.5)
    assert left(home.box, STACK) == []
    assert not [each for each in home.box.until_jobs_end() if each["state"] == "stuck"]

"""Whose turn it is: what the dead held, everybody at once, two daemons, and a pause nobody ended."""

import json
import re
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tests.faults.houses import STACK, House
from tests.world.box import until
from tests.world.plug import die_at, leases
from tests.world.restic import RESTIC


def test_row_17_killed_while_the_application_is_paused(home: House) -> None:
    """What ends the pause was written down before it; the next start does it."""
    die_at(home.box, "backup/pause/ran", "backup", "create", STACK)
    assert (home.srv / "paused").read_text().strip() == "paused"
    home.box.start()
    home.box.until_well(STACK, 30)
    [job] = [each for each in home.box.until_jobs_end() if each["kind"] == "backup"][:1]
    assert job["state"] == "interrupted"
    assert (home.srv / "paused").read_text().strip() == ""
    assert not (home.box.data / STACK / ".gardien" / "dumps").exists()
    home.is_well()


def test_row_18_what_a_dead_job_held(home: House) -> None:
    """The lease of one that was killed, and one of a job that is not there at all."""
    home.slow()
    home.weigh(4)
    home.box.gardien("backup", "create", STACK, "--no-wait")
    home.until_sending()
    assert f"stack:{STACK}" in leases(home.box)
    home.box.stop(signal.SIGKILL)
    home.line.rate = None
    held = leases(home.box)
    assert f"stack:{STACK}" in held
    store = home.box.root / "state" / "gardien.db"
    ghost = "PRAGMA foreign_keys=OFF; INSERT INTO lease (name, job) VALUES ('repository:ghost', 999999)"
    subprocess.run(["sqlite3", str(store), ghost], check=True)
    home.box.start()
    home.box.until_jobs_end()
    until(lambda: leases(home.box) == "", 10)
    home.is_well()


def test_row_20_everything_at_once(home: House) -> None:
    """Backups, restores, a look at the target, all in the same moment: one after the other, the urgent first."""
    home.weigh(4)
    home.box.gardien("backup", "create", STACK)
    heard = len(home.box.log.read_text())
    before = {each["id"] for each in home.box.json("job", "list")}
    asked = [("backup", "create", STACK), ("restore", STACK, "--yes"), ("stack", "restart", STACK)] * 2
    with ThreadPoolExecutor(len(asked) + 1) as crowd:
        home.box.gardien("backup", "create", STACK, "--no-wait")  # the one that the others meet
        tested = crowd.submit(home.box.gardien, "target", "test", "host", check=False)
        done = list(crowd.map(lambda argv: home.box.gardien(*argv, "--no-wait", check=False), asked))
    assert [each.stderr for each in done if each.returncode] == []
    assert tested.result().returncode == 0, tested.result().stderr
    jobs = [each for each in home.box.until_jobs_end(240) if each["id"] not in before]
    assert len(jobs) == 7
    assert {each["state"] for each in jobs} == {"done"}, [(each["kind"], each["says"]) for each in jobs]
    until(lambda: leases(home.box) == "", 10)
    assert home.locks() == []
    log = home.box.log.read_text()[heard:].splitlines()
    by_start = sorted(jobs, key=lambda each: began(log, each["id"]))
    first, *others = [each["kind"] for each in by_start]
    assert first == "backup"
    assert others[:2] == ["restore"] * 2, others
    assert overlapping(log) == []
    home.box.until_well(STACK, 30)
    said = subprocess.run(
        [RESTIC, "-r", str(home.repository), "-p", str(home.box.passphrase), "--no-cache", "check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stderr


def began(log: list[str], job: int) -> int:
    """When the job's first step began."""
    return next(number for number, line in enumerate(log) if f": job {job} (" in line)


def overlapping(log: list[str]) -> list[str]:
    """Lines of one job between another one's first step and its end."""
    present, wrong = None, []
    for line in log:
        found = re.search(rf"runner: job (\d+)(?: \(\w+ {STACK}\): |: (done|failed|cancelled|interrupted))", line)
        if found is None:
            continue
        if present not in {None, found[1]}:
            wrong.append(line)
        present = None if found[2] else found[1]
    return wrong


def test_row_21_two_daemons(home: House) -> None:
    """The second exits and says why; the first does not even notice."""
    first = home.box.daemon
    assert first is not None
    try:
        second = home.box.spawn()
        assert second.wait(90) == 1
    finally:
        home.box.daemon = first
    said = home.box.logged(10)
    assert f"another gardien is already running here (process {first.pid})" in said
    assert "stop it first" in said
    assert "Traceback" not in said
    assert json.loads(home.box.gardien("status", "--json").stdout)
    home.is_well()

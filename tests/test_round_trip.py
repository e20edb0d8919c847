"""The main job on real parts: Nextcloud, saved over SFTP, lost to the last byte, brought back."""

import json
import shutil
import threading
import time
import urllib.error
import urllib.request

from tests.world.box import Box, docker
from tests.world.practice import differences, fill, occurrences, rows, tree
from tests.world.sftp import SftpHost
from tests.world.trial import left, untouched, visits, volumes


def test_lost_to_the_last_byte_and_brought_back(nextcloud: Box, host: SftpHost) -> None:
    box = nextcloud
    canary = fill(box)
    files_before, rows_before = tree(box), rows(box)
    assert len(files_before) > 500

    told = box.gardien("backup", "create", "nextcloud")
    assert "500" in told.stdout or "saved" in told.stdout
    [snapshot] = box.json("backup", "list", "nextcloud")
    assert snapshot["good"] is True
    assert 0 < snapshot["pause_seconds"] < 30

    assert not occurrences(host.folder, canary), "the repository can be read without the key"
    assert not occurrences(host.folder, "séance")
    assert not list((box.data / "nextcloud" / ".gardien").glob("dumps*")), "a plain dump was left lying about"

    box.compose("nextcloud", "down")
    shutil.rmtree(box.data)
    box.data.mkdir(mode=0o711)
    assert not docker("ps", "-aq", "--filter", f"name={box.prefix}").strip()

    refused = box.gardien("restore", "nextcloud", "--yes", check=False)
    assert refused.returncode == 1
    assert "--new-disk" in refused.stderr
    assert not (box.data / "nextcloud").exists()

    told = box.gardien("restore", "nextcloud", "--yes", "--new-disk")
    assert "it answers" in told.stdout
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    box.until_well("nextcloud", 30)
    answer = json.loads(
        box.compose("nextcloud", "exec", "-T", "-u", "33", "app", "php", "occ", "status", "--output=json")
    )
    assert answer["installed"] is True
    assert answer["maintenance"] is False
    assert not (box.data / ".restoring").exists() or not any((box.data / ".restoring").iterdir())


def test_the_present_state_is_set_aside_and_the_saved_one_comes_back(nextcloud: Box) -> None:
    box = nextcloud
    box.gardien("backup", "create", "nextcloud")
    files_before, rows_before = tree(box), rows(box)
    home = box.data / "nextcloud" / "html" / "data" / "admin" / "files"
    (home / "written since.txt").write_text("since")
    shutil.rmtree(home / "Praxis – patients" / "year 2001")
    box.sql("DELETE FROM practice_notes WHERE id < 200")

    box.gardien("restore", "nextcloud", "--yes")
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    kept = list((box.data / ".kept").glob("nextcloud-*"))
    assert any((folder / "html/data/admin/files/written since.txt").exists() for folder in kept), "nothing lost, ever"


def test_the_pause_is_short_and_the_application_answers_before_and_after(nextcloud: Box) -> None:
    """While the live pass runs people go on; they are turned away for the pause alone."""
    box = nextcloud
    port = next(
        line.split("=", 1)[1].strip("'")
        for line in (box.data / "nextcloud/.gardien/compose/.env").read_text().splitlines()
        if line.startswith("NEXTCLOUD_PORT=")
    )
    over = threading.Event()
    paused: list[float] = []

    def people() -> None:
        while not over.is_set():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status.php", timeout=10) as answer:
                if json.load(answer)["maintenance"]:
                    paused.append(time.monotonic())
            time.sleep(0.05)

    loop = threading.Thread(target=people)
    loop.start()
    try:
        box.gardien("backup", "create", "nextcloud")
    finally:
        over.set()
        loop.join()
    assert paused, "the application was never paused: the copy is not consistent"
    newest = box.json("backup", "list", "nextcloud")[0]
    seen = paused[-1] - paused[0]
    assert seen <= newest["pause_seconds"] + 2.5, "the page tells a shorter pause than people saw"


def test_a_second_daemon_on_the_same_state_refuses_to_start(nextcloud: Box) -> None:
    first = nextcloud.daemon
    second = nextcloud.spawn()
    nextcloud.daemon = first
    assert second.wait(20) == 1
    assert "already running" in nextcloud.logged(5)
    nextcloud.until_well("nextcloud", 30)


def test_cancel_and_shutdown_are_a_clean_undo(nextcloud: Box) -> None:
    box = nextcloud
    before = tree(box)
    for end in ("cancel", "stop"):
        job = box.json("backup", "create", "nextcloud", "--no-wait")["job"]
        time.sleep(1.5)
        if end == "cancel":
            box.gardien("job", "cancel", str(job), check=False)
        else:
            assert box.stop() == 0
            box.start()
        jobs = {each["id"]: each for each in box.until_jobs_end()}
        assert jobs[job]["state"] in ("cancelled", "interrupted"), jobs[job]
        box.until_well("nextcloud", 30)
        assert differences(before, tree(box)) == []
    box.gardien("backup", "create", "nextcloud")
    assert urllib.request.urlopen(f"http://127.0.0.1:{box.page_port}/healthz", timeout=5).status == 200


def test_a_restore_cancelled_after_the_swap_gives_the_present_state_back(nextcloud: Box) -> None:
    box = nextcloud
    box.sql("INSERT INTO practice_notes VALUES (100001, 'written after the backup', NOW())")
    (box.data / "nextcloud/html/data/admin/files/since.txt").write_text("written after the backup")
    files_before, rows_before = tree(box), rows(box)
    owner_before = {path.name: path.read_text() for path in (box.root / "owner").rglob("nextcloud.*")}

    job = box.json("restore", "nextcloud", "--yes", "--no-wait")["job"]
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        steps = {step["name"]: step["state"] for step in box.json("job", "show", str(job))["steps"]}
        if steps["load"] == "begun":
            break
        time.sleep(0.1)
    assert steps["swap"] == "done"
    box.gardien("job", "cancel", str(job))
    ended = next(each for each in box.until_jobs_end() if each["id"] == job)
    assert ended["state"] == "cancelled"
    box.until_well("nextcloud", 60)
    assert differences(files_before, tree(box)) == []
    assert rows(box) == rows_before
    assert {path.name: path.read_text() for path in (box.root / "owner").rglob("nextcloud.*")} == owner_before


def test_its_newest_backup_is_proven_to_come_back(nextcloud: Box) -> None:
    """Tried with its database beside the one that runs, which answers all the while and is not touched."""
    box = nextcloud
    box.gardien("backup", "create", "nextcloud")
    port = box.json("stack", "show", "nextcloud")["settings"]["NEXTCLOUD_PORT"]
    known, rows_before = volumes(), rows(box)
    before = untouched(box, "nextcloud", "html/data/admin/files")
    with visits(f"http://127.0.0.1:{port}/status.php", 0.1) as seen:
        told = box.gardien("drill", "nextcloud").stdout
    assert "can be restored" in told
    assert (seen.failures, seen.asked > 10) == ([], True)
    proof = box.json("drill", "list")[0]
    assert (proof["outcome"], proof["dumps"], proof["asked"]) == ("proven", ["database.sql"], ["app"])
    assert proof["files"] > 500
    assert left(box, "nextcloud") == []
    assert volumes() <= known
    assert untouched(box, "nextcloud", "html/data/admin/files") == before
    assert rows(box) == rows_before

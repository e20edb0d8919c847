"""Nothing wrong is ever swapped in, nothing is lost, and a restore always ends with a word."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.small_disk import small_disk
from tests.data.make import listing
from tests.faults.houses import STACK, House, refused, settle
from tests.near_and_far import Pair, near_and_far
from tests.world.box import Box, box, until
from tests.world.forge import Forger
from tests.world.notes import compose_file, lay_out
from tests.world.plug import leases

FULL = bool(os.environ.get("GARDIEN_FULL"))


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """A house with two places, and little patience for what does not get well."""
    with near_and_far() as made:
        made.box.stop()
        made.box.settings["limits"]["healthy"] = 10
        made.box.save_settings()
        made.box.start()
        (srv(made.box) / "letter").write_text("as it was saved")
        made.back_up()
        yield made


def srv(machine: Box) -> Path:
    return machine.data / STACK / "srv"


class Unchanged:
    """Whatever is tried in here, the stack stays as it is, answers, and nothing lies about."""

    def __init__(self, machine: Box) -> None:
        self._machine = machine

    def _state(self) -> Any:
        files = listing(self._machine.data / STACK)
        owner = self._machine.root / "owner"
        mine = {path.name: path.read_text() for path in owner.rglob(f"{STACK}.*") if path.is_file()}
        return files, mine

    def __enter__(self) -> None:
        self._machine.until_well(STACK)
        self._before = self._state()

    def __exit__(self, *failed: object) -> None:
        if failed[0] is None:
            self._machine.until_jobs_end()
            self._machine.until_well(STACK)
            files, owner = self._state()
            before, owner_before = self._before
            touched = {"srv", "srv/health.json"}  # a start writes it
            assert {name: each for name, each in files.items() if name not in touched} == {
                name: each for name, each in before.items() if name not in touched
            }
            assert owner == owner_before
            assert nothing_lies_about(self._machine)
            until(lambda: leases(self._machine) == "", 10)


def nothing_lies_about(machine: Box) -> bool:
    beside = machine.data / ".restoring"
    return not beside.exists() or list(beside.iterdir()) == []


def packs(repository: Path) -> list[Path]:
    return [path for path in (repository / "data").rglob("*") if path.is_file()]


@pytest.fixture
def spoiled(pair: Pair, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Cuts every pack of a target short; all is whole again afterwards."""
    kept: dict[Path, Path] = {}

    def spoil(target: str) -> None:
        folder = pair.folders[target]
        kept[folder] = tmp_path / target
        shutil.copytree(folder, kept[folder])
        for path in packs(folder):
            os.truncate(path, path.stat().st_size // 2)

    yield spoil
    for folder, copy in kept.items():
        shutil.rmtree(folder)
        copy.rename(folder)


def test_row_10_a_damaged_repository_is_passed_over_for_its_copy(pair: Pair, spoiled: Callable[[str], None]) -> None:
    """restic leaves full-size files with wrong content in them: they are written anew from the other place."""
    (srv(pair.box) / "letter").write_text("written since")
    spoiled("near")
    told = pair.box.gardien("restore", STACK, "--yes").stdout
    assert "It came from far, since the nearer place would not do" in told
    assert "gave back is not what was saved" in told
    assert (srv(pair.box) / "letter").read_text() == "as it was saved"
    assert nothing_lies_about(pair.box)


def test_row_10_where_no_place_is_whole_nothing_is_replaced(pair: Pair, spoiled: Callable[[str], None]) -> None:
    (srv(pair.box) / "letter").write_text("written since")
    spoiled("near")
    spoiled("far")
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--yes", says="gave back is not what was saved")


def test_a_place_that_is_gone_is_passed_over(pair: Pair) -> None:
    near = pair.folders["near"]
    near.rename(near.with_name("unplugged"))
    try:
        told = pair.box.gardien("restore", STACK, "--yes").stdout
    finally:
        near.with_name("unplugged").rename(near)
    assert "It came from far" in told
    assert (srv(pair.box) / "letter").read_text() == "as it was saved"


def plain(pair: Pair, *argv: str) -> str:
    return pair.plain("near", *argv).stdout


def forged(pair: Pair, room: Path, change: Callable[[Path], None]) -> str:
    """The newest backup, changed by somebody who has the key, and saved by plain restic under our tags; its id."""
    home = room / "home"
    newest = pair.known("near")[0]["id"]
    plain(pair, "restore", f"{newest}:{pair.box.data / STACK}", "--target", str(home))
    change(home)
    tags = ["--tag", f"gardien,stack={STACK},pass=final"]
    said = plain(pair, "backup", "--json", "--host", "test-box", *tags, str(home))
    return str(json.loads(said.splitlines()[-1])["snapshot_id"])


def with_mood(mood: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        chosen = home / ".gardien" / "chosen.yaml"
        text = chosen.read_text()
        assert "  NOTES_PORT:" in text
        chosen.write_text(text.replace("  NOTES_PORT:", f"  MOOD: {mood}\n  NOTES_PORT:"))

    return change


def test_row_33_what_does_not_get_well_gives_way_to_what_was_there(pair: Pair, tmp_path: Path) -> None:
    """The swap was done, and the restored application does not answer as it should: the old state comes back, whole."""
    id_ = forged(pair, tmp_path, with_mood("sick"))
    (srv(pair.box) / "letter").write_text("written since")
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says="did not become healthy")
    steps = {each["name"]: each["state"] for each in pair.box.json("job", "list")[0]["steps"]}
    assert (steps["gate"], steps["swap"]) == ("failed", "undone")


def test_row_35_a_backup_with_nothing_in_it(pair: Pair, tmp_path: Path) -> None:
    """restic calls a restore of nothing a success."""

    def nothing(home: Path) -> None:
        shutil.rmtree(home)
        home.mkdir()

    id_ = forged(pair, tmp_path, nothing)
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says="othing was restored")


def test_row_35_a_backup_of_something_else(pair: Pair, tmp_path: Path) -> None:
    def another(home: Path) -> None:
        account = home / ".gardien" / "set.json"
        account.write_text(account.read_text().replace(f'"stack": "{STACK}"', '"stack": "another"'))

    id_ = forged(pair, tmp_path, another)
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says="does not say that it is one of notes")


def test_row_35_a_dump_that_is_not_whole(pair: Pair, tmp_path: Path) -> None:
    def halve(home: Path) -> None:
        (home / ".gardien" / "dumps" / "database.txt").write_text("half of it\n")

    id_ = forged(pair, tmp_path, halve)
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says="could not be written out whole")


@pytest.mark.parametrize("what", ["no room", "no names"])
def test_row_34_a_disk_without_room(what: str) -> None:
    """Told beforehand, with what is missing; nothing is touched. Where it would fit in place, that is offered."""
    names = ["-N", "700"] if what == "no names" else []
    with box() as machine, small_disk(machine.data, 170) as disk:
        if names:
            subprocess.run(["umount", str(disk)], check=True)
            image = disk.with_name(disk.name + ".img")
            subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *names, str(image)], check=True)
            subprocess.run(["mount", "-o", "loop", str(image), str(disk)], check=True)
        disk.chmod(0o711)
        settle(machine, compose_file().replace("    load:", f"    older: [{OLDER}]\n    load:"))
        (srv(machine) / "film.bin").write_bytes(os.urandom((1 if names else 60) << 20))
        machine.gardien("backup", "create", STACK)
        (srv(machine) / "film.bin").write_bytes(b"cut")
        (srv(machine) / "since").write_bytes(os.urandom((1 if names else 50) << 20))
        with Unchanged(machine):
            if names:
                refused(machine, "restore", STACK, "--yes", says="has names left for")
            else:
                said = refused(machine, "restore", STACK, "--yes", says="0.1 GB are missing", remedy="--in-place")
                assert "Nothing was touched" in said
        if not names:
            in_place(machine)
        machine.stop()


OLDER = "{exec: app, argv: [sh, -c, 'echo older >> /srv/told']}"


def in_place(machine: Box) -> None:
    """A backup of what is there, then it gives way; and when what comes cannot run, it is back from that backup."""
    told = machine.gardien("restore", STACK, "--in-place", "--yes").stdout
    assert "all verified" in told
    assert (srv(machine) / "film.bin").stat().st_size == 60 << 20
    assert not (srv(machine) / "since").exists()
    assert (srv(machine) / "told").read_text() == "older\n"
    assert nothing_lies_about(machine)
    saved = machine.json("backup", "list", STACK)
    assert [each["good"] for each in saved] == [True, True]
    assert not list((machine.data / ".kept").glob("*")) if (machine.data / ".kept").exists() else True


def test_row_36_it_ends_with_a_word_whatever_comes_between(home: House) -> None:
    """Progress is seen; the daemon is killed in the midst, and started again: the same job ends, and says how."""
    (home.srv / "letter").write_text("as it was saved")
    (home.srv / "short.bin").write_bytes(os.urandom(6 << 20))
    home.is_well()
    home.weigh(24)  # comes in other pieces, which take longer: restic counts whole ones
    home.is_well()
    taken = home.box.json("backup", "list", STACK)[0]["taken"]
    (home.srv / "letter").write_text("written since")
    home.line.rate = 1 << 19
    number = home.box.json("restore", STACK, "--yes", "--no-wait")["job"]
    seen: dict[str, Any] = {}

    def half() -> bool:
        job = home.box.line.get("jobs", str(number))
        assert not job["over"], (job["says"], seen)
        seen.update(job["progress"] or {})
        return bool(job["progress"]) and 0.1 < seen["fraction"] < 0.9 and seen["seconds_left"] is not None

    until(half, 120)
    assert seen["bytes_total"] > 24 << 20
    assert 0 < seen["bytes_done"] < seen["bytes_total"]
    assert 100_000 < seen["per_second"] < 40 << 20
    assert seen["seconds_left"] > 0
    home.box.stop(9)
    home.line.rate = None
    home.box.start()
    job = next(each for each in home.box.until_jobs_end() if each["id"] == number)
    assert (job["state"], job["over"]) == ("done", True)
    for _ in range(2):  # told again to whoever asks again
        says = home.box.line.get("jobs", str(number))["says"]
        assert says.startswith("Notes notes is back as of ")
        assert "it answers" in says
        assert "all verified" in says
        assert f"{datetime.fromisoformat(taken).astimezone():%A}" in says
    assert (home.srv / "letter").read_text() == "as it was saved"
    assert nothing_lies_about(home.box)
    home.box.gardien("backup", "create", STACK)
    assert home.box.json("backup", "list", STACK)[0]["good"] is True


def test_row_39_a_volume_that_nobody_saves(pair: Pair) -> None:
    """A stack that mounts something which no backup would hold is not taken at all."""
    good = compose_file("more")
    mount = '      - {type: bind, source: "${DATA:-./data}/srv", target: /srv, bind: {create_host_path: false}}\n'
    assert mount in good
    others = {
        mount.replace("srv", "accounts"): "service app mounts accounts, and no backup would hold it",
        "      - accounts:/accounts\n": "keeps data in a volume that no backup sees: accounts",
    }
    for other, says in others.items():
        lay_out(pair.box, "more", good.replace(mount, mount + other))
        done = pair.box.gardien("stack", "add", "more", "--set", "NOTES_PORT=18999", check=False)
        assert done.returncode == 2
        assert says in done.stdout + done.stderr
        assert not (pair.box.data / "more").exists()
    reason = "leave_out:\n      accounts: {en: Nothing is kept there., fr: Rien n'y reste.}\n"
    with_reason = good.replace("leave_out:\n", reason)
    lay_out(pair.box, "more", with_reason.replace(mount, mount + mount.replace("srv", "accounts")))
    assert "more" in [each["name"] for each in pair.box.json("stack", "available")]
    shutil.rmtree(pair.box.root / "owner" / "stacks" / "more")


# -- threat 10: a snapshot made by somebody who has the key


def _link(inside: str, aim: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        path = home / inside
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.symlink_to(aim)

    return change


def _written(old: str, new: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        file = home / ".gardien" / "compose" / "compose.yaml"
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new, 1))

    return change


_PRIVILEGED = _written("    restart: unless-stopped\n", "    restart: unless-stopped\n    privileged: true\n")
_FOREIGN = _written("    volumes:\n", "    volumes:\n      - /etc:/foreign\n")
EVIL: dict[str, tuple[Callable[[Path], None], str]] = {
    "its data is a link to the whole machine": (_link("srv", "/"), "would lead out of its folder"),
    "its dump is a link": (_link(".gardien/dumps/database.txt", "/etc/shadow"), "would lead out of its folder"),
    "its dumps are a link": (_link(".gardien/dumps", "/etc"), "would lead out of its folder"),
    "its choices are a link": (_link(".gardien/chosen.yaml", "/etc/hostname"), "would lead out of its folder"),
    "its account is a link": (_link(".gardien/set.json", "/etc/hostname"), "would lead out of its folder"),
    "its secrets are a link": (_link(".gardien/secrets.env", "/etc/hostname"), "would lead out of its folder"),
    "its Compose folder is a link": (_link(".gardien/compose", "/etc"), "would lead out of its folder"),
    "its container rules the machine": (_PRIVILEGED, "cannot be run"),
    "its container mounts what is not its own": (_FOREIGN, "cannot be run"),
    "its setting breaks out": (with_mood('"x; $(touch /evil)"'), "cannot be run"),
}


@pytest.mark.parametrize("what", EVIL if FULL else list(EVIL)[:1] + list(EVIL)[-1:])
def test_threat_10_a_malicious_snapshot_is_refused(pair: Pair, tmp_path: Path, what: str) -> None:
    change, says = EVIL[what]
    id_ = forged(pair, tmp_path, change)
    with Unchanged(pair.box):
        refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says=says)


def test_threat_10_names_that_lead_out_of_the_tree(pair: Pair, tmp_path: Path) -> None:
    """restic itself makes none of these, and calls it a failure: all of it is refused."""
    key = pair.box.root / "owner" / "secrets" / "target-near.passphrase"
    forger = Forger(pair.folders["near"], key.read_text().strip())
    top, newest = pair.box.data / STACK, pair.known("near")[0]["id"]
    nodes = json.loads(plain(pair, "cat", "tree", f"{newest}:{top}", "--no-lock"))["nodes"]
    empty = {"type": "file", "mode": 0o644, "size": 0, "content": []}
    folder, link = {"type": "dir", "mode": 1 << 31 | 0o755}, {"type": "symlink", "mode": 1 << 27 | 0o777}
    outside = tmp_path / "outside"
    outside.mkdir()
    trap = [
        {"name": "trap", **link, "linktarget": str(outside)},
        {"name": "trap", **folder, "nodes": [{"name": "x", **empty}]},
    ]
    worse = (
        [{"name": "../../escaped", **empty}],
        [{"name": "..", **folder, "nodes": [{"name": "escaped", **empty}]}],
        [{"name": str(outside / "escaped"), **empty}],
        [{"name": "n" * 300, **empty}],
    )
    for more in (trap, *(worse if FULL else worse[:1])):
        tags = ["gardien", f"stack={STACK}", "pass=final"]
        id_ = forger.snapshot(top, [*nodes, *more], tags=tags, hostname="test-box")
        with Unchanged(pair.box):
            refused(pair.box, "restore", STACK, "--snapshot", id_, "--yes", says="is not what was saved there")
        assert list(outside.iterdir()) == []
        assert not list(pair.box.root.rglob("*escaped*"))


def test_threat_10_what_has_power_is_left_out_and_told(pair: Pair, tmp_path: Path) -> None:
    """Devices do not come back, set-id files come back without it; links come back as they are, never followed."""

    def arm(home: Path) -> None:
        inside = home / "srv"
        os.mknod(inside / "the disk", 0o60666, os.makedev(7, 0))
        (inside / "root shell").write_text("#!/bin/sh\n")
        (inside / "root shell").chmod(0o4755)
        (inside / "a way out").symlink_to("/etc")
        os.mkfifo(inside / "pipe")

    id_ = forged(pair, tmp_path, arm)
    told = pair.box.gardien("restore", STACK, "--snapshot", id_, "--yes").stdout
    assert "2 things could have given power over this machine" in told
    assert "srv/the disk" in told
    assert "srv/root shell" in told
    assert "srv/a way out" not in told
    inside = srv(pair.box)
    assert not (inside / "the disk").exists()
    assert (inside / "root shell").stat().st_mode & 0o7777 == 0o755
    assert (inside / "a way out").readlink() == Path("/etc")
    assert (inside / "pipe").is_fifo()


# -- which backup is taken


def test_an_incomplete_backup_is_taken_only_by_its_name(pair: Pair) -> None:
    """Not even by a machine that remembers nothing; who names it is told what it is."""
    machine = pair.box
    pair.back_up()
    good = pair.known("near")[0]["id"]
    (srv(machine) / "film.bin").write_bytes(b"")
    heavy = srv(machine) / "heavy"
    heavy.write_bytes(os.urandom(1 << 20))
    machine.gardien("backup", "create", STACK)
    heavy.unlink()
    machine.gardien("backup", "create", STACK, check=False)
    bad = pair.known("near")[0]
    assert (bad["good"], pair.known("near")[1]["good"]) == (False, True)
    plan = machine.json("restore", STACK, "--dry-run")
    assert not any(bad["id"] in line for line in plan["steps"][0]["details"])
    plan = machine.json("restore", STACK, "--snapshot", bad["id"][:12], "--dry-run")
    assert "which is incomplete (it holds less than half" in json.dumps(plan)
    told = machine.gardien("restore", STACK, "--snapshot", bad["id"][:12], "--yes").stdout
    assert "This backup is incomplete: it holds less than half" in told
    assert not heavy.exists()

    machine.stop()
    shutil.rmtree(machine.root / "state")
    machine.start()
    machine.gardien("restore", STACK, "--yes", "--new-disk")
    assert heavy.stat().st_size == 1 << 20
    assert good in pair.listed("near")

"""Every shipped stack at every kind of target: saved, lost with all its settings, and brought back as it was."""

import os
import shutil
from collections.abc import Mapping

import pytest

from tests.world.box import Box, until
from tests.world.practice import differences, plant, tree
from tests.world.six import LEAVE, SIX, all_well, everything_answers
from tests.world.trial import left, untouched, volumes
from tests.world.visitor import Visitor

pytestmark = pytest.mark.alone  # six stacks are all that this machine can carry

PLACES = ("sftp", "s3", "rest", "copy")
# In each turn every stack goes to another place; four of them are the whole matrix.
TURNS = range(len(PLACES)) if os.environ.get("GARDIEN_FULL") else range(1)
# Where people's files lie. The office keeps none.
HOMES = {
    "gateway": "data/practice",
    "nextcloud": "html/data/admin/files",
    "cryptpad": "blob",
    "jitsi": "prosody",
    "forms": "upload/surveys",
}


@pytest.mark.parametrize("turn", TURNS)
def test_each_is_saved_lost_and_brought_back(six: Box, visitor: Visitor, turn: int) -> None:
    where = {name: PLACES[(turn + number) % len(PLACES)] for number, name in enumerate(SIX)}
    until(lambda: all_well(six))
    found = {name: leave(six, visitor) for name, leave in LEAVE.items()}
    for name, home in HOMES.items():
        plant(six.data / name / home / f"turn {turn}", f"{name} {turn}", 100)
    files_before = {name: tree(six, name) for name in SIX}
    before = {name: find() for name, find in found.items()}

    bring_back(six, save(six, where))
    until(lambda: all_well(six))
    assert {name: find() for name, find in found.items()} == before
    lost = [line for name, files in files_before.items() for line in differences(files, tree(six, name))]
    assert not lost, "\n".join(lost)
    everything_answers(six, visitor)


def test_what_a_backup_leaves_out_by_mistake_is_missed(six: Box, visitor: Visitor) -> None:
    """This test of ours can fail: one folder out of the manifest, and what was in it does not come back."""
    find = LEAVE["cryptpad"](six, visitor)
    plant(six.data / "cryptpad" / "blob" / "by mistake", "cryptpad", 20)
    # A backup that lost more than half is refused by gardien itself: this one loses less.
    (six.data / "cryptpad" / "datastore" / "bulk").write_bytes(os.urandom(12_000_000))
    files_before, before = tree(six, "cryptpad"), find()
    whole = save(six, {"cryptpad": "sftp"})

    manifest = six.data / "cryptpad" / ".gardien" / "compose" / "compose.yaml"
    text = manifest.read_text()
    broken = text.replace("save: [datastore, blob, ", "save: [datastore, ")
    broken = broken.replace("    leave_out:\n", "    leave_out:\n      blob: {en: By mistake., fr: Par erreur.}\n")
    assert broken.count("\n") == text.count("\n") + 1
    manifest.write_text(broken)

    bring_back(six, save(six, {"cryptpad": "sftp"}))
    missing = files_before.keys() - tree(six, "cryptpad").keys()
    assert missing == {name for name in files_before if name.startswith("cryptpad/blob/")} != set()
    assert find() != before

    bring_back(six, whole)
    assert tree(six, "cryptpad").keys() == files_before.keys()
    assert find() == before


def save(six: Box, where: Mapping[str, str]) -> dict[str, str]:
    """Back up every stack to its place; the ids of these backups. What is to be in the copy gets there by itself."""
    known = {each["id"] for each in six.json("backup", "list")}
    for name, place in where.items():
        six.gardien("backup", "create", name, "--target", "host" if place == "copy" else place, "--no-wait")
    all_done(six)

    def new() -> dict[str, str]:
        listed = [each for each in six.json("backup", "list") if each["id"] not in known]
        assert all(each["good"] for each in listed)
        return {each["stack"]: each["id"] for each in listed if each["target"] == where[each["stack"]]}

    until(lambda: new().keys() == where.keys(), 60)
    all_done(six)
    ids = new()
    return {name: ids[name] for name in where}


def bring_back(six: Box, ids: Mapping[str, str]) -> None:
    """Lose the stacks and what their owner chose and was given for them, and the repository that is copied from."""
    owner, near = six.root / "owner", six.root / "repository"
    for name in ids:
        six.compose(name, "down", "--timeout", "2")
    for name in ids:
        shutil.rmtree(six.data / name)
        (owner / "stacks" / f"{name}.yaml").unlink()
        (owner / "secrets" / f"{name}.env").unlink(missing_ok=True)
    near.rename(near.with_name("out of reach"))
    for name, id_ in ids.items():  # the door first: the others learn from it how they are called
        six.gardien("restore", name, "--snapshot", id_, "--yes", *([] if name == "gateway" else ["--no-wait"]))
    all_done(six, 300)
    near.with_name("out of reach").rename(near)


def all_done(six: Box, patience: float = 180) -> None:
    """No job is open, and none ended otherwise, but for a copy that made way for a backup and was made after it."""
    other = [job for job in six.until_jobs_end(patience) if job["state"] != "done" and job["code"] != "made-way"]
    assert not other, "\n".join(f"{job['title']}: {job['state']}: {job['says']} {job['detail']}" for job in other)


def test_each_is_proven_to_come_back(six: Box, visitor: Visitor) -> None:
    """One after the other beside all that runs, and nobody notices."""
    until(lambda: all_well(six))
    save(six, dict.fromkeys(SIX, "sftp"))
    known, before = volumes(), {name: untouched(six, name) for name in SIX}
    six.gardien("drill", patience=900)
    proofs = {each["stack"]: each for each in six.json("drill", "list")[: len(SIX)]}
    assert {name: each["outcome"] for name, each in proofs.items()} == dict.fromkeys(SIX, "proven")
    assert {each["target"] for each in proofs.values()} == {"sftp"}
    assert all(each["asked"] for each in proofs.values())
    assert [line for name in SIX for line in left(six, name)] == []
    assert volumes() <= known
    assert {name: untouched(six, name) for name in SIX} == before
    assert all_well(six)
    everything_answers(six, visitor)

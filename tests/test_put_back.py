"""One file or folder put back while the application runs: as it was, or as before; never a mixture, never outside."""

import asyncio
import json
import os
import shutil
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf
from gardien.app import shipped
from gardien.errors import BadInput
from gardien.model.entry import shown
from gardien.model.manifest import Action
from gardien.rules import entries
from tests.contracts.test_house_in_memory import Home as Cloud
from tests.contracts.test_house_in_memory import home as cloud  # noqa: F401  (a fixture)
from tests.contracts.test_restic_browse import facts
from tests.fakes import Leaf
from tests.faults.houses import refused
from tests.memory_house import STACK, Home, memory_house
from tests.world.box import Box, box, until
from tests.world.notes import add, compose_file, lay_out
from tests.world.plug import MOMENTS, leases
from tests.world.practice import plant

# The application looks, with its own eyes, for the folder that it is told of.
TOLD = '    file_back: {srv: [{exec: app, argv: [test, -d, "/srv/{BELOW}"]}]}\n'
STEPS = ("look", "fetch", "verify", "swap", "tell", "settle")
Tree = dict[str, tuple[Any, ...]]


@pytest.fixture(scope="module")
def house() -> Iterator[Box]:
    """The tiny stack, which is told of what comes back; nothing saved yet."""
    with box() as made:
        made.start()
        made.gardien("target", "init", "host")
        text = compose_file()
        lay_out(made, text=text.replace("    load: [", TOLD + "    load: [", 1))
        add(made)
        made.until_well(STACK)
        (srv(made) / "ballast").write_bytes(os.urandom(6 << 20))  # so that no backup holds much less than the last one
        yield made
        made.stop()


def srv(made: Box) -> Path:
    return made.data / STACK / "srv"


def tree(folder: Path) -> Tree:
    return {str(each.relative_to(folder.parent)): facts(each) for each in [folder, *folder.rglob("*")]}


def back(made: Box, path: str, *more: str) -> dict[str, Any]:
    found: dict[str, Any] = made.json("restore", STACK, "--path", path, "--yes", *more)
    return found


def told(job: dict[str, Any]) -> list[str]:
    """What was done in the application."""
    [details] = [step["details"] for step in job["steps"] if (step["name"], step["state"]) == ("tell", "done")]
    return list(details)


def left_beside(made: Box) -> list[str]:
    return [each.name for each in (made.data / STACK / ".gardien").iterdir() if each.name.startswith("put-back")]


def test_a_folder_and_a_file_come_back_as_they_were(house: Box) -> None:
    """Contents, owners, modes, times, attributes, odd names; what was there is set aside; the application is told."""
    home = srv(house) / "patients"
    plant(home, "canary", 60)
    before = tree(home)
    house.gardien("backup", "create", STACK)
    shutil.rmtree(home)
    home.mkdir()
    (home / "made since").write_text("x")
    done = back(house, "srv/patients")
    assert tree(home) == before
    assert "patients" not in done["says"], "the name would be in the log"
    kept = house.data / ".kept" / f"{STACK}-{done['id']}" / "patients"
    assert (kept / "made since").read_text() == "x"
    assert told(done) == ["app: test -d /srv/patients"]
    # One file, and with the folders above it gone.
    single = max((each for each in before if facts_are_of_a_file(before[each])), key=lambda each: each.count("/"))
    (srv(house) / single).write_text("worse")
    back(house, f"srv/{single}")
    assert facts(srv(house) / single) == before[single]
    shutil.rmtree(home / single.split("/")[1])
    back(house, f"srv/{single}")
    assert facts(srv(house) / single) == before[single]
    for folder in list(Path(single).parents)[:-2]:
        is_, was = facts(srv(house) / folder), before[str(folder)]
        assert is_[:4] == was[:4], "kind, mode and owner of what is above"
    assert left_beside(house) == []
    log = house.logged(10_000)
    assert not [each for each in before if shown(Path(each).name) in log and len(Path(each).name) > 6], (
        "names in the log"
    )


def facts_are_of_a_file(found: tuple[Any, ...]) -> bool:
    return bool(found[0] == stat.S_IFREG)


@pytest.fixture(scope="module")
def victims(house: Box) -> Path:
    """A folder for each moment of the kill matrix, saved once."""
    for step in STEPS:
        for moment in MOMENTS:
            home = srv(house) / "victims" / f"{step} {moment}"
            home.mkdir(parents=True)
            (home / "letter").write_text("saved")
    house.gardien("backup", "create", STACK)
    return srv(house) / "victims"


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("step", STEPS)
def test_killed_at(house: Box, victims: Path, step: str, moment: str) -> None:
    """It is the old one or the new one by itself, and nothing is held or left."""
    home = victims / f"{step} {moment}"
    (home / "letter").write_text("present")
    house.stop()
    house.start(GARDIEN_DIE_AT=f"put-back/{step}/{moment}")
    house.gardien("restore", STACK, "--path", f"srv/victims/{home.name}", "--yes", "--no-wait")
    assert house.wait_for_death() == -signal.SIGKILL, house.logged()
    onward = STEPS.index(step) >= STEPS.index("swap")
    if STEPS.index(step) < STEPS.index("swap"):
        assert (home / "letter").read_text() == "present"
    house.start()
    died = house.until_jobs_end()[0]
    assert (died["kind"], died["state"]) == ("put-back", "done" if onward else "interrupted"), died
    assert (home / "letter").read_text() == ("saved" if onward else "present")
    kept = house.data / ".kept" / f"{STACK}-{died['id']}" / home.name / "letter"
    assert (kept.read_text() if kept.exists() else None) == ("present" if onward else None)
    assert left_beside(house) == []
    until(lambda: leases(house) == "", 5)
    assert list((house.root / "repository" / "locks").iterdir()) == []


def test_these_are_all_the_steps(house: Box) -> None:
    steps = house.json("restore", STACK, "--path", "srv/health.json", "--dry-run")["steps"]
    assert tuple(each["name"] for each in steps) == STEPS


@pytest.fixture(scope="module")
def evil(house: Box) -> Iterator[Path]:
    """What a broken application, or who broke into it, may have put into its folder before it was saved."""
    home = srv(house) / "evil"
    deep = home / "deep"
    deep.mkdir(parents=True)
    (home / "good").write_text("good")
    (home / "out").symlink_to("/etc")
    (home / "up").symlink_to("../../../..")
    (home / "near").symlink_to("good")
    (home / ("x" * 255)).write_text("long")
    (home / "turned\u202ecod.exe").write_text("rtl")
    (home / "<img src=x onerror=alert(1)>").write_text("html")
    tool = home / "tool"
    tool.write_text("tool")
    tool.chmod(0o6755)
    os.mknod(home / "memory", 0o666 | stat.S_IFCHR, os.makedev(1, 1))
    os.mknod(home / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 99))
    os.mkfifo(home / "pipe")
    with socket.socket(socket.AF_UNIX) as link:
        here = Path.cwd()
        os.chdir(home)
        link.bind("socket")
        os.chdir(here)
    handle = os.open(deep, os.O_RDONLY)
    for _ in range(15):  # deeper than a path may be long
        os.mkdir("d" * 250, dir_fd=handle)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = deeper
    os.close(handle)
    house.gardien("backup", "create", STACK)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def test_threat_10_put_back_makes_no_device_and_no_special_right(house: Box, evil: Path) -> None:
    shutil.rmtree(evil)
    done = back(house, "srv/evil")
    there = {each.name: each.lstat().st_mode for each in evil.iterdir()}
    assert {*there} & {"memory", "disk", "pipe", "socket"} == set()
    assert stat.S_IMODE(there["tool"]) == 0o755
    assert (evil / "good").read_text() == "good"
    assert (evil / "out").readlink() == Path("/etc")  # a link is what was saved; nobody here follows it
    assert "4 files came without" in done["says"], done["says"]
    assert told(done) == ["app: test -d /srv/evil"]


def test_threat_10_taken_away_nothing_leads_out(house: Box, evil: Path, tmp_path: Path) -> None:
    taken = house.json("restore", STACK, "--path", "srv/evil", "--to", str(tmp_path))
    mine = tmp_path / "evil"
    there = {each.name: each.lstat().st_mode for each in mine.iterdir()}
    assert {*there} & {"memory", "disk", "pipe", "socket", "out", "up"} == set()
    assert sorted(taken["left_out"]) == ["disk", "memory", "out", "pipe", "up"]  # restic saves no socket
    assert stat.S_IMODE(there["tool"]) == 0o755
    assert (mine / "near").readlink() == Path("good")
    assert {each.lstat().st_uid for each in mine.rglob("good")} == {os.getuid()}
    again = house.gardien("restore", STACK, "--path", "srv/evil", "--to", str(tmp_path), check=False)
    assert again.returncode == 2
    assert "nothing that is there is ever written over" in again.stdout + again.stderr


def test_threat_10_a_link_laid_in_the_way_is_not_followed(house: Box, tmp_path: Path) -> None:
    home = srv(house) / "way"
    home.mkdir()
    (home / "letter").write_text("saved")
    house.gardien("backup", "create", STACK)
    shutil.rmtree(home)
    (tmp_path / "letter").write_text("untouched")
    home.symlink_to(tmp_path)
    refused(house, "restore", STACK, "--path", "srv/way/letter", "--yes", says="A link or a file is where one of")
    assert (tmp_path / "letter").read_text() == "untouched"
    back(house, "srv/way")
    assert not home.is_symlink()
    assert (home / "letter").read_text() == "saved"
    assert (tmp_path / "letter").read_text() == "untouched"


@pytest.mark.parametrize("stack", ("notes", "nextcloud") if os.environ.get("GARDIEN_FULL") else ("notes",))
def test_the_application_shows_what_came_back(request: pytest.FixtureRequest, stack: str) -> None:
    """A web server reads its folder; Nextcloud looks into its table of files, which has to learn of it."""
    made: Box = request.getfixturevalue("house" if stack == "notes" else stack)
    home = made.data / stack / ("srv" if stack == "notes" else "html/data/admin/files") / "Séances"
    home.mkdir()
    (home / "3 mai.txt").write_text("in confidence")
    for each in (home, home / "3 mai.txt"):
        os.chown(each, 33, 33)

    def seen() -> bool:
        if stack == "nextcloud":
            return made.sql("SELECT path FROM oc_filecache WHERE path = 'files/Séances/3 mai.txt'").strip() != ""
        address = next(each["address"] for each in made.status()["stacks"] if each["name"] == stack)
        try:
            with urlopen(f"{address}S%C3%A9ances/3%20mai.txt") as answer:
                return bool(answer.read() == b"in confidence")
        except HTTPError:
            return False

    def look_again() -> None:
        if stack == "nextcloud":
            made.compose(stack, "exec", "-T", "--user", "33", "app", "php", "occ", "files:scan", "--all")

    look_again()
    assert seen()
    made.gardien("backup", "create", stack)
    shutil.rmtree(home)
    look_again()
    assert not seen()
    inside = home.relative_to(made.data / stack)
    done = made.json("restore", stack, "--path", f"{inside}/3 mai.txt", "--yes")
    assert "But:" not in done["says"], done["says"]
    assert seen()


def test_what_cannot_be_put_back_is_said(house: Box) -> None:
    house.gardien("backup", "create", STACK)
    refused(house, "restore", STACK, "--path", "srv", "--yes", says="This is the whole of a folder that")
    refused(house, "restore", STACK, "--path", "srv/nothing", "--yes", says="This backup has nothing at that place")
    refused(house, "restore", STACK, "--path", ".gardien/secrets.env", "--yes", says="nothing at that place")
    nobody = house.gardien("restore", STACK, "--path", "srv/health.json", check=False)
    assert nobody.returncode == 2
    assert "nobody is here to agree" in nobody.stderr


# -- in memory


async def opened(home: Home, name: str) -> tuple[Any, int]:
    """The newest backup, opened, and the number of what is called so in it."""
    snapshot = (await home.house.backups.list(STACK))[0]
    assert await home.house.browse.open(snapshot) is None
    [hit] = await home.house.browse.search(snapshot, name)
    return snapshot, hit.entry.id


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as made:
        yield made


async def test_what_fails_leaves_what_was_there(home: Home) -> None:
    """No room, a damaged backup, one that misses something: told apart, and nothing is touched or left."""
    await home.saved()
    note = home.fakes.world.settings.folders.data / STACK / "srv" / "note.txt"
    home.fakes.files.put(note, Leaf("present", 0o600))
    snapshot, number = await opened(home, "note.txt")
    before = dict(home.fakes.files.leaves)
    disks = dict(home.fakes.host.disks)
    home.fakes.host.disks = {Path("/"): (10**12, 1000)}
    job = await home.end(await home.house.put_backs.create(snapshot, number))
    assert (job.state, job.code) == ("failed", "no-space")
    home.fakes.host.disks = disks
    home.repository().damaged.add(snapshot.id)
    job = await home.end(await home.house.put_backs.create(snapshot, number))
    assert (job.state, job.code) == ("failed", "damaged")
    home.repository().damaged.clear()
    found, top, kept = home.repository().snapshots[snapshot.id]
    home.repository().snapshots[snapshot.id] = (found, top, kept | {"srv/note.txt": Leaf("in con", 0o600)})
    job = await home.end(await home.house.put_backs.create(snapshot, number))
    assert (job.state, job.code) == ("failed", "damaged")
    assert {
        path: leaf.text for path, leaf in home.fakes.files.leaves.items() if path.is_relative_to(note.parent.parent)
    } == {path: leaf.text for path, leaf in before.items() if path.is_relative_to(note.parent.parent)}
    home.repository().snapshots[snapshot.id] = (found, top, kept)
    await home.done(await home.house.put_backs.create(snapshot, number))
    assert home.fakes.files.leaves[note].text == "in confidence"


async def test_one_listing_is_read_once_and_a_failure_is_told(home: Home) -> None:
    await home.saved()
    snapshot = (await home.house.backups.list(STACK))[0]
    home.restic.unreachable.add("near")
    with pytest.raises(Exception, match="near"):
        await home.house.browse.open(snapshot)
    home.restic.unreachable.clear()
    assert await home.house.browse.open(snapshot) is None
    home.restic.unreachable.add("near")
    assert await home.house.browse.open(snapshot) is None, "it is remembered"
    assert [each.name for each in (await home.house.browse.folder(snapshot)).entries] == ["srv"]


async def test_an_application_that_cannot_be_told(
    cloud: Cloud,  # noqa: F811  (the fixture)
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The file is back all the same, what to do is said, and no name is in the log. Switched off, it is said, too."""
    caplog.set_level("INFO")
    await cloud.end(await cloud.house.backups.create("nextcloud"))
    snapshot = (await cloud.house.backups.list())[0]
    assert await cloud.house.browse.open(snapshot) is None
    [hit] = await cloud.house.browse.search(snapshot, "note.txt")
    note = cloud.data / "html" / "data" / "anna" / "files" / "note.txt"
    for off in (False, True):
        cloud.app.refuses = "nothing" if off else "files:scan"
        if off:
            await cloud.end(await cloud.house.life.stop("nextcloud"))
        cloud.fakes.files.put(note, Leaf("worse", 0o640, (33, 33)))
        plan = await cloud.house.put_backs.plan(snapshot, hit.entry.id)
        assert ("tell" in [step.name for step in plan.steps]) is not off
        job = await cloud.end(await cloud.house.put_backs.create(snapshot, hit.entry.id))
        assert job.state == "done", str(job.says)
        assert cloud.fakes.files.leaves[note].text == "in confidence"
        assert str(job.says).endswith(
            "verified. But: Nextcloud does not show it yet; `php occ files:scan --all` makes it look again."
        )
    assert "anna" not in caplog.text
    assert "note.txt" not in caplog.text


# -- rules


async def nextcloud() -> Any:
    shelf = FileShelf(shipped("compose"), Path("/nowhere"), LocalFiles())
    return (await shelf.recipe("nextcloud")).manifest


def argvs(actions: tuple[Action, ...]) -> list[str]:
    return [" ".join(action.argv) for action in actions]


async def test_nextcloud_is_told_which_folder_to_read() -> None:
    manifest = await nextcloud()

    def told(path: str, *, folder: bool = False) -> list[str]:
        return argvs(entries.afterwards(manifest, path.split("/"), folder=folder))

    assert told("html/data/anna/files/Notes/a b.odt") == ["php occ files:scan --path=/anna/files/Notes"]
    assert told("html/data/anna/files/Notes", folder=True) == ["php occ files:scan --path=/anna/files/Notes"]
    assert told("html/data/anna/files", folder=True) == ["php occ files:scan --path=/anna/files"]
    assert told("html/data/anna/files/x\udcff/y") == ["php occ files:scan --path=/anna/files"]
    assert told("html/data/anna", folder=True) == ["php occ files:scan --all"]
    assert told("html/config/config.php") == []


async def test_what_nextcloud_may_get_back_while_it_runs() -> None:
    manifest = await nextcloud()

    def says(path: str, *, folder: bool = True) -> str | None:
        found = entries.refusal(manifest, path.split("/"), folder=folder)
        return None if found is None else str(found[0])

    assert says("html/data/anna/files") is None
    assert says("html/data/anna/files/a.odt", folder=False) is None
    assert says("html/config/config.php", folder=False) is None
    for path in ("html", "html/data", "html/data/anna"):
        assert says(path) is not None, path
    assert says("db/ibdata1", folder=False) is not None
    assert says(".gardien/secrets.env", folder=False) is not None


async def test_every_shipped_stack_has_something_that_can_come_back() -> None:
    """And none of the folders its containers are given may be swapped beneath them."""
    shelf = FileShelf(shipped("compose"), Path("/nowhere"), LocalFiles())
    for name in await shelf.recipes():
        manifest = (await shelf.recipe(name)).manifest
        for folder in manifest.folders:
            assert entries.refusal(manifest, folder.split("/"), folder=True) is not None, (name, folder)
        fine = [entries.refusal(manifest, f"{saved}/x".split("/"), folder=False) for saved in manifest.backup.save]
        assert None in fine or not fine, name


def test_what_a_manifest_may_not_say(tmp_path: Path) -> None:
    """A folder's name becomes no option, and no part of a shell's command."""
    for argv, wrong in (
        ('[mkdir, "{BELOW}"]', True),
        ('[sh, -c, "touch /srv/{BELOW}"]', True),
        ('[/bin/busybox, touch, "/srv/{BELOW}"]', True),
        ('[touch, "/srv/{BELOW}"]', False),
    ):
        folder = tmp_path / str(abs(hash(argv))) / "stacks" / STACK
        folder.mkdir(parents=True)
        line = f"    file_back: {{srv: [{{exec: app, argv: {argv}}}]}}\n"
        (folder / "compose.yaml").write_text(compose_file().replace("    load: [", line + "    load: [", 1))
        assert faults(folder.parents[1]) is wrong, argv


def faults(owner: Path) -> bool:
    try:
        asyncio.run(FileShelf(shipped("compose"), owner, LocalFiles()).recipe(STACK))
    except BadInput as error:
        assert "read as an option" in str(error) + error.detail + json.dumps(error.as_json())
        return True
    return False

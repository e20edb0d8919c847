"""The fakes are good enough for the main job: the shipped Nextcloud stack is saved, lost and brought back in memory."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf
from gardien.app import household, shipped
from gardien.errors import CommandFailed
from gardien.model.job import Job
from gardien.model.settings import Folders, LocalTarget, Settings
from gardien.services.house import House
from tests.fakes import FakeApp, FakeNeighbours, Leaf, neighbours


class Nextcloud(FakeApp):
    """An application with maintenance mode, whose rows live in its database."""

    def __init__(self) -> None:
        self.rows = ["Anna 10:00", "Bertrand 11:00"]
        self.maintenance = False
        self.cut_off = False
        self.refuses = "nothing"

    def run(self, service: str, argv: Sequence[str], user: str | None, text: str) -> str:
        line = " ".join(argv)
        if self.refuses in line:
            raise CommandFailed("a command inside the service {service} failed", service=service)
        if service == "app" and "occ" in line:
            if "maintenance:mode" in line:
                self.maintenance = argv[-1] == "--on"
            return "done\n"
        if service == "db" and "mariadb-dump" in line:
            return "\n".join([*self.rows, "" if self.cut_off else "-- Dump completed\n"])
        if service == "db" and "DROP DATABASE" in line:
            self.rows = []
            return ""
        if service == "db":
            self.rows = [row for row in text.splitlines() if row and not row.startswith("--")]
            return ""
        raise CommandFailed("a command inside the service {service} failed", service=service)

    def page(self) -> tuple[int, bytes]:
        says = {"installed": True, "maintenance": self.maintenance, "needsDbUpgrade": False}
        return 200, json.dumps(says).encode()


@dataclass
class Home:
    """A house in memory, with its stack up."""

    fakes: FakeNeighbours
    house: House
    app: Nextcloud

    @property
    def data(self) -> Path:
        return self.fakes.world.settings.folders.data / "nextcloud"

    async def end(self, job: int) -> Job:
        return await self.house.runner.wait(job)


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    settings = Settings(
        folders=Folders(
            data=tmp_path / "data", state=tmp_path / "state", run=tmp_path / "run", owner=tmp_path / "owner"
        ),
        targets={"host": LocalTarget(kind="local", folder=tmp_path / "host")},
    )
    recipe = await FileShelf(shipped("compose"), tmp_path / "owner", LocalFiles()).recipe("nextcloud")
    fakes = neighbours(settings, [recipe])
    app = Nextcloud()
    fakes.docker.apps["nextcloud"] = app
    made = Home(fakes, household(fakes.world), app)
    await made.house.targets.init("host")
    assert (await made.end(await made.house.life.add("nextcloud", {}))).state == "done"
    fakes.files.put(made.data / "html" / "data" / "anna" / "files" / "note.txt", Leaf("in confidence", 0o640, (33, 33)))
    fakes.files.put(made.data / "html" / "data" / "nextcloud.log", Leaf("chatter", 0o640, (33, 33)))
    assert not list(tmp_path.iterdir()), "something was written to the disk"
    return made


async def test_saved_lost_and_brought_back(home: Home) -> None:
    saved = await home.end(await home.house.backups.create("nextcloud"))
    assert saved.state == "done", str(saved.says)
    assert not home.app.maintenance
    [snapshot] = await home.house.backups.list()
    assert snapshot.good
    assert not await home.fakes.files.exists(home.data / ".gardien" / "dumps")

    before = home.fakes.files.beneath(home.data / "html")
    home.app.rows = ["overwritten"]
    await home.fakes.world.files.remove(home.data / "html")
    back = await home.end(await home.house.restores.create("nextcloud"))
    assert back.state == "done", str(back.says)
    after = home.fakes.files.beneath(home.data / "html")
    del before["data/nextcloud.log"]
    assert {name: (leaf.text, leaf.mode, leaf.owner) for name, leaf in after.items()} == {
        name: (leaf.text, leaf.mode, leaf.owner) for name, leaf in before.items()
    }
    assert home.app.rows == ["Anna 10:00", "Bertrand 11:00"]
    assert not home.app.maintenance
    assert await home.fakes.store.leases() == {}


async def test_half_a_dump_does_not_count(home: Home) -> None:
    home.app.cut_off = True
    job = await home.end(await home.house.backups.create("nextcloud"))
    assert (job.state, job.code) == ("failed", "incomplete")
    assert not home.app.maintenance
    assert await home.house.backups.list() == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unreachable", "target-unreachable"),
        ("full", "target-full"),
        ("refusing", "target-refuses"),
        ("docker", "docker-down"),
        ("unreadable", "incomplete"),
    ],
)
async def test_faults_end_a_backup_and_leave_the_application_open(home: Home, fault: str, code: str) -> None:
    if fault == "docker":
        home.fakes.docker.up = False
    elif fault == "unreadable":
        home.fakes.restic.unreadable.add(home.data / "html" / "data" / "anna" / "files" / "note.txt")
    else:
        getattr(home.fakes.restic, fault).add("host")
    job = await home.end(await home.house.backups.create("nextcloud"))
    assert (job.state, job.code) == ("failed", code)
    assert not home.app.maintenance
    assert [snapshot.good for snapshot in await home.house.backups.list() if snapshot.good] == []


async def test_what_could_not_be_read_is_listed_and_said_by_number_alone(home: Home) -> None:
    note = home.data / "html" / "data" / "anna" / "files" / "note.txt"
    home.fakes.restic.unreadable.add(note)
    job = await home.end(await home.house.backups.create("nextcloud"))
    [snapshot] = await home.house.backups.list()
    assert (snapshot.good, snapshot.missed) == (False, (str(note),))
    assert snapshot.why is not None and "1 files" in str(snapshot.why)
    assert "anna" not in f"{job.says}{job.remedy}{job.detail}{snapshot.why}"


async def test_a_backup_on_btrfs_is_one_pass_of_a_held_moment(home: Home) -> None:
    home.fakes.moments.subvolumes.add(home.data)
    job = await home.end(await home.house.backups.create("nextcloud"))
    assert job.state == "done", str(job.says)
    assert [step.name for step in job.steps][2:6] == ["dump", "moment", "resume", "save"]
    moment = home.data.parent / ".moment"
    assert home.fakes.files.beneath(moment) == {}, "it is let go"
    [found] = await home.fakes.restic.found("host", tags=())
    assert found.paths == (str(moment / "nextcloud"),)
    assert (await home.end(await home.house.restores.create("nextcloud"))).state == "done"


async def test_a_restore_that_fails_late_puts_everything_back(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.services.runner.UNDO_PAUSES", (0.01, 0.01))
    assert (await home.end(await home.house.backups.create("nextcloud"))).state == "done"
    owner = home.fakes.world.settings.folders.owner
    home.fakes.files.put(home.data / "html" / "since", Leaf("written since", 0o640))
    before, chosen = home.fakes.files.beneath(home.data / "html"), home.fakes.files.beneath(owner)
    home.app.refuses = "data-fingerprint"
    job = await home.end(await home.house.restores.create("nextcloud"))
    assert (job.state, job.code) == ("failed", "command-failed"), str(job.says)
    assert home.fakes.files.beneath(home.data / "html") == before
    after = home.fakes.files.beneath(owner)
    assert {name: leaf.text for name, leaf in after.items()} == {name: leaf.text for name, leaf in chosen.items()}
    assert home.fakes.docker.runs("gardien-nextcloud", "db")

"""Disks fill, turn read-only, die or vanish: the page says so, one letter tells it, and another that it is over."""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from gardien.app import household, neighbours
from gardien.errors import MemoryFailed, MemoryFull
from gardien.faces.server import serve
from gardien.model.reading import Reading
from gardien.model.settings import Settings
from gardien.services import disk
from gardien.services.house import House
from gardien.services.ports import World
from tests.contracts.small_disk import small_disk
from tests.world.box import free_port
from tests.world.power import kill_disk, until_let_go
from tests.world.restic import RESTIC
from tests.world.smtp import PASSWORD, PostOffice


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostOffice]:
    with PostOffice(tmp_path_factory.mktemp("office")) as made:
        yield made


OURS = {"Sec-Fetch-Site": "same-origin"}


class Clock:
    """Real time, and what the test adds to it. It begins at noon: good news waits through the night."""

    def __init__(self) -> None:
        now = datetime.now().astimezone()
        self.ahead = now.replace(hour=12, minute=0) + timedelta(days=1) - now

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Home:
    """A house of real parts whose clock the test moves; its daemon's rounds are gone by hand."""

    root: Path
    world: World
    house: House
    clock: Clock
    office: PostOffice
    browser: aiohttp.ClientSession

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def state(self) -> Path:
        return self.root / "state"

    async def live(self, minutes: int) -> None:
        """What happens in that time, a round each minute."""
        for _ in range(minutes):
            self.clock.ahead += timedelta(minutes=1)
            for look in (self.house.watch.look, self.house.letters.look, self.house.witness.look):
                with suppress(MemoryFailed):
                    await look()

    async def page(self) -> str:
        async with self.browser.get("/") as answer:
            text = await answer.text()
        assert "Sign in" not in text
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))

    def letters(self) -> list[str]:
        """What came since this was asked last: the subjects and texts."""
        bodies = [(each["Subject"], each.get_body(("plain",))) for each in self.office.taken]
        came = [f"{subject}\n{body.get_content()}" for subject, body in bodies if body is not None]
        self.office.taken.clear()
        return came


@asynccontextmanager
async def home(office: PostOffice, root: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    patch.setattr("gardien.services.watch.SETTLE_EVERY", 0.0)
    office.taken.clear()
    names = ("data", "state", "run", "owner")
    settings = Settings.model_validate(
        {
            "folders": {name: str(root / name) for name in names},
            "page": {"port": free_port()},
            "docker": {"socket": os.environ["DOCKER_HOST"].removeprefix("unix://"), "prefix": "gt-disks"},
            "programs": {"restic": RESTIC},
            "mail": {**office.settings(), "weekly": False},
            "trust_clock": True,
        }
    )
    for name in names:
        (root / name).mkdir(exist_ok=True)
    settings.secrets.mkdir(exist_ok=True)
    settings.mail_password.write_text(PASSWORD)
    clock = Clock()
    async with neighbours(settings) as world:
        moved = replace(world, clock=clock)
        house = household(moved)
        if not await world.store.noted(disk.NOTE):
            await disk.require(moved)
        link = await house.people.link("owner")
        async with serve(house), aiohttp.ClientSession(f"http://localhost:{settings.page.port}") as browser:
            async with browser.post(f"/login/{link}", headers=OURS) as answer:
                assert answer.status == 200
            yield Home(root, moved, house, clock, office, browser)


@dataclass(frozen=True)
class Row:
    """How a disk goes bad, how it is mended, and what of it is said."""

    break_: Callable[[Path], object]
    mend: Callable[[Path], object]
    says: str


def fill(at: Path) -> None:
    free = os.statvfs(at)
    with (at / "ballast").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(free.f_bavail * free.f_frsize * 0.985))


def command(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def mount_again(at: Path) -> None:
    command("mount", "-o", "loop", f"{at}.img", str(at))


def replace_dead(at: Path) -> None:
    command("umount", "-l", str(at))
    until_let_go(Path(f"{at}.img"))
    mount_again(at)


ROWS = {
    "full": Row(fill, lambda at: (at / "ballast").unlink(), "is nearly full"),
    "read-only": Row(
        lambda at: command("mount", "-o", "remount,ro", str(at)),
        lambda at: command("mount", "-o", "remount,rw", str(at)),
        "nothing can be written to the disk",
    ),
    "dead": Row(kill_disk, replace_dead, "answers with errors"),
    "not mounted": Row(lambda at: command("umount", str(at)), mount_again, "is not there"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
async def test_the_data_disk(row: Row, office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with small_disk(tmp_path / "data", 64):
        async with home(office, tmp_path, monkeypatch) as house:
            await house.live(2)
            assert "disk at" not in await house.page()
            row.break_(house.data)
            await house.live(1)
            assert row.says in (await house.page()).replace("Nothing", "nothing")
            await house.live(20)
            [letter] = house.letters()
            assert row.says in letter
            row.mend(house.data)
            await house.live(1)
            assert row.says not in await house.page()
            await house.live(40)
            [letter] = house.letters()
            assert "over" in letter
            assert row.says in letter


def fill_up(at: Path) -> None:
    """To the last byte."""
    with (at / "ballast").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with (at / "ballast-2").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(512))


def damage(at: Path) -> None:
    """The kernel finds a fault in the file system, and does what it was mounted for: nothing is written any more."""
    command("mount", "-o", "remount,errors=remount-ro", str(at))
    device = Path(command("findmnt", "--noheadings", "--output", "SOURCE", str(at)).strip()).name
    Path(f"/sys/fs/ext4/{device}/trigger_fs_error").write_text("a test")


def another(at: Path) -> None:
    """Another disk in its place, onto which the repair shop saved all that was on the old one."""
    command("umount", "-l", str(at))  # gardien still has files open there
    copy = at.with_name("another.img")
    shutil.copy(f"{at}.img", copy)
    subprocess.run(["e2fsck", "-fy", str(copy)], check=False, capture_output=True)
    command("mount", "-o", "loop", str(copy), str(at))


STATE = {
    "read-only": Row(damage, another, "nothing can be written to the disk"),
    "dead": Row(kill_disk, another, "answers with errors"),
}


@pytest.mark.parametrize("row", STATE.values(), ids=STATE)
async def test_the_disk_of_gardien_s_own_memory(
    row: Row, office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be written down then, and a dead disk cannot be read: what is to be said is held in memory."""
    with small_disk(tmp_path / "state", 48):
        async with home(office, tmp_path, monkeypatch) as house:
            await house.live(2)
            row.break_(house.state)
            await house.live(2)
            page = await house.page()
            assert row.says in page.replace("Nothing", "nothing") or "cannot use its memory" in page
            await house.live(10)
            [letter] = house.letters()
            assert row.says in letter.replace("Nothing", "nothing")
            row.mend(house.state)
            await house.live(2)
            page = await house.page()
            assert "memory" not in page.replace("gardien’s memory", "")
            assert row.says not in page
            await house.live(40)
            [letter] = house.letters()
            assert "over" in letter


async def test_row_29_the_disk_of_gardien_s_own_memory_is_full_to_the_last_byte(
    office: PostOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reserve is given up: all is told as ever, people can even come in, until that is used up, too."""
    with small_disk(tmp_path / "state", 256):
        async with home(office, tmp_path, monkeypatch) as house:
            fill_up(house.state)
            await house.live(20)
            assert "is nearly full" in await house.page()
            [letter] = house.letters()
            assert "is nearly full" in letter
            link = await house.house.people.link("owner")
            async with house.browser.post(f"/login/{link}", headers=OURS) as answer:
                assert answer.status == 200
            fill_up(house.state)
            with (house.state / "more").open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(512))
            rows = [Reading("load", str(number), 1.0, house.clock()) for number in range(150)]
            with pytest.raises(MemoryFull):
                for _ in range(50):
                    await house.world.store.add_readings(rows)
                    house.clock.ahead += timedelta(minutes=5)
                    rows = [replace(each, at=house.clock()) for each in rows]
            await house.live(3)
            assert "is nearly full" in await house.page()
            for each in house.state.iterdir():
                if each.name in ("ballast", "ballast-2", "more"):
                    each.unlink()
            await house.live(40)
            assert "nearly full" not in await house.page()
            assert "over" in house.letters()[-1]

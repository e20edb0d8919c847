"""gardien's installed versions: a venv each, side by side, and the link `venv` that leads to the one in use.

/opt/gardien/venv -> venv-0.2.0    the daemon and the command start from here
/opt/gardien/venv-0.1.0            what was before, to go back to
/opt/gardien/updating              only while an update is under way: the version that ends it whatever happens
"""

import ctypes
import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import gardien
from gardien.adapters import process
from gardien.errors import BadInput, CommandFailed, Refused
from gardien.model.move import Slot
from gardien.rules import own_versions
from gardien.words import N_

LINK, HOLD, COMPLETE = "venv", "updating", "gardien-complete"
PAGES = (
    "https://",
    "http://127.0.0.1:",
    "http://localhost:",
)  # where a stranger on the way cannot put in another program
PATIENCE = 1800.0  # seconds for what fetches something
TRIAL = 300.0  # seconds for a trial
_CHANGELOG = "gardien/shipped/CHANGELOG.md"
_AT_FDCWD, _EXCHANGE = -100, 2


class Venvs:
    """Those in the folder `prefix`."""

    def __init__(self, prefix: Path, children: Path) -> None:
        self.prefix = prefix
        self._children = children

    @classmethod
    def here(cls, children: Path) -> "Venvs":
        """Those that this very process belongs to. Raises Refused if it was not installed like that."""
        venv = Path(sys.prefix)
        ours = Path(gardien.__file__).resolve().is_relative_to(venv.resolve())
        if not ours or sys.prefix == sys.base_prefix or not (venv.parent / LINK).exists():
            raise Refused(
                N_("this gardien was not installed by its installer, and so cannot put another one in its place"),
                N_("Update it in the way in which it was installed."),
            )
        if not os.access(venv.parent, os.W_OK):
            raise Refused(
                N_("you may not write to {folder}"), N_("Put `sudo` before the command."), folder=str(venv.parent)
            )
        return cls(venv.parent.resolve(), children)

    def steady(self, version: str) -> Path | None:
        """The Python that the caller is to go on with, if it is another one: the one that was chosen to end what is
        under way, or this one by a name that does not come to mean another one meanwhile.
        """
        if not (self.prefix / LINK).is_symlink():
            return self._adopt(version)
        chosen = (self.prefix / HOLD).resolve() if (self.prefix / HOLD).is_dir() else Path(sys.prefix).resolve()
        return chosen / "bin" / "python" if chosen != Path(sys.prefix) else None

    def _adopt(self, version: str) -> Path:
        """`venv` is a folder; in a single move it becomes a link to one. Returns the Python that lies there then."""
        link = self.prefix / LINK
        slot = self.prefix / f"{LINK}-{version}"
        if slot.is_symlink():  # left by an attempt that was cut short
            slot.unlink()
        slot.symlink_to(slot.name)  # it leads to itself, until the two change places
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(_AT_FDCWD, os.fsencode(slot), _AT_FDCWD, os.fsencode(link), _EXCHANGE):
            error = ctypes.get_errno()
            slot.unlink()
            raise Refused(
                N_("{folder} cannot be moved: {why}"),
                N_("Run install.sh again: it installs gardien so that it can be updated."),
                folder=str(link),
                why=os.strerror(error),
            )
        _sync(self.prefix)
        return slot / "bin" / "python"

    # -- a newer one

    async def newest(self, source: str, room: Path) -> Path | None:
        if source.startswith(PAGES):
            return await self._fetched(source, room)
        return _here(Path(source))

    async def _fetched(self, page: str, room: Path) -> Path | None:
        """From that page and from nowhere else: under our name, strangers may publish what they like elsewhere."""
        shutil.rmtree(room / "fetched", ignore_errors=True)
        (room / "fetched").mkdir(parents=True)
        pip = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
        only = ["--no-deps", "--only-binary", ":all:", "--no-index", "--find-links", page]
        await self._run([*pip, *only, "--dest", str(room / "fetched"), "gardien"])
        name = own_versions.newest_wheel(each.name for each in (room / "fetched").iterdir())
        return room / "fetched" / name if name is not None else None

    def changelog(self, wheel: Path) -> str:
        try:
            with zipfile.ZipFile(wheel) as archive:
                return archive.read(_CHANGELOG).decode("utf-8")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise _no_release(wheel, str(error)) from error

    async def install(self, wheel: Path, version: str) -> Slot:
        slot = Slot(f"{LINK}-{version}", version)
        folder = self.prefix / slot.folder
        mark = f"{version} {_digest(wheel)}\n"
        if _text(folder / COMPLETE) == mark:
            return slot
        if slot.folder == self.in_use():
            raise Refused(N_("version {version} is the one in use"), version=version)
        shutil.rmtree(folder, ignore_errors=True)
        base = getattr(sys, "_base_executable", sys.executable)
        python = [str(folder / "bin" / "python"), "-P", "-m"]
        await self._run([base, "-m", "venv", "--without-pip", str(folder)])
        try:
            await self._run([*python, "pip", "--version"])
        except CommandFailed:  # as nearly everywhere: a few machines have one for every Python
            await self._run([*python, "ensurepip"])
        await self._run([*python, "pip", "install", "--no-input", "--quiet", "--disable-pip-version-check", str(wheel)])
        said = (await self._run([*_gardien(folder), "--version"])).stdout.split()
        if not said or said[-1] != version:
            raise BadInput(
                N_("{source} says that it is {version}, and is not"),
                N_("Nothing was changed. Ask where it came from."),
                detail=" ".join(said),
                source=wheel.name,
                version=version,
            )
        (folder / COMPLETE).write_text(mark)
        return slot

    async def trial(self, slot: Slot, config: Path, memory: Path) -> None:
        argv = ["--config", str(config), "self-update", "--trial", str(memory)]
        try:
            await self._run([*_gardien(self.prefix / slot.folder), *argv], patience=TRIAL)
        except CommandFailed as error:
            raise Refused(
                N_("version {version} cannot work with this house's settings or memory"),
                N_("Nothing was changed. What it said is in the details; the person who helps you may ask its makers."),
                detail=error.detail,
                version=slot.version,
            ) from error

    # -- which one is used

    def is_there(self, slot: Slot) -> bool:
        return (self.prefix / slot.folder / "bin" / "gardien").is_file()

    def in_use(self) -> str:
        return (self.prefix / LINK).resolve().name

    def switch(self, slot: Slot) -> None:
        if self.in_use() != slot.folder:
            _link(self.prefix / LINK, slot.folder)

    def hold(self, slot: Slot | None) -> None:
        if slot is not None:
            _link(self.prefix / HOLD, slot.folder)
        else:
            (self.prefix / HOLD).unlink(missing_ok=True)
            _sync(self.prefix)

    def forget(self, stay: set[str], most: int) -> None:
        found = [each for each in self.prefix.glob(f"{LINK}-*") if each.is_dir() and not each.is_symlink()]
        others = sorted((each for each in found if each.name not in stay), key=lambda each: each.stat().st_mtime)
        for each in others[: max(0, len(found) - max(most, len(stay)))]:
            # First it loses its name: what is half removed must never be taken for a version.
            gone = each.with_name(f"removed-{each.name}")
            shutil.rmtree(gone, ignore_errors=True)
            each.rename(gone)
        for each in self.prefix.glob(f"removed-{LINK}-*"):
            shutil.rmtree(each, ignore_errors=True)

    async def _run(self, argv: list[str], patience: float = PATIENCE) -> process.Outcome:
        """With what the caller's terminal has set for pip and the proxy."""
        return await process.run(argv, env=dict(os.environ), children=self._children, timeout=patience)


def _here(place: Path) -> Path | None:
    """The newest wheel in a folder; or the one that was named. Raises BadInput."""
    place = place.expanduser().absolute()
    if place.is_dir():
        name = own_versions.newest_wheel(each.name for each in place.iterdir())
        return place / name if name is not None else None
    if not place.is_file() or own_versions.of_wheel(place.name) is None:
        raise _no_release(place)
    return place


def _no_release(place: Path, detail: str = "") -> BadInput:
    return BadInput(
        N_("{source} is no release of gardien"),
        N_("Name a file gardien-….whl, a folder with such files, or the https:// address of a page that lists them."),
        detail=detail,
        source=str(place),
    )


def _gardien(folder: Path) -> list[str]:
    return [str(folder / "bin" / "python"), "-P", "-m", "gardien"]


def _link(path: Path, to: str) -> None:
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    beside.symlink_to(to)
    beside.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _text(file: Path) -> str | None:
    try:
        return file.read_text()
    except OSError:
        return None


def _digest(file: Path) -> str:
    with file.open("rb") as open_file:
        return hashlib.file_digest(open_file, "sha256").hexdigest()

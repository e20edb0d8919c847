"""Releases of gardien, made of this tree: wheels as its build makes them; a version and a little more differ."""

import base64
import hashlib
import shutil
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import gardien

ROOT = Path(__file__).parents[2]
SOURCE = Path(gardien.__file__).parent
SCHEMA = "gardien/adapters/schema"


def last_format() -> int:
    """Of the memory, in this tree."""
    return max(int(each.name.split("_")[0]) for each in (SOURCE / "adapters" / "schema").glob("*.sql"))


def release(
    shelf: Path,
    version: str,
    *,
    more: Mapping[str, str] | None = None,
    instead: Mapping[str, tuple[str, str]] | None = None,
) -> Path:
    """A wheel in `shelf`. `more`: further files; `instead`: in which file what is replaced by what."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    files: dict[str, bytes] = {}
    for path in _tree(SOURCE):
        files[f"gardien/{path.relative_to(SOURCE)}"] = path.read_bytes()
    for ours, theirs in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"].items():
        place = ROOT / ours
        for path in _tree(place) if place.is_dir() else [place]:
            name = f"{theirs}/{path.relative_to(place)}" if place.is_dir() else theirs
            files[name] = path.read_bytes()
    log = files["gardien/shipped/CHANGELOG.md"].decode()
    news = f"## {version} (2026-01-01)\n\n- What is new in {version}.\n\n## 0.0.1 (2025-01-01)\n\n- The first.\n"
    files["gardien/shipped/CHANGELOG.md"] = (log.split("\n## ", 1)[0] + "\n\n" + news).encode()
    _replace(files, "gardien/__init__.py", f'__version__ = "{gardien.__version__}"', f'__version__ = "{version}"')
    for name, (old, new) in (instead or {}).items():
        _replace(files, name, old, new)
    files |= {name: text.encode() for name, text in (more or {}).items()}
    about = f"gardien-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {each}\n" for each in project["project"]["dependencies"])
    scripts = "".join(f"{name} = {where}\n" for name, where in project["project"]["scripts"].items())
    files[f"{about}/METADATA"] = f"Metadata-Version: 2.1\nName: gardien\nVersion: {version}\n{needs}".encode()
    files[f"{about}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{about}/entry_points.txt"] = f"[console_scripts]\n{scripts}".encode()
    record = "".join(f"{name},sha256={_digest(data)},{len(data)}\n" for name, data in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    shelf.mkdir(parents=True, exist_ok=True)
    wheel = shelf / f"gardien-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return wheel


def libraries(folder: Path) -> Path:
    """What gardien depends on, as these tests have it, without gardien itself."""
    folder.mkdir()
    import aiohttp

    for each in Path(aiohttp.__file__).parents[1].iterdir():
        if not each.name.startswith(("gardien", "_editable", "__pycache__")) and each.suffix != ".pth":
            (folder / each.name).symlink_to(each)
    return folder


def emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _tree(folder: Path) -> list[Path]:
    return [each for each in sorted(folder.rglob("*")) if each.is_file() and "__pycache__" not in each.parts]


def _replace(files: dict[str, bytes], name: str, old: str, new: str) -> None:
    text = files[name].decode()
    assert text.count(old) == 1, (name, old)
    files[name] = text.replace(old, new).encode()


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()

"""What lies in a snapshot: how its listing is read, how names are shown, and what may be put back where."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import Any

from gardien.model.entry import EntryKind
from gardien.model.manifest import Action, Manifest
from gardien.words import N_, Words

BELOW = "{BELOW}"  # in a command of `restore.file_back`: the folder that changed, below the pattern's fixed part

_KINDS: Mapping[str, EntryKind] = {"dir": "folder", "file": "file", "symlink": "link"}
_SPECIAL = ((1 << 23, 0o4000), (1 << 22, 0o2000), (1 << 20, 0o1000))  # Go's bits of a mode, and POSIX's
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)", re.DOTALL)
_PLAIN = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, '"': 34, "'": 39}
_WILD = frozenset("*?[")


def node(line: bytes) -> dict[str, Any]:
    """A line of the listing; nothing for what is none."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def kind_of(found: Mapping[str, Any], parent: str) -> EntryKind:
    """What it is. A name that would lead anywhere but into its own folder makes it `odd`."""
    name = str(found.get("name", ""))
    if name in {"", ".", ".."} or "/" in name or "\0" in name or found.get("path") != f"{parent.rstrip('/')}/{name}":
        return "odd"
    return _KINDS.get(str(found.get("type")), "special")


def mode_of(found: Mapping[str, Any]) -> int:
    """POSIX's mode, from Go's."""
    mode = int(found.get("mode", 0))
    return mode & 0o777 | sum(bit for flag, bit in _SPECIAL if mode & flag)


def folded(text: str) -> str:
    """For searching: neither accents nor capitals count."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(each for each in plain if not unicodedata.combining(each)).casefold()


def unquoted(text: str) -> str:
    """A name as restic's trees hold it, in Go's quotation; bytes that are no text become surrogates."""

    def plain(found: re.Match[str]) -> str:
        code = found[1]
        if code[0] == "x":
            return bytes([int(code[1:], 16)]).decode("latin-1")
        if code[0] in "uU":
            return chr(int(code[1:], 16)).encode("utf-8", "surrogatepass").decode("latin-1")
        return chr(_PLAIN.get(code, ord(code) & 0xFF))

    # By bytes: several \x may make one character.
    raw = re.sub(r"[^\x00-\x7f]", lambda found: found[0].encode("utf-8", "surrogatepass").decode("latin-1"), text)
    return _ESCAPE.sub(plain, raw).encode("latin-1").decode("utf-8", "surrogateescape")


def literal(path: str) -> str:
    """A pattern of restic's that matches this path alone."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", path)


def part_patterns(name: str, leave_out: Sequence[str]) -> tuple[str, ...]:
    """`--exclude` patterns that leave one entry of a folder, without those of `leave_out` (paths from that folder)."""
    return ("/*", f"!/{literal(name)}", *(f"/{literal(each)}" for each in leave_out))


def refusal(manifest: Manifest, parts: Sequence[str], *, folder: bool) -> tuple[Words, Words] | None:
    """Why this must not be put back into a running stack, and what to do instead; None: it may be."""
    path = PurePosixPath(*parts)
    backup = manifest.backup
    beside = Words.of(N_("Bring it back into a folder of its own instead: with --to, or by downloading it."))
    if not any(_above(saved, path) for saved in backup.save):
        return Words.of(N_("this is not among the files that the application itself keeps")), beside
    # A container holds on to the folder that it was given, even when another one takes its place.
    if any(_above(str(path), PurePosixPath(each)) for each in (*backup.save, *manifest.folders)):
        says = N_("this is the whole of a folder that the application is given, not something in it")
        return Words.of(says), Words.of(N_("Choose a folder or a file further in, or restore the whole application."))
    if folder and any(_may_hold(path, pattern) for pattern in backup.leave_out):
        says = N_("in this folder the application also keeps what no backup holds: that would be gone")
        return Words.of(says), Words.of(N_("Choose a folder or a file further in, or restore the whole application."))
    return None


def _above(pattern: str, path: PurePosixPath) -> bool:
    """Whether `pattern`, with wildcards within its parts, is `path` or lies above it."""
    parts = PurePosixPath(pattern).parts
    return len(parts) <= len(path.parts) and all(map(fnmatchcase, path.parts, parts))


def _may_hold(folder: PurePosixPath, pattern: str) -> bool:
    """Whether something that `pattern` matches could lie in `folder`."""
    parts = PurePosixPath(pattern).parts
    return len(parts) > len(folder.parts) and all(map(fnmatchcase, folder.parts, parts))


def afterwards(manifest: Manifest, parts: Sequence[str], *, folder: bool) -> tuple[Action, ...]:
    """How the application is told of what was put back: the actions of the first pattern that is it or lies above."""
    changed = PurePosixPath(*(parts if folder else parts[:-1]))
    for pattern, actions in manifest.restore.file_back.items():
        if _above(pattern, changed):
            below = changed.parts[len(_fixed(pattern)) :]
            return tuple(_filled(action, "/".join(_sayable(below))) for action in actions)
    return ()


def _fixed(pattern: str) -> tuple[str, ...]:
    """Its parts before the first wildcard."""
    parts = PurePosixPath(pattern).parts
    wild = next((index for index, part in enumerate(parts) if _WILD & set(part)), len(parts))
    return parts[:wild]


def _sayable(parts: Sequence[str]) -> Sequence[str]:
    """Docker hands on no bytes that are not text: the folder above is named instead."""
    bad = next((index for index, part in enumerate(parts) if any("\ud800" <= c <= "\udfff" for c in part)), len(parts))
    return parts[:bad]


def _filled(action: Action, below: str) -> Action:
    return action.model_copy(update={"argv": tuple(word.replace(BELOW, below) for word in action.argv)})

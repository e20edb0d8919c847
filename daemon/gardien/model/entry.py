"""What lies in a snapshot: entries by their number in its own listing, which is the same whenever it is read."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

# `odd`: its name could lead elsewhere, so nothing is done with it; `special`: a device, a socket, a pipe.
EntryKind = Literal["folder", "file", "link", "special", "odd"]

TOP = 0  # the number of the folder that was saved
LOST = "\N{REPLACEMENT CHARACTER}"  # what restic's listing has in place of bytes that are no text
_JOINERS = {"\u200c", "\u200d"}  # part of emoji and of some scripts


@dataclass(frozen=True, slots=True)
class Entry:
    """One file or folder. `mode` is POSIX's, `modified` as restic writes it: ISO 8601 with nanoseconds."""

    id: int
    parent: int
    name: str
    kind: EntryKind
    size: int
    modified: str
    mode: int
    owner: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sum:
    """An entry and all beneath it. `left_out`: the specials and odd ones, which never come back this way."""

    files: int  # all but folders and what is left out
    bytes: int  # of regular files
    left_out: int


@dataclass(frozen=True, slots=True)
class Folder:
    """A page of a folder's entries, folders first, and the way there from the top."""

    entry: Entry
    way: tuple[Entry, ...]  # from below the top to the folder itself
    entries: tuple[Entry, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that was searched for, and the folders above it."""

    entry: Entry
    way: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """What there is now where something would be put back."""

    there: bool
    missing: int  # folders above it that are not there


def shown(name: str) -> str:
    """A name that can neither move a terminal's cursor nor turn the text around it."""
    return "".join(each if _harmless(each) else each.encode("unicode_escape", "replace").decode() for each in name)


def _harmless(character: str) -> bool:
    return character in _JOINERS or unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def leads_out(link: Sequence[str], aim: str) -> bool:
    """Whether a symlink, at `link` below a folder, leads out of that folder."""
    if aim.startswith("/"):
        return True
    depth = len(link) - 1
    for part in aim.split("/"):
        depth += {"..": -1, "": 0, ".": 0}.get(part, 1)
        if depth < 0:
            return True
    return False

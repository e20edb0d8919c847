"""gardien's own versions: which is the newer one, and what its makers wrote about the steps between."""

import re
from collections.abc import Iterable

_VERSION = re.compile(r"(\d+(?:\.\d+)*)(?:(a|b|rc)(\d+))?(?:\.post(\d+))?(?:\.dev(\d+))?")
_STAGES = {"a": 0, "b": 1, "rc": 2, None: 3}
_WHEEL = re.compile(r"gardien-([0-9][0-9A-Za-z.]*)-py3-none-any\.whl")
_HEADING = re.compile(r"^## (\S+)", re.MULTILINE)

Rank = tuple[tuple[int, ...], int, int, int, int]


def rank(version: str) -> Rank | None:
    """What versions are ordered by; None for what is none. A pre-release comes before its release, as Python has it."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return None
    numbers, stage, count, post, dev = found.groups()
    parts = [int(each) for each in numbers.split(".")]
    while parts and parts[-1] == 0:
        parts.pop()
    at = _STAGES[stage] if stage is not None or dev is None or post is not None else -1
    return tuple(parts), at, int(count or 0), int(post or -1), int(dev) if dev is not None else 1 << 30


def newer(version: str, than: str) -> bool:
    """Whether both are versions, and the first is the later one."""
    first, second = rank(version), rank(than)
    return first is not None and second is not None and first > second


def of_wheel(name: str) -> str | None:
    """The version in a wheel's file name; None if it is not gardien's."""
    found = _WHEEL.fullmatch(name)
    return found[1] if found is not None and rank(found[1]) is not None else None


def newest_wheel(names: Iterable[str]) -> str | None:
    """The name of the latest one. Pre-releases are taken only where there is nothing else."""
    ranked = [(found, name) for name in names if (found := rank(of_wheel(name) or "")) is not None]
    finished = [each for each in ranked if each[0][1] == _STAGES[None] and each[0][4] == 1 << 30]
    return max(finished or ranked, default=(None, None))[1]


def changes(changelog: str, former: str, version: str) -> str:
    """The parts of a CHANGELOG on what came after `former`, up to `version`."""
    parts = []
    headings = list(_HEADING.finditer(changelog))
    for found, following in zip(headings, [*headings[1:], None], strict=True):
        if newer(found[1], former) and not newer(found[1], version):
            parts.append(changelog[found.start() : following.start() if following else None].strip())
    return "\n\n".join(parts)

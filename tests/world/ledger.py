"""A house that keeps the ledger, an application with versions; what an update made of it, and how it should be."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tests.world.box import Box, box, docker, until
from tests.world.plug import leases
from tests.world.versions import FIRST, ROWS, STACK, Makers, add, lay_out, state

BEFORE = ("check", "images", "ready", "live", "close", "pause", "dump", "final", "send", "confirm", "down", "write")
ONWARD = ("up", "gate", "after", "watch", "settle")
BACK = ("halt", "look", "fetch", "verify", "images", "swap", "load", "start", "gate", "settle")


@contextmanager
def ledger_house(makers: Makers, limits: Mapping[str, int] | None = None) -> Iterator[Box]:
    """Its first version runs."""
    with box() as made:
        made.settings["limits"] = {"healthy": 20, "watch_update": 8} | dict(limits or {})
        made.save_settings()
        lay_out(made, makers)
        made.start()
        made.gardien("target", "init", "host")
        docker("pull", "--quiet", f"{makers.repository}:{FIRST}")
        add(made)
        yield made


def migrated(*tags: str) -> list[str]:
    """The rows, as those versions in turn leave them."""
    return [row + "".join(f" as of {tag}" for tag in tags) for row in ROWS]


def last_update(house: Box) -> Any:
    """Its job, once none is under way."""
    return next(each for each in house.until_jobs_end(300) if each["kind"] == "update")


def update(house: Box, *more: str, check: bool = False) -> Any:
    """Look, run; the job."""
    house.gardien("update", "list", "--now")
    house.gardien("update", "run", STACK, *more, check=check)
    return last_update(house)


def runs(house: Box, *tags: str) -> None:
    """The last of `tags` runs (none: the first version), with its data, and is well; nothing is held or lies about."""
    tag = tags[-1] if tags else None
    now, should = state(house), (tag or FIRST, migrated(*tags), tag)
    assert now == should, f"{now}, and not {should}:\n{house.logged(200)}"
    until(lambda: docker("inspect", "--format", "{{.State.Running}}", f"{house.prefix}-{STACK}-app-1") == "true\n", 120)
    house.until_well(STACK, 120)
    until(lambda: leases(house) == "", 60)
    assert not (house.data / STACK / ".gardien" / "dumps").exists()
    assert not (house.data / STACK / "srv" / "paused").exists()
    beside = house.data / ".restoring"
    assert not beside.exists() or list(beside.iterdir()) == []

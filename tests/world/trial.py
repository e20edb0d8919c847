"""What must not change, and must not stay, when a backup is tried beside what runs."""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.world.box import Box, docker
from tests.world.practice import Entry, _entry


def project_of(box: Box, stack: str) -> str:
    """What a copy of the stack is called at the engine."""
    return f"{box.prefix}_drill_{stack}"


def inside(box: Box, stack: str) -> list[str]:
    """The copy's running containers."""
    return docker("ps", "-q", "--filter", f"label=com.docker.compose.project={project_of(box, stack)}").split()


def left(box: Box, stack: str) -> list[str]:
    """What a trial left behind: nothing, if all went well."""
    label = ("--filter", f"label=com.docker.compose.project={project_of(box, stack)}")
    found = [f"container {each}" for each in docker("ps", "-aq", *label).split()]
    found += [f"network {each}" for each in docker("network", "ls", "-q", *label).split()]
    found += [f"volume {each}" for each in docker("volume", "ls", "-q", *label).split()]
    room = box.data / ".drill"
    found += [f"folder {each}" for each in (room.iterdir() if room.exists() else ())]
    return found


def volumes() -> set[str]:
    """All of the engine's: a container may make some without a name."""
    return set(docker("volume", "ls", "-q").split())


@dataclass(frozen=True)
class Untouched:
    """A running stack as the engine and the disk have it."""

    containers: dict[str, Any]
    networks: dict[str, Any]
    files: dict[str, Entry]


def untouched(box: Box, stack: str, *folders: str) -> Untouched:
    """`folders`: those in which the application itself writes nothing now."""
    label = f"label=com.docker.compose.project={box.prefix}-{stack}"
    ids = docker("ps", "-aq", "--no-trunc", "--filter", label).split()
    nets = docker("network", "ls", "-q", "--no-trunc", "--filter", label).split()
    seen = {each["Id"]: each for each in json.loads(docker("inspect", *ids))}
    files = [path for folder in (*folders, ".gardien") for path in (box.data / stack / folder).rglob("*")]
    return Untouched(
        containers={
            id_: (each["State"]["StartedAt"], each["RestartCount"], each["NetworkSettings"], each["HostConfig"])
            for id_, each in seen.items()
        },
        networks={each["Id"]: each for each in json.loads(docker("network", "inspect", *nets))},
        files={str(path): _entry(path, timed=True) for path in files},
    )


@dataclass
class Visits:
    """Somebody who asks the application again and again."""

    asked: int = 0
    failures: list[str] = field(default_factory=list)


@contextmanager
def visits(url: str, pause: float = 0.02) -> Iterator[Visits]:
    """They go on for as long as this lasts."""
    seen, over = Visits(), threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    answer.read()
            except OSError as error:
                seen.failures.append(str(error))
            seen.asked += 1
            time.sleep(pause)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def lying_restic(folder: Path, real: str) -> Path:
    """A restic that says that all is well after a restore, and does meanwhile to the restored folder, `$to`, what the
    file `lie` beside it says, if there is one.
    """
    script, lie = folder / "restic", folder / "lie"
    script.write_text(
        "#!/bin/bash\n"
        "set -e\n"
        f'"{real}" "$@"\n'
        f'case " $* " in *" restore "*) test -e "{lie}" || exit 0;; *) exit 0;; esac\n'
        'while [ "$1" != --target ]; do shift; done\n'
        "to=$2\n"
        'test -d "$to/.gardien"\n'
        f'. "{lie}"\n'
    )
    script.chmod(0o755)
    return script

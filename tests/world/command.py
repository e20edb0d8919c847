"""The `gardien` command in a process of its own, forked from one that has its modules loaded: tests call it thousands
of times, and most of its time is Python's own start. It runs as `python -m gardien` does, from `__main__` on.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "gardien.faces.cli", "gardien.faces.local", "gardien.faces.terminal"])


def gardien(argv: Sequence[str], environment: Mapping[str, str], patience: float) -> "subprocess.CompletedProcess[str]":
    """What it printed and its exit code. Raises TimeoutExpired after `patience` seconds."""
    with tempfile.TemporaryDirectory(prefix="gc-") as room:
        out, err = Path(room, "out"), Path(room, "err")
        process = _FORKS.Process(target=_run, args=(list(argv), dict(environment), str(out), str(err)), daemon=True)
        process.start()
        process.join(patience)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["gardien", *argv], patience, out.read_bytes(), err.read_bytes())
        return subprocess.CompletedProcess(["gardien", *argv], process.exitcode, out.read_text(), err.read_text())


def _run(argv: list[str], environment: dict[str, str], out: str, err: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate((os.devnull, out, err)):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["gardien", *argv]
    runpy.run_module("gardien", run_name="__main__", alter_sys=True)

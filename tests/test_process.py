"""Starting commands, and ending them for certain."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from gardien.adapters import process
from gardien.adapters.process import Ended, run
from gardien.adapters.surely import surely

STUBBORN = "trap '' INT TERM; echo ready; while :; do sleep 0.1; done"

OURS = f"61.{os.getpid()}"  # seconds; another run beside this one looks for its own


@pytest.fixture
def children(tmp_path: Path) -> Path:
    return tmp_path / "run" / "children"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_GRACE", 0.3)


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


async def test_output_and_errors_are_kept_apart(children: Path) -> None:
    outcome = await run(sh("echo out; echo err >&2; exit 3"), env={}, children=children, ok=(0, 3))
    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "out\n", "err\n")
    assert list(children.iterdir()) == []


async def test_an_unwanted_code_raises_with_the_last_lines(children: Path) -> None:
    with pytest.raises(Ended) as caught:
        await run(sh("seq 1 100 >&2; exit 4"), env={}, children=children)
    assert caught.value.reason == "code"
    assert caught.value.outcome.code == 4
    assert caught.value.detail.splitlines() == [str(n) for n in range(61, 101)]


async def test_only_what_is_given_is_in_the_environment(children: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "in our own environment")
    outcome = await run(["env"], env={"HOME": "/nowhere"}, children=children)
    names = {line.split("=")[0] for line in outcome.stdout.splitlines()}
    assert names == {"HOME", "PATH", "LC_ALL", "GARDIEN_CHILD"}


async def test_a_missing_program_is_said(children: Path) -> None:
    with pytest.raises(Ended) as caught:
        await run(["no-such-program"], env={}, children=children)
    assert caught.value.reason == "missing"
    assert "not installed" in str(caught.value)
    assert caught.value.remedy.text
    assert list(children.iterdir()) == []


async def test_it_reads_a_file_and_writes_a_private_one(children: Path, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"\xff\x00binary")
    (tmp_path / "out").write_text("longer than what follows")
    (tmp_path / "out").chmod(0o644)
    outcome = await run(["cat"], env={}, children=children, input_=tmp_path / "in", output=tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"\xff\x00binary"
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    assert outcome.stdout == ""


async def test_without_input_it_reads_nothing(children: Path) -> None:
    assert (await run(["cat"], env={}, children=children, timeout=5)).stdout == ""


async def test_lines_come_as_they_are_said(children: Path) -> None:
    heard: list[tuple[str, str]] = []
    await run(
        sh("echo one; printf 'two\\r\\nthr'; echo wrong >&2; sleep 0.1; printf 'ee'"),
        env={},
        children=children,
        on_line=lambda line: heard.append(("out", line)),
        on_complaint=lambda line: heard.append(("err", line)),
    )
    assert [line for kind, line in heard if kind == "out"] == ["one", "two", "three"]
    assert ("err", "wrong") in heard


async def test_long_lines_and_binary_output_do_no_harm(children: Path) -> None:
    lengths: list[int] = []
    script = "head -c 3000000 /dev/zero; echo; head -c 200000 /dev/urandom; echo; echo end"
    outcome = await run(sh(script), env={}, children=children, on_line=lambda line: lengths.append(len(line)))
    assert lengths[0] == 3000000
    assert lengths[-1] == 3
    assert outcome.stdout.endswith("end\n")
    assert len(outcome.stdout.encode()) < 4 << 20


async def test_an_error_in_a_listener_ends_the_child(children: Path) -> None:
    pids: list[int] = []

    def fail(line: str) -> None:
        pids.append(int(line))
        raise RuntimeError("cannot listen")

    with pytest.raises(RuntimeError, match="cannot listen"):
        await run(sh("echo $$; exec sleep 60"), env={}, children=children, on_line=fail)
    assert not alive(pids[0])


@pytest.mark.parametrize(
    ("timeout", "silence", "reason"), [(0.4, None, "timeout"), (None, 0.4, "silence"), (0.4, 9, "timeout")]
)
async def test_too_long_or_too_silent(
    children: Path, timeout: float | None, silence: float | None, reason: str
) -> None:
    began = time.monotonic()
    with pytest.raises(Ended) as caught:
        await run(["sleep", "60"], env={}, children=children, timeout=timeout, silence=silence)
    assert caught.value.reason == reason
    assert time.monotonic() - began < 5


async def test_a_child_that_speaks_is_not_silent(children: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do echo $i; sleep 0.2; done"
    assert (await run(sh(script), env={}, children=children, silence=1.2)).code == 0
    with pytest.raises(Ended) as caught:
        await run(sh(script), env={}, children=children, silence=0.6, on_line=lambda _: False)
    assert caught.value.reason == "silence"


async def test_a_child_at_work_is_not_silent(children: Path, tmp_path: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8; do head -c 200000 /dev/zero; sleep 0.2; done"
    outcome = await run(sh(script), env={}, children=children, silence=1.2, output=tmp_path / "out")
    assert outcome.code == 0
    assert (tmp_path / "out").stat().st_size == 8 * 200000


async def test_cancelling_is_polite_first(children: Path, tmp_path: Path) -> None:
    ready = asyncio.Event()
    script = f"trap 'echo cleaned > {tmp_path}/said; exit 130' INT; echo ready; while :; do sleep 0.05; done"
    task = asyncio.create_task(run(sh(script), env={}, children=children, on_line=lambda _: ready.set()))
    await ready.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "said").read_text() == "cleaned\n"
    assert list(children.iterdir()) == []


@pytest.mark.usefixtures("hasty")
async def test_cancelling_ends_the_stubborn_and_all_they_started(children: Path) -> None:
    pids: list[int] = []
    script = f"setsid -w sleep {OURS} & set -m; sleep 62 & echo $!; echo $$; {STUBBORN}"
    heard = asyncio.Event()

    def listen(line: str) -> None:
        if line == "ready":
            heard.set()
        else:
            pids.append(int(line))

    task = asyncio.create_task(run(sh(script), env={}, children=children, on_line=listen))
    await heard.wait()
    began = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.1)
    task.cancel()  # an impatient second time changes nothing
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began >= 0.6
    assert [pid for pid in pids if alive(pid)] == []
    assert not await asyncio.to_thread(_anyone, OURS)


def _anyone(argument: str) -> bool:
    """Whether a `sleep` of so many seconds runs anywhere."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if (folder / "cmdline").read_bytes() == f"sleep\0{argument}\0".encode():
                    return True
            except OSError:
                pass
    return False


async def test_what_outlives_the_child_is_ended(children: Path) -> None:
    outcome = await run(sh(f"sleep {OURS} & echo done"), env={}, children=children)
    assert outcome.stdout == "done\n"
    assert not await asyncio.to_thread(_anyone, OURS)


PARENT = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from gardien.adapters.process import run
    argv, children = ["/bin/sh", "-c", sys.argv[2]], Path(sys.argv[1])
    asyncio.run(run(argv, env={}, children=children, on_line=lambda line: print(line, flush=True)))
""")


def orphan(children: Path, script: str) -> int:
    """Start a parent that starts `script`; kill -9 the parent; return the script's pid."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(children), script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    assert alive(pid)
    return pid


async def test_children_of_a_killed_daemon_are_reaped(children: Path) -> None:
    polite = await asyncio.to_thread(orphan, children, "echo $$; exec sleep 64")
    stubborn = await asyncio.to_thread(orphan, children, f"trap '' INT TERM; echo $$; exec >/dev/null; {STUBBORN}")
    assert len(list(children.iterdir())) == 2
    assert await process.reap(children, grace=0.5) >= 2
    assert not alive(polite)
    assert not alive(stubborn)
    assert list(children.iterdir()) == []


async def test_a_child_whose_leader_died_is_reaped(children: Path) -> None:
    pid = await asyncio.to_thread(orphan, children, "sleep 65 & echo $!; sleep 66 >/dev/null & wait")
    leader = os.getsid(pid)
    os.kill(leader, signal.SIGKILL)
    assert await process.reap(children, grace=0.5) >= 1
    assert not alive(pid)


async def test_strangers_are_left_alone(children: Path) -> None:
    stranger = subprocess.Popen(["sleep", "67"], start_new_session=True, env={**os.environ, process.MARK: "0" * 32})
    try:
        children.mkdir(parents=True)
        (children / str(stranger.pid)).touch()
        assert await process.reap(children) == 0
        assert alive(stranger.pid)
        assert list(children.iterdir()) == []
    finally:
        stranger.kill()
        stranger.wait()


async def test_nothing_to_reap(children: Path) -> None:
    assert await process.reap(children) == 0


async def test_surely_lets_errors_and_cancellations_through() -> None:
    async def fail() -> None:
        await asyncio.sleep(0.05)
        raise ValueError("inner")

    with pytest.raises(ValueError, match="inner"):
        await surely(fail())
    finished = asyncio.Event()

    async def slow() -> None:
        await asyncio.sleep(0.1)
        finished.set()

    task = asyncio.create_task(surely(slow()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert finished.is_set()

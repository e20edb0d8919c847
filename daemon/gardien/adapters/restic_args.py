"""restic's command lines: pure. No secret is ever among them, only the names of files of mode 0600."""

import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from gardien.model.settings import Settings

TAG = "gardien"
ALIVE_EVERY = (
    15  # seconds between two questions whether an SSH server is still there; four without an answer, and it is not
)


def ssh_args(keys: Sequence[Path], known_hosts: Path, log: Path | None = None) -> list[str]:
    """How ssh is called: without this machine's own SSH configuration, without questions, for the hosts we know only.

    What it has to say goes to `log`: restic often ends before it has passed on ssh's last words.
    """
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "ServerAliveInterval": str(ALIVE_EVERY),
        "ServerAliveCountMax": "4",
        "ConnectTimeout": "20",
    }
    args = ["-F", "none", *(["-E", str(log)] if log is not None else [])]
    for key in keys:
        args += ["-i", str(key).replace("%", "%%")]
    for name, value in options.items():
        args += ["-o", f"{name}={value}"]
    return args


def sftp_option(args: Sequence[str]) -> list[str]:
    """`-o sftp.args=…`: restic reads the option as a line of CSV, then splits the value like a shell."""
    value = "sftp.args=" + shlex.join(args)
    return ["-o", '"' + value.replace('"', '""') + '"']


def exclude(folder: Path, pattern: str) -> str:
    """A pattern that matches beneath `folder` only; odd characters in `folder` itself stand for themselves."""
    return re.sub(r"([*?\[\]\\])", r"\\\1", str(folder)) + "/" + pattern.strip("/")


def proxy_env(settings: Settings) -> dict[str, str]:
    """What a command's environment says of the proxy, if there is one; SSH knows none."""
    if settings.proxy is None:
        return {}
    around = ",".join(settings.around_proxy)
    return {"HTTP_PROXY": settings.proxy, "HTTPS_PROXY": settings.proxy, "NO_PROXY": around}


def save_args(
    folder: Path,
    *,
    host: str,
    tags: Sequence[str],
    leave_out: Sequence[str],
    parent: str | None,
    gate: Path | None = None,
    at: datetime | None = None,
) -> list[str]:
    """`restic backup …`; it opens the repository, and begins when it has read `gate` to its end.

    `at`: the snapshot's time, read as UTC by a restic whose zone is that.
    """
    args = ["backup", "--host", host]
    for tag in _all_tags(tags):
        args += ["--tag", tag]
    for pattern in leave_out:
        args += ["--exclude", exclude(folder, pattern)]
    if parent is not None:
        args += ["--parent", parent]
    if gate is not None:
        args += ["--exclude-file", str(gate)]
    if at is not None:
        args += ["--time", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"]
    return [*args, "--", str(folder)]


def found_args(*, host: str, tags: Sequence[str]) -> list[str]:
    """`restic snapshots …`: those that bear all the tags."""
    return ["snapshots", "--no-lock", "--host", host, "--tag", ",".join(_all_tags(tags))]


def copy_args(snapshots: Sequence[str]) -> list[str]:
    """`restic copy …`; from where, and to where, is said before it."""
    return ["copy", "--", *snapshots]


def check_args(part: tuple[int, int] | None) -> list[str]:
    """`restic check …`; `part` n of t parts of all data is read, too."""
    if part is None:
        return ["check"]
    number, parts = part
    if not 1 <= number <= parts:
        raise ValueError(f"not a part: {part}")
    return ["check", f"--read-data-subset={number}/{parts}"]


def lean_args(kinds: Iterable[str], args: Sequence[str]) -> list[str]:
    """One connection to each kind of target: each holds a piece of what is sent in memory. `prune` needs two."""
    connections = 2 if "prune" in args else 1
    return [word for kind in sorted(set(kinds)) for word in ("-o", f"{kind}.connections={connections}")]


def limit_args(kib_per_second: int | None) -> list[str]:
    """How fast it may send."""
    return [] if kib_per_second is None else ["--limit-upload", str(kib_per_second)]


def restore_args(snapshot: str, folder: str, to: Path) -> list[str]:
    """`restic restore …`: every file is compared by content, what differs is written anew, what is too much deleted."""
    return [
        "restore",
        "--target",
        str(to),
        "--overwrite",
        "always",
        "--delete",
        "--verify",
        "--",
        f"{snapshot}:{folder}",
    ]


def _all_tags(tags: Sequence[str]) -> list[str]:
    every = [TAG, *(tag for tag in tags if tag != TAG)]
    for tag in every:
        if not tag or "," in tag or tag != tag.strip():
            raise ValueError(f"not a tag: {tag!r}")
    return every


def _ssh_quoted(path: Path) -> str:
    """ssh splits this value at spaces, and reads %-tokens in it."""
    return '"' + str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'

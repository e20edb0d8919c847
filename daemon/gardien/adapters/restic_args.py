"""restic's command lines: pure. No secret is ever among them, only the names of files of mode 0600."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from gardien.model.settings import LocalTarget, SftpTarget

TAG = "gardien"


def location(target: LocalTarget | SftpTarget) -> str:
    """What restic calls the repository's location. A folder without a leading slash is relative to the SSH login's."""
    if isinstance(target, LocalTarget):
        return str(target.folder)
    return f"sftp://{quote(target.user, safe='')}@{_bracketed(target.host)}:{target.port}/{target.folder}"


def known_host(target: SftpTarget) -> str:
    """The one line of the known_hosts file that pins the target's key."""
    name = target.host.strip("[]")
    if target.port != 22:
        name = f"[{name}]:{target.port}"
    kind, key, *_ = target.host_key.split()
    return f"{name} {kind} {key}\n"


def ssh_args(target: SftpTarget, known_hosts: Path, log: Path) -> list[str]:
    """How ssh is called: without this machine's own SSH configuration, without questions, for the host we know only.

    What it has to say goes to `log`: restic often ends before it has passed on ssh's last words.
    """
    options = {
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_quoted(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "4",
        "ConnectTimeout": "20",
    }
    args = ["-F", "none", "-E", str(log), "-i", str(target.key).replace("%", "%%")]
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


def save_args(
    folder: Path, *, host: str, tags: Sequence[str], leave_out: Sequence[str], parent: str | None
) -> list[str]:
    """`restic backup …`"""
    args = ["backup", "--host", host]
    for tag in _all_tags(tags):
        args += ["--tag", tag]
    for pattern in leave_out:
        args += ["--exclude", exclude(folder, pattern)]
    if parent is not None:
        args += ["--parent", parent]
    return [*args, "--", str(folder)]


def found_args(*, host: str, tags: Sequence[str]) -> list[str]:
    """`restic snapshots …`: those that bear all the tags."""
    return ["snapshots", "--no-lock", "--host", host, "--tag", ",".join(_all_tags(tags))]


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


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _ssh_quoted(path: Path) -> str:
    """ssh splits this value at spaces, and reads %-tokens in it."""
    return '"' + str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"') + '"'

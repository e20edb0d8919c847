"""Worlds that tests share: a European host, and a practice's machine with Nextcloud on it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.box import Box, box, free_port
from tests.world.sftp import SftpHost


def sftp_target(host: SftpHost) -> dict[str, object]:
    """What `targets:` holds for this host."""
    return {
        "kind": "sftp",
        "host": host.address,
        "port": host.port,
        "user": host.user,
        "folder": "practice backups",
        "key": str(host.client_key),
        "host_key": host.host_key_line,
    }


@pytest.fixture(scope="module")
def host() -> Iterator[SftpHost]:
    """An SSH server standing for the European host."""
    with tempfile.TemporaryDirectory(prefix="gh-") as room, SftpHost(Path(room) / "host") as running:
        yield running


@pytest.fixture(scope="module")
def nextcloud(host: SftpHost) -> Iterator[Box]:
    """A machine with its daemon, its target made, and the shipped Nextcloud stack up and healthy."""
    with box(sftp_target(host)) as made:
        made.start()
        made.gardien("target", "init", "host")
        made.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        made.until_well("nextcloud")
        yield made
        made.stop()

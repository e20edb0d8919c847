"""A house to which the faults happen: the tiny stack, its backups at a European host, a line between them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.adapters import process, restic_call
from tests.faults.houses import House, house
from tests.world.sftp import SftpHost


@pytest.fixture(scope="module")
def home() -> Iterator[House]:
    """One for all tests of a module: each leaves it well."""
    with tempfile.TemporaryDirectory(prefix="gh-") as room, SftpHost(Path(room) / "host") as host, house(host) as made:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """An adapter that waits for nothing for long."""
    monkeypatch.setattr(restic_call, "_HASTE", 0.5)
    monkeypatch.setattr(restic_call, "_PAUSES", (0.5,) * 5)
    monkeypatch.setattr(restic_call, "_TURNED_AWAY_PAUSES", (0.2, 0.2))
    monkeypatch.setattr(process, "_GRACE", 1.0)

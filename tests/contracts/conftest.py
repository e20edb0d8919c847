"""Repositories that many tests share: opening one costs restic most of a second, making one more."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gardien.adapters.store import SqliteStore
from gardien.services.ports import Store
from tests.contracts.grounds import Ground, ready
from tests.fakes import FakeStore


@pytest.fixture(params=["sqlite", "fake"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """gardien's memory: SQLite's, and the one in dictionaries."""
    if request.param == "fake":
        yield FakeStore()
        return
    opened = await SqliteStore.open(tmp_path / "state.db")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository in a folder; every test saves under a tag of its own."""
    with ready("folder", tmp_path_factory.mktemp("folder")) as made:
        yield made


@pytest.fixture(scope="session")
def sftp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository behind an SSH server."""
    with ready("sftp", tmp_path_factory.mktemp("sftp")) as made:
        yield made


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository in an object store."""
    with ready("s3", tmp_path_factory.mktemp("s3")) as made:
        yield made


@pytest.fixture(scope="session")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository at a rest-server."""
    with ready("rest", tmp_path_factory.mktemp("rest")) as made:
        yield made


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository at a rest-server that lets nothing be deleted."""
    with ready("kept", tmp_path_factory.mktemp("kept")) as made:
        yield made


@pytest.fixture(scope="session")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A repository in memory."""
    with ready("fake", tmp_path_factory.mktemp("fake")) as made:
        yield made

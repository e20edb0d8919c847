"""Repositories that many tests share: opening one costs restic most of a second, making one more."""

from collections.abc import Iterator

import pytest

from tests.contracts.grounds import Ground, ready


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

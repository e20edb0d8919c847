"""No neighbour holds up the daemon's one loop."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import BlockBuster

from gardien.adapters import process
from gardien.adapters.files import LocalFiles
from gardien.adapters.host import LinuxHost
from gardien.adapters.store import SqliteStore
from tests.contracts.docks import Dock, real_dock
from tests.contracts.grounds import Ground


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[Dock]:
    with real_dock(tmp_path) as made:
        yield made


async def test_nothing_blocks_the_loop(tmp_path: Path, folder: Ground, dock: Dock) -> None:
    source = await folder.fill("swift", a="x", b__c="y")
    stack = await dock.deploy(dock.stack())
    watch = BlockBuster()
    watch.activate()
    try:
        files = LocalFiles()
        await files.write(tmp_path / "file", "x")
        await files.read(tmp_path / "file")
        await files.copy_tree(source, tmp_path / "copy")
        await files.measure(tmp_path)
        await files.tail(tmp_path / "file")
        await files.move(tmp_path / "copy", tmp_path / "moved")
        await files.remove(tmp_path / "moved")
        store = await SqliteStore.open(tmp_path / "state.db")
        await store.note("a", "b")
        await store.noted("a")
        await store.close()
        await process.reap(tmp_path / "children")
        await process.run(["cat"], env={}, children=tmp_path / "children", input_=tmp_path / "file", silence=5)
        await process.run(["echo"], env={}, children=tmp_path / "children", output=tmp_path / "out")
        saved = await folder.save(source, "stack=swift")
        await folder.bring_back(saved.id, source, folder.root / "data" / "swift-side")
        await dock.compose.images(stack)
        await dock.compose.hashes(stack)
        await dock.engine.ping()
        await dock.engine.containers(["x"])
        await dock.engine.facts()
        await dock.engine.attach("x", "y", "z", [])
        await LinuxHost().disk(tmp_path)
        await LinuxHost().resolve("localhost")
    finally:
        watch.deactivate()

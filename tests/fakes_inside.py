"""Neighbours in memory for looking into snapshots and putting parts of them back. See `fakes`."""

import io
import json
import tarfile
import zipfile
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gardien.errors import Damaged, NotFound, Refused
from gardien.model.entry import Place
from gardien.model.job import Progress

if TYPE_CHECKING:
    from tests.fakes import FakeFiles, Leaf


class FakeInside:
    """What lies in a snapshot of `FakeRestic`."""

    _files: "FakeFiles"
    _snapshot: Any

    async def listed(self, target: str, snapshot: str) -> AsyncGenerator[bytes]:
        _, found, top, tree = await self._snapshot(target, snapshot)
        lines = [{"message_type": "snapshot", "paths": list(found.paths)}, _node(Path(found.paths[0]), top)]
        every = sorted(tree, key=lambda name: Path(name).parts)
        lines += [_node(Path(found.paths[0], name), tree[name]) for name in every]
        for line in lines:
            yield json.dumps(line).encode() + b"\n"

    async def names(self, target: str, snapshot: str, folder: str) -> list[str]:
        _, found, _, tree = await self._snapshot(target, snapshot)
        inside = Path(folder).relative_to(found.paths[0])
        return sorted(Path(name).name for name in tree if Path(name).parent == inside)

    async def dumped(
        self, target: str, snapshot: str, path: str, archive: Literal["zip", "tar"] | None = None
    ) -> AsyncGenerator[bytes]:
        _, found, _, tree = await self._snapshot(target, snapshot)
        inside = str(Path(path).relative_to(found.paths[0]))
        if archive is None:
            leaf = tree.get(inside)
            if leaf is None or leaf.text is None:
                raise NotFound("the backup does not hold it")
            yield leaf.text.encode()
            return
        beneath = {
            str(Path(name).relative_to(inside)): leaf.text.encode()
            for name, leaf in tree.items()
            if Path(name).is_relative_to(inside) and leaf.text is not None
        }
        packed = io.BytesIO()
        if archive == "zip":
            with zipfile.ZipFile(packed, "w") as file:
                for name, data in beneath.items():
                    file.writestr(name, data)
        else:
            with tarfile.open(fileobj=packed, mode="w") as tar:
                for name, data in beneath.items():
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        yield packed.getvalue()

    async def bring_back_part(
        self,
        target: str,
        snapshot: str,
        *,
        folder: str,
        name: str,
        leave_out: Sequence[str],
        to: Path,
        progress: Callable[[Progress], None],
    ) -> None:
        repository, found, _, tree = await self._snapshot(target, snapshot)
        inside = Path(folder).relative_to(found.paths[0])
        wanted = {
            Path(each).relative_to(inside): leaf for each, leaf in tree.items() if Path(each).is_relative_to(inside)
        }
        wanted = {
            each: leaf
            for each, leaf in wanted.items()
            if each.is_relative_to(name) and not any(each.is_relative_to(out) for out in leave_out)
        }
        if not wanted:
            raise NotFound("the backup does not hold it")
        if snapshot in repository.damaged:
            raise Damaged("what the backup target {target} gave back is not what was saved there", target=target)
        for each, leaf in wanted.items():
            self._files.put(to / each, leaf)
        files, size = await self._files.measure(to)
        progress(Progress(size, size, files, files, seconds_left=0.0))


def _node(path: Path, leaf: "Leaf") -> dict[str, Any]:
    kind = "dir" if leaf.text is None else "file"
    return {
        "message_type": "node",
        "name": path.name,
        "type": kind,
        "path": str(path),
        "uid": leaf.owner[0],
        "gid": leaf.owner[1],
        "mode": leaf.mode,
        "mtime": "2026-03-01T02:30:00Z",
        **({"size": len(leaf.text.encode())} if leaf.text is not None else {}),
    }


class FakeBeneath:
    """The `Beneath`, on the tree of `FakeFiles`; it knows no links."""

    def __init__(self, files: "FakeFiles") -> None:
        self._files = files
        self._marks: dict[str, Leaf] = {}

    async def look(self, home: Path, parts: Sequence[str]) -> Place:
        missing = 0
        for depth in range(1, len(parts)):
            folder = home.joinpath(*parts[:depth])
            if folder not in self._files.leaves:
                missing += 1
            elif not self._files.is_folder(folder):
                raise Refused("a link or a file is where one of the folders above it was")
        return Place(home.joinpath(*parts) in self._files.leaves, missing)

    async def mark(self, path: Path) -> str:
        mark = f"mark {len(self._marks)}"
        self._marks[mark] = self._files.leaves[path]
        return mark

    async def on_disk(self, folder: Path) -> None: ...

    def _bears(self, path: Path, mark: str) -> bool:
        return self._files.leaves.get(path) is not None and self._same(self._files.leaves[path], self._marks[mark])

    def _same(self, one: "Leaf", other: "Leaf") -> bool:
        return replace(one, changed=other.changed) == other

    async def put(
        self, home: Path, parts: Sequence[str], fresh: Path, mark: str, above: Sequence[tuple[int, int, int]]
    ) -> None:
        to = home.joinpath(*parts)
        if self._bears(to, mark) and not self._bears(fresh, mark):
            return
        for depth, (uid, gid, mode) in enumerate(above, 1):
            folder = home.joinpath(*parts[:depth])
            if folder not in self._files.leaves:
                await self._files.make_folder(folder, (uid, gid), mode)
        await self._exchange(fresh, to)

    async def _exchange(self, one: Path, other: Path) -> None:
        aside = one.with_name(f".{one.name}.aside")
        if other in self._files.leaves:
            await self._files.move(other, aside)
        await self._files.move(one, other)
        if aside in self._files.leaves:
            await self._files.move(aside, one)

    async def take_back(self, home: Path, parts: Sequence[str], fresh: Path, mark: str, missing: int) -> None:
        to = home.joinpath(*parts)
        if self._bears(to, mark) and not self._bears(fresh, mark):
            await (self._exchange(fresh, to) if fresh in self._files.leaves else self._files.move(to, fresh))
        for depth in range(len(parts) - 1, len(parts) - 1 - missing, -1):
            folder = home.joinpath(*parts[:depth])
            if not self._files.beneath(folder):
                await self._files.remove(folder)

    async def set_aside(self, source: Path, to: Path) -> None:
        await self._files.move(source, to)

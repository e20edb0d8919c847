"""One file or folder out of a backup, put back in its place while the application runs."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, unquote

from gardien.errors import Damaged, GardienError, NoSpace, Refused
from gardien.model.entry import TOP
from gardien.model.plan import Json, Plan
from gardien.model.snapshot import Snapshot
from gardien.model.stack import Stack
from gardien.rules import entries, plans
from gardien.services import disk, joins, recipes
from gardien.services.browse import MOST_SPECIAL, Browse
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.services.stacks import Stacks
from gardien.services.targets import Targets
from gardien.words import N_, Words

log = logging.getLogger(__name__)


class PutBacks:
    """Puts parts of backups back."""

    def __init__(self, world: World, runner: Runner, stacks: Stacks, targets: Targets, browse: Browse) -> None:
        self._runner = runner
        self._stacks = stacks
        self._browse = browse
        runner.teach("put-back", _PutBack(world, stacks, targets))

    async def plan(self, snapshot: Snapshot, number: int) -> Plan:
        """Of an entry of a backup that is opened in `Browse`. Raises NotFound, Refused for what must not be."""
        stack = await self._stacks.get(snapshot.stack)
        hit = await self._browse.entry(snapshot, number)
        entry, folder = hit.entry, hit.entry.kind == "folder"
        parts = await self._browse.path(snapshot, number)
        refused = entries.refusal(stack.manifest, parts, folder=folder) if number != TOP else _WHOLE
        if refused is not None:
            raise Refused(refused[0].text, refused[1].text)
        found = await self._browse.sum(snapshot, number)
        if entry.kind in {"special", "odd"} or found.left_out > MOST_SPECIAL:
            raise Refused(
                N_("this is no ordinary file or folder, or holds too many that are none"),
                N_("Devices and the like are never put back. Choose something else."),
            )
        left_out = await self._browse.left_out(snapshot, number) if folder else []
        facts: dict[str, Json] = {
            "target": snapshot.target,
            "snapshot": snapshot.id,
            "taken": snapshot.taken.isoformat(),
            "top": await self._browse.top(snapshot),
            "parts": [*map(_quoted, parts)],
            "folder": folder,
            "files": found.files,
            "bytes": found.bytes,
            "left_out": [[*map(_quoted, each)] for each in left_out],
            "above": [[*each.owner, each.mode] for each in hit.way],
        }
        told = entries.afterwards(stack.manifest, parts, folder=folder) if stack.chosen.wanted == "running" else ()
        return plans.put_back(stack, facts, [action.words for action in told])

    async def create(self, snapshot: Snapshot, number: int) -> int:
        """Queue it; returns the job's number."""
        return await self._runner.submit(await self.plan(snapshot, number))


_WHOLE = (
    Words.of(N_("this is all of the application")),
    Words.of(N_("Restore the whole application instead.")),
)


class _PutBack:
    """How it comes back. No name of a file is ever logged: they speak of people."""

    def __init__(self, world: World, stacks: Stacks, targets: Targets) -> None:
        self._world = world
        self._stacks = stacks
        self._targets = targets
        self.do: Mapping[str, Do] = {
            "look": self._look,
            "fetch": self._fetch,
            "verify": self._verify,
            "swap": self._swap,
            "tell": self._tell,
            "settle": self._settle,
        }
        self.undo: Mapping[str, Do] = {"fetch": self._unfetch, "swap": self._swap_back}

    async def heal(self, run: Run) -> None:
        """A killed restic leaves its lock; its process is proven dead by now."""
        await self._world.restic.unlock(run.text("target"))

    def _home(self, run: Run) -> Path:
        return self._stacks.home(run.plan.subject)

    def _side(self, run: Run) -> Path:
        """The copy beside: in root's own part of the stack's folder, which is always on the same file system."""
        return self._home(run) / ".gardien" / f"put-back-{run.job}"

    async def _look(self, run: Run) -> None:
        world, home = self._world, self._home(run)
        await disk.require(world)
        await self._targets.opened(run.text("target"), reading=True)
        size = int(run.text("bytes"))
        free = (await world.host.disk(home)).free
        if free < size + disk.HEADROOM:
            raise NoSpace(
                N_("this needs {needed} GB on {folder}, and {free} GB are free: {missing} GB are missing"),
                N_("Make room or use a bigger disk. Nothing was touched."),
                folder=str(world.settings.folders.data),
                needed=disk.gigabytes(size + disk.HEADROOM),
                free=disk.gigabytes(free),
                missing=disk.gigabytes(size + disk.HEADROOM - free),
            )
        place = await world.beneath.look(home, _parts(run))
        await run.remember(there=place.there, missing=place.missing)

    async def _fetch(self, run: Run) -> None:
        side, parts = self._side(run), _parts(run)
        await self._world.files.remove(side)
        await self._world.files.make_folder(side, None, 0o700)
        await self._world.restic.bring_back_part(
            run.text("target"),
            run.text("snapshot"),
            folder="/".join([run.text("top").rstrip("/"), *parts[:-1]]),
            name=parts[-1],
            leave_out=["/".join([parts[-1], *map(_unquoted, each)]) for each in _lists(run, "left_out")],
            to=side,
            progress=run.report,
        )

    async def _unfetch(self, run: Run) -> None:
        await self._world.files.remove(self._side(run))

    async def _verify(self, run: Run) -> None:
        """restic has read back and compared every file's content; here: is it all. Then it is put on the disk."""
        world, side = self._world, self._side(run)
        files, size = await world.files.measure(side)
        if (files, size) != (run.facts["files"], run.facts["bytes"]):
            raise Damaged(
                N_("it did not come back whole: {files} files instead of {expected}"),
                N_("Nothing was replaced. Try again, or choose an older backup."),
                files=files,
                expected=int(run.text("files")),
            )
        disarmed = await world.files.tame(side)
        await world.beneath.on_disk(side)
        mark = await world.beneath.mark(side / _parts(run)[-1])
        await run.remember(mark=mark, without=len(disarmed) + len(_lists(run, "left_out")))

    async def _swap(self, run: Run) -> None:
        parts = _parts(run)
        above = [(int(uid), int(gid), int(mode)) for uid, gid, mode in _lists(run, "above")]
        await self._world.beneath.put(self._home(run), parts, self._side(run) / parts[-1], run.text("mark"), above)

    async def _swap_back(self, run: Run) -> None:
        if "mark" not in run.facts:
            return
        parts, missing = _parts(run), int(run.text("missing"))
        fresh = self._side(run) / parts[-1]
        await self._world.beneath.take_back(self._home(run), parts, fresh, run.text("mark"), missing)

    async def _tell(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        actions = entries.afterwards(stack.manifest, _parts(run), folder=bool(run.facts["folder"]))
        self._say(run, stack)
        for action in actions:
            try:
                await recipes.carry_out(self._world, stack, [action.model_copy(update={"or_say": None})])
            except GardienError as error:
                if action.or_say is None:
                    raise
                log.warning("%s could not be told of what was put back: %s", stack.name, error.code)
                joins.tell(run, [action.or_say.given])
        assert run.says is not None
        await run.remember(says=run.says.as_json())  # type: ignore[arg-type]

    async def _settle(self, run: Run) -> None:
        if "says" in run.facts:
            run.says = Words.from_json(run.facts["says"])  # type: ignore[arg-type]
        else:
            stack = await self._stacks.get(run.plan.subject)
            self._say(run, stack)
            # Switched off, it could not be told; what is said where that fails holds here, too.
            actions = entries.afterwards(stack.manifest, _parts(run), folder=bool(run.facts["folder"]))
            joins.tell(run, [action.or_say.given for action in actions if action.or_say is not None])
        world, side = self._world, self._side(run)
        if run.facts["there"]:
            kept = world.settings.folders.data / ".kept"
            await world.files.make_folder(kept, None, 0o700)
            await world.beneath.set_aside(side, kept / f"{run.plan.subject}-{run.job}")
        await world.files.remove(side)

    def _say(self, run: Run, stack: Stack) -> None:
        title, taken = stack.manifest.title.given, run.text("taken")[:16].replace("T", " ")
        if run.facts["folder"]:
            says, count = (
                N_("{stack} has the folder back as of {taken}; {count} files, all verified"),
                run.text("files"),
            )
            run.done(says, stack=title, taken=taken, count=int(count))
        else:
            run.done(N_("{stack} has the file back as of {taken}, verified"), stack=title, taken=taken)
        if without := int(run.text("without")):
            left = N_("{count} files came without special rights, or not at all because they are devices or the like")
            joins.tell(run, [Words.of(left, count=without)])


def _quoted(name: str) -> str:
    """A name for the journal, which holds text alone; names may hold any bytes."""
    return quote(name, safe="", errors="surrogateescape")


def _unquoted(text: object) -> str:
    return unquote(str(text), errors="surrogateescape")


def _parts(run: Run) -> list[str]:
    parts = run.facts["parts"]
    assert isinstance(parts, list)
    return [*map(_unquoted, parts)]


def _lists(run: Run, fact: str) -> Sequence[list[str]]:
    found = run.facts[fact]
    assert isinstance(found, list)
    return [[str(part) for part in each] for each in found if isinstance(each, list)]

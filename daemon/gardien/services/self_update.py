"""gardien's own update: another version beside the present one, tried, then in its place in one move; and back.

It is a process of its own, run by the version that was there before it. Each phase is written down before it begins, so
that a move that was cut short is finished or taken back by whoever comes next. What is made is made beside; the only
thing that changes place is one link, and at any moment it leads to a version that starts.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from gardien.errors import GardienError, NotFound, Refused, unexpected
from gardien.model.move import Move, OwnNews, Phase, Slot
from gardien.rules import own_versions
from gardien.services.ports_move import Copies, Keeper, Moves, Programs
from gardien.words import N_, Value, Words

KIND = "self-update"
FORMER = 2  # versions kept besides the one in use
STEADY = 3  # looks in a row, a second apart, at which it is well
PAUSE = 1.0  # seconds
LEAST = 10.0  # seconds: no version is well at once
FORMER_TAKES = 300.0  # seconds, at most, until the version that was well before is well again

Say = Callable[[Words], None]
OnPoint = Callable[[str], None]  # where a test pulls the plug


class SelfUpdate:
    """One command. `patience`: seconds that a version may take until it is well."""

    def __init__(  # noqa: PLR0917
        self,
        programs: Programs,
        keeper: Keeper,
        copies: Copies,
        moves: Moves,
        clock: Callable[[], datetime],
        config: Path,
        room: Path,
        version: str,
        say: Say,
        on_point: OnPoint,
    ) -> None:
        self._programs, self._keeper, self._copies, self._moves = programs, keeper, copies, moves
        self._clock, self._config, self._room, self._version = clock, config, room, version
        self._say, self._on_point = say, on_point
        self.patience = 300.0

    async def news(self, source: str) -> OwnNews:
        """What there is. Raises BadInput, CommandFailed."""
        wheel = await self._programs.newest(source, self._room)
        version = own_versions.of_wheel(wheel.name) if wheel is not None else None
        if wheel is None or version is None:
            return OwnNews(self._version, None, newer=False)
        text = self._programs.changelog(wheel)
        newer = own_versions.newer(version, self._version)
        return OwnNews(self._version, version, newer, str(wheel), own_versions.changes(text, self._version, version))

    async def run(self, news: OwnNews) -> Move:
        """Go to that version, and say how it ended. Raises Refused, and then nothing was changed."""
        assert news.wheel is not None and news.newest is not None
        keeping = self._keeper.kind()
        self._tell(N_("Version {version} is installed beside the present one."), version=news.newest)
        slot = await self._programs.install(Path(news.wheel), news.newest)
        self._point("install")
        self._tell(N_("It is tried on a copy of gardien's memory."))
        self._copies.memory(self._room / "trial")
        await self._programs.trial(slot, self._config, self._room / "trial")
        self._point("trial")
        present = Slot(self._programs.in_use(), self._version)
        return await self._move(Move("holding", present, slot, keeping, self._clock()))

    def last(self) -> Move | None:
        """The newest move, over or not."""
        return self._moves.read()

    def way_back(self) -> Move:
        """The last move that was made. Raises NotFound, Refused if it cannot be gone back."""
        last = self._moves.read()
        if last is None or last.phase != "done" or last.next.folder != self._programs.in_use() or last.copy is None:
            raise NotFound(
                N_("there is no former version of gardien to go back to"),
                N_("`gardien self-update` keeps the version that it replaces; `install.sh` does not."),
            )
        if not self._programs.is_there(last.former):
            raise NotFound(
                N_("version {version} is not there any more"),
                N_("Install it again: `gardien self-update --from` takes its wheel only if it is newer."),
                version=last.former.version,
            )
        return last

    async def back(self) -> Move:
        """To the former version, with the state that it left. Raises NotFound, Refused; then nothing was changed."""
        last = self.way_back()
        assert last.copy is not None
        keeping = self._keeper.kind()
        self._copies.memory_of(last.copy, self._room / "trial")
        await self._programs.trial(last.former, self._config, self._room / "trial")
        return await self._move(Move("holding", last.next, last.former, keeping, self._clock(), bring=last.copy))

    async def go_on(self) -> Move | None:
        """Finish, or take back, what was cut short; None if nothing was."""
        move = self._moves.read()
        if move is None or move.over:
            self._programs.hold(None)
            return None
        if self._programs.in_use() not in {move.former.folder, move.next.folder}:
            # Somebody installed a third one meanwhile: its memory is not to be replaced by an older one.
            self._moves.write(move.to("taken-back", copy=None))
            self._programs.hold(None)
            return None
        self._tell(
            N_("An update of gardien from {former} to {next} was cut short."),
            former=move.former.version,
            next=move.next.version,
        )
        if move.phase in {"holding", "stopping"}:
            return await self._abandon(move, Words.of(N_("it was cut short before anything was changed")))
        # Whoever is well already is not stopped again: it may have been at work for long.
        if move.phase == "returning":
            if self._programs.in_use() == move.former.folder and await self._is_well(move.former):
                await self._keeper.start(move.keeping)
                return self._returned(move)
            return await self._return(move)
        if self._programs.in_use() == move.next.folder and await self._is_well(move.next):
            await self._keeper.start(move.keeping)
            return self._arrived(move)
        return await self._switch(move)

    # -- the phases

    async def _move(self, move: Move) -> Move:
        """Raises Refused if a job runs. No new one begins once `holding` is written down."""
        self._refuse_if(await self._keeper.running())
        self._programs.hold(move.former)
        move = self._enter(move, "holding")
        if running := await self._keeper.running():
            await self._abandon(move, Words.of(N_("a job was under way")))
            self._refuse_if(running)
        move = self._enter(move, "stopping")
        try:
            self._tell(N_("gardien stops; its memory and its settings are copied."))
            await self._keeper.stop(move.keeping)
            self._point("stopped")
            name = f"{move.former.version}-{move.began:%Y%m%dT%H%M%SZ}"
            move = move.to("stopping", copy=self._copies.save(name))
        except Exception as error:
            wrapped = error if isinstance(error, GardienError) else unexpected(error)
            await self._abandon(move, wrapped.says, wrapped.detail)
            raise wrapped from error
        return await self._switch(move)

    async def _switch(self, move: Move) -> Move:
        move = self._enter(move, "switching")
        try:
            await self._keeper.stop(move.keeping, hard=True)
            if move.bring is not None:
                self._copies.bring(move.bring)
                self._point("brought")
            self._programs.switch(move.next)
            self._point("switched")
            self._tell(N_("Version {version} starts, and has to say that it is well."), version=move.next.version)
            await self._keeper.start(move.keeping)
            self._point("started")
        except Exception as error:
            wrapped = error if isinstance(error, GardienError) else unexpected(error)
            return await self._return(move.to("switching", why=wrapped.says, detail=wrapped.detail))
        if why := await self._awaited(move, move.next, max(self.patience, LEAST)):
            return await self._return(move.to("switching", why=why, detail=self._keeper.last_words(move.keeping)))
        return self._arrived(move)

    def _arrived(self, move: Move) -> Move:
        self._point("well")
        move = self._enter(move, "done")
        self._clear(move)
        return move

    async def _return(self, move: Move) -> Move:
        """Raises Refused if the former version is not well either; asked again, it tries again."""
        move = self._enter(move, "returning")
        assert move.copy is not None
        if move.why is not None:
            self._tell(N_("It did not work: {why}. The former version comes back."), why=move.why)
        await self._keeper.stop(move.keeping, hard=True)
        self._point("returning-stopped")
        self._copies.bring(move.copy)
        self._point("returning-brought")
        self._programs.switch(move.former)
        self._point("returning-switched")
        self._copies.memory_of(move.copy, self._room / "trial")
        try:
            await self._programs.trial(move.former, self._config, self._room / "trial")
        except Refused:
            # Settings that only the newer one can read.
            self._copies.bring_settings(move.copy)
        await self._keeper.start(move.keeping)
        if why := await self._awaited(move, move.former):
            raise Refused(
                N_("gardien {version} does not get well again either: {why}"),
                N_(
                    "`gardien self-update` tries once more. What it said is in its log; the state of before the update "
                    "is in {folder}."
                ),
                detail=self._keeper.last_words(move.keeping),
                version=move.former.version,
                why=why,
                folder=move.copy,
            )
        return self._returned(move)

    def _returned(self, move: Move) -> Move:
        move = self._enter(move, "taken-back")
        self._clear(move)
        return move

    async def _abandon(self, move: Move, why: Words, detail: str = "") -> Move:
        """Nothing was changed yet: the daemon runs on, or again."""
        self._programs.switch(move.former)
        await self._keeper.start(move.keeping)
        if worse := await self._awaited(move, move.former):
            raise Refused(
                N_("gardien does not start again: {why}"),
                N_("Its log says why; nothing of it was changed."),
                detail=self._keeper.last_words(move.keeping),
                why=worse,
            )
        return self._returned(move.to("holding", why=why, detail=detail))

    # -- parts of them

    def _enter(self, move: Move, phase: Phase) -> Move:
        move = move.to(phase)
        self._moves.write(move)
        self._point(phase)
        return move

    def _point(self, name: str) -> None:
        self._on_point(name)

    def _tell(self, text: str, **values: Value) -> None:
        self._say(Words(text, values))

    async def _is_well(self, slot: Slot) -> bool:
        return await self._keeper.well() == slot.version

    async def _awaited(self, move: Move, slot: Slot, patience: float = FORMER_TAKES) -> Words | None:
        """Until it has been well for a moment; else why it is not."""
        steady, clock = 0, asyncio.get_running_loop().time
        deadline = clock() + patience
        while True:
            if self._keeper.gone(move.keeping):
                return Words.of(N_("version {version} ended by itself"), version=slot.version)
            steady = steady + 1 if await self._is_well(slot) else 0
            if steady == STEADY:
                return None
            if clock() > deadline:
                return Words.of(
                    N_("version {version} did not say within {seconds} seconds that it is well"),
                    version=slot.version,
                    seconds=int(patience),
                )
            await asyncio.sleep(PAUSE)

    def _refuse_if(self, running: list[str]) -> None:
        if running:
            raise Refused(
                N_("something is under way: {what}"),
                N_("Wait for its end (`gardien job list`), then try again. Nothing was changed."),
                what="; ".join(running),
            )

    def _clear(self, move: Move) -> None:
        """What nobody goes back to any more. A failed version stays too, until others come: it may be looked into."""
        self._programs.hold(None)
        stay = {move.former.folder, move.next.folder, self._programs.in_use()}
        self._programs.forget(stay, FORMER + 1)
        self._copies.forget({each for each in (move.copy, move.bring) if each is not None}, FORMER)

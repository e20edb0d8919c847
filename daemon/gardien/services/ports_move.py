"""What an update of gardien itself asks of its neighbours. It is a process of its own, in which nothing else waits:
what only touches a few files here does not say `async`.
"""

from pathlib import Path
from typing import Protocol

from gardien.model.move import Keeping, Move, Slot


class Programs(Protocol):
    """The installed versions, side by side, and the link that leads to the one in use."""

    async def newest(self, source: str, room: Path) -> Path | None:
        """The newest wheel there: `source` is a wheel, a folder of them, or the address of a page that lists them;
        what is fetched goes to `room`. Raises BadInput, CommandFailed."""
        ...

    def changelog(self, wheel: Path) -> str:
        """The one in the wheel. Raises BadInput if that is none of gardien's."""
        ...

    async def install(self, wheel: Path, version: str) -> Slot:
        """Into a folder of its own; what is in use is not touched. Raises CommandFailed, BadInput."""
        ...

    async def trial(self, slot: Slot, config: Path, memory: Path) -> None:
        """Have it read the settings, and bring the copy of the state in `memory` up to date. Raises Refused."""
        ...

    def is_there(self, slot: Slot) -> bool: ...
    def in_use(self) -> str:
        """The folder's name."""
        ...

    def switch(self, slot: Slot) -> None:
        """In one move: there is no moment in which the link leads nowhere."""
        ...

    def hold(self, slot: Slot | None) -> None:
        """A second link, to the version that ends a move whatever happens; None takes it away."""
        ...

    def forget(self, stay: set[str], most: int) -> None:
        """Remove all but these, and the newest others up to `most` in all."""
        ...


class Keeper(Protocol):
    """The daemon, as seen from outside."""

    def kind(self) -> Keeping:
        """How this daemon is kept. Raises Refused if nobody here knows."""
        ...

    async def running(self) -> list[str]:
        """What jobs are under way, in words. Raises NotRunning's kin `Refused` if no daemon answers."""
        ...

    async def well(self) -> str | None:
        """The version of the daemon that answers and says that it is well; None if none does."""
        ...

    async def stop(self, keeping: Keeping, *, hard: bool = False) -> None:
        """Returns when it is gone. `hard`: it is not asked for long. Raises Refused if it does not end."""
        ...

    async def start(self, keeping: Keeping) -> None:
        """Start what the link leads to, if nothing runs, and see that it is found again. Raises CommandFailed."""
        ...

    def gone(self, keeping: Keeping) -> bool:
        """Whether what was started has ended for good."""
        ...

    def last_words(self, keeping: Keeping) -> str: ...


class Copies(Protocol):
    """The state, put aside and brought back."""

    def memory(self, into: Path) -> None:
        """A sound copy of the database, also while it is written to. Raises MemoryFailed."""
        ...

    def memory_of(self, folder: str, into: Path) -> None:
        """A copy of the database that was put aside in `folder`."""
        ...

    def save(self, name: str) -> str:
        """Put aside the database and the settings; returns where."""
        ...

    def bring(self, folder: str) -> None:
        """The database of there becomes the one in use; no daemon may run."""
        ...

    def bring_settings(self, folder: str) -> None:
        """The settings files of there become those in use; what stood in their place is kept in `folder`. None is
        deleted: there may be new keys among them."""
        ...

    def forget(self, stay: set[str], most: int) -> None:
        """Remove all but these, and the newest others up to `most` in all."""
        ...


class Moves(Protocol):
    """Where a move is written down."""

    def read(self) -> Move | None: ...
    def write(self, move: Move) -> None:
        """On disk when it returns."""
        ...

"""What the use cases ask of the store about trial restores; a part of `ports.Store`."""

from datetime import datetime
from typing import Protocol

from gardien.model.proof import Outcome, Proof


class Proofs(Protocol):
    """Trial restores, one a job."""

    async def add_proof(self, proof: Proof) -> None:
        """What came of a trial restore; the same job again replaces what was said of it."""
        ...

    async def proofs(
        self,
        stack: str | None = None,
        *,
        outcome: Outcome | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        most: int = 100,
    ) -> list[Proof]:
        """Newest first; those that ended from `since` on, and before `until`."""
        ...

"""What the use cases ask of whoever makes certificates."""

from collections.abc import Iterable
from typing import Protocol


class Certificates(Protocol):
    """Makes certificates."""

    async def make(self, names: Iterable[str], days: int) -> str:
        """A fresh certificate and its key in PEM, one after the other. Raises CommandFailed."""
        ...

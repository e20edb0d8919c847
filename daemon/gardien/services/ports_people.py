"""What the use cases ask of the store about people; a part of `ports.Store`. Tokens and codes are known by hashes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gardien.model.person import Deed, Means, Person, Power, Role, Token, Visit
from gardien.words import Words


class PeopleStore(Protocol):
    """Who may come in, who is in, and who did what. The person called `owner` is there from the first day."""

    async def add_person(self, name: str, role: Role, may: frozenset[Power], now: datetime) -> bool:
        """Whether the name was free."""
        ...

    async def change_person(self, name: str, role: Role, may: frozenset[Power]) -> bool:
        """Their sessions end. False where nobody is called so, or they are the last owner and would be none."""
        ...

    async def drop_person(self, name: str) -> bool:
        """With their password, links, sessions, tokens and codes. False for nobody, and for the last owner."""
        ...

    async def person(self, name: str) -> Person | None: ...
    async def people(self) -> list[Person]:
        """By name."""
        ...

    async def set_password(self, user: str, hashed: str) -> None: ...
    async def drop_password(self, user: str) -> None: ...
    async def password(self, user: str) -> str | None: ...
    async def add_link(self, hashed: str, user: str, until: datetime) -> None:
        """A one-time login link, by the hash of its token."""
        ...

    async def use_link(self, hashed: str, now: datetime) -> str | None:
        """The user, once, in time; else None."""
        ...

    async def drop_links(self, user: str) -> None: ...

    async def save_session(self, key: str, data: str, until: datetime) -> None:
        """`data` is a JSON object; its `user`, if any, is whose session it is."""
        ...

    async def renew_session(self, key: str, data: str, until: datetime, now: datetime) -> bool:
        """Change one that has not ended; whether there was one."""
        ...

    async def session(self, key: str, now: datetime) -> Visit | None:
        """With the person as they are now, read in one."""
        ...

    async def sessions(self, user: str, now: datetime) -> list[Visit]: ...
    async def end_session(self, key: str) -> None: ...
    async def end_sessions(self, user: str) -> None:
        """All of one person's: their password changed."""
        ...

    async def set_second_factor(self, user: str, secret: str | None, step: int, codes: Sequence[str]) -> None:
        """Replaces what was there, spare codes too."""
        ...

    async def use_step(self, user: str, step: int) -> bool:
        """Whether no code of this half minute, or of a later one, was used yet; from now on one was."""
        ...

    async def use_spare_code(self, user: str, hashed: str) -> bool:
        """Once."""
        ...

    async def spare_codes(self, user: str) -> int:
        """How many are left."""
        ...

    async def add_token(  # noqa: PLR0917
        self, hashed: str, name: str, user: str, scopes: frozenset[Power], now: datetime, until: datetime | None
    ) -> int | None:
        """Its number; None where one is called so already."""
        ...

    async def token(self, hashed: str, now: datetime) -> Token | None:
        """None for one that is out of date."""
        ...

    async def tokens(self) -> list[Token]: ...
    async def token_used(self, id_: int, now: datetime) -> None: ...
    async def drop_token(self, name: str) -> bool: ...

    async def add_deed(  # noqa: PLR0917
        self, at: datetime, who: str, means: Means, what: Words, job: int | None, refused: bool
    ) -> None:
        """Takes the occasion to drop what is older than 400 days, and all but the newest 20,000."""
        ...

    async def deeds(self, most: int = 100, before: int | None = None) -> list[Deed]:
        """Newest first; `before`: those with a smaller number than this."""
        ...

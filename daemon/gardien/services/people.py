"""Who may come in: passwords, one-time links, and patience with those who guess."""

import asyncio
import hashlib
import secrets
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gardien.errors import BadInput, Busy
from gardien.services.ports import Clock, Store
from gardien.words import N_

LINK_LIVES = timedelta(minutes=15)
SHORTEST = 10  # characters of a password
FREE_GUESSES = 5  # wrong ones before waiting begins
LONGEST_WAIT = 300.0  # seconds

# 93 ms on a small machine; argon2-cffi's defaults take 81 MiB of memory.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


class People:
    """The people of this house."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._guesses: dict[str, int] = {}
        self._wait_until: dict[str, float] = {}
        self._nobody = _HASHER.hash(secrets.token_urlsafe())

    async def link(self, user: str = "owner") -> str:
        """A token that opens the page once, within 15 minutes."""
        token = secrets.token_urlsafe(32)
        await self._store.add_link(_digest(token), user, self._clock() + LINK_LIVES)
        return token

    async def enter_by_link(self, token: str) -> str | None:
        """The user, once; else None."""
        return await self._store.use_link(_digest(token), self._clock())

    async def enter_by_password(self, user: str, password: str, address: str) -> str | None:
        """The user, or None. Raises Busy while `address` has to wait after too many wrong guesses."""
        loop = asyncio.get_running_loop()
        left = self._wait_until.get(address, 0.0) - loop.time()
        if left > 0:
            raise Busy(
                N_("too many wrong passwords; try again in {seconds} seconds"),
                N_("Locked out? At the machine itself, `gardien user link` opens the page."),
                seconds=round(left) + 1,
            )
        hashed = await self._store.password(user) or self._nobody
        if await asyncio.to_thread(_verified, hashed, password):
            self._guesses.pop(address, None)
            self._wait_until.pop(address, None)
            return user
        guesses = self._guesses[address] = self._guesses.get(address, 0) + 1
        if guesses >= FREE_GUESSES:
            self._wait_until[address] = loop.time() + min(LONGEST_WAIT, 2.0 ** (guesses - FREE_GUESSES + 1))
        return None

    async def set_password(self, user: str, password: str) -> None:
        """Ends all of the user's sessions. Raises BadInput when it is too short."""
        if len(password) < SHORTEST:
            raise BadInput(
                N_("the password is too short"),
                N_("Take at least {shortest} characters; four words in a row are easy to remember."),
                shortest=SHORTEST,
            )
        hashed = await asyncio.to_thread(_HASHER.hash, password)
        await self._store.set_password(user, hashed)
        await self._store.end_sessions(user)

    async def has_password(self, user: str = "owner") -> bool:
        return await self._store.password(user) is not None


def _verified(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(token: str) -> str:
    """Tokens are random: a plain hash keeps the store from holding keys."""
    return hashlib.sha256(token.encode()).hexdigest()

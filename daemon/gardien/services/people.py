"""Who may come in: people and their roles, passwords, one-time links, tokens of programs, and who did what."""

import asyncio
import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gardien.errors import BadInput, NotFound, Refused
from gardien.model.person import GRANTS, OWNER, ROLES, SCOPES, Deed, Means, Person, Power, Role, Token, Visit
from gardien.services.patience import Patience
from gardien.services.ports import Clock, Store
from gardien.services.second_factor import SecondFactor
from gardien.words import N_, Words

LINK_LIVES = timedelta(minutes=15)
INVITATION_LIVES = timedelta(days=3)
SHORTEST = 10  # characters of a password
NAME = re.compile(r"[a-z][a-z0-9.-]{0,30}")
TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
TOKEN = "gardien_"  # noqa: S105  (what every token begins with, so that it is known when it lies about)
REFUSALS, WITHIN = 20, timedelta(hours=1)  # of one kind by one person: more of them are not written down
USED_EVERY = timedelta(minutes=10)  # how often a token's last use is written down, to spare the disk

MOST_KINDS = 1000  # of refusals that are counted

# 93 ms on a small machine; argon2-cffi's defaults take 81 MiB of memory.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands, as an owner sees it."""

    person: Person
    has_password: bool
    second_factor: bool


class People:
    """The people of this house. `factor`: their second factors."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._patience = Patience()
        self._nobody = _HASHER.hash(secrets.token_urlsafe())
        self._hashing = asyncio.Semaphore(2)  # 19 MiB and a core each
        self._refusals: OrderedDict[tuple[str, str, str], list[datetime]] = OrderedDict()
        self.factor = SecondFactor(store, clock, self._patience)

    # -- who there is

    async def all(self) -> list[Standing]:
        """By name."""
        return [
            Standing(each, await self._store.password(each.name) is not None, each.secret is not None)
            for each in await self._store.people()
        ]

    async def known(self, user: str) -> Person:
        """Raises NotFound."""
        person = await self._store.person(user)
        if person is None:
            raise NotFound(N_("nobody here is called {user}"), N_("`gardien user list` shows who is."), user=user)
        return person

    async def add(self, user: str, role: str = "helper", may: Iterable[str] = ()) -> str:
        """Returns the token of a link that lets them in once, within three days. Raises BadInput, Refused."""
        if not NAME.fullmatch(user) or user in ("console",):
            raise BadInput(
                N_("{user} cannot be a name here"),
                N_("Take small letters, digits, dots and dashes, a letter first: `anna` or `a.martin`."),
                user=user[:40],
            )
        if not await self._store.add_person(user, _role(role), _grants(may), self._clock()):
            raise Refused(N_("somebody here is called {user} already"), N_("Take another name."), user=user)
        return await self.invite(user)

    async def invite(self, user: str) -> str:
        """The same once more, for somebody who never came in. Raises NotFound, Refused."""
        person = await self.known(user)
        if await self._store.password(user) is not None or person.secret is not None:
            raise Refused(
                N_("{user} has a password already"),
                N_("If it is forgotten: at the machine itself, `gardien user reset {user}` gives a new link."),
                user=user,
            )
        await self._store.drop_links(user)
        return await self._link(user, INVITATION_LIVES)

    async def change(self, user: str, role: str, may: Iterable[str] = ()) -> Person:
        """Their sessions end. Raises NotFound, BadInput; Refused for the last owner."""
        await self.known(user)
        if not await self._store.change_person(user, _role(role), _grants(may)):
            raise _last_owner(user)
        return await self.known(user)

    async def remove(self, user: str) -> None:
        """They are out at once. Raises NotFound; Refused for the last owner."""
        await self.known(user)
        if not await self._store.drop_person(user):
            raise _last_owner(user)

    async def reset(self, user: str) -> str:
        """Forget password, second factor, links and sessions; returns the token of a link. Raises NotFound."""
        await self.known(user)
        await self._store.drop_password(user)
        await self.factor.remove(user)
        await self._store.drop_links(user)
        await self._store.end_sessions(user)
        return await self._link(user, LINK_LIVES)

    # -- coming in

    async def link(self, user: str = OWNER) -> str:
        """A token that opens the page once, within 15 minutes. Raises NotFound."""
        await self.known(user)
        return await self._link(user, LINK_LIVES)

    async def _link(self, user: str, lives: timedelta) -> str:
        token = secrets.token_urlsafe(32)
        await self._store.add_link(_digest(token), user, self._clock() + lives)
        return token

    async def enter_by_link(self, token: str) -> str | None:
        """The user, once; else None."""
        return await self._store.use_link(_digest(token), self._clock())

    async def enter_by_password(self, user: str, password: str, address: str) -> str | None:
        """The user, or None. Raises Busy while `address` has to wait after too many wrong guesses.

        The second factor, if there is one, is still to be asked for.
        """
        hashed = await self._store.password(user) or self._nobody
        async with self._hashing:
            self._patience.ask(address)  # not before: a thousand guesses at once would all be let through
            good = await asyncio.to_thread(_verified, hashed, password)
            (self._patience.right if good else self._patience.wrong)(address)
        return user if good else None

    async def set_password(self, user: str, password: str) -> None:
        """Ends all of the user's sessions and links. Raises NotFound; BadInput when it is too short."""
        await self.known(user)
        if len(password) < SHORTEST:
            raise BadInput(
                N_("the password is too short"),
                N_("Take at least {shortest} characters; four words in a row are easy to remember."),
                shortest=SHORTEST,
            )
        hashed = await asyncio.to_thread(_HASHER.hash, password)
        await self._store.set_password(user, hashed)
        await self._store.drop_links(user)
        await self._store.end_sessions(user)

    async def has_password(self, user: str = OWNER) -> bool:
        return await self._store.password(user) is not None

    async def visits(self, user: str) -> list[Visit]:
        """Where this person is signed in."""
        return await self._store.sessions(user, self._clock())

    async def end_others(self, user: str, mine: str | None) -> None:
        """Sign them out everywhere but at `mine`, the key of a visit."""
        for each in await self.visits(user):
            if each.key != mine:
                await self._store.end_session(each.key)

    async def end_visit(self, user: str, key: str) -> None:
        """Sign them out there; `key` may be its beginning. Raises NotFound."""
        found = [each.key for each in await self.visits(user) if len(key) >= 8 and each.key.startswith(key)]
        if len(found) != 1:
            raise NotFound(N_("this sign-in is over already"), N_("There is nothing to do."))
        await self._store.end_session(found[0])

    # -- programs

    async def add_token(
        self, name: str, scopes: Iterable[str], user: str = OWNER, lives: timedelta | None = None
    ) -> str:
        """Its text, which is shown once. Raises BadInput, Refused."""
        wanted = frozenset(scopes)
        if not TOKEN_NAME.fullmatch(name):
            raise BadInput(N_("a token needs a name"), N_("Say in a word or two what will use it."))
        if not wanted or not wanted <= set(SCOPES):
            raise BadInput(
                N_("a token needs to be told what it may do"),
                N_("Choose one or more of: {scopes}."),
                scopes=", ".join(SCOPES),
            )
        text, now = TOKEN + secrets.token_urlsafe(32), self._clock()
        given: frozenset[Power] = frozenset(each for each in SCOPES if each in wanted) | {"read"}
        if await self._store.add_token(_digest(text), name, user, given, now, now + lives if lives else None) is None:
            raise Refused(N_("a token is called {name} already"), N_("Take another name."), name=name)
        return text

    async def token(self, text: str) -> Token | None:
        """What this text lets in; None if nothing."""
        now = self._clock()
        found = await self._store.token(_digest(text), now)
        if found is not None and (found.used is None or now - found.used > USED_EVERY):
            await self._store.token_used(found.id, now)
        return found

    async def tokens(self) -> list[Token]:
        """By name."""
        return await self._store.tokens()

    async def revoke(self, name: str) -> None:
        """It lets nobody in any more. Raises NotFound."""
        if not await self._store.drop_token(name):
            raise NotFound(N_("no token is called {name}"), N_("`gardien token list` shows them."), name=name[:40])

    # -- who did what

    async def note(self, who: str, means: Means, what: Words, job: int | None = None, *, refused: bool = False) -> None:
        """Write down that it was done, or that it was asked for and refused.

        Of refusals of one kind so many an hour: whoever makes more must not push out what else was written down.
        """
        if not refused or self._says_something(who, means, what):
            await self._store.add_deed(self._clock(), who, means, what, job, refused)

    def _says_something(self, who: str, means: Means, what: Words) -> bool:
        now, kind = self._clock(), (who, means, what.text)
        late = [each for each in self._refusals.pop(kind, ()) if timedelta() <= now - each < WITHIN]
        new = len(late) < REFUSALS
        self._refusals[kind] = [*late, now] if new else late
        while len(self._refusals) > MOST_KINDS:
            self._refusals.popitem(last=False)
        return new

    async def deeds(self, most: int = 100, before: int | None = None) -> list[Deed]:
        """Newest first."""
        return await self._store.deeds(most, before)

    def now(self) -> datetime:
        return self._clock()


def _role(role: str) -> Role:
    for each in ROLES:
        if role == each:
            return each
    raise BadInput(N_("{role} is no role"), N_("There are `owner` and `helper`."), role=role[:40])


def _grants(may: Iterable[str]) -> frozenset[Power]:
    wanted = set(may)
    if not wanted <= set(GRANTS):
        raise BadInput(N_("a helper can be allowed `backup` and `update` only"), N_("Correct what they may do."))
    return frozenset(each for each in GRANTS if each in wanted)


def _last_owner(user: str) -> Refused:
    return Refused(N_("{user} is the only owner"), N_("Make somebody else an owner first."), user=user)


def _verified(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _digest(token: str) -> str:
    """Tokens are random: a plain hash keeps the store from holding keys."""
    return hashlib.sha256(token.encode()).hexdigest()

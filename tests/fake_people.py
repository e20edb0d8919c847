"""People in dictionaries: this part of the `Store`, without a disk."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gardien.model.person import Deed, Means, Person, Power, Role, Token, Visit
from gardien.words import Words


class FakePeople:
    """Keeps to what SQLite keeps to."""

    def __init__(self) -> None:
        self._people = {"owner": Person("owner", "owner", datetime(2026, 1, 1, tzinfo=UTC))}
        self._passwords: dict[str, str] = {}
        self._links: dict[str, tuple[str, datetime]] = {}
        self._sessions: dict[str, tuple[str | None, str, datetime]] = {}
        self._codes: set[tuple[str, str]] = set()
        self._tokens: dict[str, Token] = {}
        self._deeds: list[Deed] = []

    def _last_owner(self, name: str) -> bool:
        return [each.name for each in self._people.values() if each.role == "owner"] == [name]

    async def add_person(self, name: str, role: Role, may: frozenset[Power], now: datetime) -> bool:
        if name in self._people:
            return False
        self._people[name] = Person(name, role, now, may)
        return True

    async def change_person(self, name: str, role: Role, may: frozenset[Power]) -> bool:
        if name not in self._people or (role != "owner" and self._last_owner(name)):
            return False
        self._people[name] = replace(self._people[name], role=role, may=may)
        await self.end_sessions(name)
        if role != "owner":
            self._tokens = {key: each for key, each in self._tokens.items() if each.user != name}
        return True

    async def drop_person(self, name: str) -> bool:
        if name not in self._people or self._last_owner(name):
            return False
        del self._people[name]
        await self.end_sessions(name)
        await self.drop_password(name)
        await self.drop_links(name)
        self._tokens = {key: each for key, each in self._tokens.items() if each.user != name}
        self._codes = {each for each in self._codes if each[0] != name}
        return True

    async def person(self, name: str) -> Person | None:
        return self._people.get(name)

    async def people(self) -> list[Person]:
        return [self._people[name] for name in sorted(self._people)]

    async def set_password(self, user: str, hashed: str) -> None:
        self._passwords[user] = hashed

    async def drop_password(self, user: str) -> None:
        self._passwords.pop(user, None)

    async def password(self, user: str) -> str | None:
        return self._passwords.get(user)

    async def add_link(self, hashed: str, user: str, until: datetime) -> None:
        self._links[hashed] = (user, until)

    async def use_link(self, hashed: str, now: datetime) -> str | None:
        user, until = self._links.pop(hashed, (None, now))
        return user if until > now else None

    async def drop_links(self, user: str) -> None:
        self._links = {key: each for key, each in self._links.items() if each[0] != user}

    async def save_session(self, key: str, data: str, until: datetime) -> None:
        self._sessions[key] = (json.loads(data).get("user"), data, until)

    async def renew_session(self, key: str, data: str, until: datetime, now: datetime) -> bool:
        if await self.session(key, now) is None:
            return False
        self._sessions[key] = (self._sessions[key][0], data, until)
        return True

    async def session(self, key: str, now: datetime) -> Visit | None:
        user, data, until = self._sessions.get(key, (None, "", now))
        return Visit(key, data, user, self._people.get(user or "")) if until > now else None

    async def sessions(self, user: str, now: datetime) -> list[Visit]:
        found = sorted(self._sessions.items(), key=lambda each: each[1][2], reverse=True)
        return [
            Visit(key, data, user, self._people.get(user))
            for key, (whose, data, until) in found
            if whose == user and until > now
        ]

    async def end_session(self, key: str) -> None:
        self._sessions.pop(key, None)

    async def end_sessions(self, user: str) -> None:
        self._sessions = {key: each for key, each in self._sessions.items() if each[0] != user}

    async def set_second_factor(self, user: str, secret: str | None, step: int, codes: Sequence[str]) -> None:
        self._people[user] = replace(self._people[user], secret=secret, step=step)
        self._codes = {each for each in self._codes if each[0] != user} | {(user, code) for code in codes}

    async def use_step(self, user: str, step: int) -> bool:
        if self._people[user].step >= step:
            return False
        self._people[user] = replace(self._people[user], step=step)
        return True

    async def use_spare_code(self, user: str, hashed: str) -> bool:
        there = (user, hashed) in self._codes
        self._codes.discard((user, hashed))
        return there

    async def spare_codes(self, user: str) -> int:
        return len([each for each in self._codes if each[0] == user])

    async def add_token(
        self, hashed: str, name: str, user: str, scopes: frozenset[Power], now: datetime, until: datetime | None
    ) -> int | None:
        if name in {each.name for each in self._tokens.values()}:
            return None
        number = max((each.id for each in self._tokens.values()), default=0) + 1
        self._tokens[hashed] = Token(number, name, user, scopes, now, until, None)
        return number

    async def token(self, hashed: str, now: datetime) -> Token | None:
        found = self._tokens.get(hashed)
        return found if found is not None and (found.until is None or found.until > now) else None

    async def tokens(self) -> list[Token]:
        return sorted(self._tokens.values(), key=lambda each: each.name)

    async def token_used(self, id_: int, now: datetime) -> None:
        for key, each in self._tokens.items():
            if each.id == id_:
                self._tokens[key] = replace(each, used=now)

    async def drop_token(self, name: str) -> bool:
        before = len(self._tokens)
        self._tokens = {key: each for key, each in self._tokens.items() if each.name != name}
        return len(self._tokens) < before

    async def add_deed(self, at: datetime, who: str, means: Means, what: Words, job: int | None, refused: bool) -> None:
        number = self._deeds[-1].id + 1 if self._deeds else 1
        self._deeds.append(Deed(number, at, who, means, what, job, refused))
        self._deeds = [each for each in self._deeds if each.at >= at - timedelta(days=400)][-20_000:]

    async def deeds(self, most: int = 100, before: int | None = None) -> list[Deed]:
        return [each for each in reversed(self._deeds) if before is None or each.id < before][:most]

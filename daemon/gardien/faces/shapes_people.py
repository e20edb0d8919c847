"""The shapes of what the JSON API says of people. See `shapes`."""

from typing import TypedDict

from gardien.model.person import Means, Power, Role


class UserData(TypedDict):
    user: str
    role: Role
    may: list[Power]
    made: str | None
    has_password: bool
    second_factor: bool


class TokenData(TypedDict):
    name: str
    scopes: list[Power]
    made_by: str
    made: str | None
    until: str | None
    used: str | None


class DeedData(TypedDict):
    id: int
    at: str | None
    who: str
    means: Means
    what: str
    job: int | None
    refused: bool

"""How a target came to be, or was tried: what was looked at, and what was found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from gardien.errors import GardienError
from gardien.model.manifest import Text
from gardien.model.operator import Operator
from gardien.model.settings import Target
from gardien.words import Words

StageName = Literal["reach", "repository", "write", "delete"]
StageState = Literal["good", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class HostKey:
    """What an SSH server calls itself by."""

    line: str  # ssh-ed25519 AAAA…
    fingerprint: str  # SHA256:…


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing that was tried at a target."""

    name: StageName
    state: StageState
    says: Words
    remedy: Words | None = None  # what the owner can do about it
    error: GardienError | None = None  # what failed


@dataclass(frozen=True, slots=True)
class Tried:
    """A target, tried from one end to the other. Whatever comes after what failed was not tried."""

    name: str
    stages: tuple[Stage, ...]
    repository: str | None  # its id, once there is one

    @property
    def ok(self) -> bool:
        return all(stage.state != "failed" for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants for a new target. `values` are answers to the questions of the preset; texts all."""

    name: str
    preset: str
    values: Mapping[str, str] = field(default_factory=dict)
    at: str | None = None
    copy_of: str | None = None
    append_only: bool = False
    upload_limit: Mapping[str, str] = field(default_factory=dict)
    login: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the names that plain restic knows
    passphrase: str | None = field(default=None, repr=False)  # of a repository that is there already
    fingerprint: str | None = None  # of the SSH server, as the host publishes it
    accept: str | None = None  # the sentence that accepts a foreign law


@dataclass(frozen=True, slots=True)
class Draft:
    """What would be set up, for the person to agree to. Nothing was written."""

    name: str
    target: Target
    operator: Operator
    host_keys: tuple[HostKey, ...]  # of an SSH server, the one that would be pinned first
    steps: tuple[Words, ...]
    sentence: Text | None  # to be typed, to accept a foreign law


@dataclass(frozen=True, slots=True)
class Access:
    """What lets us in at a target, and what opens it: for the person, who has to do something with it."""

    public_key: str | None  # the line to give to an SSH server
    click: Words  # where at the host
    protect: Words  # against deletion
    passphrase_file: str | None  # None: there is none yet

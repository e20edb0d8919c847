"""Image registries in memory, and what the `FakeStore` knows of them."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from gardien.errors import GardienError, NotFound
from gardien.model.release import Sighting, Tags, Verdict


class FakeFindings:
    """This part of the `Store`, kept in dictionaries."""

    def __init__(self) -> None:
        self._tags: dict[str, Tags] = {}
        self._sightings: dict[tuple[str, str, str], Sighting] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}

    async def keep_tags(self, repository: str, tags: Tags) -> None:
        self._tags[repository] = tags

    async def tags(self, repository: str) -> Tags | None:
        return self._tags.get(repository)

    async def saw(self, repository: str, tag: str, digest: str, now: datetime) -> None:
        key = (repository, tag, digest)
        known = self._sightings.pop(key, Sighting(repository, tag, digest, now, now))
        self._sightings[key] = replace(known, last=now)

    async def sightings(self, repository: str) -> list[Sighting]:
        return [each for each in self._sightings.values() if each.repository == repository]

    async def judge(self, verdict: Verdict) -> None:
        self._verdicts[verdict.stack, verdict.digest] = verdict

    async def acquit(self, stack: str, digest: str) -> bool:
        return self._verdicts.pop((stack, digest), None) is not None

    async def verdicts(self, stack: str) -> list[Verdict]:
        found = [each for each in self._verdicts.values() if each.stack == stack]
        return sorted(found, key=lambda each: (each.at, each.digest))


class FakeRegistries:
    """The `Registries`: what a test put there. `asked` says what was asked of whom, `trouble` what is answered."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, str]] = {}  # "docker.io/library/app" -> tag -> digest
        self.sizes: dict[str, int] = {}  # by digest
        self.asked: list[str] = []
        self.trouble: Callable[[str], GardienError | None] = lambda registry: None

    def put(self, repository: str, tag: str, content: str = "") -> str:
        """A version; with other contents it is another image under the same tag. Its digest."""
        digest = "sha256:" + hashlib.sha256(f"{repository} {tag} {content}".encode()).hexdigest()
        self.repositories.setdefault(repository, {})[tag] = digest
        self.sizes[digest] = 1000
        return digest

    async def tags(self, registry: str, name: str, known: Tags | None = None) -> Tags:
        found = Tags(tuple(sorted(self._asked(registry, name, "tags"))))
        return known if known is not None and known.names == found.names else found

    async def digest(self, registry: str, name: str, tag: str) -> str:
        tags = self._asked(registry, name, tag)
        if tag not in tags:
            raise NotFound("no such tag")
        return tags[tag]

    async def size(self, registry: str, name: str, digest: str) -> int:
        self._asked(registry, name, digest)
        if digest not in self.sizes:
            raise NotFound("no such image")
        return self.sizes[digest]

    def _asked(self, registry: str, name: str, what: str) -> dict[str, str]:
        self.asked.append(f"{registry}/{name} {what}")
        if (error := self.trouble(registry)) is not None:
            raise error
        if f"{registry}/{name}" not in self.repositories:
            raise NotFound("no such image")
        return self.repositories[f"{registry}/{name}"]

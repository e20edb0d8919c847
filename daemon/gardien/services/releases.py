"""What is new: asks the image registries once a day, and says which step each application could take next."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from gardien.errors import GardienError, NotFound, Refused, RegistryBusy, RegistryFailed
from gardien.model.manifest import ImageRule, UpdateRules
from gardien.model.release import Asked, Change, News, Release, Sighting, Tags, Verdict
from gardien.model.stack import Stack
from gardien.rules import releases
from gardien.rules.images import Parts, taken_apart
from gardien.rules.releases import Followed, Known
from gardien.services.feed import Feed
from gardien.services.ports import World
from gardien.services.rounds import rounds
from gardien.services.stacks import Stacks
from gardien.words import N_, Words

log = logging.getLogger(__name__)

EVERY, AGAIN = timedelta(days=1), timedelta(hours=1)  # between two questions; after one that was in vain
BUSY = "registries-busy"  # under which the store notes until when which registry wants to be left alone


@dataclass(slots=True)
class _Round:
    """What was answered within one look: two stacks may have an image in common."""

    tags: dict[str, Tags] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    silent: dict[str, GardienError] = field(default_factory=dict)  # by registry: it is not asked again


class Releases:
    """Runs as one task for the daemon's life; what is known comes from the store alone."""

    def __init__(self, world: World, stacks: Stacks, feed: Feed) -> None:
        self._world = world
        self._stacks = stacks
        self._feed = feed
        self._looking = asyncio.Lock()
        self._news: dict[str, tuple[object, News]] = {}
        self._moves = 0  # how often what we know changed

    async def run(self) -> None:
        """For ever."""
        await rounds(self.look_when_due, "new versions")

    # -- what is known

    async def all(self) -> list[News]:
        """Of every stack that is backed up, by name."""
        return [await self.of(stack) for stack in await self._stacks.all() if stack.recipe.kept]

    async def news(self, name: str) -> News:
        """Raises NotFound."""
        return await self.of(await self._stacks.get(name))

    async def of(self, stack: Stack) -> News:
        """The same of a stack at hand."""
        said = await self._world.store.verdicts(stack.name)  # by others, too
        mark = (self._moves, dict(stack.images), tuple(said))
        held = self._news.get(stack.name)
        if held is None or held[0] != mark:
            self._news[stack.name] = held = (mark, await self._worked_out(stack))
        return held[1]

    async def _worked_out(self, stack: Stack) -> News:
        followed, unfollowed = await self._followed(stack)
        news = News(stack.name, await self._asked(stack.name), unfollowed=unfollowed)
        for each in followed:
            known = await self._known(each)
            steps, beyond = releases.changes(each, await self._there(each), known)
            news = replace(
                news,
                changes=(*news.changes, *steps),
                beyond=(*news.beyond, *([beyond] if beyond is not None else ())),
                moved=(*news.moved, *releases.moved(each, known)),
            )
        return news

    async def next(self, name: str, key: str | None = None, version: str | None = None) -> Change:
        """The step that is meant: of one image, to one version; without, the farthest of the first that has any.

        Raises NotFound if there is nothing newer, Refused with the reason if there is and no step leads there.
        """
        news = await self.news(name)
        found = [each for each in news.changes if key in (None, each.key) and version in (None, each.text, each.tag)]
        offered = [each for each in found if each.said is None]
        if offered:
            return [each for each in offered if each.key == offered[0].key][-1]
        for each in found:
            raise _said(each)
        for beyond in news.beyond:
            if key in (None, beyond.key) and version == beyond.text:
                raise Refused("{it}", N_("`gardien update list {stack}` shows what can be done."), it=beyond.why)
        if version is not None:
            raise NotFound(
                N_("no step leads {stack} to {version}"),
                N_("`gardien update list {stack}` shows where it can go."),
                stack=name,
                version=version,
            )
        for why in news.unfollowed.values() if not news.changes else ():
            raise Refused("{it}", N_("docs/updates.md says which images gardien can follow."), it=why)
        raise NotFound(N_("there is no newer version for {stack}"), N_("gardien looks for one each day."), stack=name)

    async def by_itself(self, name: str, now: datetime) -> Change | None:
        """The step that may be taken without being asked, the farthest of the first image that has any."""
        ripe = [each for each in (await self.news(name)).offered if each.ripe is not None and each.ripe <= now]
        return [each for each in ripe if each.key == ripe[0].key][-1] if ripe else None

    async def rules(self, stack: Stack) -> UpdateRules:
        """Of the recipe as it is shipped now: a newer gardien knows more than the one that added the stack.

        Raises Refused if nothing is said.
        """
        rules = await self._rules(stack)
        if rules is None:
            raise Refused(
                N_("nothing says how {stack} is updated"),
                N_("Write `updates` under `x-gardien` in its Compose file, as docs/stacks.md shows."),
                stack=stack.name,
            )
        return rules

    async def size(self, change: Change) -> int:
        """Bytes to be fetched for a step, at most. Raises NotFound if an image is not made for this machine."""
        every = {taken_apart(image) for image in change.images.values()}
        return sum([await self._world.registries.size(each.registry, each.name, each.digest) for each in every])

    # -- what is said of it

    async def skip(self, name: str, version: str | None = None, key: str | None = None) -> Change:
        """Its owner does not want this one. Raises NotFound, Refused."""
        change = await self.next(name, key, version)
        now = self._world.clock()
        await self.judge(Verdict(name, change.key, change.tag, change.digest, "skipped", now))
        return change

    async def unskip(self, name: str, version: str | None = None, key: str | None = None) -> list[str]:
        """It may be offered again, or all that was skipped: the versions. What is in quarantine stays there.

        Raises NotFound if there is no such version.
        """
        rules = await self.rules(await self._stacks.get(name))
        again = []
        for each in await self._world.store.verdicts(name):
            rule = rules.images.get(each.variable)
            release = releases.read(rule, each.tag) if rule is not None else None
            text = release.text if release is not None else each.tag
            if each.said == "skipped" and key in (None, each.variable) and version in (None, each.tag, text):
                await self._world.store.acquit(name, each.digest)
                again.append(text)
        if not again:
            raise NotFound(
                N_("no such version of {stack} was skipped"),
                N_("`gardien update list {stack}` shows them."),
                stack=name,
            )
        self._moved()
        return again

    async def quarantine(self, change: Change, why: Words) -> None:
        """It did not work here: this very content is not offered any more."""
        now = self._world.clock()
        log.warning("%s %s is in quarantine: %s", change.stack, change.text, why)
        await self.judge(Verdict(change.stack, change.key, change.tag, change.digest, "quarantined", now, why))

    async def judge(self, verdict: Verdict) -> None:
        """Say so."""
        await self._world.store.judge(verdict)
        self._moved()

    def _moved(self) -> None:
        self._moves += 1
        self._feed.changed("health")

    # -- asking

    async def look_when_due(self) -> None:
        """Ask about every stack that was not asked about today."""
        if not self._world.settings.updates.look:
            return
        now, round_ = self._world.clock(), _Round()
        for stack in await self._stacks.all():
            asked = await self._asked(stack.name)
            done, tried = (asked.done, asked.tried) if asked is not None else (None, None)
            if releases.due(done, tried, now, EVERY, AGAIN):
                await self._look(stack, round_)

    async def look(self, name: str | None = None) -> None:
        """Ask now, about one stack or all. Raises NotFound; what a registry does not answer is in the news."""
        stacks, round_ = [await self._stacks.get(name)] if name is not None else await self._stacks.all(), _Round()
        for stack in stacks:
            await self._look(stack, round_)

    async def _look(self, stack: Stack, round_: _Round) -> None:
        followed, _ = await self._followed(stack)
        if not followed:
            return
        async with self._looking:
            trouble: Words | None = None
            for each in followed:
                try:
                    await self._ask(each, round_)
                except RegistryBusy as error:
                    trouble = error.says
                except GardienError as error:
                    log.warning("new versions of %s: %s %s", stack.name, error, error.detail)
                    trouble = error.says
            await self._note(stack.name, trouble)

    async def _ask(self, each: Followed, round_: _Round) -> None:
        """Which tags there are, and what the ones stand for that matter: what runs, and the steps from there."""
        there = releases.releases(each.rule, (await self._tags(each.lead, round_)).names)
        for release in (each.present, *releases.ways(each.rule, each.present, there).steps):
            for image in each.images.values():
                await self._see(image, release.tag, round_)

    async def _tags(self, image: Parts, round_: _Round) -> Tags:
        store, repository = self._world.store, image.repository
        if repository not in round_.tags:
            async with self._patience(image, round_):
                tags = await self._world.registries.tags(image.registry, image.name, await store.tags(repository))
            await store.keep_tags(repository, tags)
            round_.tags[repository] = tags
        return round_.tags[repository]

    async def _see(self, image: Parts, tag: str, round_: _Round) -> None:
        """What a tag stands for now. One that is not there yet is no trouble: what goes together comes one by one."""
        if (image.repository, tag) in round_.seen:
            return
        try:
            async with self._patience(image, round_):
                digest = await self._world.registries.digest(image.registry, image.name, tag)
        except NotFound:
            log.info("%s has no %s", image.repository, tag)
            return
        await self._world.store.saw(image.repository, tag, digest, self._world.clock())
        round_.seen.add((image.repository, tag))

    @asynccontextmanager
    async def _patience(self, image: Parts, round_: _Round) -> AsyncIterator[None]:
        """A registry that wants to be left alone is, for so long: after a restart of ours, too. One that is silent is
        asked once in a round.
        """
        world, registry, now = self._world, image.registry, self._world.clock()
        busy = json.loads(await world.store.noted(BUSY) or "{}")
        noted = {each: datetime.fromisoformat(at) for each, at in busy.items()}
        until = noted.get(registry)
        if until is not None and now < until <= now + timedelta(days=1):
            raise RegistryBusy(
                N_("the image registry {registry} has been asked too often from here"),
                N_("Nothing is to be done: gardien asks again by itself."),
                seconds=(until - now).total_seconds(),
                registry=registry,
            )
        if registry in round_.silent:
            raise round_.silent[registry]
        try:
            yield
        except RegistryBusy as error:
            noted = {each: at for each, at in noted.items() if at > now} | {
                registry: now + timedelta(seconds=error.seconds)
            }
            await world.store.note(BUSY, json.dumps({each: at.isoformat() for each, at in noted.items()}))
            raise
        except RegistryFailed as error:
            round_.silent[registry] = error
            raise

    async def _note(self, name: str, trouble: Words | None) -> None:
        now, before = self._world.clock(), await self._asked(name)
        first = before.first if before is not None else now
        done = now if trouble is None else before.done if before is not None else None
        await self._world.store.note(note(name), json.dumps(Asked(first, now, done, trouble).as_json()))
        self._moved()

    # -- what the store knows

    async def _asked(self, name: str) -> Asked | None:
        noted = await self._world.store.noted(note(name))
        return Asked.from_json(json.loads(noted)) if noted else None

    async def _there(self, each: Followed) -> list[Release]:
        tags = await self._world.store.tags(each.lead.repository)
        return releases.releases(each.rule, tags.names if tags is not None else ())

    async def _known(self, each: Followed) -> Known:
        sightings: dict[tuple[str, str], Sequence[Sighting]] = {}
        for repository in {image.repository for image in each.images.values()}:
            seen = sorted(await self._world.store.sightings(repository), key=lambda one: one.tag)
            sightings |= {(repository, tag): list(group) for tag, group in groupby(seen, lambda one: one.tag)}
        verdicts = [one for one in await self._world.store.verdicts(each.stack) if one.variable == each.key]
        return Known(sightings, verdicts, timedelta(days=self._world.settings.updates.cooling_days))

    async def _followed(self, stack: Stack) -> tuple[list[Followed], dict[str, Words]]:
        """The images whose rules fit what runs; of the others, why not."""
        followed, unfollowed = [], {}
        known, rules = stack.images, await self._rules(stack)
        for key, rule in rules.images.items() if rules is not None else ():
            if any(name not in known for name in (key, *rule.same_tag)):
                continue  # what runs is older than the rule
            images = {name: taken_apart(known[name]) for name in (key, *rule.same_tag)}
            why = _unfit(key, rule, images)
            if why is None:
                followed.append(Followed(stack.name, key, rule, images))
            else:
                unfollowed[key] = why
        return followed, unfollowed

    async def _rules(self, stack: Stack) -> UpdateRules | None:
        try:
            shipped = await self._stacks.recipe(stack.name)
        except GardienError:
            shipped = stack.recipe
        return shipped.manifest.updates or stack.manifest.updates


def note(name: str) -> str:
    """Under which key the store notes when registries were asked about a stack."""
    return f"releases:{name}"


def _unfit(key: str, rule: ImageRule, images: Mapping[str, Parts]) -> Words | None:
    lead = images[key]
    if releases.read(rule, lead.tag) is None:
        return Words.of(
            N_("{image} is no version that gardien can follow: its tag says no number that it knows"),
            image=f"{lead.written}:{lead.tag or 'latest'}",
        )
    if odd := [each for each in images.values() if each.tag != lead.tag]:
        return Words.of(
            N_("{one} and {other} belong together and are of different versions"), one=str(lead), other=str(odd[0])
        )
    return None


def _said(change: Change) -> Refused:
    """Why a step is not offered."""
    assert change.said is not None
    if change.said.said == "skipped":
        return Refused(
            N_("{version} of {stack} was skipped"),
            N_("`gardien update skip {stack} {version} --undo` takes that back."),
            version=change.text,
            stack=change.stack,
        )
    return Refused(
        N_("{version} of {stack} did not work here: {why}"),
        N_("{stack} stays as it is until its makers offer another one. Nothing is to be done."),
        version=change.text,
        stack=change.stack,
        why=change.said.why or "",
    )

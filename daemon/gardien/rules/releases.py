"""Which versions there are, and which of them may follow the one that runs. No clock, no network."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gardien.model.manifest import ImageRule
from gardien.model.release import Beyond, Change, Jump, Moved, News, Release, Sighting, Verdict, Version
from gardien.rules.images import Parts
from gardien.words import N_, Words

VERSION = "{VERSION}"  # in what a manifest says: the version that is led to
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # as registries allow it


# -- what a tag says


def read(rule: ImageRule, tag: str) -> Release | None:
    """The version a tag stands for; None: it is none by this rule, as `latest` never is."""
    found = re.fullmatch(rule.tags, tag) if _TAG.fullmatch(tag) else None
    if found is None:
        return None
    named = {name: tuple(map(int, re.findall(r"\d+", text or ""))) for name, text in found.groupdict().items()}
    if not any(named.values()):
        return None
    spans = [found.span(name) for name, text in found.groupdict().items() if text]
    text = tag[min(begin for begin, _ in spans) : max(end for _, end in spans)]
    return Release(Version(**named), tag, text)


def releases(rule: ImageRule, tags: Iterable[str]) -> list[Release]:
    """Those that are versions, newest first."""
    return sorted(filter(None, (read(rule, tag) for tag in tags)), reverse=True)


def jump(former: Version, version: Version) -> Jump:
    """How far a step goes."""
    if former.major != version.major:
        return "major"
    return "minor" if former.minor != version.minor else "patch" if former.patch != version.patch else "rebuilt"


# -- where it may go


@dataclass(frozen=True, slots=True)
class Ways:
    """Where an image may go from its present version."""

    steps: tuple[Release, ...] = ()  # nearest first: within its minor, within its major; or to the next major
    towards: Release | None = None  # the newest that can be reached, step by step
    beyond: Release | None = None  # the newest there is, if no way leads there
    why: Words | None = None  # none does


def ways(rule: ImageRule, present: Release, there: Sequence[Release]) -> Ways:
    """The next steps. First to the newest of its own major: only from there to another one, and to one at a time.

    `there`: newest first, as `releases` gives them.
    """
    newer = [each for each in there if each.version > present.version]
    if not newer:
        return Ways()
    majors = {each.version.major: each for each in reversed(newer)}  # the newest of each
    path = _path(rule, present.version.major, sorted(majors))
    own = [each for each in newer if each.version.major == present.version.major]
    if rule.majors == "any":
        steps = _distinct(_nearest(present, own), newer[0])
    elif own:
        steps = _distinct(_nearest(present, own), own[0])
    else:
        steps = (majors[path[0]],) if path else ()
    reached = majors[path[-1]] if path else own[0] if own else None
    if reached is not None and reached.version == newer[0].version:
        return Ways(steps, reached)
    last = reached.version.major if reached is not None else present.version.major
    return Ways(steps, reached, newer[0], _why_not(rule, last, newer[0]))


def _nearest(present: Release, own: Sequence[Release]) -> Release | None:
    """The newest that is no more than a patch away."""
    return next((each for each in own if each.version.minor == present.version.minor), None)


def _distinct(*releases: Release | None) -> tuple[Release, ...]:
    return tuple(dict.fromkeys(each for each in releases if each is not None))


def _path(rule: ImageRule, major: tuple[int, ...], there: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """The majors that lie on the way from this one, as far as the rule knows it; `there`: in order."""
    if rule.majors in ("any", "every"):
        further = [each for each in there if each > major]
        return further if rule.majors == "every" else further[-1:]
    path: list[tuple[int, ...]] = []
    while (major := _next_major(rule, major)) in there and major:
        path.append(major)
    return path


def _next_major(rule: ImageRule, major: tuple[int, ...]) -> tuple[int, ...]:
    """(): the rule knows none."""
    return (major[0] + 1,) if rule.majors == "one-at-a-time" and len(major) == 1 else ()


def _why_not(rule: ImageRule, last: tuple[int, ...], newest: Release) -> Words:
    following = _next_major(rule, last)
    if not following:
        return Words.of(N_("gardien does not take this image to another major version"))
    return Words.of(
        N_("the way to {version} leads over {between}, and its makers have no such version"),
        version=newest.text,
        between=_said(following),
    )


def _said(major: Sequence[int]) -> str:
    return ".".join(map(str, major))


# -- what was seen of it


@dataclass(frozen=True, slots=True)
class Followed:
    """One image of a stack that can be updated, and those that go with it."""

    stack: str
    key: str  # the variable of the image
    rule: ImageRule
    images: Mapping[str, Parts]  # by variable, what runs; `key`'s first, and all have its tag

    @property
    def lead(self) -> Parts:
        return self.images[self.key]

    @property
    def present(self) -> Release:
        """What runs: only what its rule can read is followed."""
        release = read(self.rule, self.lead.tag)
        assert release is not None
        return release


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of the images of one rule."""

    sightings: Mapping[tuple[str, str], Sequence[Sighting]]  # by repository and tag, in the order they were last seen
    verdicts: Sequence[Verdict]  # of this stack and variable
    cooling: timedelta  # how long something new is left to others


def newest(sightings: Sequence[Sighting]) -> Sighting | None:
    """What the tag stood for when it was last asked about."""
    return sightings[-1] if sightings else None


def moved(followed: Followed, known: Known) -> list[Moved]:
    """Which tags that run stand for something else by now than for what was pinned, or first seen."""
    found = []
    for image in followed.images.values():
        seen = known.sightings.get((image.repository, image.tag), ())
        now = newest(seen)
        if now is not None:
            former = image.digest or min(seen, key=lambda each: each.first).digest
            if now.digest != former:
                expected = followed.rule.rebuilt
                found.append(Moved(followed.key, str(image), image.tag, former, now.digest, now.first, expected))
    return found


def changes(followed: Followed, there: Sequence[Release], known: Known) -> tuple[list[Change], Beyond | None]:
    """The steps whose images were all seen, nearest first, and what no step leads to. `there`: newest first."""
    way = ways(followed.rule, followed.present, there)
    found = [_change(followed, step, way.towards, known) for step in way.steps]
    if moved(followed, known):
        found.insert(0, _change(followed, followed.present, None, known))
    beyond = None
    if way.beyond is not None and way.why is not None:
        beyond = Beyond(followed.key, way.beyond.text, way.why, notes(followed.rule, way.beyond.text))
    return [each for each in found if each is not None], beyond


def notes(rule: ImageRule, text: str) -> str:
    """Where the release notes of a version are."""
    return (rule.notes or "").replace(VERSION, text)


def _change(followed: Followed, step: Release, towards: Release | None, known: Known) -> Change | None:
    """None: not all of its images were seen yet."""
    present, rule, images = followed.present, followed.rule, followed.images
    seen: dict[str, Sighting] = {}
    for name, image in images.items():
        sighting = newest(known.sightings.get((image.repository, step.tag), ()))
        if sighting is None:
            return None
        seen[name] = sighting
    since = max(each.first for each in seen.values())
    digest = _together([each.digest for each in seen.values()])
    how_far = jump(present.version, step.version)
    return Change(
        stack=followed.stack,
        key=followed.key,
        images={name: image.pinned(step.tag, seen[name].digest) for name, image in images.items()},
        former={name: str(each) for name, each in images.items()},
        tag=step.tag,
        digest=digest,
        text=step.text,
        former_text=present.text,
        jump=how_far,
        notes=notes(rule, step.text),
        seen=since,
        ripe=since + known.cooling if how_far == "patch" or (how_far == "rebuilt" and rule.rebuilt) else None,
        newest=towards.text if towards is not None and towards.version > step.version else "",
        said=said_of(how_far, step.tag, digest, known.verdicts),
    )


def said_of(how_far: Jump, tag: str, digest: str, verdicts: Sequence[Verdict]) -> Verdict | None:
    """What was said of an image. An owner skips a version, or what its makers made anew of the present one; in
    quarantine is one content alone: a newer one under the same tag is offered again.
    """
    for each in sorted(verdicts, key=lambda each: each.said):  # quarantine first
        if each.digest == digest or (each.said == "skipped" and how_far != "rebuilt" and each.tag == tag):
            return each
    return None


def _together(digests: Sequence[str]) -> str:
    """What names several contents that go together, and is another one if one of them is."""
    if len(digests) == 1:
        return digests[0]
    return "sha256:" + hashlib.sha256(" ".join(digests).encode()).hexdigest()


def left(news: News, cooling: timedelta, now: datetime, *, alone: bool) -> tuple[Change, ...]:
    """What has cooled off and nobody takes: gardien is not to (`alone`: it takes what may go so), and no person did."""
    return tuple(each for each in news.offered if not (alone and each.ripe is not None) and now - each.seen >= cooling)


# -- when to ask


def due(asked: datetime | None, tried: datetime | None, now: datetime, every: timedelta, again: timedelta) -> bool:
    """Whether the registries are to be asked: `every` so often, `again` after a question that was in vain.

    A time ahead of `now` was noted by a wrong clock.
    """
    if asked is not None and asked <= now < asked + every:
        return False
    return tried is None or not tried <= now < tried + again

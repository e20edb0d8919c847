"""gardien looks for new versions once a day, remembers what it saw, and says so: in a house in memory."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gardien.errors import NotFound, Refused, RegistryBusy, RegistryFailed
from gardien.model.release import News
from gardien.model.settings import Docker
from gardien.services.feed import Feed
from gardien.services.releases import Releases
from gardien.services.stacks import Stacks
from gardien.words import Words
from tests.memory_house import STACK, Home, memory_house
from tests.world.notes import compose_file

REPOSITORY = "docker.io/gardien-test/busybox"
RULE = """  updates:
    images:
      BUSYBOX_IMAGE:
        tags: '^(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)$$'
        majors: one-at-a-time
        notes: https://app.example/{VERSION}
"""
MOVED = f"moved:{STACK}:BUSYBOX_IMAGE"


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    text = compose_file(more=RULE).replace("busybox:1}", "busybox:1.0.0}")
    async with memory_house(tmp_path, monkeypatch, {"near": {}}, text=text) as made:
        made.fakes.registries.put(REPOSITORY, "1.0.0")
        yield made


def put(home: Home, *tags: str) -> list[str]:
    return [home.fakes.registries.put(REPOSITORY, tag) for tag in tags]


async def news(home: Home) -> News:
    return await home.house.releases.news(STACK)


async def offered(home: Home) -> list[str]:
    return [each.text for each in (await news(home)).offered]


async def test_nothing_is_known_before_anybody_asked(home: Home) -> None:
    found = await news(home)
    assert (found.asked, found.changes, found.unfollowed) == (None, (), {})


async def test_what_is_new_is_offered(home: Home) -> None:
    _, patch, minor, _ = put(home, "0.9.0", "1.0.2", "1.1.0", "2.0.0")
    await home.house.releases.look_when_due()
    found = await news(home)
    assert [(each.text, each.jump, each.digest) for each in found.changes] == [
        ("1.0.2", "patch", patch),
        ("1.1.0", "minor", minor),
    ]
    assert found.changes[0].images == {"BUSYBOX_IMAGE": f"gardien-test/busybox:1.0.2@{patch}"}
    assert found.changes[0].newest == "2.0.0"
    assert found.changes[0].notes == "https://app.example/1.0.2"
    assert found.asked is not None and found.asked.done == home.now
    assert (await home.house.releases.next(STACK)).text == "1.1.0"
    assert (await home.house.releases.next(STACK, version="1.0.2")).text == "1.0.2"
    view = (await home.house.overviews.stacks())[0]
    assert [each.text for each in view.news.offered] == ["1.0.2", "1.1.0"]


async def test_it_asks_once_a_day_and_no_more_than_it_needs(home: Home) -> None:
    put(home, "0.1.0", "0.2.0", "1.0.1", "3.0.0")
    asked = home.fakes.registries.asked
    await home.house.releases.look_when_due()
    assert asked == [f"{REPOSITORY} tags", f"{REPOSITORY} 1.0.0", f"{REPOSITORY} 1.0.1"]
    for _ in range(23):
        home.move(hours=1)
        await home.house.releases.look_when_due()
    assert len(asked) == 3
    home.move(hours=1)
    await home.reborn().house.releases.look_when_due()
    assert len(asked) == 6


async def test_a_registry_that_is_away_is_asked_again_in_an_hour(home: Home) -> None:
    put(home, "1.0.1")
    await home.house.releases.look()
    put(home, "1.0.2")
    home.move(days=1)
    home.fakes.registries.trouble = lambda registry: RegistryFailed("{registry} is away", registry=registry)
    asked = home.fakes.registries.asked
    asked.clear()
    await home.house.releases.look_when_due()
    await home.house.releases.look_when_due()
    assert len(asked) == 1
    found = await news(home)
    assert [each.text for each in found.offered] == ["1.0.1"]  # what was known stays known
    assert found.asked is not None and "docker.io is away" in str(found.asked.trouble)
    home.fakes.registries.trouble = lambda registry: None
    home.move(hours=1)
    await home.house.releases.look_when_due()
    assert await offered(home) == ["1.0.2"]
    found = await news(home)
    assert found.asked is not None and found.asked.trouble is None


async def test_a_registry_that_wants_to_be_left_alone_is_even_after_a_restart(home: Home) -> None:
    home.fakes.registries.trouble = lambda registry: RegistryBusy("too often", seconds=7200)
    await home.house.releases.look()
    asked = home.fakes.registries.asked
    assert len(asked) == 1
    home.fakes.registries.trouble = lambda registry: None
    put(home, "1.0.1")
    home = home.reborn()
    home.move(hours=1)
    await home.house.releases.look_when_due()
    await home.house.releases.look()
    assert len(asked) == 1
    home.move(hours=1, seconds=1)
    await home.house.releases.look()
    assert await offered(home) == ["1.0.1"]


async def test_two_weeks_without_an_answer_are_worth_a_word(home: Home) -> None:
    home.fakes.registries.trouble = lambda registry: RegistryFailed("{registry} is away", registry=registry)
    for _ in range(13):
        await home.house.releases.look_when_due()
        home.move(days=1)
    assert f"unheard:{STACK}" not in await home.alerts()
    home.move(days=1)
    await home.house.releases.look_when_due()
    assert "docker.io is away" in str((await home.alerts())[f"unheard:{STACK}"].says)
    home.fakes.registries.trouble = lambda registry: None
    await home.house.releases.look()
    assert f"unheard:{STACK}" not in await home.alerts()


async def test_threat_16_a_tag_that_moved_is_said_and_not_followed_by_itself(home: Home) -> None:
    await home.house.releases.look()
    assert MOVED not in await home.alerts()
    home.move(days=1)
    other = home.fakes.registries.put(REPOSITORY, "1.0.0", "another")
    await home.house.releases.look_when_due()
    assert (await home.alerts())[MOVED].severity == "notice"
    [change] = (await news(home)).changes
    assert (change.jump, change.digest, change.ripe) == ("rebuilt", other, None)
    home.move(days=400)
    assert await home.house.releases.by_itself(STACK, home.now) is None
    await home.house.releases.skip(STACK, "1.0.0")
    assert MOVED not in await home.alerts()
    assert await offered(home) == []


async def test_patches_go_by_themselves_when_they_have_cooled_off(home: Home) -> None:
    put(home, "1.0.1", "1.1.0")
    await home.house.releases.look()
    assert await home.house.releases.by_itself(STACK, home.now) is None
    home.move(days=2)
    other = home.fakes.registries.put(REPOSITORY, "1.0.1", "poisoned, or mended")
    await home.house.releases.look()
    home.move(days=1)
    assert await home.house.releases.by_itself(STACK, home.now) is None  # it began to cool off anew
    home.move(days=2)
    change = await home.house.releases.by_itself(STACK, home.now)
    assert change is not None and (change.text, change.digest) == ("1.0.1", other)


async def test_row_43_a_bad_one_is_not_offered_until_there_is_a_newer_one(home: Home) -> None:
    put(home, "1.0.1")
    await home.house.releases.look()
    bad = await home.house.releases.next(STACK)
    await home.house.releases.quarantine(bad, Words.of("it does not get well"))
    home = home.reborn()
    assert await offered(home) == []
    with pytest.raises(Refused, match="did not work here: it does not get well"):
        await home.house.releases.next(STACK)
    with pytest.raises(NotFound):
        await home.house.releases.unskip(STACK)
    home.move(days=9)
    await home.house.releases.look()
    assert await home.house.releases.by_itself(STACK, home.now) is None
    put(home, "1.0.2")
    await home.house.releases.look()
    assert (await home.house.releases.next(STACK)).text == "1.0.2"


async def test_what_its_owner_does_not_want(home: Home) -> None:
    put(home, "1.0.1")
    await home.house.releases.look()
    await home.house.releases.skip(STACK)
    with pytest.raises(Refused, match="was skipped"):
        await home.house.releases.next(STACK)
    assert await home.house.releases.unskip(STACK, "1.0.1") == ["1.0.1"]
    assert await offered(home) == ["1.0.1"]
    await home.house.releases.skip(STACK)
    put(home, "1.0.2")
    await home.house.releases.look()
    assert await offered(home) == ["1.0.2"]


async def test_row_42_two_majors_ahead(home: Home) -> None:
    put(home, "3.0.0")
    await home.house.releases.look()
    found = await news(home)
    assert (found.changes, [each.text for each in found.beyond]) == ((), ["3.0.0"])
    with pytest.raises(Refused, match="leads over 2, and its makers have no such version"):
        await home.house.releases.next(STACK, version="3.0.0")
    with pytest.raises(NotFound, match="no newer version"):
        await home.house.releases.next(STACK)
    put(home, "2.0.0")
    await home.house.releases.look()
    step = await home.house.releases.next(STACK)
    assert (step.text, step.jump, step.newest, step.ripe) == ("2.0.0", "major", "3.0.0", None)


async def test_an_image_of_the_owners_own_is_not_followed(home: Home) -> None:
    home.fakes.docker.registry.add("gardien-test/busybox:latest")
    await home.done(await home.house.life.set(STACK, {"BUSYBOX_IMAGE": "gardien-test/busybox:latest"}))
    await home.house.releases.look()
    found = await news(home)
    assert "busybox:latest is no version" in str(found.unfollowed["BUSYBOX_IMAGE"])
    assert home.fakes.registries.asked == []
    with pytest.raises(Refused, match="is no version that gardien can follow"):
        await home.house.releases.next(STACK)


async def test_what_is_known_follows_what_runs(home: Home) -> None:
    put(home, "1.0.1", "1.0.2")
    await home.house.releases.look()
    change = await home.house.releases.next(STACK)
    home.fakes.docker.registry.add(change.images["BUSYBOX_IMAGE"])
    await home.done(await home.house.life.set(STACK, dict(change.images)))
    assert await offered(home) == []
    with pytest.raises(NotFound):
        await home.house.releases.next(STACK)
    assert (await news(home)).moved == ()


async def test_nobody_is_asked_where_the_owner_does_not_want_it(home: Home) -> None:
    updates = home.fakes.world.settings.updates.model_copy(update={"look": False})
    world = replace(home.fakes.world, settings=home.fakes.world.settings.model_copy(update={"updates": updates}))
    unasked = Releases(world, Stacks(world), Feed())
    await unasked.look_when_due()
    assert home.fakes.registries.asked == []
    await unasked.look()
    assert home.fakes.registries.asked != []


async def test_a_mirror_is_asked_where_one_is_set(home: Home) -> None:
    docker = Docker(mirrors={"docker.io": "registry.example:5000/hub"})
    world = replace(home.fakes.world, settings=home.fakes.world.settings.model_copy(update={"docker": docker}))
    mirrored = Releases(world, Stacks(world), Feed())
    here = "registry.example:5000/hub/gardien-test/busybox"
    home.fakes.registries.put(here, "1.0.0")
    digest = home.fakes.registries.put(here, "1.0.1")
    await mirrored.look()
    [change] = (await mirrored.news(STACK)).offered
    assert change.images == {"BUSYBOX_IMAGE": f"{here}:1.0.1@{digest}"}
    assert all(each.startswith(here) for each in home.fakes.registries.asked)

"""Where the shipped applications may go, by tags as their makers really give them."""

import pytest

from gardien.model.manifest import ImageRule
from gardien.rules import releases
from gardien.rules.images import taken_apart
from tests.test_shipped import STACKS, recipe

NEXTCLOUD = """
    32.0.13-apache 32.0.14-apache 32.0-apache 32-apache 32.0.14 32.0.14-fpm 32.0.14-fpm-alpine 33.0.7-apache
    33.0.8-apache 33-apache 33.0.8-fpm 34.0.0-rc1-apache 34.0.2-apache 34.0.3-apache 34.0.4-apache 34-apache 34 apache
    latest stable production stable-apache production-apache 35.0.0-rc2-apache 35.0.0beta1-apache 35.0.0-apache
    35.0.1-apache 35.0.1 35.0.1-fpm
"""
MARIADB = """
    10.6.28 10.11.18 10.11.18-jammy 11.4.12 11.8.7 11.8.8 11.8.9 11.8.9-noble 11.8.9-ubi 11.8 11 12.3.2 12.3.2-noble 12
    13.0.1-rc 13.0-rc lts latest noble
"""
REDIS = """
    6.2.13 7.2.16 7.4.11 7.4.12 7.4.12-alpine 7.4.12-alpine3.22 7.4.12-bookworm 7.4 7 8.8.2 8.10.1
    8.12-rc1 8.12-rc1-alpine latest alpine
"""
CADDY = "2.10.2 2.11.4 2.11.5 2.11.5-alpine 2.11.5-builder 2.11 2 2.12.0-beta.1 2.12.0-windowsservercore latest"
CRYPTPAD = """
    2024.12.0 version-5.7.0 version-2025.9.0 version-2026.2.2 version-2026.2.3
    version-2026.5.0 version-2026.8.1 latest
"""
JITSI = """
    stable-9823 stable-10741 stable-11031 stable-11146 stable-11146-1 stable-11146-2 stable-11146-3 stable-11201 stable
    unstable unstable-2026-08-20 latest jigasi-stable-1
"""
LIMESURVEY = """
    6-apache 6.17.14-260804-apache 6.17.15-260811-apache 6.17.16-260818-apache
    6.17.16-260818-fpm 6.17.16-260818-fpm-alpine 7.0.9-260812-apache 7-apache latest 5.6.68-240625-apache
"""
COLLABORA = "25.04.9.4.1 26.04.1.4.1 26.04.2.1.1 26.04.2.2.1 26.10.1.1.1 latest"


@pytest.mark.parametrize(
    ("stack", "key", "tags", "steps", "towards", "beyond"),
    [
        ("nextcloud", "NEXTCLOUD_IMAGE", NEXTCLOUD, ["34.0.4"], "35.0.1", None),
        ("nextcloud", "MARIADB_IMAGE", MARIADB, ["11.8.9"], "11.8.9", "12.3.2"),
        ("nextcloud", "REDIS_IMAGE", REDIS, ["7.4.12"], "7.4.12", "8.10.1"),
        ("forms", "MARIADB_IMAGE", MARIADB, ["11.8.9"], "11.8.9", "12.3.2"),
        ("forms", "LIMESURVEY_IMAGE", LIMESURVEY, ["6.17.16-260818"], "6.17.16-260818", None),
        ("gateway", "CADDY_IMAGE", CADDY, ["2.11.5"], "2.11.5", None),
        ("cryptpad", "CRYPTPAD_IMAGE", CRYPTPAD, ["2026.2.3"], "2026.8.1", None),
        ("jitsi", "JITSI_WEB_IMAGE", JITSI, ["11146-3", "11201"], "11201", None),
        ("office", "COLLABORA_IMAGE", COLLABORA, ["26.04.2.2.1"], "26.04.2.2.1", "26.10.1.1.1"),
    ],
)  # fmt: skip
def test_the_next_step_of_what_is_shipped(
    stack: str, key: str, tags: str, steps: list[str], towards: str, beyond: str | None
) -> None:
    rule = rule_of(stack, key)
    present = releases.read(rule, taken_apart(recipe(stack).image_defaults[key]).tag)
    assert present is not None
    ways = releases.ways(rule, present, releases.releases(rule, tags.split()))
    assert [each.text for each in ways.steps] == steps
    assert ways.towards is not None and ways.towards.text == towards
    assert (ways.beyond.text if ways.beyond is not None else None) == beyond


@pytest.mark.parametrize("stack", STACKS)
def test_every_image_that_is_shipped_is_followed(stack: str) -> None:
    """All but the demonstration, which is made on the machine itself."""
    updates = recipe(stack).manifest.updates
    if updates is None:
        assert stack == "demo"
        return
    followed = {name for key, rule in updates.images.items() for name in (key, *rule.same_tag)}
    assert followed == recipe(stack).image_defaults.keys()


def test_row_42_from_33_to_35_goes_over_34_in_turn_or_not_at_all() -> None:
    assert walk("nextcloud", "NEXTCLOUD_IMAGE", "32.0.13-apache", NEXTCLOUD) == [
        "32.0.14",
        "33.0.8",
        "34.0.4",
        "35.0.1",
    ]
    assert walk("nextcloud", "NEXTCLOUD_IMAGE", "33.0.7-apache", NEXTCLOUD) == ["33.0.8", "34.0.4", "35.0.1"]
    none = " ".join(tag for tag in NEXTCLOUD.split() if not tag.startswith("34."))
    assert walk("nextcloud", "NEXTCLOUD_IMAGE", "33.0.8-apache", none) == []
    rule = rule_of("nextcloud", "NEXTCLOUD_IMAGE")
    present = releases.read(rule, "33.0.8-apache")
    assert present is not None
    ways = releases.ways(rule, present, releases.releases(rule, none.split()))
    assert ways.beyond is not None and ways.beyond.text == "35.0.1" and "leads over 34" in str(ways.why)


def test_no_release_of_cryptpad_is_skipped() -> None:
    assert walk("cryptpad", "CRYPTPAD_IMAGE", "version-2025.9.0", CRYPTPAD) == ["2026.2.3", "2026.5.0", "2026.8.1"]


def rule_of(stack: str, key: str) -> ImageRule:
    updates = recipe(stack).manifest.updates
    assert updates is not None
    return updates.images[key]


def walk(stack: str, key: str, tag: str, tags: str) -> list[str]:
    """Always the farthest step, to the end."""
    rule, found = rule_of(stack, key), list[str]()
    present = releases.read(rule, tag)
    assert present is not None
    there = releases.releases(rule, tags.split())
    while steps := releases.ways(rule, present, there).steps:
        present = steps[-1]
        found.append(present.text)
    return found

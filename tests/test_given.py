"""What a stack is told of door and machine; whether the machine can carry it; whether it is as it was set up."""

from pathlib import Path

import pytest

from gardien.errors import NoSpace, Refused
from gardien.model.health import Container
from gardien.model.manifest import Manifest
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules import drift, given, room, verdict
from gardien.rules.given import Machine
from gardien.words import Words

PI = Machine(cores=4, memory=4 * 2**30, addresses=("192.168.1.20", "fd00::20"))


def recipe(**more: object) -> Recipe:
    text = {"en": "App", "fr": "App"}
    manifest = Manifest.model_validate(
        {
            "format": 1,
            "title": text,
            "summary": text,
            "settings": {
                "NAME": {"kind": "domain", "default": "app.{DOOR_DOMAIN}", "ask": text},
                "OWN": {"kind": "addresses", "default": "", "ask": text},
                "MODE": {"kind": "choice", "default": "home", "choices": {"home": text, "internet": text}, "ask": text},
                "DOMAIN": {"kind": "domain", "default": "home.arpa", "ask": text},
                "HTTP": {"kind": "port", "default": "80", "ask": text},
                "HTTPS": {"kind": "port", "default": "443", "ask": text},
            },
            "derived": {
                "WORKERS": {"of": "cores", "share": 0.5, "least": 1, "most": 4},
                "HEAP": {"of": "memory", "share": 0.1, "least": 64, "most": 300},
                "REACHED": {"of": "addresses", "instead": "OWN", "name": "NAME"},
                "STUN": {"of": "mode", "home": "off", "internet": "on"},
            },
            "probes": {"app": {"tcp": "127.0.0.1:1"}},
            "backup": {"save": []},
            **more,
        }
    )
    return Recipe("app", Path("/nowhere"), {}, {}, manifest)


def stack(mode: str = "home", **settings: str) -> Stack:
    facts = {**given.NO_DOOR, "DOOR_MODE": mode, "DOOR_DOMAIN": "practice.example"}
    return Stack(recipe(), Chosen(settings=settings), "p-app", Path("/data/app"), given=facts)


def test_a_default_ends_as_all_names_of_the_house_do() -> None:
    assert stack().settings["NAME"] == "app.practice.example"
    assert stack(NAME="mine.example").settings["NAME"] == "mine.example"


def test_shares_of_the_machine_stay_within_their_bounds() -> None:
    values = given.derived(stack(), PI, ())
    assert values["WORKERS"] == "2"
    assert values["HEAP"] == "300m"
    assert given.derived(stack(), Machine(1, 2**29, ()), ())["WORKERS"] == "1"
    assert given.derived(stack(), Machine(1, 2**29, ()), ())["HEAP"] == "64m"


def test_the_addresses_are_those_clients_can_reach() -> None:
    assert given.derived(stack(), PI, ())["REACHED"] == "192.168.1.20"
    assert given.derived(stack(), PI, ("203.0.113.7",))["REACHED"] == "192.168.1.20,203.0.113.7"
    assert given.derived(stack(OWN="198.51.100.1"), PI, ("203.0.113.7",))["REACHED"] == "198.51.100.1"
    assert given.public_names(stack()) == []
    assert given.public_names(stack("internet")) == ["app.practice.example"]
    assert given.public_names(stack("internet", OWN="198.51.100.1")) == []


def test_the_mode_chooses_between_two_texts() -> None:
    assert given.derived(stack(), PI, ())["STUN"] == "off"
    assert given.derived(stack("internet"), PI, ())["STUN"] == "on"


def test_a_door_on_a_port_of_its_own_shows_in_every_address() -> None:
    entry = {
        "service": "web",
        "config": "config",
        "page": "page",
        "root": "root.crt",
        "mode": "MODE",
        "domain": "DOMAIN",
        "http_port": "HTTP",
        "https_port": "HTTPS",
        "email": "OWN",
        "authority": "OWN",
        "check": ["true"],
        "reload": ["true"],
    }
    door = recipe(door=entry)
    assert given.of_door(door, Chosen()) == given.NO_DOOR
    told = given.of_door(door, Chosen(settings={"HTTPS": "8443", "HTTP": "8080", "DOMAIN": "a.example"}))
    assert (told["DOOR_SUFFIX"], told["DOOR_HTTP_PORT"], told["DOOR_DOMAIN"]) == (":8443", "8080", "a.example")


NEEDS = {"memory": 800, "disk": 1000, "images": 500}


def test_a_machine_that_is_too_small_is_told_by_how_much() -> None:
    fits = room.Room(memory=4000, data=2000, images=2000, one_disk=True)
    one = recipe(needs=NEEDS)
    room.require(one, [one] * 3, fits, images_here=False)  # 500 + 3 x 800 + 800
    with pytest.raises(Refused) as refused:
        room.require(one, [one] * 4, fits, images_here=False)
    assert refused.value.says.values["missing"] == 500
    tight = room.Room(memory=4000, data=1400, images=0, one_disk=True)
    with pytest.raises(NoSpace) as full:
        room.require(one, [], tight, images_here=False)
    assert full.value.says.values["missing"] == 100
    room.require(one, [], tight, images_here=True)
    with pytest.raises(NoSpace):
        room.require(one, [], room.Room(memory=4000, data=5000, images=400, one_disk=False), images_here=False)


def container(service: str, config: str) -> Container:
    return Container(service, "p-app", service, "running", "", "image", config)


def test_drift_names_what_is_gone_changed_or_foreign() -> None:
    wanted = {"web": "1", "db": "2", "side": ""}
    assert drift.of_containers(wanted, [container("web", "1"), container("db", "2"), container("side", "x")]) == []
    found = [str(each) for each in drift.of_containers(wanted, [container("web", "9"), container("extra", "1")])]
    assert len(found) == 4
    assert any("db is gone" in each for each in found)
    assert any("web does not run with the present settings" in each for each in found)
    assert any("extra" in each for each in found)


def test_drift_of_values_never_shows_one() -> None:
    found = drift.of_env({"A": "1", "SECRET": "hush"}, {"A": "1", "SECRET": "other", "MORE": "x"})
    assert [each.values["name"] for each in found] == ["SECRET", "MORE"]
    assert "hush" not in str(found)
    assert drift.of_env({"A": "1"}, {"A": "1"}) == []


def test_a_kernel_without_memory_control_is_one_notice_with_the_two_options() -> None:
    assert verdict.of_memory_limits(True) == []
    [owed] = verdict.of_memory_limits(False)
    assert owed.severity == "notice"
    assert isinstance(owed.remedy, Words)
    assert "cgroup_enable=memory cgroup_memory=1" in str(owed.remedy)

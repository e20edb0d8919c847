"""What ships for Prometheus and Grafana asks only for what is told, and what is told is named as they like it."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from gardien.faces import metrics
from tests.faces_world import World
from tests.test_metrics import LETTERS, NOW, world

__all__ = ["world"]  # the fixture

FOLDER = Path(__file__).parents[1] / "docs" / "monitoring"
NAME = re.compile(r"\bgardien_\w+")
LABEL = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")
# As `promtool check metrics` has them.
NOT_BASE = re.compile(
    r"_(minutes|hours|days|weeks|kelvins|fahrenheit|percent|inches|yards|miles|pounds|bits"
    r"|(milli|micro|nano|kilo|mega|giga|kibi|mebi|gibi)\w+|s|ms|us|ns|sec|b|kb|mb|gb|tb|kib|mib|gib|m|h|d)(_|$)"
)
OF_OTHERS = re.compile(r"_(total|count|sum|bucket)$")


async def told(house: World) -> dict[str, set[str]]:
    """Each metric, and its labels."""
    house.add_stack("proven", "Proven", saved=timedelta(hours=1))
    text = metrics.render(await house.house.overviews.now(), LETTERS).decode()
    return {
        family.name: {label for sample in family.samples for label in sample.labels}
        for family in text_string_to_metric_families(text)
    }


def panels() -> list[tuple[str, str]]:
    """What is asked, and how its answers are called."""
    dashboard = json.loads((FOLDER / "gardien.json").read_text())
    return [(each["expr"], each["legendFormat"]) for panel in dashboard["panels"] for each in panel["targets"]]


def rules() -> list[dict[str, object]]:
    return [rule for group in YAML(typ="safe").load(FOLDER / "alerts.yml")["groups"] for rule in group["rules"]]


async def test_what_is_asked_for_is_told(world: World) -> None:
    known = await told(world)
    asked = panels() + [(str(rule["expr"]), str(rule["annotations"])) for rule in rules()]
    assert len(asked) > 12
    for expr, words in asked:
        names = NAME.findall(expr)
        assert names and set(names) <= known.keys(), expr
        labels = set().union(*(known[name] for name in names))
        assert set(LABEL.findall(words)) <= labels, words
        assert expr.count("(") == expr.count(")") and expr.count("{") == expr.count("}")


def test_the_dashboard_can_be_imported() -> None:
    dashboard = json.loads((FOLDER / "gardien.json").read_text())
    assert dashboard["uid"] == "gardien" and dashboard["schemaVersion"] >= 36
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {"${source}"}


def test_each_rule_says_what_to_do() -> None:
    names = [str(rule["alert"]) for rule in rules()]
    assert len(set(names)) == len(names) and all(name.startswith("Gardien") for name in names)
    for rule in rules():
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        annotations, labels = rule["annotations"], rule["labels"]
        assert isinstance(annotations, dict) and set(annotations) == {"summary", "description"}
        assert isinstance(labels, dict) and labels["severity"] in ("warning", "critical")


async def test_the_names_are_as_prometheus_likes_them(world: World) -> None:
    """As `promtool check metrics` would say: a help and a type for each, base units, nothing that ends as a counter."""
    await told(world)
    text = metrics.render(await world.house.overviews.now(), LETTERS).decode()
    lines = text.splitlines()
    for name in {line.split()[2] for line in lines if line.startswith("# TYPE")}:
        [says] = [line for line in lines if line.startswith(f"# HELP {name} ")]
        assert len(says.split(" ", 3)[3]) > 5, name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), "small letters, no colons"
        assert not NOT_BASE.search(name), f"{name} is not in a base unit"
        assert not OF_OTHERS.search(name), f"{name} ends as a counter or a histogram does"
    samples = [re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")]
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert set(samples) <= typed
    series = [line.rsplit(" ", 1)[0] for line in lines if line and not line.startswith("#")]
    assert len(set(series)) == len(series), "none is told twice"
    assert NOW


@pytest.mark.parametrize("name", ["gardien_x_days", "gardien_ms", "gardien_kilobytes", "gardien_days_left"])
def test_a_bad_unit_is_found(name: str) -> None:
    assert NOT_BASE.search(name)

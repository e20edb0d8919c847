"""The API's own description: every route is in it, and whatever is asked, the answers are as it says."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gardien.faces import contract
from gardien.faces.api_targets import ROOT
from gardien.faces.openapi import describe
from gardien.faces.server import make_app
from gardien.services.house import House
from tests.fakes import Leaf
from tests.quiet_house import Running, running_house

# One request is sent, its answer read to the end: what runs on until somebody leaves is tried elsewhere.
STREAMS = ("get-jobs-job-watch",)
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
# They end the house, or wait for what is not there.
NOT_AT_RANDOM = ("post-recover", "post-recover-look")


class Door:
    """The house's page, and somebody who is signed in there."""

    def __init__(self, running: Running) -> None:
        self.running = running
        self.house: House = running.quiet.house
        self.origin = f"http://127.0.0.1:{self.house.settings.page.port}"
        self.session = requests.Session()
        self.session.headers["Origin"] = self.origin
        self.session.post(f"{self.origin}/login/{running.do(self.house.people.link())}", data={})
        self.schema: BaseSchema = schemathesis.openapi.from_dict(
            self.session.get(f"{self.origin}{ROOT}/openapi.json").json()
        )

    def operations(self) -> dict[str, Any]:
        """By the name each has in the description."""
        found: list[Any] = [each.ok() for each in self.schema.get_all_operations()]  # type: ignore[union-attr]
        return {each.definition.raw["operationId"]: each for each in found}

    def ask(self, case: Any, *expected: int) -> Any:
        """Send it, and compare the answer with the description."""
        answer = case.call(base_url=f"{self.origin}{ROOT}", session=self.session)
        case.validate_response(answer, checks=CHECKS)
        if expected:
            assert answer.status_code in expected, answer.text
        assert answer.status_code != 500, answer.text
        return answer


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    """A house with the demo stack, a backup of it, a trial of that, and what follows."""
    with running_house() as running:
        house = running.quiet.house
        running.do(house.targets.init("box"))
        running.do(house.runner.wait(running.do(house.life.add("demo", {"DEMO_PORT": "8123"}))))
        note = house.settings.folders.data / "demo" / "notes" / "note"
        running.quiet.files.put(note, Leaf("worth keeping", 0o600))
        running.do(house.runner.wait(running.do(house.backups.create("demo"))))
        running.do(house.runner.wait(running.do(house.drills.create("demo"))))
        running.do(house.kits.make("box"))
        running.do(house.watch.look())
        yield Door(running)


def test_every_route_is_described(door: Door) -> None:
    app = make_app(door.house)
    described = describe(app)["paths"]
    for route in app.router.routes():
        assert route.resource is not None
        path = route.resource.canonical
        if path.startswith(ROOT) and route.method != "HEAD":
            assert contract.of(route.handler) is not None, (
                f"{route.method} {path} promises nothing: see faces/contract.py"
            )
            operation = described[path.removeprefix(ROOT)][route.method.lower()]
            assert operation["summary"], path


def fill(door: Door) -> Mapping[str, object]:
    """Names that there are."""
    snapshot = door.running.do(door.house.backups.list("demo"))[0]
    door.running.do(door.house.browse.open(snapshot))
    hits = door.running.do(door.house.browse.search(snapshot, "note"))
    file = next(hit.entry.id for hit in hits if hit.entry.kind == "file")
    return {"name": "demo", "target": "box", "job": 1, "snapshot": snapshot.id, "entry": file}


def test_what_is_looked_at_has_the_shape_it_says(door: Door) -> None:
    names, query = fill(door), {"get-machine-history": {"what": "load"}}
    for name, operation in door.operations().items():
        if operation.method.upper() == "GET" and name not in STREAMS:
            path = {each.name: names[each.name] for each in operation.path_parameters}
            case = operation.Case(path_parameters=path, query=query.get(name, {}))
            at_the_machine_only = name.endswith("first-login")
            door.ask(case, 409 if at_the_machine_only else 200)


PLANS: Mapping[str, Mapping[str, object]] = {
    "post-stacks": {"name": "nextcloud", "anyway": True},
    "post-stacks-name-stop": {},
    "post-stacks-name-restart": {},
    "post-stacks-name-mend": {},
    "post-stacks-name-set": {"settings": {"DEMO_PORT": "8124"}},
    "post-stacks-name-remove": {},
    "post-backups": {"stack": "demo"},
    "post-restores": {"stack": "demo"},
    "post-drills": {"stack": "demo"},
    "post-targets-target-check": {"all": True},
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_has_the_shape_it_says(door: Door, name: str) -> None:
    operation, names = door.operations()[name], fill(door)
    path = {each.name: names[each.name] for each in operation.path_parameters}
    case = operation.Case(path_parameters=path, body={**PLANS[name], "dry_run": True}, media_type="application/json")
    assert door.ask(case, 200).json()["plan"]["steps"]


def test_whatever_is_asked_the_answer_is_one_that_it_tells_of(door: Door) -> None:
    """Some requests to each route, the same ones each time."""
    for name, operation in door.operations().items():
        if name in (*STREAMS, *NOT_AT_RANDOM):
            continue

        @given(case=operation.as_strategy())
        @settings(
            max_examples=6,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            door.ask(case)

        ask()

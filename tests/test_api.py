"""The JSON API: every route answers, in the asker's language; what is wrong is told, with its status and remedy."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gardien.adapters.document import read
from gardien.errors import BadInput, DockerDown, GardienError
from gardien.faces import api, api_snapshots, api_targets, present, wire
from gardien.model.fault import Faults
from gardien.words import Words
from tests.faces_world import CERTIFICATE
from tests.fakes import Leaf
from tests.quiet_house import Quiet, quiet_house, short_folder, write_settings

DOCS = Path(__file__).parents[1] / "docs" / "api.md"
Data = dict[str, Any]


class Client:
    """Speaks to the house over its socket, as the console does."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Data]:
        sent = json.dumps(body) if body is not None else None
        async with self.session.request(method, f"http://x/api/v1/{path}", data=sent, headers=headers) as answer:
            assert answer.content_type == "application/json", await answer.text()
            return answer.status, await answer.json()

    async def get(self, path: str, **headers: str) -> Data:
        status, data = await self.ask("GET", path, **headers)
        assert status == 200, data
        return data

    async def refused(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Data]:
        status, data = await self.ask(method, path, body, **headers)
        assert status >= 400, data
        return status, data["error"]

    async def job(self, path: str, body: object = None) -> Data:
        """Start a job and wait for its end, as its watcher hears it."""
        status, data = await self.ask("POST", path, body or {})
        assert (status, list(data)) == (202, ["job"]), data
        return (await self.watch(data["job"]))[-1]

    async def watch(self, number: int, on_progress: Callable[[], None] = lambda: None) -> list[Data]:
        """Every line until the end; `on_progress` is called when the first progress is told."""
        lines = []
        async with self.session.get(f"http://x/api/v1/jobs/{number}/watch") as answer:
            assert answer.content_type == "application/x-ndjson"
            async for line in answer.content:
                if line.strip():
                    lines.append(json.loads(line))
                    if lines[-1]["progress"]:
                        on_progress()
        return lines


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as house:
            yield house


@pytest.fixture
async def client(quiet: Quiet) -> AsyncIterator[Client]:
    connector = aiohttp.UnixConnector(str(quiet.house.settings.socket))
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Client(session)


@pytest.fixture
async def demo(client: Client, quiet: Quiet) -> Client:
    """A house with the demo stack in it, and its target made."""
    await client.ask("POST", "targets/box/init")
    job = await client.job("stacks", {"name": "demo", "settings": {"DEMO_PORT": "8123"}})
    assert job["state"] == "done", job
    await quiet.house.watch.look()
    return client


async def test_a_stack_is_added_saved_lost_and_brought_back(demo: Client, quiet: Quiet) -> None:
    status = await demo.get("status")
    [stack] = status["stacks"]
    assert (stack["name"], stack["health"]["health"]) == ("demo", "well")
    assert stack["address"] == "http://localhost:8123/"
    one = await demo.get("stacks/demo")
    assert one["settings"] == {"DEMO_PORT": "8123"} and one["wanted"] == "running" and one["services"] == ["app"]

    note = Path(one["folder"]) / "notes" / "note"
    quiet.files.put(note, Leaf("worth keeping", 0o600))
    saved = await demo.job("backups", {"stack": "demo"})
    assert saved["state"] == "done" and "saved" in saved["says"]
    [snapshot] = (await demo.get("snapshots?stack=demo"))["snapshots"]
    assert snapshot["good"] is True and snapshot["target"] == "box" and re.fullmatch(r"[0-9a-f]{64}", snapshot["id"])
    assert (await demo.get("snapshots?stack=other"))["snapshots"] == []

    del quiet.files.leaves[note]
    back = await demo.job("restores", {"stack": "demo", "snapshot": snapshot["id"][:10]})
    assert back["state"] == "done", back
    assert quiet.files.leaves[note].text == "worth keeping"
    assert (await demo.job("stacks/demo/stop"))["state"] == "done"
    assert (await demo.get("stacks/demo"))["wanted"] == "stopped"
    assert (await demo.job("stacks/demo/start"))["state"] == "done"
    assert (await demo.job("stacks/demo/restart"))["state"] == "done"
    assert ("gardien-demo", "app") in quiet.docker.restarted
    assert (await demo.job("stacks/demo/remove"))["state"] == "done"
    assert (await demo.get("stacks"))["stacks"] == []
    assert [job["kind"] for job in (await demo.get("jobs?most=4"))["jobs"]] == ["remove", "restart", "start", "stop"]
    assert len((await demo.get("snapshots?stack=demo"))["snapshots"]) == 2, "it was saved a last time"
    assert quiet.files.leaves[note].text == "worth keeping"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("stacks", {"name": "nextcloud"}),
        ("stacks/demo/start", {}),
        ("stacks/demo/stop", {}),
        ("stacks/demo/restart", {}),
        ("stacks/demo/mend", {}),
        ("stacks/demo/set", {"settings": {"DEMO_PORT": "8124"}}),
        ("stacks/demo/remove", {}),
        ("stacks/demo/remove", {"with_data": True, "no_backup": True}),
        ("backups", {"stack": "demo"}),
        ("backups", {"stack": "demo", "target": "box"}),
        ("restores", {"stack": "demo", "new_disk": True}),
        ("targets/box/check", {}),
        ("targets/box/check", {"all": True}),
        ("targets/box/forget", {}),
        ("targets/box/prune", {}),
    ],
)
async def test_a_dry_run_tells_the_steps_and_changes_nothing(demo: Client, path: str, body: Data) -> None:
    before = await demo.get("jobs")
    status, data = await demo.ask("POST", path, {**body, "dry_run": True})
    assert status == 200
    steps = data["plan"]["steps"]
    assert steps and all(step["says"] and isinstance(step["details"], list) for step in steps)
    assert await demo.get("jobs") == before


async def test_a_job_is_watched_until_it_is_over(demo: Client, quiet: Quiet) -> None:
    quiet.hold.clear()
    _, data = await demo.ask("POST", "backups", {"stack": "demo"})
    number = data["job"]
    seen: list[Data] = []

    async def look() -> None:
        seen.append(await demo.get(f"jobs/{number}"))
        seen.append(await demo.get("status"))
        quiet.hold.set()

    looking: list[asyncio.Task[None]] = []
    lines = await demo.watch(number, lambda: looking.append(asyncio.create_task(look())))
    await asyncio.gather(*looking)
    job, status = seen[:2]
    assert job["step"] == "live" and 0.3 < job["progress"]["fraction"] < 0.5 and not job["over"]
    assert [each["id"] for each in status["jobs"]] == [number]
    assert [line["over"] for line in lines] == [False] * (len(lines) - 1) + [True]
    assert any(line["progress"] for line in lines) and lines[-1]["state"] == "done"
    assert len({json.dumps(line) for line in lines}) == len(lines), "the same was told twice"
    assert (await demo.watch(number))[-1] == lines[-1], "a job that is over is told once more"


async def test_cancelling_undoes_a_job(demo: Client, quiet: Quiet) -> None:
    quiet.hold.clear()
    _, data = await demo.ask("POST", "backups", {"stack": "demo"})
    while (await demo.get(f"jobs/{data['job']}"))["step"] != "live":
        await asyncio.sleep(0.01)
    status, _ = await demo.ask("POST", f"jobs/{data['job']}/cancel")
    assert status == 202
    assert (await demo.watch(data["job"]))[-1]["state"] == "cancelled"
    status, error = await demo.refused("POST", f"jobs/{data['job']}/cancel")
    assert (status, error["code"]) == (409, "refused")


async def test_a_watcher_is_let_go_when_the_daemon_stops(demo: Client, quiet: Quiet) -> None:
    quiet.hold.clear()
    _, data = await demo.ask("POST", "backups", {"stack": "demo"})
    watcher = asyncio.create_task(demo.watch(data["job"]))
    while (await demo.get(f"jobs/{data['job']}"))["step"] != "live":
        await asyncio.sleep(0.01)
    await quiet.house.runner.stop()
    assert (await watcher)[-1]["state"] == "interrupted"


async def test_what_can_be_added_and_what_it_asks(demo: Client, quiet: Quiet) -> None:
    own = quiet.house.settings.folders.owner / "stacks" / "broken"
    own.mkdir(parents=True)
    (own / "compose.yaml").write_text("services: {app: {image: x}}\nx-gardien: {format: 1}\n")
    stacks = {each["name"]: each for each in (await demo.get("stacks/available"))["stacks"]}
    assert stacks["demo"]["added"] and not stacks["nextcloud"]["added"]
    port = {"name": "DEMO_PORT", "kind": "port", "default": "8090", "ask": "Port on this machine", "choices": {}}
    assert port in stacks["demo"]["settings"]
    assert stacks["demo"]["kept"] is True
    assert "compose.yaml:2: x-gardien" in stacks["broken"]["error"]["detail"]


async def test_settings_are_changed_and_the_difference_is_shown_first(demo: Client, quiet: Quiet) -> None:
    settings = {"DEMO_PORT": "8124"}
    _, data = await demo.ask("POST", "stacks/demo/set", {"settings": settings, "dry_run": True})
    steps = {step["name"]: step["details"] for step in data["plan"]["steps"]}
    assert steps["write"] == ["DEMO_PORT: 8123 -> 8124"]
    job = await demo.job("stacks/demo/set", {"settings": settings})
    assert (job["state"], job["kind"]) == ("done", "set") and "settings" in job["title"]
    one = await demo.get("stacks/demo")
    assert one["settings"] == settings and one["address"] == "http://localhost:8124/"


async def test_what_was_changed_by_hand_is_told_and_mended(demo: Client, quiet: Quiet) -> None:
    assert (await demo.get("stacks/demo"))["drift"] == []
    key = ("gardien-demo", "app")
    by_hand = replace(quiet.docker.containers[key], id="by-hand", config="another")
    quiet.docker.containers[key] = by_hand
    await quiet.house.watch.look()
    [drift] = (await demo.get("stacks/demo"))["drift"]
    assert "app" in drift
    assert "app" in (await demo.get("stacks", **{"Accept-Language": "fr"}))["stacks"][0]["drift"][0]
    assert (await demo.job("stacks/demo/mend"))["state"] == "done"
    await quiet.house.watch.look()
    assert (await demo.get("stacks/demo"))["drift"] == []
    assert quiet.docker.containers[key].config != "another"


async def test_files_go_only_where_the_name_was_given(demo: Client, quiet: Quiet) -> None:
    folder = Path((await demo.get("stacks/demo"))["folder"])
    quiet.files.put(folder / "notes" / "note", Leaf("worth keeping", 0o600))
    job = await demo.job("stacks/demo/remove", {"with_data": True, "confirm": "demo"})
    assert job["state"] == "done", job
    assert not quiet.files.beneath(folder)
    [snapshot] = (await demo.get("snapshots?stack=demo"))["snapshots"]
    assert snapshot["good"], "the last backup is there"


async def test_a_machine_that_seems_too_small_can_be_overruled(client: Client, quiet: Quiet) -> None:
    quiet.host.has_memory = 10**9
    status, error = await client.refused("POST", "stacks", {"name": "nextcloud"})
    assert (status, error["code"]) == (409, "refused") and "1000 MB" in error["says"]
    assert (await client.job("stacks", {"name": "nextcloud", "anyway": True}))["state"] == "done"


async def test_a_project_of_the_owner_s_own_says_that_it_is_not_saved(client: Client, quiet: Quiet) -> None:
    own = quiet.house.settings.folders.owner / "stacks" / "wiki"
    own.mkdir(parents=True)
    (own / "compose.yaml").write_text("services: {app: {image: example/wiki:1}}\n")
    offer = next(each for each in (await client.get("stacks/available"))["stacks"] if each["name"] == "wiki")
    assert offer["kept"] is False and offer["settings"] == [] and offer["needs"] is None


async def test_the_root_certificate(client: Client, quiet: Quiet) -> None:
    assert await client.get("certificate") == {"certificate": None, "sha256": None}
    ports = {"DOOR_HTTP_PORT": "8081", "DOOR_HTTPS_PORT": "8443"}
    assert (await client.job("stacks", {"name": "gateway", "settings": ports}))["state"] == "done"
    assert (await client.get("certificate"))["certificate"] is None, "not before it was opened"
    door = await quiet.house.stacks.get("gateway")
    assert door.manifest.door is not None
    quiet.files.put(door.home / door.manifest.door.root, Leaf(CERTIFICATE, 0o644))
    found = await client.get("certificate")
    assert found["certificate"] == CERTIFICATE and re.fullmatch("([0-9A-F]{2}:){31}[0-9A-F]{2}", found["sha256"])
    given = (await client.get("stacks/gateway"))["given"]
    assert given["DOOR_SUFFIX"] == ":8443" and given["DOOR_MODE"] == "home"


async def test_first_login_is_told_to_the_console(demo: Client) -> None:
    login = await demo.get("stacks/demo/first-login")
    assert login == {"address": "http://localhost:8123/", "says": {}, "doorless": False}


async def test_logs_are_text(demo: Client) -> None:
    assert (await demo.get("stacks/demo/logs?lines=2"))["logs"] == "app  | running"
    assert (await demo.get("stacks/demo/logs?service=app"))["logs"] == "app  | running"
    status, error = await demo.refused("GET", "stacks/demo/logs?service=--all")
    assert status == 404 and "--all" in error["says"]


async def test_backups_are_looked_after(demo: Client, quiet: Quiet) -> None:
    assert (await demo.job("backups", {"stack": "demo"}))["target"] == "box"
    await demo.job("backups", {"stack": "demo", "target": "box"})
    newest, older = (await demo.get("snapshots?stack=demo&target=box"))["snapshots"]
    assert (newest["state"], newest["copy_of"]) == ("good", None)
    assert (await demo.get("snapshots?target=elsewhere"))["snapshots"] == []

    checked = await demo.job("targets/box/check", {"all": True})
    assert (checked["state"], checked["stack"], checked["target"]) == ("done", None, "box")
    [target] = (await demo.get("status"))["targets"]
    assert target == (await demo.get("targets"))["targets"][0]
    assert target["ready"] and target["problems"] == [] and target["checked"] == target["oldest_read"]
    assert list(target["newest_good"]) == ["demo"]

    one = await demo.get(f"snapshots/{newest['id'][:9]}")
    assert one["id"] == newest["id"] and one["missed"] == one["elsewhere"] == [] and one["goes"] is False
    assert [each["rule"] for each in one["stays"]][:2] == ["newest", "verified"] and one["stays"][0]["says"]
    [proposal] = (await demo.get("targets/box/retention"))["proposals"]
    assert proposal["stack"] == "demo" and proposal["frozen"] is None
    assert [each["goes"] for each in proposal["snapshots"]] == [False, False]

    there = next(iter(quiet.restic.repositories.values()))
    del there.snapshots[older["id"]]
    forgot = await demo.job("targets/box/forget")
    assert forgot["state"] == "done", forgot
    assert [each["state"] for each in (await demo.get("snapshots"))["snapshots"]] == ["good", "lost"]
    assert (await demo.get("status"))["targets"][0]["lost"] == 1
    assert (await demo.job("targets/box/prune"))["state"] == "done"

    there.damaged.add(newest["id"])
    checked = await demo.job("targets/box/check", {"all": True})
    assert (checked["state"], checked["code"]) == ("failed", "damaged")
    assert (await demo.get("targets"))["targets"][0]["problems"]


async def test_nothing_is_deleted_where_nothing_may_be(demo: Client, quiet: Quiet) -> None:
    quiet.restic.keeping.add("box")
    await quiet.house.store.note("can-delete:box", "no")
    for verb in ("forget", "prune"):
        status, error = await demo.refused("POST", f"targets/box/{verb}", {"dry_run": True})
        assert (status, error["code"]) == (409, "refused"), verb
    assert (await demo.get("targets"))["targets"][0]["can_delete"] is False


async def test_targets(client: Client, quiet: Quiet) -> None:
    status, made = await client.ask("POST", "targets/box/init")
    assert status == 200 and Path(made["passphrase_file"]) in quiet.files.leaves
    status, tried = await client.ask("POST", "targets/box/test")
    assert (status, tried["ok"], tried["repository"]) == (200, True, made["repository"])
    assert (await client.refused("POST", "targets/none/init"))[0] == 404


async def test_people(client: Client, quiet: Quiet) -> None:
    _, made = await client.ask("POST", "users/link", {})
    page = quiet.house.settings.page
    assert made["url"].startswith(f"http://localhost:{page.port}/login/")
    assert await quiet.house.people.enter_by_link(made["url"].rpartition("/")[2]) == "owner"
    assert (await client.refused("POST", "users/password", {"password": "short"}))[1]["code"] == "bad-input"
    assert await client.ask("POST", "users/password", {"password": "four words in a row"}) == (200, {"ok": True})
    assert await quiet.house.people.has_password()


async def test_a_browser_cannot_make_links_or_read_first_passwords(client: Client, quiet: Quiet) -> None:
    """Whoever stole a session must not be able to make another, or to lock the owner out."""
    page = quiet.house.settings.page
    root = f"http://localhost:{page.port}"
    _, made = await client.ask("POST", "users/link", {})
    ours = {"Origin": root, "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as browser:
        assert (await browser.get(f"{root}/api/v1/status")).status == 401
        await browser.post(made["url"], headers={"Origin": root})
        assert (await browser.get(f"{root}/api/v1/status")).status == 200
        for path, body in (("users/link", {}), ("users/password", {"password": "four words in a row"})):
            answer = await browser.post(f"{root}/api/v1/{path}", json=body, headers=ours)
            assert (answer.status, (await answer.json())["error"]["code"]) == (409, "refused"), path
        assert (await browser.get(f"{root}/api/v1/stacks/demo/first-login")).status == 409
        answer = await browser.post(f"{root}/api/v1/backups", json={"stack": "none"}, headers=ours)
        assert answer.status == 404


# -- what is wrong


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "says"),
    [
        ("GET", "stacks/none", None, 404, "not-found", "no stack called none"),
        ("GET", "jobs/4711", None, 404, "not-found", "no job number 4711"),
        ("GET", "jobs/4711/watch", None, 404, "not-found", "no job number 4711"),
        ("GET", "jobs?most=x", None, 400, "bad-input", "most must be a number"),
        ("GET", "jobs?most=0", None, 400, "bad-input", "most must be a number"),
        ("GET", "jobs?most=99999999", None, 400, "bad-input", "most must be a number"),
        ("POST", "stacks", {"name": "none"}, 404, "not-found", "no stack called none"),
        ("POST", "stacks", {"name": "../demo"}, 404, "not-found", "no stack called ../demo"),
        ("POST", "stacks", {"name": "demo"}, 409, "refused", "is here already"),
        ("POST", "stacks", {}, 400, "bad-input", "name is missing"),
        ("POST", "stacks", {"name": 1}, 400, "bad-input", "name must be text"),
        ("POST", "stacks", {"name": "nextcloud", "settings": {"NEXTCLOUD_PORT": 1}}, 400, "bad-input", "must be text"),
        (
            "POST",
            "stacks",
            {"name": "nextcloud", "settings": {"NEXTCLOUD_PORT": "x"}},
            400,
            "bad-input",
            "a number from 1",
        ),
        ("POST", "stacks", {"name": "nextcloud", "settings": []}, 400, "bad-input", "settings must be an object"),
        ("POST", "backups", {"stack": "none"}, 404, "not-found", "no stack called none"),
        ("POST", "backups", {"stak": "demo", "stack": "demo"}, 400, "bad-input", "stak is not known here"),
        ("POST", "backups", {"stack": "demo", "dry_run": "yes"}, 400, "bad-input", "dry_run must be true or false"),
        ("POST", "backups", [], 400, "bad-input", "not a JSON object"),
        ("POST", "jobs/1/cancel", {"x": 1}, 400, "bad-input", "x is not known here"),
        ("POST", "stacks/none/restart", {}, 404, "not-found", "no stack called none"),
        ("POST", "backups", {"stack": "demo", "target": "none"}, 404, "not-found", "no backup target called none"),
        ("GET", "snapshots/abc", None, 404, "not-found", "no backup whose id begins with abc"),
        ("GET", "targets/none/retention", None, 404, "not-found", "no backup target called none"),
        ("POST", "targets/none/check", {}, 404, "not-found", "no backup target called none"),
        ("POST", "targets/box/check", {"all": 1}, 400, "bad-input", "all must be true or false"),
        ("POST", "targets/box/copy", {}, 409, "refused", "box is not filled from another target"),
        ("POST", "stacks/none/remove", {"with_data": True}, 404, "not-found", "no stack called none"),
        ("POST", "stacks/demo/remove", {"with_data": True}, 400, "bad-input", "only if its name is typed: demo"),
        ("POST", "stacks/demo/remove", {"with_data": True, "confirm": "Demo"}, 400, "bad-input", "name is typed: demo"),
        ("POST", "stacks/demo/remove", {"with_data": "yes"}, 400, "bad-input", "with_data must be true or false"),
        ("POST", "stacks/demo/set", {}, 400, "bad-input", "settings is missing"),
        ("POST", "stacks/demo/set", {"settings": {"DEMO_PORT": "8123"}}, 409, "refused", "nothing would change"),
        ("POST", "stacks/demo/set", {"settings": {"DEMO_PORT": "x"}}, 400, "bad-input", "a number from 1"),
        ("POST", "stacks/demo/set", {"settings": {"DEMO_PORT": 1}}, 400, "bad-input", "DEMO_PORT must be text"),
        ("POST", "stacks/demo/set", {"settings": {"DATA": "/"}}, 400, "bad-input", "has no setting DATA"),
    ],
)
async def test_what_is_wrong_is_told(
    demo: Client, method: str, path: str, body: object, status: int, code: str, says: str
) -> None:
    got, error = await demo.refused(method, path, body)
    assert (got, error["code"]) == (status, code)
    assert says in error["says"], error
    assert error["remedy"] and "{" not in error["says"] + error["remedy"]
    assert error["words"]["says"]["text"]


@pytest.mark.parametrize("sent", [b"{", b"\xff\xfe{}", b"[" * 100_000])
async def test_what_is_no_json_is_told(demo: Client, sent: bytes) -> None:
    async with demo.session.post("http://x/api/v1/backups", data=sent) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]["code"] == "bad-input"


async def test_all_faults_at_once_each_by_name(demo: Client) -> None:
    _, error = await demo.refused("POST", "restores", {"snapshot": 1, "newdisk": True})
    assert {fault["path"] for fault in error["faults"]} == {"stack", "snapshot", "newdisk"}
    assert (
        next(fault["remedy"] for fault in error["faults"] if fault["path"] == "newdisk") == "Did you mean “new_disk”?"
    )


async def test_the_asker_s_language(demo: Client) -> None:
    french = await demo.get("stacks/available", **{"Accept-Language": "fr-CA,fr;q=0.9,en;q=0.5"})
    asked = {setting["ask"] for stack in french["stacks"] for setting in stack.get("settings", ())}
    assert "Port sur cette machine" in asked
    _, error = await demo.refused("GET", "jobs/4711", **{"Accept-Language": "fr"})
    expected = present.translate("there is no job number {job}", "fr", job=4711)
    assert error["says"] == expected != "there is no job number 4711"
    assert error["words"]["says"] == {"text": "there is no job number {job}", "values": {"job": 4711}}


async def test_a_failed_job_carries_its_error(demo: Client, quiet: Quiet) -> None:
    quiet.restic.fails = DockerDown("Docker does not answer", "Start it with `systemctl start docker`.")
    job = await demo.job("backups", {"stack": "demo"})
    assert (job["state"], job["code"]) == ("failed", "docker-down")
    assert job["says"] and job["remedy"]


def test_every_error_has_a_status() -> None:
    def kinds(of: type[GardienError]) -> set[str]:
        return {of.code}.union(*(kinds(each) for each in of.__subclasses__()))

    ours = {
        code for code in kinds(GardienError) if code not in ("failed", "command-failed", "not-running", "job-failed")
    }
    assert ours == set(wire.STATUS)


def test_an_error_with_many_faults_is_told_fault_by_fault(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        read("a: b: c", tmp_path / "x.yaml")
    data: Data = dict(wire.error(caught.value, "en"))
    assert [(fault["line"], fault["file"]) for fault in data["faults"]] == [(1, str(tmp_path / "x.yaml"))]
    assert "faults" not in wire.error(BadInput("x"), "en")
    assert wire.said(None, "en") is None and wire.said(Words("x"), "en") == "x"


async def test_every_route_is_documented(quiet: Quiet) -> None:
    every = [*api.routes(quiet.house), *api_targets.routes(quiet.house), *api_snapshots.routes(quiet.house)]
    written = set(re.findall(r"`(GET|POST) (/api/v1/[^`?\s]*)", DOCS.read_text()))
    routes = {(route.method, re.sub(r"\{(\w+):[^/]*\}", r"{\1}", route.path)) for route in every}
    assert written == routes

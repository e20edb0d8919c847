"""What every Docker keeps to, through Compose and through the engine's API: the real one and the one in memory."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gardien.adapters.compose import ComposeCli
from gardien.adapters.engine import DockerEngine
from gardien.errors import CommandFailed, DiskMissing, DockerDown, GardienError, NotFound, NotHealthy, PortTaken
from gardien.model.job import Progress
from gardien.model.settings import Docker, Programs
from gardien.model.stack import Stack
from tests.contracts.docks import GONE, IMAGE, Dock, fake_dock, label, real_dock
from tests.contracts.registry import registry
from tests.world.box import docker


@pytest.fixture
def real(tmp_path: Path) -> Iterator[Dock]:
    with real_dock(tmp_path) as made:
        yield made


@pytest.fixture
def fake(tmp_path: Path) -> Dock:
    return fake_dock(tmp_path)


@pytest.fixture(params=["real", "fake"])
def dock(request: pytest.FixtureRequest) -> Dock:
    made: Dock = request.getfixturevalue(request.param)
    return made


RUNNING = {"web": ("running", "healthy"), "side": ("running", "")}


def plain(states: dict[str, tuple[str, str]]) -> dict[str, str]:
    return {service: state for service, (state, _) in states.items()}


async def test_the_life_of_a_stack(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    compose, engine = dock.compose, dock.engine
    assert await compose.images(stack) == {"web": IMAGE, "side": IMAGE}
    assert await engine.containers([stack.project]) == []
    await compose.up(stack)
    containers = await engine.containers([stack.project, "somebody-else"])
    assert {(each.project, each.service, each.state, each.image) for each in containers} == {
        (stack.project, "web", "running", IMAGE),
        (stack.project, "side", "running", IMAGE),
    }
    assert next(each for each in containers if each.service == "web").health == "healthy"
    await compose.up(stack)
    assert {each.id for each in await engine.containers([stack.project])} == {each.id for each in containers}

    assert await compose.run_in(stack, "side", ["echo", "hello", "é $HOME"]) == "hello é $HOME\n"
    await dock.files.write(stack.home / "in", "what goes in\n")
    assert await compose.run_in(stack, "side", ["cat"], input_=stack.home / "in") == "what goes in\n"
    out = stack.home / "out"
    assert await compose.run_in(stack, "side", ["cat"], input_=stack.home / "in", output=out) == ""
    assert await dock.files.read(out) == "what goes in\n"
    with pytest.raises(CommandFailed):
        await compose.run_in(stack, "side", ["false"])

    await compose.stop(stack, ["side"])
    assert plain(await dock.states(stack)) == {"web": "running", "side": "exited"}
    with pytest.raises(NotHealthy) as caught:
        await compose.run_in(stack, "side", ["echo", "hello"])
    assert "side" in str(caught.value)
    await compose.start(stack, ["side"])
    await compose.start(stack, ["side"])
    assert plain(await dock.states(stack)) == {"web": "running", "side": "running"}
    assert "side" in await compose.logs(stack) or await compose.logs(stack) == ""
    assert "web" not in await compose.logs(stack, service="side")
    with pytest.raises(CommandFailed):
        await compose.logs(stack, service="never-heard-of")

    await compose.stop(stack, ["side"])
    before = await engine.containers([stack.project])
    await compose.restart(stack)
    assert plain(await dock.states(stack)) == {"web": "running", "side": "exited"}
    assert {each.id for each in await engine.containers([stack.project])} == {each.id for each in before}
    await compose.stop(stack)
    await compose.restart(stack)
    assert plain(await dock.states(stack)) == {"web": "exited", "side": "exited"}

    await compose.stop(stack)
    await compose.stop(stack)
    assert plain(await dock.states(stack)) == {"web": "exited", "side": "exited"}
    await compose.up(stack, ["side"])
    assert plain(await dock.states(stack)) == {"web": "exited", "side": "running"}
    await dock.files.remove(stack.home)
    await compose.down(stack)
    await compose.down(stack)
    assert await engine.containers([stack.project]) == []


async def test_what_was_made_from_other_settings_is_seen_and_made_anew(dock: Dock) -> None:
    compose = dock.compose
    stack = await dock.deploy(dock.stack())
    hashes = await compose.hashes(stack)
    assert set(hashes) == {"web", "side"}
    await compose.up(stack)
    assert await dock.configs(stack) == hashes
    containers = {each.service: each.id for each in await dock.engine.containers([stack.project])}
    other = await dock.deploy(
        replace(stack, chosen=stack.chosen.model_copy(update={"settings": {**stack.chosen.settings, "MOOD": "merry"}}))
    )
    changed = await compose.hashes(other)
    assert changed["web"] != hashes["web"]
    await compose.start(other, ["web"])
    await compose.restart(other)
    assert await dock.configs(stack) == hashes
    await compose.up(other)
    assert await dock.configs(stack) == changed
    assert containers["web"] not in {each.id for each in await dock.engine.containers([stack.project])}
    await dock.files.remove(stack.compose)
    with pytest.raises(CommandFailed):
        await compose.hashes(stack)


@pytest.mark.parametrize("file", ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"])
async def test_the_owners_own_project_runs_where_it_lies(dock: Dock, file: str) -> None:
    compose = dock.compose
    stack = await dock.own(file)
    assert await compose.images(stack) == {"page": IMAGE}
    await compose.up(stack)
    assert plain(await dock.states(stack)) == {"page": "running"}
    assert await dock.configs(stack) == await compose.hashes(stack)
    await compose.restart(stack)
    await compose.stop(stack)
    await dock.files.remove(stack.recipe.folder)
    with pytest.raises(CommandFailed):
        await compose.start(stack, ["page"])
    await compose.down(stack)
    assert await dock.states(stack) == {}


async def test_a_door_is_put_on_a_stacks_network_and_taken_off(dock: Dock) -> None:
    engine = dock.engine
    door, stack = await dock.own(), await dock.deploy(dock.stack())
    names = ["a.home.arpa", "b.home.arpa"]
    await dock.compose.up(door)
    assert not await engine.attach(door.project, "page", stack.door_network, names), "the network is not there"
    await engine.detach(door.project, "page", stack.door_network)
    await dock.compose.up(stack)
    assert await engine.attach(door.project, "page", stack.door_network, names)
    assert await engine.attach(door.project, "page", stack.door_network, names)
    assert await engine.attach(door.project, "page", stack.door_network, ["c.home.arpa"])
    assert not await engine.attach(door.project, "never-heard-of", stack.door_network, names)
    assert not await engine.attach("gt-nobody", "page", stack.door_network, names)
    assert not await engine.attach(door.project, "page", "gt-no-network", names)
    await dock.compose.stop(door)
    assert not await engine.attach(door.project, "page", stack.door_network, names), "it does not run"
    await dock.compose.start(door, ["page"])
    await engine.detach(door.project, "page", stack.door_network)
    await engine.detach(door.project, "page", stack.door_network)
    await dock.compose.down(stack)
    assert not await engine.attach(door.project, "page", stack.door_network, names), "the network went with its stack"
    await engine.detach(door.project, "page", stack.door_network)
    await engine.detach(door.project, "never-heard-of", stack.door_network)


async def test_a_network_stays_while_the_door_is_on_it(dock: Dock) -> None:
    engine = dock.engine
    door, stack = await dock.own(), await dock.deploy(dock.stack())
    await dock.compose.up(door)
    await dock.compose.up(stack)
    assert await engine.attach(door.project, "page", stack.door_network, ["a.home.arpa"])
    await dock.compose.down(stack)
    assert await engine.attach(door.project, "page", stack.door_network, ["a.home.arpa"])
    await engine.detach(door.project, "page", stack.door_network)
    await dock.compose.down(stack)
    assert not await engine.attach(door.project, "page", stack.door_network, ["a.home.arpa"])


async def test_a_stopped_door_can_start_after_a_network_went(dock: Dock) -> None:
    door, stack = await dock.own(), await dock.deploy(dock.stack())
    await dock.compose.up(door)
    await dock.compose.up(stack)
    assert await dock.engine.attach(door.project, "page", stack.door_network, ["a.home.arpa"])
    await dock.compose.stop(door)
    await dock.compose.down(stack)
    with pytest.raises(CommandFailed):
        await dock.compose.start(door, ["page"])
    await dock.compose.up(stack)
    with pytest.raises(CommandFailed):
        await dock.compose.start(door, ["page"])
    await dock.compose.stop(door)
    await dock.engine.detach(door.project, "page", stack.door_network)
    await dock.compose.start(door, ["page"])
    assert plain(await dock.states(door)) == {"page": "running"}


async def test_what_the_engine_says_of_itself(dock: Dock) -> None:
    facts = await dock.engine.facts()
    assert facts.root.is_absolute()
    assert isinstance(facts.memory_limits, bool)
    if dock.fake is None:
        root, limits = docker("info", "--format", "{{.DockerRootDir}}|{{.MemoryLimit}}").strip().split("|")
        assert (str(facts.root), facts.memory_limits) == (root, limits == "true")


async def test_what_keeps_a_stack_from_starting(dock: Dock) -> None:
    compose = dock.compose
    stack = await dock.deploy(dock.stack())
    await dock.files.remove(stack.home / "srv")
    worded(await failing(dock, stack, DiskMissing), stack.name)
    await dock.deploy(stack)
    with dock.taken(stack.settings["PORT"]):
        worded(await failing(dock, stack, PortTaken), stack.name)
    await compose.up(stack)
    other = await dock.deploy(dock.stack(PORT=stack.settings["PORT"]))
    worded(await failing(dock, other, PortTaken), other.name)
    assert (await dock.states(stack))["web"][0] == "running"
    await compose.down(other)
    gone = await dock.deploy(replace(stack, chosen=dock.stack(WEB_IMAGE=GONE).chosen))
    worded(await failing(dock, gone, NotFound), stack.name)
    await compose.down(stack)
    sick = await dock.deploy(dock.sicken(stack))
    worded(await failing(dock, sick, NotHealthy), stack.name)
    assert (await dock.states(stack))["web"] == ("running", "unhealthy")
    await dock.files.remove(stack.compose)
    await failing(dock, stack, CommandFailed)


async def failing(dock: Dock, stack: Stack, kind: type[GardienError]) -> GardienError:
    with pytest.raises(kind) as caught:
        await dock.compose.up(stack)
    return caught.value


def worded(error: GardienError, name: str) -> None:
    """A sentence with the stack's name in it; the real one also says what to do."""
    assert name in str(error)
    assert "{" not in f"{error}{error.remedy}"


async def test_no_engine(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    if dock.fake is not None:
        dock.fake.up = False
        compose, engine = dock.compose, dock.engine
    else:
        nowhere = dock.settings.folders.run / "no.sock"
        compose = ComposeCli(dock.settings.model_copy(update={"docker": Docker(socket=nowhere)}))
        engine = DockerEngine(nowhere)
    for asked in (
        compose.up(stack),
        compose.down(stack),
        compose.restart(stack),
        compose.run_in(stack, "side", ["echo"]),
        compose.logs(stack),
        engine.ping(),
        engine.containers([stack.project]),
        engine.image_id(IMAGE),
        engine.pull(IMAGE, lambda _: None),
        engine.facts(),
        engine.attach(stack.project, "side", stack.door_network, []),
        engine.detach(stack.project, "side", stack.door_network),
    ):
        with pytest.raises(DockerDown) as caught:
            await asked
        if dock.fake is None:
            assert str(caught.value.remedy)
    if isinstance(engine, DockerEngine):
        engine.close()


async def test_images(dock: Dock) -> None:
    assert await dock.engine.ping()
    assert str(await dock.engine.image_id(IMAGE)).startswith("sha256:")
    assert await dock.engine.image_id(GONE) is None
    if dock.fake is not None:
        dock.fake.registry.add("127.0.0.1:1/page:1")
        await pulled(dock, "127.0.0.1:1/page:1")
        dock.fake.registry_answers = False
    else:
        content = os.urandom(3 << 20)
        async with registry("page", content) as image:
            try:
                await pulled(dock, image)
            finally:
                docker("image", "rm", image)
    with pytest.raises(CommandFailed) as caught:
        await dock.engine.pull("127.0.0.1:1/page:2", lambda _: None)
    assert "127.0.0.1:1/page:2" in str(caught.value)


async def pulled(dock: Dock, image: str) -> None:
    told: list[Progress] = []
    await dock.engine.pull(image, told.append)
    await asyncio.sleep(0)
    assert await dock.engine.image_id(image) is not None
    assert told[-1].fraction == 1.0
    if dock.fake is None:
        assert told[-1].files_done == told[-1].files_total == 1  # its one layer
    assert [each.bytes_done for each in told] == sorted(each.bytes_done for each in told)
    with pytest.raises(NotFound) as caught:
        await dock.engine.pull(image[:-1] + "9", told.append)
    assert image[:-1] + "9" in str(caught.value)


async def test_an_image_goes_unless_something_runs_on_it(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    await dock.compose.up(stack)
    assert await dock.engine.drop_image(IMAGE) is False
    assert await dock.engine.image_id(IMAGE) is not None
    assert await dock.engine.drop_image(GONE) is False
    if dock.fake is not None:
        dock.fake.registry.add(pinned := f"127.0.0.1:1/page:1@sha256:{'0' * 64}")
        await dropped(dock, pinned)
    else:
        async with registry("page", os.urandom(1000)) as image:
            await dock.engine.pull(image, lambda _: None)
            digest = docker("inspect", "--format", "{{index .RepoDigests 0}}", image).strip().partition("@")[2]
            assert await dock.engine.drop_image(image) is True
            await dropped(dock, f"{image}@{digest}")


async def dropped(dock: Dock, pinned: str) -> None:
    """An image that is named by tag and digest is fetched, found and deleted by that name."""
    await dock.engine.pull(pinned, lambda _: None)
    assert await dock.engine.image_id(pinned) is not None
    assert await dock.engine.drop_image(pinned) is True
    assert await dock.engine.image_id(pinned) is None
    assert await dock.engine.drop_image(pinned) is False


# -- of the real one alone


async def test_a_pull_from_a_silent_registry_can_be_given_up(real: Dock) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        task = asyncio.create_task(real.engine.pull(f"127.0.0.1:{mute.getsockname()[1]}/page:1", lambda _: None))
        await asyncio.sleep(0.5)
        assert not task.done()
        began = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        assert await real.engine.ping()


async def test_real_commands_in_real_containers(real: Dock) -> None:
    compose = real.compose
    stack = await real.deploy(real.stack())
    await compose.up(stack, ["side"])
    assert list(await real.states(stack)) == ["side"], "up started what it was not asked for"
    assert await compose.run_in(stack, "side", ["id", "-u"], user="33") == "33\n"
    out = stack.home / "dump"
    out.write_text("an older one, readable by all")
    out.chmod(0o644)
    await compose.run_in(stack, "side", ["head", "-c", "5000000", "/bin/busybox", "/bin/busybox"], output=out)
    whole = Path("/bin/busybox").read_bytes()
    assert whole in out.read_bytes()
    assert out.stat().st_mode & 0o777 == 0o600
    with pytest.raises(CommandFailed) as caught:
        await compose.run_in(stack, "side", ["sh", "-c", "echo half; echo 'No space left on device' >&2; exit 9"])
    assert "No space left" in caught.value.detail
    assert "No space left" not in str(caught.value), "what a program says is not for the first sentence"
    began = time.monotonic()
    with pytest.raises(CommandFailed):
        await compose.run_in(stack, "side", ["sleep", "50"], timeout=0.5)
    assert time.monotonic() - began < 15
    with pytest.raises(NotHealthy):
        await compose.run_in(stack, "never-heard-of", ["true"])
    await compose.down(stack)
    assert docker("network", "ls", "-q", "--filter", label(stack.name)) == ""


async def test_what_a_volume_holds_is_never_removed(real: Dock) -> None:
    stack = await real.deploy(real.stack())
    await real.compose.up(stack)
    await real.compose.down(stack)
    assert docker("volume", "ls", "-q", "--filter", label(stack.name)).split() == [f"{stack.project}_kept"]


async def test_a_cancelled_start_leaves_nothing_of_ours_running(real: Dock) -> None:
    stack = await real.deploy(real.stack())
    await real.compose.up(stack, ["side"])
    task = asyncio.create_task(real.compose.run_in(stack, "side", ["sleep", "50"]))
    children = real.settings.folders.run / "children"
    while not list(children.iterdir()):
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(children.iterdir()) == []


async def test_a_broken_file_is_said_with_its_words(real: Dock) -> None:
    stack = await real.deploy(real.stack())
    await real.files.write(stack.compose / "compose.yaml", "services: {web: {imago: x}}")
    with pytest.raises(CommandFailed) as caught:
        await real.compose.images(stack)
    assert "imago" in caught.value.detail


async def test_without_docker_on_the_machine(real: Dock) -> None:
    stack = await real.deploy(real.stack())
    settings = real.settings.model_copy(update={"programs": Programs(docker="/no/such/docker")})
    with pytest.raises(CommandFailed) as caught:
        await ComposeCli(settings).up(stack)
    assert "not installed" in str(caught.value)


def endpoint(stack: Stack, service: str, network: str) -> str:
    """What the engine calls this connection; another one after it was cut."""
    form = f'{{{{with index .NetworkSettings.Networks "{network}"}}}}{{{{.EndpointID}}}}{{{{end}}}}'
    return docker("inspect", "--format", form, f"{stack.project}-{service}-1").strip()


async def test_a_project_is_resolved(dock: Dock) -> None:
    stack = await dock.deploy(dock.stack())
    model = await dock.compose.model(stack)
    assert set(model["services"]) == {"web", "side"}
    web = model["services"]["web"]
    assert {each["published"] for each in web["ports"]} == {stack.settings["PORT"]}
    assert str(stack.home / "srv") in {each.get("source") for each in web["volumes"]}
    assert web["image"] == IMAGE


async def test_what_was_only_tried_is_wiped_away(dock: Dock) -> None:
    stack, other = await dock.deploy(dock.stack()), await dock.deploy(dock.stack())
    for each in (stack, other):
        await dock.compose.up(each)
    before = await dock.engine.containers([other.project])
    assert set(await dock.engine.addresses(stack.project)) == {"web", "side"}
    await dock.compose.stop(stack, ["side"])
    assert set(await dock.engine.addresses(stack.project)) == {"web"}
    for _ in range(2):
        await dock.engine.wipe(stack.project)
        assert await dock.engine.containers([stack.project]) == []
        assert await dock.engine.addresses(stack.project) == {}
    assert await dock.engine.containers([other.project]) == before
    if dock.fake is None:
        for kind in ("network", "volume"):
            assert docker(kind, "ls", "-q", "--filter", label(stack.name)) == ""
            assert docker(kind, "ls", "-q", "--filter", label(other.name)) != ""
    await dock.compose.up(stack)


async def test_the_door_is_found_by_its_names(real: Dock) -> None:
    door, stack = await real.own(), await real.deploy(real.stack())
    await real.compose.up(door)
    await real.compose.up(stack)
    network = stack.door_network

    async def knows(name: str) -> bool:
        try:
            await real.compose.run_in(stack, "web", ["busybox", "ping", "-c", "1", "-w", "5", name])
        except CommandFailed:
            return False
        return True

    assert await real.engine.attach(door.project, "page", network, ["a.home.arpa", "b.home.arpa"])
    assert await knows("a.home.arpa")
    assert await knows("b.home.arpa")
    first = endpoint(door, "page", network)
    assert await real.engine.attach(door.project, "page", network, ["b.home.arpa", "a.home.arpa"])
    assert endpoint(door, "page", network) == first, "its connections were cut for nothing"
    assert await real.engine.attach(door.project, "page", network, ["c.home.arpa"])
    assert await knows("c.home.arpa")
    assert not await knows("a.home.arpa")
    await real.engine.detach(door.project, "page", network)
    assert not await knows("c.home.arpa")
    both = [real.engine.attach(door.project, "page", network, ["d.home.arpa"]) for _ in range(2)]
    assert await asyncio.gather(*both) == [True, True]
    await real.compose.up(door)
    assert await knows("d.home.arpa"), "Compose took it off"


async def test_a_restart_starts_a_container_anew(real: Dock) -> None:
    stack = await real.own()
    await real.compose.up(stack)

    def started() -> str:
        return docker("inspect", "--format", "{{.State.StartedAt}}", f"{stack.project}-page-1")

    before = started()
    await real.compose.restart(stack)
    assert started() > before


NEIGHBOURLY = """
services:
  page:
    image: gardien-test/busybox:1
    command: [sleep, infinity]
    stop_grace_period: 0.1s
    env_file: [./page.env]
    environment: {PRICE: "5 $$", MINE: "${MINE:-nothing}"}
  guest:
    image: gardien-test/busybox:1
    command: [sleep, infinity]
    stop_grace_period: 0.1s
    network_mode: "service:page"
"""


async def test_an_owners_project_in_all_its_ways(real: Dock) -> None:
    compose = real.compose
    stack = await real.own("docker-compose.yml", NEIGHBOURLY, "page", "guest")
    folder = stack.recipe.folder
    await real.files.write(folder / "page.env", "COLOUR='deep $blue'\nCOINS=a$$b\n")
    await real.files.write(folder / ".env", "MINE=filled in\n")
    await real.files.write(folder / "compose.override.yaml", "services: {page: {environment: {OVER: ridden}}}")
    await compose.up(stack)
    inside = (await compose.run_in(stack, "page", ["busybox", "env"])).splitlines()
    assert {"COLOUR=deep $blue", "PRICE=5 $", "MINE=filled in", "OVER=ridden"} <= set(inside)
    hashes, configs = await compose.hashes(stack), await real.configs(stack)
    assert hashes == {"page": configs["page"], "guest": ""}
    assert [each.name for each in (real.settings.folders.run / "compose").iterdir()] == [stack.project]
    # Compose itself would go on in the folder above, and run another project under this one's name.
    (folder / "docker-compose.yml").rename(folder.parent / "docker-compose.yml")
    with pytest.raises(CommandFailed):
        await compose.up(stack)


async def test_containers_are_told_of_the_proxy(real: Dock) -> None:
    proxy = "http://anna:secret@proxy.example:3128"
    settings = real.settings.model_copy(update={"proxy": proxy, "no_proxy": ("intranet.example", "10.0.0.0/8")})
    compose = ComposeCli(settings)
    stack = replace(await real.own(), given={"DOOR_DOMAIN": "home.arpa"})
    await compose.up(stack)
    printed = await compose.run_in(stack, "page", ["busybox", "env"])
    inside = dict(line.split("=", 1) for line in printed.splitlines())
    around = "localhost,127.0.0.1,::1,intranet.example,10.0.0.0/8,page,home.arpa"
    assert {name: inside.get(name) for name in ("HTTP_PROXY", "https_proxy", "NO_PROXY", "no_proxy")} == {
        "HTTP_PROXY": proxy,
        "https_proxy": proxy,
        "NO_PROXY": around,
        "no_proxy": around,
    }
    assert await real.configs(stack) == await compose.hashes(stack)
    folder = settings.folders.run / "compose" / stack.project
    assert json.loads((folder / "config.json").read_text())["proxies"]["default"]["httpProxy"] == proxy
    assert [(each.name, each.stat().st_mode & 0o777) for each in folder.iterdir()] == [("config.json", 0o600)]
    await asyncio.gather(*(compose.images(stack) for _ in range(3)))

    await real.compose.down(stack)
    await real.compose.up(stack)
    assert "proxy" not in (await real.compose.run_in(stack, "page", ["busybox", "env"])).lower()
    assert list(folder.iterdir()) == [], "the password is still there"

"""Image registries: Debian's own on loopback, the same behind one that wants tokens and gives pages, one in memory."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gardien.adapters.registry import HttpRegistries
from gardien.errors import NotFound, RegistryBusy, RegistryFailed
from gardien.model.release import Tags
from gardien.model.settings import Settings
from gardien.services.ports_registry import Registries
from tests.fake_releases import FakeRegistries
from tests.world.registry import HERE, TOKEN, RegistryHost, front
from tests.world.sftp import free_port
from tests.world.tls import certificate

OTHER = "arm64" if HERE == "amd64" else "amd64"
NEVER = "sha256:" + "0" * 64


class Put(Protocol):
    def __call__(self, name: str, tag: str, content: bytes = b"") -> str: ...


@dataclass
class Shop:
    """A registry, and somebody who asks there."""

    registries: Registries
    registry: str
    put: Put


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryHost]:
    with RegistryHost(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture(params=["real", "front", "fake"])
async def shop(request: pytest.FixtureRequest, host: RegistryHost) -> AsyncIterator[Shop]:
    if request.param == "fake":
        fake = FakeRegistries()
        yield Shop(
            fake, "127.0.0.1:1", lambda name, tag, content=b"": fake.put(f"127.0.0.1:1/{name}", tag, content.decode())
        )
    elif request.param == "real":
        yield Shop(HttpRegistries(Settings(), gap=0.0), host.name, host.put)
    else:
        async with front(host, tokens=True, page=2, marks=True) as made:
            yield Shop(HttpRegistries(Settings(), gap=0.0), made.name, host.put)


async def test_what_there_is(shop: Shop, request: pytest.FixtureRequest) -> None:
    name = f"shop/{abs(hash(request.node.name))}"
    digests = {tag: shop.put(name, tag, tag.encode()) for tag in ("1.0", "1.1", "1.2", "2.0-rc", "latest")}
    assert sorted((await shop.registries.tags(shop.registry, name)).names) == sorted(digests)
    for tag, digest in digests.items():
        assert await shop.registries.digest(shop.registry, name, tag) == digest
        assert await shop.registries.size(shop.registry, name, digest) > 0


async def test_a_tag_that_is_put_on_something_else(shop: Shop, request: pytest.FixtureRequest) -> None:
    name = f"moved/{abs(hash(request.node.name))}"
    former = shop.put(name, "1", b"one")
    tags = await shop.registries.tags(shop.registry, name)
    assert await shop.registries.digest(shop.registry, name, "1") == former
    fresh = shop.put(name, "1", b"another")
    assert fresh != former
    assert await shop.registries.digest(shop.registry, name, "1") == fresh
    assert (await shop.registries.tags(shop.registry, name, tags)).names == tags.names
    shop.put(name, "2")
    assert sorted((await shop.registries.tags(shop.registry, name, tags)).names) == ["1", "2"]


async def test_what_there_is_not(shop: Shop, request: pytest.FixtureRequest) -> None:
    name = f"not/{abs(hash(request.node.name))}"
    with pytest.raises(NotFound):
        await shop.registries.tags(shop.registry, name)
    shop.put(name, "1")
    with pytest.raises(NotFound):
        await shop.registries.digest(shop.registry, name, "2")
    with pytest.raises(NotFound):
        await shop.registries.size(shop.registry, name, NEVER)


# -- the real one alone


def asking(gap: float = 0.0) -> HttpRegistries:
    return HttpRegistries(Settings(), gap=gap)


async def test_a_list_on_several_pages_is_one(host: RegistryHost) -> None:
    names = {f"1.{number}" for number in range(7)}
    for each in names:
        host.put("pages/app", each)
    async with front(host, page=2, marks=True) as made:
        found = await asking().tags(made.name, "pages/app")
        assert set(found.names) == names
        assert found.mark == ""  # the mark of a first page says nothing of the others
        assert sum("tags/list" in path for _, path in made.asked) == 4


async def test_a_list_that_goes_on_elsewhere_is_not_followed(host: RegistryHost) -> None:
    for each in "123":
        host.put("elsewhere/app", each)
    async with front(host, page=2, elsewhere=True) as made:
        with pytest.raises(RegistryFailed):
            await asking().tags(made.name, "elsewhere/app")


async def test_a_list_that_is_the_same_is_not_sent_again(host: RegistryHost) -> None:
    host.put("same/app", "1")
    async with front(host, marks=True) as made:
        registries = asking()
        tags = await registries.tags(made.name, "same/app")
        assert tags.mark
        assert await registries.tags(made.name, "same/app", tags) is tags
        host.put("same/app", "2")
        assert (await registries.tags(made.name, "same/app", tags)).names == ("1", "2")


async def test_a_token_is_asked_for_once(host: RegistryHost) -> None:
    host.put("token/app", "1")
    async with front(host, tokens=True) as made:
        registries = asking()
        for _ in range(3):
            await registries.digest(made.name, "token/app", "1")
        assert sum(path.startswith("/token") for _, path in made.asked) == 1
        [token] = [path for _, path in made.asked if path.startswith("/token")]
        assert "service=test,+of+'it'" in token or "service=test,%20of%20'it'" in token
        assert TOKEN not in token


async def test_a_digest_costs_no_pull(host: RegistryHost) -> None:
    """Registries count what is fetched by GET, and not what is asked by HEAD."""
    digest = host.put("head/app", "1")
    async with front(host) as made:
        assert await asking().digest(made.name, "head/app", "1") == digest
        assert [method for method, path in made.asked if "manifests" in path] == ["HEAD"]


async def test_a_digest_is_worked_out_where_the_registry_does_not_tell(host: RegistryHost) -> None:
    digest = host.put("untold/app", "1")
    async with front(host, silent={"Docker-Content-Digest"}) as made:
        assert await asking().digest(made.name, "untold/app", "1") == digest


async def test_of_many_platforms_it_is_the_list_that_counts(host: RegistryHost) -> None:
    digest = host.put("many/app", "1", b"x" * 5000, platforms=[OTHER, HERE])
    registries = asking()
    assert await registries.digest(host.name, "many/app", "1") == digest
    assert await registries.size(host.name, "many/app", digest) > 0


async def test_an_image_for_other_machines(host: RegistryHost) -> None:
    digest = host.put("foreign/app", "1", platforms=[OTHER])
    with pytest.raises(NotFound, match="not made for machines like this one"):
        await asking().size(host.name, "foreign/app", digest)


async def test_a_manifest_that_is_not_what_was_asked_for(host: RegistryHost) -> None:
    digest, other = host.put("swapped/app", "1", b"one"), host.put("swapped/app", "2", b"two")
    async with front(host, swapped={digest: other}) as made:
        with pytest.raises(RegistryFailed):
            await asking().size(made.name, "swapped/app", digest)


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ("120", 120, 120),
        ("0", 60, 60),
        ("", 3600, 3600),
        ("99999999", 86400, 86400),
        ("nonsense", 3600, 3600),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 60, 60),
        ("Fri, 31 Dec 2199 23:59:59 GMT", 86400, 86400),
    ],
)
async def test_who_wants_to_be_left_alone_is(host: RegistryHost, told: str, least: float, most: float) -> None:
    async with front(host, busy=told) as made:
        registries = asking()
        with pytest.raises(RegistryBusy) as error:
            await registries.tags(made.name, "any/app")
        assert least - 2 <= error.value.seconds <= most
        before = len(made.asked)
        with pytest.raises(RegistryBusy):
            await registries.digest(made.name, "any/other", "1")
        assert len(made.asked) == before


async def test_questions_are_spaced(host: RegistryHost) -> None:
    host.put("spaced/app", "1")
    async with front(host) as made:
        registries = asking(0.2)
        await asyncio.gather(*(registries.digest(made.name, "spaced/app", "1") for _ in range(4)))
        gaps = [after - before for before, after in zip(made.at, made.at[1:], strict=False)]
        assert len(gaps) >= 3
        assert min(gaps) > 0.19


async def test_nobody_there() -> None:
    with pytest.raises(RegistryFailed, match="cannot be reached"):
        await asking().tags(f"127.0.0.1:{free_port()}", "app")


async def test_through_the_proxy() -> None:
    """What is not here goes through the proxy; what is named as around it does not."""
    asked = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode().split()[:2])
        writer.close()

    async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        through = Settings(proxy=f"http://127.0.0.1:{port}", no_proxy=("nowhere.invalid",))
        for registry in ("registry.example", "nowhere.invalid", "docker.io"):
            with pytest.raises(RegistryFailed):
                await HttpRegistries(through, gap=0.0).tags(registry, "app")
    wanted = {("CONNECT", "registry.example:443"), ("CONNECT", "registry-1.docker.io:443")}
    assert {*map(tuple, asked)} == wanted


async def test_a_registrys_own_authority(tmp_path: Path) -> None:
    """Docker's own folder for it; without, its certificate is not believed, and nothing is asked in the clear."""
    made, key = certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    app = web.Application()

    async def tags(_: web.Request) -> web.Response:
        return web.json_response({"tags": ["1"]})

    app.router.add_get("/v2/app/tags/list", tags)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    try:
        name = f"127.0.0.1:{server.port}"
        with pytest.raises(RegistryFailed):
            await HttpRegistries(Settings(), gap=0.0, certificates=tmp_path / "none").tags(name, "app")
        folder = tmp_path / "certs.d" / name
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(made.read_bytes())
        found = await HttpRegistries(Settings(), gap=0.0, certificates=tmp_path / "certs.d").tags(name, "app")
        assert found == Tags(("1",))
    finally:
        await server.close()

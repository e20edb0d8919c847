"""The Docker Engine's API, by docker-py in threads of its own: the library blocks, from its constructor on."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal, TypeVar

import docker.errors
import requests
from docker import APIClient

from gardien.errors import CommandFailed, DockerDown, GardienError, NoSpace, NotFound, unexpected
from gardien.model.health import Container, EngineFacts
from gardien.model.job import Progress
from gardien.model.rescue import Event
from gardien.words import N_

T = TypeVar("T")
OnProgress = Callable[[Progress], None]

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_ONE_OFF = "com.docker.compose.oneoff"
_CONFIG = "com.docker.compose.config-hash"
_ANSWER = 30  # seconds an answer may take
_PULL_SILENCE = 300  # seconds a registry may say nothing
_BEFALLS: Mapping[str, Literal["started", "died", "no-memory"]] = {
    "start": "started",
    "die": "died",
    "oom": "no-memory",
}


class DockerEngine:
    """The `Engine` of a real house. `close()` at the end."""

    def __init__(self, address: Path) -> None:
        """`address` is the engine's unix socket; it need not answer yet."""
        self._socket = address
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="docker")
        self._client: APIClient | None = None
        self._making = threading.Lock()
        self._joining = threading.Lock()

    def close(self) -> None:
        """Let go of the engine; answers still owed are no longer waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._client is not None:
            self._client.close()

    async def ping(self) -> str:
        """The engine's version. Raises DockerDown."""
        return await self._call(lambda client: str(client.version(api_version=False)["Version"]))

    async def containers(self, projects: Sequence[str]) -> list[Container]:
        """All containers, stopped ones too, of these Compose projects; not those of `docker compose run`."""
        wanted = set(projects)
        listed = await self._call(lambda client: client.containers(all=True, filters={"label": _PROJECT}))
        return [
            Container(
                id=each["Id"],
                project=each["Labels"][_PROJECT],
                service=each["Labels"].get(_SERVICE, ""),
                state=each["State"],
                health=_health(each["Status"]),
                image=each["Image"],
                config=each["Labels"].get(_CONFIG, ""),
            )
            for each in listed
            if each["Labels"][_PROJECT] in wanted and each["Labels"].get(_ONE_OFF) != "True"
        ]

    async def image_id(self, image: str) -> str | None:
        """The image's id if it is here, else None."""

        def inspect(client: APIClient) -> str | None:
            with suppress(docker.errors.ImageNotFound):
                return str(client.inspect_image(image)["Id"])  # type: ignore[no-untyped-call]
            return None

        return await self._call(inspect)

    async def pull(self, image: str, progress: OnProgress) -> None:
        """Fetch an image. Raises NotFound, NoSpace, CommandFailed (no registry), DockerDown.

        When the caller is cancelled, our end hangs up at the registry's next word, and the engine then stops too.
        """
        loop = asyncio.get_running_loop()
        over: asyncio.Future[None] = loop.create_future()
        layers = _Layers()

        def end(error: BaseException | None) -> None:
            if over.done():
                return
            if error is None:
                over.set_result(None)
            else:
                over.set_exception(error)

        def pull(client: APIClient) -> None:
            for event in client.pull(image, stream=True, decode=True):
                if over.done():
                    return
                if "error" in event:
                    raise _pull_failed(image, str(event["error"]))
                if (now := layers.take(event)) is not None:
                    loop.call_soon_threadsafe(progress, now)

        def work() -> None:
            error: BaseException | None = None
            try:
                with self._asked(image), closing(self._make(_PULL_SILENCE)) as client:
                    pull(client)
            except Exception as failed:
                error = failed
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(end, error)

        # A thread of its own, which an exit does not wait for: a registry may be silent for minutes.
        threading.Thread(target=work, name="docker-pull", daemon=True).start()
        try:
            await over
        finally:
            over.cancel()

    async def drop_image(self, image: str) -> bool:
        """Delete it, as far as nothing else is made of it. False: it is not here, or a container was made from it."""

        def drop(client: APIClient) -> bool:
            try:
                client.remove_image(image)
            except docker.errors.ImageNotFound:
                return False
            except docker.errors.APIError as error:
                if error.status_code == HTTPStatus.CONFLICT:
                    return False
                raise
            return True

        return await self._call(drop)

    async def facts(self) -> EngineFacts:
        """Where it keeps its files, and what the kernel lets it do."""
        info: dict[str, Any] = await self._call(lambda client: client.info())
        return EngineFacts(root=Path(info["DockerRootDir"]), memory_limits=bool(info["MemoryLimit"]))

    async def events(self) -> AsyncGenerator[Event, None]:
        """What befalls containers of Compose projects, from now on; the engine speaks, nobody asks.

        Raises DockerDown when the engine goes, CommandFailed. To be closed in the end (`aclosing`).
        """
        loop, since, over = asyncio.get_running_loop(), time.time(), threading.Event()
        heard: asyncio.Queue[Event | GardienError] = asyncio.Queue()
        streams: list[Any] = []

        def tell(what: Event | GardienError) -> None:
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(heard.put_nowait, what)

        def listen(client: APIClient) -> None:
            wanted = {"type": "container", "event": list(_BEFALLS), "label": _PROJECT}
            # The engine takes fractions of a second, whatever the library's types say: nothing from before is told.
            streams.append(client.events(since=since, decode=True, filters=wanted))  # type: ignore[call-overload]
            for each in () if over.is_set() else streams[0]:
                if each["Actor"]["Attributes"].get(_ONE_OFF) != "True":
                    tell(_event(client, each))
            raise OSError("the engine closed its events")

        def work() -> None:
            try:
                with self._asked(), closing(self._make(_ANSWER)) as client:
                    listen(client)
            except Exception as error:
                tell(error if isinstance(error, GardienError) else unexpected(error))

        # A thread of its own: it waits for the engine's next word, and an exit does not wait for it.
        threading.Thread(target=work, name="docker-events", daemon=True).start()
        try:
            while True:
                what = await heard.get()
                if isinstance(what, GardienError):
                    raise what
                yield what
        finally:
            over.set()
            for stream in streams:
                stream.close()

    async def attach(self, project: str, service: str, network: str, names: Sequence[str]) -> bool:
        """Put a service's running container on a network, where it is called by these names too.

        Nothing happens if that is so already; with other names it is taken off and put on again, which ends its
        connections there. False: there is no such network, or the service does not run.
        """

        def attach(client: APIClient) -> bool:
            running = [each for each in _of(client, project, service) if each["State"] == "running"]
            with suppress(docker.errors.NotFound), self._joining:
                client.inspect_network(network)
                for each in running:
                    _join(client, each["Id"], network, names)
                return bool(running)
            return False

        return await self._call(attach)

    async def detach(self, project: str, service: str, network: str) -> None:
        """Take a service's container off a network; it may be off already, and the network may be gone.

        A stopped container, too: it could not start while it looks for a network that is gone.
        """

        def detach(client: APIClient) -> None:
            with self._joining:
                for each in _of(client, project, service):
                    if network in each["NetworkSettings"]["Networks"]:
                        with suppress(docker.errors.NotFound):
                            client.disconnect_container_from_network(each["Id"], network, force=True)

        await self._call(detach)

    async def addresses(self, project: str) -> dict[str, str]:
        """Service -> an address at which this machine, and nobody else, reaches its running container."""

        def addresses(client: APIClient) -> dict[str, str]:
            running = client.containers(filters={"label": [f"{_PROJECT}={project}", f"{_ONE_OFF}=False"]})
            return {
                each["Labels"].get(_SERVICE, ""): network["IPAddress"]
                for each in running
                for network in each["NetworkSettings"]["Networks"].values()
                if network["IPAddress"]
            }

        return await self._call(addresses)

    async def wipe(self, project: str) -> None:
        """Kill and remove all that a throwaway project has here: containers, networks, volumes. It may be gone."""
        label = {"label": f"{_PROJECT}={project}"}

        def wipe(client: APIClient) -> None:
            for each in client.containers(all=True, filters=label):
                with suppress(docker.errors.NotFound):
                    client.remove_container(each["Id"], force=True, v=True)
            for network in client.networks(filters=label):
                with suppress(docker.errors.NotFound):
                    client.remove_network(network["Id"])
            for volume in client.volumes(filters=label)["Volumes"] or ():
                with suppress(docker.errors.NotFound):
                    client.remove_volume(volume["Name"], force=True)

        await self._call(wipe)

    async def _call(self, ask: Callable[[APIClient], T]) -> T:
        def work() -> T:
            with self._asked():
                return ask(self._ready())

        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextmanager
    def _asked(self, image: str = "") -> Iterator[None]:
        """A question in a thread: what the library raises, for people. `image`: it is about fetching that one."""
        try:
            # Where nobody listens docker-py leaves its socket open: knock first.
            with socket.socket(socket.AF_UNIX) as knock:
                knock.settimeout(_ANSWER)
                knock.connect(str(self._socket))
            yield
        except docker.errors.APIError as error:
            if image:
                raise _pull_failed(image, error.explanation or str(error)) from error
            raise CommandFailed(
                N_("the Docker Engine refused a question"),
                N_("Its answer is in the details. Try again, or ask the person who helps you."),
                detail=str(error),
            ) from error
        except (docker.errors.DockerException, requests.RequestException, OSError) as error:
            raise DockerDown(
                N_("the Docker Engine does not answer"),
                N_("Start it (sudo systemctl start docker), or restart this machine; then try again."),
                detail=str(error),
            ) from error

    def _ready(self) -> APIClient:
        with self._making:
            if self._client is None:
                self._client = self._make(_ANSWER)
            return self._client

    def _make(self, timeout: int) -> APIClient:
        return APIClient(base_url=f"unix://{self._socket}", version="auto", timeout=timeout)


def _event(client: APIClient, told: dict[str, Any]) -> Event:
    labels, limit = told["Actor"]["Attributes"], 0
    if told["Action"] == "oom":
        with suppress(docker.errors.NotFound):
            limit = int(client.inspect_container(told["Actor"]["ID"])["HostConfig"]["Memory"])
    return Event(labels[_PROJECT], labels.get(_SERVICE, ""), _BEFALLS[told["Action"]], limit)


def _of(client: APIClient, project: str, service: str) -> list[dict[str, Any]]:
    """All containers of a service, stopped ones too."""
    labels = [f"{_PROJECT}={project}", f"{_SERVICE}={service}", f"{_ONE_OFF}=False"]
    found: list[dict[str, Any]] = client.containers(all=True, filters={"label": labels})
    return found


def _join(client: APIClient, container: str, network: str, names: Sequence[str]) -> None:
    networks = client.inspect_container(container)["NetworkSettings"]["Networks"]
    if network in networks:
        # The engine adds names of its own: that of the container, and in older versions the beginning of its id.
        its_own = {container[:12], ""}
        if {*(networks[network]["Aliases"] or ())} - its_own == set(names):
            return
        client.disconnect_container_from_network(container, network, force=True)
    client.connect_container_to_network(container, network, aliases=list(names))


class _Layers:
    """A pull's events as `Progress`: the bytes of all layers known so far; `files` are the layers."""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._last = Progress()

    def take(self, event: dict[str, Any]) -> Progress | None:
        layer, status = str(event.get("id", "")), str(event.get("status", ""))
        detail = event.get("progressDetail") or {}
        if status == "Pulling fs layer":
            self._sizes.setdefault(layer, 0)
        elif status == "Downloading" and detail.get("total"):
            self._sizes[layer] = int(detail["total"])
            self._done[layer] = int(detail.get("current", 0))
        elif status in {"Download complete", "Pull complete"} and layer in self._sizes:
            self._done[layer] = self._sizes[layer]
        else:
            return None
        now = Progress(
            bytes_done=max(self._last.bytes_done, sum(self._done.values())),
            bytes_total=sum(self._sizes.values()),
            files_done=sum(self._done.get(each, -1) >= size for each, size in self._sizes.items()),
            files_total=len(self._sizes),
        )
        self._last = now
        return now


def _health(status: str) -> str:
    """Docker's word for a container's health, from `Up 5 minutes (healthy)`; "" if it has no check."""
    found = re.search(r"\((?:health: )?(healthy|unhealthy|starting)\)", status)
    return found.group(1) if found else ""


def _pull_failed(image: str, detail: str) -> GardienError:
    if "no space left" in detail:
        return NoSpace(
            N_("cannot fetch the image {image}: the disk that holds Docker's files is full"),
            N_("Free some space on it (docker image prune removes images nobody uses), then try again."),
            detail=detail,
            image=image,
        )
    if re.search(r"not found|manifest unknown|access denied|does not exist", detail, re.IGNORECASE):
        return NotFound(
            N_("there is no image {image} where it should come from"),
            N_("Check its name under “images” in gardien.yaml and in the stack's own settings."),
            detail=detail,
            image=image,
        )
    return CommandFailed(
        N_("cannot fetch the image {image}"),
        N_("Check the internet connection, then try again. What runs now was left as it is."),
        detail=detail,
        image=image,
    )

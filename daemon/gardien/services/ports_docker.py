"""What the use cases ask of Docker: of Compose, and of the engine itself. The rest of the neighbours: `ports`."""

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from gardien.model.health import Container, EngineFacts
from gardien.model.job import Progress
from gardien.model.rescue import Event
from gardien.model.stack import Stack

OnProgress = Callable[[Progress], None]


class Compose(Protocol):
    """The Compose CLI, on a stack's deployed folder."""

    async def images(self, stack: Stack) -> dict[str, str]:
        """Service -> image, as Compose resolves them."""
        ...

    async def model(self, stack: Stack) -> dict[str, Any]:
        """The whole project as Compose resolves it; read as a Compose file it makes the same again."""
        ...

    async def up(self, stack: Stack, services: Sequence[str] = ()) -> None:
        """Create and start (all services, or these and what they depend on) and wait for their health checks."""
        ...

    async def start(self, stack: Stack, services: Sequence[str]) -> None: ...
    async def stop(self, stack: Stack, services: Sequence[str] = ()) -> None: ...
    async def down(self, stack: Stack) -> None:
        """Remove the project's containers and networks; never a volume. Works when the deployed folder is gone."""
        ...

    async def run_in(
        self,
        stack: Stack,
        service: str,
        argv: Sequence[str],
        *,
        user: str | None = None,
        output: Path | None = None,
        input_: Path | None = None,
        timeout: float | None = None,
    ) -> str:
        """Run a command in a service's container; returns what it printed (or writes it to `output`, mode 0600)."""
        ...

    async def restart(self, stack: Stack, services: Sequence[str] = ()) -> None:
        """Restart what runs, as it is; what is stopped stays so. With `services` those that are there, in any state."""
        ...

    async def hashes(self, stack: Stack) -> dict[str, str]:
        """Service -> hash of its configuration, equal to `Container.config` of a container made from it.

        "": it cannot be told beforehand, as for a service in another one's network namespace.
        """
        ...

    async def logs(self, stack: Stack, lines: int = 200, service: str | None = None) -> str: ...


class Engine(Protocol):
    """The Docker Engine's API. Raises DockerDown when it does not answer."""

    async def ping(self) -> str:
        """The engine's version."""
        ...

    async def containers(self, projects: Sequence[str]) -> list[Container]:
        """All containers, stopped ones too, of these Compose projects."""
        ...

    async def image_id(self, image: str) -> str | None:
        """The image's id or repo digest if it is here, else None."""
        ...

    async def pull(self, image: str, progress: OnProgress) -> None: ...
    async def drop_image(self, image: str) -> bool:
        """Delete it, as far as nothing else is made of it. False: it is not here, or a container was made from it."""
        ...

    async def facts(self) -> EngineFacts: ...
    def events(self) -> AsyncGenerator[Event, None]:
        """What befalls containers of Compose projects, from now on; it costs nothing while nothing happens.

        Raises DockerDown when the engine goes. Close it in the end.
        """
        ...

    async def attach(self, project: str, service: str, network: str, names: Sequence[str]) -> bool:
        """Put a service's running container on a network, where it is called by these names too.

        Nothing happens if that is so already. False: there is no such network, or the service does not run.
        """
        ...

    async def addresses(self, project: str) -> dict[str, str]:
        """Service -> an address at which this machine, and nobody else, reaches its running container."""
        ...

    async def wipe(self, project: str) -> None:
        """Kill and remove all that a throwaway project has here: containers, networks, volumes. It may be gone."""
        ...

    async def detach(self, project: str, service: str, network: str) -> None:
        """Take a service's container off a network; it may be off already, and the network may be gone.

        A stopped container cannot start while it is on a network that is gone.
        """
        ...

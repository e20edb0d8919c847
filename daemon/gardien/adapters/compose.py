"""The Compose CLI, on a stack's deployed folder."""

import asyncio
import json
import os
import re
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gardien.adapters.process import Ended, Outcome, run
from gardien.errors import (
    CommandFailed,
    DiskMissing,
    DockerDown,
    GardienError,
    NoSpace,
    NotFound,
    NotHealthy,
    PortTaken,
)
from gardien.model.settings import Settings
from gardien.model.stack import Stack
from gardien.rules.composefile import FILES, OVERRIDES
from gardien.words import N_

_Meaning = tuple[type[GardienError], str, str]

_SOON = 0.15  # seconds: a command in a container holds nothing here, and Docker's client is deaf while it starts
_LONGEST_OUTPUT = 1 << 20  # characters of a command's output handed back as text


def project_args(stack: Stack, files: Sequence[Path]) -> list[str]:
    """What every call on a stack whose files are there begins with, after `docker compose`."""
    return [
        *nameless_args(stack),
        f"--project-directory={stack.compose}",
        # In the owner's own project there may be none; Compose finds it by itself.
        *([f"--env-file={stack.compose / '.env'}"] if stack.recipe.kept else []),
        *(f"--file={file}" for file in files),
    ]


def nameless_args(stack: Stack) -> list[str]:
    """The same for a stack whose folder is gone: Compose then goes by the labels of what it made."""
    return ["--ansi=never", "--progress=plain", f"--project-name={stack.project}"]


def run_in_args(service: str, argv: Sequence[str], user: str | None) -> list[str]:
    """`docker compose exec …`, without a terminal. The option's long name is another one in older versions."""
    return ["exec", "-T", *([f"--user={user}"] if user is not None else []), "--", service, *argv]


def client_settings(stack: Stack, settings: Settings) -> str:
    """The Docker client's `config.json`: Compose puts the proxy into the environment of every container it makes.

    A container calls those of its own stack by their services' names, and other stacks by names below the door's.
    """
    around = dict.fromkeys((*settings.around_proxy, *stack.recipe.services, stack.given.get("DOOR_DOMAIN", "")))
    proxy = {"httpProxy": settings.proxy, "httpsProxy": settings.proxy, "noProxy": ",".join(filter(None, around))}
    return json.dumps({"proxies": {"default": proxy}})


class ComposeCli:
    """The `Compose` of a real house. Raises DockerDown, PortTaken, NotHealthy, DiskMissing, NoSpace, NotFound (an
    image), else CommandFailed with the last lines that were printed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._children = settings.folders.run / "children"
        self._folder = settings.folders.run / "compose"

    async def images(self, stack: Stack) -> dict[str, str]:
        """Service -> image, as Compose resolves them."""
        outcome = await self._call(stack, ["config", "--format=json"])
        return {name: str(service.get("image", "")) for name, service in json.loads(outcome.stdout)["services"].items()}

    async def model(self, stack: Stack) -> dict[str, Any]:
        """The whole project as Compose resolves it; read as a Compose file it makes the same again."""
        model: dict[str, Any] = json.loads((await self._call(stack, ["config", "--format=json"])).stdout)
        return model

    async def up(self, stack: Stack, services: Sequence[str] = ()) -> None:
        """Create and start (all services, or these and what they depend on) and wait for their health checks.

        Never builds or fetches an image. Raises NotHealthy if one does not get well within `limits.healthy`.
        """
        patience = self._settings.limits.healthy
        args = ["up", "--detach", "--wait", f"--wait-timeout={patience}", "--no-build", "--pull=never"]
        await self._call(stack, [*args, "--remove-orphans", "--", *services], timeout=patience + 120.0)

    async def start(self, stack: Stack, services: Sequence[str]) -> None:
        """Start these services as they are, make those that were removed; nothing happens to those that run."""
        args = ["up", "--detach", "--no-deps", "--no-recreate", "--no-build", "--pull=never"]
        await self._call(stack, [*args, "--", *services])

    async def stop(self, stack: Stack, services: Sequence[str] = ()) -> None:
        """Stop these services, or all. Nothing happens to those that do not run."""
        await self._call(stack, ["stop", "--", *services])

    async def restart(self, stack: Stack, services: Sequence[str] = ()) -> None:
        """Restart what runs, as it is; what is stopped stays so. With `services` those that are there, in any state."""
        state = ["--all"] if services else ["--status=running"]
        there = (await self._call(stack, ["ps", *state, "--services", "--orphans=false"])).stdout.split()
        if chosen := [each for each in there if not services or each in services]:
            await self._call(stack, ["restart", "--no-deps", "--", *chosen])

    async def down(self, stack: Stack) -> None:
        """Remove the project's containers and networks; never a volume. Works when the deployed folder is gone.

        A network that a foreign container is on stays.
        """
        await self._call(stack, ["down", "--remove-orphans"], nameless=True)

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
        """Run a command in a service's container; returns what it printed (or writes it to `output`, mode 0600).

        Without a `timeout` it may run as long as it is at work. When it is cancelled or takes too long only our end of
        it is surely gone: inside the container it may go on until it notices that nobody reads or writes.
        """
        outcome = await self._call(
            stack,
            run_in_args(service, argv, user),
            meanings=_INSIDE,
            output=output,
            input_=input_,
            timeout=timeout,
            silence=None if timeout is not None else float(self._settings.limits.silence),
            service=service,
            grace=_SOON,
        )
        return outcome.stdout[:_LONGEST_OUTPUT]

    async def hashes(self, stack: Stack) -> dict[str, str]:
        """Service -> hash of its configuration, equal to `Container.config` of a container made from it.

        "" for a service that uses another's namespace or volumes: its hash holds the id of that one's container.
        """
        # Resolved first: of a service with an `env_file` Compose 2.26 names another hash than it writes down.
        model = self._folder / f"{stack.project}.{secrets.token_hex(4)}.json"
        try:
            await self._call(stack, ["config", "--format=json"], output=model)
            services: dict[str, Mapping[str, Any]] = json.loads(await asyncio.to_thread(model.read_text))["services"]
            outcome = await self._call(stack, ["config", "--hash=*"], files=[model])
        finally:
            await asyncio.to_thread(model.unlink, missing_ok=True)
        hashes = dict(line.split() for line in outcome.stdout.splitlines())
        return {name: "" if _leans(service) else hashes[name] for name, service in services.items()}

    async def logs(self, stack: Stack, lines: int = 200, service: str | None = None) -> str:
        """The last lines of every service, or of one, with their times."""
        only = ["--", service] if service is not None else []
        outcome = await self._call(stack, ["logs", "--no-color", "--timestamps", f"--tail={lines}", *only])
        return outcome.stdout

    async def _call(
        self,
        stack: Stack,
        args: Sequence[str],
        *,
        nameless: bool = False,
        files: Sequence[Path] = (),
        meanings: Sequence[tuple[str, _Meaning]] | None = None,
        output: Path | None = None,
        input_: Path | None = None,
        timeout: float | None = None,
        silence: float | None = None,
        service: str = "",
        grace: float | None = None,
    ) -> Outcome:
        if timeout is None and silence is None:
            timeout = float(self._settings.limits.command)
        if nameless:
            begin = nameless_args(stack)
        else:
            begin = project_args(stack, files or await asyncio.to_thread(_files, stack))
        try:
            return await run(
                [self._settings.programs.docker, "compose", *begin, *args],
                env={
                    "HOME": str(self._settings.folders.state),
                    "DOCKER_HOST": f"unix://{self._settings.docker.socket}",
                    "DOCKER_CONFIG": str(await asyncio.to_thread(self._prepare, stack)),
                },
                children=self._children,
                input_=input_,
                output=output,
                timeout=timeout,
                silence=silence,
                grace=grace,
            )
        except Ended as error:
            raise _typed(stack, service, error, _OUTSIDE if meanings is None else meanings) from error

    def _prepare(self, stack: Stack) -> Path:
        """The folder of the Docker client's settings for this stack; they may hold a password for the proxy."""
        folder = self._folder / stack.project
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = folder / "config.json"
        if self._settings.proxy is None:
            file.unlink(missing_ok=True)
            return folder
        fresh = folder / f"{file.name}.{secrets.token_hex(4)}"  # two commands may well start at once
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as text:
            text.write(client_settings(stack, self._settings))
        fresh.rename(file)
        return folder


def _files(stack: Stack) -> list[Path]:
    """A stack's Compose files. In the owner's own project they are those Compose would find in this very folder.

    By itself it would go on in the folders above.
    """
    folder = stack.compose
    file = folder / FILES[0]
    if stack.recipe.kept:
        return [file]
    override = next((folder / name for name in OVERRIDES if (folder / name).is_file()), None)
    file = next((folder / name for name in FILES if (folder / name).is_file()), file)
    return [file] if override is None else [file, override]


def _leans(service: Mapping[str, Any]) -> bool:
    """Whether a service, as Compose resolved it, is made from another one's container."""
    shared = (str(service.get(key, "")) for key in ("network_mode", "ipc", "pid"))
    return "volumes_from" in service or any(each.startswith("service:") for each in shared)


def _typed(stack: Stack, service: str, error: Ended, meanings: Sequence[tuple[str, _Meaning]]) -> GardienError:
    """What a failure means, by what was printed."""
    if error.reason == "missing":
        return error
    for pattern, (kind, says, remedy) in meanings:
        if found := re.search(pattern, error.outcome.stderr, re.IGNORECASE):
            what = next((group for group in found.groups() if group), "")
            return kind(says, remedy, detail=error.detail, stack=stack.name, service=service, what=what)
    if error.reason == "code" and not service:
        return CommandFailed(*_FAILED, detail=error.detail, stack=stack.name)
    if error.reason == "code":
        return CommandFailed(*_FAILED_INSIDE, detail=error.detail, stack=stack.name, service=service)
    return CommandFailed(*_TOO_LONG, detail=error.detail, stack=stack.name)


_FAILED = (
    N_("Docker Compose failed on the stack {stack}"),
    N_("Its last lines are in the details. Try again, or ask the person who helps you."),
)
_FAILED_INSIDE = (
    N_("a command inside the service {service} of {stack} failed"),
    N_("Its last lines are in the details. Try again, or ask the person who helps you."),
)
_TOO_LONG = (
    N_("Docker Compose took too long on the stack {stack} and was stopped"),
    N_("Look whether this machine is overloaded or its disk is failing; then try again."),
)
_NO_DOCKER: _Meaning = (
    DockerDown,
    N_("the Docker Engine does not answer"),
    N_("Start it (sudo systemctl start docker), or restart this machine; then try again."),
)
_NOT_RUNNING: _Meaning = (
    NotHealthy,
    N_("the service {service} of {stack} is not running"),
    N_("Start the stack (gardien stack start {stack}), then try again."),
)
_INSIDE: tuple[tuple[str, _Meaning], ...] = (
    (r"(?:failed|cannot) (?:to )?connect to the docker (?:API|daemon)|error during connect", _NO_DOCKER),
    (r"service \"[^\"]+\" is not running|container \S+ is not running|No such container|is restarting", _NOT_RUNNING),
)
_OUTSIDE: tuple[tuple[str, _Meaning], ...] = (
    _INSIDE[0],
    (
        r"Bind for (\S+) failed: port is already allocated|listen tcp\d? (\S+): bind: address already in use"
        r"|exposing port TCP (\S+) ->",
        (
            PortTaken,
            N_("cannot start {stack}: something else already listens at {what}"),
            N_("Stop the other program, or choose another port in the stack's settings."),
        ),
    ),
    (
        r"bind source path does not exist: (\S+)",
        (
            DiskMissing,
            N_("cannot start {stack}: the folder {what} is not there"),
            N_("Look whether the disk that holds it is plugged in and mounted."),
        ),
    ),
    (
        r"no space left on device",
        (
            NoSpace,
            N_("cannot start {stack}: the disk that holds Docker's files is full"),
            N_("Free some space on it, then try again."),
        ),
    ),
    (
        r"No such image: (\S+)",
        (
            NotFound,
            N_("cannot start {stack}: the image {what} is not on this machine"),
            N_("Check the internet connection, and the image's name in the stack's settings."),
        ),
    ),
    (
        r"container \S+ (?:is unhealthy|exited|has no healthcheck)|dependency failed to start|did not complete success"
        r"|timeout waiting|application not healthy|context deadline exceeded",
        (
            NotHealthy,
            N_("{stack} was started, but does not get well"),
            N_("Look at its log (gardien stack logs {stack}), or restore its newest good backup."),
        ),
    ),
    (
        r"'compose' is not a docker command|unknown (?:shorthand )?flag|unknown command",
        (
            CommandFailed,
            N_("this machine's Docker Compose is missing or too old"),
            N_("Run gardien's installer again: it installs what is missing."),
        ),
    ),
)

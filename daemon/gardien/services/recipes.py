"""Carries out what a manifest says: actions in services, and waiting for the application's own word."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from gardien.errors import GardienError, NotHealthy
from gardien.model.health import Answer
from gardien.model.manifest import Action, Expectation, Probe
from gardien.model.stack import Stack
from gardien.services.ports import World
from gardien.words import N_, Given

log = logging.getLogger(__name__)

ASK_EVERY = 0.5  # seconds between two questions while somebody waits for the answer


async def carry_out(world: World, stack: Stack, actions: Sequence[Action]) -> list[Given]:
    """Do `actions` in order. Returns what is to be told of those that failed and may.

    Raises the neighbour's error, or NotHealthy when a `wait` is in vain.
    """
    told: list[Given] = []
    for action in actions:
        try:
            await _carry_out(world, stack, action)
        except GardienError as error:
            if action.or_say is None:
                raise
            log.warning("%s: %s: %s %s", stack.name, action.words, error, error.detail)
            told.append(action.or_say.given)
    return told


async def load(world: World, stack: Stack) -> None:
    """Load the databases of a copy whose first services are up. Raises what a command in a service raises."""
    for each in stack.manifest.restore.load:
        source = stack.dumps / each.input if each.input else None
        await world.compose.run_in(stack, each.exec_, each.argv, user=each.user, input_=source)


async def _carry_out(world: World, stack: Stack, action: Action) -> None:
    if action.exec_ is not None:
        await world.compose.run_in(stack, action.exec_, action.argv, user=action.user, timeout=action.timeout)
    elif action.wait is not None:
        await _until(world, stack, action.wait, action.json_, action.timeout)
    elif action.stop:
        await world.compose.stop(stack, action.stop)
    else:
        await world.compose.start(stack, action.start)


async def _until(world: World, stack: Stack, name: str, json: Mapping[str, bool | int | str], timeout: float) -> None:
    probe = stack.manifest.probes[name]
    if json:
        probe = probe.model_copy(update={"expect": Expectation.model_validate({"json": dict(json)})})
    await patiently(world, stack, {name: probe}, timeout)


async def ask_all(world: World, stack: Stack, probes: Mapping[str, Probe] | None = None) -> dict[str, Answer]:
    """One answer per probe, asked side by side."""
    asked = probes if probes is not None else stack.manifest.probes
    answers = await asyncio.gather(*(world.probes.ask(stack, probe) for probe in asked.values()))
    return dict(zip(asked, answers, strict=True))


async def patiently(
    world: World, stack: Stack, probes: Mapping[str, Probe] | None = None, timeout: float | None = None
) -> None:
    """Wait until every probe is content; the application's word counts, not its container's. Raises NotHealthy."""
    patience = timeout if timeout is not None else float(world.settings.limits.healthy)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    while True:
        answers = await ask_all(world, stack, probes)
        unwell = [answer for answer in answers.values() if not answer.ok]
        if not unwell:
            return
        if loop.time() >= deadline:
            raise NotHealthy(
                N_("{stack} did not become healthy within {minutes} minutes: {why}"),
                N_("`gardien stack logs {stack}` shows what it says itself."),
                stack=stack.name,
                minutes=max(1, round(patience / 60)),
                why=unwell[0].says,
            )
        await asyncio.sleep(ASK_EVERY)

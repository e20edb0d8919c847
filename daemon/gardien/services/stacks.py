"""The life of a stack: added, started, stopped, removed."""

import secrets
import string
from collections.abc import Mapping
from pathlib import Path

from gardien.errors import BadInput, NotFound, PortTaken, Refused
from gardien.model.plan import Plan
from gardien.model.stack import Chosen, Recipe, Stack, Wanted
from gardien.rules import plans
from gardien.rules.env import env_file
from gardien.rules.kinds import check_settings
from gardien.services import disk, recipes
from gardien.services.ports import World
from gardien.services.runner import Do, Run, Runner
from gardien.words import N_

LETTERS = string.ascii_letters + string.digits


class Stacks:
    """The stacks of this house, and what it takes to bring one up."""

    def __init__(self, world: World, runner: Runner) -> None:
        self._world = world
        self._runner = runner
        runner.teach("add", _Add(world, self))
        life = _Life(world, self)
        for kind in ("start", "stop", "remove"):
            runner.teach(kind, life)

    # -- what there is

    def available(self) -> list[str]:
        """Names of the stacks that can be added."""
        return self._world.shelf.recipes()

    async def recipe(self, name: str) -> Recipe:
        """A stack as it is shipped. Raises NotFound, BadInput."""
        return await self._world.shelf.recipe(name)

    async def all(self) -> list[Stack]:
        """The added ones, by name."""
        return [
            await self._built(name, chosen) for name, chosen in sorted((await self._world.shelf.all_chosen()).items())
        ]

    async def get(self, name: str) -> Stack:
        """Raises NotFound."""
        chosen = await self._world.shelf.chosen(name)
        if chosen is None:
            raise NotFound(
                N_("there is no stack called {stack} here"),
                N_(
                    "`gardien stack list` shows those that are here, `gardien stack available` those that can be added."
                ),
                stack=name,
            )
        return await self._built(name, chosen)

    def home(self, name: str) -> Path:
        """The one folder of a stack."""
        return self._world.settings.folders.data / name

    async def _built(self, name: str, chosen: Chosen) -> Stack:
        """With the recipe that runs, which may be older than the shipped one."""
        deployed = self.home(name) / ".gardien" / "compose"
        there = await self._world.files.exists(deployed / "compose.yaml")
        return self.build(await self._world.shelf.recipe(name, deployed if there else None), chosen)

    def build(self, recipe: Recipe, chosen: Chosen) -> Stack:
        """The owner's image for a variable goes before the house's, which goes before the shipped one."""
        house = {name: image for name, image in self._world.settings.images.items() if name in recipe.image_defaults}
        return Stack(
            recipe=recipe,
            chosen=chosen.model_copy(update={"images": house | chosen.images}),
            project=f"{self._world.settings.docker.prefix}-{recipe.name}",
            home=self.home(recipe.name),
        )

    async def first_login(self, name: str) -> dict[str, str]:
        """Where to go and what to type there the first time."""
        stack = await self.get(name)
        kept = await self._world.shelf.secrets(name)
        shown = {key: kept[key] for key, secret in stack.manifest.secrets.items() if secret.show_once and key in kept}
        users = {key: value for key, value in stack.settings.items() if key.endswith("_USER")} if shown else {}
        return ({"address": stack.address} if stack.address else {}) | users | shown

    async def logs(self, name: str, lines: int = 200) -> str:
        """What its services printed last."""
        return await self._world.compose.logs(await self.get(name), lines)

    # -- what can be done

    async def plan_add(self, name: str, settings: Mapping[str, str]) -> Plan:
        """Raises NotFound, BadInput (all faults at once), Refused if it is there already."""
        recipe = await self.recipe(name)
        if await self._world.shelf.chosen(name) is not None:
            raise Refused(
                N_("the stack {stack} is here already"),
                N_("`gardien stack start {stack}` starts it."),
                stack=name,
            )
        check_settings(recipe, settings)
        images = {key: value for key, value in settings.items() if key in recipe.image_defaults}
        chosen = {key: value for key, value in settings.items() if key not in images}
        return plans.add(recipe, dict(chosen), dict(images))

    async def add(self, name: str, settings: Mapping[str, str]) -> int:
        return await self._runner.submit(await self.plan_add(name, settings))

    async def plan_start(self, name: str) -> Plan:
        return plans.start(await self.get(name))

    async def start(self, name: str) -> int:
        return await self._runner.submit(await self.plan_start(name))

    async def plan_stop(self, name: str) -> Plan:
        return plans.stop(await self.get(name))

    async def stop(self, name: str) -> int:
        return await self._runner.submit(await self.plan_stop(name))

    async def plan_remove(self, name: str) -> Plan:
        return plans.remove(await self.get(name))

    async def remove(self, name: str) -> int:
        return await self._runner.submit(await self.plan_remove(name))

    # -- what other use cases need of a stack

    async def deploy(self, stack: Stack) -> None:
        """Lay out the Compose project and the folders, so that plain `docker compose` works in it.

        The stack's folder is root's alone: containers reach what they mount without walking through it, and whoever
        else has an account on this machine does not.
        """
        files = self._world.files
        await files.make_folder(stack.home, None, 0o700)
        await files.make_folder(stack.inner, None, 0o700)
        if stack.recipe.folder != stack.compose:
            await files.copy_tree(stack.recipe.folder, stack.compose)
        await self.furnish(stack)

    async def furnish(self, stack: Stack) -> None:
        """The environment file and the folders that a backup leaves out."""
        kept = await self._world.shelf.secrets(stack.name)
        await self._world.files.write(stack.compose / ".env", env_file(stack, kept))
        for path, owned in stack.manifest.folders.items():
            folder = stack.home / path
            if not await self._world.files.exists(folder):
                await self._world.files.make_folder(folder, owned.ids, int(owned.mode, 8))

    async def fetch_images(self, stack: Stack, run: Run) -> None:
        """All images are here before anything stops."""
        for image in sorted(set((await self._world.compose.images(stack)).values())):
            if await self._world.engine.image_id(image) is None:
                await self._world.engine.pull(image, run.report)

    async def want(self, name: str, wanted: Wanted) -> None:
        chosen = await self._world.shelf.chosen(name)
        if chosen is not None and chosen.wanted != wanted:
            await self._world.shelf.choose(name, chosen.model_copy(update={"wanted": wanted}))

    async def set_aside(self, name: str, job: int) -> None:
        """Nothing is deleted here: a stack's folder goes to `.kept`, where it stays for some days."""
        kept = self._world.settings.folders.data / ".kept"
        await self._world.files.make_folder(kept, None, 0o700)
        await self._world.files.move(self.home(name), kept / f"{name}-{job}")


class _Add:
    """How a stack is added."""

    def __init__(self, world: World, stacks: Stacks) -> None:
        self._world = world
        self._stacks = stacks
        self.do: Mapping[str, Do] = {
            "check": self._check,
            "write": self._write,
            "images": self._images,
            "up": self._up,
            "gate": self._gate,
        }
        self.undo: Mapping[str, Do] = {"write": self._unwrite, "up": self._down}

    async def heal(self, run: Run) -> None:
        """A dead process holds nothing of ours here."""

    async def _check(self, run: Run) -> None:
        await disk.require(self._world)
        await self._world.engine.ping()
        recipe = await self._stacks.recipe(run.plan.subject)
        stack = self._stacks.build(recipe, _chosen(run))
        for name, setting in recipe.manifest.settings.items():
            port = stack.settings[name]
            if setting.kind == "port" and not self._world.host.port_free("127.0.0.1", int(port)):
                raise PortTaken(
                    N_("port {port} is taken by another program, and {stack} needs it for {name}"),
                    N_("Stop the other program, or choose another port: --set {name}=NUMBER."),
                    port=port,
                    stack=recipe.name,
                    name=name,
                )

    async def _write(self, run: Run) -> None:
        name = run.plan.subject
        recipe = await self._stacks.recipe(name)
        if "made_home" not in run.facts:
            kept = await self._world.shelf.secrets(name)
            await run.remember(
                made_home=not await self._world.files.exists(self._stacks.home(name)), made_secrets=not kept
            )
        kept = await self._world.shelf.secrets(name)
        missing = {
            key: "".join(secrets.choice(LETTERS) for _ in range(secret.length))
            for key, secret in recipe.manifest.secrets.items()
            if key not in kept
        }
        if missing:
            await self._world.shelf.set_secrets(name, kept | missing)
        chosen = _chosen(run)
        await self._stacks.deploy(self._stacks.build(recipe, chosen))
        await self._world.shelf.choose(name, chosen)

    async def _unwrite(self, run: Run) -> None:
        name = run.plan.subject
        await self._world.shelf.choose(name, None)
        if run.facts.get("made_home") and await self._world.files.exists(self._stacks.home(name)):
            await self._stacks.set_aside(name, run.job)
        if run.facts.get("made_secrets"):
            await self._world.shelf.set_secrets(name, None)

    async def _images(self, run: Run) -> None:
        await self._stacks.fetch_images(await self._stacks.get(run.plan.subject), run)

    async def _up(self, run: Run) -> None:
        await self._world.compose.up(await self._stacks.get(run.plan.subject))

    async def _down(self, run: Run) -> None:
        await self._world.compose.down(await self._stacks.get(run.plan.subject))

    async def _gate(self, run: Run) -> None:
        await _until_it_answers(self._world, await self._stacks.get(run.plan.subject), run)
        await self._world.store.note(added_note(run.plan.subject), self._world.clock().isoformat())


class _Life:
    """How a stack is started, stopped and removed."""

    def __init__(self, world: World, stacks: Stacks) -> None:
        self._world = world
        self._stacks = stacks
        self.do: Mapping[str, Do] = {
            "check": self._check,
            "up": self._up,
            "gate": self._gate,
            "down": self._down,
            "forget": self._forget,
        }
        self.undo: Mapping[str, Do] = {"up": self._up_undone, "down": self._down_undone}

    async def heal(self, run: Run) -> None:
        """A dead process holds nothing of ours here."""

    async def _check(self, run: Run) -> None:
        await disk.require(self._world)

    async def _up(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        if "was" not in run.facts:
            await run.remember(was=stack.chosen.wanted)
        await self._stacks.want(stack.name, "running")
        await self._stacks.furnish(stack)
        await self._world.compose.up(stack)

    async def _up_undone(self, run: Run) -> None:
        """What ran before goes on running: a start that found a running stack unwell does not stop it."""
        if run.facts.get("was") == "stopped":
            await self._world.compose.stop(await self._stacks.get(run.plan.subject))
            await self._stacks.want(run.plan.subject, "stopped")

    async def _gate(self, run: Run) -> None:
        await _until_it_answers(self._world, await self._stacks.get(run.plan.subject), run)

    async def _down(self, run: Run) -> None:
        stack = await self._stacks.get(run.plan.subject)
        if "was" not in run.facts:
            await run.remember(was=stack.chosen.wanted)
        await self._stacks.want(stack.name, "stopped")
        if run.plan.kind == "remove":
            await self._world.compose.down(stack)
        else:
            await self._world.compose.stop(stack)
        run.done(N_("{stack} is stopped"), stack=stack.manifest.title.given)

    async def _down_undone(self, run: Run) -> None:
        if run.facts.get("was") == "running":
            await self._stacks.want(run.plan.subject, "running")
            await self._world.compose.up(await self._stacks.get(run.plan.subject))

    async def _forget(self, run: Run) -> None:
        await self._world.shelf.choose(run.plan.subject, None)
        run.done(
            N_("{stack} is off the list; its files are still in {folder}, its backups where they were"),
            stack=run.plan.subject,
            folder=str(self._stacks.home(run.plan.subject)),
        )


async def _until_it_answers(world: World, stack: Stack, run: Run) -> None:
    await recipes.patiently(world, stack)
    run.done(N_("{stack} runs and answers"), stack=stack.manifest.title.given)


def added_note(name: str) -> str:
    """Under which key the store notes when a stack was added."""
    return f"added:{name}"


def _chosen(run: Run) -> Chosen:
    settings, images = run.facts["settings"], run.facts["images"]
    if not isinstance(settings, dict) or not isinstance(images, dict):
        raise BadInput(N_("this job's journal does not name its settings"))
    return Chosen(
        settings={key: str(value) for key, value in settings.items()},
        images={key: str(value) for key, value in images.items()},
    )

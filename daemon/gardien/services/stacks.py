"""The stacks of this house: which there are, what they are told, how one is laid out. What is done to them: `life`."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gardien.errors import GardienError, NotFound, Refused
from gardien.model.health import Container
from gardien.model.job import Progress
from gardien.model.stack import Chosen, Recipe, Stack, Wanted
from gardien.rules import drift, given
from gardien.rules.env import env_file, read_env
from gardien.rules.images import mirrored
from gardien.services.ports import World
from gardien.services.runner import Run
from gardien.words import N_, Words


class Stacks:
    """The stacks of this house, and what it takes to bring one up."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read: tuple[object, list[Stack]] | None = None  # what they said when the shelf bore this mark
        self._marked: list[Path] = []  # what the mark covers besides the shelf: where stacks are laid out

    # -- what there is

    async def available(self) -> list[str]:
        """Names of the stacks that can be added."""
        return await self._world.shelf.recipes()

    async def recipe(self, name: str) -> Recipe:
        """A stack as it is shipped. Raises NotFound, BadInput."""
        return await self._world.shelf.recipe(name)

    async def all(self) -> list[Stack]:
        """The added ones, by name. Raises BadInput."""
        mark, found = await self._at_hand()
        if found is None:
            found = await self._read_all()
            # Of a stack that came since, the next mark will know.
            laid_out = [self._deployed(each.name) for each in found]
            self._read, self._marked = (mark, found) if laid_out == self._marked else None, laid_out
        return list(found)

    async def _at_hand(self) -> tuple[object, list[Stack] | None]:
        """How the shelf is marked now, and what the stacks said, if it bore that mark when they were read."""
        mark = await self._world.shelf.mark(self._marked)
        return mark, self._read[1] if self._read is not None and self._read[0] == mark else None

    async def _read_all(self) -> list[Stack]:
        chosen = await self._world.shelf.all_chosen()
        recipes = {name: await self._running(name) for name in sorted(chosen)}
        doors = [name for name, recipe in recipes.items() if recipe.manifest.door is not None]
        facts = given.of_door(recipes[doors[0]], chosen[doors[0]]) if doors else given.NO_DOOR
        return [self._build(recipe, chosen[name], facts) for name, recipe in recipes.items()]

    async def get(self, name: str) -> Stack:
        """Raises NotFound."""
        _, known = await self._at_hand()
        for each in known or ():
            if each.name == name:
                return each
        chosen = await self._world.shelf.chosen(name)
        if chosen is None:
            raise NotFound(
                N_("there is no stack called {stack} here"),
                N_(
                    "`gardien stack list` shows those that are here, `gardien stack available` those that can be added."
                ),
                stack=name,
            )
        return await self.build(await self._running(name), chosen)

    async def kept(self, name: str) -> Stack:
        """One that is backed up. Raises NotFound, Refused."""
        found = await self.get(name)
        if not found.recipe.kept:
            raise Refused(
                N_("{stack} is not backed up: its Compose file does not say what to save"),
                N_("Write `x-gardien` into it, as docs/stacks.md shows."),
                stack=name,
            )
        return found

    async def door(self) -> Stack | None:
        """The stack that is the house's door; None while there is none. A stack that cannot be read is not it."""
        _, known = await self._at_hand()
        if known is not None:
            return next((each for each in known if each.manifest.door is not None), None)
        for name, chosen in sorted((await self._world.shelf.all_chosen()).items()):
            try:
                recipe = await self._running(name)
            except GardienError:
                continue
            if recipe.manifest.door is not None:
                return self._build(recipe, chosen, given.of_door(recipe, chosen))
        return None

    def home(self, name: str) -> Path:
        """The one folder of a stack."""
        return self._world.settings.folders.data / name

    def _deployed(self, name: str) -> Path:
        return self.home(name) / ".gardien" / "compose"

    async def _running(self, name: str) -> Recipe:
        """The recipe that runs, which may be older than the shipped one."""
        deployed = self._deployed(name)
        if await self._world.files.exists(deployed / "compose.yaml"):
            with suppress(NotFound):  # a restore may be moving it away in this moment
                return await self._world.shelf.recipe(name, deployed)
        return await self._world.shelf.recipe(name)

    async def build(self, recipe: Recipe, chosen: Chosen) -> Stack:
        """A recipe as a stack of this house."""
        if recipe.manifest.door is not None:
            return self._build(recipe, chosen, given.of_door(recipe, chosen))
        door = await self.door()
        return self._build(recipe, chosen, door.given if door is not None else given.NO_DOOR)

    async def as_if(self, name: str, chosen: Chosen, door: tuple[str, Mapping[str, str]] | None) -> Stack:
        """One of those that can be added, as it would be beside that door, by its name and answers, were it here.

        Raises NotFound, BadInput.
        """
        recipe = await self.recipe(name)
        if recipe.manifest.door is not None or door is None or not door[0]:
            return await self.build(recipe, chosen)
        return self._build(recipe, chosen, given.of_door(await self.recipe(door[0]), Chosen(settings=dict(door[1]))))

    def _build(self, recipe: Recipe, chosen: Chosen, facts: Mapping[str, str]) -> Stack:
        """The owner's image for a variable goes before the house's, which goes before the shipped one or its mirror."""
        settings = self._world.settings
        shipped = {name: mirrored(image, settings.docker.mirrors) for name, image in recipe.image_defaults.items()}
        house = {name: image for name, image in settings.images.items() if name in recipe.image_defaults}
        return Stack(
            recipe=recipe,
            chosen=chosen.model_copy(update={"images": shipped | house | chosen.images}),
            project=f"{settings.docker.prefix}-{recipe.name}",
            home=self.home(recipe.name),
            given=dict(facts),
            doorless=facts is given.NO_DOOR,
        )

    async def derived(self, stack: Stack) -> Stack:
        """With what follows from the machine: its cores, memory and addresses as they are now."""
        host = self._world.host
        machine = given.Machine(host.cores(), host.memory(), host.addresses())
        public = [address for name in given.public_names(stack) for address in await host.resolve(name)]
        return replace(stack, given={**stack.given, **given.derived(stack, machine, public)})

    async def logs(self, name: str, lines: int = 200, service: str | None = None) -> str:
        """What its services, or one of them, printed last. Raises NotFound."""
        stack = await self.get(name)
        if service is not None and service not in stack.recipe.services:
            raise NotFound(
                N_("{stack} has no service {service}"),
                N_("It has: {known}."),
                stack=name,
                service=service,
                known=", ".join(stack.recipe.services),
            )
        return await self._world.compose.logs(stack, lines, service)

    # -- what its owner is handed

    async def first_login(self, name: str) -> dict[str, str]:
        """Where to go and what to type there the first time. Raises what a command in a service raises."""
        stack = await self.get(name)
        kept = await self._world.shelf.secrets(name)
        shown = {key: kept[key] for key, secret in stack.manifest.secrets.items() if secret.show_once and key in kept}
        users = {key: value for key, value in stack.settings.items() if key.endswith("_USER")} if shown else {}
        told: dict[str, str] = {}
        for key, each in stack.manifest.first_login.items():
            printed = await self._world.compose.run_in(stack, each.exec_, each.argv, user=each.user)
            if found := re.search(each.find, printed, re.MULTILINE):
                told[key] = found[1] if found.groups() else found[0]
        return ({"address": stack.address} if stack.address else {}) | users | shown | told

    async def first_login_once(self, name: str) -> dict[str, str] | None:
        """For the page, which others may look at later: None from the second time on."""
        key = f"first-login:{name}"
        if await self._world.store.noted(key):
            return None
        found = await self.first_login(name)
        await self._world.store.note(key, self._world.clock().isoformat())
        return found

    # -- whether it is as it should be

    async def drift(self, stack: Stack, containers: Sequence[Container]) -> list[Words]:
        """In sentences, what is not as it was set up; `containers` are the engine's, of all projects."""
        ours = [each for each in containers if each.project == stack.project]
        found = drift.of_containers(await self._world.compose.hashes(stack), ours)
        if stack.recipe.kept:
            there, _ = read_env(await self._world.files.read(stack.compose / ".env") or "")
            wanted, _ = read_env(await self._environment(stack))
            found += drift.of_env(wanted, there)
        return found

    # -- what the use cases need of a stack

    async def deploy(self, stack: Stack) -> None:
        """Lay out the Compose project and the folders, so that plain `docker compose` works in it.

        The stack's folder is root's alone: containers reach what they mount without walking through it, and whoever
        else has an account on this machine does not.
        """
        if not stack.recipe.kept:
            return
        files = self._world.files
        await self._world.moments.make_room(stack.home)
        await files.make_folder(stack.home, None, 0o700)
        await files.make_folder(stack.inner, None, 0o700)
        if stack.recipe.folder != stack.compose:
            await files.copy_tree(stack.recipe.folder, stack.compose)
        await self.furnish(stack)

    async def furnish(self, stack: Stack, secrets: Mapping[str, str] | None = None) -> None:
        """The environment file and the folders that a backup leaves out. `secrets`: others than the present ones."""
        if not stack.recipe.kept:
            return
        await self._world.files.write(stack.compose / ".env", await self._environment(stack, secrets))
        for path, owned in stack.manifest.folders.items():
            folder = stack.home / path
            if not await self._world.files.exists(folder):
                await self._world.files.make_folder(folder, owned.ids, int(owned.mode, 8))

    async def _environment(self, stack: Stack, secrets: Mapping[str, str] | None = None) -> str:
        kept = secrets if secrets is not None else await self._world.shelf.secrets(stack.name)
        return env_file(await self.derived(stack), kept)

    async def images(self, stack: Stack) -> dict[str, str]:
        """Service -> image. Those of a kept stack are known before it is laid out."""
        return stack.service_images if stack.recipe.kept else await self._world.compose.images(stack)

    async def missing_images(self, stack: Stack) -> list[str]:
        """Images that are not on this machine yet."""
        wanted = sorted(set((await self.images(stack)).values()) - {""})  # "": built on the spot
        return [image for image in wanted if await self._world.engine.image_id(image) is None]

    async def fetch_images(self, stack: Stack, run: Run) -> None:
        """All images are here before anything stops."""
        before = latest = Progress()

        def report(now: Progress) -> None:
            nonlocal latest
            latest = Progress(
                bytes_done=before.bytes_done + now.bytes_done,
                bytes_total=before.bytes_total + now.bytes_total,
                files_done=before.files_done + now.files_done,
                files_total=before.files_total + now.files_total,
            )
            run.report(latest)

        for image in await self.missing_images(stack):
            await self._world.engine.pull(image, report)
            before = latest

    async def want(self, name: str, wanted: Wanted) -> None:
        chosen = await self._world.shelf.chosen(name)
        if chosen is not None and chosen.wanted != wanted:
            await self._world.shelf.choose(name, chosen.model_copy(update={"wanted": wanted}))

    async def set_aside(self, name: str, job: int) -> Path:
        """Nothing is deleted here: a stack's folder goes to `.kept`, where it stays for some days."""
        kept = self._world.settings.folders.data / ".kept"
        await self._world.files.make_folder(kept, None, 0o700)
        await self._world.files.move(self.home(name), kept / f"{name}-{job}")
        return kept / f"{name}-{job}"


def added_note(name: str) -> str:
    """Under which key the store notes when a stack was added."""
    return f"added:{name}"

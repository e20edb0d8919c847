"""The plans: which steps, in which order, and what taking each back means."""

from gardien.model.plan import Json, Plan, Step
from gardien.model.stack import Recipe, Stack
from gardien.words import N_, Words


def backup(stack: Stack, target: str) -> Plan:
    """Two passes: one while people work, a short one while the application is paused.

    The undo of the pause comes first of all undos: nobody waits for our tidying up.
    """
    recipe = stack.manifest.backup
    paused = bool(recipe.pause or recipe.dumps)
    ready = Step(
        "ready",
        Words.of(N_("See that the disk, the application and the backup target are there")),
        details=(f"{target}: open",),
    )
    live = Step(
        "live",
        Words.of(N_("Save the files while people go on working")),
        Words.of(N_("Forget this first pass, delete the databases that were written out")),
        (f"restic backup {stack.home} -> {target}", *(f"left out: {path}" for path in recipe.leave_out)),
    )
    pause = Step(
        "pause",
        Words.of(N_("Pause the application")),
        Words.of(N_("Let the application go on")),
        tuple(action.words for action in recipe.pause),
    )
    dump = Step(
        "dump",
        Words.of(N_("Write the databases out and see that nothing is missing from them")),
        details=tuple(f"{name}: {dump.exec_}" for name, dump in recipe.dumps.items()),
    )
    final = Step("final", Words.of(N_("Save what changed since")), details=(f"restic backup {stack.home} -> {target}",))
    resume = Step(
        "resume", Words.of(N_("Let the application go on")), details=tuple(action.words for action in recipe.resume)
    )
    confirm = Step("confirm", Words.of(N_("See that the backup is complete and where it should be")))
    tidy = Step("tidy", Words.of(N_("Clear up")))
    steps = (ready, live, pause, dump, final, resume, confirm, tidy) if paused else (ready, final, confirm, tidy)
    return Plan(
        kind="backup",
        subject=stack.name,
        steps=steps,
        leases=(f"stack:{stack.name}", f"repository:{target}"),
        onward="resume" if paused else "confirm",
        facts={"target": target},
    )


def restore(recipe: Recipe, stack: Stack | None, target: str, facts: dict[str, Json]) -> Plan:
    """A copy beside, verified, swapped in; what was there is kept until the new state is healthy, and a while after.

    `stack` is what is there now, None if nothing is. After a crash a restore goes on: without it there may be nothing.
    """
    name = recipe.name
    present = stack is not None
    steps = (
        Step(
            "look",
            Words.of(N_("Find the backup and see that there is room for it")),
            details=(f"{target}: {facts.get('snapshot', '')}",),
        ),
        Step(
            "fetch",
            Words.of(N_("Fetch the files into a folder beside, reading each one back")),
            Words.of(N_("Delete the copy beside")),
        ),
        Step("verify", Words.of(N_("Compare what came back with what was saved"))),
        Step("images", Words.of(N_("See that the programs are here, fetch those that are not"))),
        Step(
            "stop",
            Words.of(N_("Stop the application")),
            Words.of(N_("Start the application again as it was")) if present else None,
            ("docker compose down",) if present else (),
        ),
        Step(
            "swap",
            Words.of(N_("Put the copy in place; what was there is set aside")),
            Words.of(N_("Put back what was there")),
        ),
        Step(
            "load",
            Words.of(N_("Load the databases")),
            Words.of(N_("Stop what was started")),
            tuple(f"{load.exec_} <- {load.input or ''}" for load in recipe.manifest.restore.load),
        ),
        Step(
            "start",
            Words.of(N_("Start the application")),
            Words.of(N_("Stop the application")),
            tuple(action.words for action in recipe.manifest.restore.after),
        ),
        Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
        Step("settle", Words.of(N_("Clear up; what was replaced is kept for some days"))),
    )
    return Plan(
        kind="restore",
        subject=name,
        steps=steps,
        leases=(f"stack:{name}", f"repository:{target}"),
        onward="look",
        facts={"target": target} | facts,
    )


def add(recipe: Recipe, settings: dict[str, Json], images: dict[str, Json]) -> Plan:
    """A new stack, from its folder to an application that answers."""
    return Plan(
        kind="add",
        subject=recipe.name,
        steps=(
            Step("check", Words.of(N_("See that the disk, the ports and Docker are there"))),
            Step(
                "write",
                Words.of(N_("Write its settings, make its secrets and its folders")),
                Words.of(N_("Take it off the list again and set its folder aside")),
            ),
            Step("images", Words.of(N_("See that the programs are here, fetch those that are not"))),
            Step("up", Words.of(N_("Start the application")), Words.of(N_("Stop the application"))),
            Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
        ),
        leases=(f"stack:{recipe.name}",),
        onward="write",
        facts={"settings": settings, "images": images},
    )


def start(stack: Stack) -> Plan:
    """Bring a stopped stack up."""
    return Plan(
        kind="start",
        subject=stack.name,
        steps=(
            Step("check", Words.of(N_("See that the disk is there"))),
            Step("up", Words.of(N_("Start the application")), Words.of(N_("Stop the application"))),
            Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
        ),
        leases=(f"stack:{stack.name}",),
        onward="up",
    )


def stop(stack: Stack) -> Plan:
    """Stop a stack; it stays stopped until somebody starts it."""
    return Plan(
        kind="stop",
        subject=stack.name,
        steps=(
            Step("down", Words.of(N_("Stop the application")), Words.of(N_("Start the application again as it was"))),
        ),
        leases=(f"stack:{stack.name}",),
        onward="down",
    )


def remove(stack: Stack) -> Plan:
    """Take a stack off the list. Its files and its backups stay."""
    return Plan(
        kind="remove",
        subject=stack.name,
        steps=(
            Step("down", Words.of(N_("Stop the application")), Words.of(N_("Start the application again as it was"))),
            Step("forget", Words.of(N_("Take it off the list; its files and its backups stay"))),
        ),
        leases=(f"stack:{stack.name}",),
        onward="down",
    )

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


def restore(recipe: Recipe, stack: Stack | None, target: str, facts: dict[str, Json], leases: tuple[str, ...]) -> Plan:
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
        leases=(*leases, f"repository:{target}"),
        onward="look",
        facts={"target": target} | facts,
    )


def _check() -> Step:
    return Step("check", Words.of(N_("See that the disk, the ports and Docker are there")))


def _images() -> Step:
    return Step("images", Words.of(N_("See that the programs are here, fetch those that are not")))


def _up(details: tuple[str, ...] = (), undo: Words | None = None) -> Step:
    return Step("up", Words.of(N_("Start the application")), undo, details)


def _gate() -> Step:
    return Step("gate", Words.of(N_("Wait until the application itself says that it is well")))


def _join(joined: tuple[str, ...]) -> tuple[Step, ...]:
    return (Step("join", Words.of(N_("Make it known to the other applications")), details=joined),) if joined else ()


def _down() -> Step:
    undo = Words.of(N_("Start the application again as it was"))
    return Step("down", Words.of(N_("Stop the application")), undo, ("docker compose down",))


def add(
    stack: Stack, settings: dict[str, Json], images: dict[str, Json], leases: tuple[str, ...], joined: tuple[str, ...]
) -> Plan:
    """A new stack, from its folder to an application that answers. Its programs are fetched before anything is made."""
    setup = stack.manifest.setup
    return Plan(
        kind="add",
        subject=stack.name,
        steps=(
            _check(),
            _images(),
            Step(
                "write",
                Words.of(N_("Write its settings, make its secrets and its folders")),
                Words.of(N_("Take it off the list again and set its folder aside")),
            ),
            _up(undo=Words.of(N_("Stop the application"))),
            _gate(),
            *(
                (Step("setup", Words.of(N_("Set it up")), details=tuple(action.words for action in setup)),)
                if setup
                else ()
            ),
            *_join(joined),
        ),
        leases=leases,
        onward="write",
        facts={"settings": settings, "images": images},
    )


def start(stack: Stack) -> Plan:
    """Bring a stopped stack up."""
    return Plan(
        kind="start",
        subject=stack.name,
        steps=(_check(), _up(undo=Words.of(N_("Stop the application"))), _gate()),
        leases=(f"stack:{stack.name}",),
        onward="up",
    )


def stop(stack: Stack) -> Plan:
    """Stop a stack; it stays stopped until somebody starts it."""
    undo = Words.of(N_("Start the application again as it was"))
    return Plan(
        kind="stop",
        subject=stack.name,
        steps=(Step("down", Words.of(N_("Stop the application")), undo, ("docker compose stop",)),),
        leases=(f"stack:{stack.name}",),
        onward="down",
    )


def restart(stack: Stack) -> Plan:
    """Stop and start what runs."""
    return Plan(
        kind="restart",
        subject=stack.name,
        steps=(
            _check(),
            Step("restart", Words.of(N_("Stop and start the application")), details=("docker compose restart",)),
            _gate(),
        ),
        leases=(f"stack:{stack.name}",),
        onward="restart",
    )


def mend(stack: Stack, drift: tuple[str, ...], leases: tuple[str, ...], joined: tuple[str, ...]) -> Plan:
    """Make what runs what was set up, and known to those who should know it."""
    return Plan(
        kind="mend",
        subject=stack.name,
        steps=(
            _check(),
            _images(),
            Step("write", Words.of(N_("Write its settings again"))),
            _up(drift),
            _gate(),
            *_join(joined),
        ),
        leases=leases,
        onward="write",
    )


def set_(
    stack: Stack,
    facts: dict[str, Json],
    differences: tuple[str, ...],
    leases: tuple[str, ...],
    joined: tuple[str, ...],
) -> Plan:
    """Other settings for a stack: back to the former ones if it does not get well with them."""
    write = Step(
        "write",
        Words.of(N_("Write its new settings")),
        Words.of(N_("Put the former settings back")),
        differences,
    )
    runs = stack.chosen.wanted == "running"
    return Plan(
        kind="set",
        subject=stack.name,
        steps=(_check(), _images(), write, *((_up(), _gate(), *_join(joined)) if runs else ())),
        leases=leases,
        onward=None,
        facts=facts,
    )


def remove(stack: Stack, last_backup: Plan | None, leases: tuple[str, ...], *, with_data: bool) -> Plan:
    """Take a stack off the list, after a last backup. Its backups stay, and its files unless the owner says otherwise.

    `last_backup`: the plan of one, whose steps come first; a stack that is switched off is started for it.
    """
    first: tuple[Step, ...] = ()
    onward = "down"
    if last_backup is not None:
        wake = () if stack.chosen.wanted == "running" else (_up(undo=Words.of(N_("Stop the application"))), _gate())
        first = (*wake, *last_backup.steps)
        leases = tuple(dict.fromkeys((*leases, *last_backup.leases)))
        onward = last_backup.onward or onward
    keep = Words.of(N_("Take it off the list; its files and its backups stay"))
    gone = Words.of(N_("Take it off the list; its backups stay"))
    wipe = Step("wipe", Words.of(N_("Delete its files and its secrets")), details=(str(stack.home),))
    return Plan(
        kind="remove",
        subject=stack.name,
        steps=(*first, _down(), Step("forget", gone if with_data else keep), *((wipe,) if with_data else ())),
        leases=leases,
        onward=onward,
        facts=(dict(last_backup.facts) if last_backup is not None else {}) | {"with_data": with_data},
    )

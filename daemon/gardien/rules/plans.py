"""The plans: which steps, in which order, and what taking each back means."""

from collections.abc import Sequence

from gardien.model.plan import Json, Plan, Step
from gardien.model.stack import Recipe, Stack
from gardien.words import N_, Words


def backup(stack: Stack, target: str, *, moment: bool = False) -> Plan:
    """Two passes: one while people work, one that reads what changed since while the application is paused, and sends
    it when it is open again. `moment`: the file system can hold one, and a single pass saves it afterwards.

    The undo of the pause comes first of all undos: nobody waits for our tidying up.
    """
    recipe = stack.manifest.backup
    steps: tuple[Step, ...]
    if not (recipe.pause or recipe.dumps):
        final = _save("final", Words.of(N_("Save the files while people go on working")), stack, target)
        steps, onward = (_ready(target), final, *_backed_up()), "confirm"
    elif moment:
        steps, onward = (*_one_pass(stack, target), *_backed_up()), "resume"
    else:
        steps, onward = (*_two_passes(stack, target), *_backed_up()), "confirm"
    return Plan(
        kind="backup",
        subject=stack.name,
        steps=steps,
        leases=(f"stack:{stack.name}", f"repository:{target}"),
        onward=onward,
        facts={"target": target, "moment": moment},
    )


def backup_steps(stack: Stack, target: str) -> tuple[Step, ...]:
    """The steps of a backup in two passes, for plans that hold one; where nothing is paused its pause does nothing."""
    return (*_two_passes(stack, target), *_backed_up())


def _two_passes(stack: Stack, target: str) -> tuple[Step, ...]:
    undo = Words.of(N_("Delete the databases that were written out"))
    live = _save("live", Words.of(N_("Save the files while people go on working")), stack, target, undo)
    final = _save("final", Words.of(N_("Read what changed since")), stack, target)
    send = Step("send", Words.of(N_("Send it")))
    return (_ready(target), live, *_pause(stack), final, _resume(stack), send)


def _one_pass(stack: Stack, target: str) -> tuple[Step, ...]:
    ready = _ready(target, Words.of(N_("Delete the databases that were written out, and the held moment")))
    moment = Step("moment", Words.of(N_("Hold the moment: a snapshot of all files")), details=(str(stack.home),))
    save = _save("save", Words.of(N_("Save the files as they were at that moment")), stack, target)
    return (ready, *_pause(stack), moment, _resume(stack), save)


def _ready(target: str, undo: Words | None = None) -> Step:
    says = Words.of(N_("See that the disk, the application and the backup target are there"))
    return Step("ready", says, undo, (f"{target}: open",))


def _save(name: str, says: Words, stack: Stack, target: str, undo: Words | None = None) -> Step:
    left_out = tuple(f"left out: {path}" for path in stack.manifest.backup.leave_out)
    return Step(name, says, undo, (f"restic backup {stack.home} -> {target}", *left_out))


def _pause(stack: Stack) -> tuple[Step, Step]:
    recipe = stack.manifest.backup
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
    return pause, dump


def _resume(stack: Stack) -> Step:
    resume = stack.manifest.backup.resume
    return Step("resume", Words.of(N_("Let the application go on")), details=tuple(action.words for action in resume))


def _backed_up() -> tuple[Step, Step]:
    confirm = Step("confirm", Words.of(N_("See that the backup is complete and where it should be")))
    return confirm, Step("tidy", Words.of(N_("Clear up")))


def restore(
    recipe: Recipe,
    stack: Stack | None,
    facts: dict[str, Json],
    leases: tuple[str, ...],
    why: Words | None = None,
) -> Plan:
    """A copy beside, verified, swapped in; what was there is kept until the new state is healthy, and a while after.

    `stack` is what is there now, None if nothing is; `why`: why this backup does not count. After a crash a restore
    goes on: without it there may be nothing.
    """
    present = stack is not None
    down = Step(
        "stop",
        Words.of(N_("Stop the application")),
        Words.of(N_("Start the application again as it was")) if present else None,
        ("docker compose down",) if present else (),
    )
    swap = Step(
        "swap",
        Words.of(N_("Put the copy in place; what was there is set aside")),
        Words.of(N_("Put back what was there")),
    )
    settle = Step("settle", Words.of(N_("Clear up; what was replaced is kept for some days")))
    steps = (_look(facts, why), *_fetch(), down, swap, *_come_up(recipe), settle)
    return Plan("restore", recipe.name, steps, leases, onward="look", facts=facts)


def restore_in_place(
    stack: Stack, safety: Plan, facts: dict[str, Json], leases: tuple[str, ...], why: Words | None = None
) -> Plan:
    """Where there is no room for two: a backup first (`safety`, its plan), then what is there gives way.

    From then on it goes forward after a crash; if it cannot, back to that backup.
    """
    steps = (
        _look(facts, why),
        *safety.steps,
        Step(
            "stop",
            Words.of(N_("Stop the application")),
            Words.of(N_("Start the application again as it was")),
            ("docker compose down",),
        ),
        Step(
            "clear",
            Words.of(N_("Delete what is there: it was just saved")),
            Words.of(N_("Bring back what was there, from the backup that was just made")),
            (str(stack.home),),
        ),
        *_fetch(),
        Step("swap", Words.of(N_("Put the copy in place")), Words.of(N_("Take it away again"))),
        *_come_up(stack.recipe),
        Step("settle", Words.of(N_("Clear up"))),
    )
    leases = tuple(dict.fromkeys((*leases, *safety.leases)))
    return Plan("restore", stack.name, steps, leases, onward="stop", facts=dict(safety.facts) | facts)


def _look(facts: dict[str, Json], why: Words | None) -> Step:
    says = Words.of(N_("Find the backup and see that there is room for it"))
    if why is not None:
        says = Words.of(N_("Find the backup, which is incomplete ({why}), and see that there is room for it"), why=why)
    places = facts.get("places")
    listed = [each for each in places if isinstance(each, list)] if isinstance(places, list) else []
    return Step("look", says, details=tuple(f"{target}: {snapshot}" for target, snapshot in listed))


def _fetch() -> tuple[Step, ...]:
    return (
        Step(
            "fetch",
            Words.of(N_("Fetch the files into a folder beside, reading each one back")),
            Words.of(N_("Delete the copy beside")),
        ),
        Step("verify", Words.of(N_("Compare what came back with what was saved"))),
        Step("images", Words.of(N_("See that the programs are here, fetch those that are not"))),
    )


def _come_up(recipe: Recipe) -> tuple[Step, ...]:
    manifest = recipe.manifest.restore
    return (
        Step(
            "load",
            Words.of(N_("Load the databases")),
            Words.of(N_("Stop what was started")),
            tuple(f"{load.exec_} <- {load.input or ''}" for load in manifest.load),
        ),
        Step(
            "start",
            Words.of(N_("Start the application")),
            Words.of(N_("Stop the application")),
            tuple(action.words for action in (*manifest.after, *manifest.older)),
        ),
        Step("gate", Words.of(N_("Wait until the application itself says that it is well"))),
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


def copy(target: str, source: str, snapshots: Sequence[str]) -> Plan:
    """From one repository to another. Nothing has to be taken back: what was sent is there when it goes on."""
    steps = (
        Step(
            "look",
            Words.of(N_("See that both backup targets are there, and what one lacks")),
            details=(f"{source} -> {target}", *snapshots),
        ),
        Step("send", Words.of(N_("Send what is missing")), details=(f"restic copy {source} -> {target}",)),
        Step("confirm", Words.of(N_("See that it arrived"))),
    )
    leases = (f"repository:{target}", f"repository:{source}")
    return Plan("copy", target, steps, leases, onward="look", facts={"source": source})


def check(target: str, part: tuple[int, int]) -> Plan:
    """`part`: n of t parts of all data is read."""
    number, of = part
    steps = (
        Step("look", Words.of(N_("See that the backup target is there"))),
        Step(
            "read",
            Words.of(N_("Look whether the backups are whole, and read a part of them byte by byte")),
            details=(f"restic check --read-data-subset={number}/{of}",),
        ),
        Step("note", Words.of(N_("Write down what was found"))),
    )
    return Plan("check", target, steps, (f"repository:{target}",), onward="look", facts={"part": number, "of": of})


def forget(target: str, proposed: Sequence[str]) -> Plan:
    """`proposed`: what would go if it were done now. The rule is asked again when it is."""
    steps = (
        Step("look", Words.of(N_("Compare what is there with what should be"))),
        Step("rule", Words.of(N_("Decide which old backups may go")), details=tuple(proposed)),
        Step("forget", Words.of(N_("Let them go"))),
        Step("settle", Words.of(N_("Write down what was done"))),
    )
    return Plan("forget", target, steps, (f"repository:{target}",), onward="look")


def prune(target: str) -> Plan:
    """Give back the room of what was forgotten."""
    steps = (
        Step("look", Words.of(N_("See that the backup target is there"))),
        Step("prune", Words.of(N_("Give back the room of what was cleared out")), details=("restic prune",)),
        Step("settle", Words.of(N_("Write down what was done"))),
    )
    return Plan("prune", target, steps, (f"repository:{target}",), onward="look")


def proof(target: str) -> Plan:
    """Nothing is changed, and nothing kept waiting: reading takes no lock."""
    steps = (
        Step("look", Words.of(N_("See that the recovery sheet is up to date"))),
        Step("read", Words.of(N_("Open the newest backup with its key, and read in it"))),
        Step("note", Words.of(N_("Write down what was found"))),
    )
    return Plan("proof", target, steps, (), onward="look")


def rekey(target: str) -> Plan:
    """The sheet with the new key is confirmed. Nothing is taken back: both keys open until the last step."""
    steps = (
        Step("swap", Words.of(N_("Take the new recovery key for this machine’s own"))),
        Step("drop", Words.of(N_("Take the old key away")), details=("restic key remove",)),
    )
    return Plan("rekey", target, steps, (f"repository:{target}",), onward="swap")


def put_back(stack: Stack, facts: dict[str, Json], told: Sequence[str]) -> Plan:
    """One file or folder from a backup, in its old place. `told`: what is done in the application then.

    Past the swap a job that died goes on: what is put back is whole.
    """
    swap = N_("Put it in its place, in one stroke; what was there is set aside")
    if stack.manifest.backup.dumps:
        swap = N_(
            "Put it in its place, in one stroke; what was there is set aside. What the application keeps about it in "
            "its database, such as shares and tags, does not come back with it"
        )
    steps = (
        Step("look", Words.of(N_("See that there is room for it, and that nothing is in the way"))),
        Step(
            "fetch",
            Words.of(N_("Fetch it into a folder beside, reading it back")),
            Words.of(N_("Delete the copy beside")),
        ),
        Step("verify", Words.of(N_("Compare what came back with what was saved"))),
        Step("swap", Words.of(swap), Words.of(N_("Put back what was there"))),
        *((Step("tell", Words.of(N_("Tell the application of it")), details=tuple(told)),) if told else ()),
        Step("settle", Words.of(N_("Clear up; what was replaced is kept for some days"))),
    )
    leases = (f"stack:{stack.name}", f"repository:{facts['target']}")
    return Plan("put-back", stack.name, steps, leases, onward="swap", facts=facts)

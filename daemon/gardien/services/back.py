"""The sentence a restore ends on."""

from gardien.model.stack import Stack
from gardien.services.runner import Run
from gardien.words import N_, Words

TOLD = 5  # names that stand in it


def how_it_went(run: Run, stack: Stack) -> Words:
    """The sentence a restore ends on, with all that its owner must know."""
    said = Words.of(
        N_("{stack} is back as of {taken}; it answers; {files} files, all verified"),
        stack=stack.manifest.title.given,
        taken=run.text("saved_at")[:16].replace("T", " "),
        files=int(run.text("count")),
    )
    why, left_out, silent = (run.facts.get(fact) for fact in ("why", "left_out", "silent"))
    if isinstance(why, dict):
        said = Words.of(N_("{said}. This backup is incomplete: {why}"), said=said, why=Words.from_json(why))
    if isinstance(left_out, list) and left_out:
        names = ", ".join(str(each) for each in left_out[:TOLD]) + (", …" if len(left_out) > TOLD else "")
        said = Words.of(
            N_("{said}. {count} things could have given power over this machine, and came back without it: {names}"),
            said=said,
            count=len(left_out),
            names=names,
        )
    for each in silent if isinstance(silent, list) else []:
        assert isinstance(each, list)
        assert isinstance(each[1], dict)
        said = Words.of(
            N_("{said}. It came from {place}, since the nearer place would not do: {why}"),
            said=said,
            place=run.text("place"),
            why=Words.from_json(each[1]),
        )
    return said

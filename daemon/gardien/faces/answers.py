"""What a person answers to a stack's questions: on the command line, in a file, or when asked."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import click

from gardien.errors import BadInput
from gardien.faces.call import Told
from gardien.faces.session import Command, Data, Session
from gardien.model.fault import Fault, Faults
from gardien.words import N_, Words

LINE = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)=(.*)")
WISHES = ("no-space", "refused")  # codes of refusals that the owner may overrule


@dataclass
class Answers:
    """Values by name, and where those stand that came from a file."""

    values: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    lines: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Whatever the daemon finds wrong with these answers is told with its line in the file."""
        try:
            yield
        except Told as error:
            at_fault = [fault for fault in error.data.get("faults", []) if fault["path"] in self.lines]
            for fault in at_fault:
                fault.update(file=str(self.file), line=self.lines[fault["path"]])
            if at_fault and not error.detail:  # a single mistake, which its sentence says: now it has a place, too
                error.detail = error.data["detail"] = f"{self.file}:{at_fault[0]['line']}"
            raise


def answering(command: Command) -> Command:
    """`--set` and `--settings`."""
    one = click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="One setting; may be repeated.")
    file = click.option(
        "--settings",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Settings as YAML or NAME=VALUE lines.",
    )
    return one(file(command))


def given(pairs: Sequence[str], file: Path | None) -> Answers:
    """What stands in `file`, and what the command line says, which goes before. Raises BadInput, click.BadParameter."""
    answers = read(file) if file is not None else Answers()
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE", param_hint="--set")
        answers.values[name] = value
        answers.lines.pop(name, None)
    return answers


def read(file: Path) -> Answers:
    """A file of settings, a YAML mapping or lines of NAME=VALUE. Raises BadInput, with all mistakes and their lines."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadInput(
            N_("cannot read {file}: {why}"), N_("Name a file with your settings."), file=str(file), why=why
        ) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found = list(_lines(text, file) if lines and LINE.fullmatch(lines[0]) else _yaml(text, file))
    answers = Answers(file=file)
    faults = [each for each in found if isinstance(each, Fault)]
    for each in found:
        if not isinstance(each, Fault):
            name, value, line = each
            if name in answers.lines:
                says = Words.of(N_("{name} stands in line {line} already"), name=name, line=answers.lines[name])
                faults.append(_fault(file, line, name, says))
            answers.values[name], answers.lines[name] = value, line
    if faults:
        raise Faults(faults)
    return answers


Found = Iterator[tuple[str, str, int] | Fault]


def _lines(text: str, file: Path) -> Found:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if written := LINE.fullmatch(line):
            yield written[1], written[2].strip(), number
        else:
            yield _fault(file, number, "", Words.of(N_("this line is not NAME=VALUE")))


def _yaml(text: str, file: Path) -> Found:
    """Values are taken as they are written: a version 1.10 stays one."""
    from ruamel.yaml import YAML  # noqa: PLC0415
    from ruamel.yaml.error import MarkedYAMLError, YAMLError  # noqa: PLC0415
    from ruamel.yaml.nodes import MappingNode, ScalarNode  # noqa: PLC0415

    try:
        root = YAML(typ="safe", pure=True).compose(text)
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        why = (error.problem if isinstance(error, MarkedYAMLError) else None) or str(error).partition("\n")[0]
        yield _fault(file, mark.line + 1 if mark else 0, "", Words.of(N_("is not YAML: {why}"), why=why))
        return
    if root is None:
        return
    if not isinstance(root, MappingNode):
        yield _fault(file, root.start_mark.line + 1, "", Words.of(N_("this is not a list of `NAME: value`")))
        return
    for key, value in root.value:
        line = key.start_mark.line + 1
        if isinstance(key, ScalarNode) and isinstance(value, ScalarNode):
            empty = (value.tag or "").endswith(":null") and value.style is None
            yield key.value, "" if empty else value.value, line
        else:
            yield _fault(
                file, line, str(key.value) if isinstance(key, ScalarNode) else "", Words.of(N_("this is not one value"))
            )


def _fault(file: Path, line: int, name: str, says: Words) -> Fault:
    return Fault((name,) if name else (), says, Words.of(N_("Correct this line.")), file, line)


# -- asking


def ask(session: Session, stack: str, answers: Answers, *, anyway: bool) -> bool:
    """Ask for every setting that was not given; what is wrong is asked for again.

    Returns whether the owner wants the stack although gardien holds the machine for too small. Raises Told.
    """
    offers = {each["name"]: each for each in session.daemon.get("stacks", "available")["stacks"]}
    offer = offers.get(stack, {})
    if offer.get("added") or "settings" not in offer:
        return anyway  # the daemon says what is wrong
    terminal = session.terminal
    terminal.offer(offer, [name for name, each in offers.items() if each.get("door")])
    questions = [setting for setting in offer["settings"] if setting["name"] not in answers.values]
    while True:
        for question in questions:
            answers.values[question["name"]] = _answer(session, question)
        try:
            with answers.located():
                session.daemon.post("stacks", name=stack, settings=answers.values, anyway=anyway or None, dry_run=True)
        except Told as error:
            wrong = {fault["path"] for fault in error.data.get("faults", [])}
            questions = [setting for setting in offer["settings"] if setting["name"] in wrong]
            if wrong and wrong == {setting["name"] for setting in questions}:
                terminal.error(error)
                click.echo(err=True)
            elif not anyway and error.code in WISHES and _wished(session, stack, answers, error):
                anyway, questions = True, []
            else:
                raise
        else:
            return anyway


def _answer(session: Session, question: Data) -> str:
    session.terminal.question(question)
    default = question["default"]
    # No default is shown where it is empty: click would draw empty brackets.
    return str(click.prompt(f"{question['ask']} ({question['name']})", default=default, show_default=bool(default)))


def _wished(session: Session, stack: str, answers: Answers, refusal: Told) -> bool:
    """Whether it could be added all the same, and the owner wants that."""
    try:
        session.daemon.post("stacks", name=stack, settings=answers.values, anyway=True, dry_run=True)
    except Told:
        return False
    session.terminal.error(refusal)
    return session.ask(session.terminal.tr(N_("Add it all the same?")))

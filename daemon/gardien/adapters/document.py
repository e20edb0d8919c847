"""YAML as people write it: every mistake at once, each with its line."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode
from ruamel.yaml.reader import ReaderError

from gardien.model.fault import Fault, Faults, Key, nearest
from gardien.model.settings import HOST, NAME
from gardien.words import N_, Value, Words

Model = TypeVar("Model", bound=BaseModel)

ODD = Words.of(N_("Compare it with the example in the documentation."))


@dataclass(frozen=True, slots=True)
class Document:
    """One mapping, and which line each of its keys stands on."""

    file: Path
    data: dict[str, Any]
    root: Node
    doubles: tuple[Fault, ...] = ()  # keys written twice

    def line(self, at: Iterable[Key]) -> int:
        """The line, from 1, of the last key of `at` that is written down."""
        return _follow(self.root, at)[0]

    def real(self, at: Iterable[Key]) -> tuple[Key, ...]:
        """`at` without the steps pydantic adds that nobody wrote: a union's tag, the mark of a key."""
        return _follow(self.root, at)[1]

    def place(self, faults: Iterable[Fault]) -> list[Fault]:
        """Give each fault this file and its line."""
        return [replace(fault, file=self.file, line=self.line(fault.at)) for fault in faults]


def read(text: str, file: Path) -> Document:
    """Parse `text`. Raises `Faults` for bad YAML and for anything but a mapping at the top."""
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # found below, all at once
    doubles: list[Fault] = []
    try:
        root = yaml.compose(text)
        doubles.extend(_doubles(root, (), set(), file))  # before merged keys are put among a mapping's own
        data = yaml.constructor.construct_document(root) if root is not None else None
    except YAMLError as error:
        _unreadable(error, text, file)
    if not isinstance(data, dict):
        says = N_("the file is empty") if data is None else N_("the file does not hold “name: value” lines")
        raise Faults([Fault((), Words.of(says), ODD, file, 1)])
    return Document(file, data, root, tuple(doubles))


def validate(model: type[Model], document: Document, at: tuple[str, ...] = ()) -> Model:
    """Make `model` of the document, or of its part `at`. Raises `Faults`, keys written twice among them."""
    data: object = document.data
    for key in at:
        data = data[key] if isinstance(data, dict) else None
    found: list[ErrorDetails] = []
    try:
        made = model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
    if not found and not document.doubles:
        return made
    schema = model.model_json_schema()
    faults = [_in_words(each, schema) for each in found]
    placed = document.place(replace(fault, at=document.real((*at, *fault.at))) for fault in faults)
    raise Faults([*document.doubles, *placed])


def _unreadable(error: YAMLError, text: str, file: Path) -> NoReturn:
    why, line = str(error), 1
    if isinstance(error, MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        why, line = str(error.problem or error.context), mark.line + 1 if mark else 1
    elif isinstance(error, ReaderError):
        why, line = str(error.reason), text.count("\n", 0, error.position) + 1
    raise Faults(
        [
            Fault(
                (),
                Words.of(N_("this cannot be read as YAML: {why}"), why=why),
                Words.of(
                    N_(
                        "Look at line {line} and the one before it: usual causes are a missing space after a colon, "
                        "a quote that is not closed, and a tab."
                    ),
                    line=line,
                ),
                file,
                line,
            )
        ]
    ) from error


def _doubles(node: Node | None, at: tuple[Key, ...], seen: set[int], file: Path) -> Iterator[Fault]:
    """The keys that stand twice in one mapping; only the last of each is kept."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, MappingNode):
        pairs: dict[str, tuple[Node, Node]] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in pairs:
                says = Words.of(N_("{key} is written twice"), key=name)
                other = pairs[name][0].start_mark.line + 1
                remedy = Words.of(N_("Keep one of the two, here or on line {other}."), other=other)
                yield Fault((*at, name), says, remedy, file, key.start_mark.line + 1)
            pairs[name] = key, value
        node.value = list(pairs.values())
        for name, (_, value) in pairs.items():
            yield from _doubles(value, (*at, name), seen, file)
    elif isinstance(node, SequenceNode):
        for index, value in enumerate(node.value):
            yield from _doubles(value, (*at, index), seen, file)


def _follow(node: Node, at: Iterable[Key]) -> tuple[int, tuple[Key, ...]]:
    line = node.start_mark.line + 1
    steps = list(at)
    real: list[Key] = []
    for number, key in enumerate(steps):
        if isinstance(node, MappingNode):
            # The last one wins: merged keys (`<<`) were put before a mapping's own when it was constructed.
            pair = next((pair for pair in reversed(node.value) if pair[0].value == str(key)), None)
            if pair is not None:
                line, node = pair[0].start_mark.line + 1, pair[1]
                real.append(key)
                continue
        elif isinstance(node, SequenceNode) and isinstance(key, int) and key < len(node.value):
            node = node.value[key]
            line = node.start_mark.line + 1
            real.append(key)
            continue
        if number == len(steps) - 1 and key != "[key]":
            real.append(key)
    return line, tuple(real)


# What a pattern of the model asks of a person. A test holds that none is missing.
PATTERNS: Mapping[str, str] = {
    rf"^({HOST})\Z": N_("Write a host name or an IP address."),
    rf"^{NAME}\Z": N_("Use small letters, digits and dashes, beginning with a letter, at most 31."),
    rf"^(?!-)[A-Za-z0-9_.+-]{{1,64}}@({HOST})\Z": N_("Write a mail address such as owner@practice.example."),
    r"^[a-z0-9][a-z0-9-]{0,62}\Z": N_("Use small letters, digits and dashes, at most 63."),
    r"^(https://|/)\S+\Z": N_("Write an address that begins with https://, or a folder that begins with /."),
    r"^[A-Z]{2}\Z": N_("Write a country by its two letters, such as FR."),
    r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d\Z": N_("Write hours such as 08:00-20:00."),
    r"^[1-9]\d{0,6} (KiB|MiB)/s\Z": N_("Write a speed such as 500 KiB/s or 2 MiB/s."),
    rf"^https?://({HOST})(:[0-9]{{1,5}})?(/[A-Za-z0-9._~-]+)*/?\Z": N_(
        "Write an address such as https://backup.example/gardien, without a login in it."
    ),
    r"^[a-z0-9][a-z0-9._-]{1,62}\Z": N_("Use small letters, digits and . _ -, at most 63."),
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z": N_(
        "Write a path without a leading slash, of letters, digits and . _ / -"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z": N_("Use letters, digits, dashes and underscores, at most 63."),
    r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\Z": N_("Use letters, digits and . _ @ -"),
    r"^[A-Za-z0-9_./][A-Za-z0-9_./ -]{0,199}\Z": N_("Write a folder of letters, digits, spaces and . _ / -"),
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/=]+( .*)?\Z": N_(
        "Write the host's public key, such as “ssh-ed25519 AAAA…”; ssh-keyscan shows it."
    ),
    r"^[A-Z][A-Z0-9_]*_IMAGE\Z": N_("Use capital letters, digits and underscores, ending in _IMAGE."),
    r"^[A-Z][A-Z0-9_]*\Z": N_("Use capital letters, digits and underscores, beginning with a letter."),
    r"^[a-z0-9][a-z0-9_-]*\Z": N_("Use small letters, digits, dashes and underscores."),
    r"^[a-z0-9][a-z0-9._-]*\Z": N_("Write a file name of small letters, digits and . _ -"),
    r"^[a-z0-9][a-z0-9_-]*:[1-9][0-9]{0,4}\Z": N_("Write a service and its port, such as app:80."),
    r"^/[A-Za-z0-9._~/-]*\Z": N_("Write a path that begins with /, of letters, digits and . _ ~ / -"),
    r"^https://[^\s\"<>]+\Z": N_("Write an address that begins with https://."),
    r"^[a-z0-9-]+(\.[a-z0-9-]+)+\Z": N_("Write the end of a host name in small letters, such as storage.example."),
    r"^\d+:\d+\Z": N_("Write two numbers, user:group, such as 33:33."),
    r"^0[0-7]{3}\Z": N_('Write four octal digits in quotes, such as "0755".'),
}

# The rest of pydantic's types; the values come from its context, {key} and {value} from us.
SENTENCES: Mapping[str, str] = {
    "int": N_("{key} must be a whole number, and is {value}"),
    "float": N_("{key} must be a number, and is {value}"),
    "bool": N_("{key} must be true or false, and is {value}"),
    "string": N_("{key} must be text, and is {value}"),
    "path": N_("{key} must be a path, and is {value}"),
    "dict": N_("{key} must be a block of “name: value” lines"),
    "model": N_("{key} must be a block of “name: value” lines"),
    "tuple": N_("{key} must be a list"),
    "greater_than_equal": N_("{key} must be at least {ge}, and is {value}"),
    "greater_than": N_("{key} must be more than {gt}, and is {value}"),
    "less_than_equal": N_("{key} must be at most {le}, and is {value}"),
    "less_than": N_("{key} must be less than {lt}, and is {value}"),
    "string_too_long": N_("{key} is longer than {max_length} characters"),
    "string_too_short": N_("{key} is shorter than {min_length} characters"),
    "too_short": N_("{key} needs at least {min_length}"),
    "too_long": N_("{key} may have at most {max_length}"),
}
# What the model's own validators say.
OWN: Mapping[str, str] = {
    "must be an absolute path, starting with /": N_("{key} must be an absolute path, starting with /"),
    "must be a path inside the stack's folder, without '..'": N_(
        "{key} must be a path inside the stack's folder, without “..”"
    ),
    "a probe asks in exactly one way: http, tcp or exec": N_("{key} asks in exactly one way: http, tcp or exec"),
    "exec and argv belong together": N_("{key}: exec and argv belong together"),
    "an action is exactly one of exec, wait, stop, start": N_("{key} is exactly one of exec, wait, stop, start"),
    "choices belong to the kind choice, and to no other": N_(
        "{key}: choices belong to the kind choice, and to no other"
    ),
    "a stack that is paused must say how it is resumed": N_("{key} has a pause and must say how to resume"),
    "tags needs groups that are called major, minor or patch, and no others": N_(
        "{key}: its tags needs groups that are called major, minor or patch, and no others"
    ),
    "every group in tags has a name; one that needs none is written (?:…)": N_(
        "{key}: every group in its tags has a name; one that needs none is written (?:…)"
    ),
    "majors belong to tags that name a major": N_("{key}: majors belong to tags that name a major"),
    "a lone $ is read by Compose as a variable: write $$ for a dollar": N_(
        "{key} has a lone $, which Compose reads as a variable: write $$ for a dollar"
    ),
}


def _in_words(error: ErrorDetails, schema: dict[str, Any]) -> Fault:
    at = error["loc"]
    kind, context = error["type"], error.get("ctx", {})
    named = [key for key in at if isinstance(key, str) and key != "[key]"]
    key = named[-1] if named else "x-gardien"
    if at and isinstance(at[-1], int):
        key = f"{key}[{at[-1]}]"
    values: dict[str, Value] = {"key": key, "value": _shown(error["input"])}
    values |= {name: value for name, value in context.items() if isinstance(value, str | int | float)}

    def fault(text: str, remedy: Words = ODD, **more: Value) -> Fault:
        holes = re.findall(r"\{(\w+)\}", text)
        return Fault(at, Words(text, {hole: {**values, **more}[hole] for hole in holes}), remedy)

    if at and at[-1] == "[key]":
        return fault(N_("{key} cannot be a name here"), Words(PATTERNS.get(str(context.get("pattern")), ODD.text)))
    if kind == "missing":
        return fault(N_("{key} is missing"), Words.of(N_("Add a line “{key}: …” here."), key=key))
    if kind == "extra_forbidden":
        return fault(N_("{key} is not known here"), nearest(key, _known(schema, at[:-1])))
    if kind in {"literal_error", "union_tag_invalid"}:
        known = re.findall(r"'([^']*)'", str(context.get("expected") or context.get("expected_tags")))
        value = _shown(context["tag"]) if "tag" in context else values["value"]
        return fault(N_("{key} cannot be {value}"), nearest(str(value), known), value=value)
    if kind == "union_tag_not_found":
        return fault(
            N_("{key} does not say its {what}"),
            Words.of(N_("Add a line “{key}: …” here."), key=str(context["discriminator"]).strip("'")),
            what=str(context["discriminator"]).strip("'"),
        )
    if kind == "string_pattern_mismatch":
        return fault(N_("{key} cannot be {value}"), Words(PATTERNS[str(context["pattern"])]))
    if kind == "value_error":
        why = str(context["error"])
        return fault(OWN[why]) if why in OWN else fault(N_("{key} cannot be used: {why}"), why=why)
    if kind == "string_type" and isinstance(error["input"], int | float):
        return fault(SENTENCES["string"], Words.of(N_('Write it in quotes: "{value}".'), value=str(error["input"])))
    text = SENTENCES.get(kind) or SENTENCES.get(kind.split("_")[0])
    return fault(text) if text else fault(N_("{key} cannot be used: {why}"), why=error["msg"])


def _shown(value: object) -> str:
    text = " ".join(str(value).split())
    return f"“{text if len(text) <= 60 else text[:57] + '…'}”"


def _known(schema: dict[str, Any], at: Iterable[Key]) -> list[str]:
    """The keys that `schema` knows below `at`."""

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return node

    node = resolve(schema)
    for key in at:
        if "oneOf" in node:  # a union: the key is its tag
            node = resolve({"$ref": node["discriminator"]["mapping"][key]})
            continue
        node = next((option for option in node.get("anyOf", []) if option.get("type") != "null"), node)
        node = resolve(node)
        if isinstance(key, int):
            node = node.get("items", {})
        elif key in node.get("properties", {}):
            node = node["properties"][key]
        else:
            patterns = list(node.get("patternProperties", {}).values())
            node = patterns[0] if patterns else node.get("additionalProperties", {})
        node = resolve(node)
    return list(node.get("properties", {}))

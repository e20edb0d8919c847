"""`NAME='value'` files: written by a serializer that refuses what Compose could read in another way."""

import re
from collections.abc import Iterator, Mapping

from gardien.errors import BadInput
from gardien.model.stack import Stack
from gardien.rules.kinds import check_settings
from gardien.words import N_

_LINE = re.compile(r"([A-Z][A-Z0-9_]*)='([^'\\]*)'")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def env_file(stack: Stack, secrets: Mapping[str, str]) -> str:
    """What Compose is given for this stack: DATA, what nobody chose (by name), settings, images, secrets.

    Raises BadInput for a value that does not fit its kind, or a secret that is missing: Compose would put its default.
    """
    check_settings(stack.recipe, {**stack.settings, **stack.images})
    missing = [name for name in stack.manifest.secrets if not secrets.get(name)]
    if missing:
        raise BadInput(
            N_("the secrets of {stack} lack {names}"),
            N_("Bring the file of its secrets back from a backup; new ones would not open the old data."),
            stack=stack.name,
            names=", ".join(missing),
        )
    wanted = {name: secrets[name] for name in stack.manifest.secrets}
    told = {name: stack.given[name] for name in sorted({*stack.given, *stack.manifest.derived} - {"DATA"})}
    return write_env({"DATA": str(stack.home), **told, **stack.settings, **stack.images, **wanted})


def write_env(values: Mapping[str, str]) -> str:
    """One `NAME='value'` a line. Raises BadInput for what cannot stand between single quotes; never shows a value."""
    lines = []
    for name, value in values.items():
        if not _NAME.fullmatch(name) or not value.isprintable() or "'" in value or "\\" in value:
            raise BadInput(
                N_("{name} cannot be handed to Compose: it holds a quote, a backslash or an invisible character"),
                N_("Write it without."),
                name=name if name.isprintable() else repr(name),
            )
        lines.append(f"{name}='{value}'\n")
    return "".join(lines)


def read_env(text: str) -> tuple[dict[str, str], list[int]]:
    """The values of a file that `write_env` wrote, and the numbers of the lines that it cannot have written."""
    values: dict[str, str] = {}
    odd: list[int] = []
    for number, name, value in _entries(text):
        if name is None or value is None or name in values:
            odd.append(number)
        else:
            values[name] = value
    return values, odd


def _entries(text: str) -> Iterator[tuple[int, str | None, str | None]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.startswith("#"):
            found = _LINE.fullmatch(line)
            yield (number, found[1], found[2]) if found and found[2].isprintable() else (number, None, None)

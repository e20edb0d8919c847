"""What the owner may answer to a stack's questions: full-match allow-lists, so that no answer means more than itself.

Answers reach Compose through a `.env` file, and from there environments and arguments of containers.
"""

import re
from collections.abc import Mapping

from gardien.model.fault import Fault, Faults, nearest
from gardien.model.settings import HOST
from gardien.model.stack import Recipe
from gardien.words import N_, Words

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
IMAGE = rf"{_PART}(?::[0-9]{{1,5}})?(?:/{_PART})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
_FORMS: Mapping[str, tuple[re.Pattern[str], int]] = {
    "host": (re.compile(HOST), 253),
    "port": (re.compile("[1-9][0-9]{0,4}"), 5),
    "name": (re.compile("[A-Za-z0-9._][A-Za-z0-9._-]*"), 100),
    "text": (re.compile(r"(?!-)[^'\"\\$`]*"), 200),
    "image": (re.compile(IMAGE), 400),
}
_ASKS: Mapping[str, str] = {
    "host": N_("{key} must be a host name or an IP address"),
    "port": N_("{key} must be a number from 1 to 65535"),
    "name": N_("{key} may hold letters, digits and . _ - only, and must not begin with a dash"),
    "text": N_(
        "{key} must be one line, at most 200 characters, without quotes, $, \\ and `, not beginning with a dash"
    ),
    "image": N_("{key} must be the name of an image, such as registry.example/nextcloud:34.0.3-apache"),
}
_REMEDY = N_("Write it differently.")


def fits(kind: str, value: str) -> bool:
    """Whether `value` is an answer of this kind: host, port, name, text or image."""
    form, longest = _FORMS[kind]
    if len(value) > longest or not value.isprintable() or not form.fullmatch(value):
        return False
    return kind != "port" or int(value) <= 65535


def misfit(kind: str, key: str, value: str) -> Fault | None:
    """The fault of `value` as an answer to `key`, if there is one."""
    return None if fits(kind, value) else Fault((key,), Words.of(_ASKS[kind], key=key), Words(_REMEDY))


def misfits(recipe: Recipe, values: Mapping[str, str]) -> list[Fault]:
    """The faults of answers to a stack's questions, or of images chosen for it."""
    kinds = {name: setting.kind for name, setting in recipe.manifest.settings.items()}
    known: dict[str, str] = {**kinds, **dict.fromkeys(recipe.image_defaults, "image")}
    faults = []
    for key, value in values.items():
        if key in known:
            faults.append(misfit(known[key], key, value))
        else:
            says = Words.of(N_("{stack} has no setting {key}"), stack=recipe.name, key=key)
            faults.append(Fault((key,), says, nearest(key, known)))
    return [fault for fault in faults if fault]


def check_settings(recipe: Recipe, values: Mapping[str, str]) -> None:
    """Raise `Faults` (a `BadInput`) unless every value may be given to this stack."""
    if faults := misfits(recipe, values):
        raise Faults(faults)

"""Presets: what in them contradicts itself, and how a target is made of one and a person's answers."""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from pydantic import BaseModel

from gardien.model.fault import Fault, Faults, Key, nearest
from gardien.model.preset import Preset
from gardien.model.settings import LocalTarget, RestTarget, S3Target, SftpTarget
from gardien.words import N_, Value, Words

_KINDS: Mapping[str, type[BaseModel]] = {"local": LocalTarget, "sftp": SftpTarget, "s3": S3Target, "rest": RestTarget}
# What a person may answer beside what the preset asks: fields of the kind that have no option of their own.
_OPTIONS = {"kind", "at", "keep", "append_only", "copy_of", "law_accepted", "upload_limit"}
_OURS = {"key", "host_key"}  # made and pinned by gardien
_HOLE = re.compile(r"\{(\w+)\}")
_SAID = {"public_key", *(name for kind in _KINDS.values() for name in kind.model_fields)}


def faults_of(preset: Preset) -> Iterator[Fault]:
    """What a schema cannot say of a preset."""
    yield from _fields(preset)
    yield from _holes(preset)
    yield from _recognised(preset)


def _sited(preset: Preset) -> bool:
    """Whether each of its regions has an address of its own."""
    return any(each.endpoint for each in preset.regions.values())


def _fields(preset: Preset) -> Iterator[Fault]:
    fields = set(_KINDS[preset.kind].model_fields) - _OPTIONS - _OURS
    for at in [("given", name) for name in preset.given] + [("ask", name) for name in preset.ask]:
        if at[1] not in fields:
            yield _fault(at, N_("a target of the kind {kind} has no {key}"), kind=preset.kind, key=at[1])
        elif _sited(preset) and at[1] in {"region", "endpoint"}:
            yield _fault(at, N_("{key} follows from the region"), key=at[1])


def _holes(preset: Preset) -> Iterator[Fault]:
    texts: list[tuple[tuple[Key, ...], str, set[str]]] = [
        (("given", name), text, set(preset.ask)) for name, text in preset.given.items()
    ]
    texts += [(("click",), preset.click.en + preset.click.fr, _SAID)]
    texts += [(("protect",), preset.protect.en + preset.protect.fr, _SAID)]
    for at, text, known in texts:
        for hole in _HOLE.findall(text):
            if hole not in known:
                yield _fault(at, N_("nothing is asked that could stand for {hole}"), hole=hole)


def _recognised(preset: Preset) -> Iterator[Fault]:
    if bool(preset.operator) != bool(preset.suffixes):
        yield _fault(("suffixes",), N_("an operator is recognised by its host names: both stand here, or none"))
    for name, region in preset.regions.items():
        host = urlsplit(region.endpoint or "").hostname
        if host is not None and not any(f".{host}".endswith(f".{end}") for end in preset.suffixes):
            yield _fault(("regions", name, "endpoint"), N_("{host} has none of the ends under `suffixes`"), host=host)
        elif _sited(preset) and host is None:
            yield _fault(("regions", name), N_("{key} is missing"), key="endpoint")


def asked(preset: Preset) -> list[str]:
    """The names of what must be known to make a target of it, in the order in which it is asked."""
    return (["region"] if _sited(preset) else []) + [name for name, each in preset.ask.items() if not each.optional]


def fill(preset: Preset, answers: Mapping[str, str]) -> dict[str, str]:
    """The fields of a target. Raises `Faults` for answers nobody asked for, odd ones, and missing ones."""
    fields = set(_KINDS[preset.kind].model_fields) - _OPTIONS - {"key"}
    faults = [
        Fault((name,), Words.of(N_("{field} is not known here"), field=name), nearest(name, fields))
        for name in answers
        if name not in fields
    ]
    unseen = Words.of(N_("Type it anew, without signs that nobody sees."))
    faults += [
        Fault((name,), Words.of(N_("{field} has a sign in it that cannot be printed"), field=name), unseen)
        for name, answer in answers.items()
        if not answer.isprintable()  # some of them end a line of YAML
    ]
    said: dict[str, str] = {**{name: each.default for name, each in preset.ask.items()}, **answers}
    for name in asked(preset):
        if not said.get(name) and not (name == "region" and answers.get("endpoint")):
            faults.append(Fault((name,), Words.of(N_("{field} is missing"), field=name), _wanted(preset, name)))
    region = preset.regions.get(said.get("region", ""))
    if "region" in answers and preset.regions and region is None and "endpoint" not in answers:
        says = Words.of(N_("{title} has no region {region}"), title=preset.title.given, region=answers["region"])
        faults.append(Fault(("region",), says, nearest(answers["region"], preset.regions)))
    if faults:
        raise Faults(faults)
    filled: dict[str, str] = {**{name: text.format_map(said) for name, text in preset.given.items()}, **said}
    if region is not None and region.endpoint is not None and "endpoint" not in answers:
        filled |= {"endpoint": region.endpoint, "region": region.region or said["region"]}
    if preset.kind != "s3":
        filled.pop("region", None)
    return {"kind": preset.kind, **{name: text for name, text in filled.items() if text}}


def _wanted(preset: Preset, name: str) -> Words:
    if name == "region":
        return Words.of(N_("Known here: {known}."), known=", ".join(preset.regions))
    return Words.of("{it}.", it=preset.ask[name].ask.given)  # type: ignore[index]


def _fault(at: tuple[Key, ...], says: str, **values: Value) -> Fault:
    return Fault(at, Words(says, values), Words.of(N_("Compare it with the example in the documentation.")))

"""What a form answers to settings as questions, and how a value is said to people."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gardien.faces.settings_asks import DAYS, HOW, Ask, Section
from gardien.model.edit import Changes
from gardien.model.fault import Fault
from gardien.model.plan import Json
from gardien.model.settings import Keep, Settings
from gardien.words import N_, Value, Words

Form = Mapping[str, str]

_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WEEKDAY = "|".join(DAYS)
_DAILY = re.compile(rf"(?:daily at )?({_CLOCK})")
_WEEKLY = re.compile(rf"(?:weekly on )?({_WEEKDAY})s? at ({_CLOCK})")
_EVERY = re.compile(r"every (\d+) hours")
_WINDOW = re.compile(rf"(daily|{_WEEKDAY}) ({_CLOCK})-({_CLOCK})")

_RATE = re.compile(r"(\S*) (KiB|MiB)/s")
ROWS = 2  # empty ones below those that are filled in


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, for a person."""

    says: Words
    before: Words
    after: Words


# -- what a setting is now


def values(section: Section, settings: Settings) -> dict[str, Json]:
    """By a question's name, what holds now; also where a whole block is missing, then what it would begin with."""
    told = settings.model_dump(mode="json", by_alias=True)
    if section.block and told[section.block] is None:
        told[section.block] = _BEGINNING[section.block]
    return {ask.name: _in(told, ask.path) for ask in section.asks}


_BEGINNING: Mapping[str, Json] = {
    "mail": {"port": 465, "security": "tls", "weekly": True, "monthly": True},
    "second_way": {"kind": "ntfy", "when": "unsent"},
}


def is_on(section: Section, settings: Settings) -> bool:
    """Whether there is what it is about."""
    key = section.block or (section.asks[0].path[0] if section.empty else "")
    return not key or getattr(settings, key) is not None


def _in(told: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        told = told.get(key) if isinstance(told, dict) else None
    return told


def as_form(section: Section, holds: Mapping[str, Json]) -> dict[str, str]:
    """How the form would have been filled in, had somebody answered what holds."""
    form: dict[str, str] = {}
    for ask in section.asks:
        value = holds[ask.name]
        match ask.kind:
            case "yes":
                form |= {ask.name: "yes"} if value else {}
            case "list":
                form[ask.name] = ", ".join(map(str, value)) if isinstance(value, list) else ""
            case "times":
                form |= {f"{ask.name}:{part}": text for part, text in _parts(value, ask.choices).items()}
            case "hours":
                form |= _rows(ask.name, value)
            case "window":
                found = _WINDOW.fullmatch(str(value))
                day, begin, end = found.groups() if found else ("" if "" in ask.choices else "daily", "03:00", "05:00")
                form |= {f"{ask.name}:day": day, f"{ask.name}:begin": begin, f"{ask.name}:end": end}
            case _:
                form[ask.name] = "" if value is None else str(value)
    return form


def _parts(value: Json, ways: Mapping[str, str]) -> dict[str, str]:
    """A time as it is chosen: how, on which day, at what hour."""
    text = " ".join(str(value or "").lower().split())
    parts = {"how": "as written", "day": "sunday", "time": "02:30"}
    if not text:
        parts["how"] = ""
    elif found := _DAILY.fullmatch(text):
        parts |= {"how": "daily", "time": found[1]}
    elif found := _WEEKLY.fullmatch(text):
        parts |= {"how": "weekly", "day": found[1], "time": found[2]}
    elif text == "weekly":
        parts["how"] = "each"
    elif text in ways:
        parts["how"] = text
    return parts


def _rows(name: str, limits: Json) -> dict[str, str]:
    """Each line of an hourly limit: from, until, how fast; and some empty ones."""
    form: dict[str, str] = {}
    spans = list(limits.items()) if isinstance(limits, dict) else []
    for number, (hours, rate) in enumerate([*spans, *[("-", " KiB/s")] * ROWS]):
        begin, _, end = hours.partition("-")
        found = _RATE.fullmatch(str(rate))
        speed, unit = found.groups() if found else ("", "KiB")
        row = {"from": begin, "until": end, "rate": speed, "unit": unit}
        form |= {f"{name}:{number}:{part}": text for part, text in row.items()}
    return form


def rows(form: Form, name: str) -> int:
    """How many lines of an hourly limit the form has."""
    return sum(1 for each in form if each.startswith(f"{name}:") and each.endswith(":rate"))


# -- what a form says


def changes(section: Section, form: Form, settings: Settings) -> Changes:
    """What it changes. What was left out of the form stays; a box that is not ticked is a no."""
    holds = values(section, settings)
    wanted = {ask.path: _answer(ask, form, holds[ask.name]) for ask in section.asks}
    if section.block:
        on, block = is_on(section, settings), (section.block,)
        if "off" in form:
            return {block: None} if on else {}
        if not on:
            return {block: {path[1]: value for path, value in wanted.items() if value is not None}}
    return {path: value for path, value in wanted.items() if value != holds[".".join(path)]}


def _answer(ask: Ask, form: Form, holds: Json) -> Json:
    text = form.get(ask.name, "").strip()
    match ask.kind:
        case "yes":
            return ask.name in form
        case "list":
            return [each for each in re.split(r"[\s,;]+", text) if each]
        case "number":
            return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text or holds
        case "times":
            return _times(form, ask.name, holds)
        case "hours":
            return _hours(form, ask.name) if rows(form, ask.name) else holds
        case "window":
            day, begin, end = (form.get(f"{ask.name}:{part}", "") for part in ("day", "begin", "end"))
            return f"{day} {begin}-{end}" if day else (None if f"{ask.name}:day" in form else holds)
        case _:
            return text or None


def _times(form: Form, name: str, holds: Json) -> Json:
    how, day, time = (form.get(f"{name}:{part}", "") for part in ("how", "day", "time"))
    match how:
        case "daily":
            return holds if holds == time else f"daily at {time}"
        case "weekly":
            return f"weekly on {day} at {time}"
        case "each":
            return "weekly"
        case "as written":
            return holds
        case _:
            return how or (None if f"{name}:how" in form else holds)


def _hours(form: Form, name: str) -> Json:
    limits: dict[str, Json] = {}
    for number in range(rows(form, name)):
        begin, end, rate, unit = (form.get(f"{name}:{number}:{part}", "") for part in ("from", "until", "rate", "unit"))
        if rate.strip():
            limits[f"{begin}-{end}"] = f"{rate.strip()} {unit}/s"
    return limits


# -- in words


def beside(ask: Ask, fault: Fault) -> Fault:
    """What is wrong with an answer, for somebody who sees the question and not the file."""
    values = fault.says.values
    if "ge" in values:
        says = Words.of(N_("Write {number} or more."), number=values["ge"])
    elif "le" in values:
        says = Words.of(N_("Write {number} or less."), number=values["le"])
    elif "key" in fault.remedy.values or "min_length" in values:
        says = Words.of(N_("This has to be answered."))
    elif ask.kind == "number":
        says = Words.of(N_("Write a whole number."))
    elif ask.kind in ("times", "window"):
        says = Words.of(N_("Give the hour, such as 02:30."))
    else:
        return fault
    return Fault(fault.at, says, Words(""))


def differences(section: Section, changed: Changes, settings: Settings) -> list[Change]:
    """What is changed, as people read it."""
    holds = values(section, settings)
    if section.block and (section.block,) in changed:
        block, first = changed[section.block,], section.asks[0]
        if block is None:
            return [Change(first.says, said(first, holds[first.name]), Words.of(N_("nothing any more")))]
        changed = {ask.path: _in(block, ask.path[1:]) for ask in section.asks}
        empty = Words.of(N_("nothing yet"))
        return [
            Change(ask.says, empty, said(ask, changed[ask.path]))
            for ask in section.asks
            if changed[ask.path] not in (None, False)
        ]
    return [
        Change(ask.says, said(ask, holds[ask.name]), said(ask, changed[ask.path]))
        for ask in section.asks
        if ask.path in changed
    ]


def said(ask: Ask, value: Json) -> Words:
    """A value, for a person."""
    said_choice = Words.of(ask.choices.get("", HOW[""]))
    if ask.kind == "yes":
        return Words.of(N_("yes")) if value else Words.of(N_("no"))
    if ask.kind == "times":
        return said_times(value) if value else said_choice
    if ask.kind == "hours":
        return said_hours(value)
    if ask.kind == "window":
        return said_window(str(value)) if value else said_choice
    if ask.choices:
        return Words.of(ask.choices.get(str(value), str(value).replace("{", "").replace("}", "")))
    if isinstance(value, list):
        return _plain(", ".join(map(str, value))) if value else Words.of(N_("nobody"))
    return _plain(value) if value is not None else Words.of(N_("nothing"))


def said_times(value: Json) -> Words:
    """A time such as `daily at 02:30`."""
    text = " ".join(str(value or "").lower().split())
    if found := _DAILY.fullmatch(text):
        return Words.of(N_("every day at {time}"), time=found[1])
    if found := _WEEKLY.fullmatch(text):
        return Words.of(N_("every {day} at {time}"), day=Words.of(DAYS[found[1]]), time=found[2])
    if found := _EVERY.fullmatch(text):
        return Words.of(N_("every {number} hours"), number=int(found[1]))
    known = {
        "hourly": Words.of(N_("every hour")),
        "weekly": Words.of(N_("every week, each application on a day of its own")),
        "never": Words.of(N_("never")),
    }
    return known.get(text) or _plain(value)


def common(ask: Ask, settings: Settings) -> Words | None:
    """What holds for all, where nothing else is said; None: there is no such thing, or more than one."""
    match ask.path:
        case "targets", name, "at" if settings.targets[name].copy_of is None:
            return said_times(settings.backup.at)
        case "stacks", _, "window":
            return said_window(settings.updates.window)
    return None


def said_keep(keep: Keep) -> Words:
    """How long backups stay, in one sentence."""
    said = Words.of(N_("and in any case the newest {count} good ones"), count=keep.verified)
    for text, number in (
        (N_("one a year for {count} years, {then}"), keep.yearly),
        (N_("one a month for {count} months, {then}"), keep.monthly),
        (N_("one a week for {count} weeks, {then}"), keep.weekly),
        (N_("one a day for {count} days, {then}"), keep.daily),
        (N_("one an hour for {count} hours, {then}"), keep.hourly),
        (N_("all of the last {count} days, {then}"), keep.within_days),
    ):
        said = Words.of(text, count=number, then=said) if number else said
    return said


def said_hours(value: Json) -> Words:
    """An hourly limit, line by line."""
    if not isinstance(value, dict) or not value:
        return Words.of(N_("as fast as it goes"))
    said = Words.of(N_("else as fast as it goes"))
    for hours, rate in reversed(value.items()):
        begin, _, end = hours.partition("-")
        limit = N_("from {begin} to {end} at most {speed}, {then}")
        said = Words.of(limit, begin=begin, end=end, speed=str(rate), then=said)
    return said


def said_window(value: str) -> Words:
    """A window such as `sunday 03:00-05:00`."""
    found = _WINDOW.fullmatch(value)
    if found is None:
        return _plain(value)
    day, begin, end = found.groups()
    if day == "daily":
        return Words.of(N_("every day from {begin} to {end}"), begin=begin, end=end)
    return Words.of(N_("every {day} from {begin} to {end}"), day=Words.of(DAYS[day]), begin=begin, end=end)


def _plain(value: Json) -> Words:
    said: Value = value if isinstance(value, str | int | float) else str(value)
    return Words.of("{it}", it=said)

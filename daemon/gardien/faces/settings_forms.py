"""Settings as questions on a page: which there are, what a form answers to them, and how a value is said to people."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from gardien.model.edit import Changes
from gardien.model.plan import Json
from gardien.model.settings import Settings, Target
from gardien.words import N_, Value, Words

Kind = Literal["text", "list", "number", "yes", "choice", "times", "window"]
Form = Mapping[str, str]

DAYS: Mapping[str, str] = MappingProxyType(
    {
        "monday": N_("Monday"),
        "tuesday": N_("Tuesday"),
        "wednesday": N_("Wednesday"),
        "thursday": N_("Thursday"),
        "friday": N_("Friday"),
        "saturday": N_("Saturday"),
        "sunday": N_("Sunday"),
    }
)
_CLOCK = r"(?:[01]\d|2[0-3]):[0-5]\d"
_WEEKDAY = "|".join(DAYS)
_DAILY = re.compile(rf"(?:daily at )?({_CLOCK})")
_WEEKLY = re.compile(rf"(?:weekly on )?({_WEEKDAY})s? at ({_CLOCK})")
_EVERY = re.compile(r"every (\d+) hours")
_WINDOW = re.compile(rf"(daily|{_WEEKDAY}) ({_CLOCK})-({_CLOCK})")

HOW: Mapping[str, str] = MappingProxyType(
    {
        "": N_("As for all places"),
        "daily": N_("Every day, at the hour below"),
        "weekly": N_("Every week, on the day and at the hour below"),
        "hourly": N_("Every hour"),
        "every 6 hours": N_("Every six hours"),
        "each": N_("Every week, each application on a day of its own"),
        "never": N_("Never"),
        "as written": N_("As it is written in the file"),
    }
)
SECURITY: Mapping[str, str] = MappingProxyType(
    {
        "tls": N_("Encrypted from the first byte (TLS, mostly port 465)"),
        "starttls": N_("Encrypted after a first word (STARTTLS, mostly port 587)"),
        "none": N_("Not encrypted: only for a mail server on this very machine"),
    }
)
LANGUAGE: Mapping[str, str] = MappingProxyType({"en": "English", "fr": "Français"})


@dataclass(frozen=True, slots=True)
class Ask:
    """A setting as a question. `ways`: of a time, those that can be chosen."""

    path: tuple[str, ...]
    kind: Kind
    says: Words
    hint: str = ""
    choices: Mapping[str, str] = field(default_factory=dict)
    needed: bool = False
    detail: bool = False  # for the person who helps

    @property
    def name(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that belong together: a page."""

    name: str
    title: str
    lead: str
    asks: tuple[Ask, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, for a person."""

    says: Words
    before: Words
    after: Words


def _ask(path: str, kind: Kind, says: str, hint: str = "", **more: object) -> Ask:
    return Ask(tuple(path.split(".")), kind, Words.of(says), hint, **more)  # type: ignore[arg-type]


def _ways(*names: str) -> Mapping[str, str]:
    return {name: HOW[name] for name in names}


LETTERS = Section(
    "letters",
    N_("Letters"),
    N_("gardien writes when something needs you, and each Monday how things stand."),
    (
        _ask("mail.to", "list", N_("Who gets letters"), N_("mail addresses, with commas between"), needed=True),
        _ask("mail.from", "text", N_("From which address gardien writes"), N_("an e-mail address"), needed=True),
        _ask(
            "mail.host",
            "text",
            N_("The mail server that takes them"),
            N_("a name, such as mail.infomaniak.com; your mail provider’s help page says it"),
            needed=True,
        ),
        _ask("mail.port", "number", N_("Its port")),
        _ask("mail.security", "choice", N_("How the letters travel to it"), choices=SECURITY),
        _ask("mail.user", "text", N_("The user name there"), N_("often the address itself")),
        _ask("mail.weekly", "yes", N_("A letter each Monday on how things stand")),
        _ask("mail.monthly", "yes", N_("A letter each month: the record can be printed")),
        _ask(
            "mail.ca",
            "text",
            N_("A file on this machine with the certificate to trust"),
            N_("only for a mail server with a certificate of its own"),
            detail=True,
        ),
    ),
)
UPDATES = Section(
    "updates",
    N_("Updates"),
    N_("When gardien looks for new versions, and whether it takes any without asking."),
    (
        _ask("updates.look", "yes", N_("Look once a day whether there are new versions")),
        _ask("updates.by_itself", "yes", N_("Take corrections of a version by itself; all else only when you say so")),
        _ask("updates.window", "window", N_("When that may be")),
        _ask(
            "updates.cooling_days",
            "number",
            N_("For how many days a new version is left to others first"),
        ),
    ),
)
LANGUAGES = Section(
    "language",
    N_("Language"),
    N_("Of the letters, and of the page for those who did not choose one."),
    (_ask("language", "choice", N_("Language"), choices=LANGUAGE),),
)


def schedules(targets: Mapping[str, Target]) -> Section:
    """When backups are made, for all places and for each."""
    common = _ways("daily", "weekly", "hourly", "every 6 hours", "as written")
    own = _ways("", "daily", "weekly", "hourly", "every 6 hours", "as written")
    places = [
        Ask(("targets", name, "at"), "times", Words.of(N_("When backups go to {target}"), target=name), choices=own)
        for name, each in targets.items()
        if each.copy_of is None
    ]
    return Section(
        "schedules",
        N_("Times"),
        N_("When your applications are saved, and when a backup is restored for trial. By this machine’s clock."),
        (
            _ask("backup.at", "times", N_("When backups are made"), choices=common),
            *places,
            _ask(
                "backup.prove",
                "times",
                N_("When the newest backup of each application is restored for trial"),
                choices=_ways("each", "weekly", "daily", "never", "as written"),
            ),
            _ask(
                "backup.late_after_hours",
                "number",
                N_("After how many hours without a good backup you are told"),
            ),
        ),
    )


def section(name: str, settings: Settings) -> Section | None:
    """The one with this name."""
    return next((each for each in sections(settings) if each.name == name), None)


def sections(settings: Settings) -> tuple[Section, ...]:
    """All of them."""
    return LETTERS, schedules(settings.targets), UPDATES, LANGUAGES


# -- what a setting is now


def values(section: Section, settings: Settings) -> dict[str, Json]:
    """By a question's name, what holds now; also where a whole block is missing, then what it would begin with."""
    told = settings.model_dump(mode="json", by_alias=True)
    if told["mail"] is None:
        told["mail"] = {"port": 465, "security": "tls", "weekly": True, "monthly": True}
    return {ask.name: _in(told, ask.path) for ask in section.asks}


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
            case "window":
                found = _WINDOW.fullmatch(str(value))
                day, begin, end = found.groups() if found else ("daily", "03:00", "05:00")
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


# -- what a form says


def changes(section: Section, form: Form, settings: Settings) -> Changes:
    """What it changes. What was left out of the form stays; a box that is not ticked is a no."""
    holds = values(section, settings)
    wanted = {ask.path: _answer(ask, form, holds[ask.name]) for ask in section.asks}
    if section is LETTERS:
        if "off" in form:
            return {("mail",): None} if settings.mail is not None else {}
        if settings.mail is None:
            return {("mail",): {path[1]: value for path, value in wanted.items() if value is not None}}
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
        case "window":
            day, begin, end = (form.get(f"{ask.name}:{part}", "") for part in ("day", "begin", "end"))
            return f"{day} {begin}-{end}" if day else holds
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


# -- in words


def differences(section: Section, changed: Changes, settings: Settings) -> list[Change]:
    """What is changed, as people read it."""
    holds = values(section, settings)
    if ("mail",) in changed:
        block = changed["mail",]
        if block is None:
            nobody = Words.of(N_("nobody"))
            return [Change(LETTERS.asks[0].says, said(LETTERS.asks[0], holds["mail.to"]), nobody)]
        changed = {ask.path: _in(block, ask.path[1:]) for ask in LETTERS.asks}
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
    if ask.kind == "yes":
        return Words.of(N_("yes")) if value else Words.of(N_("no"))
    if ask.kind == "times":
        return said_times(value)
    if ask.kind == "window":
        return said_window(str(value))
    if ask.choices:
        return Words.of(ask.choices.get(str(value), str(value).replace("{", "").replace("}", "")))
    if isinstance(value, list):
        return _plain(", ".join(map(str, value))) if value else Words.of(N_("nobody"))
    return _plain(value) if value is not None else Words.of(N_("nothing"))


def said_times(value: Json) -> Words:
    """A time such as `daily at 02:30`."""
    text = " ".join(str(value or "").lower().split())
    if not text:
        return Words.of(N_("as for all places"))
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

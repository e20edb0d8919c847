"""Values into words: the one place where what gardien knows is said in the reader's language."""

import hashlib
import io
import ssl
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from babel import Locale
from babel.dates import format_date, format_timedelta
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent
from babel.support import NullTranslations, Translations

from gardien.model.health import Health, Severity
from gardien.model.job import Job, JobState, StepState
from gardien.model.plan import Kind
from gardien.words import N_, Given, Value, Words

LANGUAGES = ("en", "fr")
DOMAIN = "gardien"
STALE = 60.0  # seconds: files installed together are not written in one moment
LOCALE = Path(__file__).parent.parent / "locale"

HEALTH: Mapping[Health, str] = MappingProxyType(
    {
        "well": N_("Running well"),
        "starting": N_("Starting"),
        "paused": N_("Paused for a moment"),
        "ailing": N_("Not well"),
        "down": N_("Not running"),
        "stopped": N_("Switched off"),
        "unknown": N_("Not known yet"),
    }
)
SEVERITY: Mapping[Severity, str] = MappingProxyType(
    {"calm": N_("All is well"), "notice": N_("Worth a look"), "trouble": N_("Needs you")}
)
JOB_STATE: Mapping[JobState, str] = MappingProxyType(
    {
        "queued": N_("Waiting its turn"),
        "running": N_("Under way"),
        "undoing": N_("Being undone"),
        "done": N_("Done"),
        "failed": N_("Failed"),
        "cancelled": N_("Cancelled"),
        "interrupted": N_("Interrupted"),
        "stuck": N_("Stuck"),
    }
)
STEP_STATE: Mapping[StepState, str] = MappingProxyType(
    {
        "waiting": N_("To do"),
        "begun": N_("Under way"),
        "done": N_("Done"),
        "undoing": N_("Being undone"),
        "failed": N_("Failed"),
        "undone": N_("Undone"),
        "undo-failed": N_("Could not be undone"),
    }
)
JOB_KIND: Mapping[Kind, str] = MappingProxyType(
    {
        "add": N_("Setting up {stack}"),
        "start": N_("Starting {stack}"),
        "stop": N_("Switching off {stack}"),
        "restart": N_("Restarting {stack}"),
        "set": N_("Changing the settings of {stack}"),
        "mend": N_("Putting {stack} right"),
        "remove": N_("Removing {stack}"),
        "backup": N_("Backup of {stack}"),
        "restore": N_("Restore of {stack}"),
        "put-back": N_("A part of {stack} put back"),
        "copy": N_("Copy to {target}"),
        "check": N_("Check of {target}"),
        "forget": N_("Clearing out old backups at {target}"),
        "prune": N_("Making room at {target}"),
        "proof": N_("Proof of the recovery sheet of {target}"),
        "rekey": N_("New recovery key for {target}"),
        "drill": N_("Trial restore of {stack}"),
        "revive": N_("Restarting {stack}, which is not well"),
        "update": N_("Update of {stack}"),
    }
)
# The rest is done to stacks.
OF_TARGETS: frozenset[Kind] = frozenset({"copy", "check", "forget", "prune", "proof", "rekey"})
# How a backup is: in a word that differs for each.
Standing = Literal["good", "incomplete", "lost", "missed", "waiting", "running"]
STANDING: Mapping[Standing, str] = MappingProxyType(
    {
        "good": N_("Good"),
        "incomplete": N_("Incomplete"),
        "lost": N_("Gone"),
        "missed": N_("Missed"),
        "waiting": N_("Waiting its turn"),
        "running": N_("Under way"),
    }
)
# Why retention lets a backup stay.
STAYS: Mapping[str, str] = MappingProxyType(
    {
        "newest": N_("the newest that counts"),
        "verified": N_("one of the newest that count"),
        "within": N_("of the last days"),
        "hourly": N_("the last of its hour"),
        "daily": N_("the last of its day"),
        "weekly": N_("the last of its week"),
        "monthly": N_("the last of its month"),
        "yearly": N_("the last of its year"),
        "waiting": N_("not copied yet"),
        "update": N_("what an update can go back to"),
        "incomplete": N_("does not count, and stays for some days so that one can see why"),
        "share": N_("goes another time: never more than half of them go at once"),
        "frozen": N_("nothing goes now"),
    }
)
# What an answer to a question of each kind looks like.
ANSWER: Mapping[str, str] = MappingProxyType(
    {
        "host": N_("a name or an IP address"),
        "port": N_("a number from 1 to 65535"),
        "name": N_("letters, digits and . _ -"),
        "text": N_("one line of text"),
        "domain": N_("a host name, such as files.example.org"),
        "email": N_("an e-mail address"),
        "url": N_("an address that begins with https://"),
        "addresses": N_("IP addresses, with commas between"),
        "choice": N_("one of these:"),
    }
)
UNITS = (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3))
OCTETS = MappingProxyType({"TB": "To", "GB": "Go", "MB": "Mo", "kB": "ko", "B": "o"})
NBSP = "\N{NO-BREAK SPACE}"
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@cache
def catalogue(language: str) -> NullTranslations:
    """The translations into `language`; where no `.mo` was built, or long before its `.po`, the latter is read."""
    written = LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po"
    compiled = written.with_suffix(".mo")
    if written.exists() and (not compiled.exists() or compiled.stat().st_mtime + STALE < written.stat().st_mtime):
        fresh = io.BytesIO()
        with written.open("rb") as source:
            write_mo(fresh, read_po(source))
        fresh.seek(0)
        return Translations(fresh, DOMAIN)
    return Translations.load(LOCALE, [language], DOMAIN)


def known(language: str | None, fallback: str = "en") -> str:
    """`language` if we speak it, a regional kind of it too (`fr_CA`), else `fallback`."""
    short = (language or "").replace("_", "-").split("-")[0].lower()
    return short if short in LANGUAGES else fallback


class _Holes(dict[str, str]):
    """A hole that nothing fills stays a hole: the sentence is still worth reading."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def say(words: Words, language: str) -> str:
    """The sentence in `language`, its holes filled. A hole `count` chooses singular or plural, in English too."""
    if not words.text:
        return ""
    count = words.values.get("count")
    known_texts = catalogue(language)
    if isinstance(count, int):
        text = known_texts.ungettext(words.text, words.text, count)
    else:
        text = known_texts.ugettext(words.text)
    return text.format_map(_Holes({name: _fill(name, value, language) for name, value in words.values.items()}))


def _fill(name: str, value: Value, language: str) -> str:
    if isinstance(value, Words):
        return say(value, language)
    if isinstance(value, Given):
        return value.fr if language == "fr" else value.en
    if isinstance(value, int) and name in {"count", "files"}:
        return number(value, language)
    if name == "taken":
        return moment(str(value), language)
    if name == "until":
        return moment(str(value), language, with_time=False)
    if name == "took" and isinstance(value, int | float):
        return duration(value, language)
    return str(value)


def moment(text: str, language: str, *, with_time: bool = True) -> str:
    """A time written as `2026-03-03 01:41`, in UTC, as people here write it, with its day of the week: what happened on
    Tuesday is remembered as such. Other text as it is.
    """
    try:
        then = datetime.fromisoformat(text)
    except ValueError:
        return text
    local = (then if then.tzinfo else then.replace(tzinfo=UTC)).astimezone()
    weekday = Locale.parse(language).days["format"]["wide"][local.weekday()]
    day = f"{weekday} {_date(local, 'd MMMM y', language)}"
    return f"{day}, {clock(local, language)}" if with_time else day


def utc(at: datetime) -> str:
    """For programs: `2026-03-01T02:41:07+00:00`."""
    return at.astimezone(UTC).isoformat(timespec="seconds")


def translate(text: str, language: str, **values: Value) -> str:
    """Say an `N_()` text that is not wrapped in `Words`."""
    return say(Words(text, values), language)


def job_title(job: Job, language: str, titles: Mapping[str, str] | None = None) -> str:
    """What a job is about: "Backup of Nextcloud". `titles` maps stacks to what people call them."""
    kind, subject = job.plan.kind, job.plan.subject
    if kind in OF_TARGETS:
        return translate(JOB_KIND[kind], language, target=subject)
    return translate(JOB_KIND[kind], language, stack=(titles or {}).get(subject, subject))


def stack_of(job: Job) -> str | None:
    """The stack that a job is about; None for one that looks after a target."""
    return None if job.plan.kind in OF_TARGETS else job.plan.subject


def target_of(job: Job) -> str | None:
    """The target that a job is about, or that it needs."""
    if job.plan.kind in OF_TARGETS:
        return job.plan.subject
    target = job.plan.facts.get("target")
    return target if isinstance(target, str) else None


def number(value: float, language: str) -> str:
    """A number with its thousands grouped."""
    return format_decimal(value, locale=language)


def percent(share: float, language: str) -> str:
    """A share of 0 to 1, rounded down: 100 % is said of what is complete, never before."""
    return format_percent(int(share * 100) / 100, locale=language)


def size(bytes_: float, language: str) -> str:
    """Bytes as people read them on a disk's box, in powers of 1000: `1.2 GB`, `1,2 Go`."""
    unit, each = next(((unit, each) for unit, each in UNITS if bytes_ >= each * 0.9995), ("B", 1.0))
    value = bytes_ / each
    shape = "#,##0.#" if value < 99.95 and unit != "B" else "#,##0"
    name = OCTETS[unit] if language == "fr" else unit
    return f"{format_decimal(value, format=shape, locale=language)}{NBSP}{name}"


def needs(memory: float, disk: float, images: float, language: str) -> str:
    """What a stack takes of the machine; all are bytes."""
    return translate(
        N_("It needs about {memory} of memory, {disk} on the disk to begin with, and {images} to be fetched."),
        language,
        memory=size(memory, language),
        disk=size(disk, language),
        images=size(images, language),
    )


def speed(per_second: float, language: str) -> str:
    """Bytes a second."""
    return f"{size(per_second, language)}/s"


def duration(seconds: float, language: str) -> str:
    """A length of time in its two largest units: `0.4 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds < 9.95:
        return f"{format_decimal(max(seconds, 0), format='0.#', locale=language)}{NBSP}s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        days, hours = divmod(hours, 24)
        day = "j" if language == "fr" else "d"
        return f"{days}{NBSP}{day} {hours}{NBSP}h" if hours else f"{days}{NBSP}{day}"
    if hours:
        return f"{hours}{NBSP}h {minutes:02}{NBSP}min"
    if minutes:
        return f"{minutes}{NBSP}min {rest:02}{NBSP}s" if rest else f"{minutes}{NBSP}min"
    return f"{rest}{NBSP}s"


def left(seconds: float | None, language: str) -> str:
    """The time that remains, as vaguely as it is known; empty when it is not."""
    if seconds is None:
        return ""
    if seconds < 10:
        return translate(N_("a few seconds left"), language)
    step = 10 if seconds < 55 else 60
    rounded = timedelta(seconds=max(step, round(seconds / step) * step))
    span = format_timedelta(rounded, threshold=1 if seconds < 3600 else 2, locale=language)
    return translate(N_("about {time} left"), language, time=span)


def span(length: timedelta, language: str) -> str:
    """A rough length of time in words: `3 days`, `20 minutes`."""
    return format_timedelta(max(length, timedelta(seconds=1)), threshold=2, locale=language)


def age(then: datetime, now: datetime, language: str) -> str:
    """How long ago: `3 hours ago`. Hours are counted up to two days, days up to two weeks."""
    gone = now - then
    if timedelta(seconds=-5) <= gone < timedelta(seconds=5):
        return translate(N_("just now"), language)
    return format_timedelta(-gone, threshold=2, add_direction=True, locale=language)


def weekday(day: date, language: str) -> str:
    """A day of the week in two letters: `Mo`, `lu`."""
    return str(Locale.parse(language).days["format"]["short"][day.weekday()])


def full_day(day: date, language: str) -> str:
    """`Monday 2 March`, `lundi 2 mars`."""
    name = Locale.parse(language).days["format"]["wide"][day.weekday()]
    return f"{name} {_date(datetime.combine(day, time()), 'd MMMM', language)}"


def clock(then: datetime, language: str) -> str:
    """The time of day on this machine's clock: `02:41`, `02 h 41`."""
    local = then.astimezone()
    return f"{local:%H}{NBSP}h{NBSP}{local:%M}" if language == "fr" else f"{local:%H:%M}"


def day(then: datetime, now: datetime, language: str) -> str:
    """A date, with its year when that is not the present one: `3 March`, `1er mars 2025`."""
    local = then.astimezone()
    return _date(local, "d MMMM" if local.year == now.astimezone().year else "d MMMM y", language)


def full_moment(then: datetime, language: str) -> str:
    """With its day and its year: `Monday 2 March 2026, 03:40`."""
    local = then.astimezone()
    return f"{full_day(local, language)} {local.year}, {clock(local, language)}"


def dated(then: datetime, language: str) -> str:
    """A date for paper, with its year: `3 March 2026`, `1er mars 2026`."""
    return _date(then.astimezone(), "d MMMM y", language)


def month(then: datetime, language: str) -> str:
    """`November 2026`, `novembre 2026`."""
    return format_date(then.astimezone().date(), "LLLL y", locale=language)


def _date(local: datetime, shape: str, language: str) -> str:
    said = format_date(local.date(), shape, locale=language)
    return said.replace("1 ", "1er ", 1) if language == "fr" and local.day == 1 else said


def when(then: datetime, now: datetime, language: str) -> str:
    """When it was, or will be, to follow a verb: `this morning at 02:41`, `mardi à 02 h 41`."""
    local = then.astimezone()
    days = (local.date() - now.astimezone().date()).days
    if days == 0:
        parts = (N_("this morning at {time}"), N_("this afternoon at {time}"), N_("this evening at {time}"))
        text = parts[(local.hour >= 12) + (local.hour >= 18)]
    elif days == -1:
        text = N_("yesterday at {time}")
    elif days == 1:
        text = N_("tomorrow at {time}")
    elif abs(days) < 7:
        text = N_("on {day} at {time}")
        weekday = Locale.parse(language).days["format"]["wide"][local.weekday()]
        return translate(text, language, day=weekday, time=clock(then, language))
    else:
        text = N_("on {date} at {time}")
        return translate(text, language, date=day(then, now, language), time=clock(then, language))
    return translate(text, language, time=clock(then, language))


def window(text: str, language: str) -> str:
    """`sunday 03:00-05:00` or `daily 03:00-05:00`, to follow a verb: `every Sunday between 03:00 and 05:00`."""
    day, _, hours = " ".join(text.lower().split()).partition(" ")
    begin, _, end = hours.partition("-")
    if language == "fr":
        begin, end = (each.replace(":", f"{NBSP}h{NBSP}") for each in (begin, end))
    if day not in WEEKDAYS:
        return translate(N_("every day between {begin} and {end}"), language, begin=begin, end=end)
    name = Locale.parse(language).days["format"]["wide"][WEEKDAYS.index(day)]
    return translate(N_("every {day} between {begin} and {end}"), language, day=name, begin=begin, end=end)


def sentence(words: Words, language: str) -> str:
    """`say`, to stand alone: with a capital first and a full stop last."""
    said = capital(say(words, language).strip())
    return said + ("" if not said or said[-1] in ".!?…:" else ".")


def fingerprint(certificate: str) -> str:
    """The SHA-256 fingerprint of a PEM certificate, as devices show it: `3F:0A:…`."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate)).digest().hex(":").upper()


def capital(text: str) -> str:
    """With its first letter large, the others as they were."""
    return text[:1].upper() + text[1:]

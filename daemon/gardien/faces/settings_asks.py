"""Settings as questions: which there are, on which page, and what helps to answer them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from gardien.model.settings import Settings, Target
from gardien.words import N_, Words

Kind = Literal["text", "list", "number", "yes", "choice", "times", "window", "hours"]

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
SECOND: Mapping[str, str] = MappingProxyType(
    {
        "ntfy": N_("ntfy: a message on your telephone"),
        "webhook": N_("A webhook: another program is told"),
    }
)
WHEN: Mapping[str, str] = MappingProxyType(
    {
        "unsent": N_("Only when letters do not arrive"),
        "trouble": N_("Of every trouble, at once, beside the letter"),
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
class Secret:
    """What belongs to a section and stands in no settings: it is typed, kept in a file of its own, and never shown."""

    after: str  # the question below which it is asked for
    says: str
    hint: str
    file: Callable[[Settings], Path]


@dataclass(frozen=True, slots=True)
class Section:
    """Settings that belong together: a page."""

    name: str
    title: str
    lead: str
    asks: tuple[Ask, ...]
    block: str = ""  # the key of the file that is there with all of them, or not at all
    off: str = ""  # what is ticked to take the block out
    empty: str = ""  # what is said while there is none
    secret: Secret | None = None
    place: str | None = None  # the target whose settings these are
    stack: str | None = None  # the stack whose settings these are

    @property
    def path(self) -> str:
        """Where it is asked."""
        if self.stack is not None:
            return f"/stacks/{self.stack}/times"
        return f"/settings/{self.name}" if self.place is None else f"/targets/{self.place}/settings"

    @property
    def home(self) -> str:
        """The page it belongs to."""
        if self.stack is not None:
            return f"/stacks/{self.stack}/settings"
        return "/settings" if self.place is None else f"/targets/{self.place}"


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
    block="mail",
    off=N_("Write no letters any more"),
    empty=N_("gardien writes to nobody yet: what goes wrong is seen on this page alone."),
    secret=Secret(
        "mail.user",
        N_("The password there"),
        N_(
            "Many providers want one made for programs alone. It is kept in a file that only this machine’s "
            "administrator may read."
        ),
        lambda settings: settings.mail_password,
    ),
)
SECOND_WAY = Section(
    "second-way",
    N_("Another way than letters"),
    N_("Mail can fail just when it is needed. On a second way gardien still reaches you."),
    (
        _ask("second_way.kind", "choice", N_("Which way"), choices=SECOND),
        _ask(
            "second_way.url",
            "text",
            N_("Its address"),
            N_("of ntfy with the topic behind it, such as https://ntfy.example/our-practice-7f3a"),
            needed=True,
        ),
        _ask("second_way.when", "choice", N_("When it is used"), choices=WHEN),
    ),
    block="second_way",
    off=N_("Use no second way any more"),
    empty=N_("There is none: if letters do not arrive, nobody is told."),
    secret=Secret(
        "second_way.url",
        N_("What lets gardien speak there (a token)"),
        N_("Only if the service asks for one. It is kept in a file that only this machine’s administrator may read."),
        lambda settings: settings.second_way_token,
    ),
)
WATCHER = Section(
    "watcher",
    N_("A watcher outside"),
    N_(
        "A machine that is dead writes no letters. A service such as Healthchecks hears from it each hour that it "
        "lives and whether all is well, nothing else, and raises the alarm when it hears nothing."
    ),
    (
        _ask(
            "ping",
            "text",
            N_("The address that is called"),
            N_("the service shows it, such as https://hc.example/ping/5f3c; empty: nobody outside watches"),
        ),
    ),
    empty=N_("There is none: if this machine falls silent, you have to notice it yourselves."),
)
WARNINGS = Section(
    "warnings",
    N_("Warnings"),
    N_("From when on something is worth telling you."),
    (
        _ask(
            "backup.late_after_hours",
            "number",
            N_("After how many hours without a good backup you are told"),
            N_("26 leaves a backup each night two hours; where backups are rarer, it waits for theirs"),
        ),
        _ask(
            "watch.disk_low",
            "number",
            N_("Below how many percent of free room a disk counts as getting full"),
            N_("of large disks at most 50 GB; from 1 to 50"),
        ),
        _ask(
            "watch.hot",
            "number",
            N_("Above how many degrees Celsius the machine is too warm"),
            N_("most machines bear 80; from 40 to 110"),
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
    (
        _ask(
            "language",
            "choice",
            N_("Language"),
            N_("whoever wants another one for the page chooses it at its top; gardien remembers it of each person"),
            choices=LANGUAGE,
        ),
    ),
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
        ),
    )


def place(name: str, target: Target) -> Section:
    """How one place for backups is used: what stays there, when it is filled, and how fast."""
    at = ("targets", name)
    keep = (*at, "keep")
    own = _ways("", "daily", "weekly", "hourly", "every 6 hours", "as written")
    times = own if target.copy_of is None else {**own, "": N_("After each backup of the place it is a copy of")}

    def asked(path: tuple[str, ...], kind: Kind, says: str, hint: str = "", **more: object) -> Ask:
        return Ask(path, kind, Words.of(says), hint, **more)  # type: ignore[arg-type]

    return Section(
        "place",
        N_("How this place is used"),
        N_("What stays there and for how long, when it is filled, and how fast."),
        (
            asked(
                (*keep, "within_days"),
                "number",
                N_("For how many days every backup stays"),
                N_("counted back from the newest one"),
            ),
            asked((*keep, "daily"), "number", N_("Then one a day, for how many days")),
            asked((*keep, "weekly"), "number", N_("Then one a week, for how many weeks")),
            asked((*keep, "monthly"), "number", N_("Then one a month, for how many months")),
            asked(
                (*keep, "yearly"),
                "number",
                N_("Then one a year, for how many years"),
                N_("the law may ask you to keep records for many years: that is what these are for"),
            ),
            asked(
                (*keep, "hourly"),
                "number",
                N_("One an hour, for how many hours"),
                N_("where backups are made more often than once a day; else 0"),
                detail=True,
            ),
            asked(
                (*keep, "verified"),
                "number",
                N_("How many good ones stay in any case, however old"),
                N_("at least 1"),
                detail=True,
            ),
            asked(
                (*at, "append_only"),
                "yes",
                N_("Never delete anything there from this machine"),
                N_(
                    "old backups then go only when somebody clears them out at the host, or the place fills up. It is "
                    "your word alone: what stops a thief of this machine is what the host allows"
                ),
            ),
            asked((*at, "at"), "times", N_("When backups go there"), choices=times),
            asked(
                (*at, "upload_limit"),
                "hours",
                N_("How fast gardien may send"),
                N_(
                    "500 KiB/s are about 4 Mbit/s; at all other hours as fast as the line allows; leave the speed "
                    "empty to take a line out"
                ),
            ),
            asked((*at, "gentle"), "yes", N_("Use one core only: slower, but the machine stays free for people")),
        ),
        place=name,
    )


def of_stack(name: str) -> Section:
    """When one stack is saved and updated, where that differs from all others."""
    house = N_("As for all applications")
    times = {**_ways("", "daily", "weekly", "hourly", "every 6 hours", "as written"), "": house}
    return Section(
        "times",
        N_("When it is saved and updated"),
        N_("Where this application is to differ from all others. By this machine’s clock."),
        (
            Ask(
                ("stacks", name, "at"),
                "times",
                Words.of(N_("When backups of it are made")),
                N_("at every place; copies of it follow as they always do"),
                choices=times,
            ),
            Ask(
                ("stacks", name, "window"),
                "window",
                Words.of(N_("When new versions of it may be taken without asking")),
                N_("whether that is allowed at all is chosen on the page of its updates"),
                choices={"": house},
            ),
        ),
        stack=name,
    )


def section(name: str, settings: Settings) -> Section | None:
    """The one with this name."""
    return next((each for each in sections(settings) if each.name == name), None)


def sections(settings: Settings) -> tuple[Section, ...]:
    """All of them."""
    return LETTERS, SECOND_WAY, WATCHER, WARNINGS, schedules(settings.targets), UPDATES, LANGUAGES

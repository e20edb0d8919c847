"""Writes `data/letters/`: what people are told in each situation, in English and French, word for word.

Run after a sentence was changed on purpose, and read what changed aloud: `python -m tests.situations`.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gardien.faces.letter import LetterWriter
from gardien.model.health import Alert, Disk, Severity, StackHealth
from gardien.model.letter import News, Text
from gardien.model.manifest import Text as Said
from gardien.model.overview import Overview, StackView
from gardien.model.proof import Proof, Trials
from gardien.model.release import Change, Outlook
from gardien.model.snapshot import Snapshot
from gardien.words import Given, Value, Words

HERE = Path(__file__).parent / "data" / "letters"
HOUSES = {"en": "practice", "fr": "cabinet"}
NOW = datetime(2026, 3, 3, 9, 30, tzinfo=UTC)  # a Tuesday morning in Paris
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FILES, TALK = Given("Nextcloud", "Nextcloud"), Given("Video calls", "Appels vidéo")


def alert(
    key: str, says: str, remedy: str, *, since: timedelta, ended: timedelta | None = None,
    severity: Severity = "trouble", **values: Value,
) -> Alert:  # fmt: skip
    closed = None if ended is None else NOW - ended
    named = {**values, "stack": "nextcloud"} if "stack" in values else values  # in a command by its name
    return Alert(1, key, severity, Words.of(says, **values), Words.of(remedy, **named), NOW - since, closed)


DOWN = alert(
    "stack:nextcloud", "{stack} is not well: {why}", "Restart it: `gardien stack start {stack}`.", since=HOUR,
    stack=FILES, why=Words.of("{stack} does not answer", stack=FILES),
)  # fmt: skip
DOWN_OVER = alert(
    "stack:nextcloud", "{stack} is not well: {why}", "", since=5 * HOUR, ended=HOUR,
    stack=FILES, why=Words.of("{stack} does not answer", stack=FILES),
)  # fmt: skip
LATE = alert(
    "backup-late:nextcloud:box", "{stack} has not been saved at {target} for too long",
    "Back it up now: `gardien backup create {stack} --target {target}`; it says what is in the way.",
    since=2 * HOUR, stack=FILES, target="box",
)  # fmt: skip
FULL = alert(
    "disk:/srv/gardien", "the disk at {path} is nearly full", "Delete what nobody needs, or get a bigger disk.",
    since=DAY, path="/srv/gardien",
)  # fmt: skip
GONE = alert(
    "disk:/srv/gardien", "the disk at {path} is not there", "Look whether it is plugged in, then restart the machine.",
    since=timedelta(minutes=11), path="/srv/gardien",
)  # fmt: skip
DAMAGED = alert(
    "damaged:box", "backups at {target} are damaged",
    "Back up to another target now, and ask the person who helps you. `gardien backup check {target}` tells more.",
    since=4 * HOUR, target="box",
)  # fmt: skip
DRILL = alert(
    "drill:nextcloud",
    "the newest backup of {stack} at {target} cannot be restored: its database is not whole",
    "What runs is untouched. Back up again now: `gardien backup create {stack}`; then try that one: `gardien drill "
    "{stack}`. If that fails too, ask the person who helps you.",
    since=6 * HOUR, stack=FILES, target="box",
)  # fmt: skip
MAIL = alert(
    "letters", "letters cannot be sent: {why}", "", since=2 * DAY, ended=HOUR,
    why=Words.of("the mail server {host} does not answer as it should", host="smtp.mailfence.com"),
)  # fmt: skip
CHECK = alert(
    "check-late:box", "the backups at {target} have not been checked for too long",
    "Check them now: `gardien backup check {target}`.", since=DAY, severity="notice", target="box",
)  # fmt: skip
BACK = alert(
    "update:nextcloud:12",
    "{stack} could not be updated to {version}: {why}. It is at version {former} again, with all that was in it; "
    "nothing is lost",
    "Nothing is to be done: this version is not tried again, the next one is. Whoever wants to know more finds what "
    "it printed last in `gardien job show {job}`, and on the page of that job.",
    since=timedelta(minutes=3), severity="notice", stack=FILES, version="34.0.4", former="34.0.3", job=12,
    taken="2026-03-03 09:11",
    why=Words.of(
        "it does not say that it is well at version {version}: {why}", version="34.0.4",
        why=Words.of("{stack} does not answer", stack=FILES),
    ),
)  # fmt: skip
BACK_LATER = alert(
    "update:nextcloud:12",
    "{stack} could not be updated to {version}: {why}. It is at version {former} again; what was written from {taken} "
    "on, until it was taken back, is not in it",
    BACK.remedy.text,
    since=timedelta(minutes=3), severity="notice", stack=FILES, version="34.0.4", former="34.0.3", job=12,
    taken="2026-03-03 09:11",
    why=Words.of("its service {service} ended by itself {times} times", service="app", times=2),
)  # fmt: skip
ALERTS = (BACK, BACK_LATER, DOWN, LATE, FULL, GONE, DAMAGED, DRILL, MAIL, CHECK)


def _stack(name: str, title: Given, saved: timedelta, proven: timedelta | None) -> StackView:
    taken = NOW - saved
    snapshot = Snapshot("ab" * 32, name, "box", taken, 12_345, 8_100_000_000, 52_000_000, 12.0, True)
    proof = None
    if proven is not None:
        ended = NOW - proven
        says = Words.of("")
        proof = Proof(7, name, "box", snapshot.id, taken, ended - timedelta(minutes=2), ended, "proven", says, says)
    health = StackHealth(name, "well", Words.of(""), NOW, NOW)
    return StackView(
        name, Said(en=title.en, fr=title.fr), Said(en="", fr=""), None, health, snapshot, snapshot, False, None,
        trials=Trials(proven=proof),
    )  # fmt: skip


WEEK = Overview(
    severity="calm",
    says=Words.of("Everything runs, and everything is saved."),
    now=NOW,
    seen=NOW,
    stacks=(_stack("nextcloud", FILES, 7 * HOUR, 3 * DAY), _stack("jitsi", TALK, 7 * HOUR, None)),
    disks=(Disk("/srv/gardien", 2_000_000_000_000, 1_340_000_000_000),),
    targets=(),
    jobs=(),
    recent=(),
    alerts=(),
)

STEP = Change(
    "nextcloud", "NEXTCLOUD_IMAGE", {}, {}, "35.0.0-apache", "", "35.0.0", "34.0.3", "major", "", NOW - 9 * DAY, None
)  # fmt: skip
WAITING = replace(WEEK, stacks=(replace(WEEK.stacks[0], outlook=Outlook(left=(STEP,))), *WEEK.stacks[1:]))

SITUATIONS: Mapping[str, Callable[[LetterWriter], Text]] = {
    "stack-down": lambda writer: writer.news(News((DOWN,)), NOW),
    "backup-late": lambda writer: writer.news(News((LATE,)), NOW),
    "disk-nearly-full": lambda writer: writer.news(News((FULL,)), NOW),
    "disk-gone": lambda writer: writer.news(News((GONE,)), NOW),
    "damaged-backups": lambda writer: writer.news(News((DAMAGED,)), NOW),
    "failed-drill": lambda writer: writer.news(News((DRILL,)), NOW),
    "mail-came-back": lambda writer: writer.news(News(over=(MAIL,)), NOW),
    "several-at-once": lambda writer: writer.news(News((CHECK, DOWN, LATE), (MAIL,)), NOW),
    "it-is-over": lambda writer: writer.news(News(over=(DOWN_OVER,)), NOW),
    "update-taken-back": lambda writer: writer.news(News((BACK,)), NOW),
    "update-taken-back-later": lambda writer: writer.news(News((BACK_LATER,)), NOW),
    "week-an-update-waits": lambda writer: writer.week(WAITING),
    "week-all-is-well": lambda writer: writer.week(WEEK),
    "month": lambda writer: writer.month("2026-02"),
    "test": lambda writer: writer.news(News(), NOW),
    "second-way": lambda writer: writer.brief(News((DOWN,))),
    "second-way-unsent": lambda writer: writer.unsent(),
}


def letter(situation: str, language: str) -> str:
    """As the files hold it: the subject, an empty line, the text."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Paris"
    time.tzset()
    try:
        text = SITUATIONS[situation](LetterWriter(language, HOUSES[language]))
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    return f"{text.subject}\n\n{text.plain}"


def make() -> None:
    """Write them all."""
    HERE.mkdir(exist_ok=True)
    for situation in SITUATIONS:
        for language in HOUSES:
            (HERE / f"{situation}.{language}.txt").write_text(letter(situation, language), encoding="utf-8")


if __name__ == "__main__":
    make()

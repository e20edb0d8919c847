"""Every sentence is said in French too, with the same holes and set as French is; and values become words."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from gardien.faces import present
from gardien.words import N_, Words

ROOT = Path(__file__).parents[1]
LOCALE = ROOT / "daemon" / "gardien" / "locale"
SOURCES = (
    (ROOT / "daemon" / "gardien", [("**.py", "python")]),
    (ROOT / "webui" / "templates", [("**.html", "jinja2.ext:babel_extract")]),
)
KEYWORDS = {"N_": None, "_": None, "gettext": None, "ngettext": (1, 2)}
HOLE = re.compile(r"(?<!\{)\{(\w+)\}|%\((\w+)\)s")
CODE = re.compile(r"`[^`]*`|\{\w+\}:\{\w+\}|https?://\S+")
NARROW, WIDE = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"

Message = tuple[str, ...]  # one sentence, or its singular and plural


def messages() -> Iterator[tuple[str, Message]]:
    """Where each marked sentence stands, and the sentence."""
    for folder, methods in SOURCES:
        options = {"**.html": {"trimmed": "true", "silent": "false"}}
        found = extract_from_dir(str(folder), methods, options, KEYWORDS)
        for file, line, message, _comments, _context in found:
            if "shipped" not in Path(file).parts:
                yield f"{file}:{line}", message if isinstance(message, tuple) else (message,)


def catalogue(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "gardien.po").open("rb") as source:
        return read_po(source, language, abort_invalid=True)


def forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return (text or "",) if text is None or isinstance(text, str) else tuple(text)


def holes(text: str) -> set[str]:
    return {one or other for one, other in HOLE.findall(text)}


def counted(message: Message) -> bool:
    """Whether a sentence has a singular and a plural."""
    return len(message) > 1 or "{count}" in message[0]


def test_something_is_extracted() -> None:
    found = {message for _, message in messages()}
    assert ("Home",) in found  # from a template
    assert ("there is no such page",) in found  # from Python
    assert ("%(number)s file, %(size)s.", "%(number)s files, %(size)s.") in found


def test_every_sentence_is_said_in_french() -> None:
    french = catalogue("fr")
    missing = []
    for where, message in messages():
        entry = french.get(message[0])
        if entry is None or not all(forms(entry.string)) or entry.fuzzy:
            missing.append(f"{where}: {message[0]}")
    assert missing == []


def test_translations_keep_the_holes() -> None:
    wrong = []
    for language in ("fr", "en"):
        for entry in catalogue(language):
            if entry.id:
                wanted = set().union(*(holes(text) for text in forms(entry.id)))
                wrong += [text for text in forms(entry.string) if holes(text) != wanted]
    assert wrong == []


def test_no_translation_is_left_over() -> None:
    used = {message[0] for _, message in messages()}
    for language in ("fr", "en"):
        assert [
            forms(entry.id)[0] for entry in catalogue(language) if entry.id and forms(entry.id)[0] not in used
        ] == []


def test_sentences_that_count_have_two_forms() -> None:
    french, english = catalogue("fr"), catalogue("en")
    for where, message in messages():
        if counted(message):
            entry = french.get(message[0])
            assert entry is not None, where
            assert len(forms(entry.string)) == 2, f"{where}: French has a singular and a plural"
            if len(message) == 1:
                entry = english.get(message[0])
                assert entry is not None, f"{where}: the English catalogue holds its singular and its plural"
                assert len(set(forms(entry.string))) == 2, where


@pytest.mark.parametrize("fault", [r" [:;!?»%]", r"« ", r"[\w)»}][;!?](\s|$)", r"[\w)»}]:(\s|$)", "'", r"\.\.\."])
def test_french_is_set_as_french(fault: str) -> None:
    """No break before high punctuation, typographic apostrophes and ellipses; commands are left as they are typed."""
    wrong = []
    for entry in catalogue("fr"):
        if entry.id:
            wrong += [text for text in forms(entry.string) if re.search(fault, CODE.sub("", HOLE.sub("x", text)))]
    assert wrong == []


# -- values into words


NOW = datetime(2026, 3, 3, 9, 12).astimezone()


def plain(text: str) -> str:
    """With ordinary spaces, to be read in a test."""
    return text.replace(WIDE, " ").replace(NARROW, " ")


@pytest.mark.parametrize(
    ("count", "english", "french"),
    [
        (0, "0 files could not be read", "0 fichier n’a pas pu être lu"),
        (1, "1 file could not be read", "1 fichier n’a pas pu être lu"),
        (2, "2 files could not be read", "2 fichiers n’ont pas pu être lus"),
        (48213, "48,213 files could not be read", "48 213 fichiers n’ont pas pu être lus"),
    ],
)
def test_what_is_counted_is_said_rightly(count: int, english: str, french: str) -> None:
    words = Words.of(N_("{count} files could not be read"), count=count)
    assert present.say(words, "en") == english
    assert plain(present.say(words, "fr")) == french


def test_a_sentence_can_stand_within_another() -> None:
    inner = Words.of(N_("{stack} has not been saved for too long"), stack="Notes")
    words = Words(N_("Something needs you: {what}."), {"what": inner})
    assert present.say(words, "en") == "Something needs you: Notes has not been saved for too long."
    assert plain(present.say(words, "fr")).startswith("Quelque chose a besoin de vous : Notes n’a pas")


def test_a_sentence_stands_alone() -> None:
    assert present.sentence(Words.of(N_("done")), "en") == "Done."
    assert present.sentence(Words.of(N_("done")), "fr") == "C’est fait."
    assert present.sentence(Words.of(""), "en") == ""
    assert present.sentence(Words.of(N_("Did you mean “{near}”?"), near="x"), "en") == "Did you mean “x”?"


def test_what_nobody_translated_and_what_nobody_filled_is_still_said() -> None:
    assert present.say(Words.of("a sentence of {year}, {nobody}", year=2026), "fr") == "a sentence of 2026, {nobody}"


@pytest.mark.parametrize(
    ("bytes_", "english", "french"),
    [
        (0, "0 B", "0 o"),
        (999, "999 B", "999 o"),
        (1_240, "1.2 kB", "1,2 ko"),
        (99_960_000, "100 MB", "100 Mo"),
        (999_960_000, "1 GB", "1 Go"),
        (412 * 10**9, "412 GB", "412 Go"),
        (1_500 * 10**12, "1,500 TB", "1 500 To"),
    ],
)
def test_sizes(bytes_: int, english: str, french: str) -> None:
    assert plain(present.size(bytes_, "en")) == english
    assert plain(present.size(bytes_, "fr")) == french


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (0.42, "0.4 s", "0,4 s"),
        (11.4, "11 s", "11 s"),
        (120, "2 min", "2 min"),
        (252, "4 min 12 s", "4 min 12 s"),
        (3_725, "1 h 02 min", "1 h 02 min"),
        (3 * 86_400 + 3_600, "3 d 1 h", "3 j 1 h"),
    ],
)
def test_durations(seconds: float, english: str, french: str) -> None:
    assert plain(present.duration(seconds, "en")) == english
    assert plain(present.duration(seconds, "fr")) == french


@pytest.mark.parametrize(
    ("hours", "english", "french"),
    [
        (-6.5, "this morning at 02:42", "ce matin à 02 h 42"),
        (4, "this afternoon at 13:12", "cet après-midi à 13 h 12"),
        (10, "this evening at 19:12", "ce soir à 19 h 12"),
        (-30.5, "yesterday at 02:42", "hier à 02 h 42"),
        (17.3, "tomorrow at 02:30", "demain à 02 h 30"),
        (-78.5, "on Saturday at 02:42", "samedi à 02 h 42"),
        (-24 * 30, "on 1 February at 09:12", "le 1er février à 09 h 12"),
        (-24 * 400, "on 27 January 2025 at 09:12", "le 27 janvier 2025 à 09 h 12"),
    ],
)
def test_times(hours: float, english: str, french: str) -> None:
    then = NOW + timedelta(hours=hours)
    assert plain(present.when(then, NOW, "en")) == english
    assert plain(present.when(then, NOW, "fr")) == french


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (2, "just now", "à l’instant"),
        (20, "20 seconds ago", "il y a 20 secondes"),
        (26 * 3600, "26 hours ago", "il y a 26 heures"),
        (8 * 86_400, "8 days ago", "il y a 8 jours"),
    ],
)
def test_ages(seconds: float, english: str, french: str) -> None:
    assert plain(present.age(NOW - timedelta(seconds=seconds), NOW, "en")) == english
    assert plain(present.age(NOW - timedelta(seconds=seconds), NOW, "fr")) == french


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (None, "", ""),
        (4, "a few seconds left", "encore quelques secondes"),
        (33, "about 30 seconds left", "encore 30 secondes environ"),
        (58, "about 1 minute left", "encore 1 minute environ"),
        (400, "about 7 minutes left", "encore 7 minutes environ"),
    ],
)
def test_time_that_remains(seconds: float | None, english: str, french: str) -> None:
    assert plain(present.left(seconds, "en")) == english
    assert plain(present.left(seconds, "fr")) == french


def test_nothing_is_complete_before_it_is() -> None:
    assert present.percent(0.9999, "en") == "99%"
    assert plain(present.percent(1, "fr")) == "100 %"


def test_a_time_in_the_journal_is_said_as_people_here_write_it() -> None:
    words = Words.of(N_("{stack} is back as of {taken}; it answers; {files} files, all verified"), stack="Notes")
    utc = NOW.astimezone(UTC)
    words = Words(words.text, {**words.values, "taken": f"{utc:%Y-%m-%d %H:%M}", "files": 1200})
    assert plain(present.say(words, "en")).startswith(
        "Notes is back as of Tuesday 3 March 2026, 09:12; it answers; 1,200 files"
    )
    assert "mardi 3 mars 2026, 09 h 12" in plain(present.say(words, "fr"))


@pytest.mark.parametrize(
    ("asked", "spoken"), [("fr", "fr"), ("fr_CA", "fr"), ("EN-gb", "en"), ("de", "en"), (None, "en")]
)
def test_languages_we_speak(asked: str | None, spoken: str) -> None:
    assert present.known(asked) == spoken

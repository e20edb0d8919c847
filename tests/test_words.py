"""Every sentence is said in French too, completely, with the same holes and as French is set; and values become words."""

import re
from collections.abc import Iterator
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


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    return text if isinstance(text, tuple | list) else (text,)


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

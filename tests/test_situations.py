"""What people are told, word for word, in English and French: made anew by `python -m tests.situations`."""

from collections.abc import Iterator

import pytest

from gardien.faces import present
from gardien.faces.meaning import _DISKS, meaning
from gardien.model.letter import News
from gardien.words import Words
from tests.situations import ALERTS, HERE, HOUSES, SITUATIONS, letter


@pytest.mark.parametrize("language", list(HOUSES))
@pytest.mark.parametrize("situation", list(SITUATIONS))
def test_each_letter_says_what_it_said(situation: str, language: str) -> None:
    written = (HERE / f"{situation}.{language}.txt").read_text(encoding="utf-8")
    assert letter(situation, language) == written


def test_no_letter_lies_there_that_nobody_gets() -> None:
    assert {each.name for each in HERE.iterdir()} == {f"{name}.{each}.txt" for name in SITUATIONS for each in HOUSES}


def texts(words: Words) -> Iterator[str]:
    yield words.text
    for value in words.values.values():
        if isinstance(value, Words):
            yield from texts(value)


def test_the_situations_are_those_of_the_house() -> None:
    """Their sentences are the house's own: each is in its catalogue, so a changed one shows."""
    known = present.catalogue("fr")
    for alert in ALERTS:
        for text in (*texts(alert.says), alert.remedy.text):
            assert not text or known.ugettext(text) != text or known.ungettext(text, text, 2) != text, text


def test_what_it_means_for_the_files_is_said_of_each() -> None:
    for alert in ALERTS:
        if alert.key != "letters":
            assert meaning(alert.key, alert.says) is not None, alert.key
    assert len({str(meaning("disk:/x", Words.of(text))) for text in (*_DISKS, "is full")}) == 4
    assert meaning("memory-lost", Words.of("")) is None
    assert not News()

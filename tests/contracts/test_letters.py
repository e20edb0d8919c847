"""What every outbox keeps to, and what the real mail server makes of our letters."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.adapters.mailer import SmtpMailer
from gardien.errors import MailFailed
from gardien.model.letter import Letter, Text
from gardien.model.settings import Folders, Settings
from gardien.services.ports import Store
from gardien.words import Words
from tests.world.smtp import PASSWORD, USER, PostOffice

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = Text("gardien: Nextcloud n’est pas là – 🌿", "Bonjour,\nl’été\n.\nfin\n", "<p>l’été</p>")


async def test_a_letter_waits_until_it_is_sent(store: Store) -> None:
    await store.post("<one@here>", TEXT, NOON, [], [])
    await store.post("<two@here>", TEXT, NOON + timedelta(hours=1), [], [])
    one, two = await store.letters(waiting=True)
    assert (one.message, one.text, one.tries, one.next_try, one.sent, one.error) == (
        "<one@here>", TEXT, 0, NOON, None, None,
    )  # fmt: skip
    later = NOON + timedelta(hours=2)
    await store.mark_letter(one.id, next_try=later, error=Words.of("no"))
    assert [each.message for each in await store.letters(waiting=True)] == ["<two@here>", "<one@here>"]
    await store.mark_letter(two.id, sent=later)
    [one] = await store.letters(waiting=True)
    assert (one.tries, one.next_try, one.error) == (1, later, Words.of("no"))
    await store.mark_letter(one.id, error=Words.of("never"))
    assert await store.letters(waiting=True) == []
    assert [(each.message, each.tries) for each in await store.letters()] == [("<two@here>", 1), ("<one@here>", 2)]


async def test_an_alert_is_told_with_its_letter(store: Store) -> None:
    await store.open_alert("disk", "trouble", Words.of("full"), Words.of("empty it"), NOON)
    await store.open_alert("clock", "notice", Words.of("slow"), Words.of(""), NOON)
    clock, disk = await store.told(NOON)
    assert (disk.alert.key, disk.told, disk.over) == ("disk", None, None)
    await store.post("<one@here>", TEXT, NOON, [disk.alert.id], [])
    clock, disk = await store.told(NOON)
    assert (clock.told, disk.told) == (None, NOON)
    later = NOON + timedelta(days=30)
    for key in ("disk", "clock"):
        await store.close_alert(key, later)
    assert {each.alert.key for each in await store.told(later)} == {"disk"}, "its end was not told yet"
    await store.post("<two@here>", TEXT, later, [], [disk.alert.id])
    assert await store.told(later) == []
    assert {each.alert.key for each in await store.told(NOON)} == {"disk", "clock"}


async def test_old_letters_are_forgotten_unless_they_wait(store: Store) -> None:
    for name in ("sent", "given-up", "waits"):
        await store.post(f"<{name}@here>", TEXT, NOON, [], [])
    sent, given_up, _ = await store.letters(waiting=True)
    await store.mark_letter(sent.id, sent=NOON)
    await store.mark_letter(given_up.id)
    await store.drop_letters(NOON)
    assert len(await store.letters()) == 3
    await store.drop_letters(NOON + timedelta(seconds=1))
    assert [each.message for each in await store.letters()] == ["<waits@here>"]


# -- the mail server


def mailer(root: Path, office: PostOffice, password: str = PASSWORD) -> SmtpMailer:
    settings = Settings(
        name="practice",
        folders=Folders(**{name: root / name for name in ("data", "state", "run", "owner")}),
        mail=office.settings(),
    )
    settings.secrets.mkdir(parents=True, exist_ok=True)
    settings.mail_password.write_text(password + "\n")
    return SmtpMailer(settings)


def letter(message: str = "<one@practice.example>") -> Letter:
    return Letter(1, message, TEXT, NOON, 0, NOON)


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
async def test_a_letter_arrives_as_it_was_written(tmp_path: Path, security: str) -> None:
    with PostOffice(tmp_path / "office", security) as office:
        await mailer(tmp_path, office).send(letter())
        await mailer(tmp_path, office).send(letter())
    one, again = office.taken
    assert one.as_bytes() == again.as_bytes(), "a second try is the same letter"
    assert (one["Message-ID"], one["To"], one["Auto-Submitted"]) == (
        "<one@practice.example>", "owner@practice.example", "auto-generated",
    )  # fmt: skip
    assert one["Subject"] == TEXT.subject
    assert "practice" in one["From"]
    plain, html = one.get_body(("plain",)), one.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().replace("\r\n", "\n") == TEXT.plain
    assert "l’été" in html.get_content()


@pytest.mark.parametrize(
    ("mood", "lasting", "says"),
    [
        ("busy", False, "does not take the letter"),
        ("refuse", True, "does not take the letter"),
        ("no login", True, "does not let gardien in"),
        ("drop", False, "does not answer as it should"),
    ],
)
async def test_what_a_failure_means(tmp_path: Path, mood: str, lasting: bool, says: str) -> None:
    with PostOffice(tmp_path / "office") as office:
        office.mood = mood
        with pytest.raises(MailFailed) as caught:
            await mailer(tmp_path, office).send(letter())
        assert says in str(caught.value)
        assert caught.value.lasting is lasting
        assert str(caught.value.remedy)
        assert PASSWORD not in str(caught.value) + caught.value.detail
        office.mood = "take"
        await mailer(tmp_path, office).send(letter())


async def test_nobody_is_there(tmp_path: Path) -> None:
    office = PostOffice(tmp_path / "office")
    with pytest.raises(MailFailed, match="does not answer") as caught:
        await mailer(tmp_path, office).send(letter())
    assert not caught.value.lasting


async def test_another_certificate_gets_no_letter_and_no_password(tmp_path: Path) -> None:
    with PostOffice(tmp_path / "office") as office, PostOffice(tmp_path / "impostor") as impostor:
        sender = mailer(tmp_path, office)
        office.port, office.certificate = impostor.port, office.certificate
        sender = mailer(tmp_path, office)
        with pytest.raises(MailFailed, match="certificate") as caught:
            await sender.send(letter())
    assert caught.value.lasting
    assert impostor.taken == []


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.adapters.mailer.PATIENCE", 1.0)
    server = await asyncio.start_server(lambda _, writer: asyncio.sleep(60), "127.0.0.1", 0)
    office = PostOffice(tmp_path / "office", "none")
    office.port = server.sockets[0].getsockname()[1]
    with pytest.raises(MailFailed, match="does not answer"):
        await mailer(tmp_path, office).send(letter())
    server.close()


async def test_no_password_is_said(tmp_path: Path) -> None:
    office = PostOffice(tmp_path / "office")
    sender = mailer(tmp_path, office)
    (tmp_path / "owner/secrets/mail.password").unlink()
    with pytest.raises(MailFailed, match="is not in"):
        await sender.send(letter())
    assert USER

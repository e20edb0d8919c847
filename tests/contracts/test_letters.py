"""What every outbox keeps to, and what the real mail server makes of our letters."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.adapters.mailer import SmtpMailer
from gardien.errors import MailFailed
from gardien.model.letter import Draft, Letter, Text, Way
from gardien.model.settings import Folders, Settings
from gardien.services.ports import Store
from gardien.words import Words
from tests.world.smtp import PASSWORD, USER, PostOffice

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = Text("gardien: Nextcloud n’est pas là – 🌿", "Bonjour,\nl’été\n.\nfin\n", "<p>l’été</p>")


def draft(message: str, due: datetime = NOON, way: Way = "mail", instead_of: str | None = None) -> Draft:
    return Draft(message, TEXT, due, way, instead_of)


async def test_a_letter_waits_until_it_is_sent(store: Store) -> None:
    await store.post([draft("<one@here>")], NOON)
    await store.post([draft("<two@here>", NOON + timedelta(hours=1))], NOON + timedelta(hours=1))
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
    await store.post([draft("<one@here>")], NOON, [disk.alert.id])
    clock, disk = await store.told(NOON)
    assert (clock.told, disk.told) == (None, NOON)
    later = NOON + timedelta(days=30)
    for key in ("disk", "clock"):
        await store.close_alert(key, later)
    assert {each.alert.key for each in await store.told(later)} == {"disk"}, "its end was not told yet"
    await store.post([draft("<two@here>")], later, [], [disk.alert.id])
    assert await store.told(later) == []
    assert {each.alert.key for each in await store.told(NOON)} == {"disk", "clock"}


async def test_old_letters_are_forgotten_unless_they_wait(store: Store) -> None:
    for name in ("sent", "given-up", "waits"):
        await store.post([draft(f"<{name}@here>")], NOON)
    sent, given_up, _ = await store.letters(waiting=True)
    await store.mark_letter(sent.id, sent=NOON)
    await store.mark_letter(given_up.id)
    await store.drop_letters(NOON)
    assert len(await store.letters()) == 3
    await store.drop_letters(NOON + timedelta(seconds=1))
    assert [each.message for each in await store.letters()] == ["<waits@here>"]


async def test_what_is_said_instead_of_a_letter_is_forgotten_once_that_one_is_sent(store: Store) -> None:
    later = NOON + timedelta(hours=1)
    instead = draft("b", later, "second", "<a@here>")
    await store.post([draft("<a@here>"), instead, draft("c", NOON, "second")], NOON)
    assert [each.message for each in await store.letters(waiting=True, way="mail")] == ["<a@here>"]
    assert [each.message for each in await store.letters(waiting=True, way="second")] == ["c", "b"]
    [mail] = await store.letters(way="mail")
    await store.mark_letter(mail.id, next_try=later, error=Words.of("no"))
    assert len(await store.letters(way="second")) == 2
    await store.mark_letter(mail.id, sent=later)
    assert [(each.message, each.way) for each in await store.letters(way="second")] == [("c", "second")]
    await store.post([draft("<d@here>"), draft("e", later, "second", "<d@here>")], NOON)
    said, sent = [each for each in await store.letters() if each.message in ("e", "<d@here>")]
    await store.mark_letter(said.id, sent=later)
    await store.mark_letter(sent.id, sent=later)
    assert "e" in [each.message for each in await store.letters()], "what was said stays written down"


async def test_what_people_say_to_an_alert_is_kept(store: Store) -> None:
    await store.open_alert("disk", "notice", Words.of("filling"), Words.of(""), NOON)
    [alert] = await store.alerts()
    assert (alert.known, alert.asleep, alert.worse) == (None, None, None)
    until = NOON + timedelta(days=2)
    await store.hush(alert.id, asleep=until)
    assert (await store.alerts())[0].asleep == until
    await store.hush(alert.id, known=NOON)
    [alert] = await store.alerts()
    assert (alert.known, alert.asleep) == (NOON, None)
    await store.open_alert("disk", "notice", Words.of("still filling"), Words.of(""), until)
    assert (await store.alerts())[0].known == NOON
    await store.open_alert("disk", "trouble", Words.of("full"), Words.of(""), until)
    [alert] = await store.alerts()
    assert (alert.known, alert.worse, alert.opened) == (None, until, NOON), "trouble is another matter than a notice"
    await store.hush(alert.id, known=until)
    for severity in ("notice", "trouble"):
        await store.open_alert("disk", severity, Words.of("full"), Words.of(""), until + timedelta(days=1))
    [alert] = await store.alerts()
    assert (alert.known, alert.worse) == (until, until), "but only once"
    await store.close_alert("disk", until)
    assert {each.alert.key for each in await store.told(until)} == {"disk"}, "its end is owed to who said they know"


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


@pytest.mark.parametrize("line", [b"220-wait\r\n", b"2"])
async def test_a_tarpit_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """It says something all the time, and never comes to an end."""
    monkeypatch.setattr("gardien.adapters.mailer.PATIENCE", 0.5)

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(line)
                await writer.drain()
                await asyncio.sleep(0.05)

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    office = PostOffice(tmp_path / "office", "none")
    office.port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(10):
        with pytest.raises(MailFailed, match="does not answer") as caught:
            await mailer(tmp_path, office).send(letter())
    assert not caught.value.lasting
    server.close()


async def test_a_server_that_is_slow_at_each_step_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gardien.adapters.mailer.PATIENCE", 0.5)
    monkeypatch.setattr("gardien.adapters.mailer.IN_ALL", 2)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(b"220 here\r\n")
            while await reader.readline():
                await asyncio.sleep(0.4)
                writer.write(b"250 yes\r\n")
                await writer.drain()

    server = await asyncio.start_server(slow, "127.0.0.1", 0)
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

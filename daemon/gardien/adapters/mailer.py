"""Hands letters to a mail server over SMTP, with TLS; nothing else here speaks to one."""

import asyncio
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import aiosmtplib

from gardien.adapters.outside import reached
from gardien.errors import MailFailed
from gardien.model.letter import Letter
from gardien.model.settings import Mail, Settings
from gardien.words import N_

PATIENCE = 60.0  # seconds for each answer of the server
IN_ALL = 5  # times as long for all of them: a tarpit answers, slowly


class SmtpMailer:
    """The `Mailer` of a real house."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def send(self, letter: Letter) -> None:
        """Raises MailFailed; `lasting` if the server will say the same to the next try."""
        mail = self._settings.mail
        if mail is None:
            raise MailFailed(
                N_("there is no mail server in the settings"),
                N_("Write `mail` into gardien.yaml, as docs/letters.md shows."),
                lasting=True,
            )
        password = await asyncio.to_thread(self._password) if mail.user is not None else None
        try:
            trust = await asyncio.to_thread(ssl.create_default_context, cafile=str(mail.ca) if mail.ca else None)
            async with asyncio.timeout(PATIENCE * IN_ALL):
                await aiosmtplib.send(
                    compose(letter, mail, self._settings.name),
                    sock=await reached(mail.host, mail.port),
                    hostname=mail.host,
                    username=mail.user,
                    password=password,
                    use_tls=mail.security == "tls",
                    start_tls=mail.security == "starttls",
                    tls_context=trust if mail.security != "none" else None,
                    timeout=PATIENCE,
                )
        except aiosmtplib.SMTPAuthenticationError as error:
            raise _failed(_LOGIN, error, mail, lasting=True) from error
        except aiosmtplib.SMTPRecipientsRefused as error:
            lasting = all(each.code >= 500 for each in error.recipients)
            raise _failed(_NOT_TAKEN, error, mail, lasting=lasting) from error
        except aiosmtplib.SMTPResponseException as error:
            raise _failed(_NOT_TAKEN, error, mail, lasting=error.code >= 500) from error
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise _failed(_OTHER, error, mail, lasting=True) from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            cause = error.__cause__ or error.__context__
            if isinstance(cause, ssl.SSLError):
                raise _failed(_OTHER, error, mail, lasting=True) from error
            raise _failed(_SILENT, error, mail, lasting=False) from error

    def _password(self) -> str:
        file = self._settings.mail_password
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise MailFailed(
                N_("the password for the mail server is not in {file}"),
                N_("Write it into that file, which only root may read."),
                lasting=True,
                file=str(file),
            ) from error


def compose(letter: Letter, mail: Mail, machine: str) -> EmailMessage:
    """The letter as it goes over the line. The same letter is the same to the last byte, at each try."""
    made = EmailMessage(policy=SMTP)
    made["Message-ID"] = letter.message
    made["Date"] = format_datetime(letter.written)
    made["From"] = f"gardien {machine} <{mail.from_}>"
    made["To"] = ", ".join(mail.to)
    made["Subject"] = letter.text.subject
    made["Auto-Submitted"] = "auto-generated"  # no out-of-office note comes back
    made.set_content(letter.text.plain)
    made.add_alternative(letter.text.html, subtype="html")
    made.set_boundary("gardien-" + letter.message.strip("<>").split("@", 1)[0])
    return made


def _failed(words: tuple[str, str], error: Exception, mail: Mail, *, lasting: bool) -> MailFailed:
    code = getattr(error, "code", None)
    return MailFailed(*words, lasting=lasting, detail=f"{type(error).__name__} {code or ''}".strip(), host=mail.host)


_LOGIN = (
    N_("the mail server {host} does not let gardien in: its login or password is wrong, or was changed"),
    N_("Put the right password into its file; many providers want a password made for programs alone."),
)
_NOT_TAKEN = (
    N_("the mail server {host} does not take the letter"),
    N_("Look at the addresses under `mail` in gardien.yaml, and whether this login may send as `from`."),
)
_OTHER = (
    N_("the mail server {host} does not show a certificate that can be trusted"),
    N_("Nothing was sent. Look at its name, its port and at `security` under `mail` in gardien.yaml."),
)
_SILENT = (
    N_("the mail server {host} does not answer as it should"),
    N_("gardien tries again by itself, for two weeks. Look at the internet connection, then at the name and the port."),
)

"""A real mail server on loopback: TLS, login, and every way of not taking a letter."""

import asyncio
import socket
import ssl
import subprocess
import threading
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "gardien@practice.example", "pass word Ä"


class PostOffice:
    """`mood` is what it does with letters: "take", "busy" (451), "refuse" (550), "no login" (535), or "drop": it takes
    one, and is gone before it says so.
    """

    def __init__(self, root: Path, security: str = "tls") -> None:
        self.security = security
        self.mood = "take"
        self.taken: list[EmailMessage] = []
        self.unanswered = 0  # of those, how many were never told so
        self.certificate, key = root / "mail.pem", root / "mail.key"
        root.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out",
             str(self.certificate)],
            check=True,
            capture_output=True,
        )  # fmt: skip
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.certificate, key)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._controller: Controller | None = None

    def __enter__(self) -> Self:
        office = self

        class Server(Controller):
            def factory(self) -> SMTP:
                return SMTP(
                    self.handler,
                    hostname="localhost",
                    authenticator=office._login,
                    auth_required=office.security != "none",
                    auth_require_tls=office.security == "starttls",
                    require_starttls=office.security == "starttls",
                    tls_context=office._context if office.security == "starttls" else None,
                )

        context = self._context if self.security == "tls" else None
        self._controller = Server(
            self, hostname="127.0.0.1", port=self.port, server_hostname="localhost", ssl_context=context
        )
        threading.excepthook, hook = (lambda _: None), threading.excepthook
        try:
            self._controller.start()
        finally:
            threading.excepthook = hook
        return self

    def __exit__(self, *_: object) -> None:
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    def settings(self) -> dict[str, Any]:
        """What `mail:` says in the settings."""
        known = {"user": USER, "ca": str(self.certificate)} if self.security != "none" else {}
        return {
            "to": ["owner@practice.example"],
            "from": "gardien@practice.example",
            "host": "localhost",
            "port": self.port,
            "security": self.security,
            **known,
        }

    def messages(self) -> list[str]:
        """The Message-IDs of what lies in the mailbox, in the order they came."""
        return [str(each["Message-ID"]) for each in self.taken]

    def _login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        del server, session, envelope, mechanism
        right = isinstance(data, LoginPassword) and data.password == PASSWORD.encode() and self.mood != "no login"
        # Not `handled`: else aiosmtpd says nothing at all to a wrong one.
        return AuthResult(success=right, handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del session
        if self.mood == "busy":
            return "451 4.7.1 try again later"
        if self.mood == "refuse":
            return "550 5.7.1 not from you"
        content = envelope.original_content or b""
        self.taken.append(message_from_bytes(content, _class=EmailMessage, policy=policy.default))
        if self.mood == "drop":
            self.unanswered += 1
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return "250 taken"


def settled(office: PostOffice, count: int, patience: float = 60) -> None:
    """Wait until so many letters came."""
    deadline = time.monotonic() + patience
    while len(office.taken) < count:
        assert time.monotonic() < deadline, f"{len(office.taken)} of {count} letters came"
        time.sleep(0.1)

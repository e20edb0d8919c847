"""What systemd is told (sd_notify). Without systemd all of it does nothing."""

import os
import socket
from contextlib import suppress


class Systemd:
    """The service manager that started us, if one did. Never raises: it must not hurt to be alone."""

    def __init__(self, environ: "os._Environ[str] | dict[str, str]" = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._watchdog = environ.get("WATCHDOG_USEC", "")
        self._for = environ.get("WATCHDOG_PID", "")

    @property
    def interval(self) -> float | None:
        """Seconds between two signs of life, half of what systemd allows; None if it does not ask for any."""
        if not self._watchdog.isdigit() or not int(self._watchdog) or self._for not in {"", str(os.getpid())}:
            return None
        return int(self._watchdog) / 2_000_000

    def ready(self, status: str = "") -> None:
        self._say("READY=1", status)

    def status(self, status: str) -> None:
        """One line, shown by `systemctl status`."""
        self._say("", status)

    def alive(self) -> None:
        """To be said at least every `interval` seconds, or systemd restarts us."""
        self._say("WATCHDOG=1")

    def stopping(self, status: str = "") -> None:
        self._say("STOPPING=1", status)

    def _say(self, state: str, status: str = "") -> None:
        if not self._address:
            return
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + " ".join(status.split()))
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setblocking(False)
            out.connect(self._address)
            out.send("\n".join(lines).encode())

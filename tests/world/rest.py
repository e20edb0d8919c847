"""A colleague's rest-server: restic's own, over TLS on loopback, with an account, and append-only if wished."""

import base64
import hashlib
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from tests.world.restic import CACHE
from tests.world.sftp import free_port
from tests.world.tls import certificate

SERVER = shutil.which("restic-rest-server", path=f"{CACHE}/tools/bin:/usr/bin") or "restic-rest-server"


class RestHost:
    """A rest-server with one account, `practice`. After `stop`, `start` listens again on the same port."""

    user = "practice"
    password = 'a long pass/word: 100% @ "home"'

    def __init__(self, room: Path, *, append_only: bool = False, most: int | None = None) -> None:
        """Make its certificate and account in `room`; nothing listens yet. `most`: bytes it takes, in all."""
        room.mkdir(parents=True, exist_ok=True)
        self.folder = room / "home"
        self.folder.mkdir()
        self.port = free_port()
        self.log = room / "rest-server.log"
        self._accounts = room / "accounts"
        self.append_only = append_only
        self.most = most
        self.certificate, self._key = certificate(room)
        self._room = room
        self._running: subprocess.Popen[bytes] | None = None
        self.accept()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}/{self.user}/backups"

    def start(self) -> None:
        """Listen, and come back when connections are taken. Raises RuntimeError with its own words."""
        if self._running is not None:
            return
        argv = [SERVER, "--path", str(self.folder), "--listen", f"127.0.0.1:{self.port}", "--private-repos"]
        argv += ["--htpasswd-file", str(self._accounts), "--tls", "--tls-cert", str(self.certificate)]
        argv += ["--tls-key", str(self._key)]
        argv += ["--append-only"] if self.append_only else []
        argv += ["--max-size", str(self.most)] if self.most is not None else []
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 10
        while self._running.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"cannot start the rest-server: {self.log.read_text()}")

    def stop(self) -> None:
        """End it; what is under way is cut."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def again(self, *, append_only: bool | None = None, most: int | None = None) -> None:
        """Start anew under other rules."""
        self.stop()
        self.append_only = self.append_only if append_only is None else append_only
        self.most = most
        self.start()

    def accept(self) -> None:
        """Take the account's password (again, from the next start on)."""
        hashed = base64.b64encode(hashlib.sha1(self.password.encode(), usedforsecurity=False).digest()).decode()
        self._accounts.write_text(f"{self.user}:{{SHA}}{hashed}\n")

    def revoke(self) -> None:
        """Become a host that knows this account no more."""
        self.stop()
        self._accounts.write_text("somebody-else:{SHA}nothing\n")
        self.start()

    def new_certificate(self) -> None:
        """Become another server: same address, another certificate."""
        self.stop()
        known = self.certificate.read_text()
        certificate(self._room)
        self.other, self.known = self.certificate.read_text(), known
        self.start()

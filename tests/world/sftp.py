"""The European host: a real sshd on loopback that gives out a folder over SFTP."""

import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import psutil

SSHD = "/usr/sbin/sshd"


def free_port() -> int:
    """A port of 127.0.0.1 nobody listens on at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class SftpHost:
    """An SFTP server with one account, one key and a folder of its own. Needs root, as sshd does.

    Relative paths of a client land in `folder`. After `stop` or `refuse`, `start` listens again on the same port.
    """

    user = "root"
    address = "127.0.0.1"

    def __init__(self, room: Path) -> None:
        """Make keys and settings in `room` (an own, empty folder); nothing listens yet."""
        room.mkdir(parents=True, exist_ok=True)
        self.folder = room / "home"
        self.folder.mkdir()
        self.port = free_port()
        self.client_key = room / "client_key"
        self.log = room / "sshd.log"
        self._config = room / "sshd_config"
        self._host_key = room / "host_key"
        self._authorized = room / "authorized_keys"
        self._listener: subprocess.Popen[bytes] | None = None
        self._sessions: list[psutil.Process] = []
        _make_key(self.client_key)
        _make_key(self._host_key)
        self.accept_key()
        self._config.write_text(
            "\n".join(
                [
                    f"ListenAddress {self.address}:{self.port}",
                    f"HostKey {self._host_key}",
                    f"AuthorizedKeysFile {self._authorized}",
                    f"Subsystem sftp internal-sftp -d {self.folder}",
                    f"ForceCommand internal-sftp -d {self.folder}",
                    "PidFile none",
                    "PermitRootLogin prohibit-password",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    # The room may lie below a folder others may write to, as /tmp is.
                    "StrictModes no",
                    # Without PAM sshd refuses an account whose password is locked with "!".
                    f"UsePAM {'yes' if _root_is_locked() else 'no'}",
                    "UseDNS no",
                    "MaxStartups 100",
                    "LogLevel VERBOSE",
                    "",
                ]
            )
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def host_key_line(self) -> str:
        """The public host key, `ssh-ed25519 AAAA...`, to pin."""
        return _public(self._host_key)

    def start(self) -> None:
        """Listen, and come back when connections are taken.

        Raises RuntimeError with sshd's own words if it does not start.
        """
        if self._listener is not None:
            return
        Path("/run/sshd").mkdir(exist_ok=True, mode=0o755)
        self._listener = subprocess.Popen(
            [SSHD, "-D", "-f", str(self._config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while self._listener.poll() is None and time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"cannot start sshd: {self.log.read_text() if self.log.exists() else 'no log'}")

    def refuse(self) -> None:
        """Stop listening: new connections are refused, those there are live on."""
        if self._listener is None:
            return
        self._sessions = self.sessions()
        self._listener.terminate()
        self._listener.wait(10)
        self._listener = None

    def hang_up(self) -> None:
        """Kill the connections there are; new ones are taken if the host listens."""
        for process in self.sessions():
            process.kill()
        psutil.wait_procs(self._sessions, timeout=10)
        self._sessions = []

    def stop(self) -> None:
        """End the listener and every connection."""
        self.refuse()
        self.hang_up()

    def sessions(self) -> list[psutil.Process]:
        """The processes of the connections there are at this moment."""
        found = [process for process in self._sessions if process.is_running()]
        if self._listener is not None and self._listener.poll() is None:
            found += psutil.Process(self._listener.pid).children(recursive=True)
        return found

    def new_host_key(self) -> None:
        """Become another server, as after a reinstallation or behind an impostor: same address, other host key."""
        self.stop()
        _make_key(self._host_key)
        self.start()

    def revoke_key(self) -> None:
        """Turn the client's key away from the next connection on."""
        self._authorized.write_text("")

    def let_in(self, line: str) -> None:
        """Take this public key, and no other."""
        self._authorized.write_text(line.strip() + "\n")

    def accept_key(self) -> None:
        """Take the client's key (again)."""
        self._authorized.write_text(_public(self.client_key) + "\n")


def _make_key(path: Path) -> None:
    for old in (path, path.with_name(path.name + ".pub")):
        old.unlink(missing_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)


def _public(key: Path) -> str:
    kind, body = key.with_name(key.name + ".pub").read_text().split()[:2]
    return f"{kind} {body}"


def _root_is_locked() -> bool:
    for line in Path("/etc/shadow").read_text().splitlines():
        name, password, *_ = line.split(":")
        if name == "root":
            return password.startswith("!")
    return False

"""Somebody with a browser: comes through the house's door by name, over HTTPS, and trusts the house's own authority."""

import base64
import http.client
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")


class Visitor:
    """`port`: where the door listens on this machine. `root`: the certificate that this device was told to trust."""

    def __init__(self, port: int, root: str) -> None:
        self.port = port
        self._trust = ssl.create_default_context(cadata=root)

    def connect(self, name: str) -> ssl.SSLSocket:
        """A connection whose certificate is `name`'s, or an error."""
        return self._trust.wrap_socket(
            socket.create_connection(("127.0.0.1", self.port), timeout=30), server_hostname=name
        )

    def ask(
        self,
        name: str,
        path: str = "/",
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
    ) -> Reply:
        """One request."""
        sent = {"Host": f"{name}:{self.port}", **(headers or {})}
        if login is not None:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(login).encode()).decode()
        connection = http.client.HTTPConnection(name, self.port, timeout=30)
        connection.sock = self.connect(name)
        try:
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            return Reply(reply.status, {key.lower(): value for key, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def websocket(self, name: str, path: str) -> "Websocket":
        """An open websocket. Raises AssertionError when the server does not upgrade."""
        return Websocket(self.connect(name), f"{name}:{self.port}", path)


class Websocket:
    """Text frames of less than 126 bytes (RFC 6455)."""

    def __init__(self, stream: ssl.SSLSocket, host: str, path: str) -> None:
        self._stream = stream
        key = base64.b64encode(os.urandom(16)).decode()
        stream.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: https://{host}\r\n"
            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            got = stream.recv(1)
            assert got, f"the connection ended: {head!r}"
            head += got
        assert head.startswith(b"HTTP/1.1 101"), head

    def say(self, text: str) -> None:
        mask = os.urandom(4)
        payload = text.encode()
        assert len(payload) < 126
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._stream.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + masked)

    def hear(self) -> str:
        head = self._read(2)
        assert head[0] == 0x81, f"not a whole text frame: {head!r}"
        return self._read(head[1] & 0x7F).decode()

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            got = self._stream.recv(size - len(read))
            assert got, "the connection ended"
            read += got
        return read

    def close(self) -> None:
        self._stream.close()

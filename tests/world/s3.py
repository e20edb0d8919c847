"""An S3 host: moto on loopback, with the refusals of a real one in front of it. Every signature is verified."""

import logging
import secrets
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.compat import HTTPHeaders  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, make_server

from tests.world.tls import certificate

Environ = dict[str, Any]
Start = Callable[..., Any]


class S3Host:
    """Object storage with one key and one bucket; its region is called `gra`."""

    region = "gra"

    def __init__(self, room: Path, *, locked: bool = False, tls: bool = True) -> None:
        """Make its certificate and bucket; nothing listens yet. `locked`: Object Lock keeps what is written."""
        room.mkdir(parents=True, exist_ok=True)
        self.bucket = f"practice-{secrets.token_hex(4)}"  # moto is one world for the whole process
        self.key, self.secret = "PRACTICEKEY", "se/cret+0123456789abcdef"
        self.certificate, self._key = certificate(room)
        self.full = self.read_only = self.append_only = False
        self.asked: list[tuple[str, str]] = []  # method and path of each request
        self._tls = tls
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        made = self.backend.create_bucket(self.bucket, self.region)
        if locked:
            made.object_lock_enabled = True
            made.versioning_status = "Enabled"
            made.default_lock_mode, made.default_lock_days, made.default_lock_years = "COMPLIANCE", 30, 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.backend.buckets.pop(self.bucket, None)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; after `stop`, on the same port."""
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self._key)
        self._server = make_server("127.0.0.1", self._port, self._answer, threaded=True, ssl_context=context)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
            self._server = None

    def objects(self) -> list[str]:
        """The keys of what lies in the bucket."""
        return sorted(self.backend.buckets[self.bucket].keys)

    def _answer(self, environ: Environ, start: Start) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        self.asked.append((method, environ["PATH_INFO"]))
        refusal = self._refusal(method, environ)
        if refusal is not None:
            # What was sent must be read first, or the client sees a broken line in place of the answer.
            chunked = environ.get("wsgi.input_terminated")
            environ["wsgi.input"].read(*([] if chunked else [int(environ.get("CONTENT_LENGTH") or 0)]))
            status, code, says = refusal
            body = f"<Error><Code>{code}</Code><Message>{escape(says)}</Message></Error>".encode()
            start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
            return [] if method == "HEAD" else [body]
        answer: Iterable[bytes] = self._moto(environ, start)
        return answer

    def _refusal(self, method: str, environ: Environ) -> tuple[str, str, str] | None:
        forbidden = "403 Forbidden"
        given = environ.get("HTTP_AUTHORIZATION", "")
        if f"Credential={self.key}/" not in given:
            return forbidden, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."
        if not self._signed(given, environ):
            return forbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match yours."
        if environ["PATH_INFO"].split("/")[1] not in self.backend.buckets:
            return "404 Not Found", "NoSuchBucket", "The specified bucket does not exist"
        if self.full and method in {"PUT", "POST"}:
            return forbidden, "QuotaExceeded", "The quota of this account is exceeded."
        lock = "/locks/" in environ["PATH_INFO"]  # a key that may not delete must still let go of its locks
        if (self.append_only and method == "DELETE" and not lock) or (self.read_only and method not in {"GET", "HEAD"}):
            return forbidden, "AccessDenied", "Access Denied"
        return None

    def _signed(self, given: str, environ: Environ) -> bool:
        parts = dict(part.strip().split("=", 1) for part in given.partition(" ")[2].split(","))
        _, date, region, service, _ = parts["Credential"].split("/")
        names = parts["SignedHeaders"].split(";")
        headers = HTTPHeaders()
        for name in names:
            headers[name] = _header(environ, name)
        path = quote(environ["PATH_INFO"].encode("latin-1"), safe="/-_.~")
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
            for name, value in parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True)
        )
        request = AWSRequest(environ["REQUEST_METHOD"], f"{self.url}{path}?{query}", dict(headers.items()))
        stamp = _header(environ, "x-amz-date")
        request.context["timestamp"] = stamp
        signer = _Judge(Credentials(self.key, self.secret), service, region)
        signer.headers = headers
        wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return stamp.startswith(date) and wanted == parts["Signature"]


class _Judge(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's own signing, over the headers that the client chose to sign."""

    headers: HTTPHeaders

    def headers_to_sign(self, request: AWSRequest) -> HTTPHeaders:
        return self.headers

    def payload(self, request: AWSRequest) -> str:
        return str(self.headers["x-amz-content-sha256"])


def _header(environ: Environ, name: str) -> str:
    plain = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
    value: str = environ.get(plain.get(name, "HTTP_" + name.upper().replace("-", "_")), "")
    return value

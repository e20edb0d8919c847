"""The hosts of the test world do what the tests of gardien lean on."""

import base64
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.line import Line
from tests.world.rest import RestHost
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost


@pytest.fixture
def host(tmp_path: Path) -> Iterator[SftpHost]:
    with SftpHost(tmp_path / "host") as started:
        yield started
    assert started.sessions() == []


def login(host: SftpHost, port: int | None = None, key: str | None = None) -> list[str]:
    """What a careful client asks of ssh: this key, that host key, no questions."""
    known = host.client_key.with_name("known_hosts")
    known.write_text(f"[127.0.0.1]:{port or host.port} {key or host.host_key_line}\n")
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes", "LogLevel=ERROR"]
    options += [f"UserKnownHostsFile={known}", f"IdentityFile={host.client_key}", f"Port={port or host.port}"]
    return [word for option in options for word in ("-o", option)]


def run(argv: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=30)


def sftp(
    host: SftpHost, command: str, *, port: int | None = None, key: str | None = None
) -> subprocess.CompletedProcess[str]:
    return run(["sftp", "-b", "-", *login(host, port, key), f"{host.user}@{host.address}"], command)


def test_relative_paths_land_in_its_folder(host: SftpHost, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Bonjour")
    done = sftp(host, f"mkdir box\nput {tmp_path}/letter box/letter\n")
    assert done.returncode == 0, done.stderr + host.log.read_text()
    assert (host.folder / "box/letter").read_text() == "Bonjour"


def test_only_files_no_commands(host: SftpHost) -> None:
    done = run(["ssh", *login(host), f"{host.user}@{host.address}", "echo", "not here"])
    assert "not here" not in done.stdout


def test_refuses_and_comes_back_on_the_same_port(host: SftpHost) -> None:
    port = host.port
    host.refuse()
    assert "refused" in sftp(host, "ls").stderr
    host.start()
    assert host.port == port
    assert sftp(host, "ls").returncode == 0


def test_another_host_key_is_noticed(host: SftpHost) -> None:
    before = host.host_key_line
    host.new_host_key()
    assert host.host_key_line != before
    assert "verification failed" in sftp(host, "ls", key=before).stderr
    assert sftp(host, "ls").returncode == 0


def test_a_revoked_key_is_denied(host: SftpHost) -> None:
    host.revoke_key()
    assert "Permission denied" in sftp(host, "ls").stderr
    host.accept_key()
    assert sftp(host, "ls").returncode == 0


def test_a_line_passes_everything_and_can_be_slow(host: SftpHost, tmp_path: Path) -> None:
    with Line(host.port) as line:
        assert sftp(host, "ls", port=line.port).returncode == 0
        (tmp_path / "big").write_bytes(b"x" * 400_000)
        line.rate = 400_000
        began = time.monotonic()
        done = sftp(host, f"put {tmp_path}/big big\n", port=line.port)
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began > 0.9
    assert (host.folder / "big").stat().st_size == 400_000


def test_a_line_can_be_half_open_and_cut(host: SftpHost) -> None:
    with Line(host.port) as line, socket.create_connection(("127.0.0.1", line.port), timeout=5) as link:
        assert link.recv(64).startswith(b"SSH-2.0")
        line.frozen = True
        link.sendall(b"SSH-2.0-test\r\n")
        link.settimeout(0.5)
        with pytest.raises(TimeoutError):
            link.recv(64)
        line.frozen = False
        link.settimeout(5)
        assert link.recv(64)  # what was held back
        line.cut()
        with pytest.raises(ConnectionResetError):
            while link.recv(4096):
                pass
            raise AssertionError("an orderly end instead of a reset")


def asked(
    url: str, certificate: Path | None = None, method: str = "GET", login: str = "", body: bytes | None = None
) -> tuple[int, str]:
    """Status and body of an answer, over TLS that is verified."""
    request = urllib.request.Request(url, data=body, method=method)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    trust = ssl.create_default_context(cafile=certificate)
    try:
        with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_rest_server_keeps_what_it_has(tmp_path: Path) -> None:
    with RestHost(tmp_path / "rest", append_only=True) as rest:
        login = f"{rest.user}:{rest.password}"
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            asked(rest.url)
        assert asked(f"{rest.url}/config", rest.certificate)[0] == 401
        assert asked(f"{rest.url}/?create=true", rest.certificate, "POST", login)[0] == 200
        assert asked(f"{rest.url}/config", rest.certificate, "POST", login, b"x")[0] == 200
        assert asked(f"{rest.url}/config", rest.certificate, "DELETE", login)[0] == 403
        rest.again(append_only=False)
        assert asked(f"{rest.url}/config", rest.certificate, "DELETE", login)[0] == 200
        rest.revoke()
        assert asked(f"{rest.url}/config", rest.certificate, login=login)[0] == 401
        before = rest.certificate.read_text()
        rest.new_certificate()
        assert rest.certificate.read_text() != before


def test_a_store_verifies_signatures_and_locks_objects(tmp_path: Path) -> None:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]
    from botocore.exceptions import ClientError  # type: ignore[import-untyped]

    with S3Host(tmp_path / "store", locked=True) as store:

        def client(key: str, secret: str) -> "boto3.client":
            return boto3.client(
                "s3",
                endpoint_url=store.url,
                verify=str(store.certificate),
                region_name=store.region,
                aws_access_key_id=key,
                aws_secret_access_key=secret,
                config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
            )

        for key, secret, code in ((store.key, "wrong", "SignatureDoesNotMatch"), ("X", "x", "InvalidAccessKeyId")):
            with pytest.raises(ClientError, match=code):
                client(key, secret).list_objects_v2(Bucket=store.bucket)
        ours = client(store.key, store.secret)
        version = ours.put_object(Bucket=store.bucket, Key="a b/c", Body=b"kept")["VersionId"]
        ours.delete_object(Bucket=store.bucket, Key="a b/c")
        with pytest.raises(ClientError, match="AccessDenied"):
            ours.delete_object(Bucket=store.bucket, Key="a b/c", VersionId=version)
        assert ours.get_object(Bucket=store.bucket, Key="a b/c", VersionId=version)["Body"].read() == b"kept"
        store.full = True
        with pytest.raises(ClientError, match="QuotaExceeded"):
            ours.put_object(Bucket=store.bucket, Key="more", Body=b"x")

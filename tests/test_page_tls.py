"""Beyond this machine the page is shown over TLS alone, by a certificate of gardien's own that is renewed in time."""

import hashlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector, UnixConnector

from gardien.adapters.files import LocalFiles
from gardien.adapters.own_certificates import OwnCertificates
from gardien.errors import BadInput
from gardien.faces.server import serve
from gardien.model.settings import Page, Settings
from gardien.rules import verdict
from gardien.services.page_tls import PageTls, renewed
from tests.faces_world import make_world

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "names", "url"),
    [
        ("127.0.0.1", ("localhost",), "http://localhost:8480"),
        ("127.9.9.9", ("127.9.9.9",), "http://127.9.9.9:8480"),
        ("localhost", ("localhost",), "http://localhost:8480"),
        ("::1", ("::1",), "http://[::1]:8480"),
        ("[::1]", ("[::1]",), "http://[::1]:8480"),
        ("0.0.0.0", ("localhost",), "https://localhost:8480"),
        ("0.0.0.0", ("localhost", "box.lan"), "https://box.lan:8480"),
        ("::", ("localhost", "box.lan"), "https://box.lan:8480"),
        ("192.168.1.5", ("localhost", "127.0.0.1", "192.168.1.5"), "https://192.168.1.5:8480"),
        ("192.168.1.5", ("localhost",), "http://localhost:8480"),
        ("box.lan", ("box.lan",), "https://box.lan:8480"),
    ],
)
def test_plain_http_is_for_loopback(address: str, names: tuple[str, ...], url: str) -> None:
    assert Page(address=address, names=names).url == url


def tls(room: Path, now: datetime, page: Page) -> PageTls:
    (room / "children").mkdir(exist_ok=True)
    settings = Settings.model_validate({"folders": {"state": room, "run": room}, "page": page.model_dump()})
    return PageTls(settings, LocalFiles(), lambda: now, OwnCertificates(room))


async def test_the_certificate_stays_until_it_is_time_or_the_names_change(tmp_path: Path) -> None:
    page = Page(address="0.0.0.0", names=("box.lan", "192.168.1.5"))
    first = tls(tmp_path, NOW, page)
    assert await first.context() is not None
    made = await first.certificate()
    assert made is not None and "PRIVATE" not in made
    assert (tmp_path / "page.pem").stat().st_mode & 0o777 == 0o600
    assert renewed((tmp_path / "page.pem").read_text()) is None, "nobody knows another one"
    for days, same in ((366, True), (368, False)):
        later = tls(tmp_path, NOW + timedelta(days=days), page)
        await later.context()
        assert (await later.certificate() == made) is same, days
        assert renewed((tmp_path / "page.pem").read_text()) == (None if same else NOW + timedelta(days=days))
    made = await later.certificate()
    other = tls(tmp_path, NOW + timedelta(days=368), page.model_copy(update={"names": ("box.lan", "other.lan")}))
    await other.context()
    assert await other.certificate() != made
    (tmp_path / "page.pem").write_text("# torn")
    assert await other.context() is not None


def test_a_new_fingerprint_is_said_for_two_weeks() -> None:
    assert verdict.of_page_certificate(None, NOW) == []
    for days, said in ((0, 1), (13, 1), (15, 0), (-1, 0)):
        assert len(verdict.of_page_certificate(NOW, NOW + timedelta(days=days))) == said
    [owed] = verdict.of_page_certificate(NOW, NOW)
    assert "`gardien certificate --page`" in str(owed.remedy) and owed.severity == "notice"


async def test_without_openssl_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match="certificate") as caught:
        await tls(tmp_path, NOW, Page(address="0.0.0.0")).context()
    assert "openssl" in str(caught.value.remedy)


async def test_beyond_loopback_nothing_is_said_in_the_clear(tmp_path: Path, unused_tcp_port: int) -> None:
    page = Page(address="0.0.0.0", port=unused_tcp_port, names=("box.lan",))
    async with make_world(tmp_path, page=page) as world:
        (world.settings.folders.run / "children").mkdir()
        async with serve(world.house):
            async with (
                ClientSession(connector=UnixConnector(str(world.settings.socket))) as session,
                session.post("http://gardien/api/v1/users/link", json={}) as response,
            ):
                told = await response.json()
            assert told["url"].startswith(f"https://box.lan:{unused_tcp_port}/login/")
            text = await world.house.tls.certificate()
            assert text is not None
            mark = hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()
            assert told["sha256"].replace(":", "").lower() == mark
            trust = ssl.create_default_context(cadata=text)
            own = f"https://localhost:{unused_tcp_port}"
            async with ClientSession(connector=TCPConnector(ssl=trust, family=socket.AF_INET)) as session:
                async with session.get(f"{own}/login") as response:
                    assert response.status == 200
                path = told["url"].partition("/login")[2]
                headers = {"Origin": own}
                async with session.post(f"{own}/login{path}", headers=headers, allow_redirects=False) as response:
                    assert response.status == 303 and response.cookies["gardien"]["secure"]
                with pytest.raises(ClientError):
                    await session.get(f"http://127.0.0.1:{unused_tcp_port}/")


async def test_at_the_machine_itself_it_stays_as_it_was(tmp_path: Path, unused_tcp_port: int) -> None:
    """With an address of its own in the house's network, loopback still answers in the clear: tunnels lead there."""
    page = Page(address="::", port=unused_tcp_port, names=("localhost", "box.lan"))
    async with make_world(tmp_path, page=page) as world:
        (world.settings.folders.run / "children").mkdir()
        async with serve(world.house), ClientSession() as session:
            home = f"http://127.0.0.1:{unused_tcp_port}"
            entry = f"{home}/login/{await world.house.people.link()}"
            async with session.post(entry, headers={"Origin": home}, allow_redirects=False) as response:
                assert response.status == 303 and not response.cookies["gardien"]["secure"]

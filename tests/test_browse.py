"""Looking into a backup, on the page and in the terminal: folders, a search, a download; nothing but looking."""

import http.client
import io
import os
import re
import stat
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp.test_utils import TestClient, TestServer

from gardien.errors import BadInput, Incomplete
from gardien.faces import browse_pages, take_away
from gardien.faces.download import attachment
from gardien.faces.server import make_app
from gardien.model.entry import leads_out, shown
from gardien.rules.entries import folded, literal, part_patterns, unquoted
from tests.fakes import Leaf
from tests.memory_house import STACK, Home, memory_house
from tests.world.box import Box, box
from tests.world.notes import add, lay_out

PATIENTS = ("Anna <b>\u202eB", "new\nline", "Été.odt")


# -- rules


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        ("plain é 🌿", "plain é 🌿"),
        (r"new\nline\ttab", "new\nline\ttab"),
        (r"bad\xff\xfe", "bad\udcff\udcfe"),
        (r"\xc3\xa9 by bytes", "é by bytes"),
        (r"q\"uo\\te \\n", 'q"uo\\te \\n'),
        (r"\u202ertl\U0001f33f", "\u202ertl🌿"),
    ],
)
def test_restics_quotation_is_read_exactly(quoted: str, name: str) -> None:
    assert unquoted(quoted) == name


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("plain é 🌿 👩‍⚕️", "plain é 🌿 👩‍⚕️"),
        ("a\x1b[2Jb\r\n", r"a\x1b[2Jb\r\n"),
        ("\u202excod.exe", r"\u202excod.exe"),
        ("\u2066x\u2028y\udcff", r"\u2066x\u2028y\udcff"),
    ],
)
def test_a_name_cannot_deceive(name: str, seen: str) -> None:
    assert shown(name) == seen


def test_patterns_match_one_entry_alone() -> None:
    assert literal("a*[b]?\\c") == r"a\*\[b\]\?\\c"
    assert part_patterns("a", ["a/dev*"]) == ("/*", "!/a", r"/a/dev\*")
    assert folded("ÉTÉ – ﬁn") == folded("ete – fin")


@pytest.mark.parametrize(
    ("link", "aim", "out"),
    [
        ("a", "b", False),
        ("a", "/etc", True),
        ("a", "..", True),
        ("x/a", "../b", False),
        ("x/a", "../../b", True),
        ("x/a", "y/../../../b", True),
        ("x/y/a", "./../b/..", False),
    ],
)
def test_threat_10_whether_a_link_leads_out(link: str, aim: str, out: bool) -> None:
    assert leads_out(link.split("/"), aim) is out


@pytest.mark.parametrize("name", ['a"; filename="evil.exe', "line\r\nSet-Cookie: x=1", "é\u202e/../x", "\udcff", "  "])
def test_a_download_is_named_safely(name: str) -> None:
    header = attachment(name)
    assert re.fullmatch(r"attachment; filename=\"[A-Za-z0-9 ._-]+\"; filename\*=UTF-8''[A-Za-z0-9._%~-]*", header)


# -- threat 10: what is written into a folder of the caller's


def packed(*members: tuple[str, bytes, bytes | str]) -> io.BytesIO:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o6777
            if isinstance(content, str):
                member.linkname = content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    made.seek(0)
    return made


def test_threat_10_an_archive_writes_nothing_outside(tmp_path: Path) -> None:
    """One that no honest restic makes."""
    outside = tmp_path / "outside"
    outside.mkdir()
    stream = packed(
        ("good", tarfile.REGTYPE, b"good"),
        ("../outside/a", tarfile.REGTYPE, b"x"),
        ("/" + str(outside).lstrip("/") + "/b", tarfile.REGTYPE, b"x"),
        ("sub/", tarfile.DIRTYPE, b""),
        ("sub/../../outside/c", tarfile.REGTYPE, b"x"),
        ("sub/up", tarfile.SYMTYPE, "../../outside"),
        ("sub/near", tarfile.SYMTYPE, "../good"),
        ("hard", tarfile.LNKTYPE, "../outside/d"),
        ("null", tarfile.CHRTYPE, b""),
        ("pipe", tarfile.FIFOTYPE, b""),
    )
    taken = take_away.folder(stream, tmp_path / "mine", ["left"], 2)
    assert list(outside.iterdir()) == []
    found = {str(each.relative_to(tmp_path / "mine")) for each in (tmp_path / "mine").rglob("*")}
    assert found == {"good", "sub", "sub/near"}
    assert stat.S_IMODE((tmp_path / "mine" / "good").stat().st_mode) & 0o7000 == 0
    assert len(taken.left_out) == 8
    assert taken.files == 2


def test_threat_10_no_link_of_the_archive_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    stream = packed(("a/", tarfile.DIRTYPE, b""), ("b", tarfile.SYMTYPE, "a"), ("b/x", tarfile.REGTYPE, b"x"))
    with pytest.raises(BadInput):
        take_away.folder(stream, tmp_path / "mine", [], 2)
    assert list((tmp_path / "mine" / "a").iterdir()) == []


def test_nothing_is_written_over_and_half_is_not_the_whole(tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.write_text("mine")
    with pytest.raises(BadInput):
        take_away.file(io.BytesIO(b"x"), there, 1)
    assert there.read_text() == "mine"
    with pytest.raises(Incomplete):
        take_away.file(io.BytesIO(b"half"), tmp_path / "half", 8)
    assert not (tmp_path / "half").exists()
    whole = packed(("a", tarfile.REGTYPE, b"x" * 3000)).getvalue()
    with pytest.raises(Incomplete):
        take_away.folder(io.BytesIO(whole[:2000]), tmp_path / "cut", [], 1)


# -- the pages, over a house in memory


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Home]:
    async with memory_house(tmp_path, monkeypatch, {"near": {}}) as made:
        srv = made.fakes.world.settings.folders.data / STACK / "srv"
        for name in PATIENTS:
            made.fakes.files.put(srv / "patients" / name, Leaf(f"of {name[:1]}", 0o600))
        made.fakes.files.put(srv.parent / ".gardien" / "secrets.env", Leaf("TOKEN=x", 0o600))
        await made.saved()
        await made.saved()
        yield made
        await made.house.browse.stop()


Client = TestClient[Any, Any]


@pytest.fixture
async def client(home: Home) -> AsyncIterator[Client]:
    async with TestClient(TestServer(make_app(home.house))) as client:
        yield client


async def come_in(home: Home, client: Client) -> None:
    link = await home.house.people.link("owner")
    response = await press(client, f"/login/{link}")
    assert response.status == 303


async def press(client: Client, path: str, **headers: str) -> Any:
    own = {"Origin": str(client.make_url("/")).rstrip("/"), **headers}
    return await client.post(path, headers=own, allow_redirects=False)


async def text(client: Client, path: str, language: str = "en", status: int = 200) -> str:
    async with client.get(path, headers={"Accept-Language": language}) as response:
        body = await response.text()
        assert response.status == status, body
        return body


async def numbers(home: Home) -> tuple[str, dict[str, int]]:
    """The newest backup's page, and the numbers of what lies in it."""
    snapshot = (await home.house.backups.list(STACK))[0]
    await home.house.browse.open(snapshot)
    every = await home.house.browse.search(snapshot, "")
    return f"/snapshots/{snapshot.id}", {hit.entry.name: hit.entry.id for hit in every}


async def test_a_backup_opens_as_folders(home: Home, client: Client) -> None:
    await come_in(home, client)
    where, at = await numbers(home)
    assert f'href="{where}"' in await text(client, "/backups")
    assert f'href="{where}"' in await text(client, f"/stacks/{STACK}")
    top = await text(client, where)
    assert f'href="{where}/{at["srv"]}"' in top
    assert "gardien/secrets" not in top
    assert ".gardien" not in at
    inner = await text(client, f"{where}/{at['patients']}")
    assert "Anna &lt;b&gt;\\u202eB" in inner
    assert "new\\nline" in inner
    assert "<b>" not in inner
    assert "\u202e" not in inner
    assert "The backup before" in inner
    assert (await text(client, f"{where}/999999", status=404)).count("Open the backup again") == 1


async def test_search_on_the_page(home: Home, client: Client) -> None:
    await come_in(home, client)
    where, at = await numbers(home)
    found = await text(client, f"{where}?search=ETE")
    assert f'id="download-{at["Été.odt"]}"' in found
    assert "srv/patients/" in found
    assert "Nothing in this backup is called so" in await text(client, f"{where}?search=%3Cscript%3E")
    assert "secrets" not in (await text(client, f"{where}?search=secrets")).split("<h2>")[1].split("</h2>")[1]


async def test_download_from_the_page(home: Home, client: Client) -> None:
    await come_in(home, client)
    where, at = await numbers(home)
    async with client.get(f"{where}/{at['Été.odt']}/download") as response:
        assert response.status == 200
        assert response.headers["Content-Disposition"].startswith('attachment; filename="_t_.odt"; filename*=UTF-8')
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.text() == "of É"
    async with client.get(f"{where}/{at['patients']}/download") as response:
        assert response.headers["Content-Type"] == "application/zip"
        assert len(zipfile.ZipFile(io.BytesIO(await response.read())).namelist()) == 3
    assert "cannot be downloaded" in await text(client, f"{where}/0/download", status=400)
    home.restic.unreachable.add("near")
    assert "near" in await text(client, f"{where}/{at['Été.odt']}/download", status=503)


async def test_put_back_asks_first_and_only_a_form_does_it(home: Home, client: Client) -> None:
    await come_in(home, client)
    where, at = await numbers(home)
    asked = await text(client, f"{where}/{at['Été.odt']}/put-back")
    assert "Put “Été.odt” back?" in asked
    assert "such as shares and tags, does not come back" in asked
    assert "cannot" not in asked
    assert "This is the whole of a folder" in await text(client, f"{where}/{at['srv']}/put-back", status=409)
    path = f"{where}/{at['Été.odt']}/put-back"
    assert (await press(client, path, Origin="https://elsewhere.example")).status == 403
    assert await home.jobs("put-back") == []
    response = await press(client, path)
    assert response.status == 303
    [job] = await home.jobs("put-back")
    assert response.headers["Location"] == f"/jobs/{job.id}"
    await home.done(job.id)


async def test_threat_1_nothing_without_login(home: Home, client: Client) -> None:
    where, at = await numbers(home)
    for path in (
        where,
        f"{where}/{at['srv']}",
        f"{where}/{at['Été.odt']}/download",
        f"{where}/{at['Été.odt']}/put-back",
    ):
        async with client.get(path, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"][:6]) == (303, "/login")
    assert (await press(client, f"{where}/{at['Été.odt']}/put-back")).status == 401
    async with client.get(f"/api/v1{where}/entries", allow_redirects=False) as response:
        assert response.status == 401


async def test_what_takes_long_is_said_and_goes_on(home: Home, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without JavaScript: the page comes again by itself."""
    await come_in(home, client)
    monkeypatch.setattr(browse_pages, "PATIENCE", 0.0)
    snapshot = (await home.house.backups.list(STACK))[0]
    page = await text(client, f"/snapshots/{snapshot.id}")
    assert "Reading what is in this backup" in page
    assert '<meta http-equiv="refresh" content="2">' in page
    await home.house.browse.open(snapshot)
    assert "Reading what is" not in await text(client, f"/snapshots/{snapshot.id}")


# -- a real house


@pytest.fixture(scope="module")
def house() -> Iterator[Box]:
    """The tiny stack with one backup: patients' files, and a film of 300 MB that takes no room."""
    with box() as made:
        made.start()
        made.gardien("target", "init", "host")
        lay_out(made)
        add(made)
        made.until_well(STACK)
        home = made.data / STACK / "srv" / "patients"
        (home / "Été").mkdir(parents=True)
        (home / "Été" / "letter.odt").write_text("first")
        (home / os.fsdecode(b"bad\xff\xfe")).write_text("bytes")
        with (home / "film").open("wb") as film:
            film.truncate(300 << 20)
        made.gardien("backup", "create", STACK)
        (home / "Été" / "letter.odt").write_text("second")
        (home / "later.odt").write_text("later")
        made.gardien("backup", "create", STACK)
        yield made
        made.stop()


def test_browse_and_search_in_the_terminal(house: Box) -> None:
    newest, oldest = [each["id"] for each in house.json("backup", "list", STACK)]
    top = house.json("snapshot", "browse")
    assert (top["snapshot"], [each["path"] for each in top["entries"]]) == (newest, ["srv"])
    inner = house.json("snapshot", "browse", STACK, "srv/patients")["entries"]
    assert [(each["name"], each["kind"]) for each in inner] == [
        *(("Été", "folder"), ("bad��", "file"), ("film", "file"), ("later.odt", "file")),
    ]
    assert house.json("snapshot", "browse", STACK, "srv/patients/film")["entries"][0]["size"] == 300 << 20
    words = house.gardien("snapshot", "browse", STACK, "srv/patients", "--snapshot", oldest[:8]).stdout
    assert "later.odt" not in words
    assert re.search(r"315 MB\s+srv/patients/film", words.replace("\N{NO-BREAK SPACE}", " ")), words
    found = house.json("snapshot", "search", STACK, "LETTER")
    assert [(each["snapshot"], len(each["entries"])) for each in found] == [(newest, 1), (oldest, 1)]
    found = house.json("snapshot", "search", STACK, "later")
    assert [len(each["entries"]) for each in found] == [1, 0]
    assert "No backup of notes" in house.gardien("snapshot", "search", STACK, "nothing like it").stdout
    today = datetime.now().date()
    assert house.json("snapshot", "browse", "--date", str(today))["snapshot"] == newest
    for day, code in ((str(today - timedelta(days=1)), 1), ("yesterday", 2)):
        assert house.gardien("snapshot", "browse", "--date", day, check=False).returncode == code
    for argv in (("browse", "nobody"), ("search", "nobody", "letter")):
        done = house.gardien("snapshot", *argv, check=False)
        assert done.returncode == 1 and "no stack called nobody" in done.stderr


def test_a_file_is_taken_from_an_older_backup(house: Box, tmp_path: Path) -> None:
    oldest = house.json("backup", "list", STACK)[-1]["id"]
    path = "srv/patients/Été/letter.odt"
    done = house.gardien("restore", STACK, "--path", path, "--snapshot", oldest, "--to", str(tmp_path)).stdout
    assert "1 files are in" in done or "1 file is in" in done
    assert (tmp_path / "letter.odt").read_text() == "first"
    assert (tmp_path / "letter.odt").stat().st_uid == os.getuid()
    odd = os.fsdecode(b"bad\xff\xfe")
    house.json("restore", STACK, "--path", f"srv/patients/{odd}", "--to", str(tmp_path))
    assert (tmp_path / odd).read_text() == "bytes"
    dry = house.json("restore", STACK, "--path", "srv/patients/Été", "--to", str(tmp_path), "--dry-run")
    assert (dry["files"], (tmp_path / "Été").exists()) == (1, False)
    missing = house.gardien("restore", STACK, "--path", path, "--to", str(tmp_path / "none"), check=False)
    assert missing.returncode == 1


def test_a_large_download_stays_out_of_memory(house: Box) -> None:
    """300 MB by the page's own way, read slowly and fast: the daemon grows by less than 30 MB."""
    assert house.daemon is not None
    daemon = psutil.Process(house.daemon.pid)
    token, cookie = house.json("user", "link")["url"].rpartition("/")[2], ""
    link = http.client.HTTPConnection("127.0.0.1", house.page_port, timeout=60)
    link.request("POST", f"/login/{token}", headers={"Origin": f"http://127.0.0.1:{house.page_port}"})
    response = link.getresponse()
    cookie = (response.headers["Set-Cookie"] or "").split(";")[0]
    response.read()
    snapshot = house.json("backup", "list", STACK)[0]["id"]
    number = house.line.get("snapshots", snapshot, "entries", search="film")["entries"][0]["id"]
    before, most, size = daemon.memory_info().rss, 0, 0
    link.request("GET", f"/snapshots/{snapshot}/{number}/download", headers={"Cookie": cookie})
    response = link.getresponse()
    assert (response.status, response.length) == (200, 300 << 20)
    while chunk := response.read(1 << 20):
        size += len(chunk)
        if size % (20 << 20) < 1 << 20:
            most = max(most, daemon.memory_info().rss)
    assert size == 300 << 20
    assert most - before < 30 << 20, f"{(most - before) >> 20} MiB more"
    # What breaks off is not taken for the whole.
    link.request("GET", f"/snapshots/{snapshot}/{number}/download", headers={"Cookie": cookie})
    response = link.getresponse()
    assert response.read(1 << 20)
    for each in daemon.children(recursive=True):
        if each.name() == "restic":
            each.kill()
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        response.read()
    link.close()
    # Who goes away in the middle leaves nothing running.
    link.request("GET", f"/snapshots/{snapshot}/{number}/download", headers={"Cookie": cookie})
    link.getresponse().read(1 << 20)
    assert [each for each in daemon.children(recursive=True) if each.name() == "restic"]
    link.close()
    _, alive = psutil.wait_procs([each for each in daemon.children(recursive=True) if each.name() == "restic"], 15)
    assert not alive
    assert "film" not in house.logged(10_000)

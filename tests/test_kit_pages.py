"""The page of the recovery sheet: shown once, to somebody who types the password again; then confirmed. And as it
is typed in a terminal.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape

import aiohttp
import pytest

from gardien.model.kit import Kit
from gardien.rules import kit as text
from tests.quiet_house import Quiet, quiet_house, running_house, short_folder, write_settings
from tests.test_cli import Person as Typist
from tests.test_cli import gardien, told

PASSWORD = "four quiet words here"


@pytest.fixture
async def quiet() -> AsyncIterator[Quiet]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as made:
            yield made


class Person:
    """Somebody with a browser, signed in, whose scripts are off."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._home = f"http://127.0.0.1:{port}"
        self.headers: dict[str, str] = {}

    async def reads(self, path: str) -> str:
        async with self._session.get(self._home + path) as answer:
            assert answer.status == 200
            assert answer.headers["Cache-Control"] == "no-store"
            return unescape(await answer.text())

    async def sends(self, path: str, *fields: tuple[str, str]) -> tuple[int, str]:
        form, headers = aiohttp.FormData(fields), {"Origin": self._home, "Sec-Fetch-Site": "same-origin"}
        async with self._session.post(self._home + path, data=form, headers=headers, allow_redirects=False) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.status, unescape(await answer.text())


@pytest.fixture
async def person(quiet: Quiet) -> AsyncIterator[Person]:
    await quiet.house.people.set_password("owner", PASSWORD)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        made = Person(session, quiet.house.settings.page.port)
        assert (await made.sends("/login", ("password", PASSWORD)))[0] == 303
        yield made


async def test_before_there_is_a_place_ready_it_says_what_is_missing(person: Person) -> None:
    assert "There is no recovery sheet yet" in await person.reads("/kit")
    status, page = await person.sends("/kit", ("password", PASSWORD))
    assert status == 400 and "holds nothing yet that a recovery sheet could open" in page


async def test_threat_20_it_is_shown_once_and_confirmed(
    person: Person, quiet: Quiet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await quiet.house.targets.init("box")
    passphrase = (await quiet.files.read(quiet.house.settings.passphrase("box")) or "").strip()
    for wrong in ("", "guessed"):
        status, page = await person.sends("/kit", ("password", wrong))
        assert status == 400 and "The present password is not right" in page and passphrase not in page
    status, page = await person.sends("/kit", ("password", PASSWORD), ("target", "box"))
    assert status == 200 and passphrase in page
    kit = text.read(page)
    assert (kit.target, kit.passphrase) == ("box", passphrase)
    lines = text.write(kit)

    page = await person.reads("/kit")
    assert "is still to be confirmed" in page
    assert passphrase not in page and not any(line in page for line in lines), "it was shown once"
    asked = re.findall(r"Line (\d+), group (\d)", page)
    assert len(asked) == 3
    typed = [("group", lines[int(line) - 1].split()[int(group) - 1].lower()) for line, group in asked]
    status, page = await person.sends("/kit/confirm", ("target", "box"), *typed[:2], ("group", "AAAAA"))
    assert status == 400 and "is not what stands on the sheet" in page
    status, _ = await person.sends("/kit/confirm", ("target", "box"), *typed)
    assert status == 303
    assert "Confirmed on" in await person.reads("/kit") and "Confirmed on" in await person.reads("/backups")
    [view] = (await quiet.house.overviews.now()).kits
    assert view.good

    # A file that was changed behind gardien's back is seen within this many seconds.
    monkeypatch.setattr("gardien.services.overview.BELIEVED", 0.0)
    await quiet.files.write(quiet.house.settings.passphrase("box"), "changed\n")
    async with asyncio.timeout(30):  # what was read of the house holds for a moment
        while "out of date" not in await person.reads("/backups"):
            await asyncio.sleep(0.1)


async def test_threat_20_nobody_else_makes_a_browser_show_it(person: Person, quiet: Quiet) -> None:
    await quiet.house.targets.init("box")
    port = quiet.house.settings.page.port
    async with aiohttp.ClientSession() as stranger:
        for method, path in (("GET", "/kit"), ("POST", "/kit"), ("POST", "/kit/confirm"), ("POST", "/kit/prove")):
            async with stranger.request(method, f"http://127.0.0.1:{port}{path}", allow_redirects=False) as answer:
                assert answer.status in {303, 403}
        for path in ("kit", "recover", "recover/look"):
            async with stranger.post(f"http://127.0.0.1:{port}/api/v1/{path}", json={}) as answer:
                assert answer.status in {401, 403}


async def test_a_sheet_is_made_at_the_console_alone_by_programs(person: Person, quiet: Quiet) -> None:
    await quiet.house.targets.init("box")
    home = f"http://127.0.0.1:{quiet.house.settings.page.port}"
    session = person._session
    headers = {"Origin": home, "Sec-Fetch-Site": "same-origin"}
    for path in ("kit", "recover", "recover/look"):
        body = {} if path == "kit" else {"sheet": "x"}
        async with session.post(f"{home}/api/v1/{path}", json=body, headers=headers) as answer:
            assert answer.status == 409 and (await answer.json())["error"]["code"] == "refused"
    async with session.get(f"{home}/api/v1/kit") as answer:
        assert [each["target"] for each in (await answer.json())["kits"]] == ["box"]


# -- in a terminal


def test_the_sheet_is_typed_line_by_line_and_a_wrong_one_is_asked_for_again() -> None:
    with running_house() as running:
        running.do(running.quiet.house.targets.init("box"))
        shown = told(running.config, "kit")
        lines = shown["lines"]
        typist = Typist(running.config, "recover")
        typist.reads("Type the lines of the recovery sheet")
        wrong = lines[0][:-1] + ("0" if lines[0][-1] != "0" else "1")
        typist.types(wrong + "\n")
        typist.reads("Line 1 is not right; look at its group 5 first")
        for line in lines:
            typist.types(line.lower().replace(" ", "") + "\n")
        typist.reads("The key opens the backups of gardien")
        typist.reads("Do this?")
        typist.types("y\n")
        assert typist.ends() == 1
        assert "here is no backup of gardien at box" in typist.screen


def test_the_sheet_in_a_terminal_and_as_a_page_of_its_own() -> None:
    with running_house(language="fr") as running:
        running.do(running.quiet.house.targets.init("box"))
        said = gardien(running.config, "kit")
        kit = text.read(said.stdout)
        assert kit.passphrase in said.stdout
        page = running.root / "sheet.html"
        gardien(running.config, "kit", "--html", str(page), "--language", "fr")
        assert text.read(page.read_text()) == kit and page.stat().st_mode & 0o777 == 0o600
        assert '<html lang="fr">' in page.read_text()
        gardien(running.config, "kit", "--html", str(running.root / "no" / "folder"), code=2)
        asked = told(running.config, "kit", "confirm", code=2)
        says = asked["error"]["says"]
        assert "nobody is here to type" in says or "personne n’est là pour taper" in says
        groups = running.do(running.quiet.house.kits.asked("box"))[1]
        typist = Typist(running.config, "kit", "confirm")
        for each in groups:
            typist.reads(f" {each.line:02}, group")
            typist.types(shown(kit, each.line, each.group) + "\n")
        assert typist.ends() == 0
        assert told(running.config, "kit", "status")[0]["good"] is True


def shown(kit: Kit, line: int, group: int) -> str:
    return text.write(kit)[line - 1].split()[group - 1]

"""The recovery sheet: what a person types is checked at once, a printed page is one page, and it is kept by nobody."""

import base64
import random
import re
import secrets
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gardien.errors import BadInput
from gardien.faces import sheet as faces_sheet
from gardien.faces.screen import Screen
from gardien.model.fault import Faults
from gardien.model.kit import Kit, KitView, Sheet
from gardien.rules import kit as text
from gardien.rules.openssh import key_file, public_of, seed_of
from gardien.rules.sheet_alerts import of_sheets

SEED = bytes(range(32))
HOST_KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + public_of(SEED)).decode()
STORAGE_BOX: dict[str, object] = {
    "kind": "sftp",
    "host": "u123456.your-storagebox.de",
    "port": 23,
    "user": "u123456",
    "folder": "gardien",
    "host_key": HOST_KEY,
}


def certificate(folder: Path) -> str:
    """An authority of somebody's own."""
    made = folder / "ca.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
    argv += ["-keyout", str(folder / "ca.key"), "-out", str(made), "-subj", "/CN=the practice"]
    subprocess.run(argv, check=True, capture_output=True)
    return made.read_text()


def kits(folder: Path) -> dict[str, Kit]:
    """One of each kind, and odd ones."""
    passphrase, ca = secrets.token_urlsafe(32), certificate(folder)
    s3 = {"kind": "s3", "endpoint": "https://s3.gra.io.cloud.ovh.net", "bucket": "practice", "region": "gra"}
    login = {"AWS_ACCESS_KEY_ID": secrets.token_hex(16), "AWS_SECRET_ACCESS_KEY": secrets.token_urlsafe(40)}
    user = {"RESTIC_REST_USERNAME": "martin", "RESTIC_REST_PASSWORD": "épée, 剣 and 'so' on"}
    rest = {"kind": "rest", "url": "https://nas.example:8000/martin", "append_only": True}
    key = key_file(SEED)
    return {
        "sftp": Kit("practice", "offsite", STORAGE_BOX, passphrase, key=key),  # type: ignore[arg-type]
        "s3": Kit("practice", "offsite", s3, passphrase, login),
        "rest": Kit("practice", "offsite", rest, passphrase, user, ca=text_of(ca)),  # type: ignore[arg-type]
        "local": Kit("practice", "disk", {"kind": "local", "folder": "/mnt/blue disk"}, "four words of one's own"),
        "odd": Kit(
            "a",
            "b",
            {"kind": "sftp", "host": "::1", "user": "x", "folder": ".", "host_key": "ssh-rsa AAAA"},
            "=odd=",
            key="RSA",
        ),
    }


def text_of(certificate: str) -> str:
    """As Python writes it."""
    lines = certificate.strip().splitlines()
    return "\n".join([lines[0], *re.findall(".{1,64}", "".join(lines[1:-1])), lines[-1]]) + "\n"


@pytest.mark.parametrize("kind", ["sftp", "s3", "rest", "local", "odd"])
def test_what_was_written_is_read(kind: str, tmp_path: Path) -> None:
    kit = kits(tmp_path)[kind]
    lines = text.write(kit)
    assert lines == text.write(kit), "the same sheet says the same"
    for said in ("\n".join(text.numbered(lines)), text.code(lines), text.code(lines).lower()):
        back = text.read(said)
        assert back == kit
        assert text.contents_hash(back) == text.contents_hash(kit)
    assert kit.passphrase not in repr(kit), "no log says it"


def test_a_storage_box_fits_ten_lines(tmp_path: Path) -> None:
    lines = text.write(kits(tmp_path)["sftp"])
    assert len(lines) <= 10
    assert all(re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{5} ?){5}", line) for line in lines)


def test_one_wrong_sign_is_found_in_its_line_and_group(tmp_path: Path) -> None:
    lines = text.write(kits(tmp_path)["sftp"])
    dice = random.Random(7)
    for _ in range(2000):
        number, at = dice.randrange(len(lines)), dice.randrange(25)
        signs = list(lines[number].replace(" ", ""))
        signs[at] = dice.choice([sign for sign in text.SIGNS if sign != signs[at]])
        with pytest.raises(BadInput) as caught:
            text.line_of(number + 1, "".join(signs))
        assert caught.value.says.values == {"line": number + 1, "group": at // 5 + 1}
        other = dice.choice([each for each in range(25) if each != at])
        signs[other] = dice.choice([sign for sign in text.SIGNS if sign != signs[other]])
        with pytest.raises(BadInput):
            text.line_of(number + 1, "".join(signs))


def test_each_line_knows_its_place_and_its_sheet(tmp_path: Path) -> None:
    lines = text.write(kits(tmp_path)["sftp"])
    for number, line in enumerate(lines, 1):
        for other in range(1, len(lines) + 1):
            if other != number:
                with pytest.raises(BadInput):
                    text.line_of(other, line)
    assert text.count_of(lines[0]) == len(lines)
    foreign = text.write(kits(tmp_path)["sftp"])  # another passphrase
    with pytest.raises(BadInput, match="do not belong to one"):
        text.read("\n".join(text.numbered([*lines[:4], foreign[4], *lines[5:]])))


def test_a_wrong_sheet_is_told_with_all_its_lines(tmp_path: Path) -> None:
    lines = list(text.write(kits(tmp_path)["sftp"]))
    lines[2] = lines[2][:-1] + ("0" if lines[2][-1] != "0" else "1")
    said = text.numbered(lines)
    del said[6]
    with pytest.raises(Faults) as caught:
        text.read("\n".join(said))
    assert [fault.at for fault in caught.value.faults] == [("03",), ("07",)]
    assert "group 5" in str(caught.value.faults[0].says) and "missing" in str(caught.value.faults[1].says)
    for nonsense in ("", "hello", "<html>", "01 " + "A" * 24):
        with pytest.raises(BadInput, match="no recovery sheet"):
            text.read(nonsense)


def test_signs_that_look_alike_are_one(tmp_path: Path) -> None:
    [first, *_] = text.write(kits(tmp_path)["sftp"])
    typed = first.replace("0", "o").replace("1", "l").replace(" ", "-").lower()
    assert text.line_of(1, typed) == first
    with pytest.raises(BadInput, match="24 signs"):
        text.line_of(1, first[:-1])
    with pytest.raises(BadInput, match="“\\?” is on no sheet"):
        text.line_of(1, "?" + first[1:])


def test_a_sheet_of_a_later_form_says_so(tmp_path: Path) -> None:
    lines = text.write(kits(tmp_path)["local"])
    number = int("".join(f"{text.SIGNS.index(sign):05b}" for sign in lines[0].replace(" ", "")[:23]), 2)
    later = number + (1 << (23 * 5 - 8))  # the first byte is the form
    values = [later >> at & 31 for at in range(110, -1, -5)]
    first = text._grouped(text._checked(values, 1))
    with pytest.raises(BadInput, match="newer kind"):
        text.read("\n".join(text.numbered([first, *lines[1:]])))


def test_a_key_is_made_of_its_seed_as_openssh_makes_it(tmp_path: Path) -> None:
    made = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "gardien", "-f", str(made)], check=True)
    seed = seed_of(made.read_text())
    assert seed is not None
    again = tmp_path / "again"
    again.write_text(key_file(seed))
    again.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(again)], check=True, capture_output=True, text=True).stdout
    assert public.split()[:2] == made.with_suffix(".pub").read_text().split()[:2]
    assert seed_of(key_file(seed)) == seed
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "locked", "-f", str(made)], check=True)
    assert seed_of(made.read_text()) is None, "what is locked is not opened"


# -- on paper


def sheet_of(kit: Kit) -> Sheet:
    made = datetime(2026, 11, 22, 10, tzinfo=UTC)
    return Sheet(
        kit, text.write(kit), made, "u123456@u123456.your-storagebox.de:23/gardien", "SHA256:" + "x" * 43, True
    )


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", ["sftp", "s3", "rest"])
def test_the_page_to_print_is_one_page_asks_for_nothing_and_its_code_is_scanned(
    kind: str, language: str, tmp_path: Path
) -> None:
    kit = kits(tmp_path)[kind]
    page = faces_sheet.standing_alone(Screen("en"), sheet_of(kit), language)
    assert not re.search(r"""(src|href|action)\s*=|url\(|@import|<script""", page), "it asks somebody for something"
    assert set(re.findall(r"https?://[^\s\"<]+", page)) <= {
        "http://www.w3.org/2000/svg",
        str(kit.place.get("endpoint")),
    }
    assert text.read(page) == kit, "the file itself can be given to `gardien recover --kit`"
    file = tmp_path / "sheet.html"
    file.write_text(page)
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    printed = [f"--print-to-pdf={tmp_path / 'sheet.pdf'}", "--no-pdf-header-footer", file.as_uri()]
    subprocess.run([*chromium, *printed], check=True, capture_output=True, timeout=60)
    pdf = (tmp_path / "sheet.pdf").read_bytes()
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == 1
    drawn = [f"--screenshot={tmp_path / 'sheet.png'}", "--window-size=1000,1500", "--force-device-scale-factor=2"]
    subprocess.run([*chromium, *drawn, file.as_uri()], check=True, capture_output=True, timeout=60)
    scanned = subprocess.run(
        ["zbarimg", "--quiet", "--raw", str(tmp_path / "sheet.png")], check=True, capture_output=True, text=True
    )
    assert text.read(scanned.stdout) == kit


# -- what is owed


def test_what_is_owed_over_sheets() -> None:
    now = datetime(2026, 11, 22, 10, tzinfo=UTC)
    day = timedelta(days=1)

    def owed(**more: object) -> list[str]:
        view = KitView("host", "x", away=True, since=now - 9 * day)
        return [f"{each.severity} {each.key}" for each in of_sheets([replaced(view, **more)], now)]

    assert owed() == ["notice kit:host"]
    assert owed(since=now) == []
    assert owed(away=False) == [], "a disk beside the machine is lost with it"
    assert owed(made=now) == []
    assert owed(made=now - day) == ["notice kit:host"]
    assert owed(made=now - day, confirmed=now - day) == []
    assert owed(made=now - day, confirmed=now - day, outdated=True) == ["trouble kit:host"]
    assert owed(made=now, outdated=True, away=False) == ["trouble kit:host"], "it was made: it has to be right"
    assert owed(made=now - 90 * day, confirmed=now - 90 * day) == ["notice kit-proof:host"]
    assert owed(made=now - 90 * day, confirmed=now - 90 * day, proven=now - 30 * day) == []


def replaced(view: KitView, **more: object) -> KitView:
    return replace(view, **more)  # type: ignore[arg-type]

"""Targets that gardien set up: a file each, read with gardien.yaml as one, every mistake on its own line."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.errors import NotFound
from gardien.model.fault import Faults
from gardien.model.settings import Settings, Target

USB: dict[str, Any] = {"kind": "local", "folder": "/mnt/usb/gardien"}
NAS = "kind: sftp\nhost: nas.example\nuser: me\nfolder: gardien\nkey: /k\nhost_key: ssh-ed25519 AAAA\n"
S3 = "kind: s3\nendpoint: https://s3.gra.io.cloud.ovh.net\nbucket: practice\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with gardien.yaml, whose one target is the disk."""
    folders = {name: str(tmp_path / name) for name in ("data", "state", "run", "owner")}
    with (tmp_path / "gardien.yaml").open("w") as file:
        YAML().dump({"folders": folders, "targets": {"usb": USB}}, file)
    (tmp_path / "owner" / "targets").mkdir(parents=True)
    return tmp_path


def put(house: Path, name: str, text: str) -> Path:
    file = house / "owner" / "targets" / f"{name}.yaml"
    file.write_text(text)
    return file


def load(house: Path) -> Settings:
    return load_settings(house / "gardien.yaml")


def faults(house: Path) -> list[tuple[Path | None, int, str]]:
    with pytest.raises(Faults) as caught:
        load(house)
    return [(fault.file, fault.line, fault.path) for fault in caught.value.faults]


def test_they_stand_after_those_of_the_settings(house: Path) -> None:
    put(house, "store", S3 + "copy_of: usb\n")
    put(house, "nas", NAS)
    assert list(load(house).targets) == ["usb", "nas", "store"]
    (house / "owner" / "targets" / ".nas.yaml.gardien-new").write_text("half of")  # a write that was cut off
    assert list(load(house).targets) == ["usb", "nas", "store"]


def test_no_folder_is_no_target(house: Path) -> None:
    (house / "owner" / "targets").rmdir()
    assert list(load(house).targets) == ["usb"]


def test_a_name_in_both_is_a_mistake(house: Path) -> None:
    file = put(house, "usb", NAS)
    with pytest.raises(Faults) as caught:
        load(house)
    [fault] = caught.value.faults
    assert (fault.file, fault.line) == (file, 1)
    assert "gardien.yaml, too" in str(fault.says) and str(house / "gardien.yaml") in str(fault.says)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NAS.replace("host:", "hots:"), {("hots", 2), ("host", 1)}),
        (NAS.replace("nas.example", "-oProxyCommand=x"), {("host", 2)}),
        (NAS.replace("sftp", "ftp"), {("target", 1)}),
        (NAS + "keep: {daly: 3}\n", {("keep.daly", 7)}),
        (S3.replace("https", "http"), {("endpoint", 2)}),
        (S3 + "at: sometimes\n", {("at", 4)}),
        (S3 + "copy_of: nowhere\n", {("copy_of", 4)}),
        (S3 + "copy_of: store\n", {("copy_of", 4)}),
        (S3 + "upload_limit: {08:00-08:00: 1 KiB/s}\n", {("upload_limit.08:00-08:00", 4)}),
        (S3.replace("s3.gra.io.cloud.ovh.net", "169.254.169.254"), {("endpoint", 2)}),
        (NAS.replace("nas.example", "fe80::1"), {("host", 2)}),
        ("kind: rest\nurl: https://[fd00:ec2::254]/x\n", {("url", 2)}),
        ("kind: rest\nurl: https://fe80::1/x\n", {("url", 2)}),
        ("kind: local\nfolder: /mnt/usb/gardien\n", {("", 1)}),  # where the other one is
        ("- a list\n", {("", 1)}),
        ("", {("", 1)}),
    ],
)
def test_every_mistake_has_its_file_and_line(house: Path, text: str, expected: set[tuple[str, int]]) -> None:
    file = put(house, "store", text)
    found = faults(house)
    assert {each[0] for each in found} == {file}
    assert {(path, line) for _, line, path in found} == expected


def test_mistakes_of_all_files_are_told_at_once(house: Path) -> None:
    first, second = put(house, "a", NAS + "x: 1\n"), put(house, "b", S3 + "y: 1\n")
    third = put(house, "B 1", NAS)
    assert {each[0] for each in faults(house)} == {first, second, third}


def test_a_mistake_of_the_settings_stays_there(house: Path) -> None:
    put(house, "nas", NAS)
    (house / "gardien.yaml").write_text((house / "gardien.yaml").read_text() + "backup: {at: never}\n")
    [(file, line, path)] = faults(house)
    assert (file, path) == (house / "gardien.yaml", "backup.at") and line > 5


def test_two_names_for_one_place(house: Path) -> None:
    put(house, "nas", NAS)
    put(house, "same", NAS.replace("folder: gardien", "folder: ./gardien/"))
    assert {path for _, _, path in faults(house)} == {""}
    put(house, "same", NAS.replace("folder: gardien", "folder: another"))
    assert list(load(house).targets) == ["usb", "nas", "same"]


async def test_what_is_written_is_read_back(house: Path) -> None:
    shelf = FileShelf(house, house / "owner", LocalFiles())
    described = {"kind": "sftp", "host": "nas.example", "port": "2222", "user": "me", "folder": "my backups"}
    described |= {"key": "/etc/gardien/secrets/k", "host_key": "ssh-ed25519 " + "A" * 300, "copy_of": "usb"}
    limits = {"upload_limit": {"08:00-20:00": "500 KiB/s"}}
    made: Target = await shelf.as_target({**described, **limits, "append_only": True, "gentle": "true"})
    await shelf.set_target("nas", made)
    file = house / "owner" / "targets" / "nas.yaml"
    assert file.stat().st_mode & 0o777 == 0o600 and file.parent.stat().st_mode & 0o777 == 0o700
    assert load(house).targets["nas"] == made
    assert "ssh-ed25519 AAAA" in file.read_text()  # one line, as people copy it
    await shelf.set_target("nas", None)
    assert not file.exists()
    for odd in ("../x", "", "A", "a/b", "x" * 40):
        with pytest.raises(NotFound):
            await shelf.set_target(odd, made)
    with pytest.raises(Faults) as caught:
        await shelf.as_target({"kind": "s3", "endpoint": "ftp://x", "bucket": "-o"})
    assert {(fault.path, fault.file) for fault in caught.value.faults} == {("endpoint", None), ("bucket", None)}

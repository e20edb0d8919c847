"""The day the machine dies: a blank one and the recovery sheet bring all of it back, and the dead one stays dead."""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from gardien.model.kit import Kit
from gardien.rules import kit as text
from tests.conftest import rest_target, s3_target, sftp_target
from tests.data.make import former
from tests.world.box import Box, box, free_port
from tests.world.notes import add, lay_out
from tests.world.practice import differences, fill, rows, tree
from tests.world.rest import RestHost
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost

DATA = Path(__file__).parent / "data"


@contextmanager
def blank() -> Iterator[Box]:
    """A machine on which gardien was just installed: other folders, another port, no backup target, another name."""
    with box() as made:
        made.settings["targets"] = {}
        made.settings["name"] = "gardien"
        del made.settings["backup"]
        made.save_settings()
        made.start()
        yield made


def sheet(made: Box, target: str = "host") -> Path:
    """Its recovery sheet, typed into a file."""
    lines = made.json("kit", "--target", target)["lines"]
    file = made.root / f"sheet-{target}.txt"
    file.write_text("\n".join(f"{number:02} {line}" for number, line in enumerate(lines, 1)))
    return file


def recovered(new: Box, paper: Path, *more: str) -> dict[str, Any]:
    """What `gardien recover` says at its end."""
    return dict(json.loads(new.gardien("recover", "--kit", str(paper), "--yes", "--json", *more, patience=600).stdout))


def settings_of(made: Box) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(made.config.read_text()))


def test_row_37_nextcloud_comes_back_from_the_sheet_alone(host: SftpHost) -> None:
    with box(sftp_target(host)) as old:
        old.settings["language"] = "fr"
        old.settings["backup"] = {"at": "daily at 03:10"}
        old.save_settings()
        old.start()
        old.gardien("target", "init", "host")
        old.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        old.until_well("nextcloud")
        fill(old, 60)
        old.gardien("backup", "create", "nextcloud")
        paper = sheet(old)
        files_before, rows_before = tree(old), rows(old)
        old.stop()
        old.compose("nextcloud", "down")

        with blank() as new:
            offer = new.json("recover", "--kit", str(paper), "--dry-run")
            assert (offer["machine"], offer["target"], offer["house"]) == ("test-box", "host", True)
            [stack] = offer["stacks"]
            assert stack["stack"] == "nextcloud" and stack["bytes"] > 1_000_000 and stack["backups"] == 1
            assert offer["seconds"] >= 90
            assert not list((new.root / "owner").rglob("*.passphrase")), "a dry run changes nothing"
            assert settings_of(new)["name"] == "gardien"

            told = new.gardien("recover", "--kit", str(paper), "--yes", patience=600)
            assert "The key opens the backups of test-box" in told.stdout
            assert "it answers" in told.stdout and "Everything is back. This machine is test-box now." in told.stdout
            assert "must stay off" in told.stdout
            after = settings_of(new)
            assert (after["name"], after["language"], after["backup"]) == ("test-box", "fr", {"at": "daily at 03:10"})
            for ours in ("folders", "page", "docker"):
                assert after[ours] == new.settings[ours], "this is the machine's own"
            files_after = tree(new)
            for files in (files_before, files_after):
                del files["nextcloud/.gardien/compose/.env"]  # it names folders, which are others on this machine
            assert differences(files_before, files_after) == []
            assert rows(new) == rows_before
            new.until_well("nextcloud", 30)
            [kit] = new.status()["kits"]
            assert kit["good"], "the sheet that brought it back is right, and on paper"
            again = new.gardien("recover", "--yes")
            assert "Tout est revenu" in again.stdout, "in the house's own language"
            new.gardien("backup", "create", "nextcloud")
            assert [each["good"] for each in new.json("backup", "list", "nextcloud")] == [True, True]
            new.stop()
            new.compose("nextcloud", "down")

        the_old_one_stands_down(old)


def the_old_one_stands_down(old: Box) -> None:
    """It was not lost after all: it saves no more, says so, and can have it back if its owner says that."""
    old.start()
    old.gardien("stack", "start", "nextcloud")
    refused = old.gardien("backup", "create", "nextcloud", check=False)
    assert refused.returncode == 1 and "autre machine" in refused.stderr, refused.stderr
    assert "gardien target reclaim host" in refused.stderr
    deadline = time.monotonic() + 60
    while "stood-down:host" not in {each["key"] for each in old.status()["alerts"]}:
        assert time.monotonic() < deadline, old.status()["alerts"]
        time.sleep(0.5)
    old.gardien("target", "reclaim", "host")
    old.gardien("backup", "create", "nextcloud")
    old.stop()


@dataclass(frozen=True)
class Lost:
    """A machine that is gone, its sheets, and what it had: two stacks, one of which gardien never shipped."""

    sheets: dict[str, Path]  # by kind of host
    film: bytes
    keys: dict[str, str]  # of all its targets


@pytest.fixture(scope="module")
def lost() -> Iterator[Lost]:
    with tempfile.TemporaryDirectory(prefix="gh-") as folder, box() as old:
        room = Path(folder)
        with S3Host(room / "s3") as s3, RestHost(room / "rest", append_only=True) as rest:
            old.settings["targets"] = {
                "local": {"kind": "local", "folder": f"{folder}/disk"},
                "s3": s3_target(old, "s3", s3),
                "rest": rest_target(old, "rest", rest),
            }
            old.save_settings()
            lay_out(old)
            old.start()
            add(old)
            old.gardien("stack", "add", "demo", "--set", f"DEMO_PORT={free_port()}")
            film = os.urandom(5 << 20)
            (old.data / "notes/srv/film.bin").write_bytes(film)
            sheets = {}
            for target in old.settings["targets"]:
                old.gardien("target", "init", target)
            for target in old.settings["targets"]:
                for stack in ("notes", "demo"):
                    old.gardien("backup", "create", stack, "--target", target)
                sheets[target] = sheet(old, target)
            old.stop()
            for stack in ("notes", "demo"):
                old.compose(stack, "down")
            yield Lost(sheets, film, keys(old))


def keys(made: Box) -> dict[str, str]:
    return {each.name: each.read_text() for each in (made.root / "owner/secrets").glob("target-*.passphrase")}


@pytest.mark.parametrize("kind", ["s3", "rest", "local"])
def test_row_37_from_every_kind_of_host(lost: Lost, kind: str) -> None:
    with blank() as new:
        offer = new.json("recover", "--kit", str(lost.sheets[kind]), "--dry-run")
        assert {each["stack"]: each["backups"] for each in offer["stacks"]} == {"notes": 1, "demo": 1}
        assert offer["rate"] is not None and offer["rate"] > 1e5, "there was enough to measure"
        known = recovered(new, lost.sheets[kind])
        assert [job["state"] for job in known["jobs"]] == ["done", "done"], known
        assert (new.data / "notes/srv/film.bin").read_bytes() == lost.film
        for stack in ("notes", "demo"):
            new.until_well(stack, 30)
        assert keys(new) == lost.keys, "those of the other targets came with the backups"
        assert {each["name"] for each in new.json("target", "list")} == {"local", "s3", "rest"}
        new.gardien("backup", "create", "notes", "--target", kind)


STEPS = ("note", "targets", "presets", "letters", "recipes", "memory", "succession", "settings", "ready")
POINTS = [(step, moment) for step in STEPS for moment in ("begun", "ran")]


def test_killed_at_every_point_it_goes_on_when_it_is_run_again(lost: Lost) -> None:
    with blank() as new:
        new.stop()
        for step, moment in POINTS if os.environ.get("GARDIEN_FULL") else POINTS[2::6] + POINTS[-1:]:
            new.start(GARDIEN_DIE_AT=f"recover/{step}/{moment}")
            assert new.line.get("stacks")["stacks"] == [], "nothing runs before all of it is written"
            died = new.gardien("recover", "--kit", str(lost.sheets["local"]), "--yes", check=False)
            assert died.returncode == 3, (step, moment, died.stdout, died.stderr)
            assert new.wait_for_death() == -signal.SIGKILL
        # All was written, and it died before it began anew: it goes on by itself at its next start.
        new.start(GARDIEN_DIE_AT="restore/swap/begun")
        assert new.wait_for_death() == -signal.SIGKILL
        new.start()
        known = json.loads(new.gardien("recover", "--json").stdout)
        assert known["ready"] and [job["state"] for job in known["jobs"]] == ["done", "done"]
        new.until_well("notes", 30)
        assert (new.data / "notes/srv/film.bin").read_bytes() == lost.film
        assert not (new.root / "run" / "recover").exists(), "the room in which the key was tried is gone"
        # A machine that has applications is not taken over, by nobody's sheet.
        done = new.gardien("recover", "--kit", str(lost.sheets["local"]), "--yes", "--dry-run")
        assert "has taken over from test-box already" in done.stdout


def test_it_refuses_before_anything_is_written(lost: Lost) -> None:
    kit = text.read(lost.sheets["local"].read_text())
    with blank() as new:

        def refused(said: str, *argv: str, says: str) -> None:
            paper = new.root / "typed.txt"
            paper.write_text(said)
            done = new.gardien("recover", "--kit", str(paper), *argv, check=False)
            assert done.returncode in {1, 2} and says in done.stderr, (says, done.stdout, done.stderr)
            assert [each for each in (new.root / "owner").rglob("*") if each.is_file()] == []
            assert not (new.root / "run" / "recover").exists()

        lines = list(text.write(kit))
        refused("\n".join(text.numbered(lines)), says="nobody is here to agree")
        lines[2] = lines[2][:-1] + ("0" if lines[2][-1] != "0" else "1")
        refused("\n".join(text.numbered(lines)), "--yes", says="ine 3 is not right; look at its group 5 first")
        other = replace(kit, passphrase="another one")
        refused(text.code(text.write(other)), "--yes", says="rong recovery key: it does not open what is at local")
        other = replace(kit, machine="somebody-else")
        refused(text.code(text.write(other)), "--yes", says="here is no backup of somebody-else at local")
        other = replace(kit, place={**kit.place, "folder": str(new.root / "nothing")})
        refused(text.code(text.write(other)), "--yes", says="local")


def test_row_37_backups_of_the_first_format_which_hold_no_house(tmp_path: Path) -> None:
    """A sheet for what a former release wrote: the stack comes back; of other targets and settings nothing is known."""
    passphrase = (DATA / "format-1" / "passphrase").read_text().strip()
    kit = Kit("test-box", "disk", {"kind": "local", "folder": str(tmp_path / "repository")}, passphrase)
    with former(DATA / "format-1", tmp_path / "repository"), blank() as new:
        paper = new.root / "sheet.txt"
        paper.write_text(text.code(text.write(kit)))
        assert new.json("recover", "--kit", str(paper), "--dry-run")["house"] is False
        known = recovered(new, paper)
        assert [job["state"] for job in known["jobs"]] == ["done"], known
        new.until_well("notes", 30)
        assert settings_of(new)["name"] == "test-box"


@pytest.mark.timeout(3600)
def test_many_bytes_from_the_sheet(host: SftpHost, capsys: pytest.CaptureFixture[str]) -> None:
    """5 GiB with --full; how long it took is printed."""
    each = (512 if os.environ.get("GARDIEN_FULL") else 4) << 20
    with box(sftp_target(host, "much")) as old:
        lay_out(old)
        old.start()
        old.gardien("target", "init", "host")
        add(old)
        for number in range(10):
            (old.data / f"notes/srv/{number}.bin").write_bytes(os.urandom(each))
        old.gardien("backup", "create", "notes", patience=1800)
        paper = sheet(old)
        old.stop()
        old.compose("notes", "down")
        for number in range(10):
            (old.data / f"notes/srv/{number}.bin").unlink()
        with blank() as new:
            offer = new.json("recover", "--kit", str(paper), "--dry-run")
            began = time.monotonic()
            done = new.gardien("recover", "--kit", str(paper), "--yes", "--json", patience=3600)
            took = time.monotonic() - began
            known = json.loads(done.stdout)
            assert [job["state"] for job in known["jobs"]] == ["done"]
            size = sum(each.stat().st_size for each in (new.data / "notes/srv").glob("*.bin"))
            assert size == 10 * each
            with capsys.disabled():
                pace = f"{size / took / 1e6:.0f} MB/s; guessed {offer['seconds']:.0f} s"
                print(f"\n{size >> 20} MiB from the sheet: {took:.0f} s ({pace})")

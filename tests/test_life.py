"""The life of a stack that came as a folder alone: no line of Python knows its name."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.box import Box, box, docker, free_port, until
from tests.world.notes import add, compose_file, lay_out


@pytest.fixture(scope="module")
def house() -> Iterator[Box]:
    with box() as made:
        made.start()
        made.gardien("target", "init", "host")
        lay_out(made)
        yield made


@pytest.fixture
def notes(house: Box) -> Iterator[Box]:
    """The stack is there, well, and as it is shipped; afterwards it is gone."""
    if not any(each["name"] == "notes" for each in house.json("stack", "list")):
        add(house)
    house.until_well("notes", 30)
    yield house
    house.until_jobs_end()


def container(house: Box, stack: str = "notes", service: str = "app") -> str:
    return f"{house.prefix}-{stack}-{service}-1"


def page(house: Box, path: str = "health.json") -> str:
    address = house.json("stack", "show", "notes")["address"]
    return str(urllib.request.urlopen(f"{address}{path}", timeout=10).read().decode())


def test_a_folder_alone_is_managed_probed_saved_and_restored(notes: Box) -> None:
    house = notes
    shown = house.json("stack", "show", "notes")
    assert shown["health"]["health"] == "well"
    srv = house.data / "notes" / "srv"
    (srv / "letter.txt").write_text("dear Anna")
    (srv / "database").write_text("row 1\n-- whole\n")
    house.gardien("backup", "create", "notes")
    assert house.json("backup", "list", "notes")[0]["good"] is True
    (srv / "letter.txt").unlink()
    (srv / "database").write_text("-- whole\n")
    house.gardien("restore", "notes", "--yes")
    assert (srv / "letter.txt").read_text() == "dear Anna"
    assert (srv / "database").read_text() == "row 1\n-- whole\n"
    docker("stop", container(house))
    docker("rm", container(house))
    until(lambda: house.health("notes") == "down")
    house.gardien("stack", "start", "notes")
    house.until_well("notes", 30)


def test_set_shows_the_difference_and_applies_it(notes: Box) -> None:
    house = notes
    plan = house.json("stack", "set", "notes", "--set", "GREETING=bonjour à toutes", "--dry-run")
    assert [step["name"] for step in plan["steps"]] == ["check", "images", "write", "up", "gate"]
    write = next(step for step in plan["steps"] if step["name"] == "write")
    assert write["details"] == ["GREETING: hello -> bonjour à toutes"]
    before = docker("inspect", "--format", "{{.Id}}", container(house))
    house.gardien("stack", "set", "notes", "--set", "GREETING=bonjour à toutes", "--yes")
    assert docker("inspect", "--format", "{{.Id}}", container(house)) != before
    assert "GREETING=bonjour à toutes" in docker("inspect", "--format", "{{json .Config.Env}}", container(house))
    refused = house.gardien("stack", "set", "notes", "--set", "GREETING=bonjour à toutes", "--yes", check=False)
    assert refused.returncode == 1
    assert "othing would change" in refused.stderr
    house.gardien("stack", "set", "notes", "--set", "GREETING=hello", "--yes")


def test_a_set_that_makes_it_ill_is_taken_back(notes: Box) -> None:
    house = notes
    chosen = (house.root / "owner/stacks/notes.yaml").read_text()
    house.settings["limits"]["healthy"] = 10
    house.save_settings()
    house.stop()
    house.start()
    try:
        failed = house.gardien("stack", "set", "notes", "--set", "MOOD=sick", "--yes", check=False)
        assert failed.returncode == 1
        assert "did not become healthy" in failed.stderr
        assert (house.root / "owner/stacks/notes.yaml").read_text() == chosen
        assert json.loads(page(house)) == {"ok": True}
        house.until_well("notes", 30)
    finally:
        house.settings["limits"]["healthy"] = 120
        house.save_settings()
        house.stop()
        house.start()


def test_what_was_changed_by_hand_is_shown_and_mended(notes: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    house = notes
    with monkeypatch.context() as by_hand:
        by_hand.setenv("GREETING", "meddled with")  # for Compose it goes before what .env says
        house.compose("notes", "up", "--detach")

    def drifted() -> bool:
        return bool(house.json("stack", "show", "notes")["drift"])

    until(lambda: any("present settings" in each for each in house.json("stack", "show", "notes")["drift"]))
    assert any("otherwise than it was set up" in alert["says"] for alert in house.status()["alerts"])
    house.gardien("stack", "mend", "notes")
    assert "hello" in docker("inspect", "--format", "{{json .Config.Env}}", container(house))
    until(lambda: not drifted())


def test_restart_is_a_restart(notes: Box) -> None:
    before = docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container(notes)).split()
    notes.gardien("stack", "restart", "notes")
    after = docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container(notes)).split()
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_what_is_meant_to_run_comes_back_by_itself(notes: Box) -> None:
    house = notes
    house.stop()
    docker("rm", "--force", container(house))
    house.start()
    until(lambda: house.json("job", "list")[0]["kind"] == "start")
    house.until_well("notes", 40)


def test_what_is_switched_off_stays_off(notes: Box) -> None:
    house = notes
    house.gardien("stack", "stop", "notes")
    house.stop()
    house.start()
    until(lambda: house.health("notes") == "stopped")
    refused = house.gardien("stack", "restart", "notes", check=False)
    assert refused.returncode == 1
    assert "switched off" in refused.stderr
    house.gardien("stack", "start", "notes")


def test_remove_takes_a_last_backup_and_keeps_the_files(notes: Box) -> None:
    house = notes
    srv = house.data / "notes" / "srv"
    (srv / "last.txt").write_text("the last word")
    known = len(house.json("backup", "list", "notes"))
    plan = house.json("stack", "remove", "notes", "--dry-run")
    assert [step["name"] for step in plan["steps"]][-2:] == ["down", "forget"]
    house.gardien("stack", "remove", "notes", "--yes")
    assert len(house.json("backup", "list", "notes")) == known + 1
    assert (srv / "last.txt").read_text() == "the last word"
    assert docker("ps", "-aq", "--filter", f"name={container(house)}").strip() == ""
    secret = (house.root / "owner/secrets/notes.env").read_text()
    add(house)
    assert (house.root / "owner/secrets/notes.env").read_text() == secret


def test_a_stack_that_is_off_is_woken_for_its_last_backup(notes: Box) -> None:
    house = notes
    house.gardien("stack", "stop", "notes")
    known = len(house.json("backup", "list", "notes"))
    house.gardien("stack", "remove", "notes", "--yes")
    assert len(house.json("backup", "list", "notes")) == known + 1
    add(house)


def test_data_goes_only_with_the_name_typed_and_comes_back_from_the_backup(notes: Box) -> None:
    house = notes
    (house.data / "notes" / "srv" / "kept.txt").write_text("kept at the host")
    refused = house.gardien("stack", "remove", "notes", "--with-data", "--yes", check=False)
    assert refused.returncode == 2
    assert (house.data / "notes" / "srv" / "kept.txt").exists()
    refused = house.gardien("stack", "remove", "notes", "--with-data", "--confirm", "note", check=False)
    assert refused.returncode == 2
    house.gardien("stack", "remove", "notes", "--with-data", "--confirm", "notes")
    assert not (house.data / "notes").exists()
    assert not (house.root / "owner/secrets/notes.env").exists()
    assert not [path for path in (house.data / ".kept").iterdir() if path.name.startswith("notes-")]
    house.gardien("restore", "notes", "--yes")
    assert (house.data / "notes" / "srv" / "kept.txt").read_text() == "kept at the host"
    house.until_well("notes", 30)


def test_without_a_target_the_last_backup_is_waived_in_words_or_not_at_all() -> None:
    with box() as house:
        house.settings["targets"] = {}
        house.save_settings()
        house.start()
        lay_out(house)
        add(house)
        refused = house.gardien("stack", "remove", "notes", "--yes", check=False)
        assert refused.returncode == 1
        assert "--no-backup" in refused.stderr
        house.gardien("stack", "remove", "notes", "--yes", "--no-backup")
        assert house.json("stack", "list") == []


def test_what_this_machine_cannot_carry_is_refused_with_figures(house: Box) -> None:
    lay_out(house, "glutton", compose_file("glutton", needs="needs: {memory: 9000000, disk: 1, images: 1}"))
    lay_out(house, "hoarder", compose_file("hoarder", needs="needs: {memory: 1, disk: 900000000, images: 1}"))
    refused = house.gardien("stack", "add", "glutton", "--set", f"NOTES_PORT={free_port()}", check=False)
    assert refused.returncode == 1
    assert "9000000 MB of memory" in refused.stderr
    assert "MB are missing" in refused.stderr
    refused = house.gardien("stack", "add", "hoarder", "--set", f"NOTES_PORT={free_port()}", check=False)
    assert refused.returncode == 1
    assert "900000000 MB" in refused.stderr
    assert not (house.data / "glutton").exists()
    add(house, "glutton", "--anyway")
    house.gardien("stack", "remove", "glutton", "--yes", "--no-backup")


def test_two_stacks_are_joined_and_parted(house: Box) -> None:
    """`with:` runs commands in the other one's service, filled with this one's settings."""
    join = """  with:
    notes:
      connect: [{exec: app, argv: [sh, -c, 'echo "$$0" > /srv/joined', "{NOTES_PORT}{DOOR_SUFFIX}"]}]
      disconnect: [{exec: app, argv: [sh, -c, 'echo parted > /srv/joined']}]
  setup:
    - {exec: app, argv: ["false"], or_say: {en: The extra could not be fetched., fr: Rien.}}
    - {exec: app, argv: [sh, -c, 'echo done >> /srv/setup']}
  first_login:
    LINK:
      {exec: app, argv: [echo, 'see https://x.example/install/#abc ok'], find: 'https:[^ ]+', says: {en: Go, fr: Va}}
"""
    if not any(each["name"] == "notes" for each in house.json("stack", "list")):
        add(house)
    lay_out(house, "board", compose_file("board", join))
    port = free_port()
    added = house.gardien("stack", "add", "board", "--set", f"NOTES_PORT={port}")
    assert "The extra could not be fetched" in added.stdout
    assert "https://x.example/install/#abc" in added.stdout
    joined = house.data / "notes" / "srv" / "joined"
    assert joined.read_text() == f"{port}\n"
    assert (house.data / "board" / "srv" / "setup").read_text() == "done\n"
    joined.unlink()
    other = free_port()
    house.gardien("stack", "set", "board", "--set", f"NOTES_PORT={other}", "--yes")
    assert joined.read_text() == f"{other}\n"
    house.gardien("stack", "remove", "board", "--yes", "--no-backup")
    assert joined.read_text() == "parted\n"


def test_a_compose_project_without_our_key_is_run_and_called_unsaved(house: Box) -> None:
    folder = house.root / "owner" / "stacks" / "plain"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("plain and simple")
    (folder / "docker-compose.yml").write_text(
        "services:\n"
        "  web:\n"
        "    image: gardien-test/busybox:1\n"
        "    command: [httpd, -f, -p, '80', -h, /srv]\n"
        "    stop_grace_period: 0.1s\n"
        "    volumes: ['./:/srv:ro', 'things:/things']\n"
        "volumes: {things: {}}\n"
    )
    told = house.gardien("stack", "add", "plain")
    assert "not backed up" in told.stdout
    house.until_well("plain", 30)
    assert house.json("stack", "show", "plain")["kept"] is False
    refused = house.gardien("backup", "create", "plain", check=False)
    assert refused.returncode == 1
    assert "x-gardien" in refused.stderr
    house.gardien("stack", "stop", "plain")
    assert docker("inspect", "--format", "{{.State.Running}}", container(house, "plain", "web")).strip() == "false"
    house.gardien("stack", "start", "plain")
    house.gardien("stack", "remove", "plain", "--yes")
    assert (folder / "index.html").exists()
    assert docker("volume", "ls", "-q", "--filter", f"name={house.prefix}-plain_things").strip()
    docker("volume", "rm", f"{house.prefix}-plain_things")


def test_the_deployed_copy_can_be_read_by_its_containers_and_its_secrets_by_nobody(notes: Box) -> None:
    compose: Path = notes.data / "notes" / ".gardien" / "compose"
    assert compose.parent.stat().st_mode & 0o777 == 0o700
    assert (compose / "compose.yaml").stat().st_mode & 0o777 == 0o644
    assert (compose / ".env").stat().st_mode & 0o777 == 0o600
    assert (notes.root / "owner/secrets/notes.env").stat().st_mode & 0o777 == 0o600

"""The `gardien` command as a person or a script gives it: real processes, exit codes, terminals, both languages."""

import json
import os
import pty
import re
import select
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from gardien.errors import DockerDown
from gardien.faces import call, cli
from gardien.model.settings import Settings
from tests.faces_world import CERTIFICATE
from tests.fakes import Leaf
from tests.quiet_house import Running, running_house, short_folder, write_settings

DOCS = Path(__file__).parents[1] / "docs" / "commands.md"
PATIENCE = 30.0
ENGLISH = {"LC_ALL": "C.UTF-8"}


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "GARDIEN"))}
    return kept | {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"} | ENGLISH | changes


def gardien(
    config: Path, *argv: str, code: int = 0, sent: str | None = None, **changes: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command without a terminal; it must end on `code`."""
    done = subprocess.run(
        [sys.executable, "-m", "gardien", "--config", str(config), *argv],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        input=sent or "",
        env=environment(**changes),
    )
    assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def told(config: Path, *argv: str, code: int = 0) -> Any:
    """The JSON a command prints: on standard output, or the error on standard error."""
    done = gardien(config, *argv, "--json", code=code)
    return json.loads(done.stdout or done.stderr)


class Person:
    """The command in a terminal of its own, with somebody who reads and types."""

    def __init__(self, config: Path, *argv: str, **changes: str) -> None:
        self.screen = ""
        self._master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gardien", "--config", str(config), *argv],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(**changes),
            start_new_session=True,
        )
        os.close(slave)

    def reads(self, text: str) -> None:
        """Wait until `text` was on the screen."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.screen:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.screen}"
            ready, _, _ = select.select([self._master], [], [], 0.2)
            if ready and not self._take():
                assert text in self.screen, f"{text!r} never came:\n{self.screen}"

    def reads_again(self, text: str) -> None:
        """Wait until `text` was on the screen a second time."""
        deadline = time.monotonic() + PATIENCE
        while self.screen.count(text) < 2:
            assert time.monotonic() < deadline, f"{text!r} never came again:\n{self.screen}"
            self.look()

    def look(self) -> None:
        """Take what came, if something did."""
        if select.select([self._master], [], [], 0.2)[0]:
            self._take()

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def ends(self) -> int:
        """Read to the end; the exit code."""
        while self._take():
            pass
        os.close(self._master)
        return self.process.wait(PATIENCE)

    def _take(self) -> bool:
        try:
            read = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.screen += read.decode(errors="replace").replace("\r\n", "\n")
        return bool(read)


@pytest.fixture
def house() -> Iterator[Running]:
    with running_house() as running:
        yield running


@pytest.fixture(scope="module")
def full() -> Iterator[Running]:
    """A house with the demo stack, saved once."""
    with running_house() as running:
        gardien(running.config, "target", "init", "box")
        gardien(running.config, "stack", "add", "demo", "--set", "DEMO_PORT=8123")
        gardien(running.config, "backup", "create", "demo")
        running.do(running.quiet.house.watch.look())
        yield running


# -- before anything runs


def test_starting_is_light_and_knows_the_daemon_s_defaults() -> None:
    heavy = ("pydantic", "aiohttp", "docker", "babel", "ruamel", "asyncio", "jinja2", "prometheus_client")
    code = f"import sys, gardien.faces.cli, gardien.faces.call; print([m for m in {heavy} if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    talking = "import gardien.faces.terminal, gardien.faces.follow; "
    code = code.replace("import sys", f"import sys; {talking}import sys").replace("'babel', ", "")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
    defaults = Settings()
    assert defaults.folders.run == call.RUN
    assert Path(cli.SETTINGS).parent == defaults.folders.owner


def test_help_needs_no_settings_and_names_every_command() -> None:
    done = gardien(Path("/nowhere"), "--help")
    for name in cli.main.commands:
        assert f"\n  {name} " in done.stdout
    assert "gardien stack add nextcloud" in done.stdout and "Exit codes" in done.stdout


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            if command.invoke_without_command:  # it is a command itself, too
                yield " ".join((*path, name)), command
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_every_command_and_option_is_documented() -> None:
    text = DOCS.read_text()
    written = {
        row[0]: row for row in re.findall(r"^\| `gardien ((?:[a-z-]+ ?)+)([^`]*)` \| ([^|]*)\|", text, re.MULTILINE)
    }
    written = {name.strip(): row for name, row in written.items()}
    assert set(written) == {name for name, _ in commands(cli.main)}
    for name, command in commands(cli.main):
        assert command.help, name
        for option in (each for each in command.params if isinstance(each, click.Option)):
            longest = option.opts[0]
            everywhere = longest in ("--json", "--dry-run", "--no-wait") and f"`{longest}`" in text
            assert everywhere or longest in "".join(written[name]), f"{name} {longest}"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["stak"], "No such command"),
        (["stack", "add"], "STACK"),
        (["stack", "add", "demo", "--set", "PORT"], "NAME=VALUE"),
        (["job", "show", "x"], "x"),
        (["restore", "demo", "--force"], "--force"),
    ],
)
def test_bad_usage_is_2(argv: list[str], says: str) -> None:
    assert says in gardien(Path("/nowhere"), *argv, code=2).stderr


def test_no_settings_and_broken_settings_are_2(tmp_path: Path) -> None:
    missing = gardien(tmp_path / "none.yaml", "status", code=2).stderr
    assert "There is no settings file" in missing and "--config" in missing
    config = tmp_path / "gardien.yaml"
    for text in ("folders: [", "- a", "folders: {run: 5}", "folders: 5", ""):
        config.write_text(text)
        assert "gardien check" in gardien(config, "status", code=2).stderr
    assert told(config, "status", code=2)["error"]["code"] == "bad-input"


def test_no_daemon_is_3_in_both_languages(tmp_path: Path) -> None:
    config = write_settings(tmp_path)
    english = gardien(config, "status", code=3).stderr
    assert "gardien is not running" in english.replace("Gardien", "gardien") and "Start it with" in english
    french = gardien(config, "status", code=3, LC_ALL="fr_FR.UTF-8").stderr
    assert "ne tourne pas" in french and "Start it" not in french
    assert gardien(config, "status", code=3, LC_ALL="", LANG="fr_CA.UTF-8").stderr == french
    write_settings(tmp_path, language="fr")
    assert gardien(config, "status", code=3).stderr == french, "the settings decide where the terminal says nothing"
    assert gardien(config, "status", code=3, LC_ALL="en_US.UTF-8").stderr == english
    assert gardien(config, "status", code=3, GARDIEN_CONFIG="/x").stderr == french, "--config goes before"
    error = told(config, "status", code=3)["error"]
    assert error["code"] == "not-running" and error["words"]["says"]["text"].startswith("gardien is not running")


def test_check_tells_every_mistake_and_needs_no_daemon(tmp_path: Path) -> None:
    config = tmp_path / "gardien.yaml"
    config.write_text("langage: fr\npage: {port: 70000}\n")
    wrong = gardien(config, "check", code=2)
    assert f"{config}:1: langage" in wrong.stderr and "Did you mean “language”?" in wrong.stderr
    assert f"{config}:2: page.port" in wrong.stderr
    assert len(told(config, "check", code=2)["error"]["faults"]) == 2

    with short_folder() as root:
        nowhere = {"socket": str(root / "no-docker.sock")}
        config = write_settings(root, docker=nowhere, programs={"restic": "/bin/true", "docker": "/bin/true"})
        own = root / "owner" / "stacks" / "mine"
        own.mkdir(parents=True)
        (own / "compose.yaml").write_text("services:\n  app: {image: x}\nx-gardien: {format: 1}\n")
        done = gardien(config, "check", code=1)
        assert "ok" in done.stdout and "!!" in done.stdout
        assert f"      {own}/compose.yaml:3: x-gardien" in done.stdout
        rows = {row["what"]: row for row in told(config, "check", code=1)}
        assert rows[f"settings {config}"]["ok"] and rows["stack nextcloud"]["ok"]
        assert rows["Docker"]["error"]["code"] == "docker-down"
        assert not rows["stack mine"]["ok"]


def test_the_daemon_does_not_start_on_bad_settings(tmp_path: Path) -> None:
    config = tmp_path / "gardien.yaml"
    config.write_text("langage: fr\n")
    assert "mistakes" in gardien(config, "run", code=2).stderr


# -- a house at work


def test_the_whole_story(house: Running) -> None:
    config = house.config
    assert "no stack yet" in gardien(config, "stack", "list").stdout
    assert "Nothing was done" in gardien(config, "job", "list").stdout
    assert "no backup yet" in gardien(config, "backup", "list").stdout
    assert "nextcloud: Files, calendar" in gardien(config, "stack", "available").stdout
    assert "owner/secrets/target-box.passphrase" in gardien(config, "target", "init", "box").stdout
    assert "The target box is ready." in gardien(config, "target", "test", "box").stdout

    added = gardien(config, "stack", "add", "demo", "--yes", "--set", "DEMO_PORT=8123").stdout
    assert "runs and answers." in added and "http://localhost:8123/" in added
    note = house.root / "data" / "demo" / "notes" / "note"
    house.quiet.files.put(note, Leaf("worth keeping", 0o600))
    assert "saved" in gardien(config, "backup", "create", "demo").stdout
    [snapshot] = told(config, "backup", "list", "demo")
    assert snapshot["good"] is True
    listed = gardien(config, "backup", "list").stdout
    assert re.search(rf"(?m)^{snapshot['id'][:8]} +demo +box +.* good$", listed)

    del house.quiet.files.leaves[note]
    plan = told(config, "restore", "demo", "--dry-run")
    dry = gardien(config, "restore", "demo", "--dry-run").stdout
    assert all(f"{number}. {step['says']}" in dry for number, step in enumerate(plan["steps"], 1))
    assert "if it fails: " in dry
    refused = gardien(config, "restore", "demo", code=2)
    assert "--yes" in refused.stderr and note not in house.quiet.files.leaves
    assert told(config, "restore", "demo", code=2)["error"]["code"] == "bad-input"
    gardien(config, "restore", "demo", "--yes", "--snapshot", snapshot["id"][:8])
    assert house.quiet.files.leaves[note].text == "worth keeping"

    house.do(house.quiet.house.watch.look())
    shown = gardien(config, "stack", "show", "demo").stdout
    assert "Running well" in shown and "8123" in shown and str(note.parents[1]) in shown
    assert "stopped" in gardien(config, "stack", "stop", "demo").stdout
    assert told(config, "stack", "show", "demo")["wanted"] == "stopped"
    assert "answers" in gardien(config, "stack", "start", "demo").stdout
    assert "app  | running" in gardien(config, "stack", "logs", "demo", "--lines", "2").stdout
    assert "app  | running" in gardien(config, "stack", "logs", "demo", "--service", "app").stdout
    assert "It has: app." in gardien(config, "stack", "logs", "demo", "--service", "db", code=1).stderr
    assert "answers" in gardien(config, "stack", "restart", "demo").stdout
    jobs = told(config, "job", "list", "--most", "3")
    assert [job["kind"] for job in jobs] == ["restart", "start", "stop"]
    assert "Done" in gardien(config, "job", "show", str(jobs[0]["id"])).stdout
    assert told(config, "stack", "remove", "demo")["state"] == "done"
    assert told(config, "stack", "list") == [] and note in house.quiet.files.leaves


def test_first_passwords_are_shown_at_the_end(house: Running) -> None:
    done = gardien(house.config, "stack", "add", "nextcloud")
    password = re.search(r"NEXTCLOUD_ADMIN_PASSWORD +(\w{20})\n", done.stdout)
    assert password and "NEXTCLOUD_ADMIN_USER" in done.stdout and "MYSQL_PASSWORD" not in done.stdout
    again = told(house.config, "stack", "show", "nextcloud", "--first-login")
    assert again["NEXTCLOUD_ADMIN_PASSWORD"] == password[1]
    assert password[1] not in gardien(house.config, "stack", "show", "nextcloud", "--json").stdout


def test_settings_come_from_a_file_of_either_kind(house: Running) -> None:
    file = house.root / "answers"
    for text in ("# ours\nDEMO_PORT: 8123\n", "# ours\r\n\r\n  DEMO_PORT=8123 \r\n", "\ufeffDEMO_PORT: '8123'\n"):
        file.write_text(text, "utf-8")
        plan = told(house.config, "stack", "add", "demo", "--settings", str(file), "--dry-run")
        assert plan["kind"] == "add", text
    gardien(house.config, "stack", "add", "demo", "--settings", str(file), "--set", "DEMO_PORT=8124")
    assert told(house.config, "stack", "show", "demo")["settings"] == {"DEMO_PORT": "8124"}, "--set goes before"
    file.write_text("")
    assert "no setting to change" in gardien(
        house.config, "stack", "set", "demo", "--settings", str(file), code=2
    ).stderr.replace("No", "no")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("NEXTCLOUD_PORT: 0\nNEXTCLOUD_DOMAIN: a b\nNEXTCLOUD_PROT: 1\n", ["1: NEXTCLOUD_PORT", "2", "3"]),
        ("NEXTCLOUD_PORT=8080\nNEXTCLOUD_DOMAIN=a b\n", ["2: NEXTCLOUD_DOMAIN"]),
        (
            "NEXTCLOUD_PORT=8080\nwhat is this\nNEXTCLOUD_PORT=1\n",
            ["2: this line is not NAME=VALUE", "3: NEXTCLOUD_PORT"],
        ),
        ("NEXTCLOUD_PORT:\n  - 1\n", ["1: NEXTCLOUD_PORT: this is not one value"]),
        ("NEXTCLOUD_PORT: 1\nNEXTCLOUD_PORT: 2\n", ["2: NEXTCLOUD_PORT"]),
        ("- NEXTCLOUD_PORT\n", ["1: this is not a list of `NAME: value`"]),
        ("a: b: c\n", ["1: is not YAML"]),
        ("? [x]\n: y\n", ["1: this is not one value"]),
    ],
)
def test_mistakes_in_a_file_of_settings_are_told_with_their_lines(full: Running, text: str, lines: list[str]) -> None:
    file = full.root / "answers"
    file.write_text(text)
    done = gardien(full.config, "stack", "add", "nextcloud", "--settings", str(file), code=2).stderr
    for line in lines:
        assert f"{file}:{line}" in done, done
    error = told(full.config, "stack", "add", "nextcloud", "--settings", str(file), code=2)["error"]
    assert [fault["line"] for fault in error["faults"]] == [int(line.partition(":")[0]) for line in lines]


def test_a_file_of_settings_that_cannot_be_read_is_2(full: Running) -> None:
    nowhere = full.root / "nowhere"
    assert (
        f"Cannot read {nowhere}"
        in gardien(full.config, "stack", "set", "demo", "--settings", str(nowhere), code=2).stderr
    )
    nowhere.write_bytes(b"\xff\xfe\x00")
    assert (
        f"Cannot read {nowhere}"
        in gardien(full.config, "stack", "set", "demo", "--settings", str(nowhere), code=2).stderr
    )


def test_a_small_machine_is_told_with_its_figures_and_can_be_overruled(house: Running) -> None:
    house.quiet.host.has_memory = 10**9
    refused = gardien(house.config, "stack", "add", "nextcloud", code=1).stderr
    assert "1000 MB" in refused and "--anyway" in refused
    assert told(house.config, "stack", "list") == []
    person = Person(house.config, "stack", "add", "nextcloud")
    answer_all(person, "Add it all the same? [y/N]")
    person.types("n\n")
    assert person.ends() == 1
    assert told(house.config, "stack", "list") == []
    person = Person(house.config, "stack", "add", "nextcloud")
    answer_all(person, "Add it all the same? [y/N]")
    person.types("y\n")
    assert person.ends() == 0
    gardien(house.config, "stack", "remove", "nextcloud", "--no-backup")
    gardien(house.config, "stack", "add", "nextcloud", "--anyway")


def answer_all(person: Person, last: str) -> None:
    """Take what is offered for every question, up to the last one."""
    answered = 0
    deadline = time.monotonic() + PATIENCE
    while last not in person.screen:
        assert time.monotonic() < deadline, person.screen
        person.reads(": ")
        asked = len(re.findall(r"\([A-Z][A-Z_]+\)( \[.*\])?: ", person.screen))
        if asked > answered:
            answered = asked
            person.types("\n")
        person.look()


def test_settings_are_changed_after_the_difference_was_shown(house: Running) -> None:
    gardien(house.config, "stack", "add", "demo", "--set", "DEMO_PORT=8123")
    change = ("stack", "set", "demo", "--set", "DEMO_PORT=8124")
    alone = gardien(house.config, *change, code=2).stderr
    assert "nobody is here to agree" in alone and "--yes" in alone
    dry = gardien(house.config, *change, "--dry-run").stdout
    assert "DEMO_PORT: 8123 -> 8124" in dry and "if it fails: " in dry
    for typed, code, port in (("n", 1, "8123"), ("y", 0, "8124")):
        person = Person(house.config, *change)
        person.reads("[y/N]")
        assert "This changes:\n  DEMO_PORT: 8123 -> 8124\n" in person.screen
        person.types(f"{typed}\n")
        assert person.ends() == code
        assert told(house.config, "stack", "show", "demo")["settings"] == {"DEMO_PORT": port}
    assert "othing would change" in gardien(house.config, *change, "--yes", code=1).stderr
    assert told(house.config, "stack", "set", "demo", "--set", "DEMO_PORT=8125", "--yes")["state"] == "done"
    assert (
        "a number from 1"
        in gardien(house.config, "stack", "set", "demo", "--set", "DEMO_PORT=x", "--yes", code=2).stderr
    )
    assert "`gardien stack show demo`" in gardien(house.config, "stack", "set", "demo", code=2).stderr


def test_what_was_changed_by_hand_is_listed_and_mended(house: Running) -> None:
    gardien(house.config, "stack", "add", "demo")
    docker, key = house.quiet.docker, ("gardien-demo", "app")
    docker.containers[key] = replace(docker.containers[key], id="by-hand", config="another")
    house.do(house.quiet.house.watch.look())
    for shown in (gardien(house.config, "stack", "show", "demo").stdout, gardien(house.config, "status").stdout):
        assert "does not run with the present settings" in shown
    assert "gardien stack mend demo" in gardien(house.config, "stack", "show", "demo").stdout
    mended = gardien(house.config, "stack", "mend", "demo").stdout
    assert mended.index("! The container of the service app does not run") < mended.index("runs and answers")
    house.do(house.quiet.house.watch.look())
    assert "as it was set up" in gardien(house.config, "stack", "mend", "demo").stdout


def test_removing_keeps_the_files_unless_the_name_is_typed(house: Running) -> None:
    config = house.config
    gardien(config, "target", "init", "box")
    gardien(config, "stack", "add", "demo")
    folder = house.root / "data" / "demo"
    note = folder / "notes" / "note"
    house.quiet.files.put(note, Leaf("worth keeping", 0o600))
    alone = gardien(config, "stack", "remove", "demo", "--with-data", code=2).stderr
    assert "`--confirm demo`" in alone and "nobody is here to agree" in alone
    assert told(config, "stack", "remove", "demo", "--with-data", code=2)["error"]["code"] == "bad-input"
    gardien(config, "stack", "remove", "demo", "--with-data", "--yes", code=2)
    gardien(config, "stack", "remove", "demo", "--with-data", "--confirm", "Demo", code=2)
    wrong = Person(config, "stack", "remove", "demo", "--with-data", "--yes")
    wrong.reads("Type its name to go on")
    assert str(folder) in wrong.screen and "will be deleted" in wrong.screen
    wrong.types("y\n")
    assert wrong.ends() == 2
    unsure = Person(config, "stack", "remove", "demo")
    unsure.reads("[y/N]")
    assert "The files of demo and its backups stay where they are." in unsure.screen
    unsure.types("\n")
    assert unsure.ends() == 1
    assert told(config, "stack", "list")[0]["name"] == "demo" and note in house.quiet.files.leaves

    assert "still in" in gardien(config, "stack", "remove", "demo", "--no-backup").stdout
    assert told(config, "backup", "list") == [] and note in house.quiet.files.leaves
    gardien(config, "stack", "add", "demo")
    sure = Person(config, "stack", "remove", "demo", "--with-data")
    sure.reads("Type its name to go on")
    sure.types("demo\n")
    assert sure.ends() == 0
    assert not house.quiet.files.beneath(folder) and len(told(config, "backup", "list")) == 1
    gardien(config, "stack", "add", "demo")
    gardien(config, "stack", "remove", "demo", "--with-data", "--confirm", "demo")
    assert not house.quiet.files.beneath(folder)


def test_the_root_certificate_is_printed_or_saved(house: Running, tmp_path: Path) -> None:
    none = gardien(house.config, "certificate", code=1)
    assert "no root certificate of its own" in none.stderr and none.stdout == ""
    ports = ("--set", "DOOR_HTTP_PORT=8081", "--set", "DOOR_HTTPS_PORT=8443")
    gardien(house.config, "stack", "add", "gateway", *ports)
    door = house.do(house.quiet.house.stacks.get("gateway"))
    house.quiet.files.put(door.home / door.manifest.door.root, Leaf(CERTIFICATE, 0o644))
    printed = gardien(house.config, "certificate")
    assert printed.stdout == CERTIFICATE and re.search("([0-9A-F]{2}:){31}[0-9A-F]{2}", printed.stderr)
    file = tmp_path / "root.crt"
    assert str(file) in gardien(house.config, "certificate", "--to", str(file)).stdout
    assert file.read_text() == CERTIFICATE and file.stat().st_mode & 0o777 == 0o644
    assert "annot write" in gardien(house.config, "certificate", "--to", str(tmp_path / "x" / "y"), code=2).stderr
    assert told(house.config, "certificate")["certificate"] == CERTIFICATE


def test_a_first_login_that_cannot_be_found_out_is_no_failure_of_adding(house: Running) -> None:
    async def away(name: str) -> dict[str, str]:
        raise DockerDown("Docker does not answer", "Start it.")

    house.quiet.house.stacks.first_login = away  # type: ignore[method-assign]
    done = gardien(house.config, "stack", "add", "demo")
    assert "runs and answers" in done.stdout
    assert "Docker does not answer" in done.stderr and "gardien stack show demo --first-login" in done.stderr
    gardien(house.config, "stack", "remove", "demo", "--no-backup")
    assert told(house.config, "stack", "add", "demo")["first_login"] is None


def test_status_says_what_the_page_says(full: Running) -> None:
    data = told(full.config, "status")
    done = gardien(full.config, "status").stdout
    assert data["says"][1:] in done
    row = next(line for line in done.splitlines() if line.startswith("demo "))
    assert "Running well" in row and ("ago" in row or "now" in row)
    assert re.search(r"100\sGB of 1\sTB", done)
    assert "\x1b" not in done, "colour without a terminal"
    french = gardien(full.config, "status", LC_ALL="fr_FR.UTF-8").stdout
    assert re.search(r"100\sGo", french) and "Running" not in french


def test_what_is_refused_is_1(full: Running) -> None:
    again = gardien(full.config, "stack", "add", "demo", code=1).stderr
    assert "is here already" in again and "gardien stack start demo" in again
    assert told(full.config, "stack", "add", "demo", code=1)["error"]["code"] == "refused"
    assert "Did you mean “nextcloud”?" in gardien(full.config, "stack", "add", "nextclod", code=1).stderr
    for odd in ("NEXTCLOUD", "../demo", "a b", "%2e%2e", "é"):
        assert f"There is no stack called {odd}" in gardien(full.config, "stack", "start", odd, code=1).stderr
    assert "no job number 4711" in gardien(full.config, "job", "show", "4711", code=1).stderr
    assert "no job number 4711" in gardien(full.config, "job", "show", "4711", "--follow", code=1).stderr
    assert "is over already" in gardien(full.config, "job", "cancel", "1", code=1).stderr
    assert "no backup target called none" in gardien(full.config, "target", "test", "none", code=1).stderr


def test_bad_answers_are_2_all_at_once(full: Running) -> None:
    sets = ["--set", "NEXTCLOUD_PORT=0", "--set", "NEXTCLOUD_DOMAIN=a b", "--set", "NEXTCLOUD_PROT=1"]
    done = gardien(full.config, "stack", "add", "nextcloud", *sets, code=2).stderr
    assert "NEXTCLOUD_PORT must be a number" in done and "NEXTCLOUD_DOMAIN must be a domain" in done
    assert "Did you mean “NEXTCLOUD_PORT”?" in done
    assert len(told(full.config, "stack", "add", "nextcloud", *sets, code=2)["error"]["faults"]) == 3


def test_a_failed_job_is_1_with_its_remedy(full: Running) -> None:
    error = DockerDown(
        "Docker does not answer", "Start it with `systemctl start docker`.", detail="connect: no such file"
    )
    full.quiet.restic.fails = error
    try:
        done = gardien(full.config, "backup", "create", "demo", code=1)
        job = told(full.config, "backup", "create", "demo", code=1)
    finally:
        full.quiet.restic.fails = None
    assert "Failed. Docker does not answer." in done.stderr and "systemctl start docker" in done.stderr
    assert "  | connect: no such file" in done.stderr
    assert (job["state"], job["code"]) == ("failed", "docker-down")


def test_no_wait_and_cancel(house: Running) -> None:
    gardien(house.config, "target", "init", "box")
    gardien(house.config, "stack", "add", "demo")
    house.hold(True)
    number = told(house.config, "backup", "create", "demo", "--no-wait")["job"]
    assert str(number) in gardien(house.config, "status").stdout
    until(lambda: told(house.config, "job", "show", str(number))["step"] == "live")
    under_way = gardien(house.config, "status").stdout
    assert re.search(rf"{number}: Backup of .*: 2/9 .* 40\s?%", under_way), under_way
    assert "cancel" in gardien(house.config, "job", "cancel", str(number)).stdout.lower()
    assert told(house.config, "job", "show", str(number))["state"] == "cancelled"
    house.hold(False)


def test_without_a_terminal_progress_is_plain_lines(full: Running) -> None:
    full.hold(True)
    argv = [sys.executable, "-m", "gardien", "--config", str(full.config), "backup", "create", "demo"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment(PYTHONUNBUFFERED="")) as watched:
        assert watched.stdout is not None
        lines = []
        for line in watched.stdout:
            lines.append(line)
            if "40%" in line:
                full.hold(False)
    assert watched.returncode == 0
    assert lines[-1].startswith("Trial notebook is saved") and "\r" not in "".join(lines)
    assert any(re.match(r"2/9 Save the files while people go on working {2}40%", line) for line in lines)
    assert len(set(lines)) == len(lines)


def until(what: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_interrupting_stops_the_watching_alone(house: Running) -> None:
    gardien(house.config, "target", "init", "box")
    gardien(house.config, "stack", "add", "demo")
    house.hold(True)
    person = Person(house.config, "backup", "create", "demo")
    person.reads("40")
    person.process.send_signal(signal.SIGINT)
    assert person.ends() == 130
    number = told(house.config, "job", "list")[0]["id"]
    assert f"gardien job cancel {number}" in person.screen and "goes on" in person.screen
    assert not told(house.config, "job", "show", str(number))["over"]
    watcher = Person(house.config, "job", "show", str(number), "--follow")
    watcher.reads("40")
    house.hold(False)
    assert watcher.ends() == 0
    assert "saved" in watcher.screen


class DyingDaemon(socketserver.StreamRequestHandler):
    """Takes a job on, tells of it once, and is killed."""

    def handle(self) -> None:
        asked = self.rfile.readline().split()
        length = 0
        while (line := self.rfile.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.rfile.read(length)
        job = {"id": 7, "title": "Backup", "state": "running", "state_says": "Under way", "over": False}
        body = json.dumps({"job": 7} if asked[0] == b"POST" else {**job, "step": None, "steps": [], "progress": None})
        ends = f"Content-Length: {len(body)}" if asked[0] == b"POST" else "Connection: close"
        self.wfile.write(f"HTTP/1.1 200 OK\r\n{ends}\r\n\r\n{body}\n".encode())


def test_the_daemon_dies_while_a_job_is_watched() -> None:
    with short_folder() as root:
        config = write_settings(root)
        (root / "run").mkdir()
        with socketserver.ThreadingUnixStreamServer(str(root / "run" / "gardien.sock"), DyingDaemon) as daemon:
            thread = threading.Thread(target=daemon.serve_forever)
            thread.start()
            try:
                done = gardien(config, "backup", "create", "demo", code=3)
            finally:
                daemon.shutdown()
                thread.join()
        assert "stopped while job 7 was under way" in done.stderr and "gardien job show 7" in done.stderr


# -- in a terminal


def test_progress_is_one_line_that_moves(full: Running) -> None:
    full.hold(True)
    person = Person(full.config, "backup", "create", "demo", COLUMNS="160")
    try:
        person.reads("40")
    finally:
        full.hold(False)
    assert person.ends() == 0
    moving, _, rest = person.screen.rpartition("\r\x1b[K")
    assert moving.count("\n") == 0, "progress took more than a line"
    assert re.search(r"2/9 Save the files.*40\s?%.*12\sMB/s.*left", moving)
    assert rest.startswith("Trial notebook is saved") and rest.count("\n") == 1


def test_adding_a_stack_asks_what_it_must_know(house: Running) -> None:
    person = Person(house.config, "stack", "add", "demo", LC_ALL="fr_FR.UTF-8")
    person.reads("Port sur cette machine (DEMO_PORT) [8090]:")
    person.types("80800\n")
    person.reads("DEMO_PORT doit être un nombre de 1 à 65535")
    person.reads_again("Port sur cette machine (DEMO_PORT) [8090]:")
    person.types("8200\n")
    assert person.ends() == 0
    assert "http://localhost:8200/" in person.screen
    assert told(house.config, "stack", "show", "demo")["settings"] == {"DEMO_PORT": "8200"}


def test_choices_are_explained_and_what_may_stay_empty_is_said(house: Running) -> None:
    person = Person(house.config, "stack", "add", "gateway")
    person.reads("(DOOR_MODE) [home]: ")
    offer = next(each for each in told(house.config, "stack", "available") if each["name"] == "gateway")
    for value, meaning in offer["settings"][0]["choices"].items():
        assert re.search(rf"    {value} +{re.escape(meaning)}", person.screen)
    person.types("house\n")
    answer_all(person, "DOOR_MODE must be one of: home, internet")
    empty = [setting for setting in offer["settings"] if not setting["default"]]
    assert empty and f"({empty[0]['name']}): " in person.screen and "; or nothing" in person.screen
    person.process.send_signal(signal.SIGINT)
    assert person.ends() == 1
    assert told(house.config, "stack", "list") == []


@pytest.mark.parametrize(
    ("language", "answer", "code"), [("C", "n", 1), ("C", "", 1), ("fr_FR", "oui", 0), ("C", "y", 0)]
)
def test_a_restore_shows_what_it_will_do_and_asks(full: Running, language: str, answer: str, code: int) -> None:
    before = len(told(full.config, "job", "list"))
    person = Person(full.config, "restore", "demo", LC_ALL=f"{language}.UTF-8")
    person.reads("[o/N]" if language == "fr_FR" else "[y/N]")
    assert "docker compose down" in person.screen
    person.types(f"{answer}\n")
    assert person.ends() == code
    assert len(told(full.config, "job", "list")) == before + (code == 0)


# -- people


def test_a_link_is_one_line_for_scripts(full: Running) -> None:
    done = gardien(full.config, "user", "link")
    port = full.quiet.house.settings.page.port
    assert re.fullmatch(rf"http://localhost:{port}/login/[\w-]{{40,}}\n", done.stdout) and not done.stderr
    assert told(full.config, "user", "link")["url"].startswith("http://localhost")


def test_a_password_is_read_or_asked_for_and_never_shown(full: Running) -> None:
    people = full.quiet.house.people
    gardien(full.config, "user", "password", sent="four words in a row\n")
    assert full.do(people.enter_by_password("owner", "four words in a row", "x")) == "owner"
    assert "too short" in gardien(full.config, "user", "password", sent="short\n", code=2).stderr
    person = Person(full.config, "user", "password")
    person.reads("New password")
    person.types("another four words here\n")
    person.reads("Once more")
    person.types("another four words here\n")
    assert person.ends() == 0
    assert "another" not in person.screen
    assert full.do(people.enter_by_password("owner", "another four words here", "x")) == "owner"

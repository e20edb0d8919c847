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
from pathlib import Path
from typing import Any

import click
import pytest

from gardien.errors import DockerDown
from gardien.faces import call, cli
from gardien.model.settings import Settings
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
        (own / "compose.yaml").write_text("services:\n  app: {image: x}\n")
        done = gardien(config, "check", code=1)
        assert "ok" in done.stdout and "!!" in done.stdout
        assert f"      {own}/compose.yaml:1: x-gardien is missing" in done.stdout
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
    assert "can be opened" in gardien(config, "target", "test", "box").stdout

    added = gardien(config, "stack", "add", "demo", "--yes", "--set", "DEMO_PORT=8123").stdout
    assert "runs and answers." in added and "http://localhost:8123/" in added
    note = house.root / "data" / "demo" / "notes" / "note"
    house.quiet.files.put(note, Leaf("worth keeping", 0o600))
    assert "saved" in gardien(config, "backup", "create", "demo").stdout
    [snapshot] = told(config, "backup", "list", "demo")
    assert snapshot["good"] is True
    listed = gardien(config, "backup", "list").stdout
    assert snapshot["id"][:8] in listed and "yes" in listed

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
    jobs = told(config, "job", "list", "--most", "2")
    assert [job["kind"] for job in jobs] == ["start", "stop"]
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
    assert "NEXTCLOUD_PORT must be a number" in done and "NEXTCLOUD_DOMAIN must be a host" in done
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
    assert re.search(rf"{number}: Backup of .*: 2/8 .* 40\s?%", under_way), under_way
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
    assert any(re.match(r"2/8 Save the files while people go on working {2}40%", line) for line in lines)
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
    assert re.search(r"2/8 Save the files.*40\s?%.*12\sMB/s.*left", moving)
    assert rest.startswith("Trial notebook is saved") and rest.count("\n") == 1


def test_adding_a_stack_asks_what_it_must_know(house: Running) -> None:
    person = Person(house.config, "stack", "add", "demo", LC_ALL="fr_FR.UTF-8")
    person.reads("Port sur cette machine (DEMO_PORT) [8090]:")
    person.types("8200\n")
    assert person.ends() == 0
    assert "http://localhost:8200/" in person.screen
    assert told(house.config, "stack", "show", "demo")["settings"] == {"DEMO_PORT": "8200"}


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

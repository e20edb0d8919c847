"""`install.sh` for real: a trial beside whatever else runs here, twice; then away again, nothing lost, nothing left."""

import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.world.box import docker, free_port
from tests.world.releases import release
from tests.world.restic import PLAIN

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "install.sh"
UNIT = ROOT / "systemd" / "gardien.service"


class Place:
    """Folders, ports and names of its own, so that the installer touches nothing else."""

    def __init__(self, root: Path) -> None:
        self.root, self.script = root, SCRIPT
        self.prefix, self.etc, self.data, self.state, self.run, self.backups = (
            root / name for name in ("opt", "etc", "data", "state", "run", "backups")
        )
        self.link = root / "bin" / "gardien"
        self.page, self.demo = free_port(), free_port()
        self.projects = f"gi{os.getpid()}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LC_", "PYTHONPATH"))},
            "LANG": "C.UTF-8",
            "GARDIEN_PREFIX": str(self.prefix),
            "GARDIEN_ETC": str(self.etc),
            "GARDIEN_DATA": str(self.data),
            "GARDIEN_STATE": str(self.state),
            "GARDIEN_DEMO_BACKUPS": str(self.backups),
            "GARDIEN_RUN": str(self.run),
            "GARDIEN_LINK": str(self.link),
            "GARDIEN_PAGE_PORT": str(self.page),
            "GARDIEN_DEMO_PORT": str(self.demo),
            "GARDIEN_PROJECTS": self.projects,
        }

    def install(self, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/bash", str(self.script), *options],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    def gardien(self, *words: str) -> str:
        done = subprocess.run(
            [str(self.link), *words], env=self.environment, capture_output=True, text=True, timeout=250, check=False
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def processes(self) -> list[str]:
        """Command lines of what runs out of this place."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # ended meanwhile
                continue
            if f"{self.root}/" in line:
                found.append(line)
        return found

    def containers(self) -> list[str]:
        listed = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name={self.projects}")
        return listed.split()


def tree(*folders: Path) -> Mapping[str, tuple[int, int, int, str]]:
    """Every file below: mode, size, time of change, where a link points to."""
    found = {}
    for folder in folders:
        for path in (folder, *sorted(folder.rglob("*"))):
            facts = path.lstat()
            where = str(path.readlink()) if path.is_symlink() else ""
            found[str(path)] = (facts.st_mode, facts.st_size, facts.st_mtime_ns, where)
    return found


@pytest.fixture
def place() -> Iterator[Place]:
    root = Path(tempfile.mkdtemp(prefix="gi-"))
    root.chmod(0o711)
    made = Place(root)
    yield made
    if made.run.exists():
        made.install("--uninstall")
    for container in made.containers():
        docker("rm", "--force", container)
    shutil.rmtree(root)


def get(url: str, form: Mapping[str, str] | None = None, jar: CookieJar | None = None) -> tuple[int, str]:
    """A page as a browser asks for it."""
    opener = build_opener(HTTPCookieProcessor(jar if jar is not None else CookieJar()))
    body = None if form is None else urlencode(form).encode()
    request = Request(url, body, {"Sec-Fetch-Site": "same-origin", "Accept": "text/html"})
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.world
def test_a_trial_from_first_to_last(place: Place) -> None:
    # A copy: the tree may change while the test runs, and installing must not write into it.
    checkout = place.root / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(".*", "__pycache__", "tests", "*.mo", "vendor"))
    place.script = checkout / "install.sh"
    source = tree(checkout)
    # The machine's own restic, as test.sh got it by `install.sh --tools`: one download less.
    place.prefix.joinpath("bin").mkdir(parents=True)
    place.prefix.joinpath("bin", "restic").symlink_to(PLAIN)

    first = place.install("--demo")
    assert first.returncode == 0, first.stdout + first.stderr

    # The page lets in whoever has the link, once.
    link = re.search(rf"http://\S+:{place.page}/login/\S+", first.stdout)
    assert link, first.stdout
    jar = CookieJar()
    status, page = get(link[0], {}, jar)
    assert status == 200, page
    house = link[0].partition("login/")[0]
    status, page = get(house, jar=jar)
    assert status == 200 and "Trial notebook" in page
    assert get(link[0], {})[0] == 403
    assert "Trial notebook" not in get(house)[1]

    # The demo is well and has a good backup.
    seen = json.loads(place.gardien("status", "--json"))
    (demo,) = seen["stacks"]
    assert demo["name"] == "demo"
    assert demo["health"]["health"] == "well", demo
    assert demo["newest_good"]["good"], demo
    status, health = get(f"http://127.0.0.1:{place.demo}/cgi-bin/health")
    assert (status, json.loads(health)) == (200, {"ok": True, "notes": 3, "paused": False})
    get(f"http://127.0.0.1:{place.demo}/cgi-bin/index.cgi", {"text": "it's <mine>"})

    # What only root may see.
    for secret in (place.etc, place.etc / "secrets", place.state, place.backups):
        assert secret.stat().st_mode & 0o777 == 0o700, secret
    assert (place.etc / "gardien.yaml").stat().st_mode & 0o777 == 0o600
    assert place.data.stat().st_mode & 0o777 == 0o711

    # Again: nothing to do, nothing done.
    before, running = tree(place.etc, place.prefix, place.link), place.processes()
    again = place.install("--demo")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Nothing to change" in again.stdout
    assert tree(place.etc, place.prefix, place.link) == before
    assert place.processes() == running
    assert tree(checkout) == source

    # What was installed can put a newer one in its place, and this installer leaves that alone.
    wheels = release(place.root / "wheels", "99.0").parent
    look = json.loads(place.gardien("self-update", "--check", "--json", "--from", str(wheels)))
    assert look["newer"] and look["newest"] == "99.0"
    if os.environ.get("GARDIEN_FULL"):
        done = json.loads(place.gardien("self-update", "--json", "--from", str(wheels)))
        assert (done["phase"], done["to"]) == ("done", "99.0")
        newer = place.install("--demo")
        assert newer.returncode == 0 and "99.0 is there already" in newer.stdout, newer.stdout + newer.stderr
        assert place.gardien("--version").split()[-1] == "99.0"
        assert json.loads(place.gardien("status", "--json"))["stacks"][0]["name"] == "demo"

    # Away, and nothing lost.
    away = place.install("--uninstall")
    assert away.returncode == 0, away.stdout + away.stderr
    assert place.processes() == []
    assert place.containers() == []
    assert docker("network", "ls", "--quiet", "--filter", f"name={place.projects}") == ""
    assert not place.prefix.exists() and not place.link.exists() and not place.run.exists()
    for kept in (place.data, place.etc, place.state, place.backups):
        assert str(kept) in away.stdout
    with sqlite3.connect(place.data / "demo" / "notes" / "notes.db") as notes:
        assert notes.execute("SELECT text FROM notes ORDER BY id DESC LIMIT 1").fetchone() == ("it's <mine>",)
    after = tree(place.etc)
    assert after == {name: facts for name, facts in before.items() if name in after}
    assert (place.etc / "secrets" / "target-here.passphrase").read_text().strip()
    assert list((place.backups / "snapshots").iterdir())


@pytest.mark.parametrize("options", [["--demo"], [], ["--tools"], ["--uninstall"]])
def test_a_dry_run_changes_nothing(place: Place, options: list[str]) -> None:
    done = place.install("--dry-run", *options)
    assert done.returncode == 0, done.stderr
    assert "nothing has been changed" in done.stdout
    assert list(place.root.iterdir()) == []
    assert ("would be done" in done.stdout) == (options != ["--uninstall"])


def test_what_is_wrong_is_said_before_anything_is_done(place: Place) -> None:
    def refused(*options: str, **environment: str) -> str:
        done = place.install(*options, **environment)
        assert done.returncode != 0, done.stdout
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert "- " not in done.stdout, "it began"
        return done.stderr

    assert "./install.sh --help" in refused("--dmeo")
    assert "--tools" in refused("--demo", "--tools")
    assert "absolute path" in refused(GARDIEN_PREFIX="opt; rm")
    assert "1 to 65535" in refused(GARDIEN_PAGE_PORT="80808")
    assert "unix://" in refused(DOCKER_HOST="tcp://192.0.2.1:2375")
    assert "Docker does not answer" in refused(DOCKER_HOST=f"unix://{place.root}/no.sock")
    assert "Docker ne répond pas" in refused(DOCKER_HOST=f"unix://{place.root}/no.sock", LANG="fr_FR.UTF-8")
    assert list(place.root.iterdir()) == []


def test_a_taken_port_is_said(place: Place) -> None:
    import socket

    with socket.create_server(("127.0.0.1", place.page)):
        done = place.install("--demo")
    assert done.returncode != 0
    assert str(place.page) in done.stderr and "GARDIEN_PAGE_PORT" in done.stderr
    assert list(place.root.iterdir()) == []


def test_without_rights_or_debian_it_says_so(place: Place) -> None:
    plain = subprocess.run(
        ["setpriv", "--reuid", "65534", "--clear-groups", "/bin/bash", "-s", "--", "--demo"],
        input=SCRIPT.read_text(),
        env=place.environment,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert plain.returncode != 0
    assert "sudo ./install.sh --demo" in plain.stderr
    tools = place.root / "few"
    tools.mkdir()
    (tools / "dirname").symlink_to("/usr/bin/dirname")
    other = place.install(PATH=str(tools))
    assert other.returncode != 0
    assert "apt-get is missing" in other.stderr


def test_the_unit_is_sound_and_narrow(tmp_path: Path) -> None:
    """systemd finds no fault with it, and grants it little (10 would be everything)."""
    unit = tmp_path / "gardien.service"
    # Only the program is not there yet.
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text()))
    verified = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=30", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, rated.stdout.splitlines()[-1]


def test_both_languages_say_the_same() -> None:
    """The same sentences, with the same holes, in both tables."""
    table = re.compile(r"  WORDS=\(\n(.*?)\n  \)\n", re.S)
    script = SCRIPT.read_text()
    french, english = (
        {key: text.count("%s") for key, text in re.findall(r'^    \[(\w+)\]="(.*?)"$', words, re.S | re.M)}
        for words in table.findall(script)
    )
    assert french == english
    used = set(re.findall(r"\b(?:say|die|step|die_with_log \S+) ([a-z_0-9]+)\b", table.sub("", script)))
    assert used <= english.keys()

"""What people write: every mistake is found at once, on its line, in words; what is right comes through unchanged."""

import json
import os
import random
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gardien.adapters.document import PATTERNS
from gardien.adapters.files import LocalFiles
from gardien.adapters.shelf import FileShelf, load_settings
from gardien.errors import BadInput, NotFound
from gardien.model.fault import Faults
from gardien.model.manifest import Manifest
from gardien.model.settings import Settings
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules.env import env_file, read_env, write_env
from gardien.rules.kinds import check_settings, fits

SHIPPED = Path(__file__).parent.parent / "compose"
KINDS = ("host", "port", "name", "text", "image")

SOUND = """\
x-every: &every
  logging: {options: {max-size: 10m}}
  volumes:
    - ${DATA:-./data}/files:/files
services:
  app:
    <<: *every
    image: ${APP_IMAGE:-app:1}
    command: [serve, "${USER_NAME}", "$${HOME}"]
    environment: {TITLE: "${TITLE:-x}", PASSWORD: "${PASSWORD}"}
    ports: ["127.0.0.1:${PORT:-8080}:80"]
  worker:
    image: ${APP_IMAGE:-app:1}
    logging: {options: {max-size: 10m}}
    volumes:
      - ./conf/app.conf:/etc/app.conf:ro
      - {type: bind, source: "${DATA}/files/inner", target: /inner}
      - {type: bind, source: "${DATA}/scratch", target: /scratch}
      - {type: tmpfs, target: /tmp}
x-gardien:
  format: 1
  title: {en: App, fr: App}
  summary: {en: An app., fr: Une app.}
  address: http://localhost:{PORT}/
  settings:
    PORT: {kind: port, default: "8080", ask: {en: Port, fr: Port}}
    USER_NAME: {kind: name, default: anna, ask: {en: Name, fr: Nom}}
    TITLE: {kind: text, default: Our house, ask: {en: Title, fr: Titre}}
  secrets:
    PASSWORD: {length: 20}
  folders:
    files: {owner: "33:33"}
  probes:
    app: {http: "http://127.0.0.1:{PORT}/", headers: {Host: localhost}}
  backup:
    pause:
      - {stop: [worker]}
      - {wait: app}
    resume: [{start: [worker]}]
    dumps:
      db.sql: {exec: app, argv: [dump], whole: "^end"}
    save: [files]
    leave_out:
      scratch: {en: Made anew., fr: Refait.}
  restore:
    first: [app]
    load: [{exec: app, argv: [load], input: db.sql}]
    after: [{exec: worker, argv: ["true"]}]
  update: {image: APP_IMAGE, tags: '^\\d+$$'}
"""

# What is replaced in the sound file, by what (the fault stands where » is), and what is said of it.
BROKEN = [
    ("files/inner", "»other", "no backup would hold it"),
    ("save: [files]", "save: [»filse]", "no service mounts it"),
    ("  save: [files]", "  save: [files, »scratch]", "saved and left out"),
    ("./conf/app.conf:/etc/app.conf:ro", "»app:/data", "volume that no backup sees"),
    ("./conf/app.conf:/etc/app.conf:ro", "»/data", "volume that no backup sees"),
    ("{type: tmpfs, target: /tmp}", "»{type: volume, source: x, target: /tmp}", "volume that no backup sees"),
    ("./conf/app.conf:/etc/app.conf:ro", "»./conf/app.conf:/etc/app.conf", "could write to"),
    ("./conf/app.conf:/etc/app.conf:ro", "»./conf/none:/etc/app.conf:ro", "does not belong to the stack"),
    ("./conf/app.conf:/etc/app.conf:ro", "»/etc/shadow:/x:ro", "does not belong to the stack"),
    ("./conf/app.conf:/etc/app.conf:ro", "»./../x:/x:ro", "does not belong to the stack"),
    ("./conf/app.conf:/etc/app.conf:ro", "»${TITLE}:/x:ro", "does not belong to the stack"),
    ("./conf/app.conf:/etc/app.conf:ro", "»/var/run/docker.sock:/x:ro", "command Docker itself"),
    ("${DATA:-./data}/files:/files", "»${DATA}:/files", "gardien's own"),
    ("${DATA:-./data}/files:/files", "»${DATA}/.gardien:/files", "gardien's own"),
    ("${DATA:-./data}/files:/files", "»${DATA}/a/../..:/files", "gardien's own"),
    ("${DATA:-./data}/files:/files", "»${DATA}/${TITLE}:/files", "does not belong to the stack"),
    ("  worker:\n", "  worker:\n    »privileged: true\n", "more than its own box: privileged"),
    ("  worker:\n", "  worker:\n    »privileged: ${PORT}\n", "more than its own box: privileged"),
    ("  worker:\n", "  worker:\n    »network_mode: host\n", "more than its own box: network_mode"),
    ("  worker:\n", "  worker:\n    »pid: host\n", "more than its own box: pid"),
    ("  worker:\n", "  worker:\n    »extends: {file: x.yaml, service: y}\n", "more than its own box: extends"),
    ("  worker:\n", "  worker:\n    »cap_add: [SYS_ADMIN]\n", "more than its own box: cap_add SYS_ADMIN"),
    ("  worker:\n", "  worker:\n    »security_opt: [seccomp:unconfined]\n", "more than its own box: security_opt"),
    ("services:\n", "»include: [other.yaml]\nservices:\n", "without being checked"),
    ("services:\n", "secrets:\n  »key: {file: /etc/shadow}\nservices:\n", "not in the stack's folder"),
    ("  worker:\n", "  »empty:\n  worker:\n", "service empty is empty"),
    ("    image: ${APP_IMAGE:-app:1}\n    logging", "    »image: app:1\n    logging", "replaced by a mirror's"),
    ("    image: ${APP_IMAGE:-app:1}\n    logging", "    »image: ${APP_IMAGE:-app:2}\n    logging", "two images"),
    (
        "    image: ${APP_IMAGE:-app:1}\n    logging",
        "    »image: ${APP_IMAGE:--x}\n    logging",
        "replaced by a mirror's",
    ),
    (
        "    logging: {options: {max-size: 10m}}\n    volumes",
        "    »logging: {driver: local}\n    volumes",
        "filling the",
    ),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"80"', "a port that nobody chose"),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"${USER_NAME}:80"', "a port that nobody chose"),
    ('"$${HOME}"', '»"${HOME}"', "nobody sets the variable HOME"),
    ('"$${HOME}"', '»"a $ b"', "lone $"),
    ('"${USER_NAME}"', '»"${TITLE}"', "part of a command"),
    ('"${TITLE:-x}"', '»"${TITEL:-x}"', "nobody sets the variable TITEL"),
    ('"${TITLE:-x}"', '»"${TITLE:-${X}}"', "nobody sets the variable X"),
    ("address: http://localhost:{PORT}/", "»address: http://localhost:{PROT}/", "there is no setting PROT"),
    ("{Host: localhost}", "{»Host: '{HOST}'}", "there is no setting HOST"),
    ("{stop: [worker]}", "»{stop: [wroker]}", "there is no service wroker"),
    ("{wait: app}", "»{wait: db}", "there is no probe db"),
    ("exec: app, argv: [dump]", "»exec: db, argv: [dump]", "there is no service db"),
    ("first: [app]", "first: [»db]", "there is no service db"),
    ("input: db.sql", "»input: db.sq", "there is no dump db.sq"),
    ("exec: worker, argv", "»exec: w, argv", "there is no service w"),
    ("image: APP_IMAGE", "»image: AP_IMAGE", "there is no image variable AP_IMAGE"),
    ('default: "8080"', '»default: "0"', "the default of PORT is not of kind port"),
    ("  secrets:\n", "  secrets:\n    »PORT: {length: 20}\n", "stands for two things"),
    ("  secrets:\n", "  secrets:\n    »COMPOSE_FILE: {length: 20}\n", "means something else to Compose"),
    ("    PASSWORD: {length: 20}", "    PASSWORD: {»length: 3}", "length must be at least 16"),
    ("format: 1", "»format: 2", "format cannot be “2”"),
    ("  format: 1\n", "  format: 1\n  »secret: {}\n", "secret is not known here"),
    ("kind: name", "»kind: nmae", "kind cannot be “nmae”"),
    ("{http: ", "{»htp: x, http: ", "htp is not known here"),
    ('app: {http: "http://127.0.0.1:{PORT}/"', '»app: {tcp: "x:1", http: "x"', "exactly one way"),
    ("en: An app., fr: Une app.", "»en: An app.", "fr is missing"),
    ("argv: [dump]", "»argv: [$dump]", "lone $"),
    ('whole: "^end"', '»whole: "("', "not a regular expression"),
    ("save: [files]", "save: [»/etc]", "inside the stack's folder"),
    ("  title: {", "  title: {en: x, fr: y}\n  »title: {", "title is written twice"),
    ("resume: [{start: [worker]}]", "", "must say how to resume"),
    ("x-gardien:", "»x-gradien:", "x-gardien is missing"),
    ("format: 1", "»format: a: b", "cannot be read as YAML"),
    ("format: 1", "format: »!secret 1", "cannot be read as YAML"),
]


def write_stack(root: Path, text: str) -> None:
    """A stack called `app`, with a file of its own beside the Compose file."""
    folder = root / "app"
    (folder / "conf").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "app.conf").write_text("# ours\n")
    (folder / "compose.yaml").write_text(text)


async def recipe(tmp_path: Path, text: str = SOUND) -> Recipe:
    write_stack(tmp_path, text)
    return await FileShelf(tmp_path, tmp_path / "owner", LocalFiles()).recipe("app")


async def test_every_shipped_stack_is_sound(tmp_path: Path) -> None:
    shelf = FileShelf(SHIPPED, tmp_path, LocalFiles())
    assert "nextcloud" in shelf.recipes()
    for name in shelf.recipes():
        found = await shelf.recipe(name)
        assert set(found.services) and set(found.image_defaults)


async def test_a_sound_stack_is_read(tmp_path: Path) -> None:
    found = await recipe(tmp_path)
    assert found.services == {"app": "${APP_IMAGE:-app:1}", "worker": "${APP_IMAGE:-app:1}"}
    assert found.image_defaults == {"APP_IMAGE": "app:1"}
    assert found.folder == tmp_path / "app"
    assert found.manifest.update is not None and found.manifest.update.tags == r"^\d+$"


@pytest.mark.parametrize(("old", "new", "says"), BROKEN, ids=[f"{new[:40]!r}" for _, new, _ in BROKEN])
async def test_a_broken_stack_is_refused_on_its_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in SOUND
    text = SOUND.replace(old, new, 1)
    line = text[: text.index("»")].count("\n") + 1 if "»" in text else None
    with pytest.raises(Faults) as caught:
        await recipe(tmp_path, text.replace("»", ""))
    found = [fault for fault in caught.value.faults if says in str(fault.says)]
    assert found, caught.value.detail
    if "x-gardien is missing" not in says:  # what is missing stands on no line
        assert line in (None, found[0].line), caught.value.detail
    assert all(str(fault.remedy) for fault in caught.value.faults)
    assert all(fault.file == tmp_path / "app" / "compose.yaml" for fault in caught.value.faults)


async def test_faults_are_found_together(tmp_path: Path) -> None:
    text = SOUND.replace("files/inner", "other").replace("{wait: app}", "{wait: db}").replace("[app]", "[ap]")
    with pytest.raises(Faults) as caught:
        await recipe(tmp_path, text.replace("${APP_IMAGE:-app:1}\n    command", "app:1\n    command"))
    lines = [fault.line for fault in caught.value.faults]
    assert lines == sorted(lines)
    assert [fault.path for fault in caught.value.faults] == [
        "services.app.image",
        "services.worker.volumes[1]",
        "x-gardien.backup.pause[1].wait",
        "x-gardien.restore.first[0]",
    ]


async def test_a_changed_stack_is_read_again(tmp_path: Path) -> None:
    write_stack(tmp_path, SOUND)
    shelf = FileShelf(tmp_path, tmp_path / "owner", LocalFiles())
    first = await shelf.recipe("app")
    assert await shelf.recipe("app") is first
    write_stack(tmp_path, SOUND.replace("app:1", "app:2"))
    assert (await shelf.recipe("app")).image_defaults == {"APP_IMAGE": "app:2"}
    (tmp_path / "app" / "conf" / "app.conf").unlink()  # Docker would make a folder in its place
    with pytest.raises(Faults):
        await shelf.recipe("app")


async def test_the_owner_s_own_stack_comes_first_and_another_folder_can_be_read(tmp_path: Path) -> None:
    shipped, owner, running = tmp_path / "shipped", tmp_path / "owner", tmp_path / "running"
    write_stack(shipped, SOUND)
    write_stack(owner / "stacks", SOUND.replace("app:1", "own:1"))
    write_stack(running, SOUND.replace("app:1", "old:1"))
    shelf = FileShelf(shipped, owner, LocalFiles())
    assert shelf.recipes() == ["app"]
    assert (await shelf.recipe("app")).image_defaults == {"APP_IMAGE": "own:1"}
    assert (await shelf.recipe("app", running / "app")).image_defaults == {"APP_IMAGE": "old:1"}


@pytest.mark.parametrize("name", ["ap", "../app", "/etc", "", "APP", "app\n"])
async def test_no_such_stack(tmp_path: Path, name: str) -> None:
    write_stack(tmp_path, SOUND)
    shelf = FileShelf(tmp_path, tmp_path / "owner", LocalFiles())
    for call in (shelf.recipe, shelf.chosen, shelf.secrets):
        if name == "ap" and call != shelf.recipe:
            continue
        with pytest.raises(NotFound):
            await call(name)
    with pytest.raises(NotFound) as caught:
        await shelf.recipe("ap")
    assert "app" in str(caught.value.remedy)


# -- what the owner chose


async def test_what_was_chosen_comes_back(tmp_path: Path) -> None:
    owner = tmp_path / "owner"
    write_stack(tmp_path, SOUND)
    shelf = FileShelf(tmp_path, owner, LocalFiles())
    assert await shelf.chosen("app") is None
    assert await shelf.all_chosen() == {}
    chosen = Chosen(wanted="stopped", settings={"PORT": "8081", "TITLE": "yes: # é"}, images={"APP_IMAGE": "r:5/app:2"})
    await shelf.choose("app", chosen)
    assert await shelf.chosen("app") == chosen
    assert await shelf.all_chosen() == {"app": chosen}
    assert shelf.recipes() == ["app"], "the chosen file is not a stack"
    assert await shelf.chosen_in(owner / "stacks" / "app.yaml") == chosen
    with pytest.raises(NotFound):
        await shelf.chosen_in(owner / "stacks" / "other.yaml")
    await shelf.choose("app", None)
    assert await shelf.all_chosen() == {}


async def test_a_hand_edited_choice_is_checked_like_an_asked_one(tmp_path: Path) -> None:
    owner = tmp_path / "owner"
    write_stack(tmp_path, SOUND)
    shelf = FileShelf(tmp_path, owner, LocalFiles())
    (owner / "stacks").mkdir(parents=True)
    (owner / "stacks" / "app.yaml").write_text('settings:\n  PORT: "x"\n  TITLE: "a$b"\nimages:\n  NONE_IMAGE: a\n')
    (owner / "stacks" / "other.yaml").write_text("wanted: perhaps\n")
    with pytest.raises(Faults) as caught:
        await shelf.all_chosen()
    assert [(fault.path, fault.line) for fault in caught.value.faults] == [
        ("settings.PORT", 2), ("settings.TITLE", 3), ("images.NONE_IMAGE", 5), ("wanted", 1)
    ]  # fmt: skip
    (owner / "stacks" / "app.yaml").write_text("settings: {PORT: 8080}\n")
    with pytest.raises(Faults, match="mistakes") as caught:
        await shelf.chosen("app")
    assert str(caught.value.faults[0].remedy) == 'Write it in quotes: "8080".'


async def test_secrets_are_kept_to_root_and_never_shown(tmp_path: Path) -> None:
    shelf = FileShelf(tmp_path, tmp_path, LocalFiles())
    assert await shelf.secrets("app") == {}
    await shelf.set_secrets("app", {"PASSWORD": "hunter2", "OTHER": "a b$c#"})
    path = tmp_path / "secrets" / "app.env"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert await shelf.secrets("app") == {"PASSWORD": "hunter2", "OTHER": "a b$c#"}
    path.write_text("# ours\nPASSWORD='hunter2'\nPASSWORD='hunter3'\nOTHER=hunter4\n")
    with pytest.raises(Faults) as caught:
        await shelf.secrets("app")
    assert [fault.line for fault in caught.value.faults] == [3, 4]
    with pytest.raises(BadInput) as refused:
        await shelf.set_secrets("app", {"PASSWORD": "hunter'2"})
    assert "hunter" not in caught.value.detail + str(caught.value) + str(refused.value) + str(refused.value.remedy)
    await shelf.set_secrets("app", None)
    assert not path.exists()


# -- settings of stacks


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("host", ["localhost", "cloud.example.org", "192.168.1.4", "::1"], ["", "-a", "a b", "a_b", "a\n", "é", "a/b"]),
        ("port", ["1", "8080", "65535"], ["", "0", "65536", "08", "-1", "80:90", "８０", "1e3", " 1"]),
        ("name", ["admin", "A.b-c_9", "_x"], ["", "-x", "a b", "a$", "é", "a/b", "a'"]),
        ("text", ["", "Our house", "é, #1 & <b>", "{x}"], ["-x", "a'b", 'a"b', "\\", "$", "`x`", "a\n", "x" * 201]),
        ("image", ["redis:7", "r.example:5000/a/b_c:V1-x", "a@sha256:" + "0" * 64], ["", "-x", "A/b", "a:", "a//b"]),
    ],
)  # fmt: skip
def test_kinds(kind: str, good: list[str], bad: list[str]) -> None:
    assert [value for value in good if not fits(kind, value)] == []
    assert [value for value in bad if fits(kind, value)] == []


async def test_settings_are_checked_together_and_by_name(tmp_path: Path) -> None:
    found = await recipe(tmp_path)
    check_settings(found, {"PORT": "8081", "APP_IMAGE": "mirror.example/app:1"})
    with pytest.raises(BadInput, match="PORT must be a number from 1 to 65535"):
        check_settings(found, {"PORT": "0"})
    with pytest.raises(Faults) as caught:
        check_settings(found, {"PROT": "1", "TITLE": "$x", "PASSWORD": "mine"})
    assert [fault.path for fault in caught.value.faults] == ["PROT", "TITLE", "PASSWORD"]
    assert str(caught.value.faults[0].remedy) == "Did you mean “PORT”?"


ODD = st.text(alphabet=st.characters() | st.sampled_from("'\"\\$`\n\r\t\0#={}!-:;&|\u2028"))


@given(kind=st.sampled_from(KINDS), value=st.text() | ODD)
@example(kind="text", value="a\u2028b")
@example(kind="host", value="localhost\n")
def test_whatever_fits_its_kind_comes_out_of_the_env_file_unchanged(kind: str, value: str) -> None:
    if fits(kind, value):
        assert not value.startswith("-") and not set(value) & set("'\"\\$`\n\r\0") and value.isprintable()
        text = write_env({"BEFORE": "1", "VALUE": value, "AFTER": "2"})
        assert text.count("\n") == 3
        assert read_env(text) == ({"BEFORE": "1", "VALUE": value, "AFTER": "2"}, [])


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True) | ODD, ODD, max_size=5))
def test_an_env_file_is_read_as_it_was_written_or_not_written(values: dict[str, str]) -> None:
    try:
        text = write_env(values)
    except BadInput:
        return
    assert read_env(text) == (values, [])


def hostile() -> Iterator[str]:
    """Values that fit `text` and look like something else to somebody."""
    yield from ("#", "a # b", " lead", "trail ", "A=b", "export A=b", "é ü 漢", "{A}", "%s%n", "~", "*", "!x", "a: b")
    yield from ("null", "true", "1e3", "0755", "[x]", "&a", ";id", "| id", "<<EOF", "%(x)s", "@x", ",", "?", "= '"[:-1])
    dice = random.Random(7)
    for _ in range(40):
        yield "".join(dice.choices("ab #={}!:;&|<>()[]*?~%@,./é", k=dice.randint(1, 12)))


def test_docker_compose_reads_what_was_written(tmp_path: Path) -> None:
    values = {f"V{number}": value for number, value in enumerate(value for value in hostile() if fits("text", value))}
    assert len(values) >= 50
    # Secrets and paths may hold a dollar: between single quotes it is one.
    values |= {"D1": "a$b", "D2": "${V1}", "D3": "$$", "D4": "/srv/my data"}
    (tmp_path / ".env").write_text(write_env(values))
    service = {"image": "x", "environment": {name: "${" + name + "}" for name in values}}
    (tmp_path / "compose.yaml").write_text(json.dumps({"services": {"x": service}}))
    command = ["docker", "compose", "--project-directory", str(tmp_path), "config", "--format", "json"]
    clean = {name: os.environ[name] for name in ("PATH", "HOME")}  # the environment would go before the file
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=clean)
    assert ran.returncode == 0, ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout)["services"]["x"]["environment"]
    assert {name: value.replace("$$", "$") for name, value in seen.items()} == values  # `config` doubles every dollar


async def test_the_env_file_holds_everything_or_is_not_made(tmp_path: Path) -> None:
    found = await recipe(tmp_path)
    stack = Stack(
        found, Chosen(settings={"PORT": "9000"}, images={"APP_IMAGE": "m/app:2"}), "gardien-app", Path("/srv/app")
    )
    text = env_file(stack, {"PASSWORD": "abc", "FORMER": "gone"})
    settings = {"PORT": "9000", "USER_NAME": "anna", "TITLE": "Our house"}
    assert read_env(text) == ({"DATA": "/srv/app", **settings, "APP_IMAGE": "m/app:2", "PASSWORD": "abc"}, [])
    with pytest.raises(BadInput, match="lack PASSWORD"):  # Compose would put `change-me` in its place
        env_file(stack, {})
    with pytest.raises(BadInput):
        env_file(
            Stack(found, Chosen(settings={"TITLE": "$(id)"}), "gardien-app", Path("/srv/app")), {"PASSWORD": "abc"}
        )
    with pytest.raises(BadInput):
        env_file(Stack(found, Chosen(), "gardien-app", Path("/srv/it's")), {"PASSWORD": "abc"})


# -- gardien.yaml

EVERYTHING_WRONG = """\
langage: fr
language: de
page:
  port: 70000
  names: [-a]
  addres: x
targets:
  box:
    kind: sftp
    host: 1
    port: 22
    user: u
    folder: ./gardien
    host_key: ssh-ed25519 AAAA
  m: {kind: ftp}
  n: {folder: /x}
images: {X: y}
backup:
folders: {data: srv}
limits: {command: soon}
language: fr
"""


def settings_faults(tmp_path: Path, text: str) -> list[tuple[int, str, str, str]]:
    path = tmp_path / "gardien.yaml"
    path.write_text(text)
    with pytest.raises(Faults) as caught:
        load_settings(path)
    assert all(fault.file == path for fault in caught.value.faults)
    return [(fault.line, fault.path, str(fault.says), str(fault.remedy)) for fault in caught.value.faults]


def test_every_mistake_in_the_settings_is_told_at_once(tmp_path: Path) -> None:
    found = settings_faults(tmp_path, EVERYTHING_WRONG)
    assert [(line, path) for line, path, _, _ in found] == [
        (1, "langage"),
        (4, "page.port"),
        (5, "page.names[0]"),
        (6, "page.addres"),
        (8, "targets.box.key"),
        (10, "targets.box.host"),
        (15, "targets.m"),
        (16, "targets.n"),
        (17, "images.X"),
        (18, "backup"),
        (19, "folders.data"),
        (20, "limits.command"),
        (21, "language"),
    ]
    said = {path: (says, remedy) for _, path, says, remedy in found}
    assert said["langage"] == ("langage is not known here", "Did you mean “language”?")
    assert said["page.port"][0] == "port must be at most 65535, and is “70000”"
    assert said["targets.box.key"] == ("key is missing", "Add a line “key: …” here.")
    assert said["targets.m"] == ("m cannot be “ftp”", "Did you mean “sftp”?")
    assert said["language"] == ("language is written twice", "Keep one of the two, here or on line 2.")
    assert all("{" not in says + remedy for _, _, says, remedy in found)


@pytest.mark.parametrize(
    ("text", "line", "path", "says"),
    [
        ("name: x\nbackup: {target: a}\ntargets: {box: {kind: local, folder: /b}}", 2, "backup.target", "no target a"),
        ("targets:\n  b:\n    kind: local\n    folder: /srv/gardien/b", 4, "targets.b.folder", "lie in each other"),
        ("targets:\n  b: {kind: local, folder: /}", 2, "targets.b.folder", "cannot hold backups"),
        ("page:\n  names: []", 2, "page.names", "no name"),
        ("page:\n  address: 192.168.1.4", 1, "page.names", "refuse to be called by it"),
        ("folders:\n  run: /srv/gardien/run", 2, "folders.run", "inside the data folder"),
        ("folders:\n  state: /etc/gardien", 2, "folders.owner", "the same folder"),
        ("folders:\n  data: /srv/it's", 2, "folders.data", "in its own way"),
        ("folders:\n  run: /" + "x" * 100, 2, "folders.run", "too long"),
        ("programs:\n  restic: --help", 2, "programs.restic", "not a command"),
        ("images:\n  A_IMAGE: -x", 2, "images.A_IMAGE", "name of an image"),
        ("", 1, "", "empty"),
        ("# nothing\n", 1, "", "empty"),
        ("- a", 1, "", "does not hold"),
        ("name: a: b", 1, "", "YAML"),
        ("name: x\n\tpage: 1", 2, "", "YAML"),
        ("name: x\nlanguage: \0", 2, "", "YAML"),
        ("name: x\n---\nname: y", 2, "", "YAML"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(tmp_path: Path, text: str, line: int, path: str, says: str) -> None:
    found = settings_faults(tmp_path, text)
    matching = [fault for fault in found if says in fault[2]]
    assert matching, found
    assert (path, True) == (matching[0][1], bool(matching[0][3]))
    if path not in ("page.names", "folders.owner"):  # a key that is not written has the line of what is around it
        assert line == matching[0][0]


def test_no_settings_file(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no settings file") as caught:
        load_settings(tmp_path / "none.yaml")
    assert "--config" in str(caught.value.remedy)
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    with pytest.raises(BadInput, match="UTF-8"):
        load_settings(tmp_path / "latin.yaml")


def test_good_settings(tmp_path: Path) -> None:
    path = tmp_path / "gardien.yaml"
    path.write_text("language: fr\nbackup: {target: box}\ntargets: {box: {kind: local, folder: /mnt/box}}\n")
    settings = load_settings(path)
    assert (settings.language, settings.backup.target, settings.backup.at) == ("fr", "box", "02:30")


def test_every_pattern_of_the_model_has_words_for_a_person() -> None:
    def patterns(schema: object) -> Iterator[str]:
        if isinstance(schema, dict):
            yield from schema.get("patternProperties", {})
            yield from [schema["pattern"]] if isinstance(schema.get("pattern"), str) else []
            for inner in schema.values():
                yield from patterns(inner)
        elif isinstance(schema, list):
            for inner in schema:
                yield from patterns(inner)

    models = (Settings, Manifest, Chosen)
    assert {pattern for model in models for pattern in patterns(model.model_json_schema())} == set(PATTERNS)

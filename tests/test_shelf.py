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
from gardien.model.preset import Abroad, Preset
from gardien.model.settings import Settings
from gardien.model.stack import Chosen, Recipe, Stack
from gardien.rules.env import env_file, read_env, write_env
from gardien.rules.kinds import check_settings, fits

KINDS = ("host", "port", "name", "text", "image", "domain", "email", "url", "addresses", "choice")

ROUTE = """\
    - {name: DOMAIN, to: "app:80", paths: {/files: "app:81"}, redirects: {/dav: /remote/dav}, largest_body: 100}
"""
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
    networks: [default, door]
  worker:
    image: ${APP_IMAGE:-app:1}
    logging: {options: {max-size: 10m}}
    volumes:
      - ./conf/app.conf:/etc/app.conf:ro
      - {type: bind, source: "${DATA}/files/inner", target: /inner}
      - {type: bind, source: "${DATA}/scratch", target: /scratch}
      - {type: tmpfs, target: /tmp}
    environment:
      URL: "https://${DOMAIN:-app.home.arpa}${DOOR_SUFFIX:-}"
      TOLD: "${WORKERS:-1} ${HEAP:-256m} ${TOLD:-} ${STUN:-false} ${MODE:-open}"
networks: {door: {}}
x-gardien:
  format: 1
  title: {en: App, fr: App}
  summary: {en: An app., fr: Une app.}
  address: http://localhost:{PORT}/
  settings:
    PORT: {kind: port, default: "8080", ask: {en: Port, fr: Port}}
    USER_NAME: {kind: name, default: anna, ask: {en: Name, fr: Nom}}
    TITLE: {kind: text, default: Our house, ask: {en: Title, fr: Titre}}
    DOMAIN: {kind: domain, default: "app.{DOOR_DOMAIN}", ask: {en: Domain, fr: Domaine}}
    ADDRESSES: {kind: addresses, default: "", ask: {en: Addresses, fr: Adresses}}
    MODE:
      kind: choice
      default: open
      choices: {open: {en: Open, fr: Ouvert}, closed: {en: Closed, fr: Fermé}}
      ask: {en: Who may come in, fr: Qui peut entrer}
  derived:
    WORKERS: {of: cores, least: 1, most: 4}
    HEAP: {of: memory, share: 0.1, least: 256, most: 1024}
    TOLD: {of: addresses, instead: ADDRESSES, name: DOMAIN}
    STUN: {of: mode, home: "false", internet: "true"}
  secrets:
    PASSWORD: {length: 20}
  needs: {memory: 500, disk: 1000, images: 400}
  routes:
    - {name: DOMAIN, to: "app:80", paths: {/files: "app:81"}, redirects: {/dav: /remote/dav}, largest_body: 100}
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
  updates:
    images:
      APP_IMAGE:
        tags: '^(?P<major>\\d+)$$'
        notes: "https://app.example/{VERSION}"
        version: {http: "http://127.0.0.1:{PORT}/version", expect: {json: {version: "{VERSION}"}}}
    busy: {exec: app, argv: [calls], expect: {body: '[1-9]'}}
    stop_first: [worker]
    after: [{exec: app, argv: [mend]}]
  setup:
    - {exec: app, argv: [install, calendar], or_say: {en: No calendar yet., fr: Pas encore d'agenda.}}
  first_login:
    LINK: {exec: app, argv: [link], find: 'https://\\S+$$', says: {en: Open this link., fr: Ouvrez ce lien.}}
  with:
    other:
      connect: [{exec: web, argv: [set, "https://{DOMAIN}{DOOR_SUFFIX}", '{"json": true}']}]
      disconnect: [{exec: web, argv: [unset]}]
"""

DOOR = """\
services:
  proxy:
    image: ${PROXY_IMAGE:-proxy:1}
    logging: {options: {max-size: 10m}}
    ports: ["${HTTP:-80}:${HTTP:-80}", {target: 443, published: "${HTTPS:-443}", host_ip: 0.0.0.0}]
    volumes:
      - ${DATA:-./data}/config:/etc/caddy
      - ${DATA:-./data}/page:/run/gardien
      - ${DATA:-./data}/data:/data
x-gardien:
  format: 1
  title: {en: Door, fr: Porte}
  summary: {en: The door., fr: La porte.}
  settings:
    MODE:
      kind: choice
      default: home
      choices: {home: {en: At home, fr: À la maison}, internet: {en: On the internet, fr: Sur internet}}
      ask: {en: Who comes in, fr: Qui entre}
    DOOR_DOMAIN: {kind: domain, default: home.arpa, ask: {en: Ending, fr: Fin}}
    HTTP: {kind: port, default: "80", ask: {en: Port, fr: Port}}
    HTTPS: {kind: port, default: "443", ask: {en: Port, fr: Port}}
    EMAIL: {kind: email, default: "", ask: {en: E-mail, fr: Courriel}}
    AUTHORITY: {kind: url, default: "https://ca.example.org/directory", ask: {en: Authority, fr: Autorité}}
  door:
    service: proxy
    config: config
    page: page
    root: data/caddy/root.crt
    mode: MODE
    domain: DOOR_DOMAIN
    http_port: HTTP
    https_port: HTTPS
    email: EMAIL
    authority: AUTHORITY
    check: [check]
    reload: [reload]
  probes:
    proxy: {tcp: "127.0.0.1:{HTTPS}"}
  backup:
    save: [config, data]
    leave_out: {page: {en: A socket., fr: Une socket.}}
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
    ("  worker:\n", "  worker:\n    »use_api_socket: true\n", "more than its own box: use_api_socket"),
    ("  worker:\n", "  worker:\n    »pre_stop: [{command: [x], privileged: true}]\n", "pre_stop privileged"),
    ("  worker:\n", "  worker:\n    »env_file: /etc/shadow\n", "reads /etc/shadow, which does not belong"),
    ("  worker:\n", "  worker:\n    »env_file: [{path: ../x.env}]\n", "reads ../x.env, which does not belong"),
    ("  worker:\n", "  worker:\n    »label_file: [.env]\n", "reads .env, which does not belong"),
    ("services:\n", "»include: [other.yaml]\nservices:\n", "without being checked"),
    ("services:\n", "configs:\n  key: {»environment: HOME}\nservices:\n", "nobody sets the variable HOME"),
    ("services:\n", "configs:\n  key: {»content: 'a ${HOME}'}\nservices:\n", "nobody sets the variable HOME"),
    ("{door: {}}", "{»door: {external: true}}", "network door would not be this stack's alone"),
    ("{door: {}}", "{»door: {name: other_door}}", "network door would not be this stack's alone"),
    ("{door: {}}", "{door: {}, »lan: {driver: macvlan}}", "network lan would not be this stack's alone"),
    ("networks: {door: {}}\n", "", "“door” is not declared"),
    ("    networks: [default, door]\n", "", "cannot reach service app"),
    ("  routes:\n" + ROUTE, "", "no route leads to this stack"),
    ("networks: [default, door]", "»networks: {default: {}, door: {aliases: [x]}}", "answer to other names"),
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
    ('"127.0.0.1:${PORT:-8080}:80"', '»"127.0.0.1::80"', "a port that nobody chose"),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"8080:80"', "without saying so"),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"${PORT:-8080}:80/udp"', "without saying so"),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"localhost:8080:80"', "without saying so"),
    ('"127.0.0.1:${PORT:-8080}:80"', '»"${TITLE}:8080:80"', "without saying so"),
    ('"127.0.0.1:${PORT:-8080}:80"', "»{target: 80, published: 8080}", "without saying so"),
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
    ("  probes:\n", "  at_work: [{»exec: w, argv: [x]}]\n  probes:\n", "there is no service w"),
    ("  probes:\n", "  at_work: [{»websocket: 'ws://{PROT}'}]\n  probes:\n", "there is no setting PROT"),
    ("      APP_IMAGE:\n", "      »AP_IMAGE:\n", "there is no image variable AP_IMAGE"),
    ("        notes:", "        same_tag: [»AP_IMAGE]\n        notes:", "there is no image variable AP_IMAGE"),
    ("        notes:", "        same_tag: [»APP_IMAGE]\n        notes:", "APP_IMAGE would follow two rules"),
    ("'^(?P<major>\\d+)$$'", "'^v(?P<major>\\d+)$$'", "the shipped tag 1 of APP_IMAGE is no version"),
    ("'^(?P<major>\\d+)$$'", "'^(?P<big>\\d+)$$'", "called major, minor or patch"),
    ("'^(?P<major>\\d+)$$'", "'^(?P<major>\\d+)(-x)?$$'", "every group in its tags has a name"),
    ("'^(?P<major>\\d+)$$'", "'^(?P<patch>\\d+)$$'\n        majors: any", "majors belong to tags that name a major"),
    ("'^(?P<major>\\d+)$$'", "»'('", "not a regular expression"),
    ("https://app.example/{VERSION}", "https://app.example/{MAJOR}", "fills the hole {MAJOR}"),
    ('"https://app.example/{VERSION}"', '»"http://app.example/"', "notes cannot be"),
    ('{json: {version: "{VERSION}"}}', '{json: {version: "1"}}', "does not say which version is there"),
    ('"http://127.0.0.1:{PORT}/version"', '»"http://127.0.0.1:{PROT}/version"', "there is no setting PROT"),
    ("busy: {exec: app", "busy: {»exec: ap", "there is no service ap"),
    ("stop_first: [worker]", "stop_first: [»wroker]", "there is no service wroker"),
    ("[{exec: app, argv: [mend]}]", "[{exec: app, argv: [mend], »or_say: {en: x, fr: x}}]", "must not go on"),
    ('default: "8080"', '»default: "0"', "the default of PORT is not of kind port"),
    ('default: "8080"', '»default: ""', "the default of PORT is not of kind port"),
    ("default: Our house", "»default: 'Our {DOOR_DOMAIN}'", "fills the hole {DOOR_DOMAIN} in the default of TITLE"),
    ('default: "app.{DOOR_DOMAIN}"', '»default: "app.{DOOR_MODE}"', "fills the hole {DOOR_MODE}"),
    ('default: "app.{DOOR_DOMAIN}"', '»default: "-.{DOOR_DOMAIN}"', "the default of DOMAIN is not of kind domain"),
    ("default: open", "»default: ajar", "the default of MODE is not of kind choice"),
    ("closed: {en", "»clo sed: {en", "MODE cannot have a choice of that name"),
    ("      kind: choice\n", "      kind: name\n", "choices belong to the kind choice"),
    ("kind: addresses", "kind: choice", "choices belong to the kind choice"),
    ("  secrets:\n", "  secrets:\n    »PORT: {length: 20}\n", "stands for two things"),
    ("  secrets:\n", "  secrets:\n    »WORKERS: {length: 20}\n", "stands for two things"),
    ("    HEAP: {of", "    »MODE: {of: cores}\n    HEAP: {of", "stands for two things"),
    ("    LINK: {exec", "    »PASSWORD: {exec", "stands for two things"),
    ("    STUN: {of", "    »DOOR_MODE: {of", "gardien itself tells every stack its DOOR_MODE"),
    ("    TITLE: {kind", "    »DOOR_SUFFIX: {kind", "gardien itself tells every stack its DOOR_SUFFIX"),
    ("    STUN: {of", "    »LD_PRELOAD: {of", "means something else to Compose"),
    ("    STUN: {of", "    »STUNS: {of", "nothing uses STUNS"),
    ("least: 1, most: 4", "»least: 5, most: 4", "the least WORKERS is more than the most"),
    ("instead: ADDRESSES", "»instead: ADRESSES", "there is no setting ADRESSES"),
    ("instead: ADDRESSES", "»instead: DOMAIN", "DOMAIN is not a setting of kind addresses"),
    ("ADDRESSES, name: DOMAIN", "ADDRESSES, »name: PORT", "PORT is not a setting of kind domain"),
    ('internet: "true"', """»internet: "it's" """, "STUN cannot be handed to Compose"),
    ("{of: cores, ", "{»of: core, ", "WORKERS cannot be “core”"),
    ("{of: cores, ", "{", "WORKERS does not say its of"),
    ("share: 0.1", "»share: 2", "share must be at most 1"),
    ("{of: cores, ", "{»shares: 1, of: cores, ", "shares is not known here"),
    ("{memory: 500, ", "{»memory: 0, ", "memory must be at least 1"),
    ("{memory: 500, ", "{", "memory is missing"),
    ("{name: DOMAIN, to", "{»name: DOMAINE, to", "there is no setting DOMAINE"),
    ("{name: DOMAIN, to", "{»name: TITLE, to", "TITLE is not a setting of kind domain"),
    ("  folders:\n", "    - {»name: DOMAIN, to: 'app:80'}\n  folders:\n", "DOMAIN leads to two places"),
    ('to: "app:80"', '»to: "ap:80"', "there is no service ap"),
    ('to: "app:80"', '»to: "app:65536"', "there is no port 65536"),
    ('to: "app:80"', '»to: "http://app"', "to cannot be “http://app”"),
    ('/files: "app:81"', '»/files: "worker:81"', "cannot reach service worker"),
    ('/files: "app:81"', '»files: "app:81"', "cannot be a name here"),
    ("/dav: /remote/dav", "»/dav: /dav", "/dav leads to itself"),
    ("largest_body: 100", "»largest_body: 0", "largest_body must be at least 1"),
    ("{exec: app, argv: [install", "{»exec: ap, argv: [install", "there is no service ap"),
    ("    - {exec: app, argv: [install", "    - {»wait: ap}\n    - {exec: app, argv: [install", "there is no probe ap"),
    ("{exec: app, argv: [link]", "{»exec: ap, argv: [link]", "there is no service ap"),
    ("https://\\S+$$", "(", "not a regular expression"),
    ('"https://{DOMAIN}{DOOR_SUFFIX}"', '»"{TITLE}"', "become part of a command, not TITLE"),
    ('"https://{DOMAIN}{DOOR_SUFFIX}"', '»"{PASSWORD}"', "become part of a command, not PASSWORD"),
    ("argv: [unset]", "argv: [»'$${HOME}']", "become part of a command, not HOME"),
    ("    other:\n", "    »../other:\n", "cannot be a name here"),
    ("resume: [{start: [worker]}]", "resume: [{start: [worker], »or_say: {en: x, fr: x}}]", "must not go on"),
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
    ("services:\n", "services: []\nx-services:\n", "there are no services"),
    ("format: 1", "»format: a: b", "cannot be read as YAML"),
    ("format: 1", "format: »!secret 1", "cannot be read as YAML"),
]
BROKEN_DOOR = [
    ("service: proxy", "»service: prox", "there is no service prox"),
    ("config: config", "»config: conf", "does not mount conf"),
    ("page: page\n", "»page: pages\n", "does not mount pages"),
    ("root: data/caddy/root.crt", "»root: dat/caddy/root.crt", "does not mount dat/caddy/root.crt"),
    ("mode: MODE", "»mode: HTTP", "HTTP is not a setting of kind choice"),
    ("choices: {home:", "»choices: {house:", "MODE must be a choice of home and internet"),
    ("domain: DOOR_DOMAIN", "»domain: EMAIL", "EMAIL is not a setting of kind domain"),
    ("domain: DOOR_DOMAIN", "domain: EMAIL", "gardien itself tells every stack its DOOR_DOMAIN"),
    ('ports: ["${HTTP', 'ports: [»"${TITLE:-0.0.0.0}:${HTTP', "without saying so"),
    ("http_port: HTTP\n", "»http_port: HTTPX\n", "there is no setting HTTPX"),
    ("https_port: HTTPS\n", "»https_port: MODE\n", "MODE is not a setting of kind port"),
    ("email: EMAIL", "»email: AUTHORITY", "AUTHORITY is not a setting of kind email"),
    ("authority: AUTHORITY", "»authority: EMAIL", "EMAIL is not a setting of kind url"),
    ("check: [check]", "»check: []", "check needs at least 1"),
    ("    reload: [reload]\n", "", "reload is missing"),
    ("https://ca.", "http://ca.", "the default of AUTHORITY is not of kind url"),
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


async def test_a_sound_stack_is_read(tmp_path: Path) -> None:
    found = await recipe(tmp_path)
    assert found.services == {"app": "${APP_IMAGE:-app:1}", "worker": "${APP_IMAGE:-app:1}"}
    assert found.image_defaults == {"APP_IMAGE": "app:1"}
    assert found.folder == tmp_path / "app"
    updates = found.manifest.updates
    assert updates is not None and updates.images["APP_IMAGE"].tags == r"^(?P<major>\d+)$"


async def test_how_a_former_release_said_it_is_passed_over(tmp_path: Path) -> None:
    """Backups hold the Compose file of their day."""
    before = SOUND.replace("  updates:\n", "  update: {image: APP_IMAGE, tags: '^\\d+$$', majors: none}\n  updates:\n")
    assert (await recipe(tmp_path, before)).manifest == (await recipe(tmp_path)).manifest


async def test_a_sound_door_is_read(tmp_path: Path) -> None:
    door = (await recipe(tmp_path, DOOR)).manifest.door
    assert door is not None and door.domain == "DOOR_DOMAIN"


EVERY_BROKEN = [(SOUND, *each) for each in BROKEN] + [(DOOR, *each) for each in BROKEN_DOOR]


@pytest.mark.parametrize(
    ("sound", "old", "new", "says"), EVERY_BROKEN, ids=[f"{new[:40]!r} {says}" for _, _, new, says in EVERY_BROKEN]
)
async def test_a_broken_stack_is_refused_on_its_line(tmp_path: Path, sound: str, old: str, new: str, says: str) -> None:
    assert old in sound
    text = sound.replace(old, new, 1)
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
    before = await shelf.recipe("app")
    conf = tmp_path / "app" / "conf" / "app.conf"
    was = conf.stat()
    conf.write_text("# hers\n")
    os.utime(conf, ns=(was.st_atime_ns, was.st_mtime_ns))  # as a careful copy would
    assert await shelf.recipe("app") is not before
    conf.unlink()  # Docker would make a folder in its place
    with pytest.raises(Faults):
        await shelf.recipe("app")
    conf.symlink_to("/etc/shadow")
    with pytest.raises(Faults, match="mistakes") as caught:
        await shelf.recipe("app")
    assert "does not belong to the stack" in str(caught.value.faults[0].says)


async def test_the_owner_s_own_stack_comes_first_and_another_folder_can_be_read(tmp_path: Path) -> None:
    shipped, owner, running = tmp_path / "shipped", tmp_path / "owner", tmp_path / "running"
    write_stack(shipped, SOUND)
    write_stack(owner / "stacks", SOUND.replace("app:1", "own:1"))
    write_stack(running, SOUND.replace("app:1", "old:1"))
    shelf = FileShelf(shipped, owner, LocalFiles())
    assert await shelf.recipes() == ["app"]
    assert (await shelf.recipe("app")).image_defaults == {"APP_IMAGE": "own:1"}
    assert (await shelf.recipe("app", running / "app")).image_defaults == {"APP_IMAGE": "old:1"}


PLAIN = """\
services:
  web:
    image: nginx
    ports: ["80:80"]
    privileged: true
    volumes: [/:/host, data:/data]
  own: {build: .}
  now-and-then: {image: tool, profiles: [tools]}
volumes: {data: {}}
"""


@pytest.mark.parametrize("file", ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"])
async def test_the_owner_s_plain_project_is_taken_as_it_is(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "owner" / "stacks" / "mine"
    folder.mkdir(parents=True)
    (folder / file).write_text(PLAIN)
    shelf = FileShelf(tmp_path / "shipped", tmp_path / "owner", LocalFiles())
    assert await shelf.recipes() == ["mine"]
    found = await shelf.recipe("mine")
    assert (found.kept, found.folder, found.name) == (False, folder, "mine")
    assert found.services == {"web": "nginx", "own": ""}
    assert (found.image_defaults, found.manifest.probes, found.manifest.backup.save) == ({}, {}, ())
    assert found.manifest.title.say("fr") == "mine" and found.manifest.summary.say("fr").startswith("Votre")
    (folder / file.replace("compose.", "compose.override.")).write_text(
        "services: {web: {image: apache}, more: {image: x}}"
    )
    assert (await shelf.recipe("mine")).services == {"web": "apache", "own": "", "more": "x"}
    with pytest.raises(BadInput, match="mine has no setting PORT"):
        check_settings(found, {"PORT": "80"})
    folder.rename(tmp_path / "mine")  # what was deployed, or comes from a backup, has x-gardien
    with pytest.raises((Faults, NotFound)):
        await shelf.recipe("mine", tmp_path / "mine")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("volumes: {}\n", 1, "there are no services"),
        ("services: {}\n", 1, "there are no services"),
        ("services:\n  web:\n", 2, "service web is empty"),
        ("services:\n  web: {image: x}\ninclude: [y.yaml]\n", 3, "without being checked"),
        ("services:\n  web: {image: x}\n  web: {image: y}\n", 3, "web is written twice"),
        ("services:\n  web: {image: x\n", 3, "cannot be read as YAML"),
        ("", 1, "the file is empty"),
    ],
)
async def test_a_plain_project_that_is_none(tmp_path: Path, text: str, line: int, says: str) -> None:
    folder = tmp_path / "stacks" / "mine"
    folder.mkdir(parents=True)
    (folder / "compose.yml").write_text(text)
    with pytest.raises(Faults) as caught:
        await FileShelf(tmp_path / "shipped", tmp_path, LocalFiles()).recipe("mine")
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [(folder / "compose.yml", line)]
    assert says in str(caught.value.faults[0].says) and str(caught.value.faults[0].remedy)


async def test_x_gardien_makes_a_project_a_stack_of_ours(tmp_path: Path) -> None:
    write_stack(tmp_path / "owner" / "stacks", SOUND)
    shelf = FileShelf(tmp_path / "shipped", tmp_path / "owner", LocalFiles())
    assert (await shelf.recipe("app")).kept
    folder = tmp_path / "owner" / "stacks" / "app"
    (folder / "compose.yaml").write_text(SOUND.replace("x-gardien:", "# x-gardien:\nx-other:"))
    assert not (await shelf.recipe("app")).kept
    (folder / "compose.yaml").write_text(SOUND.replace("first: [app]", "first: [db]"))
    with pytest.raises(Faults, match="mistakes"):
        await shelf.recipe("app")
    (folder / "compose.yaml").unlink()
    (folder / "docker-compose.yml").write_text(SOUND)
    with pytest.raises(Faults) as caught:
        await shelf.recipe("app")
    assert str(caught.value.faults[0].says) == "a file with x-gardien must be called compose.yaml"


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
    assert await shelf.recipes() == ["app"], "the chosen file is not a stack"
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


def words(text: str) -> list[str]:
    return text.split()


BAD_DOMAINS = [
    *words("-a.b a-.b a..b a.b. .a a.1 127.0.0.1 0x7f.0x1 A.b é.fr a_b.c a.b/c ::1 a,b a:80 *.b"),
    "a" * 64 + ".fr",
    "a." * 126 + "fr",
]
BAD_EMAILS = [
    *words('a @b.fr a@ -a@b.fr a@b@c.fr a@-b.fr a,b@c.fr <a@b.fr> é@b.fr a@[127.0.0.1] "a"@b.fr a\'b@c.fr a$b@c.fr'),
    "x" * 65 + "@b.fr",
]
GOOD_URLS = words("https://a.b https://a.b:8443/x/~y https://10.0.0.7/acme https://[fd00::7]:9000/ https://ca")
BAD_URLS = words("""
http://a.b //a.b https:// https://u@a.b/ https://u:p@a.b/ https://a.b:0/ https://a.b:65536/ HTTPS://a.b https://[::1
https://a.b/#x https://a.b/?x https://-a.b https://1.2.3.4.5/ https://0.0.0.0/ https://0xa9fea9fe/ https://2852039166/
https://169.254.169.254/latest/meta-data https://169.254.43518/ https://0251.0376.0251.0376/ https://100.100.100.200/
https://[fe80::1]/ https://[::ffff:169.254.169.254]/ https://[::ffff:a9fe:a9fe]/ https://[fd00:ec2::254]/ https://[::]/
https://metadata.google.internal/ https://a.b/é https://a.b/$x https://a.b/`x` https://a.b/'x
""")
BAD_ADDRESSES = words("""
, 1.2.3.4, ,1.2.3.4 1.2.3 1.2.3.4;5.6.7.8 1.2.3.04 256.1.1.1 a.b fe80::1%eth0 0.0.0.0 :: 224.0.0.1 [::1] 1.2.3.4/24
１.2.3.4
""")


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("host", ["localhost", "cloud.example.org", "192.168.1.4", "::1"], ["", "-a", "a b", "a_b", "a\n", "é", "a/b"]),
        ("port", ["1", "8080", "65535"], ["", "0", "65536", "08", "-1", "80:90", "８０", "1e3", " 1"]),
        ("name", ["admin", "A.b-c_9", "_x"], ["", "-x", "a b", "a$", "é", "a/b", "a'"]),
        ("text", ["", "Our house", "é, #1 & <b>", "{x}"], ["-x", "a'b", 'a"b', "\\", "$", "`x`", "a\n", "x" * 201]),
        ("domain", words("cloud.home.arpa a.b-c.xn--p1ai local 1.example"), [*BAD_DOMAINS, "", "a.b\n", "a b.c"]),
        ("email", words("a@b.fr anna.b+c@Praxis.example a%b@x.y"), [*BAD_EMAILS, "", "a b@c.fr", "a@b.fr\n"]),
        ("url", GOOD_URLS, [*BAD_URLS, "", "https://a.b/ x", "https://a.b\\@c.d", "https://a.b/\n"]),
        ("addresses", words("192.168.1.20 192.168.1.20,203.0.113.7 2001:db8::1,10.0.0.1"),
         [*BAD_ADDRESSES, "", "1.2.3.4, 5.6.7.8", "1.2.3.4\n"]),
        ("choice", ["home", "fr_FR.UTF-8"], ["", "-x", "a b", "é"]),
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


async def test_choices_and_empty_answers(tmp_path: Path) -> None:
    found = await recipe(tmp_path)
    check_settings(found, {"MODE": "closed", "ADDRESSES": "", "DOMAIN": "cloud.example.org"})
    with pytest.raises(Faults) as caught:
        check_settings(found, {"MODE": "close", "USER_NAME": "", "PORT": "", "ADDRESSES": "here", "DOMAIN": ""})
    said = {fault.path: f"{fault.says}. {fault.remedy}" for fault in caught.value.faults}
    assert said == {
        "MODE": "MODE must be one of: open, closed. Did you mean “closed”?",
        "USER_NAME": "USER_NAME may hold letters, digits and . _ - only, and must not begin with a dash. "
        "Write for example anna.",
        "PORT": "PORT must be a number from 1 to 65535. Write for example 8080.",
        "ADDRESSES": "ADDRESSES must be IP addresses with commas between, and no spaces. "
        "Write for example 192.168.1.20,203.0.113.7.",
        "DOMAIN": "DOMAIN must be a domain name of small letters, digits and dashes, with dots between. "
        "Write for example cloud.home.arpa.",
    }
    door = await recipe(tmp_path / "door", DOOR)
    check_settings(door, {"EMAIL": "", "AUTHORITY": "https://ca.home.arpa:8443/acme/directory"})
    for url, says in (("https://169.254.169.254/", "keys of its machines"), ("http://a.b", "begins with https://")):
        with pytest.raises(Faults, match=says):
            check_settings(door, {"AUTHORITY": url})


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
    given = {"WORKERS": "4", "HEAP": "384m", "TOLD": "192.168.1.20", "STUN": "false"}
    given |= {"DOOR_DOMAIN": "lan.internal", "DOOR_SUFFIX": ":8443", "DOOR_MODE": "home", "DATA": "/elsewhere"}

    def made(secrets: dict[str, str], home: str = "/srv/app", **changes: Any) -> str:
        values: dict[str, Any] = {"chosen": Chosen(), "given": given, **changes}
        return env_file(Stack(found, project="gardien-app", home=Path(home), **values), secrets)

    chosen = Chosen(settings={"PORT": "9000"}, images={"APP_IMAGE": "m/app:2"})
    text = made({"PASSWORD": "abc", "FORMER": "gone"}, chosen=chosen)
    settings = {"PORT": "9000", "USER_NAME": "anna", "TITLE": "Our house"}
    settings |= {"DOMAIN": "app.lan.internal", "ADDRESSES": "", "MODE": "open"}
    told = {**given, "DATA": "/srv/app"}
    assert read_env(text) == (told | settings | {"APP_IMAGE": "m/app:2", "PASSWORD": "abc"}, [])
    backwards = dict(reversed(given.items()))
    assert made({"PASSWORD": "abc", "FORMER": "gone"}, chosen=chosen, given=backwards) == text
    with pytest.raises(BadInput, match="lack PASSWORD"):  # Compose would put `change-me` in its place
        made({})
    with pytest.raises(KeyError, match="HEAP"):  # and here its own fallback
        made({"PASSWORD": "abc"}, given={name: value for name, value in given.items() if name != "HEAP"})
    for odd in ("it's", "a\nB='c'", "a\\"):
        with pytest.raises(BadInput, match="TOLD cannot be handed to Compose"):
            made({"PASSWORD": "abc"}, given={**given, "TOLD": odd})
    with pytest.raises(BadInput, match="TITLE"):
        made({"PASSWORD": "abc"}, chosen=Chosen(settings={"TITLE": "$(id)"}))
    with pytest.raises(BadInput):
        made({"PASSWORD": "abc"}, home="/srv/it's")


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
        ("name: x\nbackup:\n  at: 25:00", 3, "backup.at", "not a time that gardien knows"),
        ("targets:\n  b: {kind: local, folder: /b, at: often}", 2, "targets.b.at", "not a time that gardien knows"),
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
    path.write_text("language: fr\nbackup: {at: hourly}\ntargets: {box: {kind: local, folder: /mnt/box}}\n")
    settings = load_settings(path)
    assert (settings.language, [*settings.targets], settings.backup.at) == ("fr", ["box"], "hourly")


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

    models = (Settings, Manifest, Chosen, Preset, Abroad)
    assert {pattern for model in models for pattern in patterns(model.model_json_schema())} == set(PATTERNS)

"""All shipped stacks on one machine behind the one door; what people do with each, and what they find again."""

import base64
import json
import os
import secrets
import uuid
from collections.abc import Callable
from typing import Any

from tests.world.box import Box, free_port
from tests.world.caller import Browser
from tests.world.visitor import Visitor

SIX = ("gateway", "nextcloud", "cryptpad", "jitsi", "forms", "office")
CLOUD, PAD, SAFE, MEET, FORMS, OFFICE, PAGE = (
    f"{name}.home.arpa" for name in ("cloud", "pad", "pad-safe", "meet", "forms", "office", "gardien")
)


def add_all(box: Box) -> None:
    """Add them as they are shipped, each on free ports: the door first, then side by side."""
    asked = {each["name"]: each["settings"] for each in box.json("stack", "available")}
    for name in SIX:
        ports = [f"{each['name']}={free_port()}" for each in asked[name] if each["kind"] == "port"]
        words = [word for port in ports for word in ("--set", port)]
        box.gardien("stack", "add", name, *words, *([] if name == "gateway" else ["--no-wait"]))
    assert {job["state"] for job in box.until_jobs_end(300)} == {"done"}


def visitor_of(box: Box) -> Visitor:
    """Somebody who comes through the door, and trusts the house's own authority."""
    port = box.json("stack", "show", "gateway")["settings"]["DOOR_HTTPS_PORT"]
    return Visitor(int(port), box.gardien("certificate").stdout)


def all_well(box: Box) -> bool:
    return {each["name"]: each["health"]["health"] for each in box.status()["stacks"]} == dict.fromkeys(SIX, "well")


def login(box: Box) -> tuple[str, str]:
    """Of Nextcloud's first account."""
    first = box.json("stack", "show", "nextcloud", "--first-login")
    return first["NEXTCLOUD_ADMIN_USER"], first["NEXTCLOUD_ADMIN_PASSWORD"]


def everything_answers(box: Box, visitor: Visitor) -> None:
    """What people do with each of them, through the door."""
    status = json.loads(visitor.ask(CLOUD, "/status.php").body)
    assert (status["installed"], status["maintenance"]) == (True, False)
    me = login(box)
    note = os.urandom(40_000)
    path = f"/remote.php/dav/files/{me[0]}/note.bin"
    assert visitor.ask(CLOUD, path, "PUT", note, login=me).status in (201, 204)
    assert visitor.ask(CLOUD, path, login=me).body == note
    assert visitor.ask(CLOUD, path, login=(me[0], "wrong")).status == 401

    for origin in (PAD, SAFE):
        assert visitor.ask(origin, "/api/config").text.startswith("define(")
    socket = visitor.websocket(PAD, "/cryptpad_websocket")
    socket.say("is anybody there?")
    assert socket.hear()
    socket.close()

    assert "html" in visitor.ask(MEET, "/").text
    hello = (
        b"<body xmlns='http://jabber.org/protocol/httpbind' to='meet.jitsi' rid='1' wait='5' hold='1' ver='1.6' "
        b"content='text/xml; charset=utf-8' xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'/>"
    )
    bosh = visitor.ask(MEET, "/http-bind", "POST", hello, {"Content-Type": "text/xml; charset=utf-8"})
    assert bosh.status == 200
    assert "sid=" in bosh.text, bosh.text

    assert visitor.ask(FORMS, "/index.php").status == 200
    assert "wopi-discovery" in visitor.ask(OFFICE, "/hosting/discovery").text


# -- what somebody leaves in an application, and how the same person finds it again: through it, not in its files

Found = Callable[[Box], object]  # on this machine, or on the one that took its place


def _certificate(box: Box, visitor: Visitor) -> Found:
    """Every device of the practice trusts this one: another would have to be brought to each of them."""
    del box, visitor
    return lambda box: box.gardien("certificate").stdout


def _file_and_rows(box: Box, visitor: Visitor) -> Found:
    me, note = login(box), os.urandom(50_000)
    path = f"/remote.php/dav/files/{me[0]}/{uuid.uuid4().hex}.bin"
    assert visitor.ask(CLOUD, path, "PUT", note, login=me).status == 201
    table = f"practice_{uuid.uuid4().hex}"
    rows = ",".join(f"({number}, 'séance {number} 🌿', NOW(6))" for number in range(300))
    box.sql(
        f"CREATE TABLE {table} (id INT PRIMARY KEY, note TEXT, written DATETIME(6)); INSERT INTO {table} VALUES {rows}"
    )

    def found(box: Box) -> object:
        answer = visitor.ask(CLOUD, path, login=me)
        return answer.status, answer.body, box.sql(f"SELECT * FROM {table} ORDER BY id; SHOW CREATE TABLE {table}")

    return found


def _document(box: Box, visitor: Visitor) -> Found:
    del box
    channel, blob = secrets.token_hex(16), secrets.token_hex(24)
    for line in (b'["first"]', b'["second"]'):
        assert visitor.ask(PAD, f"/contract/channel/{channel}", "POST", line).status == 201
    assert visitor.ask(PAD, f"/contract/blob/{blob}", "PUT", b"\0sealed").status == 201

    def found(box: Box) -> object:
        """The salt too: without it nobody can log in."""
        del box
        paths = (f"/contract/channel/{channel}", f"/blob/{blob[:2]}/{blob}", "/customize/application_config.js")
        return [(answer.status, answer.body) for answer in (visitor.ask(PAD, path) for path in paths)]

    return found


def _account(box: Box, visitor: Visitor) -> Found:
    del visitor
    port = int(box.json("stack", "show", "jitsi")["settings"]["JITSI_PORT"])
    first = box.json("stack", "show", "jitsi", "--first-login")

    def found(box: Box) -> object:
        del box
        browser = Browser(port, first["JITSI_USER"].lower(), first["JITSI_PASSWORD"])
        return browser.jid.split("/")[0], browser.request(f"room-{uuid.uuid4().hex}")["ready"]

    return found


def _answers(box: Box, visitor: Visitor) -> Found:
    password = box.json("stack", "show", "forms", "--first-login")["FORMS_ADMIN_PASSWORD"]
    sid = 100000 + uuid.uuid4().int % 800000

    def remote(method: str, *words: object) -> Any:
        body = json.dumps({"method": method, "params": words, "id": 1}).encode()
        return json.loads(visitor.ask(FORMS, "/index.php/admin/remotecontrol", "POST", body).body)["result"]

    key = remote("get_session_key", "admin", password)
    assert remote("add_survey", key, sid, "Anamnèse") == sid
    assert remote("activate_survey", key, sid) == {"status": "OK"}
    edge = uuid.uuid4().hex
    body = f'--{edge}\r\nContent-Disposition: form-data; name="answer"\r\n\r\nJe dors mal – 🌿\r\n'
    body += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="scan.jpg"\r\n'
    body += f"Content-Type: image/jpeg\r\n\r\na picture\r\n--{edge}--\r\n"
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    assert visitor.ask(FORMS, f"/index.php/{sid}", "POST", body.encode(), kind).status == 200

    def found(box: Box) -> object:
        """Readable: the keys that answers are encrypted with are files of their own."""
        del box
        key = remote("get_session_key", "admin", password)
        answers = [row["answer"] for row in remote("export_responses", key, sid)]
        return answers, [base64.b64decode(each) for each in remote("get_uploaded_files", key, sid).values()]

    return found


def _nothing_but_itself(box: Box, visitor: Visitor) -> Found:
    del box
    return lambda _: visitor.ask(OFFICE, "/hosting/discovery").text


LEAVE: dict[str, Callable[[Box, Visitor], Found]] = {
    "gateway": _certificate,
    "nextcloud": _file_and_rows,
    "cryptpad": _document,
    "jitsi": _account,
    "forms": _answers,
    "office": _nothing_but_itself,
}

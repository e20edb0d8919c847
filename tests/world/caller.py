"""A browser as Jitsi's Prosody sees it."""

import base64
import http.client
import secrets
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

FOCUS = "{http://jitsi.org/protocol/focus}conference"
ADMIN = "http://jabber.org/protocol/muc#admin"
VERSIONS = " ver='1.6' xml:lang='en' xmpp:version='1.0' xmlns:xmpp='urn:xmpp:xbosh'"


class Refused(Exception):
    """An error stanza; its text is the condition."""


class Browser:
    """One stream over BOSH through the web server, as an account or as a guest."""

    def __init__(self, port: int, account: str = "", password: str = "") -> None:
        self.port = port
        self.host = "meet.jitsi" if account else "guest.meet.jitsi"
        self.rid = secrets.randbelow(10**9)
        self.unread: list[ElementTree.Element] = []
        opened = self._post(f"to='{self.host}' wait='2' hold='1' content='text/xml; charset=utf-8'" + VERSIONS)
        self.sid = opened.attrib["sid"]
        self.mechanisms = {each.text for each in opened.iter("{urn:ietf:params:xml:ns:xmpp-sasl}mechanism")}
        plain = base64.b64encode(f"\0{account}\0{password}".encode()).decode()
        how = f"mechanism='PLAIN'>{plain}" if account else "mechanism='ANONYMOUS'>"
        self.send(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' {how}</auth>")
        answer = self.wait(lambda each: each.tag.startswith("{urn:ietf:params:xml:ns:xmpp-sasl}"))
        if not answer.tag.endswith("success"):
            raise Refused(answer[0].tag.split("}")[1])
        self._take(self._post(f"to='{self.host}' xmpp:restart='true' xmlns:xmpp='urn:xmpp:xbosh'"))
        bound = self.ask("<iq type='set' {id}><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
        self.jid = next(bound.iter("{urn:ietf:params:xml:ns:xmpp-bind}jid")).text or ""

    def _post(self, attributes: str, stanzas: str = "") -> ElementTree.Element:
        self.rid += 1
        sid = f"sid='{self.sid}'" if hasattr(self, "sid") else ""
        body = f"<body xmlns='http://jabber.org/protocol/httpbind' rid='{self.rid}' {sid} {attributes}>{stanzas}</body>"
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        try:
            link.request("POST", "/http-bind", body, {"Content-Type": "text/xml; charset=utf-8"})
            answer = link.getresponse()
            text = answer.read().decode()
            assert answer.status == 200, (answer.status, text)
        finally:
            link.close()
        return ElementTree.fromstring(text)

    def _take(self, body: ElementTree.Element) -> None:
        assert body.get("type") != "terminate", ElementTree.tostring(body)
        self.unread += list(body)

    def send(self, stanza: str) -> None:
        self._take(self._post("", stanza))

    def wait(self, wanted: Callable[[ElementTree.Element], bool], seconds: float = 15) -> ElementTree.Element:
        """The first stanza that `wanted` takes; others stay unread."""
        deadline = time.monotonic() + seconds
        while True:
            for index, stanza in enumerate(self.unread):
                if wanted(stanza):
                    return self.unread.pop(index)
            assert time.monotonic() < deadline, [ElementTree.tostring(each) for each in self.unread]
            self._take(self._post(""))

    def ask(self, iq: str) -> ElementTree.Element:
        name = uuid.uuid4().hex
        self.send(iq.replace("{id}", f"id='{name}'"))
        return self._judged(self.wait(lambda each: each.get("id") == name))

    def _judged(self, stanza: ElementTree.Element) -> ElementTree.Element:
        if stanza.get("type") == "error":
            raise Refused(next(each for each in stanza if each.tag.endswith("error"))[0].tag.split("}")[1])
        return stanza

    def request(self, room: str, session: str = "") -> dict[str, str]:
        """What Jicofo answers to the wish to be in this room. Raises Refused."""
        proof = f"session-id={quoteattr(session)}" if session else ""
        answer = self.ask(
            "<iq type='set' {id} to='focus.meet.jitsi'><conference xmlns='http://jitsi.org/protocol/focus'"
            f" room='{room}@muc.meet.jitsi' machine-uid='this-browser' {proof}/></iq>"
        )
        return dict(answer[0].attrib) if answer[0].tag == FOCUS else {}

    def enter(self, room: str) -> str:
        """Go into the room; what one is there, such as `participant`. Raises Refused."""
        here = f"{room}@muc.meet.jitsi/{self.jid[:8]}"
        self.send(f"<presence to='{here}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
        answer = self._judged(self.wait(lambda each: each.tag.endswith("presence") and each.get("from") == here))
        return next(answer.iter("{http://jabber.org/protocol/muc#user}item")).attrib["role"]

    def leave(self, room: str) -> None:
        here = f"{room}@muc.meet.jitsi/{self.jid[:8]}"
        self.send(f"<presence to='{here}' type='unavailable'/>")
        self.wait(lambda each: each.get("from") == here and each.get("type") == "unavailable")

    def until_owner(self, room: str) -> None:
        """Jicofo makes an account holder the owner, a moment after the door."""
        mine, deadline = self.jid.split("/")[0], time.monotonic() + 15
        while True:
            with suppress(Refused):  # only owners may see who the owners are
                owners = self.administer(room, "get", "<item affiliation='owner'/>")
                if mine in {each.get("jid") for each in owners.iter(f"{{{ADMIN}}}item")}:
                    return
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def let_in(self, room: str, guest: "Browser") -> None:
        self.administer(room, "set", f"<item affiliation='member' jid='{guest.jid.split('/')[0]}'/>")

    def administer(self, room: str, kind: str, item: str) -> ElementTree.Element:
        query = f"<query xmlns='{ADMIN}'>{item}</query>"
        return self.ask(f"<iq type='{kind}' {{id}} to='{room}@muc.meet.jitsi'>{query}</iq>")

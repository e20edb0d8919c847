"""Threat 8: whatever is typed, nothing that becomes a word of a command line or a part of a URL means more than itself.

Answers to the questions of applications have a test of their own, `test_env_breakout`.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, unquote, urlsplit

from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from gardien.adapters.restic_places import place
from gardien.faces.server import make_app
from gardien.model.settings import Docker, Mail, RestTarget, S3Target, SecondWay, SftpTarget
from gardien.rules.images import is_registry
from gardien.rules.kinds import fits
from gardien.rules.reach import forbidden, host_of
from gardien.services.people import NAME, TOKEN_NAME
from tests.live_routes import FILL, Route, walk
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.signed_in import Client, origin

MANY = 10_000
ODD = ("-oProxyCommand=id", "../../../etc/passwd", "a\nb\0c", "$(id)`id`'\"")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9"
LOGIN = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RESTIC_REST_USERNAME"), "x") | {
    "RESTIC_REST_PASSWORD": "x"
}
OPTIONS = (
    *("-oProxyCommand=id", "--password-command=id", "-", "--", "-v", "--help", "-H tcp://x", "=", "-o sftp.command=id"),
    *("'", '"', "\\", "$", "$(id)", "`id`", ";", "&", "|", "<", ">", "\n", "\r", "\t", "\0", " ", "#", "%", "%h"),
    *("..", "../", "/", "//", "@", ":", "::", "[", "]", "?", "{}", "{{.}}", "*", "~", "é", "漢", "\u2028", "\u202e"),
    *("sftp:", "rest:", "http://", "file:///etc/shadow", "user:pass@", "1.2.3.4", "::1", "box.example", "anna", "22"),
    *("0", "-1", "65536", "1e3", "0x16", "app:1.2", "app@sha256:", "gardien", "latest", "٣", "a b", "https://", "%0a"),
)  # fmt: skip
STRINGS = st.one_of(
    st.lists(st.one_of(st.sampled_from(OPTIONS), st.characters()), min_size=2, max_size=5).map("".join),
    st.text(st.sampled_from("abz019.-_:/@[] "), min_size=2, max_size=12),
)


def strings() -> set[str]:
    """So many that nobody thought of."""
    found: set[str] = set()

    @settings(
        max_examples=150, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.lists(STRINGS, min_size=40, max_size=40))
    def collect(values: list[str]) -> None:
        found.update(values)

    collect()
    # Each once more with something behind, before or in it; and every pair of what somebody did think of.
    odd = ("-oProxyCommand=id", "\n", "\0", "$(id)", "@", "/..", " ")
    found |= {each for text in found for more in odd for each in (text + more, more + text)}
    return found | {first + second for first in OPTIONS for second in OPTIONS}


def sftp(**fields: str) -> SftpTarget:
    plain = {"kind": "sftp", "host": "box.example", "user": "me", "folder": "x", "key": "/k", "host_key": KEY}
    return SftpTarget.model_validate(plain | fields)


def s3(**fields: str) -> S3Target:
    plain = {"kind": "s3", "endpoint": "https://s3.example", "bucket": "abc", "folder": "x", "region": "eu"}
    return S3Target.model_validate(plain | fields)


def as_it_was(target: SftpTarget, field: str, text: str) -> None:
    """The URL says of each part what was written, and nothing of any other."""
    where = place(target, LOGIN)
    parts = urlsplit(where.location)
    assert (parts.scheme, parts.query, parts.fragment, parts.password) == ("sftp", "", "", None)
    assert unquote(parts.username or "") == target.user
    assert parts.path == "/" + target.folder
    if field != "host":
        assert (parts.hostname, parts.port) == ("box.example", 22)
    else:
        assert parts.netloc.rpartition("@")[2].strip("[]") in {f"{text}:22", f"[{text}]:22", f"{text.strip('[]')}]:22"}
        assert len(where.known_host.split()) == 3 and where.known_host.count("\n") == 1


def check_sftp(field: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        as_it_was(sftp(**{field: text}), field, text)

    return check


def check_host_key(text: str) -> None:
    target = sftp(host_key=text)
    assert place(target, LOGIN).known_host.count("\n") == 1


def check_s3(field: str) -> Callable[[str], None]:
    def check(text: str) -> None:
        target = s3(**{field: text})
        found = place(target, LOGIN)
        assert found.location == f"s3:{target.endpoint.rstrip('/')}/{target.bucket}/{target.folder}"
        plain_url(target.endpoint, host_of(target))
        assert found.store is not None and found.store[2] == target.region
        assert "//" not in found.location.partition("://")[2] and ".." not in target.folder.split("/")

    return check


def check_rest(text: str) -> None:
    target = RestTarget.model_validate({"kind": "rest", "url": text})
    plain_url(text, host_of(target))
    assert place(target, LOGIN).location.startswith("rest:http")


def plain_url(url: str, host: str | None) -> None:
    """A host and a path, for whoever reads it: no login, no question, no fragment."""
    parts = urlsplit(url)
    if host is None or forbidden(host):
        raise ValueError(url)
    assert parts.scheme in ("http", "https") and "@" not in url and "?" not in url and "#" not in url
    assert not host.startswith("-")


def check_name(text: str) -> None:
    Docker.model_validate({"prefix": text})


def check_mail(text: str, host: str = "mail.example") -> None:
    Mail.model_validate({"to": [text], "from": text, "host": host})
    assert text.count("@") == 1


def matched(good: Callable[[str], object]) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not good(text):
            raise ValueError

    return check


DECIDERS: Mapping[str, Callable[[str], None]] = {
    "host": check_sftp("host"),
    "user": check_sftp("user"),
    "folder": check_sftp("folder"),
    "host key": check_host_key,
    "endpoint": check_s3("endpoint"),
    "bucket": check_s3("bucket"),
    "region": check_s3("region"),
    "folder in a bucket": check_s3("folder"),
    "rest-server": check_rest,
    "second way": lambda text: plain_url(SecondWay.model_validate({"kind": "ntfy", "url": text}).url, "box.example"),
    "mail address": check_mail,
    "mail host": lambda text: check_mail("a@b.example", host=text),
    "stack or target": check_name,
    "port": matched(lambda text: fits("port", text)),
    "image": matched(lambda text: fits("image", text)),
    "registry": matched(lambda text: is_registry(text) and fits("image", f"{text}/image")),
    "person": matched(NAME.fullmatch),
    "token": matched(TOKEN_NAME.fullmatch),
}


def test_threat_8_ten_thousand_strings_mean_nothing_but_themselves() -> None:
    tried = strings()
    assert len(tried) >= MANY
    taken = dict.fromkeys(DECIDERS, 0)
    for what, decide in DECIDERS.items():
        for text in tried:
            try:
                decide(text)
            except (ValidationError, ValueError):
                continue
            taken[what] += 1
            assert not text.startswith("-"), (what, text)
            assert text.isascii() and text.isprintable(), (what, text)
            assert not set(text) & set("'\"\\$`;&|<>*?#{}!\n\r\t\0"), (what, text)
    assert {what for what, number in taken.items() if not number} <= {"host key"}, taken


# -- what comes by the page


async def test_threat_8_no_hole_of_a_route_takes_what_is_no_name() -> None:
    """Each hole of each route, filled with what would be an option, a path, a second line: no page breaks over it."""
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet, TestClient(TestServer(make_app(quiet.house))) as made:
            client: Client = made
            entry = f"/login/{await quiet.house.people.link()}"
            assert (await client.post(entry, headers={"Origin": origin(client)}, allow_redirects=False)).status == 303
            assert client.app is not None
            asked = 0
            for route in walk(client.app):
                for hole in re.findall(r"\{(\w+)\}", route.pattern):
                    for odd in ODD:
                        await ask(client, route, filled(route.pattern, hole, odd))
                        asked += 1
            assert asked > 150
            assert await quiet.house.store.jobs() == []


def filled(pattern: str, hole: str, odd: str) -> str:
    """A path of this pattern, odd in one place."""
    fill = {**FILL, hole: odd}
    return re.sub(r"\{(\w+)\}", lambda each: quote(fill[each[1]], safe=""), pattern)


async def ask(client: Client, route: Route, path: str) -> None:
    kind = "application/json" if path.startswith("/api/") else "application/x-www-form-urlencoded"
    headers = {"Origin": origin(client), "Content-Type": kind}
    url = client.make_url("/").with_path(path, encoded=True)
    async with client.session.request(route.method, url, headers=headers, allow_redirects=False) as response:
        assert response.status < 500, (route, path, await response.text())
        assert response.status >= 300 or route.method == "GET", (route, path)

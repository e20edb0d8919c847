"""Registry mirrors and the proxy: where images really come from, and what the settings may say of both."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gardien.adapters.restic_args import proxy_env
from gardien.model.settings import Docker, Settings
from gardien.rules.house_settings import faults_of
from gardien.rules.images import mirrored
from gardien.rules.kinds import IMAGE, fits

MIRRORS = {"docker.io": "registry.example:5000", "ghcr.io": "registry.example/ghcr", "localhost:5000": "other.example"}
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("image", "really"),
    [
        ("nextcloud:34", "registry.example:5000/library/nextcloud:34"),
        ("nextcloud", "registry.example:5000/library/nextcloud"),
        (f"nextcloud:34@{DIGEST}", f"registry.example:5000/library/nextcloud:34@{DIGEST}"),
        (f"nextcloud@{DIGEST}", f"registry.example:5000/library/nextcloud@{DIGEST}"),
        ("cryptpad/cryptpad:version-1", "registry.example:5000/cryptpad/cryptpad:version-1"),
        ("docker.io/nextcloud:34", "registry.example:5000/library/nextcloud:34"),
        ("docker.io/library/nextcloud:34", "registry.example:5000/library/nextcloud:34"),
        ("index.docker.io/library/nextcloud:34", "registry.example:5000/library/nextcloud:34"),
        ("docker.io/a/b:1", "registry.example:5000/a/b:1"),
        ("ghcr.io/jitsi/web:stable", "registry.example/ghcr/jitsi/web:stable"),
        ("localhost:5000/page", "other.example/page"),
        ("quay.io/a/b:1", "quay.io/a/b:1"),
        ("localhost/page:1", "localhost/page:1"),
        ("registry.example:5000/library/nextcloud:34", "registry.example:5000/library/nextcloud:34"),
    ],
)
def test_where_an_image_really_comes_from(image: str, really: str) -> None:
    assert mirrored(image, MIRRORS) == really
    assert mirrored(image, {}) == image


@given(st.from_regex(IMAGE, fullmatch=True).filter(lambda image: not re.match("[^/@]*:[^/@]*:", image)))
def test_a_mirrored_image_is_one_that_may_be_chosen(image: str) -> None:
    really = mirrored(image, MIRRORS)
    assert fits("image", really) or len(really) > 400
    assert mirrored(really, MIRRORS) == really


def paths(settings: Settings) -> list[str]:
    return [fault.path for fault in faults_of(settings)]


@pytest.mark.parametrize(
    "mirrors",
    [
        {"nextcloud": "registry.example"},
        {"docker.io/library": "registry.example"},
        {"docker.io": "hub"},
        {"docker.io": "registry.example/"},
        {"docker.io": "https://registry.example"},
        {"docker.io": "registry.example:port"},
        {"docker.io": "registry.example/$(id)"},
        {"docker.io": ""},
        {"": "registry.example"},
    ],
)
def test_what_is_no_mirror(mirrors: Mapping[str, str]) -> None:
    [fault] = faults_of(Settings(docker=Docker(mirrors=dict(mirrors))))
    assert fault.path.startswith("docker.mirrors")
    assert "{" not in f"{fault.says}{fault.remedy}"


def test_what_is_one() -> None:
    assert paths(Settings(docker=Docker(mirrors=MIRRORS))) == []


@pytest.mark.parametrize(
    ("proxy", "good"),
    [
        ("http://proxy.example:3128", True),
        ("https://192.0.2.7:3128/", True),
        ("http://[2001:db8::1]:3128", True),
        ("http://anna:s%20cret@proxy.example", True),
        ("proxy.example:3128", False),
        ("socks5://proxy.example", False),
        ("http://proxy.example/path", False),
        ("http://proxy example", False),
        ("http://proxy.example\n", False),
        ("http://", False),
        ("", False),
    ],
)
def test_proxies(proxy: str, good: bool) -> None:
    assert paths(Settings(proxy=proxy)) == ([] if good else ["proxy"])


def test_a_proxys_password_is_never_shown() -> None:
    [fault] = faults_of(Settings(proxy="http://anna:se cret@proxy.example"))
    assert "cret" not in f"{fault}"


def test_around_the_proxy() -> None:
    good = ("intranet.example", ".example", "192.168.1.0/24", "fd00::/8", "nas")
    assert paths(Settings(no_proxy=good)) == []
    assert paths(Settings(no_proxy=("a,b", "good.example", "*", "a b", ""))) == [
        f"no_proxy[{index}]" for index in (0, 2, 3, 4)
    ]


def test_what_restic_is_told() -> None:
    assert proxy_env(Settings()) == {}
    assert proxy_env(Settings(proxy="http://proxy.example:3128", no_proxy=("nas",))) == {
        "HTTP_PROXY": "http://proxy.example:3128",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "NO_PROXY": "localhost,127.0.0.1,::1,nas",
    }

"""`gardien user …`, `token …` and `log`, as somebody types them."""

from collections.abc import Iterator

import pytest

from tests.quiet_house import Running, running_house
from tests.test_cli import gardien, told


@pytest.fixture(scope="module")
def house() -> Iterator[Running]:
    with running_house() as running:
        yield running


def test_a_helper_comes_changes_is_reset_and_goes(house: Running) -> None:
    done = gardien(house.config, "user", "add", "anna", "--may", "backup")
    assert done.stdout.startswith("http://localhost:") and "/login/" in done.stdout
    assert "called anna already" in gardien(house.config, "user", "add", "anna", code=1).stderr
    assert "cannot be a name" in gardien(house.config, "user", "add", "Anna B", code=2).stderr
    listed = {each["user"]: each for each in told(house.config, "user", "list")}
    assert (listed["anna"]["role"], listed["anna"]["may"], listed["anna"]["has_password"]) == (
        "helper",
        ["backup"],
        False,
    )
    assert "anna" in gardien(house.config, "user", "list").stdout
    gardien(house.config, "user", "password", "--user", "anna", sent="four words in a row\n")
    assert told(house.config, "user", "list")[0]["has_password"]
    gardien(house.config, "user", "role", "anna", "owner")
    assert "/login/" in gardien(house.config, "user", "reset", "anna").stdout
    assert not told(house.config, "user", "list")[0]["has_password"]
    gardien(house.config, "user", "remove", "anna")
    assert (
        "nobody here is called anna" in gardien(house.config, "user", "link", "--user", "anna", code=1).stderr.lower()
    )
    assert "only owner" in gardien(house.config, "user", "remove", "owner", code=1).stderr


def test_a_token_is_shown_once_and_revoked(house: Running) -> None:
    text = gardien(house.config, "token", "add", "monitor", "--scope", "read", "--days", "30").stdout.strip()
    assert text.startswith("gardien_")
    assert text not in gardien(house.config, "token", "list").stdout
    (listed,) = told(house.config, "token", "list")
    assert (listed["name"], listed["scopes"], listed["used"]) == ("monitor", ["read"], None) and listed["until"]
    gardien(house.config, "token", "add", "all", "--scope", "people", code=2)
    gardien(house.config, "token", "revoke", "monitor")
    assert "There are none." in gardien(house.config, "token", "list").stdout
    assert "no token is called" in gardien(house.config, "token", "revoke", "monitor", code=1).stderr.lower()


def test_the_log_tells_what_was_typed(house: Running) -> None:
    gardien(house.config, "user", "link")
    newest = told(house.config, "log", "--most", "1")[0]
    assert (newest["what"], newest["means"], newest["job"], newest["refused"]) == (
        "sign-in link made: owner",
        "console",
        None,
        False,
    )
    assert newest["who"] in gardien(house.config, "log").stdout
    assert "sign-in link made: owner" in gardien(house.config, "log").stdout


def test_a_page_for_this_machine_alone_has_no_certificate(house: Running) -> None:
    assert "listens on this machine alone" in gardien(house.config, "certificate", "--page", code=1).stderr

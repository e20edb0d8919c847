"""All shipped stacks together behind the one door, as their files are shipped: reached by name over HTTPS; and what is
left of them when dockerd and the daemon are killed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.world.box import Box, docker, until
from tests.world.readme import follow
from tests.world.six import CLOUD, FORMS, MEET, OFFICE, PAD, PAGE, all_well, everything_answers
from tests.world.visitor import Visitor

pytestmark = pytest.mark.alone  # it kills the engine that all others use

COMPOSE = Path(__file__).parents[1] / "compose"
DOCKERD = Path(__file__).parent / "world" / "dockerd.sh"


def test_all_six_are_reached_through_the_door(six: Box, visitor: Visitor) -> None:
    until(lambda: all_well(six))
    everything_answers(six, visitor)
    addresses = "".join(f"{each['address']} " for each in six.json("stack", "list"))
    assert all(f"https://{name}:{visitor.port}/" in addresses for name in (CLOUD, PAD, MEET, FORMS))
    assert six.status()["alerts"] == []


def test_only_the_door_and_the_media_port_listen_beyond_this_machine(six: Box) -> None:
    names = docker("ps", "--format", "{{.Names}} {{.Ports}}", "--filter", f"name={six.prefix}").splitlines()
    public = {line.split()[0].removeprefix(f"{six.prefix}-") for line in names if "0.0.0.0:" in line or "[::]:" in line}
    assert public == {"gateway-door-1", "jitsi-jvb-1"}


def test_two_stacks_cannot_reach_each_other(six: Box) -> None:
    """One network each; the door alone stands on all of them."""
    networks = json.loads(
        docker("inspect", f"{six.prefix}-nextcloud-app-1", "--format", "{{json .NetworkSettings.Networks}}")
    )
    for name in networks:
        there = json.loads(docker("network", "inspect", name, "--format", "{{json .Containers}}"))
        others = {each["Name"] for each in there.values() if not each["Name"].startswith(f"{six.prefix}-nextcloud-")}
        assert others <= {f"{six.prefix}-gateway-door-1"}, name


def test_the_office_and_the_files_know_each_other(six: Box) -> None:
    said = six.compose(
        "nextcloud", "exec", "-T", "-u", "33", "app", "php", "occ", "config:app:get", "richdocuments", "wopi_url"
    )
    assert OFFICE in said


def test_an_open_websocket_lives_through_a_change_of_the_door(six: Box, visitor: Visitor) -> None:
    socket = visitor.websocket(PAD, "/cryptpad_websocket")
    six.gardien("stack", "stop", "forms")
    closed = visitor.ask(FORMS, "/")
    assert closed.status == 503
    assert "switched off" in closed.text
    socket.say("still there")
    assert socket.hear()
    six.gardien("stack", "start", "forms")
    assert visitor.ask(FORMS, "/index.php").status == 200
    socket.say("and now")
    assert socket.hear()
    socket.close()


def test_an_application_that_died_gives_way_to_a_page_that_says_so(six: Box, visitor: Visitor) -> None:
    docker("stop", "--time", "1", f"{six.prefix}-cryptpad-cryptpad-1")
    page = visitor.ask(PAD, "/")
    assert page.status == 503
    assert "starting" in page.text
    assert "Retry-After".lower() in page.headers
    six.gardien("stack", "start", "cryptpad")
    assert visitor.ask(PAD, "/").status == 200


def test_nobody_claims_an_address_to_dodge_the_brake_on_guessing(six: Box, visitor: Visitor) -> None:
    def attempts(address: str) -> int:
        said = six.compose(
            "nextcloud", "exec", "-T", "-u", "33", "app", "php", "occ", "security:bruteforce:attempts", address
        )
        return int(re.findall(r"\d+", said.replace(address, ""))[0])

    before = attempts("203.0.113.9")
    for header in ("X-Real-IP", "X-Forwarded-For", "Forwarded", "Client-IP"):
        claim = {header: "for=203.0.113.9" if header == "Forwarded" else "203.0.113.9"}
        assert visitor.ask(CLOUD, "/remote.php/dav/files/admin/", headers=claim, login=("admin", "guess")).status == 401
    assert attempts("203.0.113.9") == before == 0
    networks = json.loads(
        docker("inspect", f"{six.prefix}-gateway-door-1", "--format", "{{json .NetworkSettings.Networks}}")
    )
    assert sum(attempts(each["Gateway"]) for each in networks.values() if each["Gateway"]) >= 4


def test_the_page_is_published_and_the_console_is_not(six: Box, visitor: Visitor) -> None:
    until(lambda: visitor.ask(PAGE, "/login").status == 200, 30)
    assert visitor.ask(PAGE, "/").status in (302, 303, 401)
    headers = {"Origin": f"https://{PAGE}:{visitor.port}", "Content-Type": "application/json"}
    assert visitor.ask(PAGE, "/api/v1/users/link", "POST", b"{}", headers).status in (401, 403)
    link = six.gardien("user", "link").stdout.split()[-1]
    path = "/login/" + link.rsplit("/", 1)[1]
    form = {"Origin": headers["Origin"], "Content-Type": "application/x-www-form-urlencoded"}
    entered = visitor.ask(PAGE, path, "POST", b"", form)
    assert entered.status == 303, entered.text
    assert "Secure" in entered.headers["set-cookie"]


def test_a_stranger_is_told_nothing(six: Box, visitor: Visitor) -> None:
    name = visitor.ask(CLOUD, "/", headers={"Host": f"other.home.arpa:{visitor.port}"})
    assert name.status == 421
    assert "cloud" not in name.text


def test_a_power_cut_of_docker_and_of_the_daemon_leaves_all_six_well(six: Box, visitor: Visitor) -> None:
    run = Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parent
    assert six.daemon is not None
    os.kill(int((run / "docker.pid").read_text()), signal.SIGKILL)
    os.kill(six.daemon.pid, signal.SIGKILL)
    six.wait_for_death()
    subprocess.run([DOCKERD, "revive"], check=True, timeout=120, capture_output=True)
    six.start()
    until(lambda: all_well(six), 180)
    six.until_jobs_end()
    everything_answers(six, visitor)
    assert all(job["state"] == "done" for job in six.json("job", "list"))


def test_docker_alone_killed_while_the_daemon_looks_on(six: Box, visitor: Visitor) -> None:
    run = Path(os.environ["DOCKER_HOST"].removeprefix("unix://")).parent
    os.kill(int((run / "docker.pid").read_text()), signal.SIGKILL)
    until(lambda: any("Docker" in alert["says"] for alert in six.status()["alerts"]), 60)
    subprocess.run([DOCKERD, "revive"], check=True, timeout=120, capture_output=True)
    until(lambda: all_well(six), 180)
    six.until_jobs_end()
    everything_answers(six, visitor)
    until(lambda: six.status()["alerts"] == [], 60)


def test_what_each_readme_says_brings_it_back_without_gardien(six: Box, visitor: Visitor) -> None:
    """Plain restic and plain Compose, word by word. (The other three have this beside their image's tests.)"""
    for name in ("nextcloud", "forms", "office"):
        six.gardien("backup", "create", name, patience=300)
        six.compose(name, "down")
        shutil.rmtree(six.data / name)
        follow(six, COMPOSE / name / "README.md", name, six.passphrase)
    until(lambda: all_well(six))
    everything_answers(six, visitor)

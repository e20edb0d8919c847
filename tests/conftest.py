"""Worlds that tests share: hosts of every kind, a practice's machine with Nextcloud on it, one with all six stacks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gardien.rules.env import write_env
from tests.world.box import Box, box, free_port
from tests.world.rest import RestHost
from tests.world.restic import PLAIN
from tests.world.s3 import S3Host
from tests.world.sftp import SftpHost
from tests.world.six import PAGE, add_all, visitor_of
from tests.world.visitor import Visitor

# Files that take minutes, longest first: begun first, so that all workers end at about the same time.
LONGEST = (
    "test_kill_backup.py",
    "test_kill_restore.py",
    "test_updates.py",
    "test_restore.py",
    "test_power.py",
    "test_kill_upkeep.py",
    "test_kill_drill.py",
    "test_kill_life.py",
    "test_life.py",
    "test_browser.py",
    "test_bad_input.py",
    "test_image_forms.py",
    "test_image_jitsi.py",
    "test_updates_docker.py",
    "test_update_nextcloud.py",
    "test_update_power.py",
    "test_images.py",
    "test_image_cryptpad.py",
    "test_install.py",
    "test_round_trip.py",
    "test_lost_machine.py",
    "test_without_gardien.py",
    "test_kill_stack.py",
    "test_acme.py",
    "test_caddyfile.py",
    "test_image_office.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within each stays."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(LONGEST)))


def sftp_target(host: SftpHost, folder: str = "practice backups") -> dict[str, object]:
    """What `targets:` holds for this host."""
    return {
        "kind": "sftp",
        "host": host.address,
        "port": host.port,
        "user": host.user,
        "folder": folder,
        "key": str(host.client_key),
        "host_key": host.host_key_line,
    }


def s3_target(made: Box, name: str, host: S3Host) -> dict[str, object]:
    """What `targets:` holds for this host under `name`; its login is written down in `made`."""
    _write_login(made, f"target-{name}.s3", AWS_ACCESS_KEY_ID=host.key, AWS_SECRET_ACCESS_KEY=host.secret)
    place = {"endpoint": host.url, "bucket": host.bucket, "region": host.region, "ca": str(host.certificate)}
    return {"kind": "s3", **place}


def rest_target(made: Box, name: str, host: RestHost) -> dict[str, object]:
    """What `targets:` holds for this host under `name`; its login is written down in `made`."""
    _write_login(made, f"target-{name}.rest", RESTIC_REST_USERNAME=host.user, RESTIC_REST_PASSWORD=host.password)
    return {"kind": "rest", "url": host.url, "ca": str(host.certificate), "append_only": host.append_only}


def _write_login(made: Box, file: str, **login: str) -> None:
    secrets = made.root / "owner" / "secrets"
    secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    (secrets / file).write_text(write_env(login))
    (secrets / file).chmod(0o600)


@pytest.fixture(scope="module")
def host() -> Iterator[SftpHost]:
    """An SSH server standing for the European host."""
    with tempfile.TemporaryDirectory(prefix="gh-") as room, SftpHost(Path(room) / "host") as running:
        yield running


@pytest.fixture(scope="module")
def nextcloud(host: SftpHost) -> Iterator[Box]:
    """A machine with its daemon, its target made, and the shipped Nextcloud stack up and healthy."""
    with box(sftp_target(host)) as made:
        made.start()
        made.gardien("target", "init", "host")
        made.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
        made.until_well("nextcloud")
        yield made
        made.stop()


@pytest.fixture(scope="session")
def six() -> Iterator[Box]:
    """A machine with all shipped stacks, and a target of every kind. `host`, on its own disk, is copied to `copy`."""
    with tempfile.TemporaryDirectory(prefix="gh-") as folder, box() as made:
        room = Path(folder)
        with (
            SftpHost(room / "sftp") as sftp,
            S3Host(room / "s3") as s3,
            RestHost(room / "rest", append_only=True) as rest,
        ):
            made.settings["targets"] |= {
                "sftp": sftp_target(sftp),
                "s3": s3_target(made, "s3", s3),
                "rest": rest_target(made, "rest", rest),
                "disk": {"kind": "local", "folder": str(room / "disk")},
                "copy": {**sftp_target(sftp, "copies"), "copy_of": "host"},
            }
            made.settings["page"]["published_as"] = PAGE
            made.settings["programs"]["restic"] = PLAIN  # all of it as people have it
            made.save_settings()
            made.start()
            for target in made.settings["targets"]:
                made.gardien("target", "init", target)
            add_all(made)
            yield made


@pytest.fixture(scope="session")
def visitor(six: Box) -> Visitor:
    """Somebody who comes through its door."""
    return visitor_of(six)

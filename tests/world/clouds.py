"""Nextcloud in several versions at a real registry on loopback, each of which changes the database that it finds."""

import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, flock
from pathlib import Path

from tests.world.box import IMAGES, Box, docker, free_port, until
from tests.world.practice import SHIPPED, Entry, fill, tree
from tests.world.registry import MANIFEST, RegistryHost, digest_of

BUILD = Path(__file__).with_name("images") / "build.sh"
FIRST = "34.0.3"
MADE = ((FIRST, ""), ("34.0.4", ""), ("34.0.4", "upgrade"), ("35.0.0", ""))  # version, and in what it is bad
CACHE = Path(os.environ.get("GARDIEN_TEST_CACHE") or Path.home() / ".cache" / "gardien-tests")


class CloudMakers:
    """Who makes Nextcloud and what it stands on. What they made lies at the registry under tags that are no versions
    until it is released.
    """

    def __init__(self, registry: RegistryHost) -> None:
        self.registry = registry
        self._times = 0
        self.release(FIRST)

    @property
    def images(self) -> dict[str, str]:
        """What the settings of a house say: all its images come from here."""
        names = {
            "NEXTCLOUD_IMAGE": f"nextcloud:{FIRST}-apache",
            "MARIADB_IMAGE": "mariadb:made",
            "REDIS_IMAGE": "redis:made",
        }
        return {variable: f"{self.registry.name}/{name}" for variable, name in names.items()}

    def release(self, version: str, broken: str = "", *, made: str = "") -> str:
        """Version `version` is there; `made`: it is really that one. Its digest, another one each time."""
        self._times += 1
        manifest = self._ask("GET", f"nextcloud/manifests/{_shelf(made or version, broken)}")
        manifest = manifest.replace(b"{", b"{" + b" " * self._times, 1)
        self._ask("PUT", f"nextcloud/manifests/{version}-apache", manifest)
        return digest_of(manifest)

    def clear(self) -> None:
        """Nothing of it stays at the engine, but the layers that others have, too."""
        for image in set(docker("images", "--quiet", "--filter", f"reference={self.registry.name}/*").split()):
            for kind in ("RepoTags", "RepoDigests"):
                names = json.loads(
                    docker("image", "inspect", "--format", f"{{{{json .{kind}}}}}", image, check=False) or "[]"
                )
                if mine := [name for name in names if name.startswith(f"{self.registry.name}/")]:
                    docker("rmi", *mine, check=False)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Accept": MANIFEST, "Content-Type": MANIFEST}
        request = urllib.request.Request(f"http://{self.registry.name}/v2/{path}", body, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bytes(answer.read())


@contextmanager
def cloud_makers(room: Path) -> Iterator[CloudMakers]:
    """At work in a folder of their own. What they made is packed once, which takes half a minute, and kept."""
    _lay_out_what_is_made(room)
    with RegistryHost(room) as registry:
        makers = CloudMakers(registry)
        try:
            yield makers
        finally:
            makers.clear()


def _shelf(version: str, broken: str) -> str:
    return f"made-{version}{broken and '-'}{broken}"


def _lay_out_what_is_made(room: Path) -> None:
    """The folder of a registry with all of it."""
    subprocess.run([str(BUILD)], check=True, capture_output=True, timeout=600)
    there = {"mariadb:made": IMAGES["MARIADB_IMAGE"], "redis:made": IMAGES["REDIS_IMAGE"]}
    for version, broken in MADE:
        argv = [str(BUILD), "nextcloud", version, *([broken] if broken else [])]
        done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=600)
        there[f"nextcloud:{_shelf(version, broken)}"] = done.stdout.strip()
    label = '{{index .Config.Labels "gardien.test.recipe"}}'
    recipes = docker("image", "inspect", "--format", label, *there.values()).split()
    packed = CACHE / f"clouds-{digest_of(json.dumps([list(there), recipes]).encode())[7:23]}"
    with (CACHE / "clouds.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        if not packed.exists():
            for old in CACHE.glob("clouds-*"):
                shutil.rmtree(old)
            _pack(there, packed)
        shutil.copytree(packed, room)


def _pack(there: dict[str, str], packed: Path) -> None:
    part = packed.with_name(f"{packed.name}.part")
    with RegistryHost(part) as registry:
        for name, image in there.items():
            docker("tag", image, f"{registry.name}/{name}")
            try:
                docker("push", f"{registry.name}/{name}")
            finally:
                docker("rmi", f"{registry.name}/{name}")
    part.rename(packed)


# -- a house with it


def lay_out(box: Box) -> None:
    """Put the shipped stack where an owner would; its containers are asked for their health each second."""
    folder = box.root / "owner" / "stacks" / "nextcloud"
    shutil.copytree(SHIPPED / "nextcloud", folder)
    text = (folder / "compose.yaml").read_text()
    assert "interval: 5s" in text
    (folder / "compose.yaml").write_text(
        text.replace("interval: 5s", "interval: 1s").replace("retries: 24", "retries: 120")
    )


def settle(box: Box, makers: CloudMakers) -> None:
    """The first version runs there, is filled, and knows all of its files."""
    box.settings["images"] = makers.images
    box.settings["limits"] = {"healthy": 120, "watch_update": 4}
    box.save_settings()
    lay_out(box)
    box.start()
    box.gardien("target", "init", "host")
    box.gardien("stack", "add", "nextcloud", "--set", f"NEXTCLOUD_PORT={free_port()}")
    box.until_well("nextcloud")
    fill(box, 60)
    box.sql(
        "INSERT INTO oc_filecache (storage, path, path_hash, name, size, etag)"
        " SELECT (SELECT MIN(storage) FROM oc_filecache), CONCAT('files/', id),"
        " MD5(CONCAT('files/', id)), id, 1, LEFT(SHA1(id), 20) FROM practice_notes"
    )


@dataclass(frozen=True)
class Cloud:
    """All that is in it at a moment."""

    version: str
    database: list[str]
    files: dict[str, Entry]

    @classmethod
    def of(cls, box: Box) -> "Cloud":
        return cls(runs(box), database(box), tree(box))


def runs(box: Box) -> str:
    """The version whose programs run."""
    image = docker("inspect", "--format", "{{.Config.Image}}", f"{box.prefix}-nextcloud-app-1").strip()
    return image.partition("@")[0].rpartition(":")[2].removesuffix("-apache")


def database(box: Box) -> list[str]:
    """Every row and every table, but what background jobs note of themselves."""
    inside = (
        'MYSQL_PWD="$MARIADB_ROOT_PASSWORD" exec mariadb-dump --user=root --skip-comments --skip-extended-insert'
        " --order-by-primary --default-character-set=utf8mb4 nextcloud"
    )
    lines = box.compose("nextcloud", "exec", "-T", "db", "sh", "-c", inside).splitlines()
    return [line for line in lines if not any(word in line for word in ("'lastcron", "'backgroundjobs_mode'"))]


def says_cron_ran(box: Box) -> None:
    """Until its background jobs do their work again."""
    box.sql("DELETE FROM oc_appconfig WHERE configkey = 'lastcron'")
    until(lambda: box.sql("SELECT 1 FROM oc_appconfig WHERE configkey = 'lastcron'").strip() == "1", 60)

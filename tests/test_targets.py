"""Setting targets up, trying them, taking them off the list: what is refused leaves nothing behind."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gardien.errors import BadInput, Busy, GardienError, NotFound, Refused, RepositoryMissing
from gardien.model.fault import Faults
from gardien.model.plan import Plan
from gardien.model.settings import Folders, LocalTarget, Settings, SftpTarget
from gardien.model.setup import HostKey, Tried, Wish
from gardien.model.snapshot import Snapshot
from gardien.rules.openssh import fingerprint
from gardien.rules.sovereignty import sentence
from gardien.services.feed import Feed
from gardien.services.setup import Credentials, Setup
from gardien.services.targets import Targets
from tests.fakes import FakeNeighbours, FakeSsh, Leaf, neighbours
from tests.quiet_house import quiet_house, short_folder, write_settings
from tests.test_api import Client

LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFIDE5cDBcz6O9rUYqAbFEx/B5Z+sXtl25Tt6k5zzgs0"
SHOWN = HostKey(LINE, fingerprint(LINE))
S3_LOGIN = {"AWS_ACCESS_KEY_ID": "KEY", "AWS_SECRET_ACCESS_KEY": "se/cret+canary"}
OWNER = Path("/owner")


class House:
    """Neighbours in memory, a disk as the first target, and an SSH server at nas.example that shows `SHOWN`."""

    def __init__(self) -> None:
        folders = Folders(data=Path("/data"), state=Path("/state"), run=Path("/run/g"), owner=OWNER)
        self.settings = Settings(
            folders=folders, targets={"usb": LocalTarget(kind="local", folder=Path("/mnt/usb/gardien"))}
        )
        self.fakes: FakeNeighbours = neighbours(self.settings, [])
        self.ssh = self.fakes.world.ssh
        assert isinstance(self.ssh, FakeSsh)
        self.ssh.servers["nas.example", 22] = SHOWN
        self.targets = Targets(self.fakes.world)
        self.setup = Setup(self.fakes.world, self.targets, Feed())

    def written(self) -> dict[str, Leaf]:
        return self.fakes.files.beneath(OWNER)

    def text(self, name: str) -> str:
        text = self.written()[name].text
        assert text is not None
        return text


@pytest.fixture
def house() -> House:
    return House()


def nas(name: str = "nas", **changes: Any) -> Wish:
    values = {"host": "nas.example", "user": "practice", **changes.pop("values", {})}
    return Wish(**{"name": name, "preset": "sftp", "values": values, "fingerprint": SHOWN.fingerprint, **changes})


def store(name: str = "store", **changes: Any) -> Wish:
    values = {"region": "gra", "bucket": "practice", **changes.pop("values", {})}
    return Wish(**{"name": name, "preset": "ovhcloud", "values": values, "login": S3_LOGIN, **changes})


def states(tried: Tried) -> list[tuple[str, str]]:
    return [(stage.name, stage.state) for stage in tried.stages]


WELL = [("reach", "good"), ("repository", "good"), ("write", "good"), ("delete", "warning")]


# -- adding


async def test_an_ssh_server_is_set_up_in_one_go(house: House) -> None:
    tried = await house.setup.add(nas(at="hourly", upload_limit={"08:00-20:00": "500 KiB/s"}))
    assert tried.ok and states(tried) == WELL
    assert sorted(house.written()) == [
        "secrets",
        "secrets/target-nas.key",
        "secrets/target-nas.key.pub",
        "secrets/target-nas.passphrase",
        "targets",
        "targets/nas.yaml",
    ]
    assert {leaf.mode for name, leaf in house.written().items() if leaf.text and ".pub" not in name} == {0o600}
    target = house.settings.targets["nas"]
    assert isinstance(target, SftpTarget)
    assert (target.host_key, target.folder, target.at) == (LINE, "gardien", "hourly")
    assert list(house.settings.targets) == ["usb", "nas"]
    assert await house.fakes.store.noted("can-delete:nas") == "yes"
    assert "snapshots" in str(tried.stages[-1].remedy)  # the cure that its preset knows
    repository = house.fakes.restic.repositories[house.fakes.restic.place("nas")]
    assert repository.snapshots == {}  # what the test wrote is gone again
    assert not [path for path in house.fakes.files.leaves if "try" in path.parts]


async def test_object_storage_keeps_its_login_to_itself(house: House) -> None:
    tried = await house.setup.add(store(append_only=True))
    assert states(tried) == WELL
    assert house.text("secrets/target-store.s3") == (
        "AWS_ACCESS_KEY_ID='KEY'\nAWS_SECRET_ACCESS_KEY='se/cret+canary'\n"
    )
    others = [leaf.text for name, leaf in house.written().items() if leaf.text and not name.endswith(".s3")]
    assert "canary" not in "".join(others) + repr(store()) + str(await house.setup.access("store"))
    assert house.settings.targets["store"].append_only


async def test_those_with_a_file_stand_as_after_a_restart(house: House) -> None:
    await house.setup.add(store("z"))
    await house.setup.add(nas("a"))
    assert list(house.settings.targets) == ["usb", "a", "z"]
    await house.setup.remove("a")
    assert list(house.settings.targets) == ["usb", "z"]


async def test_a_dry_run_writes_nothing(house: House) -> None:
    draft = await house.setup.draft(nas(fingerprint=None))
    assert draft.host_keys == (SHOWN,) and draft.sentence is None
    assert str(draft.steps[0]).startswith("make a pair of SSH keys")
    assert set(house.written()) == {"secrets"} and list(house.settings.targets) == ["usb"]


async def test_nobody_there_to_look_at_the_fingerprint(house: House) -> None:
    with pytest.raises(BadInput, match="nobody has said yet") as caught:
        await house.setup.add(nas(fingerprint=None))
    assert SHOWN.fingerprint in str(caught.value)
    with pytest.raises(Refused, match="not the one you named"):
        await house.setup.add(nas(fingerprint="SHA256:" + "A" * 43))
    assert set(house.written()) == {"secrets"} and list(house.settings.targets) == ["usb"]


@pytest.mark.parametrize(
    ("wish", "error", "wrong"),
    [
        (nas("../etc"), BadInput, set()),
        (nas("-oProxyCommand=id"), BadInput, set()),
        (nas("usb"), Refused, set()),
        (nas(preset="none"), NotFound, set()),
        (nas(values={"host": "-oProxyCommand=id"}), Faults, {"host"}),
        (nas(values={"user": "-l root", "port": "0"}), Faults, {"user", "port"}),
        (nas(values={"folder": "a\nb"}), Faults, {"folder"}),
        (nas(values={"folder": "../.."}), Faults, {"folder"}),
        (nas(values={"key": "/etc/shadow"}), Faults, {"key"}),
        (nas(values={"host_key": "ssh-ed25519 AAAA\nevil"}), Faults, {"host_key"}),
        (nas(values={"host": "169.254.169.254"}), Faults, {"host"}),
        (nas(values={"host": "[fe80::1]"}), Faults, {"host"}),
        (nas(values={"host": "metadata"}), Refused, set()),
        (nas(at="whenever"), Faults, {"at"}),
        (nas(copy_of="none"), Faults, {"copy_of"}),
        (nas(upload_limit={"8-20": "fast"}), Faults, {"upload_limit.8-20"}),
        (store(values={"bucket": "-b"}), Faults, {"bucket"}),
        (store(values={"endpoint": "http://s3.example"}), Faults, {"endpoint"}),
        (store(values={"endpoint": "https://me:secret@s3.example"}), Faults, {"endpoint"}),
        (store(values={"ca": "relative"}), Faults, {"ca"}),
        (store(login={}), BadInput, set()),
        (store(login={"AWS_ACCESS_KEY_ID": "KEY"}), BadInput, set()),
        (store(login=S3_LOGIN | {"LD_PRELOAD": "x"}), BadInput, set()),
        (store(login=S3_LOGIN | {"AWS_SECRET_ACCESS_KEY": "canary'\n"}), BadInput, set()),
        (nas(values={"folder": "gardien\x85"}), Faults, {"folder"}),  # the end of a line, for YAML
        (Wish("disk", "disk", {"folder": "/data/x"}), Faults, {"folder"}),
        (Wish("disk", "disk", {"folder": "/mnt/usb/gardien"}), Faults, {"name"}),
    ],
)
async def test_what_is_refused_leaves_nothing(
    house: House, wish: Wish, error: type[GardienError], wrong: set[str]
) -> None:
    house.fakes.host.names["metadata"] = ("192.168.1.1", "169.254.169.254")
    with pytest.raises(error) as caught:
        await house.setup.add(wish)
    if isinstance(caught.value, Faults):
        assert {fault.path for fault in caught.value.faults} == wrong
    assert "canary" not in json.dumps(caught.value.as_json())
    assert set(house.written()) == {"secrets"} and list(house.settings.targets) == ["usb"]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.sampled_from(["name", "host", "user", "folder", "port", "bucket", "region"]), st.text(max_size=40))
async def test_threat_8_no_text_comes_through_as_anything_but_itself(house: House, field: str, text: str) -> None:
    """Threat 8: whatever is typed is refused with nothing written, or is one plain value of the target."""
    wish = store(values={field: text}) if field in {"bucket", "region"} else nas(values={field: text})
    wish = nas(text) if field == "name" else wish
    before = set(house.written())
    try:
        draft = await house.setup.draft(wish)
    except GardienError:
        assert set(house.written()) == before
        return
    value = wish.name if field == "name" else str(getattr(draft.target, field))
    assert value == text and not text.startswith("-") and text.isprintable() and text.isascii()


async def test_a_foreign_law_is_accepted_in_words_or_not_at_all(house: House) -> None:
    values = {"endpoint": "https://s3.eu-central-1.amazonaws.com", "region": "eu-central-1"}
    amazon = store("far", preset="s3", values=values)
    draft = await house.setup.draft(amazon)
    assert draft.sentence == sentence("US") and draft.operator.european is False
    for typed in (None, "yes", sentence("CN").en):
        with pytest.raises(Refused, match="outside Europe") as caught:
            await house.setup.add(store("far", preset="s3", values=values, accept=typed))
        assert sentence("US").en in str(caught.value.remedy)
    assert set(house.written()) == {"secrets"}
    assert (await house.setup.add(store("far", preset="s3", values=values, accept=sentence("US").fr))).ok
    assert house.settings.targets["far"].law_accepted == "US"
    await house.targets.opened("far")
    assert house.targets.operator("far").name == "Amazon Web Services"

    # Written by hand without these words: nothing is sent there, and what is there can be read.
    house.settings.targets["far"] = house.settings.targets["far"].model_copy(update={"law_accepted": None})
    with pytest.raises(Refused, match="United States"):
        await house.targets.opened("far")
    with pytest.raises(Refused, match="United States"):
        await house.setup.try_out("far")
    tried = await house.setup.try_out("far", Credentials(accept=sentence("US").en))
    assert tried.stages[0].state == "good" or tried.stages[0].error is not None
    assert house.settings.targets["far"].law_accepted == "US"


async def test_reading_is_free_of_foreign_laws(house: House) -> None:
    values = {"endpoint": "https://s3.amazonaws.com"}
    await house.setup.add(store("far", preset="s3", values=values, accept=sentence("US").en))
    place = house.settings.targets["far"]
    repository = house.fakes.restic.repositories[house.fakes.restic.place("far")]
    house.settings.targets["far"] = place.model_copy(update={"law_accepted": None})
    house.fakes.restic.repositories[house.fakes.restic.place("far")] = repository
    await house.targets.opened("far", reading=True)
    with pytest.raises(Refused):
        await house.targets.opened("far")


# -- trying


async def test_what_is_not_ready_stays_and_goes_on_from_there(house: House) -> None:
    house.fakes.restic.refusing.add("nas")
    tried = await house.setup.add(nas())
    assert not tried.ok and states(tried) == [("reach", "failed")]
    assert "nas" in house.settings.targets and not await house.targets.ready("nas")
    access = await house.setup.access("nas")
    assert access.public_key is not None and access.public_key in str(access.click)
    assert access.passphrase_file is None  # none was left that opens nothing
    key = house.text("secrets/target-nas.key")
    house.fakes.restic.refusing.clear()
    assert states(await house.setup.try_out("nas")) == WELL
    assert house.text("secrets/target-nas.key") == key


async def test_what_was_never_ready_may_be_described_anew(house: House) -> None:
    house.fakes.restic.unreachable.add("nas")
    await house.setup.add(nas(values={"folder": "tpyo"}))
    house.fakes.restic.unreachable.clear()
    assert (await house.setup.add(nas(values={"folder": "typo"}))).ok
    with pytest.raises(Refused, match="already"):
        await house.setup.add(nas())


async def test_a_repository_is_made_once(house: House) -> None:
    first = await house.setup.add(nas())
    again = await house.setup.try_out("nas")
    assert again.repository == first.repository and states(again) == WELL
    assert "is there" in str(again.stages[1].says)
    house.fakes.restic.repositories.clear()
    gone = await house.setup.try_out("nas")
    assert states(gone) == [("reach", "good"), ("repository", "failed")]
    assert isinstance(gone.stages[1].error, RepositoryMissing) and house.fakes.restic.repositories == {}


async def test_one_that_is_there_is_taken_up_with_its_passphrase(house: House) -> None:
    await house.setup.add(nas())
    passphrase = house.text("secrets/target-nas.passphrase").strip()
    await house.setup.remove("nas")
    house.fakes.files.leaves.pop(OWNER / "secrets" / "target-nas.passphrase")  # another machine
    wrong = await house.setup.add(nas())
    assert states(wrong) == [("reach", "good"), ("repository", "failed")]
    assert wrong.stages[1].error is not None and wrong.stages[1].error.code == "wrong-passphrase"
    assert not await house.fakes.files.exists(OWNER / "secrets" / "target-nas.passphrase")
    right = await house.setup.try_out("nas", Credentials(passphrase=passphrase))
    assert states(right) == WELL and "taken up" in str(right.stages[1].says)


async def test_a_passphrase_is_never_overwritten(house: House) -> None:
    await house.setup.add(nas())
    kept = house.text("secrets/target-nas.passphrase")
    refused = await house.setup.try_out("nas", Credentials(passphrase="another one"))
    assert refused.stages[-1].state == "failed"
    assert house.text("secrets/target-nas.passphrase") == kept
    # Before anything was ever made with it, it is put aside, and back if the new one opens nothing.
    await house.setup.remove("nas")
    house.fakes.restic.unreachable.add("nas")
    await house.setup.add(nas(passphrase="from elsewhere"))
    assert house.text("secrets/target-nas.passphrase") == kept
    house.fakes.restic.unreachable.clear()
    house.fakes.restic.repositories.clear()
    assert (await house.setup.add(nas(passphrase="from elsewhere"))).ok
    texts = [leaf.text for name, leaf in house.written().items() if "passphrase" in name]
    assert sorted(map(str, texts)) == sorted([kept, "from elsewhere\n"])


async def test_where_nothing_can_be_deleted_one_small_backup_stays(house: House) -> None:
    house.fakes.restic.keeping.add("nas")
    for _ in range(3):
        tried = await house.setup.try_out("nas") if "nas" in house.settings.targets else await house.setup.add(nas())
        assert states(tried) == [*WELL[:3], ("delete", "good")]
    assert await house.fakes.store.noted("can-delete:nas") == "no"
    repository = house.fakes.restic.repositories[house.fakes.restic.place("nas")]
    assert len(repository.snapshots) == 1


async def test_a_job_at_work_there_is_left_alone(house: House) -> None:
    await house.setup.add(nas())
    plan = Plan("backup", "notes", (), ("stack:notes", "repository:nas"), facts={"target": "nas"})
    job = await house.fakes.store.add_job(plan, house.fakes.clock())
    tried = await house.setup.try_out("nas")
    assert tried.ok and states(tried) == [*WELL[:2], ("write", "skipped")]
    with pytest.raises(Busy):
        await house.setup.remove("nas")
    await house.fakes.store.mark_job(job, "done", house.fakes.clock())
    await house.setup.remove("nas")


async def test_another_host_key_is_pinned_for_who_names_it(house: House) -> None:
    await house.setup.add(nas())
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO3dg2USUotaSZM5JmS9gJyJYukQWlS5sKjZDLiYg/5M"
    assert isinstance(house.ssh, FakeSsh)
    house.ssh.servers["nas.example", 22] = HostKey(other, fingerprint(other))
    with pytest.raises(Refused, match="not the one you named"):
        await house.setup.try_out("nas", Credentials(fingerprint=SHOWN.fingerprint))
    await house.setup.try_out("nas", Credentials(fingerprint=fingerprint(other)))
    target = house.settings.targets["nas"]
    assert isinstance(target, SftpTarget) and target.host_key == other
    assert other in house.text("targets/nas.yaml")


async def test_a_new_login_for_a_target_that_has_one(house: House) -> None:
    await house.setup.add(store())
    await house.setup.try_out("store", Credentials(login=S3_LOGIN | {"AWS_ACCESS_KEY_ID": "NEW"}))
    assert "'NEW'" in house.text("secrets/target-store.s3")
    with pytest.raises(BadInput):
        await house.setup.try_out("store", Credentials(login={"AWS_ACCESS_KEY_ID": "ODD"}))
    assert "'NEW'" in house.text("secrets/target-store.s3")


# -- taking off the list


async def test_what_is_removed_and_what_stays(house: House) -> None:
    await house.setup.add(nas())
    taken = house.fakes.clock()
    await house.fakes.store.add_snapshot(Snapshot("1", "notes", "nas", taken, 1, 1, 1, 1.0, good=True, why=None))
    there = dict(house.fakes.restic.repositories)
    assert await house.setup.remove("nas") == OWNER / "secrets" / "target-nas.passphrase"
    assert sorted(house.written()) == ["secrets", "secrets/target-nas.passphrase", "targets"]
    assert list(house.settings.targets) == ["usb"] and house.fakes.restic.repositories == there
    assert await house.fakes.store.snapshots() == []  # what we cannot reach is nothing to restore from
    for note in ("repository:nas", "can-delete:nas", "care:nas"):
        assert await house.fakes.store.noted(note) is None
    again = await house.setup.add(nas())
    assert again.ok and "taken up" in str(again.stages[1].says)


async def test_what_cannot_be_removed(house: House) -> None:
    await house.setup.add(nas(copy_of=None))
    await house.setup.add(store(copy_of="nas"))
    with pytest.raises(Refused, match="is filled from"):
        await house.setup.remove("nas")
    with pytest.raises(NotFound):
        await house.setup.remove("none")
    for name in ("store", "nas", "usb"):
        await house.setup.remove(name)
    assert not house.settings.targets


# -- over the API


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    with short_folder() as root:
        write_settings(root)
        async with quiet_house(root) as quiet:
            connector = aiohttp.UnixConnector(str(quiet.house.settings.socket))
            async with aiohttp.ClientSession(connector=connector) as session:
                yield Client(session)


async def test_the_api_tells_everything_but_secrets(client: Client) -> None:
    presets = (await client.get("presets"))["presets"]
    box = next(each for each in presets if each["name"] == "hetzner-storage-box")
    assert box["operator"] == {"name": "Hetzner Online GmbH", "country": "DE"} and box["regions"] == {}
    assert [each["name"] for each in box["asks"]] == ["user", "folder"]
    french = (await client.get("presets", **{"Accept-Language": "fr"}))["presets"]
    assert "la clé de gardien" in next(each for each in french if each["name"] == "hetzner-storage-box")["protect"]

    wish = {"name": "store", "preset": "scaleway", "values": {"region": "fr-par", "bucket": "practice"}}
    status, draft = await client.ask("POST", "targets", wish | {"dry_run": True})
    assert (status, draft["operator"]["data_country"], draft["sentence"]) == (200, "FR", None)
    status, error = await client.refused("POST", "targets", wish)
    assert (status, error["code"]) == (400, "bad-input") and "AWS_ACCESS_KEY_ID" in error["says"]
    status, made = await client.ask("POST", "targets", wish | {"login": S3_LOGIN, "at": "hourly"})
    assert status == 201 and made["ok"] and [each["name"] for each in made["stages"]] == [name for name, _ in WELL]
    listed = (await client.get("targets"))["targets"]
    [store_] = [each for each in listed if each["name"] == "store"]
    assert store_["ready"] and store_["can_delete"] is True and store_["operator"]["name"] == "Scaleway"
    assert "canary" not in json.dumps([made, listed, draft])
    status, error = await client.refused("POST", "targets", wish | {"values": {"bucket": "-"}, "name": "x"})
    assert status == 400 and {each["path"] for each in error["faults"]} == {"region"}
    assert (await client.ask("POST", "targets/store/test"))[1]["ok"]
    assert (await client.refused("POST", "targets/none/test"))[0] == 404
    assert (await client.refused("POST", "targets/store/remove", {"confirm": "stroe"}))[0] == 400
    status, gone = await client.ask("POST", "targets/store/remove", {"confirm": "store"})
    assert status == 200 and gone["passphrase_file"].endswith("target-store.passphrase")
    assert [each["name"] for each in (await client.get("targets"))["targets"]] == ["box"]

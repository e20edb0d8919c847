"""Who runs a target and whose law reaches it: what gardien knows, what it does not, and what it never guesses."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gardien.adapters import restic_places
from gardien.adapters.hosts import load_hosts
from gardien.faces import present
from gardien.model.fault import Faults
from gardien.model.operator import EUROPE, Operator
from gardien.model.preset import LOGIN, Hosts
from gardien.model.settings import Target
from gardien.rules import hosts as rules
from gardien.rules.reach import forbidden
from gardien.rules.sovereignty import accepted, agrees, judge, recognised, sentence

SHIPPED = Path(__file__).parents[1] / "hosts"
HOSTS = load_hosts(SHIPPED)
SFTP: dict[str, Any] = {"kind": "sftp", "user": "me", "folder": "x", "key": "/key", "host_key": "ssh-ed25519 AAAA"}


def target(**fields: object) -> Target:
    made: Target = TypeAdapter(Target).validate_python(fields)
    return made


def s3(endpoint: str, **more: object) -> Target:
    return target(kind="s3", endpoint=endpoint, bucket="practice", **more)


def sftp(host: str) -> Target:
    return target(**SFTP, host=host)


def known(operator: Operator) -> tuple[str | None, str | None, str | None, bool | None]:
    return operator.name, operator.country, operator.data_country, operator.european


# -- what is shipped


@pytest.mark.parametrize("name", HOSTS.presets)
def test_every_preset_makes_a_target_that_is_judged_as_the_preset_says(name: str) -> None:
    preset = HOSTS.presets[name]
    sited = [region for region, each in preset.regions.items() if each.endpoint]
    for region in sited or [""]:
        answers: dict[str, str] = {name: each.example or each.default for name, each in preset.ask.items()}
        fields: dict[str, Any] = rules.fill(preset, {**answers, **({"region": region} if region else {})})
        made = target(**(SFTP | fields if preset.kind == "sftp" else fields))
        found = judge(made, HOSTS)
        assert recognised(made, HOSTS) is preset
        if preset.operator is not None:
            assert (found.name, found.country) == (preset.operator.name, preset.operator.country)
            assert found.european is True and found.law is None
        if region:
            assert found.data_country == preset.regions[region].country


@pytest.mark.parametrize("name", HOSTS.presets)
def test_every_preset_is_european_and_speaks_both_languages(name: str) -> None:
    preset = HOSTS.presets[name]
    assert preset.operator is None or preset.operator.country in EUROPE
    assert {each.country for each in preset.regions.values()} <= set(EUROPE)
    texts = [preset.title, preset.click, preset.protect, *([preset.note] if preset.note else [])]
    for text in [*texts, *(each.ask for each in preset.ask.values())]:
        assert text.en and text.fr and "  " not in text.en + text.fr
        for sign in ":;!?»":
            assert f" {sign}" not in text.fr, text.fr  # no-break


def test_nobody_in_the_list_of_those_abroad_is_in_europe_all_the_way() -> None:
    for each in HOSTS.abroad:
        assert not {each.country, each.data or each.country} <= set(EUROPE), each.name
    ends = [end for each in HOSTS.abroad for end in each.suffixes]
    ends += [end for preset in HOSTS.presets.values() for end in preset.suffixes]
    assert len(ends) == len(set(ends))


def test_the_names_of_a_login_are_those_that_restic_is_told() -> None:
    assert dict(LOGIN) == dict(restic_places.LOGIN)


# -- judging


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (sftp("u1.your-storagebox.de"), ("Hetzner Online GmbH", "DE", None, True)),
        (sftp("U1-SUB2.Your-StorageBox.DE."), ("Hetzner Online GmbH", "DE", None, True)),
        (s3("https://s3.gra.io.cloud.ovh.net"), ("OVHcloud", "FR", "FR", True)),
        (s3("https://s3.eu-west-par.io.cloud.ovh.net/"), ("OVHcloud", "FR", "FR", True)),
        (s3("https://s3.uk.io.cloud.ovh.net"), ("OVHcloud", "FR", "GB", True)),
        (s3("https://s3.moon.io.cloud.ovh.net"), ("OVHcloud", "FR", None, True)),  # a region we do not know
        (s3("https://s3.bhs.io.cloud.ovh.net"), ("OVHcloud", "FR", "CA", False)),  # a European's place abroad
        (s3("https://s3.us-east-va.io.cloud.ovh.us"), ("OVHcloud US", "US", None, False)),
        (s3("https://s3.eu-central-1.amazonaws.com"), ("Amazon Web Services", "US", None, False)),
        (s3("https://s3.eu-central-003.backblazeb2.com"), ("Backblaze", "US", None, False)),
        (s3("https://abc.r2.cloudflarestorage.com"), ("Cloudflare", "US", None, False)),
        (s3("https://storage.googleapis.com"), ("Google Cloud", "US", None, False)),
        (s3("https://s3.eu-central-2.wasabisys.com:443"), ("Wasabi", "US", None, False)),
        (sftp("de1234.rsync.net"), ("rsync.net", "US", None, False)),
        (target(kind="rest", url="https://x.core.windows.net/r"), ("Microsoft Azure", "US", None, False)),
        (target(kind="local", folder="/mnt/usb"), (None, None, None, True)),
        (sftp("nas.example"), (None, None, None, None)),
        (sftp("192.168.1.20"), (None, None, None, None)),
        (s3("https://notamazonaws.com"), (None, None, None, None)),  # ends alike, and is another name
        (s3("https://amazonaws.com.nas.example"), (None, None, None, None)),
        (sftp("your-storagebox.de.example"), (None, None, None, None)),
    ],
)
def test_what_is_known_of_a_host(made: Target, expected: tuple[str | None, ...]) -> None:
    assert known(judge(made, HOSTS)) == expected


def test_what_it_says_and_does_not() -> None:
    says = judge(sftp("nas.example"), HOSTS).says
    assert str(says) == "gardien does not know who runs nas.example, nor in which country"
    box = judge(sftp("u1.your-storagebox.de"), HOSTS).says
    assert (
        str(box) == "run by Hetzner Online GmbH (Germany); the backups lie in one of these countries: Germany, Finland"
    )
    amazon = judge(s3("https://s3.amazonaws.com"), HOSTS).says
    assert "(United States); gardien does not know in which country" in str(amazon)
    assert present.say(amazon, "fr")


def test_a_foreign_law_is_accepted_in_words_and_for_one_country() -> None:
    amazon = s3("https://s3.amazonaws.com")
    judged = judge(amazon, HOSTS)
    assert judged.law == "US" and not accepted(amazon, judged)
    assert accepted(s3("https://s3.amazonaws.com", law_accepted="US"), judged)
    assert not accepted(s3("https://s3.amazonaws.com", law_accepted="CN"), judged)
    canada = judge(s3("https://s3.bhs.io.cloud.ovh.net"), HOSTS)
    assert canada.law == "CA"  # the operator is European, the place is not
    for free in (sftp("nas.example"), sftp("u1.your-storagebox.de"), target(kind="local", folder="/mnt/usb")):
        assert accepted(free, judge(free, HOSTS))


def test_the_sentence_is_typed_in_either_language() -> None:
    words = sentence("US")
    for typed in (
        words.en,
        words.fr,
        words.en.upper() + ".",
        words.fr.replace("’", "'").replace("\N{NO-BREAK SPACE}", " "),
    ):
        assert agrees("US", typed), typed
    for typed in ("", "yes", "oui", words.en[:-1], sentence("CN").en, words.en + " not"):
        assert not agrees("US", typed), typed


@given(st.text())
def test_nothing_but_the_sentence_will_do(typed: str) -> None:
    assert not agrees("US", typed)


# -- addresses that are nobody's target


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.169.254", "169.254.0.1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::", "64:ff9b::a9fe:a9fe"),
        *("fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "metadata.google.internal"),
        *("0.0.0.0", "::", "224.0.0.1", "fe80:", "", ":", ".."),
    ],
)
def test_threat_11_where_no_target_may_lead(host: str) -> None:
    assert forbidden(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.1.20", "::1", "fd00::1", "nas.example", "2a01:4f8::1"])
def test_where_one_may(host: str) -> None:
    assert not forbidden(host)


# -- what somebody wrote

PRESET = """\
format: 1
title: {en: Box, fr: Box}
operator: {name: Somebody, country: DE}
kind: s3
suffixes: [box.example]
regions:
  one: {title: {en: One, fr: Un}, country: DE, endpoint: https://s3.box.example}
ask:
  bucket: {kind: bucket, ask: {en: Bucket, fr: Bucket}}
click: {en: There., fr: Là.}
protect: {en: So., fr: Ainsi.}
"""


def load(folder: Path, text: str, name: str = "box") -> Hosts:
    (folder / f"{name}.yaml").write_text(text)
    return load_hosts(SHIPPED, folder)


def test_adding_a_provider_is_adding_a_file(tmp_path: Path) -> None:
    found = load(tmp_path, PRESET)
    made = target(**rules.fill(found.presets["box"], {"region": "one", "bucket": "practice"}))
    assert known(judge(made, found)) == ("Somebody", "DE", "DE", True)
    assert set(HOSTS.presets) < set(found.presets)
    own = load(tmp_path, PRESET.replace("Somebody", "Another"), "scaleway")
    assert own.presets["scaleway"].title.en == "Box"  # the owner's goes before the shipped one


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("suffixes:", "sufixes:", 5),
        ("country: DE}\nkind", "country: de}\nkind", 3),
        ("kind: s3", "kind: ftp", 4),
        ("operator: {name: Somebody, country: DE}\n", "", 4),  # names by which nobody is recognised
        ("https://s3.box.example", "https://s3.other.example", 7),
        (
            ", endpoint: https://s3.box.example",
            "}\n  two: {title: {en: x, fr: x}, country: DE, endpoint: https://box.example",
            7,
        ),
        ("  bucket: {kind: bucket", "  port: {kind: port", 9),
        ("  bucket: {kind: bucket", "  region: {kind: name", 9),
        ("ask:\n", "given: {folder: '{user}'}\nask:\n", 8),
        ("{en: There.", "{en: 'There, {password}.'", 10),
        ("format: 1", "format: 2", 1),
        ("protect: {en: So., fr: Ainsi.}", "protect: {en: So.}", 11),
    ],
)
def test_mistakes_are_told_with_file_and_line(tmp_path: Path, old: str, new: str, line: int) -> None:
    assert old in PRESET
    with pytest.raises(Faults) as caught:
        load(tmp_path, PRESET.replace(old, new, 1))
    assert [(fault.file, fault.line) for fault in caught.value.faults] == [(tmp_path / "box.yaml", line)]


def test_a_name_that_cannot_be_one(tmp_path: Path) -> None:
    with pytest.raises(Faults, match="there are mistakes in it"):
        load(tmp_path, PRESET, "Box 1")


# -- answers


def test_what_a_person_answers_becomes_a_target() -> None:
    box = rules.fill(HOSTS.presets["hetzner-storage-box"], {"user": "u1-sub2"})
    assert box == {
        "kind": "sftp",
        "host": "u1-sub2.your-storagebox.de",
        "port": "23",
        "user": "u1-sub2",
        "folder": "gardien",
    }
    swiss = rules.fill(HOSTS.presets["infomaniak-swiss-backup"], {"region": "swiss-backup03"})
    assert swiss["endpoint"] == "https://s3.swiss-backup03.infomaniak.com"
    assert (swiss["region"], swiss["bucket"]) == ("us-east-1", "default")
    # What is not asked may be said all the same: another address, a folder.
    ovh = rules.fill(
        HOSTS.presets["ovhcloud"],
        {"endpoint": "https://s3.new.io.cloud.ovh.net", "region": "new", "bucket": "b", "folder": "f"},
    )
    assert (ovh["endpoint"], ovh["region"], ovh["folder"]) == ("https://s3.new.io.cloud.ovh.net", "new", "f")


@pytest.mark.parametrize(
    ("preset", "answers", "wrong"),
    [
        ("hetzner-storage-box", {}, {"user"}),
        ("ovhcloud", {}, {"region", "bucket"}),
        ("ovhcloud", {"region": "gre", "bucket": "b"}, {"region"}),
        ("ovhcloud", {"region": "gra", "bukcet": "b"}, {"bucket", "bukcet"}),
        ("sftp", {"host": "h", "user": "u", "key": "/etc/shadow"}, {"key"}),
        ("disk", {"folder": "/mnt/usb", "law_accepted": "US"}, {"law_accepted"}),
        ("s3", {"endpoint": "https://h", "bucket": "b", "append_only": "true"}, {"append_only"}),
    ],
)
def test_answers_that_are_missing_or_too_many(preset: str, answers: dict[str, str], wrong: set[str]) -> None:
    with pytest.raises(Faults) as caught:
        rules.fill(HOSTS.presets[preset], answers)
    assert {fault.path for fault in caught.value.faults} == wrong

"""What the owner may write of targets, and what of it contradicts itself."""

from datetime import time
from typing import Any

import pytest
from pydantic import ValidationError

from gardien.model.settings import LocalTarget, Settings
from gardien.rules.house_settings import faults_of

USB: dict[str, Any] = {"kind": "local", "folder": "/mnt/usb/gardien"}
S3: dict[str, Any] = {"kind": "s3", "endpoint": "https://s3.gra.io.cloud.ovh.net", "bucket": "practice"}
REST: dict[str, Any] = {"kind": "rest", "url": "https://nas.example:8000/practice/backups"}


def settings(**targets: dict[str, Any]) -> Settings:
    return Settings.model_validate({"targets": targets})


def faults(**targets: dict[str, Any]) -> list[tuple[object, ...]]:
    return [fault.at for fault in faults_of(settings(**targets))]


def test_what_goes_together() -> None:
    limits = {"08:00-12:00": "500 KiB/s", "12:00-20:00": "2 MiB/s", "22:00-06:00": "9 MiB/s"}
    far = S3 | {"copy_of": "usb", "upload_limit": limits}
    assert faults(usb=USB, far=far, nas=REST | {"copy_of": "usb"}) == []
    assert faults(here=REST | {"url": "http://127.0.0.1:8000/x"}, too=S3 | {"endpoint": "http://[::1]"}) == []


def test_the_limit_of_the_hour() -> None:
    target = LocalTarget.model_validate(USB | {"upload_limit": {"08:00-20:00": "500 KiB/s", "22:00-06:00": "2 MiB/s"}})
    at = {"07:59": None, "08:00": 500, "19:59": 500, "20:00": None, "22:00": 2048, "00:00": 2048, "06:00": None}
    assert {each: target.kib_per_second(time.fromisoformat(each)) for each in at} == at


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"copy_of": "nowhere"}, "copy_of"),
        ({"copy_of": "far"}, "copy_of"),
        ({"copy_of": "second"}, "copy_of"),
        ({"copy_of": "store"}, "copy_of"),
        ({"endpoint": "http://s3.example"}, "endpoint"),
        ({"endpoint": "http://localhost.example"}, "endpoint"),
        ({"endpoint": "http://localhost", "ca": "/ca.crt"}, "ca"),
        ({"at": "25:00"}, "at"),
        ({"at": "* * *"}, "at"),
        ({"upload_limit": {"08:00-08:00": "1 KiB/s"}}, "upload_limit"),
        ({"upload_limit": {"08:00-12:00": "1 KiB/s", "11:59-13:00": "2 KiB/s"}}, "upload_limit"),
        ({"upload_limit": {"22:00-06:00": "1 KiB/s", "05:00-07:00": "2 KiB/s"}}, "upload_limit"),
    ],
)
def test_what_contradicts_itself(changes: dict[str, Any], at: str) -> None:
    elsewhere = S3 | {"region": "sbg", "bucket": "other"}
    others: dict[str, Any] = {"usb": USB, "second": REST | {"copy_of": "usb"}, "store": elsewhere}
    [found] = faults(**others, far=S3 | changes)
    assert found[:3] == ("targets", "far", at)


@pytest.mark.parametrize(
    "wrong",
    [
        S3 | {"endpoint": "https://key:secret@s3.example"},
        S3 | {"endpoint": "https://s3.example/?x=y"},
        S3 | {"bucket": "-o"},
        S3 | {"folder": "../x"},
        S3 | {"folder": "/x"},
        S3 | {"region": "-x"},
        S3 | {"access_key": "x"},
        REST | {"url": "https://me:pass@nas/x"},
        REST | {"url": "nas/x"},
        REST | {"upload_limit": {"8-20": "500 KiB/s"}},
        REST | {"upload_limit": {"08:00-20:00": "500"}},
        REST | {"upload_limit": {"08:00-20:00": "0 KiB/s"}},
        REST | {"compression": "best"},
    ],
)
def test_what_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(far=wrong)

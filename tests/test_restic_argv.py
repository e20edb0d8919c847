"""restic's command lines, without restic."""

import csv
import json
import shlex
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from gardien.adapters.process import Ended, Outcome
from gardien.adapters.restic_args import (
    check_args,
    copy_args,
    exclude,
    found_args,
    lean_args,
    limit_args,
    restore_args,
    save_args,
    sftp_option,
    ssh_args,
)
from gardien.adapters.restic_errors import TurnedAway, holder, hopeless, typed
from gardien.adapters.restic_lines import Bars, Gauge, problems_of
from gardien.adapters.restic_places import PUBLIC_AUTHORITIES, authorities, known_host, place, store_file
from gardien.adapters.restic_powers import signed
from gardien.errors import (
    CommandFailed,
    Damaged,
    GardienError,
    NoMemory,
    NoSpace,
    NotFound,
    Refused,
    RepositoryLocked,
    RepositoryMissing,
    TargetFull,
    TargetRefuses,
    TargetUnreachable,
    WrongPassphrase,
)
from gardien.model.job import Progress
from gardien.model.settings import LocalTarget, RestTarget, S3Target, SftpTarget

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9 somebody@somewhere"


def target(**changes: object) -> SftpTarget:
    plain = {"kind": "sftp", "host": "u1.example.eu", "user": "u1", "folder": "gardien", "key": "/k", "host_key": KEY}
    return SftpTarget.model_validate(plain | changes)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({}, "sftp://u1@u1.example.eu:22/gardien"),
        ({"port": 23, "folder": "/home/a b"}, "sftp://u1@u1.example.eu:23//home/a b"),
        ({"user": "u1@box", "host": "[2001:db8::1]"}, "sftp://u1%40box@[2001:db8::1]:22/gardien"),
        ({"host": "2001:db8::1"}, "sftp://u1@[2001:db8::1]:22/gardien"),
    ],
)
def test_locations(changes: dict[str, object], where: str) -> None:
    assert place(target(**changes), {}).location == where


def test_a_local_location() -> None:
    assert place(LocalTarget(kind="local", folder=Path("/mnt/a disk")), {}).location == "/mnt/a disk"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "u1.example.eu"),
        ({"port": 23}, "[u1.example.eu]:23"),
        ({"host": "2001:db8::1", "port": 23}, "[2001:db8::1]:23"),
        ({"host": "[2001:db8::1]"}, "2001:db8::1"),
    ],
)
def test_the_pinned_key(changes: dict[str, object], name: str) -> None:
    assert known_host(target(**changes)) == f"{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9\n"


@pytest.mark.parametrize("folder", ["/run/gardien", "/run/a room", '/run/it\'s, 100% "odd"'])
def test_ssh_is_told_all_through_two_layers_of_quotes(folder: str) -> None:
    room = Path(folder)
    args = ssh_args([room / "key"], room / "known", room / "log")
    flag, option = sftp_option(args)
    assert flag == "-o"
    [fields] = csv.reader([option])  # what restic does first
    assert len(fields) == 1
    name, _, value = fields[0].partition("=")
    assert name == "sftp.args"
    assert shlex.split(value) == args
    given = dict(pairwise(args))
    options = dict(each.split("=", 1) for each in args if "=" in each and not each.startswith("/"))
    assert (given["-F"], given["-E"]) == ("none", str(room / "log"))
    assert given["-i"] == str(room / "key").replace("%", "%%")
    assert options["BatchMode"] == options["StrictHostKeyChecking"] == options["IdentitiesOnly"] == "yes"
    assert options["GlobalKnownHostsFile"] == "/dev/null"
    assert options["UserKnownHostsFile"].strip('"').replace('\\"', '"').replace("%%", "%") == str(room / "known")
    assert (options["ServerAliveInterval"], options["ServerAliveCountMax"]) == ("15", "4")
    assert options["ConnectTimeout"] == "20"


S3 = {"kind": "s3", "endpoint": "https://s3.gra.example/", "bucket": "b-1", "folder": "a/b", "region": "gra"}
KEY_PAIR = {"AWS_ACCESS_KEY_ID": "ID", "AWS_SECRET_ACCESS_KEY": "se/cret"}
LOGIN = {"RESTIC_REST_USERNAME": "me@home", "RESTIC_REST_PASSWORD": "p/w: 100%"}


def test_an_object_store() -> None:
    made = place(S3Target.model_validate(S3), KEY_PAIR)
    assert made.location == "s3:https://s3.gra.example/b-1/a/b"
    assert store_file([made], "x") == ("[default]\naws_access_key_id = ID\naws_secret_access_key = se/cret\n", "gra")
    assert store_file([place(target(), {})], "x") is None
    other = place(S3Target.model_validate(S3 | {"region": "sbg"}), KEY_PAIR)
    with pytest.raises(Refused):
        store_file([made, other], "x")


@pytest.mark.parametrize("end", ["", "/"])
def test_a_rest_server(end: str) -> None:
    made = place(RestTarget(kind="rest", url=f"https://nas.example:8000/me/repo{end}"), LOGIN)
    assert made.location == "rest:https://me%40home:p%2Fw%3A%20100%25@nas.example:8000/me/repo/"


def test_whom_to_trust() -> None:
    public = place(S3Target.model_validate(S3), KEY_PAIR)
    own = place(RestTarget(kind="rest", url="https://nas/x", ca=Path("/ca.crt")), LOGIN)
    plain = place(RestTarget(kind="rest", url="http://127.0.0.1/x"), LOGIN)
    assert authorities([public]) == authorities([plain]) == []
    assert authorities([own, plain]) == ["--cacert", "/ca.crt"]
    # What is named is trusted alone: a copy between the two needs both.
    assert authorities([public, own]) == ["--cacert", "/ca.crt", "--cacert", str(PUBLIC_AUTHORITIES)]


def test_signing_as_the_store_does_it() -> None:
    from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped]
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
    from botocore.credentials import Credentials  # type: ignore[import-untyped]

    now = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
    ours = signed("GET", "s3.gra.example", "/b-1", "object-lock=", store=("ID", "se/cret", "gra"), now=now)
    request = AWSRequest(
        "GET", "https://s3.gra.example/b-1?object-lock=", {k: v for k, v in ours.items() if k[0] == "x"}
    )
    request.context["timestamp"] = ours["x-amz-date"]
    judge = S3SigV4Auth(Credentials("ID", "se/cret"), "s3", "gra")
    judge.payload = lambda _: ours["x-amz-content-sha256"]
    wanted = judge.signature(judge.string_to_sign(request, judge.canonical_request(request)), request)
    assert ours["Authorization"].endswith(f"Signature={wanted}")


def test_more_verbs() -> None:
    assert copy_args(["a", "b"]) == ["copy", "--", "a", "b"]
    assert check_args(None) == ["check"]
    assert check_args((3, 30)) == ["check", "--read-data-subset=3/30"]
    assert limit_args(None) == []
    assert limit_args(500) == ["--limit-upload", "500"]
    assert lean_args(["sftp", "local", "sftp"], ["copy"]) == ["-o", "local.connections=1", "-o", "sftp.connections=1"]
    assert lean_args(["sftp"], ["--retry-lock", "2m", "prune"]) == ["-o", "sftp.connections=2"]
    for bad in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="part"):
            check_args(bad)


def test_bars_never_go_back() -> None:
    told: list[Progress] = []
    bars = Bars(told.append)
    lines = ["snapshot 12 of [/x]", "[0:00] 50.00%  1 / 2 packs copied", "[0:00] 50.00%  1 / 2 packs copied"]
    lines += ["[0:00] 100.00%  2 / 2 packs copied", "[0:00] 33.33%  1 / 3 packs copied", "[0:01] 3 / 3 packs copied"]
    assert [bars.line(each) for each in lines] == [True, True, False, True, True, True]
    bars.end()
    assert [(each.files_done, each.files_total) for each in told] == [(1, 2), (2, 2), (3, 5), (5, 5), (5, 5)]


CHECKED = """error for tree 12345678:
  id 1234 not found in repository

The repository is damaged and must be repaired. Please follow the troubleshooting guide at https://x .

Fatal: repository contains errors
"""


def test_problems_are_told_from_failures() -> None:
    assert problems_of(CHECKED) == ("error for tree 12345678:", "  id 1234 not found in repository")
    assert problems_of("Fatal: repository contains errors") == ("Fatal: repository contains errors",)
    assert problems_of("Load(<index/12>) returned error: dial tcp: connection refused\nFatal: no") == ()


STORM = "Stat(<config/>) returned error, retrying after 1.2s: "


@pytest.mark.parametrize(
    ("line", "ends"),
    [
        (
            "Save(<data/12>) returned error, retrying after 2s: unexpected HTTP response (507): "
            "507 Insufficient Storage",
            True,
        ),
        (f"{STORM}Head: tls: failed to verify certificate: x509: certificate signed by unknown authority", True),
        (f"{STORM}Stat: The specified bucket does not exist", True),
        (f"{STORM}The Access Key Id you provided does not exist in our records.", True),
        (f"{STORM}dial tcp 127.0.0.1:1: connect: connection refused", False),
        (f"{STORM}unexpected HTTP response (503): 503 Service Unavailable", False),
        (f"{STORM}unexpected HTTP response (403): 403 Forbidden", True),
        ("Save(<data/bd>) returned error, retrying after 1s: OpenFile x/data/bd/bd-restic-temp-0558403: lost", False),
        ("Save(<data/bd>) returned error, retrying after 1s: OpenFile x/data/bd/bd: connection lost", True),
        ("Access Denied", False),
    ],
)
def test_what_no_try_will_change_is_not_tried_for_a_quarter_of_an_hour(line: str, ends: bool) -> None:
    assert hopeless(line) is ends


def test_what_is_left_out_is_anchored() -> None:
    assert exclude(Path("/srv/gardien/nextcloud"), "html/data/*/cache") == "/srv/gardien/nextcloud/html/data/*/cache"
    assert exclude(Path("/srv/[a]*?\\b"), "db/") == "/srv/\\[a\\]\\*\\?\\\\b/db"


def test_saving() -> None:
    args = save_args(Path("/srv/a"), host="box", tags=["stack=a", "gardien"], leave_out=["db", "x*"], parent="p" * 64)
    assert args == [
        *["backup", "--host", "box", "--tag", "gardien", "--tag", "stack=a"],
        *["--exclude", "/srv/a/db", "--exclude", "/srv/a/x*", "--parent", "p" * 64, "--", "/srv/a"],
    ]
    paris = datetime(2026, 3, 1, 3, 30, 5, tzinfo=ZoneInfo("Europe/Paris"))
    timed = save_args(Path("/srv/a"), host="box", tags=[], leave_out=[], parent=None, at=paris)
    assert timed[timed.index("--time") + 1] == "2026-03-01 02:30:05"
    assert "--parent" not in save_args(Path("/srv/a"), host="box", tags=[], leave_out=[], parent=None)


def test_finding() -> None:
    args = found_args(host="box", tags=["stack=a", "pass=final"])
    assert args == ["snapshots", "--no-lock", "--host", "box", "--tag", "gardien,stack=a,pass=final"]


@pytest.mark.parametrize("tag", ["", "a,b", " a"])
def test_a_tag_that_would_be_another(tag: str) -> None:
    with pytest.raises(ValueError, match="tag"):
        found_args(host="box", tags=[tag])


def test_restoring() -> None:
    args = restore_args("a" * 64, "/srv/gardien/x", Path("/srv/gardien/.restoring/x"))
    assert args[0] == "restore"
    assert args[-2:] == ["--", f"{'a' * 64}:/srv/gardien/x"]
    assert {"--verify", "--delete"} <= set(args)
    assert args[args.index("--overwrite") + 1] == "always"
    assert args[args.index("--target") + 1] == "/srv/gardien/.restoring/x"


ASKED, WHERE = "Fatal: unable to open config file: ", "\nIs there a repository at the following location?\nx"
# What restic 0.17 to 0.18 and OpenSSH print, as they print it.
SAID: list[tuple[int, str, type[GardienError]]] = [
    (10, "", RepositoryMissing),
    (11, "", RepositoryLocked),
    (12, "", WrongPassphrase),
    (1, "Fatal: wrong password or no key found", WrongPassphrase),
    (1, "root@127.0.0.1: Permission denied (publickey).\nunable to start the sftp session", TargetRefuses),
    (1, "Host key verification failed.\nunable to start the sftp session", TargetRefuses),
    (1, "ssh: connect to host h port 22: Connection refused\nunable to start the sftp session", TurnedAway),
    (1, "ssh: connect to host h port 22: No route to host\nunable to start the sftp session", TargetUnreachable),
    (1, "ssh: Could not resolve hostname h: Name or service not known", TargetUnreachable),
    (1, "kex_exchange_identification: Connection closed by remote host", TurnedAway),
    (1, "Timeout, server h not responding.\nLoad(<data/1234>) failed: connection lost", TargetUnreachable),
    (
        1,
        "create repository at x failed: Fatal: unable to open repository: MkdirAll /x: permission denied",
        TargetRefuses,
    ),
    (1, "Save(<data/cd2e>) failed: write /r/data/x: no space left on device", TargetFull),
    (1, "sftp: no space left on device", TargetFull),
    (1, "write /state/restic-cache/ab/x: no space left on device", NoSpace),
    (1, "open /tmp/restic-temp-pack-123: no space left on device", NoSpace),
    (1, "Load(<index/1234>, 0, 0) failed: ciphertext verification failed", Damaged),
    (1, f"{ASKED}unexpected HTTP response (401): 401 Unauthorized{WHERE}", TargetRefuses),
    (1, f"{ASKED}Stat: Access Denied.{WHERE}", TargetRefuses),
    (1, f"{ASKED}Head: dial tcp: lookup h: no such host{WHERE}", TargetUnreachable),
    (1, f"{ASKED}Head: tls: failed to verify certificate: x509: certificate has expired{WHERE}", TargetRefuses),
    (1, f"{ASKED}Stat: The specified bucket does not exist{WHERE}", RepositoryMissing),
    (1, "Save(<lock/12>) returned error, retrying after 1s: 507 Insufficient Storage", TargetFull),
    (1, "Save(<data/12>) failed: client.PutObject: Bucket quota exceeded", TargetFull),
    (1, "Save(<data/12>) failed: client.PutObject: Access Denied", TargetRefuses),
    (1, "Remove(<data/12ab>) failed: unexpected HTTP response (403): 403 Forbidden", Refused),
    (1, "Remove(<index/12ab>) failed: client.RemoveObject: Access Denied", Refused),
    (1, "something never seen", CommandFailed),
    (-9, "", NoMemory),
    (-11, "", CommandFailed),
    (2, "runtime: out of memory: cannot allocate 67108864-byte block\nfatal error: out of memory\n", NoMemory),
]


@pytest.mark.parametrize(("code", "said", "kind"), SAID)
def test_failures_have_a_kind_and_words(code: int, said: str, kind: type[GardienError]) -> None:
    ended = Ended("code", "restic", Outcome(code, "", said))
    error = typed(ended, "offsite", cache=Path("/state/restic-cache"))
    assert type(error) is kind
    assert "offsite" in str(error) or kind is NoSpace
    assert str(error.remedy)
    assert "{" not in f"{error}{error.remedy}"
    assert error.detail == said.strip()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("write /srv/side/x: no space left on device", NoSpace),
        ("failed to find snapshot: no matching ID found", NotFound),
        ("anything else", Damaged),
        ("ssh: connect to host h port 22: No route to host", TargetUnreachable),
    ],
)
def test_failures_of_a_restore(said: str, kind: type[GardienError]) -> None:
    ended = Ended("code", "restic", Outcome(1, "", said))
    error = typed(ended, "offsite", cache=Path("/cache"), snapshot="abcdef" * 10, to=Path("/srv/side"))
    assert type(error) is kind


LOCKED = """unable to create lock in backend: repository is already locked exclusively by PID 14313 on other-box by \
root (UID 0, GID 0)
lock was created at 2026-11-22 07:04:21 (4.123961648s ago)
storage ID f7944a4b"""


@pytest.mark.parametrize("said", [LOCKED, json.dumps({"message_type": "exit_error", "code": 11, "message": LOCKED})])
def test_who_holds_a_lock(said: str) -> None:
    assert holder(said) == {"process": "14313", "machine": "other-box", "since": "2026-11-22 07:04:21"}
    assert holder("repository is already locked") == {}
    error = typed(Ended("code", "restic", Outcome(11, "", said)), "offsite", cache=Path("/cache"))
    assert "process 14313 on other-box, since 2026-11-22 07:04:21" in str(error)


@pytest.mark.parametrize("reason", ["timeout", "silence"])
def test_a_restic_that_had_to_be_ended(reason: str) -> None:
    ended = Ended(reason, "restic", Outcome(-2, "", "Load(<index/12>) failed"))  # type: ignore[arg-type]
    assert type(typed(ended, "offsite", cache=Path("/cache"))) is TargetUnreachable


def test_progress_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("gardien.adapters.restic_lines.time.monotonic", lambda: now)
    told: list[Progress] = []
    gauge = Gauge(told.append)
    lines = [(0, 1000, 0, 10), (300, 1000, 3, 10), (200, 500, 2, 8), (300, 4000, 3, 40)]
    alive = []
    for done, total, files, files_total in lines:
        now += 1
        status = {"bytes_done": done, "total_bytes": total, "files_done": files, "total_files": files_total}
        alive.append(gauge.saving({"message_type": "status", **status}))
    assert alive == [False, True, False, False]
    assert [each.bytes_done for each in told] == [0, 300, 300, 300]
    assert [each.bytes_total for each in told] == [1000, 1000, 500, 4000]
    assert [each.files_done for each in told] == [0, 3, 3, 3]
    assert told[0].seconds_left is None
    assert 0 < told[1].per_second <= 300
    assert told[3].per_second < told[1].per_second
    assert gauge.saving({"message_type": "summary", "total_bytes_processed": 4000, "total_files_processed": 40})
    assert told[-1].fraction == 1.0


def test_an_absurd_time_left_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("gardien.adapters.restic_lines.time.monotonic", lambda: now)
    told: list[Progress] = []
    gauge = Gauge(told.append)
    for done in (0, 20, 40):
        now += 1
        gauge.restoring({"message_type": "status", "bytes_restored": done, "bytes_skipped": 5, "total_bytes": 10**12})
    assert told[-1].bytes_done == 45
    assert told[-1].per_second > 1
    assert told[-1].seconds_left is None

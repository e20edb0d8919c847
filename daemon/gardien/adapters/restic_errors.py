"""What restic's failures mean: exit codes and words on stderr made into our errors."""

import re
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

from gardien.adapters.process import Ended
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
from gardien.words import N_

_Meaning = tuple[type[GardienError], str, str]


class TurnedAway(TargetUnreachable):
    """The host answered, and ended the connection before it heard who we are: it may be busy for a moment."""


def typed(error: Ended, target: str, *, cache: Path, snapshot: str = "", to: Path | None = None) -> GardienError:
    """The error to raise for `error`. `snapshot` and `to`: what was read, and the folder it was to be restored to."""
    if error.reason == "missing":
        return error
    if re.search(_KEPT, error.outcome.stderr):
        return keeps(target, error.detail)
    kind, says, remedy = next(_meanings(error, cache, snapshot, to))
    held = holder(error.outcome.stderr)
    if kind is RepositoryLocked and held:
        _, says, remedy = _HELD
    return kind(says, remedy, detail=error.detail, target=target, snapshot=snapshot[:8], folder=str(to or ""), **held)


def holder(said: str) -> dict[str, str]:
    """Who holds a lock, and since when, as restic says it: `process`, `machine`, `since`; nothing if it does not."""
    found = re.search(_HOLDER, said.replace("\\n", "\n"))
    return found.groupdict() if found else {}


def hopeless(line: str) -> bool:
    """Whether restic may as well be ended.

    0.18 often hangs for ever after it has found a full target, and tries for 15 minutes what no try will change.
    """
    if line.startswith("Save(<") and re.search(_FULL, line, re.IGNORECASE):
        return True
    return re.search(RETRYING, line) is not None and re.search(_LASTING, line, re.IGNORECASE) is not None


def nothing(target: str, detail: str = "") -> Damaged:
    """The error for a restore that ended well and restored nothing."""
    return Damaged(
        N_("nothing was restored from the target {target}: the snapshot holds no such folder, or an empty one"),
        N_("Choose another snapshot, and have the person who helps you look at this one."),
        detail=detail,
        target=target,
    )


KEEPS = "unable to remove"  # what restic says of a host that lets nothing be deleted; 0.18 calls that a success


def keeps(target: str, detail: str = "") -> Refused:
    """The error for a host that does not let us delete."""
    return Refused(
        N_("the backup target {target} lets nothing be deleted from here"),
        N_("That protects your backups, and nothing was changed. Old ones are deleted at the host, by its own rules."),
        detail=detail,
        target=target,
    )


def _meanings(error: Ended, cache: Path, snapshot: str, to: Path | None) -> Iterator[_Meaning]:
    """What it may mean, the likeliest first. The order matters: a lost connection also looks like damage."""
    said = error.outcome.stderr
    if error.reason in {"timeout", "silence"}:
        yield _SILENT
    if error.reason == "code" and error.outcome.code == -signal.SIGKILL:
        yield _KILLED
    if re.search(_NO_MEMORY, said):
        yield _MEMORY
    if error.outcome.code in _CODES:
        yield _CODES[error.outcome.code]
    if full := [line for line in said.splitlines() if re.search(_FULL, line, re.IGNORECASE)]:
        ours = (str(cache), "/restic-check-cache", "/restic-temp-")
        if to is not None and any(str(to) in line for line in full):
            yield _NO_SPACE_HERE
        yield _NO_SPACE_FOR_CACHE if any(each in line for line in full for each in ours) else _TARGET_FULL
    for pattern, meaning in _PATTERNS:
        if re.search(pattern, said, re.IGNORECASE):
            yield meaning
    if snapshot and re.search(_NO_SNAPSHOT, said):
        yield _SNAPSHOT_MISSING
    yield _DAMAGED if to is not None or re.search(_DAMAGE, said, re.IGNORECASE) else _FAILED


_SILENT: _Meaning = (
    TargetUnreachable,
    N_("the backup target {target} did not answer for so long that gardien gave up"),
    N_("Check the internet connection, then whether the host is running. gardien tries again at the next backup."),
)
_UNREACHABLE: _Meaning = (
    TargetUnreachable,
    N_("cannot reach the backup target {target}"),
    N_(
        "Check the internet connection, then whether the host is running, and its name and port: `gardien target list`."
    ),
)
_TURNED_AWAY: _Meaning = (
    TurnedAway,
    N_("cannot reach the backup target {target}: the host refused the connection"),
    N_(
        "It may be busy, restarting, or have too many connections at once: gardien tries again at the next backup. If"
        " it stays so, look at the host's page, and at its name and port: `gardien target list`."
    ),
)
_REFUSED: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not let gardien in"),
    N_("Look at the host's page whether the account is active and gardien's SSH key is still listed there."),
)
_OTHER_HOST: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} is not the server it used to be: its host key has changed"),
    N_(
        "Nothing was sent. Ask the host whether they changed the key; only then take the new one: "
        "`gardien target test {target}`."
    ),
)
_LOGIN: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not accept gardien's key or password"),
    N_("Look at the host's page whether the key is still valid; gardien's is in its folder `secrets`."),
)
_OTHER_CERTIFICATE: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not show the certificate it should: it may be another server"),
    N_(
        "Nothing was sent. Ask the host. If the certificate is theirs, name its authority under `ca` in "
        "the target's settings."
    ),
)
_TOO_EARLY: _Meaning = (
    TargetUnreachable,
    N_("the certificate of the backup target {target} is valid only later: this machine's clock is probably wrong"),
    N_(
        "Nothing was sent. The clock sets itself once the machine reaches the internet, and gardien tries again by"
        " itself. If the clock is right, ask the host."
    ),
)
_EXPIRED: _Meaning = (
    TargetRefuses,
    N_("the certificate of the backup target {target} has expired, if this machine's clock is right"),
    N_("Nothing was sent. Look at the clock first; if it is right, the host has to renew its certificate."),
)
_FORBIDDEN: _Meaning = (
    TargetRefuses,
    N_("the backup target {target} does not let gardien write or read in its folder"),
    N_("Check the folder's name (`gardien target list`), and at the host whether gardien's account may use it."),
)
_TARGET_FULL: _Meaning = (
    TargetFull,
    N_("the storage at the backup target {target} is full"),
    N_("Older backups are safe. Rent more space at the host, or free some there; then back up again."),
)
_NO_SPACE_HERE: _Meaning = (
    NoSpace,
    N_("the disk that holds {folder} is too full to restore to"),
    N_("Free some space on it, or restore to another disk; then try again."),
)
_NO_SPACE_FOR_CACHE: _Meaning = (
    NoSpace,
    N_("this machine's own disk is full: restic cannot keep its working files"),
    N_("Free some space on it, then try again."),
)
_DAMAGED: _Meaning = (
    Damaged,
    N_("what the backup target {target} gave back is not what was saved there"),
    N_("Nothing of it was put in place. Try an older snapshot, and have the person who helps you check the target."),
)
_SNAPSHOT_MISSING: _Meaning = (
    NotFound,
    N_("there is no snapshot {snapshot} at the backup target {target}"),
    N_("Look at the list of snapshots, and choose one that is there."),
)
_FAILED: _Meaning = (
    CommandFailed,
    N_("restic failed at the backup target {target}, for a reason gardien does not know"),
    N_("Its last lines are in the details. Try again, or ask the person who helps you."),
)
_MISSING: _Meaning = (
    RepositoryMissing,
    N_("there is no backup repository at the target {target}"),
    N_(
        "If there was one: look whether its disk is plugged in, or whether the folder was renamed; gardien never makes"
        " a second one by itself. If it is a new target: gardien target init {target}"
    ),
)
_LOCKED: _Meaning = (
    RepositoryLocked,
    N_("something else is working on the backup repository at the target {target}"),
    N_("Wait for it to end, or find the other machine that uses it. gardien tries again at the next backup."),
)
_HELD: _Meaning = (
    RepositoryLocked,
    N_("the backup repository at the target {target} is held by process {process} on {machine}, since {since}"),
    N_(
        "Wait for it to end: gardien tries again at the next backup. If that machine is gone, or has another name now,"
        " restic lets the lock fall away half an hour after it was last renewed. Never remove it while that one works."
    ),
)
_MEMORY: _Meaning = (
    NoMemory,
    N_("this machine's memory ran out while restic worked on the backup target {target}"),
    N_("Older backups are safe. Stop an application, or give the machine more memory; then try again."),
)
_KILLED: _Meaning = (
    NoMemory,
    N_("restic was killed while it worked on the backup target {target}: this machine's memory probably ran out"),
    N_("Older backups are safe. Stop an application, or give the machine more memory; then try again."),
)
_PASSPHRASE: _Meaning = (
    WrongPassphrase,
    N_("wrong recovery key: the passphrase here does not open the backup target {target}"),
    N_("Put back the recovery key that stands on your recovery sheet. Nothing was changed."),
)
_CODES: Mapping[int, _Meaning] = {10: _MISSING, 11: _LOCKED, 12: _PASSPHRASE}

RETRYING = r"returned error, retrying after"
_HOLDER = (
    r"locked (?:exclusively )?by PID (?P<process>\d+) on (?P<machine>\S+) by .*\n"
    r"lock was created at (?P<since>[\d-]+ [\d:]+)"
)
_NO_MEMORY = r"fatal error: (runtime: )?(out of memory|cannot allocate memory)|fork/exec .*cannot allocate memory"
_FULL = (
    r"no space left on device|quota\b.{0,60}\bexceeded|exceeded.{0,60}\bquota|not enough (disk |storage )?space"
    r"|no space (left )?on filesystem|insufficient storage|storage (is )?full"
    r"|reached its minimum free drive threshold"
)
_ACCESS = (  # a number stands alone: the names of what restic stores end in any digits
    r"(?<![\w.-])(401|403)[): ]|Access ?Denied|(Access Key Id|request signature) .{0,40}(you provided|we calculated)"
    r"|InvalidAccessKeyId|SignatureDoesNotMatch"
)
_TLS = r"x509:|tls: failed|certificate (is not|has expired)|server gave HTTP response to HTTPS client"
_NO_BUCKET = r"bucket does not exist"
_CUT = r": connection lost$"  # over SSH 0.18 connects once; a new restic goes on from where this one was
_LASTING = f"{_FULL}|{_ACCESS}|{_TLS}|{_NO_BUCKET}|{_CUT}"
_KEPT = r"Remove\(<(snapshot|data|index|key)/\w+>\).*(\b403\b|Access ?Denied|permission denied|Operation not permitted)"
_PATTERNS: tuple[tuple[str, _Meaning], ...] = (
    (r"wrong password or no key found", _PASSPHRASE),
    (_NO_BUCKET, _MISSING),
    (r"repository is already locked", _LOCKED),
    (r"host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED", _OTHER_HOST),
    (r"is not yet valid: current time \S+ is before|certificate is not yet valid", _TOO_EARLY),
    (r"certificate has expired", _EXPIRED),
    (_TLS, _OTHER_CERTIFICATE),
    (rf"(Save\(|MkdirAll|create repository).*({_ACCESS})", _FORBIDDEN),
    (_ACCESS, _LOGIN),
    (r"Permission denied \(|Too many authentication failures|Unable to negotiate|Bad permissions", _REFUSED),
    (
        r"(connect to (host|address) \S+ port \d+|dial tcp .*|kex_exchange_identification): .*(refused|reset|closed)"
        r"|Connection (reset|closed) by \S+ port \d+|Exceeded MaxStartups|Not allowed at this time",
        _TURNED_AWAY,
    ),
    (
        r"ssh: (connect to host|Could not resolve)|Connection (refused|timed out|reset|closed)|No route to host"
        r"|Network is unreachable|not responding|Broken pipe|connection lost|unable to start the sftp session"
        r"|kex_exchange_identification|dial tcp|no such host|i/o timeout|handshake timeout|server misbehaving"
        r"|\b50[0234]\b|please reduce your request rate|internal error|: EOF",
        _UNREACHABLE,
    ),
    (r"(MkdirAll|create repository|Save\(|OpenFile).*(permission denied|read-only|does not exist|no such)", _FORBIDDEN),
    (r"unable to open (repository|config file).*permission denied", _FORBIDDEN),
)
_NO_SNAPSHOT = r"failed to (find|load) snapshot|no matching ID found|no snapshot found"
_DAMAGE = (
    r"file is too short|ciphertext verification failed|ReadFull\(|hash does not match|not found in index|damaged"
    r"|unexpected EOF|invalid data|decrypting blob|wrong hash|failed to load (index|tree|blob)|Load\(<"
)

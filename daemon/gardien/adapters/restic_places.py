"""Each kind of target in one place: where restic finds it, and what it must be shown to be let in. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gardien.errors import Refused, TargetRefuses
from gardien.model.settings import LocalTarget, RestTarget, S3Target, SftpTarget, Target
from gardien.words import N_

PUBLIC_AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
# What a login's file must hold, by kind. Plain restic knows the same names.
LOGIN: Mapping[str, tuple[str, ...]] = {
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "rest": ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository lies."""

    location: str  # as restic calls it; there may be a password in it
    ssh_key: Path | None = None
    known_host: str = ""  # a line of a known_hosts file
    store: tuple[str, str, str] | None = None  # an object store's key, its secret, and the region
    tls: bool = False
    ca: Path | None = None


def place(target: Target, login: Mapping[str, str]) -> Place:
    """The place of a target; `login` holds the values that LOGIN names for its kind."""
    match target:
        case LocalTarget():
            return Place(str(target.folder))
        case SftpTarget():
            # A folder without a leading slash is relative to the SSH login's.
            where = f"sftp://{quote(target.user, safe='')}@{_bracketed(target.host)}:{target.port}/{target.folder}"
            return Place(where, ssh_key=target.key, known_host=known_host(target))
        case S3Target():
            key, secret = (login[name] for name in LOGIN["s3"])
            where = f"s3:{target.endpoint.rstrip('/')}/{target.bucket}/{target.folder}"
            return Place(where, store=(key, secret, target.region), tls=_is_tls(target.endpoint), ca=target.ca)
        case RestTarget():
            user, password = (quote(login[name], safe="") for name in LOGIN["rest"])
            scheme, _, rest = target.url.partition("://")
            where = f"rest:{scheme}://{user}:{password}@{rest.rstrip('/')}/"
            return Place(where, tls=_is_tls(target.url), ca=target.ca)


def known_host(target: SftpTarget) -> str:
    """The one line of the known_hosts file that pins the target's key."""
    name = target.host.strip("[]")
    if target.port != 22:
        name = f"[{name}]:{target.port}"
    kind, key, *_ = target.host_key.split()
    return f"{name} {kind} {key}\n"


def store_file(places: Sequence[Place], target: str) -> tuple[str, str] | None:
    """The file of the object stores' key, in the form that AWS gave it, and the region; None if there is no such store.

    Raises Refused for two stores with keys or regions of their own: restic takes but one.
    """
    stores = {each.store for each in places if each.store is not None}
    if not stores:
        return None
    if len(stores) > 1:
        raise Refused(
            N_("restic cannot copy to {target} from another object store with a key or a region of its own"),
            N_("Copy from a target of another kind, such as a disk; or use one key, in one region, for both."),
            target=target,
        )
    key, secret, region = next(iter(stores))
    return f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n", region


def authorities(places: Sequence[Place]) -> list[str]:
    """`--cacert …`: restic trusts what it names alone. Nothing, where the public authorities are to be trusted."""
    own = [each.ca for each in places if each.tls and each.ca is not None]
    public = [PUBLIC_AUTHORITIES] if any(each.tls and each.ca is None for each in places) else []
    return [word for file in [*own, *public] for word in ("--cacert", str(file))] if own else []


def login_missing(target: str, file: Path) -> TargetRefuses:
    """The error for a login's file that is not there, or does not hold what it must."""
    return TargetRefuses(
        N_("the login for the backup target {target} is not on this machine, or not whole ({file})"),
        N_("Write {names} into it, one NAME='value' a line: docs/targets.md shows how."),
        target=target,
        file=str(file),
        names=", ".join(LOGIN[file.suffix.removeprefix(".")]),
    )


def _bracketed(host: str) -> str:
    return f"[{host.strip('[]')}]" if ":" in host else host


def _is_tls(url: str) -> bool:
    return url.startswith("https://")

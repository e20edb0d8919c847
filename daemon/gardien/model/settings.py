"""`gardien.yaml`: what the owner decided about the house. Closed: an unknown key is an error."""

from datetime import time
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

NAME = r"[a-z][a-z0-9-]{0,30}"
HOST = r"(?!-)[A-Za-z0-9-]+(\.(?!-)[A-Za-z0-9-]+)*\.?|\[?[0-9A-Fa-f:.]+\]?"


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path, starting with /")
    return path


Name = Annotated[str, StringConstraints(pattern=rf"^{NAME}\Z")]
HostName = Annotated[str, StringConstraints(pattern=rf"^({HOST})\Z", max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]
Folder = Annotated[Path, AfterValidator(_absolute)]
_CLOCK = r"([01]\d|2[0-3]):[0-5]\d"
Times = Annotated[str, StringConstraints(max_length=60)]  # `daily at 02:30`, `hourly`, a cron line
Count = Annotated[int, Field(ge=0, le=10_000)]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}\Z")]  # ISO 3166, two letters
Hours = Annotated[str, StringConstraints(pattern=rf"^{_CLOCK}-{_CLOCK}\Z")]
Rate = Annotated[str, StringConstraints(pattern=r"^[1-9]\d{0,6} (KiB|MiB)/s\Z")]
MailAddress = Annotated[str, StringConstraints(pattern=rf"^(?!-)[A-Za-z0-9_.+-]{{1,64}}@({HOST})\Z", max_length=200)]
Url = Annotated[
    str, StringConstraints(pattern=rf"^https?://({HOST})(:[0-9]{{1,5}})?(/[A-Za-z0-9._~-]+)*/?\Z", max_length=250)
]
PlainPath = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*\Z")]


def bare(host: str) -> str:
    """As it is compared: `LOCALHOST.` and `[::1]` are `localhost` and `::1`."""
    return host.strip("[]").rstrip(".").lower()


class Closed(BaseModel):
    """Frozen, and deaf to keys it does not know."""

    # python-re: the patterns look ahead, which the default engine cannot.
    model_config = ConfigDict(extra="forbid", frozen=True, regex_engine="python-re")


class Folders(Closed):
    """Where things lie. Each can be moved, so that many worlds can live side by side on one machine."""

    data: Folder = Path("/srv/gardien")
    state: Folder = Path("/var/lib/gardien")
    run: Folder = Path("/run/gardien")
    owner: Folder = Path("/etc/gardien")


def _is_loopback(host: str) -> bool:
    host = host.strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


class Page(Closed):
    """Where the status page listens, and under which names it may be called (all others are refused)."""

    address: HostName = "127.0.0.1"
    port: Port = 8480
    names: tuple[HostName, ...] = ("localhost", "127.0.0.1")
    published_as: HostName | None = None  # a name under which the house's door shows it to everybody who can reach that

    @property
    def known_as(self) -> frozenset[str]:
        """The names under which it may be called. An address of our own cannot be rebound, so it is one of them."""
        own = () if self.address in ("0.0.0.0", "::") else (self.address,)  # noqa: S104
        if self.published_as is not None:
            own = (*own, self.published_as)
        return frozenset(bare(name) for name in (*self.names, *own, "127.0.0.1", "localhost"))

    @property
    def beyond_loopback(self) -> bool:
        """Whether others than this machine can reach it; then they are shown it over TLS alone."""
        return not _is_loopback(self.address)

    @property
    def beside_loopback(self) -> bool:
        """Whether it is on 127.0.0.1 too, over plain HTTP: for this machine, and for who comes through SSH."""
        return self.beyond_loopback and self.address != "0.0.0.0"  # noqa: S104  (which is there already, over TLS)

    @property
    def url(self) -> str:
        """What a person types to open it: from elsewhere, if they can reach it from there."""
        names = self.names or (self.address,)
        name = next((each for each in names if self.beyond_loopback and not _is_loopback(each)), names[0])
        plain = not self.beyond_loopback or (self.beside_loopback and _is_loopback(name))
        host = f"[{name}]" if ":" in name and not name.startswith("[") else name
        return f"{'http' if plain else 'https'}://{host}:{self.port}"


class Docker(Closed):
    """The engine, what the names of our Compose projects begin with, and where the images of a registry come from."""

    socket: Folder = Path("/var/run/docker.sock")
    prefix: Name = "gardien"
    mirrors: dict[str, str] = {}  # docker.io: registry.example:5000


class Programs(Closed):
    """Commands gardien starts; a bare name is looked up in PATH."""

    restic: str = "restic"
    docker: str = "docker"


class Keep(Closed):
    """How long backups are kept: the newest of each of so many hours, days, ... that have one, and all of the last
    `within_days` days.

    `verified`: so many good ones stay in any case, whatever their age.
    """

    hourly: Count = 0
    daily: Count = 14
    weekly: Count = 8
    monthly: Count = 12
    yearly: Count = 3
    within_days: Count = 3
    verified: Annotated[int, Field(ge=1, le=1000)] = 3


class _Target(Closed):
    """What every target has."""

    at: Times | None = None  # None: when `backup.at` says; a copy follows each backup of its source
    keep: Keep = Keep()
    append_only: bool = False  # the owner's word: nothing is ever deleted from here
    copy_of: Name | None = None  # the target that this one is filled from
    law_accepted: Country | None = None  # whose law the owner accepted in words, for a host outside Europe
    compression: Literal["auto", "off", "max"] = "auto"
    gentle: bool = False  # one core, for a machine that has better to do
    upload_limit: dict[Hours, Rate] = {}  # 08:00-20:00: 500 KiB/s, by the machine's clock, also over midnight

    def kib_per_second(self, at: time) -> int | None:
        """How fast gardien may send to it at that time of the day; None: as fast as it goes."""
        for hours, rate in self.upload_limit.items():
            begin, end = (time.fromisoformat(each) for each in hours.split("-"))
            if begin <= at < end or (end <= begin and (at >= begin or at < end)):
                number, unit = rate.split()
                return int(number) * (1024 if unit == "MiB/s" else 1)
        return None


class LocalTarget(_Target):
    """A folder on this machine or on a disk plugged into it."""

    kind: Literal["local"]
    folder: Folder


class SftpTarget(_Target):
    """Any SSH server: a Storage Box, a colleague's NAS. Its host key is pinned here, never asked for."""

    kind: Literal["sftp"]
    host: HostName
    port: Port = 22
    user: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}\Z")]
    folder: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./][A-Za-z0-9_./ -]{0,199}\Z")]
    key: Folder
    host_key: Annotated[
        str, StringConstraints(pattern=r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/=]+( .*)?\Z")
    ]


class S3Target(_Target):
    """Object storage that speaks S3. Its key lies in `secrets/target-NAME.s3`."""

    kind: Literal["s3"]
    endpoint: Url
    bucket: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{1,62}\Z")]
    folder: PlainPath = "gardien"  # within the bucket
    region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")] = "us-east-1"
    ca: Folder | None = None  # whose certificate to trust, in place of the public authorities


class RestTarget(_Target):
    """restic's own rest-server. Its login lies in `secrets/target-NAME.rest`."""

    kind: Literal["rest"]
    url: Url
    ca: Folder | None = None


Target = Annotated[LocalTarget | SftpTarget | S3Target | RestTarget, Field(discriminator="kind")]


class Mail(Closed):
    """Where letters go, and the server that takes them. Its password lies in `secrets/mail.password`."""

    to: Annotated[tuple[MailAddress, ...], Field(min_length=1, max_length=10)]
    from_: MailAddress = Field(alias="from")
    host: HostName
    port: Port = 465
    security: Literal["tls", "starttls", "none"] = "tls"  # none: only for a server on this very machine
    user: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    ca: Folder | None = None  # whose certificate to trust, in place of the public authorities
    weekly: bool = True  # a letter each Monday on how things stand
    monthly: bool = True  # one at the beginning of a month: the record of the last one can be printed


class SecondWay(Closed):
    """Where gardien speaks when letters do not arrive. If it wants a token, that lies in `secrets/second-way.token`."""

    kind: Literal["webhook", "ntfy"]
    url: Url
    when: Literal["unsent", "trouble"] = "unsent"  # trouble: it tells of every trouble, at once, beside the letter


class Backup(Closed):
    """When backups are made, at targets that do not say it themselves."""

    at: Times = "daily at 02:30"
    late_after_hours: Annotated[int, Field(ge=2, le=24 * 30)] = 26
    prove: Times = "weekly"  # when each stack's newest backup is tried; or `never`; `weekly`: each on a day of its own


class Limits(Closed):
    """How patient gardien is, in seconds, and how long it keeps what a restore replaced, in days."""

    command: Annotated[int, Field(ge=10)] = 900
    silence: Annotated[int, Field(ge=30)] = 1800
    healthy: Annotated[int, Field(ge=10)] = 1800
    keep_replaced_days: Annotated[int, Field(ge=1, le=365)] = 7
    restart_after: Annotated[int, Field(ge=0, le=86400)] = 180  # 0: what is down is not restarted
    watch_update: Annotated[int, Field(ge=1, le=86400)] = 600


class Updates(Closed):
    """When new versions are made use of. By hand only, if not said otherwise."""

    look: bool = True  # whether image registries are asked what is new
    by_itself: bool = False  # patch releases; all else is by hand, always
    window: Annotated[str, StringConstraints(max_length=60)] = "sunday 03:00-05:00"  # or `daily 03:00-05:00`
    cooling_days: Annotated[int, Field(ge=0, le=365)] = 3  # for which a release is known before it is made by itself
    # Where releases of gardien itself are: a folder with wheels, or a page that lists them. Nowhere by default: under
    # its name, strangers may publish what they like.
    gardien_from: Annotated[str, StringConstraints(pattern=r"^(https://|/)\S+\Z", max_length=500)] | None = None


class OfStack(Closed):
    """What holds for one stack in place of what holds for all."""

    at: Times | None = None  # when it is saved, whatever its targets say; None: as they say
    window: Annotated[str, StringConstraints(max_length=60)] | None = None  # of its updates


class Watched(Closed):
    """When the machine itself is worth an alert."""

    disk_low: Annotated[int, Field(ge=1, le=50)] = 10  # percent free, below which a disk is getting full
    hot: Annotated[int, Field(ge=40, le=110)] = 80  # degrees Celsius


class Settings(Closed):
    """The whole file."""

    language: Literal["en", "fr"] = "en"
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}\Z")] = "gardien"
    folders: Folders = Folders()
    page: Page = Page()
    docker: Docker = Docker()
    programs: Programs = Programs()
    trust_clock: bool = False  # the owner's word that the machine's time is right although no network sets it
    proxy: str | None = None  # http://proxy.example:3128
    no_proxy: tuple[str, ...] = ()
    images: dict[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*_IMAGE\Z")], str] = {}
    targets: dict[Name, Target] = {}
    backup: Backup = Backup()
    mail: Mail | None = None
    ping: Url | None = None  # of the Healthchecks protocol
    second_way: SecondWay | None = None
    limits: Limits = Limits()
    updates: Updates = Updates()
    watch: Watched = Watched()
    stacks: dict[Name, OfStack] = {}

    def window(self, stack: str) -> str:
        """When updates of this stack may be made without being asked."""
        return (stack in self.stacks and self.stacks[stack].window) or self.updates.window

    def times(self, stack: str, target: str) -> str:
        """When this stack is saved there; a copy follows its source."""
        place, own = self.targets[target], self.stacks[stack].at if stack in self.stacks else None
        if place.copy_of is not None:
            return place.at or own or self.targets[place.copy_of].at or self.backup.at
        return own or place.at or self.backup.at

    @property
    def secrets(self) -> Path:
        """Folder of what must never be readable by others (0700)."""
        return self.folders.owner / "secrets"

    @property
    def mail_password(self) -> Path:
        """The 0600 file that holds the password of `mail.user`."""
        return self.secrets / "mail.password"

    @property
    def second_way_token(self) -> Path:
        """The 0600 file that holds what lets us speak there; there need not be one."""
        return self.secrets / "second-way.token"

    @property
    def socket(self) -> Path:
        """The daemon's unix socket: whoever may open it is logged in."""
        return self.folders.run / "gardien.sock"

    @property
    def around_proxy(self) -> tuple[str, ...]:
        """What is never asked for through the proxy."""
        return ("localhost", "127.0.0.1", "::1", *self.no_proxy)

    def passphrase(self, target: str) -> Path:
        """The 0600 file that holds the passphrase of `target`'s repository."""
        return self.secrets / f"target-{target}.passphrase"

    def login(self, target: str) -> Path:
        """The 0600 file of `NAME='value'` lines that holds what lets us in at an `s3` or `rest` target."""
        return self.secrets / f"target-{target}.{self.targets[target].kind}"

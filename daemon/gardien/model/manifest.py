"""`x-gardien`: what gardien must know of a stack beyond its Compose file. A closed schema.

Compose interpolates the whole file, so a `$` inside `x-gardien` is written `$$`. `{NAME}` stands for a setting or a
given value, and is allowed in addresses, probes, defaults of domains, and commands that join two stacks.
"""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from gardien.model.settings import Closed, Name
from gardien.words import Given

Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*\Z")]
Service = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*\Z")]
SettingKind = Literal["host", "port", "name", "text", "domain", "email", "url", "addresses", "choice"]
Seconds = Annotated[float, Field(gt=0, le=86400)]


def _undollar(text: str) -> str:
    """Compose's own rule: `$$` is a dollar; a lone one would be a variable, which has no place here."""
    if "$" in text.replace("$$", ""):
        raise ValueError("a lone $ is read by Compose as a variable: write $$ for a dollar")
    return text.replace("$$", "$")


def _inside(path: str) -> str:
    if path.startswith(("/", "~", ".gardien")) or ".." in path.split("/") or not path.strip():
        raise ValueError("must be a path inside the stack's folder, without '..'")
    return path


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is not a regular expression: {error}") from error
    return text


Dollared = Annotated[str, AfterValidator(_undollar)]
InStack = Annotated[str, AfterValidator(_inside)]
Pattern = Annotated[str, AfterValidator(_undollar), AfterValidator(_pattern)]
Argv = Annotated[tuple[Dollared, ...], Field(min_length=1)]
Upstream = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*:[1-9][0-9]{0,4}\Z")]
UrlPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~/-]*\Z", max_length=200)]
Notes = Annotated[str, StringConstraints(pattern=r"^https://[^\s\"<>]+\Z", max_length=300)]
FileName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*\Z")]


class Text(Closed):
    """The same words in each of our languages."""

    en: str
    fr: str

    def say(self, language: str) -> str:
        return self.fr if language == "fr" else self.en

    @property
    def given(self) -> Given:
        """To be put into a sentence."""
        return Given(self.en, self.fr)


class Setting(Closed):
    """Something to ask the owner. A setting whose default is empty may stay empty."""

    kind: SettingKind
    default: str
    ask: Text
    choices: dict[str, Text] = {}  # of kind `choice`: what may be answered, and what it means

    @model_validator(mode="after")
    def _chosen_from(self) -> Self:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("choices belong to the kind choice, and to no other")
        return self


class FromCores(Closed):
    """A share of the processor's cores, rounded down."""

    of: Literal["cores"]
    share: Annotated[float, Field(gt=0, le=4)] = 1.0
    least: Annotated[int, Field(ge=1)] = 1
    most: Annotated[int, Field(ge=1)] = 1024


class FromMemory(Closed):
    """A share of the machine's memory in MiB, with Java's and Docker's own letter for it: `384m`."""

    of: Literal["memory"]
    share: Annotated[float, Field(gt=0, le=1)]
    least: Annotated[int, Field(ge=1)] = 1
    most: Annotated[int, Field(ge=1)] = 1024 * 1024


class FromAddresses(Closed):
    """The addresses under which clients reach this machine, with commas between.

    The setting `instead`, where the owner filled it in; else the IPv4 ones in the local network, and for a door that
    is open to the internet also what the setting `name` (a domain) resolves to.
    """

    of: Literal["addresses"]
    instead: Variable
    name: Variable


class FromMode(Closed):
    """One text for a door at home, another for a door that is open to the internet."""

    of: Literal["mode"]
    home: str
    internet: str


Derived = Annotated[FromCores | FromMemory | FromAddresses | FromMode, Field(discriminator="of")]


class Needs(Closed):
    """What the stack takes when it is at work, in MB (10^6 bytes): memory, room for its data at first, its images."""

    memory: Annotated[int, Field(ge=1)]
    disk: Annotated[int, Field(ge=1)]
    images: Annotated[int, Field(ge=1)]


class Route(Closed):
    """A name that leads through the door to a service: `to` and the values of `paths` are `service:port`.

    `paths` are prefixes that lead elsewhere; `redirects` are whole paths; `largest_body` is in MB, None: no limit.
    """

    name: Variable  # a setting of kind domain
    to: Upstream
    paths: dict[UrlPath, Upstream] = {}
    redirects: dict[UrlPath, UrlPath] = {}
    largest_body: Annotated[int, Field(ge=1)] | None = None


class Door(Closed):
    """This stack is the house's door: its Caddy answers for the routes of all stacks. One of them is enough.

    `config` is the folder mounted at /etc/caddy, where gardien writes the Caddyfile; `page` the one mounted at
    /run/gardien, where the status page's socket lies; `root` the certificate authority's own certificate. `check` and
    `reload` are commands in the service: `check` reads /etc/caddy/Caddyfile.new.
    """

    service: Service
    config: InStack
    page: InStack
    root: InStack
    mode: Variable  # a choice of `home` and `internet`
    domain: Variable  # what the names of the house end with
    http_port: Variable
    https_port: Variable
    email: Variable  # for the certificate authority on the internet
    authority: Variable  # its directory's URL
    check: Argv
    reload: Argv


class Secret(Closed):
    """Something to generate, of letters and digits; `show_once`: the owner needs it to log in the first time."""

    length: Annotated[int, Field(ge=16, le=128)] = 32
    show_once: bool = False


class Owned(Closed):
    """A folder made before the first start, and after a restore when it was left out of the backup."""

    owner: Annotated[str, StringConstraints(pattern=r"^\d+:\d+\Z")] = "0:0"
    mode: Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}\Z")] = "0700"

    @property
    def ids(self) -> tuple[int, int]:
        uid, gid = self.owner.split(":")
        return int(uid), int(gid)


class Expectation(Closed):
    """What an answer must hold to be a healthy one."""

    status: Annotated[int, Field(ge=100, le=599)] = 200
    json_: Annotated[dict[str, bool | int | str], Field(alias="json")] = {}
    body: Pattern | None = None


class Probe(Closed):
    """A question to the application, not to its container. Times are in seconds."""

    means: Text | None = None  # in words, what works if it is answered
    http: str | None = None
    headers: dict[str, str] = {}
    tcp: str | None = None
    websocket: str | None = None
    protocol: str | None = None  # what is to be spoken over the websocket
    exec_: Annotated[Service | None, Field(alias="exec")] = None
    argv: tuple[Dollared, ...] = ()
    expect: Expectation = Expectation()
    period: Seconds = 60
    timeout: Seconds = 10
    threshold: Annotated[int, Field(ge=1, le=20)] = 3
    start_period: Seconds = 300

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = [way for way in ("http", "tcp", "websocket", "exec_") if getattr(self, way) is not None]
        if len(ways) != 1:
            raise ValueError("a probe asks in exactly one way: http, tcp, websocket or exec")
        if self.protocol is not None and self.websocket is None:
            raise ValueError("protocol belongs to websocket")
        if (self.exec_ is None) != (not self.argv):
            raise ValueError("exec and argv belong together")
        return self


class Action(Closed):
    """One thing to do to a running stack: `exec` in a service, `wait` for a probe, `stop` or `start` services."""

    exec_: Annotated[Service | None, Field(alias="exec")] = None
    user: str | None = None
    argv: tuple[Dollared, ...] = ()
    wait: str | None = None
    json_: Annotated[dict[str, bool | int | str], Field(alias="json")] = {}
    timeout: Seconds = 600
    stop: tuple[Service, ...] = ()
    start: tuple[Service, ...] = ()
    or_say: Text | None = None  # what to tell if it fails; the job then goes on

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        things = [self.exec_ is not None, self.wait is not None, bool(self.stop), bool(self.start)]
        if sum(things) != 1:
            raise ValueError("an action is exactly one of exec, wait, stop, start")
        if (self.exec_ is None) != (not self.argv):
            raise ValueError("exec and argv belong together")
        return self

    @property
    def words(self) -> str:
        """The action in one line, for a printed plan."""
        if self.exec_ is not None:
            return f"{self.exec_}: {' '.join(self.argv)}"
        if self.wait is not None:
            return f"wait for {self.wait}: {self.json_}"
        return f"stop {' '.join(self.stop)}" if self.stop else f"start {' '.join(self.start)}"


class Dump(Closed):
    """A command whose output is a whole copy of a database; `whole` must match one of its last lines."""

    exec_: Annotated[Service, Field(alias="exec")]
    user: str | None = None
    argv: Argv
    whole: Pattern


class Load(Closed):
    """A command that takes a dump (or nothing) and brings a database back."""

    exec_: Annotated[Service, Field(alias="exec")]
    user: str | None = None
    argv: Argv
    input: FileName | None = None


class BackupRecipe(Closed):
    """How to take a consistent copy. Everything the stack mounts is in `save`, or in `leave_out` with a reason."""

    pause: tuple[Action, ...] = ()
    resume: tuple[Action, ...] = ()
    dumps: dict[FileName, Dump] = {}
    save: tuple[InStack, ...]
    leave_out: dict[InStack, Text] = {}

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if self.pause and not self.resume:
            raise ValueError("a stack that is paused must say how it is resumed")
        return self


class RestoreRecipe(Closed):
    """How a copy comes back: which services first, what to load, what to do once the application runs.

    `older`: what to do then where what came back may be older than what people's own devices have seen.
    """

    first: tuple[Service, ...] = ()
    load: tuple[Load, ...] = ()
    after: tuple[Action, ...] = ()
    older: tuple[Action, ...] = ()
    # By where it lies, the first that fits: what to do when a single file or folder was put back. See `rules.entries`.
    file_back: dict[InStack, tuple[Action, ...]] = {}


class ImageRule(Closed):
    """Which tags of an image's repository are versions of it, and which of them may follow the present one.

    `tags`: a pattern for whole tags, whose groups `major`, `minor` and `patch` (any of them) hold the numbers.
    `majors`: how a step to another major goes: `none` at all, `one-at-a-time` from each whole number to the next,
    through `every` one that there is, or straight to `any`. `same_tag`: images that change together with this one.
    `rebuilt`: those who make it put other contents under the same tag as a habit. In `notes` and `version` `{VERSION}`
    is the one led to.
    """

    tags: Pattern
    majors: Literal["none", "one-at-a-time", "every", "any"] = "none"
    same_tag: tuple[Variable, ...] = ()
    rebuilt: bool = False
    notes: Notes | None = None
    version: Probe | None = None  # the application itself, at that version: `{VERSION}` in `json` or `body`
    gave_up: Probe | None = None  # answered as expected, waiting is of no use any more: its upgrade broke off

    @model_validator(mode="after")
    def _numbered(self) -> Self:
        pattern = re.compile(self.tags)
        if not pattern.groupindex or not pattern.groupindex.keys() <= {"major", "minor", "patch"}:
            raise ValueError("tags needs groups that are called major, minor or patch, and no others")
        if pattern.groups != len(pattern.groupindex):
            raise ValueError("every group in tags has a name; one that needs none is written (?:…)")
        if self.majors != "none" and "major" not in pattern.groupindex:
            raise ValueError("majors belong to tags that name a major")
        return self


class UpdateRules(Closed):
    """Which versions may follow the present ones, and what is to be done around such a step.

    By image variable; each changes by itself, in this order. `busy`: one that is answered as expected says that people
    are at something that an update would end. `patience`: for how long it may be at work until it is well again.
    """

    images: Annotated[dict[Variable, ImageRule], Field(min_length=1)]
    busy: Probe | None = None
    patience: Seconds | None = None
    stop_first: tuple[Service, ...] = ()
    after: tuple[Action, ...] = ()


class Told(Closed):
    """Something to hand to the owner once: what `find` (its first group, if it has one) meets in a command's output."""

    exec_: Annotated[Service, Field(alias="exec")]
    user: str | None = None
    argv: Argv
    find: Pattern
    says: Text


class Join(Closed):
    """How this stack and another one of the house are made to know each other: commands in the other one's services.

    Each may be done again at any time. `{NAME}` in `argv` stands for a setting of kind domain or port of this stack.
    """

    connect: tuple[Action, ...]
    disconnect: tuple[Action, ...] = ()


class Manifest(Closed):
    """The whole of `x-gardien`."""

    format: Literal[1]
    title: Text
    summary: Text
    address: str | None = None
    settings: dict[Variable, Setting] = {}
    derived: dict[Variable, Derived] = {}
    secrets: dict[Variable, Secret] = {}
    needs: Needs | None = None
    folders: dict[InStack, Owned] = {}
    routes: tuple[Route, ...] = ()
    door: Door | None = None
    probes: Annotated[dict[Service, Probe], Field(min_length=1)]
    at_work: tuple[Probe, ...] = ()  # one that is answered as expected: it upgrades itself, and must not be restarted
    backup: BackupRecipe
    restore: RestoreRecipe = RestoreRecipe()
    updates: UpdateRules | None = None
    setup: tuple[Action, ...] = ()  # once, when a new stack answers for the first time
    first_login: dict[Variable, Told] = {}
    with_: Annotated[dict[Name, Join], Field(alias="with")] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, data: Any) -> Any:
        """`update` was another way to say `updates`, before anything followed it: backups still hold it."""
        return {key: value for key, value in data.items() if key != "update"} if isinstance(data, dict) else data

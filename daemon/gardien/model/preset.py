"""A place for backups, as data: `hosts/<name>.yaml`. Closed: an unknown key is an error."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gardien.model.manifest import Text
from gardien.model.settings import Closed, Country, Url

TargetKind = Literal["local", "sftp", "s3", "rest"]
# What an answer is, so that a person can be told what it looks like. `folder`: at the host; `path`, `file`: here.
QuestionKind = Literal["host", "port", "name", "folder", "path", "bucket", "url", "file"]
Suffix = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+\Z")]
# What lets us in, by the names that plain restic knows, too.
LOGIN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        "rest": ("RESTIC_REST_USERNAME", "RESTIC_REST_PASSWORD"),
    }
)
FieldName = Literal["host", "port", "user", "folder", "bucket", "region", "endpoint", "url", "ca"]
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")]


class HostOperator(Closed):
    """Who runs it, and under which country's law that is."""

    name: str
    country: Country


class Region(Closed):
    """One place where its data may lie."""

    title: Text
    country: Country
    endpoint: Url | None = None  # of object storage
    region: Label | None = None  # what the host calls it in its protocol; None: the region's own name


class Question(Closed):
    """What a person is asked: the name of a target's field."""

    kind: QuestionKind
    ask: Text
    default: str = ""
    example: str = ""
    optional: bool = False  # it may be left out


class Preset(Closed):
    """A host, or a kind of host."""

    format: Literal[1]
    title: Text
    kind: TargetKind
    operator: HostOperator | None = None  # None: whoever it is
    suffixes: tuple[Suffix, ...] = ()  # ends of the host names by which it is recognised
    regions: dict[Label, Region] = {}
    given: dict[FieldName, str] = {}  # fields that are not asked; answers may stand in them: {user}
    ask: dict[FieldName, Question] = {}
    click: Text  # where at the host to get in; {public_key}, {user} and other fields may stand in it
    protect: Text  # how to keep a thief of our key from deleting what is there
    note: Text | None = None  # what else one should know before one goes there


class Foreigner(Closed):
    """An operator outside Europe, or a place outside Europe of a European one."""

    name: str
    country: Country
    data: Country | None = None
    suffixes: Annotated[tuple[Suffix, ...], Field(min_length=1)]


class Abroad(Closed):
    """`hosts/abroad.yaml`."""

    format: Literal[1]
    operators: tuple[Foreigner, ...]


class Hosts(Closed):
    """All places that gardien knows, by name."""

    presets: dict[str, Preset] = {}
    abroad: tuple[Foreigner, ...] = ()

"""What can go wrong, each with a code, a sentence and a remedy. Nothing here knows of HTTP or of logs."""

from gardien.words import N_, Value, Words


class GardienError(Exception):
    """Says what cannot be done and why, then what the owner can do. `code` is stable and meant for scripts."""

    code = "failed"

    def __init__(self, says: str, remedy: str = "", *, detail: str = "", **values: Value) -> None:
        self.says = Words(says, values)
        self.remedy = Words(remedy, values)
        self.detail = detail  # the last lines a command printed; shown on request, never translated
        super().__init__(str(self.says))

    def as_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "says": self.says.as_json(),
            "remedy": self.remedy.as_json(),
            "detail": self.detail,
        }


class BadInput(GardienError):
    """Something a person wrote is wrong: a setting, a manifest, an argument."""

    code = "bad-input"


class NotFound(GardienError):
    """There is no such stack, snapshot, job or target."""

    code = "not-found"


class Refused(GardienError):
    """It could be done, but it would hurt; nothing was changed."""

    code = "refused"


class Busy(GardienError):
    """Somebody else is at it."""

    code = "busy"


class DockerDown(GardienError):
    code = "docker-down"


class MailFailed(GardienError):
    """A letter could not be handed to the mail server. `lasting`: the next try will fail as well."""

    code = "mail-failed"

    def __init__(self, says: str, remedy: str = "", *, lasting: bool, detail: str = "", **values: Value) -> None:
        super().__init__(says, remedy, detail=detail, **values)
        self.lasting = lasting


class DiskMissing(GardienError):
    code = "disk-missing"


class NoSpace(GardienError):
    code = "no-space"


class MemoryFailed(GardienError):
    """gardien's own memory, the store, cannot be used."""

    code = "memory-failed"


class MemoryFull(MemoryFailed, NoSpace):
    """There is no room for what has to be remembered."""

    code = "no-space"


class PortTaken(GardienError):
    code = "port-taken"


class NotHealthy(GardienError):
    code = "not-healthy"


class UpdateFailed(GardienError):
    """A new version did not do its work, and was taken back."""

    code = "update-failed"


class CommandFailed(GardienError):
    """A command ended with a code that nobody expected."""

    code = "command-failed"


class NoMemory(CommandFailed):
    """This machine's memory ran out, and the command was ended for it."""


class RegistryFailed(GardienError):
    """An image registry does not answer, or not as one does."""

    code = "registry-failed"


class RegistryBusy(RegistryFailed):
    """An image registry wants to be left alone for `seconds`."""

    code = "registry-busy"

    def __init__(self, says: str, remedy: str = "", *, seconds: float, detail: str = "", **values: Value) -> None:
        super().__init__(says, remedy, detail=detail, **values)
        self.seconds = seconds


class TargetUnreachable(GardienError):
    code = "target-unreachable"


class TargetRefuses(GardienError):
    """The host answers, and does not let us in, or is not the host we know."""

    code = "target-refuses"


class TargetFull(GardienError):
    code = "target-full"


class WrongPassphrase(GardienError):
    code = "wrong-passphrase"


class RepositoryMissing(GardienError):
    code = "repository-missing"


class RepositoryLocked(GardienError):
    code = "repository-locked"


class Incomplete(GardienError):
    """A backup that misses something: it is kept, it never counts as good."""

    code = "incomplete"


class Damaged(GardienError):
    """What came back is not what was saved."""

    code = "damaged"


class DumpBroken(GardienError):
    """A saved database cannot be loaded."""

    code = "dump-broken"


def unexpected(error: BaseException) -> GardienError:
    """Wrap an error nobody planned for, so that it still has words."""
    return GardienError(
        N_("something unexpected happened: {what}"),
        N_("The details are in gardien's log. Nothing further was done; try again, or ask the person who helps you."),
        what=f"{type(error).__name__}: {error}",
    )

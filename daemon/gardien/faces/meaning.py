"""What an alert means for the practice's files, by what it is about: the first thing that anybody wants to know."""

from collections.abc import Mapping
from types import MappingProxyType

from gardien.words import N_, Words

_UNTOUCHED = N_("As far as gardien can see, no file is lost.")
# By the first word of an alert's key. What is not here has nothing to do with files.
_MEANING: Mapping[str, str] = MappingProxyType(
    {
        "stack": _UNTOUCHED,
        "docker": _UNTOUCHED,
        "drift": _UNTOUCHED,
        "backup-late": N_("If this machine broke now, what was written since the last good backup would be lost."),
        "damaged": N_("The files in use are untouched. But some backups at that place may not come back whole."),
        "lost": N_("The files in use are untouched. But those backups can no longer be restored from that place."),
        "drill": N_("The files in use are untouched. But do not rely on that backup until a trial restore succeeds."),
        "unproven": N_(
            "The files in use are untouched. Whether their backups come back has not been tried for a while."
        ),
        "target": N_("The files in use are untouched. But no backup goes to that place for now."),
        "check-late": N_(
            "The files in use are untouched. Whether the backups there are whole is not known for certain."
        ),
        "retention": _UNTOUCHED,
        "update": N_("The files in use are those of before the update."),
        "job": N_("The files in use are untouched."),
    }
)
# Of disks, by what is said of them; any other is full, or will be.
_DISKS: Mapping[str, str] = MappingProxyType(
    {
        "the disk at {path} is not there": N_(
            "The files on it cannot be reached for now. Backups that lie elsewhere are untouched."
        ),
        "the disk at {path} answers with errors": N_(
            "Some files on it may not be readable any more. Backups that lie elsewhere are untouched."
        ),
        "nothing can be written to the disk at {path} any more": N_(
            "The files on it can still be read, but nothing new is saved. Backups that lie elsewhere are untouched."
        ),
    }
)
_FULL = N_("Nothing is lost so far. Once the disk is full, nothing new can be saved, and backups fail.")


def meaning(key: str, says: Words) -> Words | None:
    """Of the alert with that key that says so; None where it has nothing to do with files."""
    about = key.split(":", 1)[0]
    text = _DISKS.get(says.text, _FULL) if about == "disk" else _MEANING.get(about)
    return Words.of(text) if text else None

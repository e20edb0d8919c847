"""Which backups count, and which do not."""

from gardien.model.snapshot import Saved, Snapshot
from gardien.words import N_, Words

SHRUNK = N_("it holds less than half of what the backup before it held")  # the owner may say: that is right
SHRINK = 0.5  # a stack that lost more than this share of its bytes was probably not looked at whole


def why_not_good(saved: Saved, former: Snapshot | None, listed: bool) -> Words | None:
    """None if the backup counts. `former` is the newest good one before it; `listed`: the repository shows it."""
    if not saved.complete:
        return Words.of(N_("{count} files could not be read"), count=max(1, len(saved.missed)))
    if not listed:
        return Words.of(N_("the backup target does not list it"))
    if saved.files == 0:
        return Words.of(N_("it is empty"))
    if former is not None and saved.bytes < former.bytes * SHRINK:
        return Words.of(SHRUNK)
    return None

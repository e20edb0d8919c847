"""How a backup stands, in a word for each case: it counts, is incomplete, is gone, was missed, or is under way."""

from gardien.faces.present import Standing
from gardien.model.snapshot import Snapshot
from gardien.services.upkeep import LOST, Proposal


def standing(snapshot: Snapshot) -> Standing:
    """Whether a backup counts, is incomplete, or is not where it was any more."""
    if snapshot.good:
        return "good"
    return "lost" if snapshot.why == LOST else "incomplete"


def stays(snapshot: Snapshot, proposal: Proposal) -> tuple[str, ...]:
    """Why retention lets it stay, as keys of `present.STAYS`; empty if it goes."""
    ruling = proposal.ruling
    if snapshot.id in ruling.remove:
        return ()
    if reasons := ruling.reasons.get(snapshot.id):
        return reasons
    if ruling.frozen is not None:
        return ("frozen",)
    return ("share",) if snapshot.good else ("incomplete",)

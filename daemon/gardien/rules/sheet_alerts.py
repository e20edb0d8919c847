"""Which alerts are owed over recovery sheets, and over targets at which another machine took over."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from gardien.model.kit import KitView
from gardien.rules.verdict import Owed
from gardien.words import N_, Words

SETTLE = timedelta(days=1)  # in which nobody is reminded of a sheet that was not made yet
PROVEN_WITHIN = timedelta(days=45)  # a month, and some tries


def of_sheets(kits: Sequence[KitView], now: datetime) -> list[Owed]:
    """The house needs one confirmed sheet of a place elsewhere; one that was made has to be right."""
    alerts = []
    for kit in kits:
        why = _why(kit, now)
        if why is not None:
            severity, says = why
            remedy = Words.of(N_("Make one, print it, confirm it: `gardien kit --target {target}`."), target=kit.target)
            alerts.append(Owed(f"kit:{kit.target}", "trouble" if severity else "notice", says, remedy))
        elif kit.confirmed is not None and now - (kit.proven or kit.confirmed) > PROVEN_WITHIN:
            says = Words.of(
                N_("it was not proven for long that the key on your sheet opens {target}"), target=kit.target
            )
            remedy = Words.of(N_("Try it now: `gardien kit prove --target {target}`."), target=kit.target)
            alerts.append(Owed(f"kit-proof:{kit.target}", "notice", says, remedy))
    return alerts


def _why(kit: KitView, now: datetime) -> tuple[bool, Words] | None:
    """Whether it is grave, and what is missing."""
    if kit.made is None:
        if not kit.away or kit.since is None or now - kit.since < SETTLE:
            return None
        return False, Words.of(N_("there is no recovery sheet: were this machine lost, nobody could read its backups"))
    if kit.outdated:
        return True, Words.of(N_("your recovery sheet of {target} is out of date"), target=kit.target)
    if kit.confirmed is None and now - kit.made >= SETTLE:
        return False, Words.of(N_("your recovery sheet of {target} is still to be confirmed"), target=kit.target)
    return None


def of_successors(targets: Sequence[str]) -> list[Owed]:
    """`targets`: those at which another machine saves now."""
    return [
        Owed(
            f"stood-down:{target}",
            "trouble",
            Words.of(N_("another machine saves at {target} now, and this one does not any more"), target=target),
            Words.of(
                N_(
                    "If that is meant, switch this machine off. If it was a mistake: "
                    "`gardien target reclaim {target}`, and the other one stands down."
                ),
                target=target,
            ),
        )
        for target in targets
    ]

"""What the JSON API says of recovery sheets, and of a machine that takes over. See `wire`."""

from datetime import datetime
from typing import Any

from gardien.faces import shapes_places
from gardien.model.kit import Asked, KitView, Offer, Recovery

Data = dict[str, Any]


def view(kit: KitView) -> shapes_places.KitViewData:
    """How it is with a sheet; nothing that is on it."""
    return {
        "target": kit.target,
        "away": kit.away,
        "made": _text(kit.made),
        "confirmed": _text(kit.confirmed),
        "proven": _text(kit.proven),
        "outdated": kit.outdated,
        "new_key": kit.new_key,
        "good": kit.good,
    }


def asked(target: str, groups: tuple[Asked, ...]) -> shapes_places.GroupsData:
    return {"target": target, "groups": [{"line": each.line, "group": each.group} for each in groups]}


def offer(found: Offer) -> shapes_places.LeadsToData:
    return {
        "machine": found.machine,
        "target": found.target,
        "address": found.address,
        "house": found.house,
        "rate": found.rate,
        "seconds": found.seconds,
        "stacks": [
            {
                "stack": each.stack,
                "snapshot": each.snapshot,
                "taken": each.taken.isoformat(),
                "files": each.files,
                "bytes": each.bytes,
                "backups": each.backups,
            }
            for each in found.stacks
        ],
    }


def recovery(now: Recovery | None) -> shapes_places.RecoveryData | None:
    if now is None:
        return None
    return {
        "machine": now.machine,
        "target": now.target,
        "ready": now.ready,
        "stacks": [{"stack": each.stack, "job": each.job} for each in now.stacks],
        "names": list(now.names),
        "addresses": list(now.addresses),
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None

"""What the JSON API says of new versions. See `wire`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from gardien.faces import present
from gardien.model.release import Change, Jump, News, Outlook
from gardien.words import N_

Data = dict[str, Any]

JUMP: Mapping[Jump, str] = MappingProxyType(
    {
        "rebuilt": N_("the same version, made anew"),
        "patch": N_("small repairs"),
        "minor": N_("new features"),
        "major": N_("a new major version"),
    }
)


def news(news: News, outlook: Outlook, language: str) -> Data:
    """What is new for one stack: `changes` are the next steps, `beyond` what no step leads to yet; and its outlook."""
    asked = news.asked
    return {
        "stack": news.stack,
        "asked": _moment(asked.done) if asked is not None else None,
        "trouble": present.say(asked.trouble, language) if asked is not None and asked.trouble is not None else None,
        "changes": [change(each, language) for each in news.changes],
        "beyond": [
            {
                "image": each.key,
                "version": each.text,
                "says": present.say(each.why, language),
                "notes": each.notes or None,
            }
            for each in news.beyond
        ],
        "moved": [
            {
                "image": each.image,
                "tag": each.tag,
                "former": each.former,
                "digest": each.digest,
                "seen": _moment(each.seen),
                "expected": each.expected,
            }
            for each in news.moved
        ],
        "unfollowed": {name: present.say(why, language) for name, why in news.unfollowed.items()},
        **look_out(outlook),
    }


def look_out(outlook: Outlook) -> Data:
    """Who begins an update, when the next one is, and what the last one was: null if one cannot go back from any."""
    last = outlook.last
    return {
        "by_itself": outlook.alone,
        "chosen": outlook.chosen,
        "window": outlook.window,
        "next": _moment(outlook.next),
        "left": [each.text for each in outlook.left],
        "last": last
        and {
            "job": last.job,
            "from": last.former,
            "to": last.version,
            "ended": _moment(last.ended),
            "away_seconds": last.away,
            "snapshot": last.snapshot,
            "target": last.target,
            "taken": _moment(last.taken),
            "kept_until": _moment(outlook.kept_until),
        },
    }


def change(change: Change, language: str) -> Data:
    """One step. `alone_from`: from when on it may be taken without being asked, null: never."""
    said = change.said
    return {
        "image": change.key,
        "from": change.former_text,
        "to": change.text,
        "jump": change.jump,
        "jump_says": present.translate(JUMP[change.jump], language),
        "towards": change.newest or None,
        "notes": change.notes or None,
        "digest": change.digest,
        "images": dict(change.images),
        "seen": _moment(change.seen),
        "alone_from": _moment(change.ripe),
        "said": said.said if said is not None else None,
        "why": present.say(said.why, language) if said is not None and said.why is not None else None,
    }


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at is not None else None

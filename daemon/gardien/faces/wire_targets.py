"""What the JSON API says of places for backups, and of setting one up there. See `wire`."""

from gardien.faces import present, shapes_places
from gardien.faces.wire import operator
from gardien.model.preset import LOGIN, Preset
from gardien.model.setup import Access, Draft, Tried


def preset(name: str, preset: Preset, language: str) -> shapes_places.PresetData:
    """A place for backups, and what a person is asked who wants to use it."""
    regions = {region: each for region, each in preset.regions.items() if each.endpoint is not None}
    return {
        "name": name,
        "title": preset.title.say(language),
        "kind": preset.kind,
        "operator": preset.operator.model_dump() if preset.operator else None,
        "regions": {
            region: {"title": each.title.say(language), "country": each.country} for region, each in regions.items()
        },
        "asks": [
            {
                "name": field,
                "kind": each.kind,
                "ask": each.ask.say(language),
                "default": each.default,
                "example": each.example,
                "optional": each.optional,
            }
            for field, each in preset.ask.items()
        ],
        "login": list(LOGIN.get(preset.kind, ())),
        "click": preset.click.say(language),
        "protect": preset.protect.say(language),
        "note": preset.note.say(language) if preset.note else None,
    }


def draft(draft: Draft, language: str) -> shapes_places.DraftData:
    """What would be set up. `sentence` is to be typed where a foreign law reaches the backups."""
    return {
        "name": draft.name,
        "target": draft.target.model_dump(mode="json", exclude_defaults=True),
        "operator": operator(draft.operator, language),
        "host_keys": [{"line": each.line, "fingerprint": each.fingerprint} for each in draft.host_keys],
        "steps": [present.say(step, language) for step in draft.steps],
        "sentence": draft.sentence.say(language) if draft.sentence else None,
    }


def tried(tried: Tried, access: Access, language: str) -> shapes_places.TriedData:
    """How a target was tried, and what a person needs to let us in."""
    return {
        "name": tried.name,
        "ok": tried.ok,
        "repository": tried.repository,
        "stages": [
            {
                "name": stage.name,
                "state": stage.state,
                "says": present.say(stage.says, language),
                "remedy": present.say(stage.remedy, language) if stage.remedy else "",
                "code": stage.error.code if stage.error else None,
                "detail": stage.error.detail if stage.error else "",
            }
            for stage in tried.stages
        ],
        "public_key": access.public_key,
        "click": present.say(access.click, language),
        "passphrase_file": access.passphrase_file,
    }

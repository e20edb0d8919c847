"""Changes single keys of a settings file; its other keys, their order and the owner's comments stay."""

from io import StringIO

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from gardien.model.edit import Changes


def edited(text: str, changes: Changes) -> str:
    """`text` with these keys changed; a block that is emptied goes with its last key."""
    yaml, out = YAML(), StringIO()
    yaml.width = 10_000
    yaml.preserve_quotes = True
    data = yaml.load(text)
    if data is None:
        data = CommentedMap()
    for path, value in changes.items():
        _change(data, path, value)
    yaml.dump(data, out)
    return out.getvalue()


def _change(block: CommentedMap, path: tuple[str, ...], value: object) -> None:
    key, *rest = path
    if not rest:
        if value is None:
            block.pop(key, None)
        else:
            block[key] = value
        return
    inner = block.get(key)
    if not isinstance(inner, CommentedMap):
        if value is None:
            return
        inner = block[key] = CommentedMap()
    _change(inner, tuple(rest), value)
    if not inner:
        del block[key]

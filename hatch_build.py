"""Build hook: compile the translations and fetch the page's scripts out of the package that ships them."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCRIPTS = {"htmx-2.min.js": "htmx.min.js", "ext/hx-sse-2.min.js": "htmx-sse.min.js"}


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs for wheels and for editable installs alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the `.mo` files and `webui/static/vendor/` into the source tree (both ignored by git)."""
        root = Path(self.root)
        for catalogue in (root / "daemon/gardien/locale").glob("*/LC_MESSAGES/gardien.po"):
            with catalogue.open("rb") as source, catalogue.with_suffix(".mo").open("wb") as compiled:
                write_mo(compiled, read_po(source))
        vendor = root / "webui/static/vendor"
        vendor.mkdir(exist_ok=True, parents=True)
        shelf = files("django_htmx") / "static" / "django_htmx"
        for name, ours in SCRIPTS.items():
            (vendor / ours).write_bytes(shelf.joinpath(name).read_bytes())

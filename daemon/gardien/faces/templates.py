"""The page's templates, compiled once for all languages and lives of the daemon; each comes to life when first shown.

To compile them takes a second on a small machine, so what came of it is kept in a file.
"""

import hashlib
import logging
import marshal
import os
import sys
import zlib
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

import jinja2

from gardien import __version__

log = logging.getLogger(__name__)

DIGEST = hashlib.sha256().digest_size


class Templates(jinja2.BaseLoader):
    """All of a folder. `kept`: the file to keep them in, as root's alone as the rest of the state folder."""

    def __init__(self, folder: Path, kept: Path | None = None) -> None:
        self._sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.html"))}
        told = (__version__, jinja2.__version__, sys.version, *self._sources.items())
        self._mark = hashlib.sha256(repr(told).encode()).digest()
        self._kept = kept
        self._packed: dict[str, bytes] = self._read()

    def load(
        self,
        environment: jinja2.Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002
    ) -> jinja2.Template:
        """One of them, from memory: a page must not wait for a disk. Raises TemplateNotFound."""
        packed = self._packed.get(name) or self._compile(environment, name)
        code = marshal.loads(zlib.decompress(packed))  # noqa: S302  (our own, from memory)
        return environment.template_class.from_code(environment, code, globals or {})

    def _compile(self, environment: jinja2.Environment, name: str) -> bytes:
        if name not in self._sources:
            raise jinja2.TemplateNotFound(name)
        code = environment.compile(self._sources[name], name, name)
        packed = self._packed[name] = zlib.compress(marshal.dumps(code))
        return packed

    def complete(self, environment: jinja2.Environment) -> None:
        """Compile what is not yet, so that no reader waits for it; keep it for the next start. Runs in a thread."""
        missing = self._sources.keys() - self._packed.keys()
        for name in missing:
            self._compile(environment, name)
        if missing:
            self._write()

    def _read(self) -> dict[str, bytes]:
        """What was kept, if it was made of these very sources, by this very Python, and is whole."""
        try:
            told = self._kept.read_bytes() if self._kept is not None else b""
        except OSError:
            return {}
        body = told[DIGEST:]
        if hashlib.sha256(self._mark + body).digest() != told[:DIGEST]:
            return {}
        found: dict[str, bytes] = marshal.loads(body)  # noqa: S302  (our own, whole, from a folder of root's alone)
        return found

    def _write(self) -> None:
        if self._kept is None:
            return
        body, new = marshal.dumps(self._packed), self._kept.with_name(self._kept.name + ".new")
        try:
            new.write_bytes(hashlib.sha256(self._mark + body).digest() + body)
            new.chmod(0o600)
            os.replace(new, self._kept)  # noqa: PTH105
        except OSError as error:
            log.warning("the compiled templates could not be kept: %s", error)

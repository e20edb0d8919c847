"""Certificates that this machine signs for itself, by OpenSSL's own tool."""

import asyncio
import tempfile
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from gardien.adapters.process import run

_PATIENCE = 30.0  # seconds
_FORM = """[req]
prompt = no
distinguished_name = name
x509_extensions = more
[name]
O = gardien
CN = {first}
[more]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
"""


class OwnCertificates:
    """The `Certificates` of this machine. `run_folder` is gardien's own."""

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder

    async def make(self, names: Iterable[str], days: int) -> str:
        """A fresh key and its certificate in PEM, one after the other. Raises CommandFailed."""
        with tempfile.TemporaryDirectory(prefix=".certificate-", dir=self._folder) as room:  # 0700
            form, key, made = (Path(room) / each for each in ("form", "key", "made"))
            wanted = sorted(names)
            text = _FORM.format(first="gardien", names=", ".join(map(_alternative, wanted)))
            await asyncio.to_thread(form.write_text, text, encoding="ascii")
            argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
            argv += ["-sha256", "-days", str(days), "-config", str(form), "-keyout", str(key), "-out", str(made)]
            await run(argv, env={}, children=self._folder / "children", timeout=_PATIENCE)
            return await asyncio.to_thread(lambda: made.read_text("ascii") + key.read_text("ascii"))


def _alternative(name: str) -> str:
    try:
        return f"IP:{ip_address(name.strip('[]'))}"
    except ValueError:
        return f"DNS:{name}"

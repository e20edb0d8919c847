"""Snapshots that restic itself would never make, written by somebody who has the key: names that lead out of a tree."""

import base64
import hashlib
import json
import os
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.poly1305 import Poly1305

Node = Mapping[str, Any]
_TREE = 1  # of a blob in a pack


class Forger:
    """Writes into a repository that lies in a folder. The format is that of restic's `doc/design.rst`."""

    def __init__(self, repository: Path, passphrase: str) -> None:
        self._repository = repository
        [file] = (repository / "keys").iterdir()
        key = json.loads(file.read_text())
        scrypt = Scrypt(base64.b64decode(key["salt"]), 64, key["N"], key["r"], key["p"])
        derived = scrypt.derive(passphrase.encode())
        sealed = base64.b64decode(key["data"])
        nonce, text = sealed[:16], sealed[16:-16]
        opened = Cipher(algorithms.AES(derived[:32]), modes.CTR(nonce)).decryptor().update(text)
        master = json.loads(opened)
        self._encrypt = base64.b64decode(master["encrypt"])
        self._k, self._r = (base64.b64decode(master["mac"][name]) for name in ("k", "r"))

    def snapshot(self, top: Path, nodes: Sequence[Node], **more: Any) -> str:
        """A snapshot in which the folder `top` holds `nodes`; its id. `more`: what else it says of itself."""
        trees: dict[str, bytes] = {}

        def tree(listed: Sequence[Node]) -> str:
            text = json.dumps({"nodes": [self._whole(node, tree) for node in listed]}).encode() + b"\n"
            id_ = hashlib.sha256(text).hexdigest()
            trees[id_] = text
            return id_

        inner: Sequence[Node] = nodes
        for part in reversed(top.parts[1:]):
            inner = [{"name": part, "type": "dir", "mode": 0o700 | 1 << 31, "nodes": inner}]
        root = tree(inner)
        self._pack(trees)
        account = {"time": "2026-03-03T01:41:00Z", "tree": root, "paths": [str(top)], **more}
        return self._file("snapshots", json.dumps(account).encode())

    def _whole(self, node: Node, tree: Any) -> dict[str, Any]:
        made = {"mtime": "2026-03-03T01:41:00Z", "uid": 0, "gid": 0, "content": None, **node}
        if "nodes" in made:
            made["subtree"] = tree(made.pop("nodes"))
        return made

    def _pack(self, trees: Mapping[str, bytes]) -> None:
        blobs, header, listed = b"", b"", []
        for id_, text in trees.items():
            sealed = self._seal(text)
            listed.append({"id": id_, "type": "tree", "offset": len(blobs), "length": len(sealed)})
            header += struct.pack("<BI", _TREE, len(sealed)) + bytes.fromhex(id_)
            blobs += sealed
        sealed = self._seal(header)
        pack = blobs + sealed + struct.pack("<I", len(sealed))
        id_ = hashlib.sha256(pack).hexdigest()
        self._write(self._repository / "data" / id_[:2] / id_, pack)
        self._file("index", json.dumps({"packs": [{"id": id_, "blobs": listed}]}).encode())

    def _file(self, kind: str, text: bytes) -> str:
        sealed = self._seal(text)
        id_ = hashlib.sha256(sealed).hexdigest()
        self._write(self._repository / kind / id_, sealed)
        return id_

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        owner = self._repository.stat()
        for each in (path, path.parent):
            os.chown(each, owner.st_uid, owner.st_gid)

    def _seal(self, text: bytes) -> bytes:
        """AES-256 in counter mode, and Poly1305-AES over it."""
        nonce = os.urandom(16)
        sealed = Cipher(algorithms.AES(self._encrypt), modes.CTR(nonce)).encryptor().update(text)
        s = Cipher(algorithms.AES(self._k), modes.ECB()).encryptor().update(nonce)
        return nonce + sealed + Poly1305.generate_tag(self._r + s, sealed)

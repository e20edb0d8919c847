"""OpenSSH's file of an Ed25519 key, which says in 400 signs what its seed says in 32 bytes."""

import base64
import binascii
import hashlib
import struct

from gardien.errors import BadInput
from gardien.words import N_

_BEGIN, _END = "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
_KIND = b"ssh-ed25519"


def seed_of(text: str) -> bytes | None:
    """The seed of the one Ed25519 key in the file, if it is not locked by a passphrase; else None."""
    body = text.strip().removeprefix(_BEGIN).removesuffix(_END)
    try:
        data = base64.b64decode("".join(body.split()), validate=True)
        if not text.strip().startswith(_BEGIN) or not data.startswith(_MAGIC):
            return None
        rest = data.removeprefix(_MAGIC)
        cipher, rest = _string(rest)
        _, rest = _string(rest)
        _, rest = _string(rest)
        (count,), rest = struct.unpack(">I", rest[:4]), rest[4:]
        _, rest = _string(rest)
        inner, _ = _string(rest)
        kind, inner = _string(inner[8:])
        public, inner = _string(inner)
        pair, _ = _string(inner)
    except (ValueError, struct.error):
        return None
    right = (cipher, count, kind, pair[32:]) == (b"none", 1, _KIND, public) and len(public) == 32
    return pair[:32] if right else None


def key_file(seed: bytes, comment: str = "gardien") -> str:
    """The file of the key that this seed makes, as `ssh-keygen` would write it."""
    public = public_of(seed)
    blob = _packed(_KIND) + _packed(public)
    check = hashlib.sha256(seed).digest()[:4]  # any number, said twice: there is no passphrase to be checked by it
    inner = check * 2 + blob + _packed(seed + public) + _packed(comment.encode())
    inner += bytes(range(1, 1 + -len(inner) % 8))
    data = _MAGIC + _packed(b"none") + _packed(b"none") + _packed(b"") + struct.pack(">I", 1)
    text = base64.b64encode(data + _packed(blob) + _packed(inner)).decode()
    return "\n".join([_BEGIN, *(text[at : at + 70] for at in range(0, len(text), 70)), _END, ""])


def fingerprint(line: str) -> str:
    """`SHA256:…` of a public key's line. Raises BadInput if it is none."""
    try:
        blob = base64.b64decode(line.split()[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise BadInput(N_("this is not a public SSH key: {line}"), line=line[:60]) from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _string(data: bytes) -> tuple[bytes, bytes]:
    """One string of RFC 4251, and what follows it. Raises ValueError."""
    if len(data) < 4 or len(data) < 4 + (size := int.from_bytes(data[:4], "big")):
        raise ValueError("cut short")
    return data[4 : 4 + size], data[4 + size :]


def _packed(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


# -- RFC 8032, chapter 5.1: enough of it to find a public key. It runs once per sheet, on the owner's own machine.

_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE_Y = 4 * pow(5, _P - 2, _P) % _P
_Point = tuple[int, int, int, int]


def public_of(seed: bytes) -> bytes:
    """The public half of the key that `seed` makes."""
    secret = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    secret = secret & ((1 << 254) - 8) | (1 << 254)
    x, y, z, _ = _times(secret, _base())
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _base() -> _Point:
    square = (_BASE_Y * _BASE_Y - 1) * pow(_D * _BASE_Y * _BASE_Y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    x = _P - x if x & 1 else x
    return x, _BASE_Y, 1, x * _BASE_Y % _P


def _plus(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(number: int, point: _Point) -> _Point:
    total = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = _plus(total, point)
        point, number = _plus(point, point), number >> 1
    return total

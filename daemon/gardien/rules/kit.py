"""The recovery sheet's text: a repository's whole address and key in lines that a person can type.

A line is five groups of five signs out of 32 that are not mistaken for each other (Crockford's). Its last two are
checks over the line and its number: any one or two wrong signs in a line are noticed, and of a single one the group is
named. The whole begins with the form's number, its length, and a check of it all.
"""

import base64
import binascii
import hashlib
import html
import json
import re
import ssl
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from gardien.errors import BadInput
from gardien.model.fault import Fault, Faults
from gardien.model.kit import Asked, Kit
from gardien.model.plan import Json
from gardien.model.preset import LOGIN
from gardien.rules.openssh import key_file, seed_of
from gardien.words import N_, Words

FORM = 1
SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
GROUPS, GROUP = 5, 5
_LINE, _DATA = GROUPS * GROUP, GROUPS * GROUP - 2
_HEAD = 6  # bytes: the form, two of the length, three of the check
_ALIKE = str.maketrans("OILU", "011V")
_WRITTEN = re.compile(r"(?<![\w-])(\d{1,3})[\s.:)]+((?:[0-9A-Za-z][ \t\xa0-]*){25})(?![0-9A-Za-z])")
# What is in nearly every sheet, so that it need not be typed. It belongs to the form: another one, another form.
_KNOWN = (
    b'"append_only":true"law_accepted":"US""region":"fr-par"gra"endpoint":"https://s3..io.cloud.ovh.net'
    b'.scw.cloud"bucket":""kind":"rest","url":"https://"kind":"s3""kind":"local","folder":"/mnt/'
    b'{"login":[],"machine":"gardien","place":{"folder":"gardien","host":"u.your-storagebox.de",'
    b'"kind":"sftp","port":23,"user":"u"},"plain":{},"target":"offsite"}'
)


def contents_hash(kit: Kit) -> str:
    """What tells two sheets apart, and nothing of what is on them."""
    seed, certificate = seed_of(kit.key) if kit.key is not None else None, _certificate(kit.ca)
    parts = {
        "machine": kit.machine,
        "target": kit.target,
        "place": dict(kit.place),
        "passphrase": kit.passphrase,
        "login": dict(kit.login),
        "key": seed.hex() if seed is not None else kit.key,  # a file made of the seed says the same in other words
        "ca": certificate.hex() if certificate is not None else kit.ca,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


# -- to text


def write(kit: Kit) -> tuple[str, ...]:
    """The lines of the sheet, without their numbers. Raises BadInput if there is too much for a sheet of paper."""
    body = _pack(kit)
    whole = bytes([FORM]) + len(body).to_bytes(2, "big") + hashlib.sha256(body).digest()[:3] + body
    bits = len(whole) * 8
    number = int.from_bytes(whole, "big") << (-bits % 5)
    values = [number >> at & 31 for at in range(bits + (-bits % 5) - 5, -1, -5)]
    values += [0] * (-len(values) % _DATA)
    lines = [values[at : at + _DATA] for at in range(0, len(values), _DATA)]
    if len(lines) > 150:
        raise BadInput(
            N_("too much would be on the recovery sheet of {target} to be typed, or to be printed on one page"),
            N_("Use a smaller certificate for its server, such as one of the kind ECDSA."),
            target=kit.target,
        )
    return tuple(_grouped(_checked(line, index)) for index, line in enumerate(lines, 1))


def code(lines: Sequence[str]) -> str:
    """The same in one line, of signs that a QR code holds well."""
    return " ".join(f"{number:02} {line.replace(' ', '')}" for number, line in enumerate(lines, 1))


def numbered(lines: Sequence[str]) -> list[str]:
    return [f"{number:02}  {line}" for number, line in enumerate(lines, 1)]


def _grouped(values: Sequence[int]) -> str:
    text = "".join(SIGNS[value] for value in values)
    return " ".join(text[at : at + GROUP] for at in range(0, _LINE, GROUP))


def _pack(kit: Kit) -> bytes:
    """What is random is not compressed: it would only grow."""
    raw: list[bytes] = []
    plain: dict[str, str] = {}

    def put(name: str, text: str | None, short: bytes | None) -> None:
        raw.append(short or b"")
        if short is None and text is not None:
            plain[name] = text

    place = dict(kit.place)
    host_key = str(place.pop("host_key", ""))
    put("passphrase", kit.passphrase, _random(kit.passphrase))
    put("key", kit.key, seed_of(kit.key) if kit.key is not None else None)
    put("host_key", host_key or None, _host_key(host_key))
    put("ca", kit.ca, _certificate(kit.ca))
    head: dict[str, Any] = {"machine": kit.machine, "target": kit.target, "place": place}
    head |= {"login": list(kit.login.values()), "plain": plain}
    text = json.dumps(head, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=_KNOWN)
    small = packer.compress(text) + packer.flush()
    return b"".join(len(part).to_bytes(2, "big") + part for part in (small, *raw))


def _random(text: str) -> bytes | None:
    """The bytes of a passphrase that gardien made."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None
    return data if data and base64.urlsafe_b64encode(data).decode().rstrip("=") == text else None


_ED25519 = base64.b64decode("AAAAC3NzaC1lZDI1NTE5AAAAIA==")


def _host_key(line: str) -> bytes | None:
    kind, _, rest = line.partition(" ")
    try:
        blob = base64.b64decode(rest.split()[0], validate=True) if kind == "ssh-ed25519" and rest.strip() else b""
    except binascii.Error:
        return None
    return blob.removeprefix(_ED25519) if blob.startswith(_ED25519) and len(blob) == len(_ED25519) + 32 else None


def _certificate(text: str | None) -> bytes | None:
    """The one certificate of a file; several are kept as they are."""
    if text is None or text.count("-----BEGIN CERTIFICATE-----") != 1:
        return None
    try:
        return ssl.PEM_cert_to_DER_cert(text.strip())
    except ValueError:
        return None


# -- from text


def line_of(number: int, text: str) -> str:
    """A typed line as it is printed. Raises BadInput, which says what is wrong with it."""
    typed = "".join(text.upper().translate(_ALIKE).split()).replace("-", "")
    values = [SIGNS.find(sign) for sign in typed]
    if -1 in values:
        raise BadInput(
            N_("line {line}: “{sign}” is on no sheet"),
            N_("Type the line again: letters and digits alone."),
            line=number,
            sign=typed[values.index(-1)],
        )
    if len(values) != _LINE:
        raise BadInput(
            N_("line {line} has {found} signs instead of 25"),
            N_("Type the line again: five groups of five."),
            line=number,
            found=len(values),
        )
    first, second = _sums(values, number)
    if not first and not second:
        return _grouped(values)
    at = (_LOG[second] - _LOG[first]) % 31 if first and second else 99
    if at < _DATA:
        group = at // GROUP + 1
    elif at < _DATA + 2:  # the number itself
        raise BadInput(
            N_("line {line} is not right: it may be another line of the sheet"),
            N_("Look at the number before it, and type the line again."),
            line=number,
        )
    else:
        group = GROUPS if at < _DATA + 4 else 0
    remedy = N_("Compare it with the sheet, and type the line again.")
    if not group:
        raise BadInput(N_("line {line} is not right: more than one sign of it is wrong"), remedy, line=number)
    raise BadInput(N_("line {line} is not right; look at its group {group} first"), remedy, line=number, group=group)


def count_of(first: str) -> int:
    """How many lines a sheet has whose first line is this one. Raises BadInput for a form that we cannot read."""
    head = _bytes([first])[:_HEAD]
    if head[0] != FORM:
        raise BadInput(
            N_("this recovery sheet is of a newer kind (form {form})"),
            N_("Install a newer gardien on this machine, then try again."),
            form=head[0],
        )
    size = (_HEAD + int.from_bytes(head[1:3], "big")) * 8
    return -(-size // (5 * _DATA))


def read(text: str) -> Kit:
    """The sheet that was typed, scanned, or printed into a file as text or HTML. Raises `Faults`, BadInput."""
    if "<" in text:
        text = html.unescape(re.sub(r"<[^>]*>", " ", text))
    found = {int(number): line for number, line in _WRITTEN.findall(text.translate({0xA0: " ", 0x202F: " "}))}
    if not found:
        raise BadInput(
            N_("there is no recovery sheet in this text"),
            N_("It has lines such as “01  A7K2M 9QW3E …”: a number, then five groups of five signs."),
        )
    lines: dict[int, str] = {}
    faults: list[Fault] = []
    for number, line in sorted(found.items()):
        try:
            lines[number] = line_of(number, line)
        except BadInput as error:
            faults.append(Fault((f"{number:02}",), error.says, error.remedy))
    count = count_of(lines[1]) if 1 in lines else max(found)
    missing = [number for number in range(1, count + 1) if number not in found]
    for number in missing:
        says = Words.of(N_("line {line} is missing, or has not five groups of five signs"), line=number)
        faults.append(Fault((f"{number:02}",), says, Words.of(N_("Add it from the sheet."))))
    if faults:
        raise Faults(sorted(faults, key=lambda fault: fault.at))
    return join([lines[number] for number in range(1, count + 1)])


def join(lines: Sequence[str]) -> Kit:
    """The sheet of these lines, each as `line_of` gives it. Raises BadInput."""
    count_of(lines[0])
    whole = _bytes(lines)
    size = int.from_bytes(whole[1:3], "big")
    body = whole[_HEAD : _HEAD + size]
    if len(body) < size or hashlib.sha256(body).digest()[:3] != whole[3:_HEAD]:
        raise BadInput(
            N_("these lines do not belong to one recovery sheet"),
            N_("Take all of them from the same sheet, in their order."),
        )
    try:
        return _unpack(body)
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise BadInput(
            N_("this recovery sheet cannot be read"),
            N_("Install a newer gardien on this machine, then try again."),
            detail=type(error).__name__,  # not its text, which may hold what is on the sheet
        ) from None


def _unpack(body: bytes) -> Kit:
    parts: list[bytes] = []
    while body:
        size = int.from_bytes(body[:2], "big")
        parts.append(body[2 : 2 + size])
        body = body[2 + size :]
    small, passphrase, key, host_key, ca = parts
    head = json.loads(zlib.decompressobj(-15, zdict=_KNOWN).decompress(small, 1 << 20))
    plain: Mapping[str, str] = head["plain"]
    place: dict[str, Json] = head["place"]
    line = f"ssh-ed25519 {base64.b64encode(_ED25519 + host_key).decode()}" if host_key else plain.get("host_key")
    if line is not None:
        place["host_key"] = line
    names = LOGIN.get(str(place["kind"]), ())
    return Kit(
        machine=str(head["machine"]),
        target=str(head["target"]),
        place=place,
        passphrase=base64.urlsafe_b64encode(passphrase).decode().rstrip("=") if passphrase else plain["passphrase"],
        login=dict(zip(names, map(str, head["login"]), strict=True)),
        key=key_file(key) if key else plain.get("key"),
        ca=ssl.DER_cert_to_PEM_cert(ca) if ca else plain.get("ca"),
    )


def asked(kit: Kit, lines: Sequence[str]) -> tuple[Asked, ...]:
    """Three groups that are to be typed back: others for another sheet, the same ones each time for one."""
    seed = hashlib.sha256(f"asked {contents_hash(kit)}".encode()).digest()
    count = max(3, len(lines) - 1)  # the last one may be empty but for its checks
    parts = [(count * part // 3, count * (part + 1) // 3) for part in range(3)]
    return tuple(
        Asked(begin + 1 + seed[2 * part] % max(1, end - begin), 1 + seed[2 * part + 1] % GROUPS)
        for part, (begin, end) in enumerate(parts)
    )


def same_group(lines: Sequence[str], wanted: Asked, typed: str) -> bool:
    """Whether somebody who typed this has the sheet before them."""
    text = "".join(typed.upper().translate(_ALIKE).split())
    return lines[wanted.line - 1].split()[wanted.group - 1] == text


def _bytes(lines: Sequence[str]) -> bytes:
    values = [SIGNS.index(sign) for line in lines for sign in line.replace(" ", "")[:_DATA]]
    number, bits = 0, len(values) * 5
    for value in values:
        number = number << 5 | value
    return (number >> bits % 8).to_bytes(bits // 8, "big")


# -- checks: a Reed-Solomon code over 32 elements, distance 3. Of a line and its number, at most 31 signs.

_POWERS = [1]
while len(_POWERS) < 31:
    doubled = _POWERS[-1] << 1
    _POWERS.append(doubled ^ 0b100101 if doubled & 32 else doubled)
_LOG = {value: power for power, value in enumerate(_POWERS)}


def _product(one: int, other: int) -> int:
    return _POWERS[(_LOG[one] + _LOG[other]) % 31] if one and other else 0


def _word(values: Sequence[int], number: int) -> list[int]:
    """The signs, the number between them and their checks."""
    return [*values[:_DATA], number % 32, number // 32, *values[_DATA:]]


def _sums(values: Sequence[int], number: int) -> tuple[int, int]:
    first = second = 0
    for at, value in enumerate(_word(values, number)):
        first ^= value
        second ^= _product(value, _POWERS[at])
    return first, second


def _checked(values: Sequence[int], number: int) -> list[int]:
    """With the two signs that make both sums nothing."""
    first, second = _sums([*values, 0, 0], number)
    one, other = _POWERS[_DATA + 2], _POWERS[_DATA + 3]
    last = _product(second ^ _product(first, one), _POWERS[-_LOG[one ^ other] % 31])
    return [*values, first ^ last, last]

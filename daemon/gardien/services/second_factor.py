"""The second factor: a code of six digits from an app (TOTP, RFC 6238), or one of ten spare codes."""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime

from gardien.errors import BadInput, Refused
from gardien.services.patience import Patience
from gardien.services.ports import Clock, Store
from gardien.words import N_

SPARE = 10
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # none that looks like another
_SLACK = 1  # half minutes by which a telephone's clock may be off
_STEP = 30  # seconds


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that is not in use yet: `uri` is what the QR code says, `secret` what is typed instead."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactor:
    """Of each person who wants one."""

    def __init__(self, store: Store, clock: Clock, patience: Patience) -> None:
        self._store = store
        self._clock = clock
        self._patience = patience
        self._turn = asyncio.Lock()

    def offer(self, user: str, house: str, secret: str | None = None) -> Enrolment:
        """A fresh secret, or `secret` once more."""
        import pyotp  # noqa: PLC0415  (few need it)

        secret = secret or pyotp.random_base32()
        return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=f"gardien {house}"))

    async def enrol(self, user: str, secret: str, code: str) -> list[str]:
        """Begin to ask for it; returns the spare codes, which are shown once. All sessions end.

        Raises BadInput for a wrong code, Refused where there is a second factor already.
        """
        person = await self._store.person(user)
        if person is None or person.secret is not None:
            raise Refused(N_("there is a second factor already"), N_("Take it away first, then set up another."))
        step = _step(secret, code, self._clock())
        if step is None:
            raise _wrong()
        codes = ["-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(2)) for _ in range(SPARE)]
        await self._store.set_second_factor(user, secret, step, [_digest(each) for each in codes])
        await self._store.end_sessions(user)
        return codes

    async def asked(self, user: str) -> bool:
        """Whether this person has one."""
        person = await self._store.person(user)
        return person is not None and person.secret is not None

    async def enter(self, user: str, code: str) -> bool:
        """Whether `code` is right, and was never used. Raises Busy after too many wrong ones."""
        key, code = f"second factor of {user}", "".join(code.split()).lower()
        async with self._turn:  # one after the other: a thousand codes at once would all be let through
            self._patience.ask(key)
            good = await self._good(user, code)
            (self._patience.right if good else self._patience.wrong)(key)
        return good

    async def _good(self, user: str, code: str) -> bool:
        person = await self._store.person(user)
        if person is not None and person.secret is not None:
            step = _step(person.secret, code, self._clock())
            if step is not None:
                return await self._store.use_step(user, step)
            if len(code) > 6:
                return await self._store.use_spare_code(user, _digest(_written(code)))
        return False

    async def remove(self, user: str) -> None:
        """Ask for it no more."""
        await self._store.set_second_factor(user, None, 0, ())

    async def spare(self, user: str) -> int:
        """How many spare codes are left."""
        return await self._store.spare_codes(user)


def _step(secret: str, code: str, now: datetime) -> int | None:
    """The half minute of which `code` is; None if of none near."""
    import pyotp  # noqa: PLC0415

    totp, code, present = pyotp.TOTP(secret), "".join(code.split()), int(now.timestamp()) // _STEP
    if len(code) != 6 or not code.isascii():
        return None
    near = range(present - _SLACK, present + _SLACK + 1)
    return next((each for each in near if hmac.compare_digest(totp.generate_otp(each), code)), None)


def _written(code: str) -> str:
    """However it was typed."""
    plain = code.replace("-", "")
    return f"{plain[:5]}-{plain[5:]}"


def _digest(code: str) -> str:
    """Fifty bits at random, tried five times a minute at most: a plain hash will do."""
    return hashlib.sha256(code.encode()).hexdigest()


def _wrong() -> BadInput:
    return BadInput(
        N_("that is not the code"),
        N_("Type the six digits that the app shows now. If they stay wrong, look at the telephone's clock."),
    )

"""Patience with those who guess: whoever guesses wrong waits, and when the whole world guesses, strangers wait."""

import asyncio
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

from gardien.errors import Busy
from gardien.words import N_

FREE_GUESSES = 5  # wrong ones before waiting begins
LONGEST_WAIT = 300.0  # seconds
FREE_FOR_ALL = 100  # wrong ones by all addresses together, before strangers wait
STRANGERS_WAIT = 5.0  # seconds between two tries of strangers then
CALM_AFTER = 3600.0  # seconds without a wrong one, and all is forgotten
REMEMBERED = 5000  # addresses


class Patience:
    """Kept in memory: a restart forgives. An address that was let in once is no stranger."""

    def __init__(self) -> None:
        self._guesses: OrderedDict[str, tuple[int, float]] = (
            OrderedDict()
        )  # how many wrong ones, and until when to wait
        self._known: OrderedDict[str, None] = OrderedDict()
        self._wrong, self._last, self._strangers_until = 0, 0.0, 0.0

    def ask(self, address: str) -> None:
        """Raises Busy while `address` has to wait."""
        now, who = asyncio.get_running_loop().time(), _whose(address)
        if self._wrong and now - self._last > CALM_AFTER:
            self._wrong, self._strangers_until = 0, 0.0
            self._guesses.clear()
        left = self._guesses.get(who, (0, 0.0))[1] - now
        if left <= 0 and self._wrong >= FREE_FOR_ALL and who not in self._known:
            left = self._strangers_until - now
            if left <= 0:
                self._strangers_until = now + STRANGERS_WAIT
        if left > 0:
            raise Busy(
                N_("too many wrong passwords; try again in {seconds} seconds"),
                N_("Locked out? At the machine itself, `gardien user link` opens the page."),
                seconds=round(left) + 1,
            )

    def right(self, address: str) -> None:
        """It was let in."""
        who = _whose(address)
        self._guesses.pop(who, None)
        self._known[who] = None
        self._known.move_to_end(who)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def wrong(self, address: str) -> None:
        """It was not."""
        now, who = asyncio.get_running_loop().time(), _whose(address)
        self._wrong, self._last = self._wrong + 1, now
        guesses = self._guesses.get(who, (0, 0.0))[0] + 1
        wait = min(LONGEST_WAIT, 2.0 ** min(guesses - FREE_GUESSES + 1, 10)) if guesses >= FREE_GUESSES else 0.0
        self._guesses[who] = (guesses, now + wait)
        self._guesses.move_to_end(who)
        while len(self._guesses) > REMEMBERED:
            self._guesses.popitem(last=False)


def _whose(address: str) -> str:
    """One subscriber has a whole IPv6 network of his own."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(IPv6Address(int(found) >> 64 << 64)) if isinstance(found, IPv6Address) else address

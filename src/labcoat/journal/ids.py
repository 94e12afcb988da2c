"""Ids: thirteen characters, in order of time, unique across machines.

Forty-one bits of milliseconds since 2020 and twenty-four of chance, in Crockford's
base 32 (no i, l, o, u): short enough to cite in a report, sorted as they were made.
Source: RFC 9562, version 7; crockford.com/base32.html.
"""

from __future__ import annotations

import secrets
import threading
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
LENGTH = 13
EPOCH_MS = 1_577_836_800_000  # 2020-01-01T00:00:00Z
CHANCE_BITS = 24


class Ids:
    """A maker of ids, each greater than the one before, even if the clock is set back."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def new(self) -> str:
        """The next id."""
        moment = time.time_ns() // 1_000_000 - EPOCH_MS
        with self._lock:
            drawn = (moment << CHANCE_BITS) | secrets.randbits(CHANCE_BITS)
            self._last = max(drawn, self._last + 1)
            return spell(self._last)


def spell(number: int) -> str:
    """A number below 2^65 in thirteen characters; the order of numbers is kept."""
    return "".join(ALPHABET[(number >> shift) & 31] for shift in range(5 * (LENGTH - 1), -1, -5))

"""The slots of many targets, spread by a hash."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice, pairwise

from labcoat.watch.model.schedule import Cron
from labcoat.watch.schedule.slots import slots

WIDEST_S = 15.0
_SOME_MONDAY = datetime(2024, 1, 1, tzinfo=UTC) - timedelta(seconds=1)
_LOOKED_AT = 64


def key_of(runbook: str, target: str) -> str:
    """What the rounds of a runbook (by its path) on a target are spread by."""
    return f"{runbook}\0{target}"


def offset_s(cron: Cron, key: str, spread_s: float | None = None) -> float:
    """How long after its slot a round is due, in [0, width): the same for the same key.

    ``key``: see ``key_of``. Width: min(period / 4, 15 s), or ``spread_s``; 0 is exact.
    """
    width = min(period_s(cron) / 4, WIDEST_S) if spread_s is None else spread_s
    digest = hashlib.sha256(key.encode()).digest()
    return width * int.from_bytes(digest[:6]) / 2**48


@lru_cache(maxsize=256)
def period_s(cron: Cron) -> float:
    """The shortest time between two of a cron's slots; infinite for fewer than two."""
    some = islice(slots(cron, _SOME_MONDAY), _LOOKED_AT)
    gaps = ((later - sooner).total_seconds() for sooner, later in pairwise(some))
    return min(gaps, default=float("inf"))

"""Arrival plans as formulas: when each request of an open loop should start.

No clock inside: intended starts are a pure function of the plan and the seed, so
both arms of an experiment endure the same sequence, and a table can check it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, assert_never

import numpy as np

from labcoat.model.load import Arrivals

if TYPE_CHECKING:
    import numpy.typing as npt

    from labcoat.model.load import OpenLoop

BLOCK = 512
"""How many starts are computed at once: small, so that computing them never stalls the loop."""

NS_PER_S = 1_000_000_000


def intended_starts(plan: OpenLoop, *, seed: int) -> Iterator[int]:
    """Intended starts of an open loop, nanoseconds since the slice's start, without end.

        constant   t_i = i / rate
        Poisson    t_i = t_(i-1) + Exp(rate),  t_(-1) = 0

    Constant starts are computed from i, never summed up: no drift at any length.
    """
    return chain.from_iterable(block.tolist() for block in _blocks(plan, seed))


def _blocks(plan: OpenLoop, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    match plan.arrivals:
        case Arrivals.CONSTANT:
            return _constant(plan.rate_per_s)
        case Arrivals.POISSON:
            return _poisson(plan.rate_per_s, np.random.default_rng(seed))
    assert_never(plan.arrivals)


def _constant(rate_per_s: float) -> Iterator[npt.NDArray[np.int64]]:
    first = 0
    while True:
        index = np.arange(first, first + BLOCK, dtype=np.float64)
        yield np.rint(index * NS_PER_S / rate_per_s).astype(np.int64)
        first += BLOCK


def _poisson(rate_per_s: float, rng: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    last = 0.0
    while True:
        starts = last + np.cumsum(rng.exponential(NS_PER_S / rate_per_s, BLOCK))
        yield np.rint(starts).astype(np.int64)
        last = float(starts[-1])

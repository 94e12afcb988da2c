"""Arrival plans: tables and properties, no clock."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from labcoat.load.arrivals import BLOCK, intended_starts
from labcoat.model.load import Arrivals, OpenLoop

NS = 1_000_000_000


@pytest.mark.parametrize(
    ("rate_per_s", "expected"),
    [
        (1.0, [0, NS, 2 * NS]),
        (1000.0, [0, 1_000_000, 2_000_000]),
        (3.0, [0, 333_333_333, 666_666_667]),
        (0.5, [0, 2 * NS, 4 * NS]),
    ],
)
def test_constant_starts(rate_per_s: float, expected: list[int]) -> None:
    starts = intended_starts(OpenLoop(rate_per_s=rate_per_s), seed=1)
    assert list(islice(starts, 3)) == expected


def test_constant_starts_do_not_drift_over_blocks() -> None:
    n = 10 * BLOCK + 7
    starts = intended_starts(OpenLoop(rate_per_s=700.0), seed=1)
    assert next(islice(starts, n, None)) == round(n * NS / 700)


def test_poisson_starts_are_those_of_a_poisson_process() -> None:
    plan = OpenLoop(rate_per_s=1000.0, arrivals=Arrivals.POISSON)
    gaps = np.diff(list(islice(intended_starts(plan, seed=7), 40_000))) / 1e6
    assert (gaps >= 0).all()
    # Mean and sd of an exponential are equal; the standard error of both is about 0.5 %.
    assert gaps.mean() == pytest.approx(1.0, rel=0.03)
    assert gaps.std() == pytest.approx(1.0, rel=0.03)
    assert np.mean(gaps > 1.0) == pytest.approx(np.exp(-1), abs=0.02)


def test_the_seed_decides() -> None:
    plan = OpenLoop(rate_per_s=10.0, arrivals=Arrivals.POISSON)
    first, again, other = (list(islice(intended_starts(plan, seed=s), 2000)) for s in (1, 1, 2))
    assert first == again
    assert first != other

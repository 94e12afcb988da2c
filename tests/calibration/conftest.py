"""How a simulated rate is held against the page that promises it.

The page's rates came from simulation too ("SE about 1 point": some 2,000 samples) and
are rounded. A rate agrees when the 99.9 % Clopper-Pearson intervals of both, the page's
widened by half a unit of its last digit, have a value in common.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from labcoat.stats.interval import binomial_interval

PAGE_SAMPLES = 2000
ALPHA = 0.001


def agrees(
    name: str,
    hits: npt.NDArray[np.bool_],
    *,
    page: float | None = None,
    digit: float = 0.001,
    at_most: float | None = None,
    at_least: float | None = None,
) -> None:
    """Print the rate beside the page's, and fail when they cannot be the same."""
    seen = binomial_interval(int(hits.sum()), hits.size, alpha=ALPHA)
    row = f"{name:<58} {seen.point:7.2%}  [{seen.low:.2%}, {seen.high:.2%}]"
    if page is not None:
        row += f"  page {page:.1%}"
        theirs = binomial_interval(round(page * PAGE_SAMPLES), PAGE_SAMPLES, alpha=ALPHA)
        low, high = theirs.low - digit / 2, theirs.high + digit / 2
        assert seen.low <= high, row
        assert seen.high >= low, row
    if at_most is not None:
        row += f"  promised <= {at_most:.1%}"
        assert seen.low <= at_most, row
    if at_least is not None:
        row += f"  promised >= {at_least:.1%}"
        assert seen.high >= at_least, row
    print(row)  # noqa: T201  the tables are what `make calibrate` is for


@pytest.fixture
def agree() -> Callable[..., None]:
    return agrees

"""When an instance counts as warm."""

from __future__ import annotations

import numpy as np
import pytest

from labcoat.lab.trial.steady import steadiness


@pytest.mark.parametrize(
    ("rates", "is_steady"),
    [
        ([100, 101, 100, 99, 100], True),
        ([100, 104, 108, 112, 116], False),  # still rising, without noise
        ([50, 80, 100, 100, 101, 100, 99], True),  # only the last five count
        ([100, 112, 90, 108, 95], True),  # noisy, and going nowhere
        ([100, 100, 100, 100], False),  # too few
        ([0, 100, 100, 100, 100], False),  # a second with no answer
        ([10, 200, 300, 400, 420], False),
    ],
)
def test_steady_means_that_the_rate_has_stopped_rising(rates: list[float], is_steady: bool) -> None:
    assert steadiness(np.array(rates, dtype=float)).is_steady is is_steady


def test_a_short_warm_up_has_no_finite_spread() -> None:
    assert steadiness(np.array([1.0])).spread_ratio == float("inf")

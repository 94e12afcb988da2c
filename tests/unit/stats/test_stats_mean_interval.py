"""The mean of one level, with its t interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from labcoat.errors import AnalysisError
from labcoat.stats.interval import mean_interval


def test_mean_interval_is_the_t_interval_of_scipy() -> None:
    values = np.array([4.1, 3.9, 4.4, 4.0, 4.3])
    expected = stats.t.interval(0.95, values.size - 1, loc=values.mean(), scale=stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.point == pytest.approx(4.14)


@pytest.mark.parametrize("values", [[1.0], [1.0, np.nan]])
def test_mean_interval_refuses_what_has_no_spread_to_speak_of(values: list[float]) -> None:
    with pytest.raises(AnalysisError):
        mean_interval(np.array(values))

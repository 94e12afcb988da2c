"""HDR histograms of latencies: merged, never averaged.

Values go in and come out in seconds; inside they are whole microseconds from 1 µs to
an hour, kept to three significant digits.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram

from labcoat.errors import AnalysisError

LOWEST_US = 1
HIGHEST_US = 3_600_000_000
DIGITS = 3


def histogram(latencies_s: npt.ArrayLike) -> HdrHistogram:
    """A histogram of latencies, shape ``(n,)``, seconds; above an hour counts as an hour.

    Raises: AnalysisError if one is negative or not a number.
    """
    values = np.asarray(latencies_s, dtype=np.float64).ravel()
    if not (values >= 0).all():
        raise AnalysisError(
            "a latency is negative or not a number", way_out="leave unfinished requests out"
        )
    micros = np.clip(np.rint(values * 1e6), LOWEST_US, HIGHEST_US).astype(np.int64)
    made = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    # The histogram keeps 11 leading bits; cutting the others first changes no bucket,
    # and leaves thousands of distinct values to record where there were millions.
    bits = np.maximum(np.frexp(micros.astype(np.float64))[1] - 11, 0)
    cut, counts = np.unique((micros >> bits) << bits, return_counts=True)
    for value, count in zip(cut.tolist(), counts.tolist(), strict=True):
        made.record_value(value, count)
    return made


def merge(histograms: Iterable[HdrHistogram]) -> HdrHistogram:
    """All of them as one; the parts stay as they were."""
    merged = HdrHistogram(LOWEST_US, HIGHEST_US, DIGITS)
    for part in histograms:
        merged.add(part)
    return merged


def percentile_s(of: HdrHistogram, q: float) -> float:
    """Quantile q (0 to 1) in seconds; q = 1 is the maximum.

    Raises: AnalysisError for an empty histogram or a q outside [0, 1].
    """
    if of.get_total_count() == 0 or not 0 <= q <= 1:
        raise AnalysisError(
            f"quantile {q:g} of {of.get_total_count()} latencies does not exist",
            way_out="measure longer, and give a quantile between 0 and 1",
        )
    return float(of.get_value_at_percentile(100 * q)) / 1e6

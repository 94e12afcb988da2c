"""Intervals: what a sample says of the size of an effect, a rate or a percentile.

None of these is a verdict; only ``decide`` gives one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import special

from labcoat.errors import AnalysisError
from labcoat.model.stats import Effect, Interval, LabWarning, Sample
from labcoat.stats.block import SPREAD_FLOOR
from labcoat.stats.forecast import critical
from labcoat.stats.sequential import PHI

Estimator: TypeAlias = Callable[[Sample], Effect]
"""The seam: a sample in, an effect with interval, method and warnings out."""

ENOUGH_BLOCKS = 6


def anytime_effect(sample: Sample, *, alpha: float = 0.05, phi: float = PHI) -> Effect:
    """Effect of the treatment, with an interval valid at every look.

    The interval may be read after each block and the experiment stopped at any
    of them: it covers the true effect with probability >= 1 - alpha.

        mean(d) ± s/√n · √((n - 1)(K - 1) / (1 - rK))    if rK < 1, else unbounded
        K = ((phi + n) / (phi · alpha²))^(1/n),  r = phi / (phi + n)

    Symbols: d_i = mean log treatment - mean log baseline of block i; n blocks;
    s their standard deviation (n - 1 in the denominator); phi the mixture weight.
    Shape: ``sample.log_ratios`` is float64 ``(n,)``, in block order.
    Units: d in natural log; the Effect is a ratio, exp(d) - 1 (0.05 reads
    "5 % higher"), raw sign: the metric knows which way is better.
    Assumes: d_i independent and roughly normal. n < 6 adds warning ``few_blocks``.
    Raises: AnalysisError if n < 2, a value is not finite, or all are equal.
    Source: Lai 1976; Wang & Ramdas 2023, arXiv 2310.03722.
    """
    d = _values(sample)
    return _effect(d, d.std(ddof=1) * critical(d.size, alpha, phi), method="anytime-t")


def fixed_effect(sample: Sample, *, alpha: float = 0.05) -> Effect:
    """Effect of the treatment, for a number of blocks that was fixed beforehand.

        mean(d) ± t_(n-1, 1-alpha/2) · s/√n

    For confirmations, which never stop early: read after every block it would be
    wrong five times too often. Symbols, units, errors as ``anytime_effect``.
    Source: Student 1908.
    """
    d = _values(sample)
    quantile = special.stdtrit(d.size - 1, 1 - alpha / 2)
    return _effect(d, d.std(ddof=1) / math.sqrt(d.size) * quantile, method="paired-t")


def mean_interval(values: npt.NDArray[np.float64], *, alpha: float = 0.05) -> Interval:
    """Mean of independent values with its t interval, in the values' own unit.

        mean ± t_(n-1, 1-alpha/2) · s/√n

    For one level measured several times (an instance's throughput, in logs); two levels
    are compared by blocks and never by two of these. Raises: AnalysisError for fewer
    than two values, or one that is not finite. Source: Student 1908.
    """
    if values.size < 2 or not np.isfinite(values).all():
        raise AnalysisError(
            "values too few or not finite", way_out="measure at least two, without void ones"
        )
    mean = float(values.mean())
    quantile = special.stdtrit(values.size - 1, 1 - alpha / 2)
    half = float(values.std(ddof=1) / math.sqrt(values.size) * quantile)
    return Interval(
        point=mean,
        low=mean - half,
        high=mean + half,
        confidence=1 - alpha,
        method="t",
        n=values.size,
    )


def noise_floor(sample: Sample, *, alpha: float = 0.05) -> float:
    """Half-width of the A/A interval, a ratio; infinite when it is unbounded.

    √((1 + high)/(1 + low)) - 1 of the anytime interval: half of it in logs.
    Raises: as ``anytime_effect``.
    """
    d = _values(sample)
    return float(np.expm1(d.std(ddof=1) * critical(d.size, alpha)))


def binomial_interval(successes: int, trials: int, *, alpha: float = 0.05) -> Interval:
    """The rate behind ``successes`` of ``trials``, never too narrow.

    Beta quantiles: (alpha/2; k, n-k+1) and (1-alpha/2; k+1, n-k).
    Raises: AnalysisError unless 0 <= successes <= trials and trials > 0.
    Source: Clopper & Pearson 1934.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise AnalysisError(
            f"{successes} of {trials} is no rate", way_out="count at least one trial"
        )
    k, n = successes, trials
    return Interval(
        point=k / n,
        low=float(special.betaincinv(k, n - k + 1, alpha / 2)) if k else 0.0,
        high=float(special.betaincinv(k + 1, n - k, 1 - alpha / 2)) if k < n else 1.0,
        confidence=1 - alpha,
        method="clopper-pearson",
        n=n,
    )


def percentile_ranks(n: int, q: float, *, alpha: float = 0.05) -> tuple[int | None, int | None]:
    """Ranks (1 is the smallest) of the values that enclose quantile q; None: none does.

    low  = largest l with P(Binomial(n, q) <  l) <= alpha/2
    high = smallest u with P(Binomial(n, q) >= u) <= alpha/2

    Source: David & Nagaraja, Order Statistics, section 7.1.
    """
    if not 0 < q < 1 or n < 1:
        raise AnalysisError(
            f"quantile {q:g} of {n} values does not exist",
            way_out="give a quantile between 0 and 1, and at least one value",
        )
    below = special.bdtr(np.arange(n + 1, dtype=np.float64), n, q)  # P(Binomial <= k)
    low = int(np.searchsorted(below, alpha / 2, side="right"))
    high = int(np.searchsorted(below, 1 - alpha / 2, side="left")) + 1
    return (low if low >= 1 else None), (high if high <= n else None)


def percentile_interval(values: npt.ArrayLike, q: float, *, alpha: float = 0.05) -> Interval:
    """Quantile q of one set of values, with the order statistics that enclose it.

    ``values`` in any unit and order; the interval has the same unit. Free of any
    distribution, but takes the values as independent: requests of one slice are not,
    so it describes that slice and must not be used to compare arms.
    Warns ``few_values`` where an end is unbounded.
    Raises: AnalysisError without a value, or if one is not a number.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if np.isnan(ordered).any():
        raise AnalysisError("a value is not a number", way_out="leave unfinished requests out")
    low, high = percentile_ranks(ordered.size, q, alpha=alpha)
    warnings: tuple[LabWarning, ...] = ()
    if low is None or high is None:
        warnings = (
            LabWarning(
                code="few_values",
                message=f"{ordered.size} values do not enclose quantile {q:g}",
                remedy="measure longer",
            ),
        )
    return Interval(
        point=float(ordered[max(math.ceil(q * ordered.size) - 1, 0)]),
        low=-math.inf if low is None else float(ordered[low - 1]),
        high=math.inf if high is None else float(ordered[high - 1]),
        confidence=1 - alpha,
        method="order-statistics",
        n=ordered.size,
        warnings=warnings,
    )


def few_blocks(n: int) -> tuple[LabWarning, ...]:
    """Warning ``few_blocks`` when there are fewer than a verdict needs."""
    if n >= ENOUGH_BLOCKS:
        return ()
    return (
        LabWarning(
            code="few_blocks",
            message=f"{n} blocks, {ENOUGH_BLOCKS} needed for a verdict",
            remedy="raise --budget",
        ),
    )


def _values(sample: Sample) -> npt.NDArray[np.float64]:
    d = sample.log_ratios
    if d.size < 2 or not np.isfinite(d).all() or np.ptp(d) <= SPREAD_FLOOR:
        raise AnalysisError(
            "blocks too few or degenerate", where=sample.metric, way_out="measure more blocks"
        )
    return d


def _effect(d: npt.NDArray[np.float64], half: float, *, method: str) -> Effect:
    mean = d.mean()
    low, point, high = np.expm1([mean - half, mean, mean + half]).tolist()
    return Effect(
        point=point, low=low, high=high, method=method, n=d.size, warnings=few_blocks(d.size)
    )

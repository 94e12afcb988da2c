"""The steal covariate: take out of a block what the neighbours put in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labcoat.errors import AnalysisError
from labcoat.model.stats import LabWarning, Sample

ENOUGH_FOR_SLOPE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """How much of a metric follows the covariate, learnt from A/A blocks.

    ``value``: log metric per unit of covariate; 0 where adjusting would not pay.
    ``sd``, ``adjusted_sd``: deviation of D before, and after as it should be on fresh
    blocks (leave-one-out). ``n``: A/A blocks it rests on.
    """

    value: float
    sd: float
    adjusted_sd: float
    n: int
    warnings: tuple[LabWarning, ...] = ()


def learn_beta(aa: Sample) -> Beta:
    """The slope of D on the covariate, from A/A blocks; 0 if it would not pay.

        beta = cov(D, C_B - C_A) / var(C_B - C_A)

    C: mean of log(1 - steal ratio) over an arm's slices. Adopted only if it makes the
    leave-one-out deviation smaller, e_i / (1 - h_i), and there are 8 blocks or more.
    Never give it blocks that are under judgement: the slope would eat the effect.
    Raises: AnalysisError without a covariate or with values that are not finite.
    Source: Deng, Xu, Kohavi & Walker 2013 (CUPED); Allen 1974 (PRESS).
    """
    d, c = aa.log_ratios, _covariate(aa)
    if d.size < 2 or not (np.isfinite(d).all() and np.isfinite(c).all()):
        raise AnalysisError(
            "A/A blocks too few or not finite", where=aa.metric, way_out="measure more A/A blocks"
        )
    sd = float(d.std(ddof=1))
    if d.size < ENOUGH_FOR_SLOPE:
        return Beta(value=0.0, sd=sd, adjusted_sd=sd, n=d.size, warnings=_few(d.size))
    spread = c - c.mean()
    power = float(spread @ spread)
    if power == 0:
        return Beta(value=0.0, sd=sd, adjusted_sd=sd, n=d.size)
    slope = float(spread @ d) / power
    leverage = 1 / d.size + spread**2 / power
    if leverage.max() > 1 - 1e-9:  # one block alone holds all the steal: nothing to learn from
        return Beta(value=0.0, sd=sd, adjusted_sd=sd, n=d.size)
    left_out = (d - d.mean() - slope * spread) / (1 - leverage)
    adjusted_sd = float(np.sqrt(np.mean(left_out**2)))
    # The plain mean, left out in the same way, is n/(n-1) further off than sd says.
    plain = (d - d.mean()) / (1 - 1 / d.size)
    if adjusted_sd >= float(np.sqrt(np.mean(plain**2))):
        return Beta(value=0.0, sd=sd, adjusted_sd=sd, n=d.size)
    return Beta(value=slope, sd=sd, adjusted_sd=adjusted_sd, n=d.size)


def adjust(sample: Sample, beta: Beta) -> Sample:
    """The sample without the share that the covariate explains: D - beta (C_B - C_A).

    Any fixed beta leaves the effect unbiased, for no knob can reach the covariate.
    Raises: AnalysisError without a covariate.
    """
    return Sample(
        metric=sample.metric,
        log_ratios=sample.log_ratios - beta.value * _covariate(sample),
        covariate=sample.covariate,
    )


def _covariate(sample: Sample) -> npt.NDArray[np.float64]:
    if sample.covariate is None or sample.covariate.shape != sample.log_ratios.shape:
        raise AnalysisError(
            "no covariate for each block",
            where=sample.metric,
            way_out="record steal in every slice, or do not adjust",
        )
    return sample.covariate


def _few(n: int) -> tuple[LabWarning, ...]:
    return (
        LabWarning(
            code="few_blocks",
            message=f"{n} A/A blocks, {ENOUGH_FOR_SLOPE} needed to learn what steal does",
            remedy="lengthen the A/A phase",
        ),
    )

"""From slices to the one value per block, and from blocks to epochs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from labcoat.errors import AnalysisError
from labcoat.model.stats import Sample

SPREAD_FLOOR = 1e-12
"""Log ratios that differ by less are equal: it is rounding, not measurement."""


def log_ratio(baseline: npt.ArrayLike, treatment: npt.ArrayLike) -> float:
    """The value of a block: D = mean(log treatment) - mean(log baseline).

    The arms' slices, in any one unit: it cancels. exp(D) - 1 is the effect.
    Raises: AnalysisError if an arm has no slice, or a value is not finite and > 0.
    """
    arms = [np.asarray(arm, dtype=np.float64) for arm in (baseline, treatment)]
    for name, arm in zip(("baseline", "treatment"), arms, strict=True):
        if arm.size == 0 or not (np.isfinite(arm) & (arm > 0)).all():
            raise AnalysisError(
                "a slice has no positive value, so its logarithm says nothing",
                where=f"the {name} of a block",
                way_out="call the block void and measure it again",
            )
    return float(np.log(arms[1]).mean() - np.log(arms[0]).mean())


def by_epoch(sample: Sample, epochs: Sequence[int]) -> Sample:
    """The sample with one value per epoch: the mean of its blocks.

    ``epochs``: the epoch of each block, in order. Restarts are the replicate: blocks
    of one boot share its luck, so with several per epoch only their mean may be judged.
    Raises: AnalysisError if there is not one epoch for each block.
    """
    index = np.asarray(epochs)
    if index.shape != sample.log_ratios.shape:
        raise AnalysisError(
            f"{index.size} epochs for {sample.log_ratios.size} blocks",
            where=sample.metric,
            way_out="name the epoch of each block",
        )
    order = list(dict.fromkeys(index.tolist()))

    def means(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array([values[index == epoch].mean() for epoch in order], dtype=np.float64)

    return Sample(
        metric=sample.metric,
        log_ratios=means(sample.log_ratios),
        covariate=None if sample.covariate is None else means(sample.covariate),
    )

"""A block's values: four slices in, one log ratio for each metric out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from labcoat.model.experiment import Arm
from labcoat.model.stats import Sample
from labcoat.stats.block import by_epoch, log_ratio

UNSTOLEN = "unstolen"
"""The covariate of science.md section 4: the share of the CPU that neighbours left."""


def block_values(slices: Sequence[tuple[Arm, Mapping[str, float]]]) -> dict[str, float]:
    """The log ratio of one block, for each metric that all of its slices have.

    ``slices``: the block's four, each with its arm and metric -> value (> 0).
    """
    shared = [name for name in slices[0][1] if all(name in values for _, values in slices)]
    arms = {arm: [values for each, values in slices if each is arm] for arm in Arm}
    return {
        name: log_ratio(
            [values[name] for values in arms[Arm.BASELINE]],
            [values[name] for values in arms[Arm.TREATMENT]],
        )
        for name in shared
    }


def block_sample(metric: str, epochs: Sequence[Sequence[Mapping[str, float]]]) -> Sample:
    """Every block's value of one metric, in order, with the covariate beside it."""
    blocks = [block for epoch in epochs for block in epoch]
    return Sample(
        metric=metric,
        log_ratios=np.array([block[metric] for block in blocks]),
        covariate=np.array([block[UNSTOLEN] for block in blocks]),
    )


def epoch_sample(metric: str, epochs: Sequence[Sequence[Mapping[str, float]]]) -> Sample:
    """One value for each epoch: blocks between two restarts are no independent data."""
    index = [number for number, epoch in enumerate(epochs) for _ in epoch]
    return by_epoch(block_sample(metric, epochs), index)

"""Where the noise sits: within an epoch, or between restarts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labcoat.errors import AnalysisError


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Variance of D within an epoch and between restarts, in squared logs."""

    within: float
    between: float
    epochs: int
    n: int

    def of_epoch_mean(self, blocks: int) -> float:
        """Variance of the mean of an epoch of so many blocks: between + within/blocks."""
        return self.between + self.within / blocks


def variance_components(epochs: Sequence[npt.ArrayLike]) -> Components:
    """Variance within and between epochs: one-way random effects, moments.

        within  = MSW,   between = max(0, (MSB - MSW) / n0),   n0 = (N - Σ n_i²/N) / (k - 1)

    ``epochs``: the blocks' log ratios, one array per epoch, of any length >= 1.
    Raises: AnalysisError unless there are two epochs, and one of them has two blocks.
    Source: Searle, Casella & McCulloch 1992, section 3.6.
    """
    groups = [np.asarray(epoch, dtype=np.float64) for epoch in epochs]
    sizes = np.array([group.size for group in groups], dtype=np.float64)
    k, total = len(groups), int(sizes.sum())
    if k < 2 or (sizes < 1).any() or total == k:
        raise AnalysisError(
            "two epochs, one of them with two blocks, are the least that shows a restart's share",
            way_out="measure more epochs, with two blocks each",
        )
    values = np.concatenate(groups)
    if not np.isfinite(values).all():
        raise AnalysisError("a block is not finite", way_out="leave void blocks out")
    means = np.array([group.mean() for group in groups])
    msw = sum(float(((g - g.mean()) ** 2).sum()) for g in groups) / (total - k)
    msb = float((sizes * (means - values.mean()) ** 2).sum()) / (k - 1)
    typical = (total - float((sizes**2).sum()) / total) / (k - 1)
    return Components(within=msw, between=max(0.0, (msb - msw) / typical), epochs=k, n=total)


def blocks_per_restart(
    components: Components, *, restart_s: float, block_s: float, most: int = 2
) -> int:
    """Blocks of an epoch that buy the most precision per second, 1 to ``most``.

    The whole number that minimises (restart_s + k block_s)(between + within/k); without
    the bound it lies beside k = √((restart_s/block_s)(within/between)).
    """
    costs = [(restart_s + k * block_s) * components.of_epoch_mean(k) for k in range(1, most + 1)]
    return int(np.argmin(costs)) + 1

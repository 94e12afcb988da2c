"""What a time budget can find: the sequential rule, simulated before it is used."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from labcoat.errors import AnalysisError
from labcoat.model.baseline import Detectable
from labcoat.stats.sequential import first_look, log_evidence

SAMPLES = 1500
"""Simulated experiments behind each answer: the power is within ±2 points."""

LARGEST = 8.0
"""In units of the noise: an effect that any rule finds at its first look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What one data point of an experiment costs. Seconds.

    A data point is an epoch: both arms restarted (``restart_s``, warm-up included),
    then ``blocks_per_epoch`` blocks of ``block_s``.
    """

    block_s: float
    restart_s: float = 0.0
    blocks_per_epoch: int = 1

    def __post_init__(self) -> None:
        if not self.block_s > 0 or self.restart_s < 0 or self.blocks_per_epoch < 1:
            raise ValueError("a data point needs block_s > 0, restart_s >= 0, a block or more")

    @property
    def point_s(self) -> float:
        """Seconds for one data point."""
        return self.restart_s + self.blocks_per_epoch * self.block_s


def detectable(
    *,
    sd: float,
    costs: Costs,
    budget_s: float,
    cap: int = 40,
    alpha: float = 0.05,
    power: float = 0.80,
) -> Detectable:
    """The smallest effect that the rule calls IMPROVED with at least this power.

    ``sd``: deviation of the value of one data point, in logs, after adjustment (with
    several blocks per epoch: of the epoch's mean). The data points that fit into the
    budget, at most the cap, are what the rule may look at. ``effect_ratio`` is None
    when they are fewer than a verdict needs. Above the margin, what it says of margins
    and of giving up moves the power by under two points, and is left out.
    Raises: AnalysisError if sd is not a positive number.
    """
    _check(sd)
    points = min(cap, int(budget_s / costs.point_s))
    smallest = None
    if points >= first_look(alpha):
        smallest = math.expm1(sd * smallest_ratio(points, cap=cap, alpha=alpha, power=power))
    return Detectable(
        budget_s=budget_s, blocks=points * costs.blocks_per_epoch, effect_ratio=smallest
    )


def budget_for(
    *,
    sd: float,
    costs: Costs,
    effect: float,
    cap: int = 40,
    alpha: float = 0.05,
    power: float = 0.80,
) -> float | None:
    """Seconds that find an effect of this ratio with at least this power.

    The inverse of ``detectable``: None when the cap is reached first, so that only less
    noise would help. Raises: AnalysisError if sd or effect is not a positive number.
    """
    _check(sd)
    _check(effect)
    ratio = math.log1p(effect) / sd
    low, high = first_look(alpha), cap
    if high < low or smallest_ratio(high, cap=cap, alpha=alpha, power=power) > ratio:
        return None
    while low < high:  # more blocks never need a larger effect
        middle = (low + high) // 2
        if smallest_ratio(middle, cap=cap, alpha=alpha, power=power) <= ratio:
            high = middle
        else:
            low = middle + 1
    return high * costs.point_s


def smallest_ratio(
    points: int, *, cap: int = 40, alpha: float = 0.05, power: float = 0.80
) -> float:
    """Smallest d = effect / sd that is IMPROVED with this power within so many points.

    Infinite where the points are too few for a look. ``cap``: the most points that will
    be asked about; one simulation answers for all of them, and is remembered.
    """
    if points < 1:
        return math.inf
    return _curve(max(points, cap), alpha, power)[points - 1]


@functools.lru_cache(maxsize=32)
def _curve(longest: int, alpha: float, power: float) -> tuple[float, ...]:
    """``smallest_ratio`` for 1..longest points (infinite before the first look).

    One simulation answers for every number of points: the block at which each sample
    is first IMPROVED is noted for a grid of d over the same normal noise, so the share
    found by block n is known for all n; between grid points it is interpolated. The
    noise is common and its seed fixed, so answers repeat and never cross.
    """
    start = first_look(alpha)
    if longest < start:
        return (math.inf,) * longest
    grid = np.concatenate((np.geomspace(2.0 / math.sqrt(longest), 4.0, 17), [LARGEST]))
    noise = np.random.default_rng(20_221_017).standard_normal((SAMPLES, longest))
    needed = math.log(2 / alpha)
    found = np.zeros((grid.size, longest))
    for row, d in enumerate(grid):
        better, _ = log_evidence(noise + d, alpha=alpha)
        better[:, : start - 1] = -np.inf
        found[row] = np.logical_or.accumulate(better >= needed, axis=-1).mean(axis=0)
    found = np.maximum.accumulate(found, axis=0)
    curve = np.full(longest, np.inf)
    for n in range(start - 1, longest):
        if found[-1, n] >= power:
            at = int(np.argmax(found[:, n] >= power))
            low, high = (found[at - 1, n], grid[at - 1]) if at else (0.0, 0.0)
            curve[n] = high + (grid[at] - high) * (power - low) / (found[at, n] - low)
    return tuple(np.minimum.accumulate(curve).tolist())


def _check(value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise AnalysisError(
            f"{value:g} is neither a noise nor an effect", way_out="give a ratio greater than 0"
        )

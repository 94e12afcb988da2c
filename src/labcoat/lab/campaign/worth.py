"""What another epoch on a question promises: gain per second, from what is known of it. Pure.

The next epoch goes where it promises most, so that a budget is spent on what may matter and
not in the order of a list. Nothing here decides anything: verdicts come from the rule alone,
which holds whenever an experiment is left and taken up again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from labcoat.lab.trial.question import CAP
from labcoat.stats.forecast import critical
from labcoat.stats.power import Costs, budget_for, smallest_ratio
from labcoat.stats.sequential import first_look

FLOOR_POINTS = 5.0
"""The noise of the A/A experiment counts as so many points beside the experiment's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What there is to spend, and what a data point costs and how it scatters.

    ``sd``: of a data point, in logs. ``left_s``: for screening, from now on.
    """

    sd: float
    point_s: float
    left_s: float
    alpha: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """``chance``: of being found better in the time left. ``gain_per_s``: expected log gain.

    ``least``: the smallest effect that the time left would find four times in five, a ratio;
    infinite where it is too short for any.
    """

    chance: float
    gain_per_s: float
    least: float


def worth(
    values: Sequence[float],
    *,
    prior: float,
    hope: float,
    bound: float,
    means: Means,
    cap: int = CAP,
) -> Worth:
    """The worth of going on with a question that has these values, oriented so that up is better.

    Before the first value: the chance ``prior`` of an effect ``hope`` (a ratio). Then: a normal
    posterior of the effect (centre ``prior`` times hope, deviation hope), the predicted chance
    that the mean of the points which fit into the time left passes the two-sided t-mixture, and
    the mean of the positive part of the effect, never above ``bound``.
    """
    n = len(values)
    # What was begun may finish an epoch late; nothing is begun that could not be finished.
    fitting = means.left_s / means.point_s
    points = min(cap, n + (math.ceil(fitting) if n else int(fitting)))
    aim = math.log1p(hope)
    least = _least(means, points, cap)
    if points < first_look(means.alpha) or points <= n or aim <= 0:
        return Worth(chance=0.0, gain_per_s=0.0, least=least)
    if n == 0:
        if bound < least:
            return Worth(chance=0.0, gain_per_s=0.0, least=least)
        needed = _points_for(aim, means, points)
        return Worth(
            chance=prior * (0.8 if aim >= math.log1p(least) else 0.4),
            gain_per_s=prior * aim / (needed * means.point_s),
            least=least,
        )
    x = np.asarray(values, dtype=np.float64)
    own = float(x.var(ddof=1)) * (n - 1) if n > 1 else 0.0
    sd = math.sqrt((FLOOR_POINTS * means.sd**2 + own) / (FLOOR_POINTS + n - 1))
    precision = 1 / aim**2 + n / sd**2
    centre = (prior / aim + float(x.sum()) / sd**2) / precision
    spread = math.sqrt(1 / precision)
    share = (points - n) / points
    mean = (float(x.sum()) + (points - n) * centre) / points
    deviation = share * math.sqrt(spread**2 + sd**2 / (points - n))
    passing = sd * critical(points, means.alpha)
    chance = float(special.ndtr((mean - passing) / deviation))
    z = centre / spread
    positive = spread * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) + centre * float(
        special.ndtr(z)
    )
    gain = min(positive, math.log1p(min(bound, 1e9)))
    needed = max(_points_for(max(gain, 1e-9), means, points) - n, 1)
    return Worth(chance=chance, gain_per_s=chance * gain / (needed * means.point_s), least=least)


def would_take_s(effect: float, means: Means) -> float | None:
    """The time that finds an effect of this ratio four times in five; None where none does."""
    if effect <= 0 or not math.isfinite(effect):
        return None
    return budget_for(
        sd=means.sd, costs=Costs(block_s=means.point_s), effect=effect, alpha=means.alpha
    )


def _least(means: Means, points: int, cap: int) -> float:
    smallest = means.sd * smallest_ratio(points, cap=cap, alpha=means.alpha)
    return math.expm1(smallest) if math.isfinite(smallest) else math.inf


def _points_for(effect_log: float, means: Means, most: int) -> int:
    """Points that find an effect four times in five, at most ``most``."""
    for n in range(first_look(means.alpha), most):
        if smallest_ratio(n, alpha=means.alpha) * means.sd <= effect_log:
            return n
    return most

"""When an instance is warm: its rate no longer rises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

BINS = 5
SPREAD_RATIO = 0.03
CAP_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Steadiness:
    """The verdict on a warm-up: ``rates`` are completions per second, in order."""

    is_steady: bool
    spread_ratio: float
    trend_ratio: float


def steadiness(rates: npt.NDArray[np.float64]) -> Steadiness:
    """Whether the last five one-second rates have stopped moving.

    Steady when their spread (max - min over mean) is below 3 %, or, on a machine
    whose own noise is larger than that, when no trend is left: the line fitted through
    the five rises by less than 3 % plus twice its own standard error.

    ``rates``: float64 ``(n,)``, adjusted for steal by the caller. Fewer than five, or
    a second with no completion, is not steady.
    """
    if rates.size < BINS or not (rates[-BINS:] > 0).all():
        return Steadiness(is_steady=False, spread_ratio=float("inf"), trend_ratio=float("inf"))
    last = rates[-BINS:] / rates[-BINS:].mean()
    x = np.arange(BINS) - (BINS - 1) / 2
    slope = float((x * last).sum() / (x * x).sum())
    residual = last - 1 - slope * x
    error = float(np.sqrt((residual**2).sum() / (BINS - 2) / (x * x).sum()))
    rise, rise_error = slope * (BINS - 1), error * (BINS - 1)
    spread = float(np.ptp(last))
    return Steadiness(
        is_steady=spread < SPREAD_RATIO or abs(rise) < SPREAD_RATIO + 2 * rise_error,
        spread_ratio=spread,
        trend_ratio=rise,
    )

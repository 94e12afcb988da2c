"""How likely an experiment is to reach a verdict by its cap, seen from here."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from labcoat.stats.sequential import PHI, Floats


def chance_of_verdict(
    x: Floats,
    *,
    cap: int,
    delta: float,
    alpha: float,
    screening: bool,
    no_gain: npt.NDArray[np.bool_],
    no_loss: npt.NDArray[np.bool_],
) -> Floats:
    """Predicted chance that some look up to the cap decides, ``(..., n)``; errs upwards.

    Given n blocks of mean m and deviation s, the mean at the cap N is predicted as
    m + s √(1/n - 1/N) t_(n-1) (normal noise, Jeffreys' prior). The t-mixture decides at
    the cap where that mean is beyond s times ``critical``. That any look on the way
    decides is likelier, by up to about two (the reflection principle), so the chance
    at the cap is doubled: rather a few blocks too many than a verdict too few.
    ``no_gain``, ``no_loss``: whether not better, not worse is proven already.
    """
    n = np.arange(1, x.shape[-1] + 1, dtype=np.float64)
    mean = np.cumsum(x, axis=-1) / n
    # Deviations from the first value: subtracting squares of far-off values loses digits.
    y = x - x[..., :1]
    square = np.cumsum(y * y, axis=-1) - np.cumsum(y, axis=-1) ** 2 / n
    sd = np.sqrt(np.maximum(square, 0) / np.maximum(n - 1, 1))
    effect, bound = sd * critical(cap, alpha), sd * critical(cap, 2 * alpha)
    spread = sd * np.sqrt(np.maximum(1 / n - 1 / cap, 0))

    def below(value: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.where(spread > 0, (value - mean) / spread, np.sign(value - mean) * np.inf)
        result: Floats = special.stdtr(np.maximum(n - 1, 1), np.nan_to_num(distance))
        return result

    up, down = 1 - below(effect), below(-effect)
    gainless = np.where(no_gain, 1.0, below(delta - bound))
    lossless = np.where(no_loss, 1.0, 1 - below(bound - delta))
    if screening:
        at_cap = up + np.maximum(down, gainless)
    else:
        at_cap = up + down + np.maximum(gainless + lossless - 1, 0)
    return np.minimum(2 * at_cap, 1.0)


def critical(n: int, alpha: float, phi: float = PHI) -> float:
    """|mean| / sd at which the two-sided t-mixture of n blocks reaches 1/alpha."""
    k = ((phi + n) / (phi * alpha**2)) ** (1 / n)
    rk = phi / (phi + n) * k
    return float(np.sqrt((n - 1) / n * (k - 1) / (1 - rk))) if rk < 1 else float("inf")

"""How long a slice should be: Allan variance of an A/A recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from labcoat.errors import AnalysisError
from labcoat.model.stats import LabWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowChoice:
    """The slice length that measures most per second, and the curve behind it.

    ``tau_s``, ``allan_variance``: arrays ``(m,)``; the variance is of the log rate.
    """

    measure_s: float
    tau_s: npt.NDArray[np.float64]
    allan_variance: npt.NDArray[np.float64]
    warnings: tuple[LabWarning, ...] = ()


def allan_variance(values: npt.ArrayLike, width: int) -> float:
    """Half the mean squared difference of neighbouring means of ``width`` values.

    All offsets are used (overlapping estimator). Raises: AnalysisError if
    2 · width > number of values.
    Source: Allan 1966; Howe, Allan & Barnes 1981.
    """
    y = np.asarray(values, dtype=np.float64)
    if not 1 <= width <= y.size // 2:
        raise AnalysisError(
            f"{y.size} bins hold no two neighbours of {width}", way_out="record longer"
        )
    total = np.concatenate(([0.0], np.cumsum(y)))
    means = (total[width:] - total[:-width]) / width
    steps = means[width:] - means[:-width]
    return float(0.5 * np.mean(steps**2))


def choose_window(
    rates: npt.ArrayLike,
    *,
    bin_s: float,
    warmup_s: float,
    gap_s: float,
    least_s: float = 1.0,
) -> WindowChoice:
    """Slice length tau that minimises AllanVar(tau) · (tau + warmup + gap).

    ``rates``: A/A throughput per bin of ``bin_s`` seconds, in order. ``least_s``: 20
    times the longest periodic pause to be averaged. Only lengths that fit eight times
    into the recording are compared. Warns ``short_recording`` when none reaches
    ``least_s``, ``still_falling`` when the longest one compared would win.
    Raises: AnalysisError for rates that are not positive, or fewer than 16 bins.
    """
    y = np.asarray(rates, dtype=np.float64)
    if y.size < 16 or not (np.isfinite(y) & (y > 0)).all():
        raise AnalysisError(
            "a window cannot be chosen from fewer than 16 positive rates",
            way_out="record a longer A/A phase, or wider bins",
        )
    longest = y.size // 8
    widths = np.unique(np.geomspace(1, longest, num=min(longest, 40)).round().astype(int))
    curve = np.array([allan_variance(np.log(y), int(width)) for width in widths])
    tau = widths * bin_s
    allowed = tau >= least_s
    if not allowed.any():
        short = LabWarning(
            code="short_recording",
            message=f"{y.size * bin_s:.0f} s hold no eight windows of {least_s:g} s",
            remedy=f"record at least {8 * least_s:.0f} s",
        )
        return WindowChoice(measure_s=least_s, tau_s=tau, allan_variance=curve, warnings=(short,))
    cost = np.where(allowed, curve * (tau + warmup_s + gap_s), np.inf)
    at = int(np.argmin(cost))
    warnings: tuple[LabWarning, ...] = ()
    if at == widths.size - 1 and allowed.sum() > 1:
        falling = LabWarning(
            code="still_falling",
            message=f"windows longer than {tau[at]:.1f} s were not compared, and may be better",
            remedy="record a longer A/A phase",
        )
        warnings = (falling,)
    return WindowChoice(
        measure_s=float(tau[at]), tau_s=tau, allan_variance=curve, warnings=warnings
    )

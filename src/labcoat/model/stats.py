"""What statistics take and give: samples, effects, verdicts, warnings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class LabWarning:
    """Something the reader must know, and what to do about it. Data, never raised."""

    code: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value per block (or per epoch), in order; all that statistics sees.

    ``log_ratios``: float64 ``(n,)``, mean log treatment - mean log baseline.
    ``covariate``: float64 ``(n,)`` or None, the same difference of a covariate that
    no knob can reach (mean of log(1 - steal ratio)).
    """

    metric: str
    log_ratios: npt.NDArray[np.float64]
    covariate: npt.NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Treatment over baseline, as a ratio minus one (0.05 reads "5 % higher").

    Raw sign: the metric knows which way is better. An unbounded interval has
    infinite ends. Has no truth value on purpose.
    """

    point: float
    low: float
    high: float
    method: str
    n: int
    warnings: tuple[LabWarning, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("an Effect is not a yes or a no; ask labcoat.stats.decide")


class Verdict(Enum):
    """What an experiment found."""

    IMPROVED = "improved"
    REGRESSED = "regressed"
    EQUIVALENT = "equivalent"
    NOT_BETTER = "not_better"
    INCONCLUSIVE = "inconclusive"
    INVALID = "invalid"

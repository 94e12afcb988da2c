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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate with its ends, in the unit of what was estimated.

    ``confidence``: the share of such intervals that hold the truth. An end that the
    values do not bound is infinite.
    """

    point: float
    low: float
    high: float
    confidence: float
    method: str
    n: int
    warnings: tuple[LabWarning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The four log e-values of a decision, and what each must reach.

    ``better``, ``worse``: against "no effect", read through the metric's direction;
    they need ``log(2/alpha)``. ``not_better``, ``not_worse``: against an effect of the
    margin or more, either way; they need ``log(1/alpha)``. Natural logs: exp(better)
    is the E+ that a live line shows.
    """

    better: float
    worse: float
    not_better: float
    not_worse: float
    needed: float
    needed_for_margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the rule says of a sample now. ``verdict`` None: measure another block.

    ``n``: blocks that the decision rests on (fewer than the sample holds, if it was
    decided earlier). ``evidence`` is None before the first block and for INVALID.
    ``chance``: predicted chance of a verdict by the cap, None before the first look.
    """

    verdict: Verdict | None
    reason: str
    n: int
    evidence: Evidence | None = None
    chance: float | None = None
    warnings: tuple[LabWarning, ...] = ()

    def __bool__(self) -> bool:
        raise TypeError("a Decision is not a yes or a no; read its verdict")

"""The decision rule: the only place where a sample becomes a verdict.

After every block from the first look to the cap (E± from ``sequential``, delta =
log(1 + margin)), the first line that holds:

    E+(0)      >= 2/alpha                 IMPROVED
    E-(0)      >= 2/alpha                 REGRESSED
    E-(+delta) >= 1/alpha                 not better is proven, and stays so
    E+(-delta) >= 1/alpha                 not worse is proven, and stays so
    both proven                           EQUIVALENT
    not better, in screening              NOT_BETTER
    the cap, or too small a chance        INCONCLUSIVE

Every look of the sample is gone through again, so a sample that was measured past
its decision keeps the verdict it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from labcoat.errors import AnalysisError
from labcoat.model.metric import Better
from labcoat.model.stats import Decision, Evidence, LabWarning, Sample, Verdict
from labcoat.stats.block import SPREAD_FLOOR
from labcoat.stats.forecast import chance_of_verdict
from labcoat.stats.interval import fixed_effect
from labcoat.stats.sequential import first_look, log_evidence

if TYPE_CHECKING:
    from labcoat.stats.sequential import Floats

LEAST_CHANCE = 0.10
"""Below this predicted chance of a verdict by the cap an experiment is given up."""

_CODES: tuple[Verdict | None, ...] = (
    None,
    Verdict.IMPROVED,
    Verdict.REGRESSED,
    Verdict.EQUIVALENT,
    Verdict.NOT_BETTER,
    Verdict.INCONCLUSIVE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The rule applied to many samples at every look; arrays ``(..., n)``.

    ``codes``: what each look says, as an index into ``verdicts`` (0: go on).
    """

    codes: npt.NDArray[np.int8]
    better: Floats
    worse: Floats
    not_better: Floats
    not_worse: Floats
    chance: Floats

    def first(self) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
        """The code of the first look that decides, and its n; else 0 and all blocks."""
        decided = self.codes > 0
        at = np.where(decided.any(axis=-1), decided.argmax(axis=-1), self.codes.shape[-1] - 1)
        codes = np.take_along_axis(self.codes, at[..., np.newaxis], axis=-1)[..., 0]
        return codes, at + 1

    def share(self, verdict: Verdict | None) -> float:
        """Share of the samples whose first decision is this verdict (None: undecided)."""
        return float(np.mean(self.first()[0] == _CODES.index(verdict)))


def look(
    log_ratios: Floats,
    *,
    margin: float = 0.02,
    cap: int = 40,
    alpha: float = 0.05,
    screening: bool = False,
    least_chance: float = LEAST_CHANCE,
) -> Looks:
    """The rule at every look of every sample; ``log_ratios`` is ``(..., n)``, up is better.

    Blocks beyond the cap are not looked at. ``least_chance`` 0 never gives up early.
    Raises: AnalysisError if margin, cap or alpha make no rule.
    """
    start = first_look(alpha) if 0 < alpha < 1 else 0
    if not (start and margin > 0 and cap >= start):
        raise AnalysisError(
            f"no rule has alpha {alpha:g}, margin {margin:g} and a cap of {cap} blocks",
            way_out=f"0 < alpha < 1, margin > 0 and a cap of at least {start or 6} blocks",
        )
    x = log_ratios[..., :cap]
    delta = float(np.log1p(margin))
    better, worse = log_evidence(x, alpha=alpha)
    _, not_better = log_evidence(x, shift=delta, alpha=alpha)
    not_worse, _ = log_evidence(x, shift=-delta, alpha=alpha)
    n = np.arange(1, x.shape[-1] + 1)
    may = n >= start
    needed, needed_for_margin = np.log(2 / alpha), np.log(1 / alpha)
    no_gain = np.logical_or.accumulate((not_better >= needed_for_margin) & may, axis=-1)
    no_loss = np.logical_or.accumulate((not_worse >= needed_for_margin) & may, axis=-1)
    chance = chance_of_verdict(
        x, cap=cap, delta=delta, alpha=alpha, screening=screening, no_gain=no_gain, no_loss=no_loss
    )
    codes = np.zeros(x.shape, dtype=np.int8)  # later lines overrule earlier ones
    codes[(n >= cap) | (chance < least_chance)] = _CODES.index(Verdict.INCONCLUSIVE)
    if screening:
        codes[no_gain] = _CODES.index(Verdict.NOT_BETTER)
    codes[no_gain & no_loss] = _CODES.index(Verdict.EQUIVALENT)
    codes[worse >= needed] = _CODES.index(Verdict.REGRESSED)
    codes[better >= needed] = _CODES.index(Verdict.IMPROVED)
    codes[..., ~may] = 0
    return Looks(
        codes=codes,
        better=better,
        worse=worse,
        not_better=not_better,
        not_worse=not_worse,
        chance=chance,
    )


def decide(
    sample: Sample,
    *,
    margin: float = 0.02,
    better: Better = Better.HIGHER,
    cap: int = 40,
    alpha: float = 0.05,
    screening: bool = False,
    least_chance: float = LEAST_CHANCE,
) -> Decision:
    """The verdict on a sample, or None: measure another block.

    ``margin``: smallest effect worth having, a ratio. ``better``: the metric's
    direction. ``screening``: also answer NOT_BETTER, the cheapest no.
    A value that is not finite, or values that are all equal, is INVALID.
    Raises: AnalysisError if margin, cap or alpha make no rule.
    """
    x = np.asarray(sample.log_ratios, dtype=np.float64)
    refused = _refuse(x, first_look(alpha) if 0 < alpha < 1 else 6)
    if refused is not None:
        return Decision(verdict=Verdict.INVALID, reason=refused, n=x.size)
    oriented = x if better is Better.HIGHER else -x
    looks = look(
        oriented,
        margin=margin,
        cap=cap,
        alpha=alpha,
        screening=screening,
        least_chance=least_chance,
    )
    if x.size == 0:
        return Decision(verdict=None, reason="no block yet", n=0)
    code, n = (int(value) for value in looks.first())
    evidence = Evidence(
        better=float(looks.better[n - 1]),
        worse=float(looks.worse[n - 1]),
        not_better=float(looks.not_better[n - 1]),
        not_worse=float(looks.not_worse[n - 1]),
        needed=float(np.log(2 / alpha)),
        needed_for_margin=float(np.log(1 / alpha)),
    )
    verdict = _CODES[code]
    chance = float(looks.chance[n - 1])
    return Decision(
        verdict=verdict,
        reason=_reason(verdict, evidence, chance=chance, n=n, cap=cap, start=first_look(alpha)),
        n=n,
        evidence=evidence,
        chance=chance if n >= first_look(alpha) else None,
        warnings=_warnings(verdict, x[:n], margin=margin),
    )


def decide_planned(
    sample: Sample,
    *,
    planned: int,
    margin: float = 0.02,
    better: Better = Better.HIGHER,
    alpha: float = 0.05,
) -> Decision:
    """The verdict on a sample whose size was fixed before, or None: it is not complete.

    One look, at the planned number of points; what was measured past it is left out. The
    effect's t interval decides: beyond zero it is IMPROVED or REGRESSED, within the margin on
    both sides EQUIVALENT, else INCONCLUSIVE. Exact for independent normal points.
    Raises: AnalysisError if fewer than two points were planned.
    """
    if planned < 2 or not 0 < alpha < 1 or margin <= 0:
        raise AnalysisError(
            f"no rule has {planned} points, alpha {alpha:g} and margin {margin:g}",
            way_out="plan at least two points",
        )
    x = np.asarray(sample.log_ratios, dtype=np.float64)[:planned]
    refused = _refuse(x, planned)
    if refused is not None:
        return Decision(verdict=Verdict.INVALID, reason=refused, n=x.size)
    if x.size < planned:
        return Decision(verdict=None, reason=f"{x.size} of the {planned} blocks planned", n=x.size)
    effect = fixed_effect(Sample(metric=sample.metric, log_ratios=x), alpha=alpha)
    low, high = effect.low, effect.high
    if better is Better.LOWER:
        low, high = 1 / (1 + high) - 1, 1 / (1 + low) - 1
    verdict = Verdict.INCONCLUSIVE
    if low > 0:
        verdict = Verdict.IMPROVED
    elif high < 0:
        verdict = Verdict.REGRESSED
    elif -margin / (1 + margin) < low and high < margin:
        verdict = Verdict.EQUIVALENT
    return Decision(
        verdict=verdict,
        reason=f"the {1 - alpha:.0%} interval of {planned} blocks planned before"
        f" is {100 * effect.low:+.1f} to {100 * effect.high:+.1f} %",
        n=planned,
    )


def _refuse(x: Floats, start: int) -> str | None:
    """Why the sample cannot be judged at all, or None."""
    finite = np.isfinite(x)
    if not finite.all():
        return f"the value of block {int(np.argmin(finite)) + 1} is not finite"
    if x.size >= start and np.ptp(x[:start]) <= SPREAD_FLOOR:
        return f"the first {start} blocks all have the same value: nothing was measured"
    return None


def _reason(
    verdict: Verdict | None, evidence: Evidence, *, chance: float, n: int, cap: int, start: int
) -> str:
    """One sentence with the numbers behind the decision."""
    blocks = f"after {n} blocks"
    if verdict is None:
        return f"{n} of at least {start} blocks" if n < start else f"undecided {blocks}"
    if verdict is Verdict.INCONCLUSIVE:
        if n >= cap:
            return f"no verdict within the cap of {cap} blocks"
        return f"given up {blocks}: at most {chance:.0%} chance of a verdict by block {cap}"
    needed = _odds(evidence.needed)
    return {
        Verdict.IMPROVED: f"evidence {_odds(evidence.better)} of {needed} needed {blocks}",
        Verdict.REGRESSED: f"evidence {_odds(evidence.worse)} of {needed} needed {blocks}",
        Verdict.EQUIVALENT: f"neither better nor worse by the margin, proven {blocks}",
        Verdict.NOT_BETTER: f"not better by the margin, proven {blocks}",
    }[verdict]


def _odds(log_e: float) -> str:
    return f"{np.exp(log_e):.0f}" if log_e < np.log(1e6) else f"1e{log_e / np.log(10):.0f}"


def _warnings(verdict: Verdict | None, x: Floats, *, margin: float) -> tuple[LabWarning, ...]:
    """What a reader of the decision must know."""
    found: list[LabWarning] = []
    if verdict in {Verdict.IMPROVED, Verdict.REGRESSED}:
        found.append(
            LabWarning(
                code="stopped_early",
                message="the estimate at stopping overstates the effect",
                remedy="quote the confirmation, on fresh blocks",
            )
        )
    if verdict is Verdict.INCONCLUSIVE and np.log1p(margin) < 0.6 * x.std(ddof=1):
        found.append(
            LabWarning(
                code="margin_below_noise",
                message=f"the margin of {margin:.1%} is under 0.6 of the noise per block "
                f"({x.std(ddof=1):.1%}), so EQUIVALENT was out of reach",
                remedy="lengthen the slices, quieten the machine, or raise the margin",
            )
        )
    return tuple(found)
